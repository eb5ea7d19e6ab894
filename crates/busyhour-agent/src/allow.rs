//! What this machine may send probes to, whoever asks for it: decided by its own configuration file and
//! by nothing else. Pure.
//!
//! A target that comes from elsewhere passes the same gate as one of the file, and nothing but the file
//! makes the gate wider. Names are let through by their addresses, each time they are resolved, and
//! what was let through is what packets are sent to: nobody resolves again in between.

mod special;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

pub(crate) use special::Special;

/// Why nothing is sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    /// It is of a kind that is never probed, or only where the file says so.
    #[error("{address} is {}", special.what())]
    Special { address: IpAddr, special: Special },
    /// The file lists what may be probed, and this is not of it.
    #[error("{address} is in no network of allow.targets, and neither is the target's name")]
    NotListed { address: IpAddr },
}

/// An entry of `allow.targets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    /// A host's name, in lower case.
    Name(String),
    /// All names that end so; with the dot before it, in lower case.
    Below(String),
    /// Addresses.
    Network(IpNet),
}

impl Listed {
    /// `host.example`, `*.example`, `192.0.2.0/24` or `192.0.2.1`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(network) = network(text) {
            return Some(Self::Network(network));
        }
        let name = comparable(text);
        if let Some(suffix) = name.strip_prefix("*.") {
            return is_name(suffix).then(|| Self::Below(format!(".{suffix}")));
        }
        is_name(&name).then_some(Self::Name(name))
    }

    fn names(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => host == name,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            Self::Network(_) => false,
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(&address))
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// A network, or an address as a network of one.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// What may be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allow {
    /// Empty: any.
    targets: Vec<Listed>,
    /// Networks whose special addresses may be probed all the same.
    special: Vec<IpNet>,
}

impl Allow {
    /// `own` are the addresses that the file's own targets are written as: whoever writes 127.0.0.1
    /// into it means 127.0.0.1.
    pub(crate) fn new(
        targets: Vec<Listed>,
        special: Vec<IpNet>,
        own: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let own = own.into_iter().filter(|&address| {
            Special::of(address).is_some_and(|special| special.is_let_through_when_written_down())
        });
        let mut excepted = special;
        for own in own.map(IpNet::from) {
            if !excepted.contains(&own) {
                excepted.push(own);
            }
        }
        Self { targets, special: excepted }
    }

    /// For targets that somebody at this machine types: anything that is a machine's.
    pub(crate) fn whatever_is_a_machine() -> Self {
        let all = ["0.0.0.0/0", "::/0"].iter().filter_map(|text| text.parse().ok());
        Self { targets: Vec::new(), special: all.collect() }
    }

    /// `allow.targets` as the file would say it.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.iter().map(ToString::to_string).collect()
    }

    /// `allow.special`, and the file's own special targets.
    pub(crate) fn special(&self) -> Vec<String> {
        self.special.iter().map(ToString::to_string).collect()
    }

    /// Says whether packets may be sent to an address of the host.
    ///
    /// # Errors
    /// When they may not.
    pub(crate) fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let excepted = self.special.iter().any(|network| network.contains(&address));
        if let Some(special) = Special::of(address)
            && !(excepted && special.may_be_excepted())
        {
            return Err(Refused::Special { address, special });
        }
        let host = comparable(host);
        let is_listed = |listed: &Listed| listed.names(&host) || listed.holds(address);
        if self.targets.is_empty() || self.targets.iter().any(is_listed) {
            return Ok(());
        }
        Err(Refused::NotListed { address })
    }
}

/// A name as names are compared: without the dot of the root, in lower case.
fn comparable(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Letters, digits and hyphens between dots (RFC 1123 section 2.1), and underscores, which occur.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = (1..=63).contains(&label.len());
        fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // An address of IPv4 that nobody can parse is no name.
    let is_number = text
        .rsplit('.')
        .next()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && !is_number && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
