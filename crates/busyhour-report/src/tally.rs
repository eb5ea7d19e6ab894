//! Days of one place, counted.

use busyhour_model::{DaySummary, WorstHour};
use jiff::civil::Date;

use crate::shift::Days;

/// Fewer observed days of a week say nothing of its target.
pub(crate) const LEAST_OF_WEEK: u32 = 3;
/// Fewer observed days of a month say nothing of its targets.
pub(crate) const LEAST_OF_MONTH: u32 = 10;
/// Minutes of a quarter-hour.
const QUARTER_MINUTES: u64 = 15;

/// Days of one place over some time, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Days on which something was to be observed.
    pub working: u32,
    /// Those of them that were observed well enough to be good or bad.
    pub observed: u32,
    /// Bad ones.
    pub bad: u32,
    /// Bad ones that the daily average hides.
    pub masked: u32,
    /// Minutes of bad hours, in quarter-hours of busy hours.
    pub degraded_minutes: u64,
    /// Windows that should exist in busy hours.
    pub expected_windows: u64,
    /// Windows in busy hours that count; of each day no more than were expected.
    pub valid_windows: u64,
    /// Windows in busy hours of observed days that count, and those of them that break a requirement.
    pub judged_windows: u64,
    /// See [`Self::judged_windows`].
    pub bad_windows: u64,
}

/// What is said of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// No busy hour was bad.
    Met,
    /// A busy hour of a day was bad.
    Missed,
    /// Too few days were observed, or the time is not over.
    Unknown,
}

impl Target {
    /// The word used in JSON, CSV and texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }
}

impl Tally {
    /// Counts the days of one place.
    pub fn of<'a>(days: impl IntoIterator<Item = &'a DaySummary>) -> Self {
        let mut tally = Self::default();
        for day in days {
            tally.add(day);
        }
        tally
    }

    fn add(&mut self, day: &DaySummary) {
        let (observed, bad) = (day.verdict.is_observed(), day.verdict.is_bad());
        self.working += u32::from(observed || day.expected > 0);
        self.observed += u32::from(observed);
        self.bad += u32::from(bad);
        self.masked += u32::from(bad && day.masked);
        if bad {
            self.degraded_minutes += day.bad_quarters.len() as u64 * QUARTER_MINUTES;
        }
        self.expected_windows += u64::from(day.expected);
        self.valid_windows += u64::from(day.valid.min(day.expected));
        if observed {
            self.judged_windows += u64::from(day.valid);
            self.bad_windows += u64::from(day.bad.min(day.valid));
        }
    }

    /// Adds the days of another place or time.
    pub const fn join(&mut self, other: &Self) {
        self.working += other.working;
        self.observed += other.observed;
        self.bad += other.bad;
        self.masked += other.masked;
        self.degraded_minutes += other.degraded_minutes;
        self.expected_windows += other.expected_windows;
        self.valid_windows += other.valid_windows;
        self.judged_windows += other.judged_windows;
        self.bad_windows += other.bad_windows;
    }

    /// The days, as a share is made of them.
    #[must_use]
    pub const fn days(&self) -> Days {
        Days { bad: self.bad, of: self.observed }
    }

    /// The observed share (0..=1) of the windows that should exist; `None` when none should.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        share(self.valid_windows, self.expected_windows)
    }

    /// The share (0..=1) of windows of busy hours of observed days that break a requirement; `None` when
    /// none count.
    #[must_use]
    pub fn bad_window_share(&self) -> Option<f64> {
        share(self.bad_windows, self.judged_windows)
    }

    /// One bad day misses the target, however few were observed. It is met by at least `least` observed days
    /// without one, of a time that is over.
    #[must_use]
    pub const fn target(&self, least: u32, over: bool) -> Target {
        if self.bad > 0 {
            Target::Missed
        } else if over && self.observed >= least {
            Target::Met
        } else {
            Target::Unknown
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The worst busy hour of some days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorstOf {
    /// The local date.
    pub date: Date,
    /// The hour.
    pub hour: WorstHour,
}

impl WorstOf {
    /// The one with the highest share of bad windows, of those observed; the earliest of equals. `None` when
    /// no window of any hour is bad.
    pub fn of<'a>(days: impl IntoIterator<Item = &'a DaySummary>) -> Option<Self> {
        let observed = days.into_iter().filter(|day| day.verdict.is_observed());
        let hours = observed.filter_map(|day| Some(Self { date: day.date, hour: day.worst_hour? }));
        let mut worst: Option<Self> = None;
        for found in hours.filter(|found| found.hour.bad > 0 && found.hour.valid > 0) {
            let better = |known: &Self| known.share() >= found.share();
            if !worst.as_ref().is_some_and(better) {
                worst = Some(found);
            }
        }
        worst
    }

    /// Its share of bad windows, 0..=1.
    #[must_use]
    pub fn share(&self) -> f64 {
        share(self.hour.bad.into(), self.hour.valid.into()).unwrap_or(0.0)
    }
}
