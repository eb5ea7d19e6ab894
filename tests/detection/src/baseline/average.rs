//! The average of the whole local day over a limit: what a monthly report shows.

use super::limits;
use crate::lanes::Lane;

#[derive(Default, Clone)]
struct Day {
    sent: u64,
    lost: u64,
    /// Sums of the quarter-hours' medians, weighted by windows.
    rtt_us: f64,
    jitter_us: f64,
    rtt_weight: f64,
    jitter_weight: f64,
}

impl Day {
    fn is_over(&self) -> bool {
        let over = |sum: f64, weight: f64, limit: f64| weight > 0.0 && sum / weight > limit;
        over(self.lost as f64, self.sent as f64, limits::LOSS)
            || over(self.rtt_us, self.rtt_weight, limits::RTT_US)
            || over(self.jitter_us, self.jitter_weight, limits::JITTER_US)
    }
}

pub(super) fn fires(lane: &Lane) -> Vec<u16> {
    let mut days = vec![Day::default(); lane.grid.dates.len()];
    for (slot, number) in lane.slots.iter().zip(&lane.grid.days) {
        let (Some(slot), Some(day)) = (slot, days.get_mut(usize::from(*number))) else { continue };
        let weight = f64::from(slot.valid);
        day.sent += u64::from(slot.sent);
        day.lost += u64::from(slot.lost);
        if let Some(rtt) = slot.rtt_p50_us {
            day.rtt_us += weight * f64::from(rtt);
            day.rtt_weight += weight;
        }
        if let Some(jitter) = slot.jitter_p50_us {
            day.jitter_us += weight * f64::from(jitter);
            day.jitter_weight += weight;
        }
    }
    (0..).zip(&days).filter(|(_, day)| day.is_over()).map(|(number, _)| number).collect()
}
