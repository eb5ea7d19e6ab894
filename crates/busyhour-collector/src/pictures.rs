//! The page's pictures in the mails.

use busyhour_api::Illustrator;
use busyhour_daemon::chain;
use busyhour_model::Incident;
use busyhour_notify::{Picture, Pictures};

/// Draws for mails what the page draws.
pub(crate) struct PagePictures(pub(crate) Illustrator);

impl Pictures for PagePictures {
    fn of(&self, incident: &Incident) -> Option<Picture> {
        match self.0.draw(incident) {
            Ok(drawn) => drawn.map(|picture| Picture {
                png: picture.png.bytes,
                width: picture.png.width,
                alt: picture.words,
            }),
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(incident = %incident.id, %error, "an alert goes without its picture");
                None
            }
        }
    }
}
