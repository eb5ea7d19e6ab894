//! The building file: what is in force, what is missing, import and export.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use busyhour_model::building_file::{self, Finding};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Items, Single, body, items, single};
use crate::app::App;
use crate::guard::Principal;
use crate::problem::Problem;
use crate::text;

/// The most findings in one answer; a file with more is better mended in portions.
const MAX_FINDINGS: usize = 1_000;

/// A subnet.
#[derive(Debug, Serialize)]
pub(crate) struct SubnetItem {
    id: String,
    building_id: String,
    building: Option<String>,
    prefix: String,
    egress_prefix: Option<String>,
    network: String,
    city: String,
    country: String,
    region: String,
    inside_corp: bool,
    express_route: bool,
    vpn: bool,
    agent_count: usize,
}

/// Subnets in force, by building.
pub(crate) async fn subnets(_: Principal, State(app): State<App>) -> Items<SubnetItem> {
    let found = app.with_store(|services| {
        let control = &services.control;
        Ok((control.subnets()?, control.buildings()?, control.agents()?))
    });
    let (subnets, buildings, agents) = found.await?;
    let names: HashMap<_, _> = buildings.into_iter().map(|b| (b.id, b.name)).collect();
    let mut counts: HashMap<_, usize> = HashMap::new();
    for placement in agents.iter().filter_map(|agent| agent.placement) {
        *counts.entry(placement.subnet).or_default() += 1;
    }
    let item = |subnet: busyhour_model::Subnet| SubnetItem {
        id: subnet.id.to_string(),
        building_id: subnet.building.to_string(),
        building: names.get(&subnet.building).cloned(),
        prefix: subnet.prefix.to_string(),
        egress_prefix: subnet.egress.map(|egress| egress.to_string()),
        network: subnet.columns.network_name,
        city: subnet.columns.city,
        country: subnet.columns.country,
        region: subnet.columns.region,
        inside_corp: subnet.columns.inside_corp,
        express_route: subnet.columns.express_route,
        vpn: subnet.columns.vpn,
        agent_count: counts.get(&subnet.id).copied().unwrap_or(0),
    };
    Ok(items(subnets.into_iter().map(item).collect()))
}

/// A prefix that agents live in and no building file knows.
#[derive(Debug, Serialize)]
pub(crate) struct MissingItem {
    prefix: String,
    agent_count: usize,
    /// Names, separated by commas.
    agents: String,
    last_seen_utc: String,
}

/// What is missing from the building file, most agents first.
pub(crate) async fn missing(_: Principal, State(app): State<App>) -> Items<MissingItem> {
    let missing = app.with_store(|services| Ok(services.control.missing_prefixes()?)).await?;
    let item = |missing: busyhour_store::MissingPrefix| MissingItem {
        prefix: missing.prefix.to_string(),
        agent_count: missing.agents.len(),
        agents: missing.agents.join(", "),
        last_seen_utc: text::utc(missing.last_seen),
    };
    Ok(items(missing.into_iter().map(item).collect()))
}

/// A building file to be put in force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// The building file's text.
    file: String,
    /// The companion table's text.
    companion: Option<String>,
    /// Check only, change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What an import did, or would do.
#[derive(Debug, Serialize)]
pub(crate) struct Imported {
    imported: bool,
    buildings: u32,
    subnets: u32,
    buildings_added: Option<u32>,
    buildings_renamed: Option<u32>,
    buildings_ended: Option<u32>,
    subnets_added: Option<u32>,
    subnets_ended: Option<u32>,
    findings: Vec<Value>,
}

/// Checks a building file and puts it in force, or says what is wrong and changes nothing.
pub(crate) async fn import(
    _: Principal,
    State(app): State<App>,
    request: Result<Json<Import>, JsonRejection>,
) -> Result<Json<Single<Imported>>, Problem> {
    let request = body(request)?;
    let imported = app.with_store(move |services| {
        let parsed = building_file::parse(&request.file, request.companion.as_deref());
        let findings: Vec<Value> = parsed.findings.iter().take(MAX_FINDINGS).map(finding).collect();
        if parsed.has_errors() {
            let detail = "the building file has errors and nothing was changed";
            return Err(Problem::unprocessable(detail, findings));
        }
        let subnets = parsed.buildings.iter().map(|building| building.subnets.len()).sum::<usize>();
        let mut imported = Imported {
            imported: false,
            buildings: u32::try_from(parsed.buildings.len()).unwrap_or(u32::MAX),
            subnets: u32::try_from(subnets).unwrap_or(u32::MAX),
            buildings_added: None,
            buildings_renamed: None,
            buildings_ended: None,
            subnets_added: None,
            subnets_ended: None,
            findings,
        };
        if request.dry_run {
            return Ok(imported);
        }
        let done = services.control.import_buildings(&parsed.buildings, (services.clock)())?;
        imported.imported = true;
        imported.buildings = done.buildings;
        imported.subnets = done.subnets;
        imported.buildings_added = Some(done.buildings_added);
        imported.buildings_renamed = Some(done.buildings_renamed);
        imported.buildings_ended = Some(done.buildings_ended);
        imported.subnets_added = Some(done.subnets_added);
        imported.subnets_ended = Some(done.subnets_ended);
        Ok(imported)
    });
    Ok(single(imported.await?))
}

fn finding(finding: &Finding) -> Value {
    serde_json::json!({
        "severity": finding.severity.as_str(),
        "source": finding.source.as_str(),
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "remedy": finding.remedy,
    })
}

/// The building file in force, in the Call Quality Dashboard's 15 columns.
pub(crate) async fn export(_: Principal, State(app): State<App>) -> Result<Response, Problem> {
    let found =
        app.with_store(|services| Ok((services.control.buildings()?, services.control.subnets()?)));
    let (buildings, subnets) = found.await?;
    let file = building_file::export(&building_file::from_inventory(&buildings, &subnets));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=absent"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"buildings.csv\""),
    ];
    Ok((headers, file).into_response())
}
