//! Who calls. The answer comes from the call, never from a message.

use std::net::SocketAddr;
use std::sync::Arc;

use busyhour_fleet::{AdmitError, Fleet, ShownCertificate};
use busyhour_model::AgentId;
use busyhour_store::{Control, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::metadata::MetadataMap;

/// The longest secret, in bytes: far more than 256 bits in any notation.
const MAX_SECRET_BYTES: usize = 512;

/// An agent that proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentPrincipal {
    /// Its identity.
    pub agent: AgentId,
    /// It sends simulated data.
    pub simulated: bool,
    /// The certificate that it showed, if that is how it is known.
    pub shown: Option<ShownCertificate>,
}

/// What a call brings of its caller.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Its metadata.
    pub metadata: MetadataMap,
    /// Where the connection comes from.
    pub peer: Option<SocketAddr>,
    /// The certificate that the connection showed; an authority of ours signed it.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Why a caller is not let in.
#[derive(Debug, Error)]
pub enum AuthError {
    /// No `authorization` with a bearer token.
    #[error("no agent credentials: send \"authorization: Bearer <agent id>.<secret>\"")]
    Missing,
    /// The token is not an agent's.
    #[error("malformed agent credentials: expected \"<agent id>.<secret>\"")]
    Malformed,
    /// Nobody added such an agent.
    #[error("agent {0} is not known to this collector")]
    UnknownAgent(AgentId),
    /// The secret is another one.
    #[error("the secret of agent {0} does not match")]
    WrongSecret(AgentId),
    /// The certificate does not do.
    #[error("a certificate does not let in")]
    Certificate(#[source] AdmitError),
    /// It cannot be told now.
    #[error("the identity of agent {agent} cannot be checked now")]
    Unavailable {
        /// The agent.
        agent: AgentId,
        /// What the store says.
        #[source]
        source: StoreError,
    },
}

/// Tells who makes a call.
pub trait Authenticator: Send + Sync {
    /// The principal of a call. May block: it is called off the runtime's threads, as all of these are.
    ///
    /// # Errors
    /// When nobody known makes the call, or that cannot be told.
    fn authenticate(&self, caller: &Caller) -> Result<AgentPrincipal, AuthError>;

    /// Looks again, once the agent's session can be ended, at whether it may deliver, with the number of
    /// its session that it said. What it is to say next time, if sessions are counted.
    ///
    /// # Errors
    /// When it may not deliver (any more), or that cannot be told.
    fn begin(&self, principal: &AgentPrincipal, said: u64) -> Result<Option<u64>, AuthError> {
        let _ = (principal, said);
        Ok(None)
    }

    /// Notes that agents kept what they are to say next time.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn confirm(&self, sessions: &[(AgentPrincipal, u64)]) -> Result<(), StoreError> {
        let _ = sessions;
        Ok(())
    }
}

/// SHA-256 of a secret: what the collector keeps of it. Secrets are drawn at random with at least
/// 128 bits, so a plain hash suffices.
#[must_use]
pub fn secret_sha256(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Knows agents by `authorization: Bearer <agent id>.<secret>`; stands in for client certificates.
pub struct SecretAuthenticator {
    control: Arc<dyn Control>,
}

impl SecretAuthenticator {
    /// Checks against what `control` keeps.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }
}

impl Authenticator for SecretAuthenticator {
    fn authenticate(&self, caller: &Caller) -> Result<AgentPrincipal, AuthError> {
        let token = caller
            .metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(AuthError::Missing)?;
        let (agent, secret) = token.trim().split_once('.').ok_or(AuthError::Malformed)?;
        let agent: AgentId = agent.parse().map_err(|_| AuthError::Malformed)?;
        if secret.is_empty() || secret.len() > MAX_SECRET_BYTES {
            return Err(AuthError::Malformed);
        }
        let (kept, simulated) = self
            .control
            .agent_secret(agent)
            .map_err(|source| AuthError::Unavailable { agent, source })?
            .ok_or(AuthError::UnknownAgent(agent))?;
        if !bool::from(secret_sha256(secret).ct_eq(&kept)) {
            return Err(AuthError::WrongSecret(agent));
        }
        Ok(AgentPrincipal { agent, simulated, shown: None })
    }
}

/// Knows agents by the certificates that the fleet's authority gave them. No secret lets in here.
pub struct CertificateAuthenticator {
    fleet: Arc<Fleet>,
}

impl CertificateAuthenticator {
    /// Asks `fleet`.
    #[must_use]
    pub const fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }

    fn admit(&self, certificate: Option<&CertificateDer<'_>>) -> Result<AgentPrincipal, AuthError> {
        let shown = self.fleet.admit(certificate).map_err(AuthError::Certificate)?;
        Ok(AgentPrincipal { agent: shown.agent, simulated: false, shown: Some(shown) })
    }
}

impl Authenticator for CertificateAuthenticator {
    fn authenticate(&self, caller: &Caller) -> Result<AgentPrincipal, AuthError> {
        self.admit(caller.certificate.as_ref())
    }

    fn begin(&self, principal: &AgentPrincipal, said: u64) -> Result<Option<u64>, AuthError> {
        let shown = principal.shown.ok_or(AuthError::Missing)?;
        self.fleet.begin(&shown, said).map_err(AuthError::Certificate)?;
        Ok(Some(said.saturating_add(1)))
    }

    fn confirm(&self, sessions: &[(AgentPrincipal, u64)]) -> Result<(), StoreError> {
        let shown = |(principal, next): &(AgentPrincipal, u64)| Some((principal.shown?, *next));
        self.fleet.confirm(&sessions.iter().filter_map(shown).collect::<Vec<_>>())
    }
}
