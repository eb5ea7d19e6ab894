//! Who asks, whether they may, and what every answer carries. One layer in front of all routes; what
//! has no row in their table is refused.
//!
//! Until there is an administrator, programs on this machine are let in as the local operator: the
//! collector listens on loopback only. A browser on this machine runs other people's pages, so a
//! loopback peer alone proves nothing: without TLS the host name must be a loopback name (against DNS
//! rebinding), and a write must be JSON, which a foreign page cannot send without asking first, or a
//! form with the session's own token (against request forgery).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use busyhour_model::UtcMicros;
use busyhour_store::{AccountName, Act, Actor, Grant, UserNo};
use thiserror::Error;
use tokio::time::timeout;

use crate::access::{Access, Denied, Row, Takes};
use crate::app::Core;
use crate::large::placed;
use crate::problem::Problem;
use crate::query::{is_grpc, refused};
use crate::signin::credential::{Credential, SessionKey};

/// What every answer carries: nothing from elsewhere, nothing inline, no frames, no guessing. The
/// referrer goes to ourselves alone; without any a browser would hide where our own forms come from.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// Over TLS browsers are told to come back by TLS only, for half a year.
const STRICT_TRANSPORT: &str = "max-age=15552000";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Where a script of the page says its session's token against forgery.
const FORGERY_TOKEN: HeaderName = HeaderName::from_static("x-busyhour-token");
/// How long a request may take once its head is there: to say its body, and to be answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The same of an import, whose body is megabytes.
const IMPORT_WITHIN: Duration = Duration::from_secs(600);
/// The longest address that is gone back to after signing in, in bytes.
const MAX_BACK_BYTES: usize = 1_024;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<Self>>();
        peer.map(|ConnectInfo(peer)| *peer).ok_or_else(|| Rejection(Problem::unauthorized()))
    }
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// A program on the collector's own machine, as long as there is no administrator.
    LocalOperator,
    /// A user who signed in.
    User(UserNo, AccountName),
    /// A program with an API token.
    ApiToken(AccountName),
}

/// Who asks, and what they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) who: Who,
    pub(crate) grant: Grant,
    /// The session it asks with, if it signed in.
    pub(crate) session: Option<SessionKey>,
    /// An identity provider proved who it is.
    pub(crate) is_proven: bool,
}

impl Principal {
    pub(crate) fn local_operator() -> Self {
        Self {
            who: Who::LocalOperator,
            grant: Grant::administrator(),
            session: None,
            is_proven: false,
        }
    }

    /// What it does at a moment, for the audit.
    pub(crate) fn act(&self, at: UtcMicros) -> Act {
        let named = |name: String| {
            Actor::new(name).expect("an account's name is shorter than an actor's, and printable")
        };
        let actor = match &self.who {
            Who::LocalOperator => return Act::by_operator(at),
            Who::User(_, name) => named(name.to_string()),
            Who::ApiToken(name) => named(format!("token {name}")),
        };
        Act { at, actor }
    }

    /// What it is called on the page.
    pub(crate) fn name(&self) -> String {
        match &self.who {
            Who::LocalOperator => "local operator".to_owned(),
            Who::User(_, name) => name.to_string(),
            Who::ApiToken(name) => format!("token {name}"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        parts.extensions.get().cloned().ok_or_else(|| Rejection(Problem::unauthorized()))
    }
}

/// Nobody was recognised.
#[derive(Debug)]
pub struct Rejection(pub(crate) Problem);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// An address that must not be listened on without TLS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "without TLS the page and the API listen on loopback only, not on {0}: give a certificate and \
     its key, or use 127.0.0.1 or [::1] and reach it from elsewhere through an SSH tunnel"
)]
pub struct ListenRefused(pub SocketAddr);

/// Checks that an address is loopback, as it must be without TLS.
///
/// # Errors
/// When it is not.
pub fn check_listen(address: SocketAddr) -> Result<(), ListenRefused> {
    if is_loopback(address.ip()) { Ok(()) } else { Err(ListenRefused(address)) }
}

/// Why a request does not get to its handler.
enum Refusal {
    /// Nobody signed in, or no more.
    SignIn,
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Refusal {
    /// A person is brought to where one signs in, a program is told.
    fn answer(self, request: &Parts) -> Response {
        let is_page = request.method == Method::GET
            && !request.uri.path().starts_with("/api/")
            && request
                .headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                .is_some_and(|accept| accept.contains("text/html"));
        match self {
            Self::SignIn if is_grpc(&request.headers) => refused(&Problem::unauthorized()),
            Self::Problem(problem) if is_grpc(&request.headers) => refused(&problem),
            Self::SignIn if is_page => {
                let back = request.uri.path_and_query().map_or("/", |asked| asked.as_str());
                Redirect::to(&format!("/sign-in?back={}", percent_encoded(back))).into_response()
            }
            Self::SignIn => {
                let mut response = Problem::unauthorized().into_response();
                let scheme = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                response
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// An address as the value of a query's parameter.
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes().take(MAX_BACK_BYTES) {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // Writing into a String never fails.
        }
    }
    encoded
}

/// An address of our own page to go back to; everything else is the overview.
pub(crate) fn safe_back(back: Option<&str>) -> &str {
    let own = |back: &&str| {
        let mut bytes = back.bytes();
        bytes.next() == Some(b'/')
            && !matches!(bytes.next(), Some(b'/' | b'\\'))
            && back.len() <= MAX_BACK_BYTES
            && back.bytes().all(|byte| byte.is_ascii_graphic())
    };
    back.filter(own).unwrap_or("/")
}

/// Lets a request in or turns it away, and dresses the answer.
pub(crate) async fn guard(State(core): State<Core>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match admit(&core, &parts).await {
        Ok(principal) => {
            let who = principal.as_ref().map_or_else(String::new, Principal::name);
            if let Some(principal) = principal {
                parts.extensions.insert(principal);
            }
            let import = parts.uri.path().ends_with("/import");
            let within = if import { IMPORT_WITHIN } else { ANSWER_WITHIN };
            let (version, is_grpc) = (parts.version, is_grpc(&parts.headers));
            match timeout(within, next.run(Request::from_parts(parts, body))).await {
                Ok(response) => placed(&core, who, is_grpc, response),
                Err(_) if is_grpc => refused(&Problem::too_slow()),
                Err(_) => too_slow(version),
            }
        }
        Err(refusal) => refusal.answer(&parts),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if core.door().is_tls() {
        let strict = HeaderValue::from_static(STRICT_TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What is left of the request is not waited for: the connection is over. HTTP/2 gives up that request alone.
fn too_slow(version: Version) -> Response {
    let mut response = Problem::too_slow().into_response();
    if version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn admit(core: &Core, request: &Parts) -> Result<Option<Principal>, Refusal> {
    let headers = &request.headers;
    let peer = request.extensions.get::<ConnectInfo<Peer>>();
    let Some(ConnectInfo(Peer(peer))) = peer else { return Err(Refusal::SignIn) };
    let is_local = is_loopback(peer.ip()) && names_loopback(request);
    if !core.door().is_tls() {
        if !is_loopback(peer.ip()) {
            return Err(Refusal::SignIn);
        }
        if !is_local {
            return Err(Problem::misdirected().into());
        }
    }
    let row = row_of(core, request)?;
    let credential = Credential::of(headers, core.door());
    let is_write = !matches!(request.method, Method::GET | Method::HEAD);
    if is_write {
        check_write(headers, row, &credential)?;
    }
    let open = row.is_some_and(|row| row.access == Access::Open);
    if row.is_some_and(|row| row.takes == Takes::Grpc) {
        // Anybody asks for the health, as often as they like: nobody is looked up for it.
        if open {
            return Ok(None);
        }
        // A browser sends a cookie by itself; a program says who it is.
        if matches!(credential, Credential::Cookie(_)) {
            return Err(Refusal::SignIn);
        }
    }
    let found = match credential.resolve(core).await {
        Err(problem) if !open => return Err(problem.into()),
        Ok(found) => found,
        Err(_) => None,
    };
    let principal = match found {
        Some(principal) => Some(principal),
        // Whoever comes with a credential is not let in as somebody else.
        None if credential.is_none() && is_local && !core.has_administrator().await? => {
            Some(Principal::local_operator())
        }
        None => None,
    };
    if open {
        return Ok(principal);
    }
    let Some(principal) = principal else { return Err(Refusal::SignIn) };
    // Nothing is at this address: whoever may ask at all is told so.
    let Some(row) = row else { return Ok(Some(principal)) };
    if let (true, Credential::Cookie(_), Takes::Json) = (is_write, &credential, row.takes) {
        let said = headers.get(FORGERY_TOKEN).map(HeaderValue::as_bytes);
        let session = principal.session.as_ref();
        if !session.zip(said).is_some_and(|(session, said)| session.is_token(said)) {
            return Err(Problem::forged().into());
        }
    }
    row.access.check(&principal).map_err(|denied| match denied {
        Denied::Role => Problem::not_allowed(principal.grant.role()),
        Denied::Reach => Problem::limited(),
        Denied::NotSetUp => Problem::not_set_up(),
    })?;
    Ok(Some(principal))
}

/// The row of the route that was matched; `None` where there is nothing.
fn row_of(core: &Core, request: &Parts) -> Result<Option<Row>, Problem> {
    let Some(matched) = request.extensions.get::<MatchedPath>() else { return Ok(None) };
    let method = match &request.method {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let rows = core.table().get(matched.as_str()).map_or(&[][..], Vec::as_slice);
    let row = rows.iter().find(|(of, _)| of == method).map(|(_, row)| *row);
    row.map(Some).ok_or_else(Problem::method_not_allowed)
}

/// A write is what its route takes, and none of our own browsers' that a foreign page sent.
fn check_write(
    headers: &HeaderMap,
    row: Option<Row>,
    credential: &Credential,
) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next());
    let takes = row.map(|row| row.takes);
    let expected = match takes {
        Some(Takes::Form) => "application/x-www-form-urlencoded",
        Some(Takes::Files) => "multipart/form-data",
        Some(Takes::Grpc) => "application/grpc",
        None if is_grpc(headers) => return Err(Problem::method_not_allowed()),
        Some(Takes::Json) | None => "application/json",
    };
    let is_expected = match takes {
        Some(Takes::Grpc) => is_grpc(headers),
        Some(Takes::Form | Takes::Files | Takes::Json) | None => {
            kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(expected))
        }
    };
    if !is_expected {
        return Err(Problem::unsupported_media_type(expected));
    }
    // A foreign page cannot know a token, and a browser sends none by itself.
    if matches!(credential, Credential::Bearer(_)) {
        return Ok(());
    }
    let host = text(header::HOST);
    let own_site = |site: &str| matches!(site, "same-origin" | "none");
    let own_origin = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
    };
    let is_foreign = headers.contains_key(SEC_FETCH_SITE)
        && !text(SEC_FETCH_SITE).is_some_and(own_site)
        || headers.contains_key(header::ORIGIN) && !text(header::ORIGIN).is_some_and(own_origin);
    if is_foreign { Err(Problem::forged()) } else { Ok(()) }
}

const fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The host that is asked for is this machine by a name that no resolver can give away.
fn names_loopback(request: &Parts) -> bool {
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = host.and_then(|host| host.parse::<Authority>().ok());
    let asked = request.uri.authority();
    named.is_some_and(|name| is_loopback_name(&name)) && asked.is_none_or(is_loopback_name)
}

pub(crate) fn is_loopback_name(name: &Authority) -> bool {
    let host = name.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_back_to_ones_own_page_only() {
        for own in ["/", "/buildings/7?date=2026-03-02", "/incidents/1"] {
            assert_eq!(safe_back(Some(own)), own);
        }
        for foreign in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "",
            "/a b",
            "/\r\nset-cookie: a=b",
        ] {
            assert_eq!(safe_back(Some(foreign)), "/", "{foreign:?}");
        }
        assert_eq!(safe_back(None), "/");
        assert_eq!(percent_encoded("/b?c=d&e\u{e4}"), "/b%3Fc%3Dd%26e%C3%A4");
    }
}
