//! The contract of configurations: revisions, for whom they are in force, labels, reports.

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{
    Act, AssignmentScope, AuditAction, ComparedClock, ConfigurationReport, ConfigurationState,
    Configurations as _, Control as _, ControlRetention, ErrorKind, Label, ReportRow,
    SqliteControl,
};

use crate::control::{agent, by_name, enrolled, import};
use crate::fixtures::{DAY, Engine, NOW, at, building};

const FIRST: AgentId = AgentId::from_u128(1);
const BODY: &[u8] = b"what is desired";

fn by(moment: UtcMicros) -> Act {
    Act::by_operator(moment)
}

/// A store with a building and two agents.
fn engine() -> Engine {
    let engine = Engine::new();
    import(&engine.control, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    for (id, name) in [(1, "hh-1"), (2, "hh-2")] {
        let bound = enrolled("10.1.0.0/24", None);
        engine.control.add_agent(&agent(id, name, bound), &by(NOW)).unwrap();
    }
    engine
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

/// What an agent says of the revision that it was told.
pub(crate) fn report(
    agent: AgentId,
    runs: u32,
    told: u32,
    state: ConfigurationState,
    moment: UtcMicros,
) -> ReportRow {
    let report = ConfigurationReport {
        revision: runs,
        edition: u64::MAX - u64::from(runs),
        told_revision: told,
        told_edition: u64::from(told),
        state,
        reason: "a reason\nof two lines".to_owned(),
        good_edition: u64::MAX - 7,
        paused: false,
    };
    ReportRow { agent, at: moment, report, clock: None }
}

/// Who refused which revisions and is not to be told them again.
fn refusals(store: &SqliteControl) -> Vec<(AgentId, u32)> {
    let refusals = store.desired().unwrap().refusals.into_iter();
    refusals.filter(|row| !row.again).map(|row| (row.agent, row.revision)).collect()
}

/// What a golden database holds.
pub(crate) fn fill(control: &SqliteControl) {
    let by = Act::by_operator(at(NOW, 20 * DAY));
    let (revision, _) = control.add_configuration("branches", BODY, &by).unwrap();
    control.assign_configuration(&AssignmentScope::Everywhere, Some(revision), &by).unwrap();
    control.label_agent(FIRST, &[label("canary")], &by).unwrap();
    let reports = [report(FIRST, 0, revision, ConfigurationState::Refused, at(NOW, 6 * DAY))];
    control.note_reports(&reports).unwrap();
}

/// Reads back what [`fill`] put in.
pub(crate) fn check(control: &SqliteControl) {
    let state = control.desired().unwrap();
    assert_eq!(state.configurations[0].body, BODY);
    assert_eq!(state.assignments[0].scope, AssignmentScope::Everywhere);
    assert_eq!(state.labels, [(FIRST, label("canary"))]);
    assert_eq!(state.reports[0].report.state, ConfigurationState::Refused);
    assert_eq!(refusals(control), [(FIRST, 1)]);
}

#[test]
fn revisions_are_numbered_in_the_order_in_which_they_were_made_and_never_change() {
    let engine = engine();
    let store = &engine.control;
    assert_eq!(store.add_configuration("a", b"1", &by(NOW)).unwrap(), (1, true));
    assert_eq!(store.add_configuration("b", b"1", &by(NOW)).unwrap(), (2, true));
    assert_eq!(
        store.add_configuration("a", b"1", &by(NOW)).unwrap(),
        (1, false),
        "it says the same"
    );
    assert_eq!(store.add_configuration("a", b"2", &by(NOW)).unwrap(), (3, true));
    assert_eq!(store.add_configuration("a", b"1", &by(NOW)).unwrap(), (4, true), "and back");
    let numbers: Vec<u32> =
        store.configurations(3).unwrap().iter().map(|row| row.revision).collect();
    assert_eq!(numbers, [4, 3, 2]);
    let first = store.configuration(1).unwrap().unwrap();
    assert_eq!((first.name.as_str(), &first.body[..], first.made), ("a", &b"1"[..], NOW));
    assert_eq!(store.configuration(9).unwrap(), None);
}

#[test]
fn a_scope_has_one_revision_in_force_until_another_or_none_is_assigned() {
    let engine = engine();
    let store = &engine.control;
    for body in [b"1", b"2"] {
        store.add_configuration("a", body, &by(NOW)).unwrap();
    }
    let hafen = &by_name(store)["Hafen"];
    let subnet = store.subnets().unwrap()[0].id;
    let scopes = [
        AssignmentScope::Everywhere,
        AssignmentScope::Building(hafen.id),
        AssignmentScope::Subnet(subnet),
        AssignmentScope::Label(label("canary")),
        AssignmentScope::Agent(FIRST),
    ];
    for scope in &scopes {
        store.assign_configuration(scope, Some(1), &by(NOW)).unwrap();
        store.assign_configuration(scope, Some(2), &by(at(NOW, DAY))).unwrap();
    }
    let mut assigned = store.desired().unwrap().assignments;
    assigned.sort_by(|a, b| a.scope.cmp(&b.scope));
    let told: Vec<_> = assigned.iter().map(|row| (&row.scope, row.revision, row.from)).collect();
    let expected: Vec<_> = scopes.iter().map(|scope| (scope, 2, at(NOW, DAY))).collect();
    assert_eq!(told, expected);
    for scope in &scopes {
        store.assign_configuration(scope, None, &by(NOW)).unwrap();
        store.assign_configuration(scope, None, &by(NOW)).unwrap();
    }
    assert_eq!(store.desired().unwrap().assignments, []);
    let none = store.assign_configuration(&AssignmentScope::Everywhere, Some(3), &by(NOW));
    assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn what_an_agent_refused_is_known_until_it_is_assigned_again() {
    use ConfigurationState::{Committed, Refused, RolledBack, Trial};

    let engine = engine();
    let store = &engine.control;
    for body in [b"1", b"2"] {
        store.add_configuration("a", body, &by(NOW)).unwrap();
    }
    let second = AgentId::from_u128(2);
    let stranger = AgentId::from_u128(9);
    store
        .note_reports(&[
            report(FIRST, 1, 1, Committed, NOW),
            report(FIRST, 2, 2, Trial, NOW),
            report(FIRST, 1, 2, RolledBack, at(NOW, DAY)),
            report(second, 0, 1, Refused, NOW),
            report(stranger, 0, 1, Refused, NOW),
        ])
        .unwrap();
    let state = store.desired().unwrap();
    assert_eq!(refusals(store), [(FIRST, 2), (second, 1)]);
    assert_eq!(state.refusals[0].reason, "a reasonof two lines");
    let runs: Vec<_> = state.reports.iter().map(|row| (row.agent, row.report.revision)).collect();
    assert_eq!(runs, [(FIRST, 1), (second, 0)]);
    let told = &state.reports[0];
    assert_eq!((told.at, told.report.state), (at(NOW, DAY), RolledBack));
    assert_eq!(told.report.edition, u64::MAX - 1);
    assert!(!told.report.reason.contains('\n'));
    // What runs is there, assigned or not.
    let known: Vec<u32> = state.configurations.iter().map(|row| row.revision).collect();
    assert_eq!(known, [1]);
    store.assign_configuration(&AssignmentScope::Everywhere, Some(2), &by(NOW)).unwrap();
    assert_eq!(refusals(store), [(second, 1)]);
    // What it says again of the time before counts no more; what it refuses anew does.
    store.note_reports(&[report(FIRST, 1, 2, RolledBack, at(NOW, DAY))]).unwrap();
    assert_eq!(refusals(store), [(second, 1)]);
    let mut anew = report(FIRST, 1, 2, RolledBack, at(NOW, 2 * DAY));
    anew.report.told_edition = 77;
    store.note_reports(&[anew]).unwrap();
    assert_eq!(refusals(store), [(FIRST, 2), (second, 1)]);
    assert_eq!(store.desired().unwrap().refusals[0].times, 2);
}

#[test]
fn an_assignment_has_those_try_again_whom_it_is_about_and_nobody_else() {
    let engine = engine();
    let store = &engine.control;
    store.add_configuration("a", b"1", &by(NOW)).unwrap();
    let second = AgentId::from_u128(2);
    store.label_agent(second, &[label("canary")], &by(NOW)).unwrap();
    let refuse = |edition: u64| {
        let refused = [FIRST, second].map(|agent| {
            let mut row = report(agent, 0, 1, ConfigurationState::Refused, NOW);
            row.report.told_edition = edition;
            row
        });
        store.note_reports(&refused).unwrap();
        assert_eq!(refusals(store), [(FIRST, 1), (second, 1)]);
    };
    let hafen = by_name(store)["Hafen"].id;
    let scopes = [
        (AssignmentScope::Agent(FIRST), vec![(second, 1)]),
        (AssignmentScope::Label(label("canary")), vec![(FIRST, 1)]),
        (AssignmentScope::Label(label("others")), vec![(FIRST, 1), (second, 1)]),
        (AssignmentScope::Building(hafen), vec![]),
        (AssignmentScope::Everywhere, vec![]),
    ];
    for (edition, (scope, left)) in (1..).zip(scopes) {
        refuse(edition);
        store.assign_configuration(&scope, Some(1), &by(NOW)).unwrap();
        assert_eq!(refusals(store), left, "{scope:?}");
    }
}

#[test]
fn an_agents_clock_stays_known_until_it_is_compared_again() {
    let engine = engine();
    let store = &engine.control;
    let clock = |offset_us, close| ComparedClock { offset_us, close };
    let known = || -> Vec<_> {
        let reports = store.desired().unwrap().reports.into_iter();
        reports.map(|row| (row.agent, row.clock, row.report.paused)).collect()
    };
    store.note_clocks(&[(FIRST, clock(1, true))]).unwrap();
    assert_eq!(known(), [], "it never reported anything");
    let mut row = report(FIRST, 0, 0, ConfigurationState::Nothing, NOW);
    row.report.paused = true;
    store.note_reports(&[row.clone()]).unwrap();
    assert_eq!(known(), [(FIRST, None, true)]);
    store.note_clocks(&[(FIRST, clock(-20_000_000, false))]).unwrap();
    row.report.paused = false;
    store.note_reports(&[row.clone()]).unwrap();
    assert_eq!(known(), [(FIRST, Some(clock(-20_000_000, false)), false)]);
    row.clock = Some(clock(3, true));
    store.note_reports(&[row]).unwrap();
    assert_eq!(known(), [(FIRST, Some(clock(3, true)), false)]);
}

#[test]
fn refusals_of_one_agent_are_bounded() {
    let engine = engine();
    let store = &engine.control;
    let refused = |told| report(FIRST, 0, told, ConfigurationState::Refused, NOW);
    store.note_reports(&(1..=40).map(refused).collect::<Vec<_>>()).unwrap();
    let kept: Vec<u32> = refusals(store).into_iter().map(|(_, revision)| revision).collect();
    assert_eq!(kept, (25..=40).collect::<Vec<u32>>());
}

#[test]
fn labels_replace_labels_and_go_with_their_agent() {
    let engine = engine();
    let store = &engine.control;
    store.label_agent(FIRST, &[label("a"), label("b"), label("a")], &by(NOW)).unwrap();
    store.label_agent(FIRST, &[label("c"), label("b")], &by(NOW)).unwrap();
    assert_eq!(store.desired().unwrap().labels, [(FIRST, label("b")), (FIRST, label("c"))]);
    store.add_configuration("a", b"1", &by(NOW)).unwrap();
    store.assign_configuration(&AssignmentScope::Agent(FIRST), Some(1), &by(NOW)).unwrap();
    store.note_reports(&[report(FIRST, 1, 1, ConfigurationState::Refused, NOW)]).unwrap();
    store.remove_agent(FIRST, &by(NOW)).unwrap();
    let state = store.desired().unwrap();
    assert_eq!((state.labels, state.assignments, state.refusals), (vec![], vec![], vec![]));
    assert_eq!((state.reports, state.agents.len()), (vec![], 1));
    let gone = store.label_agent(FIRST, &[], &by(NOW)).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    for text in ["", "A", "a b", "ä", &"x".repeat(65)] {
        assert!(Label::new(text).is_err(), "{text:?}");
    }
    store.forget_agent(FIRST, &[], &Default::default(), &by(NOW)).unwrap();
}

#[test]
fn old_revisions_go_unless_somebody_has_them_or_they_are_the_newest_of_their_name() {
    let engine = engine();
    let store = &engine.control;
    for body in [b"1", b"2", b"3", b"4"] {
        store.add_configuration("a", body, &by(NOW)).unwrap();
    }
    store.assign_configuration(&AssignmentScope::Everywhere, Some(1), &by(NOW)).unwrap();
    store.note_reports(&[report(FIRST, 2, 2, ConfigurationState::Committed, NOW)]).unwrap();
    let retention = ControlRetention {
        audit_days: 900,
        sightings_days: 900,
        agents_days: 900,
        placements_days: 900,
        path_verdicts_days: 900,
        verdicts_days: 900,
        incidents_days: 900,
        deliveries_days: 900,
        inventory_days: 30,
    };
    store.prune(at(NOW, 29 * DAY), &retention).unwrap();
    assert_eq!(store.configurations(9).unwrap().len(), 4);
    store.prune(at(NOW, 31 * DAY), &retention).unwrap();
    let kept: Vec<u32> = store.configurations(9).unwrap().iter().map(|row| row.revision).collect();
    assert_eq!(kept, [4, 2, 1]);
    assert_eq!(
        store.add_configuration("b", b"1", &by(NOW)).unwrap(),
        (5, true),
        "none comes again"
    );
}

#[test]
fn what_people_do_to_configurations_is_audited() {
    let engine = engine();
    let store = &engine.control;
    store.add_configuration("a", b"1", &by(NOW)).unwrap();
    store.assign_configuration(&AssignmentScope::Everywhere, Some(1), &by(NOW)).unwrap();
    store.assign_configuration(&AssignmentScope::Everywhere, None, &by(NOW)).unwrap();
    store.label_agent(FIRST, &[label("a")], &by(NOW)).unwrap();
    let told: Vec<_> = store
        .audit(NOW, at(NOW, DAY), 4)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.action, entry.subject.to_string(), entry.detail))
        .collect();
    let text = str::to_owned;
    assert_eq!(
        told,
        [
            (AuditAction::AgentLabelled, format!("agent {FIRST}"), text("labels=a")),
            (
                AuditAction::ConfigurationAssigned,
                text("store"),
                text("scope=everywhere revision=0")
            ),
            (
                AuditAction::ConfigurationAssigned,
                text("configuration 1"),
                text("scope=everywhere revision=1")
            ),
            (AuditAction::ConfigurationMade, text("configuration 1"), text("name=a bytes=1")),
        ]
    );
}
