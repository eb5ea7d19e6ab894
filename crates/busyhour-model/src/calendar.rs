//! Business calendars and the building's local days.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use thiserror::Error;

use crate::{SlotStart, UtcMicros};

/// A text that is not business hours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not business hours (expected, for example, \"Mo-Fr 08:00-18:00\")")]
pub struct InvalidBusinessHours(pub String);

const DAYS: [(&str, Weekday); 7] = [
    ("Mo", Weekday::Monday),
    ("Tu", Weekday::Tuesday),
    ("We", Weekday::Wednesday),
    ("Th", Weekday::Thursday),
    ("Fr", Weekday::Friday),
    ("Sa", Weekday::Saturday),
    ("Su", Weekday::Sunday),
];
const MINUTES_A_DAY: u16 = 24 * 60;

/// The hours of a week in which people work, in the building's local time.
///
/// The text form is the weekday part of the `opening_hours` notation of OpenStreetMap:
/// `Mo-Fr 08:00-18:00`, `Su-Th 09:00-17:00`, `Mo-Fr 08:00-12:00,13:00-18:00; Sa 09:00-13:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessHours {
    /// Per weekday from Monday: minutes of the day, half open, ascending, not touching.
    days: [Vec<(u16, u16)>; 7],
    text: String,
}

impl BusinessHours {
    /// True when `minute` (0..1440) of a `weekday` lies inside.
    #[must_use]
    pub fn contains(&self, weekday: Weekday, minute: u16) -> bool {
        self.on(weekday).iter().any(|&(from, until)| (from..until).contains(&minute))
    }

    /// The intervals of a weekday, in minutes of the day, half open.
    #[must_use]
    pub fn on(&self, weekday: Weekday) -> &[(u16, u16)] {
        &self.days[usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0)]
    }

    /// True when anybody works on that weekday.
    #[must_use]
    pub fn is_business_day(&self, weekday: Weekday) -> bool {
        !self.on(weekday).is_empty()
    }

    /// The text the hours were read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for BusinessHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for BusinessHours {
    type Err = InvalidBusinessHours;

    fn from_str(text: &str) -> Result<Self, InvalidBusinessHours> {
        let invalid = || InvalidBusinessHours(text.to_owned());
        let mut days: [Vec<(u16, u16)>; 7] = Default::default();
        for rule in text.split(';').map(str::trim) {
            let (names, times) = rule.split_once(' ').ok_or_else(invalid)?;
            let times = times
                .split(',')
                .map(|interval| parse_interval(interval.trim()).ok_or_else(invalid))
                .collect::<Result<Vec<_>, _>>()?;
            for day in parse_days(names).ok_or_else(invalid)? {
                days[day].extend(&times);
            }
        }
        for day in &mut days {
            day.sort_unstable();
            if day.windows(2).any(|pair| pair[0].1 > pair[1].0) {
                return Err(invalid());
            }
        }
        Ok(Self { days, text: text.to_owned() })
    }
}

/// `Mo-Fr`, `Sa`, `Mo,We`, `Su-Th` (wrapping around the week's end).
fn parse_days(text: &str) -> Option<Vec<usize>> {
    let position = |name: &str| DAYS.iter().position(|(short, _)| *short == name);
    let mut days = Vec::new();
    for part in text.split(',') {
        let (from, until) = part.split_once('-').unwrap_or((part, part));
        let (from, until) = (position(from)?, position(until)?);
        let length = (until + 7 - from) % 7;
        days.extend((0..=length).map(|step| (from + step) % 7));
    }
    Some(days)
}

fn parse_interval(text: &str) -> Option<(u16, u16)> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (parse_minute(from)?, parse_minute(until)?);
    (from < until).then_some((from, until))
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= MINUTES_A_DAY).then_some(total)
}

/// Where a slot lies in a building's local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDay {
    /// The local date.
    pub date: Date,
    /// The local minute of the day at the slot's beginning (0..1440).
    pub minute: u16,
}

impl LocalDay {
    /// Places a slot in a zone. Around a change of clocks several slots may share a minute, or a
    /// minute may have none: days have 23, 24 or 25 hours.
    #[must_use]
    pub fn of(slot: SlotStart, zone: &TimeZone) -> Self {
        let stamp = Timestamp::from_microsecond(slot.start().0).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = stamp.to_zoned(zone.clone()).datetime();
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        Self { date: local.date(), minute: u16::try_from(minute).unwrap_or(0) }
    }
}

/// The first moment of a local day, and the first of the next: 23, 24 or 25 hours.
/// `None` outside the years that the calendar knows.
#[must_use]
pub fn local_day_span(date: Date, zone: &TimeZone) -> Option<(UtcMicros, UtcMicros)> {
    let next = date.checked_add(1.day()).ok()?;
    let start_of = |date: Date| {
        let zoned = zone.to_ambiguous_zoned(date.to_datetime(jiff::civil::Time::midnight()));
        zoned.compatible().ok().map(|z| UtcMicros(z.timestamp().as_microsecond()))
    };
    Some((start_of(date)?, start_of(next)?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn hours(text: &str) -> BusinessHours {
        text.parse().unwrap()
    }

    #[test]
    fn business_hours_are_half_open() {
        let week = hours("Mo-Fr 08:00-18:00");
        assert!(!week.contains(Weekday::Monday, 479));
        assert!(week.contains(Weekday::Monday, 480));
        assert!(week.contains(Weekday::Friday, 1079));
        assert!(!week.contains(Weekday::Friday, 1080));
        assert!(!week.is_business_day(Weekday::Sunday));
    }

    #[test]
    fn a_week_may_begin_on_sunday_and_have_breaks() {
        let week = hours("Su-Th 09:00-12:00,13:00-17:00; Sa 10:00-11:00");
        assert!(week.contains(Weekday::Sunday, 600));
        assert!(!week.contains(Weekday::Sunday, 12 * 60 + 30));
        assert!(!week.is_business_day(Weekday::Friday));
        assert!(week.is_business_day(Weekday::Saturday));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "Mo", "Mo 8-18", "Mo-Xx 08:00-18:00", "Mo 18:00-08:00", "Mo 08:00-25:00"] {
            assert!(text.parse::<BusinessHours>().is_err(), "{text}");
        }
        assert!("Mo 08:00-12:00,11:00-13:00".parse::<BusinessHours>().is_err());
    }

    #[test]
    fn local_days_have_23_24_and_25_hours() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let length = |day: Date| {
            let (from, until) = local_day_span(day, &berlin).unwrap();
            until.since(from) / 3_600_000_000
        };
        assert_eq!(length(date(2026, 3, 29)), 23);
        assert_eq!(length(date(2026, 3, 30)), 24);
        assert_eq!(length(date(2026, 10, 25)), 25);
    }

    #[test]
    fn a_slot_lies_in_the_local_day() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        // 2026-01-01T20:00:00Z is 05:00 on the next day in Tokyo.
        let slot = SlotStart::containing(UtcMicros::from_secs(1_767_297_600));
        let local = LocalDay::of(slot, &tokyo);
        assert_eq!((local.date, local.minute), (date(2026, 1, 2), 300));
    }
}
