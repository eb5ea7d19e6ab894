//! A target that fails for most agents is at fault, and no building is blamed.

use busyhour_detect::{TargetFaults, judge_day, target_faults};
use busyhour_model::{Breach, BuildingId, DayVerdict, RequirementProfile, Scope, Slot};
use jiff::tz::TimeZone;

use crate::support::{
    BUILDING, FINE, LATER, Quarter, TestPath, frame, local_day, of, path, path_days, target,
    tuesday,
};

fn day(breach: Breach, bad: u32) -> Vec<Slot> {
    local_day(tuesday(), &TimeZone::UTC, |minute| {
        let bad = if (600..720).contains(&minute) { bad } else { 0 };
        Some(Quarter { bad, breach, ..FINE })
    })
}

fn seen(agent: u128, building: u128, name: &str, slots: Vec<Slot>) -> TestPath {
    TestPath {
        building: BuildingId::from_u128(building),
        target: target(name),
        ..path(agent, agent, slots)
    }
}

fn at_fault(paths: &[TestPath]) -> Vec<(String, usize)> {
    let faults = target_faults(&path_days(paths));
    faults.iter().map(|(target, slots)| (target.to_string(), slots.count())).collect()
}

#[test]
fn what_fails_for_most_agents_of_several_buildings_is_the_targets_fault() {
    let failing = |agent, building| seen(agent, building, "a", day(Breach::Failed, 15));
    let fine = |agent, building| seen(agent, building, "a", day(Breach::Loss, 0));
    let all = [failing(1, 1), failing(2, 1), failing(3, 2)];
    assert_eq!(at_fault(&all), [("a".to_owned(), 8)]);
    // Four in five are enough, two in three are not.
    let most = [failing(1, 1), failing(2, 1), failing(3, 2), failing(4, 2), fine(5, 3)];
    assert_eq!(at_fault(&most), [("a".to_owned(), 8)]);
    let some = [failing(1, 1), failing(2, 1), failing(3, 2), fine(4, 2), fine(5, 3)];
    assert_eq!(at_fault(&some), []);
}

#[test]
fn one_building_or_two_agents_do_not_convict_a_target() {
    let failing = |agent, building| seen(agent, building, "a", day(Breach::Failed, 15));
    assert_eq!(at_fault(&[failing(1, 1), failing(2, 1), failing(3, 1), failing(4, 1)]), []);
    assert_eq!(at_fault(&[failing(1, 1), failing(2, 2)]), []);
}

#[test]
fn agents_that_see_all_targets_bad_blame_none_of_them() {
    let bad = |agent, name| seen(agent, agent, name, day(Breach::Loss, 10));
    let fine = |agent, name| seen(agent, agent, name, day(Breach::Loss, 0));
    let both: Vec<_> = (1..5).flat_map(|agent| [bad(agent, "a"), bad(agent, "b")]).collect();
    assert_eq!(at_fault(&both), []);
    let one: Vec<_> = (1..5).flat_map(|agent| [bad(agent, "a"), fine(agent, "b")]).collect();
    assert_eq!(at_fault(&one), [("a".to_owned(), 8)]);
}

#[test]
fn a_targets_fault_blames_no_building() {
    let paths: Vec<TestPath> = (1..=4)
        .flat_map(|agent| {
            let building = 1 + agent % 2;
            [
                seen(agent, building, "a", day(Breach::Failed, 15)),
                seen(agent, building, "b", day(Breach::Loss, 0)),
            ]
        })
        .collect();
    let days = path_days(&paths);
    let faults = target_faults(&days);
    let frame = frame(tuesday(), &TimeZone::UTC, "Mo-Fr 08:00-18:00", LATER);
    let verdict = |faults| of(&judge_day(&frame, &days, faults), Scope::Building(BUILDING)).verdict;
    assert_eq!(verdict(&faults), DayVerdict::Good);
    assert_eq!(verdict(&TargetFaults::default()), DayVerdict::PeakBad);
}

#[test]
fn without_another_target_a_targets_fault_leaves_the_time_unknown() {
    let whole_day = || {
        local_day(tuesday(), &TimeZone::UTC, |_| {
            Some(Quarter { bad: 15, breach: Breach::Failed, ..FINE })
        })
    };
    let paths: Vec<TestPath> =
        (1..=4).map(|agent| seen(agent, 1 + agent % 2, "a", whole_day())).collect();
    let days = path_days(&paths);
    let frame = frame(tuesday(), &TimeZone::UTC, "Mo-Fr 08:00-18:00", LATER);
    let summaries = judge_day(&frame, &days, &target_faults(&days));
    assert!(summaries.iter().all(|day| day.verdict == DayVerdict::Missing));
}

#[test]
fn a_target_is_convicted_by_agents_that_see_another_one_clean() {
    let a = |breach, bad| seen(1, 1, "a", day(breach, bad));
    let b = |bad| seen(1, 1, "b", day(Breach::Loss, bad));
    for breach in [Breach::Failed, Breach::Loss] {
        assert_eq!(at_fault(&[a(breach, 15), b(0)]), [("a".to_owned(), 8)], "{breach}");
        // What is a little bad elsewhere, or nothing at all, is no witness.
        assert_eq!(at_fault(&[a(breach, 15), b(1)]), [], "{breach}");
        assert_eq!(at_fault(&[a(breach, 15), b(15)]), [], "{breach}");
        assert_eq!(at_fault(&[a(breach, 15)]), [], "{breach}");
    }
    // One that is judged by other requirements lies elsewhere.
    let other = TestPath { requirement: RequirementProfile::SiteEdgeToMicrosoftEdge, ..b(0) };
    assert_eq!(at_fault(&[a(Breach::Failed, 15), other]), []);
    // Nor is a target at fault that is fine for others.
    let fine = seen(2, 1, "a", day(Breach::Loss, 0));
    assert_eq!(at_fault(&[a(Breach::Failed, 15), b(0), fine]), []);
    // A witness of one agent does not speak for the others.
    let silent = seen(2, 1, "a", day(Breach::Failed, 15));
    assert_eq!(at_fault(&[a(Breach::Failed, 15), b(0), silent]), []);
}
