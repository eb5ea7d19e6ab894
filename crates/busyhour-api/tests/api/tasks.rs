//! The calendar of tasks: what is due, and who signed off what.

use std::time::Duration;

use axum::http::StatusCode;
use busyhour_store::AuditAction;
use serde_json::{Value, json};

use crate::support::Bed;

const DAY: Duration = Duration::from_secs(86_400);

async fn task(bed: &Bed, name: &str) -> Value {
    let tasks = bed.items("/api/v1/tasks").await;
    tasks.into_iter().find(|task| task["task"] == name).expect("the task")
}

async fn sign_off(bed: &Bed, body: &Value) -> Value {
    let answer = bed.post("/api/v1/tasks", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn a_task_is_due_until_somebody_signs_it_off() {
    let bed = Bed::empty();
    let review = task(&bed, "quality-review").await;
    for (key, value) in [
        ("cadence", json!("weekly")),
        ("period", json!("2026-W09")),
        ("state", json!("due")),
        ("signed_by", json!([])),
        ("overdue_periods", json!([])),
    ] {
        assert_eq!(review[key], value, "{key}");
    }
    assert!(review["helps"].as_str().expect("a text").contains("busyhour report weekly"));
    let done =
        sign_off(&bed, &json!({"task": "quality-review", "note": "=Berlin, ticket 4711"})).await;
    assert_eq!((&done["period"], &done["task"]), (&json!("2026-W09"), &json!("quality-review")));
    let review = task(&bed, "quality-review").await;
    assert_eq!(
        (&review["state"], &review["signed_by"]),
        (&json!("signed off"), &json!(["local operator"]))
    );
    let history = bed.items("/api/v1/tasks/history").await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["note"], "=Berlin, ticket 4711");
    assert_eq!(history[0]["at_utc"], "2026-03-06T16:00:00Z");
    let audit =
        bed.control.audit(busyhour_model::UtcMicros(0), busyhour_model::UtcMicros(i64::MAX), 9);
    let audit = audit.expect("the audit");
    assert_eq!(audit[0].action, AuditAction::TaskSignedOff);
    assert_eq!(audit[0].detail, "task=quality-review period=2026-W09");
}

#[tokio::test]
async fn what_was_left_undone_is_overdue_and_can_be_made_good() {
    let bed = Bed::empty();
    sign_off(&bed, &json!({"task": "quality-review"})).await;
    bed.wait(14 * DAY);
    let review = task(&bed, "quality-review").await;
    assert_eq!((&review["state"], &review["period"]), (&json!("overdue"), &json!("2026-W11")));
    assert_eq!(review["overdue_periods"], json!(["2026-W10"]));
    sign_off(&bed, &json!({"task": "quality-review", "period": "2026-W10"})).await;
    sign_off(&bed, &json!({"task": "quality-review", "period": "2026-03-12"})).await;
    let review = task(&bed, "quality-review").await;
    assert_eq!((&review["state"], &review["overdue_periods"]), (&json!("signed off"), &json!([])));
}

#[tokio::test]
async fn what_is_no_task_or_no_period_is_refused() {
    let bed = Bed::empty();
    for (body, says) in [
        (json!({"task": "coffee"}), "busyhour task ls"),
        (json!({"task": "quality-review", "period": "2026-08"}), "2026-W34"),
        (json!({"task": "digest", "period": "2026-03-07"}), "has not begun"),
        (json!({"task": "digest", "note": "x".repeat(100_000)}), ""),
    ] {
        let answer = bed.post("/api/v1/tasks", &body).await;
        assert!(answer.status.is_client_error(), "{}", answer.body);
        assert!(answer.body.contains(says), "{}", answer.body);
    }
    let week = json!({"task": "quality-review", "period": "2026-W09"});
    for _ in 0..20 {
        sign_off(&bed, &week).await;
    }
    assert!(bed.post("/api/v1/tasks", &week).await.status.is_client_error(), "21 are too many");
    assert_eq!(bed.items("/api/v1/tasks/history").await.len(), 20);
}

#[tokio::test]
async fn the_page_tells_what_is_due_and_escapes_what_was_said() {
    let bed = Bed::empty();
    sign_off(&bed, &json!({"task": "digest", "note": "<script>alert(1)</script>"})).await;
    let page = bed.get("/tasks").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("id=\"quality-review\"") && page.body.contains("▲ due"));
    assert!(page.body.contains("signed off by local operator"));
    assert!(!page.body.contains("<script>alert"));
}
