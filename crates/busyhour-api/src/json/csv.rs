//! Lists as comma-separated values (RFC 4180), for spreadsheets.

use std::fmt;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use busyhour_report::guarded;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as Read, Serialize};
use serde_json::Value;

use crate::problem::Problem;

/// How a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Read)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Json,
    Csv,
}

/// An item's fields in the order in which it tells them, which a map would lose.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item with fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A table with a line of names, as a file of this name.
pub(crate) fn file<T: Serialize>(name: &str, items: &[T]) -> Result<Response, Problem> {
    let table = table(items).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a table was not written");
        Problem::internal()
    })?;
    let mut response = table.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    headers.insert(header::CONTENT_TYPE, kind);
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    headers.insert(
        header::CONTENT_DISPOSITION,
        disposition.unwrap_or(HeaderValue::from_static("attachment")),
    );
    Ok(response)
}

fn table<T: Serialize>(items: &[T]) -> serde_json::Result<String> {
    let mut table = String::new();
    for item in items {
        let Fields(fields) = serde_json::from_str(&serde_json::to_string(item)?)?;
        if table.is_empty() {
            line(&mut table, fields.iter().map(|(name, _)| name.clone()));
        }
        line(&mut table, fields.iter().map(|(_, value)| cell(value)));
    }
    Ok(table)
}

fn line(table: &mut String, cells: impl Iterator<Item = String>) {
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
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guarded(text),
        other => other.to_string(),
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
            (Value::Null, ""),
        ] {
            assert_eq!(cell(&value), expected);
        }
    }

    #[test]
    fn a_table_keeps_the_order_of_fields_and_quotes_what_needs_it() {
        #[derive(Serialize)]
        struct Item {
            z: &'static str,
            #[serde(flatten)]
            more: More,
            b: Option<u32>,
        }
        #[derive(Serialize)]
        struct More {
            a: f64,
        }
        let items = [
            Item { z: "one, \"two\"", more: More { a: 0.5 }, b: None },
            Item { z: "\n", more: More { a: 1.0 }, b: Some(3) },
        ];
        assert_eq!(
            table(&items).unwrap(),
            "z,a,b\r\n\"one, \"\"two\"\"\",0.5,\r\n\"'\n\",1.0,3\r\n"
        );
        assert_eq!(table::<Item>(&[]).unwrap(), "");
    }
}
