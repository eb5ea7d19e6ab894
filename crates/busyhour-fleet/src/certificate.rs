//! A certificate that an agent shows: who it says that it is.

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::AgentCertificate;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// What stands before an agent's id in its certificate.
pub(crate) const AGENT_URI: &str = "spiffe://busyhour/agent/";

/// A certificate that is no agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the certificate is no agent's")]
pub struct BadCertificate;

/// What a certificate says. That it was signed by an authority of ours is the transport's to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownCertificate {
    /// Whose it is.
    pub agent: AgentId,
    /// What of it decides.
    pub certificate: AgentCertificate,
}

impl ShownCertificate {
    /// Reads an agent's certificate.
    ///
    /// # Errors
    /// When it is not one that an authority of ours makes for agents.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, BadCertificate> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| BadCertificate)?;
        if !rest.is_empty() {
            return Err(BadCertificate);
        }
        let names = parsed.subject_alternative_name().map_err(|_| BadCertificate)?;
        let names = names.ok_or(BadCertificate)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
            return Err(BadCertificate);
        };
        let agent = uri.strip_prefix(AGENT_URI).ok_or(BadCertificate)?;
        let certificate = AgentCertificate {
            serial: parsed.raw_serial().try_into().map_err(|_| BadCertificate)?,
            key_sha256: Sha256::digest(parsed.public_key().raw).into(),
            from: moment(parsed.validity().not_before.timestamp())?,
            until: moment(parsed.validity().not_after.timestamp())?,
        };
        Ok(Self { agent: agent.parse().map_err(|_| BadCertificate)?, certificate })
    }
}

fn moment(unix_s: i64) -> Result<UtcMicros, BadCertificate> {
    unix_s.checked_mul(1_000_000).map(UtcMicros).ok_or(BadCertificate)
}
