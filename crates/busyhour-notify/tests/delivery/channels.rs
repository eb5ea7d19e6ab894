//! Teams and PagerDuty, held to what they publish of their messages, and the signature of a webhook.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use busyhour_model::UtcMicros;
use busyhour_notify::{ChannelConfig, PagerDutyConfig, TeamsConfig, WebhookConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::http::Receiver;
use crate::outbox::{NOW, close, tell, with_building};
use crate::{LATER, deliver, notifier, restrict, sent};

const KEY: &str = "canary-0123456789abcdef0123456789";

pub(crate) fn secret(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    restrict(&path);
    path
}

/// What a workflow's webhook takes: a message with one Adaptive Card of version 1.2 or lower, of which this
/// is the part that we use (<https://adaptivecards.io/schemas/adaptive-card.json>).
mod card {
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Envelope {
        pub(super) r#type: String,
        pub(super) attachments: Vec<Attachment>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub(super) struct Attachment {
        pub(super) content_type: String,
        pub(super) content_url: Option<String>,
        pub(super) content: Card,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Card {
        #[serde(rename = "$schema")]
        pub(super) schema: String,
        pub(super) r#type: String,
        pub(super) version: String,
        pub(super) body: Vec<Element>,
        pub(super) actions: Vec<Action>,
        pub(super) msteams: Width,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Width {
        pub(super) width: String,
    }

    #[derive(Deserialize)]
    pub(super) enum Colour {
        Default,
        Dark,
        Light,
        Accent,
        Good,
        Warning,
        Attention,
    }

    #[derive(Deserialize)]
    #[serde(tag = "type", deny_unknown_fields)]
    pub(super) enum Element {
        TextBlock {
            text: String,
            wrap: bool,
            weight: Option<String>,
            size: Option<String>,
            color: Option<Colour>,
        },
        FactSet {
            facts: Vec<Fact>,
        },
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Fact {
        pub(super) title: String,
        pub(super) value: String,
    }

    #[derive(Deserialize)]
    #[serde(tag = "type", deny_unknown_fields)]
    pub(super) enum Action {
        #[serde(rename = "Action.OpenUrl")]
        OpenUrl { title: String, url: String },
    }
}

#[tokio::test]
async fn teams_gets_a_card_that_holds_to_the_schema_and_to_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    receiver.answer_next("202 Accepted");
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::Teams(TeamsConfig {
        name: "team".to_owned(),
        url: Some(format!("http://{}/workflows/1?sig=abc", receiver.address)),
        url_file: None,
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    });
    assert_eq!(deliver(&mut notifier(&control, &[config]), NOW).await, sent(1));

    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].raw.len() < 28_000, "{}", requests[0].raw.len());
    let envelope: card::Envelope = serde_json::from_str(&requests[0].raw).unwrap();
    assert_eq!((envelope.r#type.as_str(), envelope.attachments.len()), ("message", 1));
    let attachment = &envelope.attachments[0];
    assert_eq!(attachment.content_type, "application/vnd.microsoft.card.adaptive");
    assert_eq!(attachment.content_url, None);
    let card = &attachment.content;
    assert_eq!(card.schema, "http://adaptivecards.io/schemas/adaptive-card.json");
    assert_eq!((card.r#type.as_str(), card.version.as_str()), ("AdaptiveCard", "1.2"));
    assert_eq!(card.msteams.width, "full");
    let [card::Action::OpenUrl { title, url }] = card.actions.as_slice() else { panic!("actions") };
    assert!(url.starts_with("https://busyhour.example.org/incidents/"), "{title}: {url}");
    let mut texts = Vec::new();
    for element in &card.body {
        match element {
            card::Element::TextBlock { text, wrap, weight, size, color } => {
                assert!(*wrap, "{weight:?} {size:?} {}", color.is_some());
                texts.push(text.clone());
            }
            card::Element::FactSet { facts } => {
                let one = |fact: &card::Fact| format!("{}: {}", fact.title, fact.value);
                texts.extend(facts.iter().map(one));
            }
        }
    }
    assert!(texts[0].starts_with("Berlin HQ: calls suffer at 10:00-12:00"), "{texts:?}");
    let said = texts.join("\n");
    for expected in ["every workday from 10 to 12", "37 of 120 checks bad", "0.31 % lost"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// An event as PagerDuty describes version 2 of its Events API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    routing_key: String,
    event_action: Action,
    dedup_key: String,
    payload: Payload,
    links: Vec<Link>,
    client: String,
    client_url: String,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    Error,
    Warning,
    Info,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    summary: String,
    source: String,
    severity: Severity,
    timestamp: String,
    group: Option<String>,
    class: Option<String>,
    custom_details: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    href: String,
    text: String,
}

#[tokio::test]
async fn pagerduty_gets_one_alert_for_an_incident_and_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::PagerDuty(PagerDutyConfig {
        name: "duty".to_owned(),
        routing_key_file: secret(directory.path(), "routing.key", KEY),
        endpoint: Some(format!("http://{}/v2/enqueue", receiver.address)),
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    });
    assert!(!format!("{config:?}").contains(KEY));
    let mut notifier = notifier(&control, &[config]);
    receiver.answer_next("202 Accepted");
    assert_eq!(deliver(&mut notifier, NOW).await, sent(1));
    close(control.as_ref(), 1);
    receiver.answer_next("202 Accepted");
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));

    let events: Vec<Event> =
        receiver.requests().iter().map(|r| serde_json::from_str(&r.raw).unwrap()).collect();
    assert_eq!(events.len(), 2);
    let (opened, closed) = (&events[0], &events[1]);
    assert_eq!((&opened.event_action, &closed.event_action), (&Action::Trigger, &Action::Resolve));
    assert_ne!(opened.event_action, Action::Acknowledge);
    assert_eq!(opened.dedup_key, closed.dedup_key);
    assert!(opened.dedup_key.len() <= 255);
    assert_eq!(opened.routing_key, KEY);
    let payload = &opened.payload;
    assert!(payload.summary.starts_with("Berlin HQ: calls suffer"), "{}", payload.summary);
    assert!(payload.summary.chars().count() <= 1_024);
    assert_eq!((payload.source.as_str(), &payload.severity), ("Berlin HQ", &Severity::Error));
    assert_eq!(closed.payload.severity, Severity::Info);
    assert_eq!(payload.class.as_deref(), Some("bandwidth"), "{:?}", payload.group);
    assert!(payload.timestamp.parse::<jiff::Timestamp>().is_ok(), "{}", payload.timestamp);
    assert!(payload.custom_details["Worst hour"].contains("37 of 120 checks bad"));
    assert_eq!(opened.links[0].href, opened.client_url, "{}", opened.links[0].text);
    assert_eq!(opened.client, "Busyhour");
}

#[tokio::test]
async fn a_webhook_with_a_key_is_signed_anew_at_every_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None).await;
    receiver.answer_next("500 Oh");
    let (control, building) = with_building(directory.path());
    tell(control.as_ref(), building, 1, false);
    let config = ChannelConfig::Webhook(WebhookConfig {
        name: "hook".to_owned(),
        url: Some(format!("http://{}/hook", receiver.address)),
        url_file: None,
        signing_key_file: Some(secret(directory.path(), "hook.key", KEY)),
        template: None,
        template_file: None,
        content_type: None,
        allow_private: false,
        root_ca_file: None,
        timeout: Some("20s".to_owned()),
    });
    let mut notifier = notifier(&control, &[config]);
    deliver(&mut notifier, NOW).await;
    assert_eq!(deliver(&mut notifier, NOW.plus(LATER)).await, sent(1));

    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    let seconds = |at: UtcMicros| (at.0 / 1_000_000).to_string();
    for (request, at) in requests.iter().zip([NOW, NOW.plus(LATER)]) {
        assert_eq!(request.header("busyhour-timestamp"), Some(seconds(at).as_str()));
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(format!("{}.{}", seconds(at), request.raw).as_bytes());
        let digest = mac.finalize().into_bytes();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = request.header("busyhour-signature").unwrap();
        assert_eq!(signature, format!("v1={digest}"));
    }
    let key = |n: usize| requests[n].header("idempotency-key").unwrap();
    assert_eq!(key(0), key(1));
    assert_eq!(requests[0].raw, requests[1].raw);
}
