//! Signing in with an identity provider, as it is configured.

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use busyhour_api::{InvalidProvider, Provider, ProviderConfig, Rule};
use busyhour_daemon::{Secret, SecretError};
use serde::Deserialize;
use thiserror::Error;

/// Certificates are a few kilobytes each.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// `[api.oidc]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOidc {
    name: String,
    issuer: String,
    client_id: String,
    client_secret_file: PathBuf,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default = "name_claim")]
    name_claim: String,
    #[serde(default)]
    rule: Vec<RawRule>,
}

/// What most providers name people by.
fn name_claim() -> String {
    "preferred_username".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    claim: String,
    value: String,
    role: String,
    buildings: Option<Vec<String>>,
}

/// What of `[api.oidc]` cannot be.
#[derive(Debug, Error)]
pub enum InvalidOidc {
    /// People would be sent back to an address that is nobody's.
    #[error("say in api.base_url where people open the page: the provider sends them back there")]
    NoBaseUrl,
    /// The secret is not there.
    #[error("client_secret_file cannot be used")]
    Secret(#[source] SecretError),
    /// The certificates are not there.
    #[error("ca_file = {path:?} cannot be read")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A role is none.
    #[error("a rule cannot be")]
    Rule(#[source] busyhour_store::InvalidAccount),
    /// Something else of it.
    #[error("the provider cannot be used")]
    Provider(#[source] InvalidProvider),
}

/// An identity provider that can be used.
pub struct Oidc {
    raw: RawOidc,
    secret: Secret,
    roots: Option<Vec<u8>>,
    rules: Vec<Rule>,
}

impl Oidc {
    pub(super) fn resolve(
        raw: RawOidc,
        (listen, base_url): (SocketAddr, Option<&str>),
    ) -> Result<Self, InvalidOidc> {
        if base_url.is_none() && !listen.ip().to_canonical().is_loopback() {
            return Err(InvalidOidc::NoBaseUrl);
        }
        let secret = Secret::read(&raw.client_secret_file).map_err(InvalidOidc::Secret)?;
        let roots = raw.ca_file.as_deref().map(read_ca).transpose()?;
        let rules = raw.rule.iter().map(|rule| {
            Ok(Rule {
                claim: rule.claim.clone(),
                value: rule.value.clone(),
                role: rule.role.parse().map_err(InvalidOidc::Rule)?,
                buildings: rule.buildings.clone(),
            })
        });
        let rules = rules.collect::<Result<_, InvalidOidc>>()?;
        let oidc = Self { raw, secret, roots, rules };
        oidc.provider(base_url.unwrap_or_default()).map_err(InvalidOidc::Provider)?;
        Ok(oidc)
    }

    /// The provider, whose users come back to the page at this address.
    ///
    /// # Errors
    /// Those that [`super::RawConfig::resolve`] would have told.
    pub fn provider(&self, base_url: &str) -> Result<Provider, InvalidProvider> {
        let raw = self.raw.clone();
        let config = ProviderConfig {
            name: raw.name,
            issuer: raw.issuer,
            client_id: raw.client_id,
            client_secret: self.secret.expose().to_owned(),
            roots: self.roots.clone(),
            scopes: raw.scopes,
            name_claim: raw.name_claim,
            rules: self.rules.clone(),
        };
        Provider::new(config, base_url)
    }
}

fn read_ca(path: &Path) -> Result<Vec<u8>, InvalidOidc> {
    let mut pem = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_CA_BYTES).read_to_end(&mut pem));
    read.map_err(|source| InvalidOidc::Ca { path: path.to_owned(), source })?;
    Ok(pem)
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc").field("raw", &self.raw).finish_non_exhaustive()
    }
}

/// As it is written in a configuration file; the secret stays in its own.
impl fmt::Display for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RawOidc { name, issuer, client_id, client_secret_file, .. } = &self.raw;
        writeln!(f, "\n[api.oidc]\nname = {name:?}\nissuer = {issuer:?}")?;
        writeln!(f, "client_id = {client_id:?}\nclient_secret_file = {client_secret_file:?}")?;
        if let Some(ca_file) = &self.raw.ca_file {
            writeln!(f, "ca_file = {ca_file:?}")?;
        }
        writeln!(f, "scopes = {:?}\nname_claim = {:?}", self.raw.scopes, self.raw.name_claim)?;
        for rule in &self.rules {
            let Rule { claim, value, role, buildings } = rule;
            writeln!(f, "[[api.oidc.rule]]\nclaim = {claim:?}\nvalue = {value:?}")?;
            writeln!(f, "role = \"{role}\"")?;
            if let Some(buildings) = buildings {
                writeln!(f, "buildings = {buildings:?}")?;
            }
        }
        Ok(())
    }
}
