//! Fuzz bodies as ordinary functions: each cuts any bytes into what a network may do to an engine and
//! asserts the engine's laws. Tests replay them, a fuzzer explores them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{BootMicros, ClockPair, Dscp, TimestampMethod};
use busyhour_wire::{ErrorEstimate, ReflectorPacket, SenderPacket, WireTimestamp};

use crate::{
    Datagram, MAX_REQUEST, Observation, Profile, Reflector, ReflectorConfig, ReflectorStats,
    Sender, SenderConfig,
};

/// Where wall clocks begin: in 2026.
const WALL_NS: i64 = 1_790_000_000_000_000_000;
/// Requests that may still be answered, replayed or answered twice.
const MAX_REMEMBERED: usize = 64;

/// Bytes that decisions are cut from; zeros when they are used up.
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let cut = self.slice(N);
        array[..cut.len()].copy_from_slice(cut);
        array
    }

    fn slice(&mut self, length: usize) -> &'a [u8] {
        let (cut, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        cut
    }

    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }
}

/// Time that only passes when told to.
struct Time {
    origin: Instant,
    elapsed: Duration,
    step_ns: i64,
}

impl Time {
    const fn new(origin: Instant) -> Self {
        Self { origin, elapsed: Duration::ZERO, step_ns: 0 }
    }

    fn now(&self) -> ClockPair {
        ClockPair {
            monotonic: self.origin + self.elapsed,
            wall_ns: WALL_NS + self.step_ns + self.elapsed.as_nanos() as i64,
            boot: BootMicros(self.elapsed.as_micros() as u64),
        }
    }
}

/// Each datagram is answered or counted as dropped, an answer is as long as its request and goes where
/// that came from, sessions stay within their limits, and no answer is answered in turn.
///
/// # Panics
/// When a law is broken.
pub fn fuzz_reflector_engine(bytes: &[u8], origin: Instant) {
    let mut cut = Cut(bytes);
    let mut time = Time::new(origin);
    let config = ReflectorConfig {
        max_sessions: 6,
        max_sessions_per_address: 3,
        ..ReflectorConfig::default()
    };
    let mut reflector = Reflector::new(config);
    let mut handed = 0;
    while !cut.0.is_empty() {
        time.elapsed += Duration::from_millis(u64::from(cut.u16()));
        let [host, port] = cut.array().map(|octet: u8| octet % 4);
        let tos = Some(cut.u8()).filter(|tos| tos & 3 != 3);
        // Base packets of zeros with a short tail, most often.
        let length = usize::from(cut.u8());
        let mut request = cut.slice(length).to_vec();
        if length & 1 == 0 {
            request.resize(length.max(44), 0);
        }
        let from = SocketAddr::from(([192, 0, 2, host], u16::from(port)));
        handed += 1;
        let answer = reflect(&mut reflector, &request, from, tos, &time);
        if let Some(answer) = answer {
            assert_eq!(answer.len(), request.len(), "an answer is as long as its request");
            assert!(port != 0 && length <= MAX_REQUEST, "such a request is not answered");
            handed += 1;
            let other = SocketAddr::from(([198, 51, 100, 1], 862));
            let again = reflect(&mut reflector, &answer, other, tos, &time);
            assert_eq!(again, None, "an answer is not answered");
        }
        check_reflector(&reflector, &config, handed);
    }
}

fn reflect(
    reflector: &mut Reflector,
    bytes: &[u8],
    from: SocketAddr,
    tos: Option<u8>,
    time: &Time,
) -> Option<Vec<u8>> {
    let now = time.now();
    let method = TimestampMethod::Kernel;
    let datagram = Datagram { bytes, from, at_ns: now.wall_ns, method, tos, ttl: None };
    let mut reply = reflector.handle(&datagram, now.monotonic)?;
    assert_eq!(reply.to(), from, "an answer goes where its request came from");
    reply.stamp_transmit(now.wall_ns + 1_000);
    Some(reply.bytes().to_vec())
}

fn check_reflector(reflector: &Reflector, config: &ReflectorConfig, handed: u64) {
    let stats = reflector.stats();
    let ReflectorStats { answered, stateless, dropped_short, dropped_oversized, .. } = stats;
    let refused = stats.dropped_portless + stats.dropped_answers + stats.dropped_rate;
    let dropped = dropped_short + dropped_oversized + refused;
    assert_eq!(answered + dropped, handed, "each datagram is answered or dropped");
    assert!(stateless <= answered, "what is stateless is answered");
    let ended = stats.sessions_evicted + stats.sessions_displaced;
    assert_eq!(reflector.sessions() as u64, stats.sessions_begun - ended, "sessions add up");
    assert!(reflector.sessions() <= config.max_sessions, "sessions are bounded");
}

/// Whatever is answered, forged, lost, late or repeated, and whatever clocks do: each datagram has one
/// outcome, every window's losses and answers make up what was sent, and nothing is received that was
/// not accepted.
///
/// # Panics
/// When a law is broken.
pub fn fuzz_sender_engine(bytes: &[u8], origin: Instant) {
    let mut network = Network::new(origin);
    let mut cut = Cut(bytes);
    while !cut.0.is_empty() {
        match cut.u8() % 9 {
            0 => network.time.elapsed += Duration::from_millis(u64::from(cut.u8())),
            1 => network.time.elapsed += Duration::from_millis(u64::from(cut.u16())),
            2 | 3 => network.transmit(cut.u8()),
            4 => {
                let at_ns = network.time.now().wall_ns + i64::from(cut.u32() as i32);
                network.sender.handle_stamp(cut.u8().into(), at_ns, TimestampMethod::Kernel);
            }
            5 => network.answer(&mut cut),
            6 => {
                let length = usize::from(cut.u8());
                network.hear(cut.slice(length));
            }
            7 => {
                network.queue_drops = network.queue_drops.wrapping_add(cut.u8().into());
                network.sender.handle_queue_drops(network.queue_drops);
            }
            _ => network.time.step_ns += i64::from(cut.u32() as i32),
        }
        network.observe();
    }
    network.finish();
}

/// A sender and everything around it.
struct Network {
    sender: Sender,
    peer: SocketAddr,
    time: Time,
    requests: VecDeque<SenderPacket>,
    queue_drops: u32,
    sent: u64,
    heard: u64,
    observed_sent: u64,
    observed_received: u64,
}

impl Network {
    fn new(origin: Instant) -> Self {
        let peer = SocketAddr::from(([198, 51, 100, 1], 862));
        let (window, period) = (Duration::from_millis(400), Duration::from_millis(600));
        let profile = Profile::new(50, 145, Dscp::from_tos(0xb8), window, period)
            .expect("all values are within their ranges");
        let error_estimate = ErrorEstimate::UNSYNCHRONIZED;
        let config = SenderConfig { profile, peer, ssid: 1, error_estimate };
        Self {
            sender: Sender::new(config, origin),
            peer,
            time: Time::new(origin),
            requests: VecDeque::new(),
            queue_drops: 0,
            sent: 0,
            heard: 0,
            observed_sent: 0,
            observed_received: 0,
        }
    }

    fn transmit(&mut self, fate: u8) {
        let now = self.time.now();
        let Some(packet) = self.sender.poll_transmit(now) else { return };
        let sequence = packet.sequence;
        let (request, _) =
            SenderPacket::parse(packet.bytes).expect("a profile's packets are whole");
        if fate == 0 {
            self.sender.not_sent(sequence);
            return;
        }
        self.sender.sent(sequence, Some(sequence & 0xff));
        self.sent += 1;
        self.requests.push_back(request);
        if self.requests.len() > MAX_REMEMBERED {
            self.requests.pop_front();
        }
    }

    /// Answers one of the requests: honestly, or with any counter and times.
    fn answer(&mut self, cut: &mut Cut<'_>) {
        let (which, style) = (usize::from(cut.u8()), cut.u8());
        if self.requests.is_empty() {
            return;
        }
        let request = self.requests[which % self.requests.len()];
        let far = |cut: &mut Cut<'_>| match style & 1 {
            0 => WireTimestamp::from_unix_ns(WALL_NS, ErrorEstimate::UNSYNCHRONIZED.format()),
            _ => WireTimestamp(cut.u64()),
        };
        let reply = ReflectorPacket {
            sequence: if style & 2 == 0 { request.sequence - 16 } else { cut.u32() },
            sent: far(cut),
            error_estimate: ErrorEstimate(if style & 4 == 0 { 1 } else { cut.u16() }),
            ssid: request.ssid,
            received: far(cut),
            sender_sequence: request.sequence,
            sender_sent: request.sent,
            sender_error_estimate: request.error_estimate,
            sender_ttl: 64,
        };
        let mut bytes = reply.to_bytes().to_vec();
        bytes.extend_from_slice(cut.slice(usize::from(style >> 3)));
        self.hear(&bytes);
    }

    fn hear(&mut self, bytes: &[u8]) {
        let now = self.time.now();
        let method = TimestampMethod::Kernel;
        let (from, at_ns) = (self.peer, now.wall_ns);
        let datagram = Datagram { bytes, from, at_ns, method, tos: None, ttl: None };
        self.sender.handle_reply(&datagram, now);
        self.heard += 1;
    }

    fn observe(&mut self) {
        while let Some(observation) = self.sender.poll_event(self.time.now().monotonic) {
            self.check(&observation);
        }
    }

    fn check(&mut self, observation: &Observation) {
        let counts = &observation.counts;
        let lost = counts.lost_up() + counts.lost_down() + counts.lost_unknown();
        assert_eq!(counts.sent(), counts.received() + lost, "a window's counts add up");
        assert!(counts.sent() <= counts.scheduled(), "nothing is sent beyond the schedule");
        assert!(observation.rtt.count() <= counts.received().into(), "samples are of answers");
        self.observed_sent += u64::from(counts.sent());
        self.observed_received += u64::from(counts.received());
    }

    fn finish(mut self) {
        self.sender.finish(self.time.now().monotonic);
        self.observe();
        assert_eq!(self.sender.poll_deadline(), None, "a finished sender is done");
        let stats = self.sender.stats();
        let outcomes = stats.accepted + stats.duplicate + stats.late + stats.rejected;
        assert_eq!(outcomes, self.heard, "each datagram has one outcome");
        assert!(self.observed_received <= stats.accepted, "what is received was accepted");
        assert!(self.observed_sent <= self.sent, "what counts as sent was sent");
    }
}
