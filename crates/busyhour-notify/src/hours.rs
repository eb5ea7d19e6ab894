//! Business hours as moments: when the next ones begin, and when so many of them have passed.

use std::time::Duration;

use busyhour_model::{Building, UtcMicros};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// How far ahead is looked: longer than the longest holidays.
const MAX_DAYS: usize = 92;

/// When people work in a building.
pub(crate) struct Hours<'a> {
    building: &'a Building,
    zone: TimeZone,
}

impl<'a> Hours<'a> {
    /// `None` where nobody told zone or hours: then no time is outside of them.
    pub(crate) fn of(building: &'a Building) -> Option<Self> {
        building.business_hours.as_ref()?;
        let zone = TimeZone::get(building.time_zone.as_deref()?).ok()?;
        Some(Self { building, zone })
    }

    /// The first moment from `at` on at which people work there.
    pub(crate) fn next_open(&self, at: UtcMicros) -> UtcMicros {
        self.after(at, Duration::ZERO)
    }

    /// The first moment by which `worked` of business hours have passed since `from`, within business hours.
    /// Where people never work, it is `worked` by the clock.
    pub(crate) fn after(&self, from: UtcMicros, worked: Duration) -> UtcMicros {
        let mut left = i64::try_from(worked.as_micros()).unwrap_or(i64::MAX);
        for (begin, end) in self.spans(from) {
            let begin = begin.max(from);
            let length = end.since(begin);
            if length <= 0 {
                continue;
            }
            if left < length {
                return begin.plus(Duration::from_micros(left.unsigned_abs()));
            }
            left -= length;
        }
        from.plus(worked)
    }

    /// Business hours from the local day of `from` on.
    fn spans(&self, from: UtcMicros) -> Vec<(UtcMicros, UtcMicros)> {
        let now = Timestamp::from_microsecond(from.0).unwrap_or(Timestamp::UNIX_EPOCH);
        let today = now.to_zoned(self.zone.clone()).date();
        let days = (0..).map_while(|n| today.checked_add(Span::new().days(n)).ok()).take(MAX_DAYS);
        let mut spans = Vec::new();
        for date in days.filter(|date| !self.building.holidays.contains(date)) {
            let hours = self.building.business_hours.as_ref();
            for &(begin, end) in hours.map_or(&[][..], |hours| hours.on(date.weekday())) {
                let at = |minute| moment(date, minute, &self.zone);
                spans.extend(at(begin).zip(at(end)));
            }
        }
        spans
    }
}

/// A minute of a local day (up to 1440, its end) as a moment; a minute that a clock change leaves out is the one
/// after the gap.
pub(crate) fn moment(date: Date, minute: u16, zone: &TimeZone) -> Option<UtcMicros> {
    let (date, minute) = match minute {
        0..1440 => (date, minute),
        _ => (date.tomorrow().ok()?, 0),
    };
    let time = Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0);
    let zoned = date.to_datetime(time.ok()?).to_zoned(zone.clone()).ok()?;
    Some(UtcMicros(zoned.timestamp().as_microsecond()))
}

/// The first moment after `from` at which the clock of `zone` shows `minute`.
pub(crate) fn next_daily(from: UtcMicros, minute: u16, zone: &TimeZone) -> UtcMicros {
    let now = Timestamp::from_microsecond(from.0).unwrap_or(Timestamp::UNIX_EPOCH);
    let today = now.to_zoned(zone.clone()).date();
    let days = (0..3).filter_map(|n| today.checked_add(Span::new().days(n)).ok());
    let at = days.filter_map(|date| moment(date, minute, zone)).find(|at| *at > from);
    at.unwrap_or_else(|| from.plus(Duration::from_secs(24 * 3_600)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use busyhour_model::BuildingId;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn building(hours: &str) -> Building {
        Building {
            id: BuildingId::from_u128(1),
            name: "Berlin HQ".to_owned(),
            city: String::new(),
            country: String::new(),
            region: String::new(),
            time_zone: Some("Europe/Berlin".to_owned()),
            business_hours: Some(hours.parse().unwrap()),
            holidays: BTreeSet::from([date(2026, 4, 3), date(2026, 4, 6)]),
        }
    }

    fn at(text: &str) -> UtcMicros {
        UtcMicros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn business_hours_skip_nights_weekends_and_holidays() {
        let building = building("Mo-Fr 08:00-12:00,13:00-18:00");
        let hours = Hours::of(&building).unwrap();
        let hour = |n: u64| Duration::from_secs(n * 3_600);
        // From Thursday before Easter, 16:00 in Berlin; the clock changed the weekend before.
        let thursday = at("2026-04-02T14:00:00Z");
        assert_eq!(hours.next_open(thursday), thursday);
        assert_eq!(hours.after(thursday, hour(1)), at("2026-04-02T15:00:00Z"));
        // Two hours are left of Thursday; Friday to Monday nobody works.
        assert_eq!(hours.after(thursday, hour(2)), at("2026-04-07T06:00:00Z"));
        assert_eq!(hours.after(thursday, hour(7)), at("2026-04-07T12:00:00Z"));
        assert_eq!(hours.next_open(at("2026-04-02T10:30:00Z")), at("2026-04-02T11:00:00Z"));
        assert_eq!(hours.next_open(at("2026-04-02T20:00:00Z")), at("2026-04-07T06:00:00Z"));
    }

    #[test]
    fn a_digest_comes_at_its_time_by_the_clock_on_the_wall() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let daily = |from: &str| next_daily(at(from), 7 * 60 + 30, &zone);
        assert_eq!(daily("2026-03-27T06:00:00Z"), at("2026-03-27T06:30:00Z"));
        assert_eq!(daily("2026-03-27T06:30:00Z"), at("2026-03-28T06:30:00Z"));
        // Summer time has come.
        assert_eq!(daily("2026-03-28T12:00:00Z"), at("2026-03-29T05:30:00Z"));
    }

    proptest! {
        #[test]
        fn more_work_is_never_done_earlier_and_always_within_hours(
            start in 0_i64..40_000_000, less in 0_u64..500_000, more in 0_u64..500_000,
        ) {
            let building = building("Mo-Fr 08:00-18:00; Sa 09:00-12:30");
            let hours = Hours::of(&building).unwrap();
            let from = UtcMicros((1_770_000_000 + start) * 1_000_000);
            let after = |worked: u64| hours.after(from, Duration::from_secs(worked));
            prop_assert!(from <= after(less) && after(less) <= after(less + more));
            // In two steps it is the same as in one.
            let second = hours.after(after(less), Duration::from_secs(more));
            prop_assert_eq!(second, after(less + more));
            prop_assert_eq!(hours.next_open(after(less)), after(less));
        }
    }
}
