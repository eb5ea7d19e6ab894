//! Silences and maintenance.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use busyhour_model::desk::{Quiet, QuietKind, QuietScope};
use busyhour_model::{BuildingId, IncidentId, UtcMicros};
use busyhour_store::NewQuiet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::acts::written;
use super::incidents::{found, reference};
use super::when::when;
use super::{Items, Single, body, items, parsed, query, single};
use crate::app::App;
use crate::place::Inventory;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// A silence, or maintenance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QuietItem {
    /// Its number among both.
    number: u64,
    /// `planned`, `holds` or `over`.
    state: &'static str,
    scopes: Vec<ScopeItem>,
    from_utc: String,
    /// As it was made; see `ended_utc`.
    until_utc: String,
    reason: String,
    by: String,
    made_utc: String,
    /// When it was ended by hand, and by whom.
    ended_utc: Option<String>,
    ended_by: Option<String>,
}

/// What it is for.
#[derive(Debug, Serialize, JsonSchema)]
struct ScopeItem {
    /// `everything`, `region`, `building`, `subnet`, `incident`, `incident-in` or `cause`.
    scope: &'static str,
    /// What that is called: a name, a prefix, a number, a word; null of everything.
    subject: Option<String>,
}

impl QuietItem {
    fn new(quiet: &Quiet, scopes: Vec<ScopeItem>, now: UtcMicros) -> Self {
        let state = match (quiet.is_over(now), quiet.from <= now) {
            (true, _) => "over",
            (false, true) => "holds",
            (false, false) => "planned",
        };
        Self {
            number: quiet.number,
            state,
            scopes,
            from_utc: text::utc(quiet.from),
            until_utc: text::utc(quiet.until),
            reason: quiet.reason.to_string(),
            by: quiet.by.clone(),
            made_utc: text::utc(quiet.made),
            ended_utc: quiet.ended.as_ref().map(|(at, _)| text::utc(*at)),
            ended_by: quiet.ended.as_ref().map(|(_, by)| by.clone()),
        }
    }
}

/// Quiet times with what they are for by name.
fn named(services: &Scoped, quiets: &[Quiet]) -> Result<Vec<QuietItem>, Problem> {
    let inventory = Inventory::read(services)?;
    let (names, now) = (inventory.names(), (services.clock)());
    let building = |id: BuildingId| match names.building(id) {
        Some(building) => building.name.clone(),
        None => id.to_string(),
    };
    let incident = |id: IncidentId| -> Result<String, Problem> {
        let found = services.control.incident(id)?;
        Ok(found.map_or_else(|| id.to_string(), |incident| incident.number.to_string()))
    };
    let mut named = Vec::with_capacity(quiets.len());
    for quiet in quiets {
        let mut scopes = Vec::with_capacity(quiet.scopes.len());
        for scope in &quiet.scopes {
            let subject = match scope {
                QuietScope::Everything => None,
                QuietScope::Region(region) => Some(region.to_string()),
                QuietScope::Building(id) => Some(building(*id)),
                QuietScope::Subnet(id) => Some(match names.subnet(*id) {
                    Some(subnet) => subnet.prefix.to_string(),
                    None => id.to_string(),
                }),
                QuietScope::Incident(id) => Some(incident(*id)?),
                QuietScope::IncidentIn(id, at) => {
                    Some(format!("{} in {}", incident(*id)?, building(*at)))
                }
                QuietScope::Cause(cause) => Some(cause.to_string()),
            };
            scopes.push(ScopeItem { scope: scope.as_str(), subject });
        }
        named.push(QuietItem::new(quiet, scopes, now));
    }
    Ok(named)
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ListQuery {
    /// Those that are over as well.
    #[serde(default)]
    over: bool,
}

/// Silences, oldest first.
pub(crate) async fn silences(
    app: App,
    parameters: Result<Query<ListQuery>, QueryRejection>,
) -> Items<QuietItem> {
    list(app, QuietKind::Silence, query(parameters)?).await
}

/// Maintenance, oldest first.
pub(crate) async fn maintenance(
    app: App,
    parameters: Result<Query<ListQuery>, QueryRejection>,
) -> Items<QuietItem> {
    list(app, QuietKind::Maintenance, query(parameters)?).await
}

async fn list(app: App, kind: QuietKind, ListQuery { over }: ListQuery) -> Items<QuietItem> {
    app.with_store(move |services| {
        let now = (services.clock)();
        let mut quiets = services.desk.quiets(if over { UtcMicros(i64::MIN) } else { now })?;
        quiets.retain(|quiet| quiet.kind == kind && (over || !quiet.is_over(now)));
        Ok(items(named(services, &quiets)?))
    })
    .await
}

/// A quiet time to be made; moments as [`when`] reads them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Make {
    #[serde(default)]
    everything: bool,
    #[serde(default)]
    regions: Vec<String>,
    /// Names or ids.
    #[serde(default)]
    buildings: Vec<String>,
    /// Prefixes or ids.
    #[serde(default)]
    subnets: Vec<String>,
    /// Numbers or ids.
    #[serde(default)]
    incidents: Vec<String>,
    #[serde(default)]
    causes: Vec<String>,
    /// Now, unless told.
    from: Option<String>,
    /// A length of time is counted from `from`.
    until: String,
    reason: String,
}

impl Make {
    /// For one incident, from now on.
    pub(crate) fn of_incident(number: u64, until: String, reason: String) -> Self {
        Self { incidents: vec![number.to_string()], until, reason, ..Self::default() }
    }

    fn scopes(&self, services: &Scoped) -> Result<Vec<QuietScope>, Problem> {
        let unknown = |what: &str, name: &str| {
            Problem::unprocessable(format!("no {what} is called {name:?}"), Vec::new())
        };
        let mut scopes = Vec::new();
        if self.everything {
            scopes.push(QuietScope::Everything);
        }
        for region in &self.regions {
            scopes.push(QuietScope::Region(written("region", region)?));
        }
        let buildings = services.control.buildings()?;
        for name in &self.buildings {
            let named = |id: &str, called: &str| called == name || id == name;
            let mut all = buildings.iter();
            let found = all.find(|one| named(&one.id.to_string(), &one.name));
            scopes.push(QuietScope::Building(found.ok_or_else(|| unknown("building", name))?.id));
        }
        let subnets = services.control.subnets()?;
        for name in &self.subnets {
            let named = |id: &str, prefix: &str| prefix == name || id == name;
            let of =
                subnets.iter().filter(|one| named(&one.id.to_string(), &one.prefix.to_string()));
            let before = scopes.len();
            scopes.extend(of.map(|subnet| QuietScope::Subnet(subnet.id)));
            match scopes.len() - before {
                0 => return Err(unknown("subnet", name)),
                1 => {}
                _ => {
                    let detail = format!("several subnets are called {name:?}: tell the id of one");
                    return Err(Problem::unprocessable(detail, Vec::new()));
                }
            }
        }
        for incident in &self.incidents {
            let incident = found(services, reference(incident)?)?;
            scopes.push(QuietScope::Incident(incident.id));
        }
        for cause in &self.causes {
            scopes.push(QuietScope::Cause(parsed("cause", cause)?));
        }
        scopes.sort();
        scopes.dedup();
        Ok(scopes)
    }
}

/// Makes a quiet time.
pub(crate) fn make(services: &Scoped, kind: QuietKind, made: &Make) -> Result<Quiet, Problem> {
    let now = (services.clock)();
    let from = made.from.as_deref().map(|from| when("from", from, now)).transpose()?.unwrap_or(now);
    let until = when("until", &made.until, from.max(now))?;
    let reason = written("reason", &made.reason)?;
    let scopes = made.scopes(services)?;
    let new = NewQuiet { kind, scopes, from, until, reason };
    services.desk.add_quiet(&new, &services.act(now))
}

type Made = Result<(StatusCode, Json<Single<QuietItem>>), Problem>;

async fn add(app: App, kind: QuietKind, request: Result<Json<Make>, JsonRejection>) -> Made {
    let request = body(request)?;
    let item = app.with_store(move |services| {
        let quiet = make(services, kind, &request)?;
        Ok(named(services, &[quiet])?.pop())
    });
    let item = item.await?.ok_or_else(Problem::internal)?;
    Ok((StatusCode::CREATED, single(item)))
}

/// Silences incidents.
pub(crate) async fn silence(app: App, request: Result<Json<Make>, JsonRejection>) -> Made {
    add(app, QuietKind::Silence, request).await
}

/// Plans maintenance.
pub(crate) async fn plan(app: App, request: Result<Json<Make>, JsonRejection>) -> Made {
    add(app, QuietKind::Maintenance, request).await
}

/// Ends one now.
async fn end(app: App, kind: QuietKind, number: &str) -> Result<Json<Single<QuietItem>>, Problem> {
    let number: u64 = parsed("the number", number)?;
    let item = app.with_store(move |services| {
        let quiets = services.desk.quiets(UtcMicros(i64::MIN))?;
        let quiet = quiets.into_iter().find(|quiet| quiet.number == number && quiet.kind == kind);
        let quiet = quiet.ok_or_else(|| Problem::not_found(format!("there is no such {kind}")))?;
        let ended = services.desk.end_quiet(&quiet, &services.act((services.clock)()))?;
        Ok(named(services, &[ended])?.pop())
    });
    Ok(single(item.await?.ok_or_else(Problem::internal)?))
}

/// Ends a silence now.
pub(crate) async fn end_silence(
    app: App,
    Path(number): Path<String>,
) -> Result<Json<Single<QuietItem>>, Problem> {
    end(app, QuietKind::Silence, &number).await
}

/// Ends maintenance now.
pub(crate) async fn end_maintenance(
    app: App,
    Path(number): Path<String>,
) -> Result<Json<Single<QuietItem>>, Problem> {
    end(app, QuietKind::Maintenance, &number).await
}
