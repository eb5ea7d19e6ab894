//! From the wire to the model. Every value passes a constructor or a check here.

mod window;

use std::net::SocketAddr;
use std::str::FromStr;

use busyhour_model::{
    Body, BootId, BootMicros, Check, Context, Fact, Gap, InvalidHistogram, InvalidPath,
    InvalidRecord, Link, Load, PathKey, ProfileName, Record, Schedule, ScheduleRevision,
    SessionReport, SessionReportParts, Stamp, TargetName, UtcMicros,
};
use thiserror::Error;

use crate::v1;
use crate::v1::record::Body as WireBody;
use crate::words::Word;
use window::window;

/// The longest kind, interface or name, in bytes: these are words, not texts.
const MAX_WORD_BYTES: usize = 64;
/// The longest subject, value of a fact or piece of evidence, in bytes: a line of text.
const MAX_TEXT_BYTES: usize = 1_024;
/// The most timings, and the most pieces of evidence, of one check.
const MAX_CHECK_ITEMS: usize = 64;
/// The longest period of a schedule: a day, as the longest record.
const MAX_PERIOD_US: u64 = 24 * 3600 * 1_000_000;
/// The shortest period of a schedule: what tests use. Shorter ones ask for more windows in a slot
/// than anything sends.
const MIN_PERIOD_US: u64 = 100_000;

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes are not a message of the expected type.
    #[error("{what} is not a valid message")]
    Malformed {
        /// Record, path, context or schedule.
        what: &'static str,
        /// What the wire format says.
        #[source]
        source: prost::DecodeError,
    },
    /// A part that every record has is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number that names nothing known.
    #[error("{found} is not a known {field}")]
    UnknownWord {
        /// The field.
        field: &'static str,
        /// What was given.
        found: i32,
    },
    /// A position that lies outside its dictionary.
    #[error("there is no {what} at position {position}")]
    Position {
        /// Path, context or schedule.
        what: &'static str,
        /// The position.
        position: u32,
    },
    /// A field that is longer or larger than its definition allows.
    #[error("{field} is out of range: {found}")]
    Range {
        /// The field.
        field: &'static str,
        /// What was given, shortened.
        found: String,
    },
    /// A path that cannot be.
    #[error("the path is not valid")]
    Path(#[from] InvalidPath),
    /// A distribution that contradicts itself.
    #[error("the distribution {field:?} is not valid")]
    Histogram {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidHistogram,
    },
    /// A record that contradicts itself.
    #[error("the record is not valid")]
    Record(#[from] InvalidRecord),
}

/// The entries that records refer to, each valid or with its reason.
pub(crate) struct Dictionaries {
    pub(crate) paths: Vec<Result<PathKey, RecordError>>,
    pub(crate) contexts: Vec<Result<Context, RecordError>>,
    pub(crate) schedules: Vec<Result<Schedule, RecordError>>,
}

impl Dictionaries {
    pub(crate) fn record(&self, wire: v1::Record) -> Result<Record, RecordError> {
        let stamp = stamp(&wire)?;
        let body = match wire.body.ok_or(RecordError::Missing("body"))? {
            WireBody::Window(w) => {
                let path = self.path(w.path)?.clone();
                Body::Window(Box::new(window(w, path)?))
            }
            WireBody::Check(c) => Body::Check(check(c)?),
            WireBody::Fact(f) => Body::Fact(fact(f)?),
            WireBody::Load(l) => Body::Load(load(l)?),
            WireBody::Gap(g) => Body::Gap(self.gap(&g)?),
            WireBody::SessionReport(r) => Body::SessionReport(Box::new(session_report(&r)?)),
        };
        let schedule = entry("schedule", &self.schedules, wire.schedule)?.revision;
        let context = entry("context", &self.contexts, wire.context)?.clone();
        Ok(Record { stamp, schedule, context, body }.validated()?)
    }

    fn path(&self, position: u32) -> Result<&PathKey, RecordError> {
        entry("path", &self.paths, position)
    }

    fn gap(&self, wire: &v1::Gap) -> Result<Gap, RecordError> {
        let path = wire.path.checked_sub(1).map(|at| self.path(at)).transpose()?.cloned();
        Ok(Gap { reason: Word::from_wire(wire.reason)?, path, records: wire.records })
    }
}

fn entry<'a, T>(
    what: &'static str,
    entries: &'a [Result<T, RecordError>],
    position: u32,
) -> Result<&'a T, RecordError> {
    usize::try_from(position)
        .ok()
        .and_then(|at| entries.get(at))
        .ok_or(RecordError::Position { what, position })?
        .as_ref()
        .map_err(Clone::clone)
}

pub(crate) fn message<M: prost::Message + Default>(
    what: &'static str,
    bytes: &[u8],
) -> Result<M, RecordError> {
    M::decode(bytes).map_err(|source| RecordError::Malformed { what, source })
}

fn stamp(wire: &v1::Record) -> Result<Stamp, RecordError> {
    let boot = BootId::from_slice(&wire.boot)
        .map_err(|_| range("boot", &format!("{} bytes", wire.boot.len())))?;
    let started = UtcMicros(wire.started_us);
    Ok(Stamp::new(started, BootMicros(wire.started_boot_us), boot, wire.duration_us)?)
}

pub(crate) fn path(bytes: &[u8]) -> Result<PathKey, RecordError> {
    let wire: v1::Path = message("path", bytes)?;
    Ok(PathKey {
        link: Link::new(Word::from_wire(wire.link)?, wire.interface)?,
        family: Word::from_wire(wire.family)?,
        target: TargetName::new(wire.target)?,
        class: Word::from_wire(wire.class)?,
        profile: ProfileName::new(wire.profile)?,
        transport: Word::from_wire(wire.transport)?,
    })
}

pub(crate) fn context(bytes: &[u8]) -> Result<Context, RecordError> {
    let wire: v1::Context = message("context", bytes)?;
    Ok(Context {
        local_prefix: parsed("local prefix", &wire.local_prefix)?,
        resolved: parsed("resolved address", &wire.resolved)?,
        reflexive: parsed("reflexive address", &wire.reflexive)?,
    })
}

/// The period 0 means that nobody described the revision.
pub(crate) fn schedule(bytes: &[u8]) -> Result<Schedule, RecordError> {
    let wire: v1::Schedule = message("schedule", bytes)?;
    let period_us = wire.period_us;
    if period_us != 0 && !(MIN_PERIOD_US..=MAX_PERIOD_US).contains(&period_us) {
        return Err(range("period_us", &period_us.to_string()));
    }
    Ok(Schedule { revision: ScheduleRevision(wire.revision), period_us })
}

fn parsed<T: FromStr>(field: &'static str, text: &str) -> Result<Option<T>, RecordError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| range(field, text))
}

fn check(wire: v1::Check) -> Result<Check, RecordError> {
    if wire.timings.len().max(wire.evidence.len()) > MAX_CHECK_ITEMS {
        let found = format!("{} and {}", wire.timings.len(), wire.evidence.len());
        return Err(range("timings or evidence", &found));
    }
    let mut timings_us = Vec::with_capacity(wire.timings.len());
    for timing in wire.timings {
        timings_us.push((word("timing", timing.name)?, timing.duration_us));
    }
    let mut evidence = Vec::with_capacity(wire.evidence.len());
    for item in wire.evidence {
        evidence.push((word("evidence", item.name)?, text("evidence", item.value)?));
    }
    Ok(Check {
        kind: word("kind", wire.kind)?,
        subject: text("subject", wire.subject)?,
        outcome: Word::from_wire(wire.outcome)?,
        timings_us,
        evidence,
    })
}

fn fact(wire: v1::Fact) -> Result<Fact, RecordError> {
    if wire.valid_until_us.is_some_and(|until| until < wire.valid_from_us) {
        return Err(range("valid_until_us", "before valid_from_us"));
    }
    Ok(Fact {
        kind: word("kind", wire.kind)?,
        value: text("value", wire.value)?,
        valid_from: UtcMicros(wire.valid_from_us),
        valid_until: wire.valid_until_us.map(UtcMicros),
    })
}

fn load(wire: v1::Load) -> Result<Load, RecordError> {
    Ok(Load {
        interface: word("interface", wire.interface)?,
        received_bytes: wire.received_bytes,
        sent_bytes: wire.sent_bytes,
        received_packets: wire.received_packets,
        sent_packets: wire.sent_packets,
        link_bits_per_second: wire.link_bits_per_second,
    })
}

fn session_report(wire: &v1::SessionReport) -> Result<SessionReport, RecordError> {
    let sent_for_ns = i64::try_from(wire.sent_for_ns).ok();
    let last_sent_ns = sent_for_ns
        .and_then(|nanos| wire.first_sent_ns.checked_add(nanos))
        .ok_or_else(|| range("sent_for_ns", &wire.sent_for_ns.to_string()))?;
    Ok(SessionReport::new(SessionReportParts {
        listen: address("listen", &wire.listen)?,
        peer: address("peer", &wire.peer)?,
        ssid: u16::try_from(wire.ssid).map_err(|_| range("ssid", &wire.ssid.to_string()))?,
        first_sequence: wire.first_sequence,
        last_sequence: wire.first_sequence.wrapping_add(wire.more_sequences),
        received: wire.received,
        missing: SessionReportParts::missing_from_runs(wire.first_sequence, &wire.runs)?,
        missing_cut: wire.missing_cut,
        first_sent_ns: wire.first_sent_ns,
        last_sent_ns,
        dropped: wire.dropped,
    })?)
}

fn address(field: &'static str, text: &str) -> Result<SocketAddr, RecordError> {
    text.parse().map_err(|_| range(field, text))
}

/// A short name: not empty, printable.
fn word(field: &'static str, value: String) -> Result<String, RecordError> {
    if value.is_empty() || value.len() > MAX_WORD_BYTES {
        return Err(range(field, &value));
    }
    text(field, value)
}

/// A line of text: printable.
fn text(field: &'static str, value: String) -> Result<String, RecordError> {
    if value.len() > MAX_TEXT_BYTES || value.chars().any(char::is_control) {
        return Err(range(field, &value));
    }
    Ok(value)
}

fn range(field: &'static str, found: &str) -> RecordError {
    RecordError::Range { field, found: found.chars().take(MAX_WORD_BYTES).collect() }
}
