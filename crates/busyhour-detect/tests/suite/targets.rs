//! A target that fails for most agents is at fault, and no building is blamed.

use busyhour_detect::{Reach, TargetBins, TargetNo};
use busyhour_model::{Breach, DayVerdict, RequirementProfile, Scope, Slot};
use jiff::tz::TimeZone;

use crate::support::{
    A, B, BUILDING, FINE, LATER, Quarter, TestPath, faults, judged_as_of, local_day, of, path,
    tuesday, usual_frame,
};

fn day(breach: Breach, bad: u32) -> Vec<Slot> {
    local_day(tuesday(), &TimeZone::UTC, |minute| {
        let bad = if (600..720).contains(&minute) { bad } else { 0 };
        Some(Quarter { bad, breach, ..FINE })
    })
}

fn seen(agent: u32, building: u32, target: TargetNo, slots: Vec<Slot>) -> TestPath {
    TestPath { building, target, ..path(agent, agent, slots) }
}

/// In how many quarter-hours of the day the two targets were at fault.
fn at_fault(paths: &[TestPath]) -> [usize; 2] {
    let faults = faults(paths);
    let starts = || local_day(tuesday(), &TimeZone::UTC, |_| Some(FINE)).into_iter();
    [A, B].map(|target| starts().filter(|slot| faults.contains(target, slot.start)).count())
}

#[test]
fn what_fails_for_most_agents_of_several_buildings_is_the_targets_fault() {
    let failing = |agent, building| seen(agent, building, A, day(Breach::Failed, 15));
    let fine = |agent, building| seen(agent, building, A, day(Breach::Loss, 0));
    let all = [failing(1, 1), failing(2, 1), failing(3, 2)];
    assert_eq!(at_fault(&all), [8, 0]);
    // Four in five are enough, two in three are not.
    let most = [failing(1, 1), failing(2, 1), failing(3, 2), failing(4, 2), fine(5, 3)];
    assert_eq!(at_fault(&most), [8, 0]);
    let some = [failing(1, 1), failing(2, 1), failing(3, 2), fine(4, 2), fine(5, 3)];
    assert_eq!(at_fault(&some), [0, 0]);
}

#[test]
fn one_building_or_two_agents_do_not_convict_a_target() {
    let failing = |agent, building| seen(agent, building, A, day(Breach::Failed, 15));
    assert_eq!(at_fault(&[failing(1, 1), failing(2, 1), failing(3, 1), failing(4, 1)]), [0, 0]);
    assert_eq!(at_fault(&[failing(1, 1), failing(2, 2)]), [0, 0]);
}

#[test]
fn agents_that_see_all_targets_bad_blame_none_of_them() {
    let bad = |agent, target| seen(agent, agent, target, day(Breach::Loss, 10));
    let fine = |agent, target| seen(agent, agent, target, day(Breach::Loss, 0));
    let both: Vec<_> = (1..5).flat_map(|agent| [bad(agent, A), bad(agent, B)]).collect();
    assert_eq!(at_fault(&both), [0, 0]);
    let one: Vec<_> = (1..5).flat_map(|agent| [bad(agent, A), fine(agent, B)]).collect();
    assert_eq!(at_fault(&one), [8, 0]);
}

#[test]
fn a_targets_fault_blames_no_building() {
    let paths: Vec<TestPath> = (1..=4)
        .flat_map(|agent| {
            let building = 1 + agent % 2;
            [
                seen(agent, building, A, day(Breach::Failed, 15)),
                seen(agent, building, B, day(Breach::Loss, 0)),
            ]
        })
        .collect();
    let verdict = |faults: &TargetBins| {
        let summaries = judged_as_of(&usual_frame(), LATER, &paths, faults);
        of(&summaries, Scope::Building(BUILDING)).verdict
    };
    assert_eq!(verdict(&faults(&paths)), DayVerdict::Good);
    assert_eq!(verdict(&TargetBins::default()), DayVerdict::PeakBad);
}

#[test]
fn without_another_target_a_targets_fault_leaves_the_time_unknown() {
    let whole_day = || {
        local_day(tuesday(), &TimeZone::UTC, |_| {
            Some(Quarter { bad: 15, breach: Breach::Failed, ..FINE })
        })
    };
    let paths: Vec<TestPath> =
        (1..=4).map(|agent| seen(agent, 1 + agent % 2, A, whole_day())).collect();
    let summaries = judged_as_of(&usual_frame(), LATER, &paths, &faults(&paths));
    assert!(!summaries.is_empty());
    for day in summaries {
        assert_eq!((day.verdict, day.average, day.limits), (DayVerdict::Missing, None, None));
        assert!(day.expected > 0 && day.valid == 0, "it should have been there");
    }
}

#[test]
fn a_target_is_convicted_by_agents_that_see_another_one_clean() {
    let a = |breach, bad| seen(1, 1, A, day(breach, bad));
    let b = |bad| seen(1, 1, B, day(Breach::Loss, bad));
    for breach in [Breach::Failed, Breach::Loss] {
        assert_eq!(at_fault(&[a(breach, 15), b(0)]), [8, 0], "{breach}");
        // What is a little bad elsewhere, or nothing at all, is no witness.
        assert_eq!(at_fault(&[a(breach, 15), b(1)]), [0, 0], "{breach}");
        assert_eq!(at_fault(&[a(breach, 15), b(15)]), [0, 0], "{breach}");
        assert_eq!(at_fault(&[a(breach, 15)]), [0, 0], "{breach}");
    }
    // One that is judged by other requirements may be clean by those alone.
    let other = TestPath { requirement: RequirementProfile::None, ..b(0) };
    assert_eq!(at_fault(&[a(Breach::Failed, 15), other]), [0, 0]);
    // The site's own edge is no witness of what lies beyond it.
    let edge = TestPath { reach: Reach::Near, ..b(0) };
    assert_eq!(at_fault(&[a(Breach::Failed, 15), edge]), [0, 0]);
    // Nor is a target at fault that is fine for others.
    let fine = seen(2, 1, A, day(Breach::Loss, 0));
    assert_eq!(at_fault(&[a(Breach::Failed, 15), b(0), fine]), [0, 0]);
    // A witness of one agent does not speak for the others.
    let silent = seen(2, 1, A, day(Breach::Failed, 15));
    assert_eq!(at_fault(&[a(Breach::Failed, 15), b(0), silent]), [0, 0]);
}
