//! The verdict on one local day of one path, or of several taken together.

use crate::frame::Quarter;
use crate::quarters::Quarters;
use crate::{DayFrame, TargetFaults};
use busyhour_model::{
    AgentId, Breach, BuildingId, DailyAverage, DaySummary, DayVerdict, Figure, LimitTable,
    LimitsVersion, LinkKind, PathId, RequirementProfile, Scope, Slot, SlotStart, SubnetId,
    TargetName, WorstHour, limits_in_force,
};

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
/// A day without a bad hour is good with 40 % of the windows of its business hours, in 40 % of their
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
    /// The building that the subnet belongs to.
    pub building: BuildingId,
    /// The kind of link.
    pub link: LinkKind,
    /// What it talks to.
    pub target: &'a TargetName,
    /// What it is judged by; nothing is judged by none.
    pub requirement: RequirementProfile,
    /// The quarter-hour of its first window ever: nothing is expected before.
    pub since: SlotStart,
    /// Windows that should exist in a slot of which there is nothing.
    pub windows_per_slot: u32,
    /// Its slots, each quarter-hour at most once, in any order; those of other days are ignored.
    pub slots: &'a [Slot],
}

/// One quarter-hour of one or more paths.
#[derive(Debug, Clone, Default)]
struct Cell<'a> {
    expected: u32,
    valid: u32,
    bad: u32,
    slots: Vec<&'a Slot>,
}

impl Cell<'_> {
    fn is_usable(&self) -> bool {
        self.valid > 0 && self.valid.saturating_mul(USABLE_ONE_IN) >= self.expected
    }
}

/// A day of one or more paths taken together.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    cells: Vec<Cell<'a>>,
    /// The strictest limits of its paths; `None` when none of them is judged.
    limits: Option<LimitTable>,
}

impl<'a> Series<'a> {
    /// Takes `paths` together. A quarter-hour in which a target was at fault is unobserved for it.
    pub(crate) fn of<'p>(
        frame: &DayFrame,
        paths: impl IntoIterator<Item = &'p PathDay<'a>>,
        faults: &TargetFaults,
    ) -> Self
    where
        'a: 'p,
    {
        let mut series = Self { cells: vec![Cell::default(); frame.quarters.len()], limits: None };
        for path in paths {
            series.add(frame, path, faults);
        }
        series
    }

    fn add(&mut self, frame: &DayFrame, path: &PathDay<'a>, faults: &TargetFaults) {
        if let Some(table) = limits_in_force(path.requirement, frame.from) {
            self.limits = Some(self.limits.map_or(*table, |limits| stricter(limits, *table)));
        }
        let mut expected: Vec<u32> = frame
            .quarters
            .iter()
            .map(|quarter| if quarter.start < path.since { 0 } else { path.windows_per_slot })
            .collect();
        let first = frame.quarters.first().map_or(0, |quarter| quarter.start.number());
        for slot in path.slots {
            let at = usize::try_from(slot.start.number() - first).ok();
            let Some((at, cell)) = at.and_then(|at| Some((at, self.cells.get_mut(at)?))) else {
                continue;
            };
            if slot.expected > 0 {
                expected[at] = slot.expected;
            }
            if faults.contains(path.target, slot.start) {
                continue;
            }
            cell.valid = cell.valid.saturating_add(slot.valid);
            cell.bad = cell.bad.saturating_add(slot.bad);
            cell.slots.push(slot);
        }
        for (cell, expected) in self.cells.iter_mut().zip(expected) {
            cell.expected = cell.expected.saturating_add(expected);
        }
    }

    /// Judges the series by its own counts.
    pub(crate) fn judge(&self, frame: &DayFrame, scope: Scope) -> DaySummary {
        let (verdict, bad_quarters) = self.verdict(frame);
        self.summary(frame, scope, verdict, bad_quarters)
    }

    /// The figures of the series under a verdict that was reached elsewhere.
    pub(crate) fn summary(
        &self,
        frame: &DayFrame,
        scope: Scope,
        verdict: DayVerdict,
        bad_quarters: Quarters,
    ) -> DaySummary {
        let business = self.business_totals(frame, frame.elapsed);
        let worst_hour = self.worst_hour(frame).map(|at| self.describe_hour(frame, at));
        let average = self.average();
        let masked = verdict.is_bad() && average.is_some_and(|average| average.passes);
        DaySummary {
            scope,
            building: frame.building(),
            date: frame.date(),
            verdict,
            expected: business.expected,
            valid: business.valid,
            bad: business.bad,
            masking_factor: worst_hour
                .as_ref()
                .zip(average)
                .filter(|_| masked)
                .and_then(|(worst, average)| masking_factor(worst, &average)),
            worst_hour,
            bad_quarters: bad_quarters.minutes(),
            average,
            masked,
        }
    }

    fn verdict(&self, frame: &DayFrame) -> (DayVerdict, Quarters) {
        let missing = (DayVerdict::Missing, Quarters::default());
        if self.limits.is_none() || frame.business().next().is_none() {
            return missing;
        }
        let so_far = self.business_totals(frame, frame.elapsed);
        let whole = self.business_totals(frame, frame.quarters.len());
        let bad = self.bad_quarters(frame);
        let observed = |part: &Cell<'_>| {
            u64::from(part.valid) * 100 >= u64::from(part.expected) * COVERAGE_PERCENT
                && part.valid > 0
        };
        if !bad.is_empty() {
            // Of a day that is hardly known nobody can say that all of it was bad.
            let throughout = observed(&so_far) && self.is_bad_throughout(frame, bad, &so_far);
            let verdict = if throughout { DayVerdict::AllDayBad } else { DayVerdict::PeakBad };
            return (verdict, bad);
        }
        // A day that has only begun is not good yet.
        let quarters = frame.business().count();
        let usable = frame.business().filter(|&at| self.cells[at].is_usable()).count();
        let known = observed(&whole) && usable as u64 * 100 >= quarters as u64 * COVERAGE_PERCENT;
        if known && self.worst_hour(frame).is_some() {
            return (DayVerdict::Good, bad);
        }
        missing
    }

    /// Sums over the business hours among the first `until` quarter-hours.
    fn business_totals(&self, frame: &DayFrame, until: usize) -> Cell<'a> {
        let mut total = Cell::default();
        for cell in frame.business().filter(|&at| at < until).filter_map(|at| self.cells.get(at)) {
            total.expected = total.expected.saturating_add(cell.expected);
            total.valid = total.valid.saturating_add(cell.valid);
            total.bad = total.bad.saturating_add(cell.bad);
        }
        total
    }

    /// The rolling hours inside business hours that were observed, by their first quarter-hour.
    fn hours<'s>(&'s self, frame: &'s DayFrame) -> impl Iterator<Item = (usize, Cell<'a>)> + 's {
        let business = |at: usize| frame.quarters[at..at + HOUR].iter().all(|q| q.business);
        (0..(frame.quarters.len() + 1).saturating_sub(HOUR))
            .filter(move |&at| business(at))
            .filter_map(|at| {
                let usable = || self.cells[at..at + HOUR].iter().filter(|cell| cell.is_usable());
                let mut hour = Cell::default();
                for cell in usable() {
                    hour.valid = hour.valid.saturating_add(cell.valid);
                    hour.bad = hour.bad.saturating_add(cell.bad);
                }
                (usable().count() >= USABLE_OF_HOUR).then_some((at, hour))
            })
    }

    /// The usable quarter-hours of a rolling hour that hold bad windows.
    fn bad_cells(&self, at: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (at..at + HOUR).filter(|&at| self.cells[at].is_usable() && self.cells[at].bad > 0)
    }

    fn is_bad_hour(&self, at: usize, hour: &Cell<'_>) -> bool {
        u64::from(hour.bad) * u64::from(BAD_ONE_IN) >= u64::from(hour.valid)
            && hour.bad >= BAD_WINDOWS
            && self.bad_cells(at).count() >= BAD_QUARTERS
    }

    /// The quarter-hours of all bad hours, each hour from its first to its last bad one.
    fn bad_quarters(&self, frame: &DayFrame) -> Quarters {
        let mut bad = Quarters::default();
        for (at, _) in self.hours(frame).filter(|(at, hour)| self.is_bad_hour(*at, hour)) {
            let first = self.bad_cells(at).next().unwrap_or(at);
            let last = self.bad_cells(at).next_back().unwrap_or(at);
            for quarter in &frame.quarters[first..=last] {
                bad.insert(quarter.minute);
            }
        }
        bad
    }

    /// The worst rolling hour: a bad one before others, then the higher share of bad windows, then
    /// more of them, then the earlier one.
    fn worst_hour(&self, frame: &DayFrame) -> Option<usize> {
        let share = |a: &Cell<'_>, b: &Cell<'_>| u64::from(a.bad) * u64::from(b.valid);
        self.hours(frame)
            .max_by(|(at, a), (bt, b)| {
                self.is_bad_hour(*at, a)
                    .cmp(&self.is_bad_hour(*bt, b))
                    .then(share(a, b).cmp(&share(b, a)))
                    .then(a.bad.cmp(&b.bad))
                    .then(bt.cmp(at))
            })
            .map(|(at, _)| at)
    }

    fn describe_hour(&self, frame: &DayFrame, at: usize) -> WorstHour {
        let slots =
            || self.cells[at..at + HOUR].iter().filter(|c| c.is_usable()).flat_map(|c| &c.slots);
        let mut hour = slots().next().map_or_else(
            || Slot::new(frame.quarters[at].start, LimitsVersion(0)),
            |&slot| slot.clone(),
        );
        for slot in slots().skip(1) {
            hour.merge(slot);
        }
        WorstHour {
            start_minute: frame.quarters[at].minute,
            valid: hour.valid,
            bad: hour.bad,
            dominant: dominant(&hour),
            loss_ppm: loss_ppm(slots()),
            loss_ppm_p90: hour.figures.quantile(Figure::Loss, 0.9).unwrap_or(0),
            rtt_us_p90: hour.rtt_us.quantile(0.9).unwrap_or(0),
            jitter_us_p90: hour.figures.quantile(Figure::Jitter, 0.9).unwrap_or(0),
        }
    }

    /// The plain average over the whole local day, as other tools report it.
    fn average(&self) -> Option<DailyAverage> {
        let slots = || self.cells.iter().flat_map(|cell| &cell.slots);
        let sent: u64 = slots().map(|slot| slot.sent).sum();
        if sent == 0 {
            return None;
        }
        let mean = |of: fn(&Slot) -> (u64, u64)| {
            let (sum, count) =
                slots().map(|slot| of(slot)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            u32::try_from(sum.checked_div(count).unwrap_or(0)).unwrap_or(u32::MAX)
        };
        let loss_ppm = loss_ppm(slots());
        let rtt_us = mean(|slot| (slot.rtt_us.sum(), slot.rtt_us.count()));
        let jitter_us =
            mean(|slot| (slot.figures.sum(Figure::Jitter), slot.figures.count(Figure::Jitter)));
        let passes = self.limits.is_some_and(|limits| {
            loss_ppm <= limits.loss_ppm && rtt_us <= limits.rtt_us && jitter_us <= limits.jitter_us
        });
        Some(DailyAverage { loss_ppm, rtt_us, jitter_us, passes })
    }

    /// True when the day is bad outside its busy hours as well.
    fn is_bad_throughout(&self, frame: &DayFrame, bad: Quarters, busy: &Cell<'_>) -> bool {
        let mut ratios: Vec<f64> = self
            .off_peak_hours(frame)
            .map(|hour| f64::from(hour.bad) / f64::from(hour.valid))
            .collect();
        if ratios.len() < OFF_PEAK_HOURS {
            let observed = frame.business().filter(|&at| self.cells[at].is_usable());
            let minutes: Vec<u16> = observed.map(|at| frame.quarters[at].minute).collect();
            let within = bad.and(Quarters::from_minutes(&minutes)).minutes().len();
            return within * 100 >= minutes.len() * THROUGHOUT_PERCENT;
        }
        ratios.sort_by(f64::total_cmp);
        let median = ratios[(ratios.len() - 1) / 2];
        let busy_ratio = f64::from(busy.bad) / f64::from(busy.valid.max(1));
        median >= OFF_PEAK_RATIO && median >= OFF_PEAK_TO_BUSY * busy_ratio
    }

    /// The observed hours of the clock outside business hours.
    fn off_peak_hours<'s>(&'s self, frame: &'s DayFrame) -> impl Iterator<Item = Cell<'a>> + 's {
        let quarters: Vec<(&Quarter, &Cell<'a>)> =
            frame.quarters.iter().zip(&self.cells).filter(|(q, _)| !q.business).collect();
        let mut hours: Vec<Cell<'a>> = Vec::new();
        for chunk in quarters.chunk_by(|(a, _), (b, _)| a.minute / 60 == b.minute / 60) {
            let mut hour = Cell::default();
            for (_, cell) in chunk.iter().filter(|(_, cell)| cell.is_usable()) {
                hour.valid = hour.valid.saturating_add(cell.valid);
                hour.bad = hour.bad.saturating_add(cell.bad);
            }
            hours.push(hour);
        }
        hours.into_iter().filter(|hour| hour.valid > 0)
    }
}

/// For each limit the lower one.
fn stricter(a: LimitTable, b: LimitTable) -> LimitTable {
    LimitTable {
        loss_ppm: a.loss_ppm.min(b.loss_ppm),
        burst_ppm: a.burst_ppm.min(b.burst_ppm),
        rtt_us: a.rtt_us.min(b.rtt_us),
        one_way_us: a.one_way_us.min(b.one_way_us),
        jitter_us: a.jitter_us.min(b.jitter_us),
        ..a
    }
}

/// The limit that most bad windows broke. Failed windows break the one for loss as well: they are
/// named by what they are when they are half of the bad ones.
fn dominant(hour: &Slot) -> Option<Breach> {
    if hour.bad == 0 {
        return None;
    }
    if hour.bad_by(Breach::Failed) * 2 >= hour.bad {
        return Some(Breach::Failed);
    }
    let order = [Breach::Loss, Breach::Burst, Breach::Delay, Breach::Jitter];
    // Of equals `max_by_key` takes the last; the first of the order is wanted.
    order.into_iter().rev().max_by_key(|&breach| hour.bad_by(breach))
}

/// The worst hour's 90th percentile over the plain daily average, for the dominant limit; `None`
/// when that is not above 1.
fn masking_factor(worst: &WorstHour, average: &DailyAverage) -> Option<f64> {
    let (peak, mean) = match worst.dominant? {
        Breach::Loss | Breach::Burst | Breach::Failed => (worst.loss_ppm_p90, average.loss_ppm),
        Breach::Delay => (worst.rtt_us_p90, average.rtt_us),
        Breach::Jitter => (worst.jitter_us_p90, average.jitter_us),
    };
    (mean > 0 && peak > mean).then(|| f64::from(peak) / f64::from(mean))
}

/// All lost over all sent, as far as the slots tell.
fn loss_ppm<'a>(slots: impl Iterator<Item = &'a &'a Slot>) -> u32 {
    let told = slots.map(|slot| slot.loss_told());
    let (lost, sent) = told.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    ratio_ppm(lost, sent)
}

/// `part` of `whole` in parts per million; 0 of nothing.
fn ratio_ppm(part: u64, whole: u64) -> u32 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u32::try_from(ppm).unwrap_or(u32::MAX)
}
