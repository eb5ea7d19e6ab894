//! Windows for the store, made as agents make them: a real sender and a real reflector exchange
//! packets in virtual time over an imitated path, and what the sender observes is the window.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{
    AddressFamily, BootMicros, ClockPair, ClockQuality, Link, LinkKind, PathKey, ProfileName,
    TargetName, TimestampMethod, TrafficClass, Transport, Window,
};
use busyhour_probe::{
    Datagram, Observation, Profile, Reflector, ReflectorConfig, Sender, SenderConfig,
};
use fastrand::Rng;

use crate::paths::{Kind, PathModel, normal};

/// Where virtual time begins on the wall clock; restamped later.
const WALL_NS: i64 = 1_790_000_000_000_000_000;
/// A window a minute, as the default duty has it.
pub(crate) const PERIOD_US: i64 = 60_000_000;
/// How often an agent asks the system what its clock is worth.
const CLOCK_LOOK: Duration = Duration::from_secs(16);
/// Between two corrections of a clock the system lets its error grow by 500 ppm.
const ERROR_GROWTH: f64 = 500e-6;

/// A window, and what the restamping needs.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// With the placeholder path of [`placeholder`].
    pub(crate) window: Window,
    /// How far the wall clock had run away from the schedule by its beginning, in microseconds: what
    /// a disciplined clock is slewed by.
    pub(crate) slewed_us: i64,
    /// How long it lasted, in microseconds.
    pub(crate) duration_us: u64,
    /// Round trips of the packets that came back, in microseconds, where they were asked for.
    pub(crate) round_trips_us: Vec<u32>,
}

/// Consecutive windows of one path.
pub(crate) struct Series {
    pub(crate) kind: Kind,
    pub(crate) windows: Vec<Observed>,
}

/// Whether the packets' own round trips are kept, for sketches to be compared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Windows,
    RoundTripsToo,
}

/// Makes `count` series of each kind, `length` windows long, on all processors.
pub(crate) fn make(counts: &[(Kind, usize)], length: usize, seed: u64, keep: Keep) -> Vec<Series> {
    let wanted: Vec<Kind> =
        counts.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count)).collect();
    let halves = [0, 1].map(|half| {
        let own: Vec<(usize, Kind)> =
            wanted.iter().copied().enumerate().filter(|(at, _)| at % 2 == half).collect();
        let named = std::thread::Builder::new().name("generator".to_owned());
        let made = named.spawn(move || {
            let one = |(at, kind): (usize, Kind)| {
                let seed = seed ^ (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (at, observe(kind, Rng::with_seed(seed), length, keep))
            };
            own.into_iter().map(one).collect::<Vec<_>>()
        });
        made.expect("a thread")
    });
    let mut series: Vec<(usize, Series)> =
        halves.into_iter().flat_map(|half| half.join().expect("windows are made")).collect();
    series.sort_by_key(|(at, _)| *at);
    series.into_iter().map(|(_, series)| series).collect()
}

/// The clocks of both ends: true time, and how far each is off.
struct Clocks {
    origin: Instant,
    rng: Rng,
    agent_off_ns: f64,
    far_off_ns: f64,
    /// When each was last corrected, and how often that happens.
    polls: [(Duration, Duration); 2],
    looked: Duration,
}

impl Clocks {
    fn new(origin: Instant, mut rng: Rng) -> Self {
        let agent_off_ns = 300_000.0 * normal(&mut rng);
        let far_off_ns = 300_000.0 * normal(&mut rng);
        // NTP asks every 64 to 1024 s.
        let polls = [0, 1].map(|_| (Duration::ZERO, Duration::from_secs(64 << rng.u32(0..=4))));
        Self { origin, rng, agent_off_ns, far_off_ns, polls, looked: Duration::ZERO }
    }

    fn agent(&self, at: Instant) -> ClockPair {
        let since = at.duration_since(self.origin);
        ClockPair {
            monotonic: at,
            wall_ns: WALL_NS + since.as_nanos() as i64 + self.agent_off_ns as i64,
            boot: BootMicros(since.as_micros() as u64),
        }
    }

    /// The reflector's wall clock `delay_ns` after `at`.
    fn far(&self, at: Instant, delay_ns: f64) -> i64 {
        let since = at.duration_since(self.origin).as_nanos() as f64;
        WALL_NS + (since + delay_ns + self.far_off_ns) as i64
    }

    /// Slews both clocks, and says what they are worth when it is time to look.
    fn next_window(&mut self, at: Instant) -> Option<[ClockQuality; 2]> {
        self.agent_off_ns = 0.98 * self.agent_off_ns + 8_000.0 * normal(&mut self.rng);
        self.far_off_ns = 0.98 * self.far_off_ns + 8_000.0 * normal(&mut self.rng);
        let since = at.duration_since(self.origin);
        if since < self.looked {
            return None;
        }
        self.looked = since + CLOCK_LOOK;
        Some([0, 1].map(|end| {
            let (corrected, every) = self.polls[end];
            let age = since.saturating_sub(corrected);
            if age >= every {
                self.polls[end].0 = since;
            }
            let error_us = 900.0 + age.as_secs_f64() * ERROR_GROWTH * 1e6;
            ClockQuality { synchronized: true, error_us: error_us as u32 }
        }))
    }
}

/// Runs one path until it has `length` windows.
fn observe(kind: Kind, mut rng: Rng, length: usize, keep: Keep) -> Series {
    let (agent, target) = (address("192.0.2.10:50000"), address("198.51.100.20:862"));
    let origin = Instant::now();
    let profile = Profile::audio();
    let mut clocks = Clocks::new(origin, rng.fork());
    let mut model = PathModel::new(kind, rng.fork());
    let mut sender = Sender::new(SenderConfig::new(profile, target, 7), origin).expect("a session");
    let mut reflector = Reflector::new(ReflectorConfig::default());
    let mut answers: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let (mut last_up, mut last_down) = (origin, origin);
    let mut windows = Vec::with_capacity(length);
    let (mut trips, mut begun) = (Vec::new(), 0_u64);
    let hops = rng.u8(5..14);
    while windows.len() < length {
        let due = sender.poll_deadline().expect("it goes on");
        // A timer fires a little late.
        let late = Duration::from_nanos((55_000.0 - 40_000.0 * (1.0 - rng.f64()).ln()) as u64);
        let now = due.max(origin) + late;
        while answers.front().is_some_and(|(at, _)| *at <= now) {
            let (at, bytes) = answers.pop_front().expect("it was looked at");
            let clock = clocks.agent(at);
            let heard = datagram(&bytes, target, Some(agent), clock.wall_ns, 64 - hops);
            let _ = sender.handle_reply(&heard, clock);
        }
        let minute = now.duration_since(origin).as_secs() / 60;
        if minute >= begun {
            begun = minute + 1;
            model.next_window();
            if let Some([own, far]) = clocks.next_window(now) {
                sender.set_clock(own);
                reflector.set_clock(far);
            }
        }
        let clock = clocks.agent(now);
        while let Some(packet) = sender.poll_transmit(clock) {
            let (sequence, request) = (packet.sequence, packet.bytes.to_vec());
            sender.sent(sequence, Some(sequence));
            let sent_ns = clock.wall_ns + rng.i64(3_000..15_000);
            sender.handle_stamp(sequence, sent_ns, TimestampMethod::Kernel);
            let fate = model.next_packet();
            let Some(up) = fate.up else { continue };
            // First in, first out.
            last_up = (now + Duration::from_nanos(up as u64)).max(last_up);
            let up_ns = last_up.duration_since(now).as_nanos() as f64;
            let asked = clocks.far(now, up_ns);
            let asked = datagram(&request, agent, Some(target), asked, 64 - hops);
            let Some(mut reply) = reflector.handle(&asked, last_up) else { continue };
            let dwell_ns = 20_000.0 + 30_000.0 * rng.f64();
            reply.finish(clocks.far(now, up_ns + dwell_ns));
            let Some(down) = fate.down else { continue };
            let back = last_up + Duration::from_nanos((dwell_ns + down) as u64);
            last_down = back.max(last_down);
            if keep == Keep::RoundTripsToo {
                let whole = last_down.duration_since(now).as_nanos() as f64;
                trips.push(((whole - dwell_ns) / 1_000.0) as u32);
            }
            answers.push_back((last_down, reply.bytes().to_vec()));
        }
        while let Some(observation) = sender.poll_event(now) {
            // Windows close in the pause behind them: all packets since the last one are theirs.
            let round_trips_us = std::mem::take(&mut trips);
            windows.push(finished(observation, origin, round_trips_us));
        }
    }
    Series { kind, windows }
}

fn finished(observation: Observation, origin: Instant, round_trips_us: Vec<u32>) -> Observed {
    let planned = observation.started.monotonic.duration_since(origin).as_micros() as i64;
    let slewed_us = (observation.started.wall_ns - WALL_NS) / 1_000 - planned;
    let duration_us = observation.duration.as_micros() as u64;
    let parts = observation.into_parts(placeholder(), 50_000);
    let window = Window::new(parts).expect("the sender observes what can be");
    Observed { window, slewed_us, duration_us, round_trips_us }
}

/// The path that windows name until they are restamped.
fn placeholder() -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wired, "eth0").expect("a name"),
        family: AddressFamily::Ipv4,
        target: TargetName::new("edge.example:862").expect("a name"),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").expect("a name"),
        transport: Transport::Udp,
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn datagram(
    bytes: &[u8],
    from: SocketAddr,
    to: Option<SocketAddr>,
    at_ns: i64,
    ttl: u8,
) -> Datagram<'_> {
    let (tos, ttl) = (Some(46 << 2), Some(ttl));
    Datagram { bytes, from, to, at_ns, method: TimestampMethod::Kernel, tos, ttl }
}
