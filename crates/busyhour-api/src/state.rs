//! How each building stands, told from verdicts and incidents. Nothing is judged here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use busyhour_chart::{DayMark, DayShape};
use busyhour_model::{
    AgentId, Building, BuildingId, DailyAverage, DaySummary, DayVerdict, Incident, IncidentState,
    Scope, Subnet, UtcMicros, WorstHour,
};
use busyhour_store::{AgentRow, PathRow, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::Services;
use crate::rank::{Rank, Standing, worst_first};

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
const STRIP_DAYS: i64 = 14;
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
    pub(crate) days: Vec<DaySummary>,
}

impl Snapshot {
    /// Reads everything; verdicts of the last weeks, of one building when given.
    pub(crate) fn read(
        services: &Services,
        building: Option<BuildingId>,
    ) -> Result<Self, StoreError> {
        let now = (services.clock)();
        let today = date_in(now, &TimeZone::UTC);
        // One day more at either end: local dates differ from the date of UTC by at most one.
        let from = add_days(today, -LOOK_BACK_DAYS - 1);
        let control = &services.control;
        Ok(Self {
            now,
            buildings: control.buildings()?,
            subnets: control.subnets()?,
            agents: control.agents()?,
            paths: services.telemetry.paths(None)?,
            incidents: control.incidents(false)?,
            days: control.days(building, from, add_days(today, 1))?,
        })
    }

    /// How each building stands, by name.
    pub(crate) fn states(&self) -> Vec<BuildingState> {
        let mut days: HashMap<BuildingId, Vec<&DaySummary>> = HashMap::new();
        for day in &self.days {
            days.entry(day.building).or_default().push(day);
        }
        let newest = self.newest();
        let state = |building: &Building| {
            let days = days.get(&building.id).map_or(&[][..], Vec::as_slice);
            self.state(building, days, &newest)
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

    /// The beginning of each agent's newest window.
    pub(crate) fn newest(&self) -> HashMap<AgentId, UtcMicros> {
        let mut newest: HashMap<AgentId, UtcMicros> = HashMap::new();
        for path in &self.paths {
            let of_agent = newest.entry(path.agent).or_insert(path.newest);
            *of_agent = path.newest.max(*of_agent);
        }
        newest
    }

    fn state(
        &self,
        building: &Building,
        days: &[&DaySummary],
        newest: &HashMap<AgentId, UtcMicros>,
    ) -> BuildingState {
        let agents: Vec<&AgentRow> =
            self.agents.iter().filter(|agent| lives_in(agent, building.id)).collect();
        let views = day_views(days);
        let today = date_in(self.now, &zone_of(building));
        let observed: Vec<&DaySummary> = views
            .values()
            .rev()
            .filter(|day| day.verdict.is_observed())
            .take(OBSERVED_DAYS)
            .copied()
            .collect();
        let incident = self
            .incidents
            .iter()
            .filter(|incident| incident.building == building.id)
            .min_by(|a, b| worse_incident(a, b))
            .cloned();
        let last_bad = observed.iter().find(|day| day.verdict.is_bad()).copied();
        let (bad_days, observed_days) = match &incident {
            Some(incident) => (incident.bad_days, incident.observed_days),
            None => {
                let bad = observed.iter().filter(|day| day.verdict.is_bad()).count();
                (bad as u32, observed.len() as u32)
            }
        };
        let fresh = is_fresh(building, &views, today);
        let standing = standing(incident.as_ref(), &observed, fresh, today);
        BuildingState {
            standing,
            evidence: evidence(incident.as_ref(), last_bad),
            incident,
            bad_days,
            observed_days,
            subnets: self.subnets.iter().filter(|subnet| subnet.building == building.id).count(),
            agents: agents.len(),
            simulated: agents.iter().any(|agent| agent.simulated),
            coverage: coverage(days, today),
            newest: agents.iter().filter_map(|agent| newest.get(&agent.id)).max().copied(),
            unknown_because: unknown_because(building, agents.len()).or_else(|| {
                let lost = standing == Standing::Unknown && observed_days > 0;
                lost.then_some("its last business day was not observed")
            }),
            strip: strip(&views, today),
            building: building.clone(),
        }
    }
}

/// How one building stands.
#[derive(Debug, Clone)]
pub(crate) struct BuildingState {
    pub(crate) building: Building,
    pub(crate) standing: Standing,
    /// The worst incident that is not closed.
    pub(crate) incident: Option<Incident>,
    /// What its last bad day rests on.
    pub(crate) evidence: Option<Evidence>,
    pub(crate) bad_days: u32,
    pub(crate) observed_days: u32,
    pub(crate) subnets: usize,
    pub(crate) agents: usize,
    pub(crate) simulated: bool,
    /// Observed share of the business hours' windows of the last week.
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
    pub(crate) scope: Scope,
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
            scope: day.scope,
            date: day.date,
            worst: day.worst_hour,
            average: day.average,
            masked: day.masked,
            factor: day.masking_factor,
        }
    }
}

impl BuildingState {
    fn rank(&self) -> Rank<'_> {
        let worst = self.evidence.as_ref().and_then(|evidence| evidence.worst);
        Rank {
            standing: self.standing,
            masked: self.evidence.as_ref().is_some_and(|evidence| evidence.masked),
            whole: self
                .evidence
                .as_ref()
                .is_some_and(|evidence| matches!(evidence.scope, Scope::Building(_))),
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

fn worse_incident(a: &Incident, b: &Incident) -> Ordering {
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
    let is_business = |date: &Date| hours.is_none_or(|hours| hours.is_business_day(date.weekday()));
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

fn evidence(incident: Option<&Incident>, last_bad: Option<&DaySummary>) -> Option<Evidence> {
    if let Some(incident) = incident {
        return Some(Evidence {
            scope: incident.scope,
            date: incident.last_bad,
            worst: incident.worst_hour,
            average: incident.average,
            masked: incident.masked,
            factor: incident.masking_factor,
        });
    }
    last_bad.map(Evidence::of)
}

/// Observed over expected windows of business hours in the last week, the building's own figures.
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

fn strip(views: &BTreeMap<Date, &DaySummary>, today: Date) -> Vec<DayMark> {
    let mark = |back: i64| {
        let date = add_days(today, -back);
        day_mark(date, views.get(&date).copied())
    };
    (0..STRIP_DAYS).rev().map(mark).collect()
}

/// How a day is drawn; a day without a summary is unknown.
fn day_mark(date: Date, day: Option<&DaySummary>) -> DayMark {
    let shape = match day.map(|day| (day.verdict, day.expected)) {
        Some((DayVerdict::Good, _)) => DayShape::Good,
        Some((DayVerdict::PeakBad, _)) => DayShape::PeakBad,
        Some((DayVerdict::AllDayBad, _)) => DayShape::AllDayBad,
        Some((DayVerdict::Missing, 0)) => DayShape::Closed,
        Some((DayVerdict::Missing, _)) | None => DayShape::Unknown,
    };
    let masked = day.is_some_and(|day| day.verdict.is_bad() && day.masked);
    let note = if masked { "hidden by the daily average" } else { "" };
    DayMark { date, shape, note: note.to_owned() }
}

#[cfg(test)]
mod tests;
