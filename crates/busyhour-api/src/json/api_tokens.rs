//! API tokens: for programs that ask without anybody signing in.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use busyhour_store::{ApiTokenRow, ErrorKind, NewApiToken};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::users::{GrantBody, GrantItem, named};
use super::{Items, Single, body, items, single};
use crate::app::App;
use crate::problem::Problem;
use crate::signin::{account_name, credential};
use crate::text;

/// Without being told: a quarter.
const USUAL_DAYS: u32 = 90;
/// Whatever lives longer is forgotten by those who made it.
const MAX_DAYS: u32 = 400;

/// A token, without what it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApiTokenItem {
    name: String,
    #[serde(flatten)]
    grant: GrantItem,
    buildings: Option<String>,
    made_by: String,
    added_utc: String,
    expires_utc: String,
    expired: bool,
    /// To the minute.
    used_utc: Option<String>,
}

/// All that were not revoked, by name.
pub(crate) async fn list(app: App) -> Items<ApiTokenItem> {
    let found = app.core().with_services(|services| {
        Ok((services.accounts.api_tokens()?, services.control.buildings()?))
    });
    let (tokens, buildings) = found.await?;
    let now = app.now();
    let item = |token: ApiTokenRow| ApiTokenItem {
        name: token.name.to_string(),
        buildings: named(&token.grant, &buildings),
        grant: GrantItem::new(&token.grant),
        made_by: token.made_by,
        added_utc: text::utc(token.added),
        expires_utc: text::utc(token.expires),
        expired: token.expires <= now,
        used_utc: token.used.map(text::utc),
    };
    Ok(items(tokens.into_iter().map(item).collect()))
}

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeToken {
    name: String,
    role: String,
    buildings: Option<Vec<String>>,
    days: Option<u32>,
}

/// A token that was made; it is shown this once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MadeToken {
    name: String,
    token: String,
    expires_utc: String,
}

/// Makes a token.
pub(crate) async fn make(
    app: App,
    request: Result<Json<MakeToken>, JsonRejection>,
) -> Result<(StatusCode, Json<Single<MadeToken>>), Problem> {
    let MakeToken { name, role, buildings, days } = body(request)?;
    let days = days.unwrap_or(USUAL_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        let detail = format!("a token is good for 1 to {MAX_DAYS} days");
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    let name = account_name(&name)?;
    let asked = GrantBody { role, buildings };
    let token = credential::draw(credential::API_TOKEN_PREFIX)?;
    let token_sha256 = credential::digest(&token);
    let by = app.act();
    let expires = by.at.plus(Duration::from_secs(u64::from(days) * 86_400));
    let made = MadeToken { name: name.to_string(), token, expires_utc: text::utc(expires) };
    let make = app.core().with_services(move |services| {
        let grant = asked.grant(services)?;
        let token = NewApiToken { token_sha256, name, grant, expires };
        services.accounts.add_api_token(&token, &by).map_err(|error| match error.kind() {
            ErrorKind::Conflict => {
                let name = token.name.as_str();
                Problem::conflict(format!("there is an API token named {name:?} already"))
            }
            _ => error.into(),
        })
    });
    make.await?;
    Ok((StatusCode::CREATED, single(made)))
}

/// A token that is good no more.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RevokedToken {
    name: String,
}

/// Revokes a token.
pub(crate) async fn revoke(
    app: App,
    Path(name): Path<String>,
) -> Result<Json<Single<RevokedToken>>, Problem> {
    let by = app.act();
    let revoked = app.core().with_services(move |services| {
        let tokens = services.accounts.api_tokens()?;
        let found = tokens.into_iter().find(|token| token.name.as_str() == name);
        let token = found.ok_or_else(|| Problem::not_found("no API token has this name"))?;
        services.accounts.revoke_api_token(token.number, &by)?;
        Ok(RevokedToken { name })
    });
    Ok(single(revoked.await?))
}
