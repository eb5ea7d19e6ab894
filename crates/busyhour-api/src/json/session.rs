//! Signing in and out without a browser, and who one is.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use busyhour_model::UtcMicros;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::users::GrantItem;
use super::{Single, secret_body, single};
use crate::app::{App, Core};
use crate::guard::{Peer, Who};
use crate::problem::Problem;
use crate::signin::{self, Begun};
use crate::text;

/// A session that has begun. The token is shown this once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SessionItem {
    /// To be sent as `Authorization: Bearer`.
    token: String,
    expires_utc: String,
    name: String,
    #[serde(flatten)]
    grant: GrantItem,
}

impl SessionItem {
    fn new(begun: Begun) -> Self {
        Self {
            token: begun.token,
            expires_utc: text::utc(begun.expires),
            name: begun.user.name.to_string(),
            grant: GrantItem::new(&begun.user.grant),
        }
    }
}

/// A name and its password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInBody {
    name: String,
    password: String,
}

/// Begins a session.
pub(crate) async fn sign_in(
    State(core): State<Core>,
    Peer(peer): Peer,
    request: Result<Json<SignInBody>, JsonRejection>,
) -> Result<Json<Single<SessionItem>>, Problem> {
    let SignInBody { name, password } = secret_body(request)?;
    let begun = signin::sign_in(&core, peer.ip(), name, password).await?;
    Ok(single(SessionItem::new(begun)))
}

/// The code, and who is to be the first administrator.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUpBody {
    code: String,
    name: String,
    password: String,
}

/// Makes the first administrator and begins a session.
pub(crate) async fn set_up(
    State(core): State<Core>,
    Peer(peer): Peer,
    request: Result<Json<SetUpBody>, JsonRejection>,
) -> Result<Json<Single<SessionItem>>, Problem> {
    let SetUpBody { code, name, password } = secret_body(request)?;
    let begun = signin::set_up(&core, peer.ip(), (code, name, password)).await?;
    Ok(single(SessionItem::new(begun)))
}

/// What there is nothing to say of.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {
    done: bool,
}

/// Ends the session that this is asked with.
pub(crate) async fn sign_out(app: App) -> Result<Json<Single<Done>>, Problem> {
    let Some(session) = app.principal().session.clone() else {
        return Err(Problem::conflict("this was not asked with a session"));
    };
    let end = app
        .core()
        .with_services(move |services| Ok(services.accounts.end_session(&session.token_sha256)?));
    end.await?;
    Ok(single(Done { done: true }))
}

/// Who asks.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WhoItem {
    /// `local-operator`, `user` or `api-token`.
    kind: &'static str,
    name: String,
    #[serde(flatten)]
    grant: GrantItem,
    now_utc: String,
}

/// Who one is, and what one may.
pub(crate) async fn whoami(app: App) -> Json<Single<WhoItem>> {
    let principal = app.principal();
    let kind = match principal.who {
        Who::LocalOperator => "local-operator",
        Who::User(..) => "user",
        Who::ApiToken(_) => "api-token",
    };
    let now: UtcMicros = app.now();
    single(WhoItem {
        kind,
        name: principal.name(),
        grant: GrantItem::new(&principal.grant),
        now_utc: text::utc(now),
    })
}

/// One's password of now, and the one to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    password: String,
    new_password: String,
}

/// Changes one's own password; all other sessions end.
pub(crate) async fn password(
    app: App,
    Peer(peer): Peer,
    request: Result<Json<PasswordBody>, JsonRejection>,
) -> Result<Json<Single<Done>>, Problem> {
    let PasswordBody { password, new_password } = secret_body(request)?;
    let passwords = (password, new_password);
    signin::change_own_password(app.core(), peer.ip(), app.principal(), passwords).await?;
    Ok(single(Done { done: true }))
}
