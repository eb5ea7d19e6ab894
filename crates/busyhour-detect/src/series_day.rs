//! Cells of one local day in; the row that later days need out.

mod figures;

use busyhour_model::{DayVerdict, SlotStart};

use self::figures::{Base, Figures};
use crate::day_counts::{DayCounts, Hour, Hours, each, permille};
use crate::day_frame::{BuildingDay, MOST_BINS};
use crate::params::Params;
use crate::series::{Cell, SeriesDay, Worst, Wrong};

/// Makes the row of a local day from that day's cells, in any order; those of other days are ignored,
/// and of several for one bin the one that holds most counts. A bin for which `at_fault` is true
/// counts as unobserved: what failed there was the target's own.
#[must_use]
pub fn series_day(
    frame: &BuildingDay,
    cells: &[Cell],
    at_fault: &dyn Fn(SlotStart) -> bool,
    params: &Params,
) -> SeriesDay {
    let seen = Seen::of(frame, cells, at_fault, params);
    let hours = seen.counts.hours(params);
    let (verdict, bad) = seen.verdict(&hours, params);
    let busy = frame.busy_bins();
    let figures = Figures { bins: &seen.bins, busy, all: frame.all_bins() };
    let base = Base::of(&figures);
    let off_peak = seen.counts.middle_half(!busy);
    let (before, after) = seen.counts.rest(bad, hours.worst.as_ref(), params);
    let acute = seen.counts.acute(params);
    let wrong = (bad != 0 || acute != 0).then(|| {
        Box::new(Wrong {
            bad_quarters: frame.quarters_of(bad),
            acute: frame.quarters_of(acute),
            acute_permille: seen.counts.worst_permille(acute),
            worst: hours.worst.map(|hour| seen.describe(&hour)),
            peak: figures.peak(bad),
            delay_with_loss: if bad == 0 { None } else { figures.delay_with_loss() },
        })
    });
    SeriesDay {
        date: frame.date,
        working: frame.working,
        verdict,
        seen_quarters: frame.quarters_of(seen.counts.usable() & busy),
        busy: figures.part(busy),
        quiet: figures.part(frame.all_bins() & !busy),
        base_rtt_us: base.lowest,
        off_peak_permille: off_peak.map(|(quiet, _)| permille(quiet) as u16),
        rise_us: figures.rise(&hours.observed, seen.counts.bins_of_hour(), base.median),
        before,
        after,
        first: frame.first,
        minutes: frame.minutes.clone(),
        elevation: figures.elevation(frame.minutes.len(), base, params),
        wrong,
    }
}

/// What was seen of the day.
struct Seen<'a> {
    frame: &'a BuildingDay,
    bins: [Option<&'a Cell>; MOST_BINS],
    counts: DayCounts<'a>,
}

impl<'a> Seen<'a> {
    fn of(
        frame: &'a BuildingDay,
        cells: &'a [Cell],
        at_fault: &dyn Fn(SlotStart) -> bool,
        params: &Params,
    ) -> Self {
        let counts = DayCounts::new(frame, params);
        let mut seen = Self { frame, bins: [None; MOST_BINS], counts };
        for cell in cells {
            if let Some(place) = frame.bin_of(cell.start).and_then(|at| seen.bins.get_mut(at))
                && place.is_none_or(|other| weight(cell) > weight(other))
            {
                *place = Some(cell);
            }
        }
        let usual = seen.bins.iter().flatten().map(|cell| cell.expected).max().unwrap_or(0);
        for (at, place) in seen.bins.iter_mut().enumerate().take(frame.minutes.len()) {
            let expected = place.map_or(0, |cell| cell.expected);
            seen.counts.expect(at, if expected == 0 { usual } else { expected });
            match place {
                Some(cell) if at_fault(cell.start) => *place = None,
                Some(cell) => seen.counts.put(at, (cell.valid, cell.bad), params),
                None => {}
            }
        }
        seen
    }

    fn describe(&self, hour: &Hour) -> Worst {
        let (valid, bad) = hour.count;
        let mut bad_by = [0u32; 5];
        for cell in each(hour.usable).filter_map(|at| self.bins.get(at).copied().flatten()) {
            add(&mut bad_by, &cell.bad_by);
        }
        let minute = self.frame.minutes.get(hour.first).copied().unwrap_or(0);
        Worst { minute, valid, bad, bad_by }
    }

    fn verdict(&self, hours: &Hours, params: &Params) -> (DayVerdict, u128) {
        if !self.frame.working || !self.frame.is_over() || self.frame.busy_bins() == 0 {
            return (DayVerdict::Missing, 0);
        }
        self.counts.verdict(hours, u128::MAX, params)
    }
}

/// Which of two cells for one bin is to be believed: who tells more knows more. Of cells that differ
/// none is like another, so that their order is irrelevant.
fn weight(cell: &Cell) -> impl Ord {
    let counts = (cell.valid, cell.bad, cell.sent, cell.lost, cell.bad_by, cell.expected);
    let order = (cell.reordered, cell.remarked);
    let times = (cell.rtt_min_us, cell.rtt_p50_us, cell.rtt_p95_us, cell.jitter_p50_us);
    (counts, order, times)
}

fn add(sum: &mut [u32; 5], more: &[u32; 5]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}
