//! Incidents.

use std::collections::HashMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use busyhour_model::{Building, BuildingId, Incident, Scope, Subnet, SubnetId};
use serde::{Deserialize, Serialize};

use super::{Figures, Items, items, query};
use crate::app::App;
use crate::guard::Principal;
use crate::text;

/// The most incidents in one answer.
const MAX_INCIDENTS: usize = 10_000;

#[derive(Debug, Deserialize)]
pub(crate) struct IncidentQuery {
    /// Closed ones as well.
    #[serde(default)]
    closed: bool,
}

/// The life of one finding.
#[derive(Debug, Serialize)]
pub(crate) struct IncidentItem {
    id: String,
    building_id: String,
    building: Option<String>,
    scope: &'static str,
    subnet_id: Option<String>,
    subnet: Option<String>,
    network: Option<String>,
    link: Option<&'static str>,
    state: &'static str,
    opened_utc: String,
    closed_utc: Option<String>,
    first_bad_date: String,
    last_bad_date: String,
    hours_local: String,
    bad_days: u32,
    observed_days: u32,
    #[serde(flatten)]
    figures: Figures,
    sentence: String,
    simulated: bool,
}

impl IncidentItem {
    fn new(
        incident: &Incident,
        buildings: &HashMap<BuildingId, &Building>,
        subnets: &HashMap<SubnetId, &Subnet>,
    ) -> Self {
        let subnet = incident.subnet.and_then(|id| subnets.get(&id));
        let (worst, average) = (incident.worst_hour.as_ref(), incident.average.as_ref());
        Self {
            id: incident.id.to_string(),
            building_id: incident.building.to_string(),
            building: buildings.get(&incident.building).map(|building| building.name.clone()),
            scope: match incident.scope {
                Scope::Path(_) => "path",
                Scope::Agent(..) => "agent",
                Scope::Subnet(..) => "subnet",
                Scope::Building(_) => "building",
            },
            subnet_id: incident.subnet.map(|id| id.to_string()),
            subnet: subnet.map(|subnet| subnet.prefix.to_string()),
            network: subnet.map(|subnet| subnet.columns.network_name.clone()),
            link: incident.link.map(|link| link.as_str()),
            state: incident.state.as_str(),
            opened_utc: text::utc(incident.opened),
            closed_utc: incident.closed.map(text::utc),
            first_bad_date: incident.first_bad.to_string(),
            last_bad_date: incident.last_bad.to_string(),
            hours_local: text::hours(incident.from_minute, incident.until_minute),
            bad_days: incident.bad_days,
            observed_days: incident.observed_days,
            figures: Figures::new(worst, average, (incident.masked, incident.masking_factor)),
            sentence: incident.sentence.clone(),
            simulated: incident.simulated,
        }
    }
}

/// Incidents, newest first; closed ones only when asked for.
pub(crate) async fn list(
    _: Principal,
    State(app): State<App>,
    parameters: Result<Query<IncidentQuery>, QueryRejection>,
) -> Items<IncidentItem> {
    let closed = query(parameters)?.closed;
    let found = app.with_store(move |services| {
        let control = &services.control;
        Ok((control.incidents(closed)?, control.buildings()?, control.subnets()?))
    });
    let (incidents, buildings, subnets) = found.await?;
    let buildings = buildings.iter().map(|building| (building.id, building)).collect();
    let subnets = subnets.iter().map(|subnet| (subnet.id, subnet)).collect();
    let item = |incident: &Incident| IncidentItem::new(incident, &buildings, &subnets);
    Ok(items(incidents.iter().take(MAX_INCIDENTS).map(item).collect()))
}
