//! What commands print for people and programs, on standard output.

use std::io::{self, Write as _};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// Prints a text with a line end, and sees to it that it is out. A reader that has seen enough
/// (`busyhour-agent status | head -1`) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Rows as aligned columns without lines, the first column at the margin.
pub(crate) fn columns(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row);
    }
    let line = |line: String| format!("{}\n", line.strip_prefix(' ').unwrap_or(&line).trim_end());
    table.lines().map(line).collect()
}

/// Microseconds as milliseconds, as finely as matters at that size.
pub(crate) fn millis(us: impl Into<f64>) -> String {
    let millis = us.into() / 1_000.0;
    let decimals = match millis.abs() {
        ms if ms < 1.0 => 3,
        ms if ms < 10.0 => 2,
        ms if ms < 100.0 => 1,
        _ => 0,
    };
    format!("{millis:.decimals$} ms")
}

/// A part of a whole in percent; `-` of nothing.
pub(crate) fn percent(part: u32, whole: u32) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let percent = 100.0 * f64::from(part) / f64::from(whole);
    // One of a window is seen: a lost packet never looks like none.
    let decimals = if percent > 0.0 && percent < 1.0 { 2 } else { 1 };
    format!("{percent:.decimals$} %")
}

/// Bits a second with their unit.
pub(crate) fn bits_per_second(bits: u64) -> String {
    let bits = bits as f64;
    match bits {
        bits if bits < 1e6 => format!("{:.1} kbit/s", bits / 1e3),
        bits => format!("{:.2} Mbit/s", bits / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_fine_as_matters() {
        assert_eq!(millis(18), "0.018 ms");
        assert_eq!(millis(4_040), "4.04 ms");
        assert_eq!(millis(84_321), "84.3 ms");
        assert_eq!(millis(-250_400), "-250 ms");
        assert_eq!(percent(1, 750), "0.13 %");
        assert_eq!(percent(0, 750), "0.0 %");
        assert_eq!(percent(75, 750), "10.0 %");
        assert_eq!(percent(0, 0), "-");
        assert_eq!(bits_per_second(14_500), "14.5 kbit/s");
        assert_eq!(bits_per_second(1_440_000), "1.44 Mbit/s");
    }

    #[test]
    fn columns_begin_at_the_margin_and_end_without_blanks() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = columns([row(["a", "1"]), row(["longer", ""])]);
        assert!(text.starts_with("a"), "{text:?}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text:?}");
    }
}
