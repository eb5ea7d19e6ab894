//! `busyhour sim`: a fleet is written, told about, and scored, by the real program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{busyhour, stderr, stdout};

/// Three buildings over six weeks, seen a quarter as often as usual: quick to make.
fn generate(folder: &Path, more: &[&str]) -> std::process::Output {
    let shown = folder.display().to_string();
    let fixed = ["sim", "generate", "--buildings", "3", "--days", "42", "--sampling", "15/300"];
    busyhour(&[&fixed[..], more, &[shown.as_str()]].concat()).output().unwrap()
}

fn score(folder: &Path, findings: &str) -> Value {
    let path = folder.join("told.jsonl");
    fs::write(&path, findings).unwrap();
    let (folder, path) = (folder.display().to_string(), path.display().to_string());
    let output = busyhour(&["sim", "score", &folder, &path, "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn figure(score: &Value, name: &str) -> Value {
    let items = score["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap()["value"].clone()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// What somebody who knows the truth would tell: each episode from its third truly bad day to its last.
fn perfect(truth: &Value) -> String {
    let mut lines = String::new();
    for one in truth["truths"].as_array().unwrap() {
        let bad = one["bad"].as_array().unwrap();
        if one["class"] != "must" {
            continue;
        }
        let line = json!({
            "id": one["id"], "kind": "recurring-peak", "scope": one["place"],
            "members": one["series"], "hours": one["hours"], "confidence": 1.0,
            "days": bad.iter().map(|day| day["date"].clone()).collect::<Vec<_>>(),
            "opened": bad[2]["date"], "closed": bad.last().unwrap()["date"],
            "cause": one["causes"][0],
        });
        writeln!(lines, "{line}").unwrap();
    }
    lines
}

#[test]
fn a_fleet_is_the_same_twice_and_who_knows_its_truth_scores_all() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a/fleet"), directory.path().join("b"));
    // A seed whose few buildings have episodes; the search ends at the first.
    let seed = (1..20)
        .map(|seed| seed.to_string())
        .find(|seed| {
            let folder = directory.path().join(seed);
            let made = generate(&folder, &["--seed", seed, "--plain"]);
            assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
            !perfect(&truth(&folder)).is_empty()
        })
        .unwrap();
    for folder in [&first, &second] {
        let made = generate(folder, &["--seed", &seed]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
        assert!(stderr(&made).contains("3 buildings, "), "{}", stderr(&made));
    }
    let files = contents(&first);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = ["buildings.csv", "load.csv", "series.csv", "slots.csv.zst", "truth.json"];
    assert_eq!(names, expected);
    assert!(contents(&second) == files, "the same arguments give the same bytes");

    let all = score(&first, &perfect(&truth(&first)));
    assert_eq!(figure(&all, "recall"), 1.0);
    assert_eq!(figure(&all, "false-alerts"), 0.0);
    assert_eq!(figure(&all, "place-right-when-sure"), 1.0);
    assert_eq!(figure(&all, "cause-right"), 1.0);
    let none = score(&first, "");
    assert_eq!(figure(&none, "recall"), 0.0);
    assert_eq!(figure(&none, "alerts"), 0.0);
    assert_eq!(figure(&none, "cause-right"), Value::Null);
}

fn truth(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("truth.json")).unwrap()).unwrap()
}

#[test]
fn nothing_is_written_into_a_folder_that_holds_something() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mine.txt"), "precious").unwrap();
    let refused = generate(directory.path(), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is not empty"), "{}", stderr(&refused));
    assert_eq!(contents(directory.path()).len(), 1);
}

#[test]
fn a_plan_that_makes_no_fleet_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("fleet");
    let refused = generate(&folder, &["--absent", "1.5"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(!folder.exists());
    for (option, value) in
        [("--mechanisms", "none"), ("--fleet", "soft"), ("--first", "2025-02-30")]
    {
        let refused = generate(&folder, &[option, value]);
        assert_eq!(refused.status.code(), Some(2), "{option} {value}");
    }
}

#[test]
fn findings_that_cannot_be_scored_are_named_by_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("fleet");
    let fixed = ["sim", "generate", "--buildings", "3", "--days", "28", "--sampling", "15/900"];
    let shown = folder.display().to_string();
    assert_eq!(
        busyhour(&[&fixed[..], &[shown.as_str()]].concat()).output().unwrap().status.code(),
        Some(0)
    );
    let findings = directory.path().join("told.jsonl");
    let ask = || {
        let path = findings.display().to_string();
        busyhour(&["sim", "score", &shown, &path]).output().unwrap()
    };
    fs::write(&findings, "\n{\"id\": 1}\n").unwrap();
    let refused = ask();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("told.jsonl: line 2: missing field"), "{}", stderr(&refused));
    fs::write(&findings, "").unwrap();
    let table = ask();
    assert_eq!(table.status.code(), Some(0), "{}", stderr(&table));
    assert!(stdout(&table).contains("false alerts per building-month"), "{}", stdout(&table));
    fs::remove_file(folder.join("truth.json")).unwrap();
    let refused = ask();
    assert!(stderr(&refused).contains("`busyhour sim generate` writes it"), "{}", stderr(&refused));
}

#[test]
fn what_the_detector_says_of_a_fleet_can_be_scored() {
    let directory = tempfile::tempdir().unwrap();
    let made = generate(directory.path(), &["--seed", "3"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let folder = directory.path().display().to_string();
    let told = busyhour(&["detect", &folder]).output().unwrap();
    assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
    let score = score(directory.path(), &stdout(&told));
    assert!(figure(&score, "recall").is_number() || figure(&score, "recall").is_null());
    assert_eq!(score["building_months"], 4.2);
}
