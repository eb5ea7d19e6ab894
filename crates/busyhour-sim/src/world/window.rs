//! What one series measures: each window's outcome from the state of its links, judged by the limits,
//! and counted into quarter-hours.

mod slot;

use fastrand::Rng;

use super::draw::{POINTS, Tables, between, how_often, lognormal, mix};
use super::link::{Extra, LinkState};
use super::mechanism::Row;
use super::share::{
    BACKGROUND_LOST, DELAY_SIGMA, JITTER_ALLOWED_US, LOST_ALLOWED, NOISE_SIGMA, PACKETS,
    RTT_ALLOWED_US, apart,
};

pub(crate) use slot::SlotCount;

/// Windows that a minute has room for.
pub(crate) const MINUTE_WINDOWS: usize = 4;
/// Losses below this many packets of a window are left to the background.
const NEGLIGIBLE_LOST: f32 = 1e-4;
/// How much round trips of still paths differ from window to window, at most, in microseconds.
const UNEVEN_US: f32 = 120.0;
/// The spread of a still path's jitter (of its logarithm).
const STILL_WOBBLE: f32 = 0.1;
/// Jitter below this is never near its limit, in microseconds.
const FAR_BELOW_US: f32 = 4_000.0;
/// Isolated bursts of a series in a day.
const BURSTS: (f64, f64) = (2.0, 5.0);

/// What a window's links do to it together, and what chance made of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// Packets lost of [`PACKETS`].
    pub(crate) lost: u32,
    /// Two of them or more were lost within 200 ms.
    pub(crate) burst: bool,
    /// The lowest round trip, in microseconds.
    pub(crate) low_us: f32,
    /// The median.
    pub(crate) median_us: f32,
    /// What one packet in twenty exceeds.
    pub(crate) high_us: f32,
    /// The jitter.
    pub(crate) jitter_us: f32,
}

impl Outcome {
    pub(crate) fn failed(&self) -> bool {
        self.lost >= PACKETS
    }

    /// Bad by loss, burst, delay, jitter, failed: in the order of [`busyhour_model::Breach::ALL`], by
    /// the limits of *client to Microsoft edge*.
    pub(crate) fn breaches(&self) -> [bool; 5] {
        if self.failed() {
            return [true, false, false, false, true];
        }
        [
            self.lost > LOST_ALLOWED,
            self.burst,
            self.median_us > RTT_ALLOWED_US,
            self.jitter_us > JITTER_ALLOWED_US,
            false,
        ]
    }
}

/// A short burst of loss that is nobody's fault.
#[derive(Debug, Clone, Copy)]
struct Burst {
    from: usize,
    until: usize,
    loss: f32,
}

/// Draws the windows of one series. This is where the time goes: some 100 ns for each window.
#[derive(Debug)]
pub(crate) struct Windows<'a> {
    links: Vec<&'a LinkState>,
    tables: Tables,
    noise: &'a Noise,
    rng: Rng,
    /// Jitter without load, in microseconds.
    still_jitter_us: f32,
    bursts: std::iter::Peekable<std::vec::IntoIter<Burst>>,
}

/// Factors of utilisation from window to window, as quantiles.
#[derive(Debug)]
pub(crate) struct Noise(Box<[f32; POINTS]>);

impl Noise {
    pub(crate) fn new() -> Self {
        let tables = Tables::get();
        let factor = |point: usize| (NOISE_SIGMA as f32 * tables.normal_of(point as u64)).exp();
        let factors: Box<[f32]> = (0..POINTS).map(factor).collect();
        Self(factors.try_into().expect("there are as many factors as points"))
    }

    /// The factor of a link in a window, whoever looks.
    #[inline]
    fn of(&self, key: u64, window: usize) -> f32 {
        self.0[mix(key ^ window as u64) as usize & (POINTS - 1)]
    }
}

/// Delays of a window, gathered from all that it passes.
#[derive(Debug, Clone, Copy)]
struct Waits {
    low_us: f32,
    median_us: f32,
    high_us: f32,
    jitter_square: f32,
    /// The most jitter that one link adds, and how it varies.
    most_jitter_us: f32,
    wobble: f32,
}

impl Waits {
    fn still(jitter_us: f32) -> Self {
        Self {
            low_us: 0.0,
            median_us: 0.0,
            high_us: 0.0,
            jitter_square: jitter_us * jitter_us,
            most_jitter_us: jitter_us,
            wobble: STILL_WOBBLE,
        }
    }

    #[inline]
    fn add(&mut self, row: Row, depth_us: f32, wobble: f32) {
        self.low_us += row.low * depth_us;
        self.median_us += row.median * depth_us;
        self.high_us += row.high * depth_us;
        self.add_jitter(row.jitter * depth_us, wobble);
    }

    fn beside(&mut self, extra: Extra) {
        self.low_us += 0.7 * extra.delay_us;
        self.median_us += extra.delay_us;
        self.high_us += 1.3 * extra.delay_us;
        self.add_jitter(extra.jitter_us, Extra::WOBBLE);
    }

    fn add_jitter(&mut self, jitter_us: f32, wobble: f32) {
        self.jitter_square += jitter_us * jitter_us;
        if jitter_us > self.most_jitter_us {
            (self.most_jitter_us, self.wobble) = (jitter_us, wobble);
        }
    }
}

/// Losses of a window, gathered from all that it passes.
#[derive(Debug, Clone, Copy)]
struct Losses {
    lost: u32,
    clump: f32,
}

impl<'a> Windows<'a> {
    /// `windows` is how many the span has room for.
    pub(crate) fn new(
        links: Vec<&'a LinkState>,
        noise: &'a Noise,
        mut rng: Rng,
        windows: usize,
        still_jitter_us: f32,
    ) -> Self {
        let bursts = draw_bursts(&mut rng, windows).into_iter().peekable();
        Self { links, tables: Tables::get(), noise, rng, still_jitter_us, bursts }
    }

    /// The outcome of a window of the span; windows are asked for in ascending order. `base_us` is the
    /// round trip of the empty path, `target_loss` what the target loses.
    pub(crate) fn next(&mut self, window: usize, base_us: f32, target_loss: f32) -> Outcome {
        let minute = window / MINUTE_WINDOWS;
        let background = self.tables.poisson(&mut self.rng, BACKGROUND_LOST);
        let mut losses = Losses { lost: background, clump: 1.0 };
        let mut waits = Waits::still(self.still_jitter_us);
        let loss = (target_loss + self.burst_loss(window)).min(1.0);
        let mut beside = Extra { loss, ..Extra::NONE };
        for link in &self.links {
            let rho = link.rho.get(minute).copied().unwrap_or(0.0);
            let table = link.table;
            let row = table.at(rho * self.noise.of(link.noise_key, window));
            waits.add(row, link.depth_us, table.wobble);
            let mean = row.loss * PACKETS as f32;
            if mean > NEGLIGIBLE_LOST {
                losses.add(self.tables, &mut self.rng, mean, table.shape, table.clump);
            }
            let extra = link.extra.as_ref().and_then(|extra| extra.get(minute));
            if let Some(extra) = extra.filter(|extra| !extra.is_none()) {
                beside = beside.and(*extra);
            }
        }
        if !beside.is_none() {
            waits.beside(beside);
            if beside.loss >= 1.0 {
                losses.lost = PACKETS;
            } else if beside.loss > 0.0 {
                let mean = beside.loss * PACKETS as f32;
                losses.add(self.tables, &mut self.rng, mean, Extra::SHAPE, Extra::CLUMP);
            }
        }
        self.outcome(losses, &waits, base_us)
    }

    fn outcome(&mut self, losses: Losses, waits: &Waits, base_us: f32) -> Outcome {
        let bits = self.rng.u64(..);
        let (delay, jitter) = (self.tables.normal_of(bits), self.tables.normal_of(bits >> 16));
        // exp() to the second order: the spread is small.
        let varied = 1.0 + DELAY_SIGMA * delay * (1.0 + 0.5 * DELAY_SIGMA * delay);
        let queue_us = waits.median_us * varied;
        let jitter_us = waits.jitter_square.sqrt();
        let jitter = waits.wobble * jitter;
        // Far below the limit a straight line does.
        let jitter = if jitter_us < FAR_BELOW_US { 1.0 + 0.5 * jitter } else { jitter.exp() };
        let still_us = base_us + UNEVEN_US * f32::from((bits >> 32) as u8) / 255.0;
        let lost = losses.lost.min(PACKETS);
        Outcome {
            lost,
            burst: lost > 1 && self.rng.f64() >= apart(lost, losses.clump),
            low_us: still_us + waits.low_us.min(queue_us),
            median_us: still_us + 0.5 * UNEVEN_US + queue_us,
            high_us: still_us + 2.0 * UNEVEN_US + waits.high_us.max(queue_us),
            jitter_us: jitter_us * jitter.max(0.1),
        }
    }

    /// What an isolated burst loses of a window.
    fn burst_loss(&mut self, window: usize) -> f32 {
        while self.bursts.next_if(|burst| burst.until <= window).is_some() {}
        self.bursts.peek().filter(|burst| burst.from <= window).map_or(0.0, |burst| burst.loss)
    }
}

impl Losses {
    fn add(&mut self, tables: Tables, rng: &mut Rng, mean: f32, shape: usize, clump: f32) {
        let lost = tables.clumped(rng, f64::from(mean), shape);
        if lost > 0 {
            self.lost += lost;
            self.clump = self.clump.max(clump);
        }
    }
}

/// One to three windows each, anywhere, in order.
fn draw_bursts(rng: &mut Rng, windows: usize) -> Vec<Burst> {
    let days = windows as f64 / (24 * 60 * MINUTE_WINDOWS) as f64;
    let a_day = between(rng, BURSTS.0, BURSTS.1);
    let burst = |rng: &mut Rng| {
        let from = rng.usize(0..windows.max(1));
        let loss = lognormal(rng, 0.02, 0.6).clamp(0.004, 0.12) as f32;
        Burst { from, until: from + rng.usize(1..=3), loss }
    };
    let mut bursts: Vec<Burst> = (0..how_often(rng, a_day * days)).map(|_| burst(rng)).collect();
    bursts.sort_by_key(|burst| burst.from);
    bursts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mechanism::{LinkType, Table};
    use crate::world::share::Shares;

    const WINDOWS: usize = 6_000;

    /// The share of bad windows that is drawn on a link of constant utilisation.
    fn drawn(kind: LinkType, depth_us: f32, base_us: f32, rho: f32) -> f64 {
        let link = LinkState::constant(Table::of(kind), depth_us, rho, WINDOWS);
        let noise = Noise::new();
        let mut windows = Windows::new(vec![&link], &noise, Rng::with_seed(17), 0, 250.0);
        let bad = (0..WINDOWS)
            .filter(|&window| windows.next(window, base_us, 0.0).breaches().contains(&true));
        bad.count() as f64 / WINDOWS as f64
    }

    #[test]
    fn as_many_windows_are_bad_as_truth_expects() {
        for kind in LinkType::ALL {
            let (depth_us, base_us) = match kind {
                LinkType::Airtime | LinkType::Contention => (2_000.0, 20_000.0),
                LinkType::Mobile | LinkType::Docsis => (200_000.0, 30_000.0),
                _ => (20_000.0, 30_000.0),
            };
            let shares = Shares::new(Table::of(kind), depth_us, base_us);
            for wanted in [0.01, 0.1, 0.3, 0.7] {
                let rho = shares.utilisation(wanted) as f32;
                let (truth, drawn) = (shares.at(rho), drawn(kind, depth_us, base_us, rho));
                // Four standard errors, and what the coarse integral over the noise may be off.
                let error = 4.0 * (truth * (1.0 - truth) / WINDOWS as f64).sqrt();
                let most = error + 0.05 * truth + 0.002;
                assert!((drawn - truth).abs() < most, "{kind:?} {rho}: {drawn} for {truth}");
            }
        }
    }

    #[test]
    fn an_outage_fails_and_is_nothing_else_but_loss() {
        let mut link = LinkState::constant(Table::of(LinkType::Fifo), 20_000.0, 0.3, 8);
        link.add_extra(1, Extra { loss: 1.0, ..Extra::NONE });
        let noise = Noise::new();
        let mut windows = Windows::new(vec![&link], &noise, Rng::with_seed(1), 0, 250.0);
        assert_eq!(windows.next(0, 20_000.0, 0.0).breaches(), [false; 5]);
        assert_eq!(windows.next(4, 20_000.0, 0.0).breaches(), [true, false, false, false, true]);
        assert!(windows.next(8, 20_000.0, 1.0).failed());
    }

    #[test]
    fn series_that_share_a_link_suffer_in_the_same_windows() {
        let link = LinkState::constant(Table::of(LinkType::Policer), 1_000.0, 0.95, WINDOWS);
        let noise = Noise::new();
        let bad = |seed| -> Vec<bool> {
            let mut windows = Windows::new(vec![&link], &noise, Rng::with_seed(seed), 0, 250.0);
            let outcomes = (0..WINDOWS).map(|window| windows.next(window, 20_000.0, 0.0));
            outcomes.map(|outcome| outcome.breaches().contains(&true)).collect()
        };
        let (one, other) = (bad(1), bad(2));
        let alike = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        let share = one.iter().filter(|bad| **bad).count() as f64 / WINDOWS as f64;
        let by_chance = share * share + (1.0 - share) * (1.0 - share);
        assert!(alike as f64 / WINDOWS as f64 > by_chance + 0.1, "{alike} {share}");
    }

    #[test]
    fn bursts_come_in_order_and_as_often_as_was_written_down() {
        let days = 400;
        let windows = days * 24 * 60 * MINUTE_WINDOWS;
        let bursts = draw_bursts(&mut Rng::with_seed(2), windows);
        let a_day = bursts.len() as f64 / days as f64;
        assert!((1.8..5.3).contains(&a_day), "{a_day}");
        assert!(bursts.windows(2).all(|pair| pair[0].from <= pair[1].from));
        assert!(bursts.iter().all(|burst| (1..=3).contains(&(burst.until - burst.from))));
    }
}
