//! A certificate request: its key, and nothing else of it.

use rcgen::{CertificateSigningRequestParams, PublicKey, PublicKeyData as _};
use rustls::pki_types::CertificateSigningRequestDer;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The largest request that is looked at, in bytes; one of an agent's has about 200.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// An uncompressed point of P-256 (SEC 1, 2.3.3).
const P256_POINT_BYTES: usize = 65;

/// Why a request is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadRequest {
    /// It is larger than any agent's.
    #[error("the request has {0} bytes, more than 8 KiB")]
    TooLarge(usize),
    /// It is none in DER, its signature is not its key's, or it has something unheard of in it.
    #[error("the request cannot be read, or is not signed by its own key")]
    Unreadable,
    /// Its key is of another kind.
    #[error("the request's key is not ECDSA P-256")]
    Key,
}

/// The public key of somebody who proved to have the private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedKey {
    pub(crate) key: PublicKey,
}

impl RequestedKey {
    /// Takes the key out of a PKCS #10 request in DER. Whatever else it asks for is not looked at.
    ///
    /// # Errors
    /// When it is too large, is not signed by its own key, or the key is not ECDSA P-256.
    pub fn from_request(der: &[u8]) -> Result<Self, BadRequest> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(BadRequest::TooLarge(der.len()));
        }
        let request = CertificateSigningRequestDer::from(der);
        let parsed = CertificateSigningRequestParams::from_der(&request)
            .map_err(|_| BadRequest::Unreadable)?;
        let key = parsed.public_key;
        let point = key.der_bytes();
        let p256 = *key.algorithm() == rcgen::PKCS_ECDSA_P256_SHA256;
        if !p256 || point.len() != P256_POINT_BYTES || point.first() != Some(&4) {
            return Err(BadRequest::Key);
        }
        Ok(Self { key })
    }

    /// SHA-256 of its `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.key.subject_public_key_info()).into()
    }
}
