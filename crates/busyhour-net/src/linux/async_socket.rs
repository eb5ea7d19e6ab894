//! A probe socket that tells a tokio runtime when it has something.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use busyhour_model::Dscp;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{Methods, Received, Sent, SocketError};

use super::ProbeSocket;

/// A [`ProbeSocket`] for tasks.
#[derive(Debug)]
pub struct AsyncSocket {
    socket: AsyncFd<ProbeSocket>,
}

impl AsyncSocket {
    /// As [`ProbeSocket::bind`].
    ///
    /// # Errors
    /// As [`ProbeSocket::bind`].
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver.
    pub fn bind(
        local: IpAddr,
        ports: RangeInclusive<u16>,
        dscp: Dscp,
    ) -> Result<Self, SocketError> {
        Self::new(ProbeSocket::bind(local, ports, dscp)?)
    }

    /// As [`ProbeSocket::bind_reflector`].
    ///
    /// # Errors
    /// As [`ProbeSocket::bind_reflector`].
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O driver.
    pub fn bind_reflector(local: SocketAddr) -> Result<Self, SocketError> {
        Self::new(ProbeSocket::bind_reflector(local)?)
    }

    fn new(socket: ProbeSocket) -> Result<Self, SocketError> {
        let interest = Interest::READABLE | Interest::ERROR;
        // SAFETY: the socket is moved into the `AsyncFd`, which never gives it out again, so its one
        // file descriptor stays open for as long as it is registered.
        let socket = unsafe { AsyncFd::register_with_interest(socket, interest) }
            .map_err(|error| SocketError::Open(error.into()))?;
        Ok(Self { socket })
    }

    /// The address and port that are bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.get_ref().local_addr()
    }

    /// How datagrams are timed.
    #[must_use]
    pub fn methods(&self) -> Methods {
        self.socket.get_ref().methods()
    }

    /// As [`ProbeSocket::try_send_to`].
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr, tos: u8) -> Result<u32, SocketError> {
        self.socket.get_ref().try_send_to(bytes, to, tos)
    }

    /// As [`ProbeSocket::try_reply`].
    ///
    /// # Errors
    /// When the queue is full or the system cannot send there.
    pub fn try_reply(&self, bytes: &[u8], request: &Received, tos: u8) -> Result<(), SocketError> {
        self.socket.get_ref().try_reply(bytes, request, tos).map(|_| ())
    }

    /// Waits for a datagram. Safe to cancel.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<Received, SocketError> {
        self.socket
            .async_io(Interest::READABLE, |socket| socket.receive(buffer))
            .await
            .map_err(SocketError::Receive)
    }

    /// As [`ProbeSocket::try_recv`].
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<Received>, SocketError> {
        self.socket.get_ref().try_recv(buffer)
    }

    /// Waits for a transmit stamp. Safe to cancel. Waits for ever on a socket without them.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn next_sent(&self) -> Result<Sent, SocketError> {
        self.socket
            .async_io(Interest::ERROR, ProbeSocket::take_stamp)
            .await
            .map_err(SocketError::Receive)
    }
}
