//! Building messages.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::{
    ATTRIBUTE_HEADER_LEN, Class, Credential, ERROR_CODE, FINGERPRINT, HEADER_LEN, IPV4, IPV6,
    MAGIC_COOKIE, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, TransactionId, XOR_MAPPED_ADDRESS,
    address_mask, fingerprint, join_type,
};

/// A message, or one of its attributes, is longer than a length of 16 bits can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a STUN message or attribute is longer than 65535 octets")]
pub struct TooLong;

/// Builds a message, attribute by attribute in the order of the calls. MESSAGE-INTEGRITY covers what
/// stands in front of it, and FINGERPRINT goes last.
#[derive(Debug, Clone)]
pub struct Builder {
    bytes: Vec<u8>,
    transaction: TransactionId,
    padding: u8,
    too_long: bool,
}

impl Builder {
    /// A message without attributes. Of the method 12 bits are used.
    #[must_use]
    pub fn new(class: Class, method: u16, transaction: TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&join_type(class, method).to_be_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        bytes.extend_from_slice(&transaction.0);
        Self { bytes, transaction, padding: 0, too_long: false }
    }

    /// Pads the values that follow with this octet. RFC 8489 section 14 wants zero, which is the
    /// default; before it, any octet was allowed.
    #[must_use]
    pub const fn padded_with(mut self, octet: u8) -> Self {
        self.padding = octet;
        self
    }

    /// Appends an attribute.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let Ok(len) = u16::try_from(value.len()) else {
            self.too_long = true;
            return self;
        };
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), self.padding);
        self
    }

    /// Appends XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_mapped_address(self, address: SocketAddr) -> Self {
        let (family, octets) = match address.ip() {
            IpAddr::V4(address) => (IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (IPV6, address.octets().to_vec()),
        };
        let mask = address_mask(self.transaction);
        let mut value = vec![0, family];
        value.extend(address.port().to_be_bytes().iter().zip(mask).map(|(octet, m)| octet ^ m));
        value.extend(octets.iter().zip(mask).map(|(octet, m)| octet ^ m));
        self.attribute(XOR_MAPPED_ADDRESS, &value)
    }

    /// Appends ERROR-CODE; the code is 300..=699.
    #[must_use]
    pub fn error_code(self, code: u16, reason: &str) -> Self {
        let class = u8::try_from(code / 100).unwrap_or(u8::MAX) & 7;
        let mut value = vec![0, 0, class, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(ERROR_CODE, &value)
    }

    /// Appends MESSAGE-INTEGRITY.
    #[must_use]
    pub fn message_integrity(self, credential: &Credential) -> Self {
        let tag = self.cover(20, |covered| credential.tag_sha1(covered));
        self.attribute(MESSAGE_INTEGRITY, &tag)
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, uncut.
    #[must_use]
    pub fn message_integrity_sha256(self, credential: &Credential) -> Self {
        let tag = self.cover(32, |covered| credential.tag_sha256(covered));
        self.attribute(MESSAGE_INTEGRITY_SHA256, &tag)
    }

    /// Appends FINGERPRINT.
    #[must_use]
    pub fn fingerprint(self) -> Self {
        let value = self.cover(4, fingerprint);
        self.attribute(FINGERPRINT, &value)
    }

    /// The message.
    ///
    /// # Errors
    /// When it or an attribute became too long.
    pub fn finish(mut self) -> Result<Vec<u8>, TooLong> {
        let length = u16::try_from(self.bytes.len() - HEADER_LEN).map_err(|_| TooLong)?;
        if self.too_long {
            return Err(TooLong);
        }
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
        Ok(self.bytes)
    }

    /// What an attribute with a value of `len` octets covers: the header as if the message ended with
    /// it, and what stands in front. A length beyond 16 bits fails in the end anyway.
    fn cover<T>(&self, len: usize, of: impl Fn([&[u8]; 3]) -> T) -> T {
        let length = self.bytes.len() - HEADER_LEN + ATTRIBUTE_HEADER_LEN + len;
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        of([&self.bytes[..2], &length, &self.bytes[4..]])
    }
}
