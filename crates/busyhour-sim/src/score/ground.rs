//! What scoring knows of a fleet: who belongs where, who works when, and what is true.

use std::collections::{BTreeSet, HashMap};

use busyhour_model::LinkKind;
use jiff::civil::Date;

use crate::world::{NamedPlace, PlaceKind, Reach, RegionRecord, Truth};

/// A building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundBuilding {
    /// Its name.
    pub name: String,
    /// The weekdays on which people truly work, from Monday.
    pub works: [bool; 7],
    /// Dates on which truly nobody worked all the same.
    pub closed: BTreeSet<Date>,
}

impl GroundBuilding {
    /// True when people truly worked on that date.
    #[must_use]
    pub fn works_on(&self, date: Date) -> bool {
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
        self.works.get(weekday).copied().unwrap_or_default() && !self.closed.contains(&date)
    }
}

/// A series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundSeries {
    /// Its name.
    pub name: String,
    /// Its building, by its place in [`Ground::buildings`].
    pub building: u32,
    /// Its subnet's prefix, as text.
    pub subnet: String,
    /// Its agent's name.
    pub agent: String,
    /// The kind of link.
    pub link: LinkKind,
    /// What it shares with other buildings.
    pub upstream: Option<String>,
    /// What it talks to.
    pub target: Option<String>,
    /// Where it ends.
    pub reach: Reach,
}

/// A fleet, or a region of it, and the days on which it was watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    /// The first local date.
    pub first: Date,
    /// How many there are.
    pub days: u32,
    /// Buildings.
    pub buildings: Vec<GroundBuilding>,
    /// Series.
    pub series: Vec<GroundSeries>,
    /// What is true.
    pub truths: Vec<Truth>,
}

impl Ground {
    /// What a generated region tells.
    #[must_use]
    pub fn of_region(region: &RegionRecord, first: Date, days: u32) -> Self {
        let building = |building: &crate::world::BuildingRecord| GroundBuilding {
            name: building.name.clone(),
            works: building.works,
            closed: building.closed.clone(),
        };
        let series = |series: &crate::world::SeriesRecord| GroundSeries {
            name: series.name.clone(),
            building: series.building,
            subnet: series.subnet.to_string(),
            agent: series.agent.clone(),
            link: series.link,
            upstream: series.upstream.clone(),
            target: series.target.clone(),
            reach: series.reach,
        };
        Self {
            first,
            days,
            buildings: region.buildings.iter().map(building).collect(),
            series: region.series.iter().map(series).collect(),
            truths: region.truths.clone(),
        }
    }

    /// Adds the next region of the same fleet.
    pub fn append(&mut self, other: Self) {
        let (buildings, series) = (number(self.buildings.len()), number(self.series.len()));
        self.buildings.extend(other.buildings);
        self.series.extend(other.series.into_iter().map(|mut one| {
            one.building += buildings;
            one
        }));
        self.truths.extend(other.truths.into_iter().map(|mut truth| {
            truth.series.iter_mut().for_each(|number| *number += series);
            truth.buildings.iter_mut().for_each(|number| *number += buildings);
            truth
        }));
    }

    /// The last local date.
    #[must_use]
    pub fn last(&self) -> Date {
        later(self.first, i64::from(self.days) - 1)
    }

    /// Series by name.
    #[must_use]
    pub fn series_by_name(&self) -> HashMap<&str, u32> {
        (0..).zip(&self.series).map(|(number, one)| (one.name.as_str(), number)).collect()
    }

    /// The series beyond the site's edge that lie in a place, ascending; none in one that is unknown.
    #[must_use]
    pub fn within(&self, place: &NamedPlace) -> Vec<u32> {
        let lies = |one: &GroundSeries| {
            let building = || self.buildings.get(one.building as usize).map(|b| b.name.as_str());
            let named = |name: Option<&str>| name == Some(place.name.as_str());
            let on_link = place.link.is_none_or(|link| link == one.link);
            let vpn = one.link == LinkKind::Vpn;
            let here = match place.kind {
                PlaceKind::Upstream => named(one.upstream.as_deref()) && !vpn,
                PlaceKind::Vpn => named(one.upstream.as_deref()) && vpn,
                PlaceKind::Target => named(one.target.as_deref()),
                PlaceKind::Building | PlaceKind::Link | PlaceKind::Unplaced => named(building()),
                PlaceKind::Subnet => named(Some(&one.subnet)),
                PlaceKind::Agent => named(Some(&one.agent)),
            };
            here && on_link && one.reach == Reach::Far
        };
        (0..).zip(&self.series).filter(|(_, one)| lies(one)).map(|(number, _)| number).collect()
    }

    /// True when people truly worked in at least half of these buildings on that date.
    pub(super) fn works_on(&self, buildings: &[u32], date: Date) -> bool {
        let building = |number: &&u32| self.buildings.get(**number as usize);
        let works = |number: &&u32| building(number).is_some_and(|one| one.works_on(date));
        buildings.iter().filter(works).count() * 2 >= buildings.len().max(1)
    }

    /// Working days of these buildings after `from`, up to `until`.
    pub(super) fn working_days(&self, buildings: &[u32], from: Date, until: Date) -> u32 {
        let mut count = 0;
        let mut date = from;
        while date < until {
            date = later(date, 1);
            count += u32::from(self.works_on(buildings, date));
        }
        count
    }

    /// The date by which `count` working days of these buildings have passed since `date`.
    pub(super) fn after_working_days(&self, buildings: &[u32], date: Date, count: u32) -> Date {
        let mut left = count;
        let mut day = date;
        // A building that never works again bounds nothing.
        let bound = later(self.last(), i64::from(count));
        while left > 0 && day < bound {
            day = later(day, 1);
            left -= u32::from(self.works_on(buildings, day));
        }
        day
    }
}

/// The date `days` later.
pub(super) fn later(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::Span::new().days(days.clamp(-1_000_000, 1_000_000)))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
