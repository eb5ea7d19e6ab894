//! Who is answered, how fast, and who keeps a session.

use std::net::SocketAddr;

use busyhour_probe::{Admission, ProvisionedSession, ReflectorConfig};
use busyhour_wire::{BASE_LEN, Mode};
use ipnet::IpNet;

use crate::support::{Ask, Asked, key, port};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn only_allowed_sources_are_answered() {
    let allow = vec![net("192.0.2.0/25"), net("2001:db8::/48")];
    let mut asked = Asked::new(ReflectorConfig { allow, ..ReflectorConfig::default() });
    for (from, answered) in [
        ("192.0.2.127:1", true),
        ("192.0.2.128:1", false),
        ("[::ffff:192.0.2.127]:1", true),
        ("[2001:db8::9]:1", true),
        ("[2001:db8:1::9]:1", false),
    ] {
        assert_eq!(asked.ask(&Ask::new(16, 1), at(from)).is_some(), answered, "{from}");
    }
    assert_eq!((asked.reflector.stats().dropped_not_allowed, asked.reflector.sessions()), (2, 3));
}

#[test]
fn what_is_not_provisioned_is_dropped() {
    let session =
        |ssid, source| ProvisionedSession { ssid, source, key: None, short_requests: false };
    let sessions = vec![session(7, Some(net("192.0.2.0/24"))), session(9, None), session(7, None)];
    let config = |sessions| {
        let admission = Admission::Provisioned(sessions);
        Asked::new(ReflectorConfig { admission, ..ReflectorConfig::default() })
    };
    let mut nobody = config(Vec::new());
    assert_eq!(nobody.ask(&Ask::new(16, 7), port(1)), None, "an empty list is nobody");
    let mut some = config(sessions[..2].to_vec());
    let mut all = config(sessions);
    for (ssid, from, by_some, by_all) in [
        (7, "192.0.2.9:1", true, true),
        (7, "192.0.3.9:1", false, true),
        (9, "192.0.3.9:1", true, true),
        (8, "192.0.2.9:1", false, false),
    ] {
        let ask = Ask::new(16, ssid);
        assert_eq!(some.ask(&ask, at(from)).is_some(), by_some, "{ssid} {from}");
        assert_eq!(all.ask(&ask, at(from)).is_some(), by_all, "{ssid} {from}");
    }
    assert_eq!(some.reflector.stats().dropped_not_provisioned, 2);
}

#[test]
fn a_short_request_is_answered_for_sources_that_were_said_to_send_such() {
    let whole = Ask::new(16, 0).bytes();
    let answered = |session: ProvisionedSession, require_key, from: &str| {
        let admission = Admission::Provisioned(vec![session]);
        let config = ReflectorConfig { admission, require_key, ..ReflectorConfig::default() };
        let mut asked = Asked::new(config);
        let lengths: Vec<usize> = (0..BASE_LEN)
            .filter(|len| {
                let answer = asked.hand(Mode::Unauthenticated, &whole[..*len], at(from));
                assert!(answer.as_ref().is_none_or(|answer| answer.bytes.len() == BASE_LEN));
                answer.is_some()
            })
            .collect();
        let stats = asked.reflector.stats();
        assert_eq!((stats.short, stats.dropped_short), (lengths.len() as u64, 44 - stats.short));
        lengths
    };
    let source = Some(net("192.0.2.0/24"));
    let session = ProvisionedSession { ssid: 0, source, key: None, short_requests: true };
    let (inside, outside) = ("192.0.2.9:1", "192.0.3.9:1");
    assert_eq!(answered(session.clone(), false, inside), (14..44).collect::<Vec<_>>());
    assert_eq!(answered(session.clone(), false, outside), [0; 0]);
    assert_eq!(answered(session.clone(), true, inside), [0; 0]);
    let anybody = [None, Some(net("0.0.0.0/0"))];
    for source in anybody {
        assert_eq!(
            answered(ProvisionedSession { source, ..session.clone() }, false, inside),
            [0; 0]
        );
    }
    let refused = ProvisionedSession { short_requests: false, ..session.clone() };
    assert_eq!(answered(refused, false, inside), [0; 0]);
    let keyed = ProvisionedSession { key: Some(key()), ..session };
    assert_eq!(answered(keyed, false, inside), [0; 0]);
}

#[test]
fn the_answer_to_a_short_request_has_its_fields_and_zeros() {
    let source = Some(net("192.0.2.0/24"));
    let session = ProvisionedSession { ssid: 0, source, key: None, short_requests: true };
    let admission = Admission::Provisioned(vec![session]);
    let mut asked = Asked::new(ReflectorConfig { admission, ..ReflectorConfig::default() });
    let ask = Ask::new(16, 0);
    let answer = asked.hand(Mode::Unauthenticated, &ask.bytes()[..14], port(1)).unwrap();
    let packet = answer.packet();
    assert_eq!((packet.sequence, packet.sender_sequence, packet.ssid), (0, 16, 0));
    let short = asked.hand(Mode::Unauthenticated, &ask.bytes(), port(1)).unwrap().packet();
    assert_eq!(
        (packet.sender_sent, packet.sender_error_estimate),
        (short.sender_sent, short.sender_error_estimate)
    );
}

#[test]
fn a_flood_of_identifiers_from_one_address_forgets_its_own() {
    let config = ReflectorConfig { max_sessions_per_address: 10, ..ReflectorConfig::default() };
    let mut asked = Asked::new(config);
    let neighbour = at("192.0.2.8:1");
    for sequence in 16..18 {
        asked.counter(&Ask::new(sequence, 1), neighbour);
        asked.counter(&Ask::new(sequence, 1), port(7));
    }
    for ssid in 2..5_000 {
        assert!(asked.ask(&Ask::new(16, ssid), port(7)).is_some());
    }
    assert_eq!(asked.reflector.sessions(), 11);
    assert_eq!(asked.counter(&Ask::new(18, 1), neighbour), Some(2));
    assert_eq!(asked.counter(&Ask::new(18, 1), port(7)), Some(2), "a session that proved itself");
    assert!(asked.reflector.stats().sessions_displaced > 4_000);
}

#[test]
fn more_agents_behind_one_address_than_its_share_do_not_displace_each_other() {
    let config =
        ReflectorConfig { max_sessions_per_address: 10, seed: 1, ..ReflectorConfig::default() };
    let mut asked = Asked::new(config);
    let mut displaced = 0;
    for sequence in 16..1_000_u32 {
        let mut counted = 0;
        for ssid in 1..=15 {
            let answer = asked.ask(&Ask::new(sequence, ssid), port(40_000 + ssid)).unwrap();
            counted += u32::from(answer.packet().sequence < sequence);
        }
        if sequence > 500 {
            assert_eq!(counted, 10, "the same ten, one after the other");
        } else {
            displaced = asked.reflector.stats().sessions_displaced;
        }
        asked.pass(20);
    }
    assert_eq!(asked.reflector.stats().sessions_displaced, displaced, "it settled");
    assert_eq!(ReflectorConfig::default().max_sessions_per_address, 1_000);
}

#[test]
fn a_flood_from_many_addresses_forgets_no_session_that_proved_itself() {
    let config = ReflectorConfig { max_sessions: 100, ..ReflectorConfig::default() };
    let mut asked = Asked::new(config);
    for sequence in 16..18 {
        for ssid in 1..=50 {
            asked.counter(&Ask::new(sequence, ssid), port(ssid));
        }
    }
    for forged in 0..3_000_u32 {
        let from = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 | forged), 9));
        assert!(asked.ask(&Ask::new(16, 7), from).is_some());
        assert!(asked.reflector.sessions() <= 100);
    }
    for ssid in 1..=50 {
        assert_eq!(asked.counter(&Ask::new(18, ssid), port(ssid)), Some(2), "{ssid}");
    }
}

#[test]
fn who_holds_a_key_finds_room_among_strangers() {
    let config = ReflectorConfig {
        max_sessions: 20,
        max_sessions_per_address: 8,
        ..ReflectorConfig::default()
    };
    let mut asked = Asked::new(ReflectorConfig { keys: vec![key()], ..config });
    for sequence in 16..18 {
        for stranger in 1..=20_u8 {
            let from = SocketAddr::from(([203, 0, 113, stranger], 9));
            asked.counter(&Ask::new(sequence, 1), from);
        }
    }
    assert_eq!(asked.ask(&Ask::new(900, 2), port(2)).unwrap().packet().sequence, 900, "no room");
    for sequence in 16..19 {
        for ssid in 100..110 {
            let ask = Ask::new(sequence, ssid).sealed(&key());
            let counter = asked.ask(&ask, port(7)).unwrap().packet().sequence;
            assert_eq!(counter, sequence - 16, "beyond the share of an address, too");
        }
        asked.pass(20);
    }
    assert_eq!(asked.reflector.sessions(), 20);
}

#[test]
fn an_address_has_a_rate_and_so_have_all_together() {
    let mut config = ReflectorConfig::default();
    (config.rates.session, config.rates.address, config.rates.total) = (10, 25, 45);
    let mut asked = Asked::new(config);
    let mut answers = |from: fn(u16) -> SocketAddr| {
        let ask = |ssid| Ask::new(16, ssid);
        (1..=10)
            .flat_map(|ssid| [ssid; 12])
            .filter(|ssid| asked.ask(&ask(*ssid), from(*ssid)).is_some())
            .count()
    };
    assert_eq!(answers(|_| port(1)), 25, "of one address");
    // One network of 64 bits is one owner.
    assert_eq!(
        answers(|ssid| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, ssid], 1))),
        20,
        "in all"
    );
    assert_eq!(asked.reflector.stats().dropped_rate, 240 - 45);
}

#[test]
fn a_new_address_of_a_sender_without_a_key_goes_on_counting() {
    let mut asked = Asked::new(ReflectorConfig::default());
    for sequence in 16..100 {
        asked.counter(&Ask::new(sequence, 5), port(7));
    }
    for sequence in 100..110_u32 {
        assert_eq!(asked.counter(&Ask::new(sequence, 5), port(9)), Some(sequence - 16));
    }
    assert_eq!(asked.reflector.stats().sessions_forked, 1);
}

#[test]
fn a_stranger_with_somebodys_identifier_spoils_nothing() {
    // It guesses numbers and times as well as one can.
    let mut asked = Asked::new(ReflectorConfig::default());
    let stranger = |index: u16| SocketAddr::from(([203, 0, 113, 9], 1_000 + index));
    for sequence in 16..400_u32 {
        assert_eq!(asked.counter(&Ask::new(sequence, 5), port(7)), Some(sequence - 16));
        for ahead in 1..4 {
            asked.ask(&Ask::new(sequence + ahead, 5), stranger(sequence as u16)).unwrap();
        }
    }
    assert_eq!(asked.reflector.stats().sessions_moved, 0);
}

#[test]
fn another_sender_with_the_same_identifier_begins_at_0() {
    let mut asked = Asked::new(ReflectorConfig::default());
    for sequence in 16..100 {
        asked.counter(&Ask::new(sequence, 5), port(7));
    }
    // Its numbers, or its time, do not go on.
    assert_eq!(asked.counter(&Ask::new(16, 5), port(8)), Some(0));
    assert_eq!(asked.counter(&Ask::new(9_000, 5), port(9)), Some(0));
    let later = Ask { sent_ns: Ask::new(300, 5).sent_ns, ..Ask::new(101, 5) };
    assert_eq!(asked.counter(&later, port(10)), Some(0));
    // Without an identifier nothing is known.
    for sequence in 16..100 {
        asked.counter(&Ask::new(sequence, 0), port(7));
    }
    assert_eq!(asked.counter(&Ask::new(100, 0), port(11)), Some(0));
}
