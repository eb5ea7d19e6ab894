//! A sender and a reflector in virtual time, with an emulated link each way and the truth about every
//! packet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, ClockPair, TimestampMethod};
use busyhour_probe::{
    Datagram, Observation, Profile, Reflector, ReflectorConfig, ReplyOutcome, Security, Sender,
    SenderConfig,
};
use busyhour_wire::{Key, Mode, ReflectorPacket, SenderPacket};
use testkit::{Impairment, Netem, VirtualClock};

pub(crate) const START_NS: i64 = 1_790_000_000_000_000_000;
/// The reflector's clock is somewhere else.
pub(crate) const FAR_NS: i64 = START_NS + 7_654_321_987;
pub(crate) const AGENT: &str = "192.0.2.10:50000";
pub(crate) const TARGET: &str = "198.51.100.20:862";
/// From the reflector's own reading to the packet's leaving.
pub(crate) const DWELL: Duration = Duration::from_micros(50);

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
    /// Answers that left the reflector.
    pub(crate) left: u32,
    pub(crate) answered: u32,
}

/// What the links really lost of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    pub(crate) up: u32,
    pub(crate) down: u32,
}

/// A session under this profile as most tests have it.
pub(crate) fn session(profile: Profile) -> SenderConfig {
    SenderConfig::new(profile, TARGET.parse().unwrap(), 0xbeef)
}

/// A reflector that knows this key and insists on it.
pub(crate) fn keyed(key: &Key) -> ReflectorConfig {
    let keys = vec![key.clone()];
    ReflectorConfig { keys, require_key: true, ..ReflectorConfig::default() }
}

/// The same session, protected with a key both ways.
pub(crate) fn protected(config: &SenderConfig, base: Mode) -> (SenderConfig, ReflectorConfig) {
    let key = Key::new(b"interop-test-key-2026");
    let reflector = keyed(&key);
    let security = match base {
        Mode::Unauthenticated => Security::Tlvs(key),
        Mode::Authenticated => Security::Authenticated(key),
    };
    (SenderConfig { security, ..config.clone() }, reflector)
}

pub(crate) struct Pair {
    pub(crate) profile: Profile,
    pub(crate) clock: VirtualClock,
    pub(crate) far: VirtualClock,
    pub(crate) sender: Sender,
    pub(crate) reflector: Reflector,
    pub(crate) reflector_config: ReflectorConfig,
    /// Where the agent's packets seem to come from.
    pub(crate) agent: SocketAddr,
    /// The time to live that packets arrive with, up and down.
    pub(crate) ttl: [u8; 2],
    /// The numbers of requests in the order in which they reached the reflector.
    pub(crate) reached: Vec<u32>,
    /// How many of them before each time that the reflector began anew.
    restarts: Vec<usize>,
    /// How long an answer lies in the reflector's machine behind the time that it bears.
    pub(crate) far_queue: Duration,
    /// Answers that the reflector's machine cannot send.
    pub(crate) refuse: Box<dyn FnMut(u32) -> bool>,
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
        Self::of(session(profile), ReflectorConfig::default(), [up, down], seed)
    }

    pub(crate) fn of(
        config: SenderConfig,
        reflector: ReflectorConfig,
        [up, down]: [Impairment; 2],
        seed: u64,
    ) -> Self {
        let clock = VirtualClock::new(START_NS);
        let start = clock.now() + Duration::from_millis(137);
        Self {
            profile: config.profile,
            clock,
            far: clock.elsewhere(FAR_NS, 0),
            sender: Sender::new(config, start).unwrap(),
            reflector: Reflector::new(reflector.clone()),
            reflector_config: reflector,
            agent: AGENT.parse().unwrap(),
            ttl: [57, 58],
            reached: Vec::new(),
            restarts: Vec::new(),
            far_queue: Duration::ZERO,
            refuse: Box::new(|_| false),
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

    /// The same on the agent's machine alone: packets go on travelling and are answered.
    pub(crate) fn hold_up(&mut self, until: Instant) {
        while let Some(at) = self.up.deadline().filter(|&at| at <= until) {
            self.jump(at);
            self.reflect();
        }
        self.jump(until);
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
        let mode = self.sender.mode();
        while let Some(packet) = self.up.poll(self.clock.now()) {
            let request = SenderPacket::parse(mode, &packet.bytes).unwrap().0;
            assert_eq!(request.sequence, packet.sequence);
            let truth = self.truth.get_mut(&packet.sequence).unwrap();
            truth.arrived += 1;
            self.reached.push(packet.sequence);
            let (wall_ns, now) = (self.far.wall_ns(), self.far.now());
            let from = self.agent;
            let ttl = Some(self.ttl[0]);
            let to = TARGET.parse().ok();
            let datagram = Datagram { from, to, ttl, ..datagram(&packet, AGENT, wall_ns) };
            let Some(mut reply) = self.reflector.handle(&datagram, now) else { continue };
            let left_ns = wall_ns + DWELL.as_nanos() as i64;
            reply.finish(left_ns);
            assert_eq!((reply.to(), reply.bytes().len()), (from, packet.bytes.len()));
            let (bytes, tos) = (reply.bytes().to_vec(), reply.tos());
            let (ticket, wants_stamp) = (reply.ticket(), reply.wants_stamp());
            if (self.refuse)(packet.sequence) {
                self.reflector.not_sent(ticket);
                continue;
            }
            if wants_stamp {
                self.reflector.sent(ticket, packet.sequence);
                let at_ns = left_ns + self.far_queue.as_nanos() as i64;
                self.reflector.handle_stamp(packet.sequence, at_ns, TimestampMethod::Kernel);
            }
            truth.left += 1;
            let mut answer = OnLink { bytes, tos, sequence: packet.sequence };
            (self.rewrite)(&mut answer);
            self.down.send(now + DWELL + self.far_queue, answer);
        }
    }

    fn receive(&mut self) {
        let now = self.now();
        while let Some((at, packet)) = self.down.poll_timed(now.monotonic) {
            self.truth.get_mut(&packet.sequence).unwrap().answered += 1;
            // The kernel stamped it when it came, however late it is taken.
            let since = now.monotonic.duration_since(at).as_nanos() as i64;
            self.hear_at(&packet, now.wall_ns - since);
            self.heard.push(packet);
        }
    }

    /// Gives the agent a datagram from the target.
    pub(crate) fn hear(&mut self, packet: &OnLink) -> ReplyOutcome {
        self.hear_at(packet, self.now().wall_ns)
    }

    fn hear_at(&mut self, packet: &OnLink, at_ns: i64) -> ReplyOutcome {
        let now = self.now();
        let ttl = Some(self.ttl[1]);
        let datagram = Datagram { ttl, ..datagram(packet, TARGET, at_ns) };
        let outcome = self.sender.handle_reply(&datagram, now);
        self.outcomes.push(outcome);
        outcome
    }

    /// The reflector forgets everything and counts anew.
    pub(crate) fn restart_reflector(&mut self) {
        self.reflector = Reflector::new(self.reflector_config.clone());
        self.restarts.push(self.reached.len());
    }

    /// True when each restart shows: the first answer that came back bears a count that the reflector had
    /// told before. Otherwise its new count looks like the old one that went on.
    pub(crate) fn restarts_show(&self) -> bool {
        let begins = || [0].into_iter().chain(self.restarts.iter().copied());
        let ends = self.restarts.iter().copied().chain([self.reached.len()]);
        let mut told: Option<usize> = None;
        for (begin, end) in begins().zip(ends) {
            let came = |&at: &usize| self.truth[&self.reached[at]].answered > 0;
            let Some(first) = (begin..end).find(came) else { continue };
            if told.is_some_and(|told| first - begin > told) {
                return false;
            }
            told = (begin..end).rfind(came).map(|last| last - begin);
        }
        true
    }

    /// What the links really lost of window `index`.
    pub(crate) fn lost(&self, index: usize) -> Lost {
        let mut lost = Lost::default();
        for truth in self.truth.values().filter(|truth| truth.window == index as u64) {
            lost.up += u32::from(truth.arrived == 0);
            lost.down += u32::from(truth.left > 0 && truth.answered == 0);
        }
        lost
    }

    /// What the reflector refused or could not send of window `index`.
    pub(crate) fn dropped(&self, index: usize) -> u32 {
        let of_window = self.truth.values().filter(|truth| truth.window == index as u64);
        of_window.filter(|truth| truth.arrived > 0 && truth.left == 0).count() as u32
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

    /// No direction is named that was not so, and nothing is said to be dropped by the reflector that
    /// was not, but for `slack` packets.
    pub(crate) fn check_never_false(&self, slack: u32) {
        for (index, observation) in self.observations.iter().enumerate() {
            let (counts, lost) = (&observation.counts, self.lost(index));
            let dropped = self.dropped(index);
            let told = [counts.lost_up(), counts.lost_down(), counts.lost_unknown()];
            let drops = observation.reflector_drops;
            let context = format!("window {index}: {told:?} {drops}, really {lost:?} {dropped}");
            assert_eq!(counts.lost() + drops, lost.up + lost.down + dropped, "{context}");
            assert!(counts.lost_up() <= lost.up + slack, "{context}");
            assert!(counts.lost_down() <= lost.down + slack, "{context}");
            assert!(drops <= dropped + slack, "{context}");
        }
    }
}

pub(crate) fn datagram<'a>(packet: &'a OnLink, from: &str, at_ns: i64) -> Datagram<'a> {
    Datagram {
        bytes: &packet.bytes,
        from: from.parse::<SocketAddr>().unwrap(),
        to: None,
        at_ns,
        method: TimestampMethod::Kernel,
        tos: Some(packet.tos),
        ttl: Some(57),
    }
}

/// Changes the reflector's own counter in an answer.
pub(crate) fn rewrite_counter(packet: &mut OnLink, change: impl FnOnce(&ReflectorPacket) -> u32) {
    let reply = ReflectorPacket::parse(Mode::Unauthenticated, &packet.bytes).unwrap().0;
    packet.bytes[..4].copy_from_slice(&change(&reply).to_be_bytes());
}

pub(crate) fn clean() -> Impairment {
    Impairment::delay(Duration::from_millis(20))
}
