//! A storm is one mail: buildings that share an uplink, and suffer from it together. And a fault that is there at all
//! hours is told as what it is. Both were judged, and are told by a running collector.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use busyhour_judge::Judge;
use busyhour_model::desk::{Owner, ShortRemark};
use busyhour_model::{
    AddressFamily, AgentId, BlockNo, BootId, BootMicros, BurstLoss, Context, Epoch, FileBuilding,
    FileSubnet, Histogram, Link, LinkKind, NetworkColumns, PacketCounts, PathKey, ProfileName,
    RequirementProfile, Schedule, ScheduleRevision, Stamp, TargetName, TrafficClass, Transport,
    UtcMicros, Window, WindowParts, limits_in_force,
};
use busyhour_store::{
    Act, Binding, BlockRows, Control as _, Desk as _, JudgedWindow, NewAgent, Retention,
    SqliteControl, SqliteTelemetry, Telemetry as _,
};
use e2e::{Collector, Place, wait_for};
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::judged::{compare, keep, open_alerts};
use crate::mail::{MailServer, certificate, have_mail_server, mail_channel};
use crate::questions::Answers;
use crate::text;

const RETENTION: Retention = Retention {
    windows_days: 14,
    slots_days: 400,
    hours_days: 1_830,
    checks_days: 60,
    facts_days: 60,
    loads_days: 30,
    gaps_days: 60,
};
/// Houses behind the uplink that is too small, and all of them.
const BEHIND: usize = 6;
const HOUSES: usize = 14;
/// The house that is far from everything at all hours.
const FAR: usize = HOUSES - 1;
/// Days of history, today not included.
const DAYS: i64 = 14;
/// Windows of a quarter-hour, and how far they are from each other.
const WINDOWS: u64 = 5;
const PERIOD_US: u64 = 15 * 60 * 1_000_000 / WINDOWS;
const REQUIREMENT: RequirementProfile = RequirementProfile::ClientToMicrosoftEdge;

/// Where a machine stands: two in each house.
const fn house_of(machine: usize) -> usize {
    machine / 2
}

fn agent(machine: usize) -> AgentId {
    AgentId::from_u128(machine as u128 + 1)
}

fn subnet(machine: usize) -> String {
    format!("10.7.{machine}.0/24")
}

/// The public prefix of a house.
fn egress(house: usize) -> IpNet {
    let prefix = match house < BEHIND {
        true => "203.0.113.0/24".to_owned(),
        false => format!("198.51.{house}.0/24"),
    };
    prefix.parse().unwrap()
}

fn building(house: usize) -> FileBuilding {
    let region = if house < BEHIND { "North" } else { "South" };
    let network = |machine: usize| FileSubnet {
        prefix: subnet(machine).parse().unwrap(),
        egress: Some(egress(house)),
        columns: NetworkColumns {
            network_name: format!("Floor {}", machine % 2 + 1),
            ownership_type: String::new(),
            building_type: String::new(),
            building_office_type: String::new(),
            city: String::new(),
            zip_code: String::new(),
            country: "DE".to_owned(),
            state: String::new(),
            region: region.to_owned(),
            inside_corp: true,
            express_route: false,
            vpn: false,
        },
    };
    FileBuilding {
        name: format!("Branch {}", house + 1),
        city: String::new(),
        country: "DE".to_owned(),
        region: region.to_owned(),
        time_zone: Some("UTC".to_owned()),
        business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
        holidays: BTreeSet::new(),
        subnets: vec![network(2 * house), network(2 * house + 1)],
    }
}

/// What a machine saw in one of the quarter-hours of a date.
fn window(machine: usize, date: Date, quarter: u64, number: u64) -> JudgedWindow {
    let busy = (40..48).contains(&quarter) && number < 3;
    let (lost, rtt_us) = match house_of(machine) {
        FAR => (0, 180_000),
        house if house < BEHIND && busy => (15, 62_000),
        _ => (0, 21_000),
    };
    let since = Duration::from_micros(PERIOD_US * (quarter * WINDOWS + number));
    made(&subnet(machine), machine as u8 % 2 + 1, midnight(date).plus(since), (lost, rtt_us))
}

/// A window of whoever sits in a subnet, to one of the targets: so many of 750 packets lost, and the round trip of
/// the others.
pub(crate) fn made(
    subnet: &str,
    target: u8,
    placed: UtcMicros,
    (lost, rtt_us): (u32, u32),
) -> JudgedWindow {
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new(format!("edge-{target}.example.org:862")).unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    let counts = PacketCounts::new(750, 750, [0, 0, lost], 0, 0).unwrap();
    let mut parts = WindowParts::new(path, 50, counts);
    parts.burst = Some(BurstLoss::new(lost.min(1), 10).unwrap());
    let mut histogram = Histogram::new();
    histogram.record(rtt_us);
    (parts.rtt, parts.rtt_median_us) = (histogram, Some(rtt_us));
    let window = Window::new(parts).unwrap();
    let table = limits_in_force(REQUIREMENT, placed).unwrap();
    JudgedWindow {
        placed,
        stamp: Stamp::new(placed, BootMicros(0), BootId::from_u128(1), 15_000_000).unwrap(),
        schedule: ScheduleRevision(1),
        context: Context {
            local_prefix: Some(subnet.parse().unwrap()),
            resolved: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, target)), 862)),
            reflexive: None,
        },
        requirement: REQUIREMENT,
        limits: table.version,
        verdict: table.judge(&window),
        window,
    }
}

fn midnight(date: Date) -> UtcMicros {
    let zoned = date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    UtcMicros(zoned.timestamp().as_microsecond())
}

/// A store with two weeks of history and what was judged of it, and nobody told.
fn fill(folder: &Path) {
    let (telemetry, control) = busyhour_store::open(folder, RETENTION).unwrap();
    let (telemetry, control) = (Arc::new(telemetry), Arc::new(control));
    let stamp = Timestamp::now();
    let now = UtcMicros(stamp.as_microsecond());
    let by = Act::by_operator(now);
    let buildings: Vec<FileBuilding> = (0..HOUSES).map(building).collect();
    control.import_buildings(&buildings, &by).unwrap();
    let today = stamp.to_zoned(TimeZone::UTC).date();
    let first = today.saturating_sub(DAYS.days());
    for machine in 0..2 * HOUSES {
        let new = NewAgent {
            id: agent(machine),
            name: format!("branch-{machine}"),
            secret_sha256: [0; 32],
            simulated: false,
            binding: Binding::Subnet {
                prefix: subnet(machine).parse().unwrap(),
                egress: Some(egress(house_of(machine))),
            },
            added: midnight(first),
        };
        control.add_agent(&new, &by).unwrap();
        for (block, back) in (1_u64..).zip((1..=DAYS).rev()) {
            let date = today.saturating_sub(back.days());
            // At night nobody but the house that is far from everything matters.
            let hours = if house_of(machine) == FAR { 0..24 } else { 6..20 };
            let of_a_day = hours.start * 4 * WINDOWS..hours.end * 4 * WINDOWS;
            let windows = of_a_day.map(|one| window(machine, date, one / WINDOWS, one % WINDOWS));
            deliver(&telemetry, (agent(machine), block), windows.collect(), now);
        }
    }
    let owner = Owner {
        name: ShortRemark::new("Network operations").unwrap(),
        contact: Some(ShortRemark::new("noc@example.com").unwrap()),
    };
    control.set_owner((None, None), &owner, &by).unwrap().unwrap();
    judge(&telemetry, &control, now);
}

/// Puts a block of an agent into the store.
pub(crate) fn deliver(
    telemetry: &SqliteTelemetry,
    (agent, block): (AgentId, u64),
    windows: Vec<JudgedWindow>,
    now: UtcMicros,
) {
    let rows = BlockRows {
        agent,
        epoch: Epoch(1),
        block: BlockNo(block),
        received: now,
        schedules: vec![Schedule { revision: ScheduleRevision(1), period_us: PERIOD_US }],
        windows,
        others: Vec::new(),
        quarantined: Vec::new(),
    };
    telemetry.append(&[rows]).unwrap();
}

fn judge(telemetry: &Arc<SqliteTelemetry>, control: &Arc<SqliteControl>, now: UtcMicros) {
    let every = Duration::from_secs(60);
    let judge = Judge::new(telemetry.clone(), control.clone(), every, Arc::new(Notify::new()));
    let ended = (0..100).any(|_| !judge.judge_once(now).unwrap().more);
    assert!(ended, "it never ends");
}

#[test]
fn buildings_that_suffer_from_one_uplink_are_one_mail_that_answers_every_question() {
    if !have_mail_server() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (certificate, key) = certificate(folder.path());
    let files = [certificate.as_path(), key.as_path()];
    let server = MailServer::start(folder.path(), "mails", ["--tlscert", "--tlskey"], files);
    let place = folder.path().join("collector");
    fs::create_dir_all(&place).unwrap();
    fill(&place.join("data"));
    let channel = mail_channel("champion", "starttls", &server, &certificate);
    let collector = Collector::start(&Place::default(), &place, &channel);
    wait_for("the mails", || {
        (!server.messages().is_empty() && collector.figure("alerts_pending") == 0).then_some(())
    });

    let (open, mails) = (open_alerts(&collector), server.decoded());
    let kinds: BTreeSet<(String, String)> =
        open.iter().map(|one| (text(one, "kind"), text(one, "place_kind"))).collect();
    let expected = [("constant-fault", "building"), ("recurring-peak", "upstream")];
    let expected = expected.map(|(kind, place)| (kind.to_owned(), place.to_owned()));
    assert_eq!(kinds, BTreeSet::from(expected), "{open:?}");
    assert_eq!((open.len(), mails.len()), (2, 2), "{mails:?}");
    for incident in &open {
        let mail = mail_of(&mails, incident);
        Answers::of(&text(mail, "text")).compare(incident);
        compare(mail, incident);
        keep(mail, incident);
    }
    let storm = open.iter().find(|one| one["place_kind"] == "upstream").unwrap();
    let mail = mail_of(&mails, storm);
    let subject = text(mail, "subject");
    let place = "6 buildings (Branch 1, Branch 2, Branch 3 and 3 more) behind 203.0.113.0/24";
    assert!(subject.starts_with(&format!("{place}: calls suffer")), "{subject}");
    assert!(text(mail, "text").starts_with(&format!("{place}: ")), "{mail}");
    for house in 0..BEHIND {
        let name = format!("Branch {}", house + 1);
        assert!(text(mail, "text").contains(&name), "{name} is named");
    }
}

/// The one mail about an incident.
fn mail_of<'a>(mails: &'a [Value], incident: &Value) -> &'a Value {
    let link = format!("/incidents/{}", text(incident, "id"));
    let about: Vec<&Value> =
        mails.iter().filter(|mail| text(mail, "text").contains(&link)).collect();
    assert_eq!(about.len(), 1, "one mail of {incident}: {mails:?}");
    about[0]
}
