//! Agents that go: removed, or forgotten with all they delivered.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use busyhour_model::{AgentId, PathId};
use busyhour_store::AgentRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Items, Single, body, items, parsed, query, single};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// What would go with an agent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GoingItem {
    id: String,
    name: String,
    simulated: bool,
    added_utc: String,
    removed_utc: Option<String>,
    last_seen_utc: Option<String>,
    local_prefix: Option<String>,
    peer: Option<String>,
    /// Places where it was, past and present.
    placements: usize,
    paths: usize,
    oldest_window_utc: Option<String>,
    newest_window_utc: Option<String>,
}

/// What would go if an agent were forgotten. Changes nothing.
pub(crate) async fn preview(app: App, Path(id): Path<String>) -> Items<GoingItem> {
    let id: AgentId = parsed("the agent's id", &id)?;
    let found = app.with_store(move |services| {
        let (agent, control) = (find(services, id)?, &services.control);
        let placements =
            control.placements()?.iter().filter(|placement| placement.agent == id).count();
        Ok((agent, placements, services.telemetry.paths(Some(id))?))
    });
    let (agent, placements, paths) = found.await?;
    let seen = agent.sighting.as_ref();
    Ok(items(vec![GoingItem {
        id: id.to_string(),
        simulated: agent.simulated,
        added_utc: text::utc(agent.added),
        removed_utc: agent.removed.map(text::utc),
        last_seen_utc: seen.map(|seen| text::utc(seen.at)),
        local_prefix: seen.and_then(|seen| seen.local_prefix).map(|prefix| prefix.to_string()),
        peer: seen.and_then(|seen| seen.peer).map(|peer| peer.to_string()),
        placements,
        paths: paths.len(),
        oldest_window_utc: paths.iter().map(|path| path.oldest).min().map(text::utc),
        newest_window_utc: paths.iter().map(|path| path.newest).max().map(text::utc),
        name: agent.name,
    }]))
}

/// The agent's name, said once more, so that no other one goes by mistake.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    confirm: Option<String>,
}

impl Confirmation {
    fn check(&self, agent: &AgentRow) -> Result<(), Problem> {
        if self.confirm.as_deref() == Some(agent.name.as_str()) {
            return Ok(());
        }
        let detail = "say the agent's name as confirm: what goes does not come back";
        Err(Problem::unprocessable(detail, Vec::new()))
    }
}

/// What went with an agent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Gone {
    id: String,
    name: String,
    paths: u64,
    windows: u64,
    slots: u64,
    /// Checks, facts, loads, gaps and reports.
    others: u64,
    placements: u64,
    verdicts: u64,
    incidents: u64,
    /// Days of its buildings' loads that told what it did.
    building_load_days: u64,
    /// Months of its paths.
    path_months: u64,
    /// Bytes of it may still be in the files, because a reader or another process was in the way;
    /// pruning or another `forget` overwrites them.
    lingers: bool,
}

/// Forgets an agent with all that it delivered. What its building was judged to be stays.
pub(crate) async fn forget(
    app: App,
    Path(id): Path<String>,
    confirmation: Result<Query<Confirmation>, QueryRejection>,
) -> Result<Json<Single<Gone>>, Problem> {
    let id: AgentId = parsed("the agent's id", &id)?;
    let confirmation = query(confirmation)?;
    let gone = app.with_store(move |services| {
        let agent = find(services, id)?;
        confirmation.check(&agent)?;
        let paths: Vec<PathId> =
            services.telemetry.paths(Some(id))?.iter().map(|path| path.id).collect();
        let (telemetry, control) = (services.telemetry.whole()?, services.control.whole()?);
        // Telemetry first: its blocks are refused from then on, and as long as its identity is there
        // all of this can be done again.
        let telemetry = telemetry.forget(id)?;
        let by = services.act((services.clock)());
        let rest = control.forget_agent(id, &paths, &telemetry, &by)?;
        services.end_session(id);
        Ok(Gone {
            id: id.to_string(),
            name: agent.name,
            paths: telemetry.paths,
            windows: telemetry.windows,
            slots: telemetry.slots,
            others: telemetry.others,
            placements: rest.placements,
            verdicts: rest.verdicts,
            incidents: rest.incidents,
            building_load_days: rest.loads,
            path_months: rest.months,
            lingers: telemetry.lingers || rest.lingers,
        })
    });
    Ok(single(gone.await?))
}

/// An agent that is let in no more.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Removed {
    id: String,
    name: String,
}

/// Lets an agent in no more; what it measured stays.
pub(crate) async fn remove(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<Confirmation>, JsonRejection>,
) -> Result<Json<Single<Removed>>, Problem> {
    let id: AgentId = parsed("the agent's id", &id)?;
    let confirmation = body(request)?;
    let removed = app.with_store(move |services| {
        let agent = find(services, id)?;
        confirmation.check(&agent)?;
        if agent.removed.is_some() {
            return Err(Problem::conflict(format!("{:?} was removed already", agent.name)));
        }
        services.control.whole()?.remove_agent(id, &services.act((services.clock)()))?;
        services.end_session(id);
        Ok(Removed { id: id.to_string(), name: agent.name })
    });
    Ok(single(removed.await?))
}

fn find(services: &Scoped, id: AgentId) -> Result<AgentRow, Problem> {
    let found = services.control.agents()?.into_iter().find(|agent| agent.id == id);
    found.ok_or_else(|| Problem::not_found("no agent has this id"))
}
