//! Who calls. The answer comes from the call, never from a message.

use std::net::SocketAddr;
use std::sync::Arc;

use busyhour_model::AgentId;
use busyhour_store::{Control, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
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
    /// The principal of a call with this metadata from this address. May block: it is called off
    /// the runtime's threads.
    ///
    /// # Errors
    /// When nobody known makes the call, or that cannot be told.
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        peer: Option<SocketAddr>,
    ) -> Result<AgentPrincipal, AuthError>;
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
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        _peer: Option<SocketAddr>,
    ) -> Result<AgentPrincipal, AuthError> {
        let token = metadata
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
        Ok(AgentPrincipal { agent, simulated })
    }
}
