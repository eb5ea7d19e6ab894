//! Keeps what agents are told up to date: reads what decides, plans, and says what changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use busyhour_model::{AgentId, RequirementProfile, TargetName, UtcMicros};
use busyhour_proto::v1;
use busyhour_store::{ConfigurationReport, Configurations, DesiredState, ReportRow, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::handover::Handover;
use crate::plan::{Plan, plan};

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_secs(5);
/// What comes within this time is planned for together.
const SETTLE: Duration = Duration::from_millis(250);
/// What agents are told, and what their targets are judged by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// By agent. Whoever is not in it is told nothing.
    pub configurations: HashMap<AgentId, v1::Configuration>,
    /// By revision and target, where it says it.
    pub requirements: BTreeMap<u32, HashMap<TargetName, RequirementProfile>>,
}

/// Plans for all agents, again and again.
pub struct Planner {
    store: Arc<dyn Configurations>,
    clock: Clock,
    /// Since when it is looked who is there.
    began: UtcMicros,
    /// What agents reported since the last round, of each the newest: as many as there are agents. Locked
    /// for a push or a swap, never across an await.
    waiting: Mutex<HashMap<AgentId, ReportRow>>,
    /// Locked for a round, by the only one that makes rounds.
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
            waiting: Mutex::default(),
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
        plan(state, (self.clock)(), self.began)
    }

    /// Something that decides has changed: plans soon.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Takes what an agent says that it runs.
    pub fn reported(&self, agent: AgentId, report: ConfigurationReport) {
        let row = ReportRow { agent, at: (self.clock)(), report };
        self.waiting().insert(agent, row);
        self.wake();
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
        let plan = self.plan(&state);
        for revision in &plan.unreadable {
            tracing::error!(revision, "a configuration is of a later version and is left out");
        }
        let mut handover = self.handover.lock().unwrap_or_else(PoisonError::into_inner);
        // What was told before a restart is what would be told now, or not known.
        handover.begin(&plan, &state.reports);
        for row in &reports {
            handover.reported(row.agent, &row.report);
        }
        let told = Told { configurations: handover.grant(&plan), requirements: plan.requirements };
        drop(handover);
        self.publish.send_if_modified(|known| {
            let differs = **known != told;
            if differs {
                *known = Arc::new(told);
            }
            differs
        });
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<AgentId, ReportRow>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
