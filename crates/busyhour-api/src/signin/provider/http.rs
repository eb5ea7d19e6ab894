//! Talking to the provider: bounded in time and size, without redirects, in the clear with this machine
//! only. Blocks.

use std::time::Duration;

use thiserror::Error;
use ureq::http::header;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::metadata::InvalidMetadata;
use super::token::Refused;

/// How long one question to the provider may take, its connection included.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer: a set of keys with their certificates.
const MAX_ANSWER_BYTES: u64 = 256 * 1_024;
/// Errors that a token endpoint may name (RFC 6749, section 5.2); others are not repeated.
const TOKEN_ERRORS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Roots that are none.
#[derive(Debug, Error)]
#[error("there is no certificate in it, or one that cannot be read")]
pub struct InvalidRoots;

/// Why the provider was of no help.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("too many are signing in at once")]
    Busy,
    #[error("ask the provider for {what}")]
    Reach { what: &'static str, source: Box<ureq::Error> },
    #[error("the provider answered {status} when asked for {what}")]
    Status { what: &'static str, status: u16 },
    #[error("the provider does not redeem the code: {0}")]
    Code(&'static str),
    #[error("what the provider says of itself is of no use")]
    Metadata(#[source] InvalidMetadata),
    #[error("the provider's keys cannot be read")]
    Keys,
    #[error("the provider gave no ID token")]
    NoToken,
    #[error("the provider's ID token is not taken")]
    Token(#[source] Refused),
    #[error("the talk with the provider was cut short")]
    Cut,
}

pub(super) struct Http(ureq::Agent);

impl Http {
    /// With these roots (PEM), or else the system's. A proxy from the environment is used unless the
    /// provider is on this machine.
    pub(super) fn new(roots: Option<&[u8]>, is_local: bool) -> Result<Self, InvalidRoots> {
        let roots = match roots {
            None => RootCerts::PlatformVerifier,
            Some(pem) => {
                let mut certificates = Vec::new();
                for item in parse_pem(pem) {
                    if let PemItem::Certificate(certificate) = item.map_err(|_| InvalidRoots)? {
                        certificates.push(certificate);
                    }
                }
                if certificates.is_empty() {
                    return Err(InvalidRoots);
                }
                RootCerts::from(certificates)
            }
        };
        let mut builder = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("busyhour/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build());
        if is_local {
            builder = builder.proxy(None);
        }
        Ok(Self(builder.build().new_agent()))
    }

    pub(super) fn get(&self, address: &str, what: &'static str) -> Result<Vec<u8>, Failure> {
        let asked = self.0.get(address).header(header::ACCEPT, "application/json").call();
        let (status, body) = read(asked, what)?;
        if status == 200 { Ok(body) } else { Err(Failure::Status { what, status }) }
    }

    /// Redeems a code at the token endpoint.
    pub(super) fn redeem(
        &self,
        address: &str,
        authorization: Option<&str>,
        form: &[(&str, &str)],
    ) -> Result<Vec<u8>, Failure> {
        let pairs = form.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let mut request = self
            .0
            .post(address)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let what = "a token";
        let (status, body) = read(request.send(&body), what)?;
        match status {
            200 => Ok(body),
            400 | 401 => Err(Failure::Code(error_named(&body))),
            status => Err(Failure::Status { what, status }),
        }
    }
}

fn read(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    what: &'static str,
) -> Result<(u16, Vec<u8>), Failure> {
    let reach = |source| Failure::Reach { what, source: Box::new(source) };
    let mut answer = answer.map_err(reach)?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
    Ok((status, body.map_err(reach)?))
}

fn error_named(body: &[u8]) -> &'static str {
    let body: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let named = body.as_ref().and_then(|body| body["error"].as_str()).unwrap_or_default();
    TOKEN_ERRORS.into_iter().find(|known| *known == named).unwrap_or("it does not say why")
}

/// A text as a value in a form or a query, or as a part of basic authorization (RFC 6749, 2.3.1).
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // Writing into a String never fails.
        }
    }
    encoded
}
