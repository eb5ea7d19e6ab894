//! The inventory of another time, and the audit.

use axum::http::StatusCode;
use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{Act, Actor, Binding, Sighting};
use serde_json::{Value, json};

use crate::support::{Bed, MONDAY};

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
    // Page by page, also when somebody does something meanwhile.
    let (mut paged, mut next) = (Vec::new(), "limit=1".to_owned());
    loop {
        let page = bed.get(&format!("/api/v1/audit?{next}")).await.json();
        paged.extend(page["items"].as_array().expect("a list").clone());
        let Some(after) = page["next"].as_str() else { break };
        assert!(paged.len() < 9, "it goes on for ever: {page}");
        next = format!("limit=1&after={after}");
        if paged.len() == 1 {
            bed.post("/api/v1/owners", &json!({ "name": "NOC" })).await;
        }
    }
    assert_eq!(paged, audit, "what came meanwhile is in front of it");
    assert_eq!(bed.items("/api/v1/audit").await.len(), audit.len() + 1);
    for nonsense in ["1-0000000000000000", "a1", "a.1", "ax.1", "a99999999999999999999.1"] {
        let address = format!("/api/v1/audit?after={nonsense}");
        bed.get(&address).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn an_agents_history_tells_its_places_and_who_bound_it() {
    let bed = Bed::full();
    let agent = AgentId::from_u128(1);
    let address = format!("/api/v1/agents/{agent}/history");
    let rows = async || -> Vec<[Value; 7]> {
        let columns = [
            "from_utc",
            "until_utc",
            "building",
            "subnet",
            "bound_prefix",
            "bound_egress",
            "actor",
        ];
        let items = bed.items(&address).await;
        items.iter().map(|row| columns.map(|column| row[column].clone())).collect()
    };
    let monday = json!("2026-03-01T23:00:00Z");
    let operator = json!("local operator");
    let first = |until: Value| {
        let berlin = [json!("Berlin HQ"), json!("10.1.1.0/24"), json!("10.1.1.0/24")];
        let [building, subnet, bound] = berlin;
        [monday.clone(), until, building, subnet, bound, Value::Null, operator.clone()]
    };
    assert_eq!(rows().await, [first(Value::Null)]);

    // By its address from Tuesday on; a place that it tells on Wednesday.
    let hour = |hours: i64| UtcMicros(MONDAY.0 + hours * 3_600_000_000);
    let eva = |at| Act { at, actor: Actor::new("eva").expect("a name") };
    bed.control.bind_agent(agent, Binding::Address, &eva(hour(24))).expect("bind");
    let seen = Sighting {
        at: hour(48),
        version: "1".to_owned(),
        os: "linux".to_owned(),
        local_prefix: Some("10.2.1.0/24".parse().expect("a prefix")),
        peer: None,
    };
    bed.control.saw_agent(agent, &seen).expect("a sighting");
    let (tuesday, wednesday) = (json!("2026-03-02T23:00:00Z"), json!("2026-03-03T23:00:00Z"));
    let null = || Value::Null;
    let by_eva = json!("eva");
    let placed = [
        wednesday.clone(),
        null(),
        json!("Always Bad"),
        json!("10.2.1.0/24"),
        null(),
        null(),
        by_eva.clone(),
    ];
    let nowhere = [tuesday.clone(), wednesday, null(), null(), null(), null(), by_eva];
    assert_eq!(rows().await, [placed, nowhere, first(tuesday.clone())]);

    // A building that ended is called as it was, and an agent that was removed is nowhere.
    let thursday = eva(hour(72));
    bed.control.import_buildings(&[], &thursday).expect("import");
    bed.control.remove_agent(agent, &thursday).expect("remove");
    let after = rows().await;
    assert_eq!(after.len(), 3, "{after:?}");
    assert_eq!(
        (&after[0][1], &after[0][2]),
        (&json!("2026-03-04T23:00:00Z"), &json!("Always Bad"))
    );
    assert_eq!(after[2], first(tuesday));

    let stranger = format!("/api/v1/agents/{}/history", AgentId::from_u128(9));
    bed.get(&stranger).await.problem(StatusCode::NOT_FOUND);
    bed.get("/api/v1/agents/x/history").await.problem(StatusCode::BAD_REQUEST);
}
