//! A recorded fleet, gone through day by day as if each day had just ended.

use std::collections::{BTreeSet, VecDeque};

use busyhour_model::{IncidentState, SlotStart};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::beside::Beside;
use crate::busy::{BusyHours, LoadDay, learn_busy_hours};
use crate::day_frame::{BuildingDay, lay_out};
use crate::finding::Finding;
use crate::fleet::{BuildingNo, Fleet, Reach, SeriesNo, Site};
use crate::history::History;
use crate::ledger::Ledger;
use crate::params::{Params, Rule};
use crate::rows::rows_of_building;
use crate::series::Cell;
use crate::target_day::{TargetBins, TargetViews};

/// Busy hours are learned once a week.
const LEARN_DAYS: i32 = 7;
/// Quarter-hours in a day of UTC.
const DAY_SLOTS: i64 = 96;

/// A fleet that was recorded.
pub trait Recorded {
    /// What it is made of.
    fn fleet(&self) -> &Fleet;

    /// Its first and its last local date.
    fn dates(&self) -> (Date, Date);

    /// The cells of a series from one slot to another, half open, in any order; only what had arrived
    /// by the end of the local date `known_on`, where that is known.
    fn cells(
        &self,
        series: SeriesNo,
        from: SlotStart,
        until: SlotStart,
        known_on: Date,
    ) -> Vec<Cell>;

    /// The load of a building's quarter-hours, in any unit and any order. Empty when it is not known.
    fn loads(
        &self,
        building: BuildingNo,
        from: SlotStart,
        until: SlotStart,
    ) -> Vec<(SlotStart, f32)>;

    /// Series and earlier local dates of which more arrived on a date.
    fn late(&self, today: Date) -> Vec<(SeriesNo, Date)> {
        let _ = today;
        Vec::new()
    }
}

/// Judges each date of a recorded fleet in turn, each local day when it is over, and tells of each
/// finding that something happened to, in the order of the days.
pub fn replay(recorded: &dyn Recorded, params: &Params, tell: &mut dyn FnMut(Date, &Finding)) {
    let mut replay = Replay::of(recorded, params);
    let (first, last) = recorded.dates();
    for today in first.series(1.day()).take_while(|date| *date <= last) {
        for finding in replay.day(today) {
            tell(today, &finding);
        }
    }
}

/// What is known of one building.
struct Place {
    hours: BusyHours,
    loads: VecDeque<LoadDay>,
    /// The local days that rows are kept of, ascending.
    days: VecDeque<BuildingDay>,
}

struct Replay<'a> {
    recorded: &'a dyn Recorded,
    fleet: &'a Fleet,
    params: &'a Params,
    first: Date,
    places: Vec<Place>,
    /// The series of each building.
    series: Vec<Vec<SeriesNo>>,
    history: History,
    ledger: Ledger,
    faults: TargetBins,
    /// The first slot that targets have not been looked at in.
    looked_until: Option<SlotStart>,
    targets: bool,
}

impl<'a> Replay<'a> {
    fn of(recorded: &'a dyn Recorded, params: &'a Params) -> Self {
        let fleet = recorded.fleet();
        let places = fleet.buildings.iter().map(|site| Place {
            hours: BusyHours::configured(site),
            loads: VecDeque::new(),
            days: VecDeque::new(),
        });
        let mut series = vec![Vec::new(); fleet.buildings.len()];
        for (no, info) in (0..).zip(&fleet.series) {
            let own = series.get_mut(info.building.0 as usize);
            own.into_iter().for_each(|list: &mut Vec<SeriesNo>| list.push(SeriesNo(no)));
        }
        Self {
            recorded,
            fleet,
            params,
            first: recorded.dates().0,
            places: places.collect(),
            series,
            history: History::default(),
            ledger: Ledger::default(),
            faults: TargetBins::default(),
            looked_until: None,
            targets: fleet.series.iter().any(|series| series.target.is_some()),
        }
    }

    /// Goes through one date; gives what something happened to.
    fn day(&mut self, today: Date) -> Vec<Finding> {
        let learns = (today - self.first).get_days() % LEARN_DAYS == 0;
        for no in (0..).take(self.places.len()).map(BuildingNo) {
            self.lay_out(no, today, learns);
        }
        self.look_at_targets(today);
        for no in (0..).take(self.places.len()).map(BuildingNo) {
            self.make_rows(no, today, today);
        }
        let late = self.recorded.late(today).into_iter().filter(|(_, date)| *date < today);
        let building = |(no, date)| Some((self.fleet.info(no)?.building, date));
        let again: BTreeSet<(BuildingNo, Date)> = late.filter_map(building).collect();
        for (no, date) in again {
            self.make_rows(no, date, today);
        }
        let frame_of =
            |no: BuildingNo| self.places.get(no.0 as usize).and_then(|place| place.days.back());
        let targets = self.faults.on_day(self.fleet, frame_of);
        let beside = Beside { targets, ..Beside::default() };
        let changed =
            self.ledger.judge_once(self.fleet, &mut self.history, today, self.params, &beside);
        changed.into_iter().filter(|finding| finding.changed == today).collect()
    }

    /// A building's local day: its load, its busy hours, its bins.
    fn lay_out(&mut self, no: BuildingNo, today: Date, learns: bool) {
        let (Some(site), Some(place)) = (self.fleet.site(no), self.places.get_mut(no.0 as usize))
        else {
            return;
        };
        let (bin, params) = (self.fleet.bin, self.params);
        let own =
            |member: &SeriesNo| self.fleet.info(*member).is_some_and(|info| info.building == no);
        let is_open = |finding: &Finding| {
            finding.members.iter().any(own)
                && finding.kind.alerts()
                && matches!(finding.state, IncidentState::Open | IncidentState::Recovering)
        };
        if learns && params.holds(Rule::LearnedHours) {
            let frozen = self.ledger.findings().any(is_open);
            let loads = place.loads.make_contiguous();
            place.hours = learn_busy_hours(site, today, loads, Some(&place.hours), frozen, params);
        }
        let load = load_day(self.recorded, site, no, today, &place.hours, params);
        let recorded = self.recorded;
        let mut far = |day: &BuildingDay| far_cells(recorded, no, day);
        let day = lay_out(site, today, &place.hours, load.as_ref(), &mut far, bin, params);
        if let Some(load) = load {
            place.loads.push_back(load);
            let oldest = today.saturating_sub(params.load_days.days());
            while place.loads.front().is_some_and(|day| day.date < oldest) {
                place.loads.pop_front();
            }
        }
        if let Some(day) = day {
            place.days.push_back(day);
        }
        let oldest = today.saturating_sub((History::DAYS - 1).days());
        while place.days.front().is_some_and(|day| day.date < oldest) {
            place.days.pop_front();
        }
    }

    /// Finds the faults of targets up to the end of the latest local day of a date.
    fn look_at_targets(&mut self, today: Date) {
        if !self.targets {
            return;
        }
        let ends = self.places.iter().filter_map(|place| place.days.back()).map(BuildingDay::span);
        let begins = ends.clone().map(|(from, _)| from).min();
        let (Some(from), Some(until)) =
            (self.looked_until.or(begins), ends.map(|(_, until)| until).max())
        else {
            return;
        };
        let mut views = TargetViews::new(self.fleet);
        for no in (0..).take(self.fleet.series.len()).map(SeriesNo) {
            if self.fleet.info(no).is_some_and(|info| info.target.is_some()) {
                views.add(no, &self.recorded.cells(no, from, until, today));
            }
        }
        self.faults.extend(views.faults());
        // Days of other zones and late rows reach back further than a day.
        self.faults.forget_before(until.offset(-DAY_SLOTS * i64::from(History::DAYS)));
        self.looked_until = Some(until);
    }

    /// Makes the rows of a building's local day of what had arrived by the end of `today`.
    fn make_rows(&mut self, building: BuildingNo, date: Date, today: Date) {
        let place = self.places.get(building.0 as usize);
        let day = place.and_then(|place| {
            let at = place.days.binary_search_by_key(&date, |day| day.date).ok()?;
            place.days.get(at)
        });
        let (Some(day), Some(series)) = (day, self.series.get(building.0 as usize)) else { return };
        let (from, until) = day.span();
        let cells = |&no: &SeriesNo| (no, self.recorded.cells(no, from, until, today));
        let cells: Vec<(SeriesNo, Vec<Cell>)> = series.iter().map(cells).collect();
        let at_fault = |no: SeriesNo, start: SlotStart| {
            let target = self.fleet.info(no).and_then(|info| info.target);
            target.is_some_and(|target| self.faults.contains(target, start))
        };
        let rows = rows_of_building(self.fleet, building, day, &cells, &at_fault, self.params);
        self.history.insert_rows(rows);
    }
}

/// The cells of a building's far series on a local day.
fn far_cells(recorded: &dyn Recorded, no: BuildingNo, day: &BuildingDay) -> Vec<Vec<Cell>> {
    let (from, until) = day.span();
    let all = (0..).zip(&recorded.fleet().series);
    let far = all.filter(|(_, info)| info.building == no && info.reach == Reach::Far);
    far.map(|(series, _)| recorded.cells(SeriesNo(series), from, until, day.date)).collect()
}

/// A building's load by the clock on the wall; `None` where nobody recorded any.
fn load_day(
    recorded: &dyn Recorded,
    site: &Site,
    no: BuildingNo,
    date: Date,
    hours: &BusyHours,
    params: &Params,
) -> Option<LoadDay> {
    let quarters = BuildingDay::new(site, date, hours, None, crate::Bin::Quarter, params)?;
    let (from, until) = quarters.span();
    let mut day = LoadDay::new(date);
    let mut any = false;
    for (start, load) in recorded.loads(no, from, until) {
        let minute = quarters.bin_of(start).and_then(|at| quarters.minutes.get(at));
        let place = minute.and_then(|minute| day.load.get_mut(usize::from(minute / 15)));
        if let Some(place) = place
            && load.is_finite()
        {
            // Of an hour that is there twice the later one counts.
            *place = Some(load);
            any = true;
        }
    }
    any.then_some(day)
}

#[cfg(test)]
mod tests;
