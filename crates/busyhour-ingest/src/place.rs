//! From a payload to rows: placed in time, judged, or quarantined with the reason. Pure.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use busyhour_model::{
    AgentId, BlockNo, Body, Epoch, Judgement, LimitsVersion, Record, RequirementProfile,
    TargetName, UtcMicros, Window, WindowVerdict, limits_in_force,
};
use busyhour_proto::{PayloadError, decode_payload};
use busyhour_store::{BlockRows, JudgedWindow, Quarantined};

/// How far ahead of the collector's clock a record may begin. Beyond, its clock is wrong and nobody
/// knows by how much.
pub const MAX_AHEAD: Duration = Duration::from_secs(10 * 60);
/// Clocks that differ by less are taken as equal: the exchange cannot tell a small difference from
/// the time a message was on its way, and a record must not wander with that.
const MAX_EQUAL: Duration = Duration::from_secs(2);
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

/// What targets' paths are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
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
        Self { by_target: by_target.into_iter().collect(), otherwise }
    }

    /// What this target's paths are judged by.
    #[must_use]
    pub fn of(&self, target: &TargetName) -> RequirementProfile {
        self.by_target.get(target).copied().unwrap_or(self.otherwise)
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
    /// What the collector's clock was ahead of the agent's.
    pub(crate) offset_us: i64,
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
    pub(crate) fn rows(&self, arrived: &Arrived) -> BlockRows {
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
        if let Err(error) = self.fill(&mut rows, arrived) {
            rows.quarantined.push(quarantined(None, &error));
        }
        rows
    }

    fn fill(&self, rows: &mut BlockRows, arrived: &Arrived) -> Result<(), PayloadError> {
        let payload = decode_payload(&arrived.payload)?;
        rows.schedules = payload.schedules;
        for record in payload.records {
            match record {
                Ok(record) => self.place(rows, record, arrived.offset_us),
                Err(bad) => rows.quarantined.push(quarantined(bad.started, &bad.error)),
            }
        }
        Ok(())
    }

    fn place(&self, rows: &mut BlockRows, record: Record, offset_us: i64) {
        let placed = UtcMicros(record.stamp.started.0.saturating_add(offset_us));
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
        match record.body {
            Body::Window(window) => {
                let requirement = self.requirements.of(&window.path.target);
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
            Body::Check(_) | Body::Fact(_) | Body::Load(_) | Body::Gap(_) => {
                rows.others.push(record);
            }
        }
    }
}

/// What is added to an agent's time to get the collector's, from what its clock showed when a clock
/// request was sent and what the collector's showed when it came.
pub(crate) fn offset_us(agent_sent: UtcMicros, received: UtcMicros) -> i64 {
    let offset = received.since(agent_sent);
    let equal = u128::from(offset.unsigned_abs()) <= MAX_EQUAL.as_micros();
    if equal { 0 } else { offset }
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
