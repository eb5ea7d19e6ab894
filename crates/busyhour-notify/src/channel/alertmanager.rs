//! Prometheus's Alertmanager, API version 2.
//!
//! An alert is its labels: they are those of the moment when the incident was told, and never change
//! while it is open; what changes is an annotation. Alertmanager forgets what is not said again, so the
//! worker says it again every [`SAY_AGAIN`].

use std::collections::BTreeMap;
use std::time::Duration;

use busyhour_daemon::Secret;
use busyhour_model::UtcMicros;
use serde::Serialize;

use super::post::{Post, Reach, Target, url_of};
use super::{Problem, SendError};
use crate::config::AlertmanagerConfig;
use crate::message::{Message, Stage, rfc3339};

/// How often an open incident is said again.
pub(crate) const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How long an alert holds when nothing more is heard: a collector that restarts, or is brought up to
/// date, is not the end of an incident.
const HOLDS: Duration = Duration::from_secs(15 * 60);
/// An annotation is cut here.
const MAX_ANNOTATION_CHARS: usize = 4_000;

#[derive(Debug)]
pub(super) struct Alertmanager {
    post: Post,
    /// The whole header, as basic or bearer authentication want it.
    authorization: Option<Secret>,
}

impl Alertmanager {
    pub(super) fn build(config: &AlertmanagerConfig) -> Result<Self, Problem> {
        let base = url_of(config.url.as_ref(), config.url_file.as_ref())?;
        let base = base.expose().trim_end_matches('/');
        if base.contains(['?', '#']) {
            return Err(Problem::Url);
        }
        let post = Post::build(Target {
            url: Secret::new(format!("{base}/api/v2/alerts")),
            root_ca_file: config.root_ca_file.as_deref(),
            timeout: config.timeout.as_deref(),
            reach: Reach::Anywhere,
        })?;
        let authorization = match (&config.user, &config.password_file, &config.token_file) {
            (None, None, None) => None,
            (Some(user), Some(path), None) => Some(basic(user, &Secret::read(path)?)),
            (None, None, Some(path)) => {
                Some(Secret::new(format!("Bearer {}", Secret::read(path)?.expose())))
            }
            _ => return Err(Problem::Authorization),
        };
        Ok(Self { post, authorization })
    }

    /// Says all of them in one request.
    pub(super) async fn send(&self, messages: &[Message], now: UtcMicros) -> Result<(), SendError> {
        let headers = self.authorization.iter();
        let headers = headers.map(|secret| ("Authorization", secret.expose().to_owned())).collect();
        self.post.send(headers, body(messages, now)).await
    }
}

fn basic(user: &str, password: &Secret) -> Secret {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
    Secret::new(format!("Basic {pair}"))
}

fn body(messages: &[Message], now: UtcMicros) -> String {
    let alerts: Vec<Alert<'_>> = messages.iter().map(|message| Alert::of(message, now)).collect();
    serde_json::to_string(&alerts).expect("structs of texts are JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

impl<'a> Alert<'a> {
    fn of(message: &'a Message, now: UtcMicros) -> Self {
        let (starts, ends) = match message.stage {
            Stage::Firing | Stage::Seen => (message.since, now.plus(HOLDS)),
            // An end before its begin is refused.
            Stage::Over => (message.since, message.created.min(now).max(message.since)),
        };
        let mut labels: BTreeMap<&str, &str> =
            message.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        labels.insert("alertname", message.alert_name);
        labels.insert("incident", &message.subject_key);
        labels.retain(|_, value| !value.is_empty());
        let cut = |text: &str| text.chars().take(MAX_ANNOTATION_CHARS).collect::<String>();
        let mut annotations: BTreeMap<String, String> = BTreeMap::new();
        for (label, words) in message.all_facts() {
            annotations.insert(label.to_lowercase().replace(' ', "_"), cut(words));
        }
        if !message.steps.is_empty() {
            annotations.insert("what_to_do".to_owned(), cut(&message.steps.join(" ")));
        }
        annotations.insert("summary".to_owned(), cut(&message.subject));
        annotations.insert("description".to_owned(), cut(&message.lead.join(" ")));
        Self {
            labels,
            annotations,
            starts_at: rfc3339(starts),
            ends_at: rfc3339(ends),
            generator_url: &message.url,
        }
    }
}
