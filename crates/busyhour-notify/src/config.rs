//! What an operator writes under `[[channel]]`.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// One `[[channel]]`, as written. [`crate::Channel::build`] checks it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ChannelConfig {
    /// Mail by SMTP.
    Email(EmailConfig),
    /// A JSON object by HTTP POST.
    Webhook(WebhookConfig),
    /// One JSON file per alert in a folder, for local use.
    File(FileConfig),
}

impl ChannelConfig {
    /// The channel's name; the outbox remembers deliveries by it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Email(config) => &config.name,
            Self::Webhook(config) => &config.name,
            Self::File(config) => &config.name,
        }
    }
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Begins in the clear and must change to TLS before anything is said (RFC 3207).
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// In the clear; only to this machine.
    None,
}

/// A channel that sends mail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// A name, unique among the channels.
    pub name: String,
    /// The mail server's name; its certificate must carry it.
    pub host: String,
    /// The port; 587, 465 or 25 by `security` unless told.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: Security,
    /// Whom to sign in as; together with `password_file`.
    pub user: Option<String>,
    /// A file with the password in one line, readable by its owner only.
    pub password_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// PEM certificates to trust instead of the system's.
    pub root_ca_file: Option<PathBuf>,
    /// The longest wait for one step, such as `30s`.
    pub timeout: Option<String>,
}

/// A channel that posts JSON.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// A name, unique among the channels.
    pub name: String,
    /// The receiver; often a secret itself. `http` only to this machine. Or `url_file`.
    pub url: Option<String>,
    /// A file with the address in one line, readable by its owner only.
    pub url_file: Option<PathBuf>,
    /// PEM certificates to trust instead of the system's.
    pub root_ca_file: Option<PathBuf>,
    /// The longest wait for the whole exchange, such as `30s`.
    pub timeout: Option<String>,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("name", &self.name)
            .field("url", &self.url.as_ref().map(|_| "…"))
            .field("url_file", &self.url_file)
            .field("root_ca_file", &self.root_ca_file)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A channel that writes files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// A name, unique among the channels.
    pub name: String,
    /// Where the files go; created when missing.
    pub folder: PathBuf,
}
