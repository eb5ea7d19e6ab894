//! The reflector under any datagrams.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{ClockQuality, Dscp, TimestampMethod};
use busyhour_wire::{
    BASE_LEN, ErrorEstimate, FLAG_INTEGRITY, FLAG_UNRECOGNIZED, HMAC, Key, Mode, SenderPacket,
    TimestampFormat, Tlv, TlvIntegrity, Tlvs, WireTimestamp, check_tlvs, is_sealed, seal,
    seal_tlvs, write_tlv,
};

use super::{Cut, Time};
use crate::{
    Admission, Datagram, DscpSet, MAX_REQUEST, ProvisionedSession, Rates, Reflector,
    ReflectorConfig, Ticket,
};

/// Datagrams that may come again.
const MAX_REMEMBERED: usize = 16;

/// Each datagram is answered or counted as dropped, an answer is as long as its request (or as a base
/// packet, to a provisioned short one) and goes where that came from, no answer is answered in turn,
/// what verified gets an answer that verifies, nothing else is answered where a key is required,
/// sessions and reports stay within their limits.
///
/// # Panics
/// When a law is broken.
pub fn fuzz_reflector_engine(bytes: &[u8], origin: Instant) {
    let mut cut = Cut(bytes);
    let config = any_config(&mut cut);
    let mut network = Network {
        reflector: Reflector::new(config.clone()),
        open: Reflector::new(ReflectorConfig::default()),
        keys: [Key::new(b"one"), Key::new(b"two")],
        config,
        time: Time::new(origin),
        sent: VecDeque::new(),
        tickets: VecDeque::new(),
        handed: 0,
    };
    while !cut.0.is_empty() {
        network.step(&mut cut);
        network.check();
    }
}

fn any_config(cut: &mut Cut<'_>) -> ReflectorConfig {
    let (style, limits) = (cut.u8(), cut.u8());
    let is = |bit: u8| style >> bit & 1 == 1;
    let admission = if is(0) {
        let session = |ssid, key| ProvisionedSession {
            ssid,
            source: "192.0.2.0/31".parse().ok(),
            key,
            short_requests: is(1),
        };
        Admission::Provisioned(vec![session(0, None), session(1, Some(Key::new(b"two")))])
    } else {
        Admission::Permissive
    };
    let slow = Rates { session: 50, address: 80, stateless: 20, total: 100 };
    ReflectorConfig {
        admission,
        keys: if is(2) { vec![Key::new(b"one")] } else { Vec::new() },
        require_key: is(3),
        stateful: !is(4) || !is(5),
        disclose_addresses: is(6),
        reports: true,
        max_sessions: usize::from(limits % 8),
        max_sessions_per_address: usize::from(limits >> 4),
        rates: if is(7) { slow } else { Rates::default() },
        allowed_dscp: if is(5) { DscpSet::NONE.with(Dscp::from_tos(0xb8)) } else { DscpSet::ALL },
        timestamp_format: if is(4) { TimestampFormat::Ptp } else { TimestampFormat::Ntp },
        seed: style.into(),
        ..ReflectorConfig::default()
    }
}

/// A datagram and where it came from.
type Sent = (Vec<u8>, SocketAddr);

struct Network {
    reflector: Reflector,
    /// One that answers everybody.
    open: Reflector,
    config: ReflectorConfig,
    keys: [Key; 2],
    time: Time,
    sent: VecDeque<Sent>,
    tickets: VecDeque<Ticket>,
    handed: u64,
}

impl Network {
    fn step(&mut self, cut: &mut Cut<'_>) {
        match cut.u8() % 12 {
            0 => self.time.elapsed += Duration::from_millis(cut.u8().into()),
            1 => self.time.elapsed += Duration::from_millis(cut.u16().into()),
            2 => self.time.step_ns += i64::from(cut.u32() as i32),
            3 => {
                let length = usize::from(cut.u8());
                let bytes = cut.slice(length).to_vec();
                self.hand(bytes, cut);
            }
            4 => {
                let which = usize::from(cut.u8());
                if let Some((bytes, _)) = self.sent.get(which % MAX_REMEMBERED) {
                    self.hand(bytes.clone(), cut);
                }
            }
            5 => {
                let (stamp, at_ns) = (cut.u8().into(), self.time.now().wall_ns);
                self.reflector.handle_stamp(stamp, at_ns, TimestampMethod::Kernel);
            }
            6 => match self.tickets.pop_front() {
                Some(ticket) if cut.u8() & 1 == 0 => self.reflector.not_sent(ticket),
                Some(ticket) => self.reflector.sent(ticket, cut.u8().into()),
                None => {}
            },
            7 => {
                let quality = ClockQuality { synchronized: cut.u8() & 1 == 0, error_us: cut.u32() };
                self.reflector.set_clock(quality);
            }
            _ => {
                let request = self.request(cut);
                self.hand(request, cut);
            }
        }
    }

    /// A request as a sender makes it, more or less.
    fn request(&self, cut: &mut Cut<'_>) -> Vec<u8> {
        let style = cut.u8();
        let mode = if style & 1 == 0 { Mode::Unauthenticated } else { Mode::Authenticated };
        let format = ErrorEstimate(cut.u16()).format();
        let sent_ns = self.time.now().wall_ns - i64::from(cut.u16()) * 1_000_000;
        let packet = SenderPacket {
            sequence: cut.u16().into(),
            sent: WireTimestamp::from_unix_ns(sent_ns, format),
            error_estimate: ErrorEstimate::new(true, format, 20, 5),
            ssid: u16::from(style >> 1 & 3),
        };
        let mut bytes = Vec::new();
        packet.write(mode, &mut bytes);
        for _ in 0..style >> 3 & 3 {
            let [kind, length] = cut.array();
            let tlv = Tlv { flags: FLAG_UNRECOGNIZED, kind, value: cut.slice(length.into()) };
            write_tlv(&mut bytes, &tlv);
        }
        let key = &self.keys[usize::from(style >> 5 & 1)];
        if style >> 6 & 1 == 1 {
            let tlv = Tlv { flags: FLAG_UNRECOGNIZED, kind: HMAC, value: &[0; 16] };
            write_tlv(&mut bytes, &tlv);
            seal_tlvs(mode, &mut bytes, key);
        }
        if mode == Mode::Authenticated {
            seal(&mut bytes, key);
        }
        if style >> 7 == 1 {
            let length = usize::from(cut.u8()).min(bytes.len());
            bytes.truncate(length);
        }
        bytes
    }

    fn hand(&mut self, request: Vec<u8>, cut: &mut Cut<'_>) {
        let [host, port] = cut.array().map(|octet: u8| octet % 4);
        let tos = Some(cut.u8()).filter(|tos| tos & 3 != 3);
        let from = SocketAddr::from(([192, 0, 2, host], u16::from(port)));
        let answer = self.reflect(&request, from, tos);
        if let Some(answer) = answer {
            self.check_answer(&request, &answer);
            let other = SocketAddr::from(([198, 51, 100, 1], 862));
            assert_eq!(self.reflect(&answer, other, tos), None, "an answer is not answered");
            let now = self.time.now();
            let again = datagram(&answer, other, now.wall_ns, tos);
            assert!(self.open.handle(&again, now.monotonic).is_none(), "not by any reflector");
        }
        self.sent.push_front((request, from));
        self.sent.truncate(MAX_REMEMBERED);
        while self.reflector.poll_report(self.time.now().monotonic).is_some() {}
    }

    fn reflect(&mut self, bytes: &[u8], from: SocketAddr, tos: Option<u8>) -> Option<Vec<u8>> {
        let now = self.time.now();
        self.handed += 1;
        let datagram = datagram(bytes, from, now.wall_ns, tos);
        let mut reply = self.reflector.handle(&datagram, now.monotonic)?;
        assert_eq!(reply.to(), from, "an answer goes where its request came from");
        reply.finish(now.wall_ns + 1_000);
        let (answer, ticket) = (reply.bytes().to_vec(), reply.ticket());
        self.tickets.push_back(ticket);
        self.tickets.truncate(MAX_REMEMBERED);
        Some(answer)
    }

    fn check_answer(&self, request: &[u8], answer: &[u8]) {
        if request.len() < BASE_LEN {
            let provisioned = matches!(self.config.admission, Admission::Provisioned(_));
            assert!(provisioned && !self.config.require_key, "short ones are dropped");
            assert_eq!(answer.len(), BASE_LEN, "and else get a base packet");
            return;
        }
        assert_eq!(answer.len(), request.len(), "an answer is as long as its request");
        assert!(request.len() <= MAX_REQUEST, "such a request is not answered");
        let sealed = self.keys.iter().find(|key| is_sealed(answer, key));
        if let Some(key) = sealed {
            assert!(is_sealed(request, key), "what is sealed was asked under the same key");
            let integrity = check_tlvs(Mode::Authenticated, answer, Some(key));
            let tail = answer.get(Mode::Authenticated.base_len()..).unwrap_or_default();
            let marked =
                Tlvs::new(tail).flatten().next().is_some_and(|tlv| tlv.flags & FLAG_INTEGRITY != 0);
            assert!(
                integrity != TlvIntegrity::Invalid
                    || marked
                    || Tlvs::new(tail).any(|tlv| tlv.is_err()),
                "TLVs verify or are marked"
            );
            return;
        }
        let verified = |packet: &[u8]| {
            let valid =
                |key| check_tlvs(Mode::Unauthenticated, packet, Some(key)) == TlvIntegrity::Valid;
            self.keys.iter().position(valid)
        };
        if self.config.require_key {
            assert!(verified(request).is_some(), "nothing else is answered");
            assert_eq!(verified(answer), verified(request), "and what verified, verifies");
        }
    }

    fn check(&self) {
        let (stats, config) = (self.reflector.stats(), &self.config);
        assert_eq!(stats.answered + stats.dropped(), self.handed, "answered or dropped, once");
        assert!(stats.stateless <= stats.answered, "what is stateless is answered");
        let ended = stats.sessions_evicted + stats.sessions_displaced;
        let sessions = self.reflector.sessions();
        assert_eq!(sessions as u64, stats.sessions_begun - ended, "sessions add up");
        let most = if config.stateful { config.max_sessions } else { 0 };
        assert!(sessions <= most, "sessions are bounded");
    }
}

fn datagram(bytes: &[u8], from: SocketAddr, at_ns: i64, tos: Option<u8>) -> Datagram<'_> {
    let (method, to) = (TimestampMethod::Kernel, Some(SocketAddr::from(([198, 51, 100, 9], 862))));
    Datagram { bytes, from, to, at_ns, method, tos, ttl: None }
}
