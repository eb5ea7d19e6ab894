//! Users: who may sign in, and what each may do.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use busyhour_model::{Building, BuildingId};
use busyhour_store::{ErrorKind, Grant, Reach, Role, StoreError, UserRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Items, Single, items, secret_body, single};
use crate::Services;
use crate::app::App;
use crate::problem::Problem;
use crate::{signin, text};

/// Buildings that one grant may name.
const MAX_BUILDINGS: usize = 1_000;

/// What somebody may do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GrantItem {
    role: &'static str,
    /// Null where all are seen.
    building_ids: Option<Vec<String>>,
}

impl GrantItem {
    pub(crate) fn new(grant: &Grant) -> Self {
        let building_ids = match grant.reach() {
            Reach::All => None,
            Reach::Only(ids) => Some(ids.iter().map(ToString::to_string).collect()),
        };
        Self { role: grant.role().as_str(), building_ids }
    }
}

/// A grant as it is asked for. Buildings by name or id; of those in force only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBody {
    pub(super) role: String,
    pub(super) buildings: Option<Vec<String>>,
}

impl GrantBody {
    pub(crate) fn grant(&self, services: &Services) -> Result<Grant, Problem> {
        let refuse = |detail: String| Problem::unprocessable(detail, Vec::new());
        let role: Role = self.role.parse().map_err(|error| refuse(format!("{error}")))?;
        let reach = match &self.buildings {
            None => Reach::All,
            Some(names) if names.len() > MAX_BUILDINGS => {
                return Err(refuse(format!("at most {MAX_BUILDINGS} buildings can be named")));
            }
            Some(names) => {
                let buildings = services.control.buildings()?;
                let ids = names.iter().map(|name| building(&buildings, name));
                Reach::only(ids.collect::<Result<_, _>>()?)
            }
        };
        Grant::new(role, reach).map_err(|error| refuse(error.to_string()))
    }
}

fn building(buildings: &[Building], name: &str) -> Result<BuildingId, Problem> {
    let is_it = |building: &&Building| building.name == name || building.id.to_string() == name;
    let found = buildings.iter().find(is_it).map(|building| building.id);
    found.ok_or_else(|| {
        Problem::unprocessable(format!("no building in force is named {name:?}"), Vec::new())
    })
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserItem {
    name: String,
    #[serde(flatten)]
    grant: GrantItem,
    /// The names of the buildings that are in force, separated by commas; null where all are seen.
    buildings: Option<String>,
    added_utc: String,
    signed_in_utc: Option<String>,
    /// Who proves who it is; null for who has a password here.
    issuer: Option<String>,
}

/// The names of buildings of a grant.
pub(crate) fn named(grant: &Grant, buildings: &[Building]) -> Option<String> {
    match grant.reach() {
        Reach::All => None,
        reach @ Reach::Only(_) => {
            let own = buildings.iter().filter(|building| reach.has(building.id));
            Some(own.map(|building| building.name.as_str()).collect::<Vec<_>>().join(", "))
        }
    }
}

/// All users, by name.
pub(crate) async fn list(app: App) -> Items<UserItem> {
    let found = app
        .core()
        .with_services(|services| Ok((services.accounts.users()?, services.control.buildings()?)));
    let (users, buildings) = found.await?;
    let item = |user: UserRow| UserItem {
        name: user.name.to_string(),
        buildings: named(&user.grant, &buildings),
        grant: GrantItem::new(&user.grant),
        added_utc: text::utc(user.added),
        signed_in_utc: user.signed_in.map(text::utc),
        issuer: user.issuer,
    };
    Ok(items(users.into_iter().map(item).collect()))
}

/// A user to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddUser {
    name: String,
    password: String,
    role: String,
    buildings: Option<Vec<String>>,
}

/// A user that was added, changed or removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserDone {
    name: String,
    #[serde(flatten)]
    grant: Option<GrantItem>,
}

/// Adds a user.
pub(crate) async fn add(
    app: App,
    request: Result<Json<AddUser>, JsonRejection>,
) -> Result<(StatusCode, Json<Single<UserDone>>), Problem> {
    let AddUser { name, password, role, buildings } = secret_body(request)?;
    let asked = GrantBody { role, buildings };
    let grant = app.core().with_services(move |services| asked.grant(services)).await?;
    let user = signin::new_user(app.core(), &name, password, grant).await?;
    let (by, name) = (app.act(), user.name.to_string());
    let done = UserDone { grant: Some(GrantItem::new(&user.grant)), name };
    let added = app.core().with_services(move |services| {
        services.accounts.add_user(&user, &by).map_err(|error| match error.kind() {
            ErrorKind::Conflict => {
                Problem::conflict(format!("there is a user named {:?} already", user.name.as_str()))
            }
            _ => error.into(),
        })
    });
    added.await?;
    Ok((StatusCode::CREATED, single(done)))
}

/// Gives a user another grant.
pub(crate) async fn change(
    app: App,
    Path(name): Path<String>,
    request: Result<Json<GrantBody>, JsonRejection>,
) -> Result<Json<Single<UserDone>>, Problem> {
    let asked = super::body(request)?;
    let by = app.act();
    let changed = app.core().with_services(move |services| {
        let grant = asked.grant(services)?;
        let user = local(find(services, &name)?)?;
        services.accounts.change_user(user.number, &grant, &by).map_err(last)?;
        Ok(UserDone { name: user.name.to_string(), grant: Some(GrantItem::new(&grant)) })
    });
    Ok(single(changed.await?))
}

/// A password that an administrator gives.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    password: String,
}

/// Gives a user another password; all of its sessions end.
pub(crate) async fn set_password(
    app: App,
    Path(name): Path<String>,
    request: Result<Json<NewPassword>, JsonRejection>,
) -> Result<Json<Single<UserDone>>, Problem> {
    let NewPassword { password } = secret_body(request)?;
    let user = app.core().with_services(move |services| local(find(services, &name)?)).await?;
    let by = app.act();
    signin::set_password(app.core(), (user.number, &user.name), password, (None, by)).await?;
    Ok(single(UserDone { name: user.name.to_string(), grant: None }))
}

/// Removes a user; all of its sessions end.
pub(crate) async fn remove(
    app: App,
    Path(name): Path<String>,
) -> Result<Json<Single<UserDone>>, Problem> {
    let by = app.act();
    let removed = app.core().with_services(move |services| {
        let user = find(services, &name)?;
        services.accounts.remove_user(user.number, &by).map_err(last)?;
        Ok(UserDone { name: user.name.to_string(), grant: None })
    });
    Ok(single(removed.await?))
}

fn find(services: &Services, name: &str) -> Result<UserRow, Problem> {
    let found = services.accounts.users()?.into_iter().find(|user| user.name.as_str() == name);
    found.ok_or_else(|| Problem::not_found("no user has this name"))
}

/// A user whose grant and password are ours to change.
fn local(user: UserRow) -> Result<UserRow, Problem> {
    if user.issuer.is_none() {
        return Ok(user);
    }
    let detail =
        "an identity provider proves this user; its role comes from the rules in [api.oidc]";
    Err(Problem::conflict(detail))
}

fn last(error: StoreError) -> Problem {
    match error.kind() {
        ErrorKind::Conflict => {
            Problem::conflict("this is the only administrator: make another one before")
        }
        _ => error.into(),
    }
}
