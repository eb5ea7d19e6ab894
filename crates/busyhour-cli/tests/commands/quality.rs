//! What a path's windows mean for calls, as it is printed.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, envelope, stderr, stdout};

fn streams() -> Value {
    let stream = |direction: &str, more: Value| {
        let mut item = json!({
            "synthetic": true, "simulated": false, "started_utc": "2026-03-02T09:00:00Z",
            "duration_s": 300, "direction": direction, "classifier": "cqd-2018",
            "classifier_edition": "2018", "classification": "good", "poor_due_to": [],
            "unclassified_because": null, "windows": 5, "packets": 3750, "lost": 0,
            "lost_unknown": 0, "loss_ratio": 0.0, "rtt_us_mean": 31_250.5,
            "jitter_us_mean": 1_500.0,
            "not_evaluated": ["audio-degradation: only the call's own client knows it"],
        });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    json!([
        stream(
            "up",
            json!({
                "classification": "poor", "poor_due_to": ["packet-loss-rate", "jitter"],
                "lost": 450, "loss_ratio": 0.12, "jitter_us_mean": 41_000.0,
            })
        ),
        stream("down", json!({})),
    ])
}

#[test]
fn streams_are_called_synthetic_wherever_they_are_printed() {
    let collector = Canned::start(&[("GET /paths/12/streams", 200, envelope(streams()))]);
    let arguments = ["path", "streams", "12", "--since", "3h", "--classifier", "cqd-2018"];
    let output = ask(&collector, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-path-streams", &stdout(&output));
    assert!(stderr(&output).contains("synthetic"), "{}", stderr(&output));
    let (_, target, _) = &collector.asked()[0];
    assert!(target.contains("classifier=cqd-2018") && target.contains("from="), "{target}");
    let csv = ask(&collector, &["path", "streams", "12", "-o", "csv"]);
    let csv = stdout(&csv);
    assert!(csv.lines().next().unwrap().contains("synthetic"), "{csv}");
    assert!(csv.contains("poor"), "{csv}");
    let json = ask(&collector, &["path", "streams", "12", "-o", "json"]);
    let json: Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!(json["items"][0]["synthetic"], true);
}

#[test]
fn estimates_say_that_they_are_no_products_score() {
    let estimate = |direction: Value, worse: bool| {
        json!({
            "label": "planning estimate (MOS-CQE)", "simulated": true,
            "placed_utc": "2026-03-02T09:00:00Z", "model": "ITU-T G.107", "scale": "narrowband",
            "codec": "g711-plc", "direction": direction, "worse": worse, "mos": 3.871_2,
            "r": 76.2, "delay_us": 80_250, "delay_basis": "rtt/2", "loss_ratio": 0.04,
            "burst_r": 1.6, "flags": ["burst-ratio-assumed", "jitter-buffer-assumed"],
        })
    };
    let items = json!([estimate(json!("up"), true), estimate(Value::Null, true)]);
    let collector = Canned::start(&[("GET /paths/12/estimates", 200, envelope(items))]);
    let output = ask(&collector, &["path", "estimates", "12", "--limit", "9"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-path-estimates", &stdout(&output));
    assert!(stderr(&output).contains("never the score of any product"));
    let (_, target, _) = &collector.asked()[0];
    assert!(target.contains("codec=g711-plc") && target.contains("limit=9"), "{target}");
}

#[test]
fn hours_show_the_verdict_on_order() {
    let hour = |hour_local: u32, reordered: u32, verdict: &str| {
        json!({
            "simulated": false, "started_utc": "2026-03-02T09:00:00Z", "date_local": "2026-03-02",
            "hour_local": hour_local, "business": true, "valid": 60, "bad": 3, "bad_ratio": 0.05,
            "sent": 45_000, "received": 45_000, "loss_ratio": 0.0, "reordered": reordered,
            "reorder_ratio": f64::from(reordered) / 45_000.0, "reorder_limit_ratio": 0.0005,
            "reorder": verdict, "reorder_fail_level": 0.01, "reorder_pass_level": 0.05,
        })
    };
    let items = json!([hour(10, 60, "fail"), hour(11, 20, "unknown"), hour(12, 0, "pass")]);
    let collector = Canned::start(&[("GET /paths/12/hours", 200, envelope(items))]);
    let output = ask(&collector, &["path", "hours", "12"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-path-hours", &stdout(&output));
    assert_eq!(ask(&collector, &["path", "hours", "12", "--since", "31d"]).status.code(), Some(0));
    let (_, target, _) = &collector.asked()[1];
    let moment = |name: &str| -> jiff::Timestamp {
        let (_, rest) = target.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().replace("%3A", ":").parse().unwrap()
    };
    let asked = moment("until").duration_since(moment("from"));
    assert_eq!(asked, jiff::SignedDuration::from_hours(31 * 24), "the most that is answered");
}
