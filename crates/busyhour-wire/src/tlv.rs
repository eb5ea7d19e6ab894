//! TLVs behind the base packet (RFC 8972 section 4): `Flags(8) Type(8) Length(16) Value`.

use std::mem;

use thiserror::Error;

/// The length of flags, type and length.
pub const TLV_HEADER_LEN: usize = 4;
/// Extra Padding (RFC 8972 section 4.1).
pub const EXTRA_PADDING: u8 = 1;
/// Location (RFC 8972 section 4.2).
pub const LOCATION: u8 = 2;
/// Timestamp Information (RFC 8972 section 4.3).
pub const TIMESTAMP_INFORMATION: u8 = 3;
/// Class of Service (RFC 8972 section 4.4, erratum 8199).
pub const CLASS_OF_SERVICE: u8 = 4;
/// Direct Measurement (RFC 8972 section 4.5).
pub const DIRECT_MEASUREMENT: u8 = 5;
/// Access Report (RFC 8972 section 4.6).
pub const ACCESS_REPORT: u8 = 6;
/// Follow-Up Telemetry (RFC 8972 section 4.7).
pub const FOLLOW_UP: u8 = 7;
/// HMAC (RFC 8972 section 4.8).
pub const HMAC: u8 = 8;
/// Destination Node Address (RFC 9503 section 3); named, not used.
pub const DESTINATION_NODE_ADDRESS: u8 = 9;
/// Return Path (RFC 9503 section 4); named, not used.
pub const RETURN_PATH: u8 = 10;
/// Micro-session Identifier (RFC 9534); named, not used.
pub const MICRO_SESSION_ID: u8 = 11;
/// Reflected Test Packet Control (RFC 10052); named, not used.
pub const REFLECTED_TEST_PACKET_CONTROL: u8 = 12;
/// U: set by the sender, cleared by a reflector that knows the type.
pub const FLAG_UNRECOGNIZED: u8 = 0x80;
/// M: set by a reflector that cannot read the TLV.
pub const FLAG_MALFORMED: u8 = 0x40;
/// I: set by a reflector that failed to verify the TLVs.
pub const FLAG_INTEGRITY: u8 = 0x20;
/// C: set by a reflector that knows the TLV and could not do what it asks (RFC 10052 section 6.2).
pub const FLAG_CONFORMANCE: u8 = 0x10;

/// The name of a TLV's type, as its RFC writes it.
#[must_use]
pub const fn tlv_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        EXTRA_PADDING => "Extra Padding",
        LOCATION => "Location",
        TIMESTAMP_INFORMATION => "Timestamp Information",
        CLASS_OF_SERVICE => "Class of Service",
        DIRECT_MEASUREMENT => "Direct Measurement",
        ACCESS_REPORT => "Access Report",
        FOLLOW_UP => "Follow-Up Telemetry",
        HMAC => "HMAC",
        DESTINATION_NODE_ADDRESS => "Destination Node Address",
        RETURN_PATH => "Return Path",
        MICRO_SESSION_ID => "Micro-session ID",
        REFLECTED_TEST_PACKET_CONTROL => "Reflected Test Packet Control",
        _ => return None,
    })
}

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

/// A TLV whose length reaches beyond the packet, or is wrong for its type, or fewer octets than a header
/// has. Nothing behind it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed TLV {offset} octets behind the base packet")]
pub struct MalformedTlv {
    /// Where it begins; 0 where a value alone was read.
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

/// One TLV that can be answered where it stands; its length cannot change.
#[derive(Debug, PartialEq, Eq)]
pub struct TlvMut<'a> {
    /// U, M, I and reserved bits.
    pub flags: &'a mut u8,
    /// The type.
    pub kind: u8,
    /// The value.
    pub value: &'a mut [u8],
}

/// Walks TLVs in order, each for changing, and ends at the first malformed one.
#[derive(Debug)]
pub struct TlvsMut<'a> {
    rest: &'a mut [u8],
    offset: usize,
    malformed: bool,
}

impl<'a> TlvsMut<'a> {
    /// Walks what follows a base packet.
    #[must_use]
    pub const fn new(tail: &'a mut [u8]) -> Self {
        Self { rest: tail, offset: 0, malformed: false }
    }

    /// Sets M, and clears U and I, on the malformed TLV that the walk ended at (RFC 8972 section 4).
    /// Octets too few for a header are padding of an older sender and stay as they came. Where a value
    /// turns out malformed, its own flags are to be set instead.
    pub fn mark_malformed(&mut self) {
        if !self.malformed || self.rest.len() < TLV_HEADER_LEN {
            return;
        }
        if let Some(flags) = self.rest.first_mut() {
            *flags = *flags & !(FLAG_UNRECOGNIZED | FLAG_INTEGRITY) | FLAG_MALFORMED;
        }
    }
}

impl<'a> Iterator for TlvsMut<'a> {
    type Item = Result<TlvMut<'a>, MalformedTlv>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.malformed || self.rest.is_empty() {
            return None;
        }
        let Some((tlv, _)) = split_tlv(self.rest) else {
            self.malformed = true;
            return Some(Err(MalformedTlv { offset: self.offset }));
        };
        let len = TLV_HEADER_LEN + tlv.value.len();
        let (whole, rest) = mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        self.offset += len;
        let ([flags, kind, ..], value) = whole.split_first_chunk_mut::<TLV_HEADER_LEN>()?;
        Some(Ok(TlvMut { flags, kind: *kind, value }))
    }
}
