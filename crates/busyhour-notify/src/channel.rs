//! Channels: where a message can go.

mod alertmanager;
mod email;
mod file;
mod pagerduty;
mod post;
mod teams;
mod template;
mod webhook;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use busyhour_daemon::SecretError;
use busyhour_model::UtcMicros;
use thiserror::Error;

use crate::ChannelConfig;
use crate::message::Message;

use self::alertmanager::Alertmanager;
use self::email::Email;
use self::file::FileDrop;
use self::pagerduty::PagerDuty;
use self::teams::Teams;
use self::template::TemplateError;
use self::webhook::Webhook;

pub(crate) use self::alertmanager::SAY_AGAIN;

/// The longest wait for a step of an exchange unless configured: what RFC 5321 section 4.5.3.2
/// allows is minutes, which holds up a shutdown for too long.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait that can be configured.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);
/// The largest file of root certificates that is read: the whole of Mozilla's is below 300 kB.
const MAX_ROOT_CA_BYTES: u64 = 4 * 1024 * 1024;

/// A channel that cannot be used as configured.
#[derive(Debug, Error)]
#[error("channel {channel:?} cannot be used")]
pub struct ChannelError {
    channel: String,
    source: Problem,
}

/// What is wrong with a channel's configuration.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("name must be 1 to 64 letters, digits, dots, dashes or underscores")]
    Name,
    #[error("security = \"none\" is only for a mail server on this machine, and {host:?} is not")]
    PlainMail { host: String },
    #[error("user and password_file go together")]
    Credentials,
    #[error("{address:?} is not a mail address")]
    Address { address: String, source: lettre::address::AddressError },
    #[error("to must name 1 to {max} mail addresses")]
    Recipients { max: usize },
    #[error("exactly one of url and url_file is needed")]
    OneUrl,
    #[error(
        "the address must begin with https://, or with http:// for this machine, and name a host"
    )]
    Url,
    #[error("timeout {found:?} is not above zero and at most five minutes, such as \"30s\"")]
    Timeout { found: String },
    #[error("use secret")]
    Secret(#[from] SecretError),
    #[error("root_ca_file {path:?} cannot be read")]
    ReadRoots { path: PathBuf, source: io::Error },
    #[error("root_ca_file {path:?} holds no PEM certificate")]
    NoRoots { path: PathBuf },
    #[error("set up TLS")]
    Smtp(#[source] lettre::transport::smtp::Error),
    #[error("signing_key_file must hold at least {min} characters")]
    ShortKey { min: usize },
    #[error("user and password_file go together, and token_file stands alone")]
    Authorization,
    #[error("create folder {path:?}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("template")]
    Template(#[from] TemplateError),
}

/// An attempt that the other side did not take. The text holds no secrets.
#[derive(Debug, Error)]
#[error("{text}")]
pub(crate) struct SendError {
    text: String,
    pub(crate) fault: Fault,
}

/// What is at fault when a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another attempt may do better.
    Passing,
    /// Another attempt would end the same way, until somebody changes something.
    Channel,
    /// The channel or the message: whether another message is taken tells.
    Either,
    /// The message: it will never be taken.
    Message,
    /// Those alone whom it was still to reach: another attempt may do better.
    Recipients,
    /// Nobody: who was left is no longer configured.
    Nobody,
}

impl SendError {
    pub(crate) const fn new(fault: Fault, text: String) -> Self {
        Self { text, fault }
    }

    /// Another attempt may do better.
    pub(crate) const fn passing(text: String) -> Self {
        Self::new(Fault::Passing, text)
    }
}

/// For whom a message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// For all.
    Whole,
    /// For some; for the others it may be later.
    Partly { left: Vec<String>, error: String },
    /// For some, and never for the others.
    But { error: String },
}

/// A place that messages can go to, checked and ready.
#[derive(Debug)]
pub struct Channel {
    name: String,
    kind: Kind,
    /// Held by whoever sends there.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Kind {
    Email(Box<Email>),
    Webhook(Box<Webhook>),
    Teams(Box<Teams>),
    Alertmanager(Box<Alertmanager>),
    PagerDuty(Box<PagerDuty>),
    File(FileDrop),
}

impl Channel {
    /// Checks a configuration and reads the secrets and certificates it names.
    ///
    /// # Errors
    /// When something is missing, contradicts itself, would send secrets in the clear, or cannot
    /// be read.
    pub fn build(config: &ChannelConfig) -> Result<Self, ChannelError> {
        let name = config.name().to_owned();
        let kind = check_name(&name).and_then(|()| match config {
            ChannelConfig::Email(config) => {
                Email::build(config).map(|email| Kind::Email(Box::new(email)))
            }
            ChannelConfig::Webhook(config) => {
                Webhook::build(config).map(|webhook| Kind::Webhook(Box::new(webhook)))
            }
            ChannelConfig::Teams(config) => {
                Teams::build(config).map(|teams| Kind::Teams(Box::new(teams)))
            }
            ChannelConfig::Alertmanager(config) => {
                let built = Alertmanager::build(config);
                built.map(|alertmanager| Kind::Alertmanager(Box::new(alertmanager)))
            }
            ChannelConfig::PagerDuty(config) => {
                PagerDuty::build(config).map(|pagerduty| Kind::PagerDuty(Box::new(pagerduty)))
            }
            ChannelConfig::File(config) => FileDrop::build(config).map(Kind::File),
        });
        match kind {
            Ok(kind) => Ok(Self { name, kind, turn: tokio::sync::Mutex::new(()) }),
            Err(source) => Err(ChannelError { channel: name, source }),
        }
    }

    /// The channel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when what is sent surely stays on this machine: a file. A server at a loopback address
    /// may be a relay or a tunnel that passes it on.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// What kind of channel it is, as it is configured.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Email(_) => "email",
            Kind::Webhook(_) => "webhook",
            Kind::Teams(_) => "teams",
            Kind::Alertmanager(_) => "alertmanager",
            Kind::PagerDuty(_) => "pagerduty",
            Kind::File(_) => "file",
        }
    }

    /// True when pictures are sent along.
    pub(crate) const fn shows_pictures(&self) -> bool {
        matches!(self.kind, Kind::Email(_))
    }

    /// True when people read it as it comes: several alerts at once are one message to them.
    pub(crate) const fn is_for_people(&self) -> bool {
        matches!(self.kind, Kind::Email(_) | Kind::Teams(_))
    }

    /// True when the other side keeps what was told until it is told that it is over there.
    pub(crate) const fn keeps_alerts(&self) -> bool {
        !self.is_for_people()
    }

    /// True when the other side calls people until somebody has seen it.
    pub(crate) const fn calls_people(&self) -> bool {
        matches!(self.kind, Kind::PagerDuty(_))
    }

    /// True when the other side forgets what is open unless it is said again.
    pub(crate) const fn forgets(&self) -> bool {
        matches!(self.kind, Kind::Alertmanager(_))
    }

    /// Waits until nobody else sends there.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Says again what is still open, where [`Channel::forgets`]; elsewhere nothing.
    pub(crate) async fn say_again(
        &self,
        messages: &[Message],
        now: UtcMicros,
    ) -> Result<(), SendError> {
        match &self.kind {
            Kind::Alertmanager(alertmanager) => alertmanager.send(messages, now).await,
            Kind::Email(_)
            | Kind::Webhook(_)
            | Kind::Teams(_)
            | Kind::PagerDuty(_)
            | Kind::File(_) => Ok(()),
        }
    }

    /// Sends a message and waits until the other side has taken it. `left` are those it is still to reach, when
    /// others have it; empty for all.
    pub(crate) async fn send(
        &self,
        message: &Message,
        left: &[String],
        now: UtcMicros,
    ) -> Result<Taken, SendError> {
        let sent = match &self.kind {
            Kind::Email(email) => return email.send(message, left).await,
            Kind::Webhook(webhook) => webhook.send(message, now).await,
            Kind::Teams(teams) => teams.send(message).await,
            Kind::Alertmanager(alertmanager) => {
                alertmanager.send(std::slice::from_ref(message), now).await
            }
            Kind::PagerDuty(pagerduty) => pagerduty.send(message).await,
            Kind::File(file) => file.send(message).await,
        };
        sent.map(|()| Taken::Whole)
    }
}

/// Names go into the outbox, logs and file names.
fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = (1..=64).contains(&name.len()) && name.chars().all(plain);
    if fits { Ok(()) } else { Err(Problem::Name) }
}

/// True for a loopback address and for the name that always means one (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

fn parse_timeout(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(DEFAULT_TIMEOUT) };
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| Problem::Timeout { found: text.to_owned() })
}

fn read_roots(path: &std::path::Path) -> Result<Vec<u8>, Problem> {
    use std::io::Read as _;

    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_ROOT_CA_BYTES).read_to_end(&mut pem))
        .map_err(|source| Problem::ReadRoots { path: path.to_owned(), source })?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_local() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example.org", "example.org", "::", "0.0.0.0", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn timeouts_are_bounded() {
        assert_eq!(parse_timeout(None).unwrap(), DEFAULT_TIMEOUT);
        assert_eq!(parse_timeout(Some("5s")).unwrap(), Duration::from_secs(5));
        for text in ["0s", "-5s", "1h", "soon", ""] {
            assert!(parse_timeout(Some(text)).is_err(), "{text}");
        }
    }
}
