//! What agents are told to measure, on their streams.

use std::time::Duration;

use busyhour_fleet::desired::{Desired, DesiredBudget, DesiredTarget, TargetWords};
use busyhour_fleet::plan::Presence;
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Up;
use busyhour_proto::v1::collector_message::Message as Down;
use busyhour_store::{
    Act, AssignmentScope, ComparedClock, ConfigurationState, Configurations as _,
};

use crate::support::{Agent, Collector, PATIENCE, agent, now};

/// A configuration with one target.
fn desired() -> Vec<u8> {
    let words = TargetWords { name: "a:1".to_owned(), ..TargetWords::default() };
    let target = DesiredTarget::new(&words).unwrap();
    Desired::new(vec![target], DesiredBudget::new(None, None).unwrap()).unwrap().encode()
}

/// Plans again and again until it is as it should be.
async fn planned(collector: &Collector, what: &str, holds: impl Fn(&Collector) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        collector.planner.round().unwrap();
        if holds(collector) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What an agent says first that was told nothing so far.
fn nothing() -> Up {
    let state = v1::ConfigurationState::Nothing.into();
    Up::Configuration(v1::ConfigurationReport { state, ..v1::ConfigurationReport::default() })
}

async fn hear(session: &mut Agent) -> v1::Configuration {
    match session.hear().await.unwrap() {
        Down::Configuration(told) => told,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_agent_is_told_its_configuration_when_its_session_begins_and_when_it_changes() {
    let collector = Collector::start().await;
    let (store, by) = (collector.control.clone(), Act::by_operator(now()));
    let told = |collector: &Collector| {
        let told = collector.planner.watch().borrow().clone();
        told.configurations.get(&agent(1)).map(|told| told.revision)
    };
    store.add_configuration("branches", &desired(), &by).unwrap();
    let (mut session, _) = collector.session(0, 0).await;
    session.say(nothing()).await;
    store.assign_configuration(&AssignmentScope::Everywhere, Some(1), &by).unwrap();
    planned(&collector, "a plan", |collector| told(collector) == Some(1)).await;
    let first = hear(&mut session).await;
    // It is in no building, so no budget of one could hold.
    assert_eq!((first.revision, &first.targets[..]), (1, &[][..]));

    session
        .say(Up::Configuration(v1::ConfigurationReport {
            revision: first.revision,
            edition: first.edition,
            told_revision: first.revision,
            told_edition: first.edition,
            state: v1::ConfigurationState::Committed.into(),
            reason: "so\u{1b}".to_owned(),
            good_edition: first.edition,
            paused: true,
        }))
        .await;
    let state = || store.desired().unwrap().reports[0].report.state;
    planned(&collector, "the report", |_| state() != ConfigurationState::Nothing).await;
    let kept = store.desired().unwrap().reports.remove(0);
    assert_eq!((kept.agent, kept.report.state), (agent(1), ConfigurationState::Committed));
    assert_eq!((kept.report.edition, kept.report.reason.as_str()), (first.edition, "so"));
    assert_eq!((kept.report.good_edition, kept.report.paused), (first.edition, true));

    let (mut next, _) = collector.session(0, 0).await;
    assert_eq!(hear(&mut next).await, first, "a session begins with what there is to tell");
    store.assign_configuration(&AssignmentScope::Everywhere, None, &by).unwrap();
    planned(&collector, "another plan", |collector| told(collector) == Some(0)).await;
    assert_eq!(hear(&mut next).await.revision, 0);
    collector.stop().await;
}

#[tokio::test]
async fn what_an_agent_says_in_words_of_a_later_version_is_passed_over() {
    let collector = Collector::start().await;
    let (session, _) = collector.session(0, 0).await;
    let later = v1::ConfigurationReport { state: 99, ..v1::ConfigurationReport::default() };
    session.say(Up::Configuration(later)).await;
    let report = v1::ConfigurationReport {
        revision: 1,
        state: v1::ConfigurationState::Trial.into(),
        ..v1::ConfigurationReport::default()
    };
    session.say(Up::Configuration(report)).await;
    let store = collector.control.clone();
    planned(&collector, "the report", |_| !store.desired().unwrap().reports.is_empty()).await;
    assert_eq!(store.desired().unwrap().reports[0].report.state, ConfigurationState::Trial);
    collector.stop().await;
}

#[tokio::test]
async fn one_agents_flood_of_reports_costs_others_nothing() {
    let collector = Collector::start().await;
    let (store, by) = (collector.control.clone(), Act::by_operator(now()));
    store.add_configuration("branches", &desired(), &by).unwrap();
    collector.let_in(2);
    let (mut other, _) = collector.session_of(2, 0, 0).await;
    let (flooding, _) = collector.session(0, 0).await;
    for edition in 0..20_000 {
        let report = v1::ConfigurationReport {
            edition,
            state: v1::ConfigurationState::Trial.into(),
            ..v1::ConfigurationReport::default()
        };
        flooding.say(Up::Configuration(report)).await;
    }
    other.say(nothing()).await;
    let from = |number: u128| {
        let reports = store.desired().unwrap().reports.into_iter();
        reports.map(|row| (row.agent, row.report)).find(|(of, _)| *of == agent(number))
    };
    planned(&collector, "the other's report", |_| from(2).is_some()).await;
    // Of what the one says the newest is known in the end.
    planned(&collector, "the newest", |_| from(1).is_some_and(|(_, it)| it.edition == 19_999))
        .await;
    store.assign_configuration(&AssignmentScope::Everywhere, Some(1), &by).unwrap();
    collector.planner.round().unwrap();
    assert_eq!(hear(&mut other).await.revision, 1);
    collector.stop().await;
}

#[tokio::test]
async fn what_an_agents_clock_shows_is_known_with_what_it_runs() {
    let collector = Collector::start().await;
    let (mut session, _) = collector.session(0, 0).await;
    session.say(nothing()).await;
    let clock = |offset_us| {
        Up::Clock(v1::ClockRequest {
            offset_us: Some(offset_us),
            round_trip_us: Some(1_000),
            ..v1::ClockRequest::default()
        })
    };
    let store = collector.control.clone();
    let known = || store.desired().unwrap().reports.first().and_then(|row| row.clock);
    for (offset_us, close) in [(20_000_000, false), (-500_000, true), (-1_100_000, false)] {
        session.say(clock(offset_us)).await;
        session.hear().await.unwrap();
        let expected = Some(ComparedClock { offset_us, close });
        planned(&collector, "the clock", |_| known() == expected).await;
    }
    collector.stop().await;
}

#[tokio::test]
async fn whom_the_collector_answers_is_there_whatever_is_noted_of_it() {
    let collector = Collector::start().await;
    let presence = |collector: &Collector| {
        let mut state = collector.control.desired().unwrap();
        state.agents.iter_mut().for_each(|agent| agent.sighting = None);
        collector.planner.plan(&state).agents[&agent(1)].presence
    };
    assert_eq!(presence(&collector), Presence::Gone);
    let (mut session, _) = collector.session(0, 0).await;
    session.say(Up::Clock(v1::ClockRequest::default())).await;
    session.hear().await.unwrap();
    assert_eq!(presence(&collector), Presence::Nowhere, "it is let in to no building");
    collector.stop().await;
}
