//! The agent's own key: made here, kept here, never sent.

use std::fmt;

use busyhour_daemon::Secret;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// A key that cannot be made or used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The system gives no randomness.
    #[error("a key cannot be made")]
    Make(#[source] rcgen::Error),
    /// What lies in the file is no key.
    #[error("the agent's key cannot be read")]
    Read(#[source] rcgen::Error),
    /// The same, found where it is to be used.
    #[error("the agent's key is no PKCS #8 key in PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// Nothing can be signed with it.
    #[error("the request for a certificate cannot be signed")]
    Sign(#[source] rcgen::Error),
}

/// A P-256 key.
#[derive(Clone)]
pub(crate) struct AgentKey {
    /// PKCS #8 in PEM.
    pem: Secret,
}

impl AgentKey {
    /// Makes a new key.
    pub(crate) fn make() -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(KeyError::Make)?;
        Ok(Self { pem: Secret::new(pair.serialize_pem()) })
    }

    /// Reads what [`Self::pem`] gave.
    pub(crate) fn parse(pem: &str) -> Result<Self, KeyError> {
        KeyPair::from_pem(pem).map_err(KeyError::Read)?;
        Ok(Self { pem: Secret::new(pem.to_owned()) })
    }

    /// For the one file that it is kept in.
    pub(crate) fn pem(&self) -> &str {
        self.pem.expose()
    }

    /// A request for a certificate (PKCS #10, DER). It carries the public key and proves that the
    /// private one is here; the collector takes nothing else from it.
    pub(crate) fn request(&self) -> Result<Vec<u8>, KeyError> {
        let pair = KeyPair::from_pem(self.pem()).map_err(KeyError::Read)?;
        let request = CertificateParams::default().serialize_request(&pair);
        Ok(request.map_err(KeyError::Sign)?.der().to_vec())
    }

    /// For TLS.
    pub(super) fn to_tls(&self) -> Result<PrivateKeyDer<'static>, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(self.pem().as_bytes());
        der.map(PrivateKeyDer::Pkcs8).map_err(KeyError::Pem)
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_as_text_and_never_shows() {
        let key = AgentKey::make().unwrap();
        let again = AgentKey::parse(key.pem()).unwrap();
        assert_eq!(again.pem(), key.pem());
        assert_eq!(again.to_tls().unwrap(), key.to_tls().unwrap());
        assert_ne!(AgentKey::make().unwrap().pem(), key.pem());
        let inside = key.pem().lines().nth(1).unwrap();
        assert!(!format!("{key:?} {:?}", Some(&key)).contains(inside));
        assert!(AgentKey::parse("-----BEGIN PRIVATE KEY-----\n").is_err());
    }
}
