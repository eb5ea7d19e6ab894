//! Agents that are moved, removed or forgotten, and the audit.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, envelope, stderr, stdout};

const ID: &str = "00000000-0000-4000-8000-000000000001";
const OLD: &str = "00000000-0000-4000-8000-000000000002";
const OLDER: &str = "00000000-0000-4000-8000-000000000003";

fn agents() -> Value {
    envelope(json!([
        {"id": OLD, "name": "berlin-7", "removed_utc": "2026-01-02T09:00:00Z"},
        {"id": ID, "name": "berlin-7", "removed_utc": null},
        {"id": OLD, "name": "ulm-1", "removed_utc": "2026-01-02T09:00:00Z"},
        {"id": OLDER, "name": "ulm-1", "removed_utc": "2025-01-02T09:00:00Z"},
    ]))
}

fn going() -> Value {
    envelope(json!([{
        "id": ID, "name": "berlin-7", "simulated": false, "added_utc": "2026-01-02T09:00:00Z",
        "removed_utc": null, "last_seen_utc": "2026-03-05T08:40:00Z", "local_prefix": "10.1.0.0/24",
        "peer": "192.0.2.7", "placements": 2, "paths": 4,
        "oldest_window_utc": "2026-01-02T09:01:00Z", "newest_window_utc": "2026-03-05T08:39:00Z",
    }]))
}

#[test]
fn without_yes_it_is_only_said_what_would_go() {
    let preview = format!("GET /agents/{ID}/forget");
    let collector = Canned::start(&[("GET /agents", 200, agents()), (&preview, 200, going())]);
    let output = ask(&collector, &["agent", "forget", "berlin-7"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-agent-forget", &stdout(&output));
    assert!(stderr(&output).contains("nothing was changed; with --yes"), "{}", stderr(&output));
    assert!(collector.asked().iter().all(|(method, _, _)| method == "GET"));
    assert_eq!(collector.asked()[0].1, "/api/v1/agents?removed=true");
}

#[test]
fn the_places_of_an_agent_are_a_table() {
    let places = json!([
        {"from_utc": "2026-03-05T08:40:00Z", "until_utc": null, "building": "Berlin Mitte",
         "subnet": "10.2.0.0/24", "bound_prefix": null, "bound_egress": null, "actor": "eva"},
        {"from_utc": "2026-01-02T09:00:00Z", "until_utc": "2026-03-05T08:40:00Z",
         "building": "Berlin HQ", "subnet": "10.1.0.0/24", "bound_prefix": "10.1.0.0/24",
         "bound_egress": "192.0.2.0/28", "actor": null},
    ]);
    let history = format!("GET /agents/{ID}/history");
    let collector =
        Canned::start(&[("GET /agents", 200, agents()), (&history, 200, envelope(places))]);
    for named in ["berlin-7", ID] {
        let output = ask(&collector, &["agent", "history", named]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        check_snapshot("table-agent-history", &stdout(&output));
    }
}

#[test]
fn with_yes_the_agent_is_forgotten_by_its_id_and_name() {
    let gone = json!({"schema_version": 1, "id": ID, "name": "berlin-7", "paths": 4,
        "windows": 123_456, "slots": 789, "others": 12, "placements": 2, "verdicts": 60,
        "incidents": 1, "lingers": false});
    let delete = format!("DELETE /agents/{ID}");
    let collector = Canned::start(&[("GET /agents", 200, agents()), (&delete, 200, gone)]);
    for named in ["berlin-7", ID] {
        let output = ask(&collector, &["agent", "forget", named, "--yes"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("berlin-7 is forgotten: 4 paths, 123456 windows, 789 slots"),
            "{said}"
        );
        assert!(!said.contains("free space"), "{said}");
        let (method, target, _) = collector.asked().pop().unwrap();
        assert_eq!(
            (method, target),
            ("DELETE".to_owned(), format!("/api/v1/agents/{ID}?confirm=berlin-7"))
        );
    }
}

#[test]
fn bytes_that_linger_are_told() {
    let gone = json!({"schema_version": 1, "id": ID, "name": "berlin-7", "lingers": true});
    let delete = format!("DELETE /agents/{ID}");
    let collector = Canned::start(&[("GET /agents", 200, agents()), (&delete, 200, gone)]);
    let output = ask(&collector, &["agent", "forget", "berlin-7", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("free space of the collector's files"), "{}", stderr(&output));
}

#[test]
fn an_agent_that_cannot_be_told_apart_is_not_touched() {
    let collector = Canned::start(&[("GET /agents", 200, agents())]);
    let output = ask(&collector, &["agent", "forget", "ulm-1", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains(OLD) && said.contains(OLDER), "{said}");
    let output = ask(&collector, &["agent", "remove", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("busyhour agent ls"), "{}", stderr(&output));
    assert!(collector.asked().iter().all(|(method, _, _)| method == "GET"));
}

#[test]
fn an_agent_is_moved_and_removed_by_name() {
    let (bind, remove) = (format!("POST /agents/{ID}/bind"), format!("POST /agents/{ID}/remove"));
    let bound = json!({"schema_version": 1, "id": ID, "bound_prefix": "10.2.0.0/24"});
    let removed = json!({"schema_version": 1, "id": ID, "name": "berlin-7"});
    let collector = Canned::start(&[
        ("GET /agents", 200, agents()),
        (&bind, 200, bound),
        (&remove, 200, removed),
    ]);
    let output = ask(&collector, &["agent", "move", "berlin-7", "--building", "Berlin Mitte"]);
    assert_eq!(stderr(&output), "berlin-7 is in 10.2.0.0/24 from now on\n");
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(body, json!({"subnet": null, "building": "Berlin Mitte", "by_address": false}));
    ask(&collector, &["agent", "move", "berlin-7", "--by-address"]);
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(body, json!({"subnet": null, "building": null, "by_address": true}));
    let output = ask(&collector, &["agent", "remove", "berlin-7"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("what it measured stays"), "{}", stderr(&output));
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(body, json!({"confirm": "berlin-7"}));
}

#[test]
fn the_audit_and_the_versions_are_tables() {
    let entries = json!([
        {"number": 3, "at_utc": "2026-03-05T08:40:00Z", "actor": "local operator",
         "action": "forget-agent", "subject": format!("agent {ID}"), "subject_name": null,
         "detail": "paths=4 windows=123456"},
        {"number": 2, "at_utc": "2026-03-05T08:30:00Z", "actor": "eva\u{1b}[2J",
         "action": "import", "subject": "building-file 2", "subject_name": null,
         "detail": "nothing changed"},
    ]);
    let versions = json!([
        {"version": 2, "imported_utc": "2026-03-05T08:30:00Z", "from_utc": "2026-03-05T08:30:00Z",
         "until_utc": null, "actor": "eva", "sha256": "ab".repeat(32), "buildings": 3, "subnets": 40},
        {"version": 1, "imported_utc": "2026-01-05T08:30:00Z", "from_utc": "2026-01-05T08:30:00Z",
         "until_utc": "2026-03-05T08:30:00Z", "actor": null, "sha256": "cd".repeat(32),
         "buildings": 2, "subnets": 30},
    ]);
    let collector = Canned::start(&[
        ("GET /audit", 200, envelope(entries)),
        ("GET /buildings/files", 200, envelope(versions)),
    ]);
    let output = ask(&collector, &["audit", "ls", "--since", "365d", "--limit", "2"]);
    check_snapshot("table-audit", &stdout(&output));
    assert!(stderr(&output).contains("ends at 2 entries"), "{}", stderr(&output));
    let (_, target, _) = collector.asked().pop().unwrap();
    assert!(target.starts_with("/api/v1/audit?from=") && target.ends_with("&limit=2"), "{target}");
    let output = ask(&collector, &["building", "history"]);
    check_snapshot("table-building-history", &stdout(&output));
}
