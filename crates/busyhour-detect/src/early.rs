//! Early warning: busy hours are slower than quiet ones day by day, while every limit still holds.
//! Each day is compared with itself, so that a moved route changes nothing.

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::params::Params;
use crate::quarters::Quarters;
use crate::rank::{hodges_lehmann, median, sign_test};
use crate::series::{Part, SeriesDay};

/// That busy hours are slower, or jitter more, than quiet ones.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyWarning {
    /// How much longer round trips take, in microseconds; `None` when they do not clearly.
    pub rtt_us: Option<u32>,
    /// How much more jitter there is, in microseconds; `None` when there clearly is not.
    pub jitter_us: Option<u32>,
    /// The busy hours that were elevated on at least half of the days; all that were seen when none
    /// was.
    pub hours: Quarters,
    /// The days that were compared, ascending.
    pub days: Vec<Date>,
}

/// The early warning of a series on `today`. `days` are its rows, ascending, one a date. There is none
/// while one of the days compared is bad: that is more than a warning.
#[must_use]
pub fn early_warning(days: &[&SeriesDay], today: Date, params: &Params) -> Option<EarlyWarning> {
    let from = today.saturating_sub((params.look_back_days - 1).days());
    let observed =
        |day: &&&SeriesDay| (from..=today).contains(&day.date) && day.verdict.is_observed();
    let mut recent: Vec<&SeriesDay> =
        days.iter().rev().filter(observed).take(params.early_days).copied().collect();
    recent.reverse();
    let is_current = recent.last().is_some_and(|day| day.date == today);
    if !is_current || recent.iter().any(|day| day.verdict.is_bad()) {
        return None;
    }
    let rtt_us = clearly_above(&recent, |part| part.rtt_p50_us, params);
    let jitter_us = clearly_above(&recent, |part| part.jitter_p50_us, params);
    if rtt_us.is_none() && jitter_us.is_none() {
        return None;
    }
    let days = recent.iter().map(|day| day.date).collect();
    Some(EarlyWarning { rtt_us, jitter_us, hours: elevated_hours(&recent), days })
}

/// By how much busy hours lie above the quiet ones of the same day, when that is much and no chance.
fn clearly_above(
    days: &[&SeriesDay],
    of: impl Fn(&Part) -> Option<u32>,
    params: &Params,
) -> Option<u32> {
    let pairs: Vec<(i64, i64)> = days
        .iter()
        .filter_map(|day| Some((i64::from(of(&day.busy)?), i64::from(of(&day.quiet)?))))
        .collect();
    if pairs.len() < params.early_least {
        return None;
    }
    let differences: Vec<i64> = pairs.iter().map(|(busy, quiet)| busy - quiet).collect();
    let above = differences.iter().filter(|difference| **difference > 0).count();
    let chance = sign_test(above as u32, pairs.len() as u32);
    let by = hodges_lehmann(&differences)?;
    let usual = median(pairs.iter().map(|(_, quiet)| *quiet))?;
    let least = i64::from(params.moved_us).max(usual * i64::from(params.moved_percent) / 100);
    let clear = by >= least && chance * 1_000.0 <= f64::from(params.early_permille);
    clear.then(|| u32::try_from(by).unwrap_or(u32::MAX))
}

/// The busy hours that were elevated on at least half of the days.
fn elevated_hours(days: &[&SeriesDay]) -> Quarters {
    let elevated: Vec<Quarters> =
        days.iter().map(|day| day.elevated_quarters().and(day.seen_quarters)).collect();
    let hours = Quarters::in_at_least(&elevated, days.len().div_ceil(2));
    if !hours.is_empty() {
        return hours;
    }
    days.iter().fold(Quarters::default(), |all, day| all.or(day.seen_quarters))
}
