//! A fuzzer that reads the API's document (schemathesis) asks the demonstration's collector as an administrator: no
//! server error, no answer that the document does not tell, and no operation that was not asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Demo, cannot_run, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Requests that each operation must have had at least; those without parameters are asked least.
const LEAST: usize = 2;
/// Operations of which something was asked that they could do; the others refuse what nobody meant.
const MANY: usize = 50;
/// It has no end.
const ENDLESS: &str = "GET /events";

/// The collector, and who asks it.
struct Asked<'a> {
    page: &'a str,
    token: String,
}

impl Asked<'_> {
    /// What it answers.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self.page.trim_start_matches("http://").trim_end_matches('/');
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(address).unwrap();
        let authorization = match self.token.as_str() {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             {authorization}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        assert!(!head.to_ascii_lowercase().contains("chunked"), "{path}: {head}");
        serde_json::from_str(body).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, body)
    }

    /// The first of a list's items.
    fn first(&self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null)["items"][0].clone()
    }
}

/// Makes the first administrator with the code that the collector printed, and a token.
fn administrator<'a>(demo: &'a Demo, temporary: &Path) -> Asked<'a> {
    let folder = fs::read_dir(temporary).unwrap().next().expect("the demonstration's folder");
    let log = fs::read_to_string(folder.unwrap().path().join("collector/log")).unwrap();
    let code = log.lines().find_map(|line| line.split_once("the code is ")).expect("a code").1;
    let mut asked = Asked { page: demo.page(), token: String::new() };
    let first =
        json!({"code": code.trim(), "name": "admin", "password": "a password of some length"});
    asked.token = asked.post("/set-up", &first)["token"].as_str().unwrap().to_owned();
    let new = json!({"name": "fuzzer", "role": "administrator", "days": 1});
    asked.token = asked.post("/api-tokens", &new)["token"].as_str().unwrap().to_owned();
    asked
}

/// Makes one of everything that an address may name, and says what they are called.
fn named(asked: &Asked<'_>) -> BTreeMap<&'static str, String> {
    let building = asked.first("/buildings");
    let quiet = json!({"buildings": [building["name"]], "until": "2h", "reason": "a move"});
    asked.post("/silences", &quiet);
    asked.post("/maintenance", &quiet);
    asked.post("/tokens", &json!({"building": building["name"]}));
    let target = json!([{"name": "192.0.2.1:862", "profile": "audio-50"}]);
    asked.post("/configurations", &json!({"name": "usual", "target": target}));
    asked.post(
        "/users",
        &json!({"name": "nobody", "role": "viewer", "password": "a long password"}),
    );
    asked.post("/api-tokens", &json!({"name": "nobody", "role": "viewer", "days": 1}));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let agent = text(&asked.first("/agents")["id"]);
    let all = [
        ("/buildings/", text(&building["id"])),
        ("/agents/", agent.clone()),
        ("/identities/", agent),
        ("/paths/", text(&asked.first("/paths")["id"])),
        ("/incidents/", text(&asked.first("/incidents?kind=all")["number"])),
        ("/maintenance/", text(&asked.first("/maintenance")["number"])),
        ("/tokens/", text(&asked.first("/tokens")["id"])),
        ("/users/", "nobody".to_owned()),
        ("/api-tokens/", "nobody".to_owned()),
        ("/", "1".to_owned()),
    ];
    BTreeMap::from(all)
}

/// The document with something that is there as the example of what each address names: without one, hardly
/// a request would get any further than `404`.
fn with_examples(mut document: Value, named: &BTreeMap<&'static str, String>) -> Value {
    for (path, operations) in document["paths"].as_object_mut().unwrap() {
        // The longest that fits comes last.
        let fits = named.iter().filter(|(prefix, _)| path.starts_with(**prefix));
        let example = fits.max_by_key(|(prefix, _)| prefix.len()).unwrap().1;
        for operation in operations.as_object_mut().unwrap().values_mut() {
            for parameter in operation["parameters"].as_array_mut().unwrap() {
                if parameter["in"] == "path" {
                    parameter["example"] = json!(example);
                }
            }
        }
    }
    document
}

/// All operations of a document: `GET /agents/{id}`.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    each.collect()
}

/// Requests are the same in each run: a few of each operation, with each parameter at its bounds.
fn fuzz(tool: &Path, folder: &Path, asked: &Asked<'_>, document: &Value) -> (bool, String) {
    let file = folder.join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    let output = Command::new(tool)
        .args(["--no-color", "run"])
        .arg(file)
        .args(["--url", &format!("{}/api/v1", asked.page.trim_end_matches('/'))])
        .args(["--header", &format!("Authorization: Bearer {}", asked.token)])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--no-shrink"])
        .args(["--seed", "1", "--generation-deterministic", "--continue-on-failure"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance",
        ])
        .args(["--exclude-path", "/events"])
        .args(["--request-timeout", "20", "--workers", "2"])
        .args(["--report-ndjson-path", &report(folder).to_string_lossy()])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn report(folder: &Path) -> PathBuf {
    folder.join("report.ndjson")
}

/// The statuses that each operation answered with, from the fuzzer's own record.
fn answered(folder: &Path) -> BTreeMap<String, Vec<u64>> {
    let mut answered: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in fs::read_to_string(report(folder)).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let recorder = &event["ScenarioFinished"]["recorder"];
        let Some(interactions) = recorder["interactions"].as_object() else { continue };
        let label = recorder["label"].as_str().unwrap().to_owned();
        let statuses =
            interactions.values().filter_map(|one| one["response"]["status_code"].as_u64());
        answered.entry(label).or_default().extend(statuses);
    }
    answered
}

#[test]
fn a_fuzzer_finds_no_server_error_and_no_answer_that_the_document_does_not_tell() {
    let tool = tools().join("schemathesis/bin/st");
    if !tool.is_file() {
        cannot_run("there is no schemathesis; .ci/packages installs it");
        return;
    }
    let folder = TempDir::new().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let demo = Demo::start(&temporary, folder.path().join("messages"));
    let asked = administrator(&demo, &temporary);
    let served = asked.ask("GET", "/openapi.json", &Value::Null);
    let document = with_examples(served, &named(&asked));
    let (good, said) = fuzz(&tool, folder.path(), &asked, &document);
    assert!(good, "{said}");
    let answered = answered(folder.path());
    let mut deaf = Vec::new();
    for operation in operations(&document).iter().filter(|operation| *operation != ENDLESS) {
        let statuses = answered.get(operation).map_or(&[][..], Vec::as_slice);
        let reached = statuses.iter().filter(|status| !matches!(**status, 401 | 403 | 405)).count();
        if reached < LEAST {
            deaf.push(format!("{operation}: {statuses:?}"));
        }
    }
    let all: usize = answered.values().map(Vec::len).sum();
    assert!(deaf.is_empty(), "of {all} requests none came to {deaf:#?}");
    let done = |statuses: &&Vec<u64>| statuses.iter().any(|status| (200..300).contains(status));
    let done = answered.values().filter(done).count();
    assert!(done > MANY, "only {done} operations did what they are for");
    eprintln!("{all} requests to {} operations; {done} did what they are for", answered.len());
}
