//! Control messages.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use busyhour_model::TimestampMethod;
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage};

use crate::clock::wall_ns;
use crate::{Received, Sent};

/// What a receiving socket was asked for takes some 200 bytes; an entry of the error queue less. If it
/// were more, the message would be cut and its reading refused.
const CONTROL_BYTES: usize = 512;

/// Room for control messages, aligned as they need it.
#[repr(align(8))]
pub(super) struct ControlBuffer([u8; CONTROL_BYTES]);

impl std::ops::Deref for ControlBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for ControlBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

pub(super) const fn control_buffer() -> ControlBuffer {
    ControlBuffer([0; CONTROL_BYTES])
}

type Message<'a, 'b> = RecvMsg<'a, 'b, SockaddrStorage>;

pub(super) fn read_received(message: &Message<'_, '_>) -> io::Result<Received> {
    let from = message.address.as_ref().and_then(socket_addr);
    let mut received = Received {
        len: message.bytes,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        from: from.ok_or_else(|| io::Error::other("a datagram without a sender"))?,
        to: None,
        at_ns: 0,
        method: TimestampMethod::User,
        tos: None,
        ttl: None,
        queue_drops: 0,
    };
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4Tos(tos) => received.tos = Some(tos),
            ControlMessageOwned::Ipv6TClass(class) => received.tos = u8::try_from(class).ok(),
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                received.ttl = u8::try_from(ttl).ok();
            }
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // Both are in network order.
                let address = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                received.to = Some(IpAddr::V4(address));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                received.to = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            ControlMessageOwned::ScmTimestampsns(stamps) if nanos(&stamps.system) != 0 => {
                received.at_ns = nanos(&stamps.system);
                received.method = TimestampMethod::Kernel;
            }
            ControlMessageOwned::RxqOvfl(drops) => received.queue_drops = drops,
            // Control messages that nobody asked for.
            _ => {}
        }
    }
    if received.method == TimestampMethod::User {
        received.at_ns = wall_ns();
    }
    Ok(received)
}

pub(super) fn read_sent(message: &Message<'_, '_>) -> io::Result<Option<Sent>> {
    let (mut id, mut at_ns) = (None, 0);
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => at_ns = nanos(&stamps.system),
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _)
                if error.ee_origin == libc::SO_EE_ORIGIN_TIMESTAMPING =>
            {
                id = Some(error.ee_data);
            }
            // Control messages that nobody asked for.
            _ => {}
        }
    }
    let method = TimestampMethod::Kernel;
    Ok(id.filter(|_| at_ns != 0).map(|id| Sent { id, at_ns, method }))
}

/// The source address of an answer, as the kernel wants it.
pub(super) enum PacketInfo {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl PacketInfo {
    pub(super) const fn as_control_message(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

pub(super) const fn packet_info(from: IpAddr) -> PacketInfo {
    match from {
        IpAddr::V4(from) => PacketInfo::V4(libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        }),
        IpAddr::V6(from) => PacketInfo::V6(libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
            ipi6_ifindex: 0,
        }),
    }
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(&v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4(v4.into()));
    }
    address.as_sockaddr_in6().map(|&v6| SocketAddr::V6(v6.into()))
}

fn nanos(at: &nix::sys::time::TimeSpec) -> i64 {
    at.tv_sec().saturating_mul(1_000_000_000).saturating_add(at.tv_nsec())
}
