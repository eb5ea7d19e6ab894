//! Letting agents in.

use std::time::Duration;

use axum::http::StatusCode;
use busyhour_model::AgentId;
use busyhour_store::Binding;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{Bed, MASKED, NOW, append_gaps};

#[tokio::test]
async fn the_secret_is_told_once_and_only_its_digest_is_kept() {
    let bed = Bed::full();
    let answer =
        bed.post("/api/v1/agents", &json!({ "name": "berlin-2", "building": MASKED })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let answer = answer.json();
    let line = answer["secret_line"].as_str().expect("a secret");
    let (id, secret) = line.split_once('.').expect("an id and a secret");
    assert_eq!(answer["id"], id);
    assert_eq!(secret.len(), 64);
    let id: AgentId = id.parse().expect("an id");
    let (digest, simulated) = bed.control.agent_secret(id).expect("a read").expect("the agent");
    let expected: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    assert_eq!((digest, simulated), (expected, false));
    let listed = bed.get("/api/v1/agents").await.body;
    assert!(listed.contains("berlin-2") && !listed.contains(secret));

    let again = bed.post("/api/v1/agents", &json!({ "name": "berlin-3" })).await.json();
    assert_ne!(again["secret_line"], answer["secret_line"]);
}

#[tokio::test]
async fn a_week_of_a_gap_a_minute_is_told_whole() {
    let bed = Bed::full();
    let agent = AgentId::from_u128(2);
    // Eight days: those of the day before the week are looked at, too.
    let started = NOW.minus(Duration::from_secs(8 * 86_400));
    append_gaps(bed.telemetry.as_ref(), agent, started, (60, 8 * 1_440));
    let agents = bed.items("/api/v1/agents").await;
    let tokyo = agents.iter().find(|item| item["name"] == "tokyo-1").expect("it is there");
    assert_eq!(tokyo["gap_hours_7d"], 168.0);
    let address = format!("/api/v1/agents/{agent}/gaps");
    let first = bed.get(&address).await.json();
    let next = first["next"].as_str().expect("ten thousand are not all");
    let rest = bed.items(&format!("{address}?after={next}")).await;
    assert_eq!(rest.len(), 7 * 1_440 - 10_000);
    assert_eq!(rest.last().expect("a gap")["started_utc"], "2026-03-06T15:59:00Z");
}

#[tokio::test]
async fn an_agent_is_bound_as_asked() {
    let bed = Bed::full();
    let prefix = "10.1.1.0/24".parse().expect("a prefix");
    let bound = Binding::Subnet { prefix, egress: None };
    for (name, body, binding) in [
        ("a", json!({ "name": "a", "subnet": "10.1.1.0/24", "simulated": true }), bound),
        ("b", json!({ "name": "b", "subnet": "10.1.1.7/24" }), bound),
        ("c", json!({ "name": "c", "building": MASKED }), bound),
        ("d", json!({ "name": "d", "building": MASKED, "subnet": "10.1.1.0/24" }), bound),
        ("e", json!({ "name": "e" }), Binding::Address),
    ] {
        let answer = bed.post("/api/v1/agents", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let agents = bed.control.agents().expect("agents");
        let agent = agents.iter().find(|agent| agent.name == name).expect("the agent");
        assert_eq!((agent.binding, agent.simulated), (binding, name == "a"));
    }
}

#[tokio::test]
async fn nonsense_is_refused_with_a_sentence() {
    let bed = Bed::full();
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    for (body, status, sentence) in [
        (json!({ "name": "berlin-1" }), StatusCode::CONFLICT, "already"),
        (json!({ "name": "  " }), unprocessable, "1 to 128 bytes"),
        (json!({ "name": "a\nb" }), unprocessable, "control characters"),
        (json!({ "name": "x", "building": "Nowhere" }), unprocessable, "Nowhere"),
        (json!({ "name": "x", "subnet": "10.9.9.0/24" }), unprocessable, "10.9.9.0/24"),
        (json!({ "name": "x", "subnet": "ten" }), StatusCode::BAD_REQUEST, "subnet"),
        (json!({ "name": "x", "sbunet": "10.1.1.0/24" }), unprocessable, "sbunet"),
    ] {
        let detail = bed.post("/api/v1/agents", &body).await.problem(status);
        assert!(detail.contains(sentence), "{detail}");
    }
    assert_eq!(bed.control.agents().expect("agents").len(), 2);
}

#[tokio::test]
async fn a_building_with_several_subnets_is_not_enough_and_they_are_named() {
    let bed = Bed::empty();
    let file = "10.10.0.0,One,24,Munich,,,,Munich,,DE,BY,EMEA,1,0,0\n\
                10.10.1.0,Two,24,Munich,,,,Munich,,DE,BY,EMEA,1,0,0\n";
    bed.post("/api/v1/buildings/import", &json!({ "file": file })).await;
    let body = json!({ "name": "munich-1", "building": "Munich" });
    let detail = bed.post("/api/v1/agents", &body).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(detail.contains("2 subnets"), "{detail}");
    assert!(detail.contains("10.10.0.0/24, 10.10.1.0/24"), "{detail}");
    assert!(bed.control.agents().expect("agents").is_empty());
    let body = json!({ "name": "munich-1", "building": "Munich", "subnet": "10.10.1.0/24" });
    let answer = bed.post("/api/v1/agents", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
}

#[tokio::test]
async fn agents_are_listed_with_where_they_are() {
    let bed = Bed::full();
    let agents = bed.items("/api/v1/agents").await;
    assert_eq!(agents[0]["name"], "berlin-1");
    assert_eq!(agents[0]["building"], MASKED);
    assert_eq!(agents[0]["subnet"], "10.1.1.0/24");
    assert_eq!(agents[0]["simulated"], true);
    assert!(agents[0]["last_seen_utc"].is_null());
    assert_eq!(agents[0]["gap_hours_7d"], 2.0);
    assert_eq!(agents[0]["gap_main_reason_7d"], "not-running");
    assert_eq!(agents[0]["gaps_7d"], "the agent was not running for 2.0 h");
    assert_eq!((&agents[1]["gap_hours_7d"], &agents[1]["gaps_7d"]), (&json!(0.0), &json!("")));

    let gaps = bed.items(&format!("/api/v1/agents/{}/gaps", AgentId::from_u128(1))).await;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0]["reason"], "not-running");
    assert_eq!(gaps[0]["started_utc"], "2026-03-04T23:00:00Z");
    assert_eq!(gaps[0]["duration_us"], 7_200_000_000_u64);
    let nobody = AgentId::from_u128(99);
    bed.get(&format!("/api/v1/agents/{nobody}/gaps")).await.problem(StatusCode::NOT_FOUND);
}
