//! Links whose sender waits for its turn: the air, and a busy machine.

use super::Row;
use super::queue::{excess, waiting};

/// The first contention window of 802.11, in slots.
const WINDOW: f64 = 16.0;
/// How often it doubles.
const DOUBLINGS: i32 = 5;
/// Attempts before a frame is given up.
const ATTEMPTS: i32 = 7;
/// A slot of the backoff, most of them frozen by others' frames, in depths.
const SLOT: f64 = 0.3;

/// The air of one access point as a single server that is used `rho` of the time.
pub(super) fn airtime(rho: f64) -> Row {
    let wait = waiting(rho).min(60.0) as f32;
    let failing = (rho - 0.75).max(0.0);
    Row {
        loss: (0.2 * failing * failing).min(0.5) as f32,
        low: 0.15 * wait,
        median: wait,
        high: 3.0 * wait,
        jitter: 0.8 * wait,
    }
}

/// `1 + 20·rho²` stations that have something to send at once.
pub(super) fn stations(rho: f64) -> Row {
    let collision = collision(1.0 + 20.0 * rho * rho);
    let backoff = |attempt: i32| {
        let window = WINDOW * f64::from(1 << attempt.min(DOUBLINGS));
        collision.powi(attempt) * window / 2.0
    };
    let wait = (SLOT * (0..ATTEMPTS).map(backoff).sum::<f64>()) as f32;
    Row {
        loss: collision.powi(ATTEMPTS) as f32,
        low: 0.2 * wait,
        median: 0.8 * wait,
        high: 3.0 * wait,
        jitter: 0.9 * wait,
    }
}

/// The run queue of a machine that has more to do than it can.
pub(super) fn host(rho: f64) -> Row {
    let wait = (waiting(rho) / 12.0).min(2.0) as f32;
    Row {
        loss: 0.5 * excess(rho, 0.08),
        low: 0.0,
        median: 0.3 * wait,
        high: 2.5 * wait,
        jitter: wait,
    }
}

/// The probability that a frame of one of `stations` collides: the fixed point of `c = 1 - (1 -
/// τ(c))^(n-1)` (Bianchi 2000, equations 7 and 9), by bisection, as the right side falls with `c`.
fn collision(stations: f64) -> f64 {
    let (mut low, mut high): (f64, f64) = (0.0, 0.999);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if 1.0 - (1.0 - attempt_rate(middle)).powf(stations - 1.0) > middle {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability that a station sends in a slot. `(1 - (2c)^m) / (1 - 2c)` is written as its sum.
fn attempt_rate(collision: f64) -> f64 {
    let sum: f64 = (0..DOUBLINGS).map(|power| (2.0 * collision).powi(power)).sum();
    2.0 / (1.0 + WINDOW + collision * WINDOW * sum)
}
