//! Which day, week or month a report is of.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use busyhour_model::UtcMicros;
use jiff::ToSpan as _;
use jiff::civil::{Date, ISOWeekDate, Weekday};
use thiserror::Error;

use crate::world::date_of;

/// How far the last zone of the world is behind UTC: a date is over everywhere when it is over there.
const LAST_ZONE: Duration = Duration::from_secs(12 * 3_600);

/// What kind of report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportKind {
    /// What happened on a day.
    Daily,
    /// The Quality Experience Review of a week.
    Weekly,
    /// What the steering committee reads of a month.
    Monthly,
}

/// A text that names no kind of report, or no period of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no {expected}")]
pub struct InvalidPeriod {
    text: String,
    expected: &'static str,
}

impl ReportKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Daily, Self::Weekly, Self::Monthly];

    /// The word used in SQL, JSON, addresses and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// What the report is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Daily => "Daily digest",
            Self::Weekly => "Quality Experience Review",
            Self::Monthly => "Steering committee pack",
        }
    }

    /// What a period of it is.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Daily => "day",
            Self::Weekly => "week",
            Self::Monthly => "month",
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Daily => "date such as 2026-08-21",
            Self::Weekly => "week such as 2026-W34, nor a date",
            Self::Monthly => "month such as 2026-08, nor a date",
        }
    }
}

impl FromStr for ReportKind {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == text).copied();
        let expected = "kind of report (daily, weekly, monthly)";
        found.ok_or_else(|| InvalidPeriod { text: text.to_owned(), expected })
    }
}

/// A day, a week from Monday, or a month, in the local dates of each building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    kind: ReportKind,
    first: Date,
    last: Date,
}

impl Period {
    /// The one that a date lies in.
    #[must_use]
    pub fn containing(kind: ReportKind, date: Date) -> Self {
        let (first, last) = match kind {
            ReportKind::Daily => (date, date),
            ReportKind::Weekly => {
                let back = i64::from(date.weekday().to_monday_zero_offset());
                let first = date.saturating_sub(back.days());
                (first, first.saturating_add(6.days()))
            }
            ReportKind::Monthly => (date.first_of_month(), date.last_of_month()),
        };
        Self { kind, first, last }
    }

    /// The last one that is over on a date.
    #[must_use]
    pub fn over_by(kind: ReportKind, today: Date) -> Self {
        Self::containing(kind, today).previous()
    }

    /// The last one that is over at a moment in all zones.
    #[must_use]
    pub fn over_everywhere(kind: ReportKind, now: UtcMicros) -> Self {
        Self::over_by(kind, last_date(now))
    }

    /// Reads `2026-08-21`, `2026-W34` or `2026-08`; a date stands for the period it lies in.
    ///
    /// # Errors
    /// When it is neither a date nor a period of this kind.
    pub fn parse(kind: ReportKind, text: &str) -> Result<Self, InvalidPeriod> {
        let invalid = || InvalidPeriod { text: text.to_owned(), expected: kind.expected() };
        if let Ok(date) = text.parse::<Date>() {
            return Ok(Self::containing(kind, date));
        }
        let date = match kind {
            ReportKind::Daily => None,
            ReportKind::Weekly => parse_week(text),
            ReportKind::Monthly => parse_month(text),
        };
        Ok(Self::containing(kind, date.ok_or_else(invalid)?))
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::containing(self.kind, self.first.saturating_sub(1.day()))
    }

    /// What kind of report it is for.
    #[must_use]
    pub const fn kind(self) -> ReportKind {
        self.kind
    }

    /// Its first date.
    #[must_use]
    pub const fn first(self) -> Date {
        self.first
    }

    /// Its last date.
    #[must_use]
    pub const fn last(self) -> Date {
        self.last
    }

    /// True for a date in it.
    #[must_use]
    pub fn has(self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }

    /// In words, as a title has it: `week 2026-W34 (17 to 23 August 2026)`.
    #[must_use]
    pub fn words(self) -> String {
        match self.kind {
            ReportKind::Daily => self.first.strftime("%A %-d %B %Y").to_string(),
            ReportKind::Weekly => {
                let form = if self.first.month() == self.last.month() { "%-d" } else { "%-d %B" };
                let (first, last) = (self.first.strftime(form), self.last.strftime("%-d %B %Y"));
                format!("week {self} ({first} to {last})")
            }
            ReportKind::Monthly => self.first.strftime("%B %Y").to_string(),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ReportKind::Daily => write!(f, "{}", self.first),
            ReportKind::Weekly => {
                let week = self.first.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            ReportKind::Monthly => write!(f, "{}", self.first.strftime("%Y-%m")),
        }
    }
}

/// The date that is everywhere reached at a moment: that of the zone where days begin last.
pub(crate) fn last_date(now: UtcMicros) -> Date {
    date_of(now.minus(LAST_ZONE))
}

fn parse_week(text: &str) -> Option<Date> {
    let (year, week) = text.split_once("-W")?;
    if year.len() != 4 || week.len() != 2 {
        return None;
    }
    let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
    Some(week.date())
}

fn parse_month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-')?;
    if year.len() != 4 || month.len() != 2 {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn periods_are_named_as_they_are_written() {
        for (kind, text, first, last, words) in [
            (
                ReportKind::Daily,
                "2026-08-21",
                date(2026, 8, 21),
                date(2026, 8, 21),
                "Friday 21 August 2026",
            ),
            (
                ReportKind::Weekly,
                "2026-W34",
                date(2026, 8, 17),
                date(2026, 8, 23),
                "week 2026-W34 (17 to 23 August 2026)",
            ),
            (
                ReportKind::Weekly,
                "2020-W53",
                date(2020, 12, 28),
                date(2021, 1, 3),
                "week 2020-W53 (28 December to 3 January 2021)",
            ),
            (ReportKind::Monthly, "2026-02", date(2026, 2, 1), date(2026, 2, 28), "February 2026"),
        ] {
            let period = Period::parse(kind, text).unwrap();
            assert_eq!((period.first(), period.last()), (first, last), "{text}");
            assert_eq!((period.to_string().as_str(), period.words().as_str()), (text, words));
        }
    }

    #[test]
    fn a_date_stands_for_the_period_it_lies_in() {
        let week = Period::parse(ReportKind::Weekly, "2026-08-21").unwrap();
        assert_eq!(week.to_string(), "2026-W34");
        assert_eq!(
            Period::parse(ReportKind::Monthly, "2026-08-21").unwrap().to_string(),
            "2026-08"
        );
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for (kind, text) in [
            (ReportKind::Daily, "2026-08"),
            (ReportKind::Weekly, "2026-W54"),
            (ReportKind::Weekly, "2021-W53"),
            (ReportKind::Weekly, "26-W01"),
            (ReportKind::Weekly, ""),
            (ReportKind::Monthly, "2026-13"),
            (ReportKind::Monthly, "2026-8"),
            (ReportKind::Monthly, "é026-08"),
        ] {
            assert!(Period::parse(kind, text).is_err(), "{text}");
        }
        assert!("yearly".parse::<ReportKind>().is_err());
    }

    #[test]
    fn a_day_is_over_everywhere_when_it_is_over_in_the_last_zone() {
        // 2026-09-02, 11:59:59 and 12:00 UTC.
        for (seconds, expected) in [(1_788_350_399, "2026-08-31"), (1_788_350_400, "2026-09-01")] {
            let now = UtcMicros::from_secs(seconds);
            let found = Period::over_everywhere(ReportKind::Daily, now);
            assert_eq!(found.to_string(), expected, "{seconds}");
        }
    }

    #[test]
    fn the_last_that_is_over_never_has_today() {
        for (kind, today, expected) in [
            (ReportKind::Daily, date(2026, 3, 1), "2026-02-28"),
            (ReportKind::Weekly, date(2026, 8, 24), "2026-W34"),
            (ReportKind::Weekly, date(2026, 8, 30), "2026-W34"),
            (ReportKind::Monthly, date(2026, 1, 31), "2025-12"),
        ] {
            assert_eq!(Period::over_by(kind, today).to_string(), expected, "{today}");
        }
    }
}
