//! A report as plain text, complete by itself: what a mail says to who reads no HTML.

use std::fmt::Write as _;

use crate::document::{Cell, Document, Table};

/// Rows of a table that the text has; the CSV has all.
const MAX_ROWS: usize = 50;
/// Lines are broken behind this many characters.
const WIDTH: usize = 78;

/// The report as text.
pub(crate) fn text(document: &Document) -> String {
    let mut out = String::new();
    paragraph(&mut out, "", &document.title());
    if document.simulated {
        paragraph(&mut out, "", "Some of it rests on SIMULATED DATA, which is marked.");
    }
    out.push('\n');
    for sentence in &document.lead {
        paragraph(&mut out, "- ", sentence);
    }
    for table in &document.tables {
        put_table(&mut out, table);
    }
    out.push_str("\nHOW TO READ IT\n\n");
    for note in &document.notes {
        paragraph(&mut out, "- ", note);
    }
    let _ = writeln!(out, "\nMade {} by Busyhour. Dates are local.", document.made_words());
    out
}

fn put_table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "\n{}\n", table.title.to_uppercase());
    paragraph(out, "", &table.caption);
    out.push('\n');
    if table.rows.is_empty() {
        paragraph(out, "", table.empty);
    }
    let columns = table.for_people();
    for row in table.rows.iter().take(MAX_ROWS) {
        let mut cells = columns.iter().filter_map(|&at| Some((&table.columns[at], row.get(at)?)));
        let name = cells.next().map(|(_, cell)| cell.words()).unwrap_or_default();
        let shown = cells.filter(|(_, cell)| !matches!(cell, Cell::Picture(_)));
        let parts: Vec<String> =
            shown.map(|(column, cell)| format!("{}: {}", column.title, cell.words())).collect();
        let told = parts.join("; ");
        paragraph(out, "* ", &format!("{name}. {}.", told.trim_end_matches('.')));
    }
    if table.rows.len() > MAX_ROWS {
        let more = table.rows.len() - MAX_ROWS;
        paragraph(out, "", &format!("And {more} more rows, see {}.csv.", table.name));
    }
}

/// Writes a paragraph, broken into lines; further ones stand below the first one's text. What is no line
/// of ours cannot begin one: line breaks and controls become spaces.
fn paragraph(out: &mut String, bullet: &str, text: &str) {
    let indent = " ".repeat(bullet.len());
    let (mut line, mut empty) = (bullet.to_owned(), true);
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for word in plain.split(' ').filter(|word| !word.is_empty()) {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            (line, empty) = (indent.clone(), true);
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{line}");
}
