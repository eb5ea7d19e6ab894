//! `quantile_over_time(0.95, m[1h]) > limit` with `for: 15m`, for loss, round trip and jitter of each
//! window: the alerting rule that Prometheus' documentation leads to.

use super::days_of;
use super::percentile::is_over;
use crate::lanes::{AN_HOUR, Lane};

pub(super) fn fires(lane: &Lane) -> Vec<u16> {
    let pending: Vec<bool> = (0..lane.slots.len())
        .map(|end| {
            (end + 1).checked_sub(AN_HOUR).is_some_and(|from| is_over(&lane.counts(from, AN_HOUR)))
        })
        .collect();
    // Fires once it has held for another quarter-hour.
    let firing = (1..pending.len()).filter(|slot| pending[*slot] && pending[slot - 1]);
    days_of(lane, firing)
}
