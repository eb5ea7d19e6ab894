//! Worlds with a truth: fleets of buildings over weeks, every window of every link simulated from its
//! load, and what agents would have delivered of them.
//!
//! A [`World`] is made from a [`Plan`], region by region: five buildings or so that share an upstream
//! and a VPN concentrator. Each region follows from the plan and its number alone, so that regions may
//! be made in any order, at the same time, and forgotten again.
//!
//! Invariants: the same plan gives the same records to the last bit on one machine; sampling and
//! absence change what was seen and nothing of what is true; truth is an expectation and holds no draw
//! of a window; nothing here names or knows whoever judges.

mod ascertain;
mod calendar;
mod clock;
mod country;
mod draw;
mod episode;
mod link;
mod load;
mod mechanism;
mod plan;
mod presence;
mod record;
mod region;
mod routes;
mod shape;
mod share;
mod topology;
mod trouble;
mod truth;
mod window;

pub use plan::{Hardness, InvalidPlan, Mechanisms, Plan, Sampling};
pub use record::{BuildingRecord, Reach, RegionRecord, SeriesRecord, SlotRecord};
pub use truth::{
    BadDay, Class, NamedPlace, PlaceKind, Truth, TruthKind, UnknownWord, severity_quartiles,
};

use clock::Span;
use region::Region;
use topology::Topology;
use trouble::TargetFault;
pub(crate) use truth::words;

/// A fleet with its truth.
#[derive(Debug, Clone)]
pub struct World {
    plan: Plan,
    span: Span,
    /// The first building of each region, and how many it has.
    regions: Vec<(u32, u32)>,
    target_faults: Vec<TargetFault>,
}

impl World {
    /// The world of a plan. Its regions are made when they are asked for.
    ///
    /// # Errors
    /// When no world can be made of the plan.
    pub fn new(plan: &Plan) -> Result<Self, InvalidPlan> {
        plan.check()?;
        let span = Span::new(plan.first, plan.days);
        let mut regions = Vec::new();
        let mut first = 0;
        for size in topology::region_sizes(plan) {
            regions.push((first, size));
            first += size;
        }
        let target_faults = trouble::target_faults(plan, span);
        Ok(Self { plan: plan.clone(), span, regions, target_faults })
    }

    /// What it was made from.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many regions it has.
    #[must_use]
    pub fn regions(&self) -> u32 {
        self.regions.len() as u32
    }

    /// A region with all that was delivered of it: some 20 series, 10 MB for twelve weeks. One that
    /// the world does not have is empty.
    #[must_use]
    pub fn region(&self, number: u32) -> RegionRecord {
        let Some(topology) = self.topology(number) else {
            return RegionRecord {
                number,
                buildings: Vec::new(),
                series: Vec::new(),
                truths: Vec::new(),
            };
        };
        let (region, truths) = Region::new(&self.plan, self.span, topology, &self.target_faults);
        region.record(truths)
    }

    /// The truths of a region, which need no windows; indices are those of [`Self::region`].
    #[must_use]
    pub fn truths(&self, number: u32) -> Vec<Truth> {
        let topology = self.topology(number);
        topology.map_or_else(Vec::new, |topology| {
            Region::new(&self.plan, self.span, topology, &self.target_faults).1
        })
    }

    fn topology(&self, number: u32) -> Option<Topology> {
        let &(first, size) = self.regions.get(number as usize)?;
        Some(Topology::draw(&self.plan, self.span, number, first, size))
    }
}
