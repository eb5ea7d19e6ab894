//! The contract of what people do: acts on incidents, owners, quiet times.

use busyhour_model::desk::{
    Deed, IncidentAct, Owner, OwnerRow, Places, Quiet, QuietKind, QuietScope, Remark, ShortRemark,
};
use busyhour_model::{
    AgentId, BuildingId, Cause, Incident, IncidentId, IncidentState, PathId, UtcMicros,
};
use busyhour_store::{
    Act, Actor, AuditAction, AuditSubject, Control as _, ControlRetention, Desk as _, DeskRefusal,
    Forgotten, NewQuiet, SqliteControl, TaskWord, Worsened,
};

use crate::control::{add, agent, by_name, enrolled, import, subnet_ids};
use crate::fixtures::{DAY, Engine, HOUR, NOW, at, building};
use crate::incidents::{incident, judge, member};

fn by(name: &str, hours: i64) -> Act {
    Act { at: at(NOW, hours * HOUR), actor: Actor::new(name).unwrap() }
}

fn remark(text: &str) -> Remark {
    Remark::new(text).unwrap()
}

fn short(text: &str) -> ShortRemark {
    ShortRemark::new(text).unwrap()
}

fn id(number: u64) -> IncidentId {
    IncidentId::from_u128(number.into())
}

fn seen() -> Deed {
    Deed::Acknowledge(remark("the provider has a ticket"))
}

fn own(name: &str) -> Deed {
    Deed::Own(Owner { name: short(name), contact: Some(short("wifi@example.com")) })
}

fn merge(into: u64) -> Deed {
    Deed::Merge { into: id(into), into_number: 0, reason: remark("the same line") }
}

fn quiet(kind: QuietKind, scopes: Vec<QuietScope>, hours: (i64, i64)) -> NewQuiet {
    let (from, until) = (at(NOW, hours.0 * HOUR), at(NOW, hours.1 * HOUR));
    NewQuiet { kind, scopes, from, until, reason: remark("hh-1 gets a new switch") }
}

fn everywhere(kind: QuietKind, hours: (i64, i64)) -> NewQuiet {
    quiet(kind, vec![QuietScope::Everything], hours)
}

/// A store with open incidents of these numbers.
fn with_open(numbers: &[u64]) -> Engine {
    let engine = Engine::new();
    for &number in numbers {
        judge(&engine.control, &incident(number, IncidentState::Open), &[], NOW);
    }
    engine
}

/// What was done with an incident, in words.
fn done(store: &SqliteControl, number: u64) -> Vec<&'static str> {
    store.acts(id(number)).unwrap().iter().map(|act| act.deed.as_str()).collect()
}

fn refused(store: &SqliteControl, number: u64, deed: &Deed) -> DeskRefusal {
    store.act(id(number), deed, &by("eva", 1)).unwrap().unwrap_err()
}

/// What was audited of what people do, oldest first.
fn audited(store: &SqliteControl) -> Vec<(AuditAction, AuditSubject, String)> {
    let entries = store.audit(NOW, at(NOW, 99 * DAY), 99).unwrap();
    let told = entries.into_iter().rev().map(|entry| (entry.action, entry.subject, entry.detail));
    told.filter(|(action, ..)| *action != AuditAction::Imported).collect()
}

/// What a golden database holds.
pub(crate) fn fill(store: &SqliteControl) {
    let all = [Deed::Note(remark("what I heard")), seen(), own("Wi-Fi team"), merge(2)];
    for deed in all {
        store.act(id(1), &deed, &by("eva", 720)).unwrap().unwrap();
    }
    let owner = Owner { name: short("NOC"), contact: None };
    store.set_owner((Some(Cause::Wifi), None), &owner, &by("eva", 720)).unwrap().unwrap();
    let new = quiet(QuietKind::Maintenance, vec![QuietScope::Everything], (721, 725));
    store.add_quiet(&new, &by("eva", 720)).unwrap().unwrap();
}

/// Reads back what [`fill`] put in.
pub(crate) fn check(store: &SqliteControl) {
    assert_eq!(done(store, 1), ["note", "acknowledge", "own", "merge"]);
    assert_eq!(store.owners().unwrap()[0].owner.name, short("NOC"));
    let quiets = store.quiets(NOW).unwrap();
    assert_eq!((quiets[0].number, &quiets[0].scopes[..]), (1, &[QuietScope::Everything][..]));
}

#[test]
fn acts_are_read_back_in_order_and_each_is_in_the_audit_without_its_words() {
    let engine = with_open(&[1, 2]);
    let store = &engine.control;
    let deeds = [
        Deed::Note(remark("Müller: \"it is the lift\"")),
        seen(),
        own("Wi-Fi team"),
        merge(2),
        Deed::Unacknowledge,
        Deed::Disown,
        Deed::Split,
    ];
    let acted = (1..).zip(&deeds).map(|(hour, deed)| {
        let act = store.act(id(1), deed, &by("eva", hour)).unwrap().unwrap();
        assert_eq!((act.openings, act.by.as_str(), act.at), (1, "eva", at(NOW, hour * HOUR)));
        act
    });
    let acted: Vec<IncidentAct> = acted.collect();
    let Deed::Merge { into, into_number, .. } = &acted[3].deed else { panic!("{acted:?}") };
    assert_eq!((*into, *into_number), (id(2), 2), "the store knows the number");
    let engine = engine.reopen();
    assert_eq!(engine.control.acts(id(1)).unwrap(), acted);
    assert_eq!(done(&engine.control, 2), Vec::<&str>::new());
    let audit = audited(&engine.control);
    let actions: Vec<_> = audit.iter().map(|entry| entry.0.as_str()).collect();
    let expected = [
        "note-incident",
        "acknowledge-incident",
        "own-incident",
        "merge-incident",
        "unacknowledge-incident",
        "disown-incident",
        "split-incident",
    ];
    assert_eq!(actions, expected);
    assert!(audit.iter().all(|(_, subject, _)| *subject == AuditSubject::Incident(1)));
    assert_eq!(audit[3].2, "act=4 into=2");
    assert!(audit.iter().all(|(.., detail)| !detail.contains("lift")), "{audit:?}");
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let engine = with_open(&[1, 2, 3]);
    let store = &engine.control;
    for (number, state) in [(4, IncidentState::Closed), (5, IncidentState::Suspected)] {
        judge(store, &incident(number, state), &[], NOW);
        assert_eq!(refused(store, number, &seen()), DeskRefusal::NotOpen);
    }
    assert_eq!(refused(store, 9, &Deed::Note(remark("hello"))), DeskRefusal::NoIncident);
    assert_eq!(refused(store, 1, &Deed::Unacknowledge), DeskRefusal::NotAcknowledged);
    assert_eq!(refused(store, 1, &Deed::Disown), DeskRefusal::NotOwned);
    assert_eq!(refused(store, 1, &Deed::Split), DeskRefusal::NotMerged);
    assert_eq!(refused(store, 1, &merge(1)), DeskRefusal::IntoItself);
    assert_eq!(refused(store, 1, &merge(9)), DeskRefusal::IntoNone);
    assert_eq!(refused(store, 1, &merge(4)), DeskRefusal::MergeClosed);
    assert_eq!(refused(store, 4, &merge(1)), DeskRefusal::MergeClosed);
    assert_eq!(audited(store), []);
    store.act(id(1), &merge(2), &by("eva", 1)).unwrap().unwrap();
    store.act(id(2), &merge(3), &by("eva", 1)).unwrap().unwrap();
    assert_eq!(refused(store, 1, &merge(3)), DeskRefusal::Merged);
    assert_eq!(refused(store, 3, &merge(1)), DeskRefusal::IntoPart, "it would be part of itself");
    assert_eq!(refused(store, 3, &merge(2)), DeskRefusal::IntoPart);
    assert_eq!(store.overlay(NOW).unwrap().merged(id(1)), Some(id(3)));
    store.act(id(1), &Deed::Split, &by("eva", 2)).unwrap().unwrap();
    store.act(id(3), &merge(1), &by("eva", 2)).unwrap().unwrap();
    assert_eq!(store.overlay(NOW).unwrap().merged(id(2)), Some(id(1)));
}

#[test]
fn an_acknowledgement_of_an_earlier_opening_cannot_be_taken_back() {
    let engine = with_open(&[1]);
    let store = &engine.control;
    store.act(id(1), &seen(), &by("eva", 1)).unwrap().unwrap();
    let stands = |incident: &Incident| {
        store.overlay(NOW).unwrap().standing(incident, NOW).acknowledged.is_some()
    };
    assert!(stands(&incident(1, IncidentState::Open)));
    let again = Incident { openings: 2, ..incident(1, IncidentState::Open) };
    judge(store, &again, &[], NOW);
    assert!(!stands(&again));
    assert_eq!(refused(store, 1, &Deed::Unacknowledge), DeskRefusal::NotAcknowledged);
}

#[test]
fn one_incident_takes_a_thousand_acts() {
    let engine = with_open(&[1, 2]);
    let store = &engine.control;
    let note = Deed::Note(remark("again"));
    let firsts = [seen(), own("Wi-Fi team"), merge(2)];
    for deed in firsts.iter().chain(std::iter::repeat_n(&note, 997)) {
        store.act(id(1), deed, &by("eva", 1)).unwrap().unwrap();
    }
    let most = DeskRefusal::TooMany { what: "acts on this incident", most: 1_000 };
    assert_eq!(refused(store, 1, &note), most);
    assert_eq!(refused(store, 1, &merge(2)), most);
    assert!(store.act(id(2), &note, &by("eva", 1)).unwrap().is_ok());
    for back in [Deed::Unacknowledge, Deed::Disown, Deed::Split] {
        assert!(store.act(id(1), &back, &by("eva", 1)).unwrap().is_ok(), "what stands can end");
    }
    assert_eq!(refused(store, 1, &Deed::Split), DeskRefusal::NotMerged);
}

#[test]
fn merges_in_a_row_are_counted_on_both_sides() {
    let numbers: Vec<u64> = (1..=40).collect();
    let engine = with_open(&numbers);
    let store = &engine.control;
    let chain = |from: u64, until: u64| {
        for number in from..until {
            store.act(id(number), &merge(number + 1), &by("eva", 1)).unwrap().unwrap();
        }
    };
    chain(1, 20);
    chain(21, 34);
    let refusal = refused(store, 20, &merge(21));
    assert!(matches!(refusal, DeskRefusal::TooMany { most: 32, .. }), "{refusal:?}");
    store.act(id(33), &Deed::Split, &by("eva", 1)).unwrap().unwrap();
    store.act(id(20), &merge(21), &by("eva", 1)).unwrap().unwrap();
    assert_eq!(store.overlay(NOW).unwrap().merged(id(1)), Some(id(33)), "all of it is followed");
}

#[test]
fn a_cause_and_a_region_have_one_owner() {
    let engine = with_open(&[1]);
    let store = &engine.control;
    let owner = |name: &str| Owner { name: short(name), contact: Some(short("+49 40 1")) };
    let emea = short("EMEA");
    let keys = [
        (None, None),
        (None, Some(&emea)),
        (Some(Cause::Wifi), None),
        (Some(Cause::Wifi), Some(&emea)),
    ];
    for key in keys {
        store.set_owner(key, &owner("first"), &by("eva", 1)).unwrap().unwrap();
        store.set_owner(key, &owner("second"), &by("max", 2)).unwrap().unwrap();
    }
    let rows = store.owners().unwrap();
    let expected = keys.map(|(cause, region)| OwnerRow {
        cause,
        region: region.cloned(),
        owner: owner("second"),
        at: at(NOW, 2 * HOUR),
        by: "max".to_owned(),
    });
    assert_eq!(rows, expected);
    assert!(store.remove_owner(keys[2], &by("eva", 3)).unwrap());
    assert!(!store.remove_owner(keys[2], &by("eva", 3)).unwrap());
    assert_eq!(store.owners().unwrap().len(), 3);
    let audit = audited(store);
    assert_eq!(audit.len(), 9);
    assert_eq!(audit[7].2, "cause=wifi region=\"EMEA\"");
    assert_eq!((audit[8].0, audit[8].2.as_str()), (AuditAction::OwnerRemoved, "cause=wifi"));
}

#[test]
fn quiet_times_are_read_back_until_they_are_over_and_end_by_hand() {
    let engine = with_open(&[1]);
    import(&engine.control, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    let home = by_name(&engine.control)["Hafen"].id;
    let subnet = subnet_ids(&engine.control)["10.1.0.0/24"];
    let scopes = vec![
        QuietScope::Everything,
        QuietScope::Region(short("EMEA")),
        QuietScope::Building(home),
        QuietScope::Subnet(subnet),
    ];
    let of_one = vec![QuietScope::Incident(id(1)), QuietScope::Cause(Cause::Wifi)];
    let silenced = [scopes.clone(), of_one].concat();
    let plan = quiet(QuietKind::Maintenance, scopes, (5, 9));
    let made = [quiet(QuietKind::Silence, silenced, (-3, 4)), plan]
        .map(|new| engine.control.add_quiet(&new, &by("eva", 1)).unwrap().unwrap());
    assert_eq!(made[0].from, at(NOW, HOUR), "what is over begins now");
    let engine = engine.reopen();
    let store = &engine.control;
    assert_eq!(store.quiets(NOW).unwrap(), made);
    assert_eq!(store.quiets(at(NOW, 5 * HOUR)).unwrap(), &made[1..]);
    assert_eq!(store.end_quiet(1, &by("max", 4)).unwrap(), Err(DeskRefusal::QuietOver));
    assert_eq!(store.end_quiet(7, &by("max", 4)).unwrap(), Err(DeskRefusal::NoQuiet));
    let ended = store.end_quiet(2, &by("max", 6)).unwrap().unwrap();
    let expected = Quiet { ended: Some((at(NOW, 6 * HOUR), "max".to_owned())), ..made[1].clone() };
    assert_eq!(ended, expected);
    assert_eq!(store.end_quiet(2, &by("max", 6)).unwrap(), Err(DeskRefusal::QuietOver));
    assert_eq!(store.quiets(at(NOW, 6 * HOUR)).unwrap(), [expected]);
    assert_eq!(store.quiets(at(NOW, 7 * HOUR)).unwrap(), []);
    let actions: Vec<_> = audited(store).iter().map(|entry| entry.0).collect();
    let expected =
        [AuditAction::Silenced, AuditAction::MaintenancePlanned, AuditAction::MaintenanceEnded];
    assert_eq!(actions, expected);
}

#[test]
fn what_was_called_off_before_it_began_is_over() {
    let engine = with_open(&[1]);
    let store = &engine.control;
    let plan = everywhere(QuietKind::Maintenance, (5, 9));
    store.add_quiet(&plan, &by("eva", 1)).unwrap().unwrap();
    let ended = store.end_quiet(1, &by("eva", 2)).unwrap().unwrap();
    assert!(ended.is_over(at(NOW, 2 * HOUR)));
    assert_eq!(store.quiets(at(NOW, 3 * HOUR)).unwrap(), []);
    assert_eq!(store.quiets(NOW).unwrap(), [ended]);
    assert_eq!(store.turn_quiets(at(NOW, 6 * HOUR)).unwrap(), []);
}

#[test]
fn an_incident_in_a_building_is_read_back() {
    let engine = with_open(&[1]);
    let (one, two) = (BuildingId::from_u128(1), BuildingId::from_u128(2));
    let scopes = [one, two].map(|building| QuietScope::IncidentIn(id(1), building)).to_vec();
    let new = quiet(QuietKind::Silence, scopes.clone(), (2, 4));
    engine.control.add_quiet(&new, &by("eva", 1)).unwrap().unwrap();
    let engine = engine.reopen();
    assert_eq!(engine.control.quiets(NOW).unwrap()[0].scopes, scopes);
    let none = quiet(QuietKind::Silence, vec![QuietScope::IncidentIn(id(9), one)], (2, 4));
    let refusal = engine.control.add_quiet(&none, &by("eva", 1)).unwrap();
    assert_eq!(refusal, Err(DeskRefusal::QuietPlace));
}

#[test]
fn a_quiet_time_that_says_nothing_is_refused() {
    let engine = with_open(&[1]);
    let store = &engine.control;
    let refused = |new: &NewQuiet| store.add_quiet(new, &by("eva", 2)).unwrap().unwrap_err();
    let silence = |scope| quiet(QuietKind::Silence, vec![scope], (2, 4));
    for hours in [(3, 3), (4, 3), (0, 2), (0, 1), (3, 367 * 24)] {
        let new = everywhere(QuietKind::Silence, hours);
        assert_eq!(refused(&new), DeskRefusal::QuietTimes, "{hours:?}");
    }
    let none = quiet(QuietKind::Silence, vec![], (2, 4));
    assert_eq!(refused(&none), DeskRefusal::QuietScopes);
    let many = quiet(QuietKind::Silence, vec![QuietScope::Everything; 65], (2, 4));
    assert_eq!(refused(&many), DeskRefusal::QuietScopes);
    for scope in [QuietScope::Incident(id(1)), QuietScope::Cause(Cause::Wifi)] {
        let new = quiet(QuietKind::Maintenance, vec![scope], (2, 4));
        assert_eq!(refused(&new), DeskRefusal::QuietScopes, "who works, works somewhere");
    }
    let nowhere = BuildingId::from_u128(99);
    assert_eq!(refused(&silence(QuietScope::Building(nowhere))), DeskRefusal::QuietPlace);
    assert_eq!(refused(&silence(QuietScope::Incident(id(9)))), DeskRefusal::QuietPlace);
    assert_eq!(refused(&silence(QuietScope::Region(short("Moon")))), DeskRefusal::QuietPlace);
    assert_eq!(store.quiets(NOW).unwrap(), []);
    assert_eq!(audited(store), []);
}

#[test]
fn only_so_many_quiet_times_are_there_at_once() {
    let engine = with_open(&[1]);
    let store = &engine.control;
    let new = everywhere(QuietKind::Silence, (1, 2));
    let refused = |who: &str| store.add_quiet(&new, &by(who, 0)).unwrap().unwrap_err();
    for actor in 0..10 {
        let who = format!("user {actor}");
        for _ in 0..100 {
            store.add_quiet(&new, &by(&who, 0)).unwrap().unwrap();
        }
        let own = refused(&who);
        assert!(matches!(own, DeskRefusal::TooMany { most: 100 | 1_000, .. }), "{own:?}");
        let theirs = matches!(own, DeskRefusal::TooMany { most: 100, .. });
        assert_eq!(theirs, actor < 9, "others may go on: {own:?}");
    }
    let refusal = refused("eva");
    assert!(matches!(refusal, DeskRefusal::TooMany { most: 1_000, .. }), "{refusal:?}");
    let later = everywhere(QuietKind::Silence, (4, 5));
    assert!(store.add_quiet(&later, &by("eva", 3)).unwrap().is_ok(), "the others are over");
}

#[test]
fn after_maintenance_only_what_is_of_a_higher_class_is_worse() {
    let engine = with_open(&[1, 2, 3, 4]);
    let store = &engine.control;
    let severe = |number: u64, severity: f64, openings| {
        let open = incident(number, IncidentState::Open);
        judge(store, &Incident { severity, openings, ..open }, &[], NOW);
    };
    store.add_quiet(&everywhere(QuietKind::Maintenance, (2, 4)), &by("eva", 1)).unwrap().unwrap();
    let turn = |hour| store.turn_quiets(at(NOW, hour * HOUR)).unwrap();
    assert_eq!(turn(1), []);
    severe(4, 0.5, 1);
    assert_eq!(turn(2), [], "classes are noted: three minor ones and a critical one");
    severe(1, 0.3, 1);
    severe(3, 0.9, 2);
    judge(store, &incident(5, IncidentState::Open), &[], NOW);
    severe(5, 0.9, 1);
    assert_eq!(turn(3), [], "it is not over");
    let first = Worsened { incident: id(1), quiet: 1 };
    assert_eq!(turn(4), [first], "not what stayed, came back, or came");
    assert_eq!(turn(5), [], "it is told once");
}

#[test]
fn what_maintenance_does_not_cover_and_what_nobody_looked_at_is_not_told_of() {
    let engine = with_open(&[1, 2]);
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    let hafen = QuietScope::Building(by_name(store)["Hafen"].id);
    let near = quiet(QuietKind::Maintenance, vec![hafen], (1, 4));
    let missed = everywhere(QuietKind::Maintenance, (1, 2));
    let silence = everywhere(QuietKind::Silence, (1, 4));
    for new in [near, silence] {
        store.add_quiet(&new, &by("eva", 1)).unwrap().unwrap();
    }
    let turn = |hour| store.turn_quiets(at(NOW, hour * HOUR)).unwrap();
    assert_eq!(turn(1), []);
    store.add_quiet(&missed, &by("eva", 1)).unwrap().unwrap();
    let open = incident(1, IncidentState::Open);
    judge(store, &Incident { severity: 0.9, ..open }, &[], NOW);
    assert_eq!(turn(9), []);
}

#[test]
fn acts_go_with_their_incident_and_quiet_times_a_while_after_they_were_over() {
    let engine = with_open(&[2]);
    let store = &engine.control;
    judge(store, &incident(1, IncidentState::Open), &[], NOW);
    store.act(id(1), &seen(), &by("eva", 1)).unwrap().unwrap();
    store.act(id(2), &merge(1), &by("eva", 1)).unwrap().unwrap();
    store.add_quiet(&everywhere(QuietKind::Silence, (1, 2)), &by("eva", 1)).unwrap().unwrap();
    judge(store, &incident(1, IncidentState::Closed), &[], NOW);
    let retention = ControlRetention { incidents_days: 30, ..long() };
    assert_eq!(store.prune(at(NOW, 20 * DAY), &retention).unwrap().incidents, 0);
    assert_eq!((done(store, 1).len(), store.quiets(NOW).unwrap().len()), (1, 1));
    let gone = store.prune(at(NOW, 40 * DAY), &retention).unwrap().incidents;
    assert_eq!(gone, 2, "an incident and a quiet time");
    assert_eq!((done(store, 1).len(), store.quiets(NOW).unwrap().len()), (0, 0));
    let rest = incident(2, IncidentState::Open);
    let overlay = store.overlay(NOW).unwrap();
    assert_eq!(overlay.part_of(&rest, |_| None), None, "it stands by itself again");
}

/// Nothing goes.
fn long() -> ControlRetention {
    let days = 10_000;
    ControlRetention {
        audit_days: days,
        sightings_days: days,
        agents_days: days,
        placements_days: days,
        path_verdicts_days: days,
        verdicts_days: days,
        incidents_days: days,
        deliveries_days: days,
        inventory_days: days,
    }
}

#[test]
fn the_name_of_who_is_forgotten_is_taken_out_of_what_people_said() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    add(store, &agent(1, "hh-1", enrolled("10.1.0.0/24", None))).unwrap();
    let home = by_name(store)["Hafen"].id;
    let both = vec![member(7, home), member(8, home)];
    judge(store, &Incident { members: both, ..incident(1, IncidentState::Open) }, &[], NOW);
    judge(
        store,
        &Incident { members: vec![member(7, home)], ..incident(2, IncidentState::Open) },
        &[],
        NOW,
    );
    store.act(id(1), &Deed::Note(remark("hh-1 is near hh-12")), &by("eva", 1)).unwrap().unwrap();
    store.act(id(2), &Deed::Note(remark("only hh-1")), &by("eva", 1)).unwrap().unwrap();
    store.add_quiet(&everywhere(QuietKind::Silence, (1, 2)), &by("eva", 1)).unwrap().unwrap();
    let (who, none) = (AgentId::from_u128(1), Forgotten::default());
    store.forget_agent(who, &[PathId(7)], &none, &by("eva", 2)).unwrap();
    let said = &store.acts(id(1)).unwrap()[0].deed;
    assert_eq!(said.remark().unwrap().as_str(), "a forgotten agent is near hh-12");
    assert_eq!(store.acts(id(2)).unwrap(), [], "its incident went with it");
    let reason = store.quiets(NOW).unwrap()[0].reason.clone();
    assert_eq!(reason.as_str(), "a forgotten agent gets a new switch");
}

/// A text of so many characters that says "hh-1" at its begin and its end.
fn at_the_limit(most: usize) -> String {
    format!("hh-1 {} hh-1", "ü".repeat(most - 10))
}

/// Says the name in everything that people can write, at the limit of each; incident 2 is of nobody's.
fn say_everywhere(store: &SqliteControl) {
    let long = remark(&at_the_limit(Remark::MOST));
    let owner = || {
        let short = short(&at_the_limit(ShortRemark::MOST));
        Owner { name: short.clone(), contact: Some(short) }
    };
    let merged = Deed::Merge { into: id(1), into_number: 0, reason: long.clone() };
    for deed in
        [Deed::Note(long.clone()), Deed::Acknowledge(long.clone()), Deed::Own(owner()), merged]
    {
        store.act(id(2), &deed, &by("eva", 1)).unwrap().unwrap();
    }
    store.set_owner((None, None), &owner(), &by("eva", 1)).unwrap().unwrap();
    let new = NewQuiet { reason: long.clone(), ..everywhere(QuietKind::Silence, (1, 2)) };
    store.add_quiet(&new, &by("eva", 1)).unwrap().unwrap();
    let task = |word: &str| TaskWord::new(word).unwrap();
    let what = (&task("overview"), &task("2026-01-01"));
    store.sign_off(what, Some(&long), &by("eva", 1)).unwrap().unwrap();
}

/// All that people wrote.
fn written(store: &SqliteControl) -> Vec<String> {
    let mut all = Vec::new();
    let owner = |owner: &Owner| {
        [
            owner.name.to_string(),
            owner.contact.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    };
    for act in store.acts(id(2)).unwrap() {
        all.extend(act.deed.remark().map(ToString::to_string));
        if let Deed::Own(said) = &act.deed {
            all.extend(owner(said));
        }
    }
    all.extend(store.owners().unwrap().iter().flat_map(|row| owner(&row.owner)));
    all.extend(store.quiets(NOW).unwrap().iter().map(|quiet| quiet.reason.to_string()));
    all.extend(
        store
            .sign_offs(9)
            .unwrap()
            .iter()
            .filter_map(|one| one.note.as_ref())
            .map(ToString::to_string),
    );
    all
}

#[test]
fn texts_at_their_limit_are_read_after_a_name_was_taken_out_of_all_of_them() {
    let engine = with_open(&[1, 2]);
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    add(store, &agent(1, "hh-1", enrolled("10.1.0.0/24", None))).unwrap();
    say_everywhere(store);
    assert_eq!(written(store).len(), 9);
    let (who, none) = (AgentId::from_u128(1), Forgotten::default());
    store.forget_agent(who, &[], &none, &by("eva", 2)).unwrap();
    let all = written(store);
    assert_eq!(all.len(), 9);
    for text in &all {
        assert!(text.starts_with("a forgotten agent ü") && !text.contains("hh-1"), "{text}");
        assert!([Remark::MOST, ShortRemark::MOST].contains(&text.chars().count()), "{text}");
    }
    assert!(store.overlay(NOW).is_ok());
}

#[test]
fn who_was_removed_long_ago_is_called_by_its_id_in_what_people_wrote() {
    let engine = with_open(&[1, 2]);
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    add(store, &agent(1, "hh-1", enrolled("10.1.0.0/24", None))).unwrap();
    say_everywhere(store);
    store.remove_agent(AgentId::from_u128(1), &by("eva", 2)).unwrap();
    let retention = ControlRetention { agents_days: 30, ..long() };
    store.prune(at(NOW, 40 * DAY), &retention).unwrap();
    let id = AgentId::from_u128(1).to_string();
    let all = written(store);
    assert_eq!(all.len(), 9);
    assert!(all.iter().all(|text| text.starts_with(&id) && !text.contains("hh-1")), "{all:?}");
    assert!(store.overlay(NOW).is_ok());
}

#[test]
fn the_overlay_knows_buildings_owners_and_quiet_times() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    let home = by_name(store)["Hafen"].id;
    let open = Incident {
        building: home,
        members: vec![member(7, home)],
        ..incident(1, IncidentState::Open)
    };
    judge(store, &open, &[], NOW);
    let emea = short("EMEA");
    let owner = Owner { name: short("WAN team"), contact: None };
    store.set_owner((None, Some(&emea)), &owner, &by("eva", 1)).unwrap().unwrap();
    let region = quiet(QuietKind::Silence, vec![QuietScope::Region(emea)], (1, 2));
    store.add_quiet(&region, &by("eva", 1)).unwrap().unwrap();
    store.act(id(1), &seen(), &by("eva", 1)).unwrap().unwrap();
    let overlay = store.overlay(UtcMicros(0)).unwrap();
    let standing = overlay.standing(&open, at(NOW, HOUR));
    assert_eq!(standing.owner, Some(owner));
    assert_eq!(standing.acknowledged.unwrap().by, "eva");
    assert_eq!(standing.quiet.unwrap().until, at(NOW, 2 * HOUR));
    assert_eq!(overlay.standing(&open, at(NOW, 2 * HOUR)).quiet, None);
    assert_eq!(Places::new(&store.buildings().unwrap()).region(home), Some("EMEA"));
}
