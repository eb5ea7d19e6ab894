//! Reports are passed on as the collector wrote them; tasks are listed and signed off.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, envelope, stderr, stdout};

const BERLIN: &str = "00000000-0000-0000-0000-000000000007";

fn with_reports() -> Canned {
    let buildings = envelope(json!([{"id": BERLIN, "name": "Berlin HQ"}]));
    let text = |text: &str| Value::String(text.to_owned());
    Canned::start(&[
        ("GET /buildings", 200, buildings),
        ("GET /reports/daily", 200, text("Daily digest\n")),
        ("GET /reports/weekly", 200, text("<!doctype html>\n")),
        ("GET /reports/monthly", 200, text("building,simulated\r\n")),
    ])
}

#[test]
fn a_report_is_printed_as_it_came_with_a_note_on_the_side() {
    let collector = with_reports();
    let output = ask(&collector, &["report", "daily"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "Daily digest\n");
    assert!(stderr(&output).contains("works the daily report out"), "{}", stderr(&output));
    ask(&collector, &["report", "weekly", "--week", "2026-W34", "--format", "html"]);
    ask(
        &collector,
        &[
            "report",
            "monthly",
            "--month",
            "2026-08",
            "--format",
            "csv",
            "--table",
            "open",
            "--building",
            "berlin hq",
        ],
    );
    let asked: Vec<String> = collector.asked().into_iter().map(|(_, target, _)| target).collect();
    assert_eq!(
        asked,
        [
            "/api/v1/reports/daily?format=text".to_owned(),
            "/api/v1/reports/weekly?format=html&date=2026-W34".to_owned(),
            "/api/v1/buildings".to_owned(),
            format!("/api/v1/reports/monthly?format=csv&date=2026-08&table=open&building={BERLIN}"),
        ]
    );
}

#[test]
fn a_report_is_written_to_a_file_whole() {
    let collector = with_reports();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("review.html");
    let name = file.to_str().unwrap();
    let output = ask(&collector, &["report", "weekly", "--format", "html", "--out", name]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "<!doctype html>\n");
    let nowhere = folder.path().join("none").join("review.html");
    let output = ask(&collector, &["report", "weekly", "--out", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let output = ask(&collector, &["report", "weekly", "--table", "subnets"]);
    assert!(stderr(&output).contains("--format csv"), "{}", stderr(&output));
}

fn tasks(overdue: &Value) -> Value {
    envelope(json!([
        {"task": "digest", "cadence": "daily", "period": "2026-08-21", "state": "due",
         "signed_by": [], "overdue_periods": [], "what": "See what opened", "helps": "busyhour report daily"},
        {"task": "quality-review", "cadence": "weekly", "period": "2026-W34", "state": "signed off",
         "signed_by": ["eva", "omar"], "overdue_periods": overdue, "what": "Go through the review",
         "helps": "busyhour report weekly"},
    ]))
}

#[test]
fn tasks_are_listed_and_what_is_overdue_is_told_to_scripts() {
    let late = Canned::start(&[("GET /tasks", 200, tasks(&json!(["2026-W33"])))]);
    let output = ask(&late, &["task", "ls"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-task-ls", &stdout(&output));
    assert_eq!(ask(&late, &["task", "ls", "--exit-code"]).status.code(), Some(3));
    let done = Canned::start(&[("GET /tasks", 200, tasks(&json!([])))]);
    assert_eq!(ask(&done, &["task", "ls", "--exit-code"]).status.code(), Some(0));
    let raw = stdout(&ask(&done, &["task", "ls", "-o", "json"]));
    assert_eq!(serde_json::from_str::<Value>(&raw).unwrap(), tasks(&json!([])));
}

#[test]
fn a_task_is_signed_off_for_the_period_that_is_told() {
    let done = json!({"schema_version": 1, "number": 3, "task": "quality-review",
        "period": "2026-W34", "at_utc": "2026-08-24T08:00:00Z", "signed_by": "eva", "note": null});
    let item = json!([{"number": 3, "task": "quality-review", "period": "2026-W34",
        "at_utc": "2026-08-24T08:00:00Z", "signed_by": "eva", "note": "ticket 4711\u{1b}[2J"}]);
    let collector =
        Canned::start(&[("POST /tasks", 200, done), ("GET /tasks/history", 200, envelope(item))]);
    let output = ask(
        &collector,
        &["task", "done", "quality-review", "--period", "2026-W34", "--note", "ticket 4711"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("signed off: quality-review of 2026-W34"));
    let (method, target, body) = collector.asked().remove(0);
    assert_eq!((method.as_str(), target.as_str()), ("POST", "/api/v1/tasks"));
    assert_eq!(
        body,
        json!({"task": "quality-review", "period": "2026-W34", "note": "ticket 4711"})
    );
    let history = stdout(&ask(&collector, &["task", "history"]));
    check_snapshot("table-task-history", &history);
    assert!(!history.contains('\u{1b}'));
}
