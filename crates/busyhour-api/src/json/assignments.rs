//! For whom configurations are in force, and what agents run. `docs/FLEET.md`.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use busyhour_fleet::plan::{Plan, Planned, Presence};
use busyhour_model::AgentId;
use busyhour_store::{
    AgentRow, AssignmentRow, AssignmentScope, ConfigurationState, DesiredState, ErrorKind, Label,
    ReportRow,
};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::configurations::ScopeNames;
use super::{Items, Single, body, items, parsed, single};
use crate::Services;
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// Labels of one agent.
const MAX_LABELS: usize = 16;

/// For whom a revision is in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AssignmentItem {
    /// `everywhere`, `building`, `subnet`, `label` or `agent`.
    scope: &'static str,
    /// The name of that; null of everywhere.
    subject: Option<String>,
    revision: u32,
    from_utc: String,
    by: String,
}

/// What is in force for whom; the more particular decides.
pub(crate) async fn list(app: App) -> Items<AssignmentItem> {
    let found = app.core().with_services(|services| {
        let mut assignments = services.planner.store().desired()?.assignments;
        assignments.sort_by(|a, b| a.scope.cmp(&b.scope));
        Ok((assignments, ScopeNames::read(services)?))
    });
    let (assignments, names) = found.await?;
    let item = |row: AssignmentRow| AssignmentItem {
        scope: row.scope.word(),
        subject: names.of(&row.scope),
        revision: row.revision,
        from_utc: text::utc(row.from),
        by: row.by,
    };
    Ok(items(assignments.into_iter().map(item).collect()))
}

/// What is to be in force, and for whom: exactly one of the places.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    /// Null: nothing any more.
    revision: Option<u32>,
    #[serde(default)]
    everywhere: bool,
    building: Option<String>,
    subnet: Option<String>,
    egress: Option<String>,
    label: Option<String>,
    /// The agent's id.
    agent: Option<String>,
    /// Say what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// An agent for which an assignment changes something.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangeItem {
    id: String,
    name: String,
    /// The revision that it is told, before and after; 0 is none.
    before_revision: u32,
    after_revision: u32,
    /// How many targets it measures, before and after.
    before_targets: usize,
    after_targets: usize,
    /// `here`, `nowhere` or `gone`: only who is here measures.
    presence: &'static str,
}

/// Puts a revision in force; gives the agents for which that changes something.
pub(crate) async fn assign(
    app: App,
    request: Result<Json<Assign>, JsonRejection>,
) -> Items<ChangeItem> {
    let request = body(request)?;
    let (now, by) = (app.now(), app.act());
    let changed = app.core().with_services(move |services| {
        let store = services.planner.store();
        let scope = match scope(&request, services) {
            Err(problem) if request.revision.is_none() => {
                gone(&request, &store.desired()?.assignments).ok_or(problem)?
            }
            scope => scope?,
        };
        let no_such = || Problem::unprocessable("no configuration has this revision", Vec::new());
        let row = match request.revision {
            Some(revision) => Some(store.configuration(revision)?.ok_or_else(no_such)?),
            None => None,
        };
        let state = store.desired()?;
        let mut next = state.clone();
        next.assignments.retain(|assignment| assignment.scope != scope);
        if let Some(row) = row {
            let (revision, by) = (row.revision, by.actor.to_string());
            let mut again: Vec<AgentId> = Vec::new();
            let covered = state.agents.iter().filter(|agent| scope.covers(agent, &state.labels));
            again.extend(covered.map(|agent| agent.id));
            for refused in &mut next.refusals {
                refused.again |= refused.revision == revision && again.contains(&refused.agent);
            }
            next.configurations.retain(|known| known.revision != revision);
            next.configurations.push(row);
            let scope = scope.clone();
            next.assignments.push(AssignmentRow { scope, revision, from: now, by });
        }
        if !request.dry_run {
            store.assign_configuration(&scope, request.revision, &by).map_err(|error| {
                if error.kind() == ErrorKind::NotFound { no_such() } else { error.into() }
            })?;
            services.planner.wake();
        }
        Ok(changes(&state, &services.planner.plan(&state), &services.planner.plan(&next)))
    });
    Ok(items(changed.await?))
}

fn changes(state: &DesiredState, before: &Plan, after: &Plan) -> Vec<ChangeItem> {
    let change = |agent: &AgentRow| {
        let (old, new) = (before.agents.get(&agent.id)?, after.agents.get(&agent.id)?);
        let same = old.revision == new.revision && old.targets == new.targets;
        (!same).then(|| ChangeItem {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            before_revision: old.revision,
            after_revision: new.revision,
            before_targets: old.targets.len(),
            after_targets: new.targets.len(),
            presence: word(new.presence),
        })
    };
    state.agents.iter().filter_map(change).collect()
}

const fn word(presence: Presence) -> &'static str {
    match presence {
        Presence::In(_) => "here",
        Presence::Nowhere => "nowhere",
        Presence::Gone => "gone",
    }
}

/// The one place that is meant.
fn scope(request: &Assign, services: &Services) -> Result<AssignmentScope, Problem> {
    let refuse = |detail: String| Problem::unprocessable(detail, Vec::new());
    let Assign { everywhere, building, subnet, egress, label, agent, .. } = request;
    let told = [building.is_some(), subnet.is_some(), label.is_some(), agent.is_some()];
    let count = told.iter().filter(|told| **told).count() + usize::from(*everywhere);
    if count != 1 || (egress.is_some() && subnet.is_none()) {
        return Err(refuse("say one of everywhere, building, subnet, label and agent".to_owned()));
    }
    if let Some(label) = label {
        return Ok(AssignmentScope::Label(read_label(label)?));
    }
    if let Some(agent) = agent {
        let id: AgentId = parsed("the agent's id", agent)?;
        let agents = services.control.agents()?;
        let known = agents.iter().any(|agent| agent.id == id && agent.removed.is_none());
        let none = || refuse("no agent that is let in has this id".to_owned());
        return known.then_some(AssignmentScope::Agent(id)).ok_or_else(none);
    }
    if let Some(name) = building {
        let buildings = services.control.buildings()?;
        let found = buildings.iter().find(|building| building.name == *name);
        let found =
            found.ok_or_else(|| refuse(format!("no building in force is named {name:?}")))?;
        return Ok(AssignmentScope::Building(found.id));
    }
    let Some(prefix) = subnet else { return Ok(AssignmentScope::Everywhere) };
    let network = |name: &str, text: &str| Ok::<_, Problem>(parsed::<IpNet>(name, text)?.trunc());
    let prefix = network("subnet", prefix)?;
    let egress = egress.as_ref().map(|egress| network("egress", egress)).transpose()?;
    let fits = |subnet: &&busyhour_model::Subnet| {
        subnet.prefix == prefix && egress.is_none_or(|egress| subnet.egress == Some(egress))
    };
    let subnets = services.control.subnets()?;
    let fitting: Vec<_> = subnets.iter().filter(fits).collect();
    match fitting.as_slice() {
        [one] => Ok(AssignmentScope::Subnet(one.id)),
        [] => Err(refuse(format!("no building file in force has the subnet {prefix}"))),
        _ => Err(refuse(format!("several buildings have the subnet {prefix}: say which egress"))),
    }
}

/// An assignment to a building, subnet or agent that is not there any more, by its identity, as lists show it.
fn gone(request: &Assign, assignments: &[AssignmentRow]) -> Option<AssignmentScope> {
    let scopes = assignments.iter().map(|row| &row.scope);
    let said = [&request.building, &request.subnet, &request.agent];
    let found = scopes.into_iter().find(|scope| match scope {
        AssignmentScope::Building(id) => said[0].as_deref() == Some(&id.to_string()),
        AssignmentScope::Subnet(id) => said[1].as_deref() == Some(&id.to_string()),
        AssignmentScope::Agent(id) => said[2].as_deref() == Some(&id.to_string()),
        AssignmentScope::Everywhere | AssignmentScope::Label(_) => false,
    });
    found.cloned()
}

fn read_label(text: &str) -> Result<Label, Problem> {
    Label::new(text).map_err(|_| {
        let detail = "a label is 1 to 64 lower-case letters, digits, dots, hyphens and underscores";
        Problem::unprocessable(detail, Vec::new())
    })
}

/// What an agent is told, and what it says that it runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunItem {
    id: String,
    name: String,
    building: Option<String>,
    labels: String,
    /// The revision that is assigned to it, and by what.
    assigned_revision: Option<u32>,
    assigned_by: Option<String>,
    /// The revision that it is told: another one while it refuses the one assigned.
    told_revision: u32,
    /// Why it refuses the one assigned, or went back from it; null while it does not.
    refused_because: Option<String>,
    /// Why it is not given all that it could measure; null while it is.
    held_back_because: Option<String>,
    /// What is desired in its building and budgets, or calls one after the other, have no room for.
    left_out_in_building: u32,
    /// The targets that it was elected to measure.
    targets: usize,
    presence: &'static str,
    /// The revision that it says it runs; null when it was never told any.
    running_revision: Option<u32>,
    /// What it runs is what it is to run.
    up_to_date: bool,
    /// `committed`, `trial`, `refused` or `rolled-back`: what became of the last that it was told; null when
    /// it was told nothing.
    state: Option<&'static str>,
    /// The revision that this is about.
    state_revision: Option<u32>,
    reported_utc: Option<String>,
}

/// All agents, by name, with what they are to measure and what they run.
pub(crate) async fn agents(app: App) -> Items<RunItem> {
    let found = app.core().with_services(move |services| {
        let state = services.planner.store().desired()?;
        let told = services.planner.watch().borrow().clone();
        Ok((services.planner.plan(&state), state, told, ScopeNames::read(services)?))
    });
    let (mut plan, state, told, names) = found.await?;
    let reports: HashMap<AgentId, &ReportRow> =
        state.reports.iter().map(|row| (row.agent, row)).collect();
    let mut labels: BTreeMap<AgentId, Vec<&str>> = BTreeMap::new();
    for (agent, label) in &state.labels {
        labels.entry(*agent).or_default().push(label.as_str());
    }
    let refusals: HashMap<(AgentId, u32), &str> = state
        .refusals
        .iter()
        .filter(|row| !row.again)
        .map(|row| ((row.agent, row.revision), row.reason.as_str()))
        .collect();
    let item = |agent: &AgentRow| -> Option<RunItem> {
        let Planned { assigned, revision, presence, unfit, targets, .. } =
            plan.agents.remove(&agent.id)?;
        let report = reports.get(&agent.id).map(|row| &row.report);
        let report = report.filter(|report| report.state != ConfigurationState::Nothing);
        let left_out = agent.placement.and_then(|at| plan.left_out.get(&at.building));
        let wanted = told.configurations.get(&agent.id).map(|wanted| wanted.edition);
        let runs = report.map_or(0, |report| report.edition);
        let building = agent.placement.map(|at| AssignmentScope::Building(at.building));
        let by = |scope: &AssignmentScope| match names.of(scope) {
            Some(name) => format!("{} {name}", scope.word()),
            None => scope.word().to_owned(),
        };
        Some(RunItem {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            building: building.and_then(|building| names.of(&building)),
            labels: labels.get(&agent.id).map(|labels| labels.join(" ")).unwrap_or_default(),
            assigned_revision: assigned.as_ref().map(|(revision, _)| *revision),
            assigned_by: assigned.as_ref().map(|(_, scope)| by(scope)),
            told_revision: revision,
            refused_because: assigned
                .as_ref()
                .and_then(|(revision, _)| refusals.get(&(agent.id, *revision)))
                .map(|reason| (*reason).to_owned()),
            held_back_because: unfit.map(|unfit| unfit.to_string()),
            left_out_in_building: left_out.copied().unwrap_or_default(),
            targets: targets.len(),
            presence: word(presence),
            running_revision: report.map(|report| report.revision),
            up_to_date: wanted.is_none_or(|wanted| wanted == runs),
            state: report.map(|report| report.state.as_str()),
            state_revision: report.map(|report| report.told_revision),
            reported_utc: reports.get(&agent.id).map(|row| text::utc(row.at)),
        })
    };
    Ok(items(state.agents.iter().filter_map(item).collect()))
}

/// The labels of an agent from now on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelAgent {
    labels: Vec<String>,
}

/// An agent's labels.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LabelledAgent {
    id: String,
    labels: Vec<String>,
}

/// Gives an agent labels in place of those that it had.
pub(crate) async fn label(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<LabelAgent>, JsonRejection>,
) -> Result<Json<Single<LabelledAgent>>, Problem> {
    let agent: AgentId = parsed("the agent's id", &id)?;
    let request = body(request)?;
    if request.labels.len() > MAX_LABELS {
        let detail = format!("an agent has at most {MAX_LABELS} labels");
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    let labels = request.labels.iter().map(|label| read_label(label));
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    let by = app.act();
    let labelled = app.core().with_services(move |services| {
        services.planner.store().label_agent(agent, &labels, &by)?;
        services.planner.wake();
        Ok(())
    });
    labelled.await?;
    Ok(single(LabelledAgent { id, labels: request.labels }))
}
