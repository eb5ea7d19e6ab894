//! TLV values, walking for change, and answering a location.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use busyhour_wire::fuzz::fuzz_tlvs;
use busyhour_wire::{
    AccessReport, ClassOfService, DirectMeasurement, Disclosure, ErrorEstimate, FLAG_MALFORMED,
    FLAG_UNRECOGNIZED, FollowUp, Location, LocationPart, MalformedTlv, TimestampFormat,
    TimestampInformation, TlvsMut, WireTimestamp, answer_location,
};
use proptest::prelude::*;

const MALFORMED: MalformedTlv = MalformedTlv { offset: 0 };

#[test]
fn the_values_lie_as_the_rfc_draws_them() {
    let counters = DirectMeasurement { sender_tx: 1, reflector_rx: 0x0203, reflector_tx: u32::MAX };
    assert_eq!(counters.to_bytes(), [0, 0, 0, 1, 0, 0, 2, 3, 255, 255, 255, 255]);
    let told = FollowUp { sequence: 7, sent: WireTimestamp(0x0102_0304_0506_0708), method: 2 };
    assert_eq!(told.to_bytes(), [0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 2, 0, 0, 0]);
    let clock = TimestampInformation { sync_in: 1, method_in: 2, sync_out: 5, method_out: 3 };
    assert_eq!(clock.to_bytes(), [1, 2, 5, 3]);
    assert_eq!(AccessReport { access: 2, return_code: 1 }.to_bytes(), [0x20, 1, 0, 0]);
    assert_eq!(
        AccessReport::parse(&[0x2f, 1, 9, 9]),
        Ok(AccessReport { access: 2, return_code: 1 })
    );
}

#[test]
fn a_value_of_a_wrong_length_is_malformed_at_every_length() {
    let octets = [7; 24];
    for len in 0..octets.len() {
        let value = &octets[..len];
        assert_eq!(ClassOfService::parse(value).is_ok(), len == 4);
        assert_eq!(TimestampInformation::parse(value).is_ok(), len == 4);
        assert_eq!(DirectMeasurement::parse(value).is_ok(), len == 12);
        assert_eq!(FollowUp::parse(value).is_ok(), len == 16);
        assert_eq!(AccessReport::parse(value).is_ok(), len == 4);
        assert_eq!(Location::parse(value).is_ok(), len >= 4);
        for kind in 1..=9 {
            let expected = if kind <= 3 { 8 } else { 16 };
            assert_eq!(LocationPart::parse(kind, value).is_ok(), len == expected, "{kind}");
        }
    }
}

#[test]
fn an_error_is_written_rounded_up_and_never_down() {
    let written = |error: Duration| {
        ErrorEstimate::from_error(true, TimestampFormat::Ptp, error).seconds().unwrap()
    };
    let unit = 2f64.powi(-32);
    for (error, expected) in [
        (Duration::ZERO, unit),
        (Duration::from_nanos(1), 5.0 * unit),
        (Duration::from_nanos(59), 254.0 * unit),
        (Duration::from_nanos(60), 258.0 * unit),
        (Duration::from_secs(1), 1.0),
        (Duration::from_secs(255), 255.0),
        (Duration::from_secs(256), 256.0),
        (Duration::from_secs(257), 258.0),
        // The largest that can be written.
        (Duration::MAX, 255.0 * 2f64.powi(31)),
    ] {
        assert_eq!(written(error), expected, "{error:?}");
    }
    let estimate = ErrorEstimate::from_error(true, TimestampFormat::Ptp, Duration::from_secs(1));
    assert!(estimate.synchronized());
    assert_eq!(estimate.format(), TimestampFormat::Ptp);
    let estimate = ErrorEstimate::from_error(false, TimestampFormat::Ntp, Duration::from_secs(1));
    assert!(!estimate.synchronized());
    assert_eq!(estimate.format(), TimestampFormat::Ntp);
}

#[test]
fn a_walk_for_change_writes_into_the_packet_and_marks_what_it_cannot_read() {
    let mut tail = [0x80, 1, 0, 2, 7, 9, 0xa0, 4, 0, 4, 1, 2, 3];
    let mut walk = TlvsMut::new(&mut tail);
    let padding = walk.next().unwrap().unwrap();
    *padding.flags = 0;
    padding.value.copy_from_slice(&[1, 2]);
    walk.mark_malformed();
    assert_eq!(walk.next(), Some(Err(MalformedTlv { offset: 6 })));
    walk.mark_malformed();
    assert!(walk.next().is_none());
    assert_eq!(tail, [0, 1, 0, 2, 1, 2, 0x40, 4, 0, 4, 1, 2, 3]);

    let mut short = [1, 2, 3];
    let mut walk = TlvsMut::new(&mut short);
    assert_eq!(walk.next(), Some(Err(MalformedTlv { offset: 0 })));
    walk.mark_malformed();
    assert_eq!(short, [1, 2, 3], "no header, no flags");
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parts(value: &[u8]) -> Vec<(u8, LocationPart)> {
    Location::parse(value).unwrap().parts().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_location_tells_ports_always_and_addresses_only_when_disclosed() {
    let cases = [("192.0.2.2:862", "198.51.100.9:50003"), ("[2001:db8::2]:862", "[2001:db8::9]:5")];
    for (to, from) in cases {
        let (to, from) = (address(to), address(from));
        let mut value = Location::addresses_request();
        assert_eq!(value.len(), 44);
        answer_location(&mut value, to, from, Disclosure::Ports).unwrap();
        let told = Location::parse(&value).unwrap();
        assert_eq!((told.destination_port, told.source_port), (to.port(), from.port()));
        let unanswered = [
            (FLAG_UNRECOGNIZED, LocationPart::DestinationAddress),
            (FLAG_UNRECOGNIZED, LocationPart::SourceAddress),
        ];
        assert_eq!(parts(&value), unanswered);

        answer_location(&mut value, to, from, Disclosure::Addresses).unwrap();
        let answered =
            [(0, LocationPart::Destination(to.ip())), (0, LocationPart::Source(from.ip()))];
        assert_eq!(parts(&value), answered);
        assert_eq!(value.len(), 44);
        assert_eq!(value[5], if to.is_ipv4() { 5 } else { 6 });
        assert_eq!(value[25], if to.is_ipv4() { 8 } else { 9 });
    }
    let mut ports = Location::ports_request();
    answer_location(
        &mut ports,
        address("192.0.2.2:862"),
        address("192.0.2.3:50001"),
        Disclosure::Ports,
    )
    .unwrap();
    assert_eq!(ports, [3, 94, 195, 81]);
}

#[test]
fn a_mapped_address_is_told_as_the_one_it_maps() {
    let mut value = Location::addresses_request();
    let mapped = address("[::ffff:192.0.2.7]:9");
    answer_location(&mut value, mapped, mapped, Disclosure::Addresses).unwrap();
    let plain: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(parts(&value)[1], (0, LocationPart::Source(plain)));
}

#[test]
fn a_hardware_address_is_never_told_and_a_malformed_sub_tlv_is_marked() {
    let (to, from) = (address("192.0.2.2:862"), address("192.0.2.3:50001"));
    let mut value = Location::ports_request().to_vec();
    LocationPart::SourceMac.write(FLAG_UNRECOGNIZED, &mut value);
    let asked = value.clone();
    answer_location(&mut value, to, from, Disclosure::Addresses).unwrap();
    assert_eq!(value[4..], asked[4..]);

    for (name, mut value) in [
        ("reaching beyond", vec![0, 0, 0, 0, 0x80, 7, 0, 16, 1]),
        ("of a wrong length", vec![0, 0, 0, 0, 0x80, 7, 0, 1, 1]),
    ] {
        let answered = answer_location(&mut value, to, from, Disclosure::Addresses);
        assert_eq!(answered, Err(MalformedTlv { offset: 4 }), "{name}");
        assert_eq!(value[4], FLAG_MALFORMED, "{name}");
        assert_eq!(value[5..7], [7, 0], "{name}");
    }
    assert_eq!(answer_location(&mut [1, 2, 3], to, from, Disclosure::Ports), Err(MALFORMED));
}

#[test]
fn every_part_of_a_location_reads_as_it_was_written() {
    let every = [
        LocationPart::SourceMac,
        LocationPart::SourceEui48([1, 2, 3, 4, 5, 6]),
        LocationPart::SourceEui64([1, 2, 3, 4, 5, 6, 7, 8]),
        LocationPart::DestinationAddress,
        LocationPart::Destination("192.0.2.1".parse().unwrap()),
        LocationPart::Destination("2001:db8::1".parse().unwrap()),
        LocationPart::SourceAddress,
        LocationPart::Source("192.0.2.1".parse().unwrap()),
        LocationPart::Source("2001:db8::1".parse().unwrap()),
        LocationPart::Other(77),
    ];
    let mut value = Location::ports_request().to_vec();
    for part in every {
        part.write(0, &mut value);
    }
    assert_eq!(parts(&value), every.map(|part| (0, part)));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_location_keeps_the_laws(
        ports: [u8; 4],
        parts in prop::collection::vec(
            (any::<u8>(), 0..11_u8, prop_oneof![Just(8_u16), Just(16), 0..20_u16]), 0..4,
        ),
    ) {
        let mut value = ports.to_vec();
        for (flags, kind, len) in parts {
            value.extend_from_slice(&[flags, kind]);
            value.extend_from_slice(&len.to_be_bytes());
            value.extend_from_slice(&vec![flags; usize::from(len)]);
        }
        let mut wire = vec![0x80, 2];
        wire.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(&value);
        fuzz_tlvs(&wire);
    }

    #[test]
    fn any_error_is_written_within_a_128th(nanos in 1..u64::MAX, synchronized: bool) {
        let error = Duration::from_nanos(nanos);
        let estimate = ErrorEstimate::from_error(synchronized, TimestampFormat::Ntp, error);
        let written = estimate.seconds().unwrap();
        let error = error.as_secs_f64();
        prop_assert!(written >= error * (1.0 - 1e-15) && written <= error * (129.0 / 128.0) + 3e-10);
    }
}
