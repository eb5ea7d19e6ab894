//! From the model to the wire. Nothing can go wrong here: a value that exists is valid.

mod window;

use busyhour_model::{
    Body, Check, Context, Fact, Gap, Load, PathKey, Record, Schedule, ScheduleRevision,
    SessionReport,
};

use crate::v1;
use crate::v1::record::Body as WireBody;
use crate::words::Word as _;
use window::window;

/// Values written once and referred to by their position. Lookups start at the last hit: records
/// of one path and context come in runs, and a block names few of either.
struct Dictionary<'a, T> {
    entries: Vec<&'a T>,
    last: usize,
}

impl<'a, T: PartialEq> Dictionary<'a, T> {
    const fn new() -> Self {
        Self { entries: Vec::new(), last: 0 }
    }

    fn position(&mut self, value: &'a T) -> u32 {
        if self.entries.get(self.last).is_none_or(|entry| *entry != value) {
            self.last = match self.entries.iter().position(|entry| *entry == value) {
                Some(at) => at,
                None => {
                    self.entries.push(value);
                    self.entries.len() - 1
                }
            };
        }
        wire_position(self.last)
    }
}

/// Collects what a payload is made of.
pub(crate) struct Encoder<'a> {
    paths: Dictionary<'a, PathKey>,
    contexts: Dictionary<'a, Context>,
    schedules: Vec<Schedule>,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(schedules: &[Schedule]) -> Self {
        Self {
            paths: Dictionary::new(),
            contexts: Dictionary::new(),
            schedules: schedules.to_vec(),
        }
    }

    pub(crate) fn record(&mut self, record: &'a Record) -> v1::Record {
        let body = match &record.body {
            Body::Window(w) => WireBody::Window(window(w, self.paths.position(&w.path))),
            Body::Check(c) => WireBody::Check(check(c)),
            Body::Fact(f) => WireBody::Fact(fact(f)),
            Body::Load(l) => WireBody::Load(load(l)),
            Body::Gap(g) => {
                let path = g.path.as_ref().map(|path| self.paths.position(path));
                WireBody::Gap(gap(g, path))
            }
            Body::SessionReport(r) => WireBody::SessionReport(session_report(r)),
        };
        v1::Record {
            started_us: record.stamp.started.0,
            started_boot_us: record.stamp.started_boot.0,
            boot: record.stamp.boot.to_bytes().to_vec(),
            duration_us: record.stamp.duration_us(),
            schedule: self.schedule(record.schedule),
            context: self.contexts.position(&record.context),
            body: Some(body),
        }
    }

    pub(crate) fn finish(self, records: Vec<v1::Record>) -> v1::BlockPayload {
        v1::BlockPayload {
            paths: self.paths.entries.into_iter().map(path).collect(),
            contexts: self.contexts.entries.into_iter().map(context).collect(),
            schedules: self
                .schedules
                .iter()
                .map(|s| v1::Schedule { revision: s.revision.0, period_us: s.period_us })
                .collect(),
            records,
        }
    }

    /// A revision that nobody described is written with the period 0, which means unknown.
    fn schedule(&mut self, revision: ScheduleRevision) -> u32 {
        let known = self.schedules.iter().position(|schedule| schedule.revision == revision);
        wire_position(known.unwrap_or_else(|| {
            self.schedules.push(Schedule { revision, period_us: 0 });
            self.schedules.len() - 1
        }))
    }
}

/// A position that the format cannot hold becomes one that no decoder accepts.
fn wire_position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn path(key: &PathKey) -> v1::Path {
    v1::Path {
        link: key.link.kind().to_wire(),
        interface: key.link.interface().to_owned(),
        family: key.family.to_wire(),
        target: key.target.as_str().to_owned(),
        class: key.class.to_wire(),
        profile: key.profile.as_str().to_owned(),
        transport: key.transport.to_wire(),
    }
}

fn context(context: &Context) -> v1::Context {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    v1::Context {
        local_prefix: text(context.local_prefix),
        resolved: text(context.resolved),
        reflexive: text(context.reflexive),
    }
}

fn check(check: &Check) -> v1::Check {
    v1::Check {
        kind: check.kind.clone(),
        subject: check.subject.clone(),
        outcome: check.outcome.to_wire(),
        timings: check
            .timings_us
            .iter()
            .map(|(name, duration_us)| v1::Timing { name: name.clone(), duration_us: *duration_us })
            .collect(),
        evidence: check
            .evidence
            .iter()
            .map(|(name, value)| v1::Evidence { name: name.clone(), value: value.clone() })
            .collect(),
    }
}

fn fact(fact: &Fact) -> v1::Fact {
    v1::Fact {
        kind: fact.kind.clone(),
        value: fact.value.clone(),
        valid_from_us: fact.valid_from.0,
        valid_until_us: fact.valid_until.map(|until| until.0),
    }
}

fn load(load: &Load) -> v1::Load {
    v1::Load {
        interface: load.interface.clone(),
        received_bytes: load.received_bytes,
        sent_bytes: load.sent_bytes,
        received_packets: load.received_packets,
        sent_packets: load.sent_packets,
        link_bits_per_second: load.link_bits_per_second,
    }
}

fn gap(gap: &Gap, path: Option<u32>) -> v1::Gap {
    v1::Gap {
        reason: gap.reason.to_wire(),
        path: path.map_or(0, |at| at.saturating_add(1)),
        records: gap.records,
    }
}

fn session_report(report: &SessionReport) -> v1::SessionReport {
    v1::SessionReport {
        listen: report.listen.to_string(),
        peer: report.peer.to_string(),
        ssid: report.ssid.into(),
        first_sequence: report.first_sequence,
        more_sequences: report.last_sequence.wrapping_sub(report.first_sequence),
        received: report.received,
        runs: report.missing_runs(),
        missing_cut: report.missing_cut,
        first_sent_ns: report.first_sent_ns,
        sent_for_ns: report.last_sent_ns.abs_diff(report.first_sent_ns),
        dropped: report.dropped,
    }
}
