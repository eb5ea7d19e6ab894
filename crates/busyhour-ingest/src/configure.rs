//! What an agent is told to measure, on its stream, and what it says that it runs.

use std::sync::Arc;

use busyhour_fleet::{Planner, Told};
use busyhour_model::AgentId;
use busyhour_proto::v1;
use busyhour_proto::v1::collector_message::Message;
use busyhour_store::{ConfigurationReport, ConfigurationState};
use tokio::sync::watch;

/// The longest reason that is taken, in characters.
const MAX_REASON: usize = 256;

/// Tells one agent its configuration when its session begins, and whenever it changes.
pub(crate) struct Telling {
    agent: AgentId,
    told: Option<watch::Receiver<Arc<Told>>>,
    /// The edition that it was told last on this stream; none is 0.
    last: u64,
}

impl Telling {
    /// Without a planner nobody is told anything.
    pub(crate) fn new(planner: Option<&Arc<Planner>>, agent: AgentId) -> Self {
        let mut told = planner.map(|planner| planner.watch());
        if let Some(told) = &mut told {
            // What is planned already is news to this session.
            told.mark_changed();
        }
        Self { agent, told, last: 0 }
    }

    /// Waits until there is something to tell. Safe to drop: what was not given is there the next time.
    pub(crate) async fn next(&mut self) -> v1::CollectorMessage {
        loop {
            let Some(told) = &mut self.told else { return std::future::pending().await };
            if told.changed().await.is_err() {
                self.told = None;
                continue;
            }
            let configuration = told.borrow_and_update().configurations.get(&self.agent).cloned();
            let Some(configuration) = configuration.filter(|new| new.edition != self.last) else {
                continue;
            };
            self.last = configuration.edition;
            return v1::CollectorMessage { message: Some(Message::Configuration(configuration)) };
        }
    }
}

/// Takes what an agent says; what a newer one says in words that nobody here knows is left out.
pub(crate) fn reported(
    planner: Option<&Arc<Planner>>,
    agent: AgentId,
    report: &v1::ConfigurationReport,
) {
    use v1::ConfigurationState as Said;
    let state = match report.state() {
        Said::Committed => ConfigurationState::Committed,
        Said::Trial => ConfigurationState::Trial,
        Said::Refused => ConfigurationState::Refused,
        Said::RolledBack => ConfigurationState::RolledBack,
        Said::Unspecified => return,
    };
    let reason = report.reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    let report = ConfigurationReport {
        revision: report.revision,
        edition: report.edition,
        told_revision: report.told_revision,
        told_edition: report.told_edition,
        state,
        reason,
    };
    tracing::debug!(
        %agent,
        revision = report.revision,
        told = report.told_revision,
        state = report.state.as_str(),
        "an agent says what it runs"
    );
    if let Some(planner) = planner {
        planner.reported(agent, report);
    }
}
