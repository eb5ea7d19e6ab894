//! Agents that are bound anew, removed, or forgotten.

use axum::http::StatusCode;
use busyhour_model::{AgentId, Scope, UtcMicros};
use busyhour_store::{Binding, RecordKind};
use serde_json::json;

use crate::support::{Bed, MASKED};

fn address(of: &str) -> String {
    format!("/api/v1/agents/{}{of}", AgentId::from_u128(1))
}

#[tokio::test]
async fn what_would_go_is_told_and_nothing_goes() {
    let bed = Bed::full();
    let going = bed.items(&address("/forget")).await;
    assert_eq!(going.len(), 1);
    assert_eq!((&going[0]["name"], &going[0]["simulated"]), (&json!("berlin-1"), &json!(true)));
    assert_eq!((&going[0]["paths"], &going[0]["placements"]), (&json!(1), &json!(1)));
    assert_eq!(going[0]["oldest_window_utc"], "2026-03-01T23:00:00Z");
    for unconfirmed in ["", "?confirm=", "?confirm=tokyo-1"] {
        let answer = bed.delete(&address(unconfirmed)).await;
        let detail = answer.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(detail.contains("does not come back"), "{detail}");
    }
    assert_eq!(bed.control.agents().expect("agents").len(), 2);
    assert_eq!(bed.telemetry.paths(None).expect("paths").len(), 1);
    let nobody = format!("/api/v1/agents/{}", AgentId::from_u128(9));
    bed.get(&format!("{nobody}/forget")).await.problem(StatusCode::NOT_FOUND);
    bed.delete(&format!("{nobody}?confirm=x")).await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_forgotten_agent_leaves_nothing_but_its_buildings_verdicts() {
    let bed = Bed::full();
    let (agent, building) = (AgentId::from_u128(1), bed.building(MASKED));
    let days = |bed: &Bed| {
        let span = (jiff::civil::date(2026, 3, 1), jiff::civil::date(2026, 3, 9));
        let mut days = bed.control.days(Some(building), span.0, span.1).expect("days");
        days.retain(|day| day.scope == Scope::Building(building));
        days
    };
    let before = days(&bed);
    let answer = bed.delete(&address("?confirm=berlin-1")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let gone = answer.json();
    assert_eq!((&gone["paths"], &gone["windows"]), (&json!(1), &json!(2_880)));
    assert_eq!(
        (&gone["slots"], &gone["others"], &gone["placements"]),
        (&json!(192), &json!(1), &json!(1))
    );
    // Two days of its path, and the incident that only it suffers from.
    assert_eq!((&gone["verdicts"], &gone["incidents"]), (&json!(2), &json!(1)));
    bed.get("/api/v1/incidents/1").await.problem(StatusCode::NOT_FOUND);
    assert_eq!(bed.telemetry.paths(None).expect("paths"), []);
    let always = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
    let gaps = bed.telemetry.others(agent, RecordKind::Gap, always.0, always.1, 9);
    assert_eq!(gaps.expect("gaps"), []);
    assert!(!bed.get("/api/v1/agents?removed=true").await.body.contains("berlin-1"));
    assert_eq!(days(&bed), before, "what the building was judged to be");
    bed.delete(&address("?confirm=berlin-1")).await.problem(StatusCode::NOT_FOUND);

    let audit = bed.items("/api/v1/audit").await;
    assert_eq!(
        (&audit[0]["action"], &audit[0]["actor"]),
        (&json!("forget-agent"), &json!("local operator"))
    );
    assert_eq!(audit[0]["subject"], format!("agent {agent}"));
    assert!(audit[0]["subject_name"].is_null());
    let detail = audit[0]["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("paths=1 windows=2880 slots=192 "), "{detail}");
}

#[tokio::test]
async fn a_removed_agent_is_listed_when_asked_for() {
    let bed = Bed::full();
    let remove = address("/remove");
    bed.post(&remove, &json!({ "confirm": "tokyo-1" }))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    let answer = bed.post(&remove, &json!({ "confirm": "berlin-1" })).await;
    assert_eq!((answer.status, &answer.json()["name"]), (StatusCode::OK, &json!("berlin-1")));
    assert_eq!(bed.control.agent_secret(AgentId::from_u128(1)).expect("a read"), None);
    let names = async |address| -> Vec<(String, bool)> {
        let agents = bed.items(address).await;
        let name = |agent: &serde_json::Value| {
            let name = agent["name"].as_str().expect("a name").to_owned();
            (name, agent["removed_utc"].is_string())
        };
        agents.iter().map(name).collect()
    };
    let (berlin, tokyo) = (("berlin-1".to_owned(), true), ("tokyo-1".to_owned(), false));
    assert_eq!(names("/api/v1/agents").await, std::slice::from_ref(&tokyo));
    assert_eq!(names("/api/v1/agents?removed=true").await, [berlin, tokyo]);
    assert_eq!(bed.items("/api/v1/paths").await.len(), 1, "what it measured stays");
    let twice = bed.post(&remove, &json!({ "confirm": "berlin-1" })).await;
    twice.problem(StatusCode::CONFLICT);
    // It can still be forgotten.
    assert_eq!(bed.delete(&address("?confirm=berlin-1")).await.status, StatusCode::OK);
}

/// Nothing of it is acknowledged once it was answered that it is gone.
#[tokio::test]
async fn who_is_removed_or_forgotten_loses_its_live_session() {
    let bed = Bed::full();
    let (ended, berlin) = (bed.ended_sessions(), AgentId::from_u128(1));
    let remove = address("/remove");
    bed.post(&remove, &json!({ "confirm": "tokyo-1" }))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    bed.delete(&address("?confirm=tokyo-1")).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ended.agents(), [], "who stays keeps its session");
    let answer = bed.post(&remove, &json!({ "confirm": "berlin-1" })).await;
    assert_eq!((answer.status, ended.agents()), (StatusCode::OK, vec![berlin]));
    let answer = bed.delete(&address("?confirm=berlin-1")).await;
    assert_eq!((answer.status, ended.agents()), (StatusCode::OK, vec![berlin; 2]));
}

#[tokio::test]
async fn an_agent_is_bound_anew() {
    let bed = Bed::full();
    let binding = || bed.control.agents().expect("agents")[0].binding;
    let tokyo = Binding::Subnet { prefix: "10.2.1.0/24".parse().expect("a prefix"), egress: None };
    let answer = bed.post(&address("/bind"), &json!({ "building": "Always Bad" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!((&answer.json()["bound_prefix"], binding()), (&json!("10.2.1.0/24"), tokyo));
    let answer = bed.post(&address("/bind"), &json!({ "by_address": true })).await;
    assert_eq!((answer.status, binding()), (StatusCode::OK, Binding::Address));
    for (body, sentence) in [
        (json!({}), "by_address"),
        (json!({ "by_address": true, "building": MASKED }), "by_address"),
        (json!({ "building": "Nowhere" }), "Nowhere"),
        (json!({ "bulding": MASKED }), "bulding"),
    ] {
        let answer = bed.post(&address("/bind"), &body).await;
        let detail = answer.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(detail.contains(sentence), "{detail}");
    }
    let stranger = format!("/api/v1/agents/{}/bind", AgentId::from_u128(9));
    let answer = bed.post(&stranger, &json!({ "by_address": true })).await;
    answer.problem(StatusCode::NOT_FOUND);
    let audit = bed.items("/api/v1/audit?limit=2").await;
    let told: Vec<_> = audit.iter().map(|entry| (&entry["action"], &entry["detail"])).collect();
    let bound = json!("bind-agent");
    assert_eq!(told, [(&bound, &json!("bound=address")), (&bound, &json!("bound=subnet"))]);
    assert_eq!(audit[0]["subject_name"], "berlin-1");
}
