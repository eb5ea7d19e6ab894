//! From what the collector issued to a credential that is sure to work.

use busyhour_model::{AgentId, UtcMicros};
use busyhour_proto::v1;
use rustls::pki_types::CertificateDer;
use thiserror::Error;

use super::credential::{Credential, CredentialError, count};
use super::key::AgentKey;
use super::tls::{self, TlsError};

/// The longest name of a building or subnet that is kept.
const MAX_NAME_BYTES: usize = 512;

/// An answer that no identity can be made of.
#[derive(Debug, Error)]
pub enum IssueError {
    /// There is nothing in it.
    #[error("the collector answered without a credential")]
    Empty,
    /// It names no agent.
    #[error("the collector's answer names no agent")]
    Agent,
    /// It is an identity of somebody else.
    #[error("the collector answered with the identity of agent {found}, this is {expected}")]
    OtherAgent {
        /// Whom the answer names.
        found: AgentId,
        /// Who asked.
        expected: AgentId,
    },
    /// It is over already, by this machine's clock.
    #[error(
        "the certificate that the collector issued is not valid now by this machine's clock: is the \
         clock right?"
    )]
    Over,
    /// A name that nobody should have to read.
    #[error("the collector's answer names a place in more than {MAX_NAME_BYTES} bytes")]
    Name,
    /// The certificates are none.
    #[error("the collector's answer holds no certificates that can be used")]
    Certificates(#[source] CredentialError),
    /// They do not go with the key.
    #[error("the collector's certificate cannot be used")]
    Unusable(#[source] TlsError),
}

/// What the collector is asked with, and what is known when its answer comes.
pub(crate) struct Asked<'a> {
    pub(crate) collector: &'a str,
    pub(crate) key: AgentKey,
    /// Who asked, when that is known already.
    pub(crate) agent: Option<AgentId>,
    pub(crate) now: UtcMicros,
}

impl Asked<'_> {
    /// Checks everything that can be checked here: the certificate is of our key, there is somebody to
    /// trust, and it holds now.
    pub(crate) fn accept(self, issued: Option<v1::Credential>) -> Result<Credential, IssueError> {
        let issued = issued.ok_or(IssueError::Empty)?;
        let agent = AgentId::from_slice(&issued.agent).map_err(|_| IssueError::Agent)?;
        if let Some(expected) = self.agent.filter(|&expected| expected != agent) {
            return Err(IssueError::OtherAgent { found: agent, expected });
        }
        if issued.building.len() > MAX_NAME_BYTES || issued.subnet.len() > MAX_NAME_BYTES {
            return Err(IssueError::Name);
        }
        let certificates = |der: Vec<Vec<u8>>| {
            count(der.into_iter().map(CertificateDer::from).collect())
                .map_err(IssueError::Certificates)
        };
        let credential = Credential {
            agent,
            collector: self.collector.to_owned(),
            building: issued.building,
            subnet: issued.subnet,
            key: self.key,
            certificates: certificates(issued.certificates)?,
            trust: certificates(issued.authorities)?,
            received: self.now,
            valid_until: UtcMicros(issued.not_after_us),
        };
        if credential.expired(self.now) {
            return Err(IssueError::Over);
        }
        tls::by_credential(&credential).map_err(IssueError::Unusable)?;
        Ok(credential)
    }
}
