//! The gate, by what it is asked.

use super::*;

fn allow(targets: &[&str], special: &[&str], own: &[&str]) -> Allow {
    Allow::new(
        targets.iter().map(|text| Listed::parse(text).unwrap()).collect(),
        special.iter().map(|text| network(text).unwrap()).collect(),
        own.iter().map(|text| text.parse().unwrap()),
    )
}

fn check(allow: &Allow, host: &str, address: &str) -> Result<(), Special> {
    match allow.check(host, address.parse().unwrap()) {
        Ok(()) => Ok(()),
        Err(Refused::Special { special, .. }) => Err(special),
        Err(refused) => panic!("{address}: {refused}"),
    }
}

#[test]
fn ordinary_addresses_are_let_through() {
    let any = allow(&[], &[], &[]);
    for address in [
        "10.0.0.7",
        "192.168.1.1",
        "198.51.100.1",
        "100.64.0.1",
        "8.8.8.8",
        "2001:db8::1",
        "fd12:3456::1",
        "64:ff9b::c633:6401",
        "64:ff9b:1::c633:6401",
        "2002:c633:6401::1",
    ] {
        assert_eq!(check(&any, "host.example", address), Ok(()), "{address}");
    }
}

#[test]
fn special_addresses_are_refused_in_every_notation() {
    let any = allow(&[], &[], &[]);
    for (expected, addresses) in [
        (
            Special::Metadata,
            &[
                "169.254.169.254",
                "169.254.170.2",
                "100.100.100.200",
                "168.63.129.16",
                "192.0.0.192",
                "fd00:ec2::254",
                "fd20:ce::254",
                "::ffff:169.254.169.254",
                "::ffff:a9fe:a9fe",
                "::169.254.169.254",
                "::ffff:0:169.254.169.254",
                "64:ff9b::169.254.169.254",
                "64:ff9b:1::169.254.169.254",
                "64:ff9b:1:a9fe:a9:fe00::",
                "64:ff9b:1:a9:fe:a9fe::",
                "64:ff9b:1:0:a9:fea9:fe00:0",
                "2002:a9fe:a9fe::1",
                "2001:0:c633:6401::5601:5601",
                "2001:0:a9fe:a9fe::1",
                "2001:db8::200:5efe:169.254.169.254",
                "2001:db8::5efe:a9fe:a9fe",
            ][..],
        ),
        (Special::Loopback, &["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"]),
        (Special::LinkLocal, &["169.254.0.1", "fe80::1", "febf::1", "::ffff:169.254.7.7"]),
        (Special::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"]),
        (Special::Broadcast, &["255.255.255.255", "::ffff:255.255.255.255"]),
        (Special::Nobodys, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "240.0.0.1"]),
    ] {
        for address in addresses {
            assert_eq!(check(&any, "host.example", address), Err(expected), "{address}");
        }
    }
}

#[test]
fn the_owner_may_except_what_is_a_machines_and_nothing_else() {
    let excepted = allow(&[], &["0.0.0.0/0", "::/0"], &[]);
    for address in ["127.0.0.1", "::1", "169.254.0.1", "fe80::1", "169.254.169.254"] {
        assert_eq!(check(&excepted, "host.example", address), Ok(()), "{address}");
    }
    for address in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "::", "ff02::1", "240.0.0.1"] {
        assert!(check(&excepted, "host.example", address).is_err(), "{address}");
    }
    assert_eq!(Allow::whatever_is_a_machine(), excepted);
}

#[test]
fn an_exception_holds_for_its_own_addresses_only() {
    let excepted = allow(&[], &["127.0.0.2"], &[]);
    assert_eq!(check(&excepted, "host.example", "127.0.0.2"), Ok(()));
    assert_eq!(check(&excepted, "host.example", "127.0.0.1"), Err(Special::Loopback));
    assert_eq!(check(&excepted, "host.example", "::ffff:127.0.0.2"), Err(Special::Loopback));
}

#[test]
fn an_address_that_the_file_writes_down_is_meant_unless_it_is_a_metadata_service() {
    let own = allow(&[], &[], &["127.0.0.1", "fe80::1", "169.254.169.254", "224.0.0.1"]);
    assert_eq!(check(&own, "127.0.0.1", "127.0.0.1"), Ok(()));
    assert_eq!(check(&own, "fe80::1", "fe80::1"), Ok(()));
    assert_eq!(check(&own, "127.0.0.2", "127.0.0.2"), Err(Special::Loopback));
    assert_eq!(check(&own, "169.254.169.254", "169.254.169.254"), Err(Special::Metadata));
    assert_eq!(check(&own, "224.0.0.1", "224.0.0.1"), Err(Special::Multicast));
}

#[test]
fn a_list_lets_only_its_own_names_and_networks_through() {
    let listed = allow(&["*.media.example", "edge.example", "10.0.0.0/8", "192.0.2.1"], &[], &[]);
    let passes = |host: &str, address: &str| listed.check(host, address.parse().unwrap()).is_ok();
    for host in ["a.media.example", "b.a.MEDIA.example.", "edge.example", "Edge.Example."] {
        assert!(passes(host, "198.51.100.1"), "{host}");
    }
    for host in ["media.example", "amedia.example", "edge.example.org", "xedge.example", ""] {
        assert!(!passes(host, "198.51.100.1"), "{host}");
        assert!(passes(host, "10.1.2.3"), "{host}");
        assert!(passes(host, "192.0.2.1"), "{host}");
        assert!(!passes(host, "192.0.2.2"), "{host}");
    }
    // A name that is listed opens no special address.
    assert!(!passes("edge.example", "169.254.169.254"));
    assert!(!passes("edge.example", "127.0.0.1"));
}

#[test]
fn entries_that_are_neither_names_nor_networks_are_none() {
    for text in
        ["", "*", "*.", "a b", "http://x", "10.0.0.0/33", "1.2.3", "2130706433", "a..b", "."]
    {
        assert_eq!(Listed::parse(text), None, "{text:?}");
    }
    assert_eq!(Listed::parse("A.Example."), Some(Listed::Name("a.example".to_owned())));
    assert_eq!(Listed::parse("*.Example"), Some(Listed::Below(".example".to_owned())));
}
