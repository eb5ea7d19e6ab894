//! Tokens, and the identities of agents.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, busyhour, check_snapshot, envelope, stderr, stdout};

const ID: &str = "00000000-0000-4000-8000-000000000001";
const BY_SECRET: &str = "00000000-0000-4000-8000-000000000002";
const TOKEN: &str = "bh1.0a1b2c3d4e.0123456789abcdef0123456789abcdef.\
    00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn made() -> Value {
    json!({"schema_version": 1, "id": "0a1b2c3d4e", "token": TOKEN, "building": "Berlin HQ",
        "subnet": null, "expires_utc": "2026-03-06T17:00:00Z"})
}

fn agents() -> Value {
    let agent = |id: &str, name: &str| {
        json!({"id": id, "name": name, "building": "Berlin HQ", "subnet": "10.1.0.0/24",
            "last_seen_age_s": 7, "last_seen_utc": "2026-03-05T08:40:00Z", "gap_hours_7d": 0.5,
            "gap_main_reason_7d": "sleep", "gaps_7d": "0.5 h sleep", "version": "0.1.0",
            "os": "linux", "simulated": false, "peer": "192.0.2.7", "local_prefix": "10.1.0.0/24",
            "added_utc": "2026-03-01T08:00:00Z", "removed_utc": null})
    };
    envelope(json!([agent(ID, "berlin-7"), agent(BY_SECRET, "collector-1")]))
}

fn identities() -> Value {
    envelope(json!([{"id": ID, "name": "berlin-7", "state": "quarantined",
        "since_utc": "2026-03-05T08:41:00Z", "reason": "a session that was over",
        "building": "Berlin HQ", "subnet": null, "off_site": false, "renewed_late": true,
        "token": "0a1b2c3d4e", "enrolled_utc": "2026-03-01T08:00:00Z",
        "certificate_from_utc": "2026-03-01T07:55:00Z",
        "certificate_expires_utc": "2026-03-15T08:00:00Z", "certificate_expired": false,
        "next_certificate": false}]))
}

#[test]
fn a_token_goes_to_standard_output_or_into_a_file_of_its_own() {
    let collector = Canned::start(&[("POST /tokens", 201, made())]);
    let output = ask(&collector, &["token", "create", "--building", "Berlin HQ"]);
    assert_eq!(stdout(&output), format!("{TOKEN}\n"), "{}", stderr(&output));
    assert!(stderr(&output).contains("token 0a1b2c3d4e lets one machine in until 2026-03-06"));
    assert!(!stderr(&output).contains(TOKEN));
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(
        body,
        json!({"building": "Berlin HQ", "subnet": null, "uses": 1, "life_s": 86_400,
            "peers": null, "approval": "auto"})
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("berlin.token");
    let to_file = [
        "token",
        "create",
        "--subnet",
        "10.1.0.0/24",
        "--uses",
        "40",
        "--ttl",
        "1h",
        "--from",
        "10.0.0.0/8",
        "--approve",
        "manual",
        "--token-file",
        file.to_str().unwrap(),
    ];
    let output = ask(&collector, &to_file);
    assert_eq!(stdout(&output), "", "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{TOKEN}\n"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, _, body) = collector.asked().pop().unwrap();
    assert_eq!(
        body,
        json!({"building": null, "subnet": "10.1.0.0/24", "uses": 40, "life_s": 3600,
            "peers": "10.0.0.0/8", "approval": "manual"})
    );
    // Nothing is asked for when the answer could not be kept.
    let asked = collector.asked().len();
    assert_eq!(ask(&collector, &to_file).status.code(), Some(1));
    assert_eq!(collector.asked().len(), asked);
    assert_eq!(ask(&collector, &["token", "create"]).status.code(), Some(2));
}

#[test]
fn tokens_are_a_table_and_are_revoked_by_their_id() {
    let token = |id: &str, state: &str| {
        json!({"id": id, "building": "Berlin HQ", "subnet": "10.1.0.0/24", "egress": null,
            "peers": null, "state": state, "uses": 3, "uses_left": 2, "approval": "manual",
            "created_utc": "2026-03-05T17:00:00Z", "created_by": "eva",
            "expires_utc": "2026-03-06T17:00:00Z", "revoked_utc": null, "refused": 1})
    };
    let tokens = envelope(json!([token("0a1b2c3d4e", "good"), token("00000000ff", "expired")]));
    let revoked = json!({"schema_version": 1, "id": "0a1b2c3d4e"});
    let collector =
        Canned::start(&[("GET /tokens", 200, tokens), ("DELETE /tokens/0a1b2c3d4e", 200, revoked)]);
    check_snapshot("table-token-ls", &stdout(&ask(&collector, &["token", "ls"])));
    check_snapshot("csv-token-ls", &stdout(&ask(&collector, &["token", "ls", "-o", "csv"])));
    let output = ask(&collector, &["token", "revoke", "0a1b2c3d4e"]);
    assert_eq!(stderr(&output), "token 0a1b2c3d4e lets nobody in any more\n");
    let asked = collector.asked().len();
    assert_eq!(ask(&collector, &["token", "revoke", "../agents"]).status.code(), Some(1));
    assert_eq!(collector.asked().len(), asked);
}

#[test]
fn an_agent_is_shown_with_its_identity() {
    let collector =
        Canned::start(&[("GET /agents", 200, agents()), ("GET /identities", 200, identities())]);
    check_snapshot("table-agent-ls-identity", &stdout(&ask(&collector, &["agent", "ls"])));
    check_snapshot("table-agent-show", &stdout(&ask(&collector, &["agent", "show", "berlin-7"])));
    let output = ask(&collector, &["agent", "show", "collector-1", "-o", "json"]);
    let shown: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(shown["items"][0]["identity"], "secret");
    // Whoever may not see identities sees agents.
    let refused = json!({"title": "Forbidden", "status": 403, "detail": "not yours"});
    let collector =
        Canned::start(&[("GET /agents", 200, agents()), ("GET /identities", 403, refused)]);
    let output = ask(&collector, &["agent", "ls"]);
    assert!(output.status.success() && stdout(&output).contains("berlin-7"));
}

#[test]
fn agents_are_approved_and_revoked_by_name_or_building() {
    let (approve, revoke) =
        (format!("POST /identities/{ID}/approve"), format!("POST /identities/{ID}/revoke"));
    let one = json!({"schema_version": 1, "id": ID});
    let two = envelope(json!([{"id": ID}, {"id": BY_SECRET}]));
    let collector = Canned::start(&[
        ("GET /agents", 200, agents()),
        (&approve, 200, one.clone()),
        ("POST /identities/approve", 200, two),
        (&revoke, 200, one),
    ]);
    let output = ask(&collector, &["agent", "approve", "berlin-7"]);
    assert_eq!(stderr(&output), "berlin-7 may deliver\n");
    let output = ask(&collector, &["agent", "approve", "--building", "Berlin HQ"]);
    assert_eq!(stderr(&output), "2 agents that waited may deliver\n");
    assert_eq!(collector.asked().pop().unwrap().2, json!({"building": "Berlin HQ"}));
    let output = ask(&collector, &["agent", "revoke", "berlin-7", "--reason", "it was stolen"]);
    assert_eq!(stderr(&output), "berlin-7 delivers no more; what it measured stays\n");
    assert_eq!(collector.asked().pop().unwrap().2, json!({"reason": "it was stolen"}));
    assert_eq!(ask(&collector, &["agent", "approve"]).status.code(), Some(2));
}

#[test]
fn a_daemon_takes_options_of_its_own_that_are_called_as_ours_are() {
    let nowhere = "/nonexistent/busyhour";
    let enrol = ["role", "agent", "enrol", "-o", "json", "--collector", "https://127.0.0.1:9"];
    let enrol = [&enrol[..], &["--data-dir", nowhere, "--token-file", nowhere]].concat();
    let output = busyhour(&enrol).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(nowhere), "{}", stderr(&output));
    let output = busyhour(&["role", "agent", "enrol", "--output", "pigeon"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = busyhour(&["role", "agent", "enrol", "--help"]).output().unwrap();
    assert!(stdout(&output).contains("--token-file"), "{}", stdout(&output));
    let output = busyhour(&["role", "collector", "run", "--help"]).output().unwrap();
    assert!(stdout(&output).contains("--set"), "{}", stdout(&output));
}
