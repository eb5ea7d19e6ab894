//! Slots: mergeable aggregates of a path's windows over a quarter-hour of UTC.

mod counts;
mod figures;
mod gist;
mod scale;
mod totals;

use std::collections::BTreeMap;

pub use counts::{SlotCounts, WorstLoss};
pub use figures::{Combination, Figure, Figures, InvalidFigures, WindowFigures};
pub use gist::{SlotGist, Spread, SpreadParts};
pub use scale::FigureBucket;
pub use totals::{FigureTotals, Marginal};

use crate::{Histogram, LimitTable, LimitsVersion, SlotStart, UtcMicros, Window, WindowVerdict};

/// Quarter-hours of an hour.
const QUARTERS: i64 = 4;

/// Windows of one path over one quarter-hour of UTC: exact counts, what each window was like, and
/// sketches of what packets met. Slots of several paths or hours merge; a mean is never stored.
///
/// It reads as its [`SlotCounts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The quarter-hour (the first one, once merged).
    pub start: SlotStart,
    /// Counts and extremes.
    pub counts: SlotCounts,
    /// The figures of valid windows.
    pub figures: Figures,
    /// Round-trip times of packets, in microseconds.
    pub rtt_us: Histogram,
    /// Delay variation up of packets, in microseconds.
    pub up_variation_us: Histogram,
    /// Delay variation down of packets, in microseconds.
    pub down_variation_us: Histogram,
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub const fn new(start: SlotStart, limits: LimitsVersion) -> Self {
        Self::of_counts(start, SlotCounts::new(limits))
    }

    /// A slot of which only the counts are known.
    #[must_use]
    pub const fn of_counts(start: SlotStart, counts: SlotCounts) -> Self {
        Self {
            start,
            counts,
            figures: Figures::new(),
            rtt_us: Histogram::new(),
            up_variation_us: Histogram::new(),
            down_variation_us: Histogram::new(),
        }
    }

    /// The slot without figures and sketches.
    #[must_use]
    pub const fn counts_only(&self) -> Self {
        Self::of_counts(self.start, self.counts)
    }

    /// Adds a window that began at `started` with the verdict on it.
    pub fn add(&mut self, started: UtcMicros, window: &Window, verdict: &WindowVerdict) {
        self.counts.add(started, window, verdict);
        if !verdict.valid {
            return;
        }
        self.figures.record_n(&WindowFigures::of(window), 1);
        self.rtt_us.merge(&window.rtt);
        self.up_variation_us.merge(&window.up_variation);
        self.down_variation_us.merge(&window.down_variation);
    }

    /// What [`Self::add`] does with [`Window::coarsened`] of a window, without making that. `figures`
    /// are the window's; those of one that is not valid do not matter.
    pub fn add_coarsened(
        &mut self,
        started: UtcMicros,
        window: &Window,
        figures: &WindowFigures,
        verdict: &WindowVerdict,
    ) {
        self.counts.add(started, window, verdict);
        if !verdict.valid {
            return;
        }
        self.figures.record_n(figures, 1);
        self.rtt_us.merge_coarsened(&window.rtt);
        self.up_variation_us.merge_coarsened(&window.up_variation);
        self.down_variation_us.merge_coarsened(&window.down_variation);
    }

    /// Adds all of `other` (another path, or another quarter-hour).
    pub fn merge(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.counts.merge(&other.counts);
        self.figures.merge(&other.figures);
        self.rtt_us.merge(&other.rtt_us);
        self.up_variation_us.merge(&other.up_variation_us);
        self.down_variation_us.merge(&other.down_variation_us);
    }

    /// Adds more windows of the same path and quarter-hour: as many are expected as either says.
    pub fn absorb(&mut self, other: &Self) {
        let (start, expected) = (self.start, self.expected.max(other.expected));
        self.merge(other);
        self.start = start;
        self.expected = expected;
    }

    /// The slot with its windows judged by another table: what counting them with that table's verdicts
    /// would have given. `None` when one of its limits is no edge of the scale that figures are kept
    /// on, which those of [`LIMITS`](crate::LIMITS) all are.
    #[must_use]
    pub fn rejudged(&self, table: &LimitTable) -> Option<Self> {
        let (bad, bad_by) = self.figures.judge(table)?;
        let counts = SlotCounts { limits: table.version, bad, bad_by, ..self.counts };
        Some(Self { counts, ..self.clone() })
    }
}

impl std::ops::Deref for Slot {
    type Target = SlotCounts;

    fn deref(&self) -> &SlotCounts {
        &self.counts
    }
}

impl std::ops::DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut SlotCounts {
        &mut self.counts
    }
}

/// Merges the quarter-hours of one path into hours of UTC, in the order of time. An hour begins with
/// its first quarter, whether that has a slot or not.
#[must_use]
pub fn merge_hours(quarters: &[Slot]) -> Vec<Slot> {
    let mut hours: BTreeMap<SlotStart, Slot> = BTreeMap::new();
    for quarter in quarters {
        let number = quarter.start.number();
        let start = SlotStart::from_number(number.saturating_sub(number.rem_euclid(QUARTERS)));
        hours.entry(start).or_insert_with(|| Slot::new(start, quarter.limits)).merge(quarter);
    }
    // An hour's slot keeps its first quarter as its start: none that is merged begins earlier.
    hours.into_values().collect()
}

#[cfg(test)]
mod tests;
