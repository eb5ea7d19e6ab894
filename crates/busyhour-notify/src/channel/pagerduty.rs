//! PagerDuty's Events API, version 2.
//!
//! An incident is one alert there: what happens to it later carries the same key.

use busyhour_daemon::Secret;
use serde::Serialize;
use std::collections::BTreeMap;

use super::post::{Post, Reach, Target};
use super::{Problem, SendError};
use crate::config::PagerDutyConfig;
use crate::message::{Message, Stage, Tone, rfc3339};

/// Where events go unless configured.
const ENDPOINT: &str = "https://events.pagerduty.com/v2/enqueue";
/// The longest summary that is taken.
const MAX_SUMMARY_CHARS: usize = 1_024;
/// A fact is cut here: twenty of them stay far below the 512 kB that an event may have.
const MAX_FACT_CHARS: usize = 2_000;

#[derive(Debug)]
pub(super) struct PagerDuty {
    post: Post,
    routing_key: Secret,
}

impl PagerDuty {
    pub(super) fn build(config: &PagerDutyConfig) -> Result<Self, Problem> {
        let endpoint = config.endpoint.as_deref().unwrap_or(ENDPOINT);
        let post = Post::build(Target {
            url: Secret::new(endpoint.to_owned()),
            root_ca_file: config.root_ca_file.as_deref(),
            timeout: config.timeout.as_deref(),
            reach: Reach::Public,
        })?;
        Ok(Self { post, routing_key: Secret::read(&config.routing_key_file)? })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.post.send(Vec::new(), body(message, &self.routing_key)).await
    }
}

fn body(message: &Message, routing_key: &Secret) -> String {
    let action = match message.stage {
        Stage::Firing => "trigger",
        Stage::Seen => "acknowledge",
        Stage::Over => "resolve",
    };
    let event = Event {
        routing_key: routing_key.expose(),
        event_action: action,
        dedup_key: &message.subject_key,
        payload: Payload {
            summary: message.subject.chars().take(MAX_SUMMARY_CHARS).collect(),
            source: &message.source,
            severity: match message.tone {
                Tone::Critical => "critical",
                Tone::Major => "error",
                Tone::Minor => "warning",
                Tone::Good | Tone::Plain => "info",
            },
            timestamp: rfc3339(message.created),
            group: message.labels.get("region").map(String::as_str),
            class: message.labels.get("cause").map(String::as_str),
            custom_details: details(message),
        },
        links: vec![Link { href: &message.url, text: message.link }],
        client: "Busyhour",
        client_url: &message.url,
    };
    serde_json::to_string(&event).expect("a struct of texts is JSON")
}

/// What the message says under its labels, the sentence first.
fn details(message: &Message) -> BTreeMap<&str, String> {
    let cut = |text: &str| text.chars().take(MAX_FACT_CHARS).collect::<String>();
    let facts = message.all_facts().map(|(label, words)| (*label, cut(words)));
    let steps = (!message.steps.is_empty()).then(|| ("What to do", cut(&message.steps.join(" "))));
    facts.chain(steps).chain([("Says", cut(&message.lead.join(" ")))]).collect()
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: &'a str,
    payload: Payload<'a>,
    links: Vec<Link<'a>>,
    client: &'static str,
    client_url: &'a str,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    custom_details: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}
