//! What can go wrong with a probe socket.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// A socket operation that the operating system refused.
#[derive(Debug, Error)]
pub enum SocketError {
    /// No socket could be opened.
    #[error("open a UDP socket")]
    Open(#[source] io::Error),
    /// The address could not be bound.
    #[error("bind {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket option that probing needs is missing.
    #[error("set {option}")]
    Option {
        /// The option.
        option: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A datagram could not be sent now.
    #[error("send to {to}")]
    Send {
        /// Where to.
        to: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Receiving failed.
    #[error("receive")]
    Receive(#[source] io::Error),
}

/// `ENOBUFS` (`WSAENOBUFS` on Windows), which has no [`io::ErrorKind`].
#[cfg(unix)]
const NO_BUFFERS: i32 = nix::errno::Errno::ENOBUFS as i32;
#[cfg(not(unix))]
const NO_BUFFERS: i32 = 10_055;

impl SocketError {
    /// True when a datagram only found a local queue full. Whatever else keeps one from leaving (no
    /// route, no address, no interface, a firewall on this machine) keeps a call's from leaving too.
    #[must_use]
    pub fn is_queue_full(&self) -> bool {
        use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};

        matches!(self, Self::Send { source, .. }
            if matches!(source.kind(), WouldBlock | Interrupted | OutOfMemory)
                || source.raw_os_error() == Some(NO_BUFFERS))
    }

    /// True when the address to be bound is no address of this machine any more.
    #[must_use]
    pub fn is_address_gone(&self) -> bool {
        matches!(self, Self::Bind { source, .. }
            if source.kind() == io::ErrorKind::AddrNotAvailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_queue_is_one() {
        let send = |source| SocketError::Send { to: ([192, 0, 2, 1], 862).into(), source };
        let os = |code| send(io::Error::from_raw_os_error(code));
        assert!(os(NO_BUFFERS).is_queue_full());
        assert!(send(io::ErrorKind::WouldBlock.into()).is_queue_full());
        for kind in [
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkDown,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::InvalidInput,
            io::ErrorKind::PermissionDenied,
        ] {
            assert!(!send(kind.into()).is_queue_full(), "{kind}");
        }
        assert!(!SocketError::Receive(io::ErrorKind::WouldBlock.into()).is_queue_full());
    }
}
