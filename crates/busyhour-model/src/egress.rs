//! What an address on the Internet tells of the way out that it belongs to.

use std::net::IpAddr;

use ipnet::IpNet;

/// A gateway's addresses lie in one network of this length: it may have more than one.
const LENGTH_V4: u8 = 24;
const LENGTH_V6: u8 = 48;

/// The network of the gateway that packets come from which are seen from an address, such as a VPN's
/// concentrator. `None` for addresses that mean something within one company only.
#[must_use]
pub fn egress_network(seen: IpAddr) -> Option<IpNet> {
    let seen = seen.to_canonical();
    let (is_inner, length) = match seen {
        IpAddr::V4(v4) => (v4.is_private() || v4.is_link_local() || v4.is_loopback(), LENGTH_V4),
        IpAddr::V6(v6) => {
            (v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(), LENGTH_V6)
        }
    };
    if is_inner || seen.is_unspecified() {
        return None;
    }
    IpNet::new(seen, length).ok().map(|net| net.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_known_by_its_network_on_the_internet() {
        let told = |text: &str| egress_network(text.parse().unwrap()).map(|net| net.to_string());
        for (seen, expected) in [
            ("198.51.100.7", Some("198.51.100.0/24")),
            ("::ffff:198.51.100.200", Some("198.51.100.0/24")),
            ("2001:db8:7:8::9", Some("2001:db8:7::/48")),
            ("10.8.0.4", None),
            ("192.168.1.1", None),
            ("127.0.0.1", None),
            ("169.254.1.1", None),
            ("fd00::1", None),
            ("fe80::1", None),
            ("::", None),
        ] {
            assert_eq!(told(seen).as_deref(), expected, "{seen}");
        }
    }
}
