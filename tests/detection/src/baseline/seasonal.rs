//! Seasonal mean with deviations: an hour whose share of bad windows lies more than three standard
//! deviations above the mean of the same hour of the last four weeks, and above 5 %.

use super::days_of;
use crate::lanes::{AN_HOUR, Lane};

const WEEKS: usize = 4;
/// Fewer earlier weeks give no deviation.
const LEAST_WEEKS: usize = 2;
const DEVIATIONS: f64 = 3.0;
/// An hour with a smaller share is good, however unusual.
const LEAST_SHARE: f64 = 0.05;
/// An hour of fewer windows is none.
const LEAST_WINDOWS: u32 = 20;
const HOURS_A_WEEK: usize = 7 * 24;

pub(super) fn fires(lane: &Lane) -> Vec<u16> {
    // Whole local hours, by number of the hour of the week; a doubled hour counts for its second half.
    let mut weeks: Vec<Vec<Option<f64>>> = Vec::new();
    let mut firing = Vec::new();
    for slot in (0..lane.slots.len()).step_by(AN_HOUR) {
        let (Some(of_week), Some(day)) = (lane.grid.of_week.get(slot), lane.grid.days.get(slot))
        else {
            continue;
        };
        let (hour, week) = (usize::from(*of_week) / AN_HOUR, week_of(lane, *day));
        weeks.resize((week + 1).max(weeks.len()), vec![None; HOURS_A_WEEK]);
        let counts = lane.counts(slot, AN_HOUR);
        if counts.valid < LEAST_WINDOWS {
            continue;
        }
        let share = counts.share();
        weeks[week][hour] = Some(share);
        let earlier: Vec<f64> =
            weeks[week.saturating_sub(WEEKS)..week].iter().filter_map(|week| week[hour]).collect();
        if share >= LEAST_SHARE && earlier.len() >= LEAST_WEEKS && share > usual(&earlier) {
            firing.push(slot);
        }
    }
    days_of(lane, firing.into_iter())
}

/// The highest share that is still usual.
fn usual(earlier: &[f64]) -> f64 {
    let count = earlier.len() as f64;
    let mean = earlier.iter().sum::<f64>() / count;
    let squares: f64 = earlier.iter().map(|one| (one - mean) * (one - mean)).sum();
    mean + DEVIATIONS * (squares / (count - 1.0)).sqrt()
}

/// The week of a day, by Mondays.
fn week_of(lane: &Lane, day: u16) -> usize {
    let monday = lane.grid.dates.first().map_or(0, |date| date.weekday().to_monday_zero_offset());
    (usize::from(day) + usize::try_from(monday).unwrap_or_default()) / 7
}
