//! The session reflector (RFC 8762 section 4.3): stateful, symmetric, bounded.
//!
//! One datagram with a forged source must not set two reflectors upon each other for ever. So an answer
//! is not answered. There is no mark for it: where an answer has its receive time a request has octets
//! that must be zero and be ignored (RFC 8762 section 4.2.1), and that older senders fill with anything
//! (TWAMP pads with random octets). What tells an answer is that its two times, received and sent, are
//! close to each other; random octets are so once in thirty million. Reflectors whose answers cannot be
//! told so are slowed down by the limit of answers a second.

mod sessions;

use std::net::SocketAddr;
use std::time::Instant;

use busyhour_model::Dscp;
use busyhour_wire::{
    BASE_LEN, ErrorEstimate, ReflectorPacket, SenderPacket, WireTimestamp, patch_transmit_time,
    reflect_tlvs,
};

use crate::Datagram;
use sessions::{Admission, Sessions};

/// The largest request that is answered: what fits any Ethernet without fragments, and then some. A
/// receive buffer of one octet more lets larger ones be seen as such.
pub const MAX_REQUEST: usize = 2_048;
/// An answer left within so many seconds of its request's arrival: far longer than any queue is, and
/// far shorter than what chance would hit.
const MAX_DWELL_SECONDS: u32 = 60;

/// How a reflector behaves.
#[derive(Debug, Clone, Copy)]
pub struct ReflectorConfig {
    /// Sessions that are counted at the same time. Requests beyond it are answered statelessly.
    pub max_sessions: usize,
    /// Of these, from one address. Beyond it the longest idle one of that address makes room, so that
    /// nobody takes the whole table.
    pub max_sessions_per_address: usize,
    /// The quality of this machine's wall clock.
    pub error_estimate: ErrorEstimate,
}

impl Default for ReflectorConfig {
    fn default() -> Self {
        // Ten thousand agents' worth at some 100 bytes each is a megabyte.
        Self {
            max_sessions: 10_000,
            max_sessions_per_address: 64,
            error_estimate: ErrorEstimate::UNSYNCHRONIZED,
        }
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
    /// Datagrams dropped because no answer can reach port 0.
    pub dropped_portless: u64,
    /// Datagrams dropped because they are answers themselves.
    pub dropped_answers: u64,
    /// Requests dropped because they came faster than any profile sends.
    pub dropped_rate: u64,
    /// Sessions begun.
    pub sessions_begun: u64,
    /// Sessions forgotten because they were idle.
    pub sessions_evicted: u64,
    /// Sessions forgotten because their address began another one beyond its share.
    pub sessions_displaced: u64,
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
            sessions: Sessions::new(&config),
            buffer: Vec::with_capacity(MAX_REQUEST),
            stats: ReflectorStats::default(),
        }
    }

    /// Answers a request, or drops and counts what is none.
    pub fn handle(&mut self, request: &Datagram<'_>, now: Instant) -> Option<Reply<'_>> {
        let (packet, tail) = self.check(request)?;
        let counter = match self.sessions.admit(request.from, packet.ssid, now, &mut self.stats) {
            Admission::Counted(counter) => Some(counter),
            Admission::Stateless => None,
            Admission::TooFast => {
                self.stats.dropped_rate += 1;
                return None;
            }
        };
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

    /// Reads a request, or counts why it is none.
    fn check<'a>(&mut self, request: &Datagram<'a>) -> Option<(SenderPacket, &'a [u8])> {
        let dropped = if request.bytes.len() > MAX_REQUEST {
            &mut self.stats.dropped_oversized
        } else if request.from.port() == 0 {
            &mut self.stats.dropped_portless
        } else if is_answer(request.bytes) {
            &mut self.stats.dropped_answers
        } else if let Ok(parsed) = SenderPacket::parse(request.bytes) {
            return Some(parsed);
        } else {
            &mut self.stats.dropped_short
        };
        *dropped += 1;
        None
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

/// True for what a reflector sent: it has a receive time, close to its transmit time. Both are of the
/// same clock and format, and either format has seconds in its upper half.
fn is_answer(bytes: &[u8]) -> bool {
    let Ok((packet, _)) = ReflectorPacket::parse(bytes) else { return false };
    let seconds = |at: WireTimestamp| (at.0 >> 32) as u32;
    let dwell = seconds(packet.sent).wrapping_sub(seconds(packet.received)) as i32;
    packet.received != WireTimestamp::default() && dwell.unsigned_abs() <= MAX_DWELL_SECONDS
}
