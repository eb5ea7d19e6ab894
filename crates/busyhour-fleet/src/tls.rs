//! The TLS of the agents' port: version 1.3, no resumption, certificates of agents where they show one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use busyhour_model::UtcMicros;
use rcgen::SanType;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::authority::{Authority, AuthorityError, new_key};
use crate::certificate::ShownCertificate;
use crate::fleet::Clock;

/// How long the collector's certificate for its port holds.
const SERVER_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// After this long it gets another one.
const RENEW_AFTER: Duration = Duration::from_secs(86_400);

/// A name or address that agents reach the collector by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Dns(String),
    Address(IpAddr),
}

impl ServerName {
    /// This machine, as it calls itself.
    #[must_use]
    pub fn loopback() -> [Self; 3] {
        [
            Self(Kind::Dns("localhost".to_owned())),
            Self(Kind::Address(std::net::Ipv4Addr::LOCALHOST.into())),
            Self(Kind::Address(std::net::Ipv6Addr::LOCALHOST.into())),
        ]
    }

    pub(crate) fn to_san(&self) -> Result<SanType, rcgen::Error> {
        Ok(match &self.0 {
            Kind::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Kind::Address(address) => SanType::IpAddress(*address),
        })
    }
}

impl From<IpAddr> for ServerName {
    fn from(address: IpAddr) -> Self {
        Self(Kind::Address(address))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Dns(name) => name.fmt(f),
            Kind::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self(Kind::Address(address)));
        }
        match DnsName::try_from(text) {
            Ok(name) => Ok(Self(Kind::Dns(name.as_ref().to_owned()))),
            Err(_) => Err(format!("{text:?} is neither a host name nor an address")),
        }
    }
}

/// The configuration of the port as it is now; it changes while connections last.
pub struct ServerTls {
    current: RwLock<Current>,
    names: Vec<ServerName>,
    clock: Clock,
}

struct Current {
    config: Arc<ServerConfig>,
    made: UtcMicros,
    pin: [u8; 32],
}

impl ServerTls {
    pub(crate) fn new(
        authority: &Authority,
        names: Vec<ServerName>,
        clock: Clock,
    ) -> Result<Self, AuthorityError> {
        let current = RwLock::new(Current::make(authority, &names, &clock)?);
        Ok(Self { current, names, clock })
    }

    /// What the next connection is accepted with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Makes another certificate when the one in use is a day old, or another authority's.
    pub(crate) fn refresh(&self, authority: &Authority) -> Result<(), AuthorityError> {
        let fresh = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            let age_us = (self.clock)().0.saturating_sub(current.made.0);
            u128::from(age_us.unsigned_abs()) < RENEW_AFTER.as_micros()
                && current.pin == authority.pin()
        };
        if !fresh {
            let next = Current::make(authority, &self.names, &self.clock)?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        }
        Ok(())
    }
}

impl Current {
    fn make(
        authority: &Authority,
        names: &[ServerName],
        clock: &Clock,
    ) -> Result<Self, AuthorityError> {
        let (key, made) = (new_key()?, clock());
        let leaf = authority.issue_server(&key, names, made, SERVER_LIFE)?;
        let chain = std::iter::once(leaf).chain(authority.chain().iter().cloned()).collect();
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config =
            server_config(authority, chain, private, clock).map_err(AuthorityError::Tls)?;
        Ok(Self { config: Arc::new(config), made, pin: authority.pin() })
    }
}

fn server_config(
    authority: &Authority,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clock: &Clock,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for trusted in authority.trusted() {
        roots.add(trusted)?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
    let time = Arc::new(WallClock(Arc::clone(clock)));
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AgentVerifier(verifier)))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session shows no certificate to anybody.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

struct WallClock(Clock);

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        unix((self.0)())
    }
}

fn unix(moment: UtcMicros) -> Option<UnixTime> {
    let micros = u64::try_from(moment.0).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
}

/// Lets agents through whose certificate an authority of ours signed. One that expired is looked at as of
/// when it still held: what it may do is decided by each call.
#[derive(Debug)]
struct AgentVerifier(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AgentVerifier {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now);
        let Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) = verified
        else {
            return verified;
        };
        let ended = ShownCertificate::read(end_entity)
            .ok()
            .and_then(|shown| unix(shown.certificate.until))
            .filter(|until| *until < now);
        match ended {
            Some(until) => self.0.verify_client_cert(end_entity, intermediates, until),
            None => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
