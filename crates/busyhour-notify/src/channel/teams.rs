//! A card in a Microsoft Teams channel, through the webhook of a workflow.
//!
//! Such a webhook answers 202 as soon as it has the card; whether the workflow put it into the channel is
//! not told to anybody who posts. So a channel of this kind should never be the only one.

use serde::Serialize;

use super::post::{Post, Reach, Target, url_of};
use super::{Problem, SendError};
use crate::config::TeamsConfig;
use crate::message::{Message, Tone};

/// Teams refuses messages above about 28 kB; what comes around the card is ours as well.
const MAX_BYTES: usize = 27_000;
/// Facts are cut to this at first, and to half of it until the card fits.
const MAX_FACT_CHARS: usize = 1_000;
const MIN_FACT_CHARS: usize = 40;

#[derive(Debug)]
pub(super) struct Teams {
    post: Post,
}

impl Teams {
    pub(super) fn build(config: &TeamsConfig) -> Result<Self, Problem> {
        let post = Post::build(Target {
            url: url_of(config.url.as_ref(), config.url_file.as_ref())?,
            root_ca_file: config.root_ca_file.as_deref(),
            timeout: config.timeout.as_deref(),
            reach: Reach::Public,
        })?;
        Ok(Self { post })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.post.send(Vec::new(), body(message)).await
    }
}

/// The card, cut until it fits.
fn body(message: &Message) -> String {
    let mut chars = MAX_FACT_CHARS;
    loop {
        let body = serde_json::to_string(&Envelope::of(message, chars))
            .expect("a struct of texts is JSON");
        if body.len() <= MAX_BYTES || chars <= MIN_FACT_CHARS {
            return body;
        }
        chars /= 2;
    }
}

#[derive(Serialize)]
struct Envelope {
    r#type: &'static str,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    content_type: &'static str,
    content_url: Option<&'static str>,
    content: Card,
}

#[derive(Serialize)]
struct Card {
    #[serde(rename = "$schema")]
    schema: &'static str,
    r#type: &'static str,
    version: &'static str,
    body: Vec<Element>,
    actions: Vec<Action>,
    msteams: Width,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Element {
    TextBlock {
        text: String,
        wrap: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        weight: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        color: Option<&'static str>,
    },
    FactSet {
        facts: Vec<Fact>,
    },
}

#[derive(Serialize)]
struct Fact {
    title: String,
    value: String,
}

#[derive(Serialize)]
struct Action {
    r#type: &'static str,
    title: &'static str,
    url: String,
}

#[derive(Serialize)]
struct Width {
    width: &'static str,
}

impl Envelope {
    fn of(message: &Message, chars: usize) -> Self {
        let mut body = vec![Element::TextBlock {
            text: plain(&message.subject, MAX_FACT_CHARS),
            wrap: true,
            weight: Some("Bolder"),
            size: Some("Medium"),
            // The words say it as well.
            color: match message.tone {
                Tone::Critical | Tone::Major => Some("Attention"),
                Tone::Minor => Some("Warning"),
                Tone::Good => Some("Good"),
                Tone::Plain => None,
            },
        }];
        body.extend(message.lead.iter().map(|text| Element::TextBlock {
            text: plain(text, chars.saturating_mul(2)),
            wrap: true,
            weight: None,
            size: None,
            color: None,
        }));
        if message.all_facts().next().is_some() {
            let facts = message.all_facts().map(|(title, value)| Fact {
                title: (*title).to_owned(),
                value: plain(value, chars),
            });
            body.push(Element::FactSet { facts: facts.collect() });
        }
        if !message.steps.is_empty() {
            let steps = message.steps.iter().enumerate();
            let steps: Vec<String> =
                steps.map(|(index, step)| format!("{}. {step}", index + 1)).collect();
            body.push(Element::TextBlock {
                text: plain(&format!("What to do:\n\n{}", steps.join("\n\n")), chars * 2),
                wrap: true,
                weight: None,
                size: None,
                color: None,
            });
        }
        let open =
            Action { r#type: "Action.OpenUrl", title: message.link, url: message.url.clone() };
        Self {
            r#type: "message",
            attachments: [Attachment {
                content_type: "application/vnd.microsoft.card.adaptive",
                content_url: None,
                content: Card {
                    schema: "http://adaptivecards.io/schemas/adaptive-card.json",
                    r#type: "AdaptiveCard",
                    version: "1.2",
                    body,
                    actions: vec![open],
                    msteams: Width { width: "full" },
                },
            }],
        }
    }
}

/// Cards read Markdown, and names come from files and people: what begins a link or emphasis is
/// replaced by what looks alike.
fn plain(text: &str, chars: usize) -> String {
    let replace = |c: char| match c {
        '[' => '(',
        ']' => ')',
        '*' => '\u{2217}',
        '_' => '\u{2017}',
        '`' => '\'',
        '<' => '\u{2039}',
        '>' => '\u{203a}',
        c => c,
    };
    let mut kept: String = text.chars().take(chars).map(replace).collect();
    if text.chars().nth(chars).is_some() {
        kept.push('\u{2026}');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(value: &str) -> Message {
        let (facts, steps) = (vec![("Place", value.to_owned()); 20], Vec::new());
        let details = Vec::new();
        Message { facts, details, steps, ..crate::message::sample() }
    }

    fn facts(message: &Message) -> Vec<serde_json::Value> {
        let body: serde_json::Value = serde_json::from_str(&body(message)).unwrap();
        let elements = body["attachments"][0]["content"]["body"].as_array().unwrap().clone();
        elements.last().unwrap()["facts"].as_array().unwrap().clone()
    }

    #[test]
    fn a_card_never_grows_beyond_what_teams_takes() {
        for text in ["x", "\u{1f980}", "\"", "\u{1}", "\\"] {
            let message = message(&text.repeat(8_000));
            let body = body(&message);
            assert!(body.len() <= MAX_BYTES, "{text:?}: {}", body.len());
            assert_eq!(facts(&message).len(), 20);
        }
    }

    #[test]
    fn a_name_cannot_become_a_link_in_a_card() {
        let facts = facts(&message("[click](https://evil.example.org) *now* `x` <b>"));
        let value = facts[0]["value"].as_str().unwrap();
        assert!(!value.contains(['[', ']', '*', '`', '<', '>']), "{value}");
        assert!(value.starts_with("(click)"), "{value}");
    }
}
