//! The verdict on one local day of one path, or of several taken together.

mod figures;

use std::fmt::Debug;

use busyhour_model::{
    AgentId, BuildingId, Combination, DaySummary, DayVerdict, LimitTable, LinkKind, PathId,
    RequirementProfile, Scope, Slot, SlotGist, SlotStart, SubnetId, UtcMicros, limits_in_force,
};

use self::figures::{Totals, masking_factor};
use crate::day_counts::{DayCounts, Hours};
use crate::day_frame::BuildingDay;
use crate::fleet::{Bin, TargetNo};
use crate::params::Params;
use crate::quarters::Quarters;
use crate::target_day::TargetBins;

/// What the windows of a path were like, each. Only the worst hours of a day are asked for, so that who
/// keeps figures packed need not unpack the others.
pub trait WindowFigures: Debug {
    /// Hands out the combinations of figures of the slots with `from <= start < until`, each with how
    /// many windows of the slot had it.
    fn visit(
        &self,
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(SlotStart, Combination, u32),
    );
}

impl WindowFigures for Vec<Slot> {
    fn visit(
        &self,
        (from, until): (SlotStart, SlotStart),
        visit: &mut dyn FnMut(SlotStart, Combination, u32),
    ) {
        for slot in self.iter().filter(|slot| from <= slot.start && slot.start < until) {
            for &(combination, n) in slot.figures.combinations() {
                visit(slot.start, combination, n);
            }
        }
    }
}

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
    /// Its slots in short, each quarter-hour at most once, in any order; those of other days are ignored.
    pub slots: &'a [SlotGist],
    /// What the windows of the same slots were like.
    pub figures: &'a dyn WindowFigures,
}

/// A building's day as it is judged.
pub(crate) struct Frame<'a> {
    pub(crate) building: BuildingId,
    day: &'a BuildingDay,
    faults: &'a TargetBins,
    /// Quarter-hours that have begun, a bit each; all of them on past days.
    elapsed: u128,
    params: Params,
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
        let elapsed = starts.take_while(|start| *start < now).fold(0, |bits, _| bits << 1 | 1);
        Some(Self { building, day, faults, elapsed, params: Params::default() })
    }

    /// True when the target of a path was at fault in that quarter-hour: it is unobserved then.
    fn is_fault(&self, path: &PathDay<'_>, slot: SlotStart) -> bool {
        path.target.is_some_and(|target| self.faults.contains(target, slot))
    }

    /// True when the day ends after the beginning of that quarter-hour.
    pub(crate) fn reaches(&self, slot: SlotStart) -> bool {
        slot < self.day.span().1
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
}

/// A day of one or more paths taken together.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    /// One for each quarter-hour.
    cells: Vec<Counts>,
    /// Its paths, to look at again where one of their hours is described.
    paths: Vec<PathDay<'a>>,
    totals: Totals,
    /// The strictest limits of its paths; `None` when none of them is judged.
    limits: Option<LimitTable>,
}

impl<'a> Series<'a> {
    /// A day of no path.
    pub(crate) fn empty(frame: &Frame<'_>) -> Self {
        Self {
            cells: vec![Counts::default(); frame.day.minutes.len()],
            paths: Vec::new(),
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
        series.paths.push(*path);
        for slot in path.slots {
            let at = frame.day.bin_of(slot.start);
            let Some(cell) = at.and_then(|at| series.cells.get_mut(at)) else { continue };
            if slot.expected > 0 {
                cell.expected = slot.expected;
            }
            if frame.is_fault(path, slot.start) {
                continue;
            }
            (cell.valid, cell.bad) = (slot.valid, slot.bad);
            series.totals.add(&Totals::of(slot));
        }
        series
    }

    /// Takes another one together with it.
    pub(crate) fn join(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            cell.add(*more);
        }
        self.paths.extend(&other.paths);
        self.totals.add(&other.totals);
        self.limits = match (self.limits, other.limits) {
            (Some(own), Some(limits)) => Some(stricter(own, limits)),
            (own, limits) => own.or(limits),
        };
    }

    /// Judges the series by its own counts.
    pub(crate) fn judge(&self, frame: &Frame<'_>, scope: Scope) -> DaySummary {
        let counts = self.counts(frame);
        let hours = counts.hours(&frame.params);
        // What is judged by nothing is missing, whatever was counted.
        let (verdict, bad) = match self.limits {
            Some(_) => counts.verdict(&hours, frame.elapsed, &frame.params),
            None => (DayVerdict::Missing, 0),
        };
        self.describe(frame, scope, &counts, &hours, verdict, frame.day.quarters_of(bad))
    }

    /// The figures of the series under a verdict that was reached elsewhere.
    pub(crate) fn summary(
        &self,
        frame: &Frame<'_>,
        scope: Scope,
        verdict: DayVerdict,
        bad_quarters: Quarters,
    ) -> DaySummary {
        let counts = self.counts(frame);
        let hours = counts.hours(&frame.params);
        self.describe(frame, scope, &counts, &hours, verdict, bad_quarters)
    }

    fn counts<'f>(&self, frame: &Frame<'f>) -> DayCounts<'f> {
        let mut counts = DayCounts::new(frame.day, &frame.params);
        for (at, cell) in self.cells.iter().enumerate() {
            counts.expect(at, cell.expected);
            counts.put(at, (cell.valid, cell.bad), &frame.params);
        }
        counts
    }

    fn describe(
        &self,
        frame: &Frame<'_>,
        scope: Scope,
        counts: &DayCounts<'_>,
        hours: &Hours,
        verdict: DayVerdict,
        bad_quarters: Quarters,
    ) -> DaySummary {
        let so_far = frame.day.busy_bins() & frame.elapsed;
        let (valid, bad) = counts.count(so_far);
        let worst_hour = hours.worst.as_ref().map(|hour| self.describe_hour(frame, hour));
        let average = self.average();
        let masked = verdict.is_bad() && average.is_some_and(|average| average.passes);
        let pair = worst_hour.as_ref().zip(average).filter(|_| masked);
        DaySummary {
            scope,
            building: frame.building,
            date: frame.day.date,
            verdict,
            limits: self.totals.limits,
            expected: counts.expected(so_far),
            valid,
            bad,
            masking_factor: pair.and_then(|(worst, average)| masking_factor(worst, &average)),
            worst_hour,
            bad_quarters: bad_quarters.minutes(),
            average,
            masked,
        }
    }
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
