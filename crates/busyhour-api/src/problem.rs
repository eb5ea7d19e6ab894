//! Errors as problem details (RFC 9457).

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use busyhour_store::{ErrorKind, Role, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What went wrong, for the one who asked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// What is wrong with a building file, by line and column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Value>,
    /// Seconds after which to try again.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            findings: Vec::new(),
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "sign in, or send an API token; `busyhour login` does it for the command line";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn misdirected() -> Self {
        let detail = "the host name of the request is not a loopback name; use http://localhost";
        Self::new(StatusCode::MISDIRECTED_REQUEST, detail)
    }

    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        let detail = format!("a write needs the content type {expected} here");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(crate) fn not_allowed(role: Role) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("this is not for the role {role}"))
    }

    /// Who asks is limited to buildings, and this is not.
    pub(crate) fn limited() -> Self {
        let detail =
            "this is only for who sees all buildings, or lies in a building that you do not see";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn not_set_up() -> Self {
        let detail = "make the first administrator before, with the code that the collector printed when it \
                      started: /set-up on its page, or `busyhour user first`";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn forged() -> Self {
        let detail = "this does not come from our own page: load it again";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn wrong_password() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "the name or the password is wrong")
    }

    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(1);
        let detail = format!("too many tries: wait {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the request or its answer took too long")
    }

    pub(crate) fn unprocessable(detail: impl Into<String>, findings: Vec<Value>) -> Self {
        Self { findings, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Too much is under way; it is worth asking again after `wait`, in whole seconds.
    pub(crate) fn busy(why: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let detail = format!("{why}: try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::unavailable(detail) }
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the collector's log tells why")
    }

    /// A rejection of one of the framework's extractors, in its own words.
    pub(crate) fn rejected(status: StatusCode, detail: String) -> Self {
        Self::new(status, detail)
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match StatusCode::from_u16(self.status) {
            Ok(status) => status,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) const fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) const fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store did not answer");
        match error.kind() {
            ErrorKind::Full => Self::unavailable("the collector's disk is full"),
            ErrorKind::Busy => Self::unavailable("the collector's database is busy; try again"),
            ErrorKind::Conflict => Self::conflict("something with this name exists already"),
            ErrorKind::NotFound => {
                Self::not_found("there is nothing with this identity (any more)")
            }
            ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Other => Self::internal(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after;
        let mut response = (self.status(), Json(self)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
