//! What a provider says of itself (`OpenID` Connect Discovery 1.0, section 4; RFC 9207). Pure.

use axum::http::Uri;
use serde::Deserialize;
use thiserror::Error;

use crate::guard::is_loopback_name;

/// The longest address, in bytes.
const MAX_ADDRESS_BYTES: usize = 2_048;
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} is no https:// address (http:// is for a provider on this machine's loopback)")]
pub struct InvalidAddress {
    what: &'static str,
}

/// The address of an issuer. It is compared letter by letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issuer {
    text: String,
    /// It is on this machine, in the clear.
    is_local: bool,
}

impl Issuer {
    pub(super) fn new(text: String) -> Result<Self, InvalidAddress> {
        let what = "the issuer";
        let is_local = parse(&text, what)?;
        if text.contains('?') { Err(InvalidAddress { what }) } else { Ok(Self { text, is_local }) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Where it tells of itself.
    pub(super) fn well_known(&self) -> String {
        format!("{}{WELL_KNOWN}", self.text.strip_suffix('/').unwrap_or(&self.text))
    }
}

/// Checks an address; true when it is in the clear, on this machine.
fn parse(text: &str, what: &'static str) -> Result<bool, InvalidAddress> {
    let refused = InvalidAddress { what };
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() > MAX_ADDRESS_BYTES || !printable || text.contains('#') {
        return Err(refused);
    }
    let Ok(address) = text.parse::<Uri>() else { return Err(refused) };
    let Some(authority) = address.authority() else { return Err(refused) };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(refused);
    }
    match address.scheme_str() {
        Some("https") => Ok(false),
        Some("http") if is_loopback_name(authority) => Ok(true),
        _ => Err(refused),
    }
}

/// How the client proves itself to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientProof {
    /// In the header `Authorization`.
    Basic,
    /// In the form.
    Post,
}

/// What there is to know of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) authorization: String,
    pub(super) token: String,
    pub(super) keys: String,
    pub(super) proof: ClientProof,
    /// It names itself in what it answers, so that no other provider can answer for it.
    pub(super) names_itself: bool,
}

/// Why what a provider says of itself is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidMetadata {
    #[error("the provider does not say what it is")]
    Shape,
    #[error("another issuer says so: api.oidc.issuer must be its name, letter by letter")]
    Issuer,
    #[error("the provider takes a client's secret in no way that is known here")]
    Proof,
    #[error("the provider names an address that cannot be used")]
    Address(#[source] InvalidAddress),
}

#[derive(Deserialize)]
struct Raw {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    pub(super) fn parse(text: &[u8], issuer: &Issuer) -> Result<Self, InvalidMetadata> {
        let raw: Raw = serde_json::from_slice(text).map_err(|_| InvalidMetadata::Shape)?;
        if raw.issuer != issuer.as_str() {
            return Err(InvalidMetadata::Issuer);
        }
        let address = |text: String, what| match parse(&text, what) {
            Ok(local) if local && !issuer.is_local => {
                Err(InvalidMetadata::Address(InvalidAddress { what }))
            }
            Ok(_) => Ok(text),
            Err(error) => Err(InvalidMetadata::Address(error)),
        };
        let proof = match raw.token_endpoint_auth_methods_supported {
            None => ClientProof::Basic,
            Some(methods) if methods.iter().any(|method| method == "client_secret_basic") => {
                ClientProof::Basic
            }
            Some(methods) if methods.iter().any(|method| method == "client_secret_post") => {
                ClientProof::Post
            }
            Some(_) => return Err(InvalidMetadata::Proof),
        };
        Ok(Self {
            authorization: address(raw.authorization_endpoint, "its authorization endpoint")?,
            token: address(raw.token_endpoint, "its token endpoint")?,
            keys: address(raw.jwks_uri, "the address of its keys")?,
            proof,
            names_itself: raw.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn issuer(text: &str) -> Result<Issuer, InvalidAddress> {
        Issuer::new(text.to_owned())
    }

    fn told() -> Value {
        json!({
            "issuer": "https://login.example.org/main",
            "authorization_endpoint": "https://login.example.org/main/authorize?tenant=1",
            "token_endpoint": "https://login.example.org/main/token",
            "jwks_uri": "https://keys.example.org/main",
        })
    }

    fn parsed(told: &Value) -> Result<Metadata, InvalidMetadata> {
        let issuer = issuer("https://login.example.org/main").unwrap();
        Metadata::parse(told.to_string().as_bytes(), &issuer)
    }

    #[test]
    fn an_issuer_is_reached_over_tls_or_on_this_machine() {
        for (text, local) in [
            ("https://login.example.org", false),
            ("https://login.example.org:8443/realms/main/", false),
            ("http://127.0.0.1:4593/api/oidc", true),
            ("http://[::1]:4593", true),
            ("http://localhost", true),
        ] {
            assert_eq!(issuer(text).unwrap().is_local(), local, "{text}");
        }
        for text in [
            "",
            "login.example.org",
            "http://login.example.org",
            "ftp://login.example.org",
            "https://login.example.org/?a=b",
            "https://login.example.org/#a",
            "https://a@login.example.org/",
            "https://login.example.org/a b",
            "https:///",
        ] {
            assert!(issuer(text).is_err(), "{text}");
        }
        let slash = issuer("https://login.example.org/").unwrap();
        let told = "https://login.example.org/.well-known/openid-configuration";
        assert_eq!(slash.well_known(), told);
    }

    #[test]
    fn what_a_provider_says_of_itself_is_taken_when_it_is_the_issuer_and_over_tls() {
        let metadata = parsed(&told()).unwrap();
        assert_eq!((metadata.proof, metadata.names_itself), (ClientProof::Basic, false));
        assert_eq!(metadata.keys, "https://keys.example.org/main");
        let with = |name: &str, value: Value| {
            let mut told = told();
            told[name] = value;
            parsed(&told)
        };
        let methods = "token_endpoint_auth_methods_supported";
        let post = with(methods, json!(["private_key_jwt", "client_secret_post"])).unwrap();
        assert_eq!(post.proof, ClientProof::Post);
        assert_eq!(with(methods, json!(["private_key_jwt"])), Err(InvalidMetadata::Proof));
        let named = with("authorization_response_iss_parameter_supported", json!(true)).unwrap();
        assert!(named.names_itself);
        let other = with("issuer", json!("https://login.example.org/main/"));
        assert_eq!(other, Err(InvalidMetadata::Issuer));
        for field in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for address in ["http://login.example.org/", "http://127.0.0.1/", "javascript:alert(1)"]
            {
                let told = with(field, json!(address));
                assert!(matches!(told, Err(InvalidMetadata::Address(_))), "{field} {address}");
            }
            assert_eq!(with(field, json!(7)), Err(InvalidMetadata::Shape));
        }
    }
}
