//! What a webhook gets in place of the object: text made by a template of the operator's.
//!
//! A template sees the fields of one message and nothing else: no files, no environment, no other template. What it
//! may compute and write is bounded, and it is tried on a message of each sort when the configuration is read.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use thiserror::Error;

use crate::message::{Message, fields, samples};

/// The longest template.
const MAX_SOURCE_BYTES: usize = 64 * 1024;
/// The longest text that a template may make.
const MAX_OUTPUT_BYTES: usize = 256 * 1024;
/// The most steps of a template's programme.
const FUEL: u64 = 100_000;
/// How deep it may nest.
const MAX_DEPTH: usize = 64;
const JSON: &str = "application/json";

/// A template that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TemplateError {
    #[error("template and template_file exclude each other")]
    Both,
    #[error("content_type goes with template or template_file")]
    NoTemplate,
    #[error("content_type = {0:?} is not a media type such as \"text/plain\"")]
    ContentType(String),
    #[error("template_file {path:?} cannot be read")]
    Read { path: PathBuf, source: io::Error },
    #[error("it is longer than {MAX_SOURCE_BYTES} bytes")]
    TooLong,
    #[error("it is not understood: {0}")]
    Syntax(String),
    #[error("it fails on a message of the sort {sort:?}: {says}")]
    Try { sort: String, says: String },
}

/// A template, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    source: String,
    content_type: String,
}

impl Template {
    /// Checks what is configured, also by trying it.
    pub(super) fn build(
        inline: Option<&str>,
        file: Option<&Path>,
        content_type: Option<&str>,
    ) -> Result<Option<Self>, TemplateError> {
        let source = match (inline, file) {
            (Some(_), Some(_)) => return Err(TemplateError::Both),
            (Some(source), None) => source.to_owned(),
            (None, Some(path)) => read(path)?,
            (None, None) if content_type.is_some() => return Err(TemplateError::NoTemplate),
            (None, None) => return Ok(None),
        };
        if source.len() > MAX_SOURCE_BYTES {
            return Err(TemplateError::TooLong);
        }
        let content_type = content_type.unwrap_or(JSON);
        if !is_media_type(content_type) {
            return Err(TemplateError::ContentType(content_type.to_owned()));
        }
        let template = Self { source, content_type: content_type.to_owned() };
        let parsed =
            template.environment().template_from_named_str("template", &template.source).map(drop);
        parsed.map_err(|error| TemplateError::Syntax(error.to_string()))?;
        for message in samples() {
            template.render(&message).map_err(|says| {
                let sort = fields(&message)["event"].as_str().unwrap_or_default().to_owned();
                TemplateError::Try { sort, says }
            })?;
        }
        Ok(Some(template))
    }

    pub(super) fn content_type(&self) -> String {
        self.content_type.clone()
    }

    /// What the template makes of a message; or what is wrong, in words.
    pub(super) fn render(&self, message: &Message) -> Result<String, String> {
        let environment = self.environment();
        let template = environment.template_from_named_str("template", &self.source);
        let template = template.map_err(|error| error.to_string())?;
        let mut output = Bounded(Vec::new());
        let values = Value::from(Serde(fields(message)));
        template.render_captured_to(values, &mut output).map_err(|error| said(&error))?;
        let text = String::from_utf8(output.0).map_err(|_| "it is not text".to_owned())?;
        if self.is_json() {
            let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&text);
            parsed.map_err(|error| format!("what it makes is not JSON: {error}"))?;
        }
        Ok(text)
    }

    fn is_json(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(JSON) || kind.to_ascii_lowercase().ends_with("+json")
    }

    /// Values are written so that they cannot become anything but values.
    fn environment(&self) -> Environment<'_> {
        let html = self.content_type.to_ascii_lowercase().starts_with("text/html");
        let escape = match (self.is_json(), html) {
            (true, _) => AutoEscape::Json,
            (false, true) => AutoEscape::Html,
            (false, false) => AutoEscape::None,
        };
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_DEPTH);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(move |_| escape.clone());
        environment
    }
}

fn read(path: &Path) -> Result<String, TemplateError> {
    let mut source = String::new();
    let most = u64::try_from(MAX_SOURCE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_string(&mut source))
        .map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
    Ok(source)
}

/// `type/subtype`, perhaps with parameters (RFC 9110, section 8.3.1).
fn is_media_type(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
        !part.is_empty() && part.chars().all(fits)
    };
    let printable = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    printable && kind.split_once('/').is_some_and(|(main, sub)| token(main) && token(sub))
}

/// With what went wrong beneath: that it wrote too much is said there.
fn said(error: &minijinja::Error) -> String {
    busyhour_daemon::chain(error).to_string()
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            let says = format!("it makes more than {MAX_OUTPUT_BYTES} bytes");
            return Err(io::Error::other(says));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(source: &str) -> Result<Option<Template>, TemplateError> {
        Template::build(Some(source), None, None)
    }

    fn plain(source: &str) -> Result<Option<Template>, TemplateError> {
        Template::build(Some(source), None, Some("text/plain; charset=utf-8"))
    }

    fn refused(result: Result<Option<Template>, TemplateError>) -> String {
        busyhour_daemon::chain(&result.unwrap_err()).to_string()
    }

    #[test]
    fn values_cannot_break_out_of_json() {
        let template = json(r#"{"text": {{ subject }}, "at": {{ building }}}"#).unwrap().unwrap();
        let mut message = crate::message::sample();
        message.subject = "a \"quoted\"\n</script> {{ subject }}".to_owned();
        let made: serde_json::Value =
            serde_json::from_str(&template.render(&message).unwrap()).unwrap();
        assert_eq!(made["text"], message.subject);
        assert_eq!(made["at"], "Berlin HQ");
    }

    #[test]
    fn fields_that_a_sort_of_message_lacks_are_none() {
        let text = "{{ event }}{% if place %} at {{ place.says }}{% endif %}";
        let template = plain(text).unwrap().unwrap();
        let made = template.render(&crate::message::sample()).unwrap();
        assert_eq!(made, "opened at Berlin HQ");
        // Nobody may be said to own it, and some places have no identity.
        for text in [
            "{% if place %}{{ owner|length }}{% endif %}",
            "{% if owner %}{{ owner_contact|length }}{% endif %}",
            "{% if place %}{{ place.id|length }}{% endif %}",
            "{% if worst_hour %}{{ worst_hour.estimate_r_p10|round }}{% endif %}",
        ] {
            assert!(refused(plain(text)).contains("fails on a message of the sort"), "{text}");
        }
        // A test of a channel is at no place.
        let says = refused(plain("{{ place.says }}"));
        assert!(says.contains("\"test\""), "{says}");
    }

    #[test]
    fn what_cannot_work_is_refused_when_it_is_read() {
        for (result, expected) in [
            (json("{\"text\": {{ subject }"), "not understood"),
            (json("{\"text\": {{ sentense }}}"), "undefined"),
            (json("{\"text\": \"{{ subject }}\"}"), "not JSON"),
            (
                plain(
                    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                ),
                "fuel",
            ),
            (plain("{% for a in range(9999) %}{{ text }}{% endfor %}"), "more than"),
            (plain("{% include '/etc/passwd' %}"), "not understood"),
            (plain(&"x".repeat(MAX_SOURCE_BYTES + 1)), "longer"),
            (Template::build(None, None, Some("text/plain")), "goes with"),
            (Template::build(Some("x"), Some(Path::new("/x")), None), "exclude"),
            (Template::build(Some("x"), None, Some("text\r\nx: y")), "media type"),
            (Template::build(None, Some(Path::new("/nowhere/x")), None), "cannot be read"),
        ] {
            let says = refused(result);
            assert!(says.contains(expected), "{expected}: {says}");
        }
        assert_eq!(Template::build(None, None, None).unwrap(), None);
    }
}
