//! How agents are known: TLS or plaintext on their port, and the authority of their certificates.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use busyhour_fleet::{CompanyAuthority, FleetConfig, ServerName};
use busyhour_ingest::check_listen;

use super::raw::{RawIdentity, RawIngest, defaults};
use super::{InvalidConfig, bounded};

/// What agents' connections are protected by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS, with certificates on both sides.
    Tls,
    /// Nothing; agents show a secret. On loopback only.
    Plaintext,
}

impl Security {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Plaintext => "plaintext",
        }
    }
}

/// What is configured, or else plaintext on loopback and TLS elsewhere.
pub(super) fn security(raw: &RawIngest, listen: SocketAddr) -> Result<Security, InvalidConfig> {
    let plaintext = check_listen(listen);
    match raw.security.as_deref() {
        None if plaintext.is_ok() => Ok(Security::Plaintext),
        None | Some("tls") => Ok(Security::Tls),
        Some("plaintext") => match plaintext {
            Ok(()) => Ok(Security::Plaintext),
            Err(refused) => Err(InvalidConfig::IngestListen(refused)),
        },
        Some(other) => Err(InvalidConfig::Security(other.to_owned())),
    }
}

pub(super) fn fleet(
    ingest: &RawIngest,
    identity: &RawIdentity,
    data_dir: &Path,
    (listen, security): (SocketAddr, Security),
) -> Result<FleetConfig, InvalidConfig> {
    bounded("names of the collector", ingest.names.len(), defaults::MAX_NAMES)?;
    let mut names = Vec::with_capacity(ingest.names.len() + 1);
    for name in &ingest.names {
        names.push(name.parse::<ServerName>().map_err(InvalidConfig::Name)?);
    }
    if listen.ip().is_unspecified() {
        if security == Security::Tls && names.is_empty() {
            return Err(InvalidConfig::NoName(listen));
        }
    } else if !listen.ip().to_canonical().is_loopback() {
        names.push(listen.ip().into());
    }
    let company = match (&identity.ca_certificate, &identity.ca_key) {
        (Some(certificate), Some(key)) => {
            Some(CompanyAuthority { certificate: certificate.clone(), key: key.clone() })
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(InvalidConfig::HalfAuthority),
    };
    Ok(FleetConfig {
        folder: data_dir.join(defaults::IDENTITY_FOLDER),
        company,
        names,
        certificate_life: life(&identity.certificate_life)?,
    })
}

/// Whole days, or a duration with smaller units.
fn life(text: &str) -> Result<Duration, InvalidConfig> {
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
    let life = days.map(|days| Duration::from_secs(u64::from(days) * 86_400)).or_else(|| {
        let parsed = text.parse::<jiff::SignedDuration>().ok();
        parsed.and_then(|signed| Duration::try_from(signed).ok())
    });
    let (shortest, longest) = defaults::CERTIFICATE_LIVES;
    life.filter(|life| (shortest..=longest).contains(life)).ok_or_else(|| InvalidConfig::Duration {
        field: "identity.certificate_life",
        found: text.to_owned(),
        expected: "from 10s to 30d, such as \"14d\" or \"24h\"",
    })
}
