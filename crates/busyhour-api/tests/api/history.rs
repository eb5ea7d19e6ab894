//! The inventory of another time, and the audit.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::Bed;

const FILE: &str = "\
10.10.0.0,Floor 1,24,Munich,Contoso,Office,Regional,Munich,80331,DE,BY,EMEA,1,0,0\n";

#[tokio::test]
async fn earlier_versions_of_the_building_file_can_be_had() {
    let bed = Bed::full();
    let exports = async |parameters: &str| {
        let file = bed.get(&format!("/api/v1/buildings/export{parameters}")).await;
        let companion = bed.get(&format!("/api/v1/buildings/export/companion{parameters}")).await;
        assert_eq!((file.status, companion.status), (StatusCode::OK, StatusCode::OK));
        file.body + &companion.body
    };
    let before = exports("").await;
    let imported = bed.post("/api/v1/buildings/import", &json!({ "file": FILE })).await.json();
    assert_eq!(imported["version"], 2);
    let files = bed.items("/api/v1/buildings/files").await;
    let told: Vec<_> = files.iter().map(|file| (&file["version"], &file["buildings"])).collect();
    assert_eq!(told, [(&json!(2), &json!(1)), (&json!(1), &json!(3))]);
    assert_eq!(files[0]["from_utc"], files[1]["until_utc"]);
    assert_eq!(files[0]["actor"], "local operator");

    assert_ne!(exports("").await, before);
    assert_eq!(exports("?version=1").await, before);
    assert_eq!(exports("?at=2026-03-02T09:00:00Z").await, before);
    assert_eq!(exports("?version=2").await, exports("").await);
    let digest: [u8; 32] =
        sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&before)).into();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(files[1]["sha256"], digest, "of both exports, one after the other");

    let subnets = async |parameters: &str| -> Vec<(Value, Value)> {
        let subnets = bed.items(&format!("/api/v1/subnets{parameters}")).await;
        subnets.iter().map(|s| (s["prefix"].clone(), s["agent_count"].clone())).collect()
    };
    assert_eq!(subnets("").await, [(json!("10.10.0.0/24"), json!(0))]);
    let then = ["10.3.1.0/24", "10.2.1.0/24", "10.1.1.0/24"].map(|prefix| json!(prefix));
    let then = then.into_iter().zip([json!(0), json!(1), json!(1)]).collect::<Vec<_>>();
    assert_eq!(subnets("?at=2026-03-02T09:00:00Z").await, then);
    assert_eq!(subnets("?at=2020-01-01T00:00:00Z").await, []);

    let export = "/api/v1/buildings/export";
    let missing = bed.get(&format!("{export}?version=7")).await.problem(StatusCode::NOT_FOUND);
    assert!(missing.contains("no version 7"), "{missing}");
    for nonsense in ["?version=x", "?at=yesterday", "?version=1&at=2026-03-02T09:00:00Z"] {
        bed.get(&format!("{export}{nonsense}")).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn the_audit_tells_what_was_done_newest_first() {
    let bed = Bed::full();
    bed.post("/api/v1/agents", &json!({ "name": "berlin-2" })).await;
    let audit = bed.items("/api/v1/audit").await;
    let actions: Vec<_> = audit.iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["add-agent", "add-agent", "add-agent", "import"].map(|word| json!(word)));
    assert_eq!(audit[0]["subject_name"], "berlin-2");
    assert_eq!(audit[0]["at_utc"], "2026-03-06T16:00:00Z");
    assert_eq!(audit[3]["subject"], "building-file 1");
    assert!(audit[3]["detail"].as_str().expect("a detail").starts_with("buildings=3 added=3 "));

    assert_eq!(bed.items("/api/v1/audit?limit=1").await, audit[..1]);
    assert_eq!(bed.items("/api/v1/audit?since=2026-03-06T16:00:00Z").await, audit[..1]);
    assert_eq!(bed.items("/api/v1/audit?until=2026-03-06T16:00:00Z").await, audit[1..]);
    bed.get("/api/v1/audit?from=monday").await.problem(StatusCode::BAD_REQUEST);
    // What is only tried is not in it.
    bed.post("/api/v1/agents", &json!({ "name": "berlin-2" })).await;
    bed.post("/api/v1/buildings/import", &json!({ "file": FILE, "dry_run": true })).await;
    assert_eq!(bed.items("/api/v1/audit").await, audit);
}
