//! When people work, learned from load. Never from quality: hours that are bad would else come to be
//! the hours that are looked at, or not.

use busyhour_model::{BuildingId, LoadSource, WorkingWeek};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::fleet::Site;
use crate::params::{Params, Rule};
use crate::quarters::Quarters;

const DAY: usize = 96;
/// Weekdays whose median says what a working day is like.
const BUSIEST: usize = 3;
/// A weekday keeps hours of its own when it was seen so often and is less like the others than this
/// Jaccard index, in hundredths: Fridays that end at noon.
const OWN_DAYS: usize = 3;
const OWN_PERCENT: u32 = 60;
/// Quarter-hours at either side that a profile is smoothed over: an hour in all, the outer ones
/// counting half.
const SMOOTH: usize = 2;

/// A building's load on one local day.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadDay {
    /// The local date.
    pub date: Date,
    /// The load of each quarter-hour of the clock on the wall, in any unit; `None` where nobody knows.
    pub load: [Option<f32>; DAY],
}

impl LoadDay {
    /// A day of which nothing is known.
    #[must_use]
    pub const fn new(date: Date) -> Self {
        Self { date, load: [None; DAY] }
    }

    /// The mean load above `floor` where at least half of the day is known.
    fn mean(&self, floor: f32) -> Option<f32> {
        let known = || self.load.iter().flatten();
        let count = known().count();
        let sum: f32 = known().map(|load| (load - floor).max(0.0)).sum();
        (count * 2 >= DAY).then(|| sum / count as f32)
    }
}

/// A building's busy hours by weekday, Monday first.
#[derive(Debug, Clone, PartialEq)]
pub struct BusyHours {
    /// The busy quarter-hours of each weekday.
    pub quarters: [Quarters; 7],
    /// The weekdays on which people work.
    pub working: [bool; 7],
    /// What [`BusyHours::load_on`] usually is on each weekday, where that is known.
    pub typical: [Option<f32>; 7],
    /// The hours were learned; else they are the configured ones.
    pub learned: bool,
    /// What the last learning found, where that is not what holds.
    pending: Option<Frame>,
}

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    quarters: [Quarters; 7],
    working: [bool; 7],
}

impl BusyHours {
    /// The configured hours.
    #[must_use]
    pub fn configured(site: &Site) -> Self {
        let mut frame = Frame { quarters: [Quarters::default(); 7], working: [false; 7] };
        for (at, weekday) in (0i8..7).enumerate() {
            let Ok(weekday) = jiff::civil::Weekday::from_monday_zero_offset(weekday) else {
                continue;
            };
            frame.working[at] = site.hours.is_business_day(weekday);
            for &(from, until) in site.hours.on(weekday) {
                frame.quarters[at] = frame.quarters[at].or(Quarters::between(from, until));
            }
        }
        let Frame { quarters, working } = frame;
        Self { quarters, working, typical: [None; 7], learned: false, pending: None }
    }

    /// As they are kept, for [`BusyHours::of_week`]. `looked_on` is the local date they were learned on,
    /// `told` who told the load that they were learned from, and of how many machines
    /// ([`WorkingWeek::machines`]).
    #[must_use]
    pub fn week(
        &self,
        building: BuildingId,
        looked_on: Date,
        told: (LoadSource, u32),
    ) -> WorkingWeek {
        let pending = self.pending.map(|frame| (frame.quarters.map(Quarters::runs), frame.working));
        WorkingWeek {
            building,
            looked_on,
            hours: self.quarters.map(Quarters::runs),
            working: self.working,
            typical: self.typical,
            learned: self.learned,
            source: told.0,
            machines: told.1,
            pending,
        }
    }

    /// The same hours with nothing in abeyance, and nothing known of what is usual: for load of another
    /// unit.
    #[must_use]
    pub const fn without_figures(mut self) -> Self {
        (self.typical, self.pending) = ([None; 7], None);
        self
    }

    /// As they were kept. Of hours that are no whole quarter-hours those count that they touch; a load
    /// that is no number is not known.
    #[must_use]
    pub fn of_week(week: &WorkingWeek) -> Self {
        let quarters =
            |hours: &[Vec<(u16, u16)>; 7]| hours.each_ref().map(|runs| Quarters::of_runs(runs));
        let pending = week.pending.as_ref();
        Self {
            quarters: quarters(&week.hours),
            working: week.working,
            typical: week.typical.map(|load| load.filter(|load| load.is_finite())),
            learned: week.learned,
            pending: pending
                .map(|(hours, working)| Frame { quarters: quarters(hours), working: *working }),
        }
    }

    /// How much went on in the busy hours of a day, on average: what a closed day lacks. `None` where
    /// less than half of them is known, and on weekdays without any.
    #[must_use]
    pub fn load_on(&self, day: &LoadDay) -> Option<f32> {
        let busy = self.quarters[weekday(day.date)];
        let known = || {
            let hours = day.load.iter().enumerate();
            hours.filter(|(at, _)| busy.contains(*at as u16 * 15)).filter_map(|(_, load)| *load)
        };
        let count = known().count();
        let enough = count > 0 && count * 2 >= busy.count() as usize;
        enough.then(|| known().sum::<f32>() / count as f32)
    }
}

/// Learns a building's busy hours from the days before `today`, in any order. To be asked once a
/// week: a frame moves when two learnings that follow each other agree, and never while it is
/// `frozen` because an incident of the building is open. What days are usually like is learned at
/// any time.
#[must_use]
pub fn learn_busy_hours(
    site: &Site,
    today: Date,
    loads: &[LoadDay],
    before: Option<&BusyHours>,
    frozen: bool,
    params: &Params,
) -> BusyHours {
    let mut hours = before.cloned().unwrap_or_else(|| BusyHours::configured(site));
    let from = today.saturating_sub(params.load_days.days());
    let recent: Vec<&LoadDay> = loads
        .iter()
        .filter(|day| (from..today).contains(&day.date) && !site.holidays.contains(&day.date))
        .collect();
    if !frozen && params.holds(Rule::LearnedHours) {
        consider(&mut hours, learn(&recent, params), params);
    }
    hours.typical = typical_loads(&hours, &recent);
    hours
}

/// Takes a learning in: it holds when it is the second of its kind.
fn consider(hours: &mut BusyHours, found: Option<Frame>, params: &Params) {
    let Some(found) = found else {
        hours.pending = None;
        return;
    };
    let holds = Frame { quarters: hours.quarters, working: hours.working };
    if hours.learned && agree(&holds, &found, params) {
        hours.pending = None;
        return;
    }
    if hours.pending.is_some_and(|pending| agree(&pending, &found, params)) {
        hours.quarters = found.quarters;
        hours.working = found.working;
        hours.learned = true;
        hours.pending = None;
        return;
    }
    hours.pending = Some(found);
}

/// True when two frames name the same weekdays and much the same hours.
fn agree(one: &Frame, other: &Frame, params: &Params) -> bool {
    one.working == other.working
        && one
            .quarters
            .iter()
            .zip(&other.quarters)
            .all(|(a, b)| a.likeness_percent(*b) >= params.agree_percent)
}

/// What these days say by themselves; `None` when they are too few or show no working days.
fn learn(days: &[&LoadDay], params: &Params) -> Option<Frame> {
    let floor = floor_of(days);
    let mut by_weekday: [Vec<(f32, &LoadDay)>; 7] = Default::default();
    for day in days {
        if let Some(mean) = day.mean(floor) {
            by_weekday[weekday(day.date)].push((mean, day));
        }
    }
    let mut usual = [0.0f32; 7];
    for (usual, days) in usual.iter_mut().zip(&mut by_weekday) {
        *usual = median(days.iter().map(|(mean, _)| *mean)).unwrap_or(0.0);
        days.retain(|(mean, _)| mean * 100.0 >= *usual * params.typical_day_percent as f32);
    }
    let mut sorted = usual;
    sorted.sort_by(f32::total_cmp);
    let busiest = median(sorted[sorted.len() - BUSIEST..].iter().copied())?;
    let working =
        usual.map(|usual| usual > 0.0 && usual * 100.0 >= busiest * params.working_percent as f32);
    let of_work = |at: &usize| working[*at];
    let typical: Vec<&LoadDay> =
        (0..7).filter(of_work).flat_map(|at| by_weekday[at].iter().map(|(_, day)| *day)).collect();
    if typical.len() < params.typical_days as usize {
        return None;
    }
    let shared = busy_of(&typical, floor, params)?;
    let mut quarters = [Quarters::default(); 7];
    for at in (0..7).filter(of_work) {
        let own: Vec<&LoadDay> = by_weekday[at].iter().map(|(_, day)| *day).collect();
        let own = (own.len() >= OWN_DAYS).then(|| busy_of(&own, floor, params)).flatten();
        let apart = |own: &Quarters| own.likeness_percent(shared) < OWN_PERCENT;
        quarters[at] = own.filter(apart).unwrap_or(shared);
    }
    Some(Frame { quarters, working })
}

/// What goes on when nobody works: servers, standing calls. The 10th percentile of all load; none
/// where that is more than half of the 95th, as then there is no night.
fn floor_of(days: &[&LoadDay]) -> f32 {
    let mut loads: Vec<f32> =
        days.iter().flat_map(|day| day.load.iter().flatten()).copied().collect();
    loads.sort_by(f32::total_cmp);
    let at = |percent: usize| loads.get(loads.len().saturating_sub(1) * percent / 100).copied();
    match (at(10), at(95)) {
        (Some(low), Some(high)) if low * 2.0 <= high => low,
        _ => 0.0,
    }
}

/// The busy hours of days taken together; `None` when nothing stands out for an hour.
fn busy_of(days: &[&LoadDay], floor: f32, params: &Params) -> Option<Quarters> {
    let profile = smooth(&profile_of(days, floor));
    let highest = profile.iter().copied().fold(0.0, f32::max);
    if highest <= 0.0 {
        return None;
    }
    let least = highest * params.busy_percent as f32 / 100.0;
    let mut busy = Quarters::default();
    for (at, _) in profile.iter().enumerate().filter(|(_, load)| **load >= least) {
        busy.insert(at as u16 * 15);
    }
    let busy = cut(&close_gaps(busy, params.busy_gap_minutes), &profile, params);
    (!busy.is_empty()).then_some(busy)
}

/// The median day above `floor`. What is unknown on all of them is `None`.
fn profile_of(days: &[&LoadDay], floor: f32) -> [Option<f32>; DAY] {
    let mut profile = [None; DAY];
    for (at, quarter) in profile.iter_mut().enumerate() {
        let known = days.iter().filter_map(|day| day.load.get(at).copied().flatten());
        *quarter = median(known).map(|load| (load - floor).max(0.0));
    }
    profile
}

/// The mean of the hour around each quarter-hour, as far as it is known; 0 where nothing is.
fn smooth(profile: &[Option<f32>; DAY]) -> [f32; DAY] {
    let mut smoothed = [0.0; DAY];
    for (at, value) in smoothed.iter_mut().enumerate() {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (near, load) in profile.iter().enumerate() {
            let share = match near.abs_diff(at) {
                0..SMOOTH => 1.0,
                SMOOTH => 0.5,
                _ => continue,
            };
            if let Some(load) = load {
                sum += load * share;
                weight += share;
            }
        }
        *value = if weight > 0.0 { sum / weight } else { 0.0 };
    }
    smoothed
}

/// The stretches, half open in minutes of the day, when holes of up to `gap` minutes are closed.
fn close_gaps(busy: Quarters, gap: u16) -> Vec<(u16, u16)> {
    let mut stretches: Vec<(u16, u16)> = Vec::new();
    for minute in busy.minutes() {
        match stretches.last_mut() {
            Some((_, until)) if minute <= *until + gap => *until = minute + 15,
            _ => stretches.push((minute, minute + 15)),
        }
    }
    stretches
}

/// Without what is too short, and of what is too long the busiest part.
fn cut(stretches: &[(u16, u16)], profile: &[f32; DAY], params: &Params) -> Quarters {
    let mut busy = Quarters::default();
    for &(from, until) in stretches {
        if until - from < params.busy_least_minutes {
            continue;
        }
        let most = params.busy_most_minutes;
        let starts = (from..=until.saturating_sub(most).max(from)).step_by(15);
        let load = |start: u16| -> f32 {
            let first = usize::from(start / 15);
            profile.iter().skip(first).take(usize::from(most / 15)).sum()
        };
        // Of equals `max_by` takes the last; the first is wanted.
        let best = starts.rev().max_by(|a, b| load(*a).total_cmp(&load(*b))).unwrap_or(from);
        busy = busy.or(Quarters::between(best, until.min(best + most)));
    }
    busy
}

/// What goes on in the busy hours of an ordinary day of each weekday.
fn typical_loads(hours: &BusyHours, days: &[&LoadDay]) -> [Option<f32>; 7] {
    let mut typical = [None; 7];
    for (at, typical) in typical.iter_mut().enumerate() {
        let same = days.iter().filter(|day| weekday(day.date) == at);
        *typical = median(same.filter_map(|day| hours.load_on(day)));
    }
    typical
}

fn weekday(date: Date) -> usize {
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)
}

/// The middle one, the higher of two: what is unusual about a day makes it quieter.
fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}
