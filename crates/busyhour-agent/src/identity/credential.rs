//! A certificate with its key, whom to trust, and where this agent is.

use std::time::Duration;

use busyhour_model::{AgentId, UtcMicros};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::key::{AgentKey, KeyError};

/// The layout of the file.
const SCHEMA_VERSION: u32 = 1;
/// Certificates of a chain, or of a bundle in the middle of a change of authorities.
const MAX_CERTIFICATES: usize = 16;

/// A file that holds no identity.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// It is no JSON of this shape.
    #[error("it is not what `busyhour-agent enrol` writes")]
    Shape(#[source] serde_json::Error),
    /// A newer agent wrote it.
    #[error("it has layout {0}, this version knows {SCHEMA_VERSION}")]
    Newer(u32),
    /// The agent's id is none.
    #[error("its agent_id is none")]
    Agent,
    /// The certificates are none.
    #[error("its certificates cannot be read")]
    Certificates(#[source] rustls::pki_types::pem::Error),
    /// There are none, or far too many.
    #[error("it has {0} certificates where 1 to {MAX_CERTIFICATES} are expected")]
    Count(usize),
    /// The key is none.
    #[error("its key cannot be used")]
    Key(#[from] KeyError),
}

/// Who this agent is to the collector, and how it proves that.
#[derive(Debug, Clone)]
pub struct Credential {
    pub(crate) agent: AgentId,
    /// Where it was enrolled.
    pub(crate) collector: String,
    /// The building that the collector has it in.
    pub(crate) building: String,
    /// The subnet, when it is bound to one.
    pub(crate) subnet: String,
    pub(super) key: AgentKey,
    /// The agent's certificate first, DER.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// The authorities that the collector's certificate may come from, DER.
    pub(super) trust: Vec<CertificateDer<'static>>,
    /// When it came, by this machine's clock.
    pub(crate) received: UtcMicros,
    /// When it ends.
    pub(crate) valid_until: UtcMicros,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    schema_version: u32,
    agent_id: String,
    collector: String,
    building: String,
    subnet: String,
    received_us: i64,
    valid_until_us: i64,
    key_pem: String,
    certificates_pem: String,
    trust_pem: String,
}

impl Credential {
    /// The agent's key.
    pub(crate) fn key(&self) -> &AgentKey {
        &self.key
    }

    /// The certificate's bytes, which tell it from any other.
    pub(crate) fn certificate(&self) -> &[u8] {
        self.certificates.first().map_or(&[], |certificate| certificate.as_ref())
    }

    /// When it is to be renewed: at half its life, a tenth of its life sooner or later. Which it is
    /// follows from the certificate, so that agents that were enrolled together do not renew together
    /// and a restart changes nothing.
    pub(crate) fn renew_from(&self) -> UtcMicros {
        let life = u64::try_from(self.valid_until.since(self.received)).unwrap_or(0);
        let share = f64::from(crc32c::crc32c(self.certificate())) / f64::from(u32::MAX);
        let after = Duration::from_micros(life).mul_f64(0.4 + 0.2 * share);
        self.received.plus(after)
    }

    /// Its time is over, by this clock.
    pub(crate) fn expired(&self, now: UtcMicros) -> bool {
        now >= self.valid_until
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let written = Written {
            schema_version: SCHEMA_VERSION,
            agent_id: self.agent.to_string(),
            collector: self.collector.clone(),
            building: self.building.clone(),
            subnet: self.subnet.clone(),
            received_us: self.received.0,
            valid_until_us: self.valid_until.0,
            key_pem: self.key.pem().to_owned(),
            certificates_pem: to_pem(&self.certificates),
            trust_pem: to_pem(&self.trust),
        };
        let mut text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(super) fn from_json(text: &[u8]) -> Result<Self, CredentialError> {
        let written: Written = serde_json::from_slice(text).map_err(CredentialError::Shape)?;
        if written.schema_version != SCHEMA_VERSION {
            return Err(CredentialError::Newer(written.schema_version));
        }
        Ok(Self {
            agent: written.agent_id.parse().map_err(|_| CredentialError::Agent)?,
            collector: written.collector,
            building: written.building,
            subnet: written.subnet,
            key: AgentKey::parse(&written.key_pem)?,
            certificates: from_pem(&written.certificates_pem)?,
            trust: from_pem(&written.trust_pem)?,
            received: UtcMicros(written.received_us),
            valid_until: UtcMicros(written.valid_until_us),
        })
    }
}

fn to_pem(certificates: &[CertificateDer<'static>]) -> String {
    let blocks = certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref()));
    pem::encode_many(&blocks.collect::<Vec<_>>())
}

fn from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(CredentialError::Certificates)?;
    count(certificates)
}

/// Certificates in a number that can be.
pub(super) fn count(
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    if (1..=MAX_CERTIFICATES).contains(&certificates.len()) {
        Ok(certificates)
    } else {
        Err(CredentialError::Count(certificates.len()))
    }
}
