//! The message as HTML, for mail: tables and inline style, as mail programs know little else, and
//! nothing that is fetched from anywhere.

use askama::Template;

use super::{FOR_ENGINEERS, Message, Tone};

/// What the picture is called within the mail (RFC 2392).
pub(crate) const PICTURE_ID: &str = "picture";

#[derive(Template)]
#[template(path = "mail.html")]
struct Page<'a> {
    message: &'a Message,
    paragraphs: Vec<Vec<&'a str>>,
    colour: &'static str,
    tone: &'static str,
    picture_id: &'static str,
    for_engineers: &'static str,
}

/// The whole document.
pub(super) fn page(message: &Message) -> String {
    // Dark enough on white for text (WCAG 2.2, 1.4.3); the word beside it says the same.
    let (colour, tone) = match message.tone {
        Tone::Critical => ("#8B1A1A", "Critical"),
        Tone::Major => ("#9A3412", "Major"),
        Tone::Minor => ("#7A5200", "Minor"),
        Tone::Good => ("#005A8C", "Over"),
        Tone::Plain => ("#566173", "Note"),
    };
    let paragraphs = message.lead.iter().map(|text| text.lines().collect()).collect();
    let (picture_id, for_engineers) = (PICTURE_ID, FOR_ENGINEERS);
    let page = Page { message, paragraphs, colour, tone, picture_id, for_engineers };
    page.render().expect("a template of texts renders")
}
