//! What raises the question today: series, or several taken together, that are bad.

use busyhour_model::DayVerdict;
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::finding::FindingKind;
use crate::fleet::{BuildingNo, Fleet, Reach, SeriesNo};
use crate::history::History;
use crate::layout::Layout;
use crate::params::{Params, Rule};
use crate::quarters::Quarters;
use crate::recurrence::{Recurrence, recurrence};
use crate::remembered::Remembered;
use crate::series::SeriesDay;
use crate::union::Union;

/// Something that is bad today.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trigger {
    /// The series; several when they were seldom there and are judged together.
    pub(crate) series: Vec<SeriesNo>,
    pub(crate) building: BuildingNo,
    pub(crate) kind: FindingKind,
    /// It recurs; else this is all that is known of it.
    pub(crate) recurs: bool,
    pub(crate) hours: Quarters,
    /// Ascending.
    pub(crate) bad_days: Vec<Date>,
    /// The series show it in their sum; each alone may not.
    pub(crate) pooled: bool,
    /// Its worst hours were bad by delay alone.
    pub(crate) delay_alone: bool,
    /// The share of bad windows in today's worst hour, 0..=1.
    pub(crate) share: f64,
}

/// The first date that is looked at.
pub(crate) fn first_day(today: Date) -> Date {
    today.saturating_sub((History::DAYS - 1).days())
}

/// Everything that is bad today: what recurs first, then by bad days and severity.
pub(crate) fn triggers(
    fleet: &Fleet,
    layout: &Layout,
    history: &History,
    today: Date,
    params: &Params,
    remembered: &mut Remembered,
) -> Vec<Trigger> {
    let mut all = Vec::new();
    for building in (0..).take(fleet.buildings.len()).map(BuildingNo) {
        let changed = history.building_changed_at(building, layout.of_building(building));
        let known = remembered.triggers((today, building), changed, || {
            let mut own = Vec::new();
            of_building(fleet, layout, history, building, today, params, &mut own);
            if params.holds(Rule::Union) {
                of_unions(fleet, layout, history, building, today, params, &mut own);
            }
            own
        });
        all.extend(known);
    }
    all.sort_by(|a, b| {
        let peak = |t: &Trigger| t.kind != FindingKind::WeeklyPattern;
        let rank = |t: &Trigger| (t.recurs, !t.pooled, peak(t), t.bad_days.len());
        rank(b).cmp(&rank(a)).then(b.share.total_cmp(&a.share)).then(a.series.cmp(&b.series))
    });
    all
}

fn of_building(
    fleet: &Fleet,
    layout: &Layout,
    history: &History,
    building: BuildingNo,
    today: Date,
    params: &Params,
    all: &mut Vec<Trigger>,
) {
    let far = |no: &SeriesNo| fleet.info(*no).is_some_and(|info| info.reach == Reach::Far);
    let bad: Vec<(SeriesNo, &SeriesDay)> = layout
        .of_building(building)
        .iter()
        .filter(|no| far(no))
        .filter_map(|&no| Some((no, history.day(no, today)?)))
        .filter(|(_, row)| row.verdict.is_bad())
        .collect();
    if bad.is_empty() {
        return;
    }
    for &(no, row) in &bad {
        let rows: Vec<&SeriesDay> = history.days(no, first_day(today), today).iter().collect();
        match recurrence(&rows, today, params) {
            Some(found) => recurring(building, &[no], row, &rows, &found, params, all),
            None => {
                let rows = history.days(no, today.saturating_sub(20.days()), today);
                all.push(suspicion(building, no, row, rows));
            }
        }
    }
}

/// What recurs in the sum of a building's series.
fn of_unions(
    fleet: &Fleet,
    layout: &Layout,
    history: &History,
    building: BuildingNo,
    today: Date,
    params: &Params,
    all: &mut Vec<Trigger>,
) {
    let series = layout.of_building(building);
    for union in history.unions_of(building) {
        let rows: Vec<&SeriesDay> =
            history.union_days(union, first_day(today), today).iter().collect();
        let Some(&row) = rows.last().filter(|row| row.date == today && row.verdict.is_bad()) else {
            continue;
        };
        let Some(found) = recurrence(&rows, today, params) else { continue };
        let unions = Union::of_building(fleet, building, series);
        let own = unions.into_iter().find(|(one, _)| *one == union);
        let asking = most_elevated(history, &own.unwrap_or((union, Vec::new())).1, today, &found);
        let before = all.len();
        if !asking.is_empty() {
            recurring(building, &asking, row, &rows, &found, params, all);
        }
        for trigger in all.iter_mut().skip(before) {
            trigger.pooled = true;
        }
    }
}

/// Those of some series that suffer at least half as much as the one that suffers most today, that
/// one first.
fn most_elevated(
    history: &History,
    series: &[SeriesNo],
    today: Date,
    found: &Recurrence,
) -> Vec<SeriesNo> {
    let elevation = |no: SeriesNo| -> Option<u32> {
        let row = history.day(no, today)?;
        let seen = row.bins_in(found.hours).filter_map(|at| row.elevation(at));
        let (sum, count) = seen.fold((0, 0), |(sum, count), bin| (sum + u32::from(bin), count + 1));
        u32::checked_div(sum, count)
    };
    let mut known: Vec<(u32, SeriesNo)> =
        series.iter().filter_map(|&no| Some((elevation(no)?, no))).collect();
    known.sort_by_key(|&(elevation, no)| (std::cmp::Reverse(elevation), no));
    let most = known.first().map_or(0, |&(elevation, _)| elevation);
    known.into_iter().filter(|(elevation, _)| elevation * 2 >= most).map(|(_, no)| no).collect()
}

impl Trigger {
    fn of(building: BuildingNo, row: &SeriesDay, found: &Recurrence) -> Self {
        Self {
            series: Vec::new(),
            building,
            kind: found.kind,
            recurs: true,
            hours: found.hours,
            bad_days: found.bad_days.clone(),
            pooled: false,
            delay_alone: found.delay_alone,
            share: row.worst().map_or(0.0, |worst| worst.share()),
        }
    }
}

/// One trigger for each stretch of hours that recurs by itself: two faults of a day are two.
fn recurring(
    building: BuildingNo,
    series: &[SeriesNo],
    row: &SeriesDay,
    rows: &[&SeriesDay],
    found: &Recurrence,
    params: &Params,
    all: &mut Vec<Trigger>,
) {
    let whole = Trigger { series: series.to_vec(), ..Trigger::of(building, row, found) };
    let stretches = found.hours.stretches();
    if found.kind == FindingKind::ConstantFault || stretches.len() < 2 {
        all.push(whole);
        return;
    }
    let touched = |hours: Quarters| -> Vec<Date> {
        let touches = |row: &&&SeriesDay| {
            found.bad_days.binary_search(&row.date).is_ok() && row.bad_quarters().overlaps(hours)
        };
        rows.iter().filter(touches).map(|row| row.date).collect()
    };
    let before = all.len();
    for hours in stretches {
        let bad_days = touched(hours);
        let today = bad_days.last() == Some(&row.date);
        if bad_days.len() >= params.recurs as usize && today {
            // Of a stretch that is not the worst of its day only the least is known: that it is bad.
            let least = f64::from(params.bad_permille) / 1_000.0;
            let share = row.share_at(hours).unwrap_or(least);
            all.push(Trigger { hours, bad_days, share, ..whole.clone() });
        }
    }
    if all.len() == before {
        all.push(whole);
    }
}

/// A bad day that does not recur, with the earlier ones at its hours.
fn suspicion(
    building: BuildingNo,
    series: SeriesNo,
    row: &SeriesDay,
    rows: &[SeriesDay],
) -> Trigger {
    let alike = |other: &&SeriesDay| {
        other.verdict.is_bad() && other.bad_quarters().overlaps(row.bad_quarters())
    };
    let kind = if row.verdict == DayVerdict::AllDayBad {
        FindingKind::ConstantFault
    } else {
        FindingKind::RecurringPeak
    };
    Trigger {
        series: vec![series],
        building,
        kind,
        recurs: false,
        hours: row.bad_quarters(),
        bad_days: rows.iter().filter(alike).map(|other| other.date).collect(),
        pooled: false,
        delay_alone: false,
        share: row.worst().map_or(0.0, |worst| worst.share()),
    }
}
