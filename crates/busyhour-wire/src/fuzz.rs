//! Fuzz bodies as ordinary functions: each takes any bytes and asserts a law. Tests replay them, a
//! fuzzer explores them.

use std::net::{Ipv4Addr, SocketAddr};

use crate::explain::{Kind, Options, explain};
use crate::stun::{Builder, Check, Credential, Message};
use crate::{
    AccessReport, ClassOfService, DirectMeasurement, Disclosure, ErrorEstimate, FLAG_MALFORMED,
    FollowUp, Key, LOCATION, Location, Mode, ReflectorPacket, SenderPacket, TimestampInformation,
    TlvIntegrity, Tlvs, TlvsMut, WireTimestamp, answer_location, check_tlvs, is_sealed,
    patch_transmit_time, seal, seal_tlvs, write_tlv,
};

const MODES: [Mode; 2] = [Mode::Unauthenticated, Mode::Authenticated];
const SECRET: &[u8] = b"interop-test-key-2026";

/// A sender's packet is refused below the length of its mode and otherwise survives being rebuilt.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_sender_packet(bytes: &[u8]) {
    for mode in MODES {
        let Ok((packet, tail)) = SenderPacket::parse(mode, bytes) else {
            assert!(bytes.len() < mode.base_len(), "a whole packet was refused");
            continue;
        };
        assert_eq!(tail, &bytes[mode.base_len()..], "the tail is what follows");
        let mut rebuilt = Vec::new();
        packet.write(mode, &mut rebuilt);
        let at = mode.layout();
        let ends = at.ssid + 2;
        assert_eq!(rebuilt[..4], bytes[..4], "the number survives");
        assert_eq!(rebuilt[at.timestamp..ends], bytes[at.timestamp..ends], "fields survive");
        assert!(rebuilt[ends..].iter().all(|&octet| octet == 0), "the rest must be zero");
        fuzz_timestamp(packet.sent);
        fuzz_estimate(packet.error_estimate);
        fuzz_seal(mode, &rebuilt);
    }
}

/// A reflector's packet is refused below the length of its mode and otherwise survives being rebuilt.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_reflector_packet(bytes: &[u8]) {
    for mode in MODES {
        let Ok((packet, tail)) = ReflectorPacket::parse(mode, bytes) else {
            assert!(bytes.len() < mode.base_len(), "a whole packet was refused");
            continue;
        };
        assert_eq!(tail, &bytes[mode.base_len()..], "the tail is what follows");
        let mut rebuilt = Vec::new();
        packet.write(mode, &mut rebuilt);
        let at = mode.layout();
        for field in [
            0..4,
            at.timestamp..at.ssid + 2,
            at.received..at.received + 8,
            at.sender_sequence..at.sender_sequence + 4,
            at.sender_timestamp..at.sender_error_estimate + 2,
            at.sender_ttl..at.sender_ttl + 1,
        ] {
            assert_eq!(rebuilt[field.clone()], bytes[field], "fields survive");
        }
        let again = ReflectorPacket::parse(mode, &rebuilt);
        assert_eq!(again, Ok((packet, &[][..])), "parses again");
        fuzz_timestamp(packet.received);
        fuzz_seal(mode, &rebuilt);
    }
}

/// Walked TLVs rebuild to the octets in front of the first malformed one; walking them for change sees
/// the same; values survive; answering a location keeps the length.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_tlvs(bytes: &[u8]) {
    let mut rebuilt = Vec::with_capacity(bytes.len());
    let mut malformed_at = None;
    for tlv in Tlvs::new(bytes) {
        match tlv {
            Ok(tlv) => {
                write_tlv(&mut rebuilt, &tlv);
                fuzz_value(tlv.value);
            }
            Err(malformed) => malformed_at = Some(malformed.offset),
        }
    }
    let end = malformed_at.unwrap_or(bytes.len());
    assert_eq!(rebuilt, bytes[..end], "what was walked rebuilds");

    let mut changed = bytes.to_vec();
    let mut walk = TlvsMut::new(&mut changed);
    for expected in Tlvs::new(bytes).flatten() {
        let Some(Ok(tlv)) = walk.next() else { panic!("a walk for change sees the same") };
        assert_eq!((*tlv.flags, tlv.kind), (expected.flags, expected.kind), "the same header");
        assert_eq!(tlv.value, expected.value, "the same value");
        if tlv.kind == LOCATION {
            fuzz_location(tlv.value);
        }
        tlv.value.fill(0);
    }
    let last = walk.next();
    assert_eq!(last.and_then(Result::err).map(|tlv| tlv.offset), malformed_at, "ends alike");
    walk.mark_malformed();
    assert!(walk.next().is_none(), "and stays there");
    let headed = bytes.len() - end >= crate::TLV_HEADER_LEN;
    if headed {
        assert_ne!(changed[end] & FLAG_MALFORMED, 0, "the malformed one is marked");
    }
    let behind = end + usize::from(headed);
    assert_eq!(changed[behind..], bytes[behind..], "octets behind a malformed TLV stay");
}

fn fuzz_value(value: &[u8]) {
    match ClassOfService::parse(value) {
        Ok(told) => assert_eq!(told.to_bytes(), value, "every bit survives"),
        Err(_) => assert_ne!(value.len(), ClassOfService::LEN),
    }
    match TimestampInformation::parse(value) {
        Ok(told) => assert_eq!(told.to_bytes(), value, "every octet survives"),
        Err(_) => assert_ne!(value.len(), TimestampInformation::LEN),
    }
    match DirectMeasurement::parse(value) {
        Ok(told) => assert_eq!(told.to_bytes(), value, "every octet survives"),
        Err(_) => assert_ne!(value.len(), DirectMeasurement::LEN),
    }
    match FollowUp::parse(value) {
        Ok(told) => assert_eq!(told.to_bytes()[..13], value[..13], "what is told survives"),
        Err(_) => assert_ne!(value.len(), FollowUp::LEN),
    }
    match AccessReport::parse(value) {
        Ok(told) => assert_eq!(AccessReport::parse(&told.to_bytes()), Ok(told), "survives"),
        Err(_) => assert_ne!(value.len(), AccessReport::LEN),
    }
}

fn fuzz_location(value: &[u8]) {
    let from = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 50_000));
    let to = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 2), 862));
    for disclosure in [Disclosure::Ports, Disclosure::Addresses] {
        let mut answered = value.to_vec();
        let result = answer_location(&mut answered, to, from, disclosure);
        assert_eq!(answered.len(), value.len(), "an answer is as long as its request");
        let Ok(told) = Location::parse(&answered) else {
            assert!(result.is_err() && value.len() < Location::LEN, "a whole one was refused");
            continue;
        };
        assert_eq!((told.destination_port, told.source_port), (862, 50_000));
        let readable = told.parts().all(|part| part.is_ok());
        assert_eq!(readable, result.is_ok(), "what was answered can be read");
    }
}

/// A packet whose TLVs were sealed verifies; one whose were not does not, and was not touched.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_integrity(bytes: &[u8]) {
    let key = Key::new(SECRET);
    for mode in MODES {
        let mut packet = bytes.to_vec();
        let before = check_tlvs(mode, &packet, Some(&key));
        if seal_tlvs(mode, &mut packet, &key) {
            assert_eq!(check_tlvs(mode, &packet, Some(&key)), TlvIntegrity::Valid);
            assert_eq!(check_tlvs(mode, &packet, None), TlvIntegrity::Unchecked);
            let already = before == TlvIntegrity::Valid;
            assert_eq!(packet == bytes, already, "only a wrong tag is rewritten");
        } else {
            assert_eq!(packet, bytes, "nothing is written");
            assert!(matches!(before, TlvIntegrity::Absent | TlvIntegrity::Invalid));
        }
    }
}

fn fuzz_seal(mode: Mode, packet: &[u8]) {
    let mut packet = packet.to_vec();
    patch_transmit_time(mode, &mut packet, WireTimestamp(7));
    let key = Key::new(SECRET);
    seal(&mut packet, &key);
    assert_eq!(is_sealed(&packet, &key), mode == Mode::Authenticated, "a seal verifies");
}

/// A STUN message rebuilds from its attributes, but for its padding, and what is added verifies.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_stun(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let mut builder = Builder::new(message.class(), message.method(), message.transaction_id());
    let mut end = 20;
    for attribute in message.attributes() {
        assert_eq!(attribute.offset, end, "attributes follow each other");
        end += 4 + attribute.value.len().next_multiple_of(4);
        builder = builder.attribute(attribute.kind, attribute.value);
    }
    assert_eq!(end, bytes.len(), "and cover the message");
    let Ok(rebuilt) = builder.finish() else { panic!("what was read is not too long") };
    assert_eq!(rebuilt.len(), bytes.len());
    let Ok(again) = Message::parse(&rebuilt) else { panic!("what was built is read") };
    assert!(again.attributes().eq(message.attributes()), "attributes survive");
    assert_eq!(again.mapped_address(), message.mapped_address());
    assert_eq!(again.error_code(), message.error_code());

    let credential = Credential::short_term("password");
    let Ok(credential) = credential else { panic!("plain text is prepared") };
    let _ = (message.check_integrity_sha256(&credential), message.check_fingerprint());
    if message.check_integrity(&credential) == Check::Absent {
        let builder = Builder::new(message.class(), message.method(), message.transaction_id());
        let sealed = builder.attribute(0x8022, bytes.get(..9).unwrap_or_default());
        let sealed = sealed.message_integrity(&credential).fingerprint().finish();
        let Ok(sealed) = sealed else { panic!("a short message is not too long") };
        let Ok(sealed) = Message::parse(&sealed) else { panic!("what was built is read") };
        assert_eq!(sealed.check_integrity(&credential), Check::Valid);
        assert_eq!(sealed.check_fingerprint(), Check::Valid);
    }
}

/// Whatever a datagram is taken for, its fields cover each of its bits once and in order.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_explain(bytes: &[u8]) {
    for kind in [None, Some(Kind::Sender), Some(Kind::Reflector), Some(Kind::Stun)] {
        for mode in [None, Some(Mode::Unauthenticated), Some(Mode::Authenticated)] {
            for secret in [None, Some(SECRET)] {
                let options = Options { kind, mode, secret };
                let Ok(explanation) = explain(bytes, &options) else {
                    let needed = mode.unwrap_or_default().base_len();
                    let refused = kind == Some(Kind::Stun) || bytes.len() < needed;
                    assert!(refused, "a whole packet was refused");
                    continue;
                };
                assert!(kind.is_none_or(|kind| kind == explanation.kind), "as told");
                let mut next = 0;
                for field in &explanation.fields {
                    assert_eq!(field.first_bit, next, "no gap and no overlap");
                    assert!(field.bits > 0 && !field.name.is_empty(), "says something");
                    next += field.bits;
                }
                assert_eq!(next, 8 * bytes.len(), "every octet is told");
            }
        }
    }
}

fn fuzz_timestamp(at: WireTimestamp) {
    use crate::TimestampFormat::{Ntp, Ptp};
    for format in [Ntp, Ptp] {
        if let Some(unix_ns) = at.to_unix_ns(format) {
            let again = WireTimestamp::from_unix_ns(unix_ns, format);
            let not_set = again == WireTimestamp::default();
            assert!(not_set || again.to_unix_ns(format) == Some(unix_ns), "a moment survives");
        }
    }
}

fn fuzz_estimate(estimate: ErrorEstimate) {
    let Some(seconds) = estimate.seconds() else { return };
    let Ok(error) = std::time::Duration::try_from_secs_f64(seconds) else { return };
    let again = ErrorEstimate::from_error(estimate.synchronized(), estimate.format(), error);
    let written = again.seconds().unwrap_or_default();
    // A Duration has whole nanoseconds only, and the estimate rounds up by less than a 128th.
    let error = error.as_secs_f64();
    assert!(written >= error * (1.0 - 1e-9), "an error is never made smaller");
    assert!(written <= error * (1.0 + 1.0 / 127.0) + 1e-9, "nor much larger");
}
