//! What a report is worked out of, read at once.

use std::collections::{BTreeMap, HashMap};

use busyhour_model::desk::Overlay;
use busyhour_model::{
    AgentId, Building, BuildingId, DaySummary, Incident, IncidentPlace, LinkKind, Scope, Subnet,
    SubnetId, UtcMicros, local_day_span,
};
use busyhour_store::{AgentRow, PathRow, StoreError};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::period::{Period, ReportKind, last_date};
use crate::source::Source;

/// Buildings, incidents, and verdicts of buildings and subnets over some time.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// When it was read.
    pub now: UtcMicros,
    /// Buildings in force, by name.
    pub buildings: Vec<Building>,
    /// Subnets in force.
    pub subnets: Vec<Subnet>,
    /// Agents.
    pub agents: Vec<AgentRow>,
    /// Paths that were ever measured.
    pub paths: Vec<PathRow>,
    /// Verdicts of buildings, and of subnets where the report looks at them; none of agents and paths. By
    /// date.
    pub days: BTreeMap<BuildingId, Vec<DaySummary>>,
    /// Incidents that are not over, and those that ended in the time.
    pub incidents: Vec<Incident>,
    /// What people did with them.
    pub overlay: Overlay,
}

impl World {
    /// Reads what a report on `period` needs with verdicts from `from` on; of one building when given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read(
        source: &dyn Source,
        period: Period,
        from: Date,
        only: Option<BuildingId>,
        now: UtcMicros,
    ) -> Result<Self, StoreError> {
        let mut buildings = source.buildings()?;
        buildings.retain(|building| only.is_none_or(|only| only == building.id));
        // A local day begins up to 14 hours before that of UTC.
        let begin = local_day_span(period.first(), &TimeZone::UTC).map_or(now, |(begin, _)| begin);
        let mut incidents =
            source.incidents(begin.minus(std::time::Duration::from_secs(86_400)))?;
        incidents.retain(|incident| only.is_none_or(|only| concerns(incident, only)));
        incidents.sort_by_key(|incident| incident.number);
        let days = read_days(source, period, from, (&buildings, &incidents), only.is_some())?;
        Ok(Self {
            now,
            buildings,
            subnets: source.subnets()?,
            agents: source.agents()?,
            paths: source.paths()?,
            days,
            incidents,
            overlay: source.overlay()?,
        })
    }

    /// The building's own verdicts with `from <= date <= until`, oldest first.
    pub(crate) fn building_days(
        &self,
        building: BuildingId,
        from: Date,
        until: Date,
    ) -> impl Iterator<Item = &DaySummary> + Clone {
        let days = self.days.get(&building).map_or(&[][..], Vec::as_slice);
        days.iter().filter(move |day| {
            matches!(day.scope, Scope::Building(_)) && (from..=until).contains(&day.date)
        })
    }

    /// The verdicts of a building's subnets with `from <= date <= until`, by subnet and link.
    pub(crate) fn subnet_days(
        &self,
        building: BuildingId,
        from: Date,
        until: Date,
    ) -> BTreeMap<(SubnetId, LinkKind), Vec<&DaySummary>> {
        let mut found: BTreeMap<_, Vec<&DaySummary>> = BTreeMap::new();
        for day in self.days.get(&building).into_iter().flatten() {
            if let Scope::Subnet(subnet, link) = day.scope
                && (from..=until).contains(&day.date)
            {
                found.entry((subnet, link)).or_default().push(day);
            }
        }
        found
    }

    /// Agents that are let in and live in each building now.
    pub(crate) fn residents(&self) -> HashMap<BuildingId, Vec<&AgentRow>> {
        let mut residents: HashMap<BuildingId, Vec<&AgentRow>> = HashMap::new();
        for agent in self.agents.iter().filter(|agent| agent.removed.is_none()) {
            if let Some(placement) = agent.placement {
                residents.entry(placement.building).or_default().push(agent);
            }
        }
        residents
    }

    /// True when a period is over by the clock of a building; where nobody told its zone, in all zones.
    pub(crate) fn is_over(&self, period: Period, building: &Building) -> bool {
        let zone = building.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        let today = zone.map_or_else(|| last_date(self.now), |zone| date_in(self.now, zone));
        period.last() < today
    }

    /// Paths of each agent.
    pub(crate) fn path_counts(&self) -> HashMap<AgentId, u32> {
        let mut counts = HashMap::new();
        for path in &self.paths {
            *counts.entry(path.agent).or_default() += 1;
        }
        counts
    }

    pub(crate) fn building_name(&self, id: BuildingId) -> String {
        let found = self.buildings.iter().find(|building| building.id == id);
        found.map_or_else(|| "a building that left".to_owned(), |building| building.name.clone())
    }

    /// A subnet's network name, or its prefix where it has none.
    pub(crate) fn subnet_name(&self, id: SubnetId) -> String {
        match self.subnets.iter().find(|subnet| subnet.id == id) {
            None => "a subnet that left".to_owned(),
            Some(subnet) if subnet.columns.network_name.is_empty() => subnet.prefix.to_string(),
            Some(subnet) => format!("{} ({})", subnet.columns.network_name, subnet.prefix),
        }
    }

    /// Where an incident is, in words.
    pub(crate) fn place(&self, incident: &Incident) -> String {
        let home = self.building_name(incident.building);
        let words = match &incident.place {
            IncidentPlace::Upstream(name) if incident.place.egress().is_some() => {
                format!("{name}, shared upstream")
            }
            IncidentPlace::Upstream(name) => format!("several buildings in {name}"),
            IncidentPlace::Vpn(name) => format!("{name}, VPN"),
            IncidentPlace::Target(target) => format!("target {target}"),
            IncidentPlace::Building(_) | IncidentPlace::Link(..) => home,
            IncidentPlace::Unplaced(_) => format!("{home}, where one agent measures"),
            IncidentPlace::Subnet(id, _) => format!("{home}, {}", self.subnet_name(*id)),
            IncidentPlace::Agent(id) => {
                let agent = self.agents.iter().find(|agent| agent.id == *id);
                format!("{home}, agent {}", agent.map_or("no longer known", |agent| &agent.name))
            }
        };
        match incident.link() {
            Some(link) => format!("{words}, {}", link.words()),
            None => words,
        }
    }

    /// Who must act on an incident; a dash where nobody told.
    pub(crate) fn owner(&self, incident: &Incident) -> Option<String> {
        self.overlay.standing(incident, self.now).owner.map(|owner| owner.name.as_str().to_owned())
    }

    /// The incidents that people are told of; what is part of another by hand is told with that.
    pub(crate) fn told(&self) -> impl Iterator<Item = &Incident> {
        let state = |id| {
            self.incidents.iter().find(|incident| incident.id == id).map(|incident| incident.state)
        };
        self.incidents.iter().filter(move |incident| {
            incident.kind.alerts()
                && incident.openings > 0
                && self.overlay.part_of(incident, state).is_none()
        })
    }
}

/// The verdicts of buildings from `from` on, and of subnets where they are needed: for a week those of its
/// days, for a month those of places that were mended. Those of paths are many and never needed.
fn read_days(
    source: &dyn Source,
    period: Period,
    from: Date,
    (buildings, incidents): (&[Building], &[Incident]),
    one: bool,
) -> Result<BTreeMap<BuildingId, Vec<DaySummary>>, StoreError> {
    let mut days: BTreeMap<BuildingId, Vec<DaySummary>> =
        buildings.iter().map(|building| (building.id, Vec::new())).collect();
    let own = match buildings {
        [building] if one => source.days(building.id, from, period.last())?,
        _ => source.building_days(from, period.last())?,
    };
    for day in own.into_iter().filter(|day| matches!(day.scope, Scope::Building(_))) {
        if let Some(of_building) = days.get_mut(&day.building) {
            of_building.push(day);
        }
    }
    let mended = |building: &Building| {
        incidents.iter().any(|incident| {
            incident.building == building.id
                && incident.subnet().is_some()
                && incident.closed_on.is_some_and(|closed| period.has(closed))
        })
    };
    let week = period.kind() == ReportKind::Weekly;
    if week && !one {
        for day in source.subnet_days(period.first(), period.last())? {
            if let Some(of_building) = days.get_mut(&day.building) {
                of_building.push(day);
            }
        }
    }
    for building in buildings {
        let since = match period.kind() {
            ReportKind::Weekly if one => period.first(),
            ReportKind::Monthly if mended(building) => from,
            ReportKind::Daily | ReportKind::Weekly | ReportKind::Monthly => continue,
        };
        let mut parts = source.days(building.id, since, period.last())?;
        parts.retain(|day| matches!(day.scope, Scope::Subnet(..)));
        days.entry(building.id).or_default().extend(parts);
    }
    for of_building in days.values_mut() {
        of_building.sort_by_key(|day| (day.date, day.scope));
    }
    Ok(days)
}

/// True when a building suffers from it.
pub(crate) fn concerns(incident: &Incident, building: BuildingId) -> bool {
    incident.building == building
        || incident.members.iter().any(|member| member.building == building)
}

/// The date `days` later or earlier, held at the ends of the calendar.
pub(crate) fn add_days(date: Date, days: i64) -> Date {
    date.saturating_add(days.days())
}

/// Dates from one to another, both included.
pub(crate) fn dates(from: Date, until: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(from), |date| date.tomorrow().ok())
        .take_while(move |date| *date <= until)
}

/// The date of a moment in UTC.
pub(crate) fn date_of(at: UtcMicros) -> Date {
    date_in(at, TimeZone::UTC)
}

fn date_in(at: UtcMicros, zone: TimeZone) -> Date {
    let stamp = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    stamp.to_zoned(zone).date()
}
