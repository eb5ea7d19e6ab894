//! Reports of a fleet that is counted by hand, in all their forms.

#![expect(clippy::unwrap_used, reason = "a test's world is made of what is known to be valid")]

mod daily;
mod forms;
mod monthly;
mod weekly;
mod world;

use busyhour_report::{Cell, Document, Period, ReportKind, Source, Table, document};

use crate::world::NOW;

fn report(source: &dyn Source, kind: ReportKind, period: &str) -> Document {
    document(source, Period::parse(kind, period).unwrap(), None, NOW).unwrap()
}

fn table<'a>(document: &'a Document, name: &str) -> &'a Table {
    document.tables.iter().find(|table| table.name == name).unwrap()
}

/// The cell of the row whose `key` column is `of`, in the column `wanted`; columns by their key, or by
/// their title for people.
fn cell<'a>(table: &'a Table, (key, of): (&str, &str), wanted: &str) -> &'a Cell {
    let at = |name: &str| {
        let named = |column: &busyhour_report::Column| column.key == name || column.title == name;
        table.columns.iter().position(named).unwrap_or_else(|| panic!("no column {name}"))
    };
    let row = table.rows.iter().find(|row| row[at(key)].words() == of);
    &row.unwrap_or_else(|| panic!("no row {of}"))[at(wanted)]
}

fn words(table: &Table, of: &str, wanted: &str) -> String {
    cell(table, ("building", of), wanted).words()
}

/// Compares with a file that is kept; `UPDATE_GOLDEN=1` writes it.
fn check_golden(name: &str, actual: &str) {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == actual, "{name} differs (UPDATE_GOLDEN=1 writes it):\n{actual}");
}
