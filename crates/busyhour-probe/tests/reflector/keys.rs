//! Keys: which mode a request is of, what a wrong key gets, and what is seen twice.

use std::net::SocketAddr;

use busyhour_probe::{Admission, Datagram, ProvisionedSession, ReflectorConfig};
use busyhour_wire::{
    CLASS_OF_SERVICE, EXTRA_PADDING, FLAG_INTEGRITY, FLAG_UNRECOGNIZED, HMAC, Mode,
    TIMESTAMP_INFORMATION, TlvIntegrity, Tlvs, check_tlvs, is_sealed,
};

use crate::support::{Ask, Asked, datagram, hex, key, ntp_ns, other_key, port};

fn keyed() -> ReflectorConfig {
    ReflectorConfig { keys: vec![other_key(), key()], ..ReflectorConfig::default() }
}

fn key_required() -> ReflectorConfig {
    ReflectorConfig { require_key: true, ..keyed() }
}

#[test]
fn a_request_that_verifies_is_answered_in_its_mode_under_its_key() {
    for config in [keyed(), key_required()] {
        let mut asked = Asked::new(config);
        let ask = Ask::new(16, 3).with(TIMESTAMP_INFORMATION, &[0; 4]).sealed(&key());
        let answer = asked.ask(&ask, port(7)).unwrap();
        assert!(is_sealed(&answer.bytes, &key()));
        assert_eq!(
            check_tlvs(Mode::Authenticated, &answer.bytes, Some(&key())),
            TlvIntegrity::Valid
        );
        let packet = answer.packet();
        assert_eq!((packet.sequence, packet.sender_sequence, packet.ssid), (0, 16, 3));
        assert_eq!(answer.tlv(TIMESTAMP_INFORMATION), (0, &[5, 2, 5, 2][..]));

        let ask = Ask::new(16, 4).with(TIMESTAMP_INFORMATION, &[0; 4]).under(&key());
        let answer = asked.ask(&ask, port(7)).unwrap();
        assert_eq!(
            check_tlvs(Mode::Unauthenticated, &answer.bytes, Some(&key())),
            TlvIntegrity::Valid
        );
        assert_eq!(answer.tlv(TIMESTAMP_INFORMATION), (0, &[5, 2, 5, 2][..]));
        assert_eq!(asked.reflector.stats().tlvs_refused, 0);
    }
}

#[test]
fn a_captured_authenticated_exchange_is_answered_as_its_reflector_did() {
    let request = "00000000000000000000000000000000ee6d329f014afa010001002a000000000000000000000000\
        00000000000000000000000000000000000000000000000000000000000000000000000000000000\
        0000000000000000000000000000000062c721b7528f87c402f959b4f565b579";
    let reply = "00000001000000000000000000000000ee6d329f0176311f0001002a00000000ee6d329f015c8130\
        000000000000000000000000000000000000000000000000ee6d329f014afa010001000000000000\
        4000000000000000000000000000000022cb7f6daa95627fcceea368c2c19c04";
    let (request, mut expected) = (hex(request), hex(reply));
    assert!(is_sealed(&request, &key()) && is_sealed(&expected, &key()), "both as captured");
    let mut asked = Asked::new(key_required());
    let (sent_ns, at_ns) = (ntp_ns(&expected[16..24]), ntp_ns(&expected[32..40]));
    let seen = Datagram { at_ns, ttl: Some(64), ..datagram(&request, port(7)) };
    let mut reply = asked.reflector.handle(&seen, asked.now).unwrap();
    reply.finish(sent_ns);
    let own = reply.bytes();
    // Our counter begins at 0 as the RFC says, our error estimate is our clock's, and times are rounded
    // to nanoseconds; the HMAC covers that.
    expected[3] = 0;
    for (from, to) in [(24, 26), (23, 24), (39, 40), (96, 112)] {
        expected[from..to].copy_from_slice(&own[from..to]);
    }
    assert_eq!(own, expected);
    assert!(is_sealed(own, &key()));
}

#[test]
fn a_wrong_key_is_not_answered_in_authenticated_mode() {
    let mut asked = Asked::new(keyed());
    let mut wrong = Ask::new(16, 3).sealed(&key()).bytes();
    wrong[40] ^= 1;
    assert_eq!(asked.hand(Mode::Authenticated, &wrong, port(7)), None, "a changed octet");
    let stranger = busyhour_wire::Key::new(b"a third key");
    assert_eq!(asked.ask(&Ask::new(16, 3).sealed(&stranger), port(7)), None);
    assert_eq!(asked.reflector.stats().dropped_unauthentic, 2);
    assert_eq!(asked.reflector.sessions(), 0);
}

#[test]
fn tlvs_that_do_not_verify_are_copied_with_i_and_not_used() {
    let stranger = busyhour_wire::Key::new(b"a third key");
    let wish = Ask::new(16, 3).with(CLASS_OF_SERVICE, &[10 << 2, 0, 0, 0]);
    let no_keys = ReflectorConfig::default();
    for (config, ask) in
        [(keyed(), wish.clone().under(&stranger)), (no_keys, wish.clone().under(&key()))]
    {
        let mut asked = Asked::new(config);
        let answer = asked.ask(&ask, port(7)).unwrap();
        let request = ask.bytes();
        let pairs = Tlvs::new(answer.tail()).zip(Tlvs::new(&request[44..]));
        for (told, asked) in pairs.map(|(told, asked)| (told.unwrap(), asked.unwrap())) {
            assert_eq!(told.flags, FLAG_UNRECOGNIZED | FLAG_INTEGRITY);
            assert_eq!((told.kind, told.value), (asked.kind, asked.value));
        }
        assert_eq!(answer.tos, 0xb8, "marked like the request, not as wished");
        assert_eq!(asked.reflector.stats().tlvs_refused, 1);
    }
    // In authenticated mode an HMAC TLV must be there, unless padding is all there is.
    let mut asked = Asked::new(keyed());
    for (kind, len, intact) in [(EXTRA_PADDING, 20, true), (CLASS_OF_SERVICE, 4, false)] {
        let ask = Ask { mode: Mode::Authenticated, ..Ask::new(16, kind.into()) };
        let mut bytes = ask.with(kind, &vec![0; len]).bytes();
        busyhour_wire::seal(&mut bytes, &key());
        let answer = asked.hand(Mode::Authenticated, &bytes, port(kind.into())).unwrap();
        assert!(is_sealed(&answer.bytes, &key()));
        assert_eq!(answer.tail()[0] & FLAG_INTEGRITY == 0, intact);
    }
}

#[test]
fn an_hmac_tlv_out_of_place_is_a_failure() {
    let mut asked = Asked::new(keyed());
    let misplaced = Ask::new(16, 3).with(HMAC, &[0; 16]).with(TIMESTAMP_INFORMATION, &[0; 4]);
    let answer = asked.ask(&misplaced, port(7)).unwrap();
    assert_eq!(
        answer.tlv(TIMESTAMP_INFORMATION),
        (FLAG_UNRECOGNIZED | FLAG_INTEGRITY, &[0; 4][..])
    );
}

#[test]
fn what_verifies_under_no_key_is_dropped_where_one_is_required() {
    let mut asked = Asked::new(key_required());
    let stranger = busyhour_wire::Key::new(b"a third key");
    let plain = Ask::new(16, 3);
    for ask in [plain.clone(), plain.clone().under(&stranger), plain.clone().sealed(&stranger)] {
        assert_eq!(asked.ask(&ask, port(7)), None);
    }
    assert_eq!(asked.reflector.stats().dropped_unauthentic, 3);
    assert!(asked.ask(&plain.clone().under(&key()), port(7)).is_some());
    assert!(asked.ask(&plain.sealed(&other_key()), port(7)).is_some());
}

#[test]
fn a_provisioned_session_needs_its_own_key() {
    let session = |ssid, key| ProvisionedSession { ssid, source: None, key, short_requests: false };
    let sessions = vec![session(3, Some(key())), session(3, Some(other_key())), session(4, None)];
    let admission = Admission::Provisioned(sessions);
    let mut asked = Asked::new(ReflectorConfig { admission, ..ReflectorConfig::default() });
    for (ask, answered) in [
        (Ask::new(16, 3), false),
        (Ask::new(17, 3).sealed(&key()), true),
        (Ask::new(18, 3).under(&other_key()), true),
        (Ask::new(19, 3).sealed(&busyhour_wire::Key::new(b"a third key")), false),
        (Ask::new(20, 4), true),
        (Ask::new(21, 5), false),
        (Ask::new(22, 5).sealed(&key()), false),
    ] {
        assert_eq!(asked.ask(&ask, port(7)).is_some(), answered, "{ask:?}");
    }
    let stats = asked.reflector.stats();
    assert_eq!((stats.dropped_unauthentic, stats.dropped_not_provisioned), (2, 2));
}

#[test]
fn an_answer_of_authenticated_mode_is_not_answered() {
    let mut asked = Asked::new(keyed());
    let answer = asked.ask(&Ask::new(16, 3).sealed(&key()), port(7)).unwrap();
    assert_eq!(asked.hand(Mode::Authenticated, &answer.bytes, port(862)), None);
    let mut keyless = Asked::new(ReflectorConfig::default());
    assert_eq!(keyless.hand(Mode::Authenticated, &answer.bytes, port(862)), None);
    assert_eq!(keyless.reflector.stats().dropped_answers, 1);
    // Constant padding of an older sender has close times, too, but no zeros where they must be.
    for pad in [0x5a, 0xff] {
        let mut padded = Ask::new(16, 0).bytes();
        padded[14..].fill(pad);
        padded.resize(200, pad);
        assert!(keyless.hand(Mode::Unauthenticated, &padded, port(7)).is_some(), "{pad:02x}");
    }
}

#[test]
fn a_request_under_a_key_is_answered_once_wherever_it_comes_from() {
    let elsewhere = SocketAddr::from(([203, 0, 113, 9], 4000));
    for protected in [true, false] {
        let mut asked = Asked::new(keyed());
        let ask = |sequence| {
            let ask = Ask::new(sequence, 3);
            if protected { ask.sealed(&key()) } else { ask.under(&key()) }
        };
        for sequence in 16..400 {
            assert_eq!(asked.counter(&ask(sequence), port(7)), Some(sequence - 16));
        }
        for sequence in [399, 16, 200] {
            assert_eq!(asked.counter(&ask(sequence), port(7)), None, "again");
            assert_eq!(asked.counter(&ask(sequence), elsewhere), None, "from elsewhere");
        }
        assert_eq!(asked.reflector.stats().dropped_replays, 6);
        assert_eq!(asked.counter(&ask(407), port(7)), Some(384), "the sender goes on");
        assert_eq!(asked.reflector.sessions(), 1);
        // Without a key nothing protects from that, and an answer is an answer.
        assert!(asked.counter(&Ask::new(16, 5), port(7)).is_some());
        assert!(asked.counter(&Ask::new(16, 5), port(7)).is_some());
    }
}

#[test]
fn what_was_captured_long_ago_is_not_answered_while_its_session_lives() {
    let mut asked = Asked::new(keyed());
    for sequence in 16..3_000 {
        assert!(asked.counter(&Ask::new(sequence, 3).sealed(&key()), port(7)).is_some());
    }
    for (from, sequence) in [(port(7), 17), (port(9), 17), (port(9), 900), (port(9), 2_900)] {
        let ask = Ask::new(sequence, 3).sealed(&key());
        assert_eq!(asked.counter(&ask, from), None, "{sequence} from {from}");
    }
    assert_eq!(asked.reflector.sessions(), 1);
}

#[test]
fn a_sender_that_began_again_is_answered() {
    let mut asked = Asked::new(keyed());
    for sequence in 5_000..5_100 {
        asked.counter(&Ask::new(sequence, 3).sealed(&key()), port(7));
    }
    let again = |sequence: u32| {
        let later = Ask::new(sequence + 5_200, 3).sent_ns;
        Ask { sent_ns: later, ..Ask::new(sequence, 3) }.sealed(&key())
    };
    assert_eq!(asked.counter(&again(16), port(7)), Some(100), "its counter goes on");
    assert_eq!(asked.counter(&again(17), port(7)), Some(101));
    assert_eq!(asked.counter(&Ask::new(5_100, 3).sealed(&key()), port(7)), None, "its former life");
}

#[test]
fn a_session_under_a_key_keeps_its_counter_behind_a_new_address() {
    for protected in [true, false] {
        let mut asked = Asked::new(keyed());
        let ask = |sequence| {
            let ask = Ask::new(sequence, 3);
            if protected { ask.sealed(&key()) } else { ask.under(&key()) }
        };
        for sequence in 16..516_u32 {
            // A translator gives it another port every 100 packets, some of them again.
            let from = port(4_000 + (sequence / 100 % 3) as u16);
            assert_eq!(asked.counter(&ask(sequence), from), Some(sequence - 16), "{sequence}");
        }
        let stats = asked.reflector.stats();
        assert_eq!((stats.sessions_begun, stats.sessions_moved), (1, 5));
        assert_eq!(asked.reflector.sessions(), 1);
    }
}

#[test]
fn two_senders_of_one_key_and_identifier_are_two_sessions() {
    let mut asked = Asked::new(keyed());
    for sequence in 16..300 {
        for (index, from) in [port(7), port(8)].into_iter().enumerate() {
            let ask = Ask::new(sequence, 3);
            // Their clocks differ by some milliseconds.
            let ask = Ask { sent_ns: ask.sent_ns + 3_456_789 * index as i64, ..ask }.sealed(&key());
            let answer = asked.ask(&ask, from);
            let counter = answer.map(|answer| answer.packet().sequence);
            assert_eq!(counter, Some(sequence - 16), "{from}");
        }
        asked.pass(20);
    }
    assert_eq!(asked.reflector.sessions(), 2);
}

#[test]
fn without_state_a_key_still_protects_contents() {
    let mut asked = Asked::new(ReflectorConfig { stateful: false, ..key_required() });
    let answer = asked.ask(&Ask::new(900, 3).sealed(&key()), port(7)).unwrap();
    assert!(is_sealed(&answer.bytes, &key()));
    assert_eq!((answer.packet().sequence, asked.reflector.stats().stateless), (900, 1));
}
