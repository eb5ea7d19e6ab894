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

/// The main tables of routes: `/proc/net/route` (proc(5)) and `/proc/net/ipv6_route`.
const TABLES: [(&str, Parse); 2] =
    [("/proc/net/route", entry_v4), ("/proc/net/ipv6_route", entry_v6)];

type Parse = fn(&str) -> Option<Entry>;

/// `RTF_UP`, `RTF_GATEWAY`, `RTF_REJECT` (linux/route.h).
const UP: u32 = 0x1;
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;

/// A line of a table of routes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    interface: String,
    leads: Leads,
    /// The lower goes first.
    metric: u32,
}

/// Where a route leads that says how packets leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leads {
    /// Everywhere that no other does.
    Anywhere,
    /// To one address behind a gateway, such as the far end of a VPN.
    ToOne,
}

/// The interfaces by which what a VPN of this machine sends may leave: those of the best route to anywhere
/// that is no VPN's; where there is none, those of routes to single addresses behind a gateway, such as the VPN's
/// far end. The next protocol's routes count where the older one's say nothing. Empty when nobody tells.
#[must_use]
pub fn carriers() -> Vec<(String, LinkKind)> {
    let of_table = |(path, parse): (&str, Parse)| {
        let text = crate::read(path).ok()?;
        let entries: Vec<Entry> = text.lines().filter_map(parse).collect();
        let carriers: Vec<_> = carriers_of(&entries, kind_of).collect();
        (!carriers.is_empty()).then_some(carriers)
    };
    TABLES.into_iter().find_map(of_table).unwrap_or_default()
}

fn carriers_of(
    entries: &[Entry],
    kind_of: impl Fn(&str) -> LinkKind,
) -> impl Iterator<Item = (String, LinkKind)> {
    let carried = |kind: LinkKind| matches!(kind, LinkKind::Vpn | LinkKind::Loopback);
    let of_kind = |entry: &Entry| (entry.clone(), kind_of(&entry.interface));
    let mut own: Vec<(Entry, LinkKind)> = entries.iter().map(of_kind).collect();
    own.retain(|(_, kind)| !carried(*kind));
    // A route to anywhere hides those to single addresses; of these the metric says nothing.
    let rank = |entry: &Entry| match entry.leads {
        Leads::Anywhere => (entry.leads, entry.metric),
        Leads::ToOne => (entry.leads, 0),
    };
    let best = own.iter().map(|(entry, _)| rank(entry)).min();
    own.retain(|(entry, _)| Some(rank(entry)) == best);
    own.into_iter().map(|(entry, kind)| (entry.interface, kind))
}

/// Interface, destination, gateway, flags, count, use, metric, mask, …
fn entry_v4(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [interface, destination, _, flags, _, _, metric, mask, ..] = words.as_slice() else {
        return None;
    };
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let flags = number(flags)?;
    let leads = match (number(destination)?, number(mask)?) {
        (0, 0) => Leads::Anywhere,
        (_, u32::MAX) if flags & GATEWAY != 0 => Leads::ToOne,
        _ => return None,
    };
    let metric = metric.parse().ok()?;
    is_used(flags).then(|| Entry { interface: (*interface).to_owned(), leads, metric })
}

/// Destination and its length, source and its length, next hop, metric, count, use, flags, interface.
fn entry_v6(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [destination, length, _, _, _, metric, _, _, flags, interface] = words.as_slice() else {
        return None;
    };
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let flags = number(flags)?;
    let is_zero = destination.bytes().all(|digit| digit == b'0');
    let leads = match number(length)? {
        0 if is_zero => Leads::Anywhere,
        128 if flags & GATEWAY != 0 => Leads::ToOne,
        _ => return None,
    };
    let metric = number(metric)?;
    is_used(flags).then(|| Entry { interface: (*interface).to_owned(), leads, metric })
}

const fn is_used(flags: u32) -> bool {
    flags & UP != 0 && flags & REJECT == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    /// By which interfaces a VPN's packets leave, by a table's text.
    fn carried(text: &str, parse: Parse) -> Vec<String> {
        let entries: Vec<Entry> = text.lines().filter_map(parse).collect();
        let kind = |name: &str| match &name[..2] {
            "tu" | "wg" | "pp" => LinkKind::Vpn,
            "lo" => LinkKind::Loopback,
            "ww" => LinkKind::Mobile,
            _ => LinkKind::Wired,
        };
        carriers_of(&entries, kind).map(|(name, _)| name).collect()
    }

    #[test]
    fn what_a_vpn_sends_leaves_by_the_best_other_way_to_anywhere_or_to_its_far_end() {
        let route = |name: &str, to: &str, flags: &str, metric: u32, mask: &str| {
            format!("{name}\t{to}\t0101A8C0\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
        };
        let all = |name: &str, metric| route(name, "00000000", "0003", metric, "00000000");
        let near = |name: &str| route(name, "0001A8C0", "0001", 100, "00FFFFFF");
        let one = |name: &str| route(name, "077100CB", "0007", 0, "FFFFFFFF");
        let (tunnel, modem, cable) = (all("tun0", 50), all("wwan0", 700), all("eth0", 100));
        for (lines, expected) in [
            // The modem is there and not used while there is a cable.
            (vec![&tunnel, &modem, &near("wwan0")], vec!["wwan0"]),
            (vec![&tunnel, &modem, &cable, &near("eth0")], vec!["eth0"]),
            (vec![&tunnel, &one("wwan0"), &near("eth0")], vec!["wwan0"]),
            (vec![&tunnel, &one("wwan0"), &cable], vec!["eth0"]),
            (vec![&tunnel, &near("eth0")], vec![]),
            (vec![&tunnel, &route("eth0", "00000000", "0203", 0, "00000000")], vec![]),
            (vec![], vec![]),
        ] {
            let lines: String = lines.into_iter().map(String::as_str).collect();
            assert_eq!(carried(&format!("{HEAD}{lines}"), entry_v4), expected, "{lines}");
        }
    }

    #[test]
    fn it_is_the_same_for_the_next_protocol_and_for_damaged_tables() {
        let zeros = "0".repeat(32);
        let far = "20010db8000000000000000000000001";
        let route = |to: &str, length: &str, metric: &str, flags: &str, name: &str| {
            format!("{to} {length} {zeros} 00 {zeros} {metric} 00000001 00000000 {flags} {name}\n")
        };
        let tunnel = route(&zeros, "00", "00000032", "00000001", "wg0");
        let modem = route(&zeros, "00", "000002bc", "00000003", "wwan0");
        let none = route(&zeros, "00", "ffffffff", "00200200", "lo");
        let peer = route(far, "80", "00000400", "00000003", "wwan0");
        let own = route(far, "80", "00000000", "80200001", "eth0");
        assert_eq!(carried(&format!("{tunnel}{modem}{none}"), entry_v6), ["wwan0"]);
        assert_eq!(carried(&format!("{tunnel}{peer}{own}{none}"), entry_v6), ["wwan0"]);
        for text in ["", "a b c", "wwan0 x 0 3 0 0 0 0", "\u{0}", &modem[..60]] {
            assert!(carried(text, entry_v4).is_empty() && carried(text, entry_v6).is_empty());
        }
        // Whatever this machine's tables say can be read.
        let _ = carriers();
    }

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
