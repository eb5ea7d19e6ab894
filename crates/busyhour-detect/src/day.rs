//! The verdict on one local day of one path, or of several taken together.

mod figures;

use busyhour_model::{
    AgentId, BuildingId, DaySummary, DayVerdict, LimitTable, LinkKind, PathId, RequirementProfile,
    Scope, Slot, SlotStart, SubnetId, UtcMicros, limits_in_force,
};

use self::figures::{Totals, masking_factor};
use crate::day_frame::BuildingDay;
use crate::fleet::{Bin, TargetNo};
use crate::quarters::Quarters;
use crate::target_day::TargetBins;

/// Quarter-hours in a rolling hour, and how many of them must be usable.
const HOUR: usize = 4;
const USABLE_OF_HOUR: usize = 3;
/// A quarter-hour is usable with a fifth of its windows.
const USABLE_ONE_IN: u32 = 5;
/// An hour is bad with one bad window in twenty (5 %: the 95th percentile is beyond a limit), and
/// at least six of them, in at least two quarter-hours. Without the floor sparse sampling would
/// raise false alarms.
const BAD_ONE_IN: u32 = 20;
const BAD_WINDOWS: u32 = 6;
const BAD_QUARTERS: usize = 2;
/// A day without a bad hour is good with 40 % of the windows of its busy hours, in 40 % of their
/// quarter-hours. A bad hour is bad whatever else is known of the day.
const COVERAGE_PERCENT: u64 = 40;
/// Off-peak is bad too when its median hour has 2 % bad windows and half the share of busy hours.
const OFF_PEAK_RATIO: f64 = 0.02;
const OFF_PEAK_TO_BUSY: f64 = 0.5;
const OFF_PEAK_HOURS: usize = 2;
/// Without off-peak data a day is bad throughout when this share of its busy quarter-hours is.
const THROUGHOUT_PERCENT: usize = 90;

/// What is known of a path around a day, and whose it is on that day.
#[derive(Debug, Clone, Copy)]
pub struct PathDay<'a> {
    /// The path.
    pub path: PathId,
    /// Its agent.
    pub agent: AgentId,
    /// The subnet that the agent is in.
    pub subnet: SubnetId,
    /// The kind of link.
    pub link: LinkKind,
    /// What it talks to: nothing is held against the path while that was at fault.
    pub target: Option<TargetNo>,
    /// What it is judged by; nothing is judged by none.
    pub requirement: RequirementProfile,
    /// The quarter-hour of its first window ever: nothing is expected before.
    pub since: SlotStart,
    /// Windows that should exist in a slot of which there is nothing.
    pub windows_per_slot: u32,
    /// Its slots with counts and figures, each quarter-hour at most once, in any order; those of other
    /// days are ignored. Sketches are not looked at.
    pub slots: &'a [Slot],
}

/// A building's day as it is judged.
pub(crate) struct Frame<'a> {
    pub(crate) building: BuildingId,
    day: &'a BuildingDay,
    faults: &'a TargetBins,
    /// Quarter-hours that have begun; all of them on past days.
    elapsed: usize,
}

impl<'a> Frame<'a> {
    /// `None` for a day that is not cut into quarter-hours, as slots are.
    pub(crate) fn new(
        building: BuildingId,
        day: &'a BuildingDay,
        now: UtcMicros,
        faults: &'a TargetBins,
    ) -> Option<Self> {
        if day.bin != Bin::Quarter {
            return None;
        }
        let starts = (0..).take(day.minutes.len()).map(|at| day.first.offset(at).start());
        let elapsed = starts.take_while(|start| *start < now).count();
        Some(Self { building, day, faults, elapsed })
    }

    /// True when the day ends after the beginning of that quarter-hour.
    pub(crate) fn reaches(&self, slot: SlotStart) -> bool {
        slot < self.day.span().1
    }

    fn is_busy(&self, at: usize) -> bool {
        self.day.busy_bins() >> at & 1 == 1
    }

    /// The numbers of its busy quarter-hours.
    fn busy(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.day.minutes.len()).filter(|&at| self.is_busy(at))
    }
}

/// Windows of one or more paths in a quarter-hour, or in several.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    expected: u32,
    valid: u32,
    bad: u32,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.expected = self.expected.saturating_add(other.expected);
        self.valid = self.valid.saturating_add(other.valid);
        self.bad = self.bad.saturating_add(other.bad);
    }

    const fn is_usable(&self) -> bool {
        self.valid > 0 && self.valid.saturating_mul(USABLE_ONE_IN) >= self.expected
    }

    fn is_covered(&self) -> bool {
        self.valid > 0 && u64::from(self.valid) * 100 >= u64::from(self.expected) * COVERAGE_PERCENT
    }

    /// The share of bad windows, 0..=1.
    fn share(&self) -> f64 {
        f64::from(self.bad) / f64::from(self.valid.max(1))
    }
}

/// A rolling busy hour that was observed.
#[derive(Debug, Clone, Copy)]
struct Hour {
    /// Its first quarter-hour.
    at: usize,
    counts: Counts,
    is_bad: bool,
}

/// A day of one or more paths taken together.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    /// One for each quarter-hour.
    cells: Vec<Counts>,
    /// Slots that count, each with the number of its quarter-hour.
    slots: Vec<(usize, &'a Slot)>,
    totals: Totals,
    /// The strictest limits of its paths; `None` when none of them is judged.
    limits: Option<LimitTable>,
}

impl<'a> Series<'a> {
    /// A day of no path.
    pub(crate) fn empty(frame: &Frame<'_>) -> Self {
        Self {
            cells: vec![Counts::default(); frame.day.minutes.len()],
            slots: Vec::new(),
            totals: Totals::default(),
            limits: None,
        }
    }

    /// A path's day. A quarter-hour in which its target was at fault is unobserved.
    pub(crate) fn of(frame: &Frame<'_>, path: &PathDay<'a>) -> Self {
        let mut series = Self::empty(frame);
        series.limits = limits_in_force(path.requirement, frame.day.first.start()).copied();
        for (at, cell) in (0..).zip(&mut series.cells) {
            if frame.day.first.offset(at) >= path.since {
                cell.expected = path.windows_per_slot;
            }
        }
        series.slots.reserve(path.slots.len().min(series.cells.len()));
        for slot in path.slots {
            let at = frame.day.bin_of(slot.start);
            let Some((at, cell)) = at.and_then(|at| Some((at, series.cells.get_mut(at)?))) else {
                continue;
            };
            if slot.expected > 0 {
                cell.expected = slot.expected;
            }
            if path.target.is_some_and(|target| frame.faults.contains(target, slot.start)) {
                continue;
            }
            (cell.valid, cell.bad) = (slot.valid, slot.bad);
            series.totals.add(&Totals::of(slot));
            series.slots.push((at, slot));
        }
        series
    }

    /// Takes another one together with it.
    pub(crate) fn join(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            cell.add(*more);
        }
        self.slots.extend(&other.slots);
        self.totals.add(&other.totals);
        self.limits = match (self.limits, other.limits) {
            (Some(own), Some(limits)) => Some(stricter(own, limits)),
            (own, limits) => own.or(limits),
        };
    }

    /// Judges the series by its own counts.
    pub(crate) fn judge(&self, frame: &Frame<'_>, scope: Scope) -> DaySummary {
        let hours = self.hours(frame);
        let (verdict, bad_quarters) = self.verdict(frame, &hours);
        self.describe(frame, scope, &hours, verdict, bad_quarters)
    }

    /// The figures of the series under a verdict that was reached elsewhere.
    pub(crate) fn summary(
        &self,
        frame: &Frame<'_>,
        scope: Scope,
        verdict: DayVerdict,
        bad_quarters: Quarters,
    ) -> DaySummary {
        self.describe(frame, scope, &self.hours(frame), verdict, bad_quarters)
    }

    fn describe(
        &self,
        frame: &Frame<'_>,
        scope: Scope,
        hours: &[Hour],
        verdict: DayVerdict,
        bad_quarters: Quarters,
    ) -> DaySummary {
        let busy = self.busy_totals(frame, frame.elapsed);
        let worst_hour = worst_of(hours).map(|hour| self.describe_hour(frame, hour));
        let average = self.average();
        let masked = verdict.is_bad() && average.is_some_and(|average| average.passes);
        let pair = worst_hour.as_ref().zip(average).filter(|_| masked);
        DaySummary {
            scope,
            building: frame.building,
            date: frame.day.date,
            verdict,
            limits: self.totals.limits,
            expected: busy.expected,
            valid: busy.valid,
            bad: busy.bad,
            masking_factor: pair.and_then(|(worst, average)| masking_factor(worst, &average)),
            worst_hour,
            bad_quarters: bad_quarters.minutes(),
            average,
            masked,
        }
    }

    fn verdict(&self, frame: &Frame<'_>, hours: &[Hour]) -> (DayVerdict, Quarters) {
        let missing = (DayVerdict::Missing, Quarters::default());
        if self.limits.is_none() {
            return missing;
        }
        let bad = self.bad_quarters(frame, hours);
        if !bad.is_empty() {
            let so_far = self.busy_totals(frame, frame.elapsed);
            // Of a day that is hardly known nobody can say that all of it was bad.
            let throughout = so_far.is_covered() && self.is_bad_throughout(frame, bad, &so_far);
            let verdict = if throughout { DayVerdict::AllDayBad } else { DayVerdict::PeakBad };
            return (verdict, bad);
        }
        // A day that has only begun is not good yet.
        let whole = self.busy_totals(frame, frame.day.minutes.len());
        let quarters = frame.busy().count();
        let usable = frame.busy().filter(|&at| self.cells[at].is_usable()).count();
        let known = whole.is_covered() && usable as u64 * 100 >= quarters as u64 * COVERAGE_PERCENT;
        if known && !hours.is_empty() { (DayVerdict::Good, bad) } else { missing }
    }

    /// Sums over the busy ones of the first `until` quarter-hours.
    fn busy_totals(&self, frame: &Frame<'_>, until: usize) -> Counts {
        let mut total = Counts::default();
        for cell in frame.busy().take_while(|&at| at < until).map(|at| self.cells[at]) {
            total.add(cell);
        }
        total
    }

    /// The rolling busy hours that were observed, in order.
    fn hours(&self, frame: &Frame<'_>) -> Vec<Hour> {
        let first = (0..(self.cells.len() + 1).saturating_sub(HOUR))
            .filter(|&at| (at..at + HOUR).all(|at| frame.is_busy(at)));
        let hour = |at: usize| {
            let mut counts = Counts::default();
            let mut usable = 0;
            for cell in self.cells[at..at + HOUR].iter().filter(|cell| cell.is_usable()) {
                counts.add(*cell);
                usable += 1;
            }
            let is_bad = u64::from(counts.bad) * u64::from(BAD_ONE_IN) >= u64::from(counts.valid)
                && counts.bad >= BAD_WINDOWS
                && self.bad_cells(at).count() >= BAD_QUARTERS;
            (usable >= USABLE_OF_HOUR).then_some(Hour { at, counts, is_bad })
        };
        first.filter_map(hour).collect()
    }

    /// The usable quarter-hours of a rolling hour that hold bad windows.
    fn bad_cells(&self, at: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (at..at + HOUR).filter(|&at| self.cells[at].is_usable() && self.cells[at].bad > 0)
    }

    /// The quarter-hours of all bad hours, each hour from its first to its last bad one.
    fn bad_quarters(&self, frame: &Frame<'_>, hours: &[Hour]) -> Quarters {
        let mut bad = Quarters::default();
        for hour in hours.iter().filter(|hour| hour.is_bad) {
            let first = self.bad_cells(hour.at).next().unwrap_or(hour.at);
            let last = self.bad_cells(hour.at).next_back().unwrap_or(hour.at);
            for &minute in &frame.day.minutes[first..=last] {
                bad.insert(minute);
            }
        }
        bad
    }

    /// True when the day is bad outside its busy hours as well.
    fn is_bad_throughout(&self, frame: &Frame<'_>, bad: Quarters, busy: &Counts) -> bool {
        let mut shares: Vec<f64> = self.off_peak_hours(frame).map(|hour| hour.share()).collect();
        if shares.len() < OFF_PEAK_HOURS {
            let observed = frame.busy().filter(|&at| self.cells[at].is_usable());
            let minutes: Vec<u16> = observed.map(|at| frame.day.minutes[at]).collect();
            let within = bad.and(Quarters::from_minutes(&minutes)).minutes().len();
            return within * 100 >= minutes.len() * THROUGHOUT_PERCENT;
        }
        shares.sort_by(f64::total_cmp);
        let median = shares[(shares.len() - 1) / 2];
        median >= OFF_PEAK_RATIO && median >= OFF_PEAK_TO_BUSY * busy.share()
    }

    /// The observed hours of the clock outside busy hours.
    fn off_peak_hours(&self, frame: &Frame<'_>) -> impl Iterator<Item = Counts> {
        let quiet = |at: &usize| !frame.is_busy(*at);
        let quarters: Vec<usize> = (0..self.cells.len()).filter(quiet).collect();
        let clock = |at: usize| frame.day.minutes[at] / 60;
        let mut hours: Vec<Counts> = Vec::new();
        for chunk in quarters.chunk_by(|&a, &b| clock(a) == clock(b)) {
            let mut hour = Counts::default();
            for cell in chunk.iter().map(|&at| self.cells[at]).filter(Counts::is_usable) {
                hour.add(cell);
            }
            hours.push(hour);
        }
        hours.into_iter().filter(|hour| hour.valid > 0)
    }
}

/// The worst rolling hour: a bad one before others, then the higher share of bad windows, then more
/// of them, then the earlier one.
fn worst_of(hours: &[Hour]) -> Option<&Hour> {
    let share = |a: &Counts, b: &Counts| u64::from(a.bad) * u64::from(b.valid);
    hours.iter().max_by(|a, b| {
        a.is_bad
            .cmp(&b.is_bad)
            .then(share(&a.counts, &b.counts).cmp(&share(&b.counts, &a.counts)))
            .then(a.counts.bad.cmp(&b.counts.bad))
            .then(b.at.cmp(&a.at))
    })
}

/// For each limit the lower one; where a source gives none for order, none is known of both.
pub(crate) fn stricter(a: LimitTable, b: LimitTable) -> LimitTable {
    LimitTable {
        loss_ppm: a.loss_ppm.min(b.loss_ppm),
        burst_ppm: a.burst_ppm.min(b.burst_ppm),
        rtt_us: a.rtt_us.min(b.rtt_us),
        one_way_us: a.one_way_us.min(b.one_way_us),
        jitter_us: a.jitter_us.min(b.jitter_us),
        reorder_ppm: a.reorder_ppm.zip(b.reorder_ppm).map(|(a, b)| a.min(b)),
        ..a
    }
}
