//! Truths: how many, how strong, of which kinds.

use std::collections::BTreeSet;

use busyhour_sim::world::{
    Class, Hardness, Mechanisms, PlaceKind, Plan, Truth, TruthKind, severity_quartiles,
};

use crate::{every_kind, small, truths};

/// Building-months of a fleet as it is by default.
const MONTHS: f64 = 30.0 * 84.0 / 30.0;
/// Seeds that rates are counted over.
const SEEDS: std::ops::Range<u64> = 51..55;

fn episodes(truths: &[Truth]) -> impl Iterator<Item = &Truth> {
    truths.iter().filter(|truth| truth.kind == TruthKind::Episode)
}

fn count(truths: &[Truth], kind: TruthKind) -> f64 {
    truths.iter().filter(|truth| truth.kind == kind).count() as f64
}

#[test]
fn the_hard_fleet_is_hard_and_the_normal_one_is_not() {
    for seed in [31, 32] {
        for plan in every_kind(seed) {
            let truths = truths(&plan);
            let musts = episodes(&truths).filter(|truth| truth.class == Class::Must).count();
            let [low, middle, _] = severity_quartiles(&truths).unwrap();
            match plan.hardness {
                // One fleet has some twenty episodes: its quartiles are those of the many, more or less.
                Hardness::Hard => assert!(low <= 0.28 && middle <= 0.50, "{low} {middle}"),
                Hardness::Normal => assert!(low >= 0.28 && middle >= 0.5, "{low} {middle}"),
            }
            assert!((10..=40).contains(&musts), "{musts}");
        }
    }
}

#[test]
fn hard_fleets_together_keep_to_their_quartiles() {
    for mechanisms in [Mechanisms::Tuning, Mechanisms::HeldOut] {
        let hard = |seed| Plan { hardness: Hardness::Hard, mechanisms, ..Plan::new(seed) };
        let truths: Vec<Truth> = (41..46).flat_map(|seed| truths(&hard(seed))).collect();
        let [low, middle, _] = severity_quartiles(&truths).unwrap();
        assert!(low <= 0.22 && middle <= 0.38, "{mechanisms:?}: {low} {middle}");
    }
}

#[test]
fn what_must_not_alarm_is_as_frequent_as_was_written_down() {
    let of = |hardness| -> Vec<Truth> {
        SEEDS.flat_map(|seed| truths(&Plan { hardness, ..Plan::new(seed) })).collect()
    };
    let (normal, hard) = (of(Hardness::Normal), of(Hardness::Hard));
    let fleets = SEEDS.count() as f64;
    for (truths, incidents) in [(&normal, 0.6), (&hard, 1.2)] {
        let rate = |kind| count(truths, kind) / (fleets * MONTHS);
        let incident = rate(TruthKind::Incident) / incidents;
        assert!((0.8..1.2).contains(&incident), "{incident}");
        let shift = rate(TruthKind::LevelShift);
        assert!((0.27..0.42).contains(&shift), "{shift}");
        let closure = rate(TruthKind::Closure);
        assert!((0.08..0.25).contains(&closure), "{closure}");
        // 5 % of some 130 agents; 15 % of 30 buildings.
        let constant = count(truths, TruthKind::Constant) / fleets;
        assert!((3.0..=9.0).contains(&constant), "{constant}");
        let backup = count(truths, TruthKind::Backup) / fleets;
        assert!((2.0..=7.5).contains(&backup), "{backup}");
        assert!(count(truths, TruthKind::TargetFault) >= 6.0 * fleets);
    }
    let long = |truths: &[Truth]| {
        let incidents = truths.iter().filter(|truth| truth.kind == TruthKind::Incident);
        incidents.filter(|truth| truth.active.len() > 2).count()
    };
    assert!(long(&normal) == 0 && long(&hard) > 0);
}

#[test]
fn nothing_that_is_held_out_is_in_a_world_to_tune_on() {
    let words = |mechanisms| -> BTreeSet<String> {
        let plan = Plan { mechanisms, ..Plan::new(61) };
        let truths = truths(&plan);
        let pairs = episodes(&truths).flat_map(|truth| truth.mechanism.split('/'));
        pairs.map(str::to_owned).collect()
    };
    let (tuning, held_out) = (words(Mechanisms::Tuning), words(Mechanisms::HeldOut));
    assert!(tuning.is_disjoint(&held_out), "{tuning:?} {held_out:?}");
    assert!(held_out.len() >= 6, "{held_out:?}");
}

#[test]
fn an_episode_keeps_what_its_truth_says_together() {
    for plan in every_kind(71) {
        let truths = truths(&plan);
        let kinds: BTreeSet<PlaceKind> = episodes(&truths).map(|truth| truth.place.kind).collect();
        assert!(kinds.len() >= 4, "{kinds:?}");
        for truth in episodes(&truths) {
            let days = (truth.until - truth.from).get_days() + 1;
            assert!((4..=45).contains(&days) || truth.active.is_empty(), "{truth:?}");
            assert!(truth.active.iter().all(|date| (truth.from..=truth.until).contains(date)));
            assert!(truth.bad.iter().all(|bad| truth.active.contains(&bad.date)), "{truth:?}");
            assert!(truth.bad.iter().all(|bad| (0.08..=1.0).contains(&bad.worst_share)));
            assert_eq!(truth.class == Class::Never, truth.bad.is_empty());
            assert_eq!(truth.severity >= 0.08, !truth.bad.is_empty());
            assert!(!truth.series.is_empty() && !truth.buildings.is_empty(), "{truth:?}");
            assert!(!truth.causes.is_empty() && !truth.same_as.contains(&truth.place));
            let hours = truth.hours.iter().map(|(from, until)| until - from).sum::<u16>();
            assert!((15..=330).contains(&hours) || truth.bad.is_empty(), "{truth:?}");
        }
    }
}

#[test]
fn only_episodes_have_to_be_found_and_numbers_are_given_once() {
    let truths = truths(&small(81));
    for truth in truths.iter().filter(|truth| truth.kind != TruthKind::Episode) {
        let class = if truth.kind == TruthKind::Constant { Class::May } else { Class::Never };
        assert_eq!(truth.class, class, "{truth:?}");
        assert!(truth.bad.is_empty() && truth.from <= truth.until);
    }
    let numbers: BTreeSet<u32> = truths.iter().map(|truth| truth.id).collect();
    assert_eq!(numbers.len(), truths.len());
}
