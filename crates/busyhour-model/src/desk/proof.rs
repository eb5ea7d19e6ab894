//! Before and after: what mending an incident changed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::{DaySummary, Incident, IncidentState, PathId, Scope, WorstHour};

/// One side of the comparison: medians over days of the worst hour of each day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    /// Days that were observed.
    pub days: usize,
    /// Of these, bad ones.
    pub bad_days: usize,
    /// Share of windows that were bad, 0..=1.
    pub bad_share: f64,
    /// Loss, in parts per million, at the 90th percentile of windows.
    pub loss_ppm: u32,
    /// Round trip, in microseconds, at the 90th percentile of windows.
    pub rtt_us: u32,
    /// Jitter, in microseconds, at the 90th percentile of windows.
    pub jitter_us: u32,
}

/// What the worst hours were like before the last bad day, and after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    /// The bad days of the incident.
    pub before: Side,
    /// The days that were observed after the last of them.
    pub after: Side,
}

impl Proof {
    /// Days of each side, the latest before and the first after.
    pub const MOST_DAYS: usize = 10;
    /// With fewer days on a side nothing is proven.
    pub const LEAST_DAYS: usize = 3;

    /// True for an incident that is better or over: of others there is nothing to prove.
    #[must_use]
    pub const fn may_be_of(incident: &Incident) -> bool {
        matches!(incident.state, IncidentState::Recovering | IncidentState::Closed)
    }

    /// Compares the days of an incident's paths, for one that is better or over. `days` are verdicts on paths
    /// of any incident, on any day. Of each day the path counts that suffered most in its worst hour. `None`
    /// where it is not better, or too few days were observed.
    #[must_use]
    pub fn new(incident: &Incident, days: &[DaySummary]) -> Option<Self> {
        if !Self::may_be_of(incident) {
            return None;
        }
        let members: BTreeSet<PathId> = incident.members.iter().map(|member| member.path).collect();
        let bad: BTreeSet<Date> = incident.bad_days.iter().copied().collect();
        let mut worst: BTreeMap<Date, (&WorstHour, bool)> = BTreeMap::new();
        for day in days {
            let Scope::Path(path) = day.scope else { continue };
            let Some(hour) = day.worst_hour.as_ref().filter(|hour| hour.valid > 0) else {
                continue;
            };
            if !members.contains(&path) || !day.verdict.is_observed() {
                continue;
            }
            let of_day = worst.entry(day.date).or_insert((hour, false));
            if parts(hour) > parts(of_day.0) {
                of_day.0 = hour;
            }
            of_day.1 |= day.verdict.is_bad();
        }
        let last_bad = *bad.last()?;
        let before = worst.iter().rev().filter(|(date, _)| bad.contains(date));
        let after = worst.iter().filter(|(date, _)| **date > last_bad);
        let side = |days: Vec<(&WorstHour, bool)>| Side::new(&days);
        let before = side(before.take(Self::MOST_DAYS).map(|(_, day)| *day).collect())?;
        let after = side(after.take(Self::MOST_DAYS).map(|(_, day)| *day).collect())?;
        Some(Self { before, after })
    }
}

impl Side {
    fn new(days: &[(&WorstHour, bool)]) -> Option<Self> {
        if days.len() < Proof::LEAST_DAYS {
            return None;
        }
        let of = |figure: fn(&WorstHour) -> u32| median(days.iter().map(|(day, _)| figure(day)));
        Some(Self {
            days: days.len(),
            bad_days: days.iter().filter(|(_, bad)| *bad).count(),
            bad_share: f64::from(of(parts)) / 1_000_000.0,
            loss_ppm: of(|day| day.loss_ppm_p90),
            rtt_us: of(|day| day.rtt_us_p90),
            jitter_us: of(|day| day.jitter_us_p90),
        })
    }
}

/// The share of bad windows, in parts per million.
fn parts(hour: &WorstHour) -> u32 {
    let millionths = u64::from(hour.bad) * 1_000_000 / u64::from(hour.valid.max(1));
    u32::try_from(millionths).unwrap_or(u32::MAX)
}

/// The lower one of the two in the middle, of an even number.
fn median(figures: impl Iterator<Item = u32>) -> u32 {
    let mut figures: Vec<u32> = figures.collect();
    figures.sort_unstable();
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}
