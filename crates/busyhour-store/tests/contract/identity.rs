//! The contract of identities: tokens, certificates, states.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{
    Act, AgentCertificate, Approval, AuditAction, Binding, ConfirmedSession, Control as _,
    Enrolment, ErrorKind, Identities as _, IdentityRefusal, IdentityState, LetIn, NewToken,
    SqliteControl, TokenId, TokenPlace, TokenRefusal, open,
};
use tempfile::TempDir;

use crate::control::{by_name, enrolled, import, sighting};
use crate::fixtures::{DAY, Engine, HOUR, MINUTE, NOW, RETENTION, at, building};

const SECRET: [u8; 32] = [9; 32];

fn by(moment: UtcMicros) -> Act {
    Act::by_operator(moment)
}

/// A store with two buildings.
fn engine() -> Engine {
    let engine = Engine::new();
    let file =
        [building("Hafen", &["10.1.0.0/24", "10.1.1.0/24"]), building("Alster", &["10.2.0.0/24"])];
    import(&engine.control, &file, NOW);
    engine
}

fn place(store: &SqliteControl, name: &str, subnet: Option<&str>) -> TokenPlace {
    let subnet = subnet.map(|prefix| (prefix.parse().unwrap(), None));
    TokenPlace { building: by_name(store)[name].id, subnet }
}

fn pier(store: &SqliteControl) -> TokenPlace {
    place(store, "Hafen", Some("10.1.0.0/24"))
}

/// For one agent in `place`.
pub(crate) fn token(place: TokenPlace, number: u64) -> NewToken {
    NewToken {
        id: TokenId::from_bits(number),
        secret_sha256: SECRET,
        place,
        peers: None,
        uses: 1,
        approval: Approval::Automatic,
        expires: at(NOW, DAY),
    }
}

fn certificate(number: u8, from: UtcMicros) -> AgentCertificate {
    AgentCertificate {
        serial: [number; 16],
        key_sha256: [number; 32],
        from: at(from, -5 * MINUTE),
        until: at(from, 14 * DAY),
    }
}

pub(crate) fn enrolment(token: u64, agent: u8) -> Enrolment {
    Enrolment {
        token: TokenId::from_bits(token),
        secret_sha256: SECRET,
        peer: "10.1.0.9".parse().ok(),
        agent: AgentId::from_u128(u128::from(agent)),
        certificate: certificate(agent, NOW),
        at: NOW,
    }
}

/// A store with an agent 1 that a token let in.
fn with_agent(approval: Approval) -> (Engine, AgentId) {
    let engine = engine();
    let store = &engine.control;
    store.add_token(&NewToken { approval, ..token(pier(store), 1) }, &by(NOW)).unwrap();
    let let_in = store.enrol(&enrolment(1, 1)).unwrap().unwrap();
    (engine, let_in.agent)
}

fn actions(store: &SqliteControl) -> Vec<AuditAction> {
    let mut entries = store.audit(UtcMicros(i64::MIN), UtcMicros(i64::MAX), 999).unwrap();
    entries.reverse();
    entries.iter().skip(1).map(|entry| entry.action).collect()
}

fn admit(
    store: &SqliteControl,
    certificate: &AgentCertificate,
    session: u64,
    moment: UtcMicros,
) -> Result<(), IdentityRefusal> {
    store.admit(AgentId::from_u128(1), certificate, Some(session), moment).unwrap()
}

fn state(store: &SqliteControl) -> (IdentityState, bool) {
    let rows = store.identities().unwrap();
    (rows[0].state, rows[0].late)
}

#[test]
fn a_token_lets_an_agent_into_its_subnet_and_building() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let row = &store.agents().unwrap()[0];
    assert_eq!((row.id, row.name.as_str()), (agent, "Hafen-00000001"));
    assert_eq!(row.binding, enrolled("10.1.0.0/24", None));
    assert_eq!(row.placement.unwrap().building, by_name(store)["Hafen"].id);
    assert_eq!(store.agent_secret(agent).unwrap(), None, "no secret lets it in");
    let known = &store.identities().unwrap()[0];
    assert_eq!((known.agent, known.state), (agent, IdentityState::Active));
    assert_eq!((known.certificate, known.next), (certificate(1, NOW), None));
    assert_eq!((known.token, known.subnet), (TokenId::from_bits(1), "10.1.0.0/24".parse().ok()));
    assert_eq!(actions(store), [AuditAction::TokenMade, AuditAction::AgentEnrolled]);
    let told = store.tokens().unwrap().remove(0);
    assert_eq!((told.uses, told.uses_left, told.refused), (1, 0, 0));
    assert_eq!(told.created_by, "local operator");
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_tells_why_no_more() {
    let engine = engine();
    let store = &engine.control;
    store.add_token(&NewToken { uses: 2, ..token(pier(store), 1) }, &by(NOW)).unwrap();
    let peers = "10.1.0.0/24".parse().ok();
    store.add_token(&NewToken { peers, ..token(pier(store), 2) }, &by(NOW)).unwrap();
    store.add_token(&token(pier(store), 3), &by(NOW)).unwrap();
    store.revoke_token(TokenId::from_bits(3), &by(NOW)).unwrap();
    store.add_token(&token(pier(store), 4), &by(NOW)).unwrap();
    let enrol = |enrolment: Enrolment| store.enrol(&enrolment).unwrap().map(|let_in| let_in.agent);
    let wrong = |e: Enrolment| Enrolment { secret_sha256: [8; 32], ..e };
    assert_eq!(enrol(wrong(enrolment(1, 1))), Err(TokenRefusal::Unknown));
    assert_eq!(enrol(enrolment(77, 1)), Err(TokenRefusal::Unknown));
    for agent in 1..=2 {
        enrol(enrolment(1, agent)).unwrap();
    }
    assert_eq!(enrol(enrolment(1, 3)), Err(TokenRefusal::Used));
    for peer in ["10.2.0.1", "::ffff:10.2.0.1", ""] {
        let elsewhere = Enrolment { peer: peer.parse().ok(), ..enrolment(2, 4) };
        assert_eq!(enrol(elsewhere), Err(TokenRefusal::Address), "{peer}");
    }
    let mapped = Enrolment { peer: "::ffff:10.1.0.1".parse().ok(), ..enrolment(2, 4) };
    enrol(mapped).unwrap();
    assert_eq!(enrol(enrolment(3, 5)), Err(TokenRefusal::Revoked));
    let late = Enrolment { at: at(NOW, DAY), ..enrolment(4, 6) };
    assert_eq!(enrol(late), Err(TokenRefusal::Expired));
    let known = Enrolment { certificate: certificate(1, NOW), ..enrolment(4, 7) };
    assert_eq!(enrol(known), Err(TokenRefusal::Key), "a key that another agent has");
    let agents = store.agents().unwrap();
    assert_eq!(agents.len(), 3);
    let refused: Vec<_> = store.tokens().unwrap().iter().map(|t| (t.id, t.refused)).collect();
    let id = TokenId::from_bits;
    assert_eq!(refused, [(id(1), 1), (id(2), 3), (id(3), 1), (id(4), 2)]);
}

#[test]
fn refusals_of_one_token_stop_being_written() {
    let engine = engine();
    let store = &engine.control;
    store.add_token(&token(pier(store), 1), &by(NOW)).unwrap();
    for agent in 1..=40 {
        let _ = store.enrol(&enrolment(1, agent)).unwrap();
    }
    assert_eq!(store.tokens().unwrap()[0].refused, 16);
    let refusals = actions(store).iter().filter(|a| **a == AuditAction::TokenRefused).count();
    assert_eq!(refusals, 16);
}

#[test]
fn a_lost_reply_costs_no_token() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let again = |minutes: i64, serial: u8| {
        let moment = at(NOW, minutes * MINUTE);
        let certificate = AgentCertificate { serial: [serial; 16], ..certificate(1, moment) };
        let enrolment =
            Enrolment { agent: AgentId::from_u128(99), certificate, at: moment, ..enrolment(1, 1) };
        store.enrol(&enrolment).unwrap().map(|let_in: LetIn| let_in.agent)
    };
    assert_eq!(again(9, 50), Ok(agent));
    assert_eq!(store.identities().unwrap()[0].certificate.serial, [50; 16]);
    assert_eq!(again(11, 51), Err(TokenRefusal::Key), "too late");
    assert_eq!((store.agents().unwrap().len(), store.tokens().unwrap()[0].uses_left), (1, 0));
}

#[test]
fn a_token_of_a_place_that_is_not_there_is_not_kept() {
    let engine = engine();
    let store = &engine.control;
    let foreign = TokenPlace {
        subnet: place(store, "Alster", Some("10.2.0.0/24")).subnet,
        ..place(store, "Hafen", None)
    };
    let error = store.add_token(&NewToken { place: foreign, ..token(pier(store), 1) }, &by(NOW));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    store.add_token(&token(pier(store), 1), &by(NOW)).unwrap();
    let twice = store.add_token(&token(pier(store), 1), &by(NOW)).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    let none = store.revoke_token(TokenId::from_bits(2), &by(NOW)).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
    assert_eq!(actions(store), [AuditAction::TokenMade]);
}

#[test]
fn of_sixty_four_that_redeem_one_token_at_once_one_gets_in_a_thousand_times() {
    const ROUNDS: u64 = 1_000;
    const RACERS: u64 = 64;
    // Without a disk behind it: what is raced for is the transaction.
    let memory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let (_, control) = open(memory.path(), RETENTION).unwrap();
    let store = &control;
    import(store, &[building("Hafen", &["10.1.0.0/24"])], NOW);
    let (begin, end, won) =
        (Barrier::new(RACERS as usize + 1), Barrier::new(RACERS as usize + 1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for racer in 0..RACERS {
            let (begin, end, won) = (&begin, &end, &won);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let number = u128::from(round * RACERS + racer + 1);
                    let mut key = [0; 32];
                    key[..16].copy_from_slice(&number.to_be_bytes());
                    let certificate = AgentCertificate { key_sha256: key, ..certificate(1, NOW) };
                    let agent = AgentId::from_u128(number);
                    let enrolment = Enrolment { agent, certificate, ..enrolment(round, 1) };
                    begin.wait();
                    if store.enrol(&enrolment).unwrap().is_ok() {
                        won.fetch_add(1, Ordering::Relaxed);
                    }
                    end.wait();
                }
            });
        }
        for round in 0..ROUNDS {
            store.add_token(&token(pier(store), round), &by(NOW)).unwrap();
            begin.wait();
            end.wait();
            assert_eq!(won.swap(0, Ordering::Relaxed), 1, "round {round}");
        }
    });
    assert_eq!(store.agents().unwrap().len(), ROUNDS as usize);
}

fn confirm(store: &SqliteControl, agent: AgentId, shown: &AgentCertificate, next: u64) {
    store.confirm(&[ConfirmedSession { agent, shown: *shown, next }]).unwrap();
}

#[test]
fn the_next_certificate_takes_over_when_it_was_used() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let (first, week) = (certificate(1, NOW), at(NOW, 7 * DAY));
    let second = certificate(2, week);
    store.renew(agent, &first, &second, week).unwrap().unwrap();
    for shown in [&first, &second] {
        assert_eq!(admit(store, shown, 0, week), Ok(()), "both are good");
    }
    confirm(store, agent, &first, 1);
    assert_eq!(store.identities().unwrap()[0].next, Some(second), "only its use counts");
    confirm(store, agent, &second, 2);
    let known = store.identities().unwrap().remove(0);
    assert_eq!((known.certificate, known.next), (second, None));
    assert_eq!(admit(store, &second, 2, week), Ok(()));
    assert_eq!(state(store).0, IdentityState::Active);
    assert_eq!(admit(store, &first, 2, week), Err(IdentityRefusal::Quarantined), "a clone");
    assert_eq!(admit(store, &second, 2, week), Err(IdentityRefusal::Quarantined), "both are out");
}

#[test]
fn a_session_that_is_over_is_a_clone_and_a_lost_confirmation_is_not() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let shown = certificate(1, NOW);
    confirm(store, agent, &shown, 5);
    for session in [5, 6, 900] {
        assert_eq!(admit(store, &shown, session, NOW), Ok(()), "{session}");
    }
    assert_eq!(store.admit(agent, &shown, None, NOW).unwrap(), Ok(()));
    assert_eq!(admit(store, &shown, 4, NOW), Err(IdentityRefusal::Quarantined));
    assert_eq!(state(store).0, IdentityState::Quarantined);
    let refused = store.renew(agent, &shown, &certificate(2, NOW), NOW).unwrap();
    assert_eq!(refused.unwrap_err(), IdentityRefusal::Quarantined);
    store.approve(agent, &by(NOW)).unwrap();
    assert_eq!(admit(store, &shown, 4, NOW), Ok(()), "whichever comes first goes on");
    let expected = [
        AuditAction::TokenMade,
        AuditAction::AgentEnrolled,
        AuditAction::AgentQuarantined,
        AuditAction::AgentApproved,
    ];
    assert_eq!(actions(store), expected);
}

#[test]
fn sessions_are_confirmed_together_and_an_unknown_agent_spoils_none() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let shown = certificate(1, NOW);
    let nobody = AgentId::from_u128(404);
    let confirmed = [(nobody, 9), (agent, 3), (agent, 2)];
    let sessions = confirmed.map(|(agent, next)| ConfirmedSession { agent, shown, next });
    store.confirm(&sessions).unwrap();
    assert_eq!(admit(store, &shown, 3, NOW), Ok(()), "the highest counts");
    assert_eq!(admit(store, &shown, 2, NOW), Err(IdentityRefusal::Quarantined));
}

#[test]
fn what_a_restored_store_does_not_know_is_taken_over() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let later = at(NOW, 8 * DAY);
    let unknown = certificate(7, later);
    assert_eq!(admit(store, &unknown, 12, later), Ok(()));
    confirm(store, agent, &unknown, 13);
    assert_eq!(store.identities().unwrap()[0].certificate, unknown);
}

#[test]
fn an_expired_certificate_renews_for_ninety_days_with_its_own_key() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let shown = certificate(1, NOW);
    let moment = at(NOW, 20 * DAY);
    assert_eq!(admit(store, &shown, 0, moment), Err(IdentityRefusal::Expired));
    let other_key = store.renew(agent, &shown, &certificate(2, moment), moment).unwrap();
    assert_eq!(other_key.unwrap_err(), IdentityRefusal::Key);
    let same_key = AgentCertificate { serial: [2; 16], ..certificate(1, moment) };
    let renewed = store.renew(agent, &shown, &same_key, moment).unwrap().unwrap();
    assert_eq!((renewed.state, renewed.building.as_str()), (IdentityState::Active, "Hafen"));
    assert_eq!(admit(store, &same_key, 0, moment), Ok(()));
    assert_eq!(state(store), (IdentityState::Active, true), "and it is flagged");

    confirm(store, agent, &same_key, 1);
    let much_later = at(moment, (14 + 90) * DAY + 1);
    let third = AgentCertificate { serial: [3; 16], ..certificate(1, much_later) };
    let renewed = store.renew(agent, &same_key, &third, much_later).unwrap().unwrap();
    assert_eq!(renewed.state, IdentityState::Waiting);
    assert_eq!(admit(store, &third, 1, much_later), Err(IdentityRefusal::Waiting));
    store.approve(agent, &by(much_later)).unwrap();
    assert_eq!(admit(store, &third, 1, much_later), Ok(()));
    assert_eq!(state(store), (IdentityState::Active, false));
}

#[test]
fn who_waits_is_approved_alone_or_with_the_building() {
    let engine = engine();
    let store = &engine.control;
    let manual = Approval::Manual;
    for (number, name) in [(1, "Hafen"), (2, "Hafen"), (3, "Alster")] {
        let place = place(store, name, None);
        let token = NewToken { approval: manual, place, ..token(pier(store), number) };
        store.add_token(&token, &by(NOW)).unwrap();
        store.enrol(&enrolment(number, u8::try_from(number).unwrap())).unwrap().unwrap();
    }
    let agent = |number| AgentId::from_u128(number);
    assert_eq!(admit(store, &certificate(1, NOW), 0, NOW), Err(IdentityRefusal::Waiting));
    let hafen = by_name(store)["Hafen"].id;
    assert_eq!(store.approve_building(hafen, &by(NOW)).unwrap(), [agent(1), agent(2)]);
    assert_eq!(store.approve_building(hafen, &by(NOW)).unwrap(), []);
    assert_eq!(admit(store, &certificate(1, NOW), 0, NOW), Ok(()));
    store.approve(agent(3), &by(NOW)).unwrap();
    store.revoke(agent(3), "stolen", &by(NOW)).unwrap();
    assert_eq!(store.approve(agent(3), &by(NOW)).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.approve(agent(9), &by(NOW)).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.revoke(agent(9), "", &by(NOW)).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn who_was_revoked_or_removed_does_nothing_and_its_key_is_never_taken_again() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let store = &engine.control;
    let shown = certificate(1, NOW);
    store.revoke(agent, "stolen", &by(at(NOW, HOUR))).unwrap();
    assert_eq!(admit(store, &shown, 0, NOW), Err(IdentityRefusal::Revoked));
    let renewed = store.renew(agent, &shown, &certificate(2, NOW), NOW).unwrap();
    assert_eq!(renewed.unwrap_err(), IdentityRefusal::Revoked);
    assert_eq!(store.agents().unwrap()[0].placement, None);
    store.saw_agent(agent, &sighting(at(NOW, 2 * HOUR), "10.1.0.7/24", "10.1.0.7")).unwrap();
    assert_eq!(store.agents().unwrap()[0].placement, None, "nothing places it again");

    store.add_token(&token(pier(store), 2), &by(NOW)).unwrap();
    let banned = Enrolment { certificate: shown, ..enrolment(2, 2) };
    assert_eq!(store.enrol(&banned).unwrap().unwrap_err(), TokenRefusal::Key);
    store.enrol(&enrolment(2, 3)).unwrap().unwrap();
    let third = AgentId::from_u128(3);
    store.remove_agent(third, &by(NOW)).unwrap();
    let refused = store.admit(third, &certificate(3, NOW), None, NOW).unwrap();
    assert_eq!(refused, Err(IdentityRefusal::Revoked));
    store.forget_agent(third, &[], &Default::default(), &by(NOW)).unwrap();
    let refused = store.admit(third, &certificate(3, NOW), None, NOW).unwrap();
    assert_eq!(refused, Err(IdentityRefusal::Unknown));
}

#[test]
fn an_agent_elsewhere_than_its_enrolment_says_is_off_site_and_nowhere() {
    let engine = engine();
    let store = &engine.control;
    let whole = NewToken { place: place(store, "Hafen", None), ..token(pier(store), 1) };
    store.add_token(&whole, &by(NOW)).unwrap();
    store.add_token(&token(pier(store), 2), &by(NOW)).unwrap();
    for number in 1..=2 {
        store.enrol(&enrolment(number, u8::try_from(number).unwrap())).unwrap().unwrap();
    }
    let agent = |number| AgentId::from_u128(number);
    let see = |number, hour: i64, local: &str| {
        let seen = sighting(at(NOW, hour * HOUR), local, "192.0.2.1");
        store.saw_agent(agent(number), &seen).unwrap();
        let row = store.identities().unwrap().into_iter().find(|row| row.agent == agent(number));
        let agents = store.agents().unwrap();
        let placed = agents.iter().find(|row| row.id == agent(number)).unwrap().placement;
        (row.unwrap().off_site, placed.is_some())
    };
    assert_eq!(see(1, 1, "10.1.1.7/24"), (false, true), "any subnet of the building will do");
    assert_eq!(see(1, 2, "10.2.0.7/24"), (true, false), "another building's will not");
    assert_eq!(see(1, 3, "192.168.7.7/24"), (true, false), "nor nobody's");
    assert_eq!(see(1, 4, "10.1.0.7/24"), (false, true), "it came back");
    assert_eq!(see(2, 5, "10.1.1.7/24"), (true, false), "it is bound to another subnet");
    assert_eq!(see(2, 6, "10.1.0.7/24"), (false, true));
    let alster = enrolled("10.2.0.0/24", None);
    store.bind_agent(agent(2), alster, &by(at(NOW, 7 * HOUR))).unwrap();
    assert_eq!(see(2, 8, "10.2.0.7/24"), (false, true), "an operator moved it");
    assert_ne!(alster, Binding::Address);
}

#[test]
fn identities_survive_a_restart() {
    let (engine, agent) = with_agent(Approval::Automatic);
    let week = at(NOW, 7 * DAY);
    confirm(&engine.control, agent, &certificate(1, NOW), 3);
    engine
        .control
        .renew(agent, &certificate(1, NOW), &certificate(2, week), week)
        .unwrap()
        .unwrap();
    let (tokens, identities) =
        (engine.control.tokens().unwrap(), engine.control.identities().unwrap());
    let engine = engine.reopen();
    assert_eq!(engine.control.tokens().unwrap(), tokens);
    assert_eq!(engine.control.identities().unwrap(), identities);
    let refused = admit(&engine.control, &certificate(1, NOW), 2, NOW);
    assert_eq!(refused, Err(IdentityRefusal::Quarantined));
}
