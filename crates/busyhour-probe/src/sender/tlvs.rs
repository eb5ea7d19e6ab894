//! The TLVs of requests, and what answers say in theirs.

use busyhour_wire::{
    BASE_LEN, CLASS_OF_SERVICE, ClassOfService, EXTRA_PADDING, FLAG_INTEGRITY, FLAG_MALFORMED,
    FLAG_UNRECOGNIZED, TLV_HEADER_LEN, Tlv, Tlvs, write_tlv,
};

use super::SenderConfig;

/// Everything of a request but what changes: the TLVs, filled to the profile's size with octets that
/// no link compresses (RFC 8972 section 4.1 asks for pseudorandom ones).
pub(super) fn template(config: &SenderConfig) -> Vec<u8> {
    let length = config.profile.payload_bytes(config.peer.ip());
    let mut buffer = vec![0; BASE_LEN];
    let class = ClassOfService::request(config.profile.dscp()).to_bytes();
    let flags = FLAG_UNRECOGNIZED;
    write_tlv(&mut buffer, &Tlv { flags, kind: CLASS_OF_SERVICE, value: &class });
    if let Some(room) = length.checked_sub(buffer.len() + TLV_HEADER_LEN) {
        let mut state = u64::from(config.ssid);
        let value: Vec<u8> = (0..room).map(|_| split_mix(&mut state)).collect();
        write_tlv(&mut buffer, &Tlv { flags, kind: EXTRA_PADDING, value: &value });
    }
    buffer.resize(length, 0);
    buffer
}

/// One octet of the splitmix64 sequence (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
fn split_mix(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 56) as u8
}

/// What the reflector says of code points. A U flag that is still set means that it knows no TLVs and
/// sent them back as padding (RFC 8972 section 4).
pub(super) fn class_of_service(tail: &[u8]) -> Option<ClassOfService> {
    for tlv in Tlvs::new(tail) {
        let tlv = tlv.ok()?;
        if tlv.flags & (FLAG_MALFORMED | FLAG_INTEGRITY) != 0 {
            return None;
        }
        if tlv.kind == CLASS_OF_SERVICE && tlv.flags & FLAG_UNRECOGNIZED == 0 {
            return ClassOfService::parse(tlv.value).ok();
        }
    }
    None
}
