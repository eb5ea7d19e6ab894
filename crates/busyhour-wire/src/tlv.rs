//! TLVs behind the base packet (RFC 8972 section 4): `Flags(8) Type(8) Length(16) Value`.

use busyhour_model::Dscp;
use thiserror::Error;

/// The length of flags, type and length.
pub const TLV_HEADER_LEN: usize = 4;
/// Extra Padding (RFC 8972 section 4.1).
pub const EXTRA_PADDING: u8 = 1;
/// Class of Service (RFC 8972 section 4.4, erratum 8199).
pub const CLASS_OF_SERVICE: u8 = 4;
/// The length of a Class of Service TLV with its header.
pub const COS_TLV_LEN: usize = TLV_HEADER_LEN + COS_VALUE_LEN;
/// U: set by the sender, cleared by a reflector that knows the type.
pub const FLAG_UNRECOGNIZED: u8 = 0x80;
/// M: set by a reflector that cannot read the TLV.
pub const FLAG_MALFORMED: u8 = 0x40;
/// I: set by a reflector that failed to verify the TLVs.
pub const FLAG_INTEGRITY: u8 = 0x20;

const COS_VALUE_LEN: usize = 4;

/// One TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// U, M, I and reserved bits.
    pub flags: u8,
    /// The type.
    pub kind: u8,
    /// The value.
    pub value: &'a [u8],
}

/// A TLV whose length reaches beyond the packet, or fewer octets than a header has. Nothing behind
/// it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed TLV {offset} octets behind the base packet")]
pub struct MalformedTlv {
    /// Where it begins.
    pub offset: usize,
}

/// Walks TLVs in order and ends at the first malformed one.
#[derive(Debug, Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Tlvs<'a> {
    /// Walks what follows a base packet.
    #[must_use]
    pub const fn new(tail: &'a [u8]) -> Self {
        Self { rest: tail, offset: 0 }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, MalformedTlv>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((tlv, rest)) = split_tlv(self.rest) else {
            self.rest = &[];
            return Some(Err(MalformedTlv { offset: self.offset }));
        };
        self.offset += self.rest.len() - rest.len();
        self.rest = rest;
        Some(Ok(tlv))
    }
}

fn split_tlv(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&[flags, kind, high, low], rest) = bytes.split_first_chunk::<TLV_HEADER_LEN>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((Tlv { flags, kind, value }, rest))
}

/// Appends a TLV. Values longer than 65 535 octets are cut.
pub fn write_tlv(out: &mut Vec<u8>, tlv: &Tlv<'_>) {
    let length = u16::try_from(tlv.value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&[tlv.flags, tlv.kind]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&tlv.value[..usize::from(length)]);
}

/// The value of a Class of Service TLV:
/// `DSCP1(6) DSCP2(6) ECN(2) RP(2) Reserved(16)`. Reserved bits are kept as they came, because newer
/// drafts give them a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassOfService {
    /// DSCP1: what the sender wants the answer marked with.
    pub wanted: Dscp,
    /// DSCP2: what the sender's packet was marked with when the reflector received it.
    pub received: Dscp,
    /// The ECN bits that the reflector received, 0..=3.
    pub ecn: u8,
    /// RP: 0 when the reflector marks its answer as wanted, 1 when its policy forbids that.
    pub refused: u8,
    /// Reserved.
    pub reserved: u16,
}

impl ClassOfService {
    /// What a sender writes: the wish, and nothing else.
    #[must_use]
    pub fn request(wanted: Dscp) -> Self {
        Self { wanted, received: Dscp::from_tos(0), ecn: 0, refused: 0, reserved: 0 }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When it is not four octets long.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedTlv> {
        let &[a, b, c, d] = value else { return Err(MalformedTlv { offset: 0 }) };
        Ok(Self {
            wanted: Dscp::from_tos(a),
            received: Dscp::from_tos((a << 6) | (b >> 4) << 2),
            ecn: b >> 2 & 3,
            refused: b & 3,
            reserved: u16::from_be_bytes([c, d]),
        })
    }

    /// Writes the value.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; COS_VALUE_LEN] {
        let received = self.received.value();
        let [c, d] = self.reserved.to_be_bytes();
        [
            self.wanted.to_tos() | received >> 4,
            received << 4 | (self.ecn & 3) << 2 | self.refused & 3,
            c,
            d,
        ]
    }
}

/// Turns the TLVs of a request into those of the answer, in place: U is cleared on padding and on a
/// Class of Service that `cos` answers, set on every other type; M is set on the first malformed TLV
/// and what is behind it stays as it came (RFC 8972 section 4). A tail that is too short for a header
/// is padding and stays, too.
pub fn reflect_tlvs(
    mut tail: &mut [u8],
    mut cos: impl FnMut(ClassOfService) -> Option<ClassOfService>,
) {
    while let Some(([flags, kind, high, low], rest)) =
        tail.split_first_chunk_mut::<TLV_HEADER_LEN>()
    {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        *flags &= !(FLAG_UNRECOGNIZED | FLAG_MALFORMED | FLAG_INTEGRITY);
        if length > rest.len() {
            *flags |= FLAG_MALFORMED;
            return;
        }
        let (value, next) = rest.split_at_mut(length);
        match *kind {
            EXTRA_PADDING => {}
            CLASS_OF_SERVICE => {
                let Ok(asked) = ClassOfService::parse(value) else {
                    *flags |= FLAG_MALFORMED;
                    return;
                };
                match cos(asked) {
                    Some(answer) => value.copy_from_slice(&answer.to_bytes()),
                    None => *flags |= FLAG_UNRECOGNIZED,
                }
            }
            _ => *flags |= FLAG_UNRECOGNIZED,
        }
        tail = next;
    }
}
