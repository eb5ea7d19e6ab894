use proptest::prelude::*;

use super::*;
use crate::desired::{DesiredBudget, TargetWords};

fn configuration(targets: &[TargetWords], subnet: u32, building: u32) -> Desired {
    let targets = targets.iter().map(|words| DesiredTarget::new(words).unwrap()).collect();
    Desired::new(targets, DesiredBudget::new(Some(subnet), Some(building)).unwrap()).unwrap()
}

fn target(name: &str, profile: &str, agents_per_subnet: u32) -> TargetWords {
    TargetWords {
        name: name.to_owned(),
        profile: Some(profile.to_owned()),
        agents_per_subnet: Some(agents_per_subnet),
        ..TargetWords::default()
    }
}

/// Agents of one building and revision 1, each in a subnet.
fn candidates(subnets: &[u128]) -> Vec<Candidate> {
    let candidate = |(agent, subnet): (u128, &u128)| Candidate {
        building: BuildingId::from_u128(1),
        subnet: SubnetId::from_u128(*subnet),
        agent: AgentId::from_u128(agent),
        revision: 1,
        assigned: 1,
        keeps_time: true,
    };
    (1..).zip(subnets).map(candidate).collect()
}

/// Who measures the target of this place.
fn who(timetable: &Timetable, target: usize) -> Vec<AgentId> {
    let has = |roles: &&Vec<Role>| roles.iter().any(|role| role.target == target);
    timetable.roles.iter().filter(|(_, roles)| has(roles)).map(|(agent, _)| *agent).collect()
}

#[test]
fn of_each_subnet_as_many_measure_a_target_as_it_says() {
    let desired = configuration(
        &[target("a:1", "low-1", 2), target("b:1", "low-1", 0)],
        9_000_000,
        9_000_000,
    );
    let desired = BTreeMap::from([(1, desired)]);
    let agents = candidates(&[1, 1, 1, 1, 1, 2, 2, 2, 3]);
    let found = timetable(&agents, &desired);
    assert_eq!(who(&found, 0).len(), 2 + 2 + 1);
    assert_eq!(who(&found, 1).len(), 9);
    assert!(found.left_out.is_empty());
}

#[test]
fn when_one_goes_the_next_takes_its_place_and_nobody_else_changes() {
    let desired = BTreeMap::from([(1, configuration(&[target("a:1", "low-1", 3)], 9_000, 9_000))]);
    let agents = candidates(&[1; 12]);
    let before = who(&timetable(&agents, &desired), 0);
    assert_eq!(before.len(), 3);
    let rest: Vec<Candidate> =
        agents.iter().filter(|candidate| candidate.agent != before[1]).copied().collect();
    let after = who(&timetable(&rest, &desired), 0);
    assert_eq!(after.len(), 3);
    assert!(after.contains(&before[0]) && after.contains(&before[2]));
    // It comes back, and all is as it was, in whatever order they are told.
    let mut reversed = agents.clone();
    reversed.reverse();
    assert_eq!(who(&timetable(&reversed, &desired), 0), before);
}

#[test]
fn a_building_has_three_calls_a_minute_one_after_the_other_whoever_is_there() {
    let desired =
        BTreeMap::from([(1, configuration(&[target("a:1", "audio-50", 0)], 9_000_000, 9_000_000))]);
    let found = timetable(&candidates(&[1; 500]), &desired);
    let mut phases: Vec<u32> =
        found.roles.values().flatten().filter_map(|role| role.phase_ms).collect();
    phases.sort_unstable();
    assert_eq!(phases, [0, 20_000, 40_000]);
    assert_eq!(found.left_out.values().sum::<u32>(), 497);
}

#[test]
fn every_subnet_has_its_first_agent_before_any_has_a_second() {
    let desired =
        BTreeMap::from([(1, configuration(&[target("a:1", "audio-50", 0)], 9_000_000, 9_000_000))]);
    let agents = candidates(&[1, 1, 1, 1, 2, 3]);
    let found = timetable(&agents, &desired);
    let subnets: BTreeSet<SubnetId> = agents
        .iter()
        .filter(|candidate| found.roles.contains_key(&candidate.agent))
        .map(|candidate| candidate.subnet)
        .collect();
    assert_eq!(subnets.len(), 3);
}

#[test]
fn spans_that_recur_overlap_where_one_meets_the_other() {
    let span = |phase_ms, length_ms, period_ms| Recurring { phase_ms, length_ms, period_ms };
    for (one, two, expected) in [
        (span(0, 10, 60), span(10, 10, 60), false),
        (span(0, 11, 60), span(10, 10, 60), true),
        (span(55, 10, 60), span(0, 10, 60), true),
        (span(50, 10, 60), span(0, 10, 60), false),
        // A period of 90 meets each multiple of 30.
        (span(0, 10, 60), span(15, 10, 90), false),
        (span(0, 10, 60), span(35, 10, 90), true),
        (span(0, 60, 60), span(5, 1, 240), true),
        (span(0, 10, 60), span(70, 10, 240), false),
        (span(0, 10, 60), span(65, 10, 240), true),
    ] {
        assert_eq!(
            (one.overlaps(&two), two.overlaps(&one)),
            (expected, expected),
            "{one:?} {two:?}"
        );
    }
}

/// All periods that the properties draw divide this.
const CYCLE_S: usize = 5_040;

/// A fleet of a few buildings: where each agent is and which revision is desired of it.
fn fleets() -> impl Strategy<Value = Vec<Candidate>> {
    let agent = (1_u128..4, 1_u128..4, 1_u32..4);
    prop::collection::vec(agent, 0..60).prop_map(|agents| {
        let candidate =
            |(number, (building, subnet, revision)): (u128, (u128, u128, u32))| Candidate {
                building: BuildingId::from_u128(building),
                subnet: SubnetId::from_u128(building * 10 + subnet),
                agent: AgentId::from_u128(number),
                revision,
                assigned: revision,
                keeps_time: true,
            };
        (1..).zip(agents).map(candidate).collect()
    })
}

fn targets() -> impl Strategy<Value = TargetWords> {
    let profile = prop::sample::select(vec!["audio-50", "audio-50-190", "best-effort-50", "low-1"]);
    let period = prop::sample::select(vec![15_u32, 20, 30, 45, 60, 70, 90, 120, 240]);
    (0..6_u8, profile, 1_u32..=15, period, 0_u32..4).prop_map(
        |(name, profile, window, period, agents_per_subnet)| TargetWords {
            window_ms: Some(window * 1_000),
            period_ms: Some(period * 1_000),
            ..target(&format!("t{name}:1"), profile, agents_per_subnet)
        },
    )
}

fn configurations() -> impl Strategy<Value = BTreeMap<u32, Desired>> {
    let one = (
        prop::collection::vec(targets(), 0..6),
        prop::sample::select(vec![1_000_u32, 15_000, 60_000, 1_000_000]),
        prop::sample::select(vec![1_000_u32, 30_000, 90_000, 1_000_000]),
    );
    prop::collection::btree_map(1_u32..4, one, 1..4).prop_map(|all| {
        let configuration = |(targets, subnet, building): (Vec<TargetWords>, u32, u32)| {
            let mut seen = BTreeSet::new();
            let targets: Vec<TargetWords> = targets
                .into_iter()
                .filter(|words| seen.insert((words.name.clone(), words.profile.clone())))
                .collect();
            configuration(&targets, subnet, building)
        };
        all.into_iter().map(|(revision, one)| (revision, configuration(one))).collect()
    })
}

proptest! {
    #[test]
    fn at_any_second_the_agents_of_a_building_send_one_call_of_expedited_traffic_at_most(
        fleet in fleets(),
        desired in configurations(),
    ) {
        let found = timetable(&fleet, &desired);
        let mut sent: BTreeMap<BuildingId, Vec<u32>> = BTreeMap::new();
        let (mut means, mut by_subnet) = (BTreeMap::new(), BTreeMap::new());
        for candidate in &fleet {
            let Some(roles) = found.roles.get(&candidate.agent) else { continue };
            for role in roles {
                let target = &desired[&candidate.revision].targets()[role.target];
                let bits = target.mean_bits_per_second();
                *means.entry(candidate.building).or_insert(0) += bits;
                *by_subnet.entry(candidate.subnet).or_insert(0) += bits;
                prop_assert_eq!(role.phase_ms.is_some(), target.profile().is_expedited());
                let Some(phase_ms) = role.phase_ms else { continue };
                prop_assert!(u128::from(phase_ms) < target.period().as_millis());
                let seconds = sent.entry(candidate.building).or_insert_with(|| vec![0; CYCLE_S]);
                let (period, window) = (target.period(), target.window());
                let mut from_ms = usize::try_from(phase_ms).unwrap();
                while from_ms < CYCLE_S * 1_000 {
                    let until_ms = from_ms + usize::try_from(window.as_millis()).unwrap();
                    // A second counts when any of it is sent in: no two may share one but at its edge.
                    for second in from_ms.div_ceil(1_000)..until_ms / 1_000 {
                        seconds[second % CYCLE_S] += target.profile().bits_per_second;
                    }
                    from_ms += usize::try_from(period.as_millis()).unwrap();
                }
            }
        }
        for seconds in sent.values() {
            let most = seconds.iter().max().copied().unwrap_or_default();
            prop_assert!(most <= crate::desired::CALL_BITS_PER_SECOND, "{most} bits a second");
        }
        for candidate in &fleet {
            let Some(budget) = desired.get(&candidate.revision).map(Desired::budget) else { continue };
            let building = means.get(&candidate.building).copied().unwrap_or(0);
            prop_assert!(building <= u64::from(budget.building_bits_per_second()));
            let subnet = by_subnet.get(&candidate.subnet).copied().unwrap_or(0);
            prop_assert!(subnet <= u64::from(budget.subnet_bits_per_second()));
        }
    }

    #[test]
    fn the_order_in_which_agents_are_told_changes_nothing(
        fleet in fleets(),
        desired in configurations(),
        by in 0_usize..60,
    ) {
        let mut other = fleet.clone();
        other.rotate_left(by % fleet.len().max(1));
        other.reverse();
        prop_assert_eq!(timetable(&fleet, &desired), timetable(&other, &desired));
    }
}
