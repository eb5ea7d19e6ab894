//! The certificate authority: what it signs, and for how long.

use std::path::Path;
use std::time::Duration;

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::AgentCertificate;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::bundle::{Bundle, BundleError, CompanyAuthority};
use crate::certificate::AGENT_URI;
use crate::draw::{self, NoRandomness};
use crate::request::RequestedKey;
use crate::tls::ServerName;

/// How long the collector's own authority holds: ten years. Agents that were away need it.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3_652 * 86_400);
/// Clocks of agents may be late by this.
const BEFORE: Duration = Duration::from_secs(5 * 60);

/// Why there is no authority, or no certificate.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// Its files.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// It cannot be signed.
    #[error("sign a certificate")]
    Sign(#[source] rcgen::Error),
    /// What it signed is no good for TLS.
    #[error("use the authority's certificates for TLS")]
    Tls(#[source] rustls::Error),
    /// A company's own authority is changed where the company makes it.
    #[error("this authority is the company's: change it there, and the files that are configured")]
    Company,
}

/// The whole seconds in which a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from_s: i64,
    until_s: i64,
}

impl Validity {
    /// From five minutes before `now` to `life` after it.
    #[must_use]
    pub fn around(now: UtcMicros, life: Duration) -> Self {
        let now_s = now.0.div_euclid(1_000_000);
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self {
            from_s: now_s.saturating_sub(seconds(BEFORE)),
            until_s: now_s.saturating_add(seconds(life)),
        }
    }

    /// The first moment.
    #[must_use]
    pub const fn from(self) -> UtcMicros {
        UtcMicros(self.from_s.saturating_mul(1_000_000))
    }

    /// The moment after the last.
    #[must_use]
    pub const fn until(self) -> UtcMicros {
        UtcMicros(self.until_s.saturating_mul(1_000_000))
    }
}

/// A key that signs, its certificate, and the authorities that are trusted beside it.
pub struct Authority {
    bundle: Bundle,
    until_s: i64,
}

impl Authority {
    /// Reads the collector's own from `folder`; makes it there when there is none.
    ///
    /// # Errors
    /// When its file cannot be read or written, is no authority's, or others may read it.
    pub fn open(folder: &Path, now: UtcMicros) -> Result<Self, AuthorityError> {
        if let Some(bundle) = Bundle::read_own(folder)? {
            return Ok(Self::of(bundle));
        }
        let key = new_key()?;
        let certificate = own_params(&key, now)?.self_signed(&key).map_err(AuthorityError::Sign)?;
        let bundle = Bundle { key, certificates: vec![certificate.into()] };
        bundle.write_own(folder)?;
        Ok(Self::of(bundle))
    }

    /// Reads a company's.
    ///
    /// # Errors
    /// When a file cannot be read, is no authority's, or others may read the key.
    pub fn company(files: &CompanyAuthority) -> Result<Self, AuthorityError> {
        Ok(Self::of(Bundle::read_company(files)?))
    }

    /// Makes the next authority in `folder`. The one before goes on being trusted, and its key, which is
    /// not kept, signs the next one's certificate, so that whoever trusts the old one trusts the new.
    ///
    /// # Errors
    /// When there is none to follow, or its file cannot be read or written.
    pub fn rotate(folder: &Path, now: UtcMicros) -> Result<Self, AuthorityError> {
        let old = Self::open(folder, now)?;
        let key = new_key()?;
        let params = own_params(&key, now)?;
        let own = params.self_signed(&key).map_err(AuthorityError::Sign)?;
        let mut crossed = params;
        crossed.serial_number = Some(SerialNumber::from_slice(&draw::serial()?));
        crossed.use_authority_key_identifier_extension = true;
        let crossed = crossed.signed_by(&key, &old.issuer()?).map_err(AuthorityError::Sign)?;
        let mut certificates = vec![own.into(), crossed.into()];
        certificates.extend(old.bundle.certificates);
        let bundle = Bundle { key, certificates };
        bundle.write_own(folder)?;
        Ok(Self::of(bundle))
    }

    fn of(bundle: Bundle) -> Self {
        let until_s = bundle
            .certificates
            .first()
            .and_then(|der| X509Certificate::from_der(der).ok())
            .map_or(i64::MAX, |(_, parsed)| parsed.validity().not_after.timestamp());
        Self { bundle, until_s }
    }

    /// SHA-256 of its public key: what tokens pin.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        Sha256::digest(self.bundle.key.subject_public_key_info()).into()
    }

    /// Its certificate and all that goes with it: what the collector shows after its own certificate.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.bundle.certificates
    }

    /// The certificates that are trusted: its own, and of the others those that are their own issuers.
    #[must_use]
    pub fn trusted(&self) -> Vec<CertificateDer<'static>> {
        let own = self.bundle.certificates.iter().take(1);
        let others = self.bundle.certificates.iter().skip(1).filter(|der| is_root(der));
        own.chain(others).cloned().collect()
    }

    /// A serial number and dates for an agent's certificate of a key.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn plan(
        &self,
        key: &RequestedKey,
        now: UtcMicros,
        life: Duration,
    ) -> Result<AgentCertificate, NoRandomness> {
        let validity = self.capped(Validity::around(now, life));
        Ok(AgentCertificate {
            serial: draw::serial()?,
            key_sha256: key.sha256(),
            from: validity.from(),
            until: validity.until(),
        })
    }

    /// Signs an agent's certificate. Of what the agent asked for only the key is in it.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn issue(
        &self,
        agent: AgentId,
        key: &RequestedKey,
        planned: &AgentCertificate,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let uri = format!("{AGENT_URI}{agent}").try_into().map_err(AuthorityError::Sign)?;
        let seconds = |moment: UtcMicros| moment.0.div_euclid(1_000_000);
        let validity = Validity { from_s: seconds(planned.from), until_s: seconds(planned.until) };
        let names = vec![SanType::URI(uri)];
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let params = leaf(validity, planned.serial, names, usage)?;
        self.sign(&params, &key.key)
    }

    /// Signs a certificate of the collector's server.
    pub(crate) fn issue_server(
        &self,
        key: &KeyPair,
        names: &[ServerName],
        now: UtcMicros,
        life: Duration,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let validity = self.capped(Validity::around(now, life));
        let names = names.iter().map(ServerName::to_san).collect::<Result<_, _>>();
        let names = names.map_err(AuthorityError::Sign)?;
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        let params = leaf(validity, draw::serial()?, names, usage)?;
        self.sign(&params, key)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &impl rcgen::PublicKeyData,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let signed = params.signed_by(key, &self.issuer()?).map_err(AuthorityError::Sign)?;
        Ok(signed.into())
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, AuthorityError> {
        let own = self.bundle.certificates.first().ok_or(AuthorityError::Company)?;
        Issuer::from_ca_cert_der(own, &self.bundle.key).map_err(AuthorityError::Sign)
    }

    /// Nothing that it signs outlives it.
    fn capped(&self, validity: Validity) -> Validity {
        Validity { until_s: validity.until_s.min(self.until_s), ..validity }
    }
}

/// Every field of a certificate for a key at the end of a chain; nothing is left to a default.
fn leaf(
    validity: Validity,
    serial: [u8; 16],
    names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.not_before = date(validity.from_s)?;
    params.not_after = date(validity.until_s)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.subject_alt_names = names;
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The collector's own authority. Each has a name of its own, by its key.
fn own_params(key: &KeyPair, now: UtcMicros) -> Result<CertificateParams, AuthorityError> {
    let digest = Sha256::digest(key.subject_public_key_info());
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let validity = Validity::around(now, AUTHORITY_LIFE);
    let mut params = CertificateParams::default();
    params.not_before = date(validity.from_s)?;
    params.not_after = date(validity.until_s)?;
    params.serial_number = Some(SerialNumber::from_slice(&draw::serial()?));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Busyhour agents {short}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

pub(crate) fn new_key() -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Sign)
}

fn date(unix_s: i64) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(unix_s)
        .map_err(|_| AuthorityError::Sign(rcgen::Error::Time))
}

fn is_root(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, parsed)| parsed.issuer().as_raw() == parsed.subject().as_raw())
}
