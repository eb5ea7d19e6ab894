use busyhour_model::{BuildingId, IncidentId, IncidentState, Scope, SubnetId};
use jiff::civil::date;

use super::*;

fn delivery() -> Delivery {
    let building = BuildingId::from_u128(7);
    Delivery {
        id: 1,
        channel: "champion".to_owned(),
        event: IncidentEvent::Opened,
        incident: Incident {
            id: IncidentId::from_u128(42),
            scope: Scope::Building(building),
            building,
            subnet: None,
            link: None,
            state: IncidentState::Open,
            opened: UtcMicros::from_secs(1_772_700_000),
            closed: None,
            first_bad: date(2026, 2, 26),
            last_bad: date(2026, 3, 4),
            from_minute: 600,
            until_minute: 1440,
            bad_days: 3,
            observed_days: 5,
            worst_hour: Some(WorstHour {
                start_minute: 615,
                valid: 120,
                bad: 37,
                dominant: Some(Breach::Loss),
                loss_ppm: 18_000,
                loss_ppm_p90: 24_000,
                rtt_us_p90: 84_000,
                jitter_us_p90: 9_400,
            }),
            average: Some(DailyAverage {
                loss_ppm: 3_100,
                rtt_us: 41_200,
                jitter_us: 4_000,
                passes: true,
            }),
            masked: true,
            masking_factor: Some(7.74),
            sentence: "Calls in Berlin HQ break up every workday from 10 to 12.".to_owned(),
            simulated: false,
        },
        building: "Berlin HQ".to_owned(),
        subnet: None,
        created: UtcMicros::from_secs(1_772_700_000),
        attempts: 0,
    }
}

fn message(delivery: &Delivery) -> Message {
    Message::of(delivery, &"https://busyhour.example.org/".parse().unwrap())
}

#[test]
fn an_alert_says_what_the_champion_needs() {
    let message = message(&delivery());
    assert_eq!(message.subject, "Berlin HQ: calls suffer at 10:00-24:00 since 2026-02-26");
    let expected = "\
Calls in Berlin HQ break up every workday from 10 to 12.

Building:       Berlin HQ
Subnet:         the whole building
Local hours:    10:00-24:00
Since:          2026-02-26, last on 2026-03-04, bad on 3 of the last 5 observed business days
Calls:          words and syllables are missing, people ask each other to repeat
Worst hour:     10:15-11:15: 37 of 120 measurements bad, 1.8 % lost; nine of ten below 2.4 % loss, \
84 ms round trip, 9.4 ms jitter
Daily average:  0.31 % lost, 41 ms round trip, 4.0 ms jitter: within the limits, so a daily report \
calls this day fine; the 90th percentile of loss in the worst hour is 7.7 times the daily average

Picture and figures: https://busyhour.example.org/buildings/00000000-0000-0000-0000-000000000007
";
    assert_eq!(message.text, expected);
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
        delivery.incident.worst_hour.as_mut().expect("a worst hour").dominant = Some(breach);
        let text = message(&delivery).text;
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn the_json_carries_the_figures_with_their_units() {
    let json: serde_json::Value = serde_json::from_str(&message(&delivery()).json).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["event"], "opened");
    assert_eq!(json["incident_id"], "00000000-0000-0000-0000-00000000002a");
    assert_eq!(json["worst_hour"]["loss_ppm_p90"], 24_000);
    assert_eq!(json["daily_average"]["rtt_us"], 41_200);
    assert_eq!(json["masked"], true);
    assert_eq!(json["subnet"], serde_json::Value::Null);
    assert_eq!(json["created_utc"], "2026-03-05T08:40:00Z");
}

#[test]
fn a_subnet_on_one_kind_of_link_is_named() {
    let mut delivery = delivery();
    delivery.subnet = Some("Floor 3, 10.1.3.0/24".to_owned());
    delivery.incident.subnet = Some(SubnetId::from_u128(3));
    delivery.incident.link = Some(LinkKind::Wifi);
    let text = message(&delivery).text;
    assert!(text.contains("Subnet:         Floor 3, 10.1.3.0/24\n"), "{text}");
    assert!(text.contains("Link:           Wi-Fi only\n"), "{text}");
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
    let opened = delivery();
    let mut retried = delivery();
    retried.attempts = 9;
    let mut closed = delivery();
    closed.event = IncidentEvent::Closed;
    let mut reopened = delivery();
    reopened.created = UtcMicros::from_secs(1_780_000_000);
    assert_eq!(message(&opened).key, message(&retried).key);
    assert_ne!(message(&opened).key, message(&closed).key);
    assert_ne!(message(&opened).key, message(&reopened).key);
}

#[test]
fn a_hostile_name_stays_on_its_line_and_has_an_end() {
    let mut delivery = delivery();
    delivery.building = format!("a\r\nBcc: all@example.org\u{202e}\u{1b}[31m{}", "x".repeat(9_000));
    let message = message(&delivery);
    assert!(!message.subject.contains(['\r', '\n', '\u{1b}', '\u{202e}']));
    assert!(message.subject.chars().count() < 2_100);
    assert!(!message.text.contains("\nBcc:"));
}

#[test]
fn unknown_figures_are_not_invented() {
    let mut delivery = delivery();
    delivery.incident.worst_hour = None;
    delivery.incident.average = None;
    let text = message(&delivery).text;
    assert!(text.contains("Daily average:  not known\n"), "{text}");
    assert!(!text.contains("Worst hour"), "{text}");
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
