//! Rows out: as a table for people, as JSON and CSV for programs.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Row, Table};
use serde_json::Value;

use crate::args::Format;
use crate::client::{Envelope, Item};

/// A column of a table: which field, under which title.
pub(crate) type Column = (&'static str, &'static str);

/// Prints rows as the flags ask.
pub(crate) struct Printer {
    format: Format,
    no_headers: bool,
    style: Style,
}

/// Whether standard output is a terminal, and whether it may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A file or a pipe.
    Plain,
    /// A terminal without colours.
    Monochrome,
    /// A terminal.
    Colour,
}

/// What becomes of a row that is longer than a terminal is wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Long {
    /// It takes several lines.
    Wrapped,
    /// It is cut to one.
    Cut,
}

impl Style {
    fn of_stdout() -> Self {
        // https://no-color.org: set and not empty, whatever the value.
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match (io::stdout().is_terminal(), set("NO_COLOR") || dumb) {
            (false, _) => Self::Plain,
            (true, true) => Self::Monochrome,
            (true, false) => Self::Colour,
        }
    }
}

impl Printer {
    pub(crate) fn new(format: Format, no_headers: bool) -> Self {
        Self { format, no_headers, style: Style::of_stdout() }
    }

    /// True when people read what is printed.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints rows: the chosen columns as a table; everything as JSON or CSV.
    pub(crate) fn rows(&self, envelope: &Envelope, columns: &[Column]) -> anyhow::Result<()> {
        self.print(envelope, columns, Long::Wrapped)
    }

    /// Prints rows as [`Self::rows`] does, each cut to one line where a terminal shows them.
    pub(crate) fn lines(&self, envelope: &Envelope, columns: &[Column]) -> anyhow::Result<()> {
        self.print(envelope, columns, Long::Cut)
    }

    fn print(&self, envelope: &Envelope, columns: &[Column], long: Long) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table => {
                print_table(&mut out, &self.table(&envelope.items, columns, long))?;
            }
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, envelope).map_err(io::Error::from)?;
                writeln!(out)?;
            }
            Format::Csv => self.csv(&mut out, &envelope.items, columns)?,
        }
        Ok(out.flush()?)
    }

    /// Prints one thing: a field a line as a table; otherwise as the only row.
    pub(crate) fn one(&self, envelope: &Envelope, columns: &[Column]) -> anyhow::Result<()> {
        let (Format::Table, [item]) = (self.format, envelope.items.as_slice()) else {
            return self.rows(envelope, columns);
        };
        let mut table = self.empty_table();
        for (key, title) in columns {
            let value = item.get(*key).unwrap_or(&Value::Null);
            table.add_row(vec![Cell::new(format!("{title}:")), self.cell(key, value)]);
        }
        print_table(&mut io::stdout().lock(), &table)
    }

    fn table(&self, items: &[Item], columns: &[Column], long: Long) -> Table {
        let mut table = self.empty_table();
        if !self.no_headers {
            let title = |(_, title): &Column| {
                let cell = Cell::new(title.to_uppercase());
                if self.style == Style::Colour { cell.add_attribute(Attribute::Bold) } else { cell }
            };
            table.set_header(Row::from(columns.iter().map(title).collect::<Vec<_>>()));
        }
        for item in items {
            let cell = |(key, _): &Column| self.cell(key, item.get(*key).unwrap_or(&Value::Null));
            let mut row = Row::from(columns.iter().map(cell).collect::<Vec<_>>());
            if long == Long::Cut && self.style != Style::Plain {
                row.max_height(1);
            }
            table.add_row(row);
        }
        table
    }

    fn empty_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        if self.style == Style::Plain {
            table.force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
        } else {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table
    }

    fn cell(&self, key: &str, value: &Value) -> Cell {
        let cell = Cell::new(shown(key, value));
        match (self.style, value.as_str()) {
            (Style::Colour, Some("masked" | "bad" | "fail" | "open" | "error")) => {
                cell.fg(Color::Red)
            }
            (
                Style::Colour,
                Some("bad-lately" | "unknown" | "suspected" | "recovering" | "warning"),
            ) => cell.fg(Color::Yellow),
            _ => cell,
        }
    }

    fn csv(&self, out: &mut impl Write, items: &[Item], columns: &[Column]) -> anyhow::Result<()> {
        let keys = all_keys(items, columns);
        let mut writer = csv::Writer::from_writer(out);
        if !self.no_headers {
            writer.write_record(&keys)?;
        }
        for item in items {
            writer
                .write_record(keys.iter().map(|key| raw(item.get(key).unwrap_or(&Value::Null))))?;
        }
        Ok(writer.flush()?)
    }
}

/// comfy-table pads each cell on both sides; the first column begins at the margin and no line
/// ends in blanks.
fn print_table(out: &mut impl Write, table: &Table) -> anyhow::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
    }
    Ok(out.flush()?)
}

/// The columns of the table first, then every other field in alphabetical order.
fn all_keys(items: &[Item], columns: &[Column]) -> Vec<String> {
    let mut keys: Vec<String> = columns.iter().map(|(key, _)| (*key).to_owned()).collect();
    let rest: std::collections::BTreeSet<&String> =
        items.iter().flat_map(Item::keys).filter(|key| !keys.contains(key)).collect();
    let rest: Vec<String> = rest.into_iter().cloned().collect();
    keys.extend(rest);
    keys
}

/// A value for programs. A text that a spreadsheet would take for a formula is quoted with an
/// apostrophe: names come from files and from agents.
fn raw(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            format!("'{}", harmless(text))
        }
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// A value for people, with its unit, which is in its field's name.
fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(number) => with_unit(key, number),
            None => number.to_string(),
        },
        Value::String(text) => harmless(text),
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(|value| shown("", value)).collect();
            if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
        }
        Value::Object(_) => harmless(&value.to_string()),
    }
}

fn with_unit(key: &str, number: f64) -> String {
    let has = |unit: &str| key.split('_').any(|part| part == unit);
    if has("ratio") {
        percent(number * 100.0)
    } else if has("us") {
        millis(number / 1_000.0)
    } else if key.ends_with("_s") {
        seconds(number)
    } else if number.fract() == 0.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}

fn percent(percent: f64) -> String {
    let decimals = if percent > 0.0 && percent < 1.0 { 2 } else { 1 };
    format!("{percent:.decimals$} %")
}

fn millis(millis: f64) -> String {
    let decimals = match millis.abs() {
        ms if ms < 1.0 => 2,
        ms if ms < 10.0 => 1,
        _ => 0,
    };
    format!("{millis:.decimals$} ms")
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// Names come from files and agents: whatever would move a terminal's cursor or turn the reading
/// direction is replaced.
pub(crate) fn harmless(text: &str) -> String {
    let replace = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { '\u{fffd}' } else { c }
    };
    text.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_shown_with_their_unit() {
        for (key, value, expected) in [
            ("bad_ratio", json!(0.0523), "5.2 %"),
            ("loss_ratio", json!(0.0031), "0.31 %"),
            ("worst_hour_loss_ratio_p90", json!(0.024), "2.4 %"),
            ("loss_ratio", json!(0), "0.0 %"),
            ("rtt_us_p90", json!(84_321), "84 ms"),
            ("jitter_us", json!(4_040), "4.0 ms"),
            ("rtt_us_median", json!(18), "0.02 ms"),
            ("data_age_s", json!(90), "90 s"),
            ("data_age_s", json!(1_800), "30 min"),
            ("data_age_s", json!(400_000), "5 d"),
            ("masking_factor", json!(7.74), "7.7"),
            ("bad_days", json!(3), "3"),
            ("masked", json!(true), "yes"),
            ("subnet", Value::Null, "-"),
            ("agents", json!(["a", "b"]), "a, b"),
            ("agents", json!([]), "-"),
        ] {
            assert_eq!(shown(key, &value), expected, "{key} {value}");
        }
    }

    #[test]
    fn a_sentence_is_cut_to_the_terminal_and_nowhere_else() {
        let items: Vec<Item> = (1..=2)
            .map(|number| {
                let sentence = "words go missing in calls ".repeat(10);
                let item = json!({"number": number, "sentence": sentence.trim()});
                item.as_object().unwrap().clone()
            })
            .collect();
        let columns = [("number", "no"), ("sentence", "what")];
        let lines = |style: Style, long: Long| {
            let printer = Printer { format: Format::Table, no_headers: true, style };
            let mut table = printer.table(&items, &columns, long);
            table.set_width(60);
            table.lines().collect::<Vec<String>>()
        };
        let cut = lines(Style::Monochrome, Long::Cut);
        assert_eq!(cut.len(), 2, "{cut:?}");
        assert!(cut.iter().all(|line| line.chars().count() <= 60 && line.contains('…')), "{cut:?}");
        assert!(lines(Style::Monochrome, Long::Wrapped).len() > 2);
        let whole = lines(Style::Plain, Long::Cut);
        assert_eq!(whole.len(), 2, "{whole:?}");
        assert!(whole.iter().all(|line| !line.contains('…')), "{whole:?}");
    }

    #[test]
    fn a_text_never_becomes_a_formula_and_a_figure_stays_one() {
        for (value, expected) in [
            (json!("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")"),
            (json!("+1"), "'+1"),
            (json!("-1"), "'-1"),
            (json!("@sum"), "'@sum"),
            (json!(-1.5), "-1.5"),
            (json!("Berlin HQ"), "Berlin HQ"),
            (Value::Null, ""),
        ] {
            assert_eq!(raw(&value), expected);
        }
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }
}
