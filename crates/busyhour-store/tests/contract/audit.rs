//! The control contract: who did what.

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{
    Act, Actor, AuditAction, AuditSubject, Binding, Control, ErrorKind, Forgotten,
};

use crate::control::{agent, import};
use crate::fixtures::{DAY, Engine, HOUR, NOW, at, building};

const ALWAYS: (UtcMicros, UtcMicros) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));

fn by(name: &str, moment: UtcMicros) -> Act {
    Act { at: moment, actor: Actor::new(name).unwrap() }
}

/// All entries as "actor action subject", oldest first.
fn entries(store: &dyn Control) -> Vec<String> {
    let mut entries = store.audit(ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
    entries.reverse();
    entries.iter().map(|e| format!("{} {} {}", e.by.actor, e.action.as_str(), e.subject)).collect()
}

#[test]
fn what_people_do_is_in_the_audit() {
    let engine = Engine::new();
    let store = &engine.control;
    let id = AgentId::from_u128(1);
    let file = [building("A", &["10.1.0.0/24"])];
    store.import_buildings(&file, &by("eva", NOW)).unwrap();
    store.import_buildings(&file, &by("eva", at(NOW, 1))).unwrap();
    store.add_agent(&agent(1, "hh-keller-pc", Binding::Address), &by("max", at(NOW, 2))).unwrap();
    let bound = crate::control::enrolled("10.1.0.0/24", None);
    store.bind_agent(id, bound, &by("max", at(NOW, 3))).unwrap();
    store.remove_agent(id, &by("max", at(NOW, 4))).unwrap();
    let gone = Forgotten { paths: 3, windows: 40, slots: 5, others: 6, lingers: false };
    store.forget_agent(id, &[], &gone, &by("eva", at(NOW, 5))).unwrap();
    store
        .note(&Act::by_operator(at(NOW, 6)), AuditAction::Restored, AuditSubject::Store, "files=9")
        .unwrap();
    let expected = [
        "eva import building-file 1".to_owned(),
        "eva import building-file 1".to_owned(),
        format!("max add-agent agent {id}"),
        format!("max bind-agent agent {id}"),
        format!("max remove-agent agent {id}"),
        format!("eva forget-agent agent {id}"),
        "local operator restore store".to_owned(),
    ];
    assert_eq!(entries(store), expected);
    let told = store.audit(ALWAYS.0, ALWAYS.1, 99).unwrap();
    assert_eq!(told[0].by.at, at(NOW, 6));
    assert_eq!(told[0].detail, "files=9");
    assert_eq!(
        told[1].detail,
        "paths=3 windows=40 slots=5 others=6 placements=1 verdicts=0 incidents=0 loads=0 months=0"
    );
    assert_eq!(told[5].detail, "nothing changed");
    let sha: String = store.building_files(1).unwrap()[0]
        .sha256
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let first = &told[6].detail;
    assert!(first.starts_with("buildings=1 added=1 ") && first.ends_with(&sha), "{first}");
    assert!(!format!("{told:?}").contains("keller"), "no name of an agent outlives it here");
}

#[test]
fn what_did_not_happen_is_not_in_the_audit() {
    let engine = Engine::new();
    let store = &engine.control;
    let twice = [building("A", &["10.1.0.0/24"]), building("A", &["10.2.0.0/24"])];
    store.import_buildings(&twice, &by("eva", NOW)).unwrap_err();
    store.preview_import(&twice[..1], NOW).unwrap();
    let (stranger, by) = (AgentId::from_u128(9), by("eva", NOW));
    store.remove_agent(stranger, &by).unwrap_err();
    let refused = store.forget_agent(stranger, &[], &Forgotten::default(), &by).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    store.add_agent(&agent(1, "a", Binding::Address), &by).unwrap();
    store.add_agent(&agent(2, "a", Binding::Address), &by).unwrap_err();
    assert_eq!(entries(store).len(), 1);
}

#[test]
fn the_audit_is_read_by_time_newest_first() {
    let engine = Engine::new();
    let store = &engine.control;
    for hour in [3, 1, 2, 2] {
        let by = Act::by_collector(at(NOW, hour * HOUR));
        store.note(&by, AuditAction::JudgedAgain, AuditSubject::Store, "").unwrap();
    }
    let read = |from: i64, until: i64, limit| -> Vec<i64> {
        let (from, until) = (at(NOW, from * HOUR), at(NOW, until * HOUR));
        let entries = store.audit(from, until, limit).unwrap();
        entries.iter().map(|entry| entry.number).collect()
    };
    assert_eq!(read(0, 9, 9), [1, 4, 3, 2]);
    assert_eq!(read(1, 3, 9), [4, 3, 2]);
    assert_eq!(read(0, 9, 2), [1, 4]);
    assert_eq!(read(4, 9, 9), [] as [i64; 0]);
    let behind = |hour: i64, number, limit| -> Vec<i64> {
        let before = Some((at(NOW, hour * HOUR), number));
        let entries = store.audit_before(NOW, at(NOW, 9 * HOUR), before, limit).unwrap();
        entries.iter().map(|entry| entry.number).collect()
    };
    assert_eq!(behind(3, 1, 2), [4, 3], "numbers and moments need not go the same way");
    assert_eq!(behind(2, 4, 9), [3, 2], "of the same moment the number decides");
    assert_eq!(behind(2, 3, 9), [2]);
    assert_eq!(behind(1, 2, 9), [] as [i64; 0]);
    assert_eq!(behind(99, 1, 9), [1, 4, 3, 2]);
}

#[test]
fn settings_that_changed_are_in_the_audit_once() {
    let engine = Engine::new();
    let store = &engine.control;
    let note = |days: &str, moment| {
        let settings =
            [("retention.audit", days.to_owned()), ("retention.slots", "400d".to_owned())];
        store.note_settings(&settings, &Act::by_collector(moment)).unwrap()
    };
    assert_eq!(note("400d", NOW), 2);
    assert_eq!(note("400d", at(NOW, HOUR)), 0);
    let engine = engine.reopen();
    let store = &engine.control;
    let settings = [("retention.audit", "30d".to_owned())];
    assert_eq!(store.note_settings(&settings, &Act::by_collector(at(NOW, DAY))).unwrap(), 1);
    let told = store.audit(ALWAYS.0, ALWAYS.1, 99).unwrap();
    let details: Vec<_> = told.iter().map(|entry| entry.detail.as_str()).collect();
    let first = "retention.audit=400d retention.slots=400d";
    assert_eq!(details, ["retention.audit=400d->30d", first]);
    assert_eq!(told[0].by, Act::by_collector(at(NOW, DAY)));
    assert_eq!(told[0].action, AuditAction::SettingsChanged);
}

#[test]
fn a_full_disk_does_neither_the_act_nor_its_entry() {
    let engine = Engine::new();
    let store = &engine.control;
    store.limit_size(0).unwrap();
    let prefixes: Vec<_> = (0..500).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).collect();
    let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
    let large = [building("B", &prefixes)];
    let refused = store.import_buildings(&large, &by("eva", NOW)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!((entries(store), store.building_files(9).unwrap()), (vec![], vec![]));
    store.limit_size(u64::MAX).unwrap();
    import(store, &large, at(NOW, 1));
    assert_eq!(entries(store).len(), 1);
}
