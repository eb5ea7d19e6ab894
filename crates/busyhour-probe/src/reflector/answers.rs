//! What tells an answer from a request.
//!
//! One datagram with a forged source must not set two reflectors upon each other for ever. So an answer
//! is not answered. There is no mark for it: where an answer has its receive time a request has octets
//! that must be zero and be ignored (RFC 8762 section 4.2), and that older senders fill with anything
//! (TWAMP pads with random octets). What tells an answer is that its two times, received and sent, are
//! close to each other; random octets are so once in thirty million. In authenticated mode, where the
//! octets between must be zero, they are looked at, too. Reflectors whose answers cannot be told so are
//! slowed down by the limits of answers a second.

use busyhour_wire::{AUTHENTICATED_BASE_LEN, Mode, ReflectorPacket, WireTimestamp};

/// An answer left within so many seconds of its request's arrival: far longer than any queue is, and
/// far shorter than what chance would hit.
const MAX_DWELL_SECONDS: u32 = 60;

/// True for what a reflector sent, in either mode.
pub(super) fn is_answer(bytes: &[u8]) -> bool {
    has_close_times(Mode::Unauthenticated, bytes)
        || has_authenticated_zeros(bytes) && has_close_times(Mode::Authenticated, bytes)
}

/// It has a receive time, close to its transmit time. Both are of the same clock and format, and either
/// format has seconds in its upper half.
fn has_close_times(mode: Mode, bytes: &[u8]) -> bool {
    let Ok((packet, _)) = ReflectorPacket::parse(mode, bytes) else { return false };
    let seconds = |at: WireTimestamp| (at.0 >> 32) as u32;
    let dwell = seconds(packet.sent).wrapping_sub(seconds(packet.received)) as i32;
    packet.received != WireTimestamp::default() && dwell.unsigned_abs() <= MAX_DWELL_SECONDS
}

/// The octets that a reflector must leave zero in authenticated mode (RFC 8762 section 4.3.2) are.
fn has_authenticated_zeros(bytes: &[u8]) -> bool {
    let zero = |from: usize, to: usize| {
        bytes.get(from..to).is_some_and(|octets| octets.iter().all(|octet| *octet == 0))
    };
    bytes.len() >= AUTHENTICATED_BASE_LEN && zero(4, 16) && zero(40, 48) && zero(52, 64)
}
