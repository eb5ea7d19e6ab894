//! The machine's interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use busyhour_model::LinkKind;
use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::HostError;
use crate::kind::Clues;

/// An interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The operating system's name.
    pub name: String,
    /// What kind of link it is.
    pub kind: LinkKind,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
}

/// Every interface that is up and has an address, by name.
///
/// # Errors
/// When the system does not tell.
pub fn interfaces() -> Result<Vec<Interface>, HostError> {
    Ok(addresses()?
        .into_iter()
        .map(|(name, addresses)| Interface { kind: kind_of(&name), name, addresses })
        .collect())
}

/// The speed of an interface's link, in bits per second; `None` where there is no such thing
/// (Wi-Fi, tunnels, loopback) or the link is down.
#[must_use]
pub fn link_speed(name: &str) -> Option<u64> {
    parse_speed(&std::fs::read_to_string(system_file(name, "speed")?).ok()?)
}

/// Addresses by interface.
pub(crate) fn addresses() -> Result<BTreeMap<String, Vec<IpNet>>, HostError> {
    let list = getifaddrs().map_err(|errno| HostError::Interfaces(errno.into()))?;
    let mut addresses: BTreeMap<String, Vec<IpNet>> = BTreeMap::new();
    for entry in list.filter(|entry| entry.flags.contains(InterfaceFlags::IFF_UP)) {
        if let Some(prefix) = prefix_of(&entry) {
            addresses.entry(entry.interface_name).or_default().push(prefix);
        }
    }
    Ok(addresses)
}

pub(crate) fn kind_of(name: &str) -> LinkKind {
    let text = |file: &str| {
        let path = system_file(name, file)?;
        std::fs::read_to_string(path).ok()
    };
    let exists = |file: &str| system_file(name, file).is_some_and(|path| Path::new(&path).exists());
    let clues = Clues {
        hardware: text("type").unwrap_or_default(),
        uevent: text("uevent").unwrap_or_default(),
        wireless: exists("wireless") || exists("phy80211"),
        tunnel: exists("tun_flags"),
    };
    clues.kind()
}

/// A file of `/sys/class/net/NAME`; `None` when the name would lead elsewhere.
fn system_file(name: &str, file: &str) -> Option<String> {
    // An alias such as `eth0:1` is the same device.
    let device = name.split(':').next()?;
    let sane = !device.is_empty() && device != "." && device != ".." && !device.contains('/');
    sane.then(|| format!("/sys/class/net/{device}/{file}"))
}

/// The text of `speed`: megabits per second, -1 when unknown.
fn parse_speed(text: &str) -> Option<u64> {
    let megabits = u64::try_from(text.trim().parse::<i64>().ok()?).ok()?;
    (megabits > 0 && megabits < u64::from(u32::MAX)).then(|| megabits * 1_000_000)
}

fn prefix_of(entry: &InterfaceAddress) -> Option<IpNet> {
    let address = ip(entry.address.as_ref()?)?;
    let mask = entry.netmask.as_ref().and_then(ip);
    match mask {
        Some(mask) => IpNet::with_netmask(address, mask).ok(),
        None => Some(IpNet::from(address)),
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|socket| IpAddr::V4(socket.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|socket| IpAddr::V6(socket.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_megabits_and_minus_one_is_none() {
        let table = [
            ("1000\n", Some(1_000_000_000)),
            ("10", Some(10_000_000)),
            ("-1\n", None),
            ("0\n", None),
            ("4294967295\n", None),
            ("", None),
            ("fast", None),
        ];
        for (text, speed) in table {
            assert_eq!(parse_speed(text), speed, "{text:?}");
        }
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        assert_eq!(system_file("eth0:1", "speed").unwrap(), "/sys/class/net/eth0/speed");
        for name in ["", ".", "..", "../../etc", ":x"] {
            assert_eq!(system_file(name, "speed"), None, "{name:?}");
        }
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        let all = interfaces().unwrap();
        let lo = all.iter().find(|i| i.kind == LinkKind::Loopback).unwrap();
        assert!(lo.addresses.contains(&"127.0.0.1/8".parse().unwrap()), "{lo:?}");
        assert_eq!(link_speed(&lo.name), None);
    }
}
