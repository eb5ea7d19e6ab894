//! What happened on a day, for whoever looks every morning.

mod digest;

use std::collections::HashMap;

use busyhour_model::{
    AgentId, BuildingId, Change, DailyAverage, Incident, SeverityClass, UtcMicros,
};
use jiff::civil::Date;

use crate::period::Period;
use crate::tally::{Tally, WorstOf};
use crate::world::World;

pub(crate) use self::digest::notes;

/// Whoever delivered nothing for so long before the digest was made is silent: a day.
const SILENT_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// A day of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct DailyDigest {
    /// The day.
    pub period: Period,
    /// What happened to incidents, what opened first.
    pub events: Vec<Event>,
    /// Incidents that are open besides, from before, and to which nothing happened.
    pub open_before: usize,
    /// Buildings with a bad busy hour, the worst first.
    pub bad: Vec<DayOfBuilding>,
    /// All buildings together.
    pub all: Tally,
    /// How many buildings there are, and how many had a good day.
    pub buildings: (usize, usize),
    /// How many of them do not work on this day, and were not observed.
    pub closed: usize,
    /// Buildings of which too little is known.
    pub silent: Vec<SilentBuilding>,
    /// Simulated agents are among those that measure.
    pub simulated: bool,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// It opened, for the first time or again.
    Opened,
    /// It has been better lately.
    Recovering,
    /// It is over.
    Closed,
    /// Nobody observed it for ten working days.
    Stale,
}

impl EventKind {
    /// The word used in JSON, CSV and texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Recovering => "recovering",
            Self::Closed => "closed",
            Self::Stale => "not observed lately",
        }
    }
}

/// An incident to which something happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Its number.
    pub number: u64,
    /// Where it is, in words.
    pub place: String,
    /// How bad its worst hours are.
    pub severity: SeverityClass,
    /// Who must act; `None` where nobody told.
    pub owner: Option<String>,
    /// It rests on simulated agents.
    pub simulated: bool,
    /// What it is, in one sentence.
    pub sentence: String,
}

/// A building's bad day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayOfBuilding {
    /// The building.
    pub building: BuildingId,
    /// Its name.
    pub name: String,
    /// One of its agents is simulated.
    pub simulated: bool,
    /// The day's counts.
    pub day: Tally,
    /// The worst busy hour.
    pub worst: Option<WorstOf>,
    /// The plain average of the day.
    pub average: Option<DailyAverage>,
}

/// A building of which too little is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SilentBuilding {
    /// The building.
    pub building: BuildingId,
    /// Its name.
    pub name: String,
    /// One of its agents is simulated.
    pub simulated: bool,
    /// Agents that live in it.
    pub agents: usize,
    /// Those of them that delivered nothing for a day before the digest was made.
    pub silent_agents: usize,
    /// The observed share of its busy hours' windows, 0..=1; `None` when none should exist.
    pub coverage: Option<f64>,
    /// Why nothing is known.
    pub because: &'static str,
}

impl DailyDigest {
    /// Works the day out.
    #[must_use]
    pub fn new(world: &World, period: Period) -> Self {
        let date = period.first();
        let mut events: Vec<Event> =
            world.told().filter_map(|incident| Event::of(world, incident, date)).collect();
        events.sort_by(|a, b| a.kind.cmp(&b.kind).then(a.number.cmp(&b.number)));
        let open_before = world.told().filter(|incident| {
            let opened = incident.opened_on.is_some_and(|opened| opened < date);
            opened
                && incident.closed_on.is_none_or(|closed| closed > date)
                && Event::of(world, incident, date).is_none()
        });
        let mut digest = Self {
            period,
            open_before: open_before.count(),
            events,
            bad: Vec::new(),
            all: Tally::default(),
            buildings: (world.buildings.len(), 0),
            closed: 0,
            silent: Vec::new(),
            simulated: false,
        };
        digest.look(world, date);
        digest
    }

    fn look(&mut self, world: &World, date: Date) {
        let (residents, newest) = (world.residents(), newest(world));
        for building in &world.buildings {
            let agents = residents.get(&building.id).map_or(&[][..], Vec::as_slice);
            let simulated = agents.iter().any(|agent| agent.simulated);
            self.simulated |= simulated;
            let days = || world.building_days(building.id, date, date);
            let day = Tally::of(days());
            self.all.join(&day);
            if day.bad > 0 {
                self.bad.push(DayOfBuilding {
                    building: building.id,
                    name: building.name.clone(),
                    simulated,
                    day,
                    worst: WorstOf::of(days()),
                    average: days().next().and_then(|day| day.average),
                });
            } else if day.observed > 0 {
                self.buildings.1 += 1;
            }
            let silent = |agent: &&&busyhour_store::AgentRow| {
                newest.get(&agent.id).is_none_or(|newest| world.now.since(*newest) > SILENT_MICROS)
            };
            let silent_agents = agents.iter().filter(silent).count();
            let works = building
                .business_hours
                .as_ref()
                .is_none_or(|hours| hours.is_business_day(date.weekday()))
                && !building.holidays.contains(&date);
            self.closed += usize::from(!works && day.observed == 0);
            let because = match (agents.len(), day.observed) {
                (0, _) => "no agent lives here",
                (all, _) if silent_agents == all => "no agent delivers",
                _ if building.time_zone.is_none() => "nobody told its time zone",
                _ if building.business_hours.is_none() => "nobody told its business hours",
                (_, 0) if works => "too little was observed",
                _ if silent_agents > 0 => "some agents do not deliver",
                _ => continue,
            };
            self.silent.push(SilentBuilding {
                building: building.id,
                name: building.name.clone(),
                simulated,
                agents: agents.len(),
                silent_agents,
                coverage: day.coverage(),
                because,
            });
        }
        let share = |bad: &DayOfBuilding| bad.worst.map_or(0.0, |worst| worst.share());
        self.bad.sort_by(|a, b| {
            let masked = |bad: &DayOfBuilding| bad.day.masked;
            masked(b).cmp(&masked(a)).then(share(b).total_cmp(&share(a)))
        });
    }
}

impl Event {
    fn of(world: &World, incident: &Incident, date: Date) -> Option<Self> {
        let changed = |change| incident.change == change && incident.changed == date;
        let kind = if incident.closed_on == Some(date) {
            EventKind::Closed
        } else if incident.opened_on == Some(date) {
            EventKind::Opened
        } else if changed(Change::Recovering) {
            EventKind::Recovering
        } else if changed(Change::Stale) {
            EventKind::Stale
        } else {
            return None;
        };
        Some(Self {
            kind,
            number: incident.number,
            place: world.place(incident),
            severity: SeverityClass::of(incident.severity),
            owner: world.owner(incident),
            simulated: incident.simulated,
            sentence: incident.sentence.clone(),
        })
    }
}

/// The beginning of each agent's newest window.
fn newest(world: &World) -> HashMap<AgentId, UtcMicros> {
    let mut newest: HashMap<AgentId, UtcMicros> = HashMap::new();
    for path in &world.paths {
        let of_agent = newest.entry(path.agent).or_insert(path.newest);
        *of_agent = path.newest.max(*of_agent);
    }
    newest
}
