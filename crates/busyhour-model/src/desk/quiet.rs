//! Times in which nobody is told: silences and maintenance.

use std::collections::BTreeMap;

use super::remark::{Remark, ShortRemark};
use crate::path::word_enum;
use crate::{Building, BuildingId, Cause, Incident, IncidentId, SubnetId, UtcMicros};

word_enum!(
    /// Why nobody is told for a while.
    QuietKind, "kind of quiet time", {
        /// Somebody does not want to hear it. What is still there at the end is told then.
        Silence = "silence",
        /// Somebody works there. What it brought and took away is not told.
        Maintenance = "maintenance",
    }
);

/// What a quiet time is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuietScope {
    /// All incidents.
    Everything,
    /// The buildings of a region, as the building file spells it.
    Region(ShortRemark),
    /// A building.
    Building(BuildingId),
    /// A subnet.
    Subnet(SubnetId),
    /// One incident.
    Incident(IncidentId),
    /// What one incident is in one building: who may not see all does not silence what it grows to.
    IncidentIn(IncidentId, BuildingId),
    /// Incidents of a likely cause.
    Cause(Cause),
}

impl QuietScope {
    /// The word used in SQL, JSON and on the command line.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Region(_) => "region",
            Self::Building(_) => "building",
            Self::Subnet(_) => "subnet",
            Self::Incident(_) => "incident",
            Self::IncidentIn(..) => "incident-in",
            Self::Cause(_) => "cause",
        }
    }

    /// True for a part of the fleet, which maintenance may be for.
    #[must_use]
    pub const fn is_place(&self) -> bool {
        match self {
            Self::Everything | Self::Region(_) | Self::Building(_) | Self::Subnet(_) => true,
            Self::Incident(_) | Self::IncidentIn(..) | Self::Cause(_) => false,
        }
    }
}

/// A time in which what it covers is measured, judged and shown, and not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// Its number among all quiet times, from 1.
    pub number: u64,
    /// Why nobody is told.
    pub kind: QuietKind,
    /// What it is for, each for itself; at least one.
    pub scopes: Vec<QuietScope>,
    /// Its first moment.
    pub from: UtcMicros,
    /// The first moment after it, as it was planned.
    pub until: UtcMicros,
    /// Why, in words.
    pub reason: Remark,
    /// Who made it.
    pub by: String,
    /// When.
    pub made: UtcMicros,
    /// When it was ended by hand, and by whom.
    pub ended: Option<(UtcMicros, String)>,
}

impl Quiet {
    /// The most that one is for.
    pub const MAX_SCOPES: usize = 64;

    /// The first moment after it; never before it begins.
    #[must_use]
    pub fn end(&self) -> UtcMicros {
        let ended = self.ended.as_ref().map_or(self.until, |(at, _)| self.until.min(*at));
        ended.max(self.from)
    }

    /// True when it does not hold and never will: it is over, or was called off before it began.
    #[must_use]
    pub fn is_over(&self, at: UtcMicros) -> bool {
        self.end() <= at || self.ended.as_ref().is_some_and(|(ended, _)| *ended <= at)
    }

    /// True within it.
    #[must_use]
    pub fn holds(&self, at: UtcMicros) -> bool {
        self.from <= at && at < self.end()
    }

    /// True when what one of an incident's paths suffers in `place` is covered.
    fn covers(&self, incident: &Incident, place: Place, places: &Places) -> bool {
        self.scopes.iter().any(|scope| match scope {
            QuietScope::Everything => true,
            QuietScope::Region(region) => places.region(place.building) == Some(region.as_str()),
            QuietScope::Building(building) => *building == place.building,
            QuietScope::Subnet(subnet) => Some(*subnet) == place.subnet,
            QuietScope::Incident(id) => *id == incident.id,
            QuietScope::IncidentIn(id, building) => {
                *id == incident.id && *building == place.building
            }
            QuietScope::Cause(cause) => *cause == incident.cause,
        })
    }
}

/// In which region buildings are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(BTreeMap<BuildingId, String>);

impl Places {
    /// Of buildings.
    #[must_use]
    pub fn new(buildings: &[Building]) -> Self {
        Self(buildings.iter().map(|building| (building.id, building.region.clone())).collect())
    }

    /// The region of a building; `None` where nobody told.
    #[must_use]
    pub fn region(&self, building: BuildingId) -> Option<&str> {
        self.0.get(&building).map(String::as_str).filter(|region| !region.is_empty())
    }

    /// The region that all buildings of an incident are in; `None` where there is no such one.
    #[must_use]
    pub fn region_of(&self, incident: &Incident) -> Option<&str> {
        let region = self.region(incident.building)?;
        let same = |place: &Place| self.region(place.building) == Some(region);
        places_of(incident).iter().all(same).then_some(region)
    }
}

/// Where paths of an incident are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    building: BuildingId,
    subnet: Option<SubnetId>,
}

/// The places that suffer, each once; the one that it is shown with, when nobody suffers any more.
fn places_of(incident: &Incident) -> Vec<Place> {
    let place = |building, subnet| Place { building, subnet };
    let members = incident.members.iter();
    let mut all: Vec<Place> =
        members.map(|member| place(member.building, Some(member.subnet))).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        all.push(place(incident.building, incident.subnet()));
    }
    all
}

/// An incident is covered by quiet times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// Maintenance when maintenance alone covers it.
    pub kind: QuietKind,
    /// The first moment at which it is not, by what is known now.
    pub until: UtcMicros,
    /// The numbers of the quiet times that do, ascending.
    pub quiets: Vec<u64>,
}

/// What covers an incident at a moment: all the places that suffer have to be covered, by whatever quiet
/// times. What else suffers has nothing to do with who works in one building.
pub(super) fn cover(
    quiets: &[Quiet],
    incident: &Incident,
    places: &Places,
    at: UtcMicros,
) -> Option<Cover> {
    let suffering = places_of(incident);
    let touches =
        |quiet: &&Quiet| suffering.iter().any(|place| quiet.covers(incident, *place, places));
    let concerned: Vec<&Quiet> = quiets.iter().filter(touches).collect();
    let covered = |at: UtcMicros, kind: Option<QuietKind>| {
        let fits = |quiet: &&&Quiet| quiet.holds(at) && kind.is_none_or(|kind| quiet.kind == kind);
        let hold: Vec<_> = concerned.iter().filter(fits).collect();
        suffering
            .iter()
            .all(|place| hold.iter().any(|quiet| quiet.covers(incident, *place, places)))
    };
    if !covered(at, None) {
        return None;
    }
    let mut ends: Vec<UtcMicros> = concerned.iter().map(|quiet| quiet.end()).collect();
    ends.retain(|end| *end > at);
    ends.sort_unstable();
    let mut numbers: Vec<u64> =
        concerned.iter().filter(|quiet| quiet.holds(at)).map(|quiet| quiet.number).collect();
    numbers.sort_unstable();
    let of_maintenance = covered(at, Some(QuietKind::Maintenance));
    Some(Cover {
        kind: if of_maintenance { QuietKind::Maintenance } else { QuietKind::Silence },
        // Coverage ends where one of them ends, at the latest where the last one does.
        until: ends.iter().copied().find(|end| !covered(*end, None)).unwrap_or(at),
        quiets: numbers,
    })
}
