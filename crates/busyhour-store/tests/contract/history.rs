//! The control contract: what was in force at another time.

use busyhour_model::{AgentId, FileBuilding, Placement, UtcMicros, building_file};
use busyhour_store::{
    Act, Actor, Binding, Control, DatedBinding, ErrorKind, FileVersion, InventoryAt, NewAgent,
};
use sha2::{Digest as _, Sha256};

use crate::control::{add, agent, by_name, enrolled, import, sighting, subnet_ids};
use crate::fixtures::{DAY, Engine, HOUR, MINUTE, NOW, at, building};

fn names(inventory: &InventoryAt) -> (Option<u32>, String, String) {
    let buildings: Vec<_> = inventory.buildings.iter().map(|b| b.name.as_str()).collect();
    let subnets: Vec<_> = inventory.subnets.iter().map(|s| s.prefix.to_string()).collect();
    (inventory.file.as_ref().map(|file| file.number), buildings.join(" "), subnets.join(" "))
}

#[track_caller]
fn check_at(store: &dyn Control, moment: UtcMicros, version: u32, buildings: &str, subnets: &str) {
    let found = names(&store.inventory_at(moment).unwrap());
    assert_eq!(found, (Some(version), buildings.to_owned(), subnets.to_owned()));
}

/// Every version that was ever in force can be told from its digest, and is what it was.
#[track_caller]
fn check_digests(store: &dyn Control) {
    for version in store.building_files(usize::MAX).unwrap() {
        if version.until.is_some_and(|until| until <= version.from) {
            continue;
        }
        let then = store.inventory_at(version.from).unwrap();
        assert_eq!(then.file.as_ref(), Some(&version));
        let file = building_file::from_inventory(&then.buildings, &then.subnets);
        let text = building_file::export(&file) + &building_file::export_companion(&file);
        assert_eq!(version.sha256, <[u8; 32]>::from(Sha256::digest(text)), "{version:?}");
        let counts = (then.buildings.len(), then.subnets.len());
        assert_eq!(counts, (version.buildings as usize, version.subnets as usize));
    }
}

#[test]
fn each_import_that_changes_something_is_a_version() {
    let engine = Engine::new();
    let store = &engine.control;
    assert_eq!(store.building_files(9).unwrap(), []);
    assert_eq!(store.inventory_at(NOW).unwrap(), InventoryAt::default());
    let eva = Act { at: NOW, actor: Actor::new("eva").unwrap() };
    let first = [building("A", &["10.1.0.0/24", "10.2.0.0/24"])];
    store.import_buildings(&first, &eva).unwrap();
    let again = import(store, &first, at(NOW, HOUR));
    assert_eq!(again.version, 1, "nothing changed");
    // Only a city: no count tells it.
    let moved = [FileBuilding { city: "Kiel".to_owned(), ..first[0].clone() }];
    assert_eq!(import(store, &moved, at(NOW, DAY)).version, 2);
    import(store, &[building("B", &["10.9.0.0/24"])], at(NOW, 2 * DAY));
    let versions = store.building_files(9).unwrap();
    let told: Vec<_> = versions.iter().map(|v| (v.number, v.from, v.until)).collect();
    let expected = [
        (3, at(NOW, 2 * DAY), None),
        (2, at(NOW, DAY), Some(at(NOW, 2 * DAY))),
        (1, NOW, Some(at(NOW, DAY))),
    ];
    assert_eq!(told, expected);
    let counts = |version: &FileVersion| (version.buildings, version.subnets);
    assert_eq!(versions.iter().map(counts).collect::<Vec<_>>(), [(1, 1), (1, 2), (1, 2)]);
    assert_eq!(versions[2].actor.as_deref(), Some("eva"));
    assert_eq!(versions[2].imported, NOW);
    assert_eq!(store.building_files(1).unwrap(), versions[..1]);
    check_digests(store);
}

#[test]
fn the_inventory_of_another_time_is_what_was_in_force_then() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24", "10.2.0.0/24"]), building("B", &[])], NOW);
    import(
        store,
        &[building("Anew", &["10.1.0.0/24", "10.2.0.0/24"]), building("C", &["10.3.0.0/24"])],
        at(NOW, DAY),
    );
    check_at(store, NOW, 1, "A B", "10.1.0.0/24 10.2.0.0/24");
    check_at(store, at(NOW, DAY - 1), 1, "A B", "10.1.0.0/24 10.2.0.0/24");
    check_at(store, at(NOW, DAY), 2, "Anew C", "10.1.0.0/24 10.2.0.0/24 10.3.0.0/24");
    let before = store.inventory_at(at(NOW, -1)).unwrap();
    assert_eq!(names(&before), (None, String::new(), String::new()));
    let now = store.inventory_at(at(NOW, 9 * DAY)).unwrap();
    assert_eq!(
        (&now.buildings, &now.subnets),
        (&store.buildings().unwrap(), &store.subnets().unwrap())
    );
    let then = store.inventory_at(NOW).unwrap();
    assert_eq!(then.buildings[0].id, now.buildings[0].id, "a rename keeps the identity");
    check_digests(store);
}

#[test]
fn the_order_of_lines_in_a_file_says_nothing() {
    let engine = Engine::new();
    let store = &engine.control;
    let prefixes = ["10.10.0.0/24", "2001:db8::/48", "10.9.0.0/24"];
    import(store, &[building("B", &prefixes), building("A", &["10.1.0.0/24"])], NOW);
    let turned: Vec<_> = prefixes.into_iter().rev().collect();
    let summary =
        import(store, &[building("A", &["10.1.0.0/24"]), building("B", &turned)], at(NOW, 1));
    assert_eq!(summary.version, 1);
    let order: Vec<_> = store.subnets().unwrap().iter().map(|s| s.prefix.to_string()).collect();
    assert_eq!(order, ["10.1.0.0/24", "10.9.0.0/24", "10.10.0.0/24", "2001:db8::/48"]);
}

#[test]
fn a_clock_that_goes_back_leaves_no_two_truths() {
    let engine = Engine::new();
    let store = &engine.control;
    let file = |city: &str, name: &str, prefix: &str| {
        let first = FileBuilding { city: city.to_owned(), ..building("A", &["10.1.0.0/24"]) };
        [first, building(name, &[prefix])]
    };
    import(store, &file("Kiel", "B", "10.2.0.0/24"), NOW);
    import(store, &file("Bonn", "C", "10.3.0.0/24"), at(NOW, 2 * HOUR));
    import(store, &file("Ulm", "C", "10.3.0.0/24"), at(NOW, 3 * HOUR));
    // An hour after the first, the clock says: what came later begins here.
    import(store, &file("Ulm", "D", "10.3.0.0/24"), at(NOW, HOUR));
    let dates: Vec<_> =
        store.building_files(9).unwrap().iter().map(|v| (v.number, v.from, v.until)).collect();
    let hour = at(NOW, HOUR);
    let never = |number| (number, hour, Some(hour));
    assert_eq!(dates, [(4, hour, None), never(3), never(2), (1, NOW, Some(hour))]);
    check_at(store, at(hour, -1), 1, "A B", "10.1.0.0/24 10.2.0.0/24");
    for moment in [hour, at(NOW, 2 * HOUR), at(NOW, 9 * DAY)] {
        check_at(store, moment, 4, "A D", "10.1.0.0/24 10.3.0.0/24");
        assert_eq!(store.inventory_at(moment).unwrap().buildings[0].city, "Ulm");
    }
    assert_eq!(store.inventory_at(NOW).unwrap().buildings[0].city, "Kiel");
    check_digests(store);
}

#[test]
fn placements_of_another_time_are_told_and_do_not_overlap_after_a_clock_went_back() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    import(store, &[building("A", &["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"])], NOW);
    add(store, &agent(1, "a", Binding::Address)).unwrap();
    let ids = subnet_ids(store);
    let see = |minute: i64, local: &str| {
        store.saw_agent(id, &sighting(at(NOW, minute * MINUTE), local, "")).unwrap();
    };
    see(1, "10.1.0.0/24");
    see(20, "10.2.0.0/24");
    see(10, "10.3.0.0/24");
    let placed = |minute: i64| {
        let then = store.inventory_at(at(NOW, minute * MINUTE)).unwrap().placements;
        then.iter().map(|placement| placement.subnet).collect::<Vec<_>>()
    };
    assert_eq!(placed(9), [ids["10.1.0.0/24"]]);
    for minute in [10, 15, 20, 99] {
        assert_eq!(placed(minute), [ids["10.3.0.0/24"]], "{minute}");
    }
}

#[test]
fn an_agent_is_bound_anew_from_then_on() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"]), building("B", &["10.2.0.0/24"])], NOW);
    let (ids, homes) = (subnet_ids(store), by_name(store));
    let (id, later) = (AgentId::from_u128(1), at(NOW, DAY));
    let (first, second) = (enrolled("10.1.0.0/24", None), enrolled("10.2.0.0/24", None));
    add(store, &agent(1, "a", first)).unwrap();
    store.bind_agent(id, enrolled("10.1.0.9/24", None), &Act::by_operator(at(NOW, 1))).unwrap();
    let dated = |binding, from, until| DatedBinding { binding, from, until };
    assert_eq!(store.bindings(id).unwrap(), [dated(first, NOW, None)], "the same, said otherwise");
    store.bind_agent(id, second, &Act::by_operator(later)).unwrap();
    let history = [dated(first, NOW, Some(later)), dated(second, later, None)];
    assert_eq!(store.bindings(id).unwrap(), history);
    let row = store.agents().unwrap().remove(0);
    assert_eq!((row.binding, row.added), (second, NOW));
    let placement = |subnet: &str, home: &str, from, until| Placement {
        agent: id,
        subnet: ids[subnet],
        building: homes[home].id,
        from,
        until,
    };
    let expected = [
        placement("10.1.0.0/24", "A", UtcMicros(i64::MIN), Some(later)),
        placement("10.2.0.0/24", "B", later, None),
    ];
    assert_eq!(store.placements().unwrap(), expected);
    let stranger = AgentId::from_u128(2);
    let refused = store.bind_agent(stranger, second, &Act::by_operator(later)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(store.bindings(stranger).unwrap(), []);
}

#[test]
fn who_is_removed_delivers_no_more_but_stays_in_history() {
    let engine = Engine::new();
    let store = &engine.control;
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    let (id, later) = (AgentId::from_u128(1), at(NOW, DAY));
    add(store, &agent(1, "hh-1", enrolled("10.1.0.0/24", None))).unwrap();
    store.remove_agent(id, &Act::by_operator(later)).unwrap();
    assert_eq!(store.agent_secret(id).unwrap(), None);
    let row = store.agents().unwrap().remove(0);
    assert_eq!((row.name.as_str(), row.removed, row.placement), ("hh-1", Some(later), None));
    assert_eq!(store.placements().unwrap()[0].until, Some(later));
    assert_eq!(store.bindings(id).unwrap()[0].until, Some(later));
    assert_eq!(store.inventory_at(NOW).unwrap().placements.len(), 1);
    // Nothing brings it back: no sighting, no import, no second removal.
    let by = Act::by_operator(at(later, 1));
    let seen = sighting(by.at, "10.1.0.7/24", "");
    for refused in [
        store.saw_agent(id, &seen),
        store.remove_agent(id, &by),
        store.bind_agent(id, Binding::Address, &by),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    }
    import(store, &[building("B", &["10.1.0.0/24"])], at(later, 2));
    assert_eq!(store.agents().unwrap()[0].placement, None);
    assert_eq!(store.missing_prefixes().unwrap(), []);
    // Its name is free, its identity is not.
    let heir = NewAgent { added: at(later, 3), ..agent(2, "hh-1", Binding::Address) };
    add(store, &heir).unwrap();
    let taken = add(store, &agent(1, "hh-9", Binding::Address)).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let names: Vec<_> =
        store.agents().unwrap().into_iter().map(|a| (a.name, a.removed.is_some())).collect();
    assert_eq!(names, [("hh-1".to_owned(), true), ("hh-1".to_owned(), false)]);
}

#[test]
fn an_agent_whose_address_is_not_known_any_more_is_where_it_was() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    import(store, &[building("A", &["10.1.0.0/24"])], NOW);
    add(store, &agent(1, "a", Binding::Address)).unwrap();
    store.saw_agent(id, &sighting(NOW, "10.1.0.7/24", "192.0.2.1")).unwrap();
    let home = store.agents().unwrap()[0].placement;
    assert!(home.is_some());
    let retention = crate::retention::KEPT;
    store.prune(at(NOW, 40 * DAY), &retention).unwrap();
    import(store, &[building("A", &["10.1.0.0/24", "10.2.0.0/24"])], at(NOW, 41 * DAY));
    assert_eq!(store.agents().unwrap()[0].placement, home);
    import(store, &[building("A", &["10.2.0.0/24"])], at(NOW, 42 * DAY));
    assert_eq!(store.agents().unwrap()[0].placement, None, "its subnet is gone");
}
