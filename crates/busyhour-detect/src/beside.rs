//! What is known beside the counts, as far as anybody recorded it. All of it is optional; what is not
//! there speaks neither for nor against anything.

use jiff::civil::Date;

use crate::fleet::{AgentNo, BuildingNo, SeriesNo, TargetNo};
use crate::quarters::Quarters;

/// Evidence from other sources. Each list may be in any order and may hold what no finding is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// Targets that were at fault on the day that is judged.
    pub targets: Vec<TargetDay>,
    /// How busy the machines were that measured.
    pub hosts: Vec<HostLoad>,
    /// What Wi-Fi adapters told.
    pub radio: Vec<RadioFacts>,
    /// Whether firewalls and proxies let media through.
    pub checks: Vec<MediaCheck>,
    /// How marked and unmarked packets fared beside each other.
    pub marks: Vec<MarkedTraffic>,
}

/// A target at fault on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetDay {
    /// The target.
    pub target: TargetNo,
    /// The building whose local time the hours are in: the first of those who saw it.
    pub home: BuildingNo,
    /// That building's local quarter-hours.
    pub hours: Quarters,
    /// The series that testify, in order.
    pub witnesses: Vec<SeriesNo>,
    /// The highest share of bad windows in a bin of theirs, 0..=1.
    pub share: f64,
}

/// A machine at the bad hours of a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostLoad {
    /// The machine's agent.
    pub agent: AgentNo,
    /// The local date.
    pub date: Date,
    /// The highest share of its processors that was busy for a minute at busy hours, 0..=1.
    pub busy: f64,
}

/// What a Wi-Fi adapter saw at the busy hours of a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RadioFacts {
    /// A series over it.
    pub series: SeriesNo,
    /// The local date.
    pub date: Date,
    /// The median signal, in dBm (-100..=0).
    pub signal_dbm: Option<i16>,
    /// The share of the time that the channel was in use, 0..=1.
    pub channel_busy: Option<f64>,
    /// Frames that were sent again, of all frames, 0..=1.
    pub retries: Option<f64>,
    /// How often it moved to another access point.
    pub roams: Option<u32>,
}

/// Whether media ports were open from a building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaCheck {
    /// The building.
    pub building: BuildingNo,
    /// The local date.
    pub date: Date,
    /// What was seen.
    pub seen: MediaPath,
}

/// How media leaves a building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaPath {
    /// Directly, by UDP.
    Open,
    /// UDP is blocked: calls fall back to TCP.
    UdpBlocked,
    /// Through a proxy, or inspected.
    Proxied,
}

/// Marked packets beside unmarked ones of the same agent at the bad hours of a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkedTraffic {
    /// The marked series.
    pub series: SeriesNo,
    /// The local date.
    pub date: Date,
    /// The share of its windows that were bad, 0..=1.
    pub marked_bad: f64,
    /// The share of the unmarked ones, 0..=1.
    pub unmarked_bad: f64,
    /// The share of marked packets that arrived without their mark, 0..=1.
    pub mark_lost: f64,
}
