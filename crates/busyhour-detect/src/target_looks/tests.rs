//! What is remembered tells what all cells together would.

use std::collections::BTreeMap;

use busyhour_model::{Breach, SlotStart};
use proptest::prelude::*;

use super::TargetLooks;
use crate::fleet::{SeriesNo, UpstreamNo};
use crate::series::Cell;
use crate::stage::Stage;
use crate::target_day::{TargetBins, TargetViews};

/// The last quarter-hours of a day of UTC and the first of the next.
const FROM: SlotStart = SlotStart::from_number(96 * 20_000 - 4);
const QUARTERS: i64 = 8;

/// What each series was seen to be in a quarter-hour.
type Seen = BTreeMap<(u32, i64), Cell>;

/// Three houses on ways of their own, each agent with series to two targets, and some to the edge.
fn street() -> Stage {
    let mut stage = Stage::street(3, 1);
    let targets = [stage.target("one"), stage.target("two")];
    for info in &mut stage.fleet.series {
        info.target = Some(targets[0]);
        info.upstream = Some(UpstreamNo(10 + info.building.0));
    }
    for no in 0..8 {
        stage.add(no, |info| info.target = Some(targets[1]));
    }
    stage.add(0, |info| (info.reach, info.target) = (crate::fleet::Reach::Near, None));
    stage
}

fn all_cells(seen: &Seen, series: u32) -> Vec<Cell> {
    seen.range((series, i64::MIN)..=(series, i64::MAX)).map(|(_, cell)| *cell).collect()
}

/// What follows from all that was seen, without memory.
fn anew(stage: &Stage, seen: &Seen) -> TargetBins {
    let mut views = TargetViews::new(&stage.fleet);
    for no in 0..stage.fleet.series.len() as u32 {
        views.add(SeriesNo(no), &all_cells(seen, no));
    }
    views.faults()
}

fn cell(at: i64, valid: u32, bad: u32, failed: bool) -> Cell {
    let bad = bad.min(valid);
    let mut cell = Cell { expected: 15, valid, bad, ..Cell::new(FROM.offset(at)) };
    let by = if failed { Breach::Failed } else { Breach::Loss };
    cell.bad_by[by as usize] = bad;
    cell
}

/// The first of some series, how many, their first quarter-hour, how many of these, and what they hold
/// from now on: windows, bad ones, whether these failed; `None` is silence.
type Change = (u32, u32, i64, i64, Option<(u32, u32, bool)>);

fn change() -> impl Strategy<Value = Change> {
    let look = proptest::option::weighted(
        0.9,
        prop_oneof![
            2 => (Just(15u32), 4u32..15, any::<bool>()),
            1 => (2u32..16, 0u32..4, Just(false)),
        ],
    );
    let most = prop_oneof![Just(21u32), 1u32..21];
    (0u32..21, most, 0..QUARTERS, 1i64..4, look)
}

proptest! {
    #[test]
    fn what_is_remembered_finds_the_faults_that_all_cells_together_show(
        changes in proptest::collection::vec(change(), 1..14),
    ) {
        let stage = street();
        let (mut looks, mut faults) = (TargetLooks::default(), TargetBins::default());
        let mut seen = Seen::new();
        for (first, count, at, long, look) in changes {
            let until = (at + long).min(QUARTERS);
            for no in first..(first + count).min(stage.fleet.series.len() as u32) {
                for at in at..until {
                    match look {
                        Some((valid, bad, failed)) => {
                            seen.insert((no, at), cell(at, valid, bad, failed));
                        }
                        None => {
                            seen.remove(&(no, at));
                        }
                    }
                }
                // What lies outside of the span is nobody's business.
                let span = (FROM.offset(at), FROM.offset(until));
                looks.put(SeriesNo(no), span, &all_cells(&seen, no));
            }
            let before = faults.clone();
            let others = looks.ask(&stage.fleet, &mut faults);
            prop_assert_eq!(&faults, &anew(&stage, &seen));
            prop_assert_eq!(others.is_empty(), before == faults);
            prop_assert!(looks.ask(&stage.fleet, &mut faults).is_empty(), "asked again");
        }
    }
}

#[test]
fn what_was_seen_of_days_that_are_over_is_forgotten() {
    let stage = street();
    let (mut looks, mut faults) = (TargetLooks::default(), TargetBins::default());
    for no in 0..12 {
        let cells: Vec<Cell> = (0..QUARTERS).map(|at| cell(at, 15, 9, false)).collect();
        looks.put(SeriesNo(no), (FROM, FROM.offset(QUARTERS)), &cells);
    }
    assert_eq!(looks.ask(&stage.fleet, &mut faults).len(), QUARTERS as usize);
    looks.forget_before(FROM.offset(4));
    assert_eq!(looks.days.len(), 1);
    looks.forget_before(FROM.offset(4 + 96));
    assert!(looks.days.is_empty());
}
