//! Keeps what agents are told up to date: reads what decides, plans, and says what changed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use busyhour_model::{AgentId, RequirementProfile, TargetName};
use busyhour_proto::v1;
use busyhour_store::{ConfigurationReport, Configurations, ReportRow, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::handover::Handover;
use crate::plan::plan;

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_secs(5);
/// What comes within this time is planned for together.
const SETTLE: Duration = Duration::from_millis(100);
/// Reports that wait to be kept, of all agents: as many as there may be sessions. Beyond, the oldest go;
/// what goes is counted, and the agent says it again with its next session.
const MAX_REPORTS: usize = 20_000;

/// What agents are told, and what their targets are judged by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// By agent. Whoever is not in it is told nothing.
    pub configurations: HashMap<AgentId, v1::Configuration>,
    /// By target, where a configuration in force says it.
    pub requirements: HashMap<TargetName, RequirementProfile>,
}

/// Reports that wait.
#[derive(Debug, Default)]
struct Waiting {
    reports: VecDeque<ReportRow>,
    dropped: u64,
}

impl Waiting {
    fn push(&mut self, row: ReportRow) {
        if self.reports.len() >= MAX_REPORTS {
            self.reports.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.reports.push_back(row);
    }

    /// Those that came meanwhile are later.
    fn put_back(&mut self, reports: Vec<ReportRow>) {
        let later = std::mem::replace(&mut self.reports, reports.into());
        for row in later {
            self.push(row);
        }
    }
}

/// Plans for all agents, again and again.
pub struct Planner {
    store: Arc<dyn Configurations>,
    clock: Clock,
    /// Locked for a push or a swap, never across an await.
    waiting: Mutex<Waiting>,
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

    /// Something that decides has changed: plans soon.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Takes what an agent says that it runs.
    pub fn reported(&self, agent: AgentId, report: ConfigurationReport) {
        let row = ReportRow { agent, at: (self.clock)(), report };
        self.waiting().push(row);
        self.wake();
    }

    /// Reports that found no room, ever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.waiting().dropped
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
        let reports = Vec::from(std::mem::take(&mut self.waiting().reports));
        let kept = if reports.is_empty() { Ok(()) } else { self.store.note_reports(&reports) };
        let state = match kept.and_then(|()| self.store.desired()) {
            Ok(state) => state,
            Err(error) => {
                self.waiting().put_back(reports);
                return Err(error);
            }
        };
        let plan = plan(&state, (self.clock)());
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

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
