//! The sockets that sessions share.

use std::net::{IpAddr, SocketAddr};

use busyhour_model::TrafficClass;
use busyhour_net::{ProbeSocket, Sent, SocketError};

use super::{Order, SocketCounts, SocketFacts};

/// What shares a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) local: IpAddr,
    pub(super) class: TrafficClass,
}

impl Key {
    /// The socket that an order is for.
    pub(super) const fn of(order: &Order) -> Self {
        Self { local: order.local, class: order.config.profile.class() }
    }
}

/// Datagrams whose transmit stamps may still come: a stamp comes within microseconds on most
/// machines, and after that many more datagrams nobody looks for it any more.
const STAMPS: usize = 256;

/// A socket, and what its sessions have on it.
#[derive(Debug)]
pub(super) struct Shared {
    key: Key,
    preferred: bool,
    socket: ProbeSocket,
    /// The system's count of dropped datagrams, which wraps.
    drops_seen: u32,
    pub(super) counts: SocketCounts,
    /// Whose the datagrams with the last stamp numbers were: (number, session identifier).
    owners: Box<[(u32, u16); STAMPS]>,
}

impl Shared {
    pub(super) fn open(order: &Order) -> Result<Self, SocketError> {
        let (key, profile) = (Key::of(order), &order.config.profile);
        let socket = ProbeSocket::bind(order.local, profile.ports(), profile.dscp())?;
        let preferred = profile.ports().contains(&socket.local_addr().port());
        Ok(Self {
            key,
            preferred,
            socket,
            drops_seen: 0,
            counts: SocketCounts::default(),
            owners: Box::new([(0, 0); STAMPS]),
        })
    }

    pub(super) const fn key(&self) -> Key {
        self.key
    }

    pub(super) const fn socket(&self) -> &ProbeSocket {
        &self.socket
    }

    pub(super) fn facts(&self) -> SocketFacts {
        SocketFacts {
            local: self.socket.local_addr(),
            class: self.key.class,
            preferred: self.preferred,
            methods: self.socket.methods(),
        }
    }

    /// Sends for a session, and remembers whose transmit stamp will come.
    pub(super) fn send(
        &mut self,
        bytes: &[u8],
        to: SocketAddr,
        tos: u8,
        ssid: u16,
    ) -> Result<u32, SocketError> {
        let sent = self.socket.try_send_to(bytes, to, tos);
        match &sent {
            Ok(id) => {
                self.counts.sent += 1;
                self.owners[*id as usize % STAMPS] = (*id, ssid);
            }
            Err(error) if error.is_queue_full() => self.counts.queue_full += 1,
            Err(_) => self.counts.unreachable += 1,
        }
        sent
    }

    /// The next transmit stamp that is here, with the identifier of its session; 0 for a datagram
    /// of long ago.
    pub(super) fn next_stamp(&self) -> Result<Option<(u16, Sent)>, SocketError> {
        let sent = self.socket.try_next_sent()?;
        Ok(sent.map(|sent| (self.sender_of(sent.id).unwrap_or(0), sent)))
    }

    /// The identifier of the session whose datagram was sent as `id`, if that was not long ago.
    pub(super) fn sender_of(&self, id: u32) -> Option<u16> {
        let (last, ssid) = self.owners[id as usize % STAMPS];
        (last == id && ssid != 0).then_some(ssid)
    }

    /// Takes the system's count of dropped datagrams; gives how many are new.
    pub(super) fn take_drops(&mut self, total: u32) -> u32 {
        let new = total.wrapping_sub(self.drops_seen);
        self.drops_seen = total;
        self.counts.queue_drops += u64::from(new);
        new
    }
}
