//! What a running collector tells beside the news of an incident: an escalation, a report when its time has come, and
//! that a channel fails and works again.

use std::fs;
use std::time::Duration;

use busyhour_model::desk::{Deed, Remark};
use busyhour_model::{
    AgentId, Breach, BuildingId, Cause, Change, DailyAverage, FileBuilding, FileSubnet,
    FindingKind, Incident, IncidentId, IncidentMember, IncidentPlace, IncidentState, Judgement,
    Mechanism, NetworkColumns, PathId, Segment, Siblings, UtcMicros, WorstHour,
};
use busyhour_store::{
    Act, Binding, Control as _, Desk as _, IncidentEvent, JudgeWrite, NewAgent, Retention,
    Telemetry as _,
};
use e2e::{Collector, Place, wait_for};
use jiff::civil::Weekday;
use jiff::{Timestamp, ToSpan as _};
use tempfile::TempDir;

use crate::mail::{MailServer, certificate, have_mail_server, mail_channel};
use crate::storm::{deliver, made};
use crate::{WebhookReceiver, status, text};

const RETENTION: Retention = Retention {
    windows_days: 14,
    slots_days: 400,
    hours_days: 1_830,
    checks_days: 60,
    facts_days: 60,
    loads_days: 30,
    gaps_days: 60,
};
/// It works at all hours, so nobody waits for them.
const OPEN: &str = "Open House";
/// It works one hour a week, three days from now.
const CLOSED: &str = "Closed Hall";
/// Their subnets.
const PREFIXES: [&str; 2] = ["10.1.0.0/24", "10.2.0.0/24"];
/// Incidents by who they are about.
const UNSEEN: u128 = 1;
const SEEN: u128 = 2;
const WAITS: u128 = 3;

fn building(name: &str, prefix: &str, hours: &str) -> FileBuilding {
    let columns = NetworkColumns {
        network_name: String::new(),
        ownership_type: String::new(),
        building_type: String::new(),
        building_office_type: String::new(),
        city: String::new(),
        zip_code: String::new(),
        country: String::new(),
        state: String::new(),
        region: "EMEA".to_owned(),
        inside_corp: true,
        express_route: false,
        vpn: false,
    };
    FileBuilding {
        name: name.to_owned(),
        city: String::new(),
        country: String::new(),
        region: "EMEA".to_owned(),
        time_zone: Some("UTC".to_owned()),
        business_hours: Some(hours.parse().unwrap()),
        holidays: std::collections::BTreeSet::new(),
        subnets: vec![FileSubnet { prefix: prefix.parse().unwrap(), egress: None, columns }],
    }
}

/// A store with three open incidents that nobody was told of yet; one of them somebody has seen.
fn fill(folder: &std::path::Path) {
    let stamp = Timestamp::now();
    let now = UtcMicros(stamp.as_microsecond());
    let (telemetry, control) = busyhour_store::open(folder, RETENTION).unwrap();
    let by = Act::by_operator(now);
    let later = stamp.to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(3.days());
    let day = match later.weekday() {
        Weekday::Monday => "Mo",
        Weekday::Tuesday => "Tu",
        Weekday::Wednesday => "We",
        Weekday::Thursday => "Th",
        Weekday::Friday => "Fr",
        Weekday::Saturday => "Sa",
        Weekday::Sunday => "Su",
    };
    let buildings = [
        building(OPEN, PREFIXES[0], "Mo-Su 00:00-24:00"),
        building(CLOSED, PREFIXES[1], &format!("{day} 09:00-10:00")),
    ];
    control.import_buildings(&buildings, &by).unwrap();
    // Somebody watches: else the judge would say that nobody does.
    for (number, prefix) in (1..).zip(PREFIXES) {
        let agent = NewAgent {
            id: AgentId::from_u128(number),
            name: format!("watcher-{number}"),
            secret_sha256: [0; 32],
            simulated: false,
            binding: Binding::Subnet { prefix: prefix.parse().unwrap(), egress: None },
            added: now,
        };
        control.add_agent(&agent, &by).unwrap();
        let window = made(prefix, 1, now.minus(Duration::from_secs(3_600)), (0, 21_000));
        deliver(&telemetry, (agent.id, 1), vec![window], now);
    }
    let paths = telemetry.paths(None).unwrap();
    let path = |name: &str| {
        let agent = AgentId::from_u128(if name == OPEN { 1 } else { 2 });
        paths.iter().find(|row| row.agent == agent).unwrap().id
    };
    let id = |name: &str| {
        let known = control.buildings().unwrap();
        known.iter().find(|one| one.name == name).unwrap().id
    };
    for (number, name) in [(UNSEEN, OPEN), (SEEN, OPEN), (WAITS, CLOSED)] {
        let incident = incident(number, (id(name), path(name)), &control, now);
        let tell = vec![(incident.id, IncidentEvent::Opened)];
        let write = JudgeWrite { incidents: vec![incident], tell, ..JudgeWrite::default() };
        control.write_judgement(&write, now).unwrap();
    }
    let seen = Deed::Acknowledge(Remark::new("ticket 4711").unwrap());
    control.act(IncidentId::from_u128(SEEN), &seen, &by).unwrap().unwrap();
}

fn incident(
    number: u128,
    (building, path): (BuildingId, PathId),
    control: &busyhour_store::SqliteControl,
    now: UtcMicros,
) -> Incident {
    let today =
        Timestamp::from_microsecond(now.0).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
    let subnets = control.subnets().unwrap();
    let subnet = subnets.iter().find(|one| one.building == building).unwrap().id;
    let days: Vec<_> = (1..=3).rev().map(|back: i64| today.saturating_sub(back.days())).collect();
    Incident {
        id: IncidentId::from_u128(number),
        number: u64::try_from(number).unwrap(),
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(building),
        segment: Segment::CustomerWan,
        building,
        members: vec![IncidentMember { path, building, subnet }],
        siblings: Siblings { within: 4, suffering: 4, ..Siblings::default() },
        hours: vec![(600, 720)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: today,
        merged_into: None,
        stale: false,
        first_bad: days[0],
        last_bad: days[2],
        bad_days: days.clone(),
        observed_days: days.clone(),
        opened_on: Some(today),
        closed_on: None,
        noted: now,
        opened: Some(now),
        closed: None,
        openings: 1,
        severity: 0.5,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.8,
        mechanism: Mechanism::Queue,
        evidence: Vec::new(),
        worst_hour: Some(worst_hour()),
        worst_on: Some(days[2]),
        average: Some(DailyAverage {
            loss_ppm: 3_100,
            rtt_us: 41_200,
            jitter_us: 4_000,
            passes: true,
        }),
        masked: true,
        masking_factor: Some(7.5),
        sentence: "Calls break up from 10 to 12.".to_owned(),
        paragraph: "Half of the checks were bad.".to_owned(),
        simulated: false,
    }
}

fn worst_hour() -> WorstHour {
    WorstHour {
        start_minute: 615,
        valid: 120,
        bad: 60,
        dominant: Some(Breach::Loss),
        loss_ppm: 18_000,
        loss_ppm_p90: 24_000,
        rtt_us_p90: 84_000,
        jitter_us_p90: 9_400,
        bad_by: [60, 0, 0, 0, 0],
        reordered: 0,
        replies: 88_000,
        order: Judgement::Pass,
        rating_p10_hundredths: None,
    }
}

/// The incidents that a receiver was told of, by one event.
fn told(receiver: &WebhookReceiver, event: &str) -> Vec<String> {
    let bodies = receiver.bodies();
    let of = bodies.iter().filter(|body| body["event"] == event);
    let mut told: Vec<String> = of.map(|body| text(body, "incident_id")).collect();
    told.sort_unstable();
    told
}

fn id(number: u128) -> String {
    IncidentId::from_u128(number).to_string()
}

#[test]
fn what_nobody_has_seen_is_escalated_reports_come_by_mail_and_a_failing_channel_is_told() {
    if !have_mail_server() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificate(folder.path());
    let files = [certificate.as_path(), key.as_path()];
    let server = MailServer::start(folder.path(), "mails", ["--tlscert", "--tlskey"], files);
    // The first that this one gets is turned away as if nobody were there: it fails for good.
    let first = WebhookReceiver::answering("404 Not Found");
    let head = WebhookReceiver::answering("200 OK");
    let hook = |name: &str, receiver: &WebhookReceiver| {
        let url = format!("http://{}/alerts", receiver.address);
        format!("[[channel]]\nname = {name:?}\nkind = \"webhook\"\nurl = {url:?}\n")
    };
    let config = format!(
        "{}{}{}[[route]]\nname = \"all\"\nchannels = [\"first\"]\nescalate_after = \"1s\"\n\
         escalate_to = [\"head\"]\n{}{}",
        hook("first", &first),
        hook("head", &head),
        mail_channel("champion", "starttls", &server, &certificate),
        report("daily"),
        report("weekly"),
    );
    let place = folder.path().join("collector");
    fs::create_dir_all(&place).unwrap();
    fill(&place.join("data"));
    let weekly_is_due = matches!(
        Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).weekday(),
        Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday
    );
    let mut collector = Collector::start(&Place::default(), &place, &config);

    // Everything but the escalation of the building that is closed, which waits for its hour.
    wait_for("all that is due", || {
        let pending = status(&collector.api).get("alerts_pending").copied();
        let works = head.bodies().iter().any(|body| body["event"] == "channel-works");
        (pending == Some(1) && works).then_some(())
    });
    assert_eq!(told(&first, "opened"), [id(UNSEEN), id(SEEN), id(WAITS)]);
    assert_eq!(told(&head, "opened"), [id(UNSEEN)], "who has seen it is not passed over");
    let about = |event: &str| head.bodies().iter().filter(|body| body["event"] == event).count();
    assert_eq!((about("channel-failed"), about("channel-works")), (1, 1));
    let mails = server.decoded();
    let subjects: Vec<String> = mails.iter().map(|mail| text(mail, "subject")).collect();
    let of = |words: &str| subjects.iter().filter(|subject| subject.contains(words)).count();
    assert_eq!(of("Quality Experience Review"), usize::from(weekly_is_due), "{subjects:?}");
    assert_eq!(of("Daily digest"), 1, "{subjects:?}");
    assert_eq!(of("channel first"), 2, "fails, and works again: {subjects:?}");

    // Nothing of it is said again after a restart.
    let before = (first.bodies().len(), head.bodies().len(), mails.len());
    assert!(collector.stop(), "the collector stops in order");
    collector.start_again();
    wait_for("a look at the outbox", || (collector.figure("alerts_pending") == 1).then_some(()));
    assert!(collector.stop(), "the collector stops in order");
    assert_eq!((first.bodies().len(), head.bodies().len(), server.decoded().len()), before);
}

/// A report that is due as soon as its day has begun.
fn report(kind: &str) -> String {
    format!(
        "[[report]]\nname = {kind:?}\nkind = {kind:?}\nat = \"00:00\"\nzone = \"UTC\"\n\
         channels = [\"champion\"]\n"
    )
}
