//! The life of a building's incidents: opened once when something recurs, kept while it does,
//! closed when its own hours have been quiet.

mod timeline;

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{
    AgentId, BuildingId, DaySummary, Incident, IncidentId, IncidentState, LinkKind, Scope,
    SubnetId, UtcMicros,
};
use jiff::ToSpan as _;
use jiff::civil::Date;

use self::timeline::Timeline;
use crate::place::{Place, Unit, places};
use crate::quarters::Quarters;

/// How many calendar days of summaries [`judge_incidents`] wants, today included: enough to say
/// since when.
pub const INCIDENT_HISTORY_DAYS: i32 = 90;

/// Something recurs when 3 of the last 5 observed business days are bad at overlapping hours.
const RECURS: usize = 3;
const OBSERVED_DAYS: usize = 5;
/// Observed days are looked for so many calendar days back; missing ones are skipped.
const LOOK_BACK_DAYS: i32 = 20;
/// An incident is over when at most one of the last five observed days touches its hours.
const OVER_TOUCHES: usize = 1;
/// Nothing is opened for what was last seen longer ago than this (calendar days).
const CURRENT_DAYS: i32 = 7;
/// What closed and comes back within this time (calendar days) is the same incident.
const REOPEN_MICROS: i64 = 21 * 24 * 3600 * 1_000_000;

/// An agent that is or was in a subnet of the building; one for each subnet it was ever in, so that
/// its past is known for what it is after it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The agent.
    pub agent: AgentId,
    /// Its subnet.
    pub subnet: SubnetId,
    /// It sends simulated data.
    pub simulated: bool,
}

/// What people call a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetName {
    /// The subnet.
    pub subnet: SubnetId,
    /// Such as `Level 12 (192.168.120.0/24)`.
    pub name: String,
}

/// A building's recent past.
#[derive(Debug, Clone, Copy)]
pub struct BuildingHistory<'a> {
    /// The building.
    pub building: BuildingId,
    /// Its name.
    pub name: &'a str,
    /// The names of its subnets in force; nothing recurs in others.
    pub subnets: &'a [SubnetName],
    /// Its agents, past ones included. What rests on an agent that is not among them counts as
    /// simulated: an alert that should not leave the machine never does.
    pub members: &'a [Member],
    /// The building's local date.
    pub today: Date,
    /// When this is judged.
    pub now: UtcMicros,
    /// The verdicts of the last [`INCIDENT_HISTORY_DAYS`] on its agents and subnets, in any order.
    pub days: &'a [DaySummary],
    /// Its incidents, closed ones included.
    pub incidents: &'a [Incident],
}

/// What somebody should be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The incident was opened, or opened again.
    Opened,
    /// The incident is over.
    Closed,
}

/// An incident that is new or changed.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentChange {
    /// The incident as it is now.
    pub incident: Incident,
    /// What to tell; `None` when only its figures changed.
    pub told: Option<Told>,
}

/// Moves a building's incidents on. Judging the same history again changes nothing.
///
/// An incident keeps its identity when more becomes known of where it is: a subnet's that turns out
/// to be the building's stays the same one. What is not current is not opened.
#[must_use]
pub fn judge_incidents(history: &BuildingHistory<'_>) -> Vec<IncidentChange> {
    let found = places(&recurring_hours(history));
    let mut matched: BTreeSet<IncidentId> = BTreeSet::new();
    let mut changes = Vec::new();
    for place in &found {
        let known = known_incident(history, place, &matched);
        matched.extend(known.map(|incident| incident.id));
        changes.extend(continue_or_open(history, place, known));
    }
    let unmatched = history.incidents.iter().filter(|incident| {
        incident.state != IncidentState::Closed && !matched.contains(&incident.id)
    });
    for incident in unmatched {
        changes.extend(settle(history, incident, &found));
    }
    changes.retain(|change| !history.incidents.contains(&change.incident));
    changes
}

/// For each unit that was observed often enough: the hours at which it recurs, none when it does
/// not.
fn recurring_hours(history: &BuildingHistory<'_>) -> BTreeMap<Unit, Quarters> {
    let mut units: BTreeMap<Unit, Vec<&DaySummary>> = BTreeMap::new();
    let in_force = |subnet| history.subnets.iter().any(|named| named.subnet == subnet);
    for day in observed_since(history, LOOK_BACK_DAYS) {
        if let Scope::Subnet(subnet, link) = day.scope
            && in_force(subnet)
        {
            units.entry((subnet, link)).or_default().push(day);
        }
    }
    units
        .into_iter()
        .filter_map(|(unit, mut days)| {
            days.sort_by_key(|day| std::cmp::Reverse(day.date));
            days.truncate(OBSERVED_DAYS);
            let bad: Vec<Quarters> = days
                .iter()
                .filter(|day| day.verdict.is_bad())
                .map(|day| Quarters::from_minutes(&day.bad_quarters))
                .collect();
            (days.len() >= RECURS).then(|| (unit, common_hours(&bad)))
        })
        .collect()
}

/// The hours that recur in the bad days given; none when they do not.
///
/// A quarter-hour recurs when it was bad on one of the days and something within 45 minutes of it
/// was on enough others: one side is dilated, never both, so that nothing is named at which nothing
/// was bad. Of each stretch that recurs, what was bad twice is named where there is such.
fn common_hours(bad: &[Quarters]) -> Quarters {
    let near: Vec<Quarters> = bad.iter().map(|hours| hours.dilated()).collect();
    let twice = Quarters::in_at_least(bad, 2);
    let recurring = Quarters::in_at_least(&near, RECURS).and(Quarters::in_at_least(bad, 1));
    recurring.stretches().into_iter().fold(Quarters::default(), |hours, stretch| {
        let core = stretch.and(twice);
        hours.or(if core.is_empty() { stretch } else { core })
    })
}

fn observed_since<'a>(
    history: &BuildingHistory<'a>,
    days: i32,
) -> impl Iterator<Item = &'a DaySummary> + use<'a> {
    let from = history.today.saturating_sub((days - 1).days());
    let until = history.today;
    history
        .days
        .iter()
        .filter(move |day| (from..=until).contains(&day.date) && day.verdict.is_observed())
}

/// The incident that a place continues: the one of the very same place first, else one whose place
/// contains it or lies within it; the oldest of several.
fn known_incident<'a>(
    history: &BuildingHistory<'a>,
    place: &Place,
    matched: &BTreeSet<IncidentId>,
) -> Option<&'a Incident> {
    let same = |incident: &Incident| (incident.subnet, incident.link) == (place.subnet, place.link);
    history
        .incidents
        .iter()
        .filter(|incident| !matched.contains(&incident.id))
        .filter(|incident| hours_of(incident).overlaps(place.hours))
        .filter(|incident| match incident.closed {
            Some(closed) => same(incident) && history.now.since(closed) <= REOPEN_MICROS,
            None => same(incident) || contains(place, incident) || is_within(place, incident),
        })
        .min_by_key(|incident| {
            let closed = incident.state == IncidentState::Closed;
            (closed, !same(incident), incident.opened, incident.id)
        })
}

/// True when the place holds all of the incident's.
fn contains(place: &Place, incident: &Incident) -> bool {
    place.subnet.is_none_or(|subnet| Some(subnet) == incident.subnet)
        && place.link.is_none_or(|link| Some(link) == incident.link)
}

/// True when the incident's place holds all of this one.
fn is_within(place: &Place, incident: &Incident) -> bool {
    incident.subnet.is_none_or(|subnet| Some(subnet) == place.subnet)
        && incident.link.is_none_or(|link| Some(link) == place.link)
}

fn hours_of(incident: &Incident) -> Quarters {
    Quarters::between(incident.from_minute, incident.until_minute)
}

/// What recurs at a place is an open incident, new or known.
fn continue_or_open(
    history: &BuildingHistory<'_>,
    place: &Place,
    known: Option<&Incident>,
) -> Option<IncidentChange> {
    let timeline = Timeline::of(history, place);
    let last_bad = timeline.last_bad()?.date;
    let was_open = known.is_some_and(|incident| incident.state != IncidentState::Closed);
    let oldest = history.today.saturating_sub(CURRENT_DAYS.days());
    if !was_open && last_bad < oldest {
        return None;
    }
    let opened = match known {
        Some(incident) if was_open => incident.opened,
        _ => history.now,
    };
    let identity = known.map_or_else(|| derive_id(history, place), |incident| incident.id);
    let (from_minute, until_minute) = place.hours.longest_stretch()?;
    let mut incident = Incident {
        id: identity,
        scope: timeline.scope(),
        building: history.building,
        subnet: place.subnet,
        link: place.link,
        state: IncidentState::Open,
        opened,
        closed: None,
        first_bad: timeline.first_bad(),
        last_bad,
        from_minute,
        until_minute,
        bad_days: 0,
        observed_days: 0,
        worst_hour: None,
        average: None,
        masked: false,
        masking_factor: None,
        sentence: String::new(),
        simulated: timeline.is_simulated(),
    };
    if let Some(known) = known.filter(|_| was_open) {
        incident.first_bad = incident.first_bad.min(known.first_bad);
        incident.simulated |= known.simulated;
    }
    timeline.describe(&mut incident);
    Some(IncidentChange { incident, told: (!was_open).then_some(Told::Opened) })
}

/// What no longer recurs recovers and closes; what lies within a wider place is part of that now.
fn settle(
    history: &BuildingHistory<'_>,
    incident: &Incident,
    found: &[Place],
) -> Option<IncidentChange> {
    let mut incident = incident.clone();
    let hours = hours_of(&incident);
    if found.iter().any(|place| contains(place, &incident) && place.hours.overlaps(hours)) {
        incident.state = IncidentState::Closed;
        incident.closed = Some(history.now);
        return Some(IncidentChange { incident, told: None });
    }
    let place = Place { subnet: incident.subnet, link: incident.link, hours };
    let timeline = Timeline::of(history, &place);
    let window = timeline.window();
    if window.len() < OBSERVED_DAYS {
        return None;
    }
    let touches = window.iter().filter(|day| day.bad.is_some()).count();
    incident.state = match touches {
        RECURS.. => IncidentState::Open,
        touches if touches <= OVER_TOUCHES => IncidentState::Closed,
        _ => IncidentState::Recovering,
    };
    let over = incident.state == IncidentState::Closed;
    incident.closed = over.then_some(history.now);
    incident.last_bad = timeline.last_bad().map_or(incident.last_bad, |day| day.date);
    timeline.describe(&mut incident);
    Some(IncidentChange { incident, told: over.then_some(Told::Closed) })
}

/// Closes an incident whose subnet or building is no longer in the building file: nobody will ever
/// see it better.
#[must_use]
pub fn retire_incident(incident: &Incident, now: UtcMicros) -> IncidentChange {
    let mut incident = incident.clone();
    incident.state = IncidentState::Closed;
    incident.closed = Some(now);
    incident.sentence.push_str(" It is no longer in the building file and no longer watched.");
    IncidentChange { incident, told: Some(Told::Closed) }
}

/// Derived, so that judging again after a crash gives the same identity: FNV-1a over what the
/// incident is about and when it was opened.
fn derive_id(history: &BuildingHistory<'_>, place: &Place) -> IncidentId {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let subnet = place.subnet.map_or([0; 16], SubnetId::to_bytes);
    let link = place.link.map_or("", LinkKind::as_str);
    let bits = history
        .building
        .to_bytes()
        .into_iter()
        .chain(subnet)
        .chain(history.now.0.to_be_bytes())
        .chain(link.bytes())
        .chain(place.hours.minutes().into_iter().flat_map(u16::to_be_bytes))
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    IncidentId::from_u128(bits)
}
