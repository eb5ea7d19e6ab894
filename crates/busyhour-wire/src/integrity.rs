//! The HMAC TLV (RFC 8972 section 4.8): what it covers, where it stands and when it must.

use crate::tlv::{EXTRA_PADDING, HMAC, TLV_HEADER_LEN, Tlvs};
use crate::{Key, Mode, TAG_LEN};

/// The sequence number, which the HMAC TLV covers with the TLVs.
const SEQUENCE_LEN: usize = 4;

/// What the HMAC TLV of a packet says of its TLVs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlvIntegrity {
    /// There is none, and there need not be one.
    Absent,
    /// There is one in its place, and no key to check it with.
    Unchecked,
    /// The TLVs are as the holder of the key wrote them.
    Valid,
    /// The tag, its length or its place is wrong, or it is missing where it must be: in authenticated
    /// mode, unless the only TLV is Extra Padding.
    Invalid,
}

/// What of a packet's tail matters here.
enum Found {
    /// No HMAC TLV.
    Nothing {
        /// No TLV at all, or a single Extra Padding.
        dispensable: bool,
    },
    /// Its header begins so many octets behind the base packet.
    At(usize),
    Misplaced,
}

/// Checks the HMAC TLV of a whole packet, base included. A malformed TLV in front of it hides it.
#[must_use]
pub fn check_tlvs(mode: Mode, packet: &[u8], key: Option<&Key>) -> TlvIntegrity {
    let Some((base, tail)) = packet.split_at_checked(mode.base_len()) else {
        return TlvIntegrity::Invalid;
    };
    let offset = match find(tail) {
        Found::Nothing { dispensable } => {
            let optional = dispensable || mode == Mode::Unauthenticated;
            return if optional { TlvIntegrity::Absent } else { TlvIntegrity::Invalid };
        }
        Found::Misplaced => return TlvIntegrity::Invalid,
        Found::At(offset) => offset,
    };
    let Some(key) = key else { return TlvIntegrity::Unchecked };
    let (covered, own) = tail.split_at(offset);
    let tag = own.get(TLV_HEADER_LEN..TLV_HEADER_LEN + TAG_LEN).unwrap_or_default();
    if key.verifies(&[&base[..SEQUENCE_LEN], covered], tag) {
        TlvIntegrity::Valid
    } else {
        TlvIntegrity::Invalid
    }
}

/// Fills the HMAC TLV that a finished packet has. False, and nothing written, when there is none in its
/// place. Everything it covers must be final: the sequence number and the TLVs in front of it.
pub fn seal_tlvs(mode: Mode, packet: &mut [u8], key: &Key) -> bool {
    let Some((base, tail)) = packet.split_at_mut_checked(mode.base_len()) else { return false };
    let Found::At(offset) = find(tail) else { return false };
    let (covered, own) = tail.split_at_mut(offset);
    let tag = key.tag(&[&base[..SEQUENCE_LEN], covered]);
    let Some(place) = own.get_mut(TLV_HEADER_LEN..TLV_HEADER_LEN + TAG_LEN) else { return false };
    place.copy_from_slice(&tag);
    true
}

fn find(tail: &[u8]) -> Found {
    let (mut offset, mut count, mut only_padding) = (0, 0, true);
    let mut tlvs = Tlvs::new(tail);
    while let Some(tlv) = tlvs.next() {
        // A malformed TLV is one that is there and is no padding.
        let Ok(tlv) = tlv else { return Found::Nothing { dispensable: false } };
        if tlv.kind == HMAC {
            let in_place = tlv.value.len() == TAG_LEN
                && tlvs.all(|after| after.is_ok_and(|after| after.kind == EXTRA_PADDING));
            return if in_place { Found::At(offset) } else { Found::Misplaced };
        }
        offset += TLV_HEADER_LEN + tlv.value.len();
        count += 1;
        only_padding &= tlv.kind == EXTRA_PADDING;
    }
    Found::Nothing { dispensable: count == 0 || (count == 1 && only_padding) }
}
