//! The identities of agents that were enrolled: where each stands, approving, revoking.

use std::collections::HashMap;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use busyhour_model::{AgentId, BuildingId};
use busyhour_store::{ErrorKind, IdentityRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tokens::{fleet_problem, missing};
use super::{Items, Single, body, items, parsed, single};
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// The longest reason, in bytes: a sentence.
const MAX_REASON_BYTES: usize = 512;

/// An agent with a certificate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IdentityItem {
    id: String,
    name: String,
    /// `waiting`, `active`, `quarantined` or `revoked`.
    state: &'static str,
    since_utc: String,
    reason: String,
    /// The building it was enrolled for; null when that is no longer in force.
    building: Option<String>,
    subnet: Option<String>,
    /// Its addresses contradict where it was enrolled for.
    off_site: bool,
    /// It renewed a certificate that had expired, and nobody looked at it since.
    renewed_late: bool,
    token: String,
    enrolled_utc: String,
    certificate_from_utc: String,
    certificate_expires_utc: String,
    certificate_expired: bool,
    /// It has its next certificate and did not use it yet.
    next_certificate: bool,
}

/// All agents that were enrolled, by name.
pub(crate) async fn list(app: App) -> Items<IdentityItem> {
    Ok(items(all(&app).await?))
}

/// The same, for who answers in another form.
pub(crate) async fn all(app: &App) -> Result<Vec<IdentityItem>, Problem> {
    let found = app.core().with_services(|services| {
        let identities = services.fleet.identities().map_err(fleet_problem)?;
        Ok((identities, services.control.buildings()?))
    });
    let (identities, buildings) = found.await?;
    let names: HashMap<BuildingId, String> =
        buildings.into_iter().map(|building| (building.id, building.name)).collect();
    let now = app.now();
    let item = |row: IdentityRow| IdentityItem {
        id: row.agent.to_string(),
        name: row.name,
        state: row.state.as_str(),
        since_utc: text::utc(row.since),
        reason: row.reason,
        building: names.get(&row.building).cloned(),
        subnet: row.subnet.map(|subnet| subnet.to_string()),
        off_site: row.off_site,
        renewed_late: row.late,
        token: row.token.to_string(),
        enrolled_utc: text::utc(row.enrolled),
        certificate_from_utc: text::utc(row.certificate.from),
        certificate_expires_utc: text::utc(row.certificate.until),
        certificate_expired: row.certificate.until <= now,
        next_certificate: row.next.is_some(),
    };
    Ok(identities.into_iter().map(item).collect())
}

/// Agents that may deliver from now on.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApprovedItem {
    id: String,
}

/// Approves one agent that waits or is quarantined.
pub(crate) async fn approve(
    app: App,
    Path(id): Path<String>,
) -> Result<Json<Single<ApprovedItem>>, Problem> {
    let agent: AgentId = parsed("the agent's id", &id)?;
    let by = app.act();
    let approved = app.core().with_services(move |services| {
        services.fleet.approve(agent, &by).map_err(|error| match &error {
            _ if missing(&error).is_some() => none(),
            busyhour_fleet::FleetError::Store(store) if store.kind() == ErrorKind::Conflict => {
                Problem::conflict("this agent was revoked; enrol its machine again")
            }
            _ => fleet_problem(error),
        })
    });
    approved.await?;
    Ok(single(ApprovedItem { id: agent.to_string() }))
}

/// Whose agents are to be approved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveBuilding {
    building: String,
}

/// Approves all agents of a building that wait; who they are.
pub(crate) async fn approve_building(
    app: App,
    request: Result<Json<ApproveBuilding>, JsonRejection>,
) -> Items<ApprovedItem> {
    let (name, by) = (body(request)?.building, app.act());
    let approved = app.core().with_services(move |services| {
        let buildings = services.control.buildings()?;
        let found = buildings.iter().find(|building| building.name == name);
        let building = found.ok_or_else(|| {
            Problem::unprocessable(format!("no building in force is named {name:?}"), Vec::new())
        })?;
        services.fleet.approve_building(building.id, &by).map_err(fleet_problem)
    });
    let item = |agent: AgentId| ApprovedItem { id: agent.to_string() };
    Ok(items(approved.await?.into_iter().map(item).collect()))
}

/// Why an agent is to deliver no more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeAgent {
    #[serde(default)]
    reason: String,
}

/// An agent that delivers no more.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RevokedItem {
    id: String,
}

/// Revokes an agent and ends its session: when this answers, nothing of it is acknowledged any more.
pub(crate) async fn revoke(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<RevokeAgent>, JsonRejection>,
) -> Result<Json<Single<RevokedItem>>, Problem> {
    let agent: AgentId = parsed("the agent's id", &id)?;
    let reason = body(request)?.reason;
    if reason.len() > MAX_REASON_BYTES || reason.chars().any(char::is_control) {
        let detail =
            format!("a reason is at most {MAX_REASON_BYTES} bytes without control characters");
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    let by = app.act();
    let revoked = app.core().with_services(move |services| {
        let revoked = services.fleet.revoke(agent, &reason, &by);
        revoked.map_err(|error| missing(&error).map_or_else(|| fleet_problem(error), |()| none()))
    });
    revoked.await?;
    Ok(single(RevokedItem { id: agent.to_string() }))
}

fn none() -> Problem {
    Problem::not_found("no agent with a certificate has this id")
}
