//! What each agent is to be told, from everything that decides it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use busyhour_model::{
    AgentId, BuildingId, EXPEDITED_LEASE, RequirementProfile, SubnetId, TargetName, UtcMicros,
};
use busyhour_proto::v1;
use busyhour_store::{
    AgentRow, AssignmentRow, AssignmentScope, DesiredState, Label, RefusalRow, ReportRow,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::desired::Desired;
use crate::timetable::{Candidate, Room, timetable};

/// An agent that was not seen for so long is gone: others measure in its place. Agents that deliver are
/// noted once a minute.
pub const GONE_AFTER: Duration = Duration::from_secs(5 * 60);

/// An agent that was not seen for so long sends none of the expedited traffic that it was told to: it lets go
/// of that by its own clock, which may be slower than this one, and what it was answered last it asked for
/// before it was seen.
pub(crate) const LET_GO_AFTER: Duration = EXPEDITED_LEASE.saturating_add(Duration::from_secs(60));

/// Whether an agent can be told anything, and measure something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there, in this building.
    In(BuildingId),
    /// It is there and in no building: budgets of buildings could not hold for it.
    Nowhere,
    /// It was not seen for a while; it goes on with what it was told last, for a while with expedited traffic, too.
    Gone,
}

/// Why an agent that is there is not given all that it could measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It never said anything of configurations: it is of a version that knows none.
    Mute,
    /// It was told something and did not say for a while what became of that.
    Silent,
    /// Measuring is paused there: by its owner, on battery, or on a metered link.
    Paused,
    /// Nobody knows its clock, by which it would keep its times: no expedited traffic.
    ClockUnknown,
    /// Its clock is too far from the collector's: no expedited traffic.
    ClockOff {
        /// How far the collector's is ahead, in microseconds.
        offset_us: i64,
    },
}

impl Unfit {
    /// Whether it may measure what is not expedited.
    const fn measures_some(self) -> bool {
        matches!(self, Self::ClockUnknown | Self::ClockOff { .. })
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mute => f.write_str("it says nothing of configurations"),
            Self::Silent => f.write_str("it does not say what became of what it was told"),
            Self::Paused => f.write_str("measuring is paused there"),
            Self::ClockUnknown => f.write_str("its clock is not known: no expedited traffic"),
            Self::ClockOff { offset_us } => {
                // For people: a tenth of a second is enough.
                let tenths = offset_us.unsigned_abs() / 100_000;
                let side = if *offset_us > 0 { "behind" } else { "ahead" };
                let (seconds, tenth) = (tenths / 10, tenths % 10);
                write!(f, "its clock is {seconds}.{tenth} s {side}: no expedited traffic")
            }
        }
    }
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
    /// Where in its building it is.
    pub subnet: Option<SubnetId>,
    /// In which building it may still be sending expedited traffic though it is gone.
    pub sends_in: Option<BuildingId>,
    /// Why it is not given all that it could measure.
    pub unfit: Option<Unfit>,
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
        let deaf = matches!(self.unfit, Some(Unfit::Mute | Unfit::Silent));
        let none = self.untouched || deaf || self.presence == Presence::Gone;
        (!none).then(|| self.sealed(self.targets.clone()))
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
    /// What those who are there may send together.
    pub room: Room,
    /// By revision in use, what its targets are judged by, where it says it.
    pub requirements: BTreeMap<u32, HashMap<TargetName, RequirementProfile>>,
    /// Revisions in use that this version cannot read.
    pub unreadable: BTreeSet<u32>,
}

/// What a plan is made by, besides what is stored.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'s> {
    /// Now.
    pub now: UtcMicros,
    /// Since when it is looked who is there.
    pub since: UtcMicros,
    /// Until when it was looked before.
    pub before: UtcMicros,
    /// When agents were heard last, where that is known better than from what is stored.
    pub heard: &'s HashMap<AgentId, UtcMicros>,
    /// Agents that do not say what became of what they were told.
    pub silent: &'s BTreeSet<AgentId>,
}

/// Plans from what holds at a moment.
#[must_use]
pub fn plan(state: &DesiredState, moment: &Moment<'_>) -> Plan {
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
    let reports: HashMap<AgentId, &ReportRow> =
        state.reports.iter().map(|row| (row.agent, row)).collect();
    let refusals: BTreeMap<(AgentId, u32), &RefusalRow> =
        state.refusals.iter().map(|row| ((row.agent, row.revision), row)).collect();
    let mut candidates = Vec::new();
    for agent in state.agents.iter().filter(|agent| !agent.simulated) {
        let (row, assigned) = (reports.get(&agent.id), assignments.of_agent(agent));
        let report = row.map(|row| &row.report);
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
        let (presence, sends_in) = presence(agent, moment);
        let unfit = unfit(row.copied(), moment.silent.contains(&agent.id));
        let subnet = agent.placement.map(|placement| placement.subnet);
        if let (Presence::In(building), Some(subnet)) = (presence, subnet)
            && unfit.is_none_or(Unfit::measures_some)
        {
            candidates.push(Candidate {
                building,
                subnet,
                agent: agent.id,
                revision,
                assigned: wanted.unwrap_or_default(),
                keeps_time: unfit.is_none(),
            });
        }
        let untouched = revision == 0 && report.is_none_or(|report| report.told_revision == 0);
        let tries = refusals.get(&(agent.id, revision)).map_or(0, |refused| refused.times);
        let targets = Vec::new();
        let planned = Planned {
            assigned,
            revision,
            presence,
            subnet,
            sends_in,
            unfit,
            targets,
            tries,
            untouched,
        };
        plan.agents.insert(agent.id, planned);
    }
    let elected = timetable(&candidates, &desired);
    (plan.left_out, plan.room) = (elected.left_out, elected.room);
    for (agent, roles) in elected.roles {
        let Some(planned) = plan.agents.get_mut(&agent) else { continue };
        let Some(desired) = desired.get(&planned.revision) else { continue };
        let told = roles.iter().filter_map(|role| {
            desired.targets().get(role.target).map(|target| target.told(role.phase_ms))
        });
        planned.targets = told.collect();
    }
    plan.requirements = requirements(&desired);
    plan
}

/// By revision, what its targets are judged by, where it says it.
fn requirements(
    desired: &BTreeMap<u32, Desired>,
) -> BTreeMap<u32, HashMap<TargetName, RequirementProfile>> {
    let of = |desired: &Desired| {
        let told = desired.targets().iter();
        told.filter_map(|target| Some((target.name().clone(), target.requirement()?))).collect()
    };
    desired.iter().map(|(revision, desired)| (*revision, of(desired))).collect()
}

/// When an agent was there for all that is known.
fn seen(agent: &AgentRow, moment: &Moment<'_>) -> Option<UtcMicros> {
    let noted = agent.sighting.as_ref().map(|seen| seen.at);
    // While nobody looked nobody went, but for those that had gone for good by then.
    let had_gone = |seen: &UtcMicros| seen.plus(LET_GO_AFTER) < moment.before;
    let noted = noted.map(|seen| if had_gone(&seen) { seen } else { seen.max(moment.since) });
    noted.max(moment.heard.get(&agent.id).copied())
}

/// Whether an agent is there, and in which building it may send calls where it is not.
fn presence(agent: &AgentRow, moment: &Moment<'_>) -> (Presence, Option<BuildingId>) {
    let seen = seen(agent, moment);
    let within = |time: Duration| seen.is_some_and(|seen| moment.now <= seen.plus(time));
    let building = agent.placement.map(|placement| placement.building);
    match building {
        _ if !within(GONE_AFTER) => (Presence::Gone, building.filter(|_| within(LET_GO_AFTER))),
        Some(building) => (Presence::In(building), None),
        None => (Presence::Nowhere, None),
    }
}

fn unfit(row: Option<&ReportRow>, silent: bool) -> Option<Unfit> {
    let Some(row) = row else { return Some(Unfit::Mute) };
    match row.clock {
        _ if silent => Some(Unfit::Silent),
        _ if row.report.paused => Some(Unfit::Paused),
        None => Some(Unfit::ClockUnknown),
        Some(clock) if !clock.close => Some(Unfit::ClockOff { offset_us: clock.offset_us }),
        Some(_) => None,
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
