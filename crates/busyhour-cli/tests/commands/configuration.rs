//! What agents are to measure.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, envelope, stderr, stdout};

const ID: &str = "00000000-0000-4000-8000-000000000001";

fn made(revision: &Value, changed: bool) -> Value {
    json!({"schema_version": 1, "name": "branches", "revision": revision, "changed": changed,
        "differences": [{"subject": "a:1 audio-50", "before": null, "after": "period_ms=60000"}]})
}

#[test]
fn a_file_is_sent_as_it_says_and_what_differs_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("branches.toml");
    let text = "[budget]\nbuilding_bits_per_second = 100000\n[[target]]\nname = \"a:1\"\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let collector = Canned::start(&[("POST /configurations", 201, made(&json!(8), true))]);
    let output = ask(&collector, &["config", "set", "branches", file]);
    check_snapshot("table-config-set", &stdout(&output));
    assert!(stderr(&output).contains("config assign 8"), "{}", stderr(&output));
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(
        body,
        json!({"name": "branches", "dry_run": false, "target": [{"name": "a:1"}],
            "budget": {"building_bits_per_second": 100_000}})
    );
    let collector = Canned::start(&[("POST /configurations", 200, made(&Value::Null, true))]);
    let output = ask(&collector, &["config", "set", "branches", file, "--dry-run"]);
    assert!(stderr(&output).contains("nothing was changed"), "{}", stderr(&output));
    assert_eq!(collector.asked().pop().unwrap().2["dry_run"], true);

    std::fs::write(file, "name = \"other\"\n").unwrap();
    let output = ask(&collector, &["config", "set", "branches", file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("on the command line"), "{}", stderr(&output));
}

#[test]
fn a_revision_is_assigned_to_one_place() {
    let change = json!({"id": ID, "name": "berlin-7", "before_revision": 7, "after_revision": 8,
        "before_targets": 0, "after_targets": 1, "presence": "here"});
    let changes = envelope(json!([change]));
    let collector = Canned::start(&[("POST /configurations/assignments", 200, changes)]);
    let assign = ["config", "assign", "8", "--building", "Berlin HQ", "--dry-run"];
    let output = ask(&collector, &assign);
    check_snapshot("table-config-assign", &stdout(&output));
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(
        body,
        json!({"revision": 8, "everywhere": false, "building": "Berlin HQ", "subnet": null,
            "egress": null, "label": null, "agent": null, "dry_run": true})
    );
    let output = ask(&collector, &["config", "unassign", "--label", "canary"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!((&body["revision"], &body["label"]), (&Value::Null, &json!("canary")));
    for usage in [
        vec!["config", "assign", "8"],
        vec!["config", "assign", "8", "--everywhere", "--label", "a"],
        vec!["config", "assign", "8", "--egress", "192.0.2.0/24", "--everywhere"],
    ] {
        assert_eq!(ask(&collector, &usage).status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn what_agents_run_is_shown_with_what_they_are_to_run() {
    let run = json!({"id": ID, "name": "berlin-7", "building": "Berlin HQ", "labels": "canary wired",
        "assigned_revision": 8, "assigned_by": "label canary", "told_revision": 7, "targets": 1,
        "presence": "here", "running_revision": 7, "up_to_date": true, "state": "rolled-back",
        "state_revision": 8, "refused_because": "the collector was not reached any more",
        "held_back_because": "its owner has measuring paused", "left_out_in_building": 2,
        "reported_utc": "2026-03-06T17:00:00Z"});
    let agent = json!({"id": ID, "name": "berlin-7", "building": "Berlin HQ", "subnet": "10.1.0.0/24",
        "last_seen_age_s": 7, "last_seen_utc": "2026-03-05T08:40:00Z", "gap_hours_7d": 0.5,
        "gap_main_reason_7d": "asleep", "gaps_7d": "0.5 h asleep", "version": "0.1.0",
        "os": "linux", "simulated": false, "peer": "192.0.2.7", "local_prefix": "10.1.0.0/24",
        "added_utc": "2026-03-01T08:00:00Z", "removed_utc": null});
    let collector = Canned::start(&[
        ("GET /configurations/agents", 200, envelope(json!([run]))),
        ("GET /agents", 200, envelope(json!([agent]))),
        ("GET /identities", 200, envelope(json!([]))),
        (
            "POST /agents/00000000-0000-4000-8000-000000000001/labels",
            200,
            json!({"schema_version": 1, "id": ID, "labels": ["a"]}),
        ),
    ]);
    let output = ask(&collector, &["config", "agents"]);
    check_snapshot("table-config-agents", &stdout(&output));
    let output = ask(&collector, &["agent", "show", "berlin-7"]);
    check_snapshot("table-agent-show-configuration", &stdout(&output));
    let output = ask(&collector, &["config", "label", "berlin-7", "a"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(collector.asked().pop().unwrap().2, json!({"labels": ["a"]}));
}
