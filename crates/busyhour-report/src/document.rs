//! A report laid out: sentences and tables, from which every form follows.

use busyhour_chart::Svg;
use busyhour_model::UtcMicros;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::period::Period;
use crate::shift::{Leaning, Shift};
use crate::tally::WorstOf;

/// Who reads a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// People and programs.
    All,
    /// People: in words or as a picture.
    People,
    /// Programs: one figure in one unit.
    Programs,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name for programs, which ends in its unit.
    pub key: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// Who reads it.
    pub readers: Readers,
}

impl Column {
    /// For all.
    pub(crate) const fn new(key: &'static str, title: &'static str) -> Self {
        Self { key, title, readers: Readers::All }
    }

    /// For people.
    pub(crate) const fn people(title: &'static str) -> Self {
        Self { key: "", title, readers: Readers::People }
    }

    /// For programs.
    pub(crate) const fn programs(key: &'static str) -> Self {
        Self { key, title: "", readers: Readers::Programs }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// How many.
    Count(u64),
    /// A share, 0..=1.
    Share(f64),
    /// A difference of shares, -1..=1.
    Points(f64),
    /// How many times.
    Factor(f64),
    /// Minutes.
    Minutes(u64),
    /// A local date.
    Date(Date),
    /// An incident, by its number.
    Incident(u64),
    /// A picture.
    Picture(Svg),
    /// Nothing is known. Never good.
    Unknown,
    /// There is none.
    Nothing,
}

/// A value for programs.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Words.
    Text(String),
    /// A whole number.
    Integer(u64),
    /// A number.
    Number(f64),
    /// No value.
    Nothing,
}

impl Cell {
    /// In words or digits, with the unit.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Share(share) => percent(*share),
            Self::Points(points) => format!("{:+.0} points", points * 100.0),
            Self::Factor(factor) => format!("{factor:.1} ×"),
            Self::Minutes(minutes) => duration(*minutes),
            Self::Date(date) => date.to_string(),
            Self::Incident(number) => format!("#{number}"),
            Self::Picture(_) => String::new(),
            Self::Unknown => "unknown".to_owned(),
            Self::Nothing => "–".to_owned(),
        }
    }

    /// For programs, in the unit of the column's name.
    #[must_use]
    pub fn raw(&self) -> Raw {
        match self {
            Self::Text(text) => Raw::Text(text.clone()),
            Self::Count(count) | Self::Minutes(count) | Self::Incident(count) => {
                Raw::Integer(*count)
            }
            Self::Share(number) | Self::Points(number) | Self::Factor(number) => {
                // Six digits are what shares of windows can tell.
                Raw::Number((number * 1e6).round() / 1e6)
            }
            Self::Date(date) => Raw::Text(date.to_string()),
            Self::Picture(_) | Self::Unknown | Self::Nothing => Raw::Nothing,
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn share(share: Option<f64>) -> Self {
        share.map_or(Self::Unknown, Self::Share)
    }

    /// `3 of 5`.
    pub(crate) fn days(bad: u32, of: u32) -> Self {
        if of == 0 { Self::Unknown } else { Self::Text(format!("{bad} of {of}")) }
    }
}

/// A row of a table.
pub type Row = Vec<Cell>;

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name for programs, and the name of its file.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it shows and how to read it.
    pub caption: String,
    /// Its columns; the first names the row.
    pub columns: Vec<Column>,
    /// Its rows, what matters most first; as many cells as columns.
    pub rows: Vec<Row>,
    /// What is said when it has no rows.
    pub empty: &'static str,
}

impl Table {
    /// The positions of the columns that people read.
    pub(crate) fn for_people(&self) -> Vec<usize> {
        self.positions(Readers::Programs)
    }

    /// The columns that programs read, with their positions.
    #[must_use]
    pub fn for_programs(&self) -> Vec<(usize, Column)> {
        self.positions(Readers::People).into_iter().map(|at| (at, self.columns[at])).collect()
    }

    fn positions(&self, without: Readers) -> Vec<usize> {
        (0..self.columns.len()).filter(|&at| self.columns[at].readers != without).collect()
    }
}

/// A report laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it is of.
    pub period: Period,
    /// The building it is limited to, by name.
    pub building: Option<String>,
    /// When it was made.
    pub made: UtcMicros,
    /// Simulated agents are among what it rests on.
    pub simulated: bool,
    /// What matters most, a sentence each.
    pub lead: Vec<String>,
    /// The tables.
    pub tables: Vec<Table>,
    /// How to read it, and where figures come from.
    pub notes: Vec<String>,
}

impl Document {
    /// `Quality Experience Review, week 2026-W34 (17 to 23 August 2026)`.
    #[must_use]
    pub fn title(&self) -> String {
        let title = format!("{}, {}", self.period.kind().title(), self.period.words());
        match &self.building {
            Some(building) => format!("{title}: {building}"),
            None => title,
        }
    }

    /// When it was made, as RFC 3339 in UTC.
    #[must_use]
    pub fn made_words(&self) -> String {
        Timestamp::from_second(self.made.as_secs()).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
    }
}

/// A share as a percentage: one decimal below 10 %, and neither 0 nor 100 for what is not.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.05 {
        return "<0.1 %".to_owned();
    }
    if (99.5..100.0).contains(&percent) {
        return ">99 %".to_owned();
    }
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// `4 h 30 min`.
pub(crate) fn duration(minutes: u64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// `worse by 40 points (12 to 61)`.
pub(crate) fn shift_words(shift: Option<Shift>) -> Cell {
    let Some(shift) = shift else { return Cell::Unknown };
    let points = |share: f64| (share * 100.0).round() + 0.0;
    let by = points(shift.difference).abs();
    let words = match shift.leaning() {
        Leaning::Worse => {
            format!("worse by {by} points ({} to {})", points(shift.low), points(shift.high))
        }
        Leaning::Better => {
            format!("better by {by} points ({} to {})", points(-shift.high), points(-shift.low))
        }
        Leaning::Unclear => format!(
            "no clear difference ({:+} points, {:+} to {:+})",
            points(shift.difference),
            points(shift.low),
            points(shift.high)
        ),
    };
    Cell::Text(words)
}

/// The columns of a shift: in words for people, and its parts for programs.
pub(crate) const fn shift_columns(title: &'static str) -> [Column; 5] {
    [
        Column::people(title),
        Column::programs("shift"),
        Column::programs("shift_ratio"),
        Column::programs("shift_low_ratio"),
        Column::programs("shift_high_ratio"),
    ]
}

/// The cells of [`shift_columns`].
pub(crate) fn shift_cells(shift: Option<Shift>) -> [Cell; 5] {
    let leaning = shift.map_or("unknown", |shift| shift.leaning().as_str());
    let part = |of: fn(&Shift) -> f64| {
        shift.as_ref().map_or(Cell::Unknown, |shift| Cell::Points(of(shift)))
    };
    [
        shift_words(shift),
        Cell::text(leaning),
        part(|shift| shift.difference),
        part(|shift| shift.low),
        part(|shift| shift.high),
    ]
}

/// The columns of a worst hour.
pub(crate) const fn worst_columns() -> [Column; 4] {
    [
        Column::people("Worst busy hour"),
        Column::programs("worst_hour_bad_ratio"),
        Column::programs("worst_hour_date"),
        Column::programs("worst_hour_local"),
    ]
}

/// The cells of [`worst_columns`]; `known` when anything was observed.
pub(crate) fn worst_cells(worst: Option<&WorstOf>, known: bool) -> [Cell; 4] {
    let Some(worst) = worst else {
        let none = || if known { Cell::Nothing } else { Cell::Unknown };
        return [none(), none(), none(), none()];
    };
    let hour = hours(worst.hour.start_minute, worst.hour.start_minute.saturating_add(60));
    let words =
        format!("{} bad, {} {hour}", percent(worst.share()), worst.date.strftime("%a %-d %b"));
    [Cell::Text(words), Cell::Share(worst.share()), Cell::Date(worst.date), Cell::Text(hour)]
}

/// `10:00–11:00`.
pub(crate) fn hours(from: u16, until: u16) -> String {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{}–{}", clock(from), clock(until.min(24 * 60)))
}

/// The columns of a building: its name, with the mark of simulated data for people.
pub(crate) const fn building_columns() -> [Column; 3] {
    [Column::people("Building"), Column::programs("building"), Column::programs("simulated")]
}

/// The cells of [`building_columns`].
pub(crate) fn building_cells(name: &str, simulated: bool) -> [Cell; 3] {
    let shown = if simulated { format!("{name} (simulated data)") } else { name.to_owned() };
    [Cell::Text(shown), Cell::text(name), Cell::text(if simulated { "true" } else { "false" })]
}

/// `1 building`, `2 buildings`.
pub(crate) fn count(n: usize, one: &str, more: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {more}") }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn values_have_words_for_people_and_figures_for_programs() {
        for (cell, words, raw) in [
            (Cell::Share(0.0), "0.0 %", Raw::Number(0.0)),
            (Cell::Share(0.000_2), "<0.1 %", Raw::Number(0.000_2)),
            (Cell::Share(0.999), ">99 %", Raw::Number(0.999)),
            (Cell::Share(1.0), "100 %", Raw::Number(1.0)),
            (Cell::Minutes(270), "4 h 30 min", Raw::Integer(270)),
            (Cell::Minutes(0), "0 min", Raw::Integer(0)),
            (Cell::Points(-0.4), "-40 points", Raw::Number(-0.4)),
            (Cell::Date(date(2026, 3, 2)), "2026-03-02", Raw::Text("2026-03-02".to_owned())),
            (Cell::Unknown, "unknown", Raw::Nothing),
            (Cell::Nothing, "–", Raw::Nothing),
        ] {
            assert_eq!((cell.words().as_str(), cell.raw()), (words, raw));
        }
    }

    #[test]
    fn a_shift_is_worded_with_its_interval() {
        for (low, difference, high, words) in [
            (0.12, 0.4, 0.61, "worse by 40 points (12 to 61)"),
            (-0.61, -0.4, -0.12, "better by 40 points (12 to 61)"),
            (-0.1, 0.0, 0.2, "no clear difference (+0 points, -10 to +20)"),
        ] {
            assert_eq!(shift_words(Some(Shift { difference, low, high })).words(), words);
        }
        assert_eq!(shift_words(None).words(), "unknown");
    }
}
