//! Windows with plausible figures: delays are log-normal above a base, loss is random or clumped.

use busyhour_model::{
    BurstLoss, ClockQuality, Dscp, DscpSeen, Ecn, EcnSeen, Histogram, Jitter, LossPattern,
    OneWayDelay, PacketCounts, PathKey, Playout, TimestampMethod, TrafficClass, TtlSeen, Window,
    WindowParts,
};
use fastrand::Rng;
use jiff::civil::Date;

use crate::truth::{Condition, is_workday};

/// The length of a window, in microseconds.
pub(crate) const WINDOW_US: i64 = 15_000_000;
/// 50 packets a second for 15 s.
const RATE_PPS: u32 = 50;
/// Packets in a window.
pub(crate) const PACKETS: u32 = 750;
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

/// The session that a window is of.
pub(crate) struct Session {
    /// The UDP source port; nothing on the way translates it.
    pub(crate) source_port: u16,
    /// Its identifier.
    pub(crate) ssid: u16,
    /// The number of the window's first packet.
    pub(crate) first_sequence: u32,
}

/// The delay of the jitter buffer, in microseconds.
const PLAYOUT_US: u32 = 40_000;
/// How much of a round trip's queueing is on the way up; the rest is on the way down.
const UP_SHARE: f64 = 0.6;
const DOWN_SHARE: f64 = 1.0 - UP_SHARE;
/// Both ends keep their clocks, this well.
const CLOCK: ClockQuality = ClockQuality { synchronized: true, error_us: 1_500 };
/// Fewer packets than this between two losses make them one burst (RFC 3611 section 4.7.2).
const GMIN: f64 = 16.0;

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
        session: &Session,
        circumstances: &Circumstances,
    ) -> Window {
        let effect = effect_of(circumstances.trouble);
        let Losses { counts, burst, pattern } = self.losses(&effect);
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
        let one_way_us = |share: f64| (base_us / 2.0 + queue_us * share) as i32;
        Window::new(WindowParts {
            burst: Some(burst),
            worst_15s: BurstLoss::new(counts.lost(), counts.sent()).ok(),
            rtt: self.distribution(received, |spread| base_us + queue_us * spread),
            rtt_median_us: (received > 0).then_some((base_us + queue_us) as u32),
            one_way: (received > 0).then(|| OneWayDelay {
                up_median_us: one_way_us(UP_SHARE),
                down_median_us: one_way_us(DOWN_SHARE),
                error_us: 2 * CLOCK.error_us,
            }),
            up_variation: self.variation(received, queue_us * UP_SHARE),
            down_variation: self.variation(received, queue_us * DOWN_SHARE),
            up_jitter: Some(jitter(1.0)),
            down_jitter: Some(jitter(0.7)),
            loss_pattern: pattern,
            playout: Some(self.playout(received, queue_us)),
            dscp: seen(ef),
            ecn: EcnSeen { up: Some(Ecn::NotEct), down: Some(Ecn::NotEct), ..EcnSeen::default() },
            ttl: hop_limits(circumstances.base_rtt_us),
            sent_by: TimestampMethod::Kernel,
            received_by: TimestampMethod::Kernel,
            clock: CLOCK,
            far_clock: (received > 0).then_some(CLOCK),
            source_port: session.source_port,
            seen_source_port: (received > 0).then_some(session.source_port),
            ssid: session.ssid,
            first_sequence: session.first_sequence,
            sequences: PACKETS,
            peer_tlvs: (received > 0).then_some(true),
            send_lateness_max_us: self.rng.u32(40..900),
            ..WindowParts::new(path, RATE_PPS, counts)
        })
        .expect("samples, median, burst and evidence were made from the counts")
    }

    /// Lost packets, mostly on the way up, and how they lie.
    fn losses(&mut self, effect: &Effect) -> Losses {
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
        Losses { counts, burst, pattern: pattern(scattered, clump) }
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

    /// What comes later than the buffer waits is discarded, and nothing else is.
    fn playout(&self, received: u32, queue_us: f64) -> Playout {
        let lowest = self.spread[0];
        let late = |queue_us: f64| {
            let values = self.points(received, |spread| queue_us * (spread - lowest));
            let late = values.iter().filter(|(value, _)| *value > PLAYOUT_US);
            late.map(|(_, packets)| packets).sum::<u32>()
        };
        let (late_up, late_down) = (late(queue_us * UP_SHARE), late(queue_us * DOWN_SHARE));
        Playout {
            delay_us: PLAYOUT_US,
            late_up,
            late_down,
            discarded_up: late_up,
            discarded_down: late_down,
        }
    }

    fn distribution(&self, received: u32, value: impl Fn(f64) -> f64) -> Histogram {
        let mut histogram = Histogram::new();
        for (value, packets) in self.points(received, value) {
            histogram.record_n(value, u64::from(packets));
        }
        histogram
    }

    /// The values of twelve groups of packets, and how many are in each.
    fn points(&self, received: u32, value: impl Fn(f64) -> f64) -> [(u32, u32); 12] {
        let mut missing = PACKETS - received;
        // Taken from the middle outwards until the counts are those received.
        let mut taken = [0u32; 12];
        for step in 0..12 {
            let at = if step % 2 == 0 { MIDDLE - step / 2 } else { MIDDLE + 1 + step / 2 };
            taken[at] = missing.min(POINTS[at].1);
            missing -= taken[at];
        }
        std::array::from_fn(|at| (value(self.spread[at]) as u32, POINTS[at].1 - taken[at]))
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

/// What is lost in a window, and how it lies.
struct Losses {
    counts: PacketCounts,
    burst: BurstLoss,
    pattern: LossPattern,
}

/// The pattern to expect of this many random losses and a clump lost together: a loss closer than
/// Gmin to the one before makes or prolongs a burst.
fn pattern(scattered: u32, clump: u32) -> LossPattern {
    let close_share = 1.0 - (-f64::from(scattered) * GMIN / f64::from(PACKETS)).exp();
    let close = (f64::from(scattered.saturating_sub(1)) * close_share) as u32;
    let bursts = (f64::from(close) * (1.0 - close_share)).ceil() as u32;
    let burst_lost = close + bursts;
    // Two close losses are some half Gmin apart.
    let burst_packets = (burst_lost + close * 6).min(PACKETS - clump);
    let clumps = u32::from(clump > 1);
    LossPattern {
        runs: scattered + u32::from(clump > 0),
        bursts: bursts + clumps,
        burst_packets: burst_packets + clump * clumps,
        burst_lost: burst_lost.min(scattered) + clump * clumps,
    }
}

/// Longer ways have more hops.
fn hop_limits(base_rtt_us: u32) -> TtlSeen {
    let hops = (4 + base_rtt_us / 5_000).min(30) as u8;
    TtlSeen { up: Some(64 - hops), down: Some(64 - hops), ..TtlSeen::default() }
}

const fn seen(dscp: Dscp) -> DscpSeen {
    DscpSeen { sent: dscp, up: Some(dscp), down: Some(dscp), up_changed: 0, down_changed: 0 }
}
