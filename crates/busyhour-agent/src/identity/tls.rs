//! TLS 1.3 to the collector: proved by the token's pin once, by the bundle ever after.
//!
//! Nothing is resumed: a revoked certificate must not live on in a ticket.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    SignatureScheme, WantsVerifier,
};
use thiserror::Error;

use super::credential::Credential;
use super::key::KeyError;
use super::pin::Pin;

/// gRPC needs HTTP/2, and says so.
const ALPN: &[u8] = b"h2";

/// A configuration of TLS that cannot be.
#[derive(Debug, Error)]
pub enum TlsError {
    /// What the credential holds does not go together.
    #[error("the agent's certificate and key cannot be used")]
    Client(#[source] rustls::Error),
    /// An authority in the bundle is none.
    #[error("an authority's certificate cannot be used")]
    Authority(#[source] rustls::Error),
    /// There is no authority to trust.
    #[error("the bundle of authorities cannot be used")]
    Bundle(#[source] rustls::client::VerifierBuilderError),
    /// The key cannot be read.
    #[error("the agent's key cannot be used")]
    Key(#[from] KeyError),
}

/// For the one call that a token is good for: whoever answers must hold a certificate of the
/// authority that the token names.
pub(crate) fn by_pin(pin: Pin) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(PinVerifier { pin, provider: Arc::clone(&provider) });
    let config = builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(finish(config))
}

/// For everything else.
pub(crate) fn by_credential(credential: &Credential) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in &credential.trust {
        roots.add(authority.clone()).map_err(TlsError::Authority)?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(TlsError::Bundle)?;
    let config = builder(provider)?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(credential.certificates.clone(), credential.key.to_tls()?)
        .map_err(TlsError::Client)?;
    Ok(finish(config))
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Client)
}

fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Accepts a certificate for this name that was issued by the pinned key, and no other.
#[derive(Debug)]
struct PinVerifier {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for shown in intermediates.iter().filter(|shown| Pin::of(shown) == Some(self.pin)) {
            roots.add(shown.clone().into_owned())?;
        }
        if roots.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)?;
        verify_server_name(&parsed, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What TLS found wrong, if that is what an error comes from.
pub(crate) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An error of the system hides what it wraps from `source`.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whoever answered is not the collector that this agent knows.
pub(crate) fn is_stranger(error: &(dyn Error + 'static)) -> bool {
    matches!(cause(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// The collector does not take this agent's certificate.
pub(crate) fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    matches!(cause(error), Some(rustls::Error::AlertReceived(_)))
}
