//! When people are in a building: its week, its holidays, its closures; what its calendar tells of
//! them, and what it does not.

use std::collections::BTreeSet;

use busyhour_model::BusinessHours;
use fastrand::Rng;
use jiff::civil::Date;

use super::clock::{Span, weekday_of};
use super::country::Country;
use super::draw::{Tables, chance, how_often, one_of};
use super::shape::Shape;

/// How much of a working day's load remains when nobody works.
const EMPTY: f32 = 0.05;
/// Closures in a building in 30 days that nobody announced.
const CLOSURES: f64 = 0.15;
/// The spread of whole days' load (of its logarithm).
const DAY_SIGMA: f32 = 0.10;
/// Buildings whose configured hours were never changed from the default.
const DEFAULT_HOURS: f64 = 0.08;
const WEEKDAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// The days of a building.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    /// The weekdays on which people truly work, from Monday.
    pub(crate) works: [bool; 7],
    /// Working days of the span.
    pub(crate) working: Vec<bool>,
    /// Dates of such weekdays on which nobody worked.
    pub(crate) closed: BTreeSet<Date>,
    /// Those of them that nobody had announced.
    pub(crate) closures: BTreeSet<Date>,
    /// The holidays that its calendar tells.
    pub(crate) told: BTreeSet<Date>,
    /// Its configured hours.
    pub(crate) hours: BusinessHours,
    /// How busy each day of the span is beside a usual one.
    pub(crate) levels: Vec<f32>,
}

impl Calendar {
    pub(crate) fn draw(rng: &mut Rng, span: Span, country: &Country, shape: Shape) -> Self {
        let works = week(rng, country, shape);
        let days_a_week = works.iter().filter(|works| **works).count();
        let open_on_holidays = days_a_week == 7 && chance(rng, 0.5);
        let last = span.date(span.days.saturating_sub(1));
        let public: Vec<Date> = country.holidays(span.first, last).collect();
        let told = told(rng, &public);
        let closures = closures(rng, span, works);
        let mut closed = closures.clone();
        if !open_on_holidays {
            closed.extend(public.iter().copied().filter(|date| works[weekday_of(*date)]));
        }
        let is_working = |day: usize| {
            let date = span.date(day);
            works[weekday_of(date)] && !closed.contains(&date)
        };
        let working: Vec<bool> = (0..span.days).map(is_working).collect();
        let levels = levels(rng, span, &working, shape);
        let hours = hours(rng, works, shape);
        Self { works, working, closed, closures, told, hours, levels }
    }

    /// True when people work on a day of the span.
    pub(crate) fn works_on(&self, day: usize) -> bool {
        self.working.get(day).copied().unwrap_or(false)
    }
}

/// The weekdays of a building, from Monday.
fn week(rng: &mut Rng, country: &Country, shape: Shape) -> [bool; 7] {
    let five = if country.sunday_to_thursday {
        [true, true, true, true, false, false, true]
    } else {
        [true, true, true, true, true, false, false]
    };
    let free = if country.sunday_to_thursday { 4 } else { 5 };
    let mut six = five;
    six[free] = true;
    let weights = match shape {
        Shape::Office { .. } => [0.9, 0.1],
        Shape::Bells { .. } => [1.0, 0.0],
        Shape::Shifts { .. } => [0.4, 0.4],
        Shape::Retail { .. } => [0.0, 0.65],
    };
    let draw = rng.f64();
    if draw < weights[0] {
        five
    } else if draw < weights[0] + weights[1] {
        six
    } else {
        [true; 7]
    }
}

/// Most calendars hold all public holidays, some hold half of them, some none.
fn told(rng: &mut Rng, public: &[Date]) -> BTreeSet<Date> {
    let share = one_of(rng, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.0]).unwrap_or(1.0);
    public.iter().copied().filter(|_| chance(rng, share)).collect()
}

/// One to three days each; only the days on which people would have worked.
fn closures(rng: &mut Rng, span: Span, works: [bool; 7]) -> BTreeSet<Date> {
    let mut dates = BTreeSet::new();
    for _ in 0..how_often(rng, CLOSURES * span.days as f64 / 30.0) {
        let (first, length) = (rng.usize(0..span.days), if chance(rng, 0.2) { 3 } else { 1 });
        let days = (first..span.days.min(first + length)).map(|day| span.date(day));
        dates.extend(days.filter(|date| works[weekday_of(*date)]));
    }
    dates
}

fn levels(rng: &mut Rng, span: Span, working: &[bool], shape: Shape) -> Vec<f32> {
    let tables = Tables::get();
    let weekday_level = |day: usize| match (shape, weekday_of(span.date(day))) {
        (Shape::Retail { .. }, 5) => 1.15,
        (Shape::Retail { .. }, _) => 0.95,
        (Shape::Office { .. }, 5) => 0.6,
        (Shape::Office { .. }, 4) => 0.85,
        _ => 1.0,
    };
    let level = |(day, working): (usize, &bool)| {
        let varied = (DAY_SIGMA * tables.normal(rng)).exp();
        if *working { weekday_level(day) * varied } else { EMPTY * varied }
    };
    working.iter().enumerate().map(level).collect()
}

/// The configured hours: those of the shape, or the default that nobody changed.
fn hours(rng: &mut Rng, works: [bool; 7], shape: Shape) -> BusinessHours {
    let default = || "Mo-Fr 08:00-18:00".parse().expect("the default is written in this file");
    if chance(rng, DEFAULT_HOURS) {
        return default();
    }
    let (from, until) = shape.hours();
    let days = WEEKDAYS.iter().zip(works).filter(|(_, works)| *works).map(|(day, _)| *day);
    let days: Vec<&str> = days.collect();
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let text = format!("{} {}-{}", days.join(","), clock(from), clock(until));
    text.parse().unwrap_or_else(|_| default())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::world::country::COUNTRIES;
    use crate::world::plan::Mechanisms;

    fn calendars(country: usize, mechanisms: Mechanisms) -> Vec<Calendar> {
        let mut rng = Rng::with_seed(5);
        let span = Span::new(date(2025, 2, 9), 84);
        let draw = |_| {
            let shape = Shape::draw(&mut rng, mechanisms);
            Calendar::draw(&mut rng, span, &COUNTRIES[country], shape)
        };
        (0..200).map(draw).collect()
    }

    #[test]
    fn offices_of_sunday_countries_rest_on_friday() {
        let calendars = calendars(5, Mechanisms::Tuning);
        assert!(calendars.iter().all(|calendar| calendar.works[6] && !calendar.works[5]));
        let resting = calendars.iter().filter(|calendar| !calendar.works[4]).count();
        assert!((160..=195).contains(&resting), "{resting}");
    }

    #[test]
    fn nobody_works_on_holidays_and_closures_and_some_holidays_are_not_told() {
        let calendars = calendars(0, Mechanisms::Tuning);
        let good_friday = date(2025, 4, 18);
        assert!(calendars.iter().all(|calendar| calendar.closed.contains(&good_friday)));
        assert!(calendars.iter().all(|calendar| !calendar.works_on(68)));
        let told = calendars.iter().filter(|calendar| calendar.told.contains(&good_friday)).count();
        assert!((130..=185).contains(&told), "{told}");
        // Of 0.15 closures in 30 days some fall on days that are free anyway.
        let closures: usize = calendars.iter().map(|calendar| calendar.closures.len()).sum();
        assert!((50..=150).contains(&closures), "{closures}");
    }

    #[test]
    fn most_configured_hours_fit_the_week() {
        let calendars = calendars(5, Mechanisms::HeldOut);
        let fits = |calendar: &&Calendar| {
            let configured = |day| {
                let weekday = crate::world::clock::weekday_at(day);
                calendar.hours.is_business_day(weekday)
            };
            (0..7).all(|day| configured(day) == calendar.works[day])
        };
        let fitting = calendars.iter().filter(fits).count();
        assert!((170..=195).contains(&fitting), "{fitting}");
    }
}
