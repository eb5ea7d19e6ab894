//! The interface a destination is routed through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use busyhour_model::LinkKind;
use ipnet::IpNet;

use crate::HostError;
use crate::interface::{addresses, kind_of};

/// How packets to a destination leave the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The interface's name.
    pub interface: String,
    /// What kind of link it is.
    pub kind: LinkKind,
    /// The address that packets leave with.
    pub local: IpAddr,
    /// The network of that address, host bits cleared.
    pub prefix: IpNet,
}

/// The address that packets to `destination` leave with. Nothing is sent.
///
/// # Errors
/// When there is no route.
pub fn local_address(destination: SocketAddr) -> Result<IpAddr, HostError> {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let address = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(destination)?;
        socket.local_addr()
    });
    match address {
        Ok(address) => Ok(address.ip()),
        Err(source) => Err(HostError::NoRoute { destination, source }),
    }
}

/// How packets to `destination` leave the machine. Nothing is sent.
///
/// # Errors
/// When there is no route, or the interface is gone again.
pub fn route_to(destination: SocketAddr) -> Result<Route, HostError> {
    let local = local_address(destination)?;
    let all = addresses()?;
    let owner = |owns: &dyn Fn(&IpNet) -> bool| {
        all.iter().find_map(|(interface, addresses)| {
            let prefix = addresses.iter().find(|prefix| owns(prefix))?;
            Some((interface.clone(), prefix.trunc()))
        })
    };
    let exact = owner(&|prefix| prefix.addr() == local);
    // All of 127.0.0.0/8 is the loopback interface's, though it has only one address of it.
    let loopback =
        || local.is_loopback().then(|| owner(&|prefix| prefix.contains(&local))).flatten();
    let (interface, prefix) = exact.or_else(loopback).ok_or(HostError::Unowned(local))?;
    let kind = kind_of(&interface);
    Ok(Route { interface, kind, local, prefix })
}

/// Addresses that nobody has (RFC 5737, RFC 3849): they are routed where everything else is.
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// How packets that have no more specific route leave the machine; `None` when they do not. Nothing
/// is sent.
#[must_use]
pub fn default_route() -> Option<Route> {
    ELSEWHERE.into_iter().find_map(|address| route_to((address, 9).into()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_leaves_on_an_interface_of_this_machine() {
        let Some(route) = default_route() else { return };
        let interfaces = crate::interfaces().unwrap();
        assert!(interfaces.iter().any(|one| one.name == route.interface), "{route:?}");
    }

    #[test]
    fn loopback_is_routed_through_the_loopback_interface() {
        for destination in ["127.0.0.1:862", "127.1.2.3:862"] {
            let route = route_to(destination.parse().unwrap()).unwrap();
            assert_eq!(route.kind, LinkKind::Loopback, "{route:?}");
            assert_eq!(route.prefix, "127.0.0.0/8".parse().unwrap());
            assert!(route.local.is_loopback());
        }
    }
}
