//! Holds the threat models to the tests that they name, and to what messages can say at all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The documents whose tables of threats name tests.
const DOCUMENTS: [&str; 2] = ["docs/SECURITY.md", "docs/FLEET.md"];
/// What an agent sends: the stream's messages, what a block holds, and the calls of its identity.
const SENT_BY_AGENTS: [&str; 4] = ["AgentMessage", "BlockPayload", "EnrolRequest", "RenewRequest"];
/// How a message would say who or where an agent is.
const CLAIMS: [&str; 7] =
    ["agent", "agent_id", "building", "building_id", "subnet", "subnet_id", "identity"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    let mut found = Vec::new();
    for folder in ["crates", "tests"] {
        files(&root().join(folder), &mut found);
    }
    let mut names = BTreeSet::new();
    for file in found {
        let text = fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
                continue;
            }
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            let Some(function) = function else { continue };
            if std::mem::take(&mut is_test) {
                let end = function.find(['(', '<']).unwrap_or(function.len());
                names.insert(function[..end].to_owned());
            }
        }
    }
    names
}

/// What is between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A test's name is a sentence.
fn is_test_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.bytes().all(fits) && text.matches('_').count() >= 2
}

/// The rows of a document's tables of threats: the threat, the control, the tests.
fn threats(document: &str) -> Vec<[String; 3]> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let mut rows = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        // Bars within backticks do not end a cell.
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if !line.starts_with('|') {
            in_table = in_table && line.is_empty();
        } else if cells.first() == Some(&"Threat") {
            in_table = true;
        } else if in_table && !line.starts_with("|---") {
            let [threat, control, tests] = cells[..] else { panic!("{document}: {line}") };
            rows.push([threat, control, tests].map(str::to_owned));
        }
    }
    rows
}

#[test]
fn every_threat_names_its_control_and_tests_that_there_are() {
    let tests = tests();
    assert!(tests.contains("every_threat_names_its_control_and_tests_that_there_are"));
    for document in DOCUMENTS {
        let threats = threats(document);
        assert!(threats.len() > 8, "{document} has {} threats", threats.len());
        for [threat, control, proof] in threats {
            assert!(!threat.is_empty() && !control.is_empty(), "{document}: {threat} {control}");
            // "the same" points at the row above, and unit tests at their file.
            let proves = quoted(&proof).any(is_test_name) || proof.starts_with("the same");
            assert!(proves, "{document}: no test is named against {threat:?}");
            for name in quoted(&proof).filter(|name| is_test_name(name)) {
                assert!(tests.contains(name), "{document} names a test that is none: {name}");
            }
        }
    }
}

#[test]
fn nothing_that_an_agent_sends_can_say_which_agent_it_is_or_where() {
    let schema = root().join("crates/busyhour-proto/tests/schema.txt");
    let schema = fs::read_to_string(schema).unwrap();
    let mut fields: BTreeMap<&str, Vec<(&str, Option<&str>)>> = BTreeMap::new();
    for line in schema.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [message, _number, "=", field, rest @ ..] = &words[..] else { continue };
        // What programs ask a collector is another package, and no agent's.
        let Some(message) = message.strip_prefix("busyhour.v1.") else { continue };
        let of = rest.iter().find_map(|word| word.strip_prefix(".busyhour.v1."));
        fields.entry(message).or_default().push((field, of));
    }
    let mut open: Vec<&str> = SENT_BY_AGENTS.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(message) = open.pop() {
        if !seen.insert(message) {
            continue;
        }
        let told = fields.get(message).unwrap_or_else(|| panic!("no message {message}"));
        for (field, of) in told {
            assert!(!CLAIMS.contains(field), "{message}.{field} says who or where an agent is");
            open.extend(of);
        }
    }
    assert!(seen.len() > 20, "all of them were looked at: {seen:?}");
}
