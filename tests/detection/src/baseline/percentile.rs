//! The 95th percentile of an hour over a limit, within configured business hours; and the same on
//! three of seven days. The 95th percentile of windows is over a limit exactly when more than one in
//! twenty of them is.

use super::days_of;
use crate::lanes::{AN_HOUR, Counts, Lane};
use busyhour_model::Breach;

/// A percentile of fewer windows is none.
const LEAST_WINDOWS: u32 = 20;
/// One in so many.
const ONE_IN: u32 = 20;
/// Days of seven.
const OF_DAYS: u16 = 7;
const ENOUGH_DAYS: usize = 3;

/// True when the 95th percentile of loss, round trip or jitter is over its limit.
pub(super) fn is_over(counts: &Counts) -> bool {
    let over = |(breach, bad): (&Breach, u32)| {
        // Bursts are this project's own measure.
        !matches!(breach, Breach::Burst) && bad * ONE_IN > counts.valid
    };
    counts.valid >= LEAST_WINDOWS && Breach::ALL.iter().zip(counts.bad_by).any(over)
}

pub(super) fn fires(lane: &Lane) -> Vec<u16> {
    let business = |slot: usize| lane.grid.business.get(slot..slot + AN_HOUR);
    let hours = (0..lane.slots.len())
        .filter(|slot| business(*slot).is_some_and(|hour| hour.iter().all(|inside| *inside)))
        .filter(|slot| is_over(&lane.counts(*slot, AN_HOUR)));
    days_of(lane, hours)
}

/// The days that are the third, or more, of the last seven.
pub(super) fn on_days(days: &[u16]) -> Vec<u16> {
    let recent = |day: u16| days.iter().filter(|one| **one <= day && **one + OF_DAYS > day).count();
    days.iter().copied().filter(|day| recent(*day) >= ENOUGH_DAYS).collect()
}
