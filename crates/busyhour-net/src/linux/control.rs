//! Control messages, read and written octet by octet as the kernel lays them out (cmsg(3)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use busyhour_model::TimestampMethod;
use nix::libc;

use crate::clock::wall_ns;
use crate::{Received, Sent};

/// A header is its length, a machine word, and two integers; everything is padded to words.
const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;

/// What a receiving socket is asked for takes 184 bytes, an entry of the error queue 96. If it were
/// more, the kernel would leave out what does not fit, and the datagram would say less.
pub(super) const RECEIVE_OCTETS: usize = 256;
/// A marking and a source address.
pub(super) const SEND_OCTETS: usize = space(4) + space(20);

/// Room for control messages, aligned as the kernel's macros expect it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer<const OCTETS: usize>(pub(super) [u8; OCTETS]);

impl<const OCTETS: usize> ControlBuffer<OCTETS> {
    pub(super) const EMPTY: Self = Self([0; OCTETS]);
}

/// What a message of so many octets takes, padding included.
const fn space(octets: usize) -> usize {
    (HEADER + octets).next_multiple_of(WORD)
}

/// Walks control messages; ends at the first that is cut.
struct ControlMessages<'a>(&'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = (libc::c_int, libc::c_int, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, rest) = self.0.split_first_chunk::<WORD>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let len = usize::from_ne_bytes(*len);
        let data = self.0.get(HEADER..len)?;
        self.0 = self.0.get(len.next_multiple_of(WORD)..).unwrap_or_default();
        Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data))
    }
}

/// What the kernel says of a received datagram besides its octets.
pub(super) struct Envelope<'a> {
    pub(super) from: SocketAddr,
    /// The local address, when the socket is bound to one.
    pub(super) to: Option<IpAddr>,
    pub(super) len: usize,
    pub(super) flags: libc::c_int,
    pub(super) control: &'a [u8],
}

/// Reads what was asked for. The software stamp is the first of three; the third, a network card's own
/// clock, is never asked for and not read, so that two clocks are never mixed.
pub(super) fn read_received(envelope: &Envelope<'_>) -> Received {
    let mut received = Received {
        len: envelope.len,
        truncated: envelope.flags & libc::MSG_TRUNC != 0,
        from: envelope.from,
        to: envelope.to,
        at_ns: 0,
        method: TimestampMethod::User,
        tos: None,
        ttl: None,
        queue_drops: 0,
    };
    for (level, kind, data) in ControlMessages(envelope.control) {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                if let Some(at_ns) = nanos(data) {
                    received.at_ns = at_ns;
                    received.method = TimestampMethod::Kernel;
                }
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                received.queue_drops = word(data, 0).map_or(0, u32::from_ne_bytes);
            }
            (libc::SOL_IP, libc::IP_TOS) => received.tos = data.first().copied(),
            (libc::SOL_IP, libc::IP_TTL) | (libc::SOL_IPV6, libc::IPV6_HOPLIMIT) => {
                received.ttl = small(data);
            }
            (libc::SOL_IPV6, libc::IPV6_TCLASS) => received.tos = small(data),
            // The interface comes first, then the local address, then the one in the header.
            (libc::SOL_IP, libc::IP_PKTINFO) => {
                received.to = word(data, 4).map(|octets| Ipv4Addr::from(octets).into());
            }
            (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                let octets = data.first_chunk::<16>();
                received.to = octets.map(|&octets| Ipv6Addr::from(octets).into());
            }
            // Control messages that nobody asked for.
            _ => {}
        }
    }
    if received.method == TimestampMethod::User {
        received.at_ns = wall_ns();
    }
    received
}

/// Reads an entry of the error queue; `None` when it is no transmit stamp. The number is the kernel's.
pub(super) fn read_sent(control: &[u8]) -> Option<Sent> {
    let (mut id, mut at_ns) = (None, None);
    for (level, kind, data) in ControlMessages(control) {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => at_ns = nanos(data),
            // `sock_extended_err`: error, origin, type, code, padding, info, data.
            (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)
                if data.get(4) == Some(&libc::SO_EE_ORIGIN_TIMESTAMPING) =>
            {
                id = word(data, 12).map(u32::from_ne_bytes);
            }
            // Control messages that nobody asked for.
            _ => {}
        }
    }
    Some(Sent { id: id?, at_ns: at_ns?, method: TimestampMethod::Kernel })
}

/// Four octets from `at` on.
fn word(data: &[u8], at: usize) -> Option<[u8; 4]> {
    data.get(at..)?.first_chunk().copied()
}

/// An integer that fits an octet.
fn small(data: &[u8]) -> Option<u8> {
    word(data, 0).and_then(|octets| u8::try_from(i32::from_ne_bytes(octets)).ok())
}

/// The first `timespec`, in nanoseconds; `None` when it is not set.
fn nanos(data: &[u8]) -> Option<i64> {
    let (seconds, rest) = data.split_first_chunk::<WORD>()?;
    let (nanos, _) = rest.split_first_chunk::<WORD>()?;
    let (seconds, nanos) = (isize::from_ne_bytes(*seconds), isize::from_ne_bytes(*nanos));
    let at = (seconds as i64).saturating_mul(1_000_000_000).saturating_add(nanos as i64);
    (at != 0).then_some(at)
}

/// The control messages of one outgoing datagram: the marking, then the source address.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendControl {
    buffer: ControlBuffer<SEND_OCTETS>,
    len: usize,
}

impl SendControl {
    /// What the marking takes.
    const MARKING: usize = space(4);
    pub(super) const EMPTY: Self = Self { buffer: ControlBuffer::EMPTY, len: 0 };

    pub(super) fn new(to: SocketAddr, tos: u8, from: Option<IpAddr>) -> Self {
        let mut control = Self::EMPTY;
        let class = i32::from(tos).to_ne_bytes();
        match to {
            SocketAddr::V4(_) => control.push(libc::SOL_IP, libc::IP_TOS, &class),
            SocketAddr::V6(_) => control.push(libc::SOL_IPV6, libc::IPV6_TCLASS, &class),
        }
        match from {
            Some(IpAddr::V4(from)) => {
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&from.octets());
                control.push(libc::SOL_IP, libc::IP_PKTINFO, &info);
            }
            Some(IpAddr::V6(from)) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&from.octets());
                control.push(libc::SOL_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
        control
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let message = &mut self.buffer.0[self.len..];
        message[..WORD].copy_from_slice(&(HEADER + data.len()).to_ne_bytes());
        message[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        message[WORD + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER..HEADER + data.len()].copy_from_slice(data);
        self.len += space(data.len());
    }

    /// The messages that are needed: not the marking that the socket has anyway, and not the source of a
    /// socket that has only one.
    pub(super) fn needed(&mut self, marked: Marked, bound: Bound) -> &mut [u8] {
        let first = if marked == Marked::BySocket { Self::MARKING.min(self.len) } else { 0 };
        let last = if bound == Bound::ToOne { Self::MARKING.min(self.len) } else { self.len };
        &mut self.buffer.0[first..last]
    }
}

/// Whether the socket's own marking is the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    BySocket,
    ByMessage,
}

/// Whether the socket has one local address or every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    ToOne,
    ToAny,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(control: &[u8]) -> Vec<(i32, i32, usize)> {
        ControlMessages(control).map(|(level, kind, data)| (level, kind, data.len())).collect()
    }

    #[test]
    fn only_what_is_needed_is_said_of_an_outgoing_datagram() {
        let to = SocketAddr::from(([192, 0, 2, 1], 862));
        let mut control = SendControl::new(to, 0xb8, Some(IpAddr::from([192, 0, 2, 9])));
        let (tos, info) = ((libc::SOL_IP, libc::IP_TOS, 4), (libc::SOL_IP, libc::IP_PKTINFO, 12));
        let mut needed = |marked, bound| messages(control.needed(marked, bound));
        assert_eq!(needed(Marked::ByMessage, Bound::ToAny), [tos, info]);
        assert_eq!(needed(Marked::ByMessage, Bound::ToOne), [tos]);
        assert_eq!(needed(Marked::BySocket, Bound::ToAny), [info]);
        assert_eq!(needed(Marked::BySocket, Bound::ToOne), []);
        let to = SocketAddr::from(([0; 16], 862));
        let mut control = SendControl::new(to, 1, Some(IpAddr::from([1; 16])));
        assert_eq!(
            messages(control.needed(Marked::ByMessage, Bound::ToAny)),
            [(libc::SOL_IPV6, libc::IPV6_TCLASS, 4), (libc::SOL_IPV6, libc::IPV6_PKTINFO, 20)]
        );
    }

    #[test]
    fn control_messages_that_are_cut_or_lie_about_their_length_end_the_walk() {
        let to = SocketAddr::from(([192, 0, 2, 1], 862));
        let mut control = SendControl::new(to, 7, Some(IpAddr::from([192, 0, 2, 9])));
        let whole = control.needed(Marked::ByMessage, Bound::ToAny).to_vec();
        for len in 0..=whole.len() {
            assert!(messages(&whole[..len]).len() <= 2);
        }
        for lie in [0, 1, HEADER - 1, whole.len() + 1, usize::MAX] {
            let mut lying = whole.clone();
            lying[..WORD].copy_from_slice(&lie.to_ne_bytes());
            assert_eq!(messages(&lying), [], "{lie}");
        }
    }

    #[test]
    fn a_network_cards_own_clock_is_not_taken_for_the_systems() {
        let mut control = SendControl::EMPTY;
        // Three stamps, of which only the card's is set.
        let mut raw = vec![0; 6 * WORD];
        raw[4 * WORD] = 1;
        let mut buffer = vec![0; space(raw.len())];
        buffer[..WORD].copy_from_slice(&(HEADER + raw.len()).to_ne_bytes());
        buffer[WORD..WORD + 4].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
        buffer[WORD + 4..HEADER].copy_from_slice(&libc::SCM_TIMESTAMPING.to_ne_bytes());
        buffer[HEADER..HEADER + raw.len()].copy_from_slice(&raw);
        let from = SocketAddr::from(([192, 0, 2, 1], 862));
        let envelope = Envelope { from, to: None, len: 1, flags: 0, control: &buffer };
        let before = wall_ns();
        let received = read_received(&envelope);
        assert_eq!(received.method, TimestampMethod::User);
        assert!(received.at_ns >= before);
        assert!(control.needed(Marked::ByMessage, Bound::ToAny).is_empty());
    }
}
