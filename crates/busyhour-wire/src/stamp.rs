//! Base packets in unauthenticated mode: RFC 8762 sections 4.2.1 and 4.3.1, with the session
//! identifier of RFC 8972 section 3.

use thiserror::Error;

use crate::{ErrorEstimate, WireTimestamp};

/// The length of both base packets, in octets.
pub const BASE_LEN: usize = 44;
/// Where a reflector's transmit time lies in its packet.
pub const REFLECTOR_TRANSMIT_OFFSET: usize = TIMESTAMP;

const SEQUENCE: usize = 0;
const TIMESTAMP: usize = 4;
const ERROR_ESTIMATE: usize = 12;
const SSID: usize = 14;
const RECEIVE_TIMESTAMP: usize = 16;
const SENDER_SEQUENCE: usize = 24;
const SENDER_TIMESTAMP: usize = 28;
const SENDER_ERROR_ESTIMATE: usize = 36;
const SENDER_TTL: usize = 40;

/// A datagram that is shorter than the base packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{len} octets are fewer than the 44 of a test packet")]
pub struct Truncated {
    /// How many octets there were.
    pub len: usize,
}

/// What a session sender sends (RFC 8762 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderPacket {
    /// The sequence number.
    pub sequence: u32,
    /// T1: when it was sent, in the format of `error_estimate`.
    pub sent: WireTimestamp,
    /// The quality and format of `sent`.
    pub error_estimate: ErrorEstimate,
    /// The session identifier; 0 when unused.
    pub ssid: u16,
}

impl SenderPacket {
    /// Reads the base packet; the rest are TLVs or padding.
    ///
    /// # Errors
    /// When there are fewer than 44 octets.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), Truncated> {
        let (base, rest) = split(datagram)?;
        let packet = Self {
            sequence: u32_at(base, SEQUENCE),
            sent: WireTimestamp(u64_at(base, TIMESTAMP)),
            error_estimate: ErrorEstimate(u16_at(base, ERROR_ESTIMATE)),
            ssid: u16_at(base, SSID),
        };
        Ok((packet, rest))
    }

    /// Writes the base packet; octets that must be zero are.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BASE_LEN] {
        let mut base = [0; BASE_LEN];
        put(&mut base, SEQUENCE, self.sequence.to_be_bytes());
        put(&mut base, TIMESTAMP, self.sent.0.to_be_bytes());
        put(&mut base, ERROR_ESTIMATE, self.error_estimate.0.to_be_bytes());
        put(&mut base, SSID, self.ssid.to_be_bytes());
        base
    }
}

/// What a session reflector answers (RFC 8762 section 4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReflectorPacket {
    /// A stateful reflector's own counter, or a stateless one's copy of the sender's sequence.
    pub sequence: u32,
    /// T3: when the answer was sent, in the format of `error_estimate`.
    pub sent: WireTimestamp,
    /// The quality and format of `sent` and `received`.
    pub error_estimate: ErrorEstimate,
    /// The session identifier, copied; 0 from reflectors that know none.
    pub ssid: u16,
    /// T2: when the sender's packet was received.
    pub received: WireTimestamp,
    /// The sender's sequence number, copied.
    pub sender_sequence: u32,
    /// T1, copied.
    pub sender_sent: WireTimestamp,
    /// The quality and format of `sender_sent`, copied.
    pub sender_error_estimate: ErrorEstimate,
    /// The time to live or hop limit that the sender's packet arrived with.
    pub sender_ttl: u8,
}

impl ReflectorPacket {
    /// Reads the base packet; the rest are TLVs or padding.
    ///
    /// # Errors
    /// When there are fewer than 44 octets.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), Truncated> {
        let (base, rest) = split(datagram)?;
        let packet = Self {
            sequence: u32_at(base, SEQUENCE),
            sent: WireTimestamp(u64_at(base, TIMESTAMP)),
            error_estimate: ErrorEstimate(u16_at(base, ERROR_ESTIMATE)),
            ssid: u16_at(base, SSID),
            received: WireTimestamp(u64_at(base, RECEIVE_TIMESTAMP)),
            sender_sequence: u32_at(base, SENDER_SEQUENCE),
            sender_sent: WireTimestamp(u64_at(base, SENDER_TIMESTAMP)),
            sender_error_estimate: ErrorEstimate(u16_at(base, SENDER_ERROR_ESTIMATE)),
            sender_ttl: base[SENDER_TTL],
        };
        Ok((packet, rest))
    }

    /// Writes the base packet; octets that must be zero are.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BASE_LEN] {
        let mut base = [0; BASE_LEN];
        put(&mut base, SEQUENCE, self.sequence.to_be_bytes());
        put(&mut base, TIMESTAMP, self.sent.0.to_be_bytes());
        put(&mut base, ERROR_ESTIMATE, self.error_estimate.0.to_be_bytes());
        put(&mut base, SSID, self.ssid.to_be_bytes());
        put(&mut base, RECEIVE_TIMESTAMP, self.received.0.to_be_bytes());
        put(&mut base, SENDER_SEQUENCE, self.sender_sequence.to_be_bytes());
        put(&mut base, SENDER_TIMESTAMP, self.sender_sent.0.to_be_bytes());
        put(&mut base, SENDER_ERROR_ESTIMATE, self.sender_error_estimate.0.to_be_bytes());
        base[SENDER_TTL] = self.sender_ttl;
        base
    }
}

/// Writes the transmit time into a packet that is already built: T1 of a sender's and T3 of a
/// reflector's lie at the same place. A packet that is too short is left as it is.
pub fn patch_transmit_time(packet: &mut [u8], at: WireTimestamp) {
    if let Some(field) = packet.get_mut(TIMESTAMP..ERROR_ESTIMATE) {
        field.copy_from_slice(&at.0.to_be_bytes());
    }
}

fn split(datagram: &[u8]) -> Result<(&[u8; BASE_LEN], &[u8]), Truncated> {
    datagram.split_first_chunk().ok_or(Truncated { len: datagram.len() })
}

fn u16_at(base: &[u8; BASE_LEN], at: usize) -> u16 {
    u16::from_be_bytes(array_at(base, at))
}

fn u32_at(base: &[u8; BASE_LEN], at: usize) -> u32 {
    u32::from_be_bytes(array_at(base, at))
}

fn u64_at(base: &[u8; BASE_LEN], at: usize) -> u64 {
    u64::from_be_bytes(array_at(base, at))
}

fn array_at<const N: usize>(base: &[u8; BASE_LEN], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&base[at..at + N]);
    array
}

fn put<const N: usize>(base: &mut [u8; BASE_LEN], at: usize, bytes: [u8; N]) {
    base[at..at + N].copy_from_slice(&bytes);
}
