//! The expected share of bad windows, without a draw: what truth is made of. It integrates over what
//! is random about a window at a given state of its link, so that neither noise nor gaps nor sampling
//! are in it.

use super::draw::{GAMMA_SHAPES, normal_share};
use super::mechanism::{ROWS, Table};

/// Packets in a window of 15 s at 50 a second.
pub(crate) const PACKETS: u32 = 750;
/// The most lost packets of a window that 1 % of 750 allows.
pub(crate) const LOST_ALLOWED: u32 = 7;
/// The median round trip that is allowed, in microseconds.
pub(crate) const RTT_ALLOWED_US: f32 = 100_000.0;
/// The jitter that is allowed, in microseconds.
pub(crate) const JITTER_ALLOWED_US: f32 = 30_000.0;
/// Packets that healthy paths lose of a window, on average: one in 10 000.
pub(crate) const BACKGROUND_LOST: f64 = 0.075;
/// The spread of a link's utilisation from window to window (of its logarithm).
pub(crate) const NOISE_SIGMA: f64 = 0.07;
/// The spread of a window's queueing delay around its link's (of its logarithm).
pub(crate) const DELAY_SIGMA: f32 = 0.08;
/// Of two random packets of 750, the chance that they lie within 200 ms: nine places of 750, with
/// both orders.
const CLOSE: f64 = 9.0 / 750.0;
/// Points that stand for the noise of windows.
const NOISE_POINTS: usize = 40;
/// How many spreads they reach out.
const NOISE_REACH: f64 = 4.0;

/// How a window's packets fare before chance is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fate {
    /// The probability of loss.
    pub(crate) loss: f32,
    /// A place in [`GAMMA_SHAPES`].
    pub(crate) shape: usize,
    /// How much closer together losses lie than by chance.
    pub(crate) clump: f32,
    /// The delay that does not vary, in microseconds.
    pub(crate) base_us: f32,
    /// The delay that varies, in microseconds.
    pub(crate) queue_us: f32,
    /// The jitter, in microseconds.
    pub(crate) jitter_us: f32,
    /// The spread of the jitter (of its logarithm).
    pub(crate) wobble: f32,
}

impl Fate {
    /// The probability that such a window is bad.
    pub(crate) fn bad(&self) -> f64 {
        let fine = self.losses_pass() * (1.0 - self.delay_fails()) * (1.0 - self.jitter_fails());
        (1.0 - fine).clamp(0.0, 1.0)
    }

    /// The probability that losses are neither too many nor too close: the sum over the negative
    /// binomial counts that are allowed.
    fn losses_pass(&self) -> f64 {
        let mean = f64::from(PACKETS) * f64::from(self.loss) + BACKGROUND_LOST;
        let shape = GAMMA_SHAPES.get(self.shape).copied().unwrap_or(1.0);
        let mut probability = (1.0 + mean / shape).powf(-shape);
        let mut pass = 0.0;
        for lost in 0..=LOST_ALLOWED {
            pass += probability * apart(lost, self.clump);
            let more = (f64::from(lost) + shape) / f64::from(lost + 1);
            probability *= more * mean / (mean + shape);
        }
        pass
    }

    fn delay_fails(&self) -> f64 {
        above(self.queue_us, RTT_ALLOWED_US - self.base_us, DELAY_SIGMA)
    }

    fn jitter_fails(&self) -> f64 {
        above(self.jitter_us, JITTER_ALLOWED_US, self.wobble)
    }
}

/// The probability that no two of `lost` packets fall into the same 200 ms.
pub(crate) fn apart(lost: u32, clump: f32) -> f64 {
    let lost = f64::from(lost);
    (-lost * (lost - 1.0) * CLOSE * f64::from(clump)).exp()
}

/// The probability that a log-normal value around `median` exceeds `limit`.
fn above(median: f32, limit: f32, sigma: f32) -> f64 {
    if limit <= 0.0 {
        return 1.0;
    }
    if median <= 0.0 {
        return 0.0;
    }
    normal_share(f64::from((median / limit).ln() / sigma))
}

/// The expected share of bad windows of a link by its utilisation, for series of one base delay.
#[derive(Debug, Clone)]
pub(crate) struct Shares(Box<[f32]>);

impl Shares {
    /// `depth_us` is the link's, `base_us` the round trip of the series without it.
    pub(crate) fn new(table: &Table, depth_us: f32, base_us: f32) -> Self {
        let still: Vec<f64> = table
            .rows()
            .iter()
            .map(|row| {
                Fate {
                    loss: row.loss,
                    shape: table.shape,
                    clump: table.clump,
                    base_us,
                    queue_us: row.median * depth_us,
                    jitter_us: row.jitter * depth_us,
                    wobble: table.wobble,
                }
                .bad()
            })
            .collect();
        let noise = noise_points();
        let noisy = |row: usize| {
            let rho = Table::utilisation(row) as f32;
            let at = |&(factor, weight): &(f32, f64)| {
                weight * still.get(Table::place(rho * factor)).copied().unwrap_or(1.0)
            };
            noise.iter().map(at).sum::<f64>() as f32
        };
        Self((0..ROWS).map(noisy).collect())
    }

    /// The share at a utilisation.
    pub(crate) fn at(&self, rho: f32) -> f64 {
        self.0.get(Table::place(rho)).copied().map_or(1.0, f64::from)
    }

    /// The highest utilisation with at most that share of bad windows.
    pub(crate) fn utilisation(&self, share: f64) -> f64 {
        let row = self.0.iter().take_while(|&&at| f64::from(at) <= share).count();
        Table::utilisation(row.saturating_sub(1))
    }
}

/// Factors by which a window's utilisation differs from its minute's, and how likely each is: equal
/// steps out to four spreads.
fn noise_points() -> [(f32, f64); NOISE_POINTS] {
    let step = 2.0 * NOISE_REACH / NOISE_POINTS as f64;
    std::array::from_fn(|point| {
        let from = -NOISE_REACH + point as f64 * step;
        let weight = normal_share(from + step) - normal_share(from);
        ((NOISE_SIGMA * (from + step / 2.0)).exp() as f32, weight)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mechanism::LinkType;

    const FINE: Fate = Fate {
        loss: 0.0,
        shape: 1,
        clump: 3.0,
        base_us: 20_000.0,
        queue_us: 500.0,
        jitter_us: 500.0,
        wobble: 0.2,
    };

    #[test]
    fn a_window_without_trouble_is_hardly_ever_bad() {
        assert!(FINE.bad() < 1e-3, "{}", FINE.bad());
    }

    #[test]
    fn each_limit_makes_a_window_bad() {
        assert!(Fate { loss: 0.1, ..FINE }.bad() > 0.97);
        assert!(Fate { queue_us: 90_000.0, ..FINE }.bad() > 0.9);
        assert!(Fate { base_us: 101_000.0, ..FINE }.bad() > 0.99);
        assert!(Fate { jitter_us: 45_000.0, ..FINE }.bad() > 0.95);
        assert!((Fate { jitter_us: 30_000.0, ..FINE }.bad() - 0.5).abs() < 0.01);
    }

    #[test]
    fn more_load_is_never_better_and_a_share_is_found_again() {
        for link in LinkType::ALL {
            let radio = matches!(link, LinkType::Airtime | LinkType::Contention);
            let depth_us = if radio { 1_500.0 } else { 40_000.0 };
            let shares = Shares::new(Table::of(link), depth_us, 25_000.0);
            for pair in shares.0.windows(2) {
                assert!(pair[1] >= pair[0] - 2e-3, "{link:?} {pair:?}");
            }
            for wanted in [0.005, 0.1, 0.5] {
                let rho = shares.utilisation(wanted);
                assert!((0.05..2.9).contains(&rho), "{link:?} {wanted} at {rho}");
                assert!(shares.at(rho as f32) <= wanted, "{link:?}");
                assert!(shares.at(rho as f32 + 0.011) > wanted, "{link:?}");
            }
        }
    }
}
