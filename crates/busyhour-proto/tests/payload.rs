//! The payload of a block: what goes in comes out, and nothing that comes in hurts.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

use std::net::{IpAddr, SocketAddr};

use busyhour_model::{
    AddressFamily, Body, BootId, BootMicros, BurstLoss, Check, CheckOutcome, Context, Dscp,
    DscpSeen, Fact, Gap, GapReason, Histogram, Jitter, Link, LinkKind, Load, PacketCounts, PathKey,
    ProfileName, Record, Schedule, ScheduleRevision, Stamp, TargetName, TimestampMethod,
    TrafficClass, Transport, UtcMicros, Window, WindowParts,
};
use busyhour_proto::{
    MAX_BLOCK_RECORDS, MAX_PAYLOAD_BYTES, PayloadError, RecordError, decode_payload,
    encode_payload, encoded_len, fuzz_payload, v1,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;

fn path() -> impl Strategy<Value = PathKey> {
    (
        select(LinkKind::ALL),
        "[a-z]{1,4}[0-9]?",
        select(AddressFamily::ALL),
        "[a-z.]{1,20}:[0-9]{1,5}",
        select(TrafficClass::ALL),
        "[a-z]{1,8}-50",
        select(Transport::ALL),
    )
        .prop_map(|(kind, interface, family, target, class, profile, transport)| PathKey {
            link: Link::new(kind, interface).unwrap(),
            family,
            target: TargetName::new(target).unwrap(),
            class,
            profile: ProfileName::new(profile).unwrap(),
            transport,
        })
}

fn context() -> impl Strategy<Value = Context> {
    let prefix = (any::<IpAddr>(), 0_u8..=32)
        .prop_map(|(address, length)| format!("{address}/{length}").parse().unwrap());
    (option::of(prefix), option::of((any::<IpAddr>(), any::<u16>())), option::of(any::<IpAddr>()))
        .prop_map(|(local_prefix, resolved, reflexive)| Context {
            local_prefix,
            resolved: resolved.map(SocketAddr::from),
            reflexive,
        })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (any::<i64>(), any::<u64>(), any::<u128>(), 0..=86_400_000_000_u64).prop_map(
        |(started, boot_us, boot, duration)| {
            let boot = BootId::from_u128(boot);
            Stamp::new(UtcMicros(started), BootMicros(boot_us), boot, duration).unwrap()
        },
    )
}

fn histogram(values: &[u32]) -> Histogram {
    let mut histogram = Histogram::new();
    values.iter().for_each(|&value| histogram.record(value));
    histogram
}

fn jitter() -> impl Strategy<Value = Option<Jitter>> {
    option::of(any::<(u32, u32)>().prop_map(|(mean_us, max_us)| Jitter { mean_us, max_us }))
}

fn dscp() -> impl Strategy<Value = Dscp> {
    (0_u8..64).prop_map(|value| Dscp::new(value).unwrap())
}

fn window() -> impl Strategy<Value = Window> {
    let counts = (0_u32..800, [0_u32..200, 0_u32..200, 0_u32..200], any::<u8>()).prop_map(
        |(received, lost, more)| {
            let sent = received + lost.iter().sum::<u32>();
            let more = u32::from(more);
            PacketCounts::new(sent + more, sent, lost, received.min(more), more).unwrap()
        },
    );
    let method = || select(TimestampMethod::ALL);
    let dscp = (dscp(), option::of(dscp()), option::of(dscp()), any::<(u32, u32)>()).prop_map(
        |(sent, up, down, (up_changed, down_changed))| DscpSeen {
            sent,
            up,
            down,
            up_changed,
            down_changed,
        },
    );
    (
        (path(), counts, vec(any::<u32>(), 0..40), vec(any::<u32>(), 0..40), 1_u32..20),
        (jitter(), jitter(), dscp, method(), method()),
        any::<(u16, u32, u32, u32)>(),
    )
        .prop_map(|(measured, seen, (source_port, steps, drops, lateness))| {
            let (path, counts, mut rtt, mut variation, of) = measured;
            let (up_jitter, down_jitter, mut dscp, sent_by, received_by) = seen;
            dscp.up_changed %= counts.sent() + 1;
            dscp.down_changed %= counts.received() + 1;
            rtt.truncate(counts.received() as usize);
            variation.truncate(counts.received() as usize);
            Window::new(WindowParts {
                path,
                counts,
                burst: (of > 2).then(|| BurstLoss::new(counts.lost().min(of), of).unwrap()),
                rtt_median_us: rtt.first().copied(),
                rtt: histogram(&rtt),
                up_variation: histogram(&variation),
                down_variation: histogram(&variation[..variation.len() / 2]),
                up_jitter,
                down_jitter,
                dscp,
                sent_by,
                received_by,
                source_port,
                clock_step_samples: steps,
                receive_queue_drops: drops,
                send_lateness_max_us: lateness,
            })
            .unwrap()
        })
}

fn check() -> impl Strategy<Value = Check> {
    let name = || "[a-z-]{1,12}";
    (
        name(),
        "[ -~]{0,30}",
        select(CheckOutcome::ALL),
        vec((name(), any::<u64>()), 0..4),
        vec((name(), "[ -~äß→]{0,30}"), 0..4),
    )
        .prop_map(|(kind, subject, outcome, timings_us, evidence)| Check {
            kind,
            subject,
            outcome,
            timings_us,
            evidence,
        })
}

fn body() -> impl Strategy<Value = Body> {
    let fact = ("[a-z-]{1,12}", "[ -~]{0,30}", any::<i64>(), option::of(any::<u32>())).prop_map(
        |(kind, value, from, length)| Fact {
            kind,
            value,
            valid_from: UtcMicros(from),
            valid_until: length.map(|length| UtcMicros(from.saturating_add(length.into()))),
        },
    );
    let load = ("[a-z]{1,8}", any::<[u64; 4]>(), option::of(any::<u64>())).prop_map(
        |(interface, [received_bytes, sent_bytes, received_packets, sent_packets], speed)| Load {
            interface,
            received_bytes,
            sent_bytes,
            received_packets,
            sent_packets,
            link_bits_per_second: speed,
        },
    );
    let gap = (select(GapReason::ALL), option::of(path()), option::of(any::<u64>()))
        .prop_map(|(reason, path, records)| Gap { reason, path, records });
    prop_oneof![
        4 => window().prop_map(|window| Body::Window(Box::new(window))),
        1 => check().prop_map(Body::Check),
        1 => fact.prop_map(Body::Fact),
        1 => load.prop_map(Body::Load),
        1 => gap.prop_map(Body::Gap),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (stamp(), 0_u64..4, context(), body()).prop_map(|(stamp, schedule, context, body)| {
        let Stamp { started, started_boot, boot, .. } = stamp;
        // A window lasts some seconds.
        let duration_us = match body {
            Body::Window(_) => 1_000_000 + stamp.duration_us() % 60_000_000,
            _ => stamp.duration_us(),
        };
        let stamp = Stamp::new(started, started_boot, boot, duration_us).unwrap();
        Record { stamp, schedule: ScheduleRevision(schedule), context, body }
    })
}

fn schedules() -> Vec<Schedule> {
    [(0, 60_000_000), (1, 15_000_000), (2, 15_000_000)]
        .map(|(revision, period_us)| Schedule { revision: ScheduleRevision(revision), period_us })
        .to_vec()
}

fn sample() -> Record {
    let path = PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    let rtt = histogram(&[20_000, 21_000, 22_000]);
    let window = Window::new(WindowParts {
        path,
        counts: PacketCounts::new(750, 750, [2, 1, 0], 0, 0).unwrap(),
        burst: Some(BurstLoss::new(2, 10).unwrap()),
        rtt_median_us: Some(21_000),
        rtt,
        up_variation: histogram(&[0, 5, 900]),
        down_variation: histogram(&[0, 7, 1_100]),
        up_jitter: Some(Jitter { mean_us: 300, max_us: 900 }),
        down_jitter: None,
        dscp: DscpSeen {
            sent: Dscp::new(46).unwrap(),
            up: Some(Dscp::new(0).unwrap()),
            down: None,
            up_changed: 747,
            down_changed: 0,
        },
        sent_by: TimestampMethod::Kernel,
        received_by: TimestampMethod::Kernel,
        source_port: 50_001,
        clock_step_samples: 0,
        receive_queue_drops: 0,
        send_lateness_max_us: 120,
    })
    .unwrap();
    let started = UtcMicros::from_secs(1_760_000_000);
    Record {
        stamp: Stamp::new(started, BootMicros(7), BootId::from_u128(9), 15_000_000).unwrap(),
        schedule: ScheduleRevision(1),
        context: Context::default(),
        body: Body::Window(Box::new(window)),
    }
}

/// A payload with the sample twice, its wire form changed before it is encoded.
fn changed(change: impl FnOnce(&mut v1::BlockPayload)) -> Vec<u8> {
    let bytes = encode_payload(&[sample(), sample()], &schedules());
    let mut wire = v1::BlockPayload::decode(bytes.as_slice()).unwrap();
    change(&mut wire);
    wire.encode_to_vec()
}

fn window_of(wire: &mut v1::BlockPayload) -> &mut v1::Window {
    match wire.records[0].body.as_mut() {
        Some(v1::record::Body::Window(window)) => window,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn records_and_schedules_survive_the_wire(records in vec(record(), 0..12)) {
        let bytes = encode_payload(&records, &schedules());
        let decoded = decode_payload(&bytes).unwrap();
        prop_assert_eq!(decoded.schedules, schedules());
        let decoded: Vec<Record> = decoded.records.into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(&decoded, &records);
        fuzz_payload(&bytes);
    }

    #[test]
    fn the_announced_length_is_never_too_small(records in vec(record(), 0..12)) {
        let announced: usize = records.iter().map(encoded_len).sum();
        prop_assert!(encode_payload(&records, &[]).len() <= announced);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        fuzz_payload(&bytes);
    }

    #[test]
    fn a_changed_byte_does_no_harm(records in vec(record(), 1..4), at: usize, to: u8) {
        let mut bytes = encode_payload(&records, &schedules());
        let at = at % bytes.len();
        bytes[at] = to;
        fuzz_payload(&bytes);
    }
}

#[test]
fn a_payload_cut_at_any_length_does_no_harm() {
    let bytes = encode_payload(&[sample(), sample()], &schedules());
    for length in 0..bytes.len() {
        fuzz_payload(&bytes[..length]);
    }
}

#[test]
fn the_format_of_a_block_does_not_change() {
    let bytes = encode_payload(&[sample()], &schedules()[..2]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, include_str!("payload.hex").trim());
}

#[test]
fn paths_and_contexts_are_written_once() {
    let once = encode_payload(&[sample()], &schedules()).len();
    let many = encode_payload(&vec![sample(); 10], &schedules()).len();
    let wire = v1::BlockPayload::decode(&*encode_payload(&vec![sample(); 10], &[])).unwrap();
    assert_eq!((wire.paths.len(), wire.contexts.len(), wire.records.len()), (1, 1, 10));
    assert!(many < once * 10);
}

#[test]
fn a_bad_record_spoils_no_other() {
    type Change = fn(&mut v1::BlockPayload);
    let cases: [(&str, Change); 20] = [
        ("more lost than sent", |wire| window_of(wire).lost_up = 751),
        ("more packets than any probe sends", |wire| window_of(wire).duplicated = u32::MAX),
        ("a burst of nothing", |wire| window_of(wire).burst_of = 0),
        ("a median outside", |wire| window_of(wire).rtt_median_us = Some(1)),
        ("a code point of seven bits", |wire| window_of(wire).dscp_sent = 64),
        ("a port beyond 65 535", |wire| window_of(wire).source_port = 65_536),
        ("no such path", |wire| window_of(wire).path = 1),
        ("no timestamp method", |wire| window_of(wire).sent_by = 0),
        ("an unknown timestamp method", |wire| window_of(wire).sent_by = 99),
        ("a bucket twice", |wire| {
            window_of(wire).rtt.as_mut().unwrap().bucket_steps[1] = 0;
        }),
        ("a bucket beyond the last", |wire| {
            window_of(wire).rtt.as_mut().unwrap().bucket_steps[1] = u32::MAX;
        }),
        ("no body", |wire| wire.records[0].body = None),
        ("no such schedule", |wire| wire.records[0].schedule = 9),
        ("more sent than scheduled", |wire| window_of(wire).scheduled = 749),
        ("more packets scheduled than fit", |wire| window_of(wire).scheduled = 16_001),
        ("more code points changed up than sent", |wire| window_of(wire).dscp_up_changed = 751),
        ("more code points changed down than received", |wire| {
            window_of(wire).dscp_down_changed = 748;
        }),
        ("a window of no time", |wire| wire.records[0].duration_us = 0),
        ("a window of two minutes", |wire| wire.records[0].duration_us = 120_000_000),
        ("two days long", |wire| wire.records[0].duration_us = 2 * 86_400_000_000),
    ];
    for (name, change) in cases {
        let decoded = decode_payload(&changed(change)).unwrap();
        let [first, second] = &decoded.records[..] else { panic!("{name}") };
        let bad = first.as_ref().expect_err(name);
        assert_eq!(bad.started, Some(sample().stamp.started), "{name}");
        assert_eq!(second.as_ref(), Ok(&sample()), "{name}");
    }
}

#[test]
fn a_record_that_is_no_message_spoils_no_other() {
    let mut bytes = encode_payload(&[sample()], &schedules());
    // Field 4 (records), three bytes: field 1 as a length-delimited field longer than the rest.
    bytes.extend([0x22, 0x03, 0x0a, 0x7f, 0x00]);
    let decoded = decode_payload(&bytes).unwrap();
    assert_eq!(decoded.records[0], Ok(sample()));
    let bad = decoded.records[1].as_ref().unwrap_err();
    assert_eq!(bad.started, None);
    assert!(matches!(bad.error, RecordError::Malformed { what: "record", .. }));
}

#[test]
fn a_bad_path_spoils_only_its_records() {
    let bytes = changed(|wire| {
        wire.paths.push(v1::Path::default());
        window_of(wire).path = 1;
    });
    let decoded = decode_payload(&bytes).unwrap();
    assert!(decoded.records[0].is_err());
    assert_eq!(decoded.records[1], Ok(sample()));
}

#[test]
fn a_schedule_that_nobody_described_is_named_but_not_known() {
    let decoded = decode_payload(&encode_payload(&[sample()], &[])).unwrap();
    assert_eq!(decoded.schedules, []);
    assert_eq!(decoded.records, [Ok(sample())]);
}

#[test]
fn a_schedule_with_an_absurd_period_is_not_known() {
    for period_us in [1, 99_999, 86_400_000_001, u64::MAX] {
        let bytes = changed(|wire| wire.schedules[1].period_us = period_us);
        let decoded = decode_payload(&bytes).unwrap();
        assert_eq!(decoded.schedules.len(), 2);
        assert!(decoded.records.iter().all(Result::is_err));
    }
}

#[test]
fn texts_are_bounded_and_printable() {
    let check = |kind: &str, value: &str, items: usize| {
        let check = Check {
            kind: kind.to_owned(),
            subject: "relay".to_owned(),
            outcome: CheckOutcome::Pass,
            timings_us: vec![],
            evidence: vec![("line".to_owned(), value.to_owned()); items],
        };
        let record = Record { body: Body::Check(check), ..sample() };
        decode_payload(&encode_payload(&[record], &schedules())).unwrap().records[0].is_ok()
    };
    assert!(check("firewall-udp", &"x".repeat(1_024), 64));
    assert!(!check("firewall-udp", &"x".repeat(1_025), 1));
    assert!(!check("firewall-udp", "two\nlines", 1));
    assert!(!check("firewall-udp", "x", 65));
    assert!(!check("", "x", 1));
    assert!(!check(&"k".repeat(65), "x", 1));
}

#[test]
fn too_much_of_anything_is_refused_whole() {
    let full = vec![sample(); MAX_BLOCK_RECORDS];
    assert_eq!(
        decode_payload(&encode_payload(&full, &schedules())).unwrap().records.len(),
        MAX_BLOCK_RECORDS
    );
    let over = vec![sample(); MAX_BLOCK_RECORDS + 1];
    assert_eq!(
        decode_payload(&encode_payload(&over, &schedules())),
        Err(PayloadError::TooMany { what: "records", count: MAX_BLOCK_RECORDS + 1 })
    );
    // Empty messages are two bytes each: the cheapest way to ask for memory.
    let cheap = [0x0a_u8, 0x00].repeat(MAX_PAYLOAD_BYTES / 2);
    assert_eq!(
        decode_payload(&cheap),
        Err(PayloadError::TooMany { what: "paths", count: MAX_PAYLOAD_BYTES / 2 })
    );
    assert_eq!(
        decode_payload(&vec![0; MAX_PAYLOAD_BYTES + 1]),
        Err(PayloadError::TooLarge(MAX_PAYLOAD_BYTES + 1))
    );
    assert!(matches!(decode_payload(&[0xff; 20]), Err(PayloadError::Malformed(_))));
}
