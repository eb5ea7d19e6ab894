//! Users and API tokens over the API, the audit's chain, and secrets that are nowhere.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Answer, Bed, CODE, MASKED};

const EVA: &str = "correct horse battery";
const VERA: &str = "canary-of-vera-staple";

async fn send(bed: &Bed, method: &str, address: &str, token: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(address)
        .header("host", "localhost:8080")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    bed.send(request, Body::from(body.to_string())).await
}

/// A bed with eva as its administrator, and her session's token.
async fn with_eva(bed: &Bed) -> String {
    let body = json!({ "code": CODE, "name": "eva", "password": EVA });
    let answer = bed.post("/api/v1/set-up", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()["token"].as_str().expect("a token").to_owned()
}

async fn sign_in(bed: &Bed, name: &str, password: &str) -> Answer {
    bed.post("/api/v1/sign-in", &json!({ "name": name, "password": password })).await
}

#[tokio::test]
async fn a_user_is_added_changed_and_removed() {
    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    let vera = json!({ "name": "vera", "password": VERA, "role": "viewer", "buildings": [MASKED] });
    let added = send(&bed, "POST", "/api/v1/users", &eva, &vera).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    let twice = send(&bed, "POST", "/api/v1/users", &eva, &vera).await;
    assert!(twice.problem(StatusCode::CONFLICT).contains("vera"));
    let session = sign_in(&bed, "vera", VERA).await.json();
    assert_eq!(session["role"], "viewer");
    assert_eq!(session["building_ids"], json!([bed.building(MASKED).to_string()]));
    let session = session["token"].as_str().expect("a token");
    let buildings = send(&bed, "GET", "/api/v1/buildings", session, &Value::Null).await.json();
    assert_eq!(buildings["items"].as_array().expect("a list").len(), 1);

    let more = json!({ "role": "viewer" });
    send(&bed, "POST", "/api/v1/users/vera/grant", &eva, &more).await.json();
    let buildings = send(&bed, "GET", "/api/v1/buildings", session, &Value::Null).await.json();
    assert_eq!(buildings["items"].as_array().expect("a list").len(), 3, "at once");
    let password = json!({ "password": "another staple of canaries" });
    send(&bed, "POST", "/api/v1/users/vera/password", &eva, &password).await.json();
    let after = send(&bed, "GET", "/api/v1/whoami", session, &Value::Null).await;
    after.problem(StatusCode::UNAUTHORIZED);
    let session = sign_in(&bed, "vera", "another staple of canaries").await.json();
    let session = session["token"].as_str().expect("a token");
    send(&bed, "DELETE", "/api/v1/users/vera", &eva, &Value::Null).await.json();
    let after = send(&bed, "GET", "/api/v1/whoami", session, &Value::Null).await;
    after.problem(StatusCode::UNAUTHORIZED);
    let last = send(&bed, "DELETE", "/api/v1/users/eva", &eva, &Value::Null).await;
    assert!(last.problem(StatusCode::CONFLICT).contains("only administrator"));
}

#[tokio::test]
async fn a_grant_that_cannot_be_is_refused_with_a_sentence() {
    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    for (change, sentence) in [
        (json!({ "role": "root" }), "viewer, operator, administrator or auditor"),
        (json!({ "role": "auditor", "buildings": [MASKED] }), "sees all buildings"),
        (json!({ "buildings": ["Atlantis"] }), "Atlantis"),
        (json!({ "name": "Vera" }), "lower-case"),
        (json!({ "password": "short" }), "12 characters"),
    ] {
        let mut user = json!({ "name": "vera", "password": VERA, "role": "viewer" });
        for (key, value) in change.as_object().expect("an object") {
            user[key] = value.clone();
        }
        let refused = send(&bed, "POST", "/api/v1/users", &eva, &user).await;
        let detail = refused.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(detail.contains(sentence), "{detail}");
    }
    assert_eq!(bed.accounts.users().expect("users").len(), 1);
}

#[tokio::test]
async fn an_api_token_is_told_once_and_good_until_it_expires_or_is_revoked() {
    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    let body = json!({ "name": "grafana", "role": "viewer", "buildings": [MASKED], "days": 1 });
    let made = send(&bed, "POST", "/api/v1/api-tokens", &eva, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    let token = made["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("bh_") && token.len() == 67, "{token}");
    let listed = send(&bed, "GET", "/api/v1/api-tokens", &eva, &Value::Null).await;
    assert!(!listed.body.contains(&token));
    let item = &listed.json()["items"][0];
    assert_eq!((&item["name"], &item["made_by"]), (&json!("grafana"), &json!("eva")));
    assert_eq!((&item["buildings"], &item["used_utc"]), (&json!(MASKED), &Value::Null));
    let who = send(&bed, "GET", "/api/v1/whoami", &token, &Value::Null).await.json();
    assert_eq!((&who["kind"], &who["name"]), (&json!("api-token"), &json!("token grafana")));
    let listed = send(&bed, "GET", "/api/v1/api-tokens", &eva, &Value::Null).await.json();
    assert_eq!(listed["items"][0]["used_utc"], "2026-03-06T16:00:00Z");
    bed.wait(std::time::Duration::from_secs(86_400));
    let expired = send(&bed, "GET", "/api/v1/whoami", &token, &Value::Null).await;
    expired.problem(StatusCode::UNAUTHORIZED);

    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    let made = send(&bed, "POST", "/api/v1/api-tokens", &eva, &body).await.json();
    let token = made["token"].as_str().expect("a token").to_owned();
    send(&bed, "DELETE", "/api/v1/api-tokens/grafana", &eva, &Value::Null).await.json();
    let revoked = send(&bed, "GET", "/api/v1/whoami", &token, &Value::Null).await;
    revoked.problem(StatusCode::UNAUTHORIZED);
    let long = json!({ "name": "ever", "role": "viewer", "days": 4_000 });
    let refused = send(&bed, "POST", "/api/v1/api-tokens", &eva, &long).await;
    refused.problem(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_somebody_does_is_audited_under_their_name() {
    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    let body = json!({ "name": "robot", "role": "operator" });
    let made = send(&bed, "POST", "/api/v1/api-tokens", &eva, &body).await.json();
    let robot = made["token"].as_str().expect("a token").to_owned();
    let agent = json!({ "name": "berlin-9", "building": MASKED });
    send(&bed, "POST", "/api/v1/agents", &robot, &agent).await.json();
    let agent = json!({ "name": "berlin-10", "building": MASKED });
    send(&bed, "POST", "/api/v1/agents", &eva, &agent).await.json();
    let audit = send(&bed, "GET", "/api/v1/audit?limit=5", &eva, &Value::Null).await.json();
    let told: Vec<String> = audit["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| [&e["actor"], &e["action"], &e["subject_name"]].map(|v| v.as_str().unwrap_or("-")))
        .map(|words| words.join(" "))
        .collect();
    let expected = [
        "eva add-agent berlin-10",
        "token robot add-agent berlin-9",
        "eva make-api-token robot",
        "eva sign-in eva",
        "local operator add-user eva",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn the_audit_is_exported_so_that_anybody_can_follow_its_chain() {
    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    let chain = send(&bed, "GET", "/api/v1/audit/chain", &eva, &Value::Null).await.json();
    assert_eq!(chain["whole"], true);
    let export = send(&bed, "GET", "/api/v1/audit/export", &eva, &Value::Null).await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let mut link = [0u8; 32];
    let mut last = Value::Null;
    for line in export.body.lines() {
        let entry: Value = serde_json::from_str(line).expect("a line of JSON");
        let number = |name: &str| entry[name].as_i64().expect("a number").to_be_bytes();
        let mut digest = Sha256::new();
        digest.update(b"busyhour audit 1");
        digest.update(link);
        digest.update(number("number"));
        digest.update(number("at_us"));
        for name in ["actor", "action", "subject", "detail"] {
            let text = entry[name].as_str().expect("a text");
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        link = digest.finalize().into();
        let told: String = link.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entry["link"], told);
        last = entry;
    }
    assert_eq!((&chain["head"], &chain["head_link"]), (&last["number"], &last["link"]));
    let (number, told) = (&last["number"], last["link"].as_str().expect("a link"));
    for (link, known) in [(told.to_owned(), true), (told.replace(&told[..1], "x"), false)] {
        let address = format!("/api/v1/audit/chain?number={number}&link={link}");
        let chain = send(&bed, "GET", &address, &eva, &Value::Null).await.json();
        assert_eq!(chain["known"], known);
    }
    let rest = format!("/api/v1/audit/export?after={number}");
    assert_eq!(send(&bed, "GET", &rest, &eva, &Value::Null).await.body, "");
}

/// The log as text, of everything down to the smallest detail.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_are_in_no_log_no_answer_and_no_file() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bed = Bed::full();
    let eva = with_eva(&bed).await;
    let token = json!({ "name": "robot", "role": "administrator" });
    let made = send(&bed, "POST", "/api/v1/api-tokens", &eva, &token).await.json();
    let robot = made["token"].as_str().expect("a token").to_owned();
    let vera = json!({ "name": "vera", "password": VERA, "role": "viewer" });
    let mut answers = send(&bed, "POST", "/api/v1/users", &robot, &vera).await.body;
    let session = sign_in(&bed, "vera", VERA).await.json();
    let session = session["token"].as_str().expect("a token").to_owned();
    // Whatever is wrong with what was sent, it is not said again.
    for (address, body) in [
        ("/api/v1/sign-in", json!({ "name": "vera", "password": [VERA] })),
        ("/api/v1/sign-in", json!({ "name": VERA, "password": EVA })),
        ("/api/v1/sign-in", json!({ "name": "vera", "passwort": VERA })),
        ("/api/v1/users", json!({ "name": "v", "password": VERA, "role": "root" })),
        ("/api/v1/users", json!({ "name": "v", "password": { "a": VERA }, "role": "viewer" })),
        ("/api/v1/users/vera/password", json!({ "password": VERA, "more": VERA })),
        ("/api/v1/password", json!({ "password": VERA, "new_password": EVA })),
    ] {
        answers += &send(&bed, "POST", address, &robot, &body).await.body;
    }
    for (_, route) in busyhour_api::route_list() {
        if !route.contains('{') {
            answers += &send(&bed, "GET", &route, &robot, &Value::Null).await.body;
        }
    }
    answers +=
        &send(&bed, "GET", &format!("/{robot}?x={session}"), &robot, &Value::Null).await.body;
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert!(log.contains("a try to sign in was refused"), "the log is seen here");
    let mut files = Vec::new();
    for file in std::fs::read_dir(bed.directory()).expect("a directory") {
        let path = file.expect("an entry").path();
        if path.is_file() {
            files.extend(std::fs::read(path).expect("a file"));
        }
    }
    for secret in [EVA, VERA, &eva, &robot, &session, CODE] {
        assert!(!answers.contains(secret), "{secret} in an answer");
        assert!(!log.contains(secret), "{secret} in the log");
        let found = files.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "{secret} in a file");
    }
    assert!(!answers.contains("$argon2id$") && !log.contains("$argon2id$"));
}
