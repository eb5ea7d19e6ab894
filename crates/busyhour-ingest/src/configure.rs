//! What an agent is told to measure, on its stream, and what it says that it runs.

use std::sync::Arc;
use std::time::Duration;

use busyhour_fleet::{Planner, Told};
use busyhour_model::AgentId;
use busyhour_proto::v1;
use busyhour_proto::v1::collector_message::Message;
use busyhour_store::{ConfigurationReport, ConfigurationState};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// From one report of a session that is taken to the next: of what comes in between the newest is.
const REPORT_EVERY: Duration = Duration::from_secs(1);
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

/// What a session says that its agent runs, not more often than anybody could act on it.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    waiting: Option<Box<v1::ConfigurationReport>>,
    /// What was taken last.
    last: Option<Box<v1::ConfigurationReport>>,
    /// The next is not taken before.
    next: Option<Instant>,
}

impl Reports {
    /// The agent said this; what it said before and was not taken yet is void.
    pub(crate) fn said(&mut self, report: v1::ConfigurationReport) {
        let report = Box::new(report);
        self.waiting = (self.last.as_ref() != Some(&report)).then_some(report);
    }

    /// Waits until there is one to take. Safe to drop: what was not given is there the next time.
    pub(crate) async fn next(&mut self) -> v1::ConfigurationReport {
        match (&self.waiting, self.next) {
            (None, _) => return std::future::pending().await,
            (Some(_), Some(at)) => sleep_until(at).await,
            (Some(_), None) => {}
        }
        self.next = Some(Instant::now() + REPORT_EVERY);
        self.last = self.waiting.take();
        self.last.as_deref().cloned().unwrap_or_default()
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
        Said::Nothing => ConfigurationState::Nothing,
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
        good_edition: report.good_edition,
        paused: report.paused,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(edition: u64) -> v1::ConfigurationReport {
        v1::ConfigurationReport { edition, ..v1::ConfigurationReport::default() }
    }

    /// Nothing waits in real time here: when everybody waits, time goes on by itself.
    #[tokio::test(start_paused = true)]
    async fn of_a_flood_of_reports_the_first_is_taken_and_a_second_later_the_newest() {
        let mut reports = Reports::default();
        let begun = Instant::now();
        reports.said(report(1));
        assert_eq!(reports.next().await.edition, 1);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for edition in 2..50_000 {
            reports.said(report(edition));
        }
        assert_eq!(reports.next().await.edition, 49_999);
        assert_eq!(begun.elapsed(), REPORT_EVERY);
        // What was taken already is no news, and what came before it is void.
        reports.said(report(7));
        reports.said(report(49_999));
        assert!(tokio::time::timeout(REPORT_EVERY * 9, reports.next()).await.is_err());
    }
}
