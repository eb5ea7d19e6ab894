//! Configuration: what a file may say, and what it means once it was checked.

mod defaults;
mod duration;
mod raw;
mod show;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use busyhour_daemon::{LogConfig, Secret, SecretError};
use busyhour_model::{AgentId, InvalidPath, Schedule, ScheduleRevision, TargetName, TrafficClass};
use thiserror::Error;
use tonic::transport::Uri;

pub use raw::RawConfig;

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
    /// The secret file cannot be used.
    #[error("agent.secret_file cannot be used")]
    Secret(#[source] SecretError),
    /// The secret file does not hold an agent's identity and secret.
    #[error(
        "agent.secret_file {0:?} must hold <agent id>.<secret>, as `busyhour agent add` wrote it"
    )]
    Credential(PathBuf),
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
    /// What is probed.
    pub targets: Vec<Target>,
    /// Where probes are answered.
    pub reflector: Vec<SocketAddr>,
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
    /// Where identity and secret were read.
    pub secret_file: PathBuf,
    /// The identity and the secret, as sent with each call.
    pub credential: Secret,
}

/// Something to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, with the port.
    pub name: TargetName,
    /// The host part of the name.
    pub host: String,
    /// The port part of the name.
    pub port: u16,
    /// The class of traffic to imitate.
    pub class: TrafficClass,
    /// How long a window is.
    pub window: Duration,
    /// From the beginning of one window to that of the next.
    pub period: Duration,
}

impl Target {
    /// The schedule of this target.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        schedule_of(self.period)
    }
}

/// Local schedules differ in their period only, so its microseconds serve as their revision: equal
/// schedules have equal revisions on every agent and after every restart.
pub(crate) fn schedule_of(period: Duration) -> Schedule {
    let period_us = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
    Schedule { revision: ScheduleRevision(period_us), period_us }
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
    /// Checks everything, and reads the secret.
    ///
    /// # Errors
    /// For the first thing that cannot be; the message names the field and the remedy.
    pub fn resolve(self) -> Result<Resolved, InvalidConfig> {
        let collector = match &self.collector.url {
            Some(url) => Some(self.collector(url)?),
            None => None,
        };
        let targets = targets(&self.target)?;
        let reflector =
            self.reflector.listen.iter().map(|text| listen(text)).collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() && reflector.is_empty() && self.collector.url.is_none() {
            return Err(InvalidConfig::Idle);
        }
        let max_bytes = self.spool.max_bytes;
        if max_bytes < defaults::MIN_SPOOL_BYTES {
            return Err(InvalidConfig::SpoolBytes(max_bytes));
        }
        let max_age = parse("spool.max_age", &self.spool.max_age, &defaults::SPOOL_AGES)?;
        let seal_after = parse("spool.seal_after", &self.spool.seal_after, &defaults::SEALS)?;
        Ok(Resolved {
            data_dir: self.agent.data_dir,
            collector,
            targets,
            reflector,
            spool: SpoolLimits { max_bytes, max_age, seal_after },
            log: self.log,
        })
    }

    fn collector(&self, text: &str) -> Result<Collector, InvalidConfig> {
        let url = collector_url(text)
            .map_err(|problem| InvalidConfig::Url { url: text.to_owned(), problem })?;
        let path = self.agent.secret_file.as_ref().ok_or(InvalidConfig::NoSecret)?;
        let credential = Secret::read(path).map_err(InvalidConfig::Secret)?;
        let agent = agent_of(&credential).ok_or_else(|| InvalidConfig::Credential(path.clone()))?;
        Ok(Collector { url, agent, secret_file: path.clone(), credential })
    }
}

/// The identity in `<agent id>.<secret>`.
fn agent_of(credential: &Secret) -> Option<AgentId> {
    let (agent, secret) = credential.expose().split_once('.')?;
    let visible = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    agent.parse().ok().filter(|_| visible)
}

/// Plaintext stays on the machine: the secret and the records must not cross a network in the clear.
fn collector_url(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| "this is not a URL (such as http://127.0.0.1:4317)")?;
    let host = url.host().ok_or("this is not a URL (such as http://127.0.0.1:4317)")?;
    match url.scheme_str() {
        Some("http") => {}
        Some("https") => return Err("this version cannot speak TLS yet; use http:// on loopback"),
        _ => return Err("only http:// is understood"),
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if host != "localhost" && !address.is_ok_and(|ip| ip.is_loopback()) {
        return Err(
            "plaintext http:// is only allowed over loopback (127.0.0.1, [::1], localhost)",
        );
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err("the URL must not have a path");
    }
    Ok(url)
}

fn targets(raw: &[raw::RawTarget]) -> Result<Vec<Target>, InvalidConfig> {
    if raw.len() > defaults::MAX_TARGETS {
        return Err(InvalidConfig::TooManyTargets(raw.len()));
    }
    let mut targets: Vec<Target> = Vec::with_capacity(raw.len());
    for one in raw {
        let target = target(one)?;
        if targets.iter().any(|t| t.name == target.name && t.class == target.class) {
            let problem = "there are two with this name and class";
            return Err(InvalidConfig::Target { name: one.name.clone(), problem });
        }
        targets.push(target);
    }
    Ok(targets)
}

fn target(raw: &raw::RawTarget) -> Result<Target, InvalidConfig> {
    let word = |source| InvalidConfig::Word { name: raw.name.clone(), source };
    let problem = |problem| InvalidConfig::Target { name: raw.name.clone(), problem };
    let name = TargetName::new(raw.name.as_str()).map_err(word)?;
    let class = raw.class.parse().map_err(word)?;
    let (host, port) = split_host(&raw.name)
        .ok_or_else(|| problem("expected HOST:PORT (an IPv6 address in brackets)"))?;
    let window = parse("target.window", &raw.window, &defaults::WINDOWS)?;
    let period = match raw.schedule {
        raw::RawSchedule::Continuous => window,
        raw::RawSchedule::Duty => {
            let period = parse("target.period", &raw.period, &defaults::PERIODS)?;
            if period < window {
                return Err(problem("its period is shorter than its window"));
            }
            period
        }
    };
    Ok(Target { name, host, port, class, window, period })
}

/// `host:port`, `192.0.2.1:862` or `[2001:db8::1]:862`.
fn split_host(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            address
        }
        None if host.is_empty() || host.contains([':', ' ', '/']) => return None,
        None => host,
    };
    Some((host.to_owned(), port))
}

fn listen(text: &str) -> Result<SocketAddr, InvalidConfig> {
    text.parse().map_err(|_| InvalidConfig::Listen(text.to_owned()))
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
