//! Base packets in both modes: RFC 8762 sections 4.2 and 4.3, with the session identifier of RFC 8972
//! section 3.

use thiserror::Error;

use crate::{ErrorEstimate, Key, WireTimestamp};

/// The length of both base packets in unauthenticated mode, in octets.
pub const BASE_LEN: usize = 44;
/// The length of both base packets in authenticated mode, in octets.
pub const AUTHENTICATED_BASE_LEN: usize = 112;
/// How much of an authenticated base packet its HMAC covers, and where that lies.
const SEALED_LEN: usize = 96;

/// Which of the two layouts a session uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// 44 octets, nothing protected (RFC 8762 sections 4.2.1 and 4.3.1).
    #[default]
    Unauthenticated,
    /// 112 octets with an HMAC at their end (RFC 8762 sections 4.2.2 and 4.3.2).
    Authenticated,
}

impl Mode {
    /// The length of both base packets, in octets; TLVs follow.
    #[must_use]
    pub const fn base_len(self) -> usize {
        match self {
            Self::Unauthenticated => BASE_LEN,
            Self::Authenticated => AUTHENTICATED_BASE_LEN,
        }
    }

    pub(crate) const fn layout(self) -> &'static Layout {
        match self {
            Self::Unauthenticated => &UNAUTHENTICATED,
            Self::Authenticated => &AUTHENTICATED,
        }
    }
}

/// Where the fields of a base packet begin, in octets; the sequence number is the first.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) timestamp: usize,
    pub(crate) error_estimate: usize,
    pub(crate) ssid: usize,
    pub(crate) received: usize,
    pub(crate) sender_sequence: usize,
    pub(crate) sender_timestamp: usize,
    pub(crate) sender_error_estimate: usize,
    pub(crate) sender_ttl: usize,
}

const SEQUENCE: usize = 0;

const UNAUTHENTICATED: Layout = Layout {
    timestamp: 4,
    error_estimate: 12,
    ssid: 14,
    received: 16,
    sender_sequence: 24,
    sender_timestamp: 28,
    sender_error_estimate: 36,
    sender_ttl: 40,
};

const AUTHENTICATED: Layout = Layout {
    timestamp: 16,
    error_estimate: 24,
    ssid: 26,
    received: 32,
    sender_sequence: 48,
    sender_timestamp: 64,
    sender_error_estimate: 72,
    sender_ttl: 80,
};

/// A datagram that is shorter than the base packet of its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{len} octets are fewer than the {needed} of a test packet")]
pub struct Truncated {
    /// How many octets there were.
    pub len: usize,
    /// How many a base packet has.
    pub needed: usize,
}

/// What a session sender sends (RFC 8762 section 4.2).
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
    /// Reads the base packet; the rest are TLVs or padding. In authenticated mode nothing of it is to
    /// be used before [`is_sealed`] said yes (RFC 8762 section 4.4).
    ///
    /// # Errors
    /// When there are fewer octets than the mode's base packet has.
    pub fn parse(mode: Mode, datagram: &[u8]) -> Result<(Self, &[u8]), Truncated> {
        let (base, rest) = split(mode, datagram)?;
        let at = mode.layout();
        let packet = Self {
            sequence: u32::from_be_bytes(read(base, SEQUENCE)),
            sent: WireTimestamp(u64::from_be_bytes(read(base, at.timestamp))),
            error_estimate: ErrorEstimate(u16::from_be_bytes(read(base, at.error_estimate))),
            ssid: u16::from_be_bytes(read(base, at.ssid)),
        };
        Ok((packet, rest))
    }

    /// Appends the base packet, [`Mode::base_len`] octets; those that must be zero are, and so is the
    /// HMAC until [`seal`].
    pub fn write(&self, mode: Mode, out: &mut Vec<u8>) {
        let at = mode.layout();
        let base = append(mode, out);
        put(base, SEQUENCE, self.sequence.to_be_bytes());
        put(base, at.timestamp, self.sent.0.to_be_bytes());
        put(base, at.error_estimate, self.error_estimate.0.to_be_bytes());
        put(base, at.ssid, self.ssid.to_be_bytes());
    }

    /// The base packet of unauthenticated mode.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BASE_LEN] {
        let mut out = Vec::with_capacity(BASE_LEN);
        self.write(Mode::Unauthenticated, &mut out);
        read(&out, 0)
    }
}

/// What a session reflector answers (RFC 8762 section 4.3).
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
    /// Reads the base packet; the rest are TLVs or padding. In authenticated mode nothing of it is to
    /// be used before [`is_sealed`] said yes (RFC 8762 section 4.4).
    ///
    /// # Errors
    /// When there are fewer octets than the mode's base packet has.
    pub fn parse(mode: Mode, datagram: &[u8]) -> Result<(Self, &[u8]), Truncated> {
        let (base, rest) = split(mode, datagram)?;
        let at = mode.layout();
        let sender_error_estimate = u16::from_be_bytes(read(base, at.sender_error_estimate));
        let [sender_ttl] = read(base, at.sender_ttl);
        let packet = Self {
            sequence: u32::from_be_bytes(read(base, SEQUENCE)),
            sent: WireTimestamp(u64::from_be_bytes(read(base, at.timestamp))),
            error_estimate: ErrorEstimate(u16::from_be_bytes(read(base, at.error_estimate))),
            ssid: u16::from_be_bytes(read(base, at.ssid)),
            received: WireTimestamp(u64::from_be_bytes(read(base, at.received))),
            sender_sequence: u32::from_be_bytes(read(base, at.sender_sequence)),
            sender_sent: WireTimestamp(u64::from_be_bytes(read(base, at.sender_timestamp))),
            sender_error_estimate: ErrorEstimate(sender_error_estimate),
            sender_ttl,
        };
        Ok((packet, rest))
    }

    /// Appends the base packet, [`Mode::base_len`] octets; those that must be zero are, and so is the
    /// HMAC until [`seal`].
    pub fn write(&self, mode: Mode, out: &mut Vec<u8>) {
        let at = mode.layout();
        let base = append(mode, out);
        put(base, SEQUENCE, self.sequence.to_be_bytes());
        put(base, at.timestamp, self.sent.0.to_be_bytes());
        put(base, at.error_estimate, self.error_estimate.0.to_be_bytes());
        put(base, at.ssid, self.ssid.to_be_bytes());
        put(base, at.received, self.received.0.to_be_bytes());
        put(base, at.sender_sequence, self.sender_sequence.to_be_bytes());
        put(base, at.sender_timestamp, self.sender_sent.0.to_be_bytes());
        put(base, at.sender_error_estimate, self.sender_error_estimate.0.to_be_bytes());
        put(base, at.sender_ttl, [self.sender_ttl]);
    }

    /// The base packet of unauthenticated mode.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BASE_LEN] {
        let mut out = Vec::with_capacity(BASE_LEN);
        self.write(Mode::Unauthenticated, &mut out);
        read(&out, 0)
    }
}

/// Writes the transmit time into a packet that is already built: T1 of a sender's and T3 of a
/// reflector's lie at the same place. A packet that is too short is left as it is. In authenticated
/// mode the packet needs [`seal`] afterwards.
pub fn patch_transmit_time(mode: Mode, packet: &mut [u8], at: WireTimestamp) {
    let layout = mode.layout();
    if let Some(field) = packet.get_mut(layout.timestamp..layout.error_estimate) {
        field.copy_from_slice(&at.0.to_be_bytes());
    }
}

/// Writes the HMAC of an authenticated base packet: HMAC-SHA-256 over its first 96 octets, cut to 16
/// (RFC 8762 section 4.4). A packet that is too short is left as it is.
pub fn seal(packet: &mut [u8], key: &Key) {
    if let Some((covered, tag)) = packet
        .get_mut(..AUTHENTICATED_BASE_LEN)
        .and_then(|base| base.split_at_mut_checked(SEALED_LEN))
    {
        tag.copy_from_slice(&key.tag(&[covered]));
    }
}

/// True when an authenticated base packet bears the HMAC that `key` gives; compared in constant time.
#[must_use]
pub fn is_sealed(packet: &[u8], key: &Key) -> bool {
    packet
        .get(..AUTHENTICATED_BASE_LEN)
        .and_then(|base| base.split_at_checked(SEALED_LEN))
        .is_some_and(|(covered, tag)| key.verifies(&[covered], tag))
}

fn split(mode: Mode, datagram: &[u8]) -> Result<(&[u8], &[u8]), Truncated> {
    let needed = mode.base_len();
    datagram.split_at_checked(needed).ok_or(Truncated { len: datagram.len(), needed })
}

/// Appends a base packet of zeros.
fn append(mode: Mode, out: &mut Vec<u8>) -> &mut [u8] {
    let begin = out.len();
    out.resize(begin + mode.base_len(), 0);
    &mut out[begin..]
}

/// The octets at a place that a layout names, in a slice that was checked to be a whole base packet.
fn read<const N: usize>(base: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&base[at..at + N]);
    array
}

fn put<const N: usize>(base: &mut [u8], at: usize, bytes: [u8; N]) {
    base[at..at + N].copy_from_slice(&bytes);
}
