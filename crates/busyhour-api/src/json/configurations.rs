//! Configurations of agents: revisions of what is desired. `docs/FLEET.md`.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use busyhour_fleet::desired::{
    Desired, DesiredBudget, DesiredTarget, Difference, InvalidDesired, TargetWords, check_name,
    difference,
};
use busyhour_store::{AssignmentScope, ConfigurationRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Items, Single, body, items, parsed, query, single};
use crate::Services;
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// Revisions that a list has at most, the newest.
const MAX_LISTED: usize = 1_000;

/// A revision, without its targets.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RevisionItem {
    revision: u32,
    name: String,
    made_utc: String,
    made_by: String,
    targets: usize,
    subnet_bits_per_second: u32,
    building_bits_per_second: u32,
    /// For how many of everywhere, buildings, subnets, labels and agents it is in force.
    assignments: usize,
    /// Agents that run it.
    agents: usize,
}

/// The newest revisions, newest first.
pub(crate) async fn list(app: App) -> Items<RevisionItem> {
    let found = app.core().with_services(|services| {
        let store = services.planner.store();
        Ok((store.configurations(MAX_LISTED)?, store.desired()?))
    });
    let (rows, state) = found.await?;
    let (mut assignments, mut agents) = (HashMap::new(), HashMap::new());
    for assignment in &state.assignments {
        *assignments.entry(assignment.revision).or_insert(0) += 1;
    }
    for row in &state.reports {
        *agents.entry(row.report.revision).or_insert(0) += 1;
    }
    let item = |row: ConfigurationRow| -> Result<RevisionItem, Problem> {
        let desired = read(&row)?;
        let budget = desired.budget();
        Ok(RevisionItem {
            revision: row.revision,
            name: row.name,
            made_utc: text::utc(row.made),
            made_by: row.made_by,
            targets: desired.targets().len(),
            subnet_bits_per_second: budget.subnet_bits_per_second(),
            building_bits_per_second: budget.building_bits_per_second(),
            assignments: assignments.get(&row.revision).copied().unwrap_or_default(),
            agents: agents.get(&row.revision).copied().unwrap_or_default(),
        })
    };
    Ok(items(rows.into_iter().map(item).collect::<Result<_, _>>()?))
}

/// A target of a revision.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TargetItem {
    name: String,
    profile: &'static str,
    segment: Option<&'static str>,
    /// What its paths are judged by; null where the collector's own file says it.
    requirement: Option<String>,
    window_ms: u64,
    period_ms: u64,
    /// How many agents of each subnet measure it; 0 is all.
    agents_per_subnet: u32,
    /// What one agent sends to it on average.
    mean_bits_per_second: u64,
}

/// The targets of a revision, in its order.
pub(crate) async fn one(app: App, Path(id): Path<String>) -> Items<TargetItem> {
    let revision: u32 = parsed("the revision", &id)?;
    let row = app.core().with_services(move |services| row(services, revision));
    let desired = read(&row.await?)?;
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let item = |target: &DesiredTarget| TargetItem {
        name: target.name().to_string(),
        profile: target.profile().name,
        segment: target.segment().map(|segment| segment.as_str()),
        requirement: target.requirement().map(|requirement| requirement.to_string()),
        window_ms: millis(target.window()),
        period_ms: millis(target.period()),
        agents_per_subnet: target.agents_per_subnet().unwrap_or_default(),
        mean_bits_per_second: target.mean_bits_per_second(),
    };
    Ok(items(desired.targets().iter().map(item).collect()))
}

/// One thing that differs between two revisions.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DifferenceItem {
    subject: String,
    /// Null when it was not there.
    before: Option<String>,
    /// Null when it is not there any more.
    after: Option<String>,
}

impl From<Difference> for DifferenceItem {
    fn from(difference: Difference) -> Self {
        let Difference { subject, before, after } = difference;
        Self { subject, before, after }
    }
}

/// What a revision is compared with.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct DiffQuery {
    /// The revision before it of the same name, when not told; then the first differs from nothing.
    from: Option<u32>,
}

/// What differs between two revisions.
pub(crate) async fn diff(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<DiffQuery>, QueryRejection>,
) -> Items<DifferenceItem> {
    let revision: u32 = parsed("the revision", &id)?;
    let from = query(parameters)?.from;
    let found = app.core().with_services(move |services| {
        let after = row(services, revision)?;
        let before = match from {
            Some(from) => Some(row(services, from)?),
            None => services
                .planner
                .store()
                .configurations(usize::MAX)?
                .into_iter()
                .find(|older| older.revision < revision && older.name == after.name),
        };
        Ok((before, after))
    });
    let (before, after) = found.await?;
    let before = before.as_ref().map(read).transpose()?;
    let differences = difference(before.as_ref(), &read(&after)?);
    Ok(items(differences.into_iter().map(DifferenceItem::from).collect()))
}

/// What is desired of agents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeRevision {
    name: String,
    #[serde(default)]
    target: Vec<MakeTarget>,
    #[serde(default)]
    budget: MakeBudget,
    /// Say what would differ, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MakeTarget {
    name: String,
    profile: Option<String>,
    segment: Option<String>,
    requirement: Option<String>,
    window_ms: Option<u32>,
    period_ms: Option<u32>,
    agents_per_subnet: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct MakeBudget {
    subnet_bits_per_second: Option<u32>,
    building_bits_per_second: Option<u32>,
}

/// A revision that was made, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MadeRevision {
    name: String,
    /// Null of one that would be made.
    revision: Option<u32>,
    /// False when the newest revision of the name says the same.
    changed: bool,
    differences: Vec<DifferenceItem>,
}

/// Makes a revision. It is in force for nobody before it is assigned.
pub(crate) async fn make(
    app: App,
    request: Result<Json<MakeRevision>, JsonRejection>,
) -> Result<(StatusCode, Json<Single<MadeRevision>>), Problem> {
    let request = body(request)?;
    check_name(&request.name).map_err(|error| invalid(&error))?;
    let (name, dry_run) = (request.name.clone(), request.dry_run);
    let desired = desired(request).map_err(|error| invalid(&error))?;
    let by = app.act();
    let made = app.core().with_services(move |services| {
        let store = services.planner.store();
        let rows = store.configurations(usize::MAX)?;
        let newest = rows.iter().find(|row| row.name == name);
        let before = newest.map(read).transpose()?;
        let differences = difference(before.as_ref(), &desired);
        let differences: Vec<_> = differences.into_iter().map(DifferenceItem::from).collect();
        let (revision, changed) = if dry_run {
            (
                newest.filter(|_| differences.is_empty()).map(|row| row.revision),
                !differences.is_empty(),
            )
        } else {
            let (revision, changed) = store.add_configuration(&name, &desired.encode(), &by)?;
            (Some(revision), changed)
        };
        Ok(MadeRevision { name, revision, changed, differences })
    });
    let made = made.await?;
    let status = if made.changed && !dry_run { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, single(made)))
}

fn desired(request: MakeRevision) -> Result<Desired, InvalidDesired> {
    let target = |target: MakeTarget| {
        DesiredTarget::new(&TargetWords {
            name: target.name,
            profile: target.profile,
            segment: target.segment,
            requirement: target.requirement,
            window_ms: target.window_ms,
            period_ms: target.period_ms,
            agents_per_subnet: target.agents_per_subnet,
        })
    };
    let targets = request.target.into_iter().map(target).collect::<Result<_, _>>()?;
    let MakeBudget { subnet_bits_per_second, building_bits_per_second } = request.budget;
    let budget = DesiredBudget::new(subnet_bits_per_second, building_bits_per_second)?;
    Desired::new(targets, budget)
}

fn invalid(error: &InvalidDesired) -> Problem {
    Problem::unprocessable(error.to_string(), Vec::new())
}

fn row(services: &Services, revision: u32) -> Result<ConfigurationRow, Problem> {
    let row = services.planner.store().configuration(revision)?;
    row.ok_or_else(|| Problem::not_found("no configuration has this revision"))
}

fn read(row: &ConfigurationRow) -> Result<Desired, Problem> {
    Desired::decode(&row.body).map_err(|error| {
        tracing::error!(revision = row.revision, %error, "a configuration cannot be read");
        Problem::internal()
    })
}

/// The words of a scope for whoever reads names.
pub(super) struct ScopeNames {
    names: BTreeMap<AssignmentScope, String>,
}

impl ScopeNames {
    pub(super) fn read(services: &Services) -> Result<Self, Problem> {
        let control = &services.control;
        let buildings = control.buildings()?.into_iter();
        let buildings =
            buildings.map(|building| (AssignmentScope::Building(building.id), building.name));
        let subnets = control.subnets()?.into_iter();
        let subnets =
            subnets.map(|subnet| (AssignmentScope::Subnet(subnet.id), subnet.prefix.to_string()));
        let agents = control.agents()?.into_iter();
        let agents = agents.map(|agent| (AssignmentScope::Agent(agent.id), agent.name));
        Ok(Self { names: buildings.chain(subnets).chain(agents).collect() })
    }

    /// What the scope is about: a name, or the identity of what is not in force any more.
    pub(super) fn of(&self, scope: &AssignmentScope) -> Option<String> {
        if let Some(name) = self.names.get(scope) {
            return Some(name.clone());
        }
        match scope {
            AssignmentScope::Everywhere => None,
            AssignmentScope::Building(building) => Some(building.to_string()),
            AssignmentScope::Subnet(subnet) => Some(subnet.to_string()),
            AssignmentScope::Label(label) => Some(label.to_string()),
            AssignmentScope::Agent(agent) => Some(agent.to_string()),
        }
    }
}
