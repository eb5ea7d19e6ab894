//! Burn rates over several windows, as the SRE workbook has them (chapter 5, table 5-8): 14.4 over an
//! hour and five minutes, 6 over six hours and half an hour, 1 over three days and six hours; of an
//! objective of 99 % good windows. Five minutes are a quarter-hour here, the shortest there is.

use super::days_of;
use crate::lanes::{Counts, Lane};

/// Bad windows that the objective allows.
const BUDGET: f64 = 0.01;
/// Burn rate, long and short window in quarter-hours.
const RULES: [(f64, usize, usize); 3] = [(14.4, 4, 1), (6.0, 24, 2), (1.0, 288, 24)];

pub(super) fn fires(lane: &Lane) -> Vec<u16> {
    // Sums up to each quarter-hour, so that long windows cost no more than short ones.
    let mut sums = vec![Counts::default()];
    for slot in 0..lane.slots.len() {
        let (now, last) = (lane.counts(slot, 1), sums.last().copied().unwrap_or_default());
        sums.push(Counts { valid: last.valid + now.valid, bad: last.bad + now.bad, ..last });
    }
    let burns = |end: usize, length: usize, rate: f64| {
        let from = sums[end.saturating_sub(length)];
        let valid = sums[end].valid - from.valid;
        let bad = sums[end].bad - from.bad;
        valid > 0 && f64::from(bad) > rate * BUDGET * f64::from(valid)
    };
    let firing = (1..sums.len()).filter(|end| {
        RULES
            .iter()
            .any(|(rate, long, short)| burns(*end, *long, *rate) && burns(*end, *short, *rate))
    });
    days_of(lane, firing.map(|end| end - 1))
}
