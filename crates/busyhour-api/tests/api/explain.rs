//! One moment of a path, explained; targets; the reports that there are.

use axum::http::StatusCode;
use busyhour_model::DayVerdict;
use busyhour_store::JudgeWrite;
use serde_json::{Value, json};

use crate::support::{Bed, MASKED, NOW, path_summary};

async fn explained(bed: &Bed, at: &str) -> Value {
    let paths = bed.items("/api/v1/paths").await;
    let items = bed.items(&format!("/api/v1/paths/{}/explain{at}", paths[0]["id"])).await;
    assert_eq!(items.len(), 1);
    items[0].clone()
}

fn words(item: &Value) -> String {
    let words = item["words"].as_array().expect("sentences").iter();
    words.map(|sentence| sentence.as_str().expect("a sentence")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_moment_is_told_with_its_window_its_limits_its_hour_and_its_day() {
    let bed = Bed::full();
    // Monday, 10:15 in Berlin: every second window is lossy.
    let item = explained(&bed, "?at=2026-03-02T09:15:00Z").await;
    assert_eq!((&item["building"], &item["agent"]), (&json!(MASKED), &json!("berlin-1")));
    assert_eq!(item["at_local"], "Mon 2026-03-02 10:15");
    assert_eq!((&item["busy"], &item["busy_hours_from"]), (&json!(true), &json!("configured")));
    assert_eq!(item["busy_hours_local"], json!(["08:00-18:00"]));
    assert_eq!(item["working_day"], true);
    assert_eq!(
        (&item["limits"]["loss_ratio"], &item["limits"]["rtt_us"]),
        (&json!(0.01), &json!(100_000))
    );
    assert_eq!(item["limits"]["published_date"], "2019-03-01");
    let window = &item["window"];
    assert_eq!(window["placed_utc"], "2026-03-02T09:15:00Z");
    assert_eq!((&item["hour"]["valid"], &item["hour"]["bad"]), (&json!(60), &json!(30)));
    assert_eq!(item["hour"]["hours_local"], "10:00–11:00");
    assert_eq!(item["day"]["verdict"], "peak-bad");
    assert_eq!(item["incidents"][0]["number"], 1);
    let words = words(&item);
    for said in [
        "Mon 2026-03-02 10:15 (Europe/Berlin) lies inside the building's busy hours (08:00–18:00, as configured)",
        "In the hour 10:00–11:00 30 of 60 windows were bad (50 %)",
        "bad at peak",
        "incident 1 (open)",
        "The agent is a simulated one.",
    ] {
        assert!(words.contains(said), "{said} in:\n{words}");
    }
}

#[tokio::test]
async fn why_a_bad_hour_does_not_make_its_day_bad_is_said() {
    let bed = Bed::full();
    // Tuesday's bad windows were the target's own fault: the judge left them out.
    let building = bed.building(MASKED);
    let mut tuesday = path_summary(1, building, jiff::civil::date(2026, 3, 3));
    (tuesday.verdict, tuesday.bad) = (DayVerdict::Good, 0);
    let write = JudgeWrite { days: vec![tuesday], ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("written");
    let said = "those in which the target itself was at fault";
    let item = explained(&bed, "?at=2026-03-03T09:15:00Z").await;
    assert_eq!((&item["hour"]["bad"], &item["day"]["bad"]), (&json!(30), &json!(0)));
    assert!(words(&item).contains(said), "{}", words(&item));
    let quiet = explained(&bed, "?at=2026-03-03T14:15:00Z").await;
    assert!(!words(&quiet).contains(said), "{}", words(&quiet));
    let monday = explained(&bed, "?at=2026-03-02T09:15:00Z").await;
    assert!(!words(&monday).contains(said), "{}", words(&monday));
}

#[tokio::test]
async fn what_was_not_measured_is_said_to_be_unknown() {
    let bed = Bed::full();
    // Saturday before anything was measured.
    let item = explained(&bed, "?at=2026-02-28T09:15:00Z").await;
    for nothing in ["window", "hour", "day"] {
        assert_eq!(item[nothing], Value::Null, "{nothing}");
    }
    assert_eq!(item["busy"], false);
    let words = words(&item);
    for said in ["unknown, which is not good", "is not judged", "no working day"] {
        assert!(words.contains(said), "{said} in:\n{words}");
    }
    let nowhere = Bed::sparse();
    let item = explained(&nowhere, "").await;
    assert_eq!((&item["busy"], &item["zone"]), (&Value::Null, &json!("UTC")));
    let (told, words) = (item["at_utc"].clone(), self::words(&item));
    assert_eq!(told, item["newest_window_utc"], "unless told it is the newest window");
    assert!(words.contains("whether it was a busy hour is unknown"), "{words}");
    assert!(words.contains("of loss and burst and jitter it says nothing"), "{words}");
}

#[tokio::test]
async fn only_moments_that_were_are_explained() {
    let bed = Bed::full();
    let address = format!("/api/v1/paths/{}/explain", bed.items("/api/v1/paths").await[0]["id"]);
    let future = format!("{address}?at=2099-01-01T00:00:00Z");
    assert!(bed.get(&future).await.problem(StatusCode::BAD_REQUEST).contains("future"));
    bed.get(&format!("{address}?at=yesterday")).await.problem(StatusCode::BAD_REQUEST);
    bed.get("/api/v1/paths/99/explain").await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn targets_are_told_with_who_measures_them() {
    let bed = Bed::full();
    let targets = bed.items("/api/v1/targets").await;
    assert_eq!(targets.len(), 1);
    let target = &targets[0];
    assert_eq!(target["target"], "reflector:862");
    for count in ["path_count", "agent_count", "building_count"] {
        assert_eq!(target[count], 1, "{count}");
    }
    assert_eq!(target["simulated"], true);
}

#[tokio::test]
async fn the_last_periods_of_each_report_are_listed() {
    let reports = Bed::empty().items("/api/v1/reports").await;
    assert_eq!(reports.len(), 24);
    let last: Vec<_> =
        reports.iter().step_by(8).map(|one| (&one["kind"], &one["period"])).collect();
    let expected = [("daily", "2026-03-05"), ("weekly", "2026-W09"), ("monthly", "2026-02")];
    for (found, (kind, period)) in last.iter().zip(expected) {
        assert_eq!(*found, (&json!(kind), &json!(period)));
    }
}
