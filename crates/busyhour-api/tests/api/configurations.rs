//! What agents are to measure: revisions, what differs, for whom they are in force, what agents run.

use axum::http::StatusCode;
use busyhour_model::{AgentId, BuildingId};
use busyhour_store::{
    Act, AssignmentScope, ComparedClock, ConfigurationReport, ConfigurationState, ReportRow,
    Sighting,
};
use serde_json::{Value, json};

use crate::support::{Bed, MASKED, NOW};

const OTHER: &str = "Always Bad";
const AGENT: AgentId = AgentId::from_u128(2);
const ALL: &str = "/api/v1/configurations";
const ASSIGN: &str = "/api/v1/configurations/assignments";

/// The agent in [`OTHER`] is there, and was told nothing so far.
fn bed() -> Bed {
    let bed = Bed::full();
    let sighting = Sighting {
        at: NOW,
        version: "0.1.0".to_owned(),
        os: "linux".to_owned(),
        local_prefix: None,
        peer: None,
    };
    bed.control.saw_agent(AGENT, &sighting).expect("an agent");
    said(&bed, false, ComparedClock { offset_us: 0, close: true });
    bed
}

/// The agent says that it was told nothing so far.
fn said(bed: &Bed, paused: bool, clock: ComparedClock) {
    let report = ConfigurationReport {
        revision: 0,
        edition: 0,
        told_revision: 0,
        told_edition: 0,
        state: ConfigurationState::Nothing,
        reason: String::new(),
        good_edition: 0,
        paused,
    };
    let row = ReportRow { agent: AGENT, at: NOW, report, clock: Some(clock) };
    bed.services.planner.store().note_reports(&[row]).expect("a report");
}

async fn made(bed: &Bed, body: &Value) -> Value {
    let answer = bed.post(ALL, body).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    answer.json()
}

fn branches(target: &str) -> Value {
    json!({"name": "branches", "target": [{"name": target}]})
}

#[tokio::test]
async fn a_revision_is_made_shown_and_compared() {
    let bed = bed();
    let mut body = branches("a.example:862");
    body["dry_run"] = true.into();
    let tried = made(&bed, &body).await;
    assert_eq!((&tried["revision"], &tried["changed"]), (&Value::Null, &json!(true)));
    assert!(bed.items(ALL).await.is_empty(), "nothing was changed");

    let first = made(&bed, &branches("a.example:862")).await;
    assert_eq!((&first["revision"], &first["changed"]), (&json!(1), &json!(true)));
    let again = made(&bed, &branches("a.example:862")).await;
    assert_eq!((&again["revision"], &again["changed"]), (&json!(1), &json!(false)));
    assert_eq!(again["differences"], json!([]));
    let second = made(&bed, &branches("b.example:862")).await;
    assert_eq!(second["differences"].as_array().expect("a list").len(), 2);

    let listed = &bed.items(ALL).await[0];
    assert_eq!((&listed["revision"], &listed["name"]), (&json!(2), &json!("branches")));
    assert_eq!((&listed["targets"], &listed["made_by"]), (&json!(1), &json!("local operator")));
    let target = &bed.items("/api/v1/configurations/1").await[0];
    assert_eq!(
        (&target["name"], &target["profile"]),
        (&json!("a.example:862"), &json!("audio-50"))
    );
    assert_eq!(target["mean_bits_per_second"], 14_500);
    let diff = bed.items("/api/v1/configurations/2/diff").await;
    let subjects: Vec<&Value> = diff.iter().map(|one| &one["subject"]).collect();
    assert_eq!(subjects, ["b.example:862 audio-50", "a.example:862 audio-50"]);
    let none = bed.items("/api/v1/configurations/1/diff?from=1").await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn what_cannot_be_desired_is_refused_with_the_reason() {
    let bed = bed();
    let target = |target: Value| json!({"name": "branches", "target": [target]});
    for (body, expected) in [
        (json!({"name": "two words"}), "two words"),
        (target(json!({"name": "nowhere"})), "HOST:PORT"),
        (target(json!({"name": "a:1", "profile": "loud"})), "loud"),
        (target(json!({"name": "a:1", "profile": "burst-200"})), "than a call"),
        (target(json!({"name": "a:1", "period_ms": 9})), "period_ms"),
        (target(json!({"name": "a:1", "run": "rm"})), "unknown field"),
        (json!({"name": "branches", "budget": {"subnet_bits_per_second": 1}}), "budget."),
    ] {
        let answer = bed.post(ALL, &body).await;
        let said = answer.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(said.contains(expected), "{said}");
    }
    assert!(bed.items(ALL).await.is_empty());
    bed.get("/api/v1/configurations/first").await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_assignment_says_for_whom_it_changes_something_and_can_be_tried() {
    let bed = bed();
    made(&bed, &branches("a.example:862")).await;
    let assign = |dry_run: bool| json!({"revision": 1, "building": OTHER, "dry_run": dry_run});
    let tried = bed.post(ASSIGN, &assign(true)).await.json();
    let change = &tried["items"][0];
    assert_eq!((&change["name"], &change["after_targets"]), (&json!("tokyo-1"), &json!(1)));
    assert_eq!((&change["before_revision"], &change["after_revision"]), (&json!(0), &json!(1)));
    assert!(bed.items(ASSIGN).await.is_empty(), "nothing was changed");

    let done = bed.post(ASSIGN, &assign(false)).await.json();
    assert_eq!(done["items"], tried["items"]);
    let assigned = &bed.items(ASSIGN).await[0];
    assert_eq!((&assigned["scope"], &assigned["subject"]), (&json!("building"), &json!(OTHER)));
    let agents = bed.items("/api/v1/configurations/agents").await;
    assert_eq!(agents.len(), 1, "simulated agents have no part in it");
    let agent = &agents[0];
    assert_eq!((&agent["assigned_revision"], &agent["targets"]), (&json!(1), &json!(1)));
    assert_eq!(agent["assigned_by"], format!("building {OTHER}"));
    assert_eq!((&agent["presence"], &agent["running_revision"]), (&json!("here"), &Value::Null));

    let none = json!({"revision": null, "building": OTHER});
    assert_eq!(bed.post(ASSIGN, &none).await.status, StatusCode::OK);
    assert!(bed.items(ASSIGN).await.is_empty());
}

#[tokio::test]
async fn why_an_agent_is_held_back_is_shown() {
    let bed = bed();
    made(&bed, &branches("a.example:862")).await;
    bed.post(ASSIGN, &json!({"revision": 1, "everywhere": true})).await;
    let close = ComparedClock { offset_us: 0, close: true };
    let off = ComparedClock { offset_us: 20_000_000, close: false };
    for (paused, clock, targets, why) in [
        (false, close, 1, Value::Null),
        (true, close, 0, json!("measuring is paused there")),
        (false, off, 0, json!("its clock is 20.0 s behind: no expedited traffic")),
    ] {
        said(&bed, paused, clock);
        let agent = &bed.items("/api/v1/configurations/agents").await[0];
        assert_eq!((&agent["targets"], &agent["held_back_because"]), (&json!(targets), &why));
    }
}

#[tokio::test]
async fn what_is_assigned_to_a_building_that_is_gone_is_taken_back_by_its_identity() {
    let bed = bed();
    made(&bed, &branches("a.example:862")).await;
    let gone = BuildingId::from_u128(0xdead);
    let scope = AssignmentScope::Building(gone);
    let by = Act::by_operator(NOW);
    bed.services.planner.store().assign_configuration(&scope, Some(1), &by).expect("assigned");
    let shown = bed.items(ASSIGN).await[0]["subject"].clone();
    assert_eq!(shown, gone.to_string());
    let anew = json!({"revision": 1, "building": shown});
    bed.post(ASSIGN, &anew).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let none = json!({"revision": null, "building": "Nowhere"});
    bed.post(ASSIGN, &none).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let none = json!({"revision": null, "building": shown});
    assert_eq!(bed.post(ASSIGN, &none).await.status, StatusCode::OK);
    assert!(bed.items(ASSIGN).await.is_empty());
}

#[tokio::test]
async fn labels_are_given_to_agents_and_something_assigned_to_them() {
    let bed = bed();
    made(&bed, &branches("a.example:862")).await;
    let labels = format!("/api/v1/agents/{AGENT}/labels");
    let given = bed.post(&labels, &json!({"labels": ["canary"]})).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.body);
    let assign = json!({"revision": 1, "label": "canary"});
    assert_eq!(bed.post(ASSIGN, &assign).await.json()["items"][0]["name"], "tokyo-1");
    let agent = &bed.items("/api/v1/configurations/agents").await[0];
    assert_eq!(
        (&agent["labels"], &agent["assigned_by"]),
        (&json!("canary"), &json!("label canary"))
    );
    let odd = json!({"labels": ["Two Words"]});
    bed.post(&labels, &odd).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let many: Vec<String> = (0..17).map(|n| format!("l{n}")).collect();
    bed.post(&labels, &json!({"labels": many})).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = "/api/v1/agents/00000000-0000-4000-8000-000000000000/labels";
    bed.post(nobody, &json!({"labels": []})).await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_assignment_is_for_exactly_one_place_that_there_is() {
    let bed = bed();
    made(&bed, &branches("a.example:862")).await;
    for (body, expected) in [
        (json!({"revision": 1}), "one of"),
        (json!({"revision": 1, "everywhere": true, "building": MASKED}), "one of"),
        (json!({"revision": 1, "building": "Nowhere"}), "Nowhere"),
        (json!({"revision": 1, "subnet": "10.9.9.0/24"}), "10.9.9.0/24"),
        (json!({"revision": 9, "everywhere": true}), "revision"),
        (json!({"revision": 1, "agent": "00000000-0000-4000-8000-000000000000"}), "agent"),
    ] {
        let said = bed.post(ASSIGN, &body).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(said.contains(expected), "{said}");
    }
    for body in [
        json!({"revision": 1, "subnet": "10.2.1.0/24"}),
        json!({"revision": 1, "agent": AGENT.to_string()}),
        json!({"revision": 1, "everywhere": true}),
    ] {
        let answer = bed.post(ASSIGN, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let scopes: Vec<Value> =
        bed.items(ASSIGN).await.into_iter().map(|row| row["scope"].clone()).collect();
    assert_eq!(scopes, ["everywhere", "subnet", "agent"]);
}
