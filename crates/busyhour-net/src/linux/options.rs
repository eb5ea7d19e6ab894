//! Socket options.

use std::net::SocketAddr;

use busyhour_model::TimestampMethod;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{
    IpRecvTos, Ipv4PacketInfo, Ipv4RecvTtl, Ipv6RecvHopLimit, Ipv6RecvPacketInfo, Ipv6RecvTClass,
    RxqOvfl, Timestamping,
};
use nix::sys::socket::{SetSockOpt, TimestampingFlag, setsockopt};
use socket2::Socket;

use crate::{Methods, SocketError};

/// Sets the default marking and asks for the marking, time to live and drops of what is received, and
/// for its destination where there may be several.
pub(super) fn receive_metadata(
    socket: &Socket,
    local: SocketAddr,
    tos: u8,
) -> Result<(), SocketError> {
    let refused = |option: &'static str| {
        move |errno: Errno| SocketError::Option { option, source: errno.into() }
    };
    let marking = |source| SocketError::Option { option: "the marking", source };
    let any_address = local.ip().is_unspecified();
    if local.is_ipv4() {
        socket.set_tos_v4(u32::from(tos)).map_err(marking)?;
        set(socket, IpRecvTos, true).map_err(refused("IP_RECVTOS"))?;
        set(socket, Ipv4RecvTtl, true).map_err(refused("IP_RECVTTL"))?;
        set(socket, Ipv4PacketInfo, any_address).map_err(refused("IP_PKTINFO"))?;
    } else {
        socket.set_tclass_v6(u32::from(tos)).map_err(marking)?;
        set(socket, Ipv6RecvTClass, true).map_err(refused("IPV6_RECVTCLASS"))?;
        set(socket, Ipv6RecvHopLimit, true).map_err(refused("IPV6_RECVHOPLIMIT"))?;
        set(socket, Ipv6RecvPacketInfo, any_address).map_err(refused("IPV6_RECVPKTINFO"))?;
    }
    setsockopt(socket, RxqOvfl, &1).map_err(refused("SO_RXQ_OVFL"))
}

fn set<O: SetSockOpt<Val = bool>>(socket: &Socket, option: O, value: bool) -> Result<(), Errno> {
    setsockopt(socket, option, &value)
}

/// Asks the kernel to stamp what is received.
pub(super) fn stamp_received(socket: &Socket) -> Methods {
    let received = match setsockopt(socket, Timestamping, &flags_received()) {
        Ok(()) => TimestampMethod::Kernel,
        Err(_) => TimestampMethod::User,
    };
    Methods { sent: TimestampMethod::User, received }
}

/// Asks the kernel to stamp what is sent, too, and to count it from zero. False when it refuses.
pub(super) fn stamp_both(socket: &Socket) -> bool {
    setsockopt(socket, Timestamping, &flags_both()).is_ok()
}

/// Makes the kernel count from zero again. False when it refuses.
pub(super) fn restart_count(socket: &Socket) -> bool {
    let without = flags_both() - TimestampingFlag::SOF_TIMESTAMPING_OPT_ID;
    setsockopt(socket, Timestamping, &without).is_ok() && stamp_both(socket)
}

/// Software stamps only: a network card's stamps are of another clock.
fn flags_received() -> TimestampingFlag {
    TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
}

fn flags_both() -> TimestampingFlag {
    flags_received()
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY
}
