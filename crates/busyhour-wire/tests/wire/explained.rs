//! Explanations of captured packets.

use busyhour_wire::explain::{Explanation, Kind, Options, explain};
use busyhour_wire::fuzz::fuzz_explain;
use busyhour_wire::{Key, Mode, TlvIntegrity, check_tlvs, seal_tlvs};
use proptest::prelude::*;

use crate::vectors::{
    COS_REPLY, COS_REQUEST, EXCHANGE_KEY, OPEN_REPLY, OPEN_REQUEST, SEALED_REPLY, SEALED_REQUEST,
    STUN_IPV4, STUN_LONG_TERM, STUN_PASSWORD, STUN_REQUEST, bytes,
};

fn explained(captured: &str, options: &Options<'_>) -> Explanation {
    explain(&bytes(captured), options).unwrap()
}

/// Value and note of the only field with this name in this group.
fn field<'a>(explanation: &'a Explanation, group: &str, name: &str) -> (&'a str, &'a str) {
    let mut found =
        explanation.fields.iter().filter(|field| field.group == group && field.name == name);
    let field = found.next().unwrap_or_else(|| panic!("no {name} in {group}"));
    assert_eq!(found.next(), None, "{name} twice in {group}");
    (&field.value, &field.note)
}

#[test]
fn a_packet_is_taken_for_what_it_is() {
    use Mode::{Authenticated, Unauthenticated};
    let guess = Options::default();
    for (captured, kind, mode) in [
        (OPEN_REQUEST, Kind::Sender, Some(Unauthenticated)),
        (OPEN_REPLY, Kind::Reflector, Some(Unauthenticated)),
        (COS_REQUEST, Kind::Sender, Some(Unauthenticated)),
        (COS_REPLY, Kind::Reflector, Some(Unauthenticated)),
        (SEALED_REQUEST, Kind::Sender, Some(Authenticated)),
        (SEALED_REPLY, Kind::Reflector, Some(Authenticated)),
        (STUN_REQUEST, Kind::Stun, None),
    ] {
        let found = explained(captured, &guess);
        assert_eq!((found.kind, found.mode), (kind, mode), "{captured}: {}", found.why);
        assert!(found.confident, "{captured}");
    }
    // Older senders fill what must be zero with chance.
    let mut padded = bytes(OPEN_REQUEST);
    padded[16..].fill(0x5a);
    let found = explain(&padded, &guess).unwrap();
    assert_eq!((found.kind, found.confident), (Kind::Sender, false));
}

#[test]
fn what_is_told_wins_over_the_guess() {
    let told = Options { kind: Some(Kind::Sender), ..Options::default() };
    assert_eq!(explained(OPEN_REPLY, &told).kind, Kind::Sender);
    let told = Options { mode: Some(Mode::Unauthenticated), ..Options::default() };
    assert_eq!(explained(SEALED_REPLY, &told).mode, told.mode);
    let told = Options { kind: Some(Kind::Stun), ..Options::default() };
    let refused = explain(&bytes(OPEN_REQUEST), &told).unwrap_err();
    assert!(refused.reason.contains("magic cookie"), "{refused}");
    let told = Options { kind: Some(Kind::Sender), ..Options::default() };
    assert_eq!(explained(STUN_REQUEST, &told).kind, Kind::Sender);
}

#[test]
fn a_short_datagram_is_refused_with_its_length() {
    let refused = |captured: &str, len, options| {
        explain(&bytes(captured)[..len], &options).unwrap_err().reason
    };
    let guess = Options::default();
    assert_eq!(
        refused(OPEN_REQUEST, 13, guess),
        "13 octets are fewer than the 14 of the shortest test packet"
    );
    let told = Options { kind: Some(Kind::Reflector), ..guess };
    assert_eq!(
        refused(OPEN_REPLY, 40, told),
        "40 octets are fewer than the 41 of the shortest reflector's packet"
    );
    let told = Options { mode: Some(Mode::Authenticated), ..guess };
    assert_eq!(
        refused(SEALED_REQUEST, 111, told),
        "111 octets are fewer than the 112 of a test packet"
    );
}

/// RFC 5357 sections 4.1.2 and 4.2.1: 14 octets of a sender, 41 of a reflector.
#[test]
fn the_shorter_packets_of_twamp_are_told_as_far_as_they_go() {
    let guess = Options::default();
    let reply = explain(&bytes(OPEN_REPLY)[..41], &guess).unwrap();
    assert_eq!((reply.kind, reply.confident), (Kind::Reflector, true));
    assert_eq!(field(&reply, "base packet", "Session-Sender TTL").0, "64");
    assert_eq!(reply.fields.last().map(|last| last.octets()), Some(40..41));
    let request = explain(&bytes(OPEN_REQUEST)[..14], &guess).unwrap();
    assert_eq!((request.kind, request.confident), (Kind::Sender, false), "little speaks for it");
    assert_eq!(request.fields.last().map(|last| last.name.as_str()), Some("Error Estimate"));
    // Cut within the octets of time that a reflector would fill.
    let request = explain(&bytes(OPEN_REQUEST)[..21], &guess).unwrap();
    assert_eq!(
        request.fields.last().map(|last| (last.name.as_str(), last.bits)),
        Some(("MBZ", 40))
    );
    assert!(request.why.contains("shorter than STAMP's"), "{}", request.why);
}

#[test]
fn a_reply_is_told_field_by_field() {
    let found = explained(COS_REPLY, &Options::default());
    let base = |name| field(&found, "base packet", name);
    assert_eq!(base("Sequence Number").0, "1");
    assert_eq!(base("Timestamp").0, "2026-10-04T20:16:29.680412573Z");
    let (estimate, note) = base("Error Estimate");
    assert_eq!(estimate, "not synchronised, NTP format, error 0.233 ns");
    assert_eq!(note, "scale 0, multiplier 1");
    assert_eq!(base("SSID").0, "42");
    assert_eq!(base("Receive Timestamp").1, "T2; answered 426.492 µs later");
    assert_eq!(base("Session-Sender TTL").0, "64");

    let class = |name| field(&found, "Class of Service", name);
    assert_eq!(class("Flags"), ("none", ""));
    assert_eq!(class("DSCP1").0, "EF (46)");
    assert_eq!(class("DSCP2").0, "EF (46)");
    assert_eq!((class("EC2").0, class("EC1").0, class("RPE").0), ("ECT(0)", "ECT(0)", "1"));
    let clock = |name| field(&found, "Timestamp Information", name);
    assert_eq!(clock("Synchronization Source In").0, "1, NTP");
    assert_eq!(clock("Timestamp Out").0, "2, software, local");
    // Fields shorter than an octet share theirs.
    let dscp2 = found.fields.iter().find(|field| field.name == "DSCP2").unwrap();
    assert_eq!((dscp2.first_bit, dscp2.bits, dscp2.octets()), (8 * 48 + 6, 6, 48..50));
}

#[test]
fn an_hmac_is_verified_only_with_its_key() {
    for captured in [SEALED_REQUEST, SEALED_REPLY] {
        for (secret, expected) in [
            (None, "not checked: no key"),
            (Some(EXCHANGE_KEY), "verified"),
            (Some(&b"wrong"[..]), "does NOT verify with this key"),
        ] {
            let found = explained(captured, &Options { secret, ..Options::default() });
            assert_eq!(field(&found, "base packet", "HMAC").1, expected);
        }
    }
}

#[test]
fn every_tlv_is_named_and_its_hmac_verified() {
    let mut packet = bytes(OPEN_REQUEST);
    packet.extend(bytes(
        "80020004 035ec353\
         80030004 00000000\
         8005000c 000000010000000200000003\
         80060004 10010000\
         80070010 00000007ee6d329dae2f84b902000000\
         80f00002 beef\
         80080010 00000000000000000000000000000000\
         80010003 aabbcc",
    ));
    assert!(seal_tlvs(Mode::Unauthenticated, &mut packet, &Key::new(EXCHANGE_KEY)));
    let options = Options { secret: Some(EXCHANGE_KEY), ..Options::default() };
    let found = explain(&packet, &options).unwrap();
    assert_eq!(field(&found, "Location", "Source Port").0, "50003");
    assert_eq!(field(&found, "Direct Measurement", "R_RxC").0, "2");
    assert_eq!(field(&found, "Access Report", "Return Code").0, "1, available");
    let moment = field(&found, "Follow-Up Telemetry", "Follow-Up Timestamp").0;
    assert_eq!(moment, "2026-10-04T20:16:29.680412573Z");
    assert_eq!(field(&found, "TLV 240", "Value").0, "beef");
    assert!(field(&found, "HMAC", "HMAC").1.starts_with("verified"));
    assert_eq!(field(&found, "Extra Padding", "Value").0, "aabbcc");
    let wrong = Options { secret: Some(b"wrong"), ..Options::default() };
    let found = explain(&packet, &wrong).unwrap();
    assert!(field(&found, "HMAC", "HMAC").1.starts_with("does NOT verify"));
    let without = explain(&packet, &Options::default()).unwrap();
    assert_eq!(field(&without, "HMAC", "HMAC").1, "not checked: no key");
    assert_eq!(check_tlvs(Mode::Unauthenticated, &packet, None), TlvIntegrity::Unchecked);
}

#[test]
fn a_request_says_nothing_yet_of_what_the_reflector_received() {
    let request = explained(COS_REQUEST, &Options::default());
    let class = |name| field(&request, "Class of Service", name);
    assert_eq!(class("DSCP1").1, "wanted on the answer");
    assert_eq!(class("EC1").1, "wanted on the answer");
    for name in ["DSCP2", "EC2", "RP", "RPE"] {
        assert_eq!(class(name).1, "for the reflector to fill", "{name}");
    }
}

#[test]
fn flags_are_told_from_the_side_that_set_them() {
    let mut reply = bytes(COS_REPLY);
    reply[44] = 0xf0;
    let found = explain(&reply, &Options::default()).unwrap();
    let (flags, note) = field(&found, "Class of Service", "Flags");
    assert_eq!(flags, "U M I C");
    assert!(note.starts_with("U: the reflector does not know this TLV; M:"), "{note}");
    let mut request = bytes(COS_REQUEST);
    request[44] = 0;
    let found = explain(&request, &Options::default()).unwrap();
    assert_eq!(field(&found, "Class of Service", "Flags").1, "a sender ought to set U");
}

#[test]
fn what_is_malformed_is_told_and_not_dropped() {
    let mut packet = bytes(OPEN_REQUEST);
    packet.extend(bytes("80040003 b80000 8005ffff 01"));
    let found = explain(&packet, &Options::default()).unwrap();
    assert!(field(&found, "Class of Service", "Value").1.contains("wrong length"));
    let (value, note) = field(&found, "no TLV", "Padding");
    assert_eq!(value, "8005ffff01");
    assert!(note.starts_with("malformed"), "{note}");
    let mut packet = bytes(OPEN_REQUEST);
    packet.extend([1, 2, 3]);
    let found = explain(&packet, &Options::default()).unwrap();
    assert!(field(&found, "no TLV", "Padding").1.contains("padding of an older sender"));
}

#[test]
fn stun_messages_are_told_and_verified_with_the_password() {
    let password = Options { secret: Some(STUN_PASSWORD.as_bytes()), ..Options::default() };
    let found = explained(STUN_IPV4, &password);
    assert_eq!(field(&found, "header", "Message Type").0, "Binding success response");
    assert_eq!(field(&found, "XOR-MAPPED-ADDRESS", "Value").0, "192.0.2.1:32853");
    assert_eq!(field(&found, "SOFTWARE", "Value").0, "\"test vector\"");
    assert_eq!(field(&found, "MESSAGE-INTEGRITY", "Value").1, "verified");
    assert_eq!(field(&found, "FINGERPRINT", "Value").1, "verified");
    // With a realm the password belongs to the long-term mechanism.
    let password = Options { secret: Some(b"TheMatrIX"), ..Options::default() };
    let found = explained(STUN_LONG_TERM, &password);
    assert_eq!(field(&found, "MESSAGE-INTEGRITY", "Value").1, "verified");
    let found = explained(STUN_LONG_TERM, &Options::default());
    assert_eq!(field(&found, "MESSAGE-INTEGRITY", "Value").1, "not checked: no password");
    let password = Options { secret: Some("é".as_bytes()), ..Options::default() };
    let found = explained(STUN_REQUEST, &password);
    assert!(field(&found, "MESSAGE-INTEGRITY", "Value").1.contains("not plain ASCII"));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_told_once(wire in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_explain(&wire);
    }

    #[test]
    fn any_likely_tail_is_told_once(
        parts in prop::collection::vec(
            (any::<u8>(), 0..13_u8, prop_oneof![Just(4_usize), Just(12), Just(16), 0..40_usize]),
            0..6,
        ),
        cut in 0..40_usize,
        captured in prop::sample::select(
            vec![OPEN_REQUEST, OPEN_REPLY, SEALED_REQUEST, SEALED_REPLY],
        ),
    ) {
        let mut wire = bytes(captured);
        let base = wire.len();
        for (flags, kind, len) in parts {
            wire.extend_from_slice(&[flags, kind, 0, u8::try_from(len).unwrap()]);
            wire.extend(std::iter::repeat_n(flags, len));
        }
        wire.truncate(base.max(wire.len().saturating_sub(cut)));
        fuzz_explain(&wire);
    }
}
