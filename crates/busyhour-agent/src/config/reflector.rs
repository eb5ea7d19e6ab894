//! How probes of others are answered.

use std::net::SocketAddr;
use std::path::Path;

use busyhour_wire::TimestampFormat;
use ipnet::IpNet;

use super::raw::{RawAdmission, RawCounting, RawProvisioned, RawReflector, RawTimestamps};
use super::{InvalidConfig, KeyFile, defaults};

/// How probes of others are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReflectorSettings {
    /// Where.
    pub listen: Vec<SocketAddr>,
    /// Whose.
    pub admission: Admission,
    /// Sources that are answered; empty for all.
    pub allow: Vec<IpNet>,
    /// Keys that requests may be authenticated with.
    pub keys: Vec<KeyFile>,
    /// Only requests that are authenticated are answered.
    pub require_key: bool,
    /// Answers are counted for each session (RFC 8762 section 4), so that loss has a direction.
    pub stateful: bool,
    /// Answers may name this machine's addresses (RFC 8972 section 4.2).
    pub disclose_addresses: bool,
    /// Sessions that are counted at the same time.
    pub max_sessions: usize,
    /// Of these, from one address.
    pub max_sessions_per_address: usize,
    /// How times are written into answers.
    pub timestamps: Timestamps,
}

/// Whose requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Everybody's.
    Permissive,
    /// Those of known sessions (RFC 8972 section 3).
    Provisioned(Vec<Provisioned>),
}

/// A known session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// Its identifier.
    pub ssid: u16,
    /// Where it may come from.
    pub source: Option<IpNet>,
    /// What it is authenticated with.
    pub key: Option<KeyFile>,
    /// Requests shorter than the base packet are answered (RFC 8762 section 4.6): the one case in
    /// which an answer is longer than its request.
    pub short_requests: bool,
}

/// A format of timestamps (RFC 8762 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// NTP's, which everybody understands.
    Ntp,
    /// PTP's, truncated.
    Ptp,
}

impl Timestamps {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ntp => "ntp",
            Self::Ptp => "ptp",
        }
    }

    /// As packets have it.
    #[must_use]
    pub const fn to_wire(self) -> TimestampFormat {
        match self {
            Self::Ntp => TimestampFormat::Ntp,
            Self::Ptp => TimestampFormat::Ptp,
        }
    }
}

impl From<RawTimestamps> for Timestamps {
    fn from(raw: RawTimestamps) -> Self {
        match raw {
            RawTimestamps::Ntp => Self::Ntp,
            RawTimestamps::Ptp => Self::Ptp,
        }
    }
}

pub(super) fn resolve(raw: &RawReflector) -> Result<ReflectorSettings, InvalidConfig> {
    let listen = raw.listen.iter().map(|text| listen(text)).collect::<Result<Vec<_>, _>>()?;
    let keys = raw.key_files.iter().map(|file| key_file(file)).collect::<Result<Vec<_>, _>>()?;
    let sessions = raw.session.iter().map(provisioned).collect::<Result<Vec<_>, _>>()?;
    let admission = match raw.admission {
        RawAdmission::Permissive if sessions.is_empty() => Admission::Permissive,
        RawAdmission::Permissive => {
            return problem("session", "needs admission = \"provisioned\"");
        }
        RawAdmission::Provisioned => Admission::Provisioned(sessions),
    };
    let keyed = |admission: &Admission| match admission {
        Admission::Permissive => false,
        Admission::Provisioned(sessions) => sessions.iter().any(|session| session.key.is_some()),
    };
    if raw.require_key && keys.is_empty() && !keyed(&admission) {
        return problem("require_key", "needs a key: name a file in key_files");
    }
    let (all, each) = (raw.max_sessions, raw.max_sessions_per_address);
    if !defaults::REFLECTOR_SESSION_RANGE.contains(&all) {
        return problem("max_sessions", "is not within 1..=1000000");
    }
    if each == 0 || each > all {
        return problem("max_sessions_per_address", "is not within 1..=max_sessions");
    }
    Ok(ReflectorSettings {
        listen,
        admission,
        allow: raw.allow.iter().map(|text| network("allow", text)).collect::<Result<_, _>>()?,
        keys,
        require_key: raw.require_key,
        stateful: matches!(raw.counting, RawCounting::Stateful),
        disclose_addresses: raw.disclose_addresses,
        max_sessions: all as usize,
        max_sessions_per_address: each as usize,
        timestamps: raw.timestamps.into(),
    })
}

fn provisioned(raw: &RawProvisioned) -> Result<Provisioned, InvalidConfig> {
    if raw.ssid == 0 {
        return problem("session", "has ssid = 0, which stands for no session");
    }
    let source = raw.source.as_deref().map(|text| network("session.source", text)).transpose()?;
    // Whoever forges the address of a request gets more octets sent there than the request had.
    if raw.short_requests && source.is_none() {
        return problem(
            "session",
            "short_requests needs a source: answers are longer than requests",
        );
    }
    Ok(Provisioned {
        ssid: raw.ssid,
        source,
        key: raw.key_file.as_deref().map(key_file).transpose()?,
        short_requests: raw.short_requests,
    })
}

fn key_file(file: &Path) -> Result<KeyFile, InvalidConfig> {
    KeyFile::read("reflector.key_files", file)
}

fn problem<T>(field: &'static str, problem: &'static str) -> Result<T, InvalidConfig> {
    Err(InvalidConfig::Reflector { field, problem })
}

fn network(field: &'static str, text: &str) -> Result<IpNet, InvalidConfig> {
    let address = |text: &str| text.parse().ok().map(|address: std::net::IpAddr| address.into());
    let network: Option<IpNet> = text.parse().ok().or_else(|| address(text));
    network
        .map(|network| network.trunc())
        .ok_or_else(|| InvalidConfig::Network { field, found: text.to_owned() })
}

fn listen(text: &str) -> Result<SocketAddr, InvalidConfig> {
    text.parse().map_err(|_| InvalidConfig::Listen(text.to_owned()))
}
