//! STUN: the vectors of RFC 5769, round trips, truncation, any bytes.

use std::net::SocketAddr;

use busyhour_wire::fuzz::fuzz_stun;
use busyhour_wire::stun::{
    BINDING, Builder, Check, Class, Credential, ERROR_CODE, Message, NONCE, NotStun, REALM,
    SOFTWARE, TooLong, TransactionId, USERNAME, Unprepared,
};
use proptest::prelude::*;

use crate::vectors::{
    STUN_IPV4, STUN_IPV6, STUN_LONG_TERM, STUN_PASSWORD, STUN_REQUEST, STUN_USER, bytes,
};

const ID: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);

fn password() -> Credential {
    Credential::short_term(STUN_PASSWORD).unwrap()
}

#[test]
fn the_request_of_the_rfc_reads_verifies_and_rebuilds() {
    let captured = bytes(STUN_REQUEST);
    let message = Message::parse(&captured).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, BINDING));
    assert_eq!(message.transaction_id(), ID);
    assert_eq!(message.text(SOFTWARE), Some("STUN test client"));
    assert_eq!(message.text(USERNAME), Some("evtj:h6vY"));
    assert_eq!(message.check_integrity(&password()), Check::Valid);
    assert_eq!(message.check_integrity_sha256(&password()), Check::Absent);
    assert_eq!(message.check_fingerprint(), Check::Valid);
    let offsets: Vec<usize> = message.attributes().map(|attribute| attribute.offset).collect();
    assert_eq!(offsets, [20, 40, 48, 60, 76, 100]);
    assert_eq!(captured[80..84], [0x9a, 0xea, 0xa7, 0x0c]);
    assert_eq!(captured[104..], [0xe5, 0x7a, 0x3b, 0xcf]);

    let rebuilt = Builder::new(Class::Request, BINDING, ID)
        .padded_with(b' ')
        .attribute(SOFTWARE, b"STUN test client")
        .attribute(0x0024, &[0x6e, 0x00, 0x01, 0xff])
        .attribute(0x8029, &[0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36])
        .attribute(USERNAME, b"evtj:h6vY")
        .message_integrity(&password())
        .fingerprint()
        .finish();
    assert_eq!(rebuilt, Ok(captured));
}

#[test]
fn the_answers_of_the_rfc_read_verify_and_rebuild() {
    let v6 = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
    for (captured, mapped) in [(STUN_IPV4, "192.0.2.1:32853"), (STUN_IPV6, v6)] {
        let captured = bytes(captured);
        let mapped: SocketAddr = mapped.parse().unwrap();
        let message = Message::parse(&captured).unwrap();
        assert_eq!(message.class(), Class::Success);
        assert_eq!(message.mapped_address(), Some(mapped));
        assert_eq!(message.check_integrity(&password()), Check::Valid);
        assert_eq!(message.check_fingerprint(), Check::Valid);
        let rebuilt = Builder::new(Class::Success, BINDING, ID)
            .padded_with(b' ')
            .attribute(SOFTWARE, b"test vector")
            .xor_mapped_address(mapped)
            .message_integrity(&password())
            .fingerprint()
            .finish();
        assert_eq!(rebuilt, Ok(captured));
    }
}

#[test]
fn the_long_term_request_of_the_rfc_reads_verifies_and_rebuilds() {
    let captured = bytes(STUN_LONG_TERM);
    let message = Message::parse(&captured).unwrap();
    let credential = Credential::long_term(STUN_USER, "example.org", "TheMatrIX").unwrap();
    assert_eq!(message.text(USERNAME), Some(STUN_USER));
    assert_eq!(message.text(REALM), Some("example.org"));
    assert_eq!(message.text(NONCE), Some("f//499k954d6OL34oL9FSTvy64sA"));
    assert_eq!(message.check_integrity(&credential), Check::Valid);
    assert_eq!(message.check_fingerprint(), Check::Absent);
    let rebuilt = Builder::new(Class::Request, BINDING, message.transaction_id())
        .attribute(USERNAME, STUN_USER.as_bytes())
        .attribute(NONCE, b"f//499k954d6OL34oL9FSTvy64sA")
        .attribute(REALM, b"example.org")
        .message_integrity(&credential)
        .finish();
    assert_eq!(rebuilt, Ok(captured.clone()));
    let other = Credential::long_term(STUN_USER, "example.org", "TheMatrix").unwrap();
    assert_eq!(message.check_integrity(&other), Check::Invalid);
}

#[test]
fn texts_that_would_need_preparation_are_refused_and_secrets_are_not_printed() {
    // As RFC 5769 section 2.4 has the password before SASLprep.
    let unprepared = Credential::long_term(STUN_USER, "example.org", "The\u{ad}M\u{aa}tr\u{2168}");
    assert_eq!(unprepared.unwrap_err(), Unprepared { what: "password" });
    let realm = Credential::long_term("a", "é", "b");
    assert_eq!(realm.unwrap_err(), Unprepared { what: "realm" });
    assert!(Credential::short_term("a\u{7f}").is_err());
    assert_eq!(format!("{:?}", password()), "Credential");
}

#[test]
fn a_sha256_tag_verifies_whole_and_cut() {
    let whole = Builder::new(Class::Request, BINDING, ID)
        .attribute(SOFTWARE, b"x")
        .message_integrity_sha256(&password())
        .finish()
        .unwrap();
    let checked = |bytes: &[u8]| Message::parse(bytes).unwrap().check_integrity_sha256(&password());
    assert_eq!(checked(&whole), Check::Valid);
    // The length in the header is covered, so that a tag cannot simply be cut behind its author's back.
    let mut cut = whole.clone();
    cut.truncate(whole.len() - 16);
    cut[3] -= 16;
    cut[20 + 8 + 3] = 16;
    assert_eq!(checked(&cut), Check::Invalid);
    let mut changed = whole.clone();
    changed[24] ^= 1;
    assert_eq!(checked(&changed), Check::Invalid);
}

#[test]
fn every_changed_octet_is_noticed() {
    let captured = bytes(STUN_IPV4);
    for at in 0..captured.len() {
        let mut changed = captured.clone();
        changed[at] ^= 1;
        let Ok(message) = Message::parse(&changed) else { continue };
        assert_ne!(message.check_fingerprint(), Check::Valid, "octet {at}");
    }
}

#[test]
fn what_stands_behind_the_integrity_is_not_seen() {
    let message = Builder::new(Class::Success, BINDING, ID)
        .message_integrity(&password())
        .xor_mapped_address("192.0.2.9:9".parse().unwrap())
        .fingerprint()
        .finish()
        .unwrap();
    let message = Message::parse(&message).unwrap();
    assert_eq!(message.mapped_address(), None);
    assert_eq!(message.attributes().count(), 3);
    assert_eq!(message.check_integrity(&password()), Check::Valid);
    assert_eq!(message.check_fingerprint(), Check::Valid);
}

#[test]
fn a_fingerprint_that_is_not_the_last_is_none() {
    let message = Builder::new(Class::Request, BINDING, ID)
        .fingerprint()
        .attribute(SOFTWARE, b"late")
        .finish()
        .unwrap();
    assert_eq!(Message::parse(&message).unwrap().check_fingerprint(), Check::Invalid);
}

#[test]
fn an_error_tells_its_code_and_reason() {
    let built = Builder::new(Class::Error, 0x003, ID).error_code(401, "Unauthorized").finish();
    let built = built.unwrap();
    assert_eq!(built[..2], [0x01, 0x13], "an Allocate error response");
    let message = Message::parse(&built).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Error, 0x003));
    assert_eq!(message.error_code(), Some((401, &b"Unauthorized"[..])));
    let odd = Builder::new(Class::Error, BINDING, ID).attribute(ERROR_CODE, &[0, 0, 7, 1]);
    let odd = odd.finish().unwrap();
    assert_eq!(Message::parse(&odd).unwrap().error_code(), None);
}

#[test]
fn a_mapped_address_of_an_old_server_is_read() {
    let built = Builder::new(Class::Success, BINDING, ID)
        .attribute(0x0001, &[0, 1, 0x80, 0x55, 192, 0, 2, 1])
        .finish()
        .unwrap();
    let mapped = Message::parse(&built).unwrap().mapped_address();
    assert_eq!(mapped, Some("192.0.2.1:32853".parse().unwrap()));
}

#[test]
fn a_message_cut_at_any_length_is_refused() {
    for captured in [STUN_REQUEST, STUN_IPV4, STUN_IPV6, STUN_LONG_TERM] {
        let captured = bytes(captured);
        for len in 0..captured.len() {
            let found = Message::parse(&captured[..len]).unwrap_err();
            if len < 20 {
                assert_eq!(found, NotStun::Short { len });
            } else {
                assert!(matches!(found, NotStun::Length { .. }), "{found}");
            }
            // Even when the header agrees with the shorter length.
            let mut cut = captured[..len].to_vec();
            if let Some(length) = cut.get_mut(2..4) {
                let claimed = u16::try_from(len.saturating_sub(20)).unwrap();
                length.copy_from_slice(&claimed.to_be_bytes());
            }
            fuzz_stun(&cut);
        }
    }
}

#[test]
fn other_protocols_and_overlong_values_are_refused() {
    let mut rtp = bytes(STUN_REQUEST);
    rtp[0] = 0x80;
    assert_eq!(Message::parse(&rtp), Err(NotStun::OtherProtocol));
    let mut no_cookie = bytes(STUN_REQUEST);
    no_cookie[4] = 0;
    assert_eq!(Message::parse(&no_cookie), Err(NotStun::OtherProtocol));
    let mut reaching = bytes(STUN_LONG_TERM);
    reaching[23] = 0xff;
    assert_eq!(Message::parse(&reaching), Err(NotStun::Attribute { offset: 20 }));
    let long = vec![0; 70_000];
    let builder = Builder::new(Class::Request, BINDING, ID);
    assert_eq!(builder.clone().attribute(SOFTWARE, &long).finish(), Err(TooLong));
    let twice = builder.attribute(SOFTWARE, &long[..40_000]).attribute(SOFTWARE, &long[..40_000]);
    assert_eq!(twice.fingerprint().finish(), Err(TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_message_round_trips(
        class in prop::sample::select(
            vec![Class::Request, Class::Indication, Class::Success, Class::Error],
        ),
        method in 0..0x1000_u16,
        id: [u8; 12],
        parts in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..6,
        ),
    ) {
        let mut builder = Builder::new(class, method, TransactionId(id));
        for (kind, value) in &parts {
            builder = builder.attribute(*kind, value);
        }
        let built = builder.finish().unwrap();
        let message = Message::parse(&built).unwrap();
        prop_assert_eq!((message.class(), message.method()), (class, method));
        prop_assert_eq!(message.transaction_id(), TransactionId(id));
        let read: Vec<_> =
            message.attributes().map(|part| (part.kind, part.value.to_vec())).collect();
        prop_assert_eq!(read, parts);
    }

    #[test]
    fn any_address_survives_its_obfuscation(address: std::net::IpAddr, port: u16, id: [u8; 12]) {
        let address = SocketAddr::new(address, port);
        let builder = Builder::new(Class::Success, BINDING, TransactionId(id));
        let built = builder.xor_mapped_address(address).finish().unwrap();
        prop_assert_eq!(Message::parse(&built).unwrap().mapped_address(), Some(address));
    }

    #[test]
    fn any_attributes_keep_the_laws(body in prop::collection::vec(any::<u8>(), 0..160)) {
        let mut wire = vec![0x01, 0x01];
        wire.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(&0x2112_a442_u32.to_be_bytes());
        wire.extend_from_slice(&ID.0);
        wire.extend_from_slice(&body);
        fuzz_stun(&wire);
    }
}
