//! The session reflector (RFC 8762 section 4.3): stateful, symmetric, bounded.

mod sessions;

use std::net::SocketAddr;
use std::time::Instant;

use busyhour_model::Dscp;
use busyhour_wire::{
    BASE_LEN, ErrorEstimate, ReflectorPacket, SenderPacket, WireTimestamp, patch_transmit_time,
    reflect_tlvs,
};

use crate::Datagram;
use sessions::Sessions;

/// The largest request that is answered: what fits any Ethernet without fragments, and then some. A
/// receive buffer of one octet more lets larger ones be seen as such.
pub const MAX_REQUEST: usize = 2_048;

/// How a reflector behaves.
#[derive(Debug, Clone, Copy)]
pub struct ReflectorConfig {
    /// Sessions that are counted at the same time. Requests beyond it are answered statelessly.
    pub max_sessions: usize,
    /// The quality of this machine's wall clock.
    pub error_estimate: ErrorEstimate,
}

impl Default for ReflectorConfig {
    fn default() -> Self {
        // Ten thousand agents' worth at some 100 bytes each is a megabyte.
        Self { max_sessions: 10_000, error_estimate: ErrorEstimate::UNSYNCHRONIZED }
    }
}

/// Counts of what happened to datagrams, over the life of a reflector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReflectorStats {
    /// Requests answered.
    pub answered: u64,
    /// Of these, answered without a counter because the session table was full.
    pub stateless: u64,
    /// Datagrams dropped because they are shorter than a test packet.
    pub dropped_short: u64,
    /// Datagrams dropped because they are larger than any request.
    pub dropped_oversized: u64,
    /// Sessions begun.
    pub sessions_begun: u64,
    /// Sessions forgotten because they were idle.
    pub sessions_evicted: u64,
}

/// A session reflector. It never answers with more octets than it got.
#[derive(Debug)]
pub struct Reflector {
    config: ReflectorConfig,
    sessions: Sessions,
    buffer: Vec<u8>,
    stats: ReflectorStats,
}

/// An answer, complete but for its transmit time.
#[derive(Debug)]
pub struct Reply<'a> {
    bytes: &'a mut [u8],
    error_estimate: ErrorEstimate,
    to: SocketAddr,
    tos: u8,
}

impl Reply<'_> {
    /// Writes the transmit time (nanoseconds of Unix time); the last thing before sending.
    pub fn stamp_transmit(&mut self, wall_ns: i64) {
        let stamp = WireTimestamp::from_unix_ns(wall_ns, self.error_estimate.format());
        patch_transmit_time(self.bytes, stamp);
    }

    /// The payload.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Where to.
    #[must_use]
    pub const fn to(&self) -> SocketAddr {
        self.to
    }

    /// The TOS or traffic-class byte to mark it with.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.tos
    }
}

impl Reflector {
    /// A reflector without sessions.
    #[must_use]
    pub fn new(config: ReflectorConfig) -> Self {
        Self {
            config,
            sessions: Sessions::new(config.max_sessions),
            buffer: Vec::with_capacity(MAX_REQUEST),
            stats: ReflectorStats::default(),
        }
    }

    /// Answers a request, or drops and counts what is none.
    pub fn handle(&mut self, request: &Datagram<'_>, now: Instant) -> Option<Reply<'_>> {
        if request.bytes.len() > MAX_REQUEST {
            self.stats.dropped_oversized += 1;
            return None;
        }
        let Ok((packet, tail)) = SenderPacket::parse(request.bytes) else {
            self.stats.dropped_short += 1;
            return None;
        };
        let counter = self.sessions.count(request.from, packet.ssid, now, &mut self.stats);
        self.stats.answered += 1;
        self.stats.stateless += u64::from(counter.is_none());
        let error_estimate = self.config.error_estimate;
        let received = WireTimestamp::from_unix_ns(request.at_ns, error_estimate.format());
        let base = ReflectorPacket {
            sequence: counter.unwrap_or(packet.sequence),
            sent: received,
            error_estimate,
            ssid: packet.ssid,
            received,
            sender_sequence: packet.sequence,
            sender_sent: packet.sent,
            sender_error_estimate: packet.error_estimate,
            sender_ttl: request.ttl.unwrap_or(0),
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(&base.to_bytes());
        self.buffer.extend_from_slice(tail);

        // Without a wish the answer is marked like the request (RFC 8762 section 4.3).
        let mut dscp = request.tos.map_or(Dscp::from_tos(0), Dscp::from_tos);
        reflect_tlvs(&mut self.buffer[BASE_LEN..], |mut class| {
            // A socket that cannot tell the marking leaves the TLV as one that it does not know.
            let tos = request.tos?;
            dscp = class.wanted;
            class.received = Dscp::from_tos(tos);
            class.ecn = tos & 3;
            class.refused = 0;
            Some(class)
        });
        Some(Reply {
            bytes: &mut self.buffer,
            error_estimate,
            to: request.from,
            tos: dscp.to_tos(),
        })
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> ReflectorStats {
        self.stats
    }

    /// Sessions that are being counted.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }
}
