//! A building's slots folded into its local time: the hour × weekday map and one day.

use std::collections::{HashMap, HashSet};

use busyhour_chart::{CELLS, MapCell, Percentiles, Quarter};
use busyhour_model::{
    AgentId, Breach, BuildingId, BusinessHours, DailyAverage, Figure, FigureTotals, Incident,
    LimitTable, LinkKind, LocalDay, PathId, Placement, RequirementProfile, SLOT_MICROS, Slot,
    SlotStart, SubnetId, UtcMicros, limits_in_force, local_day_span,
};
use busyhour_store::{Grain, PathRow, SlotDetail, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::scoped::{Scoped, ScopedTelemetry};
use crate::state::add_days;

/// Days that the map folds: four weeks.
pub(crate) const MAP_DAYS: i64 = 28;
/// Paths that are folded for one building; the page says how many more there are.
const MAX_PATHS: usize = 256;
/// The longest local day: 25 hours, and one in reserve.
const MAX_DAY_SLOTS: i64 = 26 * 4;

/// What part of a building is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) building: BuildingId,
    pub(crate) subnet: Option<SubnetId>,
    pub(crate) link: Option<LinkKind>,
}

/// When an agent was in the part: half open.
type Stays = Vec<(UtcMicros, Option<UtcMicros>)>;

/// The judged paths of a part of a building, with the times their agents were in it.
pub(crate) struct Members {
    paths: Vec<PathRow>,
    stays: HashMap<AgentId, Stays>,
    /// Paths that were left out because there are too many.
    pub(crate) left_out: usize,
}

impl Members {
    /// Finds them. Paths that are not judged are not among them: they have no bad windows, and
    /// would make the rest look better.
    pub(crate) fn find(services: &Scoped, part: Part) -> Result<Self, StoreError> {
        let inside = |placement: &Placement| {
            placement.building == part.building
                && part.subnet.is_none_or(|subnet| placement.subnet == subnet)
        };
        let stays = stays(services, inside)?;
        let mut paths = services.telemetry.paths(None)?;
        paths.retain(|path| {
            stays.contains_key(&path.agent)
                && path.requirement != RequirementProfile::None
                && part.link.is_none_or(|link| path.key.link.kind() == link)
        });
        let left_out = paths.len().saturating_sub(MAX_PATHS);
        paths.truncate(MAX_PATHS);
        Ok(Self { paths, stays, left_out })
    }

    /// The paths that suffer in an incident, with the times their agents were where they suffer. Of more
    /// than `at_most` those of `first` are kept before those of the incident's own building.
    pub(crate) fn of_incident(
        services: &Scoped,
        paths: &[PathRow],
        incident: &Incident,
        first: &HashSet<PathId>,
        at_most: usize,
    ) -> Result<Self, StoreError> {
        let mut home: HashMap<PathId, bool> = HashMap::new();
        for member in &incident.members {
            *home.entry(member.path).or_default() |= member.building == incident.building;
        }
        let mut paths: Vec<PathRow> =
            paths.iter().filter(|path| home.contains_key(&path.id)).cloned().collect();
        paths.sort_by_key(|path| (!first.contains(&path.id), !home[&path.id], path.id));
        let left_out = paths.len().saturating_sub(at_most);
        paths.truncate(at_most);
        let agents: HashMap<PathId, AgentId> =
            paths.iter().map(|path| (path.id, path.agent)).collect();
        let places: HashSet<(AgentId, BuildingId, SubnetId)> = incident
            .members
            .iter()
            .filter_map(|member| Some((*agents.get(&member.path)?, member.building, member.subnet)))
            .collect();
        let stays = stays(services, |placement| {
            places.contains(&(placement.agent, placement.building, placement.subnet))
        })?;
        Ok(Self { paths, stays, left_out })
    }

    pub(crate) fn paths(&self) -> &[PathRow] {
        &self.paths
    }

    /// The limits that all of them are judged by at `at`; `None` when they differ.
    pub(crate) fn limits(&self, at: UtcMicros) -> Option<&'static LimitTable> {
        let first = self.paths.first()?.requirement;
        let same = self.paths.iter().all(|path| path.requirement == first);
        same.then(|| limits_in_force(first, at)).flatten()
    }

    /// True when the agent has paths among them.
    pub(crate) fn has(&self, agent: AgentId) -> bool {
        self.paths.iter().any(|path| path.agent == agent)
    }

    pub(crate) fn ids(&self) -> Vec<PathId> {
        self.paths.iter().map(|path| path.id).collect()
    }

    pub(crate) fn rows(&self) -> HashMap<PathId, &PathRow> {
        self.paths.iter().map(|path| (path.id, path)).collect()
    }

    /// True when the agent was there at that moment.
    pub(crate) fn stayed(&self, agent: AgentId, at: UtcMicros) -> bool {
        let held = |&(from, until): &(UtcMicros, Option<UtcMicros>)| {
            from <= at && until.is_none_or(|until| at < until)
        };
        self.stays.get(&agent).is_some_and(|stays| stays.iter().any(held))
    }

    /// Gives every slot in `from..until` whose agent was there, each path's in the order of time.
    fn each_slot(
        &self,
        telemetry: &ScopedTelemetry,
        span: (SlotStart, SlotStart),
        detail: SlotDetail,
        mut take: impl FnMut(&PathRow, &Slot),
    ) -> Result<(), StoreError> {
        let (ids, rows) = (self.ids(), self.rows());
        telemetry.visit_slots(&ids, span, (Grain::Quarter, detail), &mut |id, slot| {
            if let Some(path) =
                rows.get(&id).filter(|row| self.stayed(row.agent, slot.start.start()))
            {
                take(path, slot);
            }
        })
    }
}

/// When agents were where `inside` says.
fn stays(
    services: &Scoped,
    inside: impl Fn(&Placement) -> bool,
) -> Result<HashMap<AgentId, Stays>, StoreError> {
    let mut placements = services.control.placements_anywhere()?;
    placements.sort_by_key(|placement| (placement.agent, placement.from));
    let mut stays: HashMap<AgentId, Stays> = HashMap::new();
    let mut previous = None;
    for placement in &placements {
        // An agent's first placement holds for all time before it.
        let first = previous.replace(placement.agent) != Some(placement.agent);
        let from = if first { UtcMicros(i64::MIN) } else { placement.from };
        if inside(placement) {
            stays.entry(placement.agent).or_default().push((from, placement.until));
        }
    }
    Ok(stays)
}

/// The hour of the local week (0..168) that each slot in `from..until` lies in.
fn hours_of_week(from: SlotStart, until: SlotStart, zone: &TimeZone) -> Vec<usize> {
    let hour = |n| {
        let local = LocalDay::of(SlotStart::from_number(n), zone);
        let weekday = usize::try_from(local.date.weekday().to_monday_zero_offset()).unwrap_or(0);
        weekday * 24 + usize::from(local.minute) / 60
    };
    (from.number()..until.number()).map(hour).collect()
}

/// The local hours of a week over four weeks: how many windows there were, and what they were like.
pub(crate) struct WeekMap {
    pub(crate) cells: [MapCell; CELLS],
    pub(crate) figures: Vec<FigureTotals>,
}

/// Folds the four weeks that end with `last` into the local hours of the week. From its first slot
/// on a path is expected in every quarter-hour, so that silence is missing and not good.
pub(crate) fn week_map(
    services: &Scoped,
    members: &Members,
    zone: &TimeZone,
    last: Date,
) -> Result<WeekMap, StoreError> {
    let mut cells = [MapCell::default(); CELLS];
    let mut figures = vec![FigureTotals::new(); CELLS];
    let first = local_day_span(add_days(last, 1 - MAP_DAYS), zone);
    let Some(((begin, _), (_, end))) = first.zip(local_day_span(last, zone)) else {
        return Ok(WeekMap { cells, figures });
    };
    let from = SlotStart::containing(begin);
    let until = SlotStart::containing(end.min((services.clock)()));
    let hours = hours_of_week(from, until, zone);
    let index = |slot: SlotStart| usize::try_from(slot.number() - from.number()).ok();
    let mut first_seen: HashMap<PathId, (SlotStart, u32, AgentId)> = HashMap::new();
    let telemetry = &services.telemetry;
    let (ids, rows) = (members.ids(), members.rows());
    telemetry.visit_tallies(&ids, (from, until), &mut |day| {
        let Some(path) = rows.get(&day.path) else { return };
        for (start, &(valid, bad)) in (0..).map(|n| day.first.offset(n)).zip(day.slots) {
            let Some(&hour) = index(start).and_then(|at| hours.get(at)) else { continue };
            if valid == 0 || !members.stayed(path.agent, start.start()) {
                continue;
            }
            cells[hour].valid = cells[hour].valid.saturating_add(valid);
            cells[hour].bad = cells[hour].bad.saturating_add(bad);
            let seen = (start, path.windows_per_slot, path.agent);
            let earliest = first_seen.entry(path.id).or_insert(seen);
            earliest.0 = earliest.0.min(start);
        }
    })?;
    telemetry.visit_figures(&ids, (from, until), &mut |id, start, combination, n| {
        let Some(&hour) = index(start).and_then(|at| hours.get(at)) else { return };
        if rows.get(&id).is_some_and(|path| members.stayed(path.agent, start.start())) {
            figures[hour].add_combination(combination, n);
        }
    })?;
    for (start, windows_per_slot, agent) in first_seen.into_values() {
        for number in start.number()..until.number() {
            let slot = SlotStart::from_number(number);
            let Some(&hour) = index(slot).and_then(|at| hours.get(at)) else { continue };
            if members.stayed(agent, slot.start()) {
                cells[hour].expected = cells[hour].expected.saturating_add(windows_per_slot);
            }
        }
    }
    Ok(WeekMap { cells, figures })
}

/// One local day of a part of a building.
pub(crate) struct Day {
    /// The first moment, for the limits in force.
    pub(crate) begin: UtcMicros,
    /// Each quarter-hour in the order they passed, all paths merged; `None` where nothing counts.
    pub(crate) slots: Vec<(SlotStart, LocalDay, Option<Slot>)>,
    /// Everything merged: what the plain daily average is made from.
    pub(crate) whole: Option<Slot>,
    /// The day of each agent on each link.
    pub(crate) agents: HashMap<(AgentId, LinkKind), Slot>,
}

/// Reads a day and merges its paths.
pub(crate) fn read_day(
    services: &Scoped,
    members: &Members,
    zone: &TimeZone,
    date: Date,
) -> Result<Day, StoreError> {
    let (begin, end) = local_day_span(date, zone).unwrap_or((UtcMicros(0), UtcMicros(0)));
    let from = SlotStart::containing(begin);
    let count = (end.since(begin) / SLOT_MICROS).clamp(0, MAX_DAY_SLOTS);
    let mut merged: HashMap<SlotStart, Slot> = HashMap::new();
    let mut agents: HashMap<(AgentId, LinkKind), Slot> = HashMap::new();
    let mut whole: Option<Slot> = None;
    let telemetry = &services.telemetry;
    let span = (from, from.offset(count));
    members.each_slot(telemetry, span, SlotDetail::All, |path, slot| {
        if slot.valid == 0 {
            return;
        }
        let empty = || Slot::new(slot.start, slot.limits);
        merged.entry(slot.start).or_insert_with(empty).merge(slot);
        let link = (path.agent, path.key.link.kind());
        agents.entry(link).or_insert_with(empty).merge(slot);
        whole.get_or_insert_with(empty).merge(slot);
    })?;
    let slots = (0..count)
        .map(|n| from.offset(n))
        .map(|start| (start, LocalDay::of(start, zone), merged.remove(&start)))
        .collect();
    Ok(Day { begin, slots, whole, agents })
}

/// What a curve shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Loss,
    RoundTrip,
    Jitter,
}

impl Measure {
    pub(crate) const ALL: [Self; 3] = [Self::Loss, Self::RoundTrip, Self::Jitter];

    /// What a breach is seen in.
    pub(crate) const fn of(breach: Option<Breach>) -> Self {
        match breach {
            Some(Breach::Delay) => Self::RoundTrip,
            Some(Breach::Jitter) => Self::Jitter,
            Some(Breach::Loss | Breach::Burst | Breach::Failed) | None => Self::Loss,
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Loss => "Packet loss of windows",
            Self::RoundTrip => "Round-trip time of packets",
            Self::Jitter => "Jitter of windows",
        }
    }

    /// As a file and a column are called.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::RoundTrip => "round_trip",
            Self::Jitter => "jitter",
        }
    }

    pub(crate) const fn unit(self) -> busyhour_chart::Unit {
        match self {
            Self::Loss => busyhour_chart::Unit::Percent,
            Self::RoundTrip | Self::Jitter => busyhour_chart::Unit::Milliseconds,
        }
    }

    /// Parts per million to percent, microseconds to milliseconds.
    const fn divisor(self) -> f64 {
        match self {
            Self::Loss => 10_000.0,
            Self::RoundTrip | Self::Jitter => 1_000.0,
        }
    }

    pub(crate) fn limit(self, table: &LimitTable) -> f64 {
        let limit = match self {
            Self::Loss => table.loss_ppm,
            Self::RoundTrip => table.rtt_us,
            Self::Jitter => table.jitter_us,
        };
        f64::from(limit) / self.divisor()
    }

    /// The plain daily average that the judge compared.
    pub(crate) fn judged(self, average: &DailyAverage) -> f64 {
        let judged = match self {
            Self::Loss => average.loss_ppm,
            Self::RoundTrip => average.rtt_us,
            Self::Jitter => average.jitter_us,
        };
        f64::from(judged) / self.divisor()
    }

    /// The plain average: all lost over all sent, or the mean.
    pub(crate) fn average(self, slot: &Slot) -> Option<f64> {
        match self {
            Self::Loss => slot.loss_ratio().map(|ratio| ratio * 100.0),
            Self::RoundTrip => slot.rtt_us.mean().map(|mean| mean / self.divisor()),
            Self::Jitter => slot.figures.mean(Figure::Jitter).map(|mean| mean / self.divisor()),
        }
    }

    /// Round trips of packets are at most 7 % or 72 µs off, figures of windows 1/14 (7 %) or 50.
    pub(crate) fn percentiles(self, slot: &Slot) -> Option<Percentiles> {
        let of = |figure, q| slot.figures.quantile(figure, q);
        let quantile = |q| {
            let value = match self {
                Self::Loss => of(Figure::Loss, q),
                Self::RoundTrip => slot.rtt_us.quantile(q),
                Self::Jitter => of(Figure::Jitter, q),
            };
            value.map(|value| f64::from(value) / self.divisor())
        };
        Some(Percentiles { p50: quantile(0.5)?, p90: quantile(0.9)?, p99: quantile(0.99)? })
    }
}

/// The quarters of a curve, with the busy hours of the week. `bad` are local minutes at which quarters of bad hours begin; what
/// begins after `now` is still to come.
pub(crate) fn quarters(
    day: &Day,
    busy: Option<&BusinessHours>,
    (bad, now): (&[u16], UtcMicros),
    measure: Measure,
) -> Vec<Quarter> {
    let quarter = |(start, local, slot): &(SlotStart, LocalDay, Option<Slot>)| Quarter {
        minute: local.minute,
        percentiles: slot.as_ref().and_then(|slot| measure.percentiles(slot)),
        business: busy.is_some_and(|hours| hours.contains(local.date.weekday(), local.minute)),
        bad: bad.contains(&local.minute),
        passed: start.start() < now,
    };
    day.slots.iter().map(quarter).collect()
}
