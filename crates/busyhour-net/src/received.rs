//! What a socket tells of datagrams.

use std::net::{IpAddr, SocketAddr};

use busyhour_model::TimestampMethod;

/// A received datagram; its octets are in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many octets were written to the buffer.
    pub len: usize,
    /// True when the datagram was longer than the buffer.
    pub truncated: bool,
    /// Who sent it.
    pub from: SocketAddr,
    /// The local address it was sent to, where the system tells.
    pub to: Option<IpAddr>,
    /// When it was received, in nanoseconds of Unix time.
    pub at_ns: i64,
    /// How `at_ns` was read.
    pub method: TimestampMethod,
    /// The TOS or traffic-class byte.
    pub tos: Option<u8>,
    /// The time to live or hop limit.
    pub ttl: Option<u8>,
    /// Datagrams that the socket dropped from its full queue since it was opened.
    pub queue_drops: u32,
}

/// A sent datagram's transmit stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// What `try_send_to` returned for it.
    pub id: u32,
    /// When it left, in nanoseconds of Unix time.
    pub at_ns: i64,
    /// How `at_ns` was read.
    pub method: TimestampMethod,
}

/// How a socket times datagrams, as probed when it was opened. Single datagrams may still be timed by
/// lesser means, and then say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// Sending.
    pub sent: TimestampMethod,
    /// Receiving.
    pub received: TimestampMethod,
}
