//! The forms: set up, sign in, one's account, sign out.

use std::time::Duration;

use askama::Template;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use busyhour_store::Reach;
use serde::Deserialize;

use super::credential::{SessionKey, cookie};
use super::{Begun, SESSION};
use crate::app::{App, Core};
use crate::guard::{Peer, Principal, Who, percent_encoded, safe_back};
use crate::json;
use crate::page::{PageProblem, rendered};
use crate::problem::Problem;

pub(super) type Answer = Result<Response, PageProblem>;

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage<'a> {
    back: &'a str,
    name: &'a str,
    refused: &'a str,
    /// The identity provider, if there is one, and how it is asked to bring somebody back.
    provider: Option<&'a str>,
    back_encoded: String,
}

impl<'a> SignInPage<'a> {
    fn new(core: &'a Core, back: &'a str) -> Self {
        let provider = core.door().provider().map(|provider| provider.name());
        Self { back, name: "", refused: "", provider, back_encoded: percent_encoded(back) }
    }
}

#[derive(Template)]
#[template(path = "set-up.html")]
struct SetUpPage<'a> {
    name: &'a str,
    refused: &'a str,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    name: String,
    role: &'a str,
    buildings: Vec<String>,
    is_limited: bool,
    is_user: bool,
    /// Somebody else proves who it is: there is no password here.
    is_proven: bool,
    is_inspector: bool,
    form_token: String,
    refused: &'a str,
    changed: bool,
    users: Vec<(String, String)>,
}

/// Where to go after signing in.
#[derive(Debug, Deserialize)]
pub(crate) struct Back {
    pub(super) back: Option<String>,
}

/// The form to sign in with; or the one to set up with, as long as there is no administrator.
pub(crate) async fn sign_in_page(
    State(core): State<Core>,
    parameters: Result<Query<Back>, QueryRejection>,
) -> Answer {
    if !core.has_administrator().await? {
        return Ok(Redirect::to("/set-up").into_response());
    }
    let Back { back } = json::query(parameters)?;
    let page = SignInPage::new(&core, safe_back(back.as_deref()));
    Ok(Html(rendered(&page)?).into_response())
}

#[derive(Deserialize)]
pub(crate) struct SignInForm {
    name: String,
    password: String,
    back: Option<String>,
}

/// Signs in.
pub(crate) async fn sign_in(
    State(core): State<Core>,
    Peer(peer): Peer,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Answer {
    let SignInForm { name, password, back } = said(form)?;
    let back = safe_back(back.as_deref());
    match super::sign_in(&core, peer.ip(), name.trim().to_owned(), password).await {
        Ok(begun) => entered(&core, &begun, back),
        Err(problem) => {
            let (name, refused) = (name.trim(), problem.detail());
            let page = SignInPage { name, refused, ..SignInPage::new(&core, back) };
            answered(&problem, rendered(&page)?)
        }
    }
}

/// The form again, with why nobody comes in.
pub(super) fn sign_in_refused(core: &Core, problem: &Problem, back: &str) -> Answer {
    let page = SignInPage { refused: problem.detail(), ..SignInPage::new(core, back) };
    answered(problem, rendered(&page)?)
}

/// The form that the first administrator is made with; gone as soon as there is one.
pub(crate) async fn set_up_page(State(core): State<Core>) -> Answer {
    if core.has_administrator().await? {
        return Err(Problem::not_found("there is nothing at this address").into());
    }
    Ok(Html(rendered(&SetUpPage { name: "", refused: "" })?).into_response())
}

#[derive(Deserialize)]
pub(crate) struct SetUpForm {
    code: String,
    name: String,
    password: String,
}

/// Makes the first administrator.
pub(crate) async fn set_up(
    State(core): State<Core>,
    Peer(peer): Peer,
    form: Result<Form<SetUpForm>, FormRejection>,
) -> Answer {
    let SetUpForm { code, name, password } = said(form)?;
    match super::set_up(&core, peer.ip(), (code, name.clone(), password)).await {
        Ok(begun) => entered(&core, &begun, "/"),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(problem.into()),
        Err(problem) => {
            let page = SetUpPage { name: name.trim(), refused: problem.detail() };
            answered(&problem, rendered(&page)?)
        }
    }
}

/// One's own account.
pub(crate) async fn account_page(app: App) -> Answer {
    account(&app, "", false).await
}

async fn account(app: &App, refused: &str, changed: bool) -> Answer {
    let principal = app.principal().clone();
    let inspects = crate::access::Access::Inspect.check(&principal).is_ok();
    let reach = principal.grant.reach().clone();
    let found = app.core().with_services(move |services| {
        let named = match &reach {
            Reach::All => Vec::new(),
            Reach::Only(_) => {
                let buildings = services.control.buildings()?;
                let own = buildings.into_iter().filter(|building| reach.has(building.id));
                own.map(|building| building.name).collect()
            }
        };
        let users = if inspects { services.accounts.users()? } else { Vec::new() };
        Ok((named, users))
    });
    let (buildings, users) = found.await?;
    let form_token = principal.session.as_ref().map(SessionKey::form_token);
    let page = AccountPage {
        name: principal.name(),
        role: principal.grant.role().as_str(),
        buildings,
        is_limited: !principal.grant.reach().is_all(),
        is_user: matches!(principal.who, Who::User(..)),
        is_proven: principal.is_proven,
        is_inspector: inspects,
        form_token: form_token.transpose()?.unwrap_or_default(),
        refused,
        changed,
        users: users
            .into_iter()
            .map(|user| (user.name.to_string(), user.grant.role().to_string()))
            .collect(),
    };
    Ok(Html(rendered(&page)?).into_response())
}

#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    token: String,
    password: String,
    new_password: String,
}

/// Changes one's own password.
pub(crate) async fn change_password(
    app: App,
    Peer(peer): Peer,
    form: Result<Form<PasswordForm>, FormRejection>,
) -> Answer {
    let PasswordForm { token, password, new_password } = said(form)?;
    check_token(app.principal(), &token)?;
    let passwords = (password, new_password);
    match super::change_own_password(app.core(), peer.ip(), app.principal(), passwords).await {
        Ok(()) => account(&app, "", true).await,
        Err(problem) => {
            let mut answer = account(&app, problem.detail(), false).await?;
            *answer.status_mut() = problem.status();
            Ok(answer)
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct SignOutForm {
    token: String,
}

/// Ends the session.
pub(crate) async fn sign_out(app: App, form: Result<Form<SignOutForm>, FormRejection>) -> Answer {
    let SignOutForm { token } = said(form)?;
    check_token(app.principal(), &token)?;
    if let Some(session) = app.principal().session.clone() {
        let end = app.core().with_services(move |services| {
            Ok(services.accounts.end_session(&session.token_sha256)?)
        });
        end.await?;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, cookie(app.core().door(), "", Duration::ZERO)?);
    Ok((headers, Redirect::to("/sign-in")).into_response())
}

/// A form of who signed in has the session's own token in it.
pub(crate) fn check_token(principal: &Principal, said: &str) -> Result<(), Problem> {
    let session = principal.session.as_ref();
    if session.is_some_and(|session| session.is_token(said.as_bytes())) {
        return Ok(());
    }
    Err(Problem::forged())
}

/// A problem of a form says nothing of what was in it: there is a password.
pub(crate) fn said<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Problem> {
    let Form(form) = form.map_err(|rejection| {
        Problem::rejected(rejection.status(), "the form is not complete".to_owned())
    })?;
    Ok(form)
}

pub(super) fn entered(core: &Core, begun: &Begun, back: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, cookie(core.door(), &begun.token, SESSION)?);
    Ok((headers, Redirect::to(back)).into_response())
}

fn answered(problem: &Problem, page: String) -> Answer {
    let mut answer = (problem.status(), Html(page)).into_response();
    if let Some(wait) = problem.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, wait.into());
    }
    Ok(answer)
}
