//! What TLVs are answered with.

use busyhour_model::{ClockQuality, Dscp, TimestampMethod};
use busyhour_probe::{ClockSource, DscpSet, PaddingFill, ReflectorConfig};
use busyhour_wire::{
    ACCESS_REPORT, CLASS_OF_SERVICE, ClassOfService, DIRECT_MEASUREMENT, DirectMeasurement,
    EXTRA_PADDING, FLAG_INTEGRITY, FLAG_MALFORMED, FLAG_UNRECOGNIZED, FOLLOW_UP, FollowUp, HMAC,
    LOCATION, Location, LocationPart, TIMESTAMP_INFORMATION, TimestampFormat,
};
use proptest::prelude::*;

use crate::support::{Ask, Asked, DWELL_NS, LISTEN, RECEIVED_NS, datagram, hex, ntp_ns, port};

/// Flags and value that one TLV is answered with.
fn answered(config: &ReflectorConfig, kind: u8, value: &[u8]) -> (u8, Vec<u8>) {
    let mut asked = Asked::new(config.clone());
    let answer = asked.ask(&Ask::new(16, 1).with(kind, value), port(7)).unwrap();
    let (flags, value) = answer.tlv(kind);
    (flags, value.to_vec())
}

fn check(kind: u8, value: &[u8], flags: u8, expected: &[u8]) {
    let told = answered(&ReflectorConfig::default(), kind, value);
    assert_eq!(told, (flags, expected.to_vec()), "type {kind}, asked {value:02x?}");
}

#[test]
fn each_tlv_is_answered_or_copied_with_the_flags_of_the_rfc() {
    check(ACCESS_REPORT, &[0x17, 1, 9, 9], 0, &[0x10, 1, 0, 0]);
    check(ACCESS_REPORT, &[0x37, 1, 9, 9], FLAG_UNRECOGNIZED, &[0x37, 1, 9, 9]);
    check(TIMESTAMP_INFORMATION, &[0; 4], 0, &[5, 2, 5, 2]);
    check(240, &[1, 2, 3], FLAG_UNRECOGNIZED, &[1, 2, 3]);
    check(12, &[9; 12], FLAG_UNRECOGNIZED, &[9; 12]);
    check(
        DIRECT_MEASUREMENT,
        &[0, 0, 0, 9, 1, 1, 1, 1, 2, 2, 2, 2],
        0,
        &[0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1],
    );
    check(FOLLOW_UP, &[7; 16], 0, &[0; 16]);
}

#[test]
fn a_tlv_of_a_wrong_length_is_marked_malformed_and_the_rest_is_copied() {
    for (kind, len) in [
        (LOCATION, 3),
        (TIMESTAMP_INFORMATION, 5),
        (CLASS_OF_SERVICE, 3),
        (DIRECT_MEASUREMENT, 11),
        (ACCESS_REPORT, 0),
        (HMAC, 15),
    ] {
        let mut asked = Asked::new(ReflectorConfig::default());
        let ask = Ask::new(16, 1).with(kind, &vec![3; len]).with(TIMESTAMP_INFORMATION, &[0; 4]);
        let answer = asked.ask(&ask, port(7)).unwrap();
        if kind == HMAC {
            // It cannot be verified either, which goes first.
            assert_eq!(answer.tail()[0], FLAG_UNRECOGNIZED | FLAG_INTEGRITY);
            continue;
        }
        assert_eq!(answer.tail()[0], FLAG_MALFORMED, "type {kind}");
        assert_eq!(answer.tail()[1..], ask.tlvs[1..], "type {kind}");
    }
    // Of Follow-Up Telemetry the fields are zeroed nevertheless (erratum 8339).
    check(
        FOLLOW_UP,
        &[7; 17],
        FLAG_MALFORMED,
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7],
    );
    check(FOLLOW_UP, &[7; 2], FLAG_MALFORMED, &[0; 2]);
}

#[test]
fn a_tlv_that_reaches_beyond_the_packet_is_marked_malformed() {
    let mut asked = Asked::new(ReflectorConfig::default());
    let mut ask = Ask::new(16, 1).with(TIMESTAMP_INFORMATION, &[0; 4]);
    ask.tlvs.extend_from_slice(&[0xff, 4, 0, 5, 1, 2, 3, 4]);
    let answer = asked.ask(&ask, port(7)).unwrap();
    assert_eq!(answer.tail()[..8], [0, 3, 0, 4, 5, 2, 5, 2]);
    assert_eq!(answer.tail()[8] & !0x1f, FLAG_MALFORMED);
    assert_eq!(answer.tail()[9..], ask.tlvs[9..]);
}

#[test]
fn padding_is_our_own_and_another_one_each_time() {
    let asked = [0xaa; 80];
    let mut reflector = Asked::new(ReflectorConfig::default());
    let ask = Ask::new(16, 1).with(EXTRA_PADDING, &asked).with(EXTRA_PADDING, &[]);
    let [first, second] = [0, 1].map(|_| reflector.ask(&ask, port(7)).unwrap());
    let octets = first.tlv(EXTRA_PADDING).1;
    assert_eq!((first.tlv(EXTRA_PADDING).0, octets.len()), (0, 80));
    assert!(octets.windows(4).all(|four| four != [0xaa; 4]), "nothing of the request");
    assert_ne!(octets, second.tlv(EXTRA_PADDING).1);
    let zeros = ReflectorConfig { padding: PaddingFill::Zeros, ..ReflectorConfig::default() };
    assert_eq!(answered(&zeros, EXTRA_PADDING, &asked), (0, vec![0; 80]));
}

#[test]
fn the_padding_of_an_older_sender_is_copied() {
    for tail in [vec![0; 73], [vec![0; 8], vec![0x5a; 20]].concat(), vec![1, 2, 3]] {
        let mut asked = Asked::new(ReflectorConfig::default());
        let ask = Ask { tlvs: tail.clone(), ..Ask::new(16, 0) };
        assert_eq!(asked.ask(&ask, port(7)).unwrap().tail(), tail);
    }
}

#[test]
fn a_wish_for_a_marking_is_granted_within_policy() {
    let wish = |wanted: u8, ecn: u8| {
        ClassOfService::request_with_ecn(Dscp::new(wanted).unwrap(), ecn).to_bytes()
    };
    let only = DscpSet::NONE.with(Dscp::new(46).unwrap());
    // Wanted code point and ECN, allowed ones; then the answer's TOS, RP and RPE. All come as CS1, ECT(1).
    for (wanted, ecn, allowed, tos, refused, ecn_refused) in [
        (46, 0, DscpSet::USERS, 46 << 2, 0, 3),
        (46, 2, DscpSet::USERS, 46 << 2 | 2, 0, 3),
        (46, 1, only, 46 << 2 | 1, 0, 3),
        // Only routers say that there is congestion.
        (46, 3, DscpSet::USERS, 46 << 2, 0, 2),
        (34, 2, only, 8 << 2 | 2, 1, 3),
        (48, 0, DscpSet::USERS, 8 << 2, 1, 3),
        (48, 0, DscpSet::ALL, 48 << 2, 0, 3),
    ] {
        let config = ReflectorConfig { allowed_dscp: allowed, ..ReflectorConfig::default() };
        let mut asked = Asked::new(config);
        asked.tos = Some(8 << 2 | 1);
        let ask = Ask::new(16, 1).with(CLASS_OF_SERVICE, &wish(wanted, ecn));
        let answer = asked.ask(&ask, port(7)).unwrap();
        let (flags, value) = answer.tlv(CLASS_OF_SERVICE);
        let class = ClassOfService::parse(value).unwrap();
        assert_eq!((answer.tos, flags), (tos, 0), "{wanted} {ecn}");
        assert_eq!((class.received.value(), class.received_ecn), (8, 1));
        assert_eq!((class.refused, class.ecn_refused), (refused, ecn_refused), "{wanted} {ecn}");
    }
}

#[test]
fn a_socket_that_cannot_tell_the_marking_leaves_its_tlv_unrecognized() {
    let mut asked = Asked::new(ReflectorConfig::default());
    asked.tos = None;
    let ask = Ask::new(16, 1).with(CLASS_OF_SERVICE, &[46 << 2, 0, 0, 0]);
    let answer = asked.ask(&ask, port(7)).unwrap();
    assert_eq!(answer.tail(), ask.tlvs);
    assert_eq!(answer.tos, 0);
}

#[test]
fn no_address_is_told_unless_it_is_allowed_and_ports_always_are() {
    let (to, from) = (std::net::SocketAddr::from(LISTEN), port(50_000));
    for disclose_addresses in [false, true] {
        let config = ReflectorConfig { disclose_addresses, ..ReflectorConfig::default() };
        let mut asked = Asked::new(config);
        let ask = Ask::new(16, 1).with(LOCATION, &Location::addresses_request());
        let answer = asked.ask(&ask, from).unwrap();
        let (flags, value) = answer.tlv(LOCATION);
        let location = Location::parse(value).unwrap();
        assert_eq!((flags, location.destination_port, location.source_port), (0, 862, 50_000));
        let parts: Vec<_> = location.parts().map(Result::unwrap).collect();
        let told = [(0, LocationPart::Destination(to.ip())), (0, LocationPart::Source(from.ip()))];
        let kept = [LocationPart::DestinationAddress, LocationPart::SourceAddress]
            .map(|part| (FLAG_UNRECOGNIZED, part));
        assert_eq!(parts, if disclose_addresses { told } else { kept });
        let octets = |ip: std::net::IpAddr| match ip {
            std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
            std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        for ip in [to.ip(), from.ip()] {
            let is_there = answer.bytes.windows(4).any(|four| four == octets(ip));
            assert_eq!(is_there, disclose_addresses, "{ip}");
        }
    }
}

#[test]
fn timestamp_information_tells_the_clock_as_it_is() {
    let config = ReflectorConfig { clock_source: ClockSource::Ptp, ..ReflectorConfig::default() };
    let mut asked = Asked::new(config);
    let ask = Ask::new(16, 1).with(TIMESTAMP_INFORMATION, &[0; 4]);
    let told = |asked: &mut Asked, method| {
        let bytes = ask.bytes();
        let datagram = busyhour_probe::Datagram { method, ..datagram(&bytes, port(7)) };
        let reply = asked.reflector.handle(&datagram, asked.now).unwrap();
        reply.bytes()[48..52].to_vec()
    };
    assert_eq!(told(&mut asked, TimestampMethod::Kernel), [5, 2, 5, 2]);
    asked.reflector.set_clock(ClockQuality { synchronized: true, error_us: 900 });
    assert_eq!(told(&mut asked, TimestampMethod::User), [2, 2, 2, 2]);
    assert_eq!(told(&mut asked, TimestampMethod::Hardware), [2, 1, 2, 2]);
}

#[test]
fn the_error_estimate_is_that_of_the_clock_and_each_format_is_written() {
    for (timestamp_format, quality, seconds) in [
        (TimestampFormat::Ntp, ClockQuality { synchronized: true, error_us: 900 }, 0.0009),
        (TimestampFormat::Ptp, ClockQuality { synchronized: true, error_us: 2_000_000 }, 2.0),
        (TimestampFormat::Ptp, ClockQuality::default(), 1.0),
    ] {
        let config = ReflectorConfig { timestamp_format, ..ReflectorConfig::default() };
        let mut asked = Asked::new(config);
        asked.reflector.set_clock(quality);
        let packet = asked.ask(&Ask::new(16, 1), port(7)).unwrap().packet();
        let estimate = packet.error_estimate;
        assert_eq!(
            (estimate.format(), estimate.synchronized()),
            (timestamp_format, quality.synchronized)
        );
        let told = estimate.seconds().unwrap();
        assert!(told >= seconds && told < seconds * 1.01, "{told} of {seconds}");
        assert_eq!(packet.received.to_unix_ns(timestamp_format), Some(RECEIVED_NS));
        assert_eq!(packet.sent.to_unix_ns(timestamp_format), Some(RECEIVED_NS + DWELL_NS));
    }
}

#[test]
fn direct_measurement_counts_what_was_refused_and_not_what_was_not_sent() {
    let mut config = ReflectorConfig::default();
    config.rates.session = 2;
    let mut asked = Asked::new(config);
    let ask = Ask::new(16, 1).with(DIRECT_MEASUREMENT, &[0; 12]);
    let counts = |answer: crate::support::Answer| {
        let value = DirectMeasurement::parse(answer.tlv(DIRECT_MEASUREMENT).1).unwrap();
        (answer.packet().sequence, value.reflector_rx, value.reflector_tx)
    };
    let [first, second, third] = [0, 1, 2].map(|_| asked.ask(&ask, port(7)).map(counts));
    assert_eq!((first, second, third), (Some((0, 1, 1)), Some((1, 2, 2)), None));
    asked.pass(500);
    let bytes = ask.bytes();
    let reply = asked.reflector.handle(&datagram(&bytes, port(7)), asked.now).unwrap();
    let ticket = reply.ticket();
    asked.reflector.not_sent(ticket);
    asked.pass(500);
    assert_eq!(asked.ask(&ask, port(7)).map(counts), Some((3, 5, 3)));
    assert_eq!((asked.reflector.stats().unsent, asked.reflector.stats().dropped_rate), (1, 1));
}

#[test]
fn follow_up_tells_when_the_previous_answer_left() {
    let mut asked = Asked::new(ReflectorConfig::default());
    let ask = Ask::new(16, 1).with(FOLLOW_UP, &[0; 16]);
    let told = |asked: &mut Asked| {
        let answer = asked.ask(&ask, port(7)).unwrap();
        let told = FollowUp::parse(answer.tlv(FOLLOW_UP).1).unwrap();
        (told.sequence, told.sent.to_unix_ns(TimestampFormat::Ntp), told.method)
    };
    assert_eq!(told(&mut asked), (0, None, 0), "nothing was answered before");
    assert_eq!(told(&mut asked), (0, Some(RECEIVED_NS + DWELL_NS), 2));
    let bytes = ask.bytes();
    let mut reply = asked.reflector.handle(&datagram(&bytes, port(7)), asked.now).unwrap();
    reply.finish(RECEIVED_NS + 9);
    assert!(reply.wants_stamp());
    let ticket = reply.ticket();
    asked.reflector.sent(ticket, 70);
    asked.reflector.handle_stamp(70, RECEIVED_NS + 77, TimestampMethod::Hardware);
    asked.reflector.handle_stamp(71, RECEIVED_NS + 78, TimestampMethod::Kernel);
    assert_eq!(told(&mut asked), (2, Some(RECEIVED_NS + 77), 1));
    let stateless = ReflectorConfig { stateful: false, ..ReflectorConfig::default() };
    let mut asked = Asked::new(stateless);
    for _ in 0..2 {
        assert_eq!(told(&mut asked), (0, None, 0), "without state there is no previous answer");
    }
    let bytes = Ask::new(16, 1).bytes();
    let reply = asked.reflector.handle(&datagram(&bytes, port(7)), asked.now).unwrap();
    assert!(!reply.wants_stamp(), "nobody asked");
}

#[test]
fn a_captured_exchange_is_answered_as_its_reflector_did() {
    // Asked with TOS 0xba by a sender that wants EF, ECT(0) and the clock's facts.
    let request = "00000000ee6d329dae04bab60001002a00000000000000000000000000000000000000000000000000000000\
                   80040004b80080008003000400000000";
    let reply = "00000001ee6d329dae2f84b90001002aee6d329dae13915f00000000ee6d329dae04bab60001000040000000\
                 00040004bae890000003000401020102";
    let (request, mut expected) = (hex(request), hex(reply));
    let mut asked = Asked::new(ReflectorConfig::default());
    asked.reflector.set_clock(ClockQuality { synchronized: true, error_us: 1 });
    let (sent_ns, at_ns) = (ntp_ns(&expected[4..12]), ntp_ns(&expected[16..24]));
    let seen = busyhour_probe::Datagram {
        at_ns,
        tos: Some(0xba),
        ttl: Some(64),
        ..datagram(&request, port(7))
    };
    let mut reply = asked.reflector.handle(&seen, asked.now).unwrap();
    reply.finish(sent_ns);
    let own = reply.bytes().to_vec();
    assert_eq!(reply.tos(), 0xb8 | 2);
    // Our counter begins at 0 as the RFC says, our error estimate is our clock's, times are rounded to
    // nanoseconds, and RPE follows the draft's present text.
    expected[3] = 0;
    expected[12..14].copy_from_slice(&own[12..14]);
    for offset in [4, 16] {
        assert!(expected[offset + 7].abs_diff(own[offset + 7]) <= 4);
        expected[offset + 7] = own[offset + 7];
    }
    expected[50] |= 3 << 4;
    assert_eq!(own, expected);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is asked, in whatever TLVs.
    #[test]
    fn no_address_is_ever_told_unless_it_is_allowed(
        asked in prop::collection::vec(
            (any::<u8>(), 0..16u8, prop::collection::vec((0..10u8, 0..20usize), 0..4)), 0..5),
        // Octets that no other field shows by chance.
        from in prop::array::uniform4(101..=255u8),
    ) {
        let mut ask = Ask::new(16, 1);
        for (flags, kind, parts) in asked {
            let mut value = vec![0; 4];
            for (part, len) in parts {
                value.extend_from_slice(&[FLAG_UNRECOGNIZED, part, 0, len as u8]);
                value.resize(value.len() + len, 0);
            }
            ask.tlvs.extend_from_slice(&[flags, kind, 0, value.len() as u8]);
            ask.tlvs.extend_from_slice(&value);
        }
        let zeros = ReflectorConfig { padding: PaddingFill::Zeros, ..ReflectorConfig::default() };
        let answer = Asked::new(zeros).ask(&ask, (from, 7).into()).unwrap();
        let shows = |ip: [u8; 4]| answer.tail().windows(4).any(|four| four == ip);
        prop_assert!(!shows(from) && !shows(LISTEN.0));
    }
}
