//! Drift: slower month by month, too slowly for any day to show it.

use jiff::civil::Date;

use crate::params::Params;
use crate::rank::{mann_kendall, median, theil_sen};
use crate::series::{Part, SeriesDay};

/// Fewer observed days say nothing of a month.
const DAYS_OF_A_MONTH: usize = 8;

/// What a month of a series was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// Its first day.
    pub first: Date,
    /// The median of its days' quiet round trips, in microseconds.
    pub quiet_us: Option<u32>,
    /// The median of its days' busy round trips, in microseconds.
    pub busy_us: Option<u32>,
}

impl Month {
    /// The month that begins on `first`, of a series' rows in any order; those of other months are
    /// ignored.
    #[must_use]
    pub fn of(first: Date, days: &[&SeriesDay]) -> Self {
        let first = first.first_of_month();
        let over = |of: fn(&SeriesDay) -> &Part| {
            let days = days.iter().filter(|day| day.date.first_of_month() == first);
            let known: Vec<i64> =
                days.filter_map(|day| of(day).rtt_p50_us.map(i64::from)).collect();
            let enough = known.len() >= DAYS_OF_A_MONTH;
            enough.then(|| median(known)).flatten().and_then(|us| u32::try_from(us).ok())
        };
        Self { first, quiet_us: over(|day| &day.quiet), busy_us: over(|day| &day.busy) }
    }
}

/// How one figure changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// By how much a month, in microseconds (Theil-Sen).
    pub us_a_month: f64,
    /// How likely months without a trend would rise as much (Mann-Kendall, exact and one-sided).
    pub chance: f64,
}

/// That a series becomes slower month by month.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// In its quiet hours: the way itself.
    pub quiet: Option<Trend>,
    /// In its busy hours.
    pub busy: Option<Trend>,
    /// The months that were compared, ascending.
    pub months: Vec<Date>,
}

/// The drift over months, ascending, without gaps that matter: a month that is not known is left out.
#[must_use]
pub fn drift(months: &[Month], params: &Params) -> Option<Drift> {
    let quiet = trend(months, |month| month.quiet_us, params);
    let busy = trend(months, |month| month.busy_us, params);
    if quiet.is_none() && busy.is_none() {
        return None;
    }
    Some(Drift { quiet, busy, months: months.iter().map(|month| month.first).collect() })
}

fn trend(months: &[Month], of: impl Fn(&Month) -> Option<u32>, params: &Params) -> Option<Trend> {
    let values: Vec<i64> = months.iter().filter_map(&of).map(i64::from).collect();
    if values.len() < params.drift_months {
        return None;
    }
    let us_a_month = theil_sen(&values)?;
    let chance = mann_kendall(&values);
    let first = *values.first()?;
    let least = i64::from(params.moved_us).max(first * i64::from(params.moved_percent) / 100);
    let grown = us_a_month * (values.len() - 1) as f64;
    let clear = grown >= least as f64 && chance * 1_000.0 <= f64::from(params.drift_permille);
    clear.then_some(Trend { us_a_month, chance })
}
