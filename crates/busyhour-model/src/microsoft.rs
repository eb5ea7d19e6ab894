//! Microsoft's own addresses of media.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What media of Teams goes to: Microsoft, *Microsoft 365 URLs and IP address ranges*, worldwide, entry 11.
const MEDIA: [IpNet; 4] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(52, 112, 0, 0)), 14),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(52, 122, 0, 0)), 15),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(13, 107, 64, 0)), 18),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2603, 0x1063, 0, 0, 0, 0, 0, 0)), 38),
];

/// True for an address that media of Teams goes to: whoever answers there is Microsoft. A reflector of
/// one's own is not, wherever it runs and whatever it is judged by.
#[must_use]
pub fn is_microsoft_media(address: IpAddr) -> bool {
    let address = address.to_canonical();
    MEDIA.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microsoft_is_known_by_its_published_addresses() {
        let is = |text: &str| is_microsoft_media(text.parse().unwrap());
        for own in ["52.112.0.1", "52.115.255.255", "52.123.1.1", "13.107.127.9", "2603:1063::1"] {
            assert!(is(own), "{own}");
        }
        assert!(is("::ffff:52.112.0.1"));
        for other in ["52.116.0.1", "52.124.0.0", "13.107.63.9", "198.51.100.7", "2603:1062::1"] {
            assert!(!is(other), "{other}");
        }
    }
}
