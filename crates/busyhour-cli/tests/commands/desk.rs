//! What people do, typed: acts on incidents, owners, silences, maintenance.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, envelope, stderr, stdout};

fn act(more: &Value) -> Value {
    let mut item = json!({
        "number": 7, "at_utc": "2026-03-06T16:00:00Z", "by": "eva", "act": "note",
        "text": null, "owner": null, "owner_contact": null, "into": null, "opening": 1,
    });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

/// An answer that is no list.
fn single(mut item: Value) -> Value {
    item.as_object_mut().unwrap().insert("schema_version".to_owned(), json!(1));
    item
}

fn quiet() -> Value {
    json!({
        "number": 3, "state": "holds",
        "scopes": [
            {"scope": "building", "subject": "Berlin HQ"},
            {"scope": "everything", "subject": null},
        ],
        "from_utc": "2026-03-06T16:00:00Z", "until_utc": "2026-03-06T18:00:00Z",
        "reason": "=we move\u{1b}[2J", "by": "eva", "made_utc": "2026-03-06T16:00:00Z",
        "ended_utc": null, "ended_by": null,
    })
}

#[test]
fn acts_are_sent_as_they_are_typed_and_printed_as_they_are_kept() {
    let done = || single(act(&json!({"act": "acknowledge", "text": "ticket 7\u{1b}[2J"})));
    let collector = Canned::start(&[
        ("POST /incidents/12/notes", 201, done()),
        ("POST /incidents/12/acknowledge", 201, done()),
        ("POST /incidents/12/unacknowledge", 201, done()),
        ("POST /incidents/12/owner", 201, done()),
        ("DELETE /incidents/12/owner", 201, done()),
        ("POST /incidents/12/merge", 201, done()),
        ("POST /incidents/12/split", 201, done()),
    ]);
    for (arguments, body) in [
        (&["note", "12", "it was the lift"][..], json!({"text": "it was the lift"})),
        (&["ack", "12", "--reason", "ticket 7"], json!({"reason": "ticket 7"})),
        (&["unack", "12"], json!({})),
        (&["own", "12", "WAN", "--contact", "w@x"], json!({"name": "WAN", "contact": "w@x"})),
        (&["own", "12", "--by-table"], Value::Null),
        (
            &["merge", "12", "--into", "9", "--reason", "one line"],
            json!({"into": "9", "reason": "one line"}),
        ),
        (&["split", "12"], json!({})),
    ] {
        let output = ask(&collector, &[&["incident"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        check_snapshot("table-incident-act", &stdout(&output));
        assert_eq!(collector.asked().last().unwrap().2, body, "{arguments:?}");
    }
    let raw = ask(&collector, &["incident", "split", "12", "-o", "json"]);
    check_snapshot("json-incident-act", &stdout(&raw));
    for wrong in [
        &["own", "12"][..],
        &["own", "12", "WAN", "--by-table"],
        &["own", "12", "--by-table", "--contact", "x"],
        &["ack", "12"],
        &["merge", "12", "--into", "9"],
    ] {
        let output = ask(&collector, &[&["incident"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let elsewhere = ask(&collector, &["incident", "note", "../agents", "x"]);
    assert_eq!(elsewhere.status.code(), Some(1));
    assert_eq!(collector.asked().len(), 8, "nothing else is asked");
}

#[test]
fn what_was_done_with_an_incident_is_listed() {
    let acts = [
        json!({"text": "it was the lift"}),
        json!({"act": "own", "owner": "WAN team", "owner_contact": "wan@example.com"}),
        json!({"act": "merge", "text": "one line", "into": 9}),
    ];
    let acts: Vec<Value> = acts.iter().map(act).collect();
    let answer = envelope(acts.into());
    let collector = Canned::start(&[("GET /incidents/12/acts", 200, answer.clone())]);
    let output = ask(&collector, &["incident", "acts", "12"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    check_snapshot("table-incident-acts", &stdout(&output));
    let raw = ask(&collector, &["incident", "acts", "12", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&raw)).unwrap(), answer);
}

#[test]
fn owners_are_listed_set_and_taken_out() {
    let row = |cause: Value, region: Value, name: &str| {
        json!({"cause": cause, "region": region, "name": name, "contact": "+49 40 1",
            "since_utc": "2026-03-06T16:00:00Z", "by": "eva"})
    };
    let rows =
        [row(Value::Null, Value::Null, "NOC"), row(json!("wifi"), json!("EMEA"), "Wi-Fi EMEA")];
    let answer = envelope(rows.to_vec().into());
    let collector = Canned::start(&[
        ("GET /owners", 200, answer.clone()),
        ("POST /owners", 200, answer.clone()),
        ("DELETE /owners", 200, answer),
    ]);
    let output = ask(&collector, &["owner", "ls"]);
    check_snapshot("table-owner-ls", &stdout(&output));
    let set = ["owner", "set", "WAN", "--cause", "bandwidth", "--region", "EMEA", "--contact", "x"];
    let output = ask(&collector, &set);
    assert!(stderr(&output).contains("WAN answers for bandwidth in EMEA"), "{}", stderr(&output));
    let output = ask(&collector, &["owner", "rm", "--region", "EMEA West"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let asked = collector.asked();
    let body = json!({"name": "WAN", "contact": "x", "cause": "bandwidth", "region": "EMEA"});
    assert_eq!(asked[1].2, body);
    assert_eq!(asked[2].1.replace("%20", "+"), "/api/v1/owners?region=EMEA+West");
}

#[test]
fn silences_and_maintenance_are_listed_made_and_ended() {
    let list = envelope(json!([quiet()]));
    let collector = Canned::start(&[
        ("GET /silences", 200, list.clone()),
        ("POST /silences", 201, single(quiet())),
        ("POST /silences/3/end", 200, single(quiet())),
        ("GET /maintenance", 200, list.clone()),
        ("POST /maintenance", 201, single(quiet())),
        ("POST /maintenance/3/end", 200, single(quiet())),
    ]);
    for what in ["silence", "maintenance"] {
        let output = ask(&collector, &[what, "ls"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        check_snapshot("table-quiet", &stdout(&output));
        let output = ask(&collector, &[what, "end", "3"]);
        check_snapshot("table-quiet", &stdout(&output));
        let over = ask(&collector, &[what, "ls", "--over", "-o", "json"]);
        assert_eq!(serde_json::from_str::<Value>(&stdout(&over)).unwrap(), list);
    }
    let silence = [
        "silence",
        "add",
        "--building",
        "Berlin HQ",
        "--building",
        "Bonn",
        "--region",
        "EMEA",
        "--subnet",
        "10.1.3.0/24",
        "--incident",
        "12",
        "--cause",
        "wifi",
        "--until",
        "2026-12-01T20:00[Europe/Berlin]",
        "--reason",
        "we move",
        "-o",
        "json",
    ];
    check_snapshot("json-silence-add", &stdout(&ask(&collector, &silence)));
    let body = collector.asked().last().unwrap().2.clone();
    let expected = json!({
        "everything": false, "regions": ["EMEA"], "buildings": ["Berlin HQ", "Bonn"],
        "subnets": ["10.1.3.0/24"], "incidents": ["12"], "causes": ["wifi"], "from": null,
        "until": "2026-12-01T20:00[Europe/Berlin]", "reason": "we move",
    });
    assert_eq!(body, expected);
    let plan =
        ["maintenance", "add", "--everything", "--from", "2h", "--until", "4h", "--reason", "x"];
    assert_eq!(ask(&collector, &plan).status.code(), Some(0));
    let body = collector.asked().last().unwrap().2.clone();
    assert_eq!((&body["everything"], &body["from"]), (&json!(true), &json!("2h")));
    let of_no_place = ask(&collector, &[&plan[..], &["--cause", "wifi"]].concat());
    assert_eq!(of_no_place.status.code(), Some(2), "maintenance is of places");
}

#[test]
fn what_the_collector_refuses_is_told_in_its_words() {
    let refusal = json!({"title": "Conflict", "status": 409, "detail": "it is merged already"});
    let collector = Canned::start(&[("POST /incidents/12/merge", 409, refusal)]);
    let merge = ["incident", "merge", "12", "--into", "9", "--reason", "x"];
    let output = ask(&collector, &merge);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("it is merged already"), "{}", stderr(&output));
}
