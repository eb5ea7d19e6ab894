//! A configuration as operators desire it: targets, and what may be sent to all of them together. Pure.
//!
//! A value that exists is valid: every number has a bound, every word a list that it is of. It is data;
//! nothing in it runs.

mod diff;
mod profiles;

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use busyhour_model::{RequirementProfile, TargetName};
use busyhour_proto::v1;
use prost::Message as _;
use thiserror::Error;

pub use diff::{Difference, difference};
pub use profiles::{KNOWN_PROFILES, KnownProfile};

/// One call's audio with everything that is sent for it, in bits a second (Microsoft, "Prepare your
/// organization's network for Teams": 100 kbit/s).
pub const CALL_BITS_PER_SECOND: u32 = 100_000;
/// Targets of one configuration: what one agent can probe beside those of its own file.
const MAX_TARGETS: usize = 64;
/// The longest name of a configuration, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Agents of one subnet that measure one target, at most; 0 stands for all.
const MAX_AGENTS_PER_SUBNET: u32 = 1_000;
/// As agents take them from their own files.
const WINDOWS_MS: RangeInclusive<u32> = 100..=60_000;
const MAX_PERIOD_MS: u32 = 240_000;
/// What may be said of a building or a subnet: from the least profile to a gigabit.
const BUDGETS: RangeInclusive<u32> = 1_000..=1_000_000_000;
/// Without being told: a call's audio and its best-effort twin, as on a link of unknown capacity.
const USUAL_BUDGET: u32 = 2 * CALL_BITS_PER_SECOND;
/// A quarter of the time.
const USUAL_WINDOW_MS: u32 = 15_000;
const USUAL_PERIOD_MS: u32 = 60_000;
const USUAL_PROFILE: &str = "audio-50";
/// Of each subnet two, so that a bad machine is told from a bad subnet.
const USUAL_AGENTS_PER_SUBNET: u32 = 2;

/// Something in a configuration that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDesired {
    /// The configuration's name is none.
    #[error("{0:?} is no name: 1 to 64 bytes of letters, digits, dots, hyphens and underscores")]
    Name(String),
    /// Too many targets.
    #[error("{0} targets are more than the 64 of a configuration")]
    TooManyTargets(usize),
    /// A budget out of range.
    #[error("budget.{0} is not from 1000 to 1000000000 bits a second")]
    Budget(&'static str),
    /// A target that cannot be one.
    #[error("target {name:?}: {problem}")]
    Target {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store holds what this version cannot read.
    #[error("the revision is of a version that says more than this one understands")]
    Unreadable,
}

/// Which part of the way a target's paths are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathSegment {
    /// From a machine to Microsoft's edge.
    ClientToMicrosoftEdge,
    /// From a machine to the edge of its site.
    ClientToSiteEdge,
    /// From the edge of a site to Microsoft's.
    SiteEdgeToMicrosoftEdge,
    /// From one building to another.
    BuildingToBuilding,
}

impl PathSegment {
    const ALL: [Self; 4] = [
        Self::ClientToMicrosoftEdge,
        Self::ClientToSiteEdge,
        Self::SiteEdgeToMicrosoftEdge,
        Self::BuildingToBuilding,
    ];

    /// The word used in files, JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientToMicrosoftEdge => "client-to-microsoft-edge",
            Self::ClientToSiteEdge => "client-to-site-edge",
            Self::SiteEdgeToMicrosoftEdge => "site-edge-to-microsoft-edge",
            Self::BuildingToBuilding => "building-to-building",
        }
    }

    /// What is published for it; nothing is for paths that end within a company.
    const fn requirement(self) -> RequirementProfile {
        match self {
            Self::ClientToMicrosoftEdge => RequirementProfile::ClientToMicrosoftEdge,
            Self::SiteEdgeToMicrosoftEdge => RequirementProfile::SiteEdgeToMicrosoftEdge,
            Self::ClientToSiteEdge | Self::BuildingToBuilding => RequirementProfile::None,
        }
    }
}

impl fmt::Display for PathSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PathSegment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|segment| segment.as_str() == text);
        found.ok_or_else(|| format!("there is no segment {text:?}; there are {}", known()))
    }
}

/// A target in the words of a file; what is left out is as usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetWords {
    /// Host and port.
    pub name: String,
    /// The profile.
    pub profile: Option<String>,
    /// The segment.
    pub segment: Option<String>,
    /// The requirement profile.
    pub requirement: Option<String>,
    /// How long a window is, in milliseconds.
    pub window_ms: Option<u32>,
    /// From the beginning of a window to that of the next, in milliseconds.
    pub period_ms: Option<u32>,
    /// How many agents of each subnet measure it; 0 for all.
    pub agents_per_subnet: Option<u32>,
}

/// A target that is desired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTarget {
    name: TargetName,
    profile: KnownProfile,
    segment: Option<PathSegment>,
    requirement: Option<RequirementProfile>,
    window_ms: u32,
    period_ms: u32,
    agents_per_subnet: u32,
}

impl DesiredTarget {
    /// Checks a target.
    ///
    /// # Errors
    /// For the first thing in it that cannot be.
    pub fn new(words: &TargetWords) -> Result<Self, InvalidDesired> {
        Self::checked(words)
            .map_err(|problem| InvalidDesired::Target { name: words.name.clone(), problem })
    }

    fn checked(words: &TargetWords) -> Result<Self, String> {
        let name = TargetName::new(words.name.as_str()).map_err(|error| error.to_string())?;
        if !has_port(&words.name) {
            return Err("expected HOST:PORT (an IPv6 address in brackets)".to_owned());
        }
        let profile = words.profile.as_deref().unwrap_or(USUAL_PROFILE);
        let profile = KnownProfile::named(profile).ok_or_else(|| {
            let known: Vec<&str> = KNOWN_PROFILES.iter().map(|known| known.name).collect();
            format!("there is no profile {profile:?}; there are {}", known.join(", "))
        })?;
        if profile.is_expedited() && profile.bits_per_second > CALL_BITS_PER_SECOND {
            return Err(format!(
                "profile {:?} is more expedited traffic at once than a call, which is all that a \
                 building's agents may send together",
                profile.name
            ));
        }
        let segment = words.segment.as_deref().map(str::parse::<PathSegment>).transpose()?;
        let told = words.requirement.as_deref().map(str::parse::<RequirementProfile>).transpose();
        let told = told.map_err(|error| error.to_string())?;
        let requirement = told.or_else(|| segment.map(PathSegment::requirement));
        let window_ms = words.window_ms.unwrap_or(USUAL_WINDOW_MS);
        if !WINDOWS_MS.contains(&window_ms) {
            return Err("its window_ms is not from 100 to 60000".to_owned());
        }
        let period_ms = words.period_ms.unwrap_or(USUAL_PERIOD_MS.max(window_ms));
        if !(window_ms..=MAX_PERIOD_MS).contains(&period_ms) {
            return Err("its period_ms is not from its window_ms to 240000".to_owned());
        }
        let agents_per_subnet = words.agents_per_subnet.unwrap_or(USUAL_AGENTS_PER_SUBNET);
        if agents_per_subnet > MAX_AGENTS_PER_SUBNET {
            return Err("its agents_per_subnet is more than 1000; 0 is all".to_owned());
        }
        Ok(Self { name, profile, segment, requirement, window_ms, period_ms, agents_per_subnet })
    }

    /// Host and port.
    #[must_use]
    pub const fn name(&self) -> &TargetName {
        &self.name
    }

    /// What is sent.
    #[must_use]
    pub const fn profile(&self) -> KnownProfile {
        self.profile
    }

    /// Which part of the way it is about, where that was said.
    #[must_use]
    pub const fn segment(&self) -> Option<PathSegment> {
        self.segment
    }

    /// What its paths are judged by; `None` where the collector's own file says it.
    #[must_use]
    pub const fn requirement(&self) -> Option<RequirementProfile> {
        self.requirement
    }

    /// How long a window is.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.into())
    }

    /// From the beginning of a window to that of the next.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms.into())
    }

    /// How many agents of each subnet measure it; `None` for all.
    #[must_use]
    pub fn agents_per_subnet(&self) -> Option<u32> {
        (self.agents_per_subnet > 0).then_some(self.agents_per_subnet)
    }

    /// What one agent sends to it on average, in bits a second of IP packets.
    #[must_use]
    pub fn mean_bits_per_second(&self) -> u64 {
        self.profile.mean_bits_per_second(self.window_ms, self.period_ms)
    }

    /// The same in words.
    #[must_use]
    pub fn words(&self) -> TargetWords {
        TargetWords {
            name: self.name.as_str().to_owned(),
            profile: Some(self.profile.name.to_owned()),
            segment: self.segment.map(|segment| segment.as_str().to_owned()),
            requirement: self.requirement.map(|requirement| requirement.to_string()),
            window_ms: Some(self.window_ms),
            period_ms: Some(self.period_ms),
            agents_per_subnet: Some(self.agents_per_subnet),
        }
    }

    /// As an agent is told, with the phase that it is given.
    pub(crate) fn told(&self, phase_ms: Option<u32>) -> v1::ConfiguredTarget {
        v1::ConfiguredTarget {
            name: self.name.as_str().to_owned(),
            profile: self.profile.name.to_owned(),
            window_ms: self.window_ms,
            period_ms: self.period_ms,
            phase_ms,
        }
    }
}

/// What all agents of one place send together on average, in bits a second of IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredBudget {
    subnet: u32,
    building: u32,
}

impl DesiredBudget {
    /// Checks both; `None` is as usual: two calls' worth.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn new(subnet: Option<u32>, building: Option<u32>) -> Result<Self, InvalidDesired> {
        let checked = |field, bits: Option<u32>| {
            let bits = bits.unwrap_or(USUAL_BUDGET);
            if BUDGETS.contains(&bits) { Ok(bits) } else { Err(InvalidDesired::Budget(field)) }
        };
        Ok(Self {
            subnet: checked("subnet_bits_per_second", subnet)?,
            building: checked("building_bits_per_second", building)?,
        })
    }

    /// Of a subnet.
    #[must_use]
    pub const fn subnet_bits_per_second(self) -> u32 {
        self.subnet
    }

    /// Of a building.
    #[must_use]
    pub const fn building_bits_per_second(self) -> u32 {
        self.building
    }
}

/// What is desired of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    targets: Vec<DesiredTarget>,
    budget: DesiredBudget,
}

impl Desired {
    /// Checks the targets beside each other: of a name and a profile there is one.
    ///
    /// # Errors
    /// When there are too many, or two are the same.
    pub fn new(targets: Vec<DesiredTarget>, budget: DesiredBudget) -> Result<Self, InvalidDesired> {
        if targets.len() > MAX_TARGETS {
            return Err(InvalidDesired::TooManyTargets(targets.len()));
        }
        let mut seen = BTreeSet::new();
        for target in &targets {
            if !seen.insert((target.name.as_str(), target.profile.name)) {
                let problem = "there are two with this name and profile".to_owned();
                return Err(InvalidDesired::Target { name: target.name.to_string(), problem });
            }
        }
        Ok(Self { targets, budget })
    }

    /// The targets, in the order in which they were written.
    #[must_use]
    pub fn targets(&self) -> &[DesiredTarget] {
        &self.targets
    }

    /// What may be sent together.
    #[must_use]
    pub const fn budget(&self) -> DesiredBudget {
        self.budget
    }

    /// As the store keeps it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let target = |target: &DesiredTarget| v1::DesiredTarget {
            name: target.name.as_str().to_owned(),
            profile: target.profile.name.to_owned(),
            window_ms: target.window_ms,
            period_ms: target.period_ms,
            segment: target.segment.map_or_else(String::new, |segment| segment.to_string()),
            requirement: target.requirement.map_or_else(String::new, |told| told.to_string()),
            agents_per_subnet: target.agents_per_subnet,
        };
        let message = v1::DesiredConfiguration {
            targets: self.targets.iter().map(target).collect(),
            subnet_bits_per_second: self.budget.subnet,
            building_bits_per_second: self.budget.building,
        };
        message.encode_to_vec()
    }

    /// Reads what the store kept.
    ///
    /// # Errors
    /// When it is none of what [`Self::encode`] wrote.
    pub fn decode(body: &[u8]) -> Result<Self, InvalidDesired> {
        let message =
            v1::DesiredConfiguration::decode(body).map_err(|_| InvalidDesired::Unreadable)?;
        let said = |text: String| (!text.is_empty()).then_some(text);
        let target = |target: v1::DesiredTarget| {
            DesiredTarget::new(&TargetWords {
                name: target.name,
                profile: Some(target.profile),
                segment: said(target.segment),
                requirement: said(target.requirement),
                window_ms: Some(target.window_ms),
                period_ms: Some(target.period_ms),
                agents_per_subnet: Some(target.agents_per_subnet),
            })
        };
        let targets = message.targets.into_iter().map(target).collect::<Result<_, _>>()?;
        let (subnet, building) = (message.subnet_bits_per_second, message.building_bits_per_second);
        Self::new(targets, DesiredBudget::new(Some(subnet), Some(building))?)
    }
}

/// Checks the name of a configuration.
///
/// # Errors
/// When it is none.
pub fn check_name(name: &str) -> Result<(), InvalidDesired> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_of_name) {
        return Ok(());
    }
    Err(InvalidDesired::Name(name.to_owned()))
}

/// `host:port`, `192.0.2.1:862` or `[2001:db8::1]:862`.
fn has_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', ' ', '/']),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests;
