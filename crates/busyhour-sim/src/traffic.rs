//! Windows with plausible figures: delays are log-normal above a base, loss is random or clumped.

use busyhour_model::{
    BurstLoss, Dscp, DscpSeen, Histogram, Jitter, PacketCounts, PathKey, TimestampMethod,
    TrafficClass, Window, WindowParts,
};
use fastrand::Rng;
use jiff::civil::Date;

use crate::truth::{Condition, is_workday};

/// The length of a window, in microseconds.
pub(crate) const WINDOW_US: i64 = 15_000_000;
/// 50 packets a second for 15 s.
const PACKETS: u32 = 750;
/// Packets in 200 ms.
const BURST_PACKETS: u32 = 10;
/// Loss of a path without trouble.
const BACKGROUND_LOSS: f64 = 0.000_2;
/// The spread of the delay within a window (of its logarithm).
const SIGMA: f64 = 0.6;

/// Twelve points of the normal distribution, and how many of 750 packets lie around each.
const POINTS: [(f64, u32); 12] = [
    (-2.326, 15),
    (-1.555, 60),
    (-1.036, 75),
    (-0.674, 75),
    (-0.385, 75),
    (-0.126, 75),
    (0.126, 75),
    (0.385, 75),
    (0.674, 75),
    (1.036, 75),
    (1.555, 60),
    (2.326, 15),
];
/// The points that give up the packets that were lost: around the median, so that the extremes
/// stay.
const MIDDLE: usize = 5;

/// What a window is measured under.
pub(crate) struct Circumstances {
    /// Round-trip time of the empty path, in microseconds.
    pub(crate) base_rtt_us: u32,
    /// How busy the building is, 0..=1.
    pub(crate) load: f64,
    /// Radio adds delay and jitter.
    pub(crate) wifi: bool,
    /// What is wrong at the moment.
    pub(crate) trouble: Condition,
}

/// What a trouble does to a window.
struct Effect {
    /// Added to the base, in microseconds.
    longer_us: f64,
    /// Added to the median queue, in microseconds.
    queue_us: f64,
    /// Jitter over queue.
    jitter_share: f64,
    /// The mean loss of a window lies between these.
    loss: (f64, f64),
    /// Packets lost together, besides.
    clump: (u32, u32),
}

const NO_EFFECT: Effect =
    Effect { longer_us: 0.0, queue_us: 0.0, jitter_share: 0.35, loss: (0.0, 0.0), clump: (0, 0) };

fn effect_of(trouble: Condition) -> Effect {
    match trouble {
        Condition::Healthy => NO_EFFECT,
        Condition::MaskedPeak => Effect { queue_us: 14_000.0, loss: (0.015, 0.03), ..NO_EFFECT },
        Condition::SingleBadHour => Effect { queue_us: 20_000.0, loss: (0.04, 0.12), ..NO_EFFECT },
        Condition::AlwaysBad => Effect { longer_us: 110_000.0, ..NO_EFFECT },
        Condition::OneSubnet => Effect { queue_us: 48_000.0, jitter_share: 0.85, ..NO_EFFECT },
        Condition::WifiOnly => Effect { queue_us: 4_000.0, clump: (3, 6), ..NO_EFFECT },
    }
}

/// How busy a building is at a local minute: 0.05 at night, up to 1 on workdays.
pub(crate) fn load_at(date: Date, minute: u16) -> f64 {
    let hour = f64::from(minute) / 60.0;
    let hump = |centre: f64| (-((hour - centre) / 2.2).powi(2)).exp();
    let people = if is_workday(date) { 1.0 } else { 0.1 };
    (0.05 + people * (hump(10.5) + 0.9 * hump(14.8))).min(1.0)
}

/// Draws windows.
pub(crate) struct WindowSource {
    rng: Rng,
    /// `exp(SIGMA * z)` of [`POINTS`].
    spread: [f64; 12],
}

impl WindowSource {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, spread: POINTS.map(|(z, _)| (SIGMA * z).exp()) }
    }

    pub(crate) fn window(
        &mut self,
        path: PathKey,
        source_port: u16,
        circumstances: &Circumstances,
    ) -> Window {
        let effect = effect_of(circumstances.trouble);
        let (counts, burst) = self.losses(&effect);
        let radio = if circumstances.wifi { 2.0 } else { 1.0 };
        let idle_us = radio * (400.0 + 2_000.0 * circumstances.load);
        let queue_us = (idle_us + effect.queue_us) * (0.15 * self.normal()).exp();
        let base_us = f64::from(circumstances.base_rtt_us) + effect.longer_us;
        let jitter_us = queue_us * effect.jitter_share * (0.08 * self.normal()).exp();
        let jitter = |share: f64| Jitter {
            mean_us: (jitter_us * share) as u32,
            max_us: (jitter_us * share * 2.3) as u32,
        };
        let received = counts.received();
        let ef = TrafficClass::Audio.dscp();
        Window::new(WindowParts {
            path,
            counts,
            burst: Some(burst),
            rtt: self.distribution(received, |spread| base_us + queue_us * spread),
            rtt_median_us: (received > 0).then_some((base_us + queue_us) as u32),
            up_variation: self.variation(received, queue_us * 0.6),
            down_variation: self.variation(received, queue_us * 0.4),
            up_jitter: Some(jitter(1.0)),
            down_jitter: Some(jitter(0.7)),
            dscp: seen(ef),
            sent_by: TimestampMethod::Kernel,
            received_by: TimestampMethod::Kernel,
            source_port,
            clock_step_samples: 0,
            receive_queue_drops: 0,
            send_lateness_max_us: self.rng.u32(40..900),
        })
        .expect("samples, median and burst were made from the counts")
    }

    /// Lost packets, mostly on the way up, and the worst 200 ms.
    fn losses(&mut self, effect: &Effect) -> (PacketCounts, BurstLoss) {
        let (low, high) = effect.loss;
        let mean = f64::from(PACKETS) * (BACKGROUND_LOSS + low + (high - low) * self.rng.f64());
        let scattered = self.poisson(mean).min(PACKETS / 2);
        let clump = self.rng.u32(effect.clump.0..=effect.clump.1);
        let lost = scattered + clump;
        let up = (0..lost).filter(|_| self.rng.u8(..) < 180).count() as u32;
        let counts = PacketCounts::new(PACKETS, PACKETS, [up, lost - up, 0], 0, 0)
            .expect("fewer are lost than sent");
        let worst = clump.max(self.worst_of_scattered(scattered));
        let burst = BurstLoss::new(worst, BURST_PACKETS).expect("at most ten are lost in ten");
        (counts, burst)
    }

    /// How many of `lost` random losses fall into the same 200 ms at worst: the chance that no two
    /// of them do is about `exp(-n(n-1) * 9/750)`, and so on for triples.
    fn worst_of_scattered(&mut self, lost: u32) -> u32 {
        if lost < 2 {
            return lost;
        }
        let n = f64::from(lost);
        let close = f64::from(BURST_PACKETS - 1) / f64::from(PACKETS);
        let no_pair = (-n * (n - 1.0) * close).exp();
        let no_triple = (-n * (n - 1.0) * (n - 2.0) * close * close / 2.0).exp();
        let draw = self.rng.f64();
        if draw < no_pair {
            1
        } else if lost < 3 || draw < no_triple {
            2
        } else {
            3
        }
    }

    fn variation(&self, received: u32, queue_us: f64) -> Histogram {
        let lowest = self.spread[0];
        self.distribution(received, |spread| queue_us * (spread - lowest))
    }

    fn distribution(&self, received: u32, value: impl Fn(f64) -> f64) -> Histogram {
        let mut histogram = Histogram::new();
        let mut missing = PACKETS - received;
        // Taken from the middle outwards until the counts are those received.
        let mut taken = [0u32; 12];
        for step in 0..12 {
            let at = if step % 2 == 0 { MIDDLE - step / 2 } else { MIDDLE + 1 + step / 2 };
            taken[at] = missing.min(POINTS[at].1);
            missing -= taken[at];
        }
        for ((&spread, (_, packets)), taken) in self.spread.iter().zip(POINTS).zip(taken) {
            histogram.record_n(value(spread) as u32, u64::from(packets - taken));
        }
        histogram
    }

    /// Knuth's product method; the means here are below 100.
    fn poisson(&mut self, mean: f64) -> u32 {
        let limit = (-mean).exp();
        let mut product = self.rng.f64();
        let mut count = 0;
        while product > limit {
            product *= self.rng.f64();
            count += 1;
        }
        count
    }

    /// Nearly normal, within ±3.5: the sum of four uniform draws.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.rng.f64()).sum();
        (sum - 2.0) * 3.0f64.sqrt()
    }
}

const fn seen(dscp: Dscp) -> DscpSeen {
    DscpSeen { sent: dscp, up: Some(dscp), down: Some(dscp), up_changed: 0, down_changed: 0 }
}
