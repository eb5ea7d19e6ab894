//! Findings of the engine, and the incidents that are kept of them: the same thing by numbers and by
//! identities.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_detect::{Finding, Place, Quarters};
use busyhour_model::{
    BuildingId, Change, DaySummary, FindingKind, Incident, IncidentId, IncidentMember,
    IncidentPlace, IncidentState, Placement, Scope, UtcMicros,
};
use busyhour_store::{Control, IncidentEvent, JudgeWrite, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::directory::Directory;
use crate::inventory::{Inventory, Lost};

const QUARTER_MINUTES: u16 = 15;
const HOUR_MINUTES: u16 = 60;
/// An incident is simulated unless so much of it is real, in hundredths: as much as makes a place.
const REAL_PERCENT: usize = 80;
/// Bad days back that the worst hour is looked for in: the last on which that is one of the incident's.
const WORST_OF_DAYS: usize = 5;

/// The finding that an incident was made of. Series that are judged no longer are left out. `None`
/// when none is left, and when its place is none that is judged.
pub(crate) fn finding_of(
    incident: &Incident,
    directory: &mut Directory,
    inventory: &Inventory,
) -> Option<Finding> {
    let home = directory.building_no(incident.building)?;
    let members = incident.members.iter().filter_map(|member| {
        let row = inventory.path(member.path)?;
        let (subnet, building) = (member.subnet, member.building);
        let there =
            Placement { agent: row.agent, subnet, building, from: incident.noted, until: None };
        directory.series_of(row, &there, inventory)
    });
    let mut members: Vec<_> = members.collect();
    if members.is_empty() && !incident.members.is_empty() {
        return None;
    }
    members.sort_unstable();
    members.dedup();
    let spans = incident
        .hours
        .iter()
        .flat_map(|&(from, until)| (from..until).step_by(usize::from(QUARTER_MINUTES)));
    let hours: Vec<u16> = spans.collect();
    Some(Finding {
        id: incident.number,
        kind: incident.kind,
        place: place_of(incident, directory, inventory)?,
        segment: incident.segment,
        home,
        members,
        siblings: incident.siblings,
        hours: Quarters::from_minutes(&hours),
        state: incident.state,
        change: incident.change,
        changed: incident.changed,
        merged_into: incident.merged_into,
        stale: incident.stale,
        first_bad: incident.first_bad,
        last_bad: incident.last_bad,
        bad_days: incident.bad_days.clone(),
        observed_days: incident.observed_days.clone(),
        opened: incident.opened_on,
        closed: incident.closed_on,
        openings: incident.openings,
        severity: incident.severity,
        confidence: incident.confidence,
        cause: incident.cause,
        cause_confidence: incident.cause_confidence,
        mechanism: incident.mechanism,
        evidence: incident.evidence.clone(),
        sentence: incident.sentence.clone(),
        paragraph: incident.paragraph.clone(),
    })
}

fn place_of(
    incident: &Incident,
    directory: &mut Directory,
    inventory: &Inventory,
) -> Option<Place> {
    Some(match &incident.place {
        IncidentPlace::Upstream(name) => Place::Upstream(directory.upstream_no(name)),
        IncidentPlace::Vpn(name) => Place::Vpn(directory.upstream_no(name)),
        IncidentPlace::Target(name) => Place::Target(directory.target_no(name)),
        IncidentPlace::Building(id) => Place::Building(directory.building_no(*id)?),
        IncidentPlace::Link(id, link) => Place::Link(directory.building_no(*id)?, *link),
        IncidentPlace::Subnet(id, link) => {
            let building = inventory.subnets.get(id)?.building;
            let building = directory.building_no(building)?;
            Place::Subnet(directory.subnet_no(building, *id)?, *link)
        }
        IncidentPlace::Agent(id) => Place::Agent(directory.agent_no(*id)?),
        IncidentPlace::Unplaced(id) => Place::Unplaced(directory.building_no(*id)?),
    })
}

/// The incident of a finding, with the moments and figures of what it was before. `None` for numbers
/// that stand for nothing.
pub(crate) fn incident_of(
    finding: &Finding,
    directory: &Directory,
    before: Option<&Incident>,
    now: UtcMicros,
) -> Option<Incident> {
    let building = directory.building_id(finding.home)?;
    // The moments of the same opening, if it was opened before.
    let same = before.filter(|incident| incident.openings == finding.openings);
    let opened = match same.and_then(|incident| incident.opened) {
        Some(opened) => Some(opened),
        None => (finding.openings > 0).then_some(now),
    };
    let is_closed = finding.state == IncidentState::Closed;
    let closed_before = same.and_then(|incident| incident.closed);
    let members: Vec<IncidentMember> =
        finding.members.iter().filter_map(|&no| member(directory, no)).collect();
    let worst = before.filter(|_| has_worst_hour(finding.kind));
    Some(Incident {
        id: before.map_or_else(|| derive_id(building, finding.id, now), |before| before.id),
        number: finding.id,
        kind: finding.kind,
        place: incident_place(finding.place, directory)?,
        segment: finding.segment,
        building,
        members,
        siblings: finding.siblings,
        hours: runs(&finding.hours.minutes()),
        state: finding.state,
        change: finding.change,
        changed: finding.changed,
        merged_into: finding.merged_into,
        stale: finding.stale,
        first_bad: finding.first_bad,
        last_bad: finding.last_bad,
        bad_days: latest(&finding.bad_days),
        observed_days: latest(&finding.observed_days),
        opened_on: finding.opened,
        closed_on: finding.closed,
        noted: before.map_or(now, |before| before.noted),
        opened,
        closed: is_closed.then(|| closed_before.unwrap_or(now)),
        openings: finding.openings,
        severity: finding.severity,
        confidence: finding.confidence,
        cause: finding.cause,
        cause_confidence: finding.cause_confidence,
        mechanism: finding.mechanism,
        evidence: finding.evidence.clone(),
        worst_hour: worst.and_then(|before| before.worst_hour),
        worst_on: worst.and_then(|before| before.worst_on),
        average: worst.and_then(|before| before.average),
        masked: worst.is_some_and(|before| before.masked),
        masking_factor: worst.and_then(|before| before.masking_factor),
        sentence: finding.sentence.clone(),
        paragraph: finding.paragraph.clone(),
        simulated: rests_on_simulated(finding, directory),
    })
}

/// True when an incident would not be without simulated agents: when less of it is real than makes a
/// place. One that nobody knows counts as simulated: what should not leave the machine never does.
fn rests_on_simulated(finding: &Finding, directory: &Directory) -> bool {
    let is_real = |no| directory.fleet.info(no).is_some_and(|info| !info.simulated);
    let real = finding.members.iter().filter(|&&no| is_real(no)).count();
    real == 0 || real * 100 < finding.members.len() * REAL_PERCENT
}

/// True for kinds that are bad at the same busy hours again, so that the worst of them says something.
/// The others show in round trips alone, were once, or are no path's.
pub(crate) const fn has_worst_hour(kind: FindingKind) -> bool {
    match kind {
        FindingKind::RecurringPeak | FindingKind::WeeklyPattern | FindingKind::ConstantFault => {
            true
        }
        FindingKind::OneOff
        | FindingKind::TargetFault
        | FindingKind::LevelShift
        | FindingKind::EarlyWarning
        | FindingKind::Drift => false,
    }
}

fn member(directory: &Directory, no: busyhour_detect::SeriesNo) -> Option<IncidentMember> {
    let key = directory.key(no)?;
    Some(IncidentMember {
        path: key.path,
        building: directory.building_id(key.building)?,
        subnet: directory.subnet_id(key.subnet)?,
    })
}

fn incident_place(place: Place, directory: &Directory) -> Option<IncidentPlace> {
    Some(match place {
        Place::Upstream(no) => IncidentPlace::Upstream(directory.upstream(no)?.clone()),
        Place::Vpn(no) => IncidentPlace::Vpn(directory.upstream(no)?.clone()),
        Place::Target(no) => IncidentPlace::Target(directory.target(no)?.clone()),
        Place::Building(no) => IncidentPlace::Building(directory.building_id(no)?),
        Place::Link(no, link) => IncidentPlace::Link(directory.building_id(no)?, link),
        Place::Subnet(no, link) => IncidentPlace::Subnet(directory.subnet_id(no)?, link),
        Place::Agent(no) => IncidentPlace::Agent(directory.agent_id(no)?),
        Place::Unplaced(no) => IncidentPlace::Unplaced(directory.building_id(no)?),
    })
}

/// Quarter-hours, ascending, as stretches without holes, half open.
fn runs(minutes: &[u16]) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &minute in minutes {
        match runs.last_mut() {
            Some((_, until)) if *until == minute => *until = minute + QUARTER_MINUTES,
            _ => runs.push((minute, minute + QUARTER_MINUTES)),
        }
    }
    runs
}

fn latest(dates: &[Date]) -> Vec<Date> {
    dates.iter().skip(dates.len().saturating_sub(Incident::KEPT_DATES)).copied().collect()
}

/// Derived, so that judging again after a crash gives the same identity: FNV-1a over where and when
/// the incident was first noted, and its number.
fn derive_id(building: BuildingId, number: u64, now: UtcMicros) -> IncidentId {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = building.to_bytes().into_iter().chain(number.to_be_bytes());
    let bits = bytes
        .chain(now.0.to_be_bytes())
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    IncidentId::from_u128(bits)
}

/// What somebody is told of an incident that is other than it was: that it is open, that it is over, that it goes
/// on in another.
fn told(before: Option<&Incident>, after: &Incident) -> Option<IncidentEvent> {
    let alerting = |incident: &Incident| incident.kind.alerts() && incident.is_open();
    match (before.is_some_and(alerting), alerting(after)) {
        (false, true) => Some(IncidentEvent::Opened),
        (true, false) if after.state == IncidentState::Closed => match after.merged_into {
            None => Some(IncidentEvent::Closed),
            Some(_) => Some(IncidentEvent::Merged),
        },
        _ => None,
    }
}

/// Until when alerts hold the busy hours of buildings, and held them: the days after the one on which each
/// opened, to the one on which it closed, or was seen last.
#[derive(Default)]
pub(crate) struct HeldHours(BTreeMap<BuildingId, Vec<(Date, Date)>>);

impl HeldHours {
    /// True while an alert is open and seen.
    pub(crate) fn now(&self, building: BuildingId) -> bool {
        self.0.get(&building).is_some_and(|spans| spans.iter().any(|(_, last)| *last == Date::MAX))
    }

    /// True of a date on which one was.
    pub(crate) fn on(&self, building: BuildingId, date: Date) -> bool {
        let is_in = |&(opened, last): &(Date, Date)| opened < date && date <= last;
        self.0.get(&building).is_some_and(|spans| spans.iter().any(is_in))
    }

    /// Takes in an alert that was opened.
    fn add(&mut self, incident: &Incident) {
        let last = match incident.state {
            IncidentState::Closed => incident.closed_on,
            _ if !incident.stale => Some(Date::MAX),
            _ => incident.observed_days.last().copied().max(Some(incident.last_bad)),
        };
        let Some(span) = incident.opened_on.zip(last) else { return };
        for building in incident.buildings() {
            self.0.entry(building).or_default().push(span);
        }
    }
}

/// The incidents that are known, as they are in the store.
#[derive(Default)]
pub(crate) struct Incidents {
    by_number: BTreeMap<u64, Incident>,
}

impl Incidents {
    pub(crate) fn of(known: Vec<Incident>) -> Self {
        Self { by_number: known.into_iter().map(|one| (one.number, one)).collect() }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Incident> {
        self.by_number.values()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Incident> {
        self.by_number.get(&number)
    }

    /// The buildings that an open alert is about: their busy hours do not move while somebody sees it.
    pub(crate) fn frozen(&self) -> BTreeSet<BuildingId> {
        let open = self
            .all()
            .filter(|incident| incident.kind.alerts() && incident.is_open() && !incident.stale);
        open.flat_map(Incident::buildings).collect()
    }

    /// When alerts held the busy hours of buildings, as far back as closed ones are known.
    pub(crate) fn held_hours(&self) -> HeldHours {
        let mut held = HeldHours::default();
        let was_open = |one: &&Incident| {
            one.kind.alerts() && (one.is_open() || one.closed_on.is_some() && one.openings > 0)
        };
        self.all().filter(was_open).for_each(|incident| held.add(incident));
        held
    }

    /// How many of each kind are open.
    pub(crate) fn open_by_kind(&self) -> Vec<(FindingKind, u64)> {
        let count = |kind: FindingKind| {
            let open = self.all().filter(|incident| incident.is_open() && incident.kind == kind);
            open.count() as u64
        };
        FindingKind::ALL.iter().map(|&kind| (kind, count(kind))).collect()
    }

    /// Takes over what was written.
    pub(crate) fn saved(&mut self, written: &[Incident]) {
        for incident in written {
            self.by_number.insert(incident.number, incident.clone());
        }
    }

    /// Forgets what the engine no longer knows and nobody waits for.
    pub(crate) fn retain(&mut self, is_known: impl Fn(u64) -> bool) {
        let closed = |one: &Incident| one.state == IncidentState::Closed;
        self.by_number.retain(|&number, one| !closed(one) || is_known(number));
    }

    /// Notes an incident as it is now, when that is other than it was, and what is to be told of it.
    pub(crate) fn note(&self, write: &mut JudgeWrite, incident: Incident) {
        let before = self.get(incident.number);
        if before == Some(&incident) {
            return;
        }
        write.tell.extend(told(before, &incident).map(|event| (incident.id, event)));
        write.incidents.push(incident);
    }
}

/// Closes an incident that nobody will ever see better, and says why.
pub(crate) fn retired(
    incident: &Incident,
    why: Lost,
    inventory: &Inventory,
    now: UtcMicros,
) -> Incident {
    let site = inventory.sites.get(&incident.building);
    let utc = || jiff::Timestamp::from_microsecond(now.0).unwrap_or_default();
    let today = site.map_or_else(|| utc().to_zoned(TimeZone::UTC).date(), |site| site.today(now));
    let mut incident = incident.clone();
    incident.state = IncidentState::Closed;
    incident.change = Change::Gone;
    incident.changed = today;
    incident.closed = Some(now);
    incident.closed_on = Some(today);
    incident.sentence.push(' ');
    incident.sentence.push_str(why.words());
    incident
}

/// The verdicts of a round, which are not in the store yet, by local day.
pub(crate) struct Fresh<'a>(BTreeMap<(Date, BuildingId), &'a [DaySummary]>);

impl<'a> Fresh<'a> {
    /// Those of a building's day are neighbours.
    pub(crate) fn of(days: &'a [DaySummary]) -> Self {
        let of = |day: &DaySummary| (day.date, day.building);
        let own = days.chunk_by(|a, b| of(a) == of(b));
        Self(own.filter_map(|own| Some((of(own.first()?), own))).collect())
    }

    pub(crate) fn has(&self, day: (Date, BuildingId)) -> bool {
        self.0.contains_key(&day)
    }

    fn of_day(&self, day: (Date, BuildingId)) -> &'a [DaySummary] {
        self.0.get(&day).copied().unwrap_or_default()
    }
}

/// Reads the worst hour of an incident's last bad day, of the path that suffered most in its hours, and
/// the plain daily average beside it; of an earlier bad day where the worst hour of the last was none
/// of the incident's on any path.
pub(crate) fn describe_worst(
    incident: &mut Incident,
    inventory: &Inventory,
    control: &dyn Control,
    fresh: &Fresh<'_>,
) -> Result<(), StoreError> {
    let mut dates: BTreeSet<Date> = incident.bad_days.iter().copied().collect();
    dates.insert(incident.last_bad);
    let mut found = None;
    for &date in dates.iter().rev().take(WORST_OF_DAYS) {
        found = worst_on(incident, date, inventory, control, fresh)?;
        if found.is_some() {
            break;
        }
    }
    incident.worst_hour = found.as_ref().and_then(|day| day.worst_hour);
    incident.worst_on = found.as_ref().map(|day| day.date);
    incident.average = found.as_ref().and_then(|day| day.average);
    incident.masked = found.as_ref().is_some_and(|day| day.masked);
    incident.masking_factor = found.and_then(|day| day.masking_factor);
    Ok(())
}

/// The verdict of the path that suffered most in the incident's hours of a date.
fn worst_on(
    incident: &Incident,
    date: Date,
    inventory: &Inventory,
    control: &dyn Control,
    fresh: &Fresh<'_>,
) -> Result<Option<DaySummary>, StoreError> {
    let mut days: BTreeMap<(BuildingId, Scope), DaySummary> = BTreeMap::new();
    for building in incident.buildings() {
        let known = control.days(Some(building), date, date)?;
        let fresh = fresh.of_day((date, building)).iter();
        days.extend(known.iter().chain(fresh).map(|day| ((building, day.scope), day.clone())));
    }
    let of_members = incident.members.iter();
    let worst = of_members
        .filter_map(|member| days.get(&(member.building, Scope::Path(member.path))))
        .filter(|day| is_at_its_hours(day, incident, inventory))
        .max_by(|a, b| rank(a).cmp(&rank(b)).then(b.scope.cmp(&a.scope)));
    Ok(worst.cloned())
}

/// True when the worst hour of a day is one of the incident's, on the clock of the incident's own
/// building; a constant fault has all hours.
fn is_at_its_hours(day: &DaySummary, incident: &Incident, inventory: &Inventory) -> bool {
    let Some(worst) = day.worst_hour else { return false };
    if incident.kind == FindingKind::ConstantFault {
        return true;
    }
    let zone = |building| inventory.sites.get(&building).map(|judged| &judged.site.zone);
    let begins = match (zone(day.building), zone(incident.building)) {
        (Some(there), Some(home)) if there != home => {
            minute_at_home(day.date, worst.start_minute, there, home).unwrap_or(worst.start_minute)
        }
        _ => worst.start_minute,
    };
    let ends = begins.saturating_add(HOUR_MINUTES);
    incident.hours.iter().any(|&(from, until)| begins < until && from < ends)
}

/// What the clock shows at home when it shows a minute of a date elsewhere.
fn minute_at_home(date: Date, minute: u16, there: &TimeZone, home: &TimeZone) -> Option<u16> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let moment = there.to_timestamp(date.at(hour, minute, 0, 0)).ok()?;
    let clock = home.to_datetime(moment);
    u16::try_from(i16::from(clock.hour()) * 60 + i16::from(clock.minute())).ok()
}

/// Bad days before others, and by the share of bad windows in the worst hour, in millionths.
fn rank(day: &DaySummary) -> (bool, u64) {
    let share = day.worst_hour.map_or(0, |worst| {
        u64::from(worst.bad).saturating_mul(1_000_000) / u64::from(worst.valid.max(1))
    });
    (day.verdict.is_bad(), share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_runs_without_holes() {
        assert_eq!(runs(&[600, 615, 645, 1425]), [(600, 630), (645, 660), (1425, 1440)]);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn an_hour_elsewhere_is_looked_up_on_the_clock_at_home() {
        let zone = |name| TimeZone::get(name).unwrap();
        let (berlin, london) = (zone("Europe/Berlin"), zone("Europe/London"));
        let date = jiff::civil::date(2026, 3, 3);
        assert_eq!(minute_at_home(date, 600, &london, &berlin), Some(660));
        assert_eq!(minute_at_home(date, 600, &berlin, &london), Some(540));
        assert_eq!(minute_at_home(date, 1_425, &london, &berlin), Some(45), "the next day");
    }

    #[test]
    fn an_identity_follows_from_place_number_and_moment() {
        let id = |building, number, at| {
            derive_id(BuildingId::from_u128(building), number, UtcMicros(at))
        };
        assert_eq!(id(1, 2, 3), id(1, 2, 3));
        let others = [id(2, 2, 3), id(1, 3, 3), id(1, 2, 4)];
        assert!(others.iter().all(|other| *other != id(1, 2, 3)));
    }
}
