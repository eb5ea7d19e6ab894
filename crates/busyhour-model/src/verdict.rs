//! What a day was like.

use jiff::civil::Date;

use crate::path::word_enum;
use crate::{AgentId, Breach, BuildingId, Judgement, LimitsVersion, LinkKind, PathId, SubnetId};

word_enum!(
    /// The verdict on one local day. Missing is unknown, never good.
    DayVerdict, "day verdict", {
        /// Nobody worked, or too little was observed to judge.
        Missing = "missing",
        /// No busy hour was bad.
        Good = "good",
        /// A busy hour was bad, the rest of the day was not.
        PeakBad = "peak-bad",
        /// Bad in busy hours and outside them alike.
        AllDayBad = "all-day-bad",
    }
);

impl DayVerdict {
    /// True when the day is bad in either way.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::PeakBad | Self::AllDayBad)
    }

    /// True when the day was observed well enough to be good or bad.
    #[must_use]
    pub const fn is_observed(self) -> bool {
        !matches!(self, Self::Missing)
    }
}

/// What a verdict is about. An agent is judged before a subnet, a subnet before a building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One path.
    Path(PathId),
    /// One agent on one kind of link.
    Agent(AgentId, LinkKind),
    /// The agents of one subnet on one kind of link.
    Subnet(SubnetId, LinkKind),
    /// A building.
    Building(BuildingId),
}

/// The worst rolling busy hour of a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorstHour {
    /// The local minute of the day (0..1440) at which it begins.
    pub start_minute: u16,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// The limit that most of the bad ones broke.
    pub dominant: Option<Breach>,
    /// Bad by loss, burst, delay, jitter, failed: in the order of [`Breach::ALL`]. A window may be bad
    /// in several ways.
    pub bad_by: [u32; 5],
    /// Packets lost over packets sent, in parts per million.
    pub loss_ppm: u32,
    /// 90th percentile of the windows' loss, in parts per million; at most 1/14 (7 %) or 50 off.
    pub loss_ppm_p90: u32,
    /// 90th percentile of the windows' median round trips, in microseconds; at most 1/14 (7 %) or 50
    /// off.
    pub rtt_us_p90: u32,
    /// 90th percentile of the windows' jitter, in microseconds; at most 1/14 (7 %) or 50 off.
    pub jitter_us_p90: u32,
    /// Replies out of order, of paths that send often enough to tell
    /// ([`MIN_JUDGED_RATE_PPS`](crate::MIN_JUDGED_RATE_PPS)).
    pub reordered: u64,
    /// All replies of these paths.
    pub replies: u64,
    /// What [`LimitTable::judge_reorder`](crate::LimitTable::judge_reorder) says of the two. It is no
    /// part of the day's verdict.
    pub order: Judgement,
    /// The call estimate that a tenth of the windows did not exceed: the rating R of the reference codec
    /// in hundredths, at most 10 000; at most 1/14 (7 %) of its distance from 100, or half a point,
    /// off. Windows in which nothing came back have none; `None` where no window has one. It is no
    /// part of the day's verdict.
    pub rating_p10_hundredths: Option<i32>,
}

impl WorstHour {
    /// How many windows are bad in this way.
    #[must_use]
    pub const fn bad_by(&self, breach: Breach) -> u32 {
        self.bad_by[breach as usize]
    }
}

/// The plain daily average over the whole local day, as other tools report it, round trips from the
/// medians of the windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DailyAverage {
    /// All packets lost over all sent, in parts per million.
    pub loss_ppm: u32,
    /// The mean of the windows' median round trips, in microseconds.
    pub rtt_us: u32,
    /// The mean of the windows' jitter, in microseconds.
    pub jitter_us: u32,
    /// True when all three are within the limits.
    pub passes: bool,
}

/// The verdict on one scope's local day, with the figures it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct DaySummary {
    /// What was judged.
    pub scope: Scope,
    /// The building it belongs to.
    pub building: BuildingId,
    /// The building's local date.
    pub date: Date,
    /// The verdict.
    pub verdict: DayVerdict,
    /// The latest version of the limit tables that its bad windows were counted with; `None` when
    /// nothing was observed.
    pub limits: Option<LimitsVersion>,
    /// Windows that should exist in its busy hours.
    pub expected: u32,
    /// Windows in its busy hours that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// The worst rolling hour inside its busy hours; `None` when no hour was observed.
    pub worst_hour: Option<WorstHour>,
    /// Local minutes of the day at which the quarter-hours of bad hours begin, ascending.
    pub bad_quarters: Vec<u16>,
    /// The plain daily average; `None` when nothing was observed.
    pub average: Option<DailyAverage>,
    /// The average passes and the day is bad.
    pub masked: bool,
    /// How many times the worst hour's 90th percentile is above the plain daily average, for the
    /// dominant limit; only where masked and above 1.
    pub masking_factor: Option<f64>,
}

impl DaySummary {
    /// The observed share (0..=1) of the windows that should exist in its busy hours; `None` when
    /// none should.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        (self.expected > 0).then(|| (f64::from(self.valid) / f64::from(self.expected)).min(1.0))
    }
}
