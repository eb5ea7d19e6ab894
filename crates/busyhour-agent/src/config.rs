//! Configuration: what a file may say, and what it means once it was checked.

mod allow;
mod bandwidth;
mod budget;
mod defaults;
mod duration;
mod key;
mod raw;
mod reflector;
mod show;
mod target;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use busyhour_daemon::{LogConfig, Secret, SecretError};
use busyhour_model::{AgentId, InvalidPath};
use busyhour_probe::{InvalidProfile, InvalidSession};
use thiserror::Error;
use tonic::codegen::http::uri::Scheme;
use tonic::transport::Uri;

use crate::allow::Allow;
use crate::identity::{Folder, IdentityError, Stored};
pub(crate) use budget::check as check_budget;
pub(crate) use duration::parse as parse_duration;
pub use key::KeyFile;
use raw::RawAccepts;
pub use raw::RawConfig;
pub use reflector::{Admission, Provisioned, ReflectorSettings, Timestamps};
pub use target::{Security, Target};
pub(crate) use target::{configured, of_words, schedule_of};

/// Something in the configuration that cannot be.
#[derive(Debug, Error)]
pub enum InvalidConfig {
    /// The collector's address is not one that this version may use.
    #[error("collector.url {url:?}: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A collector without the secret that it knows this agent by.
    #[error("collector.url needs agent.secret_file: the line printed by `busyhour agent add`")]
    NoSecret,
    /// A collector that never gave this agent an identity.
    #[error(
        "this machine is not enrolled with {url} ({data_dir:?} holds no identity): get a token from \
         `busyhour token create` there, then run `busyhour-agent enrol --collector {url} \
         --token-file -`"
    )]
    NotEnrolled {
        /// The collector.
        url: String,
        /// Where an identity would lie.
        data_dir: PathBuf,
    },
    /// The identity cannot be read.
    #[error("the agent's identity cannot be used")]
    Identity(#[source] IdentityError),
    /// The secret file cannot be used.
    #[error("agent.secret_file cannot be used")]
    Secret(#[source] SecretError),
    /// The secret file does not hold an agent's identity and secret.
    #[error(
        "agent.secret_file {0:?} must hold <agent id>.<secret>, as `busyhour agent add` wrote it"
    )]
    Credential(PathBuf),
    /// Words that do not describe a target.
    #[error("this is no target: {0}")]
    Words(String),
    /// A target that cannot be one.
    #[error("target {name:?}: {problem}")]
    Target {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A target's name or class is none.
    #[error("target {name:?} cannot be used")]
    Word {
        /// Its name.
        name: String,
        /// What the model says.
        source: InvalidPath,
    },
    /// A profile of one's own that cannot be one.
    #[error("profile {name:?}: {problem}")]
    Profile {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What is to be sent cannot be.
    #[error("{name:?} cannot be sent")]
    OwnProfile {
        /// The profile or target.
        name: String,
        /// Why.
        source: InvalidProfile,
    },
    /// A profile that nobody described.
    #[error("target {name:?}: there is no profile {found:?}; there are {known}, and [[profile]]")]
    UnknownProfile {
        /// The target.
        name: String,
        /// What was given.
        found: String,
        /// What there is.
        known: String,
    },
    /// An implementation that nobody described.
    #[error("target {name:?}: there is no peer {found:?}; there are {known}")]
    Peer {
        /// The target.
        name: String,
        /// What was given.
        found: String,
        /// What there is.
        known: String,
    },
    /// A session that cannot be.
    #[error("target {name:?} cannot be probed so")]
    Session {
        /// The target.
        name: String,
        /// Why.
        source: InvalidSession,
    },
    /// A key that cannot be read.
    #[error("{field} cannot be used")]
    Key {
        /// The field.
        field: &'static str,
        /// Why.
        source: SecretError,
    },
    /// A key that says it is hexadecimal and is not.
    #[error("{field} {path:?}: behind hex: there must be an even number of hexadecimal digits")]
    KeyDigits {
        /// The field.
        field: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A rate that is none.
    #[error(
        "link.capacity = {0:?} is not a rate such as \"100Mbit/s\", from 100kbit/s to 1000Gbit/s"
    )]
    Capacity(String),
    /// More than a link of unknown capacity may be burdened with.
    #[error(
        "target {target:?}: {profile} on this schedule needs link.capacity, the rate of the slowest \
         link that probes leave on (such as \"100Mbit/s\"); without it only audio and best effort run, \
         for a quarter of the time"
    )]
    NeedsCapacity {
        /// The target.
        target: String,
        /// What it would be sent.
        profile: String,
    },
    /// All targets together are too much for the link.
    #[error(
        "all targets together are sent {sum} on average, more than the {limit} that {of}; most goes \
         to {most:?}: lengthen its period, take schedule = \"duty\", or remove targets"
    )]
    Budget {
        /// What they are sent.
        sum: String,
        /// What they may be sent.
        limit: String,
        /// What that is.
        of: String,
        /// Who is sent most.
        most: String,
    },
    /// Too much of what shares a queue with real calls.
    #[error(
        "all targets together are sent {sum} of expedited (EF) traffic on average, more than the \
         {limit} of one call: lengthen periods, or give some of them class = \"best-effort\""
    )]
    Expedited {
        /// What they are sent.
        sum: String,
        /// What they may be sent.
        limit: String,
    },
    /// A setting of the reflector that cannot be.
    #[error("reflector.{field} {problem}")]
    Reflector {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A network that is none.
    #[error("reflector.{field}: {found:?} is not a network (such as \"10.0.0.0/8\") or an address")]
    Network {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
    },
    /// An entry of what may be probed that is none.
    #[error(
        "allow.{field}: {found:?} is not what belongs there: targets are names (\"a.example\", \
         \"*.example\"), networks or addresses, special are networks or addresses"
    )]
    Allow {
        /// The list.
        field: &'static str,
        /// What was given.
        found: String,
    },
    /// A target that may not be probed.
    #[error("target {name:?} may not be probed: {problem}")]
    Refused {
        /// Its name.
        name: String,
        /// Why.
        problem: String,
    },
    /// Too many targets.
    #[error("{0} targets are more than {max} that one agent probes", max = defaults::MAX_TARGETS)]
    TooManyTargets(usize),
    /// A duration that is not one, or out of range.
    #[error("{field} = {found:?} is not a duration {expected}")]
    Duration {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A size out of range.
    #[error("spool.max_bytes = {0} is below the smallest spool of {min} bytes", min = defaults::MIN_SPOOL_BYTES)]
    SpoolBytes(u64),
    /// An address that cannot be listened on.
    #[error("reflector.listen: {0:?} is not an address with a port (such as \"0.0.0.0:862\")")]
    Listen(String),
    /// There is nothing to do.
    #[error(
        "nothing to do: there is no [[target]], reflector.listen is empty, and there is no collector"
    )]
    Idle,
}

/// What the agent does; everything in it was checked.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Where the spool lies.
    pub data_dir: PathBuf,
    /// Where records go; a pure reflector has none.
    pub collector: Option<Collector>,
    /// The rate of the slowest link that probes leave on, in bits a second, where it is known.
    pub link_capacity: Option<u64>,
    /// What is probed.
    pub targets: Vec<Target>,
    /// What may be probed, whoever asks.
    pub(crate) allow: Allow,
    /// How probes of others are answered.
    pub reflector: ReflectorSettings,
    /// What the collector may ask for.
    pub remote: RemoteSettings,
    /// When nothing is measured although nobody asked for a pause.
    pub(crate) pause: PauseSettings,
    /// How much is kept until the collector has it.
    pub spool: SpoolLimits,
    /// Logging.
    pub log: LogConfig,
}

/// The collector, and who this agent is to it.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Its address.
    pub url: Uri,
    /// The agent's identity.
    pub agent: AgentId,
    /// How the agent proves it.
    pub access: Access,
}

/// How an agent proves who it is.
#[derive(Debug, Clone)]
pub enum Access {
    /// By a secret, over loopback.
    Secret {
        /// Where identity and secret were read.
        file: PathBuf,
        /// The identity and the secret, as sent with each call.
        credential: Secret,
    },
    /// By the certificate that it was enrolled for.
    Certificate(Box<Stored>),
}

/// What the collector may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Whether it may ask for targets at all.
    pub accepts: Accepts,
    /// How long a configuration runs on trial before it is kept.
    pub trial: Duration,
}

/// When the machine is to be left alone, beside what its owner asks for at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PauseSettings {
    /// While it runs on its battery.
    pub(crate) on_battery: bool,
    /// While it reaches the world over a link that is paid for by use.
    pub(crate) on_metered: bool,
    /// Interfaces whose links are, beside all mobile ones.
    pub(crate) metered: Vec<String>,
}

/// What is taken from the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// Targets, within the rules of this machine's own file.
    Targets,
    /// Nothing.
    Nothing,
}

impl Accepts {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Targets => "targets",
            Self::Nothing => "nothing",
        }
    }
}

/// How much the spool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes of sealed blocks.
    pub max_bytes: u64,
    /// Age of sealed blocks.
    pub max_age: Duration,
    /// How long a record waits for others before it is sealed into a block with them.
    pub seal_after: Duration,
}

impl RawConfig {
    /// Where a running agent of this configuration keeps its files.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.agent.data_dir
    }

    /// The collector, as far as it is named.
    pub(crate) fn collector_url(&self) -> Option<&str> {
        self.collector.url.as_deref()
    }

    /// Checks everything, and reads the secret.
    ///
    /// # Errors
    /// For the first thing that cannot be; the message names the field and the remedy.
    pub fn resolve(self) -> Result<Resolved, InvalidConfig> {
        let collector = match &self.collector.url {
            Some(url) => Some(self.collector(url)?),
            None => self.identity()?.map(enrolled).transpose()?,
        };
        let link_capacity = self.link.capacity.as_deref().map(capacity).transpose()?;
        let targets = target::resolve(&self.target, &self.profile)?;
        budget::check(&targets, link_capacity)?;
        let allow = allow::resolve(&self.allow, &targets)?;
        let reflector = reflector::resolve(&self.reflector)?;
        if targets.is_empty() && reflector.listen.is_empty() && collector.is_none() {
            return Err(InvalidConfig::Idle);
        }
        let max_bytes = self.spool.max_bytes;
        if max_bytes < defaults::MIN_SPOOL_BYTES {
            return Err(InvalidConfig::SpoolBytes(max_bytes));
        }
        let max_age = parse("spool.max_age", &self.spool.max_age, &defaults::SPOOL_AGES)?;
        let seal_after = parse("spool.seal_after", &self.spool.seal_after, &defaults::SEALS)?;
        let trial = parse("remote.trial", &self.remote.trial, &defaults::TRIALS)?;
        let accepts = match self.remote.accept {
            RawAccepts::Targets => Accepts::Targets,
            RawAccepts::Nothing => Accepts::Nothing,
        };
        Ok(Resolved {
            data_dir: self.agent.data_dir,
            collector,
            link_capacity,
            targets,
            allow,
            reflector,
            remote: RemoteSettings { accepts, trial },
            pause: PauseSettings {
                on_battery: self.pause.on_battery,
                on_metered: self.pause.on_metered,
                metered: self.pause.metered,
            },
            spool: SpoolLimits { max_bytes, max_age, seal_after },
            log: self.log,
        })
    }

    fn collector(&self, text: &str) -> Result<Collector, InvalidConfig> {
        let url = collector_url(text)?;
        if url.scheme() == Some(&Scheme::HTTPS) {
            let stored = self.identity()?.ok_or_else(|| InvalidConfig::NotEnrolled {
                url: text.to_owned(),
                data_dir: self.agent.data_dir.clone(),
            })?;
            return Ok(Collector {
                url,
                agent: stored.current.agent,
                access: Access::Certificate(Box::new(stored)),
            });
        }
        let file = self.agent.secret_file.as_ref().ok_or(InvalidConfig::NoSecret)?;
        let credential = Secret::read(file).map_err(InvalidConfig::Secret)?;
        let agent = agent_of(&credential).ok_or_else(|| InvalidConfig::Credential(file.clone()))?;
        Ok(Collector { url, agent, access: Access::Secret { file: file.clone(), credential } })
    }

    fn identity(&self) -> Result<Option<Stored>, InvalidConfig> {
        Folder::of(&self.agent.data_dir).read().map_err(InvalidConfig::Identity)
    }
}

/// The collector that an identity is of.
fn enrolled(stored: Stored) -> Result<Collector, InvalidConfig> {
    let url = collector_url(&stored.current.collector)?;
    let agent = stored.current.agent;
    Ok(Collector { url, agent, access: Access::Certificate(Box::new(stored)) })
}

/// The identity in `<agent id>.<secret>`.
fn agent_of(credential: &Secret) -> Option<AgentId> {
    let (agent, secret) = credential.expose().split_once('.')?;
    let visible = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    agent.parse().ok().filter(|_| visible)
}

/// Reads a collector's address. Plaintext stays on the machine: the secret and the records must not
/// cross a network in the clear.
pub(crate) fn collector_url(text: &str) -> Result<Uri, InvalidConfig> {
    checked_url(text).map_err(|problem| InvalidConfig::Url { url: text.to_owned(), problem })
}

fn checked_url(text: &str) -> Result<Uri, &'static str> {
    let none = "this is not a URL (such as https://collector.example.com:7443)";
    let url: Uri = text.parse().map_err(|_| none)?;
    let host = url.host().ok_or(none)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err("the URL must not have a path");
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("the URL must not name a user");
    }
    match url.scheme_str() {
        Some("https") => return Ok(url),
        Some("http") => {}
        _ => return Err("only https:// and, over loopback, http:// are understood"),
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if host != "localhost" && !address.is_ok_and(|ip| ip.is_loopback()) {
        return Err(
            "plaintext http:// is only allowed over loopback (127.0.0.1, [::1], localhost); \
                    use https://",
        );
    }
    Ok(url)
}

fn capacity(text: &str) -> Result<u64, InvalidConfig> {
    let bits = bandwidth::parse(text).filter(|bits| defaults::CAPACITIES.contains(bits));
    bits.ok_or_else(|| InvalidConfig::Capacity(text.to_owned()))
}

fn parse(
    field: &'static str,
    text: &str,
    allowed: &defaults::Durations,
) -> Result<Duration, InvalidConfig> {
    duration::parse(text).filter(|found| allowed.range.contains(found)).ok_or_else(|| {
        InvalidConfig::Duration { field, found: text.to_owned(), expected: allowed.expected }
    })
}

#[cfg(test)]
mod tests;
