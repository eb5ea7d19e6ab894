//! STUN messages (RFC 8489): a checked view and a builder.
//!
//! Credentials are of characters that SASLprep and OpaqueString leave alone; others are refused, because
//! a wrong preparation would look like a wrong password.

mod builder;
mod credential;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

pub use builder::{Builder, TooLong};
pub use credential::{Credential, Unprepared};

/// The length of the header, in octets.
pub const HEADER_LEN: usize = 20;
/// What the second word of a message is (RFC 8489 section 5).
pub const MAGIC_COOKIE: u32 = 0x2112_a442;

/// The method of a Binding (RFC 8489 section 18.2).
pub const BINDING: u16 = 0x001;
/// The method of an Allocate (RFC 8656 section 18).
pub const ALLOCATE: u16 = 0x003;

/// MAPPED-ADDRESS (RFC 8489 section 14.1).
pub const MAPPED_ADDRESS: u16 = 0x0001;
/// USERNAME (section 14.3).
pub const USERNAME: u16 = 0x0006;
/// MESSAGE-INTEGRITY (section 14.5).
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
/// ERROR-CODE (section 14.8).
pub const ERROR_CODE: u16 = 0x0009;
/// UNKNOWN-ATTRIBUTES (section 14.13).
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// REALM (section 14.9).
pub const REALM: u16 = 0x0014;
/// NONCE (section 14.10).
pub const NONCE: u16 = 0x0015;
/// MESSAGE-INTEGRITY-SHA256 (section 14.6).
pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
/// XOR-MAPPED-ADDRESS (section 14.2).
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// SOFTWARE (section 14.14).
pub const SOFTWARE: u16 = 0x8022;
/// FINGERPRINT (section 14.7).
pub const FINGERPRINT: u16 = 0x8028;

const ATTRIBUTE_HEADER_LEN: usize = 4;
const SHA1_LEN: usize = 20;
const SHA256_LENS: std::ops::RangeInclusive<usize> = 16..=32;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const FINGERPRINT_LEN: usize = ATTRIBUTE_HEADER_LEN + 4;
const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// What tells a transaction from others: 96 bits of chance, from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// What a message is to its transaction (RFC 8489 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Asks.
    Request,
    /// Tells, and wants no answer.
    Indication,
    /// Answers.
    Success,
    /// Answers that it does not.
    Error,
}

/// Why octets are no STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotStun {
    /// Fewer than a header has.
    #[error("{len} octets are fewer than the 20 of a STUN header")]
    Short {
        /// How many there are.
        len: usize,
    },
    /// The first two bits or the magic cookie are another protocol's.
    #[error("no STUN message: the first bits or the magic cookie are wrong")]
    OtherProtocol,
    /// The length is no multiple of four or not that of the datagram.
    #[error("a STUN length of {claimed} does not fit a datagram of {len} octets")]
    Length {
        /// What the header says: octets behind it.
        claimed: u16,
        /// The datagram's length.
        len: usize,
    },
    /// An attribute reaches beyond the message.
    #[error("malformed STUN attribute at octet {offset}")]
    Attribute {
        /// Where it begins in the message.
        offset: usize,
    },
}

/// What a check of a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// There is nothing to check.
    Absent,
    /// It is right.
    Valid,
    /// It is wrong, of a wrong length or in a wrong place.
    Invalid,
}

/// One attribute (RFC 8489 section 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Where its header begins in the message, in octets.
    pub offset: usize,
    /// The type.
    pub kind: u16,
    /// The value, without padding.
    pub value: &'a [u8],
}

/// A message whose header and attributes are well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: u16,
    transaction_id: TransactionId,
}

impl<'a> Message<'a> {
    /// Reads a datagram that is one message.
    ///
    /// # Errors
    /// When it is none, or malformed.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, NotStun> {
        let len = datagram.len();
        let Some((header, body)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(NotStun::Short { len });
        };
        let &[a, b, c, d, e, f, g, h, ref id @ ..] = header;
        if a & 0xc0 != 0 || u32::from_be_bytes([e, f, g, h]) != MAGIC_COOKIE {
            return Err(NotStun::OtherProtocol);
        }
        let claimed = u16::from_be_bytes([c, d]);
        if claimed % 4 != 0 || usize::from(claimed) != body.len() {
            return Err(NotStun::Length { claimed, len });
        }
        let (class, method) = split_type(u16::from_be_bytes([a, b]));
        let message = Self { bytes: datagram, class, method, transaction_id: TransactionId(*id) };
        let mut walk = Attributes { bytes: datagram, offset: HEADER_LEN };
        walk.by_ref().for_each(drop);
        if walk.offset != len {
            return Err(NotStun::Attribute { offset: walk.offset });
        }
        Ok(message)
    }

    /// What it is to its transaction.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The method, 12 bits.
    #[must_use]
    pub const fn method(&self) -> u16 {
        self.method
    }

    /// The transaction.
    #[must_use]
    pub const fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// All attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> {
        Attributes { bytes: self.bytes, offset: HEADER_LEN }
    }

    /// The value of the first attribute of a type. What stands behind MESSAGE-INTEGRITY is not protected
    /// by it and is not seen, but for MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 section 14.5).
    #[must_use]
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        let mut sealed = false;
        for attribute in self.attributes() {
            let seen = !sealed || matches!(attribute.kind, MESSAGE_INTEGRITY_SHA256 | FINGERPRINT);
            if seen && attribute.kind == kind {
                return Some(attribute.value);
            }
            sealed |= matches!(attribute.kind, MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256);
        }
        None
    }

    /// A text attribute, such as [`SOFTWARE`], [`REALM`] or [`USERNAME`]; `None` when it is no UTF-8.
    #[must_use]
    pub fn text(&self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.find(kind)?).ok()
    }

    /// Where the server saw the request come from: XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of an old one.
    #[must_use]
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        match self.find(XOR_MAPPED_ADDRESS) {
            Some(value) => read_address(value, Some(self.transaction_id)),
            None => read_address(self.find(MAPPED_ADDRESS)?, None),
        }
    }

    /// The code (300..=699) and the reason of an error, when it has one.
    #[must_use]
    pub fn error_code(&self) -> Option<(u16, &'a [u8])> {
        read_error_code(self.find(ERROR_CODE)?)
    }

    /// Checks MESSAGE-INTEGRITY (RFC 8489 section 14.5), in constant time.
    #[must_use]
    pub fn check_integrity(&self, credential: &Credential) -> Check {
        self.check(MESSAGE_INTEGRITY, |covered, tag| {
            tag.len() == SHA1_LEN && credential.verifies_sha1(covered, tag)
        })
    }

    /// Checks MESSAGE-INTEGRITY-SHA256 (RFC 8489 section 14.6), in constant time.
    #[must_use]
    pub fn check_integrity_sha256(&self, credential: &Credential) -> Check {
        self.check(MESSAGE_INTEGRITY_SHA256, |covered, tag| {
            SHA256_LENS.contains(&tag.len())
                && tag.len() % 4 == 0
                && credential.verifies_sha256(covered, tag)
        })
    }

    /// Checks FINGERPRINT (RFC 8489 section 14.7), which must be the last attribute.
    #[must_use]
    pub fn check_fingerprint(&self) -> Check {
        self.check(FINGERPRINT, |covered, value| {
            let len: usize = covered.iter().map(|part| part.len()).sum();
            len + FINGERPRINT_LEN == self.bytes.len() && value == fingerprint(covered)
        })
    }

    /// Finds an attribute that covers all in front of it, with the length that the header would have if
    /// the message ended with it.
    fn check(&self, kind: u16, is_right: impl Fn([&[u8]; 3], &[u8]) -> bool) -> Check {
        let Some(attribute) = self.attributes().find(|attribute| attribute.kind == kind) else {
            return Check::Absent;
        };
        let end = attribute.offset + ATTRIBUTE_HEADER_LEN + attribute.value.len();
        let covered = self.bytes.get(..attribute.offset).and_then(|covered| {
            Some((covered.get(..2)?, u16::try_from(end - HEADER_LEN).ok()?, covered.get(4..)?))
        });
        let Some((kind, length, rest)) = covered else { return Check::Invalid };
        if is_right([kind, &length.to_be_bytes(), rest], attribute.value) {
            Check::Valid
        } else {
            Check::Invalid
        }
    }
}

/// Walks attributes; ends at the end of the message or at a malformed one, where `offset` then stays.
struct Attributes<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..)?;
        let (&[a, b, c, d], value) = rest.split_first_chunk::<ATTRIBUTE_HEADER_LEN>()?;
        let len = usize::from(u16::from_be_bytes([c, d]));
        let padded = len.next_multiple_of(4);
        if padded > value.len() {
            return None;
        }
        let kind = u16::from_be_bytes([a, b]);
        let attribute = Attribute { offset: self.offset, kind, value: &value[..len] };
        self.offset += ATTRIBUTE_HEADER_LEN + padded;
        Some(attribute)
    }
}

/// Takes the type apart: the bits of the class lie between those of the method (RFC 8489 section 5).
const fn split_type(kind: u16) -> (Class, u16) {
    let class = match (kind >> 8 & 1, kind >> 4 & 1) {
        (0, 0) => Class::Request,
        (0, _) => Class::Indication,
        (_, 0) => Class::Success,
        (_, _) => Class::Error,
    };
    (class, kind >> 2 & 0x0f80 | kind >> 1 & 0x0070 | kind & 0x000f)
}

const fn join_type(class: Class, method: u16) -> u16 {
    let class = match class {
        Class::Request => 0,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (method & 0x0f80) << 2 | (method & 0x0070) << 1 | method & 0x000f | class
}

fn fingerprint(covered: [&[u8]; 3]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    for part in covered {
        crc.update(part);
    }
    (crc.finalize() ^ FINGERPRINT_XOR).to_be_bytes()
}

/// Reads an address attribute; with a transaction it is one of those that are obfuscated with it.
#[must_use]
pub fn read_address(value: &[u8], transaction: Option<TransactionId>) -> Option<SocketAddr> {
    let (&[_, family, high, low], address) = value.split_first_chunk::<4>()?;
    let mask = transaction.map_or([0; 16], address_mask);
    let [first, second, ..] = mask;
    let port = u16::from_be_bytes([high ^ first, low ^ second]);
    let mut octets = [0; 16];
    for ((octet, wire), mask) in octets.iter_mut().zip(address).zip(mask) {
        *octet = wire ^ mask;
    }
    let [a, b, c, d, ..] = octets;
    let address = match (family, address.len()) {
        (IPV4, 4) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        (IPV6, 16) => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// Reads an ERROR-CODE.
#[must_use]
pub fn read_error_code(value: &[u8]) -> Option<(u16, &[u8])> {
    let (&[_, _, class, number], reason) = value.split_first_chunk::<4>()?;
    let class = class & 7;
    ((3..=6).contains(&class) && number < 100)
        .then(|| (u16::from(class) * 100 + u16::from(number), reason))
}

/// What addresses are obfuscated with: the cookie, then the transaction.
fn address_mask(transaction: TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(&transaction.0);
    mask
}

/// The name of a method, where it is one of STUN's or TURN's.
#[must_use]
pub const fn method_name(method: u16) -> Option<&'static str> {
    Some(match method {
        BINDING => "Binding",
        ALLOCATE => "Allocate",
        0x004 => "Refresh",
        0x006 => "Send",
        0x007 => "Data",
        0x008 => "CreatePermission",
        0x009 => "ChannelBind",
        _ => return None,
    })
}

/// The name of an attribute's type, where it is one of STUN's, TURN's or ICE's.
#[must_use]
pub const fn attribute_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        MAPPED_ADDRESS => "MAPPED-ADDRESS",
        USERNAME => "USERNAME",
        MESSAGE_INTEGRITY => "MESSAGE-INTEGRITY",
        ERROR_CODE => "ERROR-CODE",
        UNKNOWN_ATTRIBUTES => "UNKNOWN-ATTRIBUTES",
        0x000c => "CHANNEL-NUMBER",
        0x000d => "LIFETIME",
        0x0012 => "XOR-PEER-ADDRESS",
        0x0013 => "DATA",
        REALM => "REALM",
        NONCE => "NONCE",
        0x0016 => "XOR-RELAYED-ADDRESS",
        0x0019 => "REQUESTED-TRANSPORT",
        MESSAGE_INTEGRITY_SHA256 => "MESSAGE-INTEGRITY-SHA256",
        0x001d => "PASSWORD-ALGORITHM",
        0x001e => "USERHASH",
        XOR_MAPPED_ADDRESS => "XOR-MAPPED-ADDRESS",
        0x0024 => "PRIORITY",
        0x0025 => "USE-CANDIDATE",
        0x8002 => "PASSWORD-ALGORITHMS",
        0x8003 => "ALTERNATE-DOMAIN",
        SOFTWARE => "SOFTWARE",
        0x8023 => "ALTERNATE-SERVER",
        FINGERPRINT => "FINGERPRINT",
        0x8029 => "ICE-CONTROLLED",
        0x802a => "ICE-CONTROLLING",
        0x802b => "RESPONSE-ORIGIN",
        0x802c => "OTHER-ADDRESS",
        _ => return None,
    })
}
