//! Keeps what agents are told up to date: reads what decides, plans, and says what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use busyhour_model::{AgentId, RequirementProfile, TargetName, UtcMicros};
use busyhour_proto::v1;
use busyhour_store::{
    ComparedClock, ConfigurationReport, Configurations, DesiredState, ReportRow, StoreError,
};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::handover::Handover;
use crate::plan::{Moment, Plan, plan};
use crate::timetable::GUARD_MS;

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_secs(5);
/// What comes within this time is planned for together.
const SETTLE: Duration = Duration::from_millis(250);
/// How far a clock may be from the collector's, in microseconds, for agents to keep times between them: any two
/// then differ by less than what is left free between their windows.
const CLOSE_US: u64 = GUARD_MS as u64 * 1_000 / 2;

/// What agents are told, and what their targets are judged by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// By agent. Whoever is not in it is told nothing.
    pub configurations: HashMap<AgentId, v1::Configuration>,
    /// By revision and target, where it says it.
    pub requirements: BTreeMap<u32, HashMap<TargetName, RequirementProfile>>,
}

/// Whether something is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    Yes,
    NotYet,
}

/// Plans for all agents, again and again.
pub struct Planner {
    store: Arc<dyn Configurations>,
    clock: Clock,
    /// Since when it is looked who is there.
    began: UtcMicros,
    /// Until when one before this looked, as far as what is stored tells.
    before: OnceLock<UtcMicros>,
    /// When agents were heard last: as many as there are agents. Locked for a write or a copy, never across an
    /// await.
    heard: Mutex<HashMap<AgentId, UtcMicros>>,
    /// What agents reported since the last round, of each the newest: as many as there are agents. Locked
    /// for a push or a swap, never across an await.
    waiting: Mutex<HashMap<AgentId, ReportRow>>,
    /// What is known of agents' clocks, and whether that is written down: as many as there are agents. Locked
    /// for a look-up or a copy, never across an await.
    clocks: Mutex<HashMap<AgentId, (ComparedClock, Noted)>>,
    /// Locked for a round, and for a look.
    handover: Mutex<Handover>,
    changed: Notify,
    publish: watch::Sender<Arc<Told>>,
}

impl Planner {
    /// Nobody is told anything before the first round.
    #[must_use]
    pub fn new(store: Arc<dyn Configurations>, clock: Clock) -> Self {
        Self {
            store,
            began: clock(),
            clock,
            before: OnceLock::new(),
            heard: Mutex::default(),
            waiting: Mutex::default(),
            clocks: Mutex::default(),
            handover: Mutex::default(),
            changed: Notify::new(),
            publish: watch::channel(Arc::default()).0,
        }
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &dyn Configurations {
        self.store.as_ref()
    }

    /// What agents are told, now and whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Told>> {
        self.publish.subscribe()
    }

    /// What would be planned if this held now.
    #[must_use]
    pub fn plan(&self, state: &DesiredState) -> Plan {
        let now = (self.clock)();
        let silent = self.handover().silent(now, &[]);
        self.plan_at(state, now, &silent)
    }

    fn plan_at(&self, state: &DesiredState, now: UtcMicros, silent: &BTreeSet<AgentId>) -> Plan {
        let newest = || {
            let seen = state.agents.iter().filter_map(|agent| agent.sighting.as_ref());
            seen.map(|seen| seen.at).filter(|at| *at < self.began).max().unwrap_or(UtcMicros(0))
        };
        let before = *self.before.get_or_init(newest);
        let heard = &self.heard().clone();
        plan(state, &Moment { now, since: self.began, before, heard, silent })
    }

    /// Notes that an agent is there, before it is answered: by the answer it knows that it may go on.
    pub fn heard_of(&self, agent: AgentId) {
        let now = (self.clock)();
        self.heard().insert(agent, now);
    }

    /// Something that decides has changed: plans soon.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Takes what an agent says that it runs.
    pub fn reported(&self, agent: AgentId, report: ConfigurationReport) {
        let clock = self.clocks().get(&agent).map(|(clock, _)| *clock);
        let row = ReportRow { agent, at: (self.clock)(), report, clock };
        self.waiting().insert(agent, row);
        self.wake();
    }

    /// Takes what comparing an agent's clock came to: the collector's is so far ahead, in microseconds, as far
    /// as an exchange that took so long can tell.
    pub fn compared(&self, agent: AgentId, offset_us: i64, round_trip_us: u64) {
        let Some(close) = is_close(offset_us, round_trip_us) else { return };
        let mut clocks = self.clocks();
        if clocks.get(&agent).is_none_or(|(known, _)| known.close != close) {
            clocks.insert(agent, (ComparedClock { offset_us, close }, Noted::NotYet));
            drop(clocks);
            self.wake();
        }
    }

    /// Plans until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All branches are cancel-safe; what was noticed and not acted on is looked at with the
            // next tick.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.changed.notified() => tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(SETTLE) => {}
                },
                _ = look.tick() => {}
            }
            let planner = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || planner.round()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, source, "what agents are to measure cannot be planned now");
                }
                Err(error) => tracing::error!(%error, "planning ended early"),
            }
        }
    }

    /// Plans once; may block.
    ///
    /// # Errors
    /// When the store cannot be read or written; then agents go on as they were told, and what they
    /// reported is kept for the next time.
    pub fn round(&self) -> Result<(), StoreError> {
        let reports = std::mem::take(&mut *self.waiting());
        let reports: Vec<ReportRow> = reports.into_values().collect();
        let kept = if reports.is_empty() { Ok(()) } else { self.store.note_reports(&reports) };
        let kept = kept.and_then(|()| self.note_clocks());
        let state = match kept.and_then(|()| self.store.desired()) {
            Ok(state) => state,
            Err(error) => {
                let mut waiting = self.waiting();
                for row in reports {
                    // What came meanwhile is newer.
                    waiting.entry(row.agent).or_insert(row);
                }
                return Err(error);
            }
        };
        let now = (self.clock)();
        let mut handover = self.handover();
        let plan = self.plan_at(&state, now, &handover.silent(now, &reports));
        for revision in &plan.unreadable {
            tracing::error!(revision, "a configuration is of a later version and is left out");
        }
        // What was told before a restart is what would be told now, or not known.
        handover.begin(&plan, &state.reports);
        for row in &reports {
            handover.reported(row.agent, &row.report);
        }
        let told =
            Told { configurations: handover.grant(&plan, now), requirements: plan.requirements };
        drop(handover);
        let let_in: HashSet<AgentId> = state.agents.iter().map(|agent| agent.id).collect();
        self.clocks().retain(|agent, _| let_in.contains(agent));
        self.heard().retain(|agent, _| let_in.contains(agent));
        self.publish.send_if_modified(|known| {
            let differs = **known != told;
            if differs {
                *known = Arc::new(told);
            }
            differs
        });
        Ok(())
    }

    /// Writes down what is new of clocks.
    fn note_clocks(&self) -> Result<(), StoreError> {
        let clocks = self.clocks();
        let new = clocks.iter().filter(|(_, (_, noted))| *noted == Noted::NotYet);
        let new: Vec<_> = new.map(|(agent, (clock, _))| (*agent, *clock)).collect();
        drop(clocks);
        if new.is_empty() {
            return Ok(());
        }
        self.store.note_clocks(&new)?;
        let mut clocks = self.clocks();
        for (agent, written) in new {
            if let Some((clock, noted)) = clocks.get_mut(&agent)
                && *clock == written
            {
                *noted = Noted::Yes;
            }
        }
        Ok(())
    }

    fn handover(&self) -> MutexGuard<'_, Handover> {
        self.handover.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<AgentId, UtcMicros>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clocks(&self) -> MutexGuard<'_, HashMap<AgentId, (ComparedClock, Noted)>> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<AgentId, ReportRow>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a clock is close to the collector's, by an exchange that says it only to half of how long it took;
/// `None` when that is too long to say it. Then what was known before holds, so that nothing wanders with how
/// busy a link is.
fn is_close(offset_us: i64, round_trip_us: u64) -> Option<bool> {
    let (offset_us, unsure_us) = (offset_us.unsigned_abs(), round_trip_us / 2);
    if offset_us.saturating_add(unsure_us) <= CLOSE_US {
        return Some(true);
    }
    (offset_us.saturating_sub(unsure_us) > CLOSE_US).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_close_or_not_as_far_as_an_exchange_can_tell() {
        for (offset_us, round_trip_us, expected) in [
            (0, 2_000_000, Some(true)),
            (0, 2_000_002, None),
            (-999_000, 2_000, Some(true)),
            (1_000_001, 0, Some(false)),
            (1_400_000, 900_000, None),
            (-1_400_000, 700_000, Some(false)),
            (600_000, 900_000, None),
            (600_000, 700_000, Some(true)),
            (i64::MIN, 0, Some(false)),
            (i64::MAX, u64::MAX, None),
        ] {
            assert_eq!(is_close(offset_us, round_trip_us), expected, "{offset_us} {round_trip_us}");
        }
    }
}
