//! The control contract: each kind of data goes after its own time, and nothing else.

use busyhour_model::{
    AgentId, DaySummary, Incident, IncidentPlace, IncidentState, LinkKind, PathId, Scope, SubnetId,
};
use busyhour_store::{
    Act, AuditAction, AuditSubject, Binding, Control, ControlPruned, ControlRetention,
    DeliveryOutcome, DeliveryTotals, IncidentEvent, JudgeWrite, Outbox as _, Sighting,
};
use jiff::civil::{Date, date};

use crate::control::{add, agent, enrolled, import, sighting};
use crate::fixtures::{AGENT, DAY, Engine, NOW, at, building};
use crate::incidents::{due, incident, judge, news, placed};
use crate::learned::{load, month, week};
use crate::verdicts::{HOME, day};

pub(crate) const KEPT: ControlRetention = ControlRetention {
    audit_days: 400,
    sightings_days: 30,
    agents_days: 40,
    placements_days: 100,
    path_verdicts_days: 50,
    verdicts_days: 200,
    incidents_days: 150,
    deliveries_days: 20,
    inventory_days: 300,
};

/// Prunes one microsecond before `days` are over, when nothing goes, and then at once after it.
#[track_caller]
fn check_goes(store: &dyn Control, days: u32, expected: ControlPruned) {
    let over = at(NOW, i64::from(days) * DAY);
    assert_eq!(store.prune(over, &KEPT).unwrap(), ControlPruned::default());
    assert_eq!(store.prune(at(over, 1), &KEPT).unwrap(), expected);
    assert_eq!(store.prune(at(over, 1), &KEPT).unwrap(), ControlPruned::default());
    assert!(expected.total() > 0);
}

#[test]
fn entries_of_the_audit_go_and_with_them_who_imported() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    let later = Act::by_collector(at(NOW, DAY));
    store.note(&later, AuditAction::JudgedAgain, AuditSubject::Store, "").unwrap();
    check_goes(store, KEPT.audit_days, ControlPruned { audit: 2, ..ControlPruned::default() });
    let left = store.audit(NOW, at(NOW, 9 * DAY), 9).unwrap();
    assert_eq!(left.iter().map(|entry| &entry.by).collect::<Vec<_>>(), [&later]);
    let version = store.building_files(1).unwrap().remove(0);
    assert_eq!((version.number, version.actor), (1, None));
}

#[test]
fn addresses_of_agents_go_and_the_agents_stay() {
    let engine = Engine::new();
    let store = &engine.control;
    for (id, moment) in [(1, NOW), (2, at(NOW, DAY))] {
        add(store, &agent(id, &format!("a{id}"), Binding::Address)).unwrap();
        let seen = sighting(moment, "10.1.0.7/24", "192.0.2.1");
        store.saw_agent(AgentId::from_u128(id), &seen).unwrap();
    }
    check_goes(
        store,
        KEPT.sightings_days,
        ControlPruned { sightings: 1, ..ControlPruned::default() },
    );
    let agents = store.agents().unwrap();
    let bare = Sighting { local_prefix: None, peer: None, ..sighting(NOW, "", "") };
    assert_eq!(agents[0].sighting, Some(bare));
    assert_eq!(agents[1].sighting, Some(sighting(at(NOW, DAY), "10.1.0.7/24", "192.0.2.1")));
    assert_eq!(store.missing_prefixes().unwrap().len(), 1);
}

#[test]
fn agents_go_a_while_after_they_were_removed_and_places_after_they_ended() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24", "10.2.0.0/24"])], at(NOW, -DAY));
    for id in 1..=2 {
        let bound = enrolled("10.1.0.0/24", None);
        let added = busyhour_store::NewAgent {
            added: at(NOW, -DAY),
            ..agent(id, &format!("a{id}"), bound)
        };
        add(store, &added).unwrap();
        let unseen = Sighting { local_prefix: None, peer: None, ..sighting(NOW, "", "") };
        store.saw_agent(AgentId::from_u128(id), &unseen).unwrap();
    }
    store.remove_agent(AgentId::from_u128(1), &Act::by_operator(NOW)).unwrap();
    let elsewhere = enrolled("10.2.0.0/24", None);
    store.bind_agent(AgentId::from_u128(2), elsewhere, &Act::by_operator(NOW)).unwrap();
    let seen = |store: &dyn Control| {
        let agents = store.agents().unwrap();
        agents.into_iter().map(|agent| (agent.name, agent.sighting.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(seen(store), [("a1".to_owned(), true), ("a2".to_owned(), true)]);
    check_goes(store, KEPT.agents_days, ControlPruned { agents: 1, ..ControlPruned::default() });
    let id = AgentId::from_u128(1).to_string();
    assert_eq!(seen(store), [(id, false), ("a2".to_owned(), true)], "it has no name any more");
    // An agent, and of both of them the place and the binding that ended.
    check_goes(
        store,
        KEPT.placements_days,
        ControlPruned { placements: 5, ..ControlPruned::default() },
    );
    let agents = store.agents().unwrap();
    assert_eq!((agents.len(), agents[0].binding), (1, elsewhere));
    assert_eq!(store.placements().unwrap(), [agents[0].placement.unwrap()]);
    assert_eq!(store.bindings(AgentId::from_u128(2)).unwrap().len(), 1);
}

#[test]
fn verdicts_of_paths_go_before_those_of_buildings() {
    let engine = Engine::new();
    let store = &engine.control;
    let scopes = [
        Scope::Path(PathId(1)),
        Scope::Agent(AGENT, LinkKind::Wifi),
        Scope::Subnet(SubnetId::from_u128(4), LinkKind::Wifi),
        Scope::Building(HOME),
    ];
    let dates = [date(2026, 9, 20), date(2026, 9, 21), date(2026, 9, 22)];
    let days: Vec<_> =
        dates.iter().flat_map(|&date| scopes.iter().map(move |&scope| day(scope, date))).collect();
    let write = JudgeWrite { days, ..JudgeWrite::default() };
    store.write_judgement(&write, NOW).unwrap();
    let left = |pruned: &ControlPruned, from: Date| -> Vec<(Date, Scope)> {
        assert_eq!(pruned.total(), pruned.verdicts + pruned.path_verdicts);
        let days = store.days(None, from, dates[2]).unwrap();
        days.iter().map(|day: &DaySummary| (day.date, day.scope)).collect()
    };
    // NOW is within the 21st: so many days later that date is the first that stays.
    let prune = |days: u32| store.prune(at(NOW, i64::from(days) * DAY), &KEPT).unwrap();
    let pruned = prune(KEPT.path_verdicts_days);
    assert_eq!((pruned.path_verdicts, pruned.verdicts), (2, 0));
    assert_eq!(left(&pruned, dates[0]).len(), 10);
    let pruned = prune(KEPT.path_verdicts_days + 1);
    assert_eq!((pruned.path_verdicts, pruned.verdicts), (2, 0));
    let pruned = prune(KEPT.verdicts_days);
    assert_eq!((pruned.path_verdicts, pruned.verdicts), (2, 2));
    let expected: Vec<_> = [dates[1], dates[2]]
        .into_iter()
        .flat_map(|date| [(date, scopes[2]), (date, scopes[3])])
        .collect();
    assert_eq!(left(&pruned, dates[0]), expected);
}

#[test]
fn an_agent_that_loses_its_name_loses_it_in_incidents_too() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    add(store, &agent(1, "hh-keller-pc", Binding::Address)).unwrap();
    let about = Incident {
        place: IncidentPlace::Agent(id),
        sentence: "Hafen, machine hh-keller-pc: calls break.".to_owned(),
        paragraph: "in agent \"hh-keller-pc\"".to_owned(),
        ..incident(1, IncidentState::Open)
    };
    judge(store, &about, &[IncidentEvent::Opened], NOW);
    store.remove_agent(id, &Act::by_operator(NOW)).unwrap();
    check_goes(store, KEPT.agents_days, ControlPruned { agents: 1, ..ControlPruned::default() });
    let left = store.incidents(true).unwrap().remove(0);
    assert_eq!(left.sentence, format!("Hafen, machine {id}: calls break."));
    assert_eq!(left.paragraph, format!("in agent \"{id}\""));
    let due = placed(store, &["mail"], NOW).remove(0);
    assert_eq!(news(&due).agent, Some(id.to_string()));
}

#[test]
fn loads_of_buildings_go_with_verdicts_and_months_after_two_years() {
    let engine = Engine::new();
    let store = &engine.control;
    let dates = [date(2026, 9, 20), date(2026, 9, 21)];
    let loads = dates.map(|date| load(HOME, date, 9)).to_vec();
    let months = [date(2026, 8, 1), date(2026, 9, 1)].map(|first| month(1, first)).to_vec();
    store.write_judgement(&JudgeWrite { loads, months, ..JudgeWrite::default() }, NOW).unwrap();
    // NOW is within the 21st.
    let prune = |days: u32| {
        let pruned = store.prune(at(NOW, i64::from(days) * DAY), &KEPT).unwrap();
        assert_eq!(pruned.total(), pruned.loads + pruned.months);
        (pruned.loads, pruned.months)
    };
    assert_eq!(prune(KEPT.verdicts_days - 1), (0, 0));
    assert_eq!(prune(KEPT.verdicts_days), (1, 0));
    assert_eq!(store.building_loads(None, dates[0], dates[1]).unwrap(), [load(HOME, dates[1], 9)]);
    assert_eq!(prune(KEPT.verdicts_days + 1), (1, 0));
    let of_august = 25 * 31 - 51;
    assert_eq!(prune(of_august), (0, 0));
    assert_eq!(prune(of_august + 1), (0, 1));
    assert_eq!(store.months().unwrap(), [month(1, date(2026, 9, 1))]);
}

#[test]
fn working_weeks_go_with_their_building() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"]), building("B", &["10.2.0.0/24"])], NOW);
    let ids: Vec<_> = store.buildings().unwrap().iter().map(|building| building.id).collect();
    let weeks: Vec<_> = ids.iter().map(|&id| week(id, date(2026, 9, 14))).collect();
    store.write_judgement(&JudgeWrite { weeks, ..JudgeWrite::default() }, NOW).unwrap();
    import(store, &[building("B", &["10.2.0.0/24"])], at(NOW, DAY));
    let over = at(NOW, (1 + i64::from(KEPT.inventory_days)) * DAY);
    assert_eq!(store.prune(over, &KEPT).unwrap(), ControlPruned::default());
    assert_eq!(store.working_weeks().unwrap().len(), 2);
    assert!(store.prune(at(over, 1), &KEPT).unwrap().inventory > 0);
    assert_eq!(store.working_weeks().unwrap(), [week(ids[1], date(2026, 9, 14))]);
}

#[test]
fn closed_incidents_go_with_what_was_told_of_them() {
    let engine = Engine::new();
    let store = &engine.control;
    let closed =
        |id, moment| Incident { closed: Some(moment), ..incident(id, IncidentState::Closed) };
    let open = incident(3, IncidentState::Open);
    judge(store, &closed(1, NOW), &[IncidentEvent::Opened, IncidentEvent::Closed], NOW);
    judge(store, &closed(2, at(NOW, 60 * DAY)), &[IncidentEvent::Closed], NOW);
    judge(store, &open, &[IncidentEvent::Opened], NOW);
    // One message waits on a channel, the others for one; neither keeps what they are about.
    let waiting = due(store, &["pager"], NOW);
    assert_eq!(waiting.len(), 4);
    judge(store, &open, &[IncidentEvent::Closed], NOW);
    check_goes(
        store,
        KEPT.incidents_days,
        ControlPruned { incidents: 1, ..ControlPruned::default() },
    );
    let left: Vec<_> = store.incidents(true).unwrap().into_iter().map(|i| i.id.as_u128()).collect();
    assert_eq!(left, [3, 2]);
    let left: Vec<_> = due(store, &["pager"], NOW).into_iter().map(|(id, _)| id).collect();
    assert_eq!(left.len(), 3);
    assert_eq!(left[..2], [waiting[2].0, waiting[3].0]);
    assert_eq!(store.delivery_totals().unwrap().pending, 3);
}

#[test]
fn messages_go_after_they_were_sent_and_are_not_sent_again() {
    let engine = Engine::new();
    let store = &engine.control;
    let (opened, open) = ([IncidentEvent::Opened], incident(1, IncidentState::Open));
    judge(store, &open, &opened, NOW);
    let waiting = due(store, &["mail", "hook", "pager"], NOW);
    // Another that is still open: its end is to be told where its begin was.
    let other = incident(2, IncidentState::Open);
    judge(store, &other, &opened, NOW);
    let standing = due(store, &["hook"], NOW);
    store.delivered(&[standing[3].0], &DeliveryOutcome::Sent, NOW).unwrap();
    let closed = Incident { closed: Some(at(NOW, 60 * DAY)), ..incident(1, IncidentState::Closed) };
    judge(store, &closed, &[], NOW);
    let withheld = DeliveryOutcome::Withheld { reason: "given up".to_owned() };
    store.delivered(&[waiting[0].0], &DeliveryOutcome::Sent, NOW).unwrap();
    store.delivered(&[waiting[1].0], &withheld, NOW).unwrap();
    check_goes(
        store,
        KEPT.deliveries_days,
        ControlPruned { deliveries: 2, ..ControlPruned::default() },
    );
    judge(store, &open, &opened, at(NOW, DAY));
    let again = due(store, &["mail", "hook", "pager"], at(NOW, 90 * DAY));
    assert_eq!(again, waiting[2..], "only what nobody took");
    assert_eq!(store.standing_deliveries("hook", 9).unwrap().len(), 1);
    let ever = DeliveryTotals { pending: 1, sent: 2, withheld: 1 };
    assert_eq!(store.delivery_totals().unwrap(), ever);
}

#[test]
fn what_a_building_file_once_said_goes_and_what_it_says_stays() {
    let engine = Engine::new();
    let store = &engine.control;
    import(
        store,
        &[building("A", &["10.1.0.0/24"]), building("B", &["10.2.0.0/24"])],
        at(NOW, -DAY),
    );
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    let now = store.inventory_at(NOW).unwrap();
    check_goes(
        store,
        KEPT.inventory_days,
        ControlPruned { inventory: 3, ..ControlPruned::default() },
    );
    assert_eq!(store.inventory_at(NOW).unwrap(), now);
    assert_eq!(store.building_files(9).unwrap().len(), 1);
    assert_eq!(import(store, &[building("A", &["10.9.0.0/24"])], at(NOW, DAY)).version, 3);
}
