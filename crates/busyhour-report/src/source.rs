//! Where a report's data come from.

use busyhour_model::desk::Overlay;
use busyhour_model::{
    Building, BuildingId, DaySummary, Incident, PathId, Placement, Slot, SlotStart, Subnet,
    UtcMicros,
};
use busyhour_store::{AgentRow, Control, Grain, PathRow, SlotDetail, StoreError, Telemetry};
use jiff::civil::Date;

/// What a report is made from: the store, or the part of it that somebody may see.
pub trait Source {
    /// Buildings in force, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn buildings(&self) -> Result<Vec<Building>, StoreError>;

    /// Subnets in force.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn subnets(&self) -> Result<Vec<Subnet>, StoreError>;

    /// Agents.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn agents(&self) -> Result<Vec<AgentRow>, StoreError>;

    /// Where agents were.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn placements(&self) -> Result<Vec<Placement>, StoreError>;

    /// Paths that were ever measured.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn paths(&self) -> Result<Vec<PathRow>, StoreError>;

    /// Verdicts of one building with `from <= date <= until`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn days(
        &self,
        building: BuildingId,
        from: Date,
        until: Date,
    ) -> Result<Vec<DaySummary>, StoreError>;

    /// Verdicts of all buildings themselves, with `from <= date <= until`, not of their parts.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn building_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError>;

    /// Verdicts of all subnets themselves, with `from <= date <= until`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn subnet_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError>;

    /// Incidents not closed and those closed at a moment or later.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incidents(&self, closed_from: UtcMicros) -> Result<Vec<Incident>, StoreError>;

    /// What people did with incidents, and whose causes are.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn overlay(&self) -> Result<Overlay, StoreError>;

    /// Hands out the quarter-hours of `paths` with `from <= start < until`, with their figures.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError>;
}

/// All that the store has.
#[derive(Clone, Copy)]
pub struct Whole<'a> {
    /// Inventory, verdicts, incidents.
    pub control: &'a dyn Control,
    /// Slots.
    pub telemetry: &'a dyn Telemetry,
    /// What people did with incidents.
    pub overlay: &'a Overlay,
}

impl Source for Whole<'_> {
    fn buildings(&self) -> Result<Vec<Building>, StoreError> {
        self.control.buildings()
    }

    fn subnets(&self) -> Result<Vec<Subnet>, StoreError> {
        self.control.subnets()
    }

    fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        self.control.agents()
    }

    fn placements(&self) -> Result<Vec<Placement>, StoreError> {
        self.control.placements()
    }

    fn paths(&self) -> Result<Vec<PathRow>, StoreError> {
        self.telemetry.paths(None)
    }

    fn days(
        &self,
        building: BuildingId,
        from: Date,
        until: Date,
    ) -> Result<Vec<DaySummary>, StoreError> {
        self.control.days(Some(building), from, until)
    }

    fn building_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError> {
        self.control.building_days(from, until)
    }

    fn subnet_days(&self, from: Date, until: Date) -> Result<Vec<DaySummary>, StoreError> {
        self.control.subnet_days(from, until)
    }

    fn incidents(&self, closed_from: UtcMicros) -> Result<Vec<Incident>, StoreError> {
        self.control.recent_incidents(closed_from)
    }

    fn overlay(&self) -> Result<Overlay, StoreError> {
        Ok(self.overlay.clone())
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        self.telemetry.visit_slots(paths, span, Grain::Quarter, SlotDetail::Figures, visit)
    }
}
