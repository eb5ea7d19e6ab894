//! What a picture of a finding is made of: days with their cells, verdicts and averages.

use busyhour_model::DayVerdict;
use jiff::civil::Date;

use crate::{DayShape, Unit};

/// The shares of bad windows at which the next colour begins, in percent: somewhat, bad, and then
/// the severities minor, major, critical.
pub(super) const STEPS: [u32; 4] = [2, 5, 15, 40];

/// Counts of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
}

impl Share {
    /// The share of bad ones (0..=1); `None` when no window counts.
    #[must_use]
    pub fn ratio(self) -> Option<f64> {
        (self.valid > 0).then(|| (f64::from(self.bad) / f64::from(self.valid)).min(1.0))
    }

    /// Its colour, 0 to 4.
    pub(super) fn step(self) -> usize {
        let reaches =
            |step: &&u32| u64::from(self.bad) * 100 >= u64::from(self.valid) * u64::from(**step);
        STEPS.iter().take_while(reaches).count()
    }
}

/// One quarter-hour of a day, or where that is the least that is known two or four together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingCell {
    /// The local minute of the day (0..1440) at which it begins. When clocks are set back minutes
    /// come twice; when they are set forward some do not come at all.
    pub minute: u16,
    /// How long it is, in minutes: 15, 30 or 60.
    pub minutes: u16,
    /// Windows that should be there; 0 where nobody knows.
    pub expected: u32,
    /// What was seen. Less than a fifth of what should be there is missing, as nothing is.
    pub seen: Share,
}

impl FindingCell {
    pub(super) fn is_missing(&self) -> bool {
        self.seen.valid == 0 || u64::from(self.seen.valid) * 5 < u64::from(self.expected)
    }
}

/// Where busy hours come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusySource {
    /// From the building's load.
    Learned,
    /// From its configured business hours.
    Configured,
}

/// How a day counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingVerdict {
    /// A working day with its verdict.
    Judged(DayVerdict),
    /// A public holiday: not judged.
    Holiday,
    /// Nobody was there: not judged.
    Closed,
}

impl FindingVerdict {
    /// The mark for it.
    pub(super) const fn shape(self) -> DayShape {
        match self {
            Self::Judged(DayVerdict::Good) => DayShape::Good,
            Self::Judged(DayVerdict::PeakBad) => DayShape::PeakBad,
            Self::Judged(DayVerdict::AllDayBad) => DayShape::AllDayBad,
            Self::Judged(DayVerdict::Missing) => DayShape::Unknown,
            Self::Holiday | Self::Closed => DayShape::Closed,
        }
    }

    /// The words for it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Judged(_) => self.shape().words(),
            Self::Holiday => "holiday",
            Self::Closed => "closed",
        }
    }

    pub(super) const fn is_bad(self) -> bool {
        matches!(self, Self::Judged(verdict) if verdict.is_bad())
    }

    pub(super) const fn is_observed(self) -> bool {
        matches!(self, Self::Judged(verdict) if verdict.is_observed())
    }

    pub(super) const fn is_judged(self) -> bool {
        matches!(self, Self::Judged(_))
    }
}

/// The worst rolling busy hour of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstBusyHour {
    /// The local minute of the day (0..1440) at which it begins.
    pub minute: u16,
    /// What was seen in it.
    pub seen: Share,
}

/// What a daily average is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AverageOf {
    /// Lost packets, in percent.
    Loss,
    /// The round trip, in milliseconds: delay.
    RoundTrip,
    /// Jitter, in milliseconds.
    Jitter,
}

impl AverageOf {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::RoundTrip => "delay",
            Self::Jitter => "jitter",
        }
    }

    pub(super) const fn unit(self) -> Unit {
        match self {
            Self::Loss => Unit::Percent,
            Self::RoundTrip | Self::Jitter => Unit::Milliseconds,
        }
    }
}

/// What the plain daily average said, and the limit it stayed within or broke.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AverageSaid {
    /// What it is of.
    pub of: AverageOf,
    /// The average of the whole local day, in percent or milliseconds.
    pub value: f64,
    /// The limit, in the same unit; what exceeds it fails.
    pub limit: f64,
}

impl AverageSaid {
    /// What somebody who looks at averages would have concluded.
    pub(super) fn conclusion(&self) -> &'static str {
        if self.value > self.limit { "fails" } else { "passes" }
    }

    pub(super) fn value_words(&self) -> String {
        self.of.unit().words(self.value)
    }

    pub(super) fn limit_words(&self) -> String {
        format!("{}, limit {}", self.of.word(), self.of.unit().words(self.limit))
    }
}

/// One day of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingDay {
    /// The building's local date.
    pub date: Date,
    /// How it counts.
    pub verdict: FindingVerdict,
    /// All quarter-hours that have begun, ascending, seen or not: 92, 96 or 100 of a whole day. One
    /// that is not here does not exist.
    pub cells: Vec<FindingCell>,
    /// Its busy hours, as minutes of the day, half open.
    pub busy: Vec<(u16, u16)>,
    /// Where they come from.
    pub busy_from: BusySource,
    /// Its worst busy hour; `None` when none was observed.
    pub worst: Option<WorstBusyHour>,
    /// The whole local day; `None` when nothing was observed.
    pub whole: Option<Share>,
    /// What the plain daily average said; `None` when it is not known or not to be shown.
    pub average: Option<AverageSaid>,
    /// When somebody worked on what suffers, as planned: minutes of the day, half open.
    pub maintenance: Vec<(u16, u16)>,
}

impl FindingDay {
    /// The daily average, where the day counts and it can be compared.
    pub(super) fn known_average(&self) -> Option<AverageSaid> {
        let known = |average: &AverageSaid| average.value.is_finite() && average.limit.is_finite();
        self.average.filter(|average| self.verdict.is_judged() && known(average))
    }
}
