//! The questionnaire of docs/QUESTIONNAIRE.md, answered from the text of a mail by its rules and nothing else.

use serde_json::Value;

use crate::text;

/// What a reader finds in a mail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Which building, or part of it, or how many.
    pub(crate) place: String,
    pub(crate) hours: String,
    /// The first bad day, and the last one.
    pub(crate) since: (String, String),
    /// `minor`, `major` or `critical`.
    pub(crate) how_bad: String,
    /// In words, and how sure; neither where it is not known.
    pub(crate) cause: Option<String>,
    pub(crate) who: String,
    pub(crate) first_step: String,
}

/// What stands behind a label.
fn behind<'a>(mail: &'a str, label: &str) -> &'a str {
    let lines = mail.lines().filter_map(|line| line.strip_prefix(label)?.strip_prefix(':'));
    let found: Vec<&str> = lines.map(str::trim).collect();
    assert_eq!(found.len(), 1, "{label:?} stands once in\n{mail}");
    found[0]
}

/// Up to the first bracket.
fn before_bracket(words: &str) -> &str {
    words.split(" (").next().unwrap_or_default()
}

impl Answers {
    pub(crate) fn of(mail: &str) -> Self {
        // Who knows no networks reads no further.
        let engineers = "\nFor the network engineer:\n";
        let (mail, _) = mail.split_once(engineers).expect("a part for engineers");
        let since = behind(mail, "Since");
        let (first, rest) = since.split_once(", last on ").expect("since when, and when last");
        let last = rest.split(',').next().unwrap_or_default();
        let cause = behind(mail, "Likely cause");
        let steps = mail.split_once("\nWhat to do:\n").expect("something to do").1;
        let first_step = steps.lines().next().and_then(|line| line.strip_prefix("1. "));
        Self {
            place: before_bracket(behind(mail, "Place")).to_owned(),
            hours: behind(mail, "Local hours").to_owned(),
            since: (first.to_owned(), last.to_owned()),
            how_bad: behind(mail, "How bad").split(':').next().unwrap_or_default().to_owned(),
            cause: (!cause.starts_with("not known")).then(|| before_bracket(cause).to_owned()),
            who: behind(mail, "Who must act").to_owned(),
            first_step: first_step.expect("a first step").to_owned(),
        }
    }

    /// Holds the answers to what the API says of the incident.
    pub(crate) fn compare(&self, incident: &Value) {
        let place = text(incident, "place");
        let building = text(incident, "building");
        let several = incident["building_count"].as_u64().is_some_and(|count| count > 1);
        let named = match several {
            true => incident["building_count"].to_string(),
            false => building,
        };
        assert!(self.place.contains(&named), "{named}: {self:?} {place}");
        for span in incident["hours_local"].as_array().expect("hours") {
            let span = span.as_str().expect("a span");
            let all_day = incident["kind"] == "constant-fault";
            assert!(all_day || self.hours.contains(span), "{span}: {self:?}");
        }
        let dates = ["first_bad_date", "last_bad_date"].map(|key| text(incident, key));
        assert_eq!([&self.since.0, &self.since.1], [&dates[0], &dates[1]]);
        assert_eq!(self.how_bad, text(incident, "severity_class"));
        assert_eq!(self.cause.is_some(), incident["cause"] != "not-known", "{self:?}");
        let owner = text(incident, "owner");
        assert!(!owner.is_empty() && self.who.contains(&owner), "{owner:?}: {self:?}");
        assert!(self.who.contains(&text(incident, "owner_contact")), "{self:?}");
        let steps = incident["remedy"].as_array().expect("what to do");
        assert_eq!(steps.first().and_then(Value::as_str), Some(self.first_step.as_str()));
    }
}
