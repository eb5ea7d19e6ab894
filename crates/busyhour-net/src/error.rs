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
