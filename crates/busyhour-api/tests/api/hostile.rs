//! Texts that mean something to a browser, a spreadsheet, a scraper or a database, in every parameter of
//! the API's own document, and in everything that people, agents and files may name.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use busyhour_store::{Act, Binding, JudgeWrite, NewAgent};
use serde_json::{Value, json};

use crate::support::{Answer, Bed, HOSTILE, MASKED, MONDAY, NOW, incident, member};

/// To a database, a spreadsheet, a browser (between tags, in an attribute) and a scraper.
const TEXT: &str = "=1+1'); DROP TABLE agents; --<script>alert('x')</script>\"onload='y'\\{}";
/// What of it must never be in a page or a picture as it is.
const MARKUP: [&str; 3] = ["<script>alert", "\"onload='y'", HOSTILE];
const AGENT: &str = "00000000-0000-0000-0000-000000000001";

/// A schema of the document, looked up where it is somewhere else.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    document.pointer(reference.trim_start_matches('#')).expect("the document has what it names")
}

/// Something of this schema with `text` wherever a text may be.
fn made(document: &Value, schema: &Value, text: &str) -> Value {
    let schema = resolved(document, schema);
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            return choices.first().map_or(json!(text), |first| made(document, first, text));
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([made(document, &schema["items"], text)]),
        Some("object") if schema["properties"].is_object() => {
            let properties = schema["properties"].as_object().expect("just looked");
            let each = properties.iter().map(|(name, of)| (name.clone(), made(document, of, text)));
            Value::Object(each.collect())
        }
        _ => json!(text),
    }
}

/// Names of all parameters that any operation reads behind the question mark.
fn parameters(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.values().filter_map(Value::as_object).flat_map(|path| path.values());
    operations
        .filter_map(|operation| operation["parameters"].as_array())
        .flatten()
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
        .collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn address_of(bed: &Bed, route: &str) -> String {
    let building = bed.building(MASKED).to_string();
    let id = match route {
        route if route.contains("/buildings/") => building.as_str(),
        route if route.contains("/agents/") || route.contains("/identities/") => AGENT,
        _ => "1",
    };
    route.replace("{id}", id).replace("{name}", "nobody")
}

async fn write(bed: &Bed, method: &str, address: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(address)
        .header("host", "localhost:8080")
        .header("content-type", "application/json");
    bed.send(request, Body::from(body.to_string())).await
}

/// Routes that are read and end by themselves.
fn read_routes() -> Vec<String> {
    let all = busyhour_api::route_list().into_iter();
    all.filter(|(method, route)| method == "GET" && !route.ends_with("/events"))
        .map(|(_, route)| route)
        .collect()
}

#[tokio::test]
async fn sql_in_any_parameter_of_the_document_is_a_text_like_any_other() {
    let bed = Bed::full();
    let document = busyhour_api::openapi(&|_| None);
    let names = parameters(&document);
    for name in ["from", "until", "limit"] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    let text = encoded(TEXT);
    for route in read_routes() {
        let address = address_of(&bed, &route);
        for name in &names {
            let answer = bed.get(&format!("{address}?{name}={text}")).await;
            assert!(answer.status.as_u16() < 500, "{address}?{name}: {}", answer.body);
            assert!(!answer.body.contains("near \\\"DROP"), "{address}?{name}: {}", answer.body);
        }
        let elsewhere = route.replace("{id}", &text).replace("{name}", &text);
        let answer = bed.get(&elsewhere).await;
        assert!(answer.status.as_u16() < 500, "{elsewhere}: {}", answer.body);
    }
    // Each field of each body alone, and all together.
    let mut bodies = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            let (method, address) = (method.to_uppercase(), address_of(&bed, path));
            let address = format!("/api/v1{}", address.trim_start_matches("/api/v1"));
            let whole = made(&document, schema, TEXT);
            let fields = whole.as_object().cloned().unwrap_or_default();
            let alone = fields.into_iter().map(|(name, value)| json!({ name: value }));
            for body in alone.chain([whole.clone()]) {
                let answer = write(&bed, &method, &address, &body).await;
                let status = answer.status.as_u16();
                assert!(status < 500, "{method} {address} {body}: {}", answer.body);
                assert_ne!(status, 405, "{method} {address}");
                bodies += 1;
            }
        }
    }
    assert!(bodies > 60, "{bodies}");
    // Whoever could be named so is, and nobody is gone.
    let agents = bed.control.agents().expect("agents are there");
    assert!(agents.len() >= 2, "{agents:?}");
    let chain = bed.get("/api/v1/audit/chain").await;
    assert_eq!(chain.status.as_u16(), 200, "{}", chain.body);
}

/// Fills whatever can be named with [`TEXT`], by those who may.
async fn fill(bed: &Bed) {
    let by = Act::by_operator(MONDAY);
    let agent = NewAgent {
        id: busyhour_model::AgentId::from_u128(77),
        name: TEXT.to_owned(),
        secret_sha256: [7; 32],
        binding: Binding::Address,
        simulated: false,
        added: MONDAY,
    };
    bed.control.add_agent(&agent, &by).expect("an agent");
    let mut shown = incident(30, bed.building(MASKED), true);
    shown.members = vec![member(bed.control.as_ref(), 1, bed.building(MASKED))];
    (shown.sentence, shown.paragraph) = (TEXT.to_owned(), TEXT.to_owned());
    let write = JudgeWrite { incidents: vec![shown], ..JudgeWrite::default() };
    bed.control.write_judgement(&write, NOW).expect("written");
    for (address, body) in [
        ("/api/v1/incidents/1/notes", json!({ "text": TEXT })),
        ("/api/v1/incidents/1/owner", json!({ "name": TEXT })),
        ("/api/v1/incidents/1/acknowledge", json!({ "reason": TEXT })),
        ("/api/v1/owners", json!({ "name": TEXT })),
        ("/api/v1/silences", json!({ "everything": true, "until": "2h", "reason": TEXT })),
        ("/api/v1/maintenance", json!({ "buildings": [MASKED], "until": "2h", "reason": TEXT })),
    ] {
        let answer = bed.post(address, &body).await;
        assert!(answer.status.is_success(), "{address}: {} {}", answer.status, answer.body);
    }
}

/// Checks the cells of a table as a spreadsheet sees them: none begins a formula.
fn assert_cells(address: &str, text: &str) {
    let (mut cell, mut quoted) = (String::new(), false);
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            // Lines end with it and a line feed.
            '\r' if !quoted => {}
            ',' | '\n' if !quoted => {
                let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
                assert!(!formula || cell.parse::<f64>().is_ok(), "{address}: {cell:?}");
                cell.clear();
            }
            other => cell.push(other),
        }
    }
    assert!(!quoted, "{address}: a quotation has no end");
}

#[tokio::test]
async fn hostile_texts_are_only_ever_text_wherever_anything_is_shown() {
    let bed = Bed::full();
    fill(&bed).await;
    let (mut kinds, mut seen) = (BTreeSet::new(), 0);
    for route in read_routes() {
        for id in
            [AGENT.to_owned(), "1".to_owned(), "30".to_owned(), bed.building(HOSTILE).to_string()]
        {
            let address = route.replace("{id}", &id).replace("{name}", "nobody");
            for question in ["", "?format=csv", "?format=ndjson"] {
                let answer = bed.get(&format!("{address}{question}")).await;
                if !answer.status.is_success() {
                    assert!(answer.status.as_u16() < 500, "{address}: {}", answer.body);
                    continue;
                }
                let kind = answer.header("content-type").split(';').next().unwrap_or_default();
                match kind {
                    "text/html" | "image/svg+xml" => {
                        let found = MARKUP.iter().find(|markup| answer.body.contains(**markup));
                        assert_eq!(found, None, "{address}{question}");
                        seen += usize::from(answer.body.contains("&#60;script&#62;"));
                    }
                    "text/csv" => assert_cells(&address, &answer.body),
                    "text/plain" if address == "/metrics" => {
                        let odd = answer
                            .body
                            .lines()
                            .find(|line| !line.starts_with(['#', 'b']) && !line.is_empty());
                        assert_eq!(odd, None, "{address}");
                    }
                    _ => {}
                }
                kinds.insert(kind.to_owned());
                if !route.contains("{id}") && !route.contains("{name}") && question.is_empty() {
                    let shown = format!("{:?}", answer.headers);
                    assert!(!shown.contains("DROP TABLE"), "{address}: {shown}");
                }
            }
            if !route.contains("{id}") {
                break;
            }
        }
    }
    for kind in ["text/html", "text/csv", "image/svg+xml", "application/json", "text/plain"] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    assert!(seen > 3, "the texts are shown: {seen}");
}
