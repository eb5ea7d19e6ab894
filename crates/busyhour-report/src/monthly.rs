//! What the steering committee reads of a month.

mod pack;
mod problems;
mod providers;

use busyhour_model::{Building, BuildingId, DailyAverage, WorstHour};
use busyhour_store::{AgentRow, StoreError};
use jiff::civil::Date;

pub(crate) use self::pack::contrast;
pub use self::problems::{Fixed, OpenProblem};
pub use self::providers::Provider;
use crate::period::Period;
use crate::shift::{Shift, shift};
use crate::source::Source;
use crate::streams::{PoorStreams, poor_streams};
use crate::tally::{LEAST_OF_MONTH, Tally, Target, WorstOf};
use crate::world::World;

/// Observed days of either month that a comparison takes.
const LEAST_DAYS: (u32, u32) = (LEAST_OF_MONTH, LEAST_OF_MONTH);

/// A month of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct MonthlyPack {
    /// The month.
    pub period: Period,
    /// Buildings, those with the most agents first, then by name.
    pub buildings: Vec<BuildingMonth>,
    /// Incidents that were open at its end, the oldest first.
    pub open: Vec<OpenProblem>,
    /// Incidents that were closed in it.
    pub fixed: Vec<Fixed>,
    /// What buildings share on their way out, those with the most incidents first.
    pub providers: Vec<Provider>,
    /// Every so many-th day of a path was classified into streams; 1 is all.
    pub streams_every: usize,
}

/// One building's month.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildingMonth {
    /// The building.
    pub building: BuildingId,
    /// Its name.
    pub name: String,
    /// Agents that live in it now.
    pub agents: usize,
    /// One of them is simulated.
    pub simulated: bool,
    /// The days of the month.
    pub month: Tally,
    /// Those of the month before.
    pub before: Tally,
    /// The month is over there.
    pub over: bool,
    /// Whether the target was met.
    pub target: Target,
    /// The month against the one before; `None` when too few days were observed.
    pub shift: Option<Shift>,
    /// The worst busy hour.
    pub worst: Option<WorstOf>,
    /// The day that the daily average hides most.
    pub masked: Option<MaskedDay>,
    /// Synthetic streams of business hours.
    pub streams: PoorStreams,
}

/// A day that looks fine on average and is bad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskedDay {
    /// The local date.
    pub date: Date,
    /// Its worst busy hour.
    pub hour: WorstHour,
    /// Its plain average.
    pub average: DailyAverage,
    /// How many times the hour's 90th percentile is above the average.
    pub factor: Option<f64>,
}

impl MonthlyPack {
    /// The first date whose verdicts are needed.
    pub(crate) fn needs_from(period: Period) -> Date {
        period.previous().first()
    }

    /// Works the month out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(source: &dyn Source, world: &World, period: Period) -> Result<Self, StoreError> {
        let streams = poor_streams(source, world, period)?;
        let residents = world.residents();
        let mut buildings: Vec<BuildingMonth> = world
            .buildings
            .iter()
            .map(|building| {
                let agents = residents.get(&building.id).map_or(&[][..], Vec::as_slice);
                let streams = streams.buildings.get(&building.id).copied().unwrap_or_default();
                BuildingMonth::new(world, period, building, agents, streams)
            })
            .collect();
        buildings.sort_by(|a, b| b.agents.cmp(&a.agents).then_with(|| a.name.cmp(&b.name)));
        Ok(Self {
            period,
            buildings,
            open: OpenProblem::all(world, period),
            fixed: Fixed::all(world, period),
            providers: Provider::all(world, period),
            streams_every: streams.every,
        })
    }
}

impl BuildingMonth {
    fn new(
        world: &World,
        period: Period,
        building: &Building,
        agents: &[&AgentRow],
        streams: PoorStreams,
    ) -> Self {
        let days = |of: Period| world.building_days(building.id, of.first(), of.last());
        let (month, before) = (Tally::of(days(period)), Tally::of(days(period.previous())));
        let over = world.is_over(period, building);
        let masked = days(period).filter(|day| day.verdict.is_bad() && day.masked);
        let masked = masked.filter_map(|day| {
            let (hour, average) = (day.worst_hour?, day.average?);
            Some(MaskedDay { date: day.date, hour, average, factor: day.masking_factor })
        });
        let factor = |day: &MaskedDay| day.factor.unwrap_or(1.0);
        Self {
            building: building.id,
            name: building.name.clone(),
            agents: agents.len(),
            simulated: agents.iter().any(|agent| agent.simulated),
            month,
            before,
            over,
            target: month.target(LEAST_OF_MONTH, over),
            shift: shift(before.days(), month.days(), LEAST_DAYS),
            worst: WorstOf::of(days(period)),
            masked: masked.max_by(|a, b| factor(a).total_cmp(&factor(b)).then(b.date.cmp(&a.date))),
            streams,
        }
    }
}
