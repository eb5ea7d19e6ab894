//! Incidents: listed with their place in words, shown with what speaks for and against a cause.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, envelope, stderr, stdout};

const ID: &str = "00000000-0000-0000-0000-00000000002a";

#[expect(clippy::needless_pass_by_value, reason = "rows are made where they are asked for")]
fn incident(more: Value) -> Value {
    let mut item = json!({
        "number": 12, "id": ID, "kind": "recurring-peak", "alerts": true, "state": "open",
        "change": "opened", "changed_date": "2026-03-04", "merged_into": null, "stale": false,
        "place_kind": "building", "place": "Berlin HQ", "link": null, "segment": "customer-wan",
        "building_id": "00000000-0000-0000-0000-000000000007", "building": "Berlin HQ",
        "building_count": 1, "member_count": 2, "subnet_id": null, "subnet": null, "network": null,
        "opened_utc": "2026-03-05T08:40:00Z", "closed_utc": null, "opened_date": "2026-03-04",
        "closed_date": null, "first_bad_date": "2026-02-26", "last_bad_date": "2026-03-04",
        "hours_local": ["10:00-12:00", "15:00-15:30"], "bad_days": 3, "observed_days": 5,
        "openings": 1, "severity_ratio": 0.308, "severity_class": "major",
        "confidence_ratio": 0.95, "cause": "bandwidth", "cause_confidence_ratio": 0.7,
        "mechanism": "queue", "worst_hour_local": "10:15–11:15", "worst_hour_bad_ratio": 0.31,
        "worst_hour_breach": "loss", "worst_hour_says": "2.40 % loss",
        "average_says": "0.31 % loss", "average_passes": true, "masked": true,
        "masking_factor": 7.74, "simulated": false,
        "sentence": "Berlin HQ: words go missing in calls between 10:00 and 12:00 local time.",
        "acknowledged_utc": "2026-03-05T09:00:00Z", "acknowledged_by": "eva",
        "acknowledged_reason": "ticket 7", "owner": "WAN team",
        "owner_contact": "wan@example.com", "owner_by_hand": false, "quiet": "silence",
        "quiet_until_utc": "2026-03-07T09:00:00Z", "part_of": null,
    });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

fn shown() -> Value {
    incident(json!({
        "explanation": "recurring-peak in building \"Berlin HQ\": 37 of 120 checks bad.",
        "bad_dates": ["2026-02-26", "2026-03-02", "2026-03-04"],
        "observed_dates": ["2026-02-26", "2026-02-27", "2026-03-02", "2026-03-03", "2026-03-04"],
        "buildings": ["Berlin HQ"],
        "siblings": {"within": 4, "suffering": 4, "beside": 6, "suffering_beside": 0, "near": 0,
            "suffering_near": 0},
        "evidence": [
            {"cause": "bandwidth", "weight": 2.1, "text": "round trips rise with load\u{1b}[2J"},
            {"cause": "bandwidth", "weight": -0.5, "text": "3 of 37 windows lost without delay"},
        ],
        "members": (1..=52).map(|path| json!({
            "path_id": path, "agent_id": "a", "agent": format!("berlin-{path}"),
            "building": "Berlin HQ", "subnet": "10.1.3.0/24", "network": "Floor 3",
            "link": "wired", "target": "edge.example.com:862", "class": "audio",
        })).collect::<Vec<_>>(),
        "remedy_who": "whoever runs the wide area network",
        "remedy": ["Look at the use of the link.", "Order a larger one."],
        "before": {"days": 4, "bad_days": 4, "bad_ratio": 0.5, "loss_ratio_p90": 0.024,
            "rtt_us_p90": 40_000, "jitter_us_p90": 4_000},
        "after": {"days": 3, "bad_days": 0, "bad_ratio": 0.05, "loss_ratio_p90": 0.001,
            "rtt_us_p90": 21_000, "jitter_us_p90": 900},
        "parts": [9, 10],
    }))
}

#[test]
fn incidents_are_listed_with_their_place_in_words() {
    let subnet = json!({"number": 11, "kind": "weekly-pattern", "place_kind": "subnet",
        "place": "Floor 3, 10.1.3.0/24", "link": "wifi", "confidence_ratio": 0.74, "cause": "wifi"});
    let upstream = json!({"number": 10, "place_kind": "upstream", "place": "EMEA",
        "building_count": 12, "state": "recovering", "cause": "provider"});
    let vpn = json!({"number": 9, "place_kind": "vpn", "place": "gate-1", "simulated": true});
    let agent = json!({"number": 8, "place_kind": "agent", "place": "berlin-7", "cause": "device"});
    let link = json!({"number": 7, "place_kind": "link", "place": "Berlin HQ", "link": "mobile"});
    let unplaced = json!({"number": 6, "place_kind": "unplaced", "state": "suspected",
        "confidence_ratio": 0, "cause": "not-known"});
    let items = [json!({}), subnet, upstream, vpn, agent, link, unplaced].map(incident);
    let answer = envelope(items.into());
    let collector = Canned::start(&[("GET /incidents", 200, answer.clone())]);

    let output = ask(&collector, &["incident", "ls"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-incident-ls", &stdout(&output));
    let raw = ask(&collector, &["incident", "ls", "--closed", "--all-kinds", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&raw)).unwrap(), answer);
    let csv = stdout(&ask(&collector, &["incident", "ls", "-o", "csv"]));
    assert!(csv.contains("upstream") && !csv.contains("12 buildings"), "fields stay raw: {csv}");

    let asked: Vec<String> = collector.asked().into_iter().map(|(_, target, _)| target).collect();
    assert_eq!(asked[0], "/api/v1/incidents?closed=false&kind=alerting");
    assert_eq!(asked[1], "/api/v1/incidents?closed=true&kind=all");
}

#[test]
fn one_incident_is_shown_with_what_speaks_for_and_against_it() {
    let answer = envelope(json!([shown()]));
    let acts = envelope(json!([
        {"number": 1, "at_utc": "2026-03-05T09:00:00Z", "by": "eva", "act": "acknowledge",
            "text": "ticket 7", "owner": null, "owner_contact": null, "into": null, "opening": 1},
    ]));
    let collector = Canned::start(&[
        ("GET /incidents/12/acts", 200, acts.clone()),
        (&format!("GET /incidents/{ID}/acts"), 200, acts),
        ("GET /incidents/12", 200, answer.clone()),
        (&format!("GET /incidents/{ID}"), 200, answer.clone()),
    ]);
    for name in ["12", ID] {
        let output = ask(&collector, &["incident", "show", name]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        check_snapshot("table-incident-show", &stdout(&output));
        assert!(!stdout(&output).contains('\u{1b}'));
        assert!(stderr(&output).contains("2 more paths"), "{}", stderr(&output));
    }
    let raw = ask(&collector, &["incident", "show", "12", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&raw)).unwrap(), answer);
}

#[test]
fn what_is_no_incident_is_said_to_be_none() {
    let gone = json!({"title": "Not Found", "status": 404, "detail": "there is no incident 99"});
    let collector = Canned::start(&[("GET /incidents/99", 404, gone)]);
    let output = ask(&collector, &["incident", "show", "99"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no incident 99"), "{}", stderr(&output));
    for wrong in ["../agents", "12?closed=true", ""] {
        let output = ask(&collector, &["incident", "show", wrong]);
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(stderr(&output).contains("busyhour incident ls"), "{}", stderr(&output));
    }
    assert_eq!(collector.asked().len(), 1, "nothing else is asked");
}
