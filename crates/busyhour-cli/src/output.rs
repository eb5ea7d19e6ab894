//! Rows out, by one way for every command: as a table for people, narrow or wide, and as JSON, YAML
//! and CSV for programs.
//!
//! What is not known is `unknown` to people, null in JSON and YAML, and empty in CSV; `-` says that
//! there is none.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use anyhow::Context as _;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::args::Format;
use crate::client::{Envelope, Item};

/// The longest name that is never cut.
const MAX_NAME_WIDTH: usize = 40;

/// How often what turns moves on.
const TURN: Duration = Duration::from_millis(120);

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
        Self::of(io::stdout().is_terminal(), |name| std::env::var_os(name))
    }

    fn of(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // https://no-color.org: set and not empty, whatever the value.
        let is_set = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_none_or(|term| term == "dumb");
        if !is_terminal {
            Self::Plain
        } else if is_set || is_dumb {
            Self::Monochrome
        } else {
            Self::Colour
        }
    }
}

impl Printer {
    pub(crate) fn new(format: Format, no_headers: bool) -> Self {
        Self { format, no_headers, style: Style::of_stdout() }
    }

    /// How it was asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// True when people read what is printed.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// True when a person looks at a terminal, which can be written anew.
    pub(crate) fn is_live(&self) -> bool {
        self.is_table() && self.style != Style::Plain
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
        if envelope.items.is_empty() && self.is_live() {
            eprintln!("there are none");
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table | Format::Wide => {
                print_table(&mut out, &self.table(&envelope.items, columns, long))?;
            }
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, envelope).map_err(io::Error::from)?;
                writeln!(out)?;
            }
            Format::Yaml => write!(out, "{}", yaml(envelope)?)?,
            Format::Csv => self.csv(&mut out, &envelope.items, columns)?,
        }
        Ok(out.flush()?)
    }

    /// The lines of a table, each cut to one line of the terminal.
    pub(crate) fn screen(&self, envelope: &Envelope, columns: &[Column]) -> Vec<String> {
        self.table(&envelope.items, columns, Long::Cut).lines().map(|line| trimmed(&line)).collect()
    }

    /// Prints one thing: a field a line as a table; otherwise as the only row.
    pub(crate) fn one(&self, envelope: &Envelope, columns: &[Column]) -> anyhow::Result<()> {
        let (true, [item]) = (self.is_table(), envelope.items.as_slice()) else {
            return self.rows(envelope, columns);
        };
        let mut table = self.empty_table();
        for (key, title) in self.titled(&envelope.items, columns) {
            table.add_row(vec![Cell::new(format!("{title}:")), self.cell(item, &key)]);
        }
        print_table(&mut io::stdout().lock(), &table)
    }

    /// The columns with their titles; of a wide table every other field after them that is a single
    /// value, under its own name.
    fn titled(&self, items: &[Item], columns: &[Column]) -> Vec<(String, String)> {
        let chosen = columns.iter().map(|(key, title)| ((*key).to_owned(), (*title).to_owned()));
        let mut titled: Vec<(String, String)> = chosen.collect();
        if self.format == Format::Wide {
            let is_flat = |key: &&String| items.iter().all(|item| is_flat(item.get(key.as_str())));
            let keys = all_keys(items, columns);
            let rest = keys.iter().skip(columns.len()).filter(is_flat);
            titled.extend(rest.map(|key| (key.clone(), key.replace('_', " "))));
        }
        titled
    }

    fn table(&self, items: &[Item], columns: &[Column], long: Long) -> Table {
        let mut table = self.empty_table();
        let columns = self.titled(items, columns);
        if !self.no_headers {
            let title = |(_, title): &(String, String)| {
                let cell = Cell::new(title.to_uppercase());
                if self.style == Style::Colour { cell.add_attribute(Attribute::Bold) } else { cell }
            };
            table.set_header(Row::from(columns.iter().map(title).collect::<Vec<_>>()));
        }
        for item in items {
            let cell = |(key, _): &(String, String)| self.cell(item, key);
            let mut row = Row::from(columns.iter().map(cell).collect::<Vec<_>>());
            if long == Long::Cut && self.is_fitted() {
                row.max_height(1);
            }
            table.add_row(row);
        }
        let names = columns.first().map(|(key, _)| {
            let width = |item: &Item| self.cell(item, key).content().chars().count();
            items.iter().map(width).max().unwrap_or(0)
        });
        let is_short = names.is_some_and(|width| width <= MAX_NAME_WIDTH);
        if let (true, true, Some(first)) = (is_short, self.is_fitted(), table.column_mut(0)) {
            // What a row is about stays whole, whatever the rest has to do without.
            first.set_constraint(ColumnConstraint::ContentWidth);
        }
        table
    }

    /// A wide table is for `less -S`: nothing in it is wrapped.
    fn empty_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        if self.style == Style::Plain {
            table.force_no_tty();
        }
        table.set_content_arrangement(match self.is_fitted() {
            true => ContentArrangement::Dynamic,
            false => ContentArrangement::Disabled,
        });
        table
    }

    /// True for what is made as wide as the terminal is.
    fn is_fitted(&self) -> bool {
        self.style != Style::Plain && self.format != Format::Wide
    }

    fn cell(&self, item: &Item, key: &str) -> Cell {
        let value = item.get(key).unwrap_or(&Value::Null);
        let words = if value.is_null() { nothing(item, key).to_owned() } else { shown(key, value) };
        let is_unknown = value.is_null() && words == UNKNOWN;
        let cell = Cell::new(words);
        match (self.style, value.as_str()) {
            (Style::Colour, Some("masked" | "bad" | "fail" | "fails" | "open" | "error")) => {
                cell.fg(Color::Red)
            }
            (
                Style::Colour,
                Some("bad-lately" | "unknown" | "suspected" | "recovering" | "warning"),
            ) => cell.fg(Color::Yellow),
            (Style::Colour, None) if is_unknown => cell.fg(Color::Yellow),
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

/// Turns on a terminal while somebody waits for the collector; gone when it is dropped.
pub(crate) fn waiting(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_finish(ProgressFinish::AndClear)
        .with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TURN);
    bar
}

/// comfy-table pads each cell on both sides; the first column begins at the margin and no line
/// ends in blanks.
fn print_table(out: &mut impl Write, table: &Table) -> anyhow::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", trimmed(&line))?;
    }
    Ok(out.flush()?)
}

fn trimmed(line: &str) -> String {
    line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
}

/// A single value, or several words: what fits into a cell.
fn is_flat(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(_)) => false,
        Some(Value::Array(values)) => values.iter().all(|value| !value.is_object()),
        _ => true,
    }
}

/// An answer as YAML.
pub(crate) fn yaml(answer: &impl Serialize) -> anyhow::Result<String> {
    serde_saphyr::to_string(answer).context("write YAML")
}

/// The word for what is not known.
const UNKNOWN: &str = "unknown";
/// What is told of everything that there is: without it nobody told. Of other words none means that
/// there is none: no owner, no end.
const ALWAYS_TOLD: [&str; 10] = [
    "building",
    "business",
    "business_hours",
    "busy",
    "local_prefix",
    "os",
    "resolved",
    "time_zone",
    "version",
    "working_day",
];

/// What stands for null: a figure without a value was not measured.
fn nothing(item: &Item, key: &str) -> &'static str {
    let standing = item.get("standing").and_then(Value::as_str);
    let of_bad_hours = key.starts_with("worst_hour_") || key.starts_with("average_");
    let is_figure = key.ends_with("_s")
        || key.split('_').any(|part| matches!(part, "ratio" | "us" | "ms" | "mos" | "extent"));
    match standing {
        Some("good") if of_bad_hours => "-",
        Some("unknown") if of_bad_hours => UNKNOWN,
        _ if is_figure || ALWAYS_TOLD.contains(&key) => UNKNOWN,
        _ => "-",
    }
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

    fn item(value: Value) -> Item {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_figure_without_a_value_is_unknown_and_what_does_not_apply_is_none() {
        let good = item(json!({"standing": "good"}));
        let unknown = item(json!({"standing": "unknown"}));
        for (of, key, expected) in [
            (&unknown, "worst_hour_bad_ratio", "unknown"),
            (&unknown, "worst_hour_says", "unknown"),
            (&good, "worst_hour_says", "-"),
            (&good, "worst_hour_bad_ratio", "-"),
            (&good, "average_rtt_us", "-"),
            (&good, "coverage_ratio", "unknown"),
            (&good, "data_age_s", "unknown"),
            (&good, "time_zone", "unknown"),
            (&good, "removed_utc", "-"),
            (&good, "owner", "-"),
            (&unknown, "masking_factor", "-"),
        ] {
            assert_eq!(nothing(of, key), expected, "{key}");
        }
        let printer = Printer { format: Format::Table, no_headers: true, style: Style::Monochrome };
        assert!(printer.cell(&good, "loss_ratio").content().contains("unknown"));
    }

    #[test]
    fn colours_are_for_terminals_that_have_them() {
        let items = [item(json!({"standing": "bad"})), item(json!({"standing": "unknown"}))];
        for (style, coloured) in
            [(Style::Colour, true), (Style::Monochrome, false), (Style::Plain, false)]
        {
            let printer = Printer { format: Format::Table, no_headers: false, style };
            let mut table = printer.table(&items, &[("standing", "standing")], Long::Wrapped);
            if coloured {
                // Tests have no terminal; the printer asks for colours all the same.
                table.enforce_styling();
            }
            assert_eq!(table.to_string().contains('\u{1b}'), coloured, "{style:?}");
        }
        let of = |is_terminal, no_colour: &str, term: &str| {
            Style::of(is_terminal, |name| match name {
                "NO_COLOR" => Some(no_colour.into()),
                _ => (!term.is_empty()).then(|| term.into()),
            })
        };
        assert_eq!(of(true, "", "xterm"), Style::Colour, "an empty NO_COLOR says nothing");
        for (no_colour, term) in [("0", "xterm"), ("", "dumb"), ("", "")] {
            assert_eq!(of(true, no_colour, term), Style::Monochrome, "{no_colour:?} {term:?}");
        }
        assert_eq!(of(false, "", "xterm"), Style::Plain);
    }

    #[test]
    fn a_wide_table_has_every_single_value_and_cuts_none() {
        let sentence = "words go missing in calls ".repeat(10);
        let sentence = sentence.trim();
        let items = [item(json!({
            "number": 1, "sentence": sentence, "loss_ratio_p90": 0.02, "parts": [{"a": 1}],
            "dates": ["2026-03-02", "2026-03-03"], "deep": {"a": 1},
        }))];
        let printer = Printer { format: Format::Wide, no_headers: false, style: Style::Monochrome };
        let table = printer.table(&items, &[("number", "no"), ("sentence", "what")], Long::Cut);
        let lines: Vec<String> = table.lines().map(|line| trimmed(&line)).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("NO"), "{lines:?}");
        let titles: Vec<&str> = lines[0].split("  ").filter(|title| !title.is_empty()).collect();
        let trimmed: Vec<&str> = titles.iter().map(|title| title.trim()).collect();
        assert_eq!(trimmed, ["NO", "WHAT", "DATES", "LOSS RATIO P90"]);
        assert!(lines[1].contains(sentence) && lines[1].ends_with("2.0 %"), "{lines:?}");
    }

    #[test]
    fn yaml_says_what_json_says() {
        let envelope = Envelope::new(vec![item(json!({
            "name": "no", "owner": null, "loss_ratio": 0.25, "hours": ["10:00-11:00"],
            "text": "a: b # c\n- d", "deep": {"yes": true},
        }))]);
        let expected = "schema_version: 1\nitems:\n";
        let text = yaml(&envelope).unwrap();
        assert!(text.starts_with(expected), "{text}");
        for line in ["name: \"no\"", "owner: null", "loss_ratio: 0.25", "\"yes\": true"] {
            assert!(text.contains(line), "{line} in {text}");
        }
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
