//! Pictures of incidents for whoever tells of them: the same as on the page, as files.

use std::sync::Arc;

use busyhour_chart::Png;
use busyhour_fleet::Fleet;
use busyhour_model::Incident;
use busyhour_store::{Control, Desk, StoreError, Telemetry};

use crate::app::Clock;
use crate::finding::Picture;
use crate::place::Inventory;
use crate::scoped::Scoped;

/// A picture of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentPicture {
    /// The picture.
    pub png: Png,
    /// What it says, in words.
    pub words: String,
}

/// Draws incidents with all that is stored, whoever is told.
pub struct Illustrator(Scoped);

impl Illustrator {
    /// Of a store; `clock` is the wall clock.
    #[must_use]
    pub fn new(
        telemetry: Arc<dyn Telemetry>,
        control: Arc<dyn Control>,
        desk: Arc<dyn Desk>,
        fleet: Arc<Fleet>,
        clock: Clock,
    ) -> Self {
        Self(Scoped::whole(telemetry, control, desk, fleet, clock))
    }

    /// The picture of an incident; `None` where there is none. May take a moment, and blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn draw(&self, incident: &Incident) -> Result<Option<IncidentPicture>, StoreError> {
        let (inventory, paths) = (Inventory::read(&self.0)?, self.0.telemetry.paths(None)?);
        let picture = Picture::read(&self.0, &paths, &inventory.names(), incident)?;
        let drawn = picture.and_then(|picture| Some((picture.svg.png()?, picture.words)));
        Ok(drawn.map(|(png, words)| IncidentPicture { png, words }))
    }
}
