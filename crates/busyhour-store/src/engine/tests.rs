//! How SQLite answers what the engine asks. The statements are read out of the sources, so that a new one
//! without an entry here is noticed.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{MIGRATIONS, PACKS, SLOTS, listed, packs, settle, slot_rows};
use crate::sqlite::plan_of;

/// Statements that are made for several tables.
const TEMPLATES: &[(&str, &[&str])] = &[
    (
        "DELETE FROM {table} WHERE agent = ?1",
        &[
            "DELETE FROM paths WHERE agent = ?1",
            "DELETE FROM schedules WHERE agent = ?1",
            "DELETE FROM receipts WHERE agent = ?1",
            "DELETE FROM quarantine WHERE agent = ?1",
        ],
    ),
    (
        "DELETE FROM {table} WHERE {of_paths}",
        &[
            "DELETE FROM unsettled WHERE path IN (SELECT id FROM paths WHERE agent = ?1)",
            "DELETE FROM dirty_days WHERE path IN (SELECT id FROM paths WHERE agent = ?1)",
        ],
    ),
    (
        "DELETE FROM {table} WHERE id >= ?1 AND id < ?2",
        &[
            "DELETE FROM tallies WHERE id >= ?1 AND id < ?2",
            "DELETE FROM counts WHERE id >= ?1 AND id < ?2",
            "DELETE FROM details WHERE id >= ?1 AND id < ?2",
            "DELETE FROM spreads WHERE id >= ?1 AND id < ?2",
        ],
    ),
];

/// Tables that statements read from one end to the other, and why they may.
const WHOLE: &[(&str, &str)] = &[
    // Once, when the store is opened: all of it is wanted.
    ("SELECT agent FROM forgotten", "forgotten"),
    ("SELECT agent, epoch, first, last FROM receipts", "receipts"),
    ("SELECT id, agent, link, interface, family, target, class, profile, transport", "paths"),
    ("SELECT utc_day, path FROM dirty_days", "dirty_days"),
    // One row.
    ("SELECT folded, windows, blocks, quarantined FROM totals", "totals"),
    ("UPDATE totals SET folded", "totals"),
    // What is being forgotten: some paths of few agents, and rarely any.
    ("SELECT path, agent FROM leftovers", "leftovers"),
    // Once, when an agent is forgotten: an index for that would cost every append.
    ("DELETE FROM session_reports WHERE agent", "session_reports"),
    ("DELETE FROM quarantine WHERE agent", "quarantine"),
    ("DELETE FROM dirty_days WHERE path IN", "dirty_days"),
    // Whoever checks a file reads it.
    ("SELECT entry, body FROM journal", "journal"),
    ("SELECT subject, records, body FROM packs", "packs"),
    // How many slots there are, for the status page.
    ("SELECT coalesce(sum(slots), 0) FROM counts", "counts"),
    // One row for each file.
    (listed::LISTED, "partitions"),
];

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
            let asks = ["SELECT ", "DELETE ", "UPDATE "].iter().any(|word| text.starts_with(word));
            asks || (text.starts_with("INSERT ") && text.contains("SELECT "))
        })
        .collect();
    statements.sort_unstable();
    statements.dedup();
    statements
}

fn all_layouts() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for layout in [MIGRATIONS, PACKS, SLOTS].concat() {
        connection.execute_batch(layout).unwrap();
    }
    connection
}

#[test]
fn nothing_is_found_by_looking_through_a_table_but_where_that_is_meant() {
    let connection = all_layouts();
    let statements = statements();
    assert!(statements.len() > 40, "the sources were read: {statements:#?}");
    let mut met = vec![false; WHOLE.len()];
    for statement in &statements {
        let template = TEMPLATES.iter().find(|(template, _)| template == statement);
        let made = template.map_or(vec![statement.as_str()], |(_, made)| made.to_vec());
        for statement in made {
            let plan = plan_of(&connection, statement);
            let scans = plan.split("; ").filter_map(|step| step.strip_prefix("SCAN "));
            for scan in scans.filter(|scan| !scan.starts_with("(subquery")) {
                let table = scan.split(' ').next().unwrap();
                let known =
                    |(start, of): &(&str, &str)| statement.starts_with(start) && *of == table;
                let at = WHOLE.iter().position(known);
                met[at.unwrap_or_else(|| panic!("{statement}: {plan}"))] = true;
            }
            assert!(!plan.contains("AUTOMATIC"), "{statement}: {plan}");
        }
    }
    let unmet = WHOLE.iter().zip(met).filter(|(_, met)| !met);
    assert_eq!(unmet.map(|(entry, _)| entry).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}

/// What every question of a reader comes down to.
#[test]
fn questions_of_readers_and_of_appending_take_the_whole_key() {
    let connection = all_layouts();
    for (statement, expected) in [
        (slot_rows::COUNTS, "SEARCH counts USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (slot_rows::TALLIES, "SEARCH tallies USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (slot_rows::DETAILS, "SEARCH details USING INTEGER PRIMARY KEY (rowid=?)"),
        (slot_rows::FIGURES, "SEARCH details USING INTEGER PRIMARY KEY (rowid=?)"),
        (slot_rows::SPREADS, "SEARCH spreads USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        // A subject has few packs a day, each of which is read whole.
        (
            packs::PACKS,
            "SEARCH packs USING INDEX packs_of_subject (subject=? AND first_us<?); \
             USE TEMP B-TREE FOR ORDER BY",
        ),
        (packs::PACKS_AT, "SEARCH packs USING INDEX packs_of_subject (subject=? AND first_us<?)"),
        (packs::SMALL_TOTALS, "SEARCH packs USING COVERING INDEX packs_of_subject (subject=?)"),
        (
            settle::REPORTS,
            "CO-ROUTINE (subquery-1); \
             SEARCH session_reports USING PRIMARY KEY (listen=? AND ssid=? AND last_sent_us>?); \
             SCAN (subquery-1)",
        ),
        (
            settle::UNSETTLED,
            "CO-ROUTINE (subquery-1); \
             SEARCH unsettled USING PRIMARY KEY (listen=? AND ssid=? AND ended_us>?); \
             SCAN (subquery-1)",
        ),
        (
            settle::WINDOW,
            "SEARCH unsettled USING INDEX unsettled_by_window (path=? AND placed_us=?)",
        ),
    ] {
        assert_eq!(plan_of(&connection, statement), expected, "{statement}");
    }
}
