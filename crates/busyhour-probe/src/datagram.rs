//! What an engine is told of a received datagram.

use std::net::SocketAddr;

use busyhour_model::TimestampMethod;

/// A received datagram with what the socket knew of it.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// The local address and port that it was sent to, where the socket tells.
    pub to: Option<SocketAddr>,
    /// When it was received, in nanoseconds of Unix time on this machine's wall clock.
    pub at_ns: i64,
    /// How `at_ns` was read.
    pub method: TimestampMethod,
    /// The TOS or traffic-class byte, where the socket tells.
    pub tos: Option<u8>,
    /// The time to live or hop limit, where the socket tells.
    pub ttl: Option<u8>,
}
