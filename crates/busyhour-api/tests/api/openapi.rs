//! The document is what the code is, and real answers are what the document says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use busyhour_api::{openapi, route_list};
use serde_json::{Value, json};

use crate::support::{Answer, Bed, MASKED, append_lately};

const PREFIX: &str = "/api/v1";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The comment on a handler, by its path in the crate.
fn about(handler: &str) -> Option<String> {
    let (module, name) = handler.rsplit_once("::")?;
    let source = fs::read_to_string(here(&format!("src/{}.rs", module.replace("::", "/")))).ok()?;
    let mut comment = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
        } else if line.starts_with(&format!("pub(crate) async fn {name}(")) {
            return Some(comment.join(" "));
        } else {
            comment.clear();
        }
    }
    None
}

fn document() -> Value {
    openapi(&about)
}

/// Method, address and operation of all.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| {
            (method.to_uppercase(), path.clone(), operation.clone())
        })
    });
    all.collect()
}

#[test]
fn the_committed_document_is_what_the_code_says() {
    let file = here("../../docs/openapi.json");
    let made = document();
    if std::env::var_os("UPDATE_OPENAPI").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).expect("a text");
        fs::write(&file, text + "\n").expect("written");
        return;
    }
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(&file).expect("read")).expect("JSON");
    assert!(
        kept == made,
        "docs/openapi.json is stale: run `UPDATE_OPENAPI=1 cargo test -p busyhour-api --test api openapi`"
    );
}

#[test]
fn every_route_of_the_api_is_in_the_document_and_nothing_else() {
    let document = document();
    let told: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| (method, format!("{PREFIX}{path}")))
        .collect();
    let routed: BTreeSet<(String, String)> =
        route_list().into_iter().filter(|(_, path)| path.starts_with(PREFIX)).collect();
    assert_eq!(told, routed);
    assert!(told.len() > 80);
}

/// Everything below a value that it points to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(to)) = object.get("$ref") {
                found.insert(to.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_operation_says_what_it_is_and_points_to_what_is_there() {
    let document = document();
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let named = format!("{method} {path}");
        assert!(!operation["summary"].as_str().expect("a summary").is_empty(), "{named}");
        assert!(names.insert(operation["operationId"].clone().to_string()), "{named}");
        let parameters: Vec<String> = operation["parameters"]
            .as_array()
            .expect("parameters")
            .iter()
            .map(|parameter| format!("{} {}", parameter["in"], parameter["name"]))
            .collect();
        let distinct: BTreeSet<&String> = parameters.iter().collect();
        assert_eq!(distinct.len(), parameters.len(), "{named}: {parameters:?}");
        let description = operation["description"].as_str().expect("a description");
        assert!(!description.contains("TODO"), "{named}");
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 80, "{}", found.len());
    for to in found {
        let at = to.strip_prefix('#').expect("within the document");
        assert!(document.pointer(at).is_some(), "{to}");
    }
}

/// The document with no field allowed that it does not tell.
fn strict(mut value: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.values_mut().for_each(close);
                let told = object.get("properties").is_some_and(Value::is_object);
                if told && object.get("type") == Some(&json!("object")) {
                    object.insert("additionalProperties".to_owned(), json!(false));
                }
            }
            Value::Array(values) => values.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut value);
    value
}

/// One JSON text, and not one a line.
fn is_json(answer: &Answer) -> bool {
    let media = answer.header("content-type").split(';').next().unwrap_or_default();
    media == "application/json" || media.ends_with("+json")
}

struct Held {
    components: Value,
    operations: BTreeMap<(String, String), Value>,
}

impl Held {
    fn new() -> Self {
        let document = strict(document());
        let operations = operations(&document).into_iter();
        Self {
            components: document["components"].clone(),
            operations: operations.map(|(method, path, of)| ((method, path), of)).collect(),
        }
    }

    /// What is wrong with an answer.
    fn check(&self, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
        let operation = &self.operations[&(method.to_owned(), path.to_owned())];
        let status = answer.status.as_u16();
        let class = format!("{}XX", status / 100);
        let responses = &operation["responses"];
        let mut response = &responses[status.to_string()];
        if response.is_null() {
            response = &responses[&class];
        }
        if let Some(to) = response["$ref"].as_str() {
            let at = to.strip_prefix("#/components").expect("a component");
            response = self.components.pointer(at).expect("it is there");
        }
        let media = answer.header("content-type").split(';').next().unwrap_or_default();
        let schema = &response["content"][media]["schema"];
        if schema.is_null() {
            return Err(format!("{status} {media} is not in the document"));
        }
        if !is_json(answer) {
            return Ok(());
        }
        let mut root = schema.clone();
        root["components"] = self.components.clone();
        let validator = jsonschema::validator_for(&root).expect("a schema");
        let value = answer.json();
        let mut wrong = validator
            .iter_errors(&value)
            .map(|error| format!("{error} at {}", error.instance_path()));
        wrong.next().map_or(Ok(()), Err)
    }
}

/// Something of everything.
async fn filled() -> Bed {
    let bed = Bed::full();
    append_lately(
        bed.telemetry.as_ref(),
        busyhour_model::AgentId::from_u128(1),
        crate::support::NOW,
        30,
        5,
    );
    for (address, body) in [
        ("/incidents/1/notes", json!({"text": "hello"})),
        ("/incidents/1/acknowledge", json!({"reason": "seen"})),
        ("/incidents/1/owner", json!({"name": "NOC", "contact": "noc@example.org"})),
        ("/owners", json!({"name": "WAN team", "cause": "bandwidth"})),
        ("/silences", json!({"causes": ["wifi"], "until": "2h", "reason": "a move"})),
        ("/maintenance", json!({"buildings": [MASKED], "until": "2h", "reason": "a move"})),
        ("/tasks", json!({"task": "review-buildings"})),
        ("/tokens", json!({"building": MASKED})),
        (
            "/configurations",
            json!({"name": "usual", "target": [{"name": "reflector:862", "profile": "audio-50"}]}),
        ),
        ("/configurations/assignments", json!({"revision": 1, "everywhere": true})),
    ] {
        let answer = bed.post(&format!("{PREFIX}{address}"), &body).await;
        let known = answer.status.is_success() || address == "/tasks";
        assert!(known, "{address}: {}", answer.body);
    }
    bed
}

fn address(bed: &Bed, path: &str) -> String {
    let id = match path {
        path if path.starts_with("/buildings/") => bed.building(MASKED).to_string(),
        path if path.starts_with("/agents/") => "00000000-0000-0000-0000-000000000001".to_owned(),
        _ => "1".to_owned(),
    };
    format!("{PREFIX}{}", path.replace("{id}", &id).replace("{name}", "nobody"))
}

/// Lists that have nothing in them here: nobody enrolled, made accounts or has channels.
const EMPTY: [&str; 6] =
    ["/api-tokens", "/channels", "/identities", "/subnets/missing", "/tasks/history", "/users"];

#[tokio::test]
async fn real_answers_are_what_the_document_says() {
    let bed = filled().await;
    let held = Held::new();
    let mut empty = BTreeSet::new();
    for (method, path) in held.operations.keys() {
        if method != "GET" || path == "/events" {
            continue;
        }
        let mut address = address(&bed, path);
        if path.ends_with("/windows") || path.ends_with("/hours") || path.ends_with("/gaps") {
            address.push_str("?from=2026-03-01T23:00:00Z&until=2026-03-06T23:00:00Z");
        }
        let answer = bed.get(&address).await;
        held.check(method, path, &answer).unwrap_or_else(|wrong| {
            panic!("{address}: {wrong}\n{}", &answer.body.chars().take(2_000).collect::<String>())
        });
        if path == "/channel-tests/{id}" {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body);
        let body = if is_json(&answer) { answer.json() } else { Value::Null };
        if body["items"].as_array().is_some_and(Vec::is_empty) {
            empty.insert(path.as_str());
        }
    }
    assert_eq!(empty.into_iter().collect::<Vec<_>>(), EMPTY);
}

#[tokio::test]
async fn every_list_is_paged_cut_and_written_in_three_forms_and_refuses_what_cannot_be_meant() {
    let bed = filled().await;
    let held = Held::new();
    let mut lists = 0;
    for ((method, path), operation) in &held.operations {
        let content = &operation["responses"]["200"]["content"];
        let is_list = content["application/json"]["schema"]["oneOf"].is_array();
        if method != "GET" || !is_list {
            continue;
        }
        lists += 1;
        let address = address(&bed, path);
        let of = |query: &str| format!("{address}?{query}");
        let whole = bed.get(&of("limit=10000")).await;
        let items = whole.json()["items"].as_array().expect("a list").clone();
        let schema = &content["application/json"]["schema"]["oneOf"][0]["properties"]["items"];
        let name = schema["items"]["$ref"].as_str().expect("a name").rsplit('/').next();
        let fields = &held.components["schemas"][name.expect("a name")]["properties"];
        let field = fields.as_object().expect("fields").keys().next().expect("a field");

        let page = bed.get(&of("limit=1")).await;
        held.check(method, path, &page).unwrap_or_else(|wrong| panic!("{address}: {wrong}"));
        if items.len() > 1 && path != "/top" && !path.ends_with("/estimates") {
            let next = page.json()["next"].as_str().expect("more").to_owned();
            assert!(page.header("link").contains(&next), "{address}");
            // Ages are others a moment later, and the list goes on where it was.
            bed.wait(std::time::Duration::from_secs(1));
            let items = bed.get(&of("limit=10000")).await.json()["items"].clone();
            let page = bed.get(&of(&format!("limit=1&after={next}"))).await.json();
            assert_eq!(page["items"], json!([items[1]]), "{address}");
        }
        let cut = bed.get(&of(&format!("fields={field}"))).await;
        held.check(method, path, &cut).unwrap_or_else(|wrong| panic!("{address}: {wrong}"));
        assert_eq!(cut.json()["fields"], json!([field]));

        let csv = bed.get(&of("format=csv")).await;
        held.check(method, path, &csv).unwrap_or_else(|wrong| panic!("{address}: {wrong}"));
        assert!(csv.body.lines().next().expect("names").contains(field.as_str()), "{address}");
        assert!(csv.header("content-disposition").contains(".csv"), "{address}");
        let request = Request::get(&address).header("host", "localhost:8080");
        let accepted = request.header("accept", "application/x-ndjson");
        let lines = bed.send(accepted, Body::empty()).await;
        assert_eq!(lines.header("content-type"), "application/x-ndjson");
        assert!(lines.body.lines().all(|line| line.starts_with('{')), "{address}");

        for hostile in [
            "limit=0",
            "limit=-1",
            "limit=1e9",
            "limit=99999999999999999999999",
            "limit=1&limit=2",
            "after=%00",
            "after=18446744073709551615-0",
            "fields=%27%20OR%201=1",
            "format=xml",
            "fields=",
        ] {
            let answer = bed.get(&of(hostile)).await;
            answer.problem(StatusCode::BAD_REQUEST);
            held.check(method, path, &answer).unwrap_or_else(|wrong| panic!("{address}: {wrong}"));
        }
    }
    assert!(lists > 30, "{lists}");
}

#[tokio::test]
async fn the_document_is_served_to_whoever_asks() {
    let bed = Bed::empty();
    let served = bed.get("/api/v1/openapi.json").await;
    assert_eq!(served.status, StatusCode::OK);
    assert_eq!(served.json()["openapi"], "3.1.0");
}
