//! Base packets in unauthenticated mode, Class of Service, and walking TLVs.

use busyhour_model::Dscp;
use busyhour_wire::fuzz::{fuzz_reflector_packet, fuzz_sender_packet, fuzz_tlvs};
use busyhour_wire::{
    BASE_LEN, CLASS_OF_SERVICE, ClassOfService, EXTRA_PADDING, ErrorEstimate, FLAG_UNRECOGNIZED,
    MalformedTlv, Mode, ReflectorPacket, SenderPacket, TimestampFormat, Tlv, Tlvs, Truncated,
    WireTimestamp, patch_transmit_time, write_tlv,
};
use proptest::prelude::*;

use crate::vectors::{COS_REPLY, COS_REQUEST, OPEN_REPLY, OPEN_REQUEST, bytes};

fn dscp(value: u8) -> Dscp {
    Dscp::new(value).unwrap()
}

#[test]
fn a_captured_request_reads_and_rebuilds() {
    let captured = bytes(OPEN_REQUEST);
    let (packet, tail) = SenderPacket::parse(Mode::Unauthenticated, &captured).unwrap();
    assert_eq!((packet.sequence, packet.ssid), (0, 42));
    assert_eq!(packet.sent, WireTimestamp(0xee6d_329d_0549_d81d));
    assert!(!packet.error_estimate.synchronized());
    assert_eq!(packet.error_estimate.format(), TimestampFormat::Ntp);
    assert!(tail.is_empty());
    assert_eq!(packet.to_bytes()[..], captured);
}

#[test]
fn a_captured_reply_reads_and_rebuilds() {
    let captured = bytes(OPEN_REPLY);
    let (packet, tail) = ReflectorPacket::parse(Mode::Unauthenticated, &captured).unwrap();
    assert_eq!((packet.sequence, packet.sender_sequence, packet.ssid), (1, 0, 42));
    assert_eq!(packet.sender_sent, WireTimestamp(0xee6d_329d_0549_d81d));
    assert_eq!(packet.sender_ttl, 64);
    assert!(tail.is_empty());
    assert_eq!(packet.to_bytes()[..], captured);
    let at = |stamp: WireTimestamp| stamp.to_unix_ns(TimestampFormat::Ntp).unwrap();
    let moments = [at(packet.sender_sent), at(packet.received), at(packet.sent)];
    assert!(moments.is_sorted(), "{moments:?}");
    assert_eq!(moments[0] / 1_000_000_000, 0xee6d_329d - 2_208_988_800);
}

#[test]
fn a_captured_class_of_service_reads_in_both_directions() {
    let captured = bytes(COS_REQUEST);
    let (_, tail) = SenderPacket::parse(Mode::Unauthenticated, &captured).unwrap();
    let tlvs: Vec<Tlv<'_>> = Tlvs::new(tail).collect::<Result<_, _>>().unwrap();
    assert_eq!(tlvs.len(), 2);
    assert_eq!((tlvs[0].kind, tlvs[0].flags), (CLASS_OF_SERVICE, FLAG_UNRECOGNIZED));
    let asked = ClassOfService::parse(tlvs[0].value).unwrap();
    assert_eq!((asked.wanted, asked.received), (dscp(46), dscp(0)));

    let captured = bytes(COS_REPLY);
    let (_, tail) = ReflectorPacket::parse(Mode::Unauthenticated, &captured).unwrap();
    let first = Tlvs::new(tail).next().unwrap().unwrap();
    assert_eq!((first.kind, first.flags), (CLASS_OF_SERVICE, 0));
    let told = ClassOfService::parse(first.value).unwrap();
    assert_eq!(
        (told.wanted, told.received, told.received_ecn, told.refused),
        (dscp(46), dscp(46), 2, 0)
    );
    assert_eq!((told.wanted_ecn, told.ecn_refused, told.reserved), (2, 1, 0));
    assert_eq!(told.to_bytes(), [0xba, 0xe8, 0x90, 0x00]);
}

#[test]
fn a_remarked_code_point_is_read_from_the_wire() {
    let told = ClassOfService::parse(&[0xb8, 0x80, 0x30, 0x00]).unwrap();
    assert_eq!(
        (told.wanted, told.received, told.received_ecn, told.refused),
        (dscp(46), dscp(8), 0, 0)
    );
    assert_eq!((told.wanted_ecn, told.ecn_refused, told.reserved), (0, 3, 0));
    assert_eq!(ClassOfService::request(dscp(46)).to_bytes(), [0xb8, 0, 0, 0]);
}

#[test]
fn a_packet_cut_at_any_length_is_refused_or_loses_only_its_tail() {
    for (captured, name) in [(bytes(COS_REQUEST), "request"), (bytes(COS_REPLY), "reply")] {
        for len in 0..=captured.len() {
            let cut = &captured[..len];
            let sender =
                SenderPacket::parse(Mode::Unauthenticated, cut).map(|(_, tail)| tail.len());
            let reflector =
                ReflectorPacket::parse(Mode::Unauthenticated, cut).map(|(_, tail)| tail.len());
            let expected = len.checked_sub(BASE_LEN).ok_or(Truncated { len, needed: BASE_LEN });
            assert_eq!((sender, reflector), (expected, expected), "{name} of {len} octets");
            let Some(tail) = cut.get(BASE_LEN..) else { continue };
            let walked: Result<Vec<_>, _> = Tlvs::new(tail).collect();
            let whole = tail.len() % 8 == 0;
            let expected = if whole { None } else { Some(tail.len() / 8 * 8) };
            assert_eq!(walked.err().map(|malformed| malformed.offset), expected);
        }
    }
}

#[test]
fn timestamps_are_read_by_the_format_that_covers_them() {
    let moment = 1_790_000_000_123_456_789;
    for format in [TimestampFormat::Ntp, TimestampFormat::Ptp] {
        assert_eq!(WireTimestamp::from_unix_ns(moment, format).to_unix_ns(format), Some(moment));
    }
    let ptp = WireTimestamp::from_unix_ns(moment, TimestampFormat::Ptp);
    assert_eq!(ptp.0 >> 32, 1_790_000_037, "TAI is 37 s ahead");
    // Nanoseconds beyond a second are no PTP.
    assert_eq!(WireTimestamp(1 << 32 | 1_000_000_000).to_unix_ns(TimestampFormat::Ptp), None);
    assert_eq!(WireTimestamp(0).to_unix_ns(TimestampFormat::Ntp), None);
    // The era that begins on 2036-02-07.
    let later = 2_085_978_496 * 1_000_000_000;
    let wrapped = WireTimestamp::from_unix_ns(later + 1_000_000_000, TimestampFormat::Ntp);
    assert_eq!(wrapped.0 >> 32, 1);
    assert_eq!(wrapped.to_unix_ns(TimestampFormat::Ntp), Some(later + 1_000_000_000));
}

#[test]
fn error_estimates_say_what_they_mean() {
    let estimate = ErrorEstimate::new(true, TimestampFormat::Ptp, 20, 3);
    assert_eq!(estimate.0, 0b1101_0100_0000_0011);
    assert!(estimate.synchronized());
    assert_eq!(estimate.format(), TimestampFormat::Ptp);
    assert_eq!(estimate.seconds(), Some(3.0 / 4096.0));
    assert_eq!(ErrorEstimate::UNSYNCHRONIZED.seconds(), Some(1.0));
    assert_eq!(ErrorEstimate(0).seconds(), None);
    assert_eq!(ErrorEstimate::new(false, TimestampFormat::Ntp, 0, 0).0, 1);
}

#[test]
fn the_transmit_time_is_written_into_a_finished_packet() {
    let mut captured = bytes(OPEN_REPLY);
    patch_transmit_time(Mode::Unauthenticated, &mut captured, WireTimestamp(7));
    let packet = ReflectorPacket::parse(Mode::Unauthenticated, &captured).unwrap().0;
    assert_eq!(packet.sent, WireTimestamp(7));
    assert_eq!(packet.to_bytes()[..], captured);
    patch_transmit_time(Mode::Unauthenticated, &mut captured[..11], WireTimestamp(9));
    assert_eq!(captured[4..12], 7_u64.to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sender_packet_round_trips(
        sequence: u32, sent: u64, error: u16, ssid: u16,
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let error_estimate = ErrorEstimate(error);
        let packet = SenderPacket { sequence, sent: WireTimestamp(sent), error_estimate, ssid };
        let mut wire = packet.to_bytes().to_vec();
        wire.extend_from_slice(&tail);
        prop_assert_eq!(SenderPacket::parse(Mode::Unauthenticated, &wire), Ok((packet, &tail[..])));
    }

    #[test]
    fn any_moment_survives_both_formats(unix_ns in 0..4_200_000_000_000_000_000_i64) {
        for format in [TimestampFormat::Ntp, TimestampFormat::Ptp] {
            let wire = WireTimestamp::from_unix_ns(unix_ns, format);
            prop_assert_eq!(wire.to_unix_ns(format), Some(unix_ns));
        }
    }

    #[test]
    fn any_tlvs_round_trip(
        parts in prop::collection::vec(
            (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..6,
        ),
    ) {
        let mut wire = Vec::new();
        for (flags, kind, value) in &parts {
            write_tlv(&mut wire, &Tlv { flags: *flags, kind: *kind, value });
        }
        let walked: Vec<_> = Tlvs::new(&wire)
            .map(|tlv| tlv.map(|tlv| (tlv.flags, tlv.kind, tlv.value.to_vec())))
            .collect::<Result<_, MalformedTlv>>()
            .unwrap();
        prop_assert_eq!(walked, parts);
    }

    #[test]
    fn any_class_of_service_round_trips(value: [u8; 4]) {
        prop_assert_eq!(ClassOfService::parse(&value).unwrap().to_bytes(), value);
    }

    #[test]
    fn any_bytes_keep_the_laws(wire in prop::collection::vec(any::<u8>(), 0..160)) {
        fuzz_sender_packet(&wire);
        fuzz_reflector_packet(&wire);
        fuzz_tlvs(&wire);
    }

    #[test]
    fn likely_tlvs_keep_the_laws(
        parts in prop::collection::vec(
            (any::<u8>(), prop_oneof![Just(EXTRA_PADDING), Just(CLASS_OF_SERVICE), 0..12_u8],
             0..10_u16, prop::collection::vec(any::<u8>(), 0..10)),
            0..6,
        ),
    ) {
        let mut wire = Vec::new();
        for (flags, kind, length, value) in parts {
            wire.extend_from_slice(&[flags, kind]);
            wire.extend_from_slice(&length.to_be_bytes());
            wire.extend_from_slice(&value);
        }
        fuzz_tlvs(&wire);
    }
}
