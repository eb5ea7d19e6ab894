//! The contract of the calendar: who signed off what.

use busyhour_model::desk::Remark;
use busyhour_store::{
    Act, Actor, AuditAction, AuditSubject, Control as _, ControlRetention, Desk as _, DeskRefusal,
    SqliteControl, TaskWord,
};

use crate::fixtures::{DAY, Engine, HOUR, NOW, at};

fn by(name: &str, hours: i64) -> Act {
    Act { at: at(NOW, hours * HOUR), actor: Actor::new(name).unwrap() }
}

fn word(text: &str) -> TaskWord {
    TaskWord::new(text).unwrap()
}

/// What a golden database holds.
pub(crate) fn fill(store: &SqliteControl) {
    let note = Remark::new("what I saw").unwrap();
    let what = (word("quality-review"), word("2026-W34"));
    store.sign_off((&what.0, &what.1), Some(&note), &by("eva", 720)).unwrap().unwrap();
}

/// Reads back what [`fill`] put in.
pub(crate) fn check(store: &SqliteControl) {
    let found = &store.sign_offs(9).unwrap()[0];
    assert_eq!((found.task.as_str(), found.period.as_str()), ("quality-review", "2026-W34"));
    assert_eq!(found.note.as_ref().map(Remark::as_str), Some("what I saw"));
}

#[test]
fn a_sign_off_is_kept_with_who_and_when_and_is_in_the_audit_without_its_words() {
    let engine = Engine::new();
    let store = &engine.control;
    let (review, week) = (word("quality-review"), word("2026-W34"));
    let note = Remark::new("Berlin: ticket with the provider").unwrap();
    let first = store.sign_off((&review, &week), Some(&note), &by("eva", 1)).unwrap().unwrap();
    let second = store.sign_off((&review, &week), None, &by("omar", 2)).unwrap().unwrap();
    assert_eq!(
        (first.by.as_str(), first.at, first.note.as_ref()),
        ("eva", at(NOW, HOUR), Some(&note))
    );
    assert_eq!(store.sign_offs(9).unwrap(), [second.clone(), first], "the newest first");
    assert_eq!(store.sign_offs(1).unwrap(), [second]);
    let audit = store.audit(NOW, at(NOW, DAY), 9).unwrap();
    let told: Vec<_> =
        audit.iter().map(|entry| (entry.action, entry.subject, &*entry.detail)).collect();
    let expected =
        (AuditAction::TaskSignedOff, AuditSubject::Store, "task=quality-review period=2026-W34");
    assert_eq!(told, [expected, expected]);
}

#[test]
fn one_task_of_one_period_is_not_signed_off_without_end() {
    let engine = Engine::new();
    let store = &engine.control;
    let (task, week) = (word("quality-review"), word("2026-W34"));
    for _ in 0..20 {
        store.sign_off((&task, &week), None, &by("eva", 1)).unwrap().unwrap();
    }
    let refused = store.sign_off((&task, &week), None, &by("eva", 1)).unwrap().unwrap_err();
    assert_eq!(refused, DeskRefusal::TooMany { what: "sign-offs", most: 20 });
    store.sign_off((&task, &word("2026-W35")), None, &by("eva", 1)).unwrap().unwrap();
}

#[test]
fn what_is_no_name_of_a_task_is_refused() {
    for text in ["", "a b", "a/b", "naïve", "a\nb", &"x".repeat(41)] {
        assert!(TaskWord::new(text).is_err(), "{text:?}");
    }
    assert_eq!(word(&"x".repeat(40)).as_str().len(), 40);
}

#[test]
fn sign_offs_go_with_the_audit_of_their_time() {
    let engine = Engine::new();
    let store = &engine.control;
    for (week, days) in [("2026-W01", 0), ("2026-W02", 9)] {
        store.sign_off((&word("t"), &word(week)), None, &by("eva", days * 24)).unwrap().unwrap();
    }
    let retention = ControlRetention {
        audit_days: 10,
        sightings_days: 400,
        agents_days: 400,
        placements_days: 400,
        path_verdicts_days: 400,
        verdicts_days: 400,
        incidents_days: 400,
        deliveries_days: 400,
        inventory_days: 400,
    };
    store.prune(at(NOW, 15 * DAY), &retention).unwrap();
    let left: Vec<String> =
        store.sign_offs(9).unwrap().iter().map(|left| left.period.to_string()).collect();
    assert_eq!(left, ["2026-W02"]);
}
