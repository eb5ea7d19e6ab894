//! A fuzzer that reads the API's document (schemathesis) asks the demonstration's collector as an operator: no
//! server error, and no answer that the document does not tell.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use e2e::{Demo, cannot_run, tools, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the collector answers to a write.
fn post(page: &str, path: &str, token: &str, body: &Value) -> Value {
    let address = page.trim_start_matches("http://").trim_end_matches('/');
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 20"), "{path}: {answer}");
    serde_json::from_str(body).unwrap()
}

/// Makes the first administrator with the code that was printed, and a token for an operator.
fn operator(demo: &Demo) -> String {
    let code = wait_for("the code of the set-up", || {
        let said = demo.said();
        let (_, after) = said.split_once("the code is ")?;
        Some(after.split_whitespace().next()?.to_owned())
    });
    let first = json!({"code": code, "name": "admin", "password": "a password of some length"});
    let session = post(demo.page(), "/api/v1/set-up", "", &first);
    let session = session["token"].as_str().unwrap();
    let new = json!({"name": "fuzzer", "role": "operator", "days": 1});
    let made = post(demo.page(), "/api/v1/api-tokens", session, &new);
    made["token"].as_str().unwrap().to_owned()
}

/// Requests are the same in each run: a few of each operation, with each parameter at its bounds.
fn fuzz(tool: &Path, folder: &Path, page: &str, token: &str) -> (bool, String) {
    let page = page.trim_end_matches('/');
    let output = Command::new(tool)
        .args(["--no-color", "run", &format!("{page}/api/v1/openapi.json")])
        .args(["--url", &format!("{page}/api/v1")])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "6"])
        .args(["--seed", "1", "--generation-deterministic", "--continue-on-failure"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance",
        ])
        // It has no end.
        .args(["--exclude-path", "/events"])
        .args(["--request-timeout", "20"])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
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
    let token = operator(&demo);
    let (good, said) = fuzz(&tool, folder.path(), demo.page(), &token);
    assert!(good, "{said}");
    assert!(said.contains("generated"), "it asked something: {said}");
}
