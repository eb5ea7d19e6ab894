//! What each agent is to be told, from everything that decides it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use busyhour_model::{AgentId, BuildingId, RequirementProfile, TargetName, UtcMicros};
use busyhour_proto::v1;
use busyhour_store::{
    AgentRow, AssignmentRow, AssignmentScope, ConfigurationReport, DesiredState, Label, RefusalRow,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::desired::Desired;
use crate::timetable::{Candidate, timetable};

/// An agent that was not seen for so long is gone: others measure in its place. Agents that deliver are
/// noted once a minute.
pub const GONE_AFTER: Duration = Duration::from_secs(5 * 60);

/// Whether an agent can be told anything, and measure something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there, in this building.
    In(BuildingId),
    /// It is there and in no building: budgets of buildings could not hold for it.
    Nowhere,
    /// It was not seen for a while; it goes on with what it was told last.
    Gone,
}

/// What is planned for one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The revision that is assigned to it, and by what.
    pub assigned: Option<(u32, AssignmentScope)>,
    /// The revision that it is told: the one assigned, or while it refuses that one the one it runs; 0
    /// for none.
    pub revision: u32,
    /// Whether it can be told.
    pub presence: Presence,
    /// What it is to measure.
    pub targets: Vec<v1::ConfiguredTarget>,
    /// How often it refused the revision before: what it is told again must not look the same.
    pub tries: u32,
    /// It never had a configuration and gets none: there is nothing to tell it.
    pub untouched: bool,
}

impl Planned {
    /// What it is told; `None` when there is nothing to tell, or nobody to be told.
    #[must_use]
    pub fn told(&self) -> Option<v1::Configuration> {
        let silent = self.untouched || self.presence == Presence::Gone;
        (!silent).then(|| self.sealed(self.targets.clone()))
    }

    /// A configuration of these targets, with the edition that tells it from others.
    pub(crate) fn sealed(&self, targets: Vec<v1::ConfiguredTarget>) -> v1::Configuration {
        sealed(self.revision, self.tries, targets)
    }
}

/// What is planned for all agents.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// By agent; simulated ones are not in it.
    pub agents: BTreeMap<AgentId, Planned>,
    /// By building, how many roles are desired that budgets have no room for.
    pub left_out: BTreeMap<BuildingId, u32>,
    /// By revision in use, what its targets are judged by, where it says it.
    pub requirements: BTreeMap<u32, HashMap<TargetName, RequirementProfile>>,
    /// Revisions in use that this version cannot read.
    pub unreadable: BTreeSet<u32>,
}

/// Plans from what holds at a moment, by somebody who looks who is there since another.
#[must_use]
pub fn plan(state: &DesiredState, now: UtcMicros, since: UtcMicros) -> Plan {
    let mut plan = Plan::default();
    let mut desired = BTreeMap::new();
    for row in &state.configurations {
        match Desired::decode(&row.body) {
            Ok(found) => {
                desired.insert(row.revision, found);
            }
            Err(_) => {
                plan.unreadable.insert(row.revision);
            }
        }
    }
    let names: HashMap<u32, &str> =
        state.configurations.iter().map(|row| (row.revision, row.name.as_str())).collect();
    let assignments = Assignments::of(state);
    let reports: HashMap<AgentId, &ConfigurationReport> =
        state.reports.iter().map(|row| (row.agent, &row.report)).collect();
    let refusals: BTreeMap<(AgentId, u32), &RefusalRow> =
        state.refusals.iter().map(|row| ((row.agent, row.revision), row)).collect();
    let mut candidates = Vec::new();
    for agent in state.agents.iter().filter(|agent| !agent.simulated) {
        let (report, assigned) = (reports.get(&agent.id), assignments.of_agent(agent));
        let may = |revision: &u32| {
            let refused = refusals.get(&(agent.id, *revision));
            desired.contains_key(revision) && refused.is_none_or(|refused| refused.again)
        };
        let wanted = assigned.as_ref().map(|(revision, _)| *revision);
        // What it runs it does well with, whatever it went back from: another content of the same
        // revision, maybe. Of other configurations nothing is told because it says so.
        let known = |revision: &u32| {
            let is_of_same = |wanted| names.get(&wanted) == names.get(revision);
            desired.contains_key(revision) && wanted.is_some_and(is_of_same)
        };
        let running = report.map(|report| report.revision);
        let revision = wanted.filter(may).or_else(|| running.filter(known)).unwrap_or_default();
        let presence = presence(agent, now, since);
        if let (Presence::In(building), Some(placement)) = (presence, agent.placement) {
            let subnet = placement.subnet;
            let assigned = wanted.unwrap_or_default();
            candidates.push(Candidate { building, subnet, agent: agent.id, revision, assigned });
        }
        let untouched = revision == 0 && report.is_none_or(|report| report.told_revision == 0);
        let tries = refusals.get(&(agent.id, revision)).map_or(0, |refused| refused.times);
        let targets = Vec::new();
        let planned = Planned { assigned, revision, presence, targets, tries, untouched };
        plan.agents.insert(agent.id, planned);
    }
    let elected = timetable(&candidates, &desired);
    plan.left_out = elected.left_out;
    for (agent, roles) in elected.roles {
        let Some(planned) = plan.agents.get_mut(&agent) else { continue };
        let Some(desired) = desired.get(&planned.revision) else { continue };
        let told = roles.iter().filter_map(|role| {
            desired.targets().get(role.target).map(|target| target.told(role.phase_ms))
        });
        planned.targets = told.collect();
    }
    for (revision, desired) in &desired {
        let told = desired.targets().iter();
        let told = told.filter_map(|target| Some((target.name().clone(), target.requirement()?)));
        plan.requirements.insert(*revision, told.collect());
    }
    plan
}

fn presence(agent: &AgentRow, now: UtcMicros, since: UtcMicros) -> Presence {
    // While nobody looked nobody went.
    let seen = agent.sighting.as_ref().map(|seen| seen.at.max(since));
    match agent.placement {
        _ if seen.is_none_or(|seen| seen.plus(GONE_AFTER) < now) => Presence::Gone,
        Some(placement) => Presence::In(placement.building),
        None => Presence::Nowhere,
    }
}

/// What is in force for whom.
struct Assignments<'s> {
    rows: BTreeMap<&'s AssignmentScope, &'s AssignmentRow>,
    labels: BTreeMap<AgentId, BTreeSet<&'s Label>>,
}

impl<'s> Assignments<'s> {
    fn of(state: &'s DesiredState) -> Self {
        let mut labels: BTreeMap<AgentId, BTreeSet<&Label>> = BTreeMap::new();
        for (agent, label) in &state.labels {
            labels.entry(*agent).or_default().insert(label);
        }
        Self { rows: state.assignments.iter().map(|row| (&row.scope, row)).collect(), labels }
    }

    /// The most particular one that holds for an agent.
    fn of_agent(&self, agent: &AgentRow) -> Option<(u32, AssignmentScope)> {
        let labels = self.labels.get(&agent.id).into_iter().flatten();
        let labels = labels.map(|label| AssignmentScope::Label((*label).clone()));
        let subnet = agent.placement.map(|placement| AssignmentScope::Subnet(placement.subnet));
        let building =
            agent.placement.map(|placement| AssignmentScope::Building(placement.building));
        let mut scopes = [AssignmentScope::Agent(agent.id)]
            .into_iter()
            .chain(labels)
            .chain(subnet)
            .chain(building)
            .chain([AssignmentScope::Everywhere]);
        scopes.find_map(|scope| Some((self.rows.get(&scope)?.revision, scope)))
    }
}

/// A configuration with the edition that tells its content from others.
fn sealed(revision: u32, tries: u32, targets: Vec<v1::ConfiguredTarget>) -> v1::Configuration {
    let mut configuration = v1::Configuration { revision, edition: 0, targets };
    let mut digest = Sha256::new_with_prefix(tries.to_be_bytes());
    digest.update(configuration.encode_to_vec());
    let digest: [u8; 32] = digest.finalize().into();
    let edition = digest.iter().take(8).fold(0, |edition, byte| (edition << 8) | u64::from(*byte));
    configuration.edition = edition.max(1);
    configuration
}

#[cfg(test)]
mod tests;
