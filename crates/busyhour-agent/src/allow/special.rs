//! Addresses that are no reflector's, or that only this machine's owner may mean.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is beside an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// Nobody's: unspecified, "this network", reserved (RFC 6890).
    Nobodys,
    /// Many machines'.
    Multicast,
    /// All machines' of the link.
    Broadcast,
    /// This machine's.
    Loopback,
    /// One that only means something on one link (RFC 3927, RFC 4291 section 2.5.6).
    LinkLocal,
    /// Where a cloud tells its machines who they are, secrets included.
    Metadata,
}

/// Amazon, Google and most others (IMDS, ECS tasks); Alibaba; Azure's platform; Oracle's older one.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Amazon's and Google's.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

impl Special {
    /// What is special about an address, or about one that it stands for: whatever notation or
    /// translation brings packets to 127.0.0.1, it is 127.0.0.1.
    pub(crate) fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6).or_else(|| embedded(v6).into_iter().find_map(of_v4)),
        }
    }

    /// Whether the owner may let it be probed all the same.
    pub(crate) const fn may_be_excepted(self) -> bool {
        match self {
            Self::Nobodys | Self::Multicast | Self::Broadcast => false,
            Self::Loopback | Self::LinkLocal | Self::Metadata => true,
        }
    }

    /// Whether a target of the owner's own file that is written as this address is exception enough.
    pub(crate) const fn is_let_through_when_written_down(self) -> bool {
        match self {
            Self::Nobodys | Self::Multicast | Self::Broadcast | Self::Metadata => false,
            Self::Loopback | Self::LinkLocal => true,
        }
    }

    /// Behind "it is".
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Nobodys => "no machine's address",
            Self::Multicast => "a multicast address, not a machine's",
            Self::Broadcast => "a broadcast address, not a machine's",
            Self::Loopback => "this machine itself; allow.special would have to name it",
            Self::LinkLocal => "a link-local address; allow.special would have to name it",
            Self::Metadata => "a cloud's metadata service; allow.special would have to name it",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Option<Special> {
    let [first, ..] = address.octets();
    if METADATA_V4.contains(&address) {
        Some(Special::Metadata)
    } else if address.is_broadcast() {
        Some(Special::Broadcast)
    } else if first == 0 || first >= 240 {
        Some(Special::Nobodys)
    } else if address.is_multicast() {
        Some(Special::Multicast)
    } else if address.is_loopback() {
        Some(Special::Loopback)
    } else if address.is_link_local() {
        Some(Special::LinkLocal)
    } else {
        None
    }
}

fn of_v6(address: Ipv6Addr) -> Option<Special> {
    if METADATA_V6.contains(&address) {
        Some(Special::Metadata)
    } else if address.is_unspecified() {
        Some(Special::Nobodys)
    } else if address.is_multicast() {
        Some(Special::Multicast)
    } else if address.is_loopback() {
        Some(Special::Loopback)
    } else if address.is_unicast_link_local() {
        Some(Special::LinkLocal)
    } else {
        None
    }
}

/// The IPv4 addresses that something on the way, or this machine, may take out of one of IPv6.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let last = v4(segments[6], segments[7]);
    match segments {
        // Mapped and compatible (RFC 4291 section 2.5.5); translated (RFC 2765 section 2.1).
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => vec![last],
        // NAT64 (RFC 6052 section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // NAT64 of local use (RFC 8215): the prefix may have any length from 48 bits on; in the
        // shorter ones bits 64 to 71 are left out (RFC 6052 section 2.2).
        [0x64, 0xff9b, 1, ..] => {
            let bytes = address.octets();
            let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| bytes[place]));
            let mut all = vec![at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last];
            // What a length that is not the network's makes of zeros.
            all.retain(|v4| v4.octets()[0] != 0);
            all
        }
        // 6to4 (RFC 3056 section 2).
        [0x2002, high, low, ..] => vec![v4(high, low)],
        // Teredo (RFC 4380 section 4): the server, and the client with all bits turned.
        [0x2001, 0, high, low, ..] => vec![v4(high, low), Ipv4Addr::from_bits(!last.to_bits())],
        // ISATAP (RFC 5214 section 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![last],
        _ => Vec::new(),
    }
}
