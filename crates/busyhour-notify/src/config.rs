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
    /// A card in a Microsoft Teams channel.
    Teams(TeamsConfig),
    /// Prometheus's Alertmanager.
    Alertmanager(AlertmanagerConfig),
    /// PagerDuty's Events API.
    PagerDuty(PagerDutyConfig),
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
            Self::Teams(config) => &config.name,
            Self::Alertmanager(config) => &config.name,
            Self::PagerDuty(config) => &config.name,
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
    /// A file with a key of at least 32 characters in one line, readable by its owner only: what is
    /// posted is signed with it.
    pub signing_key_file: Option<PathBuf>,
    /// A template of what is posted, in place of the object. Or `template_file`.
    pub template: Option<String>,
    /// A file with that template.
    pub template_file: Option<PathBuf>,
    /// What the template makes; `application/json` unless told.
    pub content_type: Option<String>,
    /// The receiver may have an address that the Internet does not know.
    #[serde(default)]
    pub allow_private: bool,
    /// PEM certificates to trust instead of the system's.
    pub root_ca_file: Option<PathBuf>,
    /// The longest wait for the whole exchange, such as `30s`.
    pub timeout: Option<String>,
}

/// A channel that posts a card to a workflow's webhook.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamsConfig {
    /// A name, unique among the channels.
    pub name: String,
    /// The workflow's address, a secret itself. Or `url_file`.
    pub url: Option<String>,
    /// A file with the address in one line, readable by its owner only.
    pub url_file: Option<PathBuf>,
    /// PEM certificates to trust instead of the system's.
    pub root_ca_file: Option<PathBuf>,
    /// The longest wait for the whole exchange, such as `30s`.
    pub timeout: Option<String>,
}

/// A channel that keeps alerts in an Alertmanager.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// A name, unique among the channels.
    pub name: String,
    /// Where it is, without `/api/v2`; its path prefix, if it has one, included. Or `url_file`.
    pub url: Option<String>,
    /// A file with the address in one line, readable by its owner only.
    pub url_file: Option<PathBuf>,
    /// Whom to sign in as; together with `password_file`.
    pub user: Option<String>,
    /// A file with the password in one line, readable by its owner only.
    pub password_file: Option<PathBuf>,
    /// A file with a bearer token in one line, readable by its owner only; instead of a user.
    pub token_file: Option<PathBuf>,
    /// PEM certificates to trust instead of the system's.
    pub root_ca_file: Option<PathBuf>,
    /// The longest wait for the whole exchange, such as `30s`.
    pub timeout: Option<String>,
}

/// A channel that raises alerts at PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyConfig {
    /// A name, unique among the channels.
    pub name: String,
    /// A file with the integration's routing key in one line, readable by its owner only.
    pub routing_key_file: PathBuf,
    /// Where events go; PagerDuty's own address unless told, and another in its European region.
    pub endpoint: Option<String>,
    /// PEM certificates to trust instead of the system's.
    pub root_ca_file: Option<PathBuf>,
    /// The longest wait for the whole exchange, such as `30s`.
    pub timeout: Option<String>,
}

impl fmt::Debug for TeamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeamsConfig")
            .field("name", &self.name)
            .field("url", &self.url.as_ref().map(|_| "…"))
            .field("url_file", &self.url_file)
            .field("root_ca_file", &self.root_ca_file)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl fmt::Debug for AlertmanagerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertmanagerConfig")
            .field("name", &self.name)
            .field("url", &self.url.as_ref().map(|_| "…"))
            .field("url_file", &self.url_file)
            .field("user", &self.user)
            .field("password_file", &self.password_file)
            .field("token_file", &self.token_file)
            .field("root_ca_file", &self.root_ca_file)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("name", &self.name)
            .field("url", &self.url.as_ref().map(|_| "…"))
            .field("url_file", &self.url_file)
            .field("signing_key_file", &self.signing_key_file)
            .field("template", &self.template)
            .field("template_file", &self.template_file)
            .field("content_type", &self.content_type)
            .field("allow_private", &self.allow_private)
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
