//! Several series taken as one: what they share shows in their counts together before any of them
//! shows it alone.

use busyhour_model::SlotStart;

use crate::day_frame::{BuildingDay, MOST_BINS};
use crate::series::Cell;

/// The cells of series of one building together, a cell for each bin of the day that any of them
/// saw. Counts are added; round trips are means, weighed by the windows behind them. Each bin is to be
/// there once in each series; what is unobserved in one is to be left out of it.
#[must_use]
pub fn pooled(frame: &BuildingDay, series: &[&[Cell]]) -> Vec<Cell> {
    let mut bins = [const { None }; MOST_BINS];
    for cell in series.iter().flat_map(|cells| cells.iter()) {
        if let Some(place) = frame.bin_of(cell.start).and_then(|at| bins.get_mut(at)) {
            place.get_or_insert_with(|| Sum::of(cell.start)).add(cell);
        }
    }
    bins.into_iter().flatten().map(Sum::finish).collect()
}

/// A bin of several series, so far.
#[derive(Debug, Clone, Copy)]
struct Sum {
    cell: Cell,
    rtt_min: Mean,
    rtt_p50: Mean,
    rtt_p95: Mean,
    jitter_p50: Mean,
}

/// A sum of figures, each as often as there were windows, and how many these were.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    sum: u64,
    windows: u64,
}

impl Sum {
    const fn of(start: SlotStart) -> Self {
        let none = Mean { sum: 0, windows: 0 };
        let cell = Cell::new(start);
        Self { cell, rtt_min: none, rtt_p50: none, rtt_p95: none, jitter_p50: none }
    }

    fn add(&mut self, cell: &Cell) {
        let sum = &mut self.cell;
        sum.start = sum.start.min(cell.start);
        sum.expected = sum.expected.saturating_add(cell.expected);
        sum.valid = sum.valid.saturating_add(cell.valid);
        sum.bad = sum.bad.saturating_add(cell.bad.min(cell.valid));
        for (sum, bad) in sum.bad_by.iter_mut().zip(cell.bad_by) {
            *sum = sum.saturating_add(bad);
        }
        sum.sent = sum.sent.saturating_add(cell.sent);
        sum.lost = sum.lost.saturating_add(cell.lost);
        sum.reordered = sum.reordered.saturating_add(cell.reordered);
        sum.remarked = sum.remarked.saturating_add(cell.remarked);
        self.rtt_min.add(cell.rtt_min_us, cell.valid);
        self.rtt_p50.add(cell.rtt_p50_us, cell.valid);
        self.rtt_p95.add(cell.rtt_p95_us, cell.valid);
        self.jitter_p50.add(cell.jitter_p50_us, cell.valid);
    }

    fn finish(self) -> Cell {
        Cell {
            rtt_min_us: self.rtt_min.value(),
            rtt_p50_us: self.rtt_p50.value(),
            rtt_p95_us: self.rtt_p95.value(),
            jitter_p50_us: self.jitter_p50.value(),
            ..self.cell
        }
    }
}

impl Mean {
    pub(crate) fn add(&mut self, figure: Option<u32>, windows: u32) {
        if let Some(figure) = figure {
            self.sum = self.sum.saturating_add(u64::from(figure) * u64::from(windows));
            self.windows = self.windows.saturating_add(u64::from(windows));
        }
    }

    pub(crate) fn value(self) -> Option<u32> {
        u32::try_from(self.sum.checked_div(self.windows)?).ok()
    }
}
