//! What users have today: rules as their documentation gives them, on the same slots.
//!
//! Each says on which local days of its building a series makes it fire. What one notification is:
//! [`notifications`], and it is charitable: all series of a building together, and no new one before
//! the rule was quiet for more than three days.

mod average;
mod burn;
mod percentile;
mod prometheus;
mod seasonal;
mod smokeping;
mod tslp;

use std::collections::BTreeMap;

use busyhour_sim::score::{ToldEvent, ToldFinding, ToldKind};
use busyhour_sim::world::{NamedPlace, PlaceKind, RegionRecord};
use jiff::civil::Date;

use crate::lanes::{Lane, grids, lanes};

/// Quiet days after which a rule that fires notifies again.
const QUIET_DAYS: i64 = 3;

/// A rule that users have today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Baseline {
    /// The average of the whole day over a limit.
    DailyAverage,
    /// The 95th percentile of an hour within business hours over a limit.
    Percentile,
    /// The same on three of seven days.
    PercentileOnDays,
    /// SmokePing's `someloss`.
    SomeLoss,
    /// Three samples of SmokePing's in a row over a limit.
    ThreeConsecutive,
    /// Prometheus: `quantile_over_time(0.95, ...[1h]) > limit` for 15 minutes.
    Prometheus,
    /// Above the mean of the same hour of earlier weeks by three standard deviations.
    Seasonal,
    /// Burn rates over several windows.
    BurnRate,
    /// Round trips above their minimum at the same time of many days.
    Tslp,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::DailyAverage,
        Self::Percentile,
        Self::PercentileOnDays,
        Self::SomeLoss,
        Self::ThreeConsecutive,
        Self::Prometheus,
        Self::Seasonal,
        Self::BurnRate,
        Self::Tslp,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DailyAverage => "daily-average",
            Self::Percentile => "percentile",
            Self::PercentileOnDays => "percentile-3-of-7",
            Self::SomeLoss => "someloss",
            Self::ThreeConsecutive => "three-consecutive",
            Self::Prometheus => "prometheus",
            Self::Seasonal => "seasonal",
            Self::BurnRate => "burn-rate",
            Self::Tslp => "tslp",
        }
    }

    /// The days of the grid on which a series makes it fire, ascending.
    #[must_use]
    pub fn fires(self, lane: &Lane) -> Vec<u16> {
        match self {
            Self::DailyAverage => average::fires(lane),
            Self::Percentile => percentile::fires(lane),
            Self::PercentileOnDays => percentile::on_days(&percentile::fires(lane)),
            Self::SomeLoss => smokeping::some_loss(lane),
            Self::ThreeConsecutive => smokeping::three_consecutive(lane),
            Self::Prometheus => prometheus::fires(lane),
            Self::Seasonal => seasonal::fires(lane),
            Self::BurnRate => burn::fires(lane),
            Self::Tslp => tslp::fires(lane),
        }
    }
}

/// What a rule tells of a region: a finding for each run of days on which it fires in a building.
#[must_use]
pub fn notifications(
    rule: Baseline,
    region: &RegionRecord,
    first: Date,
    days: u32,
) -> Vec<ToldFinding> {
    let grids = grids(region, first, days);
    let mut fired: Vec<BTreeMap<Date, Vec<u32>>> = vec![BTreeMap::new(); region.buildings.len()];
    for lane in lanes(region, &grids) {
        let building = region.series.get(lane.number as usize).map(|series| series.building);
        let Some(days) = building.and_then(|number| fired.get_mut(number as usize)) else {
            continue;
        };
        for day in rule.fires(&lane) {
            if let Some(date) = lane.grid.dates.get(usize::from(day)) {
                days.entry(*date).or_default().push(lane.number);
            }
        }
    }
    let mut told = Vec::new();
    let mut next = 0;
    for (building, days) in region.buildings.iter().zip(fired) {
        runs(&building.name, &days, &mut next, &mut told);
    }
    told
}

/// One incident for each run of days with at most three quiet ones between.
fn runs(
    building: &str,
    days: &BTreeMap<Date, Vec<u32>>,
    next: &mut u64,
    told: &mut Vec<ToldFinding>,
) {
    let word = |id, event, date, days: Vec<Date>, members: &[u32]| ToldFinding {
        id,
        event,
        date,
        kind: ToldKind::Limit,
        place: NamedPlace::new(PlaceKind::Building, building),
        members: members.to_vec(),
        hours: Vec::new(),
        days,
        confidence: 0.0,
        cause: String::new(),
    };
    let quiet = |date: Date| date.saturating_add(jiff::Span::new().days(QUIET_DAYS + 1));
    let mut last: Option<Date> = None;
    for (date, members) in days {
        let goes_on = last.is_some_and(|last| quiet(last) >= *date);
        if !goes_on {
            if let Some(last) = last {
                told.push(word(*next, ToldEvent::Closed, quiet(last), Vec::new(), &[]));
            }
            // Never the same identity: what comes back is another notification.
            *next += 1;
        }
        let event = if goes_on { ToldEvent::Updated } else { ToldEvent::Opened };
        told.push(word(*next, event, *date, vec![*date], members));
        last = Some(*date);
    }
    if let Some(last) = last {
        told.push(word(*next, ToldEvent::Closed, quiet(last), Vec::new(), &[]));
    }
}

/// Limits of a window, *client to Microsoft edge*.
mod limits {
    /// Loss, a share.
    pub(super) const LOSS: f64 = 0.01;
    /// Round trip, in microseconds.
    pub(super) const RTT_US: f64 = 100_000.0;
    /// Jitter, in microseconds.
    pub(super) const JITTER_US: f64 = 30_000.0;
}

/// The days, each once, on which any of some quarter-hours lies.
fn days_of(lane: &Lane, slots: impl Iterator<Item = usize>) -> Vec<u16> {
    let mut days: Vec<u16> = slots.filter_map(|slot| lane.grid.days.get(slot).copied()).collect();
    days.sort_unstable();
    days.dedup();
    days
}

#[cfg(test)]
mod tests;
