//! What a delivery says, once for all channels.

mod html;
mod json;
mod notice;
mod sample;
mod story;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use busyhour_model::desk::Owner;
use busyhour_model::{Change, SeverityClass, UtcMicros};
use busyhour_store::{Delivery, IncidentEvent, IncidentNews, Purpose};
use thiserror::Error;

use crate::plan::labels_of;

use self::story::Story;

pub(crate) use self::html::PICTURE_ID;
pub(crate) use self::sample::samples;
pub(crate) use self::words::rfc3339;

/// A text that is not the address of the page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the page's address (expected, for example, \"https://busyhour.example.org\")"
)]
pub struct InvalidBaseUrl(pub String);

/// The address that people open the page at; links in messages begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let printable = text.chars().all(|c| c.is_ascii_graphic());
        match rest {
            Some(rest) if printable && !rest.is_empty() && !rest.contains(['?', '#']) => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(InvalidBaseUrl(text.to_owned())),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an escalation says before anything else.
const ESCALATED: &str = "Nobody said yet that this is seen, so you are told.";

/// What stands above the details.
pub(crate) const FOR_ENGINEERS: &str = "For the network engineer:";

/// What becomes of what a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It goes on.
    Firing,
    /// It goes on, and somebody has seen it.
    Seen,
    /// It is over.
    Over,
}

/// How much a message wants of whoever reads it; never by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Critical,
    Major,
    Minor,
    /// Something is fine again.
    Good,
    /// Nothing about calls.
    Plain,
}

impl From<SeverityClass> for Tone {
    fn from(class: SeverityClass) -> Self {
        match class {
            SeverityClass::Critical => Self::Critical,
            SeverityClass::Major => Self::Major,
            SeverityClass::Minor => Self::Minor,
        }
    }
}

/// A picture for those who read mail with pictures.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// PNG, with twice as many pixels each way as it is to be shown with.
    pub png: Vec<u8>,
    /// How wide it is to be shown, in CSS pixels.
    pub width: u32,
    /// What it says, with the numbers, for those who do not see it.
    pub alt: String,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { png, width, alt } = self;
        let bytes = png.len();
        f.debug_struct("Picture")
            .field("bytes", &bytes)
            .field("width", width)
            .field("alt", alt)
            .finish()
    }
}

/// A delivery put into words, the same for every channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The same for every attempt at the same delivery, and for no other.
    pub(crate) key: String,
    /// The same for all that is told of one thing, such as an incident.
    pub(crate) subject_key: String,
    pub(crate) stage: Stage,
    pub(crate) tone: Tone,
    pub(crate) subject: String,
    /// What is said first, a paragraph each.
    pub(crate) lead: Vec<String>,
    /// What is said under which label, without a colon.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// And what a network engineer wants beside it.
    pub(crate) details: Vec<(&'static str, String)>,
    /// What to do, a sentence each.
    pub(crate) steps: Vec<&'static str>,
    /// Where there is more.
    pub(crate) url: String,
    /// What is there.
    pub(crate) link: &'static str,
    /// What kind of alert it is, for machines.
    pub(crate) alert_name: &'static str,
    /// Where it is, in a few words.
    pub(crate) source: String,
    /// What machines route by; values are bounded, and hold no figures.
    pub(crate) labels: BTreeMap<String, String>,
    /// When what it is about began.
    pub(crate) since: UtcMicros,
    /// When the event was written.
    pub(crate) created: UtcMicros,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) json: String,
    pub(crate) picture: Option<Picture>,
    /// File name, media type, bytes.
    pub(crate) attachments: Vec<(String, String, Vec<u8>)>,
}

impl Message {
    /// Of an incident; `owner` is who must act, where somebody said so.
    pub(crate) fn of(
        delivery: &Delivery,
        news: &IncidentNews,
        owner: Option<&Owner>,
        base_url: &BaseUrl,
        picture: Option<Picture>,
    ) -> Self {
        let story = Story::of(news, owner, base_url);
        let key = key(delivery, news);
        let incident = &news.incident;
        let (stage, tone) = match news.event {
            IncidentEvent::Opened | IncidentEvent::Worse => {
                (Stage::Firing, Tone::from(SeverityClass::of(incident.severity)))
            }
            IncidentEvent::Acknowledged => {
                (Stage::Seen, Tone::from(SeverityClass::of(incident.severity)))
            }
            IncidentEvent::Merged => (Stage::Over, Tone::Plain),
            IncidentEvent::Closed if incident.change == Change::Gone => (Stage::Over, Tone::Plain),
            IncidentEvent::Closed => (Stage::Over, Tone::Good),
        };
        let mut lead = story.lead();
        if delivery.purpose == Purpose::Escalate {
            lead.insert(0, ESCALATED.to_owned());
        }
        let message = Self {
            subject_key: incident.id.to_string(),
            stage,
            tone,
            subject: story.subject(),
            lead,
            facts: story.facts(),
            details: story.details(),
            steps: story.steps().to_vec(),
            url: story.url.clone(),
            link: "Picture and figures",
            alert_name: "BusyhourIncident",
            source: story.place(),
            labels: labels(&story, news),
            since: incident.opened.unwrap_or(delivery.created).min(delivery.created),
            created: delivery.created,
            text: String::new(),
            html: String::new(),
            json: json::alert(&story, delivery.created, &key),
            key,
            picture: picture.map(|picture| story.caption(picture)),
            attachments: Vec::new(),
        };
        message.written()
    }

    /// With the text and the HTML that say it.
    fn written(mut self) -> Self {
        self.text = self.as_text();
        self.html = html::page(&self);
        self
    }

    /// The whole message for those who read text alone.
    fn as_text(&self) -> String {
        let mut text = self.lead.join("\n\n");
        text.push('\n');
        if !self.facts.is_empty() {
            text.push('\n');
        }
        add_lines(&mut text, &self.facts);
        if !self.steps.is_empty() {
            text.push_str("\nWhat to do:\n");
        }
        for (index, step) in self.steps.iter().enumerate() {
            text.push_str(&format!("{}. {step}\n", index + 1));
        }
        text.push_str(&format!("\n{}: {}\n", self.link, self.url));
        if !self.details.is_empty() {
            text.push_str(&format!("\n{FOR_ENGINEERS}\n"));
        }
        add_lines(&mut text, &self.details);
        text
    }

    /// All that is said under labels, for channels that know one list.
    pub(crate) fn all_facts(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.facts.iter().chain(&self.details)
    }
}

fn add_lines(text: &mut String, lines: &[(&'static str, String)]) {
    for (label, words) in lines {
        text.push_str(&format!("{:<15} {words}\n", format!("{label}:")));
    }
}

/// What tells one alert from another and is routed by: as it was when it was placed, so that it is the same
/// alert whatever is found out later.
fn labels(story: &Story<'_>, news: &IncidentNews) -> BTreeMap<String, String> {
    if let Some(labels) = news.labels.as_deref().and_then(labels_of) {
        return labels;
    }
    let incident = story.incident;
    let class = SeverityClass::of(incident.severity).as_str();
    let labels = [
        ("building", story.building.as_str()),
        ("kind", incident.kind.as_str()),
        ("segment", incident.segment.as_str()),
        ("cause", incident.cause.as_str()),
        ("severity", class),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// An incident that is opened again after it was closed is told again, so the moment of the event
/// is part of it.
fn key(delivery: &Delivery, news: &IncidentNews) -> String {
    let event = match delivery.purpose {
        Purpose::Escalate => "escalated",
        Purpose::Tell | Purpose::Digest => event_word(news.event),
    };
    format!("{}-{event}-{}", news.incident.id, delivery.created.0)
}

const fn event_word(event: IncidentEvent) -> &'static str {
    match event {
        IncidentEvent::Opened => "opened",
        IncidentEvent::Worse => "worse",
        IncidentEvent::Closed => "closed",
        IncidentEvent::Merged => "merged",
        IncidentEvent::Acknowledged => "acknowledged",
    }
}

/// The fields that a template may use: those of the JSON object, of whatever sort of message; what this one has
/// none of is null. And the subject, and the whole of the text.
pub(crate) fn fields(message: &Message) -> serde_json::Value {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let object = |message: &Message| match serde_json::from_str(&message.json) {
            Ok(serde_json::Value::Object(object)) => object,
            _ => serde_json::Map::new(),
        };
        samples().iter().flat_map(|message| object(message).into_iter()).map(|(k, _)| k).collect()
    });
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&message.json).unwrap_or_default();
    for name in NAMES.iter() {
        fields.entry(name.clone()).or_insert(serde_json::Value::Null);
    }
    fields.insert("subject".to_owned(), message.subject.clone().into());
    fields.insert("text".to_owned(), message.text.clone().into());
    serde_json::Value::Object(fields)
}

/// A message as tests of channels want one.
#[cfg(test)]
pub(crate) fn sample() -> Message {
    tests::sample()
}

/// A delivery as tests of bundles want one.
#[cfg(test)]
pub(crate) fn sample_delivery(id: i64, purpose: Purpose) -> Delivery {
    tests::sample_delivery(id, purpose)
}

#[cfg(test)]
mod tests;
