//! Which of several addresses is asked first: the rules of RFC 6724 section 6 that matter to who only
//! sends. What DNS says first stays first among equals.

use std::net::{IpAddr, Ipv6Addr};

use busyhour_host::local_address;

/// The policy table of RFC 6724 section 2.1: prefix, its length, precedence and label. The longest
/// prefix counts; IPv4 addresses are looked up as mapped ones.
const POLICY: [(Ipv6Addr, u32, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

/// Sorts by what this machine would send from.
pub(super) fn sort(addresses: &mut [IpAddr]) {
    sort_by_source(addresses, |address| local_address((address, 9).into()).ok());
}

fn sort_by_source(addresses: &mut [IpAddr], source: impl Fn(IpAddr) -> Option<IpAddr>) {
    addresses.sort_by_cached_key(|&address| {
        let (precedence, label) = policy(address);
        let source = source(address);
        // Rules 1, 5 and 6: usable, of the same kind as the source, by precedence.
        let of_another_kind = source.is_none_or(|source| policy(source).1 != label);
        (source.is_none(), of_another_kind, u8::MAX - precedence)
    });
}

/// Precedence and label of an address.
fn policy(address: IpAddr) -> (u8, u8) {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let within = |prefix: Ipv6Addr, length: u32| {
        let differing = u128::from(address) ^ u128::from(prefix);
        differing.leading_zeros() >= length
    };
    POLICY
        .iter()
        .find(|(prefix, length, ..)| within(*prefix, *length))
        .map_or((0, 0), |&(_, _, precedence, label)| (precedence, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &[(&str, Option<&str>)], expected: &[&str]) {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut addresses: Vec<IpAddr> =
            sources.iter().map(|(address, _)| parse(address)).collect();
        sort_by_source(&mut addresses, |address| {
            let (_, source) = sources.iter().find(|(other, _)| parse(other) == address).unwrap();
            source.map(parse)
        });
        assert_eq!(addresses, expected.iter().map(|text| parse(text)).collect::<Vec<_>>());
    }

    #[test]
    fn addresses_are_in_the_order_of_rfc_6724() {
        let (v4, v6) = ("198.51.100.1", "2001:db8::1");
        let (own_v4, own_v6) = ("198.51.100.117", "2001:db8::2");
        // Examples of its section 10.2.
        check(&[(v4, Some(own_v4)), (v6, Some(own_v6))], &[v6, v4]);
        check(&[(v6, None), (v4, Some(own_v4))], &[v4, v6]);
        check(&[(v6, Some("fd00::2")), (v4, Some(own_v4))], &[v4, v6]);
        let six_to_four = "2002:c633:6401::1";
        check(&[(six_to_four, Some("2002:c633:6401::2")), (v6, Some(own_v6))], &[v6, six_to_four]);
    }

    #[test]
    fn equals_stay_in_the_order_that_they_came_in() {
        let own = Some("192.0.2.9");
        check(&[("192.0.2.2", own), ("192.0.2.1", own)], &["192.0.2.2", "192.0.2.1"]);
    }
}
