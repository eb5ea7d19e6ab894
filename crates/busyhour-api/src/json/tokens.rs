//! Enrolment tokens: what lets machines in as agents. `docs/FLEET.md`.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use busyhour_fleet::{FleetError, NewTokenRequest};
use busyhour_model::{Building, BuildingId, Subnet, UtcMicros};
use busyhour_store::{Approval, ErrorKind, TokenId, TokenPlace, TokenRow};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Items, Single, body, items, parsed, single};
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// Without being told, a token lets one agent in, within a day.
const USUAL_USES: u32 = 1;
const USUAL_LIFE_S: u64 = 24 * 3_600;

/// A token, without what it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenItem {
    id: String,
    /// Null when the building is no longer in force: then it lets nobody in.
    building: Option<String>,
    subnet: Option<String>,
    egress: Option<String>,
    /// Only connections from this network are let in.
    peers: Option<String>,
    /// `good`, `used`, `expired` or `revoked`.
    state: &'static str,
    uses: u32,
    uses_left: u32,
    approval: &'static str,
    created_utc: String,
    created_by: String,
    expires_utc: String,
    revoked_utc: Option<String>,
    /// How many showed its secret and were not let in, up to 16.
    refused: u32,
}

/// All tokens that are kept, newest first.
pub(crate) async fn list(app: App) -> Items<TokenItem> {
    let found = app.core().with_services(|services| {
        let tokens = services.fleet.tokens().map_err(fleet_problem)?;
        Ok((tokens, services.control.buildings()?))
    });
    let (tokens, buildings) = found.await?;
    let names: HashMap<BuildingId, String> =
        buildings.into_iter().map(|building| (building.id, building.name)).collect();
    let now = app.now();
    let item = |token: TokenRow| {
        let (subnet, egress) = token.place.subnet.unzip();
        TokenItem {
            id: token.id.to_string(),
            building: names.get(&token.place.building).cloned(),
            subnet: subnet.map(|subnet| subnet.to_string()),
            egress: egress.flatten().map(|egress| egress.to_string()),
            peers: token.peers.map(|peers| peers.to_string()),
            state: state(&token, now),
            uses: token.uses,
            uses_left: token.uses_left,
            approval: token.approval.as_str(),
            created_utc: text::utc(token.created),
            created_by: token.created_by,
            expires_utc: text::utc(token.expires),
            revoked_utc: token.revoked.map(text::utc),
            refused: token.refused,
        }
    };
    Ok(items(tokens.into_iter().map(item).collect()))
}

fn state(token: &TokenRow, now: UtcMicros) -> &'static str {
    match token {
        _ if token.revoked.is_some() => "revoked",
        _ if token.uses_left == 0 => "used",
        _ if token.expires <= now => "expired",
        _ => "good",
    }
}

/// A token to be made: for a building, or for one of its subnets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeToken {
    building: Option<String>,
    subnet: Option<String>,
    egress: Option<String>,
    peers: Option<String>,
    uses: Option<u32>,
    life_s: Option<u64>,
    approval: Option<String>,
}

/// A token that was made; it is shown this once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MadeToken {
    id: String,
    token: String,
    building: String,
    subnet: Option<String>,
    expires_utc: String,
}

/// Makes a token.
pub(crate) async fn make(
    app: App,
    request: Result<Json<MakeToken>, JsonRejection>,
) -> Result<(StatusCode, Json<Single<MadeToken>>), Problem> {
    let request = body(request)?;
    let network = |name: &str, text: Option<&String>| -> Result<Option<IpNet>, Problem> {
        Ok(text.map(|text| parsed::<IpNet>(name, text)).transpose()?.map(|net| net.trunc()))
    };
    let subnet = network("subnet", request.subnet.as_ref())?;
    let egress = network("egress", request.egress.as_ref())?;
    let peers = network("peers", request.peers.as_ref())?;
    let approval = match &request.approval {
        Some(word) => parsed::<Approval>("approval", word)?,
        None => Approval::Automatic,
    };
    let uses = request.uses.unwrap_or(USUAL_USES);
    let life = Duration::from_secs(request.life_s.unwrap_or(USUAL_LIFE_S));
    let (building, by) = (request.building, app.act());
    let made = app.core().with_services(move |services| {
        let (buildings, subnets) = (services.control.buildings()?, services.control.subnets()?);
        let wanted = Wanted { building: building.as_deref(), subnet, egress };
        let (building, place) = wanted.find(&buildings, &subnets)?;
        let request = NewTokenRequest { place, peers, uses, approval, life };
        let issued = services.fleet.create_token(&request, &by).map_err(fleet_problem)?;
        Ok(MadeToken {
            id: issued.text.id().to_string(),
            token: issued.text.reveal(),
            building: building.name.clone(),
            subnet: place.subnet.map(|(prefix, _)| prefix.to_string()),
            expires_utc: text::utc(issued.expires),
        })
    });
    Ok((StatusCode::CREATED, single(made.await?)))
}

/// Where a token is to let agents in.
struct Wanted<'a> {
    building: Option<&'a str>,
    subnet: Option<IpNet>,
    egress: Option<IpNet>,
}

impl Wanted<'_> {
    /// The one place that fits.
    fn find<'b>(
        &self,
        buildings: &'b [Building],
        subnets: &[Subnet],
    ) -> Result<(&'b Building, TokenPlace), Problem> {
        let refuse = |detail: String| Problem::unprocessable(detail, Vec::new());
        let of_name = |name: &str| {
            let found = buildings.iter().find(|building| building.name == name);
            found.ok_or_else(|| refuse(format!("no building in force is named {name:?}")))
        };
        let named = self.building.map(of_name).transpose()?;
        let Some(prefix) = self.subnet else {
            let none = || refuse("a token is for a building, or for one of its subnets".to_owned());
            let building = named.ok_or_else(none)?;
            return Ok((building, TokenPlace { building: building.id, subnet: None }));
        };
        let fits = |subnet: &&Subnet| {
            subnet.prefix == prefix
                && named.is_none_or(|building| building.id == subnet.building)
                && self.egress.is_none_or(|egress| subnet.egress == Some(egress))
        };
        let fitting: Vec<&Subnet> = subnets.iter().filter(fits).collect();
        let [subnet] = fitting.as_slice() else {
            return Err(refuse(if fitting.is_empty() {
                format!(
                    "no building file in force has the subnet {prefix} there: import one that has it"
                )
            } else {
                format!(
                    "several buildings have the subnet {prefix}: say which building or egress prefix"
                )
            }));
        };
        let building = buildings.iter().find(|building| building.id == subnet.building);
        let building = building.ok_or_else(Problem::internal)?;
        let place =
            TokenPlace { building: building.id, subnet: Some((subnet.prefix, subnet.egress)) };
        Ok((building, place))
    }
}

/// A token that lets nobody in any more.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RevokedToken {
    id: String,
}

/// Revokes a token. Whom it let in stays.
pub(crate) async fn revoke(
    app: App,
    Path(id): Path<String>,
) -> Result<Json<Single<RevokedToken>>, Problem> {
    let token: TokenId = parsed("the token's id", &id)?;
    let by = app.act();
    let revoked = app.core().with_services(move |services| {
        services.fleet.revoke_token(token, &by).map_err(|error| {
            missing(&error).map_or_else(
                || fleet_problem(error),
                |()| Problem::not_found("no token has this id"),
            )
        })
    });
    revoked.await?;
    Ok(single(RevokedToken { id }))
}

/// That what was asked for is not there.
pub(super) fn missing(error: &FleetError) -> Option<()> {
    match error {
        FleetError::Store(error) if error.kind() == ErrorKind::NotFound => Some(()),
        FleetError::Store(_)
        | FleetError::Limit(_)
        | FleetError::Authority(_)
        | FleetError::Randomness(_) => None,
    }
}

/// What the fleet refuses, for the one who asked.
pub(crate) fn fleet_problem(error: FleetError) -> Problem {
    match error {
        FleetError::Limit(limit) => Problem::unprocessable(limit.to_string(), Vec::new()),
        FleetError::Store(error) => error.into(),
        FleetError::Authority(_) | FleetError::Randomness(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the fleet's authority");
            Problem::internal()
        }
    }
}
