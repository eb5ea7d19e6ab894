//! Holds what the workspace depends on to `.deny.toml`: licences, bans and sources.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn toml(file: &str) -> toml::Table {
    fs::read_to_string(root().join(file)).unwrap().parse().unwrap()
}

fn texts(value: &toml::Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The packages of a lock file: name, and where it comes from unless it is ours.
fn locked(file: &str) -> Vec<(String, Option<String>)> {
    let lock = toml(file);
    let text = |package: &toml::Value, key: &str| {
        package.get(key).map(|value| value.as_str().unwrap().to_owned())
    };
    let packages = lock["package"].as_array().unwrap().iter();
    packages.map(|package| (text(package, "name").unwrap(), text(package, "source"))).collect()
}

const LOCKS: [&str; 2] = ["Cargo.lock", "tests/fuzz/Cargo.lock"];

/// The packages that are built here, from outside, with their licences.
fn licences() -> Vec<(String, String)> {
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    // What is only built elsewhere need not be here to be looked at.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", &host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let foreign = packages.filter(|package| !package["source"].is_null());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    foreign.map(|package| (text(&package["name"]), text(&package["license"]))).collect()
}

/// True when an SPDX expression can be met with what is allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = any(&words, allowed);
    met && rest.is_empty()
}

fn any<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = all(words, allowed);
    while let ["OR", after @ ..] = rest {
        let (also, after) = all(after, allowed);
        (met, rest) = (met | also, after);
    }
    (met, rest)
}

fn all<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", after @ ..] = rest {
        let (also, after) = one(after, allowed);
        (met, rest) = (met & also, after);
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => match any(inner, allowed) {
            (met, [")", rest @ ..]) => (met, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            // An exception allows more: without it the licence is met, too.
            let named = allowed.contains(&format!("{licence} WITH {exception}"));
            (named || allowed.contains(*licence), rest)
        }
        [licence, rest @ ..] => (allowed.contains(*licence), rest),
        [] => (false, words),
    }
}

#[test]
fn every_licence_is_one_of_those_that_are_allowed() {
    let allowed = texts(&toml(".deny.toml")["licenses"]["allow"]);
    let licences = licences();
    assert!(licences.len() > 100, "the dependencies are seen: {}", licences.len());
    for (name, licence) in licences {
        assert!(is_allowed(&licence, &allowed), "{name} is under {licence:?}");
    }
}

#[test]
fn an_expression_is_met_when_one_of_its_choices_is() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).into();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT OR GPL-3.0 AND Unicode-3.0", true),
        ("(GPL-2.0 OR GPL-3.0) AND MIT", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0 WITH Classpath-exception-2.0", false),
        ("", false),
        ("(MIT", false),
        ("MIT MIT", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), met, "{expression:?}");
    }
}

#[test]
fn nothing_that_is_banned_is_locked() {
    let rules = toml(".deny.toml");
    let banned = rules["bans"]["deny"].as_array().unwrap();
    for lock in LOCKS {
        for (name, _) in locked(lock) {
            let is_banned = banned.iter().any(|ban| ban["name"].as_str() == Some(&name));
            assert!(!is_banned, "{name} is in {lock}");
        }
    }
}

#[test]
fn everything_that_is_locked_is_ours_or_comes_from_the_registry() {
    // Manifests name no registry, so what Cargo takes with `--locked` for them is its default one.
    let sources = &toml(".deny.toml")["sources"];
    assert_eq!(sources["unknown-registry"].as_str(), Some("deny"));
    assert!(sources.get("allow-registry").is_none(), "only the default registry");
    let mut registry = None;
    for lock in LOCKS {
        for (name, source) in locked(lock) {
            let Some(source) = source else { continue };
            assert!(source.starts_with("registry+"), "{name} comes from {source} in {lock}");
            let first = registry.get_or_insert_with(|| source.clone());
            assert_eq!(*first, source, "{name} comes from another registry in {lock}");
        }
    }
}

#[test]
fn there_is_one_of_what_must_not_be_there_twice() {
    // Two of these would be two sets of types, or two things to watch.
    let single =
        ["rustls", "ring", "tokio", "tonic", "prost", "rusqlite", "hyper", "axum", "serde"];
    let locked = locked("Cargo.lock");
    for name in single {
        let count = locked.iter().filter(|(locked, _)| locked == name).count();
        assert_eq!(count, 1, "{name}");
    }
}
