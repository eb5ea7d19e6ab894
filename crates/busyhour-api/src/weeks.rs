//! When people work in a building: as it was learned, and until then as it is configured. What was
//! learned of a few machines is when single people work: then the configured hours are shown.

use busyhour_chart::BusySource;
use busyhour_model::{Building, BusinessHours, WorkingWeek};
use jiff::civil::Date;

use crate::text;

/// Weekdays from Monday, as business hours are written.
const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// When people worked in a building, as it was known on each date: configured until it was learned of
/// enough machines.
pub(crate) struct Weeks<'a> {
    building: &'a Building,
    /// In the order of the dates on which they were learned.
    kept: Vec<WorkingWeek>,
}

impl<'a> Weeks<'a> {
    pub(crate) fn new(building: &'a Building, mut kept: Vec<WorkingWeek>) -> Self {
        kept.retain(|week| week.building == building.id);
        kept.sort_by_key(|week| week.looked_on);
        Self { building, kept }
    }

    /// The learned week in force on a date; `None` where the hours are the configured ones of the
    /// building file, as those that are judged, or are not to be shown.
    fn shown(&self, date: Date) -> Option<&WorkingWeek> {
        let in_force = self.kept.iter().rev().find(|week| week.looked_on <= date);
        in_force.filter(|week| week.is_shown())
    }

    /// True where the hours that are judged by were learned of too few machines to be shown.
    pub(crate) fn is_hidden(&self, date: Date) -> bool {
        let in_force = self.kept.iter().rev().find(|week| week.looked_on <= date);
        in_force.is_some_and(|week| week.learned && !week.is_shown())
    }

    /// The busy hours of a date, and where they come from.
    pub(crate) fn busy(&self, date: Date) -> (&[(u16, u16)], BusySource) {
        if let Some(week) = self.shown(date) {
            return (&week.hours[weekday(date)], BusySource::Learned);
        }
        let hours = self.building.business_hours.as_ref();
        let hours = hours.map_or(&[][..], |hours| hours.on(date.weekday()));
        (hours, BusySource::Configured)
    }

    /// True for a weekday on which people work; where nobody told, on all.
    pub(crate) fn works(&self, date: Date) -> bool {
        if let Some(week) = self.shown(date) {
            return week.working[weekday(date)];
        }
        let hours = self.building.business_hours.as_ref();
        hours.is_none_or(|hours| hours.is_business_day(date.weekday()))
    }

    /// True for a date on which nobody works, as the building file tells.
    pub(crate) fn is_holiday(&self, date: Date) -> bool {
        self.building.holidays.contains(&date)
    }

    /// The busy hours of the week of a date: learned, else configured.
    pub(crate) fn hours(&self, date: Date) -> Option<BusinessHours> {
        self.learned(date).or_else(|| self.building.business_hours.clone())
    }

    /// The same where they were learned by then.
    pub(crate) fn learned(&self, date: Date) -> Option<BusinessHours> {
        let week = self.shown(date)?;
        in_words(&week.hours).parse().ok()
    }
}

/// Hours as business hours are written: `Mo-Th 08:30-12:00,13:00-17:00; Fr 08:30-12:00`.
fn in_words(hours: &[Vec<(u16, u16)>; 7]) -> String {
    let mut rules = Vec::new();
    let mut day = 0;
    for same in hours.chunk_by(|a, b| a == b) {
        let (first, last) = (DAYS[day], DAYS[day + same.len() - 1]);
        day += same.len();
        if same[0].is_empty() {
            continue;
        }
        let days = if same.len() == 1 { first.to_owned() } else { format!("{first}-{last}") };
        let spans = same[0]
            .iter()
            .map(|&(from, until)| format!("{}-{}", text::clock(from), text::clock(until)));
        rules.push(format!("{days} {}", spans.collect::<Vec<_>>().join(",")));
    }
    rules.join("; ")
}

/// The number of a date's weekday, from Monday.
fn weekday(date: Date) -> usize {
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_hours_are_written_as_business_hours_are() {
        let office = vec![(510, 720), (780, 1020)];
        let mut hours: [Vec<(u16, u16)>; 7] = std::array::from_fn(|_| office.clone());
        hours[4] = vec![(510, 720)];
        (hours[5], hours[6]) = (Vec::new(), vec![(0, 1440)]);
        let words = in_words(&hours);
        assert_eq!(words, "Mo-Th 08:30-12:00,13:00-17:00; Fr 08:30-12:00; Su 00:00-24:00");
        let parsed: BusinessHours = words.parse().unwrap();
        assert_eq!(parsed.on(jiff::civil::Weekday::Thursday), office);
        assert!(in_words(&std::array::from_fn(|_| Vec::new())).is_empty(), "nobody works");
    }
}
