//! A portable probe socket that tells a tokio runtime when it has something.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use busyhour_model::{Dscp, TimestampMethod};
use socket2::Socket;
use tokio::net::UdpSocket;

use super::received;
use crate::{Methods, Received, Sent, SocketError, ports};

/// A [`super::ProbeSocket`] for tasks.
#[derive(Debug)]
pub struct AsyncSocket {
    socket: UdpSocket,
    local: SocketAddr,
    next_id: AtomicU32,
}

impl AsyncSocket {
    /// Opens a sender's socket at `local`, on the first free of `ports` or, when none is, on any port.
    ///
    /// # Errors
    /// When the address cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver.
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
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver.
    pub fn bind_reflector(local: SocketAddr) -> Result<Self, SocketError> {
        Self::new(ports::open_at(local)?)
    }

    fn new(socket: Socket) -> Result<Self, SocketError> {
        let local = ports::local_addr(&socket)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(SocketError::Open)?;
        Ok(Self { socket, local, next_id: AtomicU32::new(0) })
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
        self.socket.try_send_to(bytes, to).map_err(|source| SocketError::Send { to, source })?;
        Ok(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends an answer now or not at all.
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_reply(&self, bytes: &[u8], request: &Received, tos: u8) -> Result<(), SocketError> {
        self.try_send_to(bytes, request.from, tos).map(|_| ())
    }

    /// Waits for a datagram. Safe to cancel.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<Received, SocketError> {
        let (len, from) = self.socket.recv_from(buffer).await.map_err(SocketError::Receive)?;
        Ok(received(len, len == buffer.len(), from))
    }

    /// A datagram that is here already; `None` when there is none.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<Received>, SocketError> {
        match self.socket.try_recv_from(buffer) {
            Ok((len, from)) => Ok(Some(received(len, len == buffer.len(), from))),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(SocketError::Receive(error)),
        }
    }

    /// Waits for ever: there are no transmit stamps.
    ///
    /// # Errors
    /// None; the signature is that of systems that have them.
    pub async fn next_sent(&self) -> Result<Sent, SocketError> {
        pending().await
    }

    /// Readiness is learned from the runtime; the first attempt may come too early.
    #[cfg(test)]
    pub(crate) async fn writable(&self) {
        self.socket.writable().await.expect("a new socket can be waited for");
    }
}
