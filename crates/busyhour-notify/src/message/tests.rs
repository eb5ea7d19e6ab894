use busyhour_model::{
    AgentId, Breach, BuildingId, Cause, Change, DailyAverage, Evidence, FindingKind, Incident,
    IncidentId, IncidentMember, IncidentPlace, IncidentState, Judgement, LinkKind, Mechanism,
    PathId, Segment, Siblings, SubnetId, TargetName, UtcMicros, WorstHour,
};
use busyhour_store::{About, OpeningTold};
use jiff::civil::date;

use super::*;

const BERLIN: BuildingId = BuildingId::from_u128(7);

fn evidence(cause: Cause, weight: f64, text: &str) -> Evidence {
    Evidence { cause, weight, text: text.to_owned() }
}

fn worst_hour() -> WorstHour {
    WorstHour {
        start_minute: 615,
        valid: 120,
        bad: 37,
        dominant: Some(Breach::Loss),
        bad_by: [37, 0, 0, 0, 0],
        loss_ppm: 18_000,
        loss_ppm_p90: 24_000,
        rtt_us_p90: 84_000,
        jitter_us_p90: 9_400,
        reordered: 0,
        replies: 88_000,
        order: Judgement::Pass,
        rating_p10_hundredths: Some(6_800),
    }
}

fn incident() -> Incident {
    Incident {
        id: IncidentId::from_u128(42),
        number: 12,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(BERLIN),
        segment: Segment::CustomerWan,
        building: BERLIN,
        members: vec![IncidentMember {
            path: PathId(3),
            building: BERLIN,
            subnet: SubnetId::from_u128(3),
        }],
        siblings: Siblings {
            within: 4,
            suffering: 4,
            beside: 6,
            suffering_beside: 0,
            near: 0,
            suffering_near: 0,
        },
        hours: vec![(600, 720), (1380, 1440)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: date(2026, 3, 4),
        merged_into: None,
        stale: false,
        first_bad: date(2026, 2, 26),
        last_bad: date(2026, 3, 4),
        bad_days: vec![date(2026, 2, 26), date(2026, 3, 2), date(2026, 3, 4)],
        observed_days: vec![
            date(2026, 2, 25),
            date(2026, 2, 26),
            date(2026, 2, 27),
            date(2026, 3, 2),
            date(2026, 3, 3),
            date(2026, 3, 4),
        ],
        opened_on: Some(date(2026, 3, 4)),
        closed_on: None,
        noted: UtcMicros::from_secs(1_772_500_000),
        opened: Some(UtcMicros::from_secs(1_772_700_000)),
        closed: None,
        openings: 1,
        severity: 0.308,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.7,
        mechanism: Mechanism::Queue,
        evidence: vec![
            evidence(Cause::Bandwidth, 2.1, "round trips rise with load, 84 ms against 21 ms"),
            evidence(Cause::Qos, 1.0, "marks arrive as they were sent"),
            evidence(Cause::Provider, 0.4, "marks arrive as they were sent"),
            evidence(Cause::Bandwidth, -0.5, "loss comes without delay in 3 of 37 windows"),
            evidence(Cause::Wifi, -3.0, "wired paths suffer too"),
        ],
        worst_hour: Some(worst_hour()),
        worst_on: Some(date(2026, 3, 4)),
        average: Some(DailyAverage {
            loss_ppm: 3_100,
            rtt_us: 41_200,
            jitter_us: 4_000,
            passes: true,
        }),
        masked: true,
        masking_factor: Some(7.74),
        sentence: "Calls in Berlin HQ break up every workday from 10 to 12.".to_owned(),
        paragraph: "37 of 120 checks bad.".to_owned(),
        simulated: false,
    }
}

fn delivery() -> IncidentNews {
    IncidentNews {
        event: IncidentEvent::Opened,
        openings: 1,
        incident: incident(),
        building: "Berlin HQ".to_owned(),
        buildings: vec!["Berlin HQ".to_owned()],
        subnet: None,
        agent: None,
        labels: None,
        opening: OpeningTold::Taken,
    }
}

fn closed(change: Change) -> IncidentNews {
    let mut news = delivery();
    news.event = IncidentEvent::Closed;
    news.incident.state = IncidentState::Closed;
    news.incident.change = change;
    news
}

fn sent(news: &IncidentNews, id: i64, purpose: Purpose) -> Delivery {
    Delivery {
        id,
        channel: "champion".to_owned(),
        purpose,
        bundle: None,
        about: About::Incident(Box::new(news.clone())),
        created: UtcMicros::from_secs(1_772_700_000),
        placed: UtcMicros::from_secs(1_772_700_000),
        attempts: 0,
        left_for: Vec::new(),
    }
}

fn base_url() -> BaseUrl {
    "https://busyhour.example.org/".parse().unwrap()
}

fn message(news: &IncidentNews) -> Message {
    Message::of(&sent(news, 1, Purpose::Tell), news, None, &base_url(), None)
}

pub(super) fn sample_delivery(id: i64, purpose: Purpose) -> Delivery {
    sent(&delivery(), id, purpose)
}

pub(super) fn sample() -> Message {
    message(&delivery())
}

fn json(delivery: &IncidentNews) -> serde_json::Value {
    serde_json::from_str(&message(delivery).json).unwrap()
}

#[test]
fn an_alert_says_what_the_champion_needs() {
    let message = message(&delivery());
    assert_eq!(
        message.subject,
        "Berlin HQ: calls suffer at 10:00-12:00, 23:00-24:00 since 2026-02-26"
    );
    let expected = "\
Calls in Berlin HQ break up every workday from 10 to 12.

What:           bad at the same hours of most working days
How bad:        major: words go missing in calls in 31 % of the worst hour of a bad day
Place:          Berlin HQ (sure: 4 of 4 paths suffer there, 0 of 6 beside it)
Whose part:     likely the customer's own wide area network or uplink
Who must act:   nobody is named for it; usually whoever runs the wide area network; forward this to them, unless it went to them, too
Local hours:    10:00-12:00, 23:00-24:00
Since:          2026-02-26, last on 2026-03-04, bad on 3 of the last 5 observed working days
Likely cause:   the link is too small for its busy hours (likely); packets wait in a queue

What to do:
1. Look at the use of the building's link in the hours named above: it is full, or is sold smaller than it is used.
2. Find what fills it in these hours (updates, backups, video) and move that to the night, or limit it.
3. Give calls their own class on the link, so that they pass what can wait.
4. If calls alone fill it, order a larger link; size it for the busy hour, not for the day.

Picture and figures: https://busyhour.example.org/incidents/00000000-0000-0000-0000-00000000002a

For the network engineer:
Worst hour:     2026-03-04, 10:15-11:15: 37 of 120 checks bad, 1.8 % lost; nine of ten at most \
2.4 % loss, 84 ms round trip, 9.4 ms jitter
Call estimate:  one measurement in ten rates R 68 or less, of 93; at that figure many users are dissatisfied (ITU-T G.107, G.109)
That day:       daily average of that path 0.31 % lost, 41 ms round trip, 4.0 ms jitter: within the limits, so a daily report \
calls this day fine; the 90th percentile of loss in the worst hour is 7.7 times the daily average
Because:        round trips rise with load, 84 ms against 21 ms
Against it:     loss comes without delay in 3 of 37 windows
Also seen:      marks arrive as they were sent
";
    assert_eq!(message.text, expected);
}

#[test]
fn how_sure_is_said_in_words() {
    for (confidence, word) in
        [(1.0, "sure"), (0.9, "sure"), (0.899, "likely"), (0.6, "likely"), (0.599, "not sure")]
    {
        let mut delivery = delivery();
        delivery.incident.confidence = confidence;
        delivery.incident.cause_confidence = confidence;
        let text = message(&delivery).text;
        assert!(text.contains(&format!("Berlin HQ ({word}: 4 of 4")), "{confidence}: {text}");
        assert!(text.contains(&format!("busy hours ({word});")), "{confidence}: {text}");
        assert_eq!(json(&delivery)["confidence_says"], word);
    }
}

#[test]
fn a_cause_that_is_not_known_is_not_guessed() {
    let mut delivery = delivery();
    delivery.incident.cause = Cause::NotKnown;
    delivery.incident.mechanism = Mechanism::NotKnown;
    delivery.incident.evidence.truncate(1);
    let text = message(&delivery).text;
    assert!(
        text.contains("Likely cause:   not known\n")
            && text.contains("Also seen:      round trips rise"),
        "{text}"
    );
    assert!(!text.contains("Because:"), "{text}");
}

#[test]
fn a_place_beyond_one_building_names_it_and_the_first_ten_buildings() {
    let mut delivery = delivery();
    delivery.buildings = (1..=13).map(|number| format!("Site {number}")).collect();
    delivery.incident.segment = Segment::Provider;
    for (place, subject) in [
        (
            IncidentPlace::Upstream("EMEA".to_owned()),
            "13 buildings (Site 1, Site 2, Site 3 and 10 more) in EMEA: calls suffer at",
        ),
        (
            IncidentPlace::Upstream("203.0.113.0/24".to_owned()),
            "13 buildings (Site 1, Site 2, Site 3 and 10 more) behind 203.0.113.0/24: calls suffer at",
        ),
        (
            IncidentPlace::Vpn("gate-1".to_owned()),
            "VPN through gate-1, 13 buildings (Site 1, Site 2, Site 3 and 10 more): calls suffer",
        ),
        (
            IncidentPlace::Target(TargetName::new("edge.example.com:862").unwrap()),
            "Target edge.example.com:862, 13 buildings (Site 1, Site 2, Site 3 and 10 more): calls",
        ),
    ] {
        delivery.incident.place = place;
        let message = message(&delivery);
        assert!(message.subject.starts_with(subject), "{}", message.subject);
        assert!(
            message.text.contains(
                "Buildings:      Site 1, Site 2, Site 3, Site 4, Site 5, Site 6, Site 7, Site 8, \
                 Site 9, Site 10 and 3 more\n"
            ),
            "{}",
            message.text
        );
        assert!(
            message.text.contains("23:00-24:00, local time of Berlin HQ\n"),
            "{}",
            message.text
        );
        assert!(message.text.contains("Whose part:     likely the provider's network\n"));
    }
    let json = json(&delivery);
    assert_eq!(json["buildings"].as_array().unwrap().len(), 10);
    assert_eq!(json["buildings_total"], 13);
    assert_eq!(json["place"]["kind"], "target");
}

#[test]
fn what_is_over_is_said_once_with_what_it_was() {
    let message = message(&closed(Change::Closed));
    assert_eq!(message.subject, "Berlin HQ: calls at 10:00-12:00, 23:00-24:00 are fine again");
    assert!(message.text.starts_with("This is over. What it was:\nCalls in Berlin HQ"));
}

#[test]
fn what_left_the_building_file_is_not_called_fine() {
    let message = message(&closed(Change::Gone));
    assert_eq!(message.subject, "Berlin HQ: no longer watched");
    assert!(
        message
            .text
            .starts_with("Nobody watches it any more; why not stands at the end of what it was:\n")
    );
    assert!(!message.text.contains("over"), "{}", message.text);
    assert_eq!(json(&closed(Change::Gone))["change"], "gone");
}

#[test]
fn what_came_back_is_told_as_such() {
    let mut delivery = delivery();
    delivery.incident.openings = 2;
    delivery.incident.change = Change::Reopened;
    let message = message(&delivery);
    assert!(message.subject.contains(": calls suffer again at 10:00-12:00"), "{}", message.subject);
    assert!(message.text.contains("observed working days; opened 2 times by now\n"));
}

#[test]
fn each_kind_says_when_in_its_own_way() {
    for (kind, subject, hours) in [
        (
            FindingKind::RecurringPeak,
            "calls suffer at 10:00-12:00, 23:00-24:00 since",
            "Local hours:    10:00-12:00, 23:00-24:00\n",
        ),
        (
            FindingKind::WeeklyPattern,
            "calls suffer on Wednesdays at 10:00-12:00, 23:00-24:00 since",
            "Local hours:    on Wednesdays 10:00-12:00, 23:00-24:00\n",
        ),
        (
            FindingKind::ConstantFault,
            "calls suffer all day since",
            "Local hours:    all day, not only at busy hours\n",
        ),
    ] {
        let mut delivery = delivery();
        delivery.incident.kind = kind;
        let message = message(&delivery);
        assert!(message.subject.contains(subject), "{}", message.subject);
        assert!(message.text.contains(hours), "{}", message.text);
    }
}

#[test]
fn many_stretches_of_hours_do_not_fill_a_subject() {
    let mut delivery = delivery();
    delivery.incident.hours = (4..9).map(|hour| (hour * 120, hour * 120 + 15)).collect();
    let message = message(&delivery);
    let expected = "at 08:00-08:15, 10:00-10:15, 12:00-12:15 and more since";
    assert!(message.subject.contains(expected), "{}", message.subject);
    assert!(message.text.contains("14:00-14:15, 16:00-16:15\n"), "{}", message.text);
}

#[test]
fn the_factor_names_the_measure_that_it_compares() {
    for (breach, words) in [
        (Breach::Jitter, "the 90th percentile of jitter in the worst hour is 13.3 times the daily"),
        (Breach::Delay, "the 90th percentile of the round trip in the worst hour is 13.3 times"),
        (Breach::Burst, "the 90th percentile of loss in the worst hour is 13.3 times"),
    ] {
        let mut delivery = delivery();
        delivery.incident.masking_factor = Some(13.3);
        delivery.incident.worst_hour.as_mut().unwrap().dominant = Some(breach);
        let text = message(&delivery).text;
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn the_json_carries_the_figures_with_their_units() {
    let json = json(&delivery());
    assert_eq!(json["schema_version"], 2);
    assert_eq!(json["event"], "opened");
    assert_eq!(json["incident_id"], "00000000-0000-0000-0000-00000000002a");
    assert_eq!(json["worst_hour"]["loss_ppm_p90"], 24_000);
    assert_eq!(json["daily_average"]["rtt_us"], 41_200);
    assert_eq!(json["masked"], true);
    assert_eq!(json["number"], 12);
    assert_eq!(json["kind"], "recurring-peak");
    assert_eq!(json["place"]["name"], "Berlin HQ");
    assert_eq!(json["place"]["link"], serde_json::Value::Null);
    assert_eq!(json["segment"], "customer-wan");
    assert_eq!(json["local_hours"], serde_json::json!(["10:00-12:00", "23:00-24:00"]));
    assert_eq!(json["minutes"], serde_json::json!([[600, 720], [1380, 1440]]));
    assert_eq!(json["bad_days"].as_array().unwrap().len(), 3);
    assert_eq!(json["severity_class"], "major");
    assert_eq!(json["evidence"][0]["cause"], "bandwidth");
    assert_eq!(json["siblings"]["suffering"], 4);
    assert_eq!(json["worst_hour"]["bad_by_loss"], 37);
    assert_eq!(json["worst_hour"]["estimate_r_p10"], 68.0);
    assert_eq!(json["explanation"], "37 of 120 checks bad.");
    assert_eq!(json["created_utc"], "2026-03-05T08:40:00Z");
}

/// The fields that docs/ALERTS.md explains, and no other.
#[test]
fn every_field_is_documented() {
    let page = include_str!("../../../../docs/ALERTS.md");
    let named = |name: &str| page.contains(&format!("`{name}`"));
    let json = json(&delivery());
    let mut missing = Vec::new();
    for (name, value) in json.as_object().unwrap() {
        let inner: Vec<&String> = match value {
            serde_json::Value::Object(fields) => fields.keys().collect(),
            serde_json::Value::Array(rows) => rows
                .first()
                .and_then(|row| row.as_object())
                .map_or_else(Vec::new, |row| row.keys().collect()),
            _ => Vec::new(),
        };
        missing.extend([name].into_iter().chain(inner).filter(|name| !named(name)).cloned());
    }
    assert!(missing.is_empty(), "docs/ALERTS.md does not explain {missing:?}");
}

#[test]
fn each_place_within_a_building_is_named() {
    let subnet = SubnetId::from_u128(3);
    let agent = AgentId::from_u128(9);
    for (place, expected) in [
        (IncidentPlace::Subnet(subnet, None), "Berlin HQ, Floor 3, 10.1.3.0/24 (sure"),
        (
            IncidentPlace::Subnet(subnet, Some(LinkKind::Wifi)),
            "Berlin HQ, Floor 3, 10.1.3.0/24, Wi-Fi only (sure",
        ),
        (IncidentPlace::Link(BERLIN, LinkKind::Mobile), "Berlin HQ, mobile connections only (sure"),
        (IncidentPlace::Agent(agent), "Berlin HQ, machine berlin-7 (sure"),
        (
            IncidentPlace::Unplaced(BERLIN),
            "Berlin HQ (only one machine of this building measured then: where it is, is not known)",
        ),
    ] {
        let mut delivery = delivery();
        delivery.subnet = Some("Floor 3, 10.1.3.0/24".to_owned());
        delivery.agent = Some("berlin-7".to_owned());
        delivery.incident.place = place;
        let text = message(&delivery).text;
        assert!(text.contains(&format!("Place:          {expected}")), "{text}");
        assert!(!text.contains("Buildings:"), "{text}");
    }
}

#[test]
fn a_forgotten_agent_is_an_identity_only() {
    let mut delivery = delivery();
    delivery.incident.place = IncidentPlace::Agent(AgentId::from_u128(9));
    let text = message(&delivery).text;
    assert!(text.contains("machine 00000000-0000-0000-0000-000000000009 ("), "{text}");
}

#[test]
fn simulated_data_is_called_simulated() {
    let mut delivery = delivery();
    delivery.incident.simulated = true;
    let message = message(&delivery);
    assert!(message.subject.starts_with("[simulated] "));
    assert!(message.text.starts_with("This rests on simulated data."));
    assert!(message.json.contains("\"simulated\":true"));
}

#[test]
fn the_key_is_one_per_event_and_reopening() {
    let of = |delivery: &Delivery| {
        let About::Incident(news) = &delivery.about else { panic!("about no incident") };
        Message::of(delivery, news, None, &base_url(), None).key
    };
    let opened = sample_delivery(1, Purpose::Tell);
    let retried = Delivery { attempts: 9, ..opened.clone() };
    let closed = sent(&closed(Change::Closed), 1, Purpose::Tell);
    let reopened = Delivery { created: UtcMicros::from_secs(1_780_000_000), ..opened.clone() };
    let escalated = sample_delivery(1, Purpose::Escalate);
    assert_eq!(of(&opened), of(&retried));
    for other in [closed, reopened, escalated] {
        assert_ne!(of(&opened), of(&other));
    }
}

#[test]
fn several_at_once_are_listed_with_what_nobody_has_seen_first() {
    let (fresh, over) = (delivery(), closed(Change::Closed));
    let deliveries = [
        (sent(&over, 1, Purpose::Digest), &over, false),
        (sent(&fresh, 2, Purpose::Digest), &fresh, true),
        (sent(&fresh, 3, Purpose::Digest), &fresh, false),
    ];
    let several: Vec<_> = deliveries.iter().map(|(one, news, seen)| (one, *news, *seen)).collect();
    let message = Message::of_several(&several, &base_url()).unwrap();
    assert_eq!(message.subject, "Digest: 2 new, 1 over");
    let labels: Vec<_> = message.facts.iter().map(|(label, _)| *label).collect();
    assert_eq!(labels, ["New", "Over", "Seen"]);
    assert!(message.text.contains("Berlin HQ: calls suffer at 10:00-12:00"), "{}", message.text);
    assert!(message.text.contains("/incidents/"), "{}", message.text);
    assert!(message.html.contains("Digest: 2 new, 1 over"));
    assert_eq!(message.key, "bundle-1-1772700000000000");
    assert_eq!(Message::of_several(&[], &base_url()), None);
}

#[test]
fn an_escalation_says_why_one_is_told() {
    let news = delivery();
    let message = Message::of(&sent(&news, 1, Purpose::Escalate), &news, None, &base_url(), None);
    assert!(message.text.starts_with("Nobody said yet that this is seen"), "{}", message.text);
}

#[test]
fn a_message_as_html_says_what_it_says_as_text_and_escapes_names() {
    let mut news = delivery();
    news.building = "<script>alert(1)</script> & Sons".to_owned();
    let message = message(&news);
    assert!(!message.html.contains("<script"), "{}", message.html);
    assert!(message.html.contains("&#60;script&#62;alert(1)"), "{}", message.html);
    for (label, words) in message.all_facts() {
        assert!(message.html.contains(&format!(">{label}</th>")), "{label}");
        let plain = !words.contains(['<', '&', '\'', '"']);
        assert!(!plain || message.html.contains(words.as_str()), "{words}");
    }
    assert!(
        !message.html.contains("http://") && !message.html.contains(" src="),
        "fetches nothing"
    );
}

#[test]
fn labels_are_those_of_the_moment_when_it_was_placed() {
    let mut news = delivery();
    news.labels = Some("{\"building\":\"Old name\",\"severity\":\"minor\"}".to_owned());
    news.incident.severity = 0.9;
    assert_eq!(message(&news).labels["building"], "Old name");
    assert_eq!(message(&news).labels["severity"], "minor");
    news.labels = Some("nonsense".to_owned());
    assert_eq!(message(&news).labels["severity"], "critical");
}

#[test]
fn a_hostile_name_stays_on_its_line_and_has_an_end() {
    let name = format!("a\r\nBcc: all@example.org\u{202e}\u{1b}[31m{}", "x".repeat(9_000));
    let agent = AgentId::from_u128(9);
    for place in [
        IncidentPlace::Building(BERLIN),
        IncidentPlace::Upstream(name.clone()),
        IncidentPlace::Subnet(SubnetId::from_u128(3), None),
        IncidentPlace::Agent(agent),
    ] {
        let mut delivery = delivery();
        delivery.incident.place = place;
        delivery.building.clone_from(&name);
        delivery.buildings = vec![name.clone(); 12];
        delivery.subnet = Some(name.clone());
        delivery.agent = Some(name.clone());
        delivery.incident.sentence.clone_from(&name);
        delivery.incident.evidence = vec![evidence(Cause::Bandwidth, 1.0, &name); 100];
        let message = message(&delivery);
        assert!(!message.subject.contains(['\r', '\n', '\u{1b}', '\u{202e}']));
        assert!(message.subject.chars().count() < 600);
        assert!(!message.text.contains("\nBcc:") && !message.text.contains('\u{1b}'));
        assert!(message.text.len() < 30_000 && message.json.len() < 300_000);
    }
}

#[test]
fn unknown_figures_are_not_invented() {
    let mut delivery = delivery();
    delivery.incident.worst_hour = None;
    delivery.incident.average = None;
    delivery.incident.worst_on = None;
    let text = message(&delivery).text;
    assert!(text.contains("That day:       daily average of that path not known\n"), "{text}");
    assert!(!text.contains("Worst hour") && !text.contains("Call estimate"), "{text}");
}

#[test]
fn only_an_address_is_a_base_url() {
    for good in ["http://127.0.0.1:8080", "https://busyhour.example.org/net/"] {
        assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
    }
    for bad in ["", "busyhour", "ftp://x", "https://", "https://x/?a", "https://x y"] {
        assert!(bad.parse::<BaseUrl>().is_err(), "{bad}");
    }
}

#[test]
fn who_must_act_is_named_with_how_to_reach_them() {
    let news = delivery();
    let owner = Owner {
        name: "Network Berlin".parse().unwrap(),
        contact: Some("noc@example.org".parse().unwrap()),
    };
    let of = |owner| Message::of(&sent(&news, 1, Purpose::Tell), &news, owner, &base_url(), None);
    let message = of(Some(&owner));
    let line = "Who must act:   Network Berlin (noc@example.org); forward this to them, unless it went to them, too\n";
    assert!(message.text.contains(line), "{}", message.text);
    assert!(message.html.contains("Network Berlin (noc@example.org)"), "{}", message.html);
    let json: serde_json::Value = serde_json::from_str(&message.json).unwrap();
    assert_eq!(json["owner"], "Network Berlin");
    assert_eq!(json["owner_contact"], "noc@example.org");
    assert_eq!(json["remedy"].as_array().unwrap().len(), message.steps.len());
    for step in &message.steps {
        assert!(message.text.contains(step), "{step}");
        assert!(message.html.contains(&step.replace('\'', "&#39;")), "{step}: {}", message.html);
    }
}

#[test]
fn what_is_over_asks_nobody_to_do_anything() {
    let mut merged = closed(Change::Closed);
    merged.event = IncidentEvent::Merged;
    for news in [closed(Change::Closed), merged] {
        let message = message(&news);
        assert!(message.steps.is_empty() && message.stage == Stage::Over, "{}", message.text);
        assert!(!message.text.contains("What to do"), "{}", message.text);
        assert!(!message.text.contains("forward this"), "{}", message.text);
    }
}

#[test]
fn what_only_engineers_want_stands_below_the_rest() {
    let message = message(&delivery());
    for whole in [&message.text, &message.html] {
        let (first, below) = whole.split_once("For the network engineer:").unwrap();
        for label in ["Likely cause", "What to do", "Picture and figures"] {
            assert!(first.contains(label) && !below.contains(label), "{label}: {whole}");
        }
        for label in ["Worst hour", "Call estimate", "That day", "Because", "Against it"] {
            assert!(below.contains(label) && !first.contains(label), "{label}: {whole}");
        }
    }
    let labels: Vec<_> = message.all_facts().map(|(label, _)| *label).collect();
    assert!(labels.contains(&"What") && labels.contains(&"Also seen"), "{labels:?}");
}

#[test]
fn whose_part_it_is_is_as_sure_as_the_place_and_the_cause() {
    let whose = |place, cause_confidence, cause, segment| {
        let mut news = delivery();
        (news.incident.confidence, news.incident.cause_confidence) = (place, cause_confidence);
        (news.incident.cause, news.incident.segment) = (cause, segment);
        let text = message(&news).text;
        text.lines().find_map(|line| line.strip_prefix("Whose part:     ")).unwrap().to_owned()
    };
    let (link, not_known) = (Cause::Bandwidth, Cause::NotKnown);
    let part = "the provider's network";
    for (place, cause_confidence, cause, expected) in [
        (0.9, 0.9, link, part.to_owned()),
        (0.89, 1.0, link, format!("likely {part}")),
        (1.0, 0.6, link, format!("likely {part}")),
        (1.0, 0.59, link, format!("not certain: {part}")),
        (0.59, 1.0, link, format!("not certain: {part}")),
        (0.95, 0.0, not_known, part.to_owned()),
        (0.5, 0.0, not_known, format!("not certain: {part}")),
    ] {
        assert_eq!(whose(place, cause_confidence, cause, Segment::Provider), expected);
    }
    assert_eq!(whose(0.1, 0.1, link, Segment::Unknown), "not known");
}

#[test]
fn what_several_buildings_share_begins_with_some_of_their_names() {
    let lead = |sentence: &str, sites: usize| {
        let mut news = delivery();
        news.buildings = (1..=sites).map(|number| format!("Site {number}")).collect();
        news.incident.place = IncidentPlace::Upstream("AS 64500".to_owned());
        news.incident.sentence = sentence.to_owned();
        message(&news).lead.concat()
    };
    for (sentence, sites, expected) in [
        (
            "All buildings behind AS 64500: words go missing.",
            6,
            "6 buildings (Site 1, Site 2, Site 3 and 3 more) behind AS 64500: words go missing.",
        ),
        (
            "2 of 9 buildings in AS 64500: words go missing.",
            2,
            "2 of 9 buildings (Site 1, Site 2) in AS 64500: words go missing.",
        ),
        // Some are not known any more: the count of the sentence is not that of the names.
        ("3 of 9 buildings in AS 64500: so.", 2, "3 of 9 buildings in AS 64500: so."),
        ("All buildings behind AS 64500: so.", 0, "All buildings behind AS 64500: so."),
        ("Something else.", 2, "Something else."),
    ] {
        assert_eq!(lead(sentence, sites), expected);
    }
}

#[test]
fn an_estimate_says_what_it_means() {
    for (hundredths, expected) in [
        (9_000, "R 90 or less, of 93; at that figure users are very satisfied ("),
        (8_999, "R 89.99 or less, of 93; at that figure users are satisfied; below 80 some are"),
        (8_300, "R 83 or less, of 93; at that figure users are satisfied; below 80 some are"),
        (7_960, "R 79.60 or less, of 93; at that figure some users are dissatisfied ("),
        (7_000, "R 70 or less, of 93; at that figure some users"),
        (6_000, "R 60 or less, of 93; at that figure many users"),
        (5_000, "R 50 or less, of 93; at that figure nearly all users"),
        (4_900, "R 49 or less, of 93; at that figure calls are not advised ("),
    ] {
        let mut news = delivery();
        news.incident.worst_hour.as_mut().unwrap().rating_p10_hundredths = Some(hundredths);
        let text = message(&news).text;
        assert!(text.contains(&format!("one measurement in ten rates {expected}")), "{text}");
    }
}
