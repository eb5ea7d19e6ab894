//! What a series saw: cells of a day, and the row that is made of them.

use busyhour_model::{DayVerdict, SlotStart};
use jiff::civil::Date;

use crate::quarters::Quarters;

/// What one series saw in one bin. Missing figures are `None`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The first quarter-hour of the bin.
    pub start: SlotStart,
    /// Windows that should be there; 0 where nobody knows.
    pub expected: u32,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Bad by loss, burst, delay, jitter, failed: in the order of [`busyhour_model::Breach::ALL`].
    pub bad_by: [u32; 5],
    /// Packets sent.
    pub sent: u64,
    /// Packets lost.
    pub lost: u64,
    /// Replies out of order.
    pub reordered: u64,
    /// Packets whose code point was changed on the way.
    pub remarked: u64,
    /// The lowest round trip, in microseconds.
    pub rtt_min_us: Option<u32>,
    /// The median round trip, in microseconds.
    pub rtt_p50_us: Option<u32>,
    /// The 95th percentile of the round trips, in microseconds.
    pub rtt_p95_us: Option<u32>,
    /// The median of the windows' jitter, in microseconds.
    pub jitter_p50_us: Option<u32>,
}

impl Cell {
    /// A bin of which nothing is known.
    #[must_use]
    pub const fn new(start: SlotStart) -> Self {
        Self {
            start,
            expected: 0,
            valid: 0,
            bad: 0,
            bad_by: [0; 5],
            sent: 0,
            lost: 0,
            reordered: 0,
            remarked: 0,
            rtt_min_us: None,
            rtt_p50_us: None,
            rtt_p95_us: None,
            jitter_p50_us: None,
        }
    }
}

/// Counts and round trips of some bins of a day together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Windows that should be there.
    pub expected: u32,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Bad by loss, burst, delay, jitter, failed.
    pub bad_by: [u32; 5],
    /// Packets sent.
    pub sent: u64,
    /// Packets lost.
    pub lost: u64,
    /// Replies out of order.
    pub reordered: u64,
    /// Packets whose code point was changed.
    pub remarked: u64,
    /// The median of the bins' lowest round trips, in microseconds.
    pub rtt_min_us: Option<u32>,
    /// The median of the bins' median round trips, in microseconds.
    pub rtt_p50_us: Option<u32>,
    /// The median of the bins' 95th percentiles, in microseconds.
    pub rtt_p95_us: Option<u32>,
    /// The median of the bins' median jitter, in microseconds.
    pub jitter_p50_us: Option<u32>,
}

/// The worst rolling busy hour of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worst {
    /// The local minute of the day (0..1440) at which it begins.
    pub minute: u16,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Bad by loss, burst, delay, jitter, failed.
    pub bad_by: [u32; 5],
}

/// How one series was on one local day: all that later days need to know of it. Made from the day's
/// cells and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDay {
    /// The building's local date.
    pub date: Date,
    /// The verdict; missing on a day that is no working day.
    pub verdict: DayVerdict,
    /// The quarter-hours of its bad hours, by the clock on the wall.
    pub bad_quarters: Quarters,
    /// The observed quarter-hours within the busy hours.
    pub seen_quarters: Quarters,
    /// The worst rolling busy hour; `None` when none was observed.
    pub worst: Option<Worst>,
    /// The busy hours of the day.
    pub busy: Part,
    /// The bad hours of the day; nothing on a day that is not bad.
    pub peak: Part,
    /// The hours of the day outside busy hours.
    pub quiet: Part,
    /// The 20th percentile of the lowest round trips outside busy hours (of all hours when there are
    /// none), in microseconds.
    pub base_rtt_us: Option<u32>,
    /// The share of bad windows of the median hour outside busy hours, in parts per thousand.
    pub off_peak_permille: Option<u16>,
    /// Rank correlation (Kendall's tau-b, in thousandths) of the bins' median round trip and loss over
    /// the whole day, where both vary.
    pub delay_with_loss: Option<i16>,
    /// The first bin of the local day.
    pub first: SlotStart,
    /// How much each bin of the local day was elevated, in 1/250; [`UNSEEN`] where it was not
    /// observed.
    pub elevation: Box<[u8]>,
}

/// A bin that was not observed, in [`SeriesDay::elevation`].
pub const UNSEEN: u8 = u8::MAX;
/// The elevation of a bin that is bad throughout, in [`SeriesDay::elevation`].
pub const FULL: u8 = 250;
