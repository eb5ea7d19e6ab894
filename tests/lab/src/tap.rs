//! What the kernel saw pass at one end of a wire, and when.
//!
//! The times are the kernel's own of the moment when a packet left or reached the namespace, as those
//! of the agent's sockets are: however late a busy machine lets the wire's thread run, what is compared
//! is the same moment.

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{
    ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt::RcvBufForce,
    sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Namespace;
use crate::probe_packet::ProbePacket;

/// What it holds of packets that nobody has looked at yet, in octets.
const BUFFER: usize = 16 * 1024 * 1024;
/// A test packet's headers and numbers are well within.
const SNAP: usize = 256;

/// A socket that sees every packet of a namespace.
#[derive(Debug)]
pub(crate) struct Tap(Socket);

/// A test packet that passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) packet: ProbePacket,
    /// It left the namespace; else it reached it.
    pub(crate) outgoing: bool,
    /// When, since 1970 by the machine's clock.
    pub(crate) at: Duration,
}

impl Tap {
    /// Opens one in a namespace.
    ///
    /// # Errors
    /// When the system refuses it, such as without root.
    pub(crate) fn open(namespace: &Namespace) -> io::Result<Self> {
        namespace.inside(|| {
            let all = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?.to_be();
            let protocol = Protocol::from(i32::from(all));
            let socket = Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), Some(protocol))?;
            setsockopt(&socket, RcvBufForce, &BUFFER)?;
            setsockopt(&socket, ReceiveTimestampns, &true)?;
            Ok(Self(socket))
        })
    }

    /// The next test packet that passed; `None` when all were told.
    ///
    /// # Errors
    /// When the socket fails, or tells no time.
    pub(crate) fn next(&self) -> io::Result<Option<Seen>> {
        let mut octets = [0; SNAP];
        let mut control = nix::cmsg_space!(TimeSpec);
        loop {
            let mut parts = [IoSliceMut::new(&mut octets)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message =
                recvmsg::<LinkAddr>(self.0.as_raw_fd(), &mut parts, Some(&mut control), flags);
            let message = match message.map_err(io::Error::from) {
                Ok(message) => message,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            let at = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
                _ => None,
            });
            let outgoing = message.address.map(|from| from.pkttype() == libc::PACKET_OUTGOING);
            let length = message.bytes;
            let Some(packet) = octets.get(..length).and_then(ProbePacket::read) else { continue };
            let (Some(at), Some(outgoing)) = (at, outgoing) else {
                return Err(io::Error::other("the kernel told no time or way of a packet"));
            };
            return Ok(Some(Seen { packet, outgoing, at }));
        }
    }
}
