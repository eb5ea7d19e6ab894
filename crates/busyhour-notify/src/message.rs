//! What a delivery says: subject, text and JSON.

mod json;
mod story;
mod words;

use std::fmt;
use std::str::FromStr;

use busyhour_store::{Delivery, IncidentEvent};
use thiserror::Error;

use self::story::Story;

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

/// A delivery put into words, the same for every channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The same for every attempt at the same delivery, and for no other.
    pub(crate) key: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) json: String,
}

impl Message {
    pub(crate) fn of(delivery: &Delivery, base_url: &BaseUrl) -> Self {
        let story = Story::of(delivery, base_url);
        let key = key(delivery);
        Self {
            subject: story.subject(),
            text: story.text(),
            json: json::alert(&story, delivery, &key),
            key,
        }
    }
}

/// An incident that is opened again after it was closed is told again, so the moment of the event
/// is part of it.
fn key(delivery: &Delivery) -> String {
    let event = event_word(delivery.event);
    format!("{}-{event}-{}", delivery.incident.id, delivery.created.0)
}

const fn event_word(event: IncidentEvent) -> &'static str {
    match event {
        IncidentEvent::Opened => "opened",
        IncidentEvent::Closed => "closed",
    }
}

#[cfg(test)]
mod tests;
