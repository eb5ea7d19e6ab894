//! How each building stands, told from verdicts and incidents. Nothing is judged here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use busyhour_chart::{DayMark, DayShape};
use busyhour_model::{
    AgentId, Building, BuildingId, DailyAverage, DaySummary, DayVerdict, Incident, IncidentId,
    IncidentPlace, IncidentState, Scope, Subnet, UtcMicros, WorstHour,
};
use busyhour_store::{AgentRow, PathRow, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::place::{Names, is_told};
use crate::rank::{Rank, Standing, worst_first};
use crate::scoped::Scoped;
use crate::scoped::desk::parts;

/// Days before today that are looked at for the last observed business days, as the judge does.
const LOOK_BACK_DAYS: i64 = 20;
/// The last observed business days that count.
const OBSERVED_DAYS: usize = 5;
/// Bad days that are older than this say nothing of now.
const STALE_DAYS: i64 = 7;
/// A building is good when its newest observed day is at most so many business days old, today
/// included: yesterday may still wait to be judged.
const FRESH_BUSINESS_DAYS: usize = 2;
/// Days in the strip.
pub(crate) const STRIP_DAYS: i64 = 14;
/// Days that coverage is told for.
const COVERAGE_DAYS: i64 = 7;

/// What the overview is made from, read at once.
pub(crate) struct Snapshot {
    pub(crate) now: UtcMicros,
    pub(crate) buildings: Vec<Building>,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) agents: Vec<AgentRow>,
    pub(crate) paths: Vec<PathRow>,
    /// Not closed.
    pub(crate) incidents: Vec<Incident>,
    /// Those of them that people made part of another: a building suffers by them all the same.
    pub(crate) parts: BTreeSet<IncidentId>,
    pub(crate) days: Vec<DaySummary>,
}

impl Snapshot {
    /// Reads everything; verdicts of the last weeks, those of whole buildings, or all of one building when
    /// given.
    pub(crate) fn read(
        services: &Scoped,
        building: Option<BuildingId>,
    ) -> Result<Self, StoreError> {
        let now = (services.clock)();
        let today = date_in(now, &TimeZone::UTC);
        // One day more at either end: local dates differ from the date of UTC by at most one.
        let from = add_days(today, -LOOK_BACK_DAYS - 1);
        let (control, until) = (&services.control, add_days(today, 1));
        let days = match building {
            Some(building) => control.days(Some(building), from, until),
            None => control.building_days(from, until),
        };
        let incidents = control.incidents(false)?;
        Ok(Self {
            now,
            parts: parts(&services.desk.overlay(now)?, &incidents),
            buildings: control.buildings()?,
            subnets: control.subnets()?,
            agents: control.agents()?,
            paths: services.telemetry.paths(None)?,
            incidents,
            days: days?,
        })
    }

    /// How each building stands, by name.
    pub(crate) fn states(&self) -> Vec<BuildingState> {
        let mut days: HashMap<BuildingId, Vec<&DaySummary>> = HashMap::new();
        for day in &self.days {
            days.entry(day.building).or_default().push(day);
        }
        let (newest, told) = (self.newest(), self.told());
        let mut agents: HashMap<BuildingId, Vec<&AgentRow>> = HashMap::new();
        for agent in &self.agents {
            if let Some(placement) = agent.placement {
                agents.entry(placement.building).or_default().push(agent);
            }
        }
        let mut subnets: HashMap<BuildingId, usize> = HashMap::new();
        for subnet in &self.subnets {
            *subnets.entry(subnet.building).or_default() += 1;
        }
        let state = |building: &Building| {
            let known = Known {
                days: days.get(&building.id).map_or(&[][..], Vec::as_slice),
                told: told.get(&building.id).map_or(&[][..], Vec::as_slice),
                agents: agents.get(&building.id).map_or(&[][..], Vec::as_slice),
                subnets: subnets.get(&building.id).copied().unwrap_or(0),
            };
            self.state(building, &known, &newest)
        };
        self.buildings.iter().map(state).collect()
    }

    /// How each building stands, worst first.
    pub(crate) fn worst_first(&self) -> Vec<BuildingState> {
        let mut states = self.states();
        states.sort_by(|a, b| worst_first(&a.rank(), &b.rank()));
        states
    }

    pub(crate) fn building(&self, id: BuildingId) -> Option<&Building> {
        self.buildings.iter().find(|building| building.id == id)
    }

    /// What places are called.
    pub(crate) fn names(&self) -> Names<'_> {
        Names::new(&self.buildings, &self.subnets, &self.agents)
    }

    /// The beginning of each agent's newest window.
    pub(crate) fn newest(&self) -> HashMap<AgentId, UtcMicros> {
        let mut newest: HashMap<AgentId, UtcMicros> = HashMap::new();
        for path in &self.paths {
            let of_agent = newest.entry(path.agent).or_insert(path.newest);
            *of_agent = path.newest.max(*of_agent);
        }
        newest
    }

    /// The incidents that people are told of and that are not over, by the buildings that suffer.
    fn told(&self) -> HashMap<BuildingId, Vec<&Incident>> {
        let mut told: HashMap<BuildingId, Vec<&Incident>> = HashMap::new();
        for incident in self.incidents.iter().filter(|incident| is_told(incident)) {
            let mut buildings = incident.buildings();
            if !buildings.contains(&incident.building) {
                buildings.push(incident.building);
            }
            for building in buildings {
                told.entry(building).or_default().push(incident);
            }
        }
        told
    }

    fn state(
        &self,
        building: &Building,
        &Known { days, told, agents, subnets }: &Known<'_>,
        newest: &HashMap<AgentId, UtcMicros>,
    ) -> BuildingState {
        let views = day_views(days);
        let today = date_in(self.now, &zone_of(building));
        let observed: Vec<&DaySummary> = views
            .values()
            .rev()
            .filter(|day| day.verdict.is_observed())
            .take(OBSERVED_DAYS)
            .copied()
            .collect();
        let incident = told.iter().min_by(|a, b| worse_incident(a, b)).map(|&worst| worst.clone());
        let last_bad = observed.iter().find(|day| day.verdict.is_bad()).copied();
        let (bad_days, observed_days) = match &incident {
            Some(incident) => last_days(incident),
            None => {
                let bad = observed.iter().filter(|day| day.verdict.is_bad()).count();
                (bad as u32, observed.len() as u32)
            }
        };
        let fresh = is_fresh(building, &views, today);
        let standing = standing(incident.as_ref(), &observed, fresh, today);
        BuildingState {
            standing,
            evidence: evidence(incident.as_ref(), building.id, last_bad),
            incident,
            bad_days,
            observed_days,
            subnets,
            agents: agents.len(),
            simulated: agents.iter().any(|agent| agent.simulated),
            coverage: coverage(days, today),
            newest: agents.iter().filter_map(|agent| newest.get(&agent.id)).max().copied(),
            unknown_because: unknown_because(building, agents.len()).or_else(|| {
                let lost = standing == Standing::Unknown && observed_days > 0;
                lost.then_some("its last business day was not observed")
            }),
            strip: strip(&views, today, today),
            building: building.clone(),
        }
    }
}

/// What is known of one building.
struct Known<'a> {
    days: &'a [&'a DaySummary],
    told: &'a [&'a Incident],
    agents: &'a [&'a AgentRow],
    subnets: usize,
}

/// How one building stands.
#[derive(Debug, Clone)]
pub(crate) struct BuildingState {
    pub(crate) building: Building,
    pub(crate) standing: Standing,
    /// The worst incident that people are told of and that is not over.
    pub(crate) incident: Option<Incident>,
    /// What its last bad day rests on.
    pub(crate) evidence: Option<Evidence>,
    pub(crate) bad_days: u32,
    pub(crate) observed_days: u32,
    pub(crate) subnets: usize,
    pub(crate) agents: usize,
    pub(crate) simulated: bool,
    /// Observed share of the busy hours' windows of the last week.
    pub(crate) coverage: Option<f64>,
    /// The beginning of the newest window.
    pub(crate) newest: Option<UtcMicros>,
    /// Why nothing can be known, where that can be told.
    pub(crate) unknown_because: Option<&'static str>,
    /// The last two weeks, oldest first.
    pub(crate) strip: Vec<DayMark>,
}

/// The figures of a bad day.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// The whole building is bad, not a part of it.
    pub(crate) whole: bool,
    pub(crate) date: Date,
    pub(crate) worst: Option<WorstHour>,
    pub(crate) average: Option<DailyAverage>,
    pub(crate) masked: bool,
    pub(crate) factor: Option<f64>,
}

impl Evidence {
    /// What a day's verdict rests on.
    pub(crate) const fn of(day: &DaySummary) -> Self {
        Self {
            whole: matches!(day.scope, Scope::Building(_)),
            date: day.date,
            worst: day.worst_hour,
            average: day.average,
            masked: day.masked,
            factor: day.masking_factor,
        }
    }
}

impl BuildingState {
    /// The hours that its worst incident keeps to, where they are by its own clock.
    pub(crate) fn incident_hours(&self) -> Option<Vec<(u16, u16)>> {
        let own = |incident: &&Incident| incident.building == self.building.id;
        self.incident.as_ref().filter(own).map(|incident| incident.hours_joined())
    }

    fn rank(&self) -> Rank<'_> {
        let worst = self.evidence.as_ref().and_then(|evidence| evidence.worst);
        Rank {
            standing: self.standing,
            masked: self.evidence.as_ref().is_some_and(|evidence| evidence.masked),
            whole: self.evidence.as_ref().is_some_and(|evidence| evidence.whole),
            bad_share: worst.as_ref().map_or(0.0, crate::text::bad_share),
            bad_days: self.bad_days,
            observed_days: self.observed_days,
            name: &self.building.name,
        }
    }
}

/// True when the agent's present placement is in the building.
pub(crate) fn lives_in(agent: &AgentRow, building: BuildingId) -> bool {
    agent.placement.is_some_and(|placement| placement.building == building)
}

/// The building's zone; UTC while nobody told.
pub(crate) fn zone_of(building: &Building) -> TimeZone {
    let named = building.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    named.unwrap_or(TimeZone::UTC)
}

/// The date of a moment in a zone.
pub(crate) fn date_in(at: UtcMicros, zone: &TimeZone) -> Date {
    let stamp = Timestamp::from_microsecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
    stamp.to_zoned(zone.clone()).date()
}

/// The date `days` later (or earlier), held at the ends of the calendar.
pub(crate) fn add_days(date: Date, days: i64) -> Date {
    date.saturating_add(days.days())
}

/// The building's own summary of each date; the judge makes it that of its worst subnet, so that
/// one bad subnet is never averaged away.
fn day_views<'a>(days: &[&'a DaySummary]) -> BTreeMap<Date, &'a DaySummary> {
    let own = days.iter().filter(|day| matches!(day.scope, Scope::Building(_)));
    own.map(|&day| (day.date, day)).collect()
}

/// Bad days among the last observed days of an incident, and how many those are.
fn last_days(incident: &Incident) -> (u32, u32) {
    let last = incident.observed_days.iter().rev().take(OBSERVED_DAYS);
    last.fold((0, 0), |(bad, observed), date| {
        (bad + u32::from(incident.bad_days.contains(date)), observed + 1)
    })
}

/// The worse incident first.
pub(crate) fn worse_incident(a: &Incident, b: &Incident) -> Ordering {
    let open = |incident: &Incident| incident.state == IncidentState::Open;
    let share =
        |incident: &Incident| incident.worst_hour.as_ref().map_or(0.0, crate::text::bad_share);
    open(b)
        .cmp(&open(a))
        .then(b.masked.cmp(&a.masked))
        .then(share(b).total_cmp(&share(a)))
        .then(a.id.cmp(&b.id))
}

/// True when the last business day before today was observed, or is not judged yet and the one
/// before it was observed.
fn is_fresh(building: &Building, views: &BTreeMap<Date, &DaySummary>, today: Date) -> bool {
    let hours = building.business_hours.as_ref();
    let is_business = |date: &Date| match views.get(date) {
        // Nothing was to be observed: a holiday, or nobody was there.
        Some(day) if !day.verdict.is_observed() && day.expected == 0 => false,
        _ => hours.is_none_or(|hours| hours.is_business_day(date.weekday())),
    };
    let observed = |date: &Date| views.get(date).is_some_and(|day| day.verdict.is_observed());
    let missed = |date: &Date| {
        views.get(date).is_some_and(|day| *date < today && !day.verdict.is_observed())
    };
    (0..=STALE_DAYS)
        .map(|back| add_days(today, -back))
        .scan(0, |age, date| {
            let before = *age;
            *age += usize::from(is_business(&date));
            Some((before, date))
        })
        .take_while(|(age, date)| {
            *age <= FRESH_BUSINESS_DAYS && !(is_business(date) && missed(date))
        })
        .any(|(_, date)| observed(&date))
}

fn standing(
    incident: Option<&Incident>,
    observed: &[&DaySummary],
    fresh: bool,
    today: Date,
) -> Standing {
    match incident {
        Some(incident) if incident.state == IncidentState::Open => {
            return if incident.masked { Standing::Hidden } else { Standing::Open };
        }
        Some(_) => return Standing::Lately,
        None => {}
    }
    let Some(newest) = observed.first() else { return Standing::Unknown };
    if newest.date < add_days(today, -STALE_DAYS) {
        return Standing::Unknown;
    }
    if observed.iter().any(|day| day.verdict.is_bad()) {
        return Standing::Lately;
    }
    if fresh { Standing::Good } else { Standing::Unknown }
}

/// The figures of an incident are those of its own building; another that suffers as well is told by
/// its own days.
fn evidence(
    incident: Option<&Incident>,
    building: BuildingId,
    last_bad: Option<&DaySummary>,
) -> Option<Evidence> {
    if let Some(incident) = incident.filter(|incident| incident.building == building) {
        return Some(Evidence {
            whole: is_whole(&incident.place),
            date: incident.worst_on.unwrap_or(incident.last_bad),
            worst: incident.worst_hour,
            average: incident.average,
            masked: incident.masked,
            factor: incident.masking_factor,
        });
    }
    last_bad.map(Evidence::of)
}

/// True when all of a building suffers.
const fn is_whole(place: &IncidentPlace) -> bool {
    match place {
        IncidentPlace::Upstream(_) | IncidentPlace::Target(_) | IncidentPlace::Building(_) => true,
        IncidentPlace::Vpn(_)
        | IncidentPlace::Link(..)
        | IncidentPlace::Subnet(..)
        | IncidentPlace::Agent(_)
        | IncidentPlace::Unplaced(_) => false,
    }
}

/// Observed over expected windows of busy hours in the last week, the building's own figures.
fn coverage(days: &[&DaySummary], today: Date) -> Option<f64> {
    let since = add_days(today, -COVERAGE_DAYS);
    let (mut valid, mut expected) = (0u64, 0u64);
    for day in days.iter().filter(|day| matches!(day.scope, Scope::Building(_))) {
        if (since..=today).contains(&day.date) {
            valid += u64::from(day.valid.min(day.expected));
            expected += u64::from(day.expected);
        }
    }
    (expected > 0).then(|| valid as f64 / expected as f64)
}

fn unknown_because(building: &Building, agents: usize) -> Option<&'static str> {
    if agents == 0 {
        return Some("no agent lives here");
    }
    if building.time_zone.is_none() {
        return Some("nobody told its time zone");
    }
    building.business_hours.is_none().then_some("nobody told its business hours")
}

/// The two weeks to `last` as marks, oldest first; a date without a summary is unknown, and `today` is
/// until something of it was expected.
pub(crate) fn strip(views: &BTreeMap<Date, &DaySummary>, last: Date, today: Date) -> Vec<DayMark> {
    let mark = |back: i64| {
        let date = add_days(last, -back);
        day_mark(date, views.get(&date).copied(), date < today)
    };
    (0..STRIP_DAYS).rev().map(mark).collect()
}

/// How a day is drawn; a day without a summary is unknown, and whether a day of which nothing was expected
/// is a business day nobody knows before it is over.
fn day_mark(date: Date, day: Option<&DaySummary>, over: bool) -> DayMark {
    let shape = match day.map(|day| (day.verdict, day.expected)) {
        Some((DayVerdict::Good, _)) => DayShape::Good,
        Some((DayVerdict::PeakBad, _)) => DayShape::PeakBad,
        Some((DayVerdict::AllDayBad, _)) => DayShape::AllDayBad,
        Some((DayVerdict::Missing, 0)) if over => DayShape::Closed,
        Some((DayVerdict::Missing, _)) | None => DayShape::Unknown,
    };
    let masked = day.is_some_and(|day| day.verdict.is_bad() && day.masked);
    let note = if masked { "hidden by the daily average" } else { "" };
    DayMark { date, shape, note: note.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests;
