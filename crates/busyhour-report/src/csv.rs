//! A table as CSV (RFC 4180), safe to open in a spreadsheet.

use crate::document::{Raw, Table};

/// A cell that begins like this is a formula to a spreadsheet.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];
/// Where a spreadsheet's list separator is the semicolon, a cell begins after it.
const LIST_SEPARATOR: char = ';';

/// The table's columns for programs, with a line of their names. A text that a spreadsheet would take for a
/// formula gets an apostrophe in front; control characters become spaces.
pub(crate) fn csv(table: &Table) -> String {
    let columns = table.for_programs();
    let mut out = String::new();
    let names = columns.iter().map(|(_, column)| column.key.to_owned());
    put_line(&mut out, names);
    for row in &table.rows {
        let values =
            columns.iter().map(|(at, _)| row.get(*at).map_or(Raw::Nothing, crate::Cell::raw));
        put_line(&mut out, values.map(|value| field(&value)));
    }
    out
}

/// The text with an apostrophe in front of all that a spreadsheet would take for a formula, at its beginning
/// and, as some spreadsheets split at it, after a semicolon; whatever blanks and quotes come before.
#[must_use]
pub fn guarded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for (at, part) in text.split(LIST_SEPARATOR).enumerate() {
        if at > 0 {
            out.push(LIST_SEPARATOR);
        }
        if is_formula(part) {
            out.push('\'');
        }
        out.push_str(part);
    }
    out
}

fn is_formula(part: &str) -> bool {
    let skipped = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    part.starts_with(char::is_control) || part.trim_start_matches(skipped).starts_with(FORMULA)
}

fn put_line(out: &mut String, fields: impl Iterator<Item = String>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&field);
    }
    out.push_str("\r\n");
}

fn field(value: &Raw) -> String {
    match value {
        Raw::Nothing => String::new(),
        Raw::Integer(number) => number.to_string(),
        Raw::Number(number) => number.to_string(),
        Raw::Text(text) => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    let text: String =
        guarded(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Cell, Column};

    #[test]
    fn a_formula_is_guarded_wherever_a_cell_may_begin() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("\n=1+1", "'\n=1+1"),
            ("\ttab", "'\ttab"),
            (" -1", "' -1"),
            ("Berlin;=1+1", "Berlin;'=1+1"),
            ("Berlin; \"@x", "Berlin;' \"@x"),
            ("Berlin; Hamburg", "Berlin; Hamburg"),
            ("a-b=c", "a-b=c"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), expected, "{text:?}");
        }
        assert_eq!(quoted("\n=1+1"), "' =1+1");
    }

    #[test]
    fn a_text_never_becomes_a_formula_and_a_figure_stays_one() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let table = Table {
            name: "t",
            title: "T",
            caption: String::new(),
            columns: vec![
                Column::new("name", "Name"),
                Column::people("Not here"),
                Column::programs("points"),
            ],
            rows: vec![
                vec![text("=HYPERLINK(\"x\")"), text("a"), Cell::Points(-0.25)],
                vec![text("\tcmd, \"b\"\nc"), text("a"), Cell::Unknown],
                vec![text("-1+1"), text("a"), Cell::Count(7)],
                vec![text("@x"), text("a"), Cell::Nothing],
            ],
            empty: "",
        };
        assert_eq!(
            csv(&table),
            "name,points\r\n\"'=HYPERLINK(\"\"x\"\")\",-0.25\r\n\"' cmd, \"\"b\"\" c\",\r\n\
             '-1+1,7\r\n'@x,\r\n"
        );
    }
}
