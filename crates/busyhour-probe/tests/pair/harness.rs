//! A sender and a reflector in virtual time, with an emulated link each way and the truth about every
//! packet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, ClockPair, TimestampMethod};
use busyhour_probe::{
    Datagram, Observation, Profile, Reflector, ReflectorConfig, ReplyOutcome, Sender, SenderConfig,
};
use busyhour_wire::{ErrorEstimate, ReflectorPacket, SenderPacket};
use testkit::{Impairment, Netem, VirtualClock};

pub(crate) const START_NS: i64 = 1_790_000_000_000_000_000;
/// The reflector's clock is somewhere else.
pub(crate) const FAR_NS: i64 = START_NS + 7_654_321_987;
pub(crate) const AGENT: &str = "192.0.2.10:50000";
pub(crate) const TARGET: &str = "198.51.100.20:862";

/// A packet on a link.
#[derive(Debug, Clone)]
pub(crate) struct OnLink {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tos: u8,
    pub(crate) sequence: u32,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Truth {
    pub(crate) window: u64,
    pub(crate) arrived: u32,
    pub(crate) answered: u32,
}

/// What the links really lost of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    pub(crate) up: u32,
    pub(crate) down: u32,
}

pub(crate) struct Pair {
    pub(crate) profile: Profile,
    pub(crate) clock: VirtualClock,
    pub(crate) far: VirtualClock,
    pub(crate) sender: Sender,
    pub(crate) reflector: Reflector,
    pub(crate) up: Netem<OnLink>,
    pub(crate) down: Netem<OnLink>,
    pub(crate) truth: BTreeMap<u32, Truth>,
    pub(crate) observations: Vec<Observation>,
    pub(crate) outcomes: Vec<ReplyOutcome>,
    /// Every answer that the agent got.
    pub(crate) heard: Vec<OnLink>,
    /// Changes answers on their way out of the reflector.
    pub(crate) rewrite: Box<dyn FnMut(&mut OnLink)>,
    /// Changes requests on their way up.
    pub(crate) remark: Option<u8>,
    pub(crate) start: Instant,
}

impl Pair {
    pub(crate) fn new(profile: Profile, up: Impairment, down: Impairment, seed: u64) -> Self {
        let clock = VirtualClock::new(START_NS);
        let start = clock.now() + Duration::from_millis(137);
        let config = SenderConfig {
            profile,
            peer: TARGET.parse().unwrap(),
            ssid: 0xbeef,
            error_estimate: ErrorEstimate::UNSYNCHRONIZED,
        };
        Self {
            profile,
            clock,
            far: clock.elsewhere(FAR_NS, 0),
            sender: Sender::new(config, start),
            reflector: Reflector::new(ReflectorConfig::default()),
            up: Netem::new(up, seed),
            down: Netem::new(down, seed ^ 0x5555_5555),
            truth: BTreeMap::new(),
            observations: Vec::new(),
            outcomes: Vec::new(),
            heard: Vec::new(),
            rewrite: Box::new(|_| {}),
            remark: None,
            start,
        }
    }

    pub(crate) fn now(&self) -> ClockPair {
        ClockPair {
            monotonic: self.clock.now(),
            wall_ns: self.clock.wall_ns(),
            boot: BootMicros(1_000_000 + self.clock.elapsed().as_micros() as u64),
        }
    }

    /// Runs until `since` the start of the first window.
    pub(crate) fn run_until(&mut self, since: Duration) {
        let end = self.start + since;
        loop {
            self.turn();
            let next = [self.sender.poll_deadline(), self.up.deadline(), self.down.deadline()];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            let stuck = next <= self.clock.now();
            assert!(!stuck, "a deadline is over and nothing was done about it");
            self.jump(next.min(end));
            if next > end {
                return;
            }
        }
    }

    /// Runs whole windows and until the last of them is settled.
    pub(crate) fn run_windows(&mut self, count: u32) {
        self.run_until(self.profile.period() * count + Duration::from_secs(3));
        self.finish();
        assert_eq!(self.observations.len(), count as usize + 1);
        self.observations.truncate(count as usize);
    }

    pub(crate) fn finish(&mut self) {
        self.sender.finish(self.clock.now());
        while let Some(observation) = self.sender.poll_event(self.clock.now()) {
            self.observations.push(observation);
        }
        assert_eq!(self.sender.poll_deadline(), None);
    }

    /// Lets time pass without anybody doing anything.
    pub(crate) fn jump(&mut self, to: Instant) {
        let by = to.saturating_duration_since(self.clock.now());
        self.clock.advance(by);
        self.far.advance(by);
    }

    fn turn(&mut self) {
        self.send();
        self.reflect();
        self.receive();
        while let Some(observation) = self.sender.poll_event(self.clock.now()) {
            self.observations.push(observation);
        }
    }

    fn send(&mut self) {
        let now = self.now();
        while let Some(packet) = self.sender.poll_transmit(now) {
            assert_eq!(packet.to, TARGET.parse().unwrap());
            let (sequence, tos) = (packet.sequence, self.remark.unwrap_or(packet.tos));
            let bytes = packet.bytes.to_vec();
            self.sender.sent(sequence, Some(sequence));
            self.sender.handle_stamp(sequence, now.wall_ns, TimestampMethod::Kernel);
            let since = now.monotonic.duration_since(self.start);
            let window = (since.as_nanos() / self.profile.period().as_nanos()) as u64;
            self.truth.insert(sequence, Truth { window, ..Truth::default() });
            self.up.send(now.monotonic, OnLink { bytes, tos, sequence });
        }
    }

    fn reflect(&mut self) {
        while let Some(packet) = self.up.poll(self.clock.now()) {
            let request = SenderPacket::parse(&packet.bytes).unwrap().0;
            assert_eq!(request.sequence, packet.sequence);
            self.truth.get_mut(&packet.sequence).unwrap().arrived += 1;
            let datagram = datagram(&packet, AGENT, self.far.wall_ns());
            let Some(mut reply) = self.reflector.handle(&datagram, self.far.now()) else {
                continue;
            };
            reply.stamp_transmit(self.far.wall_ns() + 50_000);
            let (bytes, tos) = (reply.bytes().to_vec(), reply.tos());
            assert_eq!(bytes.len(), packet.bytes.len());
            let mut answer = OnLink { bytes, tos, sequence: packet.sequence };
            (self.rewrite)(&mut answer);
            self.down.send(self.far.now() + Duration::from_micros(50), answer);
        }
    }

    fn receive(&mut self) {
        let now = self.now();
        while let Some(packet) = self.down.poll(now.monotonic) {
            self.truth.get_mut(&packet.sequence).unwrap().answered += 1;
            self.hear(&packet);
            self.heard.push(packet);
        }
    }

    /// Gives the agent a datagram from the target.
    pub(crate) fn hear(&mut self, packet: &OnLink) -> ReplyOutcome {
        let now = self.now();
        let outcome = self.sender.handle_reply(&datagram(packet, TARGET, now.wall_ns), now);
        self.outcomes.push(outcome);
        outcome
    }

    /// What the links really lost of window `index`.
    pub(crate) fn lost(&self, index: usize) -> Lost {
        let mut lost = Lost::default();
        for truth in self.truth.values().filter(|truth| truth.window == index as u64) {
            lost.up += u32::from(truth.arrived == 0);
            lost.down += u32::from(truth.arrived > 0 && truth.answered == 0);
        }
        lost
    }

    /// The law of every observation.
    pub(crate) fn check_counts(&self) {
        for observation in &self.observations {
            let counts = &observation.counts;
            let lost = counts.lost_up() + counts.lost_down() + counts.lost_unknown();
            assert_eq!(counts.sent(), counts.received() + lost);
            assert!(counts.sent() <= counts.scheduled());
            assert!(observation.rtt.count() <= u64::from(counts.received()));
        }
    }

    /// No direction is named that was not so, but for `slack` packets.
    pub(crate) fn check_never_false(&self, slack: u32) {
        for (index, observation) in self.observations.iter().enumerate() {
            let (counts, lost) = (&observation.counts, self.lost(index));
            let told = [counts.lost_up(), counts.lost_down(), counts.lost_unknown()];
            assert_eq!(counts.lost(), lost.up + lost.down, "window {index}: {told:?}, {lost:?}");
            assert!(
                counts.lost_up() <= lost.up + slack,
                "window {index}: {told:?}, really {lost:?}"
            );
            assert!(
                counts.lost_down() <= lost.down + slack,
                "window {index}: {told:?}, really {lost:?}"
            );
        }
    }
}

pub(crate) fn datagram<'a>(packet: &'a OnLink, from: &str, at_ns: i64) -> Datagram<'a> {
    Datagram {
        bytes: &packet.bytes,
        from: from.parse::<SocketAddr>().unwrap(),
        at_ns,
        method: TimestampMethod::Kernel,
        tos: Some(packet.tos),
        ttl: Some(57),
    }
}

/// Changes the reflector's own counter in an answer.
pub(crate) fn rewrite_counter(packet: &mut OnLink, change: impl FnOnce(&ReflectorPacket) -> u32) {
    let reply = ReflectorPacket::parse(&packet.bytes).unwrap().0;
    packet.bytes[..4].copy_from_slice(&change(&reply).to_be_bytes());
}

pub(crate) fn clean() -> Impairment {
    Impairment::delay(Duration::from_millis(20))
}
