//! Windows with realistic noise: each packet has a delay, and the window is made of those.

use busyhour_model::{
    AddressFamily, BootId, BootMicros, BurstLoss, ClockQuality, Context, Dscp, DscpSeen, Ecn,
    EcnSeen, Histogram, Jitter, LIMITS, LimitsVersion, Link, LinkKind, LossPattern, OneWayDelay,
    PacketCounts, PathKey, Playout, ProfileName, Reorder, RequirementProfile, ScheduleRevision,
    Stamp, TargetName, TimestampMethod, TrafficClass, Transport, TtlSeen, UtcMicros, Window,
    WindowParts,
};
use busyhour_store::{JudgedWindow, StoredWindow};

const START: i64 = 1_789_977_600_000_000;
const PACKETS: u32 = 750;
/// How long the emulated jitter buffer waits, in microseconds.
const PLAYOUT_US: u32 = 40_000;

/// What a path is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// A wired path with nothing on it: 18 ms, noise of 50 to 400 µs, a spike now and then.
    Quiet,
    /// A queue up that fills to a quarter of a second and drops what does not fit.
    Congested,
    /// A heavy tail in both directions, retransmissions, some loss.
    Wifi,
}

/// A path and its clocks as they go on.
#[derive(Debug)]
pub(crate) struct Path {
    random: fastrand::Rng,
    weather: Weather,
    pub key: PathKey,
    /// The queue up, in microseconds, and where it tends to.
    queue: f64,
    load: f64,
    /// How far the far clock is from ours, and our wall clock from the boot clock.
    offset: f64,
    slew: f64,
    /// Microseconds since each clock was last corrected.
    unsynchronized: [i64; 2],
    sequence: u32,
    nth: i64,
}

/// One direction of a window: the delay of each packet that came, above the path's own.
#[derive(Debug, Default)]
struct Way {
    delays: Vec<f64>,
}

impl Path {
    pub(crate) fn new(weather: Weather, seed: u64) -> Self {
        let kind = if weather == Weather::Wifi { LinkKind::Wifi } else { LinkKind::Wired };
        let key = PathKey {
            link: Link::new(kind, "link0").unwrap(),
            family: AddressFamily::Ipv4,
            target: TargetName::new("edge.example:862").unwrap(),
            class: TrafficClass::Audio,
            profile: ProfileName::new("audio-50").unwrap(),
            transport: Transport::Udp,
        };
        Self {
            random: fastrand::Rng::with_seed(seed),
            weather,
            key,
            queue: 0.0,
            load: 0.0,
            offset: 120.0,
            slew: 0.0,
            unsynchronized: [0, 30_000_000],
            sequence: 0,
            nth: 0,
        }
    }

    /// The next window, `period_us` after the last.
    pub(crate) fn next(&mut self, period_us: i64) -> StoredWindow {
        let grid = START + 7_300_211 + self.nth * period_us;
        self.nth += 1;
        self.offset += self.normal() * 8.0;
        self.slew += self.normal() * 3.0;
        let errors = self.clock_errors(period_us);
        let started = UtcMicros(grid + 60 + (self.normal() * 15.0) as i64);
        let boot = started.0 - START + 86_400_000_000 + self.slew as i64 + self.random.i64(0..3);
        let window = self.window(errors);
        let judged = JudgedWindow {
            placed: started,
            stamp: Stamp::new(started, BootMicros(boot as u64), BootId::from_u128(7), 15_000_000)
                .unwrap(),
            schedule: ScheduleRevision(60_000_000),
            context: Context {
                local_prefix: "192.0.2.0/24".parse().ok(),
                resolved: "198.51.100.7:862".parse().ok(),
                reflexive: "203.0.113.9".parse().ok(),
            },
            requirement: RequirementProfile::ClientToMicrosoftEdge,
            limits: LimitsVersion(1),
            verdict: LIMITS[0].judge(&window),
            window,
        };
        let later = 15_600_000 + self.random.i64(0..900_000);
        StoredWindow { judged, received: UtcMicros(grid + later) }
    }

    /// Our clock's error grows by 500 ppm until it is corrected; the far one's is told in eight bits.
    fn clock_errors(&mut self, period_us: i64) -> [u32; 2] {
        let mut errors = [0; 2];
        for (error, since) in errors.iter_mut().zip(&mut self.unsynchronized) {
            *since += period_us;
            if *since > 512_000_000 {
                *since = self.random.i64(0..period_us);
            }
            *error = (1_800 + *since / 2_000) as u32;
        }
        let scale = errors[1].ilog2().saturating_sub(7);
        [errors[0], errors[1] >> scale << scale]
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.random.f64()).ln()
    }

    /// What hosts and links add to one packet: 50 µs and more, in microseconds.
    fn noise(&mut self) -> f64 {
        let usual = 50.0 + self.exponential(45.0) + self.exponential(45.0);
        match self.weather {
            Weather::Wifi if self.random.f64() < 0.3 => {
                let heavy = (self.normal() * 1.1 + 7.3).exp();
                usual + heavy.min(180_000.0)
            }
            Weather::Wifi => usual + self.exponential(600.0),
            _ if self.random.f64() < 0.001 => usual + self.exponential(2_500.0),
            _ => usual,
        }
    }

    /// Moves the queue by one packet; true when the packet does not fit in.
    fn queue_drops(&mut self) -> bool {
        match self.weather {
            Weather::Quiet => false,
            Weather::Wifi => self.random.f64() < 0.002,
            Weather::Congested => {
                if self.random.f64() < 0.0005 {
                    self.load = self.random.f64() * 230_000.0;
                }
                self.queue += (self.load - self.queue) * 0.02 + self.normal() * 2_500.0;
                self.queue = self.queue.clamp(0.0, 250_000.0);
                self.queue > 225_000.0 && self.random.f64() < 0.4
            }
        }
    }

    fn window(&mut self, [near, far]: [u32; 2]) -> Window {
        let (mut up, mut down) = (Way::default(), Way::default());
        let mut lost = Vec::new();
        for _ in 0..PACKETS {
            let dropped = self.queue_drops();
            lost.push(dropped);
            if !dropped {
                let queue = self.queue;
                up.delays.push(self.noise() + queue);
                down.delays.push(self.noise());
            }
        }
        let gone = lost.iter().filter(|&&lost| lost).count() as u32;
        let mut rtts: Vec<u32> = up
            .delays
            .iter()
            .zip(&down.delays)
            .map(|(a, b)| (17_800.0 + a + b).round() as u32)
            .collect();
        let rtt = histogram(&mut rtts);
        let counts = PacketCounts::new(PACKETS, PACKETS, [gone, 0, 0], 0, 0).unwrap();
        let first_sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(PACKETS);
        let lateness = 15.0 + self.exponential(40.0);
        let reordered = u32::from(self.weather != Weather::Quiet && self.random.u8(..) < 8);
        let code = Some(Dscp::new(46).unwrap());
        let clock = |error_us| ClockQuality { synchronized: true, error_us };
        let (late_up, late_down) = (up.late(), down.late());
        Window::new(WindowParts {
            burst: burst(&lost),
            worst_15s: BurstLoss::new(gone, PACKETS).ok(),
            rtt_median_us: rtts.get((rtts.len() - 1) / 2).copied(),
            rtt,
            one_way: Some(OneWayDelay {
                up_median_us: up.median(8_900.0 + self.offset),
                down_median_us: down.median(8_900.0 - self.offset),
                error_us: near + far,
            }),
            up_variation: up.variation(),
            down_variation: down.variation(),
            up_jitter: up.jitter(),
            down_jitter: down.jitter(),
            reorder: Reorder { up: reordered, down: 0, extent_max: reordered * 3 },
            loss_pattern: pattern(&lost),
            playout: Some(Playout {
                delay_us: PLAYOUT_US,
                late_up,
                late_down,
                discarded_up: late_up,
                discarded_down: late_down,
            }),
            dscp: DscpSeen {
                up: code,
                down: code,
                ..WindowParts::new(self.key.clone(), 50, counts).dscp
            },
            ecn: EcnSeen { up: Some(Ecn::NotEct), down: Some(Ecn::NotEct), ..EcnSeen::default() },
            ttl: TtlSeen { up: Some(57), down: Some(58), ..TtlSeen::default() },
            sent_by: TimestampMethod::Kernel,
            received_by: TimestampMethod::Kernel,
            clock: clock(near),
            far_clock: Some(clock(far)),
            source_port: 50_003,
            seen_source_port: Some(50_003),
            ssid: 4_711,
            first_sequence,
            sequences: PACKETS,
            peer_tlvs: Some(true),
            send_lateness_max_us: lateness as u32,
            ..WindowParts::new(self.key.clone(), 50, counts)
        })
        .unwrap()
    }
}

impl Way {
    fn lowest(&self) -> f64 {
        self.delays.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn variation(&self) -> Histogram {
        let lowest = self.lowest();
        let above = self.delays.iter().map(|delay| (delay - lowest).round() as u32);
        histogram(&mut above.collect::<Vec<_>>())
    }

    fn median(&self, base: f64) -> i32 {
        let mut delays: Vec<i32> = self.delays.iter().map(|delay| (base + delay) as i32).collect();
        delays.sort_unstable();
        delays[(delays.len() - 1) / 2]
    }

    fn late(&self) -> u32 {
        let lowest = self.lowest();
        self.delays.iter().filter(|&delay| delay - lowest > f64::from(PLAYOUT_US)).count() as u32
    }

    /// RFC 3550 section 6.4.1.
    fn jitter(&self) -> Option<Jitter> {
        let (mut running, mut sum, mut most) = (0.0f64, 0.0, 0.0f64);
        for pair in self.delays.windows(2) {
            running += ((pair[1] - pair[0]).abs() - running) / 16.0;
            sum += running;
            most = most.max(running);
        }
        let mean_us = (sum / (self.delays.len() - 1) as f64).round() as u32;
        Some(Jitter { mean_us, max_us: most.round() as u32 })
    }
}

fn histogram(values: &mut [u32]) -> Histogram {
    values.sort_unstable();
    let mut histogram = Histogram::new();
    values.iter().for_each(|&value| histogram.record(value));
    histogram
}

/// The worst ten in a row: 200 ms.
fn burst(lost: &[bool]) -> Option<BurstLoss> {
    let worst = lost.windows(10).map(|ten| ten.iter().filter(|&&lost| lost).count()).max()?;
    BurstLoss::new(worst as u32, 10).ok()
}

/// Runs of lost packets; a burst goes on until sixteen came in a row (RFC 3611).
fn pattern(lost: &[bool]) -> LossPattern {
    let mut pattern = LossPattern::default();
    let mut at = 0;
    for run in lost.chunk_by(|a, b| a == b) {
        if run[0] {
            pattern.runs += 1;
            if run.len() > 1 {
                pattern.bursts += 1;
                pattern.burst_packets += run.len() as u32;
                pattern.burst_lost += run.len() as u32;
            }
        }
        at += run.len();
    }
    debug_assert_eq!(at, lost.len());
    pattern
}
