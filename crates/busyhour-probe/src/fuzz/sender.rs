//! The sender in any network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{
    AddressFamily, ClockQuality, Dscp, Link, LinkKind, PathKey, ProfileName, TargetName,
    TimestampMethod, TrafficClass, Transport, Window,
};
use busyhour_wire::{
    ErrorEstimate, FLAG_UNRECOGNIZED, Key, Mode, ReflectorPacket, SenderPacket, TimestampFormat,
    Tlv, Tlvs, WireTimestamp, seal, seal_tlvs, write_tlv,
};

use super::{Cut, Time, WALL_NS};
use crate::{
    Datagram, Observation, PeerProfile, Profile, Security, Sender, SenderConfig, Telemetry,
};

/// Requests that may still be answered, replayed or answered twice.
const MAX_REMEMBERED: usize = 64;

/// Whatever is answered, forged, lost, late or repeated, and whatever clocks do: each datagram has one
/// outcome, every window's losses and answers make up what was sent, it is a valid window, and nothing
/// is received that was not accepted.
///
/// # Panics
/// When a law is broken.
pub fn fuzz_sender_engine(bytes: &[u8], origin: Instant) {
    run(Cut(bytes), Network::new(config(0), origin));
}

/// The same, and the first octet chooses what kind of session it is: keyed or not, with a peer that
/// knows TLVs or does not, of one profile or another.
///
/// # Panics
/// When a law is broken.
pub fn fuzz_sender_session(bytes: &[u8], origin: Instant) {
    let mut cut = Cut(bytes);
    let config = config(cut.u8());
    run(cut, Network::new(config, origin));
}

fn config(kind: u8) -> SenderConfig {
    let (window, period) = (Duration::from_millis(400), Duration::from_millis(600));
    let own = Profile::new(50, 190, Dscp::from_tos(0xb8), window, period);
    let named = Profile::named("sharing-150").expect("it is in the table");
    let profile = match kind & 8 {
        0 => own,
        _ => named.with_schedule(window, window),
    };
    let profile = profile.expect("all values are within their ranges");
    let peer = SocketAddr::from(([198, 51, 100, 1], 862));
    let key = Key::new(b"not a secret");
    let (security, peer_profile) = match kind & 3 {
        0 => (Security::Open, PeerProfile::STAMP),
        1 => (Security::Tlvs(key), PeerProfile::STAMP),
        2 => (Security::Authenticated(key), PeerProfile::STAMP),
        _ => (Security::Open, PeerProfile::TWAMP_LIGHT),
    };
    let telemetry = if kind & 4 == 0 { Telemetry::Full } else { Telemetry::Marking };
    let timestamp_format = if kind & 16 == 0 { TimestampFormat::Ntp } else { TimestampFormat::Ptp };
    let clock = ClockQuality { synchronized: kind & 32 != 0, error_us: 500 };
    let config = SenderConfig::new(profile, peer, 1);
    SenderConfig { security, peer_profile, telemetry, timestamp_format, clock, ..config }
}

fn run(mut cut: Cut<'_>, mut network: Network) {
    while !cut.0.is_empty() {
        match cut.u8() % 10 {
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
            8 => {
                let clock = ClockQuality { synchronized: cut.u8() & 1 == 0, error_us: cut.u32() };
                network.sender.set_clock(clock);
            }
            _ => network.time.step_ns += i64::from(cut.u32() as i32),
        }
        network.observe();
    }
    network.finish();
}

/// A request that was sent.
struct Request {
    base: SenderPacket,
    tail: Vec<u8>,
}

/// A sender and everything around it.
struct Network {
    sender: Sender,
    config: SenderConfig,
    path: PathKey,
    time: Time,
    requests: VecDeque<Request>,
    queue_drops: u32,
    sent: u64,
    heard: u64,
    observed_sent: u64,
    observed_received: u64,
}

impl Network {
    fn new(config: SenderConfig, origin: Instant) -> Self {
        Self {
            sender: Sender::new(config.clone(), origin).expect("the profile has room"),
            config,
            path: path(),
            time: Time::new(origin),
            requests: VecDeque::new(),
            queue_drops: 0,
            sent: 0,
            heard: 0,
            observed_sent: 0,
            observed_received: 0,
        }
    }

    fn mode(&self) -> Mode {
        self.config.security.mode()
    }

    fn transmit(&mut self, fate: u8) {
        let now = self.time.now();
        let mode = self.mode();
        let Some(packet) = self.sender.poll_transmit(now) else { return };
        let sequence = packet.sequence;
        let (base, tail) =
            SenderPacket::parse(mode, packet.bytes).expect("a profile's packets are whole");
        let tail = tail.to_vec();
        match fate {
            0 => return self.sender.not_sent(sequence),
            1 => self.sender.unreachable(sequence),
            _ => self.sender.sent(sequence, Some(sequence & 0xff)),
        }
        self.sent += 1;
        self.requests.push_back(Request { base, tail });
        if self.requests.len() > MAX_REMEMBERED {
            self.requests.pop_front();
        }
    }

    /// Answers one of the requests: honestly, or with any counter, times and values; mostly with tags
    /// that fit.
    fn answer(&mut self, cut: &mut Cut<'_>) {
        let (which, style) = (usize::from(cut.u8()), cut.u8());
        if self.requests.is_empty() {
            return;
        }
        let request = &self.requests[which % self.requests.len()];
        let base = request.base;
        let far = |cut: &mut Cut<'_>| match style & 1 {
            0 => WireTimestamp::from_unix_ns(WALL_NS, ErrorEstimate::UNSYNCHRONIZED.format()),
            _ => WireTimestamp(cut.u64()),
        };
        let reply = ReflectorPacket {
            sequence: if style & 2 == 0 { base.sequence.wrapping_sub(16) } else { cut.u32() },
            sent: far(cut),
            error_estimate: ErrorEstimate(if style & 4 == 0 { 1 } else { cut.u16() }),
            ssid: base.ssid,
            received: far(cut),
            sender_sequence: base.sequence,
            sender_sent: base.sent,
            sender_error_estimate: base.error_estimate,
            sender_ttl: 64,
        };
        let mut bytes = Vec::new();
        reply.write(self.mode(), &mut bytes);
        let changed = style & 8 != 0;
        answer_tlvs(&request.tail, &mut bytes, changed.then_some(cut));
        if let Security::Tlvs(key) | Security::Authenticated(key) = &self.config.security
            && style & 16 == 0
        {
            if self.mode() == Mode::Authenticated {
                seal(&mut bytes, key);
            }
            seal_tlvs(self.mode(), &mut bytes, key);
        }
        self.hear(&bytes);
    }

    fn hear(&mut self, bytes: &[u8]) {
        let now = self.time.now();
        let method = TimestampMethod::Kernel;
        let (from, at_ns) = (self.config.peer, now.wall_ns);
        let datagram = Datagram { bytes, from, to: None, at_ns, method, tos: None, ttl: None };
        self.sender.handle_reply(&datagram, now);
        self.heard += 1;
    }

    fn observe(&mut self) {
        while let Some(observation) = self.sender.poll_event(self.time.now().monotonic) {
            self.check(observation);
        }
    }

    fn check(&mut self, observation: Observation) {
        let counts = &observation.counts;
        let lost = counts.lost_up() + counts.lost_down() + counts.lost_unknown();
        assert_eq!(counts.sent(), counts.received() + lost, "a window's counts add up");
        assert!(counts.sent() <= counts.scheduled(), "nothing is sent beyond the schedule");
        assert!(observation.rtt.count() <= counts.received().into(), "samples are of answers");
        self.observed_sent += u64::from(counts.sent());
        self.observed_received += u64::from(counts.received());
        Window::new(observation.into_parts(self.path.clone(), 50_000))
            .expect("an observation is a valid window");
    }

    fn finish(mut self) {
        self.sender.finish(self.time.now().monotonic);
        self.observe();
        assert_eq!(self.sender.poll_deadline(), None, "a finished sender is done");
        let stats = self.sender.stats();
        let outcomes = stats.accepted + stats.duplicate + stats.late + stats.rejected;
        assert_eq!(outcomes, self.heard, "each datagram has one outcome");
        assert!(stats.rejected_tags <= stats.rejected, "a wrong tag is one reason of several");
        assert!(self.observed_received <= stats.accepted, "what is received was accepted");
        assert!(self.observed_sent <= self.sent, "what counts as sent was sent");
    }
}

/// Copies TLVs with U cleared; values, and sometimes flags, as the bytes say.
fn answer_tlvs(asked: &[u8], bytes: &mut Vec<u8>, mut cut: Option<&mut Cut<'_>>) {
    for tlv in Tlvs::new(asked) {
        let Ok(Tlv { flags, kind, value }) = tlv else { break };
        let mut value = value.to_vec();
        let mut flags = flags & !FLAG_UNRECOGNIZED;
        if let Some(cut) = &mut cut {
            let change = cut.u8();
            if change & 0xf0 == 0xf0 {
                flags = change << 4;
            }
            let length = value.len().min(16);
            for octet in &mut value[..length] {
                *octet ^= cut.u8();
            }
        }
        write_tlv(bytes, &Tlv { flags, kind, value: &value });
    }
}

fn path() -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wired, "eth0").expect("a name"),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector.example:862").expect("a name"),
        class: TrafficClass::Audio,
        profile: ProfileName::new("own").expect("a name"),
        transport: Transport::Udp,
    }
}
