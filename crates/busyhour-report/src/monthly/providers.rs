//! The providers' scorecard: what buildings share on their way out, and how often that was to blame.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{BuildingId, Incident, IncidentPlace, Segment};
use jiff::civil::Date;

use crate::period::Period;
use crate::tally::Tally;
use crate::world::World;

/// What is said where nobody told a building's egress.
const NOT_TOLD: &str = "egress not told";

/// One way out: a public prefix, or a region where nobody told more.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// The prefix of the egress as the building file tells it, or the name of the region.
    pub name: String,
    /// Buildings that use it, by the building file.
    pub buildings: usize,
    /// Days of these buildings that were observed.
    pub observed_days: u32,
    /// Bad days of buildings on which an incident of this provider, from which they suffer, was bad too.
    pub bad_days: u32,
    /// Incidents of it that were open in the month.
    pub incidents: usize,
    /// Those of them that were opened in it.
    pub opened: usize,
    /// Those of them that were closed in it.
    pub closed: usize,
    /// One of the incidents rests on simulated agents.
    pub simulated: bool,
}

/// The counts in the making.
#[derive(Default)]
struct Card {
    buildings: BTreeSet<BuildingId>,
    bad: BTreeSet<(BuildingId, Date)>,
    incidents: usize,
    opened: usize,
    closed: usize,
    simulated: bool,
}

impl Provider {
    /// All that buildings use, and all that were to blame; those with the most bad days first.
    pub(super) fn all(world: &World, period: Period) -> Vec<Self> {
        let known: BTreeMap<BuildingId, BTreeSet<Date>> = world
            .buildings
            .iter()
            .map(|building| (building.id, bad_dates(world, period, building.id)))
            .collect();
        let mut cards: BTreeMap<String, Card> = BTreeMap::new();
        let mut egress: BTreeMap<BuildingId, BTreeSet<String>> = BTreeMap::new();
        for subnet in world.subnets.iter().filter(|subnet| known.contains_key(&subnet.building)) {
            if let Some(prefix) = subnet.egress {
                egress.entry(subnet.building).or_default().insert(prefix.to_string());
            }
        }
        for (building, names) in &egress {
            for name in names {
                cards.entry(name.clone()).or_default().buildings.insert(*building);
            }
        }
        for incident in world.told().filter(|incident| is_of_provider(incident)) {
            let (Some(opened), closed) = (incident.opened_on, incident.closed_on) else { continue };
            if opened > period.last() || closed.is_some_and(|closed| closed < period.first()) {
                continue;
            }
            let card = cards.entry(name(incident, &egress)).or_default();
            card.incidents += 1;
            card.opened += usize::from(period.has(opened));
            card.closed += usize::from(closed.is_some_and(|closed| period.has(closed)));
            card.simulated |= incident.simulated;
            let mut suffering = incident.buildings();
            suffering.push(incident.building);
            for building in suffering {
                let Some(bad) = known.get(&building) else { continue };
                let both = incident.bad_days.iter().filter(|date| bad.contains(date));
                card.bad.extend(both.map(|date| (building, *date)));
                card.buildings.insert(building);
            }
        }
        let mut all: Vec<Self> =
            cards.into_iter().map(|(name, card)| Self::of(world, period, name, &card)).collect();
        all.sort_by(|a, b| {
            b.bad_days
                .cmp(&a.bad_days)
                .then(b.incidents.cmp(&a.incidents))
                .then(a.name.cmp(&b.name))
        });
        all
    }

    fn of(world: &World, period: Period, name: String, card: &Card) -> Self {
        let mut days = Tally::default();
        for building in &card.buildings {
            days.join(&Tally::of(world.building_days(*building, period.first(), period.last())));
        }
        Self {
            name,
            buildings: card.buildings.len(),
            observed_days: days.observed,
            bad_days: card.bad.len() as u32,
            incidents: card.incidents,
            opened: card.opened,
            closed: card.closed,
            simulated: card.simulated,
        }
    }
}

/// The dates of a period on which a building itself was bad.
fn bad_dates(world: &World, period: Period, building: BuildingId) -> BTreeSet<Date> {
    let days = world.building_days(building, period.first(), period.last());
    days.filter(|day| day.verdict.is_bad()).map(|day| day.date).collect()
}

fn is_of_provider(incident: &Incident) -> bool {
    incident.segment == Segment::Provider || matches!(incident.place, IncidentPlace::Upstream(_))
}

/// What an incident names itself, or else the egress of the building it is shown with.
fn name(incident: &Incident, egress: &BTreeMap<BuildingId, BTreeSet<String>>) -> String {
    if let IncidentPlace::Upstream(name) = &incident.place {
        return name.clone();
    }
    let of_building = egress.get(&incident.building);
    match of_building.map(|names| names.iter().map(String::as_str).collect::<Vec<_>>()) {
        Some(names) if names.len() == 1 => names.concat(),
        Some(names) => format!("one of {}", names.join(", ")),
        None => NOT_TOLD.to_owned(),
    }
}
