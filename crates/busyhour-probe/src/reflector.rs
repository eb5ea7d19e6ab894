//! The session reflector (RFC 8762 section 4.3, RFC 8972): stateful or stateless, in both modes,
//! symmetric, bounded. docs/REFLECTOR.md says what it answers and what it refuses, and why.

mod answers;
mod config;
mod gate;
mod pace;
mod replay;
mod report;
mod session;
mod sessions;
mod span;
mod stats;
mod tlvs;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use busyhour_model::{ClockQuality, SessionReport, TimestampMethod};
use busyhour_wire::{
    BASE_LEN, Disclosure, ErrorEstimate, FollowUp, Key, Mode, ReflectorPacket, SenderPacket,
    TimestampFormat, WireTimestamp, patch_transmit_time, seal, seal_tlvs,
};

use crate::Datagram;
pub use config::{
    Admission, ClockSource, DscpSet, PaddingFill, ProvisionedSession, Rates, ReflectorConfig,
};
use gate::{Gate, Identity, Refusal};
use replay::SentAt;
use session::{Arrival, Name, Previous};
use sessions::{Admitted, Sessions};
pub use stats::ReflectorStats;
use tlvs::{Facts, Padding, Wishes};

/// The largest request that is answered: what fits any Ethernet without fragments, and then some. A
/// receive buffer of one octet more lets larger ones be seen as such.
pub const MAX_REQUEST: usize = 2_048;
/// Answers whose transmit stamps may still come.
const MAX_STAMPS: usize = 1_024;

/// A session reflector. It never answers with more octets than it got, but for short requests of
/// sources that were provisioned so.
#[derive(Debug)]
pub struct Reflector {
    gate: Gate,
    sessions: Sessions,
    disclosure: Disclosure,
    allowed_dscp: DscpSet,
    clock: ClockQuality,
    clock_source: ClockSource,
    error_estimate: ErrorEstimate,
    config: ReflectorConfig,
    padding: Padding,
    buffer: Vec<u8>,
    stamps: VecDeque<(u32, Ticket)>,
    stats: ReflectorStats,
}

/// Which answer of which session this is, for what becomes known of it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// None without a session.
    place: Option<(usize, u32)>,
    sequence: u32,
}

/// An answer, complete but for its transmit time.
#[derive(Debug)]
pub struct Reply<'a> {
    bytes: &'a mut [u8],
    mode: Mode,
    key: Option<&'a Key>,
    format: TimestampFormat,
    previous: Option<&'a mut Option<Previous>>,
    ticket: Ticket,
    to: SocketAddr,
    wishes: Wishes,
}

impl Reply<'_> {
    /// Writes the transmit time (nanoseconds of Unix time) and, in authenticated mode, the HMAC over
    /// it: the last thing before sending, and needed for every answer.
    pub fn finish(&mut self, wall_ns: i64) {
        let stamp = WireTimestamp::from_unix_ns(wall_ns, self.format);
        patch_transmit_time(self.mode, self.bytes, stamp);
        if let (Mode::Authenticated, Some(key)) = (self.mode, self.key) {
            seal(self.bytes, key);
        }
        if let Some(previous) = &mut self.previous {
            let (sequence, method) = (self.ticket.sequence, TimestampMethod::User);
            **previous = Some(Previous { sequence, at_ns: wall_ns, method });
        }
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

    /// The TOS or traffic-class byte to mark it with, ECN bits included.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.wishes.tos
    }

    /// What to call the answer by in [`Reflector::sent`] and [`Reflector::not_sent`].
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// True when its session asks when answers really left (RFC 8972 section 4.7): then a kernel's
    /// transmit stamp is worth reading.
    #[must_use]
    pub const fn wants_stamp(&self) -> bool {
        self.wishes.follow_up && self.ticket.place.is_some()
    }
}

impl Reflector {
    /// A reflector without sessions.
    #[must_use]
    pub fn new(config: ReflectorConfig) -> Self {
        let disclosure =
            if config.disclose_addresses { Disclosure::Addresses } else { Disclosure::Ports };
        Self {
            gate: Gate::new(&config),
            sessions: Sessions::new(&config),
            disclosure,
            allowed_dscp: config.allowed_dscp,
            clock: config.clock,
            clock_source: config.clock_source,
            error_estimate: config.error_estimate(config.clock),
            padding: Padding::new(config.padding),
            buffer: Vec::with_capacity(MAX_REQUEST),
            stamps: VecDeque::new(),
            stats: ReflectorStats::default(),
            config,
        }
    }

    /// Answers a request, or drops and counts what is none.
    pub fn handle(&mut self, request: &Datagram<'_>, now: Instant) -> Option<Reply<'_>> {
        let identity = self.check(request)?;
        let arrival = arrival_of(request, &identity, now);
        let (place, sequence) = match self.sessions.admit(&arrival, &mut self.stats) {
            Admitted::Refused => return None,
            Admitted::Stateless => (None, identity.packet.sequence),
            Admitted::Session { slot, sequence } => (Some(slot), sequence),
        };
        self.stats.answered += 1;
        self.stats.stateless += u64::from(place.is_none());
        self.stats.short += u64::from(request.bytes.len() < BASE_LEN);
        self.stats.tlvs_refused += u64::from(!identity.tlvs_intact);

        let mode = identity.mode;
        self.write_base(request, &identity, sequence);
        let base_len = mode.base_len();
        let tail = request.bytes.get(base_len..).unwrap_or_default();
        self.buffer.extend_from_slice(tail);

        let session = place.and_then(|slot| self.sessions.slot_mut(slot));
        let counts = session.as_ref().map_or_else(Default::default, |session| session.counts);
        let format = self.error_estimate.format();
        let facts = Facts {
            request,
            disclosure: self.disclosure,
            allowed_dscp: self.allowed_dscp,
            clock_source: self.clock_source.on_wire(self.clock),
            received: counts.received,
            sent: counts.sent,
            follow_up: follow_up(session.as_ref().and_then(|session| session.previous), format),
            padding: &mut self.padding,
        };
        let key = self.gate.key(identity.key);
        let tail = self.buffer.get_mut(base_len..).unwrap_or_default();
        let wishes = if identity.tlvs_intact {
            facts.answer(tail)
        } else {
            tlvs::refuse(tail);
            facts.without_wishes()
        };
        if let Some(key) = key.filter(|_| identity.tlvs_intact) {
            seal_tlvs(mode, &mut self.buffer, key);
        }
        let generation = session.as_ref().map(|session| session.generation);
        let ticket = Ticket { place: place.zip(generation), sequence };
        let previous = session.map(|session| &mut session.previous);
        let (bytes, to) = (self.buffer.as_mut_slice(), request.from);
        Some(Reply { bytes, mode, key, format, previous, ticket, to, wishes })
    }

    fn write_base(&mut self, request: &Datagram<'_>, identity: &Identity, sequence: u32) {
        let packet = &identity.packet;
        let error_estimate = self.error_estimate;
        let received = WireTimestamp::from_unix_ns(request.at_ns, error_estimate.format());
        let base = ReflectorPacket {
            sequence,
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
        base.write(identity.mode, &mut self.buffer);
    }

    /// Tells whose request this is, or counts why it is none.
    fn check(&mut self, request: &Datagram<'_>) -> Option<Identity> {
        let stats = &mut self.stats;
        let dropped = if request.bytes.len() > MAX_REQUEST {
            &mut stats.dropped_oversized
        } else if request.from.port() == 0 {
            &mut stats.dropped_portless
        } else if answers::is_answer(request.bytes) {
            &mut stats.dropped_answers
        } else {
            match self.gate.identify(request.bytes, request.from.ip()) {
                Ok(identity) => return Some(identity),
                Err(Refusal::Short) => &mut stats.dropped_short,
                Err(Refusal::NotAllowed) => &mut stats.dropped_not_allowed,
                Err(Refusal::NotProvisioned) => &mut stats.dropped_not_provisioned,
                Err(Refusal::NotAuthentic) => &mut stats.dropped_unauthentic,
            }
        };
        *dropped += 1;
        None
    }

    /// An answer was sent, and the kernel's transmit stamp of it will bear this number.
    pub fn sent(&mut self, ticket: Ticket, stamp: u32) {
        if ticket.place.is_none() {
            return;
        }
        if self.stamps.len() >= MAX_STAMPS {
            self.stamps.pop_front();
        }
        self.stamps.push_back((stamp, ticket));
    }

    /// An answer was not sent, because the system refused it.
    pub fn not_sent(&mut self, ticket: Ticket) {
        self.stats.unsent += 1;
        let Some((slot, generation)) = ticket.place else { return };
        let Some(session) = self.sessions.get_mut(slot, generation) else { return };
        session.counts.sent = session.counts.sent.wrapping_sub(1);
        session.spans.refuse();
        session.previous.take_if(|previous| previous.sequence == ticket.sequence);
    }

    /// When an answer really left, in nanoseconds of Unix time: what the session's next answer tells
    /// (RFC 8972 section 4.7). Stamps come in the order of sending; those skipped do not come any more.
    pub fn handle_stamp(&mut self, stamp: u32, at_ns: i64, method: TimestampMethod) {
        let Some(index) = self.stamps.iter().position(|(id, _)| *id == stamp) else { return };
        let Some((_, ticket)) = self.stamps.drain(..=index).next_back() else { return };
        let Some((slot, generation)) = ticket.place else { return };
        let Some(session) = self.sessions.get_mut(slot, generation) else { return };
        if let Some(previous) = &mut session.previous
            && previous.sequence == ticket.sequence
        {
            (previous.at_ns, previous.method) = (at_ns, method);
        }
    }

    /// The quality of this machine's wall clock, from now on.
    pub fn set_clock(&mut self, clock: ClockQuality) {
        self.clock = clock;
        self.error_estimate = self.config.error_estimate(clock);
    }

    /// The next session report, if one is due.
    pub fn poll_report(&mut self, now: Instant) -> Option<SessionReport> {
        self.sessions.look_for_reports(now, &mut self.stats);
        self.sessions.reports_mut()?.pop()
    }

    /// When [`Reflector::poll_report`] may have something; past when it has.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.sessions.reports()?.deadline()
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

fn arrival_of(request: &Datagram<'_>, identity: &Identity, now: Instant) -> Arrival {
    let SenderPacket { sequence, sent, error_estimate, ssid } = identity.packet;
    let Identity { mode, key, .. } = *identity;
    let (ip, port) = (request.from.ip(), request.from.port());
    let sent = match (sent.to_unix_ns(error_estimate.format()), mode) {
        (None, _) => SentAt::Unknown,
        (Some(ns), Mode::Authenticated) => SentAt::Protected(ns),
        (Some(ns), Mode::Unauthenticated) => SentAt::Claimed(ns),
    };
    Arrival { name: Name { ip, port, ssid, mode, key }, listen: request.to, sequence, sent, now }
}

fn follow_up(previous: Option<Previous>, format: TimestampFormat) -> FollowUp {
    previous.map_or_else(FollowUp::default, |previous| FollowUp {
        sequence: previous.sequence,
        sent: WireTimestamp::from_unix_ns(previous.at_ns, format),
        method: tlvs::method_on_wire(previous.method),
    })
}
