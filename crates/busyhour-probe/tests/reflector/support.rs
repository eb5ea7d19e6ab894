//! Requests, and what a reflector makes of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::TimestampMethod;
use busyhour_probe::{Datagram, Reflector, ReflectorConfig};
use busyhour_wire::{
    EXTRA_PADDING, ErrorEstimate, FLAG_UNRECOGNIZED, HMAC, Key, Mode, ReflectorPacket,
    SenderPacket, TimestampFormat, Tlv, Tlvs, WireTimestamp, seal, seal_tlvs, write_tlv,
};

pub(crate) const RECEIVED_NS: i64 = 1_790_000_000_000_000_001;
/// How long a reflector takes in these tests.
pub(crate) const DWELL_NS: i64 = 5_000;
pub(crate) const LISTEN: ([u8; 4], u16) = ([198, 51, 100, 20], 862);

/// A request to build. What is `None` is left out.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) mode: Mode,
    pub(crate) sequence: u32,
    pub(crate) ssid: u16,
    pub(crate) sent_ns: i64,
    pub(crate) tlvs: Vec<u8>,
    /// Seals the base packet of authenticated mode, and adds an HMAC TLV.
    pub(crate) key: Option<Key>,
}

impl Ask {
    pub(crate) fn new(sequence: u32, ssid: u16) -> Self {
        // A sender of fifty packets a second.
        let sent_ns = RECEIVED_NS - 20_000_000 + i64::from(sequence) * 20_000_000;
        let (mode, tlvs, key) = (Mode::Unauthenticated, Vec::new(), None);
        Self { mode, sequence, ssid, sent_ns, tlvs, key }
    }

    pub(crate) fn with(mut self, kind: u8, value: &[u8]) -> Self {
        write_tlv(&mut self.tlvs, &Tlv { flags: FLAG_UNRECOGNIZED, kind, value });
        self
    }

    pub(crate) fn sealed(self, key: &Key) -> Self {
        Self { mode: Mode::Authenticated, key: Some(key.clone()), ..self }
    }

    pub(crate) fn under(self, key: &Key) -> Self {
        Self { key: Some(key.clone()), ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let error_estimate = ErrorEstimate::new(true, TimestampFormat::Ptp, 20, 5);
        let sent = WireTimestamp::from_unix_ns(self.sent_ns, TimestampFormat::Ptp);
        let packet =
            SenderPacket { sequence: self.sequence, sent, error_estimate, ssid: self.ssid };
        let mut bytes = Vec::new();
        packet.write(self.mode, &mut bytes);
        bytes.extend_from_slice(&self.tlvs);
        if let Some(key) = &self.key {
            let tag = Tlv { flags: FLAG_UNRECOGNIZED, kind: HMAC, value: &[0; 16] };
            write_tlv(&mut bytes, &tag);
            let padding = Tlv { flags: FLAG_UNRECOGNIZED, kind: EXTRA_PADDING, value: &[7; 9] };
            write_tlv(&mut bytes, &padding);
            assert!(seal_tlvs(self.mode, &mut bytes, key));
        }
        if let (Mode::Authenticated, Some(key)) = (self.mode, &self.key) {
            seal(&mut bytes, key);
        }
        bytes
    }
}

/// An answer that was finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) mode: Mode,
    pub(crate) bytes: Vec<u8>,
    pub(crate) tos: u8,
}

impl Answer {
    pub(crate) fn packet(&self) -> ReflectorPacket {
        ReflectorPacket::parse(self.mode, &self.bytes).unwrap().0
    }

    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.mode.base_len()..]
    }

    /// Flags and value of the first TLV of a type.
    pub(crate) fn tlv(&self, kind: u8) -> (u8, &[u8]) {
        let tlv = Tlvs::new(self.tail()).flatten().find(|tlv| tlv.kind == kind).unwrap();
        (tlv.flags, tlv.value)
    }
}

/// A reflector with a clock of its own.
pub(crate) struct Asked {
    pub(crate) reflector: Reflector,
    pub(crate) now: Instant,
    pub(crate) tos: Option<u8>,
}

impl Asked {
    pub(crate) fn new(config: ReflectorConfig) -> Self {
        let reflector = Reflector::new(config);
        Self { reflector, now: Instant::now(), tos: Some(0xb8) }
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// Hands over octets and finishes the answer.
    pub(crate) fn hand(&mut self, mode: Mode, bytes: &[u8], from: SocketAddr) -> Option<Answer> {
        let datagram = Datagram { tos: self.tos, ..datagram(bytes, from) };
        let mut reply = self.reflector.handle(&datagram, self.now)?;
        assert_eq!(reply.to(), from, "an answer goes where its request came from");
        reply.finish(RECEIVED_NS + DWELL_NS);
        Some(Answer { mode, bytes: reply.bytes().to_vec(), tos: reply.tos() })
    }

    pub(crate) fn ask(&mut self, ask: &Ask, from: SocketAddr) -> Option<Answer> {
        let bytes = ask.bytes();
        let answer = self.hand(ask.mode, &bytes, from);
        assert!(answer.as_ref().is_none_or(|answer| answer.bytes.len() == bytes.len()));
        answer
    }

    /// The counter of the answer to a request, and a fiftieth of a second passes.
    pub(crate) fn counter(&mut self, ask: &Ask, from: SocketAddr) -> Option<u32> {
        let answer = self.ask(ask, from);
        self.pass(20);
        answer.map(|answer| answer.packet().sequence)
    }
}

pub(crate) fn datagram(bytes: &[u8], from: SocketAddr) -> Datagram<'_> {
    let (method, to) = (TimestampMethod::Kernel, Some(SocketAddr::from(LISTEN)));
    Datagram { bytes, from, to, at_ns: RECEIVED_NS, method, tos: None, ttl: Some(61) }
}

pub(crate) fn port(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

pub(crate) fn key() -> Key {
    Key::new(b"interop-test-key-2026")
}

pub(crate) fn other_key() -> Key {
    Key::new(b"somebody else's key")
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The moment of an NTP timestamp in nanoseconds of Unix time.
pub(crate) fn ntp_ns(octets: &[u8]) -> i64 {
    let stamp = WireTimestamp(u64::from_be_bytes(octets.try_into().unwrap()));
    stamp.to_unix_ns(TimestampFormat::Ntp).unwrap()
}
