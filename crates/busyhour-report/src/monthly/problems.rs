//! What is open, and what closed and how it has been since.

use busyhour_model::{Change, DaySummary, Incident, IncidentState, SeverityClass};
use jiff::civil::Date;

use crate::period::Period;
use crate::shift::{Days, Shift, shift};
use crate::tally::Tally;
use crate::world::{World, add_days};

/// Observed days that a comparison takes: before, and after.
const LEAST_DAYS: (u32, u32) = (3, 5);

/// An incident that was open at the end of a month.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenProblem {
    /// Its number.
    pub number: u64,
    /// Where it is, in words.
    pub place: String,
    /// Where it is in its life now.
    pub state: IncidentState,
    /// Nobody observed it for ten working days.
    pub stale: bool,
    /// The local date it was opened on.
    pub opened: Date,
    /// Days from then to the end of the month, or to when the report was made, if that was earlier.
    pub age_days: u32,
    /// Who must act; `None` where nobody told.
    pub owner: Option<String>,
    /// The likely cause, in words.
    pub cause: &'static str,
    /// How bad its worst hours are.
    pub severity: SeverityClass,
    /// Its bad days within the month.
    pub bad_days: u32,
    /// The average hides it.
    pub masked: bool,
    /// It rests on simulated agents.
    pub simulated: bool,
    /// What it is, in one sentence.
    pub sentence: String,
}

/// An incident that was closed in a month, with its days before and after the last bad one.
///
/// It closes only after days that were hardly ever bad, and the split is its own last bad day: the days after
/// are chosen to be good, so that a difference shows how it has been since and proves no fix.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    /// Its number.
    pub number: u64,
    /// Where it was, in words.
    pub place: String,
    /// The local date it was closed on.
    pub closed: Date,
    /// The likely cause, in words.
    pub cause: &'static str,
    /// Who had to act; `None` where nobody told.
    pub owner: Option<String>,
    /// Its bad days among those observed, up to the last bad one.
    pub before: Days,
    /// The bad days of its place after that, up to the end of the month.
    pub after: Days,
    /// The median share of bad windows in the worst hour of its place's observed days up to the last bad one,
    /// 0..=1, as far as the month and the one before reach; `None` when none was observed.
    pub hour_before: Option<f64>,
    /// The same of the days after.
    pub hour_after: Option<f64>,
    /// The days after against those before; `None` when too few were observed.
    pub shift: Option<Shift>,
    /// It rests on simulated agents.
    pub simulated: bool,
}

impl OpenProblem {
    /// Those at the end of a month, the oldest first.
    pub(super) fn all(world: &World, period: Period) -> Vec<Self> {
        let today = crate::world::date_of(world.now);
        let end = period.last().min(today);
        let mut open: Vec<Self> = world
            .told()
            .filter(|incident| incident.closed_on.is_none_or(|closed| closed > period.last()))
            .filter_map(|incident| {
                let opened = incident.opened_on.filter(|opened| *opened <= period.last())?;
                let bad = incident.bad_days.iter().filter(|date| period.has(**date)).count();
                let age = opened.until(end).map_or(0, |age| age.get_days());
                Some(Self {
                    number: incident.number,
                    place: world.place(incident),
                    state: incident.state,
                    stale: incident.stale,
                    opened,
                    age_days: u32::try_from(age).unwrap_or(0),
                    owner: world.owner(incident),
                    cause: incident.cause.words(),
                    severity: SeverityClass::of(incident.severity),
                    bad_days: bad as u32,
                    masked: incident.masked,
                    simulated: incident.simulated,
                    sentence: incident.sentence.clone(),
                })
            })
            .collect();
        open.sort_by_key(|problem| (problem.opened, problem.number));
        open
    }
}

impl Fixed {
    /// Those of a month, in the order in which they were closed. What became part of another, or is watched
    /// no more, is not fixed.
    pub(super) fn all(world: &World, period: Period) -> Vec<Self> {
        let over = |incident: &&Incident| {
            incident.merged_into.is_none()
                && incident.change != Change::Gone
                && incident.closed_on.is_some_and(|closed| period.has(closed))
        };
        let mut fixed: Vec<Self> = world
            .told()
            .filter(over)
            .filter_map(|incident| Self::new(world, period, incident))
            .collect();
        fixed.sort_by_key(|fixed| (fixed.closed, fixed.number));
        fixed
    }

    fn new(world: &World, period: Period, incident: &Incident) -> Option<Self> {
        let up_to =
            |dates: &[Date]| dates.iter().filter(|date| **date <= incident.last_bad).count() as u32;
        let of = up_to(&incident.observed_days);
        let before = Days { bad: up_to(&incident.bad_days).min(of), of };
        let first = incident.observed_days.first().copied().unwrap_or(incident.first_bad);
        let days_before = place_days(world, incident, first, incident.last_bad);
        let days = place_days(world, incident, add_days(incident.last_bad, 1), period.last());
        let after = Tally::of(days.iter().copied()).days();
        Some(Self {
            number: incident.number,
            place: world.place(incident),
            closed: incident.closed_on?,
            cause: incident.cause.words(),
            owner: world.owner(incident),
            before,
            after,
            hour_before: median_worst(&days_before),
            hour_after: median_worst(&days),
            shift: shift(before, after, LEAST_DAYS),
            simulated: incident.simulated,
        })
    }
}

/// The verdicts of an incident's place with `from <= date <= until`: of its subnet, or else of the building
/// that it is shown with.
fn place_days<'a>(
    world: &'a World,
    incident: &Incident,
    from: Date,
    until: Date,
) -> Vec<&'a DaySummary> {
    match incident.subnet() {
        Some(subnet) => world
            .subnet_days(incident.building, from, until)
            .into_iter()
            .filter(|((id, link), _)| *id == subnet && incident.link().is_none_or(|of| of == *link))
            .flat_map(|(_, days)| days)
            .collect(),
        None => world.building_days(incident.building, from, until).collect(),
    }
}

/// The median share of bad windows in the worst hours of observed days; the lower of the two in the middle.
fn median_worst(days: &[&DaySummary]) -> Option<f64> {
    let observed = days.iter().filter(|day| day.verdict.is_observed());
    let hours = observed.filter_map(|day| day.worst_hour.filter(|hour| hour.valid > 0));
    let mut shares: Vec<f64> =
        hours.map(|hour| f64::from(hour.bad) / f64::from(hour.valid)).collect();
    shares.sort_by(f64::total_cmp);
    shares.get(shares.len().checked_sub(1)? / 2).copied()
}
