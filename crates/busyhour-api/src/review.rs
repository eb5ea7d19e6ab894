//! What reports are made from, as who asks may see it.

use busyhour_model::desk::Overlay;
use busyhour_model::{
    Building, BuildingId, DaySummary, Incident, PathId, Placement, Slot, SlotStart, Subnet,
    UtcMicros,
};
use busyhour_report::Source;
use busyhour_store::{AgentRow, Grain, PathRow, SlotDetail, StoreError};
use jiff::civil::Date;

use crate::scoped::Scoped;

type Read<T> = Result<T, StoreError>;

impl Source for Scoped {
    fn buildings(&self) -> Read<Vec<Building>> {
        self.control.buildings()
    }

    fn subnets(&self) -> Read<Vec<Subnet>> {
        self.control.subnets()
    }

    fn agents(&self) -> Read<Vec<AgentRow>> {
        self.control.agents()
    }

    fn placements(&self) -> Read<Vec<Placement>> {
        self.control.placements()
    }

    fn paths(&self) -> Read<Vec<PathRow>> {
        self.telemetry.paths(None)
    }

    fn days(&self, building: BuildingId, from: Date, until: Date) -> Read<Vec<DaySummary>> {
        self.control.days(Some(building), from, until)
    }

    fn building_days(&self, from: Date, until: Date) -> Read<Vec<DaySummary>> {
        self.control.building_days(from, until)
    }

    fn subnet_days(&self, from: Date, until: Date) -> Read<Vec<DaySummary>> {
        self.control.subnet_days(from, until)
    }

    fn incidents(&self, closed_from: UtcMicros) -> Read<Vec<Incident>> {
        self.control.recent_incidents(closed_from)
    }

    fn overlay(&self) -> Read<Overlay> {
        self.desk.overlay((self.clock)())
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Read<()> {
        self.telemetry.visit_slots(paths, span, (Grain::Quarter, SlotDetail::Figures), visit)
    }
}
