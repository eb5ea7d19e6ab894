//! What recurs: bad at the same hours of enough days, and not for another reason.

use busyhour_model::{Breach, DayVerdict};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::finding::FindingKind;
use crate::params::{Params, Rule};
use crate::quarters::Quarters;
use crate::series::SeriesDay;
use crate::shift::is_moved_route;

/// That something recurs.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrence {
    /// Recurring peak, weekly pattern or constant fault.
    pub kind: FindingKind,
    /// The local hours it keeps to.
    pub hours: Quarters,
    /// The bad days that make it recur, ascending; `today` is the last.
    pub bad_days: Vec<Date>,
    /// The observed days that were looked at, ascending.
    pub observed_days: Vec<Date>,
    /// On all of its bad days the worst hour was bad by delay alone.
    pub delay_alone: bool,
}

/// Says whether what a series was like on `today` recurs. `days` are its rows, ascending, one a date,
/// up to `today`; earlier ones than five weeks are not needed. Days that are not there, and missing
/// ones, are skipped: they neither open nor close anything.
#[must_use]
pub fn recurrence(days: &[&SeriesDay], today: Date, params: &Params) -> Option<Recurrence> {
    let until = days.partition_point(|day| day.date <= today);
    let days = days.get(..until)?;
    let last = *days.last()?;
    if last.date != today || !last.verdict.is_bad() {
        return None;
    }
    let past = Past { days, last, params };
    past.constant().or_else(|| past.peak()).or_else(|| past.quick()).or_else(|| past.weekly())
}

/// The rows up to a day that is bad.
#[derive(Clone, Copy)]
struct Past<'a> {
    days: &'a [&'a SeriesDay],
    last: &'a SeriesDay,
    params: &'a Params,
}

impl<'a> Past<'a> {
    /// Bad at all hours, for longer than an incident lasts.
    fn constant(&self) -> Option<Recurrence> {
        if self.last.verdict != DayVerdict::AllDayBad {
            return None;
        }
        let window = self.window(self.params.look_back_days, self.params.of_days, |_| true);
        let bad: Vec<&SeriesDay> =
            window.iter().filter(|day| day.verdict == DayVerdict::AllDayBad).copied().collect();
        let lasts = !self.params.holds(Rule::ConstantSpan) || self.spans(&bad);
        if bad.len() < self.needed() || !lasts {
            return None;
        }
        Some(self.found(FindingKind::ConstantFault, &window, &bad))
    }

    /// Bad at the same busy hours of most working days.
    fn peak(&self) -> Option<Recurrence> {
        if self.last.verdict != DayVerdict::PeakBad {
            return None;
        }
        let params = self.params;
        let window = self.window(params.look_back_days, params.of_days, |_| true);
        let bad = self.alike(&window);
        if bad.len() < self.needed() {
            return None;
        }
        if self.occurrences(&bad) >= self.needed() {
            return Some(self.found(FindingKind::RecurringPeak, &window, &bad));
        }
        // It never went away in between: an incident, unless it has lasted for longer than one does.
        self.spans(&bad).then(|| self.found(FindingKind::ConstantFault, &window, &bad))
    }

    /// Bad at the very same hours of two days, and fine in between.
    fn quick(&self) -> Option<Recurrence> {
        let params = self.params;
        if self.last.verdict != DayVerdict::PeakBad || !params.holds(Rule::Quick) {
            return None;
        }
        let window = self.window(params.look_back_days, params.quick_of_days, |_| true);
        let (today, earlier) = window.split_last()?;
        let is_clear = |day: &SeriesDay| {
            day.verdict == DayVerdict::PeakBad
                && day.bad_quarters().count() <= params.quick_most_quarters
                && day.worst().is_some_and(|worst| {
                    u64::from(worst.bad) * 1_000
                        >= u64::from(worst.valid) * u64::from(params.quick_permille)
                })
                && !self.is_other(day)
        };
        let oldest = today.date.saturating_sub(params.quick_span_days.days());
        let much_alike = |day: &&&SeriesDay| {
            is_clear(day)
                && day.date >= oldest
                && day.bad_quarters().likeness_percent(today.bad_quarters())
                    >= params.quick_likeness_percent
                && self.recovered_between(day, today)
        };
        if !is_clear(today) {
            return None;
        }
        let other = earlier.iter().rev().find(much_alike)?;
        Some(self.found(FindingKind::RecurringPeak, &window, &[*other, *today]))
    }

    /// Bad at the same hours of one weekday.
    fn weekly(&self) -> Option<Recurrence> {
        if self.last.verdict != DayVerdict::PeakBad || !self.params.holds(Rule::Weekly) {
            return None;
        }
        let params = self.params;
        let weekday = self.last.date.weekday();
        let window = self.window(params.weekday_look_back_days, params.of_weekdays, |day| {
            day.date.weekday() == weekday
        });
        let bad = self.alike(&window);
        if bad.len() < self.needed() {
            return None;
        }
        Some(self.found(FindingKind::WeeklyPattern, &window, &bad))
    }

    const fn needed(&self) -> usize {
        self.params.recurs as usize
    }

    /// The last observed days of a kind, ascending. A good day counts where the hours in question,
    /// those at which the last day is bad, were seen on it.
    fn window(
        &self,
        look_back: i32,
        count: u32,
        of_kind: impl Fn(&SeriesDay) -> bool,
    ) -> Vec<&'a SeriesDay> {
        let from = self.last.date.saturating_sub((look_back - 1).days());
        let hours = self.last.bad_quarters();
        let saw_them = |day: &SeriesDay| {
            day.verdict.is_bad()
                || !self.params.holds(Rule::SeenHours)
                || day.seen_quarters.and(hours).count() * 2 >= hours.count()
        };
        let observed = |day: &&&SeriesDay| {
            day.date >= from && day.verdict.is_observed() && of_kind(day) && saw_them(day)
        };
        let mut window: Vec<&SeriesDay> =
            self.days.iter().rev().filter(observed).take(count as usize).copied().collect();
        window.reverse();
        window
    }

    /// The days of a window that are bad as the last one is: at peak, in the same manner, at
    /// overlapping hours, and not because another route was taken. None when the last is not among
    /// them.
    fn alike(&self, window: &[&'a SeriesDay]) -> Vec<&'a SeriesDay> {
        let params = self.params;
        let counts = |day: &&&SeriesDay| day.verdict == DayVerdict::PeakBad && !self.is_other(day);
        let mut bad: Vec<&SeriesDay> = window.iter().filter(counts).copied().collect();
        if params.holds(Rule::SameHours) {
            let hours = common_hours(&bad, self.needed());
            bad.retain(|day| day.bad_quarters().overlaps(hours));
        }
        if bad.last().is_some_and(|day| day.date == self.last.date) { bad } else { Vec::new() }
    }

    /// True for a bad day that is bad in another manner than the last one, or because another route
    /// was taken.
    fn is_other(&self, day: &SeriesDay) -> bool {
        let params = self.params;
        (params.holds(Rule::AlikeGuard) && is_outage(day) != is_outage(self.last))
            || (params.holds(Rule::LevelShiftGuard) && is_moved_route(self.days, day, params))
    }

    /// How often it began: bad days between which it never went away are one occurrence.
    fn occurrences(&self, bad: &[&SeriesDay]) -> usize {
        let goes_on = |pair: &&[&SeriesDay]| {
            self.params.holds(Rule::NightGuard) && !self.recovered_between(pair[0], pair[1])
        };
        bad.len() - bad.windows(2).filter(goes_on).count()
    }

    /// True when at least half of the hours that were observed between two bad days were fine again.
    /// Where nobody observed any nobody knows that it went away.
    fn recovered_between(&self, one: &SeriesDay, other: &SeriesDay) -> bool {
        let between =
            || self.days.iter().filter(|day| one.date < day.date && day.date < other.date);
        if between().any(|day| day.verdict == DayVerdict::Good) {
            return true;
        }
        let rest = between()
            .fold(one.after.and(other.before), |rest, day| rest.and(day.before).and(day.after));
        rest.seen > 0 && u16::from(rest.bad) * 2 <= u16::from(rest.seen)
    }

    /// True when the first and the last of these days lie further apart than an incident lasts.
    fn spans(&self, bad: &[&SeriesDay]) -> bool {
        let (Some(first), Some(last)) = (bad.first(), bad.last()) else {
            return false;
        };
        first.date.saturating_add(self.params.constant_span_days.days()) <= last.date
    }

    fn found(&self, kind: FindingKind, window: &[&SeriesDay], bad: &[&SeriesDay]) -> Recurrence {
        let common = common_hours(bad, self.needed().min(bad.len()));
        let all = || bad.iter().fold(Quarters::default(), |all, day| all.or(day.bad_quarters()));
        let hours = if common.is_empty() { all() } else { common };
        Recurrence {
            kind,
            hours,
            bad_days: bad.iter().map(|day| day.date).collect(),
            observed_days: window.iter().map(|day| day.date).collect(),
            delay_alone: bad.iter().all(|day| is_by_delay_alone(day, self.params)),
        }
    }
}

/// The hours that recur in bad days; none when they do not.
///
/// A quarter-hour recurs when it was bad on one of the days and something within 45 minutes of it
/// was on enough others: one side is dilated, never both, so that nothing is named at which nothing
/// was bad. Of each stretch that recurs, what was bad twice is named where there is such.
fn common_hours(bad: &[&SeriesDay], needed: usize) -> Quarters {
    let own: Vec<Quarters> = bad.iter().map(|day| day.bad_quarters()).collect();
    let near: Vec<Quarters> = own.iter().map(|hours| hours.dilated()).collect();
    let twice = Quarters::in_at_least(&own, 2);
    let recurring = Quarters::in_at_least(&near, needed).and(Quarters::in_at_least(&own, 1));
    recurring.stretches().into_iter().fold(Quarters::default(), |hours, stretch| {
        let core = stretch.and(twice);
        hours.or(if core.is_empty() { stretch } else { core })
    })
}

/// True when in most bad windows of the worst hour nothing came back at all.
fn is_outage(day: &SeriesDay) -> bool {
    day.worst()
        .is_some_and(|worst| u64::from(worst.bad_by(Breach::Failed)) * 2 >= u64::from(worst.bad))
}

/// True when the worst hour would not be bad but for its round trips.
pub(crate) fn is_by_delay_alone(day: &SeriesDay, params: &Params) -> bool {
    day.worst().is_some_and(|worst| {
        let others = [Breach::Loss, Breach::Burst, Breach::Jitter, Breach::Failed];
        let most = others.map(|breach| worst.bad_by(breach)).into_iter().max().unwrap_or(0);
        let enough =
            u64::from(most) * 1_000 >= u64::from(worst.valid) * u64::from(params.bad_permille);
        worst.bad_by(Breach::Delay) > 0 && !(enough && most >= params.bad_windows)
    })
}
