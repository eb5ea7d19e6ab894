//! The accounts contract: users, sessions, API tokens, and the audit's chain.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Barrier;

use busyhour_model::{BuildingId, UtcMicros};
use busyhour_store::{
    AccountName, Accounts, Act, Actor, AuditAction, AuditSubject, Control, ControlRetention,
    ErrorKind, Grant, InvalidAccount, NewApiToken, NewSession, NewUser, Proven, ProvenUser, Reach,
    Role, SqliteControl, UserNo,
};
use rusqlite::Connection;

use crate::fixtures::{DAY, Engine, HOUR, NOW, at};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// All that there was before.
const KEPT_LONG: ControlRetention = ControlRetention {
    audit_days: 10,
    sightings_days: 900,
    agents_days: 900,
    placements_days: 900,
    path_verdicts_days: 900,
    verdicts_days: 900,
    incidents_days: 900,
    deliveries_days: 900,
    inventory_days: 900,
};

fn by(name: &str, moment: UtcMicros) -> Act {
    Act { at: moment, actor: Actor::new(name).unwrap() }
}

fn name(text: &str) -> AccountName {
    AccountName::new(text).unwrap()
}

fn user(called: &str, role: Role) -> NewUser {
    let grant = Grant::new(role, Reach::All).unwrap();
    NewUser { name: name(called), password_hash: format!("hash of {called}"), grant }
}

fn session(user: UserNo, token: u8, expires: UtcMicros) -> NewSession {
    NewSession { token_sha256: [token; 32], user, expires, peer: HERE }
}

/// Puts in what every golden database holds.
pub(crate) fn fill(store: &SqliteControl) {
    let later = |n| by("eva", at(NOW, 10 * DAY + n));
    let eva = store.add_first_administrator(&user("eva", Role::Viewer), &later(0)).unwrap();
    let some = Reach::only(vec![BuildingId::from_u128(3)]);
    let limited = Grant::new(Role::Operator, some).unwrap();
    let vera = NewUser { grant: limited.clone(), ..user("vera", Role::Viewer) };
    store.add_user(&vera, &later(1)).unwrap();
    store.begin_session(&session(eva, 1, at(NOW, 11 * DAY)), &later(2)).unwrap();
    let token = NewApiToken {
        token_sha256: [7; 32],
        name: name("grafana"),
        grant: limited,
        expires: at(NOW, 40 * DAY),
    };
    store.add_api_token(&token, &later(3)).unwrap();
    store.prove_user(&proven("7", "paula", Role::Auditor), &later(4)).unwrap();
}

const ISSUER: &str = "https://login.example.org";

fn proven(subject: &str, called: &str, role: Role) -> ProvenUser {
    let grant = Grant::new(role, Reach::All).unwrap();
    ProvenUser::new((ISSUER.to_owned(), subject.to_owned()), name(called), grant).unwrap()
}

/// Reads back what [`fill`] put in.
pub(crate) fn check(store: &SqliteControl) {
    let users = store.users().unwrap();
    let told: Vec<_> = users.iter().map(|u| (u.name.as_str(), u.grant.role())).collect();
    let expected =
        [("eva", Role::Administrator), ("paula", Role::Auditor), ("vera", Role::Operator)];
    assert_eq!(told, expected);
    assert_eq!(users[1].issuer.as_deref(), Some(ISSUER));
    assert!(users[2].grant.reach().has(BuildingId::from_u128(3)));
    let begun = store.session(&[1; 32], at(NOW, 10 * DAY + 2)).unwrap().unwrap();
    assert_eq!(begun.user.name.as_str(), "eva");
    let token = store.api_token(&[7; 32], at(NOW, 10 * DAY)).unwrap().unwrap();
    assert_eq!((token.name.as_str(), token.made_by.as_str()), ("grafana", "eva"));
    let chain = store.audit_chain().unwrap();
    assert_eq!(chain.broken_at, None);
    assert_eq!(store.chained_audit(chain.head - 1, 9).unwrap()[0].link, chain.head_link);
}

#[test]
fn the_first_administrator_is_added_once() {
    let engine = Engine::new();
    let store = &engine.control;
    assert!(!store.has_administrator().unwrap());
    store.add_user(&user("vera", Role::Viewer), &by("setup", NOW)).unwrap();
    assert!(!store.has_administrator().unwrap());
    let first = user("eva", Role::Viewer);
    store.add_first_administrator(&first, &by("setup", NOW)).unwrap();
    assert!(store.has_administrator().unwrap());
    let (eva, hash) = store.user_password("eva").unwrap().unwrap();
    assert_eq!((eva.grant, hash.as_str()), (Grant::administrator(), "hash of eva"));
    let second = user("max", Role::Administrator);
    let refused = store.add_first_administrator(&second, &by("setup", NOW)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(store.users().unwrap().len(), 2);
}

#[test]
fn of_many_who_race_to_be_the_first_administrator_one_wins() {
    let engine = Engine::new();
    let start = Barrier::new(8);
    let race = |number: u32| {
        let contender = user(&format!("u{number}"), Role::Administrator);
        start.wait();
        engine.control.add_first_administrator(&contender, &by("setup", NOW)).is_ok()
    };
    let won = std::thread::scope(|scope| {
        let race = &race;
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || race(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    assert_eq!(engine.control.users().unwrap().len(), 1);
}

#[test]
fn whom_a_provider_proves_is_a_user_of_its_own_with_what_the_claims_of_now_give() {
    let engine = Engine::new();
    let store = &engine.control;
    let eva = store.add_user(&user("eva", Role::Administrator), &by("setup", NOW)).unwrap();
    let come = |subject: &str, called: &str, role: Role| {
        store.prove_user(&proven(subject, called, role), &by("collector", NOW)).unwrap()
    };
    let Proven::User(paula) = come("7", "paula", Role::Viewer) else { panic!("she comes in") };
    assert_eq!((paula.grant.role(), paula.issuer.as_deref()), (Role::Viewer, Some(ISSUER)));
    assert_eq!(store.user_password("paula").unwrap().unwrap().1, "", "no password is hers");

    // Another name of the same subject is the same user; the same name of another one is not.
    let Proven::User(later) = come("7", "paula.older", Role::Auditor) else { panic!("again") };
    assert_eq!((later.number, later.name.as_str()), (paula.number, "paula"));
    assert_eq!(later.grant.role(), Role::Auditor);
    for taken in ["paula", "eva"] {
        assert_eq!(come("8", taken, Role::Viewer), Proven::NameTaken);
    }
    assert_eq!(store.user_password("eva").unwrap().unwrap().0.number, eva);

    // What she may is the provider's to say, and she gets no password beside it.
    let administrator = Grant::administrator();
    let (to, act) = (paula.number, by("eva", NOW));
    let refused = store.change_user(to, &administrator, &act).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let refused = store.set_password(to, "hash", None, &act).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let told: Vec<_> = store.chained_audit(1, 9).unwrap();
    let told: Vec<_> =
        told.iter().map(|row| (row.entry.action, row.entry.detail.as_str())).collect();
    let expected = [
        (AuditAction::UserAdded, "role=viewer buildings=all issuer=https://login.example.org"),
        (AuditAction::UserChanged, "role=auditor buildings=all before: role=viewer buildings=all"),
    ];
    assert_eq!(told, expected);
    store.begin_session(&session(to, 5, at(NOW, DAY)), &act).unwrap();
    store.begin_session(&session(eva, 6, at(NOW, DAY)), &act).unwrap();
    store.disprove_user(ISSUER, "8", &act).unwrap();
    assert!(store.session(&[5; 32], NOW).unwrap().is_some(), "that was somebody else");
    store.disprove_user(ISSUER, "7", &act).unwrap();
    assert_eq!(store.session(&[5; 32], NOW).unwrap(), None);
    let nothing = Grant::new(Role::Viewer, Reach::only(Vec::new())).unwrap();
    assert_eq!(store.user_password("paula").unwrap().unwrap().0.grant, nothing);
    store.begin_session(&session(to, 7, at(NOW, DAY)), &act).unwrap();
    store.end_proven_sessions().unwrap();
    assert_eq!(store.session(&[7; 32], NOW).unwrap(), None);
    assert!(store.session(&[6; 32], NOW).unwrap().is_some(), "a local user's goes on");
    store.remove_user(to, &act).unwrap();
    let Proven::User(anew) = come("7", "paula", Role::Viewer) else { panic!("anew") };
    assert_ne!(anew.number, paula.number);
}

#[test]
fn no_provider_makes_an_administrator() {
    let who = || ("https://login.example.org".to_owned(), "7".to_owned());
    let made = ProvenUser::new(who(), name("paula"), Grant::administrator());
    assert_eq!(made, Err(InvalidAccount::ProvenAdministrator));
    let viewer = Grant::new(Role::Viewer, Reach::All).unwrap();
    for (issuer, subject) in [("", "7"), ("https://a.example", ""), ("a", &"x".repeat(256))] {
        let made =
            ProvenUser::new((issuer.to_owned(), subject.to_owned()), name("p"), viewer.clone());
        assert_eq!(made, Err(InvalidAccount::Subject));
    }
}

#[test]
fn the_only_administrator_stays_one() {
    let engine = Engine::new();
    let store = &engine.control;
    let eva = store.add_user(&user("eva", Role::Administrator), &by("setup", NOW)).unwrap();
    let viewer = Grant::new(Role::Viewer, Reach::All).unwrap();
    let refused = store.change_user(eva, &viewer, &by("eva", NOW)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(store.remove_user(eva, &by("eva", NOW)).unwrap_err().kind(), ErrorKind::Conflict);
    let max = store.add_user(&user("max", Role::Administrator), &by("eva", NOW)).unwrap();
    store.change_user(eva, &viewer, &by("max", NOW)).unwrap();
    assert_eq!(store.remove_user(max, &by("max", NOW)).unwrap_err().kind(), ErrorKind::Conflict);
    store.remove_user(eva, &by("max", NOW)).unwrap();
    let unknown = store.remove_user(eva, &by("max", NOW)).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let again = store.add_user(&user("eva", Role::Viewer), &by("max", NOW)).unwrap();
    assert!(again > eva, "a number is never given again");
}

#[test]
fn a_session_is_its_users_until_it_expires_or_is_ended() {
    let engine = Engine::new();
    let store = &engine.control;
    let buildings = vec![BuildingId::from_u128(9), BuildingId::from_u128(3)];
    let limited = Grant::new(Role::Operator, Reach::only(buildings)).unwrap();
    let vera = NewUser { grant: limited.clone(), ..user("vera", Role::Viewer) };
    let vera = store.add_user(&vera, &by("eva", NOW)).unwrap();
    let until = at(NOW, HOUR);
    store.begin_session(&session(vera, 1, until), &by("vera", at(NOW, 5))).unwrap();
    let found = store.session(&[1; 32], at(NOW, 6)).unwrap().unwrap();
    assert_eq!((found.user.grant, found.used, found.expires), (limited, at(NOW, 5), until));
    assert_eq!(found.user.signed_in, Some(at(NOW, 5)));
    assert_eq!(store.session(&[2; 32], NOW).unwrap(), None);
    assert_eq!(store.session(&[1; 32], until).unwrap(), None, "it expired");
    store.use_session(&[1; 32], at(NOW, 9)).unwrap();
    let engine = engine.reopen();
    let store = &engine.control;
    assert_eq!(store.session(&[1; 32], at(NOW, 9)).unwrap().unwrap().used, at(NOW, 9));
    let viewer = Grant::new(Role::Viewer, Reach::All).unwrap();
    store.change_user(vera, &viewer, &by("eva", NOW)).unwrap();
    assert_eq!(store.session(&[1; 32], NOW).unwrap().unwrap().user.grant, viewer, "at once");
    store.end_session(&[1; 32]).unwrap();
    store.end_session(&[1; 32]).unwrap();
    assert_eq!(store.session(&[1; 32], NOW).unwrap(), None);
    let nobody = store.begin_session(&session(UserNo(99), 3, until), &by("x", NOW));
    assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_new_password_ends_the_other_sessions_and_a_removed_user_has_none() {
    let engine = Engine::new();
    let store = &engine.control;
    let eva = store.add_user(&user("eva", Role::Administrator), &by("setup", NOW)).unwrap();
    let vera = store.add_user(&user("vera", Role::Viewer), &by("eva", NOW)).unwrap();
    let until = at(NOW, HOUR);
    for (whose, token) in [(vera, 1), (vera, 2), (vera, 3), (eva, 4)] {
        store.begin_session(&session(whose, token, until), &by("x", NOW)).unwrap();
    }
    let alive = || {
        (1..=4u8)
            .filter(|token| store.session(&[*token; 32], NOW).unwrap().is_some())
            .collect::<Vec<_>>()
    };
    store.set_password(vera, "other", Some(&[2; 32]), &by("vera", NOW)).unwrap();
    assert_eq!(alive(), [2, 4]);
    assert_eq!(store.user_password("vera").unwrap().unwrap().1, "other");
    store.set_password(vera, "third", None, &by("eva", NOW)).unwrap();
    assert_eq!(alive(), [4]);
    store.begin_session(&session(vera, 5, until), &by("vera", NOW)).unwrap();
    store.remove_user(vera, &by("eva", NOW)).unwrap();
    assert_eq!(store.session(&[5; 32], NOW).unwrap(), None);
    assert_eq!(store.user_password("vera").unwrap(), None);
}

#[test]
fn sessions_are_bounded_by_user_and_those_that_are_over_go() {
    let engine = Engine::new();
    let store = &engine.control;
    let eva = store.add_user(&user("eva", Role::Administrator), &by("setup", NOW)).unwrap();
    for token in 0..20u8 {
        let begun = at(NOW, i64::from(token));
        store.begin_session(&session(eva, token, at(NOW, HOUR)), &by("eva", begun)).unwrap();
    }
    let alive = (0..20u8).filter(|token| store.session(&[*token; 32], NOW).unwrap().is_some());
    assert_eq!(alive.collect::<Vec<_>>(), (4..20).collect::<Vec<_>>(), "the newest 16");
    let later = at(NOW, 2 * HOUR);
    store.begin_session(&session(eva, 99, at(NOW, DAY)), &by("eva", later)).unwrap();
    let left = Connection::open(engine.directory.path().join("control.db")).unwrap();
    let left: i64 = left.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

#[test]
fn an_api_token_is_good_until_it_expires_or_is_revoked() {
    let engine = Engine::new();
    let store = &engine.control;
    let grant = Grant::new(Role::Viewer, Reach::All).unwrap();
    let expires = at(NOW, HOUR);
    let new = NewApiToken { token_sha256: [7; 32], name: name("grafana"), grant, expires };
    let number = store.add_api_token(&new, &by("eva", NOW)).unwrap();
    let twice = NewApiToken { token_sha256: [8; 32], ..new.clone() };
    let refused = store.add_api_token(&twice, &by("eva", NOW)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let found = store.api_token(&[7; 32], NOW).unwrap().unwrap();
    assert_eq!((found.number, found.made_by.as_str(), found.used), (number, "eva", None));
    store.use_api_token(number, at(NOW, 5)).unwrap();
    assert_eq!(store.api_tokens().unwrap()[0].used, Some(at(NOW, 5)));
    assert_eq!(store.api_token(&[8; 32], NOW).unwrap(), None);
    assert_eq!(store.api_token(&[7; 32], expires).unwrap(), None, "it expired");
    assert_eq!(store.api_tokens().unwrap().len(), 1, "and is still shown");
    store.revoke_api_token(number, &by("eva", NOW)).unwrap();
    assert_eq!(store.api_token(&[7; 32], NOW).unwrap(), None);
    let again = store.revoke_api_token(number, &by("eva", NOW)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

#[test]
fn every_change_of_accounts_is_audited_and_no_hash_is_in_it() {
    let engine = Engine::new();
    let store = &engine.control;
    let eva = store.add_first_administrator(&user("eva", Role::Viewer), &by("setup", NOW)).unwrap();
    let vera = store.add_user(&user("vera", Role::Viewer), &by("eva", at(NOW, 1))).unwrap();
    let some = Reach::only(vec![BuildingId::from_u128(3)]);
    let limited = Grant::new(Role::Operator, some).unwrap();
    store.change_user(vera, &limited, &by("eva", at(NOW, 2))).unwrap();
    store.set_password(vera, "hash again", None, &by("vera", at(NOW, 3))).unwrap();
    store.begin_session(&session(eva, 1, at(NOW, HOUR)), &by("eva", at(NOW, 4))).unwrap();
    let token = NewApiToken {
        token_sha256: [7; 32],
        name: name("grafana"),
        grant: limited,
        expires: at(NOW, HOUR),
    };
    let token = store.add_api_token(&token, &by("eva", at(NOW, 5))).unwrap();
    store.revoke_api_token(token, &by("eva", at(NOW, 6))).unwrap();
    store.remove_user(vera, &by("eva", at(NOW, 7))).unwrap();
    store.remove_user(vera, &by("eva", at(NOW, 8))).unwrap_err();
    let told = store.chained_audit(0, 99).unwrap();
    let told: Vec<String> = told
        .iter()
        .map(|chained| &chained.entry)
        .map(|e| format!("{} {} {} {}", e.by.actor, e.action.as_str(), e.subject, e.detail))
        .collect();
    let three = BuildingId::from_u128(3);
    let expected = [
        "setup add-user user 1 role=administrator buildings=all".to_owned(),
        "eva add-user user 2 role=viewer buildings=all".to_owned(),
        format!(
            "eva change-user user 2 role=operator buildings={three} before: role=viewer buildings=all"
        ),
        "vera set-password user 2 ".to_owned(),
        "eva sign-in user 1 from=127.0.0.1".to_owned(),
        format!("eva make-api-token api-token 1 name=grafana role=operator buildings={three}"),
        "eva revoke-api-token api-token 1 ".to_owned(),
        format!("eva remove-user user 2 name=vera role=operator buildings={three}"),
    ];
    assert_eq!(told, expected);
    assert!(!told.join("\n").contains("hash"));
}

fn note(store: &dyn Control, hours: i64, detail: &str) {
    let by = Act::by_collector(at(NOW, hours * HOUR));
    store.note(&by, AuditAction::JudgedAgain, AuditSubject::Store, detail).unwrap();
}

#[test]
fn the_chain_of_the_audit_holds_and_begins_where_retention_cut_it() {
    let engine = Engine::new();
    let store = &engine.control;
    let empty = store.audit_chain().unwrap();
    assert_eq!((empty.entries, empty.head, empty.broken_at), (0, 0, None));
    for hours in [-300, -290, -1, -280, 0] {
        note(store, hours, "x");
    }
    let before = store.audit_chain().unwrap();
    assert_eq!((before.entries, before.head, before.broken_at), (5, 5, None));
    let entries = store.chained_audit(0, 99).unwrap();
    assert_eq!(entries[4].link, before.head_link);
    let pruned = store.prune(NOW, &KEPT_LONG).unwrap();
    // The fourth is old, but stands behind one that is kept: a clock that went wrong shortens nothing.
    assert_eq!(pruned.audit, 2);
    let after = store.audit_chain().unwrap();
    assert_eq!((after.entries, after.pruned_to, after.broken_at), (3, 2, None));
    assert_eq!(after.head_link, before.head_link);
    store.prune(at(NOW, 900 * DAY), &KEPT_LONG).unwrap();
    assert_eq!(store.audit_chain().unwrap().head_link, before.head_link, "all are gone");
    note(store, 1, "y");
    let last = store.audit_chain().unwrap();
    assert_eq!((last.entries, last.head, last.broken_at), (1, 6, None));
    assert_eq!(store.chained_audit(5, 9).unwrap()[0].link, last.head_link);
    assert_eq!(store.chained_audit(6, 9).unwrap(), []);
}

#[test]
fn whoever_changes_the_audit_behind_the_collectors_back_breaks_its_chain() {
    for (change, broken_at) in [
        ("UPDATE audit SET detail = 'nothing' WHERE number = 2", Some(2)),
        ("UPDATE audit SET actor = 'somebody' WHERE number = 3", Some(3)),
        ("UPDATE audit SET at_us = at_us - 1 WHERE number = 1", Some(1)),
        ("DELETE FROM audit WHERE number = 2", Some(3)),
        ("DELETE FROM audit WHERE number = 1", Some(2)),
        ("UPDATE audit SET number = 9 WHERE number = 4", Some(9)),
        ("UPDATE audit_kept SET gone_number = 1", Some(1)),
        ("SELECT 1", None),
    ] {
        let engine = Engine::new();
        (0..4).for_each(|hours| note(&engine.control, hours, "x"));
        let sound = engine.control.audit_chain().unwrap();
        let connection = Connection::open(engine.directory.path().join("control.db")).unwrap();
        connection
            .execute_batch(
                "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_kept; \
                 DROP TRIGGER audit_is_not_replaced;",
            )
            .unwrap();
        connection.execute_batch(change).unwrap();
        let found = engine.control.audit_chain().unwrap();
        assert_eq!(found.broken_at, broken_at, "{change}");
        assert_eq!(broken_at.is_none(), found == sound, "{change}");
    }
}
