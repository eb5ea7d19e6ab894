//! Synthetic poor-stream shares, to stand beside the targets that Microsoft publishes of real calls.
//!
//! The dashboard's audio classifier is applied to what probes that imitate audio met in a quarter-hour of
//! business hours, each direction by itself. The raw windows of a month are gone or too many; a quarter-hour
//! keeps the exact counts and sums of its windows, so loss is exact, the round trip is the mean of the
//! windows' medians, and jitter the mean of the worse direction's. It is no call's stream and says so.

use std::collections::{BTreeMap, HashMap};

use busyhour_model::{
    AgentId, Building, BuildingId, CLASSIFIERS, Classifier, Direction, Figure, LocalDay, PathId,
    Placement, RequirementProfile, Slot, SlotStart, StreamClass, SyntheticStream, TrafficClass,
    UtcMicros, local_day_span,
};
use busyhour_store::{PathRow, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::period::Period;
use crate::source::Source;
use crate::world::{World, add_days, dates};

/// The published target of audio poor streams within a company's own network: 2 % (Quality Experience
/// Review Guide, all networks, internal).
pub const TARGET_INTERNAL: f64 = 0.02;
/// The same of all streams: 3 %.
pub const TARGET_OVERALL: f64 = 0.03;
/// Fewer classified streams say nothing of a target: when 2 % are poor, 150 have none in one case of twenty,
/// 200 in one of fifty.
pub(crate) const LEAST_STREAMS: u64 = 200;
/// Days of paths that one report looks at: some million quarter-hours, which take seconds. Of more, every
/// so many-th is taken, spread evenly over paths, days and weekdays.
pub const STREAM_BUDGET: usize = 10_000;
const DAYS_A_WEEK: usize = 7;
/// A rate that is dense enough to judge, and one that is not.
const DENSE_PPS: u32 = 50;
const SPARSE_PPS: u32 = 1;

/// Synthetic streams, counted by what they are classified as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoorStreams {
    /// A criterion is exceeded.
    pub poor: u64,
    /// None is, and all were evaluated.
    pub good: u64,
    /// Too little is known.
    pub unclassified: u64,
}

impl PoorStreams {
    /// Poor ones among those that were classified, 0..=1; `None` of none.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let classified = self.classified();
        (classified > 0).then(|| self.poor as f64 / classified as f64)
    }

    /// How many were classified.
    #[must_use]
    pub const fn classified(&self) -> u64 {
        self.poor + self.good
    }

    /// Adds those of another place.
    pub const fn join(&mut self, other: &Self) {
        self.poor += other.poor;
        self.good += other.good;
        self.unclassified += other.unclassified;
    }
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Streams {
    pub(crate) buildings: BTreeMap<BuildingId, PoorStreams>,
    /// Every so many-th day of a path was looked at; 1 is all.
    pub(crate) every: usize,
}

/// Where an agent's quarter-hours count.
struct Place<'a> {
    building: &'a Building,
    zone: TimeZone,
}

/// Classifies the quarter-hours of a period.
pub(crate) fn poor_streams(
    source: &dyn Source,
    world: &World,
    period: Period,
) -> Result<Streams, StoreError> {
    let Some(classifier) = CLASSIFIERS.last() else { return Ok(Streams::default()) };
    let mut placements: HashMap<AgentId, Vec<Placement>> = HashMap::new();
    for placement in source.placements()? {
        placements.entry(placement.agent).or_default().push(placement);
    }
    let places: HashMap<BuildingId, Place<'_>> = world
        .buildings
        .iter()
        .filter_map(|building| Some((building.id, place(building)?)))
        .collect();
    let lives = |path: &&PathRow| {
        let places_of = placements.get(&path.agent).map_or(&[][..], Vec::as_slice);
        path.key.class == TrafficClass::Audio
            && path.requirement != RequirementProfile::None
            && places_of.iter().any(|placement| places.contains_key(&placement.building))
    };
    let paths: Vec<&PathRow> = world.paths.iter().filter(lives).collect();
    let agents: HashMap<PathId, AgentId> = paths.iter().map(|path| (path.id, path.agent)).collect();
    // Local days reach into the days of UTC before and after.
    let days: Vec<Date> = dates(add_days(period.first(), -1), add_days(period.last(), 1)).collect();
    let every = every(paths.len() * days.len());
    let mut buildings: BTreeMap<BuildingId, PoorStreams> = BTreeMap::new();
    for (at, day) in days.into_iter().enumerate() {
        let Some((from, until)) = local_day_span(day, &TimeZone::UTC) else { continue };
        let span = (SlotStart::containing(from), SlotStart::containing(until));
        let chosen = paths.iter().enumerate().filter(|(number, _)| (number + at) % every == 0);
        let chosen: Vec<PathId> = chosen.map(|(_, path)| path.id).collect();
        if chosen.is_empty() {
            continue;
        }
        source.visit_slots(&chosen, span, &mut |path, slot| {
            let Some(agent) = agents.get(&path) else { return };
            let stays = placements.get(agent).map_or(&[][..], Vec::as_slice);
            let Some(building) = building_at(stays, slot.start.start()) else { return };
            let Some(place) = places.get(&building).filter(|place| place.works(slot, period))
            else {
                return;
            };
            classify(classifier, slot, buildings.entry(place.building.id).or_default());
        })?;
    }
    Ok(Streams { buildings, every })
}

/// Nothing is judged of a building whose zone or hours nobody told.
fn place(building: &Building) -> Option<Place<'_>> {
    building.business_hours.as_ref()?;
    let zone = TimeZone::get(building.time_zone.as_deref()?).ok()?;
    Some(Place { building, zone })
}

impl Place<'_> {
    /// The quarter-hour lies in business hours of the period.
    fn works(&self, slot: &Slot, period: Period) -> bool {
        let local = LocalDay::of(slot.start, &self.zone);
        let hours = self.building.business_hours.as_ref();
        period.has(local.date)
            && !self.building.holidays.contains(&local.date)
            && hours.is_some_and(|hours| hours.contains(local.date.weekday(), local.minute))
    }
}

/// Every so many-th day of a path, so that the budget holds; never a multiple of a week, which would always
/// take the same weekday of a path.
fn every(path_days: usize) -> usize {
    let every = path_days.div_ceil(STREAM_BUDGET).max(1);
    if every.is_multiple_of(DAYS_A_WEEK) { every + 1 } else { every }
}

/// The first placement of an agent holds for all time before it.
fn building_at(stays: &[Placement], at: UtcMicros) -> Option<BuildingId> {
    let held = |stay: &&Placement| stay.from <= at && stay.until.is_none_or(|until| at < until);
    let found = stays
        .iter()
        .find(held)
        .or_else(|| stays.iter().min_by_key(|stay| stay.from).filter(|first| at < first.from));
    found.map(|stay| stay.building)
}

fn classify(classifier: &Classifier, slot: &Slot, counts: &mut PoorStreams) {
    for &direction in Direction::ALL {
        match classifier.classify(&stream(slot, direction)).class {
            StreamClass::Poor => counts.poor += 1,
            StreamClass::Good => counts.good += 1,
            StreamClass::Unclassified => counts.unclassified += 1,
        }
    }
}

/// One direction of a quarter-hour.
fn stream(slot: &Slot, direction: Direction) -> SyntheticStream {
    let counts = &slot.counts;
    let (packets, lost) = match direction {
        Direction::Up => (counts.sent, counts.lost_up),
        Direction::Down => (counts.sent.saturating_sub(counts.lost_up), counts.lost_down),
    };
    let all_lost =
        counts.lost_up.saturating_add(counts.lost_down).saturating_add(counts.lost_unknown);
    SyntheticStream {
        started: slot.start.start(),
        direction,
        class: TrafficClass::Audio,
        windows: counts.valid,
        rate_pps: if counts.dense == counts.valid { DENSE_PPS } else { SPARSE_PPS },
        packets,
        lost,
        lost_unknown: counts.lost_unknown,
        received: counts.sent.saturating_sub(all_lost),
        rtt_mean_us: slot.figures.mean(Figure::Delay),
        jitter_mean_us: slot.figures.mean(Figure::Jitter),
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::{Combination, Figures, LimitsVersion, SubnetId, WindowFigures};

    use super::*;

    fn slot(lost_up: u64, rtt_us: u32) -> Slot {
        let mut slot = Slot::new(SlotStart::from_number(0), LimitsVersion(1));
        (slot.counts.valid, slot.counts.dense) = (15, 15);
        (slot.counts.sent, slot.counts.lost_up) = (11_250, lost_up);
        let mut figures = Figures::new();
        let window =
            WindowFigures::default().with(Figure::Delay, rtt_us).with(Figure::Jitter, 5_000);
        figures.record_n(&window, 15);
        let _: &[(Combination, u32)] = figures.combinations();
        slot.figures = figures;
        slot
    }

    #[test]
    fn each_direction_of_a_quarter_hour_is_classified_by_itself() {
        let classifier = CLASSIFIERS.last().unwrap();
        for (lost_up, rtt_us, poor, good) in [
            (0, 40_000, 0, 2),
            // One in ten is not more than one in ten.
            (1_125, 40_000, 0, 2),
            (1_126, 40_000, 1, 1),
            (0, 500_001, 2, 0),
        ] {
            let mut counts = PoorStreams::default();
            classify(classifier, &slot(lost_up, rtt_us), &mut counts);
            assert_eq!((counts.poor, counts.good), (poor, good), "{lost_up} {rtt_us}");
        }
    }

    #[test]
    fn a_share_is_of_what_was_classified() {
        let none = PoorStreams { unclassified: 9, ..PoorStreams::default() };
        assert_eq!(none.share(), None);
        assert_eq!(PoorStreams { poor: 1, good: 3, unclassified: 9 }.share(), Some(0.25));
    }

    #[test]
    fn the_budget_holds_and_no_weekday_is_preferred() {
        assert_eq!(every(0), 1);
        assert_eq!(every(STREAM_BUDGET), 1);
        assert_eq!(every(STREAM_BUDGET + 1), 2);
        assert_eq!(every(7 * STREAM_BUDGET), 8);
    }

    #[test]
    fn a_quarter_hour_counts_where_the_agent_was() {
        let stay = |building, from, until: Option<i64>| Placement {
            agent: AgentId::from_u128(1),
            subnet: SubnetId::from_u128(1),
            building: BuildingId::from_u128(building),
            from: UtcMicros(from),
            until: until.map(UtcMicros),
        };
        let stays = [stay(1, 10, Some(20)), stay(2, 30, None)];
        for (at, building) in [(5, Some(1)), (10, Some(1)), (20, None), (30, Some(2))] {
            let found = building_at(&stays, UtcMicros(at));
            assert_eq!(found, building.map(BuildingId::from_u128), "{at}");
        }
        assert_eq!(building_at(&[], UtcMicros(5)), None);
    }
}
