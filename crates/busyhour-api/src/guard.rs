//! Who may ask, and what every answer carries.
//!
//! Until there is sign-in, only programs on this machine are let in. A browser on this machine runs
//! other people's pages, so a loopback peer alone proves nothing: the host name must be a loopback
//! name (against DNS rebinding) and a write must be JSON, which a foreign page cannot send without
//! asking first (against request forgery).

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use busyhour_model::UtcMicros;
use busyhour_store::Act;
use thiserror::Error;

use crate::problem::Problem;

/// What every answer carries: nothing from elsewhere, nothing inline, no frames, no guessing.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// A program on the collector's own machine; may do everything.
    LocalOperator,
}

impl Principal {
    /// What it does at a moment, for the audit.
    pub(crate) fn act(self, at: UtcMicros) -> Act {
        match self {
            Self::LocalOperator => Act::by_operator(at),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        parts.extensions.get().copied().ok_or_else(|| Rejection(Problem::unauthorized()))
    }
}

/// Nobody was recognised.
#[derive(Debug)]
pub struct Rejection(Problem);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// An address that must not be listened on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the page and the API have no sign-in yet and listen on loopback only, not on {0}: use \
     127.0.0.1 or [::1], and reach it from elsewhere through an SSH tunnel"
)]
pub struct ListenRefused(pub SocketAddr);

/// Checks that an address is loopback.
///
/// # Errors
/// When it is not.
pub fn check_listen(address: SocketAddr) -> Result<(), ListenRefused> {
    if is_loopback(address.ip()) { Ok(()) } else { Err(ListenRefused(address)) }
}

/// Lets a request in or turns it away, and dresses the answer.
pub(crate) async fn guard(mut request: Request, next: Next) -> Response {
    let mut response = match admit(&request) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn admit(request: &Request) -> Result<Principal, Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if !peer.is_some_and(|ConnectInfo(peer)| is_loopback(peer.ip())) {
        return Err(Problem::unauthorized());
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let named = header(header::HOST).and_then(|host| host.parse::<Authority>().ok());
    let asked = request.uri().authority();
    if !named.is_some_and(|name| is_loopback_name(&name)) || !asked.is_none_or(is_loopback_name) {
        return Err(Problem::misdirected());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let kind = header(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next());
        if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Problem::unsupported_media_type());
        }
    }
    Ok(Principal::LocalOperator)
}

const fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_loopback_name(name: &Authority) -> bool {
    let host = name.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
}
