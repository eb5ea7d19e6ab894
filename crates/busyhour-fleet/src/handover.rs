//! Nobody begins what another may still be doing. Pure.
//!
//! When a role goes from one agent to another, both are told at the same time and neither knows of the
//! other. So the new one is told only when the old one said that it runs something else for good, or is
//! gone: of expedited traffic there is one call in a building at a time, also in between.

use std::collections::HashMap;

use busyhour_model::{AgentId, BuildingId};
use busyhour_proto::v1;
use busyhour_store::{ConfigurationReport, ConfigurationState, ReportRow};

use crate::desired::KnownProfile;
use crate::plan::{Plan, Presence};
use crate::timetable::Recurring;

/// What one agent may be running. It is told one thing at a time: the next when it said what became of the
/// last.
#[derive(Debug, Clone, Default)]
struct Held {
    building: Option<BuildingId>,
    /// What it committed to: it may go back to this.
    good: Option<v1::Configuration>,
    /// What it runs on trial.
    trial: Option<v1::Configuration>,
    /// What it was told and did not answer yet.
    told: Option<v1::Configuration>,
    /// It may be running something that nobody here knows.
    unknown: bool,
}

impl Held {
    fn all(&self) -> impl Iterator<Item = &v1::Configuration> {
        [&self.told, &self.trial, &self.good].into_iter().flatten()
    }

    /// What it runs as soon as it hears of it.
    fn granted(&self) -> Option<&v1::Configuration> {
        self.all().next()
    }

    /// Takes what it says.
    fn reported(&mut self, report: &ConfigurationReport) {
        let is_told = |known: &Option<v1::Configuration>| {
            known.as_ref().is_some_and(|known| known.edition == report.told_edition)
        };
        let strange =
            report.revision > 0 && !self.all().any(|known| known.edition == report.edition);
        // What this is about: something new, what it tries already, or what it committed to before.
        let about = if is_told(&self.told) { self.told.take() } else { None };
        let about =
            about.or_else(|| self.trial.take_if(|trial| trial.edition == report.told_edition));
        match (report.state, about) {
            // What it tried before that is over, and it may go back to what is good.
            (ConfigurationState::Trial, Some(trial)) => self.trial = Some(trial),
            (ConfigurationState::Committed, Some(good)) => {
                (self.good, self.trial) = (Some(good), None);
            }
            (ConfigurationState::Committed, None) if is_told(&self.good) => self.trial = None,
            (ConfigurationState::RolledBack, Some(_)) => self.trial = None,
            // Older than what it was told, or of something that nobody knows.
            (_, None) | (ConfigurationState::Refused, Some(_)) => {}
        }
        match report.state {
            ConfigurationState::Trial => self.unknown |= strange,
            ConfigurationState::Committed
            | ConfigurationState::Refused
            | ConfigurationState::RolledBack => self.unknown = strange,
        }
    }

    /// Whether it may be sending expedited traffic during these windows.
    fn may_send_in(&self, windows: &Recurring) -> bool {
        self.unknown || self.all().flat_map(expedited).any(|(_, other)| other.overlaps(windows))
    }
}

/// What agents may be running, of all that they were told.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    held: HashMap<AgentId, Held>,
}

impl Handover {
    /// Takes up agents that it knows nothing of from what they said last, before this process began: most
    /// of them run what they would be told now.
    pub(crate) fn begin(&mut self, plan: &Plan, reports: &[ReportRow]) {
        for ReportRow { agent, report, .. } in reports {
            if self.held.contains_key(agent) {
                continue;
            }
            let Some(planned) = plan.agents.get(agent) else { continue };
            if planned.presence == Presence::Gone {
                continue;
            }
            let runs = planned.told().filter(|told| told.edition == report.edition);
            // On trial it may go back to something else.
            let certain = runs.is_some() && report.state != ConfigurationState::Trial;
            let held = Held {
                building: building(planned.presence),
                unknown: report.revision > 0 && !certain,
                good: runs,
                ..Held::default()
            };
            self.held.insert(*agent, held);
        }
    }

    /// Takes what an agent says that it runs.
    pub(crate) fn reported(&mut self, agent: AgentId, report: &ConfigurationReport) {
        self.held.entry(agent).or_default().reported(report);
    }

    /// What of a plan agents are told now. What is left out is told when whoever has it has let go.
    pub(crate) fn grant(&mut self, plan: &Plan) -> HashMap<AgentId, v1::Configuration> {
        let present = |agent: &AgentId| {
            plan.agents.get(agent).is_some_and(|planned| planned.presence != Presence::Gone)
        };
        self.held.retain(|agent, _| present(agent));
        let mut granted = HashMap::new();
        for (agent, planned) in &plan.agents {
            let Some(wanted) = planned.told() else { continue };
            let building = building(planned.presence);
            // What runs already may go on, whoever else is not known.
            let last = self.held.get(agent).and_then(Held::granted).cloned();
            let has = |target: &v1::ConfiguredTarget| {
                last.as_ref().is_some_and(|last| last.targets.contains(target))
            };
            let others = || {
                let others = self.held.iter().filter(move |(other, _)| *other != agent);
                others.map(|(_, held)| held).filter(move |held| held.building == building)
            };
            let free = |target: &v1::ConfiguredTarget| match windows(target) {
                Some(windows) => has(target) || !others().any(|held| held.may_send_in(&windows)),
                None => true,
            };
            let targets = wanted.targets.iter().filter(|target| free(target)).cloned().collect();
            let next = planned.sealed(targets);
            let held = self.held.entry(*agent).or_default();
            held.building = building;
            let told = match (&held.told, last) {
                // It did not answer yet.
                (Some(told), _) => told.clone(),
                (None, Some(last)) if last.edition == next.edition => last,
                (None, _) => {
                    held.told = Some(next.clone());
                    next
                }
            };
            granted.insert(*agent, told);
        }
        granted
    }
}

const fn building(presence: Presence) -> Option<BuildingId> {
    match presence {
        Presence::In(building) => Some(building),
        Presence::Nowhere | Presence::Gone => None,
    }
}

/// The targets of expedited traffic with their windows.
fn expedited(
    configuration: &v1::Configuration,
) -> impl Iterator<Item = (&v1::ConfiguredTarget, Recurring)> {
    configuration.targets.iter().filter_map(|target| Some((target, windows(target)?)))
}

/// When a target's expedited traffic is sent; `None` of other traffic.
fn windows(target: &v1::ConfiguredTarget) -> Option<Recurring> {
    KnownProfile::named(&target.profile).filter(|profile| profile.is_expedited())?;
    Some(Recurring::new(target.phase_ms.unwrap_or_default(), target.window_ms, target.period_ms))
}

#[cfg(test)]
mod tests;
