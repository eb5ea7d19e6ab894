//! Who is believed when a target is accused.

use busyhour_model::{Breach, RequirementProfile, SlotStart};

use super::TargetViews;
use crate::fleet::{SeriesNo, TargetNo, UpstreamNo};
use crate::series::Cell;
use crate::stage::Stage;

const AT: SlotStart = SlotStart::from_number(1_935_000);

fn cell(bad: u32, by: Breach) -> Cell {
    let mut cell = Cell { expected: 15, valid: 15, bad, ..Cell::new(AT) };
    cell.bad_by[by as usize] = bad;
    cell
}

/// A street whose series talk to one target, with an upstream for each building when `apart`.
fn street(buildings: u32, apart: bool) -> Stage {
    let mut stage = Stage::street(buildings, 1);
    let target = stage.target("edge");
    for info in &mut stage.fleet.series {
        info.target = Some(target);
        if apart {
            info.upstream = Some(UpstreamNo(10 + info.building.0));
        }
    }
    stage
}

/// Whether the first target is at fault when these series see so many bad windows of fifteen.
fn at_fault(stage: &Stage, seen: &[(u32, u32)], by: Breach) -> bool {
    let mut views = TargetViews::new(&stage.fleet);
    for &(no, bad) in seen {
        views.add(SeriesNo(no), &[cell(bad, by)]);
    }
    views.faults().contains(TargetNo(0), AT)
}

fn everybody(count: u32, bad: u32) -> Vec<(u32, u32)> {
    (0..count).map(|no| (no, bad)).collect()
}

#[test]
fn what_all_see_on_ways_of_their_own_is_the_targets() {
    let stage = street(3, true);
    assert!(at_fault(&stage, &everybody(12, 8), Breach::Loss));
    assert!(!at_fault(&stage, &everybody(12, 2), Breach::Loss), "a little is not enough");
    let mut most = everybody(12, 8);
    most[0].1 = 0;
    most[1].1 = 0;
    assert!(at_fault(&stage, &most, Breach::Loss), "ten of twelve");
    most[2].1 = 0;
    assert!(!at_fault(&stage, &most, Breach::Loss), "nine of twelve");
}

#[test]
fn what_all_see_behind_one_upstream_may_be_the_upstreams() {
    let stage = street(3, false);
    let own_ways: Vec<(u32, u32)> =
        everybody(12, 8).into_iter().filter(|(no, _)| no % 4 != 3).collect();
    assert!(!at_fault(&stage, &own_ways, Breach::Loss));
    assert!(!at_fault(&stage, &own_ways, Breach::Failed));
}

#[test]
fn a_clean_way_to_another_target_is_a_witness() {
    let mut stage = street(1, false);
    let other = stage.target("other");
    let second = stage.add(0, |info| info.target = Some(other));
    assert!(at_fault(&stage, &[(0, 8), (second, 0)], Breach::Loss));
    assert!(!at_fault(&stage, &[(0, 8), (second, 8)], Breach::Loss), "the way is bad");
    assert!(!at_fault(&stage, &[(0, 8), (second, 1)], Breach::Loss), "a witness is clean");
    assert!(!at_fault(&stage, &[(0, 8), (1, 0), (second, 0)], Breach::Loss), "one of two");
    let info = &mut stage.fleet.series[second as usize];
    info.requirement = RequirementProfile::None;
    assert!(!at_fault(&stage, &[(0, 8), (second, 0)], Breach::Loss), "judged by looser limits");
}

#[test]
fn hardly_observed_bins_say_nothing() {
    let stage = street(3, true);
    let mut views = TargetViews::new(&stage.fleet);
    for no in 0..12 {
        let few = Cell { valid: 2, ..cell(2, Breach::Loss) };
        views.add(SeriesNo(no), &[few]);
    }
    assert!(views.faults().is_empty());
}

#[test]
fn old_faults_are_forgotten() {
    let stage = street(3, true);
    let mut views = TargetViews::new(&stage.fleet);
    for no in 0..12 {
        views.add(SeriesNo(no), &[cell(8, Breach::Loss)]);
    }
    let mut faults = views.faults();
    faults.forget_before(AT);
    assert!(faults.contains(TargetNo(0), AT));
    faults.forget_before(AT.offset(1));
    assert!(faults.is_empty());
}

#[test]
fn what_is_found_again_takes_the_place_of_what_was_known() {
    let stage = street(3, true);
    let found = |starts: &[SlotStart]| {
        let mut views = TargetViews::new(&stage.fleet);
        for no in 0..12 {
            let cells: Vec<Cell> =
                starts.iter().map(|&start| Cell { start, ..cell(8, Breach::Loss) }).collect();
            views.add(SeriesNo(no), &cells);
        }
        views.faults()
    };
    let [before, first, last, after] = [-1, 0, 1, 2].map(|at| AT.offset(at));
    let mut faults = found(&[before, first, after]);
    assert!(!faults.replace(first, after, found(&[first])), "nothing new");
    assert!(faults.replace(first, after, found(&[last])));
    assert_eq!(faults, found(&[before, last, after]));
    assert!(faults.replace(before, after.offset(1), found(&[])));
    assert!(faults.is_empty());
}
