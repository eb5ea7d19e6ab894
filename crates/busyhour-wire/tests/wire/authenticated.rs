//! Authenticated mode: the longer base packets, their HMAC, and the HMAC TLV in both modes.

use busyhour_wire::{
    AUTHENTICATED_BASE_LEN, CLASS_OF_SERVICE, EXTRA_PADDING, ErrorEstimate, FLAG_UNRECOGNIZED,
    HMAC, Key, Mode, ReflectorPacket, SenderPacket, TAG_LEN, TLV_HEADER_LEN, Tlv, TlvIntegrity,
    Truncated, WireTimestamp, check_tlvs, is_sealed, patch_transmit_time, seal, seal_tlvs,
    write_tlv,
};
use proptest::prelude::*;

use crate::vectors::{EXCHANGE_KEY, SEALED_REPLY, SEALED_REQUEST, bytes};

const MODES: [Mode; 2] = [Mode::Unauthenticated, Mode::Authenticated];

fn key() -> Key {
    Key::new(EXCHANGE_KEY)
}

#[test]
fn a_captured_sealed_request_reads_verifies_and_rebuilds() {
    let captured = bytes(SEALED_REQUEST);
    let (packet, tail) = SenderPacket::parse(Mode::Authenticated, &captured).unwrap();
    assert_eq!((packet.sequence, packet.ssid), (0, 42));
    assert_eq!(packet.sent, WireTimestamp(0xee6d_329f_014a_fa01));
    assert!(tail.is_empty());
    assert!(is_sealed(&captured, &key()));
    let mut rebuilt = Vec::new();
    packet.write(Mode::Authenticated, &mut rebuilt);
    assert_eq!(rebuilt[96..], [0; TAG_LEN], "not sealed yet");
    seal(&mut rebuilt, &key());
    assert_eq!(rebuilt, captured);
}

#[test]
fn a_captured_sealed_reply_reads_verifies_and_rebuilds() {
    let captured = bytes(SEALED_REPLY);
    let (packet, tail) = ReflectorPacket::parse(Mode::Authenticated, &captured).unwrap();
    assert_eq!((packet.sequence, packet.sender_sequence, packet.ssid), (1, 0, 42));
    assert_eq!(packet.received, WireTimestamp(0xee6d_329f_015c_8130));
    assert_eq!(packet.sender_sent, WireTimestamp(0xee6d_329f_014a_fa01));
    assert_eq!(packet.sender_error_estimate, ErrorEstimate(1));
    assert_eq!(packet.sender_ttl, 64);
    assert!(tail.is_empty());
    assert!(is_sealed(&captured, &key()));
    let mut rebuilt = Vec::new();
    packet.write(Mode::Authenticated, &mut rebuilt);
    seal(&mut rebuilt, &key());
    assert_eq!(rebuilt, captured);
}

#[test]
fn any_changed_bit_and_any_other_key_break_the_seal() {
    let captured = bytes(SEALED_REQUEST);
    for bit in 0..captured.len() * 8 {
        let mut changed = captured.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_sealed(&changed, &key()), "bit {bit}");
    }
    assert!(!is_sealed(&captured, &Key::new(b"interop-test-key-2027")));
}

#[test]
fn a_cut_sealed_packet_is_refused_at_every_length() {
    let captured = bytes(SEALED_REQUEST);
    for len in 0..captured.len() {
        let mut cut = captured[..len].to_vec();
        let expected = Truncated { len, needed: AUTHENTICATED_BASE_LEN };
        assert_eq!(SenderPacket::parse(Mode::Authenticated, &cut), Err(expected));
        assert_eq!(ReflectorPacket::parse(Mode::Authenticated, &cut), Err(expected));
        assert!(!is_sealed(&cut, &key()));
        seal(&mut cut, &key());
        assert_eq!(cut, captured[..len], "nothing is written");
        assert_eq!(check_tlvs(Mode::Authenticated, &cut, Some(&key())), TlvIntegrity::Invalid);
        assert!(!seal_tlvs(Mode::Authenticated, &mut cut, &key()));
    }
}

#[test]
fn the_transmit_time_of_a_sealed_packet_has_its_own_place() {
    let mut packet = bytes(SEALED_REPLY);
    patch_transmit_time(Mode::Authenticated, &mut packet, WireTimestamp(7));
    assert_eq!(
        ReflectorPacket::parse(Mode::Authenticated, &packet).unwrap().0.sent,
        WireTimestamp(7)
    );
    assert!(!is_sealed(&packet, &key()));
    seal(&mut packet, &key());
    assert!(is_sealed(&packet, &key()));
}

/// HMAC-SHA-256 cut to 128 bits: RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
#[test]
fn tags_are_those_of_the_rfc_however_the_octets_are_parted() {
    let long = [0xaa; 131];
    let cases: [(&[u8], &[u8], &str); 3] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"),
        (
            &long,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f",
        ),
    ];
    for (secret, text, expected) in cases {
        let key = Key::new(secret);
        let tag = bytes(expected);
        assert_eq!(key.tag(&[text])[..], tag);
        assert_eq!(key.tag(&[&text[..3], &[], &text[3..]])[..], tag);
        assert!(key.verifies(&[text], &tag));
        assert!(!key.verifies(&[text], &tag[..15]), "a shorter tag is none");
        assert!(!key.verifies(&[text], &[]), "no tag is none");
        assert_eq!(format!("{key:?}"), "Key");
    }
}

#[test]
fn a_secret_stands_in_a_line_as_it_is_or_as_digits() {
    assert_eq!(Key::octets_of_line("a key").unwrap(), b"a key");
    assert_eq!(Key::octets_of_line("hex:00fFa1").unwrap(), [0, 0xff, 0xa1]);
    for line in ["", "hex:", "hex:0", "hex:0g", "hex:+1", "hex:é"] {
        assert_eq!(Key::octets_of_line(line), None, "{line}");
    }
}

/// A packet with these TLVs.
fn packet(mode: Mode, tlvs: &[(u8, usize)]) -> Vec<u8> {
    let base = SenderPacket {
        sequence: 9,
        sent: WireTimestamp(1 << 32),
        error_estimate: ErrorEstimate::UNSYNCHRONIZED,
        ssid: 1,
    };
    let mut packet = Vec::new();
    base.write(mode, &mut packet);
    for &(kind, len) in tlvs {
        write_tlv(&mut packet, &Tlv { flags: FLAG_UNRECOGNIZED, kind, value: &vec![0; len] });
    }
    packet
}

/// A name, types and lengths of TLVs, and what they are in open and in sealed mode.
type Case = (&'static str, &'static [(u8, usize)], TlvIntegrity, TlvIntegrity);

#[test]
fn the_hmac_tlv_must_be_there_in_its_place_and_right() {
    use TlvIntegrity::{Absent, Invalid, Valid};
    const COS: (u8, usize) = (CLASS_OF_SERVICE, 4);
    const PADDING: (u8, usize) = (EXTRA_PADDING, 8);
    const TAG: (u8, usize) = (HMAC, TAG_LEN);
    let cases: [Case; 11] = [
        ("no TLV", &[], Absent, Absent),
        ("only padding", &[PADDING], Absent, Absent),
        ("padding twice", &[PADDING, PADDING], Absent, Invalid),
        ("none where it must be", &[COS], Absent, Invalid),
        ("last", &[COS, TAG], Valid, Valid),
        ("alone", &[TAG], Valid, Valid),
        ("in front of padding", &[COS, TAG, PADDING, PADDING], Valid, Valid),
        ("behind padding", &[PADDING, COS, TAG], Valid, Valid),
        ("in front of another", &[TAG, COS], Invalid, Invalid),
        ("twice", &[TAG, TAG], Invalid, Invalid),
        ("of a wrong length", &[COS, (HMAC, 20)], Invalid, Invalid),
    ];
    for (name, tlvs, open, sealed) in cases {
        for (mode, expected) in MODES.into_iter().zip([open, sealed]) {
            let mut packet = packet(mode, tlvs);
            let before = packet.clone();
            let written = seal_tlvs(mode, &mut packet, &key());
            assert_eq!(written, expected == Valid, "{name}");
            assert_eq!(packet == before, !written, "{name}");
            assert_eq!(check_tlvs(mode, &packet, Some(&key())), expected, "{name} {mode:?}");
            let unchecked = if expected == Valid { TlvIntegrity::Unchecked } else { expected };
            assert_eq!(check_tlvs(mode, &packet, None), unchecked, "{name} without a key");
        }
    }
}

#[test]
fn the_hmac_tlv_covers_the_sequence_number_and_the_tlvs_in_front_and_no_more() {
    for mode in MODES {
        let mut sealed =
            packet(mode, &[(CLASS_OF_SERVICE, 4), (HMAC, TAG_LEN), (EXTRA_PADDING, 4)]);
        assert!(seal_tlvs(mode, &mut sealed, &key()));
        let begin = mode.base_len();
        let tag = begin + 2 * TLV_HEADER_LEN + 4;
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x80;
            let header = [tag - 3, tag - 2, tag - 1];
            let covered = at < 4 || (begin..tag + TAG_LEN).contains(&at) && at != tag - 4;
            let behind_header = (tag + TAG_LEN + 1..tag + TAG_LEN + 4).contains(&at);
            let expected = covered || header.contains(&at) || behind_header;
            let found = check_tlvs(mode, &changed, Some(&key())) != TlvIntegrity::Valid;
            assert_eq!(found, expected, "{mode:?} octet {at}");
        }
        assert_eq!(check_tlvs(mode, &sealed, Some(&Key::new(b"another"))), TlvIntegrity::Invalid);
    }
}

#[test]
fn a_malformed_tlv_in_front_hides_the_hmac() {
    for (mode, expected) in MODES.into_iter().zip([TlvIntegrity::Absent, TlvIntegrity::Invalid]) {
        let mut packet = packet(mode, &[(CLASS_OF_SERVICE, 4), (HMAC, TAG_LEN)]);
        assert!(seal_tlvs(mode, &mut packet, &key()));
        packet[mode.base_len() + 2] = 0xff;
        assert_eq!(check_tlvs(mode, &packet, Some(&key())), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_packet_round_trips_in_both_modes(
        numbers: (u32, u32), times: (u64, u64, u64), errors: (u16, u16), ssid: u16, ttl: u8,
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        for mode in MODES {
            let reply = ReflectorPacket {
                sequence: numbers.0,
                sent: WireTimestamp(times.0),
                error_estimate: ErrorEstimate(errors.0),
                ssid,
                received: WireTimestamp(times.1),
                sender_sequence: numbers.1,
                sender_sent: WireTimestamp(times.2),
                sender_error_estimate: ErrorEstimate(errors.1),
                sender_ttl: ttl,
            };
            let mut wire = Vec::new();
            reply.write(mode, &mut wire);
            prop_assert_eq!(wire.len(), mode.base_len());
            wire.extend_from_slice(&tail);
            prop_assert_eq!(ReflectorPacket::parse(mode, &wire), Ok((reply, &tail[..])));
            let request = SenderPacket {
                sequence: reply.sequence,
                sent: reply.sent,
                error_estimate: reply.error_estimate,
                ssid,
            };
            let mut wire = Vec::new();
            request.write(mode, &mut wire);
            prop_assert_eq!(wire.len(), mode.base_len());
            wire.extend_from_slice(&tail);
            prop_assert_eq!(SenderPacket::parse(mode, &wire), Ok((request, &tail[..])));
        }
    }
}
