//! Level shifts: another route was taken, and round trips moved at all hours alike. That is no
//! congestion, however many limits it crosses.

use jiff::civil::Date;

use crate::params::Params;
use crate::rank::median;
use crate::recurrence::is_by_delay_alone;
use crate::series::SeriesDay;

/// Rows after a shift in which it is still new.
const NEW_FOR: usize = 5;

/// That the quiet round trip of a series moved and stayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelShift {
    /// The first day after it.
    pub on: Date,
    /// The median quiet round trip before, in microseconds.
    pub before_us: u32,
    /// And after.
    pub after_us: u32,
}

impl LevelShift {
    /// By how much it moved, in microseconds; below 0 when it became faster.
    #[must_use]
    pub const fn by_us(&self) -> i64 {
        self.after_us as i64 - self.before_us as i64
    }
}

/// The level shift that became certain on `today` or in the two observed days before it: the quiet
/// round trips of at least three days lie apart from those of the days before, and busy hours lie
/// above quiet ones as they did. `days` are the rows of a series, ascending, one a date.
#[must_use]
pub fn level_shift(days: &[&SeriesDay], today: Date, params: &Params) -> Option<LevelShift> {
    let known: Vec<&SeriesDay> =
        days.iter().filter(|day| day.date <= today && day.base_rtt_us.is_some()).copied().collect();
    if known.last()?.date != today {
        return None;
    }
    let most = NEW_FOR.max(params.shift_days_after);
    (params.shift_days_after..=most).rev().find_map(|count| {
        let (before, after) = known.split_at_checked(known.len().checked_sub(count)?)?;
        let before = latest(before, params.shift_days_before.0);
        (before.len() >= params.shift_days_before.1.max(params.shift_days_after))
            .then(|| shift_between(before, after, params))?
    })
}

/// The shift between days before and after, when all of them are on their side of it.
fn shift_between(
    before: &[&SeriesDay],
    after: &[&SeriesDay],
    params: &Params,
) -> Option<LevelShift> {
    let base = |day: &&SeriesDay| day.base_rtt_us.map(i64::from);
    let before_us = median(before.iter().filter_map(base))?;
    let after_us = median(after.iter().filter_map(base))?;
    let by = after_us - before_us;
    if by.abs() < threshold(before_us, params) {
        return None;
    }
    // Each side keeps to its own: nearer to its own median than to the other.
    let middle = before_us.midpoint(after_us);
    let on_side = |day: &&SeriesDay, side: i64| {
        base(day).is_some_and(|base| (base - middle).signum() * side > 0)
    };
    let apart = before.iter().filter(|day| on_side(day, -by.signum())).count();
    let clean = apart * 5 >= before.len() * 4
        && before.last().is_some_and(|day| on_side(day, -by.signum()))
        && after.iter().all(|day| on_side(day, by.signum()));
    if !clean || !keeps_its_shape(before, after, by, params) {
        return None;
    }
    let on = after.first()?.date;
    let us = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    Some(LevelShift { on, before_us: us(before_us), after_us: us(after_us) })
}

/// True when busy hours lie as far above quiet ones as before, as far as anybody knows.
fn keeps_its_shape(before: &[&SeriesDay], after: &[&SeriesDay], by: i64, params: &Params) -> bool {
    let above = |days: &[&SeriesDay]| {
        median(days.iter().filter_map(|day| {
            Some(i64::from(day.busy.rtt_p50_us?) - i64::from(day.quiet.rtt_p50_us?))
        }))
    };
    above(before).zip(above(after)).is_none_or(|(before, after)| {
        (after - before).abs() <= (by.abs() / 2).max(i64::from(params.moved_us) / 2)
    })
}

/// True when a bad day is bad for its route and not for its hour: but for delay it would not be bad,
/// and either its busy hours are no slower than its quiet ones, or its quiet round trips moved before
/// it and have stayed, and its busy hours lie no further above them than they used to.
pub(crate) fn is_moved_route(days: &[&SeriesDay], day: &SeriesDay, params: &Params) -> bool {
    if !is_by_delay_alone(day, params) {
        return false;
    }
    let (Some(rise), Some(_)) = (day.rise_us, day.base_rtt_us) else {
        return false;
    };
    if rise < params.elevated_from_us {
        return true;
    }
    let until = days.partition_point(|other| other.date <= day.date);
    let known: Vec<&SeriesDay> =
        days.iter().take(until).filter(|day| day.base_rtt_us.is_some()).copied().collect();
    (1..=known.len().saturating_sub(params.shift_days_before.1)).any(|count| {
        let (before, after) = known.split_at(known.len() - count);
        has_moved(latest(before, params.shift_days_before.0), after, rise, params)
    })
}

/// True when the quiet round trips of all days after lie beyond those before, and `rise` does not.
fn has_moved(before: &[&SeriesDay], after: &[&SeriesDay], rise: u32, params: &Params) -> bool {
    let base = |day: &&SeriesDay| day.base_rtt_us.map(i64::from);
    let usual = |of: &dyn Fn(&SeriesDay) -> Option<u32>| {
        median(before.iter().filter_map(|day| of(day)).map(i64::from))
    };
    let (Some(base_before), Some(rise_before)) =
        (usual(&|day| day.base_rtt_us), usual(&|day| day.rise_us))
    else {
        return false;
    };
    let least = base_before + threshold(base_before, params);
    let grown = i64::from(rise) - rise_before;
    let allowed = i64::from(params.moved_us).max(rise_before / 2);
    after.iter().filter_map(base).all(|base| base >= least) && grown <= allowed
}

/// What a round trip must move by, in microseconds.
fn threshold(base_us: i64, params: &Params) -> i64 {
    i64::from(params.moved_us).max(base_us * i64::from(params.moved_percent) / 100)
}

/// The last so many.
fn latest<'a, 'd>(days: &'a [&'d SeriesDay], count: usize) -> &'a [&'d SeriesDay] {
    days.get(days.len().saturating_sub(count)..).unwrap_or_default()
}
