//! From a payload to rows: placed in time, judged, or quarantined with the reason. Pure.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use busyhour_fleet::Told;
use busyhour_model::{
    AgentId, BlockNo, Body, BootId, Epoch, Judgement, LimitsVersion, Record, RequirementProfile,
    ScheduleRevision, TargetName, UtcMicros, Window, WindowVerdict, limits_in_force,
};
use busyhour_proto::{PayloadError, PayloadReader};
use busyhour_store::{BlockRows, JudgedWindow, Quarantined};
use tokio::sync::watch;

/// How far ahead of the collector's clock a record may begin. Beyond, its clock is wrong and nobody
/// knows by how much.
pub const MAX_AHEAD: Duration = Duration::from_secs(10 * 60);
/// Clocks that differ by less are taken as equal: a record must not wander with the jitter of the
/// exchange.
const MAX_EQUAL: Duration = Duration::from_secs(2);
/// An exchange that took longer says too little: its offset is wrong by up to half of that.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(2);
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

/// What targets' paths are judged by.
#[derive(Debug, Clone)]
pub struct Requirements {
    /// What configurations of agents say, which is more than the collector's own file.
    told: Option<watch::Receiver<Arc<Told>>>,
    by_target: HashMap<TargetName, RequirementProfile>,
    otherwise: RequirementProfile,
}

impl Requirements {
    /// Judges these targets as told, all others by `otherwise`.
    #[must_use]
    pub fn new(
        by_target: impl IntoIterator<Item = (TargetName, RequirementProfile)>,
        otherwise: RequirementProfile,
    ) -> Self {
        Self { told: None, by_target: by_target.into_iter().collect(), otherwise }
    }

    /// The same, unless a configuration of agents that is in force says otherwise.
    #[must_use]
    pub(crate) fn unless_told(self, told: watch::Receiver<Arc<Told>>) -> Self {
        Self { told: Some(told), ..self }
    }

    /// What this target's paths are judged by: what the configuration says that they were measured under,
    /// or else the collector's own file.
    #[must_use]
    pub fn of(&self, target: &TargetName, schedule: ScheduleRevision) -> RequirementProfile {
        let told = self.told.as_ref().zip(schedule.configuration());
        let told = told.and_then(|(told, revision)| {
            told.borrow().requirements.get(&revision)?.get(target).copied()
        });
        told.or_else(|| self.by_target.get(target).copied()).unwrap_or(self.otherwise)
    }
}

/// A block as it came.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) agent: AgentId,
    pub(crate) epoch: Epoch,
    pub(crate) block: BlockNo,
    pub(crate) payload: Vec<u8>,
    pub(crate) received: UtcMicros,
    /// What is known of the agent's clock.
    pub(crate) clock: Option<ClockOffset>,
}

/// How far the collector's clock is ahead of an agent's, as long as that machine is not started
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockOffset {
    boot: BootId,
    offset_us: i64,
}

impl ClockOffset {
    /// From an exchange of four moments; `None` when it took too long to say anything.
    pub(crate) fn measured(boot: BootId, offset_us: i64, round_trip_us: u64) -> Option<Self> {
        if u128::from(round_trip_us) > MAX_ROUND_TRIP.as_micros() {
            return None;
        }
        let equal = u128::from(offset_us.unsigned_abs()) <= MAX_EQUAL.as_micros();
        Some(Self { boot, offset_us: if equal { 0 } else { offset_us } })
    }
}

/// The rules of placing and judging.
#[derive(Debug, Clone)]
pub(crate) struct Placer {
    pub(crate) requirements: Requirements,
    pub(crate) retention: Duration,
}

impl Placer {
    /// What a block brings. A payload that cannot be read at all is quarantined as a whole, so that
    /// it is acknowledged and not offered forever.
    pub(crate) fn rows(&self, arrived: &Arrived, reader: &mut PayloadReader) -> BlockRows {
        let mut rows = BlockRows {
            agent: arrived.agent,
            epoch: arrived.epoch,
            block: arrived.block,
            received: arrived.received,
            schedules: Vec::new(),
            windows: Vec::new(),
            others: Vec::new(),
            quarantined: Vec::new(),
        };
        if let Err(error) = self.fill(&mut rows, arrived, reader) {
            rows.quarantined.push(quarantined(None, &error));
        }
        rows
    }

    fn fill(
        &self,
        rows: &mut BlockRows,
        arrived: &Arrived,
        reader: &mut PayloadReader,
    ) -> Result<(), PayloadError> {
        let payload = reader.decode(&arrived.payload)?;
        rows.schedules = payload.schedules;
        rows.windows.reserve_exact(payload.records.len());
        for record in payload.records {
            match record {
                Ok(record) => self.place(rows, record, arrived.clock),
                Err(bad) => rows.quarantined.push(quarantined(bad.started, &bad.error)),
            }
        }
        Ok(())
    }

    fn place(&self, rows: &mut BlockRows, mut record: Record, clock: Option<ClockOffset>) {
        // What another boot's clock showed nobody knows any more.
        let known = clock.filter(|clock| clock.boot == record.stamp.boot);
        let offset_us = known.map_or(0, |clock| clock.offset_us);
        let move_us = |at: UtcMicros| UtcMicros(at.0.saturating_add(offset_us));
        let placed = move_us(record.stamp.started);
        let reason = if placed > rows.received.plus(MAX_AHEAD) {
            Some("begins more than ten minutes in the future")
        } else if placed < rows.received.minus(self.retention) {
            Some("is older than what is kept")
        } else {
            None
        };
        if let Some(reason) = reason {
            let started = Some(record.stamp.started);
            rows.quarantined.push(Quarantined { started, reason: reason.to_owned() });
            return;
        }
        if let Body::Fact(fact) = &mut record.body {
            fact.valid_from = move_us(fact.valid_from);
            fact.valid_until = fact.valid_until.map(move_us);
        }
        match record.body {
            Body::Window(window) => {
                let requirement = self.requirements.of(&window.path.target, record.schedule);
                let (limits, verdict) = judge(requirement, placed, &window);
                rows.windows.push(JudgedWindow {
                    placed,
                    stamp: record.stamp,
                    schedule: record.schedule,
                    context: record.context,
                    window: *window,
                    requirement,
                    limits,
                    verdict,
                });
            }
            // The times in a session report are of somebody else's clock.
            Body::Check(_)
            | Body::Fact(_)
            | Body::Load(_)
            | Body::Gap(_)
            | Body::SessionReport(_) => {
                record.stamp.started = placed;
                rows.others.push(record);
            }
        }
    }
}

/// The verdict by the limits in force at the time. Without limits everything is unknown, and the
/// version is 0.
fn judge(
    requirement: RequirementProfile,
    placed: UtcMicros,
    window: &Window,
) -> (LimitsVersion, WindowVerdict) {
    if let Some(table) = limits_in_force(requirement, placed) {
        return (table.version, table.judge(window));
    }
    let counts = &window.counts;
    let unknown = Judgement::Unknown;
    let verdict = WindowVerdict {
        valid: counts.sent() > 0
            && u64::from(counts.sent()) * 10 >= u64::from(counts.scheduled()) * 8,
        failed: false,
        loss: unknown,
        burst: unknown,
        delay: unknown,
        jitter: unknown,
    };
    (LimitsVersion(0), verdict)
}

fn quarantined(started: Option<UtcMicros>, error: &dyn Error) -> Quarantined {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    Quarantined { started, reason: reason.chars().take(MAX_REASON).collect() }
}

#[cfg(test)]
mod tests;
