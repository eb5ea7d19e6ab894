//! Lists as comma-separated values (RFC 4180), for spreadsheets.

use busyhour_report::guarded;
use serde_json::Value;

/// Writes a line of a table.
pub(crate) fn line(table: &mut String, cells: impl Iterator<Item = String>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            table.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            table.push('"');
            table.push_str(&cell.replace('"', "\"\""));
            table.push('"');
        } else {
            table.push_str(&cell);
        }
    }
    table.push_str("\r\n");
}

/// A text that a spreadsheet would take for a formula has an apostrophe in front: names come from agents.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guarded(text),
        Value::Array(_) | Value::Object(_) => guarded(&value.to_string()),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_never_becomes_a_formula_and_a_figure_stays_one() {
        for (value, expected) in [
            (json!("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")"),
            (json!("+1"), "'+1"),
            (json!("-1"), "'-1"),
            (json!("@sum"), "'@sum"),
            (json!("\n=1"), "'\n=1"),
            (json!("a;=1"), "a;'=1"),
            (json!(-1.5), "-1.5"),
            (json!(true), "true"),
            (json!(["10:00-11:00"]), "[\"10:00-11:00\"]"),
            (Value::Null, ""),
        ] {
            assert_eq!(cell(&value), expected);
        }
    }

    #[test]
    fn a_cell_is_quoted_where_it_must_be() {
        let mut table = String::new();
        line(&mut table, ["one, \"two\"", "0.5", "", "\n"].map(str::to_owned).into_iter());
        assert_eq!(table, "\"one, \"\"two\"\"\",0.5,,\"\n\"\r\n");
    }
}
