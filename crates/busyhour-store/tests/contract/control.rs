//! The control contract.

use std::collections::HashMap;

use busyhour_model::{AgentId, Building, FileBuilding, Placement, SubnetId, UtcMicros};
use busyhour_store::{
    Act, AuditAction, AuditSubject, Binding, Control, ErrorKind, ImportSummary, JudgeWrite,
    NewAgent, Sighting, StoreError,
};
use jiff::civil::date;

use crate::fixtures::{DAY, Engine, HOUR, MINUTE, NOW, at, building, subnet};

const FOREVER: UtcMicros = UtcMicros(i64::MIN);

pub(crate) fn import(store: &dyn Control, file: &[FileBuilding], now: UtcMicros) -> ImportSummary {
    store.import_buildings(file, &Act::by_operator(now)).unwrap()
}

pub(crate) fn add(store: &dyn Control, agent: &NewAgent) -> Result<(), StoreError> {
    store.add_agent(agent, &Act::by_operator(agent.added))
}

pub(crate) fn by_name(store: &dyn Control) -> HashMap<String, Building> {
    store.buildings().unwrap().into_iter().map(|b| (b.name.clone(), b)).collect()
}

/// Each subnet's identity, by prefix and egress.
pub(crate) fn subnet_ids(store: &dyn Control) -> HashMap<String, SubnetId> {
    let name = |s: &busyhour_model::Subnet| match s.egress {
        Some(egress) => format!("{} via {egress}", s.prefix),
        None => s.prefix.to_string(),
    };
    store.subnets().unwrap().iter().map(|s| (name(s), s.id)).collect()
}

pub(crate) fn agent(id: u128, name: &str, binding: Binding) -> NewAgent {
    NewAgent {
        id: AgentId::from_u128(id),
        name: name.to_owned(),
        secret_sha256: [7; 32],
        simulated: false,
        binding,
        added: NOW,
    }
}

pub(crate) fn enrolled(prefix: &str, egress: Option<&str>) -> Binding {
    Binding::Subnet {
        prefix: prefix.parse().unwrap(),
        egress: egress.map(|egress| egress.parse().unwrap()),
    }
}

pub(crate) fn sighting(moment: UtcMicros, local: &str, peer: &str) -> Sighting {
    Sighting {
        at: moment,
        version: "0.1.0".to_owned(),
        os: "Debian 12".to_owned(),
        local_prefix: local.parse().ok(),
        peer: peer.parse().ok(),
    }
}

#[test]
fn an_imported_file_is_in_force() {
    let engine = Engine::new();
    let store = &engine.control;
    let file = [building("Hafen", &["10.2.0.0/24", "10.1.0.0/24"]), building("Alster", &[])];
    let summary = import(store, &file, NOW);
    let expected = ImportSummary {
        version: 1,
        buildings: 2,
        subnets: 2,
        buildings_added: 2,
        subnets_added: 2,
        ..ImportSummary::default()
    };
    assert_eq!(summary, expected);
    let buildings = store.buildings().unwrap();
    assert_eq!(buildings.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["Alster", "Hafen"]);
    let hafen = &buildings[1];
    assert_eq!((hafen.city.as_str(), hafen.country.as_str()), ("Hamburg", "DE"));
    assert_eq!(hafen.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(hafen.business_hours, file[0].business_hours);
    let subnets = store.subnets().unwrap();
    assert_eq!(subnets.len(), 2);
    let by_prefix = [&file[0].subnets[1], &file[0].subnets[0]];
    for (found, given) in subnets.iter().zip(by_prefix) {
        assert_eq!((found.building, found.prefix), (hafen.id, given.prefix));
        assert_eq!((&found.columns, found.egress), (&given.columns, given.egress));
    }
}

#[test]
fn importing_the_same_file_again_changes_nothing() {
    let engine = Engine::new();
    let store = &engine.control;
    let file = [building("Hafen", &["10.1.0.0/24"]), building("Alster", &["10.2.0.0/24"])];
    import(store, &file, NOW);
    let before = (store.buildings().unwrap(), store.subnets().unwrap());
    let summary = import(store, &file, at(NOW, DAY));
    let expected =
        ImportSummary { version: 1, buildings: 2, subnets: 2, ..ImportSummary::default() };
    assert_eq!(summary, expected);
    assert_eq!((store.buildings().unwrap(), store.subnets().unwrap()), before);
}

#[test]
fn a_new_file_replaces_the_old_and_keeps_identities() {
    let engine = Engine::new();
    let store = &engine.control;
    let old = [
        building("Hafen", &["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"]),
        building("Alster", &["10.4.0.0/24"]),
        building("Elbe", &["10.5.0.0/24"]),
    ];
    import(store, &old, NOW);
    let (buildings, subnets) = (by_name(store), subnet_ids(store));
    let moved = FileBuilding {
        city: "Kiel".to_owned(),
        ..building("Alster", &["10.3.0.0/24", "10.4.0.0/24", "10.6.0.0/24"])
    };
    let new = [building("Hafen City", &["10.1.0.0/24", "10.2.0.0/24"]), moved];
    let summary = import(store, &new, at(NOW, DAY));
    let expected = ImportSummary {
        version: 2,
        buildings: 2,
        subnets: 5,
        buildings_added: 0,
        buildings_renamed: 1,
        buildings_ended: 1,
        subnets_added: 1,
        subnets_ended: 1,
    };
    assert_eq!(summary, expected);
    let now = by_name(store);
    assert_eq!(now.len(), 2);
    assert_eq!(now["Hafen City"].id, buildings["Hafen"].id, "a rename keeps the identity");
    assert_eq!(now["Alster"].id, buildings["Alster"].id);
    assert_eq!(now["Alster"].city, "Kiel");
    let now = subnet_ids(store);
    for prefix in ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "10.4.0.0/24"] {
        assert_eq!(now[prefix], subnets[prefix], "{prefix}");
    }
    assert!(!now.contains_key("10.5.0.0/24"));
}

#[test]
fn a_building_is_renamed_only_when_most_of_its_subnets_say_so() {
    let engine = Engine::new();
    let store = &engine.control;
    import(
        store,
        &[building("A", &["10.1.0.0/24", "10.2.0.0/24"]), building("B", &["10.3.0.0/24"])],
        NOW,
    );
    let before = by_name(store);
    // "C" has as many subnets that are new; "B" still has its name.
    let new = [
        building("B", &["10.9.0.0/24"]),
        building("C", &["10.1.0.0/24", "10.7.0.0/24"]),
        building("D", &["10.3.0.0/24"]),
    ];
    let summary = import(store, &new, at(NOW, 1));
    assert_eq!((summary.buildings_renamed, summary.buildings_added), (0, 2));
    let after = by_name(store);
    assert_eq!(after["B"].id, before["B"].id);
    assert!(after["C"].id != before["A"].id && after["D"].id != before["B"].id);
}

#[test]
fn two_heirs_do_not_share_one_identity() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24", "10.2.0.0/24"])], NOW);
    let before = by_name(store)["A"].id;
    let new = [building("North", &["10.1.0.0/24"]), building("South", &["10.2.0.0/24"])];
    let summary = import(store, &new, at(NOW, 1));
    assert_eq!((summary.buildings_renamed, summary.buildings_added), (1, 1));
    let after = by_name(store);
    assert_eq!(after["North"].id, before);
    assert_ne!(after["South"].id, before);
}

#[test]
fn who_was_left_out_by_mistake_comes_back_as_itself() {
    let engine = Engine::new();
    let store = &engine.control;
    let whole = [building("A", &["10.1.0.0/24"]), building("B", &["10.2.0.0/24"])];
    import(store, &whole, NOW);
    let before = (by_name(store)["B"].id, subnet_ids(store)["10.2.0.0/24"]);
    import(store, &whole[..1], at(NOW, 1));
    let summary = import(store, &whole, at(NOW, 2));
    assert_eq!((summary.buildings_added, summary.subnets_added), (1, 1));
    assert_eq!((by_name(store)["B"].id, subnet_ids(store)["10.2.0.0/24"]), before);
}

#[test]
fn a_bad_import_changes_nothing() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    let before = (store.buildings().unwrap(), store.subnets().unwrap());
    for bad in [
        [building("B", &["10.2.0.0/24"]), building("B", &["10.3.0.0/24"])],
        [building("B", &["10.2.0.0/24"]), building("C", &["10.2.0.0/24"])],
    ] {
        let refused = store.import_buildings(&bad, &Act::by_operator(at(NOW, 1))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!((store.buildings().unwrap(), store.subnets().unwrap()), before);
    }
}

#[test]
fn a_file_that_tells_no_zone_or_hours_takes_none_away() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    let before = store.buildings().unwrap();
    let silent = FileBuilding {
        time_zone: None,
        business_hours: None,
        city: "Bremen".to_owned(),
        ..building("A", &["10.1.0.0/24"])
    };
    import(store, std::slice::from_ref(&silent), at(NOW, 1));
    let expected = Building { city: "Bremen".to_owned(), ..before[0].clone() };
    assert_eq!(store.buildings().unwrap(), [expected]);
    // A rename keeps them, too; another zone that is told is taken.
    import(store, &[FileBuilding { name: "B".to_owned(), ..silent.clone() }], at(NOW, 2));
    let renamed = store.buildings().unwrap().remove(0);
    assert_eq!((renamed.name.as_str(), &renamed.time_zone), ("B", &before[0].time_zone));
    let moved = Some("Asia/Tokyo".to_owned());
    let told = FileBuilding { name: "B".to_owned(), time_zone: moved.clone(), ..silent };
    import(store, &[told], at(NOW, 3));
    assert_eq!(store.buildings().unwrap()[0].time_zone, moved);
}

#[test]
fn holidays_stay_until_others_are_told() {
    let engine = Engine::new();
    let store = &engine.control;
    let silent = building("A", &["10.1.0.0/24"]);
    let with = |dates: &[&str]| FileBuilding {
        holidays: dates.iter().map(|date| date.parse().unwrap()).collect(),
        ..silent.clone()
    };
    let kept = || store.buildings().unwrap().remove(0).holidays;
    import(store, &[with(&["2026-12-25", "2027-01-01"])], NOW);
    assert_eq!(kept(), with(&["2026-12-25", "2027-01-01"]).holidays);
    import(store, std::slice::from_ref(&silent), at(NOW, 1));
    assert_eq!(kept(), with(&["2026-12-25", "2027-01-01"]).holidays, "a file that tells none");
    import(store, &[with(&["2027-12-25"])], at(NOW, 2));
    assert_eq!(kept(), with(&["2027-12-25"]).holidays);
    let before = store.inventory_at(at(NOW, 1)).unwrap().buildings;
    assert_eq!(before[0].holidays, with(&["2026-12-25", "2027-01-01"]).holidays);
}

#[test]
fn a_preview_tells_what_an_import_would_do_and_changes_nothing() {
    let engine = Engine::new();
    let store = &engine.control;
    import(
        store,
        &[building("A", &["10.1.0.0/24", "2001:db8::/48"]), building("B", &["10.2.0.0/24"])],
        NOW,
    );
    let before =
        (store.buildings().unwrap(), store.subnets().unwrap(), store.placements().unwrap());
    let file = [building("A", &["10.1.0.0/24"]), building("C", &["10.3.0.0/24"])];
    let preview = store.preview_import(&file, at(NOW, 1)).unwrap();
    let names: Vec<_> = preview.buildings_ended.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["B"]);
    let ended: Vec<_> = preview.subnets_ended.iter().map(|s| s.prefix.to_string()).collect();
    assert_eq!(ended, ["2001:db8::/48", "10.2.0.0/24"]);
    let after = (store.buildings().unwrap(), store.subnets().unwrap(), store.placements().unwrap());
    assert_eq!(before, after);
    assert_eq!(preview.buildings_added, ["C"]);
    assert_eq!(import(store, &file, at(NOW, 1)), preview.summary);

    let file = [building("A1", &["10.1.0.0/24"]), building("B", &["10.2.0.0/24"])];
    let preview = store.preview_import(&file, at(NOW, 2)).unwrap();
    assert_eq!(preview.buildings_renamed, [("A".to_owned(), "A1".to_owned())]);
    assert_eq!(preview.buildings_added, ["B"], "who comes back is no other, but new in force");
}

#[test]
fn an_import_as_a_version_is_that_version_or_changes_nothing() {
    let engine = Engine::new();
    let store = &engine.control;
    let (a, b) = ([building("A", &["10.1.0.0/24"])], [building("B", &["10.2.0.0/24"])]);
    let put = |file: &[FileBuilding], version, seconds| {
        let by = Act::by_operator(at(NOW, seconds));
        store.import_as(file, version, &by).unwrap().map(|done| done.version)
    };
    assert_eq!(put(&a, 1, 0), Some(1));
    let count = |store: &dyn Control| {
        (store.audit(FOREVER, at(NOW, DAY), 99).unwrap().len(), store.inventory_changes())
    };
    let before = count(store);
    // Two looked at the same time: both were told that theirs would be version 2.
    for wrong in [0, 1, 3] {
        assert_eq!(put(&b, wrong, 1), None, "{wrong}");
    }
    assert_eq!(store.buildings().unwrap()[0].name, "A");
    assert_eq!(store.building_files(9).unwrap().len(), 1);
    assert_eq!(count(store).0, before.0, "nothing was done, so nothing is told");
    assert_eq!(put(&b, 2, 2), Some(2));
    assert_eq!(put(&a, 2, 3), None, "the other one was faster");
    assert_eq!(put(&b, 2, 4), Some(2), "what is in force already changes nothing");
    assert_eq!(store.buildings().unwrap()[0].name, "B");
}

#[test]
fn imports_of_the_same_moment_and_of_a_clock_that_went_back_work() {
    let engine = Engine::new();
    let store = &engine.control;
    for (moment, name) in [(NOW, "A"), (NOW, "B"), (at(NOW, -HOUR), "C"), (NOW, "D")] {
        import(store, &[building(name, &["10.1.0.0/24"])], moment);
        assert_eq!(store.buildings().unwrap()[0].name, name);
        assert_eq!(store.subnets().unwrap().len(), 1);
    }
}

#[test]
fn names_and_identities_of_agents_are_unique() {
    let engine = Engine::new();
    let store = &engine.control;
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    for taken in [agent(2, "hh-1", Binding::Address), agent(1, "hh-2", Binding::Address)] {
        assert_eq!(add(store, &taken).unwrap_err().kind(), ErrorKind::Conflict);
    }
    let simulated = NewAgent {
        simulated: true,
        secret_sha256: [9; 32],
        ..agent(3, "aa-sim", enrolled("10.1.0.0/24", Some("198.51.100.0/28")))
    };
    add(store, &simulated).unwrap();
    let agents = store.agents().unwrap();
    assert_eq!(agents.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["aa-sim", "hh-1"]);
    assert_eq!((agents[0].binding, agents[0].added), (simulated.binding, NOW));
    assert!(agents[0].simulated && agents[0].sighting.is_none() && agents[0].placement.is_none());
    let secret = |id| store.agent_secret(AgentId::from_u128(id)).unwrap();
    assert_eq!(secret(1), Some(([7; 32], false)));
    assert_eq!(secret(3), Some(([9; 32], true)));
    assert_eq!(secret(4), None);
}

#[test]
fn what_was_seen_of_an_agent_is_kept() {
    let engine = Engine::new();
    let store = &engine.control;
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    let seen = sighting(at(NOW, 5), "10.1.0.7/24", "2001:db8::7");
    store.saw_agent(AgentId::from_u128(1), &seen).unwrap();
    assert_eq!(store.agents().unwrap()[0].sighting, Some(seen.clone()));
    let stranger = store.saw_agent(AgentId::from_u128(2), &seen).unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::NotFound);
    // What it did not say this time, as at the beginning of each connection, it said before.
    let silent = Sighting { at: at(NOW, 6), local_prefix: None, ..seen.clone() };
    store.saw_agent(AgentId::from_u128(1), &silent).unwrap();
    let kept = Sighting { local_prefix: seen.local_prefix, ..silent };
    assert_eq!(store.agents().unwrap()[0].sighting, Some(kept));
}

#[test]
fn several_agents_are_seen_at_once_and_strangers_among_them_spoil_nothing() {
    let engine = Engine::new();
    let store = &engine.control;
    add(store, &agent(1, "hh-1", Binding::Address)).unwrap();
    add(store, &agent(3, "hh-3", Binding::Address)).unwrap();
    let seen = [1, 2, 3, 4].map(|n| {
        let prefix = format!("10.{n}.0.7/24");
        (AgentId::from_u128(n), sighting(at(NOW, 5), &prefix, "2001:db8::7"))
    });
    assert_eq!(store.saw_agents(&seen).unwrap(), [true, false, true, false]);
    let kept: Vec<_> = store.agents().unwrap().into_iter().map(|agent| agent.sighting).collect();
    assert_eq!(kept, [Some(seen[0].1.clone()), Some(seen[2].1.clone())]);
    assert_eq!(store.saw_agents(&[]).unwrap(), Vec::<bool>::new());
}

/// Where an agent with this binding is placed, by network name.
#[track_caller]
fn check_place(binding: Binding, seen: Option<&Sighting>, expected: Option<&str>) {
    let engine = Engine::new();
    let store = &engine.control;
    let mut north = building("North", &["10.0.0.0/8", "10.1.0.0/16", "2001:db8:1::/48"]);
    north.subnets.push(subnet("192.168.0.0/24", Some("198.51.100.0/28")));
    let mut south = building("South", &["10.1.2.0/25", "10.1.2.128/25"]);
    south.subnets.push(subnet("192.168.0.0/24", Some("203.0.113.0/28")));
    import(store, &[north, south], NOW);
    add(store, &agent(1, "a", binding)).unwrap();
    if let Some(seen) = seen {
        store.saw_agent(AgentId::from_u128(1), seen).unwrap();
    }
    let names: HashMap<_, _> = store
        .subnets()
        .unwrap()
        .into_iter()
        .map(|s| (s.id, (s.building, s.columns.network_name, s.egress)))
        .collect();
    let placed = store.agents().unwrap().remove(0).placement;
    let told = placed.map(|placement| {
        let (building, name, egress) = &names[&placement.subnet];
        assert_eq!(*building, placement.building);
        assert_eq!(store.placements().unwrap(), [placement]);
        egress.map_or_else(|| name.clone(), |egress| format!("{name} via {egress}"))
    });
    assert_eq!(told.as_deref(), expected, "{binding:?} {seen:?}");
}

#[test]
fn an_agent_is_where_its_enrolment_or_its_address_says() {
    let address = |local, peer| sighting(NOW, local, peer);
    check_place(enrolled("10.1.0.0/16", None), None, Some("net 10.1.0.0/16"));
    check_place(enrolled("10.1.0.0/24", None), None, None);
    // The enrolment counts, not what the agent says.
    let elsewhere = address("10.1.2.7/25", "203.0.113.1");
    check_place(enrolled("10.0.0.0/8", None), Some(&elsewhere), Some("net 10.0.0.0/8"));
    // Two buildings share the prefix: the egress must tell.
    check_place(enrolled("192.168.0.0/24", None), None, None);
    let via = Some("net 192.168.0.0/24 via 203.0.113.0/28");
    check_place(enrolled("192.168.0.0/24", Some("203.0.113.0/28")), None, via);
    check_place(enrolled("192.168.0.0/24", Some("192.0.2.0/28")), None, None);
    // By address: the longest prefix.
    check_place(Binding::Address, None, None);
    check_place(Binding::Address, Some(&address("10.9.9.0/24", "")), Some("net 10.0.0.0/8"));
    check_place(Binding::Address, Some(&address("10.1.9.0/24", "")), Some("net 10.1.0.0/16"));
    check_place(Binding::Address, Some(&address("10.1.2.200/24", "")), Some("net 10.1.2.128/25"));
    check_place(
        Binding::Address,
        Some(&address("2001:db8:1:2::5/64", "")),
        Some("net 2001:db8:1::/48"),
    );
    check_place(Binding::Address, Some(&address("172.16.0.0/24", "")), None);
    // A network that two subnets share half each is in neither; the one around both holds it.
    check_place(Binding::Address, Some(&address("10.1.2.0/24", "")), Some("net 10.1.0.0/16"));
    // By address and egress.
    check_place(Binding::Address, Some(&address("192.168.0.5/24", "203.0.113.9")), via);
    check_place(Binding::Address, Some(&address("192.168.0.5/24", "::ffff:203.0.113.9")), via);
    check_place(Binding::Address, Some(&address("192.168.0.5/24", "192.0.2.1")), None);
    check_place(Binding::Address, Some(&address("192.168.0.5/24", "")), None);
}

#[test]
fn placements_are_dated_and_the_first_holds_for_all_time_before() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    add(store, &agent(1, "a", Binding::Address)).unwrap();
    let see = |minute: i64, local: &str| {
        store.saw_agent(id, &sighting(at(NOW, minute * MINUTE), local, "")).unwrap();
    };
    see(0, "10.1.0.0/24");
    assert_eq!(store.placements().unwrap(), []);
    import(store, &[building("A", &["10.1.0.0/24", "10.2.0.0/24"])], at(NOW, 10 * MINUTE));
    let ids = subnet_ids(store);
    let (a, home) = (ids["10.1.0.0/24"], by_name(store)["A"].id);
    let placement =
        |subnet, building, from, until| Placement { agent: id, subnet, building, from, until };
    let first = placement(a, home, FOREVER, None);
    assert_eq!(store.placements().unwrap(), [first]);
    see(20, "10.1.0.0/24");
    assert_eq!(store.placements().unwrap(), [first], "nothing changed");
    see(30, "10.2.0.0/24");
    see(40, "172.16.0.0/24");
    see(50, "10.1.0.0/24");
    let minute = |minute: i64| at(NOW, minute * MINUTE);
    let history = [
        placement(a, home, FOREVER, Some(minute(30))),
        placement(ids["10.2.0.0/24"], home, minute(30), Some(minute(40))),
        placement(a, home, minute(50), None),
    ];
    assert_eq!(store.placements().unwrap(), history);
    assert_eq!(store.agents().unwrap()[0].placement, Some(history[2]));
    // The subnet moves to another building: the agent's placement follows, from the import on.
    let moved = [building("A", &["10.2.0.0/24"]), building("B", &["10.1.0.0/24"])];
    import(store, &moved, minute(60));
    let now = store.placements().unwrap();
    assert_eq!(now[2].until, Some(minute(60)));
    assert_eq!(now[3], placement(a, by_name(store)["B"].id, minute(60), None));
    // It leaves the file: nowhere.
    import(store, &moved[..1], minute(70));
    assert_eq!(store.placements().unwrap()[3].until, Some(minute(70)));
    assert_eq!(store.agents().unwrap()[0].placement, None);
}

#[test]
fn changes_of_the_inventory_are_counted_and_nothing_else_is() {
    let engine = Engine::new();
    let store = &engine.control;
    let mut before = store.inventory_changes().unwrap();
    let mut check = |what: &str, expected: bool| {
        let now = store.inventory_changes().unwrap();
        assert_eq!(now != before, expected, "{what}");
        before = now;
    };
    check("nothing happened", false);
    let by = |minute: i64| Act::by_operator(at(NOW, minute * MINUTE));
    let id = AgentId::from_u128(1);
    let see = |minute: i64, local: &str| {
        store.saw_agent(id, &sighting(at(NOW, minute * MINUTE), local, "")).unwrap();
    };
    add(store, &agent(1, "a", Binding::Address)).unwrap();
    check("an agent is new", true);
    see(1, "10.1.0.0/24");
    check("it was seen where nobody is", false);
    let file = [building("A", &["10.1.0.0/24", "10.2.0.0/24"])];
    import(store, &file, at(NOW, 2 * MINUTE));
    check("buildings are new", true);
    import(store, &file, at(NOW, 3 * MINUTE));
    check("the same file again", false);
    see(4, "10.1.0.0/24");
    check("it was seen where it was", false);
    see(5, "10.2.0.0/24");
    check("it was seen elsewhere", true);
    store.write_judgement(&JudgeWrite::default(), at(NOW, 6 * MINUTE)).unwrap();
    store.note(&by(7), AuditAction::AgentBound, AuditSubject::Agent(id), "").unwrap();
    check("verdicts and the audit are none of it", false);
    store.bind_agent(id, enrolled("10.1.0.0/24", None), &by(8)).unwrap();
    check("it is bound", true);
    let closed = FileBuilding { holidays: [date(2026, 12, 24)].into(), ..file[0].clone() };
    import(store, &[closed], at(NOW, 9 * MINUTE));
    check("a holiday was told", true);
    store.remove_agent(id, &by(10)).unwrap();
    check("it was removed", true);
    assert!(store.add_agent(&agent(1, "a", Binding::Address), &by(11)).is_err());
    check("what was refused", false);
}

#[test]
fn prefixes_that_no_file_knows_are_listed_with_most_agents_first() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    for (id, name, local) in [
        (1, "known", "10.1.0.5/24"),
        (2, "lonely", "172.16.0.9/24"),
        (3, "x", "172.17.0.1/24"),
        (4, "b", "172.17.0.2/24"),
    ] {
        add(store, &agent(id, name, Binding::Address)).unwrap();
        let seen = sighting(at(NOW, id as i64), local, "");
        store.saw_agent(AgentId::from_u128(id), &seen).unwrap();
    }
    add(store, &agent(5, "enrolled", enrolled("10.1.0.0/24", None))).unwrap();
    let seen = sighting(NOW, "172.18.0.1/24", "");
    store.saw_agent(AgentId::from_u128(5), &seen).unwrap();
    add(store, &agent(6, "unseen", Binding::Address)).unwrap();
    let missing = store.missing_prefixes().unwrap();
    let told: Vec<_> =
        missing.iter().map(|m| (m.prefix.to_string(), m.agents.join(" "), m.last_seen)).collect();
    let expected = [
        ("172.17.0.0/24".to_owned(), "b x".to_owned(), at(NOW, 4)),
        ("172.16.0.0/24".to_owned(), "lonely".to_owned(), at(NOW, 2)),
        ("172.18.0.0/24".to_owned(), "enrolled".to_owned(), NOW),
    ];
    assert_eq!(told, expected);
}
