//! What a captured datagram says, field by field: offset, octets, name, value and a note. For people
//! who read captures; measuring does not come by here.
//!
//! Invariant: the fields of an explanation follow each other without gap or overlap and cover the whole
//! datagram, malformed parts included.

mod stamp;
mod stun;
mod words;

use std::ops::Range;

use thiserror::Error;

use crate::stun::Message;
use crate::{
    AUTHENTICATED_BASE_LEN, BASE_LEN, Key, Mode, ReflectorPacket, SenderPacket, is_sealed,
};

/// A sender of TWAMP Light need not send more than number, time and error estimate (RFC 5357 section
/// 4.1.2).
const SHORTEST_SENDER: usize = 14;
/// Its reflector ends with the sender's time to live (section 4.2.1).
const SHORTEST_REFLECTOR: usize = 41;
/// A reflector's answer left within so many seconds of the request's arrival; other octets look so once
/// in thirty million.
const MAX_DWELL_SECONDS: u32 = 60;

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A session sender's packet, of STAMP or TWAMP.
    Sender,
    /// A session reflector's packet, of STAMP or TWAMP.
    Reflector,
    /// A STUN message.
    Stun,
}

/// What the reader knows already.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// What it is; guessed when not told.
    pub kind: Option<Kind>,
    /// The mode of a test packet; guessed when not told.
    pub mode: Option<Mode>,
    /// The session's key, or the password of a STUN message.
    pub secret: Option<&'a [u8]>,
}

/// A datagram, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is.
    pub kind: Kind,
    /// The mode of a test packet.
    pub mode: Option<Mode>,
    /// Why it is taken for that, as a sentence without a full stop.
    pub why: String,
    /// False when nothing speaks for it but that it is long enough: any datagram might look so.
    pub confident: bool,
    /// Every field, in the order of the octets.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The part of the datagram that it belongs to, such as `base packet` or `Class of Service`.
    pub group: String,
    /// Where it begins in the datagram, in bits.
    pub first_bit: usize,
    /// How long it is, in bits; 0 never.
    pub bits: usize,
    /// Its name, as its RFC writes it.
    pub name: String,
    /// What it says.
    pub value: String,
    /// What follows from it; often nothing.
    pub note: String,
}

impl Field {
    /// The octets that it lies in; fields shorter than an octet share theirs.
    #[must_use]
    pub const fn octets(&self) -> Range<usize> {
        self.first_bit / 8..(self.first_bit + self.bits).div_ceil(8)
    }
}

/// A datagram that is neither a test packet nor a STUN message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Unexplained {
    /// Why it is not, as a sentence without a full stop.
    pub reason: String,
}

/// Explains a datagram.
///
/// # Errors
/// When it is nothing that this crate knows, or not what the options say it is.
pub fn explain(datagram: &[u8], options: &Options<'_>) -> Result<Explanation, Unexplained> {
    let message = Message::parse(datagram);
    match (options.kind, message) {
        (Some(Kind::Stun), Err(reason)) => Err(Unexplained { reason: reason.to_string() }),
        (None | Some(Kind::Stun), Ok(message)) => Ok(Explanation {
            kind: Kind::Stun,
            mode: None,
            why: "the magic cookie and the length are STUN's".to_owned(),
            confident: true,
            fields: stun::fields(datagram, &message, options.secret),
        }),
        (kind, _) => test_packet(datagram, kind, options),
    }
}

fn test_packet(
    datagram: &[u8],
    kind: Option<Kind>,
    options: &Options<'_>,
) -> Result<Explanation, Unexplained> {
    let key = options.secret.map(Key::new);
    let (mode, mode_why) = match options.mode {
        Some(mode) => (mode, "as told"),
        None => guess_mode(datagram, key.as_ref()),
    };
    let filled = zero_filled(datagram, mode, kind)?;
    let (packet, short) =
        filled.as_ref().map_or((datagram, ""), |filled| (&filled[..], ", shorter than STAMP's"));
    let unexplained = |reason: String| Unexplained { reason };
    let (sender, tail) =
        SenderPacket::parse(mode, packet).map_err(|short| unexplained(short.to_string()))?;
    let (reflector, _) =
        ReflectorPacket::parse(mode, packet).map_err(|short| unexplained(short.to_string()))?;
    let (kind, confident, kind_why) = match kind {
        Some(kind) => (kind, true, "as told"),
        None if datagram.len() < SHORTEST_REFLECTOR => {
            (Kind::Sender, false, "a sender's packet, because it is too short for a reflector's")
        }
        None => guess_side(packet, mode, &reflector),
    };
    let mut fields = stamp::Fields::new(packet, mode, key.as_ref());
    match kind {
        Kind::Reflector => fields.reflector(&reflector),
        Kind::Sender | Kind::Stun => fields.sender(&sender),
    }
    fields.tlvs(tail, kind, sender.error_estimate.format());
    let mode_name = match mode {
        Mode::Unauthenticated => "unauthenticated",
        Mode::Authenticated => "authenticated",
    };
    Ok(Explanation {
        kind,
        mode: Some(mode),
        why: format!("{kind_why}; {mode_name}: {mode_why}{short}"),
        confident,
        fields: cut(fields.finish(), 8 * datagram.len()),
    })
}

/// An open packet of TWAMP Light that is shorter than STAMP's, with zeros behind it (RFC 8762 section
/// 4.6); `None` when there is nothing to fill.
fn zero_filled(
    datagram: &[u8],
    mode: Mode,
    kind: Option<Kind>,
) -> Result<Option<[u8; BASE_LEN]>, Unexplained> {
    let mut filled = [0; BASE_LEN];
    let (Mode::Unauthenticated, Some(begin)) = (mode, filled.get_mut(..datagram.len())) else {
        return Ok(None);
    };
    let (needed, whose) = match kind {
        Some(Kind::Reflector) => (SHORTEST_REFLECTOR, "reflector's"),
        _ => (SHORTEST_SENDER, "test"),
    };
    if datagram.len() < needed {
        let len = datagram.len();
        let reason =
            format!("{len} octets are fewer than the {needed} of the shortest {whose} packet");
        return Err(Unexplained { reason });
    }
    begin.copy_from_slice(datagram);
    Ok(Some(filled))
}

/// The fields as far as the datagram goes.
fn cut(mut fields: Vec<Field>, end_bit: usize) -> Vec<Field> {
    fields.retain(|field| field.first_bit < end_bit);
    if let Some(last) = fields.last_mut()
        && last.first_bit + last.bits > end_bit
    {
        last.bits = end_bit - last.first_bit;
        "cut off".clone_into(&mut last.value);
    }
    fields
}

/// In authenticated mode 12 octets that must be zero lie where unauthenticated packets have their time.
fn guess_mode(datagram: &[u8], key: Option<&Key>) -> (Mode, &'static str) {
    if key.is_some_and(|key| is_sealed(datagram, key)) {
        return (Mode::Authenticated, "its HMAC verifies");
    }
    let zeros = datagram.get(4..16).is_some_and(|mbz| mbz.iter().all(|&octet| octet == 0));
    match (datagram.len() >= AUTHENTICATED_BASE_LEN, zeros) {
        (true, true) => (Mode::Authenticated, "octets 4 to 15 are zero and 112 octets are there"),
        (true, false) => (Mode::Unauthenticated, "a timestamp is at octet 4"),
        (false, _) => (Mode::Unauthenticated, "fewer than 112 octets"),
    }
}

fn guess_side(datagram: &[u8], mode: Mode, packet: &ReflectorPacket) -> (Kind, bool, &'static str) {
    let at = mode.layout();
    let seconds = |octets: u64| (octets >> 32) as u32;
    let dwell = seconds(packet.sent.0).wrapping_sub(seconds(packet.received.0)) as i32;
    let unused = datagram.get(at.received..=at.sender_ttl).unwrap_or_default();
    if unused.iter().all(|&octet| octet == 0) {
        let why = "a sender's packet, because what only a reflector fills is zero";
        (Kind::Sender, true, why)
    } else if packet.received.0 != 0 && dwell.unsigned_abs() <= MAX_DWELL_SECONDS {
        let why = "a reflector's packet, because it has a receive time next to its own";
        (Kind::Reflector, true, why)
    } else {
        let why = "a sender's packet with padding, because a receive time would not fit";
        (Kind::Sender, false, why)
    }
}
