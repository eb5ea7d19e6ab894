//! Fuzz bodies as ordinary functions: each takes any bytes and asserts a law. Tests replay them, a
//! fuzzer explores them.

use crate::{
    BASE_LEN, ClassOfService, ReflectorPacket, SenderPacket, Tlvs, WireTimestamp, reflect_tlvs,
    write_tlv,
};

/// A sender's packet is refused below 44 octets and otherwise survives being rebuilt.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_sender_packet(bytes: &[u8]) {
    match SenderPacket::parse(bytes) {
        Err(_) => assert!(bytes.len() < BASE_LEN, "a whole packet was refused"),
        Ok((packet, tail)) => {
            assert_eq!(tail, &bytes[BASE_LEN..], "the tail is what follows");
            let rebuilt = packet.to_bytes();
            assert_eq!(rebuilt[..16], bytes[..16], "fields survive");
            assert!(rebuilt[16..].iter().all(|&octet| octet == 0), "the rest must be zero");
            fuzz_timestamp(packet.sent);
        }
    }
}

/// A reflector's packet is refused below 44 octets and otherwise survives being rebuilt.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_reflector_packet(bytes: &[u8]) {
    match ReflectorPacket::parse(bytes) {
        Err(_) => assert!(bytes.len() < BASE_LEN, "a whole packet was refused"),
        Ok((packet, tail)) => {
            assert_eq!(tail, &bytes[BASE_LEN..], "the tail is what follows");
            let rebuilt = packet.to_bytes();
            assert_eq!(rebuilt[..38], bytes[..38], "fields survive");
            assert_eq!(rebuilt[40], bytes[40], "the time to live survives");
            assert_eq!((rebuilt[38], rebuilt[39]), (0, 0), "must be zero");
            assert_eq!(ReflectorPacket::parse(&rebuilt), Ok((packet, &[][..])), "parses again");
            fuzz_timestamp(packet.received);
        }
    }
}

/// Walked TLVs rebuild to the octets in front of the first malformed one; answering keeps the length
/// and never touches what is behind it.
///
/// # Panics
/// When the law is broken.
pub fn fuzz_tlvs(bytes: &[u8]) {
    let mut rebuilt = Vec::with_capacity(bytes.len());
    let mut malformed_at = bytes.len();
    for tlv in Tlvs::new(bytes) {
        match tlv {
            Ok(tlv) => write_tlv(&mut rebuilt, &tlv),
            Err(malformed) => malformed_at = malformed.offset,
        }
    }
    assert_eq!(rebuilt, bytes[..malformed_at], "what was walked rebuilds");

    let mut answered = bytes.to_vec();
    reflect_tlvs(&mut answered, |asked| {
        assert_eq!(ClassOfService::parse(&asked.to_bytes()), Ok(asked), "a value round-trips");
        Some(asked)
    });
    let behind = (malformed_at + 1).min(bytes.len());
    assert_eq!(answered.len(), bytes.len(), "an answer is as long as its request");
    assert_eq!(answered[behind..], bytes[behind..], "octets behind a malformed TLV stay");
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
