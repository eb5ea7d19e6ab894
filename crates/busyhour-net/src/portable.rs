//! The probe socket of systems without an implementation of their own: timed by the process, without
//! receive metadata, marked only where the system honours a socket's default.

mod batch;
mod wait;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use busyhour_model::{Dscp, TimestampMethod};
use socket2::Socket;

use crate::clock::wall_ns;
use crate::{Methods, Received, Sent, SocketError, ports};

pub use batch::{Inbox, Outbox, Stamps};
pub use wait::{Waker, wait};

/// A UDP socket that can do no more than any system's.
#[derive(Debug)]
pub struct ProbeSocket {
    socket: UdpSocket,
    local: SocketAddr,
    next_id: AtomicU32,
}

impl ProbeSocket {
    /// Opens a sender's socket at `local`, on the first free of `ports` or, when none is, on any port.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(
        local: IpAddr,
        ports: RangeInclusive<u16>,
        dscp: Dscp,
    ) -> Result<Self, SocketError> {
        let socket = ports::open_on_first_free(local, ports)?;
        // A system that refuses leaves the packets unmarked, which the far side reports.
        let _ = if local.is_ipv4() { socket.set_tos_v4(u32::from(dscp.to_tos())) } else { Ok(()) };
        Self::new(socket)
    }

    /// Opens a reflector's socket at exactly `local` (port 0 for any).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind_reflector(local: SocketAddr) -> Result<Self, SocketError> {
        Self::new(ports::open_at(local)?)
    }

    fn new(socket: Socket) -> Result<Self, SocketError> {
        let local = ports::local_addr(&socket)?;
        Ok(Self { socket: socket.into(), local, next_id: AtomicU32::new(0) })
    }

    /// Does nothing: there are no transmit stamps. Returns how datagrams are timed.
    pub fn stamp_sends(&mut self) -> Methods {
        self.methods()
    }

    /// The address and port that are bound.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How datagrams are timed.
    #[must_use]
    pub const fn methods(&self) -> Methods {
        Methods { sent: TimestampMethod::User, received: TimestampMethod::User }
    }

    /// Sends now or not at all; the marking is the socket's own. Returns the datagram's number.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr, _tos: u8) -> Result<u32, SocketError> {
        self.socket.send_to(bytes, to).map_err(|source| SocketError::Send { to, source })?;
        Ok(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends an answer now or not at all, from the address that the system picks. Returns the
    /// datagram's number.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_reply(&self, bytes: &[u8], request: &Received, tos: u8) -> Result<u32, SocketError> {
        self.try_send_to(bytes, request.from, tos)
    }

    /// A datagram that is here already; `None` when there is none. One that is longer than the buffer
    /// is truncated, and said to be when it fills the buffer: whether there was more, not every system
    /// tells.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<Received>, SocketError> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((len, from)) => return Ok(Some(received(len, len == buffer.len(), from))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // Each takes one datagram from the queue.
                Err(error) if is_of_one_datagram(&error) => {}
                Err(error) => return Err(SocketError::Receive(error)),
            }
        }
    }

    /// `None`: there are no transmit stamps.
    ///
    /// # Errors
    /// None; the signature is that of systems that have them.
    pub fn try_next_sent(&self) -> Result<Option<Sent>, SocketError> {
        Ok(None)
    }
}

/// True when only one datagram cannot be received: Windows has errors for those that are longer than
/// the buffer (`WSAEMSGSIZE`) and for answers that nobody listens at a port (`WSAECONNRESET`).
fn is_of_one_datagram(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
        || (cfg!(windows) && matches!(error.raw_os_error(), Some(10_040 | 10_054)))
}

fn received(len: usize, truncated: bool, from: SocketAddr) -> Received {
    Received {
        len,
        truncated,
        from,
        to: None,
        at_ns: wall_ns(),
        method: TimestampMethod::User,
        tos: None,
        ttl: None,
        queue_drops: 0,
    }
}

#[cfg(test)]
mod tests;
