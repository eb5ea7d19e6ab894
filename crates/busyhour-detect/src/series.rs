//! What a series saw: cells of a day, and the row that is made of them.

use std::sync::Arc;

use busyhour_model::{Breach, DayVerdict, SlotStart};
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
    /// The mean of the bins' median round trips, weighed by their windows, in microseconds.
    pub rtt_mean_us: Option<u32>,
    /// The mean of the bins' median jitter, weighed by their windows, in microseconds.
    pub jitter_mean_us: Option<u32>,
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

impl Worst {
    /// The share of bad windows, 0..=1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.bad) / f64::from(self.valid.max(1))
    }

    /// Bad windows of one kind.
    #[must_use]
    pub const fn bad_by(&self, breach: Breach) -> u32 {
        self.bad_by[breach as usize]
    }
}

/// Hours of the clock on one side of a day's bad hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// How many were observed.
    pub seen: u8,
    /// How many of these were still bad.
    pub bad: u8,
}

impl Rest {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { seen: self.seen.saturating_add(other.seen), bad: self.bad.saturating_add(other.bad) }
    }
}

/// How one series was on one local day: all that later days need to know of it. Made from the day's
/// cells and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDay {
    /// The building's local date.
    pub date: Date,
    /// People work on that day.
    pub working: bool,
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
    /// The share of bad windows in the middle half, by that share, of the hours outside busy hours, in
    /// parts per thousand.
    pub off_peak_permille: Option<u16>,
    /// How far the slowest rolling busy hour (the mean of its bins' median round trips) lay above the
    /// quiet hours (the 20th percentile of theirs), in microseconds; 0 when it was faster.
    pub rise_us: Option<u32>,
    /// Rank correlation (Kendall's tau-b, in thousandths) of the bins' median round trip and loss over
    /// a bad day, where both vary.
    pub delay_with_loss: Option<i16>,
    /// The hours before the first bad bin; all of a day that is not bad.
    pub before: Rest,
    /// The hours after the last bad bin.
    pub after: Rest,
    /// The quarter-hours of one-off incidents, at whatever hour.
    pub acute: Quarters,
    /// The first bin of the local day.
    pub first: SlotStart,
    /// The local minute of the day at which each bin begins.
    pub minutes: Arc<[u16]>,
    /// How much each bin of the local day was elevated, in 1/250; [`UNSEEN`] where it was not
    /// observed.
    pub elevation: Box<[u8]>,
}

impl SeriesDay {
    /// The bins that begin within local hours, by their number.
    pub fn bins_in(&self, hours: Quarters) -> impl Iterator<Item = usize> + '_ {
        let inside = move |&(_, &minute): &(usize, &u16)| hours.contains(minute);
        self.minutes.iter().enumerate().filter(inside).map(|(bin, _)| bin)
    }

    /// Quarter-hours in a bin.
    #[must_use]
    pub fn bin_quarters(&self) -> u8 {
        // No day has fewer than 20 hours or more than 26.
        match self.minutes.len() {
            0..=26 => 4,
            27..=60 => 2,
            _ => 1,
        }
    }
}

/// A bin that was not observed, in [`SeriesDay::elevation`].
pub const UNSEEN: u8 = u8::MAX;
/// The elevation of a bin that is bad throughout, in [`SeriesDay::elevation`].
pub const FULL: u8 = 250;
