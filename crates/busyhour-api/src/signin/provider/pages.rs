//! Going to the provider and coming back.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;

use super::waiting::PATIENCE;
use super::{Arrival, Departure, Provider, arrive, leave};
use crate::app::Core;
use crate::guard::{Peer, safe_back};
use crate::json;
use crate::problem::Problem;
use crate::signin::credential::{cookie_named, cookie_of};
use crate::signin::pages::{Answer, Back, entered, sign_in_refused};

/// The longest code and state that are taken, in bytes.
const MAX_PARAMETER_BYTES: usize = 4_096;

/// Sends a browser to the identity provider.
pub(crate) async fn go(
    State(core): State<Core>,
    Peer(peer): Peer,
    headers: HeaderMap,
    parameters: Result<Query<Back>, QueryRejection>,
) -> Answer {
    let provider = provider(&core)?;
    if !core.has_administrator().await? {
        return Ok(Redirect::to("/set-up").into_response());
    }
    is_a_person(&headers)?;
    let Back { back } = json::query(parameters)?;
    let back = safe_back(back.as_deref());
    let cookie = core.door().provider_cookie_name();
    let browser = cookie_of(&headers, cookie).map(str::to_owned);
    match leave(&core, &provider, peer.ip(), (browser, back)).await {
        Ok(Departure { address, browser }) => {
            let cookie = cookie_named(core.door(), cookie, &browser, PATIENCE)?;
            let mut headers = HeaderMap::new();
            headers.insert(header::SET_COOKIE, cookie);
            Ok((headers, Redirect::to(&address)).into_response())
        }
        Err(problem) => sign_in_refused(&core, &problem, back),
    }
}

/// What a provider sends a browser back with. Others that it adds are nothing to us.
#[derive(Deserialize)]
pub(crate) struct Returned {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Takes a browser back from the identity provider.
pub(crate) async fn come_back(
    State(core): State<Core>,
    Peer(peer): Peer,
    headers: HeaderMap,
    parameters: Result<Query<Returned>, QueryRejection>,
) -> Answer {
    let provider = provider(&core)?;
    is_a_person(&headers)?;
    // What is wrong with it is told without saying it: there is a code.
    let wrong = || Problem::bad_request("this is not how a provider sends somebody back");
    let Query(Returned { state, code, iss, error }) = parameters.map_err(|_| wrong())?;
    let sized = [&state, &code, &iss, &error].into_iter().flatten();
    if sized.map(String::len).any(|bytes| bytes > MAX_PARAMETER_BYTES) {
        return Err(wrong().into());
    }
    let arrival = Arrival {
        state: state.unwrap_or_default(),
        browser: cookie_of(&headers, core.door().provider_cookie_name()).unwrap_or("").to_owned(),
        code,
        issuer: iss,
        error,
    };
    match arrive(&core, &provider, peer.ip(), arrival).await {
        Ok((begun, back)) => entered(&core, &begun, &back),
        Err(problem) => sign_in_refused(&core, &problem, "/"),
    }
}

/// A browser goes there because somebody does, not because a foreign page has a picture there.
fn is_a_person(headers: &HeaderMap) -> Result<(), Problem> {
    let destination = headers.get("sec-fetch-dest");
    if destination.is_none_or(|destination| destination == "document") {
        return Ok(());
    }
    Err(Problem::forged())
}

fn provider(core: &Core) -> Result<std::sync::Arc<Provider>, Problem> {
    let provider = core.door().provider().cloned();
    provider.ok_or_else(|| Problem::not_found("there is nothing at this address"))
}
