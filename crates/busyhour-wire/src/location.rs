//! The Location TLV (RFC 8972 section 4.2): how the sender's packet looked where it arrived. A reader
//! sees from it whether an address translator stands between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::tlv::{
    FLAG_INTEGRITY, FLAG_MALFORMED, FLAG_UNRECOGNIZED, MalformedTlv, TLV_HEADER_LEN, Tlvs,
};

const PORTS_LEN: usize = 4;
const MAC_LEN: usize = 8;
const ADDRESS_LEN: usize = 16;

/// The value of a Location TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The port that the packet was sent to, as the reflector received it.
    pub destination_port: u16,
    /// The port that the packet came from, as the reflector received it.
    pub source_port: u16,
    sub_tlvs: &'a [u8],
}

/// What a sub-TLV asks or tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationPart {
    /// 1: asks for the sender's hardware address.
    SourceMac,
    /// 2: the sender's hardware address as the reflector saw it.
    SourceEui48([u8; 6]),
    /// 3: the same, of 64 bits.
    SourceEui64([u8; 8]),
    /// 4: asks for the address that the packet was sent to.
    DestinationAddress,
    /// 5 and 6: the address that the packet was sent to.
    Destination(IpAddr),
    /// 7: asks for the address that the packet came from.
    SourceAddress,
    /// 8 and 9: the address that the packet came from.
    Source(IpAddr),
    /// Anything else.
    Other(u8),
}

/// Whether a reflector tells addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Disclosure {
    /// Ports alone.
    #[default]
    Ports,
    /// Addresses, too.
    Addresses,
}

impl<'a> Location<'a> {
    /// The length of a value without sub-TLVs, in octets.
    pub const LEN: usize = PORTS_LEN;

    /// What a sender writes that asks for the ports alone.
    #[must_use]
    pub const fn ports_request() -> [u8; PORTS_LEN] {
        [0; PORTS_LEN]
    }

    /// What a sender writes that asks for both addresses, too: 44 octets.
    #[must_use]
    pub fn addresses_request() -> Vec<u8> {
        let mut value = Self::ports_request().to_vec();
        for part in [LocationPart::DestinationAddress, LocationPart::SourceAddress] {
            part.write(FLAG_UNRECOGNIZED, &mut value);
        }
        value
    }

    /// Reads a value; sub-TLVs are read when walked.
    ///
    /// # Errors
    /// When it has no room for two ports.
    pub fn parse(value: &'a [u8]) -> Result<Self, MalformedTlv> {
        let Some((&[a, b, c, d], sub_tlvs)) = value.split_first_chunk::<PORTS_LEN>() else {
            return Err(MalformedTlv { offset: 0 });
        };
        Ok(Self {
            destination_port: u16::from_be_bytes([a, b]),
            source_port: u16::from_be_bytes([c, d]),
            sub_tlvs,
        })
    }

    /// Walks the sub-TLVs: the flags of each, and what it says.
    pub fn parts(&self) -> impl Iterator<Item = Result<(u8, LocationPart), MalformedTlv>> + 'a {
        Tlvs::new(self.sub_tlvs).map(|tlv| {
            let tlv = tlv?;
            Ok((tlv.flags, LocationPart::parse(tlv.kind, tlv.value)?))
        })
    }
}

impl LocationPart {
    /// Reads the value of a sub-TLV.
    ///
    /// # Errors
    /// When its length is not that of its type.
    pub fn parse(kind: u8, value: &[u8]) -> Result<Self, MalformedTlv> {
        let malformed = MalformedTlv { offset: 0 };
        let mac = || <[u8; MAC_LEN]>::try_from(value).map_err(|_| malformed);
        let address = || <[u8; ADDRESS_LEN]>::try_from(value).map_err(|_| malformed);
        let v4 = |[a, b, c, d, ..]: [u8; ADDRESS_LEN]| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        let v6 = |octets: [u8; ADDRESS_LEN]| IpAddr::V6(Ipv6Addr::from(octets));
        Ok(match kind {
            1 => mac().map(|_| Self::SourceMac)?,
            2 => mac().map(|[a, b, c, d, e, f, ..]| Self::SourceEui48([a, b, c, d, e, f]))?,
            3 => mac().map(Self::SourceEui64)?,
            4 => address().map(|_| Self::DestinationAddress)?,
            5 => address().map(v4).map(Self::Destination)?,
            6 => address().map(v6).map(Self::Destination)?,
            7 => address().map(|_| Self::SourceAddress)?,
            8 => address().map(v4).map(Self::Source)?,
            9 => address().map(v6).map(Self::Source)?,
            other => Self::Other(other),
        })
    }

    /// Appends the sub-TLV; a part of another type becomes one without a value.
    pub fn write(&self, flags: u8, out: &mut Vec<u8>) {
        let (kind, value, len) = self.to_parts();
        out.extend_from_slice(&[flags, kind, 0, len as u8]);
        out.extend_from_slice(&value[..len]);
    }

    /// The type, and the value in the first so many octets.
    fn to_parts(self) -> (u8, [u8; ADDRESS_LEN], usize) {
        let mut value = [0; ADDRESS_LEN];
        let (kind, len) = match self {
            Self::SourceMac => (1, MAC_LEN),
            Self::SourceEui48(octets) => {
                value[..octets.len()].copy_from_slice(&octets);
                (2, MAC_LEN)
            }
            Self::SourceEui64(octets) => {
                value[..octets.len()].copy_from_slice(&octets);
                (3, MAC_LEN)
            }
            Self::DestinationAddress => (4, ADDRESS_LEN),
            Self::Destination(address) => (5 + put_address(address, &mut value), ADDRESS_LEN),
            Self::SourceAddress => (7, ADDRESS_LEN),
            Self::Source(address) => (8 + put_address(address, &mut value), ADDRESS_LEN),
            Self::Other(kind) => (kind, 0),
        };
        (kind, value, len)
    }

    /// The name of a sub-TLV's type.
    #[must_use]
    pub const fn name(kind: u8) -> Option<&'static str> {
        Some(match kind {
            1 => "Source MAC Address",
            2 => "Source EUI-48 Address",
            3 => "Source EUI-64 Address",
            4 => "Destination IP Address",
            5 => "Destination IPv4 Address",
            6 => "Destination IPv6 Address",
            7 => "Source IP Address",
            8 => "Source IPv4 Address",
            9 => "Source IPv6 Address",
            _ => return None,
        })
    }
}

/// Puts an address at the front; 0 for IPv4 and 1 for IPv6, as the types are numbered.
fn put_address(address: IpAddr, value: &mut [u8; ADDRESS_LEN]) -> u8 {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            value[..4].copy_from_slice(&address.octets());
            0
        }
        IpAddr::V6(address) => {
            *value = address.octets();
            1
        }
    }
}

/// Answers the value of a Location TLV where it stands: the ports always, the addresses only when
/// `addresses` says so; a sub-TLV that is not answered gets U. Hardware addresses are never told.
/// `to` is the address that the packet was sent to, `from` where it came from.
///
/// # Errors
/// When the value or a sub-TLV is malformed; M is set on the sub-TLV, and is the caller's to set on the
/// TLV.
pub fn answer_location(
    value: &mut [u8],
    to: SocketAddr,
    from: SocketAddr,
    addresses: Disclosure,
) -> Result<(), MalformedTlv> {
    let whole = value.len();
    let Some((ports, mut rest)) = value.split_first_chunk_mut::<PORTS_LEN>() else {
        return Err(MalformedTlv { offset: 0 });
    };
    ports[..2].copy_from_slice(&to.port().to_be_bytes());
    ports[2..].copy_from_slice(&from.port().to_be_bytes());
    while !rest.is_empty() {
        let malformed = MalformedTlv { offset: whole - rest.len() };
        let ([flags, kind, high, low], behind) =
            rest.split_first_chunk_mut::<TLV_HEADER_LEN>().ok_or(malformed)?;
        *flags &= !(FLAG_UNRECOGNIZED | FLAG_MALFORMED | FLAG_INTEGRITY);
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, behind)) = behind.split_at_mut_checked(len) else {
            *flags |= FLAG_MALFORMED;
            return Err(malformed);
        };
        let Ok(part) = LocationPart::parse(*kind, value) else {
            *flags |= FLAG_MALFORMED;
            return Err(malformed);
        };
        let answer = match (part, addresses) {
            (LocationPart::DestinationAddress, Disclosure::Addresses) => {
                Some(LocationPart::Destination(to.ip()))
            }
            (LocationPart::SourceAddress, Disclosure::Addresses) => {
                Some(LocationPart::Source(from.ip()))
            }
            _ => None,
        };
        if let Some(answer) = answer {
            let (answered, octets, len) = answer.to_parts();
            *kind = answered;
            value.copy_from_slice(&octets[..len]);
        } else {
            *flags |= FLAG_UNRECOGNIZED;
        }
        rest = behind;
    }
    Ok(())
}
