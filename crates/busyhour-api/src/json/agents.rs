//! Agents: who was let in, and letting in one more.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use busyhour_model::{AgentId, Body, Building, Record, Subnet};
use busyhour_store::{AgentRow, Binding, ErrorKind, NewAgent, RecordKind};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::listing::View;
use super::{Items, Single, body, items, parsed, query, single};
use crate::app::App;
use crate::gaps::Gaps;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// The longest name of an agent, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Subnets that a refusal names, to choose from.
const MAX_CHOICE: usize = 50;
/// The strength of a secret: 256 bits, so that a plain digest of it cannot be searched.
const SECRET_BYTES: usize = 32;

/// An agent that was let in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AgentItem {
    id: String,
    name: String,
    simulated: bool,
    bound_prefix: Option<String>,
    bound_egress: Option<String>,
    added_utc: String,
    /// When it was removed.
    removed_utc: Option<String>,
    last_seen_utc: Option<String>,
    last_seen_age_s: Option<i64>,
    version: Option<String>,
    os: Option<String>,
    local_prefix: Option<String>,
    peer: Option<String>,
    building_id: Option<String>,
    building: Option<String>,
    subnet_id: Option<String>,
    subnet: Option<String>,
    network: Option<String>,
    /// Hours of the last seven days for which it gave nothing.
    gap_hours_7d: f64,
    gap_main_reason_7d: Option<&'static str>,
    /// Hours by reason, the longest first.
    gaps_7d: String,
}

/// Which agents are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AgentQuery {
    /// Those that were removed as well.
    #[serde(default)]
    removed: bool,
}

/// All agents, by name.
pub(crate) async fn list(
    app: App,
    parameters: Result<Query<AgentQuery>, QueryRejection>,
) -> Items<AgentItem> {
    let with_removed = query(parameters)?.removed;
    Ok(items(app.with_store(move |services| all(services, with_removed)).await?))
}

/// The same, for who answers in another form.
pub(crate) fn all(services: &Scoped, with_removed: bool) -> Result<Vec<AgentItem>, Problem> {
    let control = &services.control;
    let (now, mut agents) = ((services.clock)(), control.agents()?);
    agents.retain(|agent| with_removed || agent.removed.is_none());
    let gaps = |agent: &AgentRow| Gaps::read(&services.telemetry, agent.id, now);
    let gaps = agents.iter().map(gaps).collect::<Result<Vec<_>, _>>()?;
    let (buildings, subnets) = (control.buildings()?, control.subnets()?);
    let buildings: HashMap<_, &Building> = buildings.iter().map(|b| (b.id, b)).collect();
    let subnets: HashMap<_, &Subnet> = subnets.iter().map(|subnet| (subnet.id, subnet)).collect();
    let item = |(agent, gaps): (AgentRow, Gaps)| {
        let (prefix, egress) = match agent.binding {
            Binding::Subnet { prefix, egress } => (Some(prefix), egress),
            Binding::Address => (None, None),
        };
        let building = agent.placement.and_then(|placement| buildings.get(&placement.building));
        let subnet = agent.placement.and_then(|placement| subnets.get(&placement.subnet));
        let seen = agent.sighting.as_ref();
        AgentItem {
            id: agent.id.to_string(),
            simulated: agent.simulated,
            bound_prefix: prefix.map(|prefix| prefix.to_string()),
            bound_egress: egress.map(|egress| egress.to_string()),
            added_utc: text::utc(agent.added),
            removed_utc: agent.removed.map(text::utc),
            last_seen_utc: seen.map(|seen| text::utc(seen.at)),
            last_seen_age_s: seen.map(|seen| text::age_s(now, seen.at)),
            version: seen.map(|seen| seen.version.clone()),
            os: seen.map(|seen| seen.os.clone()),
            local_prefix: seen.and_then(|seen| seen.local_prefix).map(|prefix| prefix.to_string()),
            peer: seen.and_then(|seen| seen.peer).map(|peer| peer.to_string()),
            building_id: building.map(|building| building.id.to_string()),
            building: building.map(|building| building.name.clone()),
            subnet_id: subnet.map(|subnet| subnet.id.to_string()),
            subnet: subnet.map(|subnet| subnet.prefix.to_string()),
            network: subnet.map(|subnet| subnet.columns.network_name.clone()),
            gap_hours_7d: gaps.hours(),
            gap_main_reason_7d: gaps.main_reason().map(|reason| reason.as_str()),
            gaps_7d: gaps.words(),
            name: agent.name,
        }
    };
    Ok(agents.into_iter().zip(gaps).map(item).collect())
}

/// A time for which an agent gave nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GapItem {
    started_utc: String,
    duration_us: u64,
    reason: &'static str,
    /// The path it is about; null when it is the whole agent.
    target: Option<String>,
    link: Option<&'static str>,
    /// Records known to be missing, where they can be counted.
    records: Option<u64>,
}

/// An agent's gaps that began in the last seven days, oldest first.
pub(crate) async fn gaps(app: App, view: View, Path(id): Path<String>) -> Items<GapItem> {
    let id: AgentId = parsed("the agent's id", &id)?;
    let reach = view.reach()?;
    let found = app.with_store(move |services| {
        if !services.control.agents()?.iter().any(|agent| agent.id == id) {
            return Err(Problem::not_found("no agent has this id"));
        }
        let now = (services.clock)();
        let from = now.minus(crate::gaps::TOLD);
        Ok(services.telemetry.others(id, RecordKind::Gap, (from, now), reach)?)
    });
    let item = |record: Record| {
        let Body::Gap(gap) = record.body else { return None };
        Some(GapItem {
            started_utc: text::utc(record.stamp.started),
            duration_us: record.stamp.duration_us(),
            reason: gap.reason.as_str(),
            target: gap.path.as_ref().map(|path| path.target.to_string()),
            link: gap.path.as_ref().map(|path| path.link.kind().as_str()),
            records: gap.records,
        })
    };
    Ok(items(found.await?.into_iter().filter_map(item).collect()))
}

/// An agent to be let in. With a subnet it is bound to it; with a building that has one subnet, to
/// that one; with neither its address tells where it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddAgent {
    name: String,
    subnet: Option<String>,
    egress: Option<String>,
    building: Option<String>,
    #[serde(default)]
    simulated: bool,
}

/// What its owner must keep. The secret is not kept here and never shown again.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Added {
    id: String,
    name: String,
    secret_line: String,
}

/// Lets an agent in.
pub(crate) async fn add(
    app: App,
    request: Result<Json<AddAgent>, JsonRejection>,
) -> Result<(StatusCode, Json<Single<Added>>), Problem> {
    let request = body(request)?;
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        let detail = "an agent's name is 1 to 128 bytes without control characters";
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    let (id, secret) = draw()?;
    let place = Place::new(request.subnet, request.egress, request.building)?;
    let (now, added) = (app.now(), name.clone());
    let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    app.with_store(move |services| {
        let control = &services.control;
        let binding = place.binding(&control.buildings()?, &control.subnets()?)?;
        let agent = NewAgent {
            id,
            name: added.clone(),
            secret_sha256: digest,
            simulated: request.simulated,
            binding,
            added: now,
        };
        control.add_agent(&agent, &services.act(now))?.map_err(|error| {
            if error.kind() == ErrorKind::Conflict {
                return Problem::conflict(format!("there is an agent named {added:?} already"));
            }
            error.into()
        })
    })
    .await?;
    let secret_line = format!("{id}.{secret}");
    Ok((StatusCode::CREATED, single(Added { id: id.to_string(), name, secret_line })))
}

/// Where an agent is to be from now on: a subnet, a building that has one subnet, or where its address
/// tells.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindAgent {
    subnet: Option<String>,
    egress: Option<String>,
    building: Option<String>,
    #[serde(default)]
    by_address: bool,
}

/// How an agent is bound.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Bound {
    id: String,
    bound_prefix: Option<String>,
    bound_egress: Option<String>,
}

/// Binds an agent differently.
pub(crate) async fn bind(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<BindAgent>, JsonRejection>,
) -> Result<Json<Single<Bound>>, Problem> {
    let id: AgentId = parsed("the agent's id", &id)?;
    let request = body(request)?;
    let told = request.subnet.is_some() || request.building.is_some();
    if told == request.by_address {
        let detail = "say either subnet or building, or by_address";
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    let place = Place::new(request.subnet, request.egress, request.building)?;
    let bound = app.with_store(move |services| {
        let control = &services.control;
        let binding = place.binding(&control.buildings()?, &control.subnets()?)?;
        control.bind_agent(id, binding, &services.act((services.clock)()))?;
        Ok(binding)
    });
    let (prefix, egress) = match bound.await? {
        Binding::Subnet { prefix, egress } => (Some(prefix), egress),
        Binding::Address => (None, None),
    };
    Ok(single(Bound {
        id: id.to_string(),
        bound_prefix: prefix.map(|prefix| prefix.to_string()),
        bound_egress: egress.map(|egress| egress.to_string()),
    }))
}

/// A random identity (version 4 of RFC 9562) and a random secret, as hexadecimal digits.
fn draw() -> Result<(AgentId, String), Problem> {
    let (mut id, mut secret) = ([0u8; 16], [0u8; SECRET_BYTES]);
    getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut secret)).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the system gave no randomness");
        Problem::internal()
    })?;
    let id = AgentId::from_u128(uuid::Builder::from_random_bytes(id).into_uuid().as_u128());
    Ok((id, secret.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Where an agent is to be bound.
struct Place {
    subnet: Option<IpNet>,
    egress: Option<IpNet>,
    building: Option<String>,
}

impl Place {
    fn new(
        subnet: Option<String>,
        egress: Option<String>,
        building: Option<String>,
    ) -> Result<Self, Problem> {
        let prefix = |name, text: Option<String>| -> Result<Option<IpNet>, Problem> {
            let prefix = text.map(|text| parsed::<IpNet>(name, &text)).transpose()?;
            Ok(prefix.map(|prefix| prefix.trunc()))
        };
        Ok(Self { subnet: prefix("subnet", subnet)?, egress: prefix("egress", egress)?, building })
    }

    fn binding(&self, buildings: &[Building], subnets: &[Subnet]) -> Result<Binding, Problem> {
        let refuse = |detail: String| Problem::unprocessable(detail, Vec::new());
        let building = match &self.building {
            None => None,
            Some(name) => {
                let found = buildings.iter().find(|building| building.name == *name);
                let none = || refuse(format!("no building in force is named {name:?}"));
                Some(found.ok_or_else(none)?)
            }
        };
        let fits = |subnet: &&Subnet| {
            building.is_none_or(|building| subnet.building == building.id)
                && self.subnet.is_none_or(|prefix| subnet.prefix == prefix)
                && self.egress.is_none_or(|egress| subnet.egress == Some(egress))
        };
        let fitting: Vec<&Subnet> = subnets.iter().filter(fits).collect();
        match (fitting.as_slice(), self.subnet, building) {
            ([one], Some(_), _) | ([one], None, Some(_)) => {
                Ok(Binding::Subnet { prefix: one.prefix, egress: one.egress })
            }
            ([], Some(prefix), _) => Err(refuse(format!(
                "no building file in force has the subnet {prefix} there: import one that has it"
            ))),
            (_, Some(prefix), _) => Err(refuse(format!(
                "several buildings have the subnet {prefix}: say which building or egress prefix"
            ))),
            (_, None, Some(building)) => Err(refuse(choice(building, subnets))),
            (_, None, None) => Ok(Binding::Address),
        }
    }
}

/// The subnets of a building to choose from, in a sentence.
fn choice(building: &Building, subnets: &[Subnet]) -> String {
    let name = |subnet: &Subnet| match subnet.egress {
        Some(egress) => format!("{} (egress {egress})", subnet.prefix),
        None => subnet.prefix.to_string(),
    };
    let of_building = subnets.iter().filter(|subnet| subnet.building == building.id);
    let mut names: Vec<String> = of_building.map(name).collect();
    let count = names.len();
    names.truncate(MAX_CHOICE);
    let more = match count - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (building, names) = (&building.name, names.join(", "));
    format!("building {building:?} has {count} subnets: say which of {names}{more}")
}
