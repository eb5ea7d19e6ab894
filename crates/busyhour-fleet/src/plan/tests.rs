use busyhour_model::{Placement, SubnetId};
use busyhour_store::{
    Binding, ComparedClock, ConfigurationReport, ConfigurationRow, ConfigurationState, Sighting,
};

use super::*;
use crate::desired::{DesiredBudget, DesiredTarget, TargetWords};

const NOW: UtcMicros = UtcMicros::from_secs(1_800_000_000);
/// Since when it was looked who is there.
const LONG_AGO: UtcMicros = UtcMicros(0);
const HERE: BuildingId = BuildingId::from_u128(1);
const FLOOR: SubnetId = SubnetId::from_u128(11);

/// An agent that was seen so many seconds ago, in [`HERE`].
fn agent(number: u128, seen_s: u64) -> AgentRow {
    let id = AgentId::from_u128(number);
    AgentRow {
        id,
        name: format!("agent-{number}"),
        simulated: false,
        binding: Binding::Address,
        added: NOW,
        removed: None,
        sighting: Some(Sighting {
            at: NOW.minus(Duration::from_secs(seen_s)),
            version: String::new(),
            os: String::new(),
            local_prefix: None,
            peer: None,
        }),
        placement: Some(Placement {
            agent: id,
            subnet: FLOOR,
            building: HERE,
            from: UtcMicros(0),
            until: None,
        }),
    }
}

/// A revision with one target of this name.
fn configuration(revision: u32, target: &str) -> ConfigurationRow {
    let words = TargetWords { name: target.to_owned(), ..TargetWords::default() };
    let target = DesiredTarget::new(&words).unwrap();
    let desired = Desired::new(vec![target], DesiredBudget::new(None, None).unwrap()).unwrap();
    ConfigurationRow {
        revision,
        name: "branches".to_owned(),
        made: NOW,
        made_by: String::new(),
        body: desired.encode(),
    }
}

fn assignment(scope: AssignmentScope, revision: u32) -> AssignmentRow {
    AssignmentRow { scope, revision, from: NOW, by: String::new() }
}

fn report(number: u128, runs: u32, told: u32, state: ConfigurationState) -> ReportRow {
    let report = ConfigurationReport {
        revision: runs,
        edition: 1,
        told_revision: told,
        told_edition: 2,
        state,
        reason: String::new(),
        good_edition: 1,
        paused: false,
    };
    let clock = Some(ComparedClock { offset_us: 0, close: true });
    ReportRow { agent: AgentId::from_u128(number), at: NOW, report, clock }
}

/// What it says that was told nothing so far.
fn fresh(number: u128) -> ReportRow {
    report(number, 0, 0, ConfigurationState::Nothing)
}

fn plan(state: &DesiredState, now: UtcMicros, since: UtcMicros) -> Plan {
    plan_at(state, now, (since, UtcMicros(0)), &HashMap::new())
}

/// With since when it is looked, and until when it was looked before; and who was heard when.
fn plan_at(
    state: &DesiredState,
    now: UtcMicros,
    (since, before): (UtcMicros, UtcMicros),
    heard: &HashMap<AgentId, UtcMicros>,
) -> Plan {
    super::plan(state, &Moment { now, since, before, heard, silent: &BTreeSet::new() })
}

/// One agent, and revision 1 assigned to its building.
fn state() -> DesiredState {
    DesiredState {
        agents: vec![agent(1, 10)],
        assignments: vec![assignment(AssignmentScope::Building(HERE), 1)],
        configurations: vec![configuration(1, "a:1"), configuration(2, "b:1")],
        reports: vec![fresh(1)],
        ..DesiredState::default()
    }
}

fn told(state: &DesiredState, number: u128) -> Option<(u32, Vec<String>)> {
    let planned = plan(state, NOW, LONG_AGO).agents.remove(&AgentId::from_u128(number))?;
    let told = planned.told()?;
    Some((told.revision, told.targets.into_iter().map(|target| target.name).collect()))
}

fn only(revision: u32, target: &str) -> Option<(u32, Vec<String>)> {
    Some((revision, vec![target.to_owned()]))
}

#[test]
fn what_is_assigned_to_a_building_is_told_to_who_is_in_it() {
    let mut state = state();
    assert_eq!(told(&state, 1), only(1, "a:1"));
    // In no building no budget of a building holds, so there is nothing to do.
    state.agents[0].placement = None;
    assert_eq!(told(&state, 1), None);
    state.assignments = vec![assignment(AssignmentScope::Everywhere, 1)];
    assert_eq!(told(&state, 1), Some((1, Vec::new())));
}

#[test]
fn the_most_particular_assignment_decides() {
    let mut state = state();
    let label = |text: &str| Label::new(text).unwrap();
    let scopes = [
        AssignmentScope::Everywhere,
        AssignmentScope::Building(HERE),
        AssignmentScope::Subnet(FLOOR),
        AssignmentScope::Label(label("b")),
        AssignmentScope::Label(label("a")),
        AssignmentScope::Agent(AgentId::from_u128(1)),
    ];
    state.labels = ["b", "a", "c"].map(|text| (AgentId::from_u128(1), label(text))).to_vec();
    let mut assignments = Vec::new();
    for scope in scopes {
        assignments.push(assignment(scope.clone(), 2));
        state.assignments.clone_from(&assignments);
        let planned = plan(&state, NOW, LONG_AGO).agents.remove(&AgentId::from_u128(1)).unwrap();
        assert_eq!(planned.assigned, Some((2, scope)));
        assignments.iter_mut().for_each(|assignment| assignment.revision = 1);
    }
}

#[test]
fn who_refuses_a_revision_stays_with_what_it_runs() {
    let mut state = state();
    state.assignments[0].revision = 2;
    state.reports = vec![report(1, 1, 2, ConfigurationState::Refused)];
    let refused = |revision| RefusalRow {
        agent: AgentId::from_u128(1),
        revision,
        reason: String::new(),
        times: 1,
        again: false,
    };
    state.refusals = vec![refused(2)];
    assert_eq!(told(&state, 1), only(1, "a:1"));
    // Somebody assigned it once more, and it looks like another.
    let edition = |state: &DesiredState| {
        plan(state, NOW, LONG_AGO).agents[&AgentId::from_u128(1)].told().unwrap().edition
    };
    state.refusals[0].again = true;
    let again = edition(&state);
    assert_eq!(told(&state, 1), only(2, "b:1"));
    state.refusals[0].times = 2;
    assert_ne!(edition(&state), again);
    state.refusals[0].again = false;
    // It went back within the one it runs, which is no reason to run nothing.
    state.refusals.push(refused(1));
    assert_eq!(told(&state, 1), only(1, "a:1"));
    state.assignments[0].revision = 1;
    assert_eq!(told(&state, 1), only(1, "a:1"));
    // Of a configuration that was never for it, nothing is told because it claims to run it.
    state.configurations[0].name = "others".to_owned();
    state.assignments[0].revision = 2;
    assert_eq!(told(&state, 1), Some((0, Vec::new())));
}

#[test]
fn who_was_told_something_is_told_when_nothing_is_desired_any_more() {
    let mut state = state();
    state.assignments.clear();
    assert_eq!(told(&state, 1), None, "there was never anything to tell");
    state.reports = vec![report(1, 1, 1, ConfigurationState::Committed)];
    assert_eq!(told(&state, 1), Some((0, Vec::new())));
}

#[test]
fn who_is_gone_is_told_nothing_and_another_takes_its_place() {
    let mut state = state();
    state.agents = (1..=3).map(|number| agent(number, 10)).collect();
    state.reports = (1..=3).map(fresh).collect();
    let who = |state: &DesiredState| -> Vec<AgentId> {
        let plan = plan(state, NOW, LONG_AGO);
        let has = |planned: &Planned| !planned.targets.is_empty();
        plan.agents
            .into_iter()
            .filter(|(_, planned)| has(planned))
            .map(|(agent, _)| agent)
            .collect()
    };
    let before = who(&state);
    assert_eq!(before.len(), 2, "two of each subnet");
    let gone = state.agents.iter().position(|agent| agent.id == before[0]).unwrap();
    state.agents[gone] = agent(before[0].as_u128(), 301);
    let after = who(&state);
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[1]) && !after.contains(&before[0]));
    assert_eq!(told(&state, before[0].as_u128()), None);
}

#[test]
fn a_simulated_agent_has_no_part_in_it() {
    let mut state = state();
    state.agents[0].simulated = true;
    assert!(plan(&state, NOW, LONG_AGO).agents.is_empty());
}

#[test]
fn the_same_content_has_the_same_edition_and_another_has_another() {
    let state = state();
    let sealed_of = |state: &DesiredState| {
        plan(state, NOW, LONG_AGO).agents[&AgentId::from_u128(1)].told().unwrap()
    };
    let one = sealed_of(&state);
    assert_eq!(one, sealed_of(&state));
    let mut other = state.clone();
    other.assignments[0].revision = 2;
    assert_ne!(one.edition, sealed_of(&other).edition);
    assert_ne!(one.edition, 0);
}

#[test]
fn while_nobody_looked_nobody_went() {
    let mut state = state();
    state.agents = (1..=3).map(|number| agent(number, 3_600)).collect();
    let here = |since: UtcMicros| {
        let agents = plan(&state, NOW, since).agents.into_values();
        agents.filter(|planned| planned.presence == Presence::In(HERE)).count()
    };
    assert_eq!(here(LONG_AGO), 0);
    assert_eq!(here(NOW.minus(Duration::from_secs(299))), 3);
    assert_eq!(here(NOW.minus(Duration::from_secs(301))), 0);
}

#[test]
fn who_had_gone_before_nobody_looked_is_not_back_because_of_that() {
    let mut state = state();
    let long = LET_GO_AFTER.as_secs() + 1_000;
    state.agents = vec![agent(1, 3_600), agent(2, 3_600 + long)];
    // The collector begins anew; until then it saw the first.
    let since = NOW.minus(Duration::from_secs(60));
    let before = NOW.minus(Duration::from_secs(3_600));
    let here = |before| {
        let plan = plan_at(&state, NOW, (since, before), &HashMap::new());
        plan.agents.into_values().map(|planned| planned.presence == Presence::In(HERE)).collect()
    };
    let found: Vec<bool> = here(before);
    assert_eq!(found, [true, false]);
    let found: Vec<bool> = here(before.minus(Duration::from_secs(1_001)));
    assert_eq!(found, [true, true], "it may have been there");
}

#[test]
fn who_is_gone_may_send_for_as_long_as_its_lease_lasts_and_is_there_when_it_is_heard() {
    let mut state = state();
    let planned = |state: &DesiredState, heard: &HashMap<AgentId, UtcMicros>| {
        let mut plan = plan_at(state, NOW, (LONG_AGO, LONG_AGO), heard);
        let planned = plan.agents.remove(&AgentId::from_u128(1)).unwrap();
        (planned.presence, planned.sends_in)
    };
    let nobody = HashMap::new();
    let last = LET_GO_AFTER.as_secs();
    assert!(LET_GO_AFTER > EXPEDITED_LEASE && EXPEDITED_LEASE > GONE_AFTER);
    for (seen_s, expected) in [
        (300, (Presence::In(HERE), None)),
        (301, (Presence::Gone, Some(HERE))),
        (last, (Presence::Gone, Some(HERE))),
        (last + 1, (Presence::Gone, None)),
    ] {
        state.agents = vec![agent(1, seen_s)];
        assert_eq!(planned(&state, &nobody), expected, "{seen_s}");
    }
    let heard = HashMap::from([(AgentId::from_u128(1), NOW.minus(Duration::from_secs(301)))]);
    assert_eq!(planned(&state, &heard), (Presence::Gone, Some(HERE)));
    let heard = HashMap::from([(AgentId::from_u128(1), NOW)]);
    assert_eq!(planned(&state, &heard), (Presence::In(HERE), None));
}

#[test]
fn targets_are_judged_by_what_the_revision_says_that_they_were_measured_under() {
    let row = |revision, requirement: &str| {
        let words = TargetWords {
            name: "a:1".to_owned(),
            requirement: Some(requirement.to_owned()),
            ..TargetWords::default()
        };
        let target = DesiredTarget::new(&words).unwrap();
        let desired = Desired::new(vec![target], DesiredBudget::new(None, None).unwrap());
        ConfigurationRow { body: desired.unwrap().encode(), ..configuration(revision, "a:1") }
    };
    let mut state = state();
    state.configurations = vec![row(1, "none"), row(2, "client-to-microsoft-edge")];
    let plan = plan(&state, NOW, LONG_AGO);
    let judged = |revision: u32| {
        let of_revision = plan.requirements.get(&revision)?;
        of_revision.get(&TargetName::new("a:1").unwrap()).copied()
    };
    assert_eq!(judged(1), Some(RequirementProfile::None));
    assert_eq!(judged(2), Some(RequirementProfile::ClientToMicrosoftEdge));
    assert_eq!(judged(3), None);
}

#[test]
fn a_revision_of_a_later_version_is_left_out_and_said() {
    let mut state = state();
    state.configurations[0].body = vec![0xff; 3];
    let plan = plan(&state, NOW, LONG_AGO);
    assert_eq!(plan.unreadable, BTreeSet::from([1]));
    assert!(plan.agents[&AgentId::from_u128(1)].targets.is_empty());
}

/// Of two agents in a subnet, of which one measures, whether the first does: expedited traffic, and other.
fn measures(state: &DesiredState, silent: &BTreeSet<AgentId>) -> (bool, bool, Option<Unfit>) {
    let mut state = state.clone();
    let target = |name: &str, profile: &str| {
        let words = TargetWords {
            name: name.to_owned(),
            profile: Some(profile.to_owned()),
            agents_per_subnet: Some(0),
            ..TargetWords::default()
        };
        DesiredTarget::new(&words).unwrap()
    };
    let targets = vec![target("a:1", "audio-50"), target("b:1", "best-effort-50")];
    let budget = DesiredBudget::new(Some(1_000_000), Some(1_000_000)).unwrap();
    state.configurations[0].body = Desired::new(targets, budget).unwrap().encode();
    let (before, heard) = (UtcMicros(0), &HashMap::new());
    let plan = super::plan(&state, &Moment { now: NOW, since: LONG_AGO, before, heard, silent });
    let planned = &plan.agents[&AgentId::from_u128(1)];
    let has = |name: &str| planned.targets.iter().any(|target| target.name == name);
    (has("a:1"), has("b:1"), planned.unfit)
}

#[test]
fn who_knows_no_configurations_is_silent_paused_or_keeps_no_time_is_not_elected() {
    let nobody = BTreeSet::new();
    let mut state = state();
    assert_eq!(measures(&state, &nobody), (true, true, None));
    let only = BTreeSet::from([AgentId::from_u128(1)]);
    assert_eq!(measures(&state, &only), (false, false, Some(Unfit::Silent)));
    state.reports[0].report.paused = true;
    assert_eq!(measures(&state, &nobody), (false, false, Some(Unfit::Paused)));
    state.reports[0].report.paused = false;
    // By its clock it would send when it is others' turn; what is not expedited has none.
    let offset_us = -20_040_000;
    state.reports[0].clock = Some(ComparedClock { offset_us, close: false });
    let off = Unfit::ClockOff { offset_us };
    assert_eq!(measures(&state, &nobody), (false, true, Some(off)));
    assert_eq!(off.to_string(), "its clock is 20.0 s ahead: no expedited traffic");
    state.reports[0].clock = None;
    assert_eq!(measures(&state, &nobody), (false, true, Some(Unfit::ClockUnknown)));
    state.reports.clear();
    assert_eq!(measures(&state, &nobody), (false, false, Some(Unfit::Mute)));
    assert_eq!(told(&state, 1), None, "and it is told nothing");
}
