//! How SQLite answers what the engine asks. The statements are read out of the sources, so that a new one
//! without an entry here is noticed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{MIGRATIONS, PACKS, SLOTS};
use crate::sqlite::plan_of;

/// What is in place of a table's name, and the tables.
const TEMPLATES: &[(&str, &[&str])] = &[];

/// Statements that find what they need by a key or an index, with their plans.
const BY_KEY: &[(&str, &str)] = &[];

/// Statements that read a whole table, and why they may.
const WHOLE: &[(&str, &str)] = &[];

/// The text literals of a source, as the compiler reads them.
fn literals(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = Vec::new();
    let mut rest = code.chars();
    while rest.by_ref().any(|c| c == '"') {
        let mut literal = String::new();
        loop {
            match rest.next() {
                None | Some('"') => break,
                Some('\\') => match rest.next() {
                    Some('\n') => {
                        let line = rest.as_str();
                        rest = line.trim_start().chars();
                    }
                    Some(other) => literal.push(other),
                    None => break,
                },
                Some(other) => literal.push(other),
            }
        }
        found.push(literal);
    }
    found
}

/// Every statement of the engine that looks for something.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|file| {
        file.extension().is_some_and(|kind| kind == "rs") && !file.ends_with("tests.rs")
    });
    let mut statements: Vec<String> = sources
        .flat_map(|file| literals(&fs::read_to_string(file).unwrap()))
        .filter(|text| {
            let starts = |word: &&str| text.starts_with(*word);
            let asks = ["SELECT ", "DELETE ", "UPDATE "].iter().any(|word| starts(&word));
            asks || (text.starts_with("INSERT ") && text.contains("SELECT "))
        })
        .collect();
    statements.sort_unstable();
    statements.dedup();
    statements
}

#[test]
fn every_question_walks_a_key_or_reads_all_of_little() {
    let connection = Connection::open_in_memory().unwrap();
    for layout in [MIGRATIONS, PACKS, SLOTS].concat() {
        connection.execute_batch(layout).unwrap();
    }
    let templates: BTreeMap<_, _> = TEMPLATES.iter().copied().collect();
    for statement in statements() {
        let tables = templates.get(statement.as_str()).copied().unwrap_or(&[""]);
        for table in tables {
            let statement = statement.replace("{table}", table);
            println!("(\n{statement:?},\n{:?},\n),", plan_of(&connection, &statement));
        }
    }
    let _ = (BY_KEY, WHOLE);
}
