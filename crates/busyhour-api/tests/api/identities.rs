//! Enrolment tokens, and the agents that came by them.

use axum::http::StatusCode;
use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{AgentCertificate, Enrolment, LetIn, TokenId, TokenRefusal};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Bed, MASKED, NOW};

const AGENT: AgentId = AgentId::from_u128(77);

/// What a machine with this token gets.
fn enrol(bed: &Bed, token: &str, key: u8) -> Result<LetIn, TokenRefusal> {
    let parts: Vec<&str> = token.split('.').collect();
    let [kind, id, secret, pin] = parts.as_slice() else { panic!("no token: {token}") };
    assert_eq!((*kind, pin.len()), ("bh1", 64));
    let certificate = AgentCertificate {
        serial: [key; 16],
        key_sha256: [key; 32],
        from: NOW,
        until: UtcMicros(NOW.0 + 1_000_000),
    };
    let enrolment = Enrolment {
        token: id.parse::<TokenId>().expect("a token's id"),
        secret_sha256: Sha256::digest(secret.as_bytes()).into(),
        peer: None,
        agent: AGENT,
        certificate,
        at: NOW,
    };
    bed.identities.enrol(&enrolment).expect("the store works")
}

async fn token(bed: &Bed, body: &Value) -> Value {
    let answer = bed.post("/api/v1/tokens", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn a_token_is_shown_once_and_lets_in_as_many_as_it_says() {
    let bed = Bed::full();
    let made = token(&bed, &json!({"building": MASKED, "life_s": 3600})).await;
    let text = made["token"].as_str().expect("a token");
    assert_eq!(
        (&made["building"], &made["expires_utc"]),
        (&json!(MASKED), &json!("2026-03-06T17:00:00Z"))
    );
    enrol(&bed, text, 1).expect("let in");
    assert_eq!(enrol(&bed, text, 2), Err(TokenRefusal::Used));
    let listed = &bed.items("/api/v1/tokens").await[0];
    assert_eq!((&listed["id"], &listed["state"]), (&made["id"], &json!("used")));
    assert_eq!((&listed["uses"], &listed["uses_left"]), (&json!(1), &json!(0)));
    let secret = text.split('.').nth(2).expect("a secret");
    assert!(!listed.to_string().contains(secret));
    assert!(!bed.get("/api/v1/audit").await.body.contains(secret));
}

#[tokio::test]
async fn a_revoked_token_lets_nobody_in() {
    let bed = Bed::full();
    let made = token(&bed, &json!({"subnet": "10.1.1.0/24", "uses": 3})).await;
    assert_eq!(made["building"], MASKED);
    let address = format!("/api/v1/tokens/{}", made["id"].as_str().expect("an id"));
    assert_eq!(bed.delete(&address).await.status, StatusCode::OK);
    let text = made["token"].as_str().expect("a token");
    assert_eq!(enrol(&bed, text, 1), Err(TokenRefusal::Revoked));
    assert_eq!(bed.items("/api/v1/tokens").await[0]["state"], "revoked");
    bed.delete("/api/v1/tokens/0123456789").await.problem(StatusCode::NOT_FOUND);
    bed.delete("/api/v1/tokens/all").await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_token_that_cannot_be_is_refused_with_the_reason() {
    let bed = Bed::full();
    for (body, expected) in [
        (json!({}), "for a building"),
        (json!({"building": "Nowhere"}), "Nowhere"),
        (json!({"subnet": "10.9.9.0/24"}), "10.9.9.0/24"),
        (json!({"building": MASKED, "subnet": "10.2.1.0/24"}), "10.2.1.0/24"),
        (json!({"building": MASKED, "life_s": 90_000}), "24 hours"),
        (json!({"building": MASKED, "uses": 0}), "1 to 1000"),
    ] {
        let said =
            bed.post("/api/v1/tokens", &body).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(said.contains(expected), "{said}");
    }
    for body in [
        json!({"building": MASKED, "peers": "everywhere"}),
        json!({"building": MASKED, "approval": "never"}),
    ] {
        bed.post("/api/v1/tokens", &body).await.problem(StatusCode::BAD_REQUEST);
    }
    assert!(bed.items("/api/v1/tokens").await.is_empty());
}

#[tokio::test]
async fn an_agent_waits_is_approved_and_revoked() {
    let bed = Bed::full();
    let made = token(&bed, &json!({"building": MASKED, "approval": "manual"})).await;
    enrol(&bed, made["token"].as_str().expect("a token"), 1).expect("let in");
    let state = async || bed.items("/api/v1/identities").await[0]["state"].clone();
    let found = &bed.items("/api/v1/identities").await[0];
    assert_eq!((&found["id"], &found["state"]), (&json!(AGENT.to_string()), &json!("waiting")));
    assert_eq!((&found["building"], &found["token"]), (&json!(MASKED), &made["id"]));

    let nobody = json!({"building": "Always Bad"});
    let approved = bed.post("/api/v1/identities/approve", &nobody).await.json();
    assert_eq!((&approved["items"], state().await), (&json!([]), json!("waiting")));
    let approved =
        bed.post("/api/v1/identities/approve", &json!({"building": MASKED})).await.json();
    assert_eq!(approved["items"], json!([{"id": AGENT.to_string()}]));
    assert_eq!(state().await, "active");

    let of_agent = |what: &str| format!("/api/v1/identities/{AGENT}/{what}");
    let long = json!({"reason": "x".repeat(513)});
    bed.post(&of_agent("revoke"), &long).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let revoked = bed.post(&of_agent("revoke"), &json!({"reason": "it was stolen"})).await;
    assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.body);
    let found = &bed.items("/api/v1/identities").await[0];
    assert_eq!((&found["state"], &found["reason"]), (&json!("revoked"), &json!("it was stolen")));
    bed.post(&of_agent("approve"), &json!({})).await.problem(StatusCode::CONFLICT);
    let other = "/api/v1/identities/00000000-0000-4000-8000-000000000000/revoke";
    bed.post(other, &json!({})).await.problem(StatusCode::NOT_FOUND);
}
