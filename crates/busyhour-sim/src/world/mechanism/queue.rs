//! Links that keep packets waiting in line, or refuse to.

use super::Row;
use crate::world::draw::normal_share;

/// One packet in so many of a window sees an emptier queue than its lowest wait tells.
const LOWEST: f64 = 0.01;

/// M/M/1/K with `room` packets: the wait is the queue found on arrival. `steady` tells how much
/// neighbouring packets' waits differ, of what independent ones would.
pub(super) fn fifo(rho: f64, room: f64, steady: f64) -> Row {
    let wait = |share: f64| (found(rho, room, share) / room) as f32;
    Row {
        loss: full(rho, room) as f32,
        low: wait(LOWEST),
        median: wait(0.5),
        high: wait(0.95),
        jitter: (steady * difference(rho, room) / room) as f32,
    }
}

/// Drops the excess over the rate within the window; the burst it lets through hardly waits.
pub(super) fn policer(rho: f64) -> Row {
    let wait = (0.01 * rho.min(1.0)) as f32;
    Row { loss: excess(rho, 0.06), low: 0.0, median: wait, high: 2.0 * wait, jitter: wait }
}

/// Holds the delay at its target (one depth) by dropping early.
pub(super) fn aqm(rho: f64) -> Row {
    let wait = (waiting(rho) / 20.0).min(1.0) as f32;
    Row {
        loss: excess(rho, 0.04),
        low: 0.2 * wait,
        median: wait,
        high: 1.6 * wait,
        jitter: 0.25 * wait,
    }
}

/// A deep queue behind the cycle of requests and grants.
pub(super) fn docsis(rho: f64) -> Row {
    let queue = fifo(rho, 80.0, 0.4);
    let cycle = (0.015 * (1.0 + 2.0 * rho.min(1.5))) as f32;
    Row {
        loss: queue.loss,
        low: queue.low + 0.3 * cycle,
        median: queue.median + cycle,
        high: queue.high + 2.0 * cycle,
        jitter: queue.jitter.hypot(0.5 * cycle),
    }
}

/// A queue of one's own that is hardly ever full, and a scheduler that is never quite even.
pub(super) fn mobile(rho: f64) -> Row {
    let queue = fifo(rho, 40.0, 0.25);
    Row {
        loss: queue.loss / 7.0,
        low: queue.low + 0.01,
        median: queue.median + 0.03,
        high: queue.high + 0.08,
        jitter: queue.jitter.hypot(0.02),
    }
}

/// `ρ/(1-ρ)`, continued beyond 0.97 so that it stays finite and grows.
pub(super) fn waiting(rho: f64) -> f64 {
    const KNEE: f64 = 0.97;
    if rho < KNEE { rho / (1.0 - rho) } else { KNEE / (1.0 - KNEE) + 20.0 * (rho - KNEE) }
}

/// The share that exceeds the capacity when the load of a window's moments is `N(rho, sd)`:
/// `E[max(0, 1 - 1/x)]`, by the middles of forty equal parts.
pub(super) fn excess(rho: f64, sd: f64) -> f32 {
    const PARTS: u32 = 40;
    const REACH: f64 = 4.0;
    let width = 2.0 * REACH / f64::from(PARTS);
    let part = |part: u32| {
        let from = -REACH + f64::from(part) * width;
        let weight = normal_share(from + width) - normal_share(from);
        let load = rho + sd * (from + width / 2.0);
        weight * if load > 1.0 { 1.0 - 1.0 / load } else { 0.0 }
    };
    (0..PARTS).map(part).sum::<f64>() as f32
}

/// The probability that an arrival finds the queue full.
fn full(rho: f64, room: f64) -> f64 {
    if (rho - 1.0).abs() < 1e-9 {
        return 1.0 / (room + 1.0);
    }
    (1.0 - rho) * rho.powf(room) / (1.0 - rho.powf(room + 1.0))
}

/// The queue length that a share of arrivals does not find exceeded, as a real number: the inverse of
/// `(1 - ρ^n) / (1 - ρ^(K+1))`, less half a place.
fn found(rho: f64, room: f64, share: f64) -> f64 {
    let length = if rho < 1e-9 {
        0.0
    } else if (rho - 1.0).abs() < 1e-6 {
        share * (room + 1.0)
    } else {
        (1.0 - share * (1.0 - rho.powf(room + 1.0))).ln() / rho.ln()
    };
    (length - 0.5).clamp(0.0, room)
}

/// The mean difference of two independent queue lengths, by sixteen quantiles.
fn difference(rho: f64, room: f64) -> f64 {
    let lengths: [f64; 16] =
        std::array::from_fn(|part| found(rho, room, (part as f64 + 0.5) / 16.0));
    let pairs = lengths.iter().flat_map(|a| lengths.iter().map(move |b| (a - b).abs()));
    pairs.sum::<f64>() / 256.0
}
