//! Both contracts: an agent is forgotten.

use std::path::{Path, PathBuf};

use busyhour_model::{
    AgentId, Body, BuildingId, BuildingLoad, Evidence, Incident, IncidentPlace, IncidentState,
    LinkKind, LoadSource, PathId, Scope, SlotStart, SubnetId, UtcMicros,
};
use busyhour_store::{
    Act, Appended, Binding, BlockRows, Control, ControlRetention, ErrorKind, Forgotten,
    ForgottenAgent, IncidentEvent, JudgeWrite, NewAgent, RecordKind, Telemetry, TelemetryTotals,
};
use jiff::civil::{Date, date};

use crate::control::{add, agent, by_name, enrolled, import, sighting};
use crate::fixtures::{
    AGENT, DAY, EPOCH, Engine, MINUTE, NOW, at, block_of, building, judged, load, window,
};
use crate::incidents::{due, incident, judge, member};
use crate::learned::{self, month};
use crate::retention::KEPT;
use crate::stores::Store;
use crate::verdicts::{HOME, day};

const ALWAYS: (UtcMicros, UtcMicros) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
const OTHER: AgentId = AgentId::from_u128(0xb2);

/// A block of three windows in two slots and one load record.
fn full_block(agent: AgentId, number: u64) -> BlockRows {
    let moments = [NOW, at(NOW, MINUTE), at(NOW, 20 * MINUTE)];
    BlockRows { agent, others: vec![load(NOW, 7)], ..block_of(number, &moments) }
}

/// All that telemetry holds of an agent.
fn held(store: &dyn Telemetry, agent: AgentId) -> (usize, usize, usize, usize, usize) {
    let paths: Vec<_> = store.paths(Some(agent)).unwrap().iter().map(|path| path.id).collect();
    let every = (SlotStart::from_number(i64::MIN), SlotStart::from_number(i64::MAX));
    let windows = |path: &PathId| store.windows(*path, ALWAYS.0, ALWAYS.1, 99).unwrap().len();
    (
        paths.len(),
        paths.iter().map(windows).sum(),
        store.slots(&paths, every.0, every.1).unwrap().len(),
        store.others(agent, RecordKind::Load, ALWAYS.0, ALWAYS.1, 99).unwrap().len(),
        store.received(agent, EPOCH).unwrap().len(),
    )
}

on_every_store! {
    all_that_a_forgotten_agent_delivered_is_gone_and_no_other_agents
    blocks_of_a_forgotten_agent_are_refused_for_ever
}

fn all_that_a_forgotten_agent_delivered_is_gone_and_no_other_agents<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    for agent in [AGENT, OTHER] {
        store.append(&[full_block(agent, 1), full_block(agent, 3)]).unwrap();
    }
    let path = store.paths(Some(AGENT)).unwrap()[0].id;
    let full = held(store, OTHER);
    assert_eq!(held(store, AGENT), full);
    assert_eq!((full.0, full.2, full.4), (1, 2, 2));
    let gone = store.forget(AGENT).unwrap();
    let expected = Forgotten {
        paths: 1,
        windows: full.1 as u64,
        slots: full.2 as u64,
        others: full.3 as u64,
        lingers: false,
    };
    assert_eq!(gone, expected);
    assert_eq!((held(store, AGENT), held(store, OTHER)), ((0, 0, 0, 0, 0), full));
    assert_eq!(store.windows(path, ALWAYS.0, ALWAYS.1, 9).unwrap(), []);
    assert!(store.dirty_days(99).unwrap().iter().all(|day| day.path != path));
    assert_eq!(store.forget(AGENT).unwrap(), Forgotten::default(), "nothing is left to go");
    let engine = engine.reopen();
    assert_eq!(held(engine.telemetry(), AGENT), (0, 0, 0, 0, 0));
    assert_eq!(held(engine.telemetry(), OTHER), full);
}

fn blocks_of_a_forgotten_agent_are_refused_for_ever<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[full_block(AGENT, 1)]).unwrap();
    store.forget(AGENT).unwrap();
    // Also one that was durable already, and beside another agent's in one group.
    let group = [full_block(AGENT, 1), full_block(OTHER, 1), full_block(AGENT, 2)];
    let answers = [Appended::Refused, Appended::Stored, Appended::Refused];
    assert_eq!(store.append(&group).unwrap(), answers);
    assert_eq!(held(store, AGENT), (0, 0, 0, 0, 0));
    let TelemetryTotals { blocks, windows, .. } = store.totals().unwrap();
    assert_eq!((blocks, windows), (2, 6), "refused blocks are not counted as received");
    let engine = engine.reopen();
    let store = engine.telemetry();
    assert_eq!(store.append(&[full_block(AGENT, 3)]).unwrap(), [Appended::Refused]);
    // One that never delivered anything can be forgotten, too.
    let third = AgentId::from_u128(3);
    assert_eq!(store.forget(third).unwrap(), Forgotten::default());
    assert_eq!(store.append(&[full_block(third, 1)]).unwrap(), [Appended::Refused]);
}

#[test]
fn identity_name_addresses_and_places_go_and_the_building_keeps_its_verdicts() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    let (id, other) = (AgentId::from_u128(1), AgentId::from_u128(2));
    for (number, name) in [(1, "hh-keller-pc"), (2, "hh-2")] {
        add(store, &agent(number, name, enrolled("10.1.0.0/24", None))).unwrap();
        let seen = sighting(NOW, "10.1.0.7/24", "192.0.2.1");
        store.saw_agent(AgentId::from_u128(number), &seen).unwrap();
    }
    let (mine, others) = ([PathId(1), PathId(-2)], PathId(3));
    let stays = [
        Scope::Path(others),
        Scope::Agent(other, LinkKind::Wifi),
        Scope::Subnet(SubnetId::from_u128(1), LinkKind::Wifi),
        Scope::Building(HOME),
    ];
    let goes = [
        Scope::Path(mine[0]),
        Scope::Path(mine[1]),
        Scope::Agent(id, LinkKind::Wifi),
        Scope::Agent(id, LinkKind::Wired),
    ];
    let dates = [date(2026, 9, 1), date(2026, 9, 20), date(2026, 9, 21)];
    let days = dates.iter().flat_map(|&d| stays.iter().chain(&goes).map(move |&s| day(s, d)));
    let write = JudgeWrite { days: days.collect(), ..JudgeWrite::default() };
    store.write_judgement(&write, NOW).unwrap();
    let only_mine = Incident {
        members: mine.iter().map(|path| member(path.0, HOME)).collect(),
        ..incident(1, IncidentState::Open)
    };
    let of_many = incident(3, IncidentState::Open);
    let members = of_many.members.clone();
    let about = Incident { place: IncidentPlace::Agent(id), members, ..incident(2, of_many.state) };
    for incident in [&only_mine, &about, &of_many] {
        judge(store, incident, &[IncidentEvent::Opened], NOW);
    }
    let waiting = due(store, &["mail"], NOW);
    assert_eq!(waiting.len(), 3);

    let by = Act::by_operator(at(NOW, MINUTE));
    let gone = store.forget_agent(id, &mine, &Forgotten::default(), &by).unwrap();
    assert_eq!(
        gone,
        ForgottenAgent { placements: 1, verdicts: 12, incidents: 2, ..ForgottenAgent::default() }
    );
    let agents = store.agents().unwrap();
    assert_eq!(agents.iter().map(|agent| agent.id).collect::<Vec<_>>(), [other]);
    assert_eq!(store.agent_secret(id).unwrap(), None);
    assert!(store.placements().unwrap().iter().all(|placement| placement.agent == other));
    assert_eq!(store.bindings(id).unwrap(), []);
    let mut left: Vec<_> =
        store.days(None, dates[0], dates[2]).unwrap().iter().map(|day| day.scope).collect();
    left.dedup();
    left.truncate(4);
    assert_eq!(left, stays);
    assert_eq!(store.days(None, dates[0], dates[2]).unwrap().len(), 12);
    assert_eq!(store.incidents(true).unwrap(), [of_many]);
    assert_eq!(due(store, &["mail"], NOW), waiting[2..]);
    let seen = sighting(by.at, "10.1.0.7/24", "");
    assert_eq!(store.saw_agent(id, &seen).unwrap_err().kind(), ErrorKind::NotFound);
    let again = store.forget_agent(id, &mine, &Forgotten::default(), &by).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    // Another may have its name, at once.
    add(store, &agent(4, "hh-keller-pc", enrolled("10.1.0.0/24", None))).unwrap();
}

#[test]
fn incidents_of_others_lose_its_members_and_its_name() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    let mine = [PathId(8), PathId(6)];
    let shared = Incident {
        members: [6, 7, 8, 9].map(|path| member(path, HOME)).to_vec(),
        sentence: "Hafen, machine hh-1 and hh-12: calls break.".to_owned(),
        paragraph: "in agent \"hh-1\": 9 of 9".to_owned(),
        evidence: vec![Evidence {
            text: "hh-1 suffers".to_owned(),
            ..incident(1, IncidentState::Closed).evidence.remove(0)
        }],
        ..incident(1, IncidentState::Closed)
    };
    let foreign = Incident { members: vec![member(7, HOME)], ..incident(2, IncidentState::Open) };
    judge(store, &shared, &[IncidentEvent::Closed], NOW);
    judge(store, &foreign, &[], NOW);
    let by = Act::by_operator(at(NOW, MINUTE));
    let gone = store.forget_agent(id, &mine, &Forgotten::default(), &by).unwrap();
    assert_eq!(gone.incidents, 0);
    let left = Incident {
        members: vec![member(7, HOME), member(9, HOME)],
        sentence: "Hafen, machine a forgotten agent and hh-12: calls break.".to_owned(),
        paragraph: "in agent \"a forgotten agent\": 9 of 9".to_owned(),
        evidence: vec![Evidence {
            text: "a forgotten agent suffers".to_owned(),
            ..shared.evidence[0].clone()
        }],
        ..shared
    };
    assert_eq!(store.incidents(true).unwrap(), [foreign, left]);
    assert_eq!(due(store, &["mail"], NOW).len(), 1, "what is told of it is told");
}

/// A judge that looked before the agent was forgotten writes after it.
#[test]
fn what_is_judged_meanwhile_of_a_forgotten_agent_is_not_written() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    let place = IncidentPlace::Agent(id);
    let about = Incident { place, ..incident(1, IncidentState::Open) };
    let mine = PathId(7);
    let of_mine = Incident { members: vec![member(7, HOME)], ..incident(2, IncidentState::Open) };
    let shared = incident(3, IncidentState::Open);
    let (today, opened) = (date(2026, 9, 21), IncidentEvent::Opened);
    let scopes = [Scope::Path(mine), Scope::Agent(id, LinkKind::Wifi), Scope::Building(HOME)];
    let write = JudgeWrite {
        days: scopes.map(|scope| day(scope, today)).to_vec(),
        incidents: vec![about.clone(), of_mine.clone(), shared.clone()],
        tell: [&about, &of_mine, &shared].map(|incident| (incident.id, opened)).to_vec(),
        months: vec![month(7, today), month(8, today)],
        ..JudgeWrite::default()
    };
    let by = Act::by_operator(at(NOW, MINUTE));
    store.remove_agent(id, &by).unwrap();
    store.write_judgement(&write, NOW).unwrap();
    assert_eq!(store.incidents(true).unwrap().len(), 3, "of who was only removed all is");
    store.forget_agent(id, &[mine], &Forgotten::default(), &by).unwrap();
    store.write_judgement(&write, NOW).unwrap();
    let left = Incident { members: vec![member(8, HOME)], ..shared };
    assert_eq!(store.incidents(true).unwrap(), [left]);
    assert_eq!(store.days(None, today, today).unwrap(), [day(scopes[2], today)]);
    assert_eq!(store.months().unwrap(), [month(8, today)]);
    assert_eq!(due(store, &["mail"], NOW).len(), 1);
}

#[test]
fn months_of_its_paths_go() {
    let engine = Engine::new();
    let store = &engine.control;
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    let dates = [date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1)];
    let of_path = |path: i64| dates.map(|date| month(path, date));
    let months = [of_path(3), of_path(4), of_path(5)].concat();
    store.write_judgement(&JudgeWrite { months, ..JudgeWrite::default() }, NOW).unwrap();
    let by = Act::by_operator(NOW);
    let id = AgentId::from_u128(1);
    let gone = store.forget_agent(id, &[PathId(5), PathId(3)], &Forgotten::default(), &by).unwrap();
    assert_eq!(gone.months, 6);
    assert_eq!(store.months().unwrap(), of_path(4));
}

/// What one of two machines did is the rest of their mean.
#[test]
fn loads_that_tell_what_it_did_go() {
    let engine = Engine::new();
    let store = &engine.control;
    let file = [building("A", &["10.1.0.0/24"]), building("B", &["10.2.0.0/24"])];
    import(store, &file, at(NOW, -90 * DAY));
    let homes = by_name(store);
    let (a, b) = (homes["A"].id, homes["B"].id);
    add(store, &agent(1, "hh-1", enrolled("10.1.0.0/24", None))).unwrap();
    // On the 21st of September it moves from A to B; on which date of theirs is known to a day.
    let by = Act::by_operator(NOW);
    let id = AgentId::from_u128(1);
    store.bind_agent(id, enrolled("10.2.0.0/24", None), &by).unwrap();
    let goes = [
        (a, date(2026, 1, 1), 1),
        (a, date(2026, 9, 22), 2),
        (b, date(2026, 9, 20), 2),
        (b, date(2027, 1, 1), 1),
    ];
    let stays = [
        (a, date(2026, 9, 21), 3),
        (a, date(2026, 9, 23), 1),
        (b, date(2026, 9, 19), 2),
        (b, date(2026, 9, 21), 9),
    ];
    let of = |days: &[(BuildingId, Date, u32)]| -> Vec<BuildingLoad> {
        days.iter()
            .map(|&(building, date, machines)| learned::load(building, date, machines))
            .collect()
    };
    let loads = [of(&goes), of(&stays)].concat();
    store.write_judgement(&JudgeWrite { loads, ..JudgeWrite::default() }, NOW).unwrap();
    store.import_loads(&of(&goes), &by).unwrap();
    let gone = store.forget_agent(id, &[], &Forgotten::default(), &by).unwrap();
    assert_eq!(gone.loads, 4);
    let imported = |load| BuildingLoad { source: LoadSource::Imported, ..load };
    let mut left: Vec<_> = of(&goes).into_iter().map(imported).chain(of(&stays)).collect();
    left.sort_by_key(|load| (load.building, load.date));
    assert_eq!(store.building_loads(None, date(2026, 1, 1), date(2027, 1, 1)).unwrap(), left);
}

/// Of the embedded engine: no page of the file holds the names any more, used or free.
#[test]
fn names_and_addresses_that_went_are_overwritten_on_disk() {
    let engine = Engine::new();
    let store = &engine.control;
    for number in 1..=60 {
        add(store, &agent(number, &format!("canary-{number:02}"), Binding::Address)).unwrap();
        let seen = sighting(NOW, "10.1.0.7/24", "192.0.2.1");
        store.saw_agent(AgentId::from_u128(number), &seen).unwrap();
    }
    let Engine { telemetry, control, directory } = engine.reopen();
    let has = |text: &[u8]| {
        let bytes = std::fs::read(directory.path().join("control.db")).unwrap();
        bytes.windows(text.len()).any(|part| part == text)
    };
    assert!(has(b"canary-60") && has(b"192.0.2.1"));
    let by = Act::by_operator(at(NOW, MINUTE));
    for number in 1..=60 {
        let id = AgentId::from_u128(number);
        if number % 2 == 0 {
            control.forget_agent(id, &[], &Forgotten::default(), &by).unwrap();
        } else {
            control.remove_agent(id, &by).unwrap();
        }
    }
    let retention = ControlRetention { agents_days: 1, sightings_days: 900, ..KEPT };
    assert_eq!(control.prune(at(NOW, 2 * DAY), &retention).unwrap().agents, 30);
    drop((telemetry, control));
    assert!(!directory.path().join("control.db-wal").exists(), "all is in the file");
    assert!(!has(b"canary") && !has(b"192.0.2.1"));
}

/// The files below a directory that hold some text.
fn holding(directory: &Path, text: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text) {
            found.push(path);
        }
    }
    found
}

/// Of the embedded engine: while it runs, in no file and no log.
#[test]
fn what_a_forgotten_agent_was_called_and_told_is_in_no_file() {
    let Engine { telemetry, control, directory } = Engine::new();
    let canaries: [&[u8]; 3] = [b"canary-host", b"canary-target", b"canary-wifi"];
    let id = AgentId::from_u128(0xca0a);
    for (agent, name) in [(id, "canary-host"), (OTHER, "neighbour")] {
        add(&control, &NewAgent { id: agent, ..crate::control::agent(1, name, Binding::Address) })
            .unwrap();
    }
    let block = |number: u64, agent: AgentId, target: &str, interface: &str| {
        let started = at(NOW, number as i64 * MINUTE);
        let mut record = load(started, number);
        if let Body::Load(load) = &mut record.body {
            interface.clone_into(&mut load.interface);
        }
        let windows = vec![judged(window(target, number, 0), started)];
        BlockRows { agent, windows, others: vec![record], ..crate::fixtures::block(number) }
    };
    for number in 1..=40 {
        let canary = block(number, id, "canary-target:862", "canary-wifi0");
        telemetry.append(&[canary, block(number, OTHER, "edge:862", "eth0")]).unwrap();
        if number % 8 == 0 {
            telemetry.fold().unwrap();
        }
    }
    let paths: Vec<_> = telemetry.paths(Some(id)).unwrap().iter().map(|path| path.id).collect();
    let named = |number: u64| Incident {
        sentence: "Hafen, machine canary-host: calls break.".to_owned(),
        paragraph: "in agent \"canary-host\"".repeat(200),
        members: vec![member(paths[0].0, HOME), member(-1, HOME)],
        ..incident(number, IncidentState::Open)
    };
    let about = Incident { place: IncidentPlace::Agent(id), ..named(1) };
    judge(&control, &about, &[IncidentEvent::Opened], NOW);
    judge(&control, &named(2), &[IncidentEvent::Opened], NOW);
    for canary in canaries {
        assert_ne!(holding(directory.path(), canary), Vec::<PathBuf>::new());
    }
    let gone = telemetry.forget(id).unwrap();
    let by = Act::by_operator(at(NOW, DAY));
    let rest = control.forget_agent(id, &paths, &gone, &by).unwrap();
    assert!(!gone.lingers && !rest.lingers, "{gone:?}, {rest:?}");
    assert_eq!((rest.incidents, control.incidents(true).unwrap().len()), (1, 1));
    for canary in canaries {
        let text = String::from_utf8_lossy(canary);
        assert_eq!(holding(directory.path(), canary), Vec::<PathBuf>::new(), "{text}");
    }
    assert_eq!(held(&telemetry, OTHER).1, 40);
}

/// Of the embedded engine.
#[test]
fn what_a_reader_keeps_in_the_log_is_told_and_overwritten_by_pruning() {
    let Engine { telemetry: _telemetry, control, directory } = Engine::new();
    let id = AgentId::from_u128(0xca0a);
    add(&control, &NewAgent { id, ..agent(1, "canary-host", Binding::Address) }).unwrap();
    let reader = rusqlite::Connection::open(directory.path().join("control.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM agents").unwrap();
    let by = Act::by_operator(at(NOW, DAY));
    assert!(control.forget_agent(id, &[], &Forgotten::default(), &by).unwrap().lingers);
    assert_ne!(holding(directory.path(), b"canary-host"), Vec::<PathBuf>::new());
    assert!(control.prune(NOW, &KEPT).unwrap().lingers);
    drop(reader);
    assert!(!control.prune(NOW, &KEPT).unwrap().lingers);
    assert_eq!(holding(directory.path(), b"canary-host"), Vec::<PathBuf>::new());
}
