//! The picture of an incident: its last days as they lie in the store, beside what was judged.
//!
//! Quarter-hours are those of the paths that suffer, together; the worst busy hour, the whole day and
//! the daily average of a day are those of the path in the incident's own building that was worst on
//! it. Nothing is judged here.

use std::collections::{HashMap, HashSet};

use busyhour_chart::{
    AverageOf, AverageSaid, FindingCell, FindingDay, FindingMap, FindingVerdict, MAX_DAYS, Share,
    Svg, WorstBusyHour,
};
use busyhour_model::desk::{Quiet, QuietKind, QuietScope};
use busyhour_model::{
    DaySummary, DayVerdict, FindingKind, Incident, LocalDay, PathId, SLOT_MICROS, Scope, SlotStart,
    UtcMicros, limits_in_force, local_day_span,
};
use busyhour_store::{PathRow, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::place::Names;
use crate::scoped::Scoped;
use crate::state::{add_days, zone_of};
use crate::text;
use crate::week::{Measure, Members};
use crate::weeks::Weeks;

/// Paths that one picture is made of; the page says how many more there are.
const MAX_PATHS: usize = 64;
/// How far back days are looked for: the last [`MAX_DAYS`] of a building that works two days a week.
const LOOK_BACK_DAYS: i64 = 60;
/// The longest local day: 25 hours, and one in reserve.
const MAX_DAY_SLOTS: i64 = 26 * 4;

/// The picture of an incident.
pub(crate) struct Picture {
    pub(crate) svg: Svg,
    /// What it says, in words.
    pub(crate) words: String,
    /// What it shows.
    pub(crate) days: Vec<FindingDay>,
    /// Paths that it leaves out because there are too many.
    pub(crate) left_out: usize,
}

/// Why an incident has no picture.
pub(crate) fn why_none(incident: &Incident) -> &'static str {
    if breaks_limits(incident.kind) {
        "its building is no longer in the building file, or none of its days is kept"
    } else {
        "a finding of this kind is within all limits, so no window is bad"
    }
}

/// True for the kinds that are made of bad windows.
const fn breaks_limits(kind: FindingKind) -> bool {
    match kind {
        FindingKind::RecurringPeak
        | FindingKind::WeeklyPattern
        | FindingKind::ConstantFault
        | FindingKind::OneOff
        | FindingKind::TargetFault => true,
        FindingKind::LevelShift | FindingKind::EarlyWarning | FindingKind::Drift => false,
    }
}

impl Picture {
    /// Reads and draws it; `paths` are all there are. [`why_none`] says why there is none.
    pub(crate) fn read(
        services: &Scoped,
        paths: &[PathRow],
        names: &Names<'_>,
        incident: &Incident,
    ) -> Result<Option<Self>, StoreError> {
        let Some(building) =
            names.building(incident.building).filter(|_| breaks_limits(incident.kind))
        else {
            return Ok(None);
        };
        let weeks = Weeks::new(building, services.control.working_weeks()?);
        let dates = dates(incident, &weeks);
        let Some((first, last)) = dates.first().zip(dates.last()) else { return Ok(None) };
        let summaries = services.control.days(Some(building.id), *first, *last)?;
        let judged = Judged::new(incident, &summaries);
        let worst = judged.worst.values().map(|(path, _)| *path).collect();
        let members = Members::of_incident(services, paths, incident, &worst, MAX_PATHS)?;
        let zone = zone_of(building);
        let mut rows: Vec<Row> = dates.iter().filter_map(|date| Row::new(*date, &zone)).collect();
        fill(services, &members, &judged, &mut rows)?;
        let begin = rows.first().map_or(incident.noted, |row| row.begin);
        let mut quiets = services.desk.quiets(begin)?;
        quiets.retain(|quiet| is_work(quiet, incident, &building.region));
        let sheet =
            Sheet { incident, weeks: &weeks, judged: &judged, members: &members, quiets: &quiets };
        let now = (services.clock)();
        let mut days: Vec<FindingDay> = rows.iter().map(|row| sheet.day(row, now)).collect();
        let before = days.iter().take_while(|day| is_empty_before(incident, day)).count();
        days.drain(..before);
        let zone = building.time_zone.as_deref().unwrap_or("UTC (zone unknown)");
        let (place, hours) = (names.words(incident), incident.hours_joined());
        let map = FindingMap { place: &place, zone, hours: &hours, days: &days };
        let (svg, words) = (map.draw(), map.words());
        Ok(Some(Self { svg, words, days, left_out: members.left_out }))
    }
}

/// What the days of a picture are made from, beside their slots.
struct Sheet<'a> {
    incident: &'a Incident,
    weeks: &'a Weeks<'a>,
    judged: &'a Judged<'a>,
    members: &'a Members,
    /// Maintenance of what suffers.
    quiets: &'a [Quiet],
}

impl Sheet<'_> {
    fn day(&self, row: &Row, now: UtcMicros) -> FindingDay {
        let worst = self.judged.worst.get(&row.date).copied();
        let hour = worst.and_then(|(_, day)| day.worst_hour);
        let (busy, busy_from) = self.weeks.busy(row.date);
        FindingDay {
            date: row.date,
            verdict: match self.judged.verdict(self.incident, row.date) {
                FindingVerdict::Closed if self.weeks.is_holiday(row.date) => {
                    FindingVerdict::Holiday
                }
                // Nobody knows before it is over.
                FindingVerdict::Closed if now < row.until().start() => {
                    FindingVerdict::Judged(DayVerdict::Missing)
                }
                verdict => verdict,
            },
            cells: row.cells(now),
            busy: busy.to_vec(),
            busy_from,
            worst: hour.map(|hour| WorstBusyHour {
                minute: hour.start_minute,
                seen: Share { valid: hour.valid, bad: hour.bad },
            }),
            whole: (row.whole.valid > 0).then_some(row.whole),
            average: worst.and_then(|(path, day)| self.average(path, day, row.begin)),
            maintenance: row.maintenance(self.quiets),
        }
    }

    /// The daily average that was judged, against the limit of then. It is of what is most wrong in
    /// the incident, the same on all days, so that they can be compared.
    fn average(&self, path: PathId, day: &DaySummary, begin: UtcMicros) -> Option<AverageSaid> {
        let path = self.members.paths().iter().find(|row| row.id == path)?;
        let table = limits_in_force(path.requirement, begin)?;
        let of_day = day.worst_hour.and_then(|hour| hour.dominant);
        let of_incident = self.incident.worst_hour.and_then(|hour| hour.dominant);
        let measure = Measure::of(of_incident.or(of_day));
        let of = match measure {
            Measure::Loss => AverageOf::Loss,
            Measure::RoundTrip => AverageOf::RoundTrip,
            Measure::Jitter => AverageOf::Jitter,
        };
        let value = measure.judged(day.average.as_ref()?);
        Some(AverageSaid { of, value, limit: measure.limit(table) })
    }
}

/// The dates that are shown, ascending: working days and those that the incident names, up to the last
/// that it was observed on.
fn dates(incident: &Incident, weeks: &Weeks<'_>) -> Vec<Date> {
    let observed = incident.observed_days.last().copied();
    let end = observed.map_or(incident.last_bad, |date| date.max(incident.last_bad));
    let counts = |date: &Date| {
        weeks.works(*date)
            || incident.bad_days.contains(date)
            || incident.observed_days.contains(date)
    };
    let back = (0..LOOK_BACK_DAYS).map(|back| add_days(end, -back));
    let mut dates: Vec<Date> = back.filter(counts).take(MAX_DAYS).collect();
    dates.reverse();
    dates.dedup();
    dates
}

/// What was judged of the days of the incident's own building.
struct Judged<'a> {
    /// Days on which nobody worked.
    closed: HashSet<Date>,
    /// Of each day the path that was worst, of those that suffer.
    worst: HashMap<Date, (PathId, &'a DaySummary)>,
}

impl<'a> Judged<'a> {
    fn new(incident: &Incident, days: &'a [DaySummary]) -> Self {
        let suffering: HashSet<PathId> =
            incident.members.iter().map(|member| member.path).collect();
        let mut closed = HashSet::new();
        let mut worst: HashMap<Date, (PathId, &DaySummary)> = HashMap::new();
        for day in days {
            match day.scope {
                Scope::Building(_) if !day.verdict.is_observed() && day.expected == 0 => {
                    closed.insert(day.date);
                }
                Scope::Path(path) if suffering.contains(&path) => {
                    let so_far = worst.entry(day.date).or_insert((path, day));
                    if is_worse((path, day), *so_far) {
                        *so_far = (path, day);
                    }
                }
                Scope::Building(_) | Scope::Path(_) | Scope::Subnet(..) | Scope::Agent(..) => {}
            }
        }
        Self { closed, worst }
    }

    /// How a date counts: by what the incident names, before its spell by the path's own verdict.
    fn verdict(&self, incident: &Incident, date: Date) -> FindingVerdict {
        let own = self.worst.get(&date).map(|(_, day)| day.verdict);
        if incident.bad_days.contains(&date) {
            let all_day = own == Some(DayVerdict::AllDayBad);
            let bad = if all_day { DayVerdict::AllDayBad } else { DayVerdict::PeakBad };
            return FindingVerdict::Judged(bad);
        }
        if incident.observed_days.contains(&date) {
            return FindingVerdict::Judged(DayVerdict::Good);
        }
        if self.closed.contains(&date) {
            return FindingVerdict::Closed;
        }
        // A weekly pattern looks at its own weekday only.
        let all_days = incident.kind != FindingKind::WeeklyPattern;
        let own = own.filter(|_| !(all_days && date >= spell_begin(incident)));
        FindingVerdict::Judged(own.unwrap_or(DayVerdict::Missing))
    }
}

/// By the worst busy hour; a path without one is never worse than one with.
fn is_worse(a: (PathId, &DaySummary), b: (PathId, &DaySummary)) -> bool {
    let share = |day: &DaySummary| day.worst_hour.as_ref().map_or(-1.0, text::bad_share);
    share(a.1).total_cmp(&share(b.1)).then(b.0.cmp(&a.0)).is_gt()
}

/// The first day that the incident's present spell names.
fn spell_begin(incident: &Incident) -> Date {
    let named = incident.bad_days.first().into_iter().chain(incident.observed_days.first());
    named.min().copied().unwrap_or(incident.first_bad)
}

/// True for a day before the incident's spell of which nothing is known.
fn is_empty_before(incident: &Incident, day: &FindingDay) -> bool {
    day.date < spell_begin(incident)
        && day.worst.is_none()
        && day.cells.iter().all(|cell| cell.seen.valid == 0)
}

/// A local day while it is filled.
struct Row {
    date: Date,
    begin: UtcMicros,
    first: SlotStart,
    /// Of each quarter-hour in the order they pass: its minute on the clock, what should be there, what is.
    quarters: Vec<(u16, u32, Share)>,
    /// The whole day of the path that was worst on it.
    whole: Share,
}

impl Row {
    fn new(date: Date, zone: &TimeZone) -> Option<Self> {
        let (begin, end) = local_day_span(date, zone)?;
        let first = SlotStart::containing(begin);
        let count = (end.since(begin) / SLOT_MICROS).clamp(0, MAX_DAY_SLOTS);
        let quarters = (0..count)
            .map(|n| (LocalDay::of(first.offset(n), zone).minute, 0, Share::default()))
            .collect();
        Some(Self { date, begin, first, quarters, whole: Share::default() })
    }

    /// When somebody worked, as minutes on the clock; a quarter-hour counts when it begins within.
    fn maintenance(&self, quiets: &[Quiet]) -> Vec<(u16, u16)> {
        let mut spans: Vec<(u16, u16)> = Vec::new();
        for (start, &(minute, ..)) in (0..).map(|n| self.first.offset(n)).zip(&self.quarters) {
            let at = start.start();
            if !quiets.iter().any(|quiet| quiet.from <= at && at < quiet.end()) {
                continue;
            }
            match spans.last_mut() {
                Some(last) if last.1 == minute => last.1 = minute + 15,
                _ => spans.push((minute, minute + 15)),
            }
        }
        spans
    }

    /// The first slot after it.
    fn until(&self) -> SlotStart {
        self.first.offset(i64::try_from(self.quarters.len()).unwrap_or(MAX_DAY_SLOTS))
    }

    /// The quarter-hours that have begun.
    fn cells(&self, now: UtcMicros) -> Vec<FindingCell> {
        let begun = (0..).map(|n| self.first.offset(n)).zip(&self.quarters);
        begun
            .filter(|(start, _)| start.start() < now)
            .map(|(_, &(minute, expected, seen))| FindingCell {
                minute,
                minutes: 15,
                expected,
                seen,
            })
            .collect()
    }
}

/// The row that a slot lies in, and its place there.
fn place_of(rows: &[Row], slot: SlotStart) -> Option<(usize, usize)> {
    let row = rows.partition_point(|row| row.first <= slot).checked_sub(1)?;
    let at = usize::try_from(slot.number() - rows[row].first.number()).ok()?;
    (at < rows[row].quarters.len()).then_some((row, at))
}

/// Adds up the quarter-hours of all members. A path is expected from its first window on, so that
/// silence is missing and not good.
fn fill(
    services: &Scoped,
    members: &Members,
    judged: &Judged<'_>,
    rows: &mut [Row],
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let span = (first.first, last.until());
    let paths = members.rows();
    services.telemetry.visit_tallies(&members.ids(), span, &mut |day| {
        let Some(path) = paths.get(&day.path) else { return };
        for (start, &(valid, bad)) in (0..).map(|n| day.first.offset(n)).zip(day.slots) {
            let Some((row, at)) = place_of(rows, start).filter(|_| valid > 0) else { continue };
            if !members.stayed(path.agent, start.start()) {
                continue;
            }
            let row = &mut rows[row];
            add(&mut row.quarters[at].2, valid, bad);
            if judged.worst.get(&row.date).is_some_and(|(worst, _)| *worst == day.path) {
                add(&mut row.whole, valid, bad);
            }
        }
    })?;
    for path in members.paths() {
        let since = SlotStart::containing(path.oldest);
        for row in &mut *rows {
            for (start, quarter) in (0..).map(|n| row.first.offset(n)).zip(&mut row.quarters) {
                if start >= since && members.stayed(path.agent, start.start()) {
                    quarter.1 = quarter.1.saturating_add(path.windows_per_slot);
                }
            }
        }
    }
    Ok(())
}

/// True for maintenance of something that suffers in an incident.
fn is_work(quiet: &Quiet, incident: &Incident, region: &str) -> bool {
    let covers = |scope: &QuietScope| match scope {
        QuietScope::Everything => true,
        QuietScope::Building(id) => incident.buildings().contains(id),
        QuietScope::Subnet(id) => incident.members.iter().any(|member| member.subnet == *id),
        QuietScope::Region(name) => name.as_str() == region,
        QuietScope::Incident(_) | QuietScope::IncidentIn(..) | QuietScope::Cause(_) => false,
    };
    quiet.kind == QuietKind::Maintenance && quiet.scopes.iter().any(covers)
}

fn add(share: &mut Share, valid: u32, bad: u32) {
    share.valid = share.valid.saturating_add(valid);
    share.bad = share.bad.saturating_add(bad);
}

#[cfg(test)]
mod tests;
