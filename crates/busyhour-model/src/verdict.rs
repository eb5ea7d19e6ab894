//! What a day was like, and the life of a finding.

use jiff::civil::Date;

use crate::path::word_enum;
use crate::{AgentId, Breach, BuildingId, IncidentId, LinkKind, PathId, SubnetId, UtcMicros};

word_enum!(
    /// The verdict on one local day. Missing is unknown, never good.
    DayVerdict, "day verdict", {
        /// Not a business day, or too little was observed to judge.
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

/// The worst rolling hour of a day.
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
    /// Packets lost over packets sent, in parts per million.
    pub loss_ppm: u32,
    /// 90th percentile of the windows' loss, in parts per million; at most 1/14 (7 %) or 50 off.
    pub loss_ppm_p90: u32,
    /// 90th percentile of the round-trip time, in microseconds.
    pub rtt_us_p90: u32,
    /// 90th percentile of the windows' jitter, in microseconds; at most 1/14 (7 %) or 50 off.
    pub jitter_us_p90: u32,
}

/// The plain daily average over the whole local day, as other tools report it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DailyAverage {
    /// All packets lost over all sent, in parts per million.
    pub loss_ppm: u32,
    /// The mean round-trip time, in microseconds.
    pub rtt_us: u32,
    /// The mean jitter, in microseconds.
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
    /// Windows that should exist in business hours.
    pub expected: u32,
    /// Windows in business hours that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// The worst rolling hour inside business hours; `None` when no hour was observed.
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
    /// The observed share (0..=1) of the windows that should exist in business hours; `None` when
    /// none should.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        (self.expected > 0).then(|| (f64::from(self.valid) / f64::from(self.expected)).min(1.0))
    }
}

word_enum!(
    /// Where an incident is in its life.
    IncidentState, "incident state", {
        /// Bad days were seen, too few to be sure.
        Suspected = "suspected",
        /// It recurs.
        Open = "open",
        /// It has been better lately.
        Recovering = "recovering",
        /// It is over.
        Closed = "closed",
    }
);

/// The life of one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The identity; kept while it is updated, closed or opened again.
    pub id: IncidentId,
    /// What is bad.
    pub scope: Scope,
    /// The building.
    pub building: BuildingId,
    /// The subnet, when not the whole building is bad.
    pub subnet: Option<SubnetId>,
    /// The kind of link, when only one kind is bad.
    pub link: Option<LinkKind>,
    /// Where it is in its life.
    pub state: IncidentState,
    /// When it was opened here.
    pub opened: UtcMicros,
    /// When it was closed.
    pub closed: Option<UtcMicros>,
    /// The first local day it was seen on.
    pub first_bad: Date,
    /// The last local day it was seen on.
    pub last_bad: Date,
    /// The local hours it keeps to: minutes of the day, half open.
    pub from_minute: u16,
    /// End of those hours, in minutes of the day.
    pub until_minute: u16,
    /// Bad days among the last observed business days.
    pub bad_days: u32,
    /// The last observed business days that were looked at (at most five).
    pub observed_days: u32,
    /// The worst hour of its last bad day.
    pub worst_hour: Option<WorstHour>,
    /// The plain daily average of its last bad day.
    pub average: Option<DailyAverage>,
    /// The daily average hides it.
    pub masked: bool,
    /// See [`DaySummary::masking_factor`].
    pub masking_factor: Option<f64>,
    /// The sentence for the Quality Champion.
    pub sentence: String,
    /// It rests on simulated agents; its alerts never leave the machine.
    pub simulated: bool,
}
