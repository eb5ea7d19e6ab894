//! The building file: what is in force, what is missing, import and export.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::header;
use busyhour_model::building_file::{self, Finding, Severity, Source};
use busyhour_model::{AgentId, Building, FileBuilding, Subnet, UtcMicros};
use busyhour_store::{ImportPreview, ImportSummary};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::history::{AsOf, AsOfQuery};
use super::{Items, Single, body, items, query, single};
use crate::app::App;
use crate::operation::{Csv, Typed};
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// The most findings in one answer; a file with more is better mended in portions.
const MAX_FINDINGS: usize = 1_000;
/// How often a file is looked at again when somebody else imported one meanwhile.
const IMPORT_TRIES: usize = 3;

/// A subnet.
#[derive(Debug, Serialize, JsonSchema)]
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
    /// Simulated agents live there.
    simulated: bool,
}

/// Subnets in force now, or as of another time, by building.
pub(crate) async fn subnets(
    app: App,
    parameters: Result<Query<AsOfQuery>, QueryRejection>,
) -> Items<SubnetItem> {
    let as_of = AsOf::of(&query(parameters)?)?;
    let found = app.with_store(move |services| {
        let control = &services.control;
        Ok((as_of.inventory(control, (services.clock)())?, control.agents()?))
    });
    let (inventory, agents) = found.await?;
    let subnets = inventory.subnets;
    let names: HashMap<_, _> = inventory.buildings.into_iter().map(|b| (b.id, b.name)).collect();
    let simulated: HashSet<AgentId> =
        agents.iter().filter(|agent| agent.simulated).map(|agent| agent.id).collect();
    let mut counts: HashMap<_, (usize, bool)> = HashMap::new();
    for placement in &inventory.placements {
        let (count, is_simulated) = counts.entry(placement.subnet).or_default();
        *count += 1;
        *is_simulated |= simulated.contains(&placement.agent);
    }
    let item = |subnet: Subnet| SubnetItem {
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
        agent_count: counts.get(&subnet.id).map_or(0, |&(count, _)| count),
        simulated: counts.get(&subnet.id).is_some_and(|&(_, simulated)| simulated),
    };
    Ok(items(subnets.into_iter().map(item).collect()))
}

/// A prefix that agents live in and no building file knows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MissingItem {
    prefix: String,
    agent_count: usize,
    /// Names, separated by commas.
    agents: String,
    last_seen_utc: String,
}

/// What is missing from the building file, most agents first.
pub(crate) async fn missing(app: App) -> Items<MissingItem> {
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
#[derive(Debug, Deserialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Imported {
    imported: bool,
    /// The number of the version that is, or would be, in force.
    version: u32,
    buildings: u32,
    subnets: u32,
    buildings_added: u32,
    buildings_renamed: u32,
    buildings_ended: u32,
    subnets_added: u32,
    subnets_ended: u32,
    /// Names of buildings that end.
    ended_buildings: Vec<String>,
    /// Prefixes of subnets that end.
    ended_subnets: Vec<String>,
    findings: Vec<Value>,
}

impl Imported {
    fn new(
        preview: &ImportPreview,
        done: ImportSummary,
        imported: bool,
        findings: Vec<Value>,
    ) -> Self {
        let buildings = preview.buildings_ended.iter().map(|building| building.name.clone());
        let subnets = preview.subnets_ended.iter().map(|subnet| subnet.prefix.to_string());
        Self {
            imported,
            version: done.version,
            buildings: done.buildings,
            subnets: done.subnets,
            buildings_added: done.buildings_added,
            buildings_renamed: done.buildings_renamed,
            buildings_ended: done.buildings_ended,
            subnets_added: done.subnets_added,
            subnets_ended: done.subnets_ended,
            ended_buildings: buildings.collect(),
            ended_subnets: subnets.collect(),
            findings,
        }
    }
}

/// A building file that was looked at.
pub(crate) struct Checked {
    pub(crate) buildings: Vec<FileBuilding>,
    pub(crate) findings: Vec<Finding>,
    /// What it would do; `None` when it cannot be read.
    pub(crate) preview: Option<ImportPreview>,
}

impl Checked {
    /// True when nothing of it may be put in force.
    pub(crate) fn is_refused(&self) -> bool {
        let forbids = |finding: &Finding| finding.severity == Severity::Error;
        self.preview.is_none() || self.findings.iter().any(forbids)
    }

    /// Puts it in force as the version that somebody was shown and confirmed; false when it would be
    /// another by now, as somebody else was faster.
    pub(crate) fn put_in_force_as(
        &self,
        services: &Scoped,
        version: u32,
        now: UtcMicros,
    ) -> Result<bool, Problem> {
        if self.is_refused() {
            return Err(refused(&self.findings));
        }
        let by = services.act(now);
        Ok(services.control.import_as(&self.buildings, version, &by)?.is_some())
    }
}

/// Looks at a building file as every import does.
pub(crate) fn check(
    services: &Scoped,
    (file, companion): (&str, Option<&str>),
    now: UtcMicros,
) -> Result<Checked, Problem> {
    let control = &services.control;
    let mut parsed = building_file::parse(file, companion);
    if parsed.has_errors() {
        let (buildings, findings) = (parsed.buildings, parsed.findings);
        return Ok(Checked { buildings, findings, preview: None });
    }
    if companion.is_none() {
        keep_told(&mut parsed.buildings, &control.buildings()?);
    }
    let preview = control.preview_import(&parsed.buildings, now)?;
    if companion.is_none() {
        parsed.findings.splice(0..0, lost(&preview));
    }
    let (buildings, findings) = (parsed.buildings, parsed.findings);
    Ok(Checked { buildings, findings, preview: Some(preview) })
}

/// Checks a building file and puts it in force, or says what is wrong and changes nothing.
pub(crate) async fn import(
    app: App,
    request: Result<Json<Import>, JsonRejection>,
) -> Result<Json<Single<Imported>>, Problem> {
    let request = body(request)?;
    let imported = app.with_store(move |services| {
        let now = (services.clock)();
        // What a file leaves out is kept as it was when it was looked at: when somebody else was faster
        // meanwhile, it is looked at again.
        for _ in 0..IMPORT_TRIES {
            let checked = check(services, (&request.file, request.companion.as_deref()), now)?;
            let Some(preview) = checked.preview.as_ref().filter(|_| !checked.is_refused()) else {
                return Err(refused(&checked.findings));
            };
            let done = preview.summary;
            if request.dry_run || checked.put_in_force_as(services, done.version, now)? {
                return Ok(Imported::new(preview, done, !request.dry_run, told(&checked.findings)));
            }
        }
        Err(Problem::conflict("others import building files just now; try again"))
    });
    Ok(single(imported.await?))
}

fn refused(findings: &[Finding]) -> Problem {
    let detail = "the building file has errors and nothing was changed";
    Problem::unprocessable(detail, told(findings))
}

pub(super) fn told(findings: &[Finding]) -> Vec<Value> {
    findings.iter().take(MAX_FINDINGS).map(finding).collect()
}

/// A file that comes alone does not take back what a companion table told: zone and hours that are
/// derived from the country are for buildings of which nothing is known.
fn keep_told(file: &mut [FileBuilding], in_force: &[Building]) {
    let known: HashMap<&str, &Building> =
        in_force.iter().map(|building| (building.name.as_str(), building)).collect();
    for building in file {
        let before = known.get(building.name.as_str());
        let Some(before) = before.filter(|before| before.country == building.country) else {
            continue;
        };
        if before.time_zone.is_some() {
            building.time_zone.clone_from(&before.time_zone);
        }
        if before.business_hours.is_some() {
            building.business_hours.clone_from(&before.business_hours);
        }
    }
}

/// What would end only because the table that told it did not come along, in buildings that stay.
fn lost(preview: &ImportPreview) -> Vec<Finding> {
    let stays = |subnet: &&Subnet| {
        !preview.buildings_ended.iter().any(|building| building.id == subnet.building)
    };
    let from_companion =
        |subnet: &&Subnet| subnet.egress.is_some() || matches!(subnet.prefix, IpNet::V6(_));
    let finding = |subnet: &Subnet| {
        let egress = subnet.egress.map(|egress| format!(" with egress prefix {egress}"));
        Finding {
            source: Source::Companion,
            line: 1,
            column: None,
            severity: Severity::Error,
            message: format!(
                "{}{} ({}) is known from a companion table and would end without one",
                subnet.prefix,
                egress.unwrap_or_default(),
                subnet.columns.network_name,
            ),
            remedy: "give the companion table, too (--companion); `busyhour building export \
                     --companion` prints the one in force, to be kept or cut"
                .to_owned(),
        }
    };
    preview.subnets_ended.iter().filter(stays).filter(from_companion).map(finding).collect()
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

/// The building file in force, or an earlier one, in the Call Quality Dashboard's 15 columns.
pub(crate) async fn export(
    app: App,
    parameters: Result<Query<AsOfQuery>, QueryRejection>,
) -> Result<Typed<Csv>, Problem> {
    let kind = "text/csv; charset=utf-8; header=absent";
    let as_of = AsOf::of(&query(parameters)?)?;
    written(&app, as_of, (kind, "buildings.csv"), building_file::export).await
}

/// The companion table in force, or an earlier one: what the building file has no column for.
pub(crate) async fn export_companion(
    app: App,
    parameters: Result<Query<AsOfQuery>, QueryRejection>,
) -> Result<Typed<Csv>, Problem> {
    let kind = "text/csv; charset=utf-8; header=present";
    let as_of = AsOf::of(&query(parameters)?)?;
    written(&app, as_of, (kind, "companion.csv"), building_file::export_companion).await
}

async fn written(
    app: &App,
    as_of: AsOf,
    (kind, name): (&'static str, &'static str),
    write: fn(&[FileBuilding]) -> String,
) -> Result<Typed<Csv>, Problem> {
    let found =
        app.with_store(move |services| as_of.inventory(&services.control, (services.clock)()));
    let found = found.await?;
    let file = write(&building_file::from_inventory(&found.buildings, &found.subnets));
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers =
        [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok(Typed::new((headers, file)))
}
