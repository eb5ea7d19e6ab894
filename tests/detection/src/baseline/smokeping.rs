//! SmokePing's patterns (smokeping_config, section *Alerts*): twenty pings every five minutes;
//! `someloss` is loss in three samples with at most twelve others between; and three samples in a row
//! with more than 10 % lost or a median above 100 ms.
//!
//! Slots are a quarter-hour long, so the pings that are lost of its three samples are drawn from its
//! share of lost packets; all three have its median.

use fastrand::Rng;

use super::{days_of, limits};
use crate::lanes::Lane;

/// Pings of a sample.
const PINGS: u32 = 20;
/// Samples of a quarter-hour.
const SAMPLES: usize = 3;
/// Samples that may lie between two lossy ones.
const BETWEEN: usize = 12;
/// Lossy samples that make an alert.
const LOSSY: usize = 3;
/// Bad samples in a row.
const IN_A_ROW: usize = 3;
/// More pings lost than this are more than 10 %.
const MANY: u32 = 2;

struct Sample {
    lost: u32,
    slow: bool,
}

/// What SmokePing would have recorded; `None` where nothing was measured.
fn samples(lane: &Lane) -> Vec<Option<Sample>> {
    let mut rng = Rng::with_seed(u64::from(lane.number) + 1);
    let mut samples = Vec::with_capacity(lane.slots.len() * SAMPLES);
    for slot in &lane.slots {
        for _ in 0..SAMPLES {
            let share = |sent, lost| f64::from(lost) / f64::from(sent);
            samples.push(slot.filter(|slot| slot.sent > 0).map(|slot| {
                let share = share(slot.sent, slot.lost);
                let lost = (0..PINGS).filter(|_| share > 0.0 && rng.f64() < share).count();
                Sample {
                    lost: u32::try_from(lost).unwrap_or(PINGS),
                    slow: slot.rtt_p50_us.is_some_and(|rtt| f64::from(rtt) > limits::RTT_US),
                }
            }));
        }
    }
    samples
}

pub(super) fn some_loss(lane: &Lane) -> Vec<u16> {
    let mut chain = 0;
    let mut last = None;
    let mut alerts = Vec::new();
    for (number, sample) in samples(lane).iter().enumerate() {
        if sample.as_ref().is_none_or(|sample| sample.lost == 0) {
            continue;
        }
        let near = last.is_some_and(|last| number - last <= BETWEEN + 1);
        chain = if near { chain + 1 } else { 1 };
        last = Some(number);
        if chain >= LOSSY {
            alerts.push(number / SAMPLES);
        }
    }
    days_of(lane, alerts.into_iter())
}

pub(super) fn three_consecutive(lane: &Lane) -> Vec<u16> {
    let mut row = 0;
    let mut alerts = Vec::new();
    for (number, sample) in samples(lane).iter().enumerate() {
        let bad = sample.as_ref().is_some_and(|sample| sample.slow || sample.lost > MANY);
        row = if bad { row + 1 } else { 0 };
        if row >= IN_A_ROW {
            alerts.push(number / SAMPLES);
        }
    }
    days_of(lane, alerts.into_iter())
}
