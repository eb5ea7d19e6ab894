//! Targets: what is probed, with what, and how it is secured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use busyhour_model::{Ecn, ProfileName, Schedule, ScheduleRevision, TargetName, TrafficClass};
use busyhour_probe::{PEER_PROFILES, PROFILES, PeerProfile, Profile, Sender};
use busyhour_proto::v1;

use super::raw::{self, RawProfile, RawSchedule, RawSecurity, RawTarget, RawTimestamps};
use super::{InvalidConfig, KeyFile, Timestamps, defaults, parse};
use crate::allow::Special;
use crate::session::sender_config;

/// Something to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, with the port.
    pub name: TargetName,
    /// The host part of the name.
    pub host: String,
    /// The port part of the name.
    pub port: u16,
    /// What the packets are called in records.
    pub profile_name: ProfileName,
    /// What is sent, and when.
    pub profile: Profile,
    /// What is known of the implementation that answers.
    pub peer: PeerProfile,
    /// How packets are authenticated.
    pub security: Security,
    /// How times are written into packets.
    pub timestamps: Timestamps,
    /// The revision of the collector's configuration that it is of; 0 of the machine's own file.
    pub configuration: u32,
    /// How far windows begin behind the multiples of the period; `None` wherever this agent spreads them to.
    pub phase: Option<Duration>,
}

/// How packets are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Open,
    /// The TLVs are (RFC 8972 section 4.8).
    Tlvs(KeyFile),
    /// The base packet and the TLVs are (RFC 8762 section 4.4).
    Authenticated(KeyFile),
}

impl Security {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Tlvs(_) => "tlvs",
            Self::Authenticated(_) => "authenticated",
        }
    }

    /// As the sender is told.
    pub(crate) fn to_sender(&self) -> busyhour_probe::Security {
        match self {
            Self::Open => busyhour_probe::Security::Open,
            Self::Tlvs(file) => busyhour_probe::Security::Tlvs(file.key()),
            Self::Authenticated(file) => busyhour_probe::Security::Authenticated(file.key()),
        }
    }
}

impl Target {
    /// The class of traffic that is imitated.
    #[must_use]
    pub const fn class(&self) -> TrafficClass {
        self.profile.class()
    }

    /// How long a window is.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.profile.window()
    }

    /// From the beginning of one window to that of the next.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.profile.period()
    }

    /// True for a profile that everybody knows; false for one's own.
    pub(super) fn is_of_the_table(&self) -> bool {
        Profile::named(self.profile_name.as_str()).is_some()
    }

    /// The schedule of this target.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let period_us = micros(self.period());
        let revision = ScheduleRevision::new(self.configuration, period_us);
        Schedule { revision, period_us }
    }
}

/// A schedule of the machine's own.
pub(crate) fn schedule_of(period: Duration) -> Schedule {
    let period_us = micros(period);
    Schedule { revision: ScheduleRevision::new(0, period_us), period_us }
}

fn micros(period: Duration) -> u64 {
    u64::try_from(period.as_micros()).unwrap_or(u64::MAX)
}

/// A profile with the name that records bear.
struct Named {
    name: ProfileName,
    profile: Profile,
}

/// Checks all targets, each for itself and beside the others.
pub(super) fn resolve(
    raw: &[RawTarget],
    profiles: &[RawProfile],
) -> Result<Vec<Target>, InvalidConfig> {
    if raw.len() > defaults::MAX_TARGETS {
        return Err(InvalidConfig::TooManyTargets(raw.len()));
    }
    let own = profiles.iter().map(own_profile).collect::<Result<Vec<_>, _>>()?;
    for (at, one) in own.iter().enumerate() {
        let twice = own[..at].iter().any(|other| other.name == one.name);
        if twice || Profile::named(one.name.as_str()).is_some() {
            let problem = "there is another one with this name";
            return Err(InvalidConfig::Profile { name: one.name.as_str().to_owned(), problem });
        }
    }
    let mut targets: Vec<Target> = Vec::with_capacity(raw.len());
    for one in raw {
        let target = target(one, &own)?;
        let same = |t: &&Target| t.name == target.name && t.profile_name == target.profile_name;
        if targets.iter().any(|other| same(&other)) {
            let problem = "there are two with this name and profile";
            return Err(InvalidConfig::Target { name: one.name.clone(), problem });
        }
        targets.push(target);
    }
    Ok(targets)
}

/// Checks a target that is described outside a file, by the words of a `[[target]]` table.
pub(crate) fn of_words(words: serde_json::Value) -> Result<Target, InvalidConfig> {
    let invalid = |error: serde_json::Error| InvalidConfig::Words(error.to_string());
    target(&serde_json::from_value(words).map_err(invalid)?, &[])
}

/// Checks a target that the collector tells of, by the rules of the machine's own file.
pub(crate) fn configured(
    revision: u32,
    told: &v1::ConfiguredTarget,
) -> Result<Target, InvalidConfig> {
    let raw = RawTarget {
        name: told.name.clone(),
        class: None,
        profile: Some(told.profile.clone()),
        peer: raw::stamp(),
        security: RawSecurity::Open,
        key_file: None,
        timestamps: RawTimestamps::default(),
        ecn: raw::not_ect(),
        schedule: RawSchedule::Duty,
        window: Some(format!("{}ms", told.window_ms)),
        period: Some(format!("{}ms", told.period_ms)),
    };
    let phase = told.phase_ms.map(|phase_ms| Duration::from_millis(phase_ms.into()));
    let target = Target { configuration: revision, phase, ..target(&raw, &[])? };
    if phase.is_some_and(|phase| phase >= target.period()) {
        let problem = "its phase is not below its period";
        return Err(InvalidConfig::Target { name: raw.name, problem });
    }
    Ok(target)
}

fn own_profile(raw: &RawProfile) -> Result<Named, InvalidConfig> {
    let word = |source| InvalidConfig::Word { name: raw.name.clone(), source };
    let class: TrafficClass = raw.class.parse().map_err(word)?;
    let name = ProfileName::new(raw.name.as_str()).map_err(word)?;
    let audio = Profile::audio();
    let (window, period) = (audio.window(), audio.period());
    let profile = Profile::new(raw.rate, raw.packet_bytes, class.dscp(), window, period)
        .map_err(|source| InvalidConfig::OwnProfile { name: raw.name.clone(), source })?;
    Ok(Named { name, profile })
}

fn target(raw: &RawTarget, own: &[Named]) -> Result<Target, InvalidConfig> {
    let word = |source| InvalidConfig::Word { name: raw.name.clone(), source };
    let problem = |problem| InvalidConfig::Target { name: raw.name.clone(), problem };
    let name = TargetName::new(raw.name.as_str()).map_err(word)?;
    let (host, port) = split_host(&raw.name)
        .ok_or_else(|| problem("expected HOST:PORT (an IPv6 address in brackets)"))?;
    let special = host.parse().ok().and_then(Special::of);
    if special.is_some_and(|special| !special.may_be_excepted()) {
        return Err(problem("is a multicast, broadcast or unspecified address, not a machine's"));
    }
    let Named { name: profile_name, profile } = profile(raw, own)?;
    let ecn: Ecn = raw.ecn.parse().map_err(word)?;
    if ecn == Ecn::Ce {
        return Err(problem("ecn = \"ce\" is what a router says, not a sender"));
    }
    let window = match &raw.window {
        Some(text) => parse("target.window", text, &defaults::WINDOWS)?,
        None => profile.window(),
    };
    let period = match (raw.schedule, &raw.period) {
        (RawSchedule::Continuous, _) => window,
        (RawSchedule::Duty, Some(text)) => parse("target.period", text, &defaults::PERIODS)?,
        (RawSchedule::Duty, None) => profile.period(),
    };
    if period < window {
        return Err(problem("its period is shorter than its window"));
    }
    let invalid = |source| InvalidConfig::OwnProfile { name: raw.name.clone(), source };
    let profile = profile.with_schedule(window, period).map_err(invalid)?.with_ecn(ecn);
    let peer = PeerProfile::named(&raw.peer).ok_or_else(|| {
        let known: Vec<&str> = PEER_PROFILES.iter().map(PeerProfile::name).collect();
        InvalidConfig::Peer {
            name: raw.name.clone(),
            found: raw.peer.clone(),
            known: known.join(", "),
        }
    })?;
    let security = security(raw)?;
    let timestamps = raw.timestamps.into();
    let target = Target {
        name,
        host,
        port,
        profile_name,
        profile,
        peer,
        security,
        timestamps,
        configuration: 0,
        phase: None,
    };
    check_session(&target)?;
    Ok(target)
}

/// The profile that is named, or else the first of the class that is named, or else audio.
fn profile(raw: &RawTarget, own: &[Named]) -> Result<Named, InvalidConfig> {
    let word = |source| InvalidConfig::Word { name: raw.name.clone(), source };
    let class = match &raw.class {
        Some(text) => Some(text.parse::<TrafficClass>().map_err(word)?),
        None => None,
    };
    let named = match &raw.profile {
        Some(name) => {
            let other = own.iter().find(|profile| profile.name.as_str() == name);
            other.map(|named| named.profile).or_else(|| Profile::named(name))
        }
        None => {
            let class = class.unwrap_or(TrafficClass::Audio);
            PROFILES.iter().find(|profile| profile.class() == class).copied()
        }
    };
    let profile = named.ok_or_else(|| {
        let mut known = PROFILES.iter().map(Profile::name).collect::<Vec<_>>().join(", ");
        for named in own {
            known.push_str(", ");
            known.push_str(named.name.as_str());
        }
        InvalidConfig::UnknownProfile {
            name: raw.name.clone(),
            found: raw.profile.clone().unwrap_or_default(),
            known,
        }
    })?;
    if class.is_some_and(|class| class != profile.class()) {
        let problem = "its class is not its profile's; leave out one of them";
        return Err(InvalidConfig::Target { name: raw.name.clone(), problem });
    }
    let name = raw.profile.clone().unwrap_or_else(|| profile.name().to_owned());
    Ok(Named { name: ProfileName::new(name).map_err(word)?, profile })
}

fn security(raw: &RawTarget) -> Result<Security, InvalidConfig> {
    let problem =
        |problem: &'static str| Err(InvalidConfig::Target { name: raw.name.clone(), problem });
    match (raw.security, &raw.key_file) {
        (RawSecurity::Open, None) => Ok(Security::Open),
        (RawSecurity::Open, Some(_)) => {
            problem("key_file needs security = \"tlvs\" or security = \"authenticated\"")
        }
        (_, None) => problem("security needs key_file, a file with the key that the reflector has"),
        (RawSecurity::Tlvs, Some(file)) => Ok(Security::Tlvs(key_file(file)?)),
        (RawSecurity::Authenticated, Some(file)) => Ok(Security::Authenticated(key_file(file)?)),
    }
}

fn key_file(file: &Path) -> Result<KeyFile, InvalidConfig> {
    KeyFile::read("target.key_file", file)
}

/// Checks that the packets have room for what they carry over both address families: which one it will
/// be, only the name's resolution tells.
fn check_session(target: &Target) -> Result<(), InvalidConfig> {
    let any = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let hosts = target.host.parse().map_or(any.to_vec(), |address: IpAddr| vec![address]);
    for host in hosts {
        let config = sender_config(target, SocketAddr::new(host, target.port), 1);
        Sender::new(config, Instant::now()).map_err(|source| InvalidConfig::Session {
            name: target.name.as_str().to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// `host:port`, `192.0.2.1:862` or `[2001:db8::1]:862`.
fn split_host(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            address
        }
        None if host.is_empty() || host.contains([':', ' ', '/']) => return None,
        None => host,
    };
    Some((host.to_owned(), port))
}
