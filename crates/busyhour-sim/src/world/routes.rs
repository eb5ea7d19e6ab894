//! Round trips of empty paths over time: routes move, and some move back.

use super::clock::Span;
use super::plan::Plan;
use super::topology::{SeriesPlan, Topology};
use super::trouble::{ROUTES_US, Shift, shifts};

/// The routes of a region.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    /// Of each building: from each minute on, by how much its routes are longer, in microseconds.
    steps: Vec<Vec<(usize, f32)>>,
    /// What moved.
    pub(crate) shifts: Vec<Shift>,
}

impl Routes {
    pub(crate) fn new(plan: &Plan, span: Span, topology: &Topology) -> Self {
        let shifts = shifts(plan, span, topology);
        let steps = (0..topology.sites.len()).map(|site| steps(&shifts, site)).collect();
        Self { steps, shifts }
    }

    /// The round trip of a series' empty path in a minute of the span, in microseconds. Only beyond the
    /// edge do routes move.
    pub(crate) fn base_us(&self, series: &SeriesPlan, minute: usize) -> f32 {
        let steps = self.steps.get(series.site).filter(|_| series.target.is_some());
        let Some(steps) = steps else { return series.base_us };
        let after = steps.partition_point(|(from, _)| *from <= minute);
        let longer_us =
            after.checked_sub(1).and_then(|at| steps.get(at)).map_or(0.0, |step| step.1);
        let (shortest, longest) = ROUTES_US;
        let allowed = shortest.min(series.base_us)..=longest.max(series.base_us);
        (series.base_us + longer_us).clamp(*allowed.start(), *allowed.end())
    }
}

/// The sums of the shifts of a building, from each of their ends on.
fn steps(shifts: &[Shift], site: usize) -> Vec<(usize, f32)> {
    let here: Vec<&Shift> =
        shifts.iter().filter(|shift| shift.site.is_none_or(|at| at == site)).collect();
    let mut ends: Vec<usize> = here.iter().flat_map(|shift| [shift.from, shift.until]).collect();
    ends.sort_unstable();
    ends.dedup();
    let sum = |minute: usize| {
        let active = here.iter().filter(|shift| (shift.from..shift.until).contains(&minute));
        active.map(|shift| shift.by_us).sum()
    };
    ends.into_iter().map(|minute| (minute, sum(minute))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_add_up_while_they_last_and_concern_their_building() {
        let shift = |site, from, until, by_us| Shift { site, from, until, by_us };
        let shifts = [shift(None, 10, 40, 5e3), shift(Some(1), 20, 30, 7e3)];
        assert_eq!(steps(&shifts, 0), [(10, 5e3), (40, 0.0)]);
        assert_eq!(steps(&shifts, 1), [(10, 5e3), (20, 12e3), (30, 5e3), (40, 0.0)]);
    }
}
