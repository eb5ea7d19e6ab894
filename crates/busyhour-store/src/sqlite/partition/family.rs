//! Which partitions there are, and how their files are named.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::Date;

/// A Monday; 1970 began on a Thursday.
const SOME_MONDAY: i64 = -3;
const WEEK: i64 = 7;
const FIRST_DATE: Date = Date::constant(1970, 1, 1);
/// 9999-12-31, in days since 1970: beyond that a name has no four-digit year.
const LAST_DAY: i64 = 2_932_896;

/// What the partitions of one folder hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// Raw windows of a day.
    Windows,
    /// Load records of a day.
    Loads,
    /// Checks of a day.
    Checks,
    /// Facts of a day.
    Facts,
    /// Gaps of a day.
    Gaps,
    /// Quarter-hours of seven days.
    Slots,
    /// Hours of seven days.
    Hours,
}

impl Family {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Windows,
        Self::Loads,
        Self::Checks,
        Self::Facts,
        Self::Gaps,
        Self::Slots,
        Self::Hours,
    ];

    /// The folder in the data directory.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Loads => "loads",
            Self::Checks => "checks",
            Self::Facts => "facts",
            Self::Gaps => "gaps",
            Self::Slots => "slots",
            Self::Hours => "hours",
        }
    }

    /// Days of UTC in one partition: one, or seven from a Monday.
    pub(crate) const fn span_days(self) -> i64 {
        match self {
            Self::Windows | Self::Loads | Self::Checks | Self::Facts | Self::Gaps => 1,
            Self::Slots | Self::Hours => WEEK,
        }
    }

    /// The size of its files' pages (measured, docs/BENCHMARKS.md): packs of windows are larger than
    /// a page and fill small ones best; what a path has in a day is smaller, and wastes what is left
    /// of a page.
    pub(super) const fn page_bytes(self) -> i64 {
        match self {
            Self::Windows | Self::Loads | Self::Checks | Self::Facts | Self::Gaps => 4_096,
            Self::Slots | Self::Hours => 16_384,
        }
    }

    /// "BHp" and a letter in a file's header say whose it is.
    pub(crate) const fn application_id(self) -> i32 {
        let letter = match self {
            Self::Windows => b'w',
            Self::Loads => b'l',
            Self::Checks => b'c',
            Self::Facts => b'f',
            Self::Gaps => b'g',
            Self::Slots => b's',
            Self::Hours => b'h',
        };
        i32::from_be_bytes([b'B', b'H', b'p', letter])
    }
}

/// One partition: a family and its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartitionId {
    family: Family,
    first_day: i64,
}

impl PartitionId {
    /// The partition of `family` that holds `utc_day` (days since 1970); `None` before 1970 and
    /// after 9999, where there are no partitions.
    pub(crate) fn holding(family: Family, utc_day: i64) -> Option<Self> {
        if !(0..=LAST_DAY).contains(&utc_day) {
            return None;
        }
        let into = match family.span_days() {
            WEEK => (utc_day - SOME_MONDAY).rem_euclid(WEEK),
            _ => 0, // a day is its own first day
        };
        Some(Self { family, first_day: utc_day - into })
    }

    /// What it holds.
    pub(crate) const fn family(self) -> Family {
        self.family
    }

    /// Its first day of UTC since 1970.
    pub(crate) const fn first_day(self) -> i64 {
        self.first_day
    }

    /// The first day after.
    pub(crate) const fn until_day(self) -> i64 {
        self.first_day.saturating_add(self.family.span_days())
    }

    /// The path of its file within the data directory.
    pub(crate) fn file(self) -> PathBuf {
        PathBuf::from(self.family.folder()).join(self.file_name())
    }

    /// Its name in the family's folder.
    pub(crate) fn file_name(self) -> String {
        format!("{}.db", self.date())
    }

    /// The partition whose file has this name.
    pub(in crate::sqlite) fn parse(family: Family, name: &str) -> Option<Self> {
        let date: Date = name.strip_suffix(".db")?.parse().ok()?;
        let days = date.since(FIRST_DATE).ok()?.get_days();
        let parsed = [0, WEEK - 1].iter().find_map(|ahead| {
            // The week of 1970-01-01 is named by a day of 1969.
            Self::holding(family, i64::from(days).checked_add(*ahead)?)
        })?;
        // Only the one way of writing it, and only a first day.
        (parsed.file_name() == name).then_some(parsed)
    }

    fn date(self) -> Date {
        let days = jiff::Span::new().try_days(self.first_day);
        let date = days.and_then(|days| FIRST_DATE.checked_add(days));
        date.expect("days were checked when it was made")
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.family.folder(), self.date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23, a Monday.
    const MONDAY: i64 = 20_780;

    fn name(family: Family, day: i64) -> Option<String> {
        PartitionId::holding(family, day).map(|id| id.file().display().to_string())
    }

    #[test]
    fn files_are_named_by_their_first_day() {
        assert_eq!(name(Family::Windows, MONDAY).as_deref(), Some("windows/2026-11-23.db"));
        assert_eq!(name(Family::Windows, MONDAY + 1).as_deref(), Some("windows/2026-11-24.db"));
        for day in 0..7 {
            assert_eq!(name(Family::Slots, MONDAY + day).as_deref(), Some("slots/2026-11-23.db"));
        }
        assert_eq!(name(Family::Hours, MONDAY + 7).as_deref(), Some("hours/2026-11-30.db"));
        assert_eq!(name(Family::Hours, 0).as_deref(), Some("hours/1969-12-29.db"));
    }

    #[test]
    fn there_are_no_partitions_before_1970_and_after_9999() {
        for day in [i64::MIN, -1, LAST_DAY + 1, i64::MAX] {
            assert_eq!(name(Family::Windows, day), None, "{day}");
            assert_eq!(name(Family::Slots, day), None, "{day}");
        }
        assert_eq!(name(Family::Gaps, LAST_DAY).as_deref(), Some("gaps/9999-12-31.db"));
    }

    #[test]
    fn a_name_is_read_back_only_as_it_was_written() {
        for family in Family::ALL {
            for day in [0, 1, 3, 4, MONDAY, MONDAY + 6, LAST_DAY] {
                let id = PartitionId::holding(family, day).unwrap();
                let file = id.file();
                let name = file.file_name().unwrap().to_str().unwrap();
                assert_eq!(PartitionId::parse(family, name), Some(id));
            }
        }
        for foreign in ["20261123.db", "2026-11-23", "2026-11-23.db-wal", "x.db", "2026-11-24.db"] {
            assert_eq!(PartitionId::parse(Family::Slots, foreign), None, "{foreign}");
        }
    }
}
