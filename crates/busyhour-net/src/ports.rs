//! Opening and binding.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::SocketError;

/// Opens on the first free port of `ports`, else on any.
pub(crate) fn open_on_first_free(
    local: IpAddr,
    ports: RangeInclusive<u16>,
) -> Result<Socket, SocketError> {
    for port in ports {
        match open_at(SocketAddr::new(local, port)) {
            Err(SocketError::Bind { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                ) => {}
            other => return other,
        }
    }
    open_at(SocketAddr::new(local, 0))
}

/// Opens and binds; an IPv6 socket takes no IPv4.
pub(crate) fn open_at(local: SocketAddr) -> Result<Socket, SocketError> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))
        .map_err(SocketError::Open)?;
    if local.is_ipv6() {
        socket
            .set_only_v6(true)
            .map_err(|source| SocketError::Option { option: "IPV6_V6ONLY", source })?;
    }
    socket
        .set_nonblocking(true)
        .map_err(|source| SocketError::Option { option: "non-blocking", source })?;
    socket
        .bind(&SockAddr::from(local))
        .map_err(|source| SocketError::Bind { address: local, source })?;
    Ok(socket)
}

/// The address that was bound.
pub(crate) fn local_addr(socket: &Socket) -> Result<SocketAddr, SocketError> {
    let address = socket.local_addr().map_err(SocketError::Open)?;
    address.as_socket().ok_or_else(|| SocketError::Open(io::Error::other("not an IP socket")))
}
