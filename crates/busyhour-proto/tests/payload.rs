//! The payload of a block: what goes in comes out, and nothing that comes in hurts.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

use std::net::{IpAddr, SocketAddr};

use busyhour_model::{
    AddressFamily, Body, BootId, BootMicros, BurstLoss, Check, CheckOutcome, ClockQuality, Context,
    Dscp, DscpSeen, Ecn, EcnSeen, Fact, Gap, GapReason, Histogram, Jitter, Link, LinkKind, Load,
    LossPattern, OneWayDelay, PacketCounts, PathKey, Playout, ProfileName, Record, Reorder,
    Schedule, ScheduleRevision, SessionReport, SessionReportParts, Stamp, TargetName,
    TimestampMethod, TrafficClass, Transport, TtlSeen, UtcMicros, Window, WindowParts,
};
use busyhour_proto::{
    MAX_BLOCK_RECORDS, MAX_PAYLOAD_BYTES, PayloadError, RecordError, decode_payload,
    encode_payload, encoded_len, fuzz_payload, v1,
};
use proptest::array::uniform24;
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
        (uniform24(prop_oneof![Just(0_u32), any::<u32>()]), any::<u32>()),
    )
        .prop_map(|(measured, seen, (source_port, steps, drops, lateness), (more, choice))| {
            let (path, counts, mut rtt, mut variation, of) = measured;
            let (up_jitter, down_jitter, mut dscp, sent_by, received_by) = seen;
            dscp.up_changed %= counts.sent() + 1;
            dscp.down_changed %= counts.received() + 1;
            rtt.truncate(counts.received() as usize);
            variation.truncate(counts.received() as usize);
            let parts = WindowParts {
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
                ..WindowParts::new(path, 1 + lateness % 1_000, counts)
            };
            Window::new(with_evidence(parts, more, choice)).unwrap()
        })
}

/// Adds evidence that the counts allow: numbers that are too large for them are reduced.
fn with_evidence(parts: WindowParts, more: [u32; 24], choice: u32) -> WindowParts {
    let (sent, received, lost) =
        (parts.counts.sent(), parts.counts.received(), parts.counts.lost());
    let chosen = |bit: u32| choice & (1 << bit) != 0;
    let of_sent = |n: usize| more[n] % (sent + 1);
    let of_received = |n: usize| more[n] % (received + 1);
    let burst_lost = more[2] % (lost + 1);
    let clock = |synchronized, error_us| ClockQuality { synchronized, error_us };
    let ecn = |n: usize| Ecn::ALL[more[n] as usize % 4];
    let small = |bit: u32, n: usize| chosen(bit).then(|| (more[n] % 256) as u8);
    WindowParts {
        worst_15s: if chosen(0) { BurstLoss::new(lost, lost + 700).ok() } else { None },
        one_way: (chosen(1) && received > 0).then_some(OneWayDelay {
            up_median_us: more[0].cast_signed(),
            down_median_us: more[1].cast_signed(),
            error_us: more[2],
        }),
        reorder: Reorder {
            up: of_sent(5),
            down: of_received(6),
            extent_max: if of_sent(5) + of_received(6) > 0 { more[7] % 60_000 } else { 0 },
        },
        loss_pattern: LossPattern {
            runs: lost,
            bursts: u32::from(burst_lost > 0),
            burst_packets: burst_lost,
            burst_lost,
        },
        playout: chosen(2).then_some(Playout {
            delay_us: more[8],
            late_up: of_received(3) / 2,
            late_down: of_received(4),
            discarded_up: of_received(3),
            discarded_down: of_received(4),
        }),
        ecn: EcnSeen {
            sent: ecn(9),
            up: chosen(3).then(|| ecn(10)),
            down: chosen(4).then(|| ecn(11)),
            up_changed: of_sent(12),
            down_changed: of_received(13),
            up_ce: of_sent(14),
            down_ce: of_received(15),
        },
        ttl: TtlSeen {
            up: small(5, 16),
            down: small(6, 17),
            up_changes: of_sent(18),
            down_changes: of_received(19),
        },
        clock: clock(chosen(1) || chosen(7), more[20]),
        far_clock: (chosen(1) || chosen(8)).then(|| clock(chosen(1), more[21])),
        ssid: (more[22] % 65_536) as u16,
        first_sequence: more[23],
        sequences: if chosen(9) { sent + more[5] % 500 } else { 0 },
        seen_source_port: chosen(10).then_some((more[21] % 65_536) as u16),
        peer_tlvs: chosen(11).then(|| chosen(12)),
        implausible_samples: more[6],
        reflector_drops: more[7],
        ..parts
    }
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

fn session_report() -> impl Strategy<Value = SessionReport> {
    (
        any::<(SocketAddr, SocketAddr)>(),
        any::<(u16, u32, u32, bool)>(),
        vec((1_u32..500, 1_u32..500), 0..64),
        1_u32..1_000,
        any::<(i64, u32)>(),
    )
        .prop_map(|(ends, numbers, runs, more, (sent_ns, length_ns))| {
            let (ssid, first_sequence, dropped, missing_cut) = numbers;
            let came = runs.iter().map(|run| run.0).sum::<u32>() + more;
            let lost: u32 = runs.iter().map(|run| run.1).sum();
            let runs: Vec<u32> = runs.iter().flat_map(|&(came, lost)| [came, lost]).collect();
            let first_sent_ns = sent_ns / 2;
            // Text says no flow of an IPv6 address.
            let bare = |end: SocketAddr| SocketAddr::new(end.ip(), end.port());
            SessionReport::new(SessionReportParts {
                listen: bare(ends.0),
                peer: bare(ends.1),
                ssid,
                first_sequence,
                last_sequence: first_sequence.wrapping_add(came + lost - 1),
                received: if missing_cut { 1 + came / 2 } else { came },
                missing: SessionReportParts::missing_from_runs(first_sequence, &runs).unwrap(),
                missing_cut,
                first_sent_ns,
                last_sent_ns: first_sent_ns + i64::from(length_ns),
                dropped,
            })
            .unwrap()
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
        1 => session_report().prop_map(|report| Body::SessionReport(Box::new(report))),
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
        burst: Some(BurstLoss::new(2, 10).unwrap()),
        rtt_median_us: Some(21_000),
        rtt,
        up_variation: histogram(&[0, 5, 900]),
        down_variation: histogram(&[0, 7, 1_100]),
        up_jitter: Some(Jitter { mean_us: 300, max_us: 900 }),
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
        send_lateness_max_us: 120,
        ..evidence(path)
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

/// 750 packets of which three were lost, with some evidence of every kind.
fn evidence(path: PathKey) -> WindowParts {
    let clock = ClockQuality { synchronized: true, error_us: 900 };
    WindowParts {
        worst_15s: Some(BurstLoss::new(4, 750).unwrap()),
        one_way: Some(OneWayDelay { up_median_us: -200, down_median_us: 20_100, error_us: 1_800 }),
        reorder: Reorder { up: 2, down: 1, extent_max: 3 },
        loss_pattern: LossPattern { runs: 2, bursts: 1, burst_packets: 9, burst_lost: 2 },
        playout: Some(Playout {
            delay_us: 40_000,
            late_up: 1,
            late_down: 2,
            discarded_up: 3,
            discarded_down: 4,
        }),
        ecn: EcnSeen {
            sent: Ecn::Ect0,
            up: Some(Ecn::Ce),
            down: Some(Ecn::NotEct),
            up_changed: 5,
            down_changed: 6,
            up_ce: 4,
            down_ce: 3,
        },
        ttl: TtlSeen { up: Some(58), down: Some(250), up_changes: 1, down_changes: 2 },
        clock,
        far_clock: Some(clock),
        ssid: 0xbeef,
        first_sequence: u32::MAX,
        sequences: 752,
        seen_source_port: Some(1_025),
        peer_tlvs: Some(true),
        implausible_samples: 8,
        reflector_drops: 9,
        ..WindowParts::new(path, 50, PacketCounts::new(750, 750, [2, 1, 0], 0, 0).unwrap())
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
    let cases: [(&str, Change); 40] = [
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
        ("no rate", |wire| window_of(wire).rate_pps = 0),
        ("a rate beyond any profile", |wire| window_of(wire).rate_pps = 1_001),
        ("worst 15 s of nothing", |wire| window_of(wire).worst_15s_of = 0),
        ("worst 15 s of too much", |wire| window_of(wire).worst_15s_of = u32::MAX),
        ("one-way delay without a far clock", |wire| window_of(wire).far_clock = None),
        ("one-way delay without a clock", |wire| window_of(wire).clock = None),
        ("more reordered up than sent", |wire| {
            window_of(wire).reorder.as_mut().unwrap().up = 751;
        }),
        ("more reordered down than received", |wire| {
            window_of(wire).reorder.as_mut().unwrap().down = 748;
        }),
        ("an extent without reordering", |wire| {
            let reorder = window_of(wire).reorder.as_mut().unwrap();
            (reorder.up, reorder.down) = (0, 0);
        }),
        ("more runs than losses", |wire| {
            window_of(wire).loss_pattern.as_mut().unwrap().runs = 4;
        }),
        ("a burst without packets", |wire| {
            window_of(wire).loss_pattern.as_mut().unwrap().burst_packets = 0;
        }),
        ("more late than discarded", |wire| {
            window_of(wire).playout.as_mut().unwrap().late_up = 4;
        }),
        ("more discarded than received", |wire| {
            window_of(wire).playout.as_mut().unwrap().discarded_down = 748;
        }),
        ("an unknown ECN code point", |wire| window_of(wire).ecn.as_mut().unwrap().up = 5),
        ("more congestion than packets", |wire| {
            window_of(wire).ecn.as_mut().unwrap().down_ce = 748;
        }),
        ("a hop limit of nine bits", |wire| window_of(wire).ttl.as_mut().unwrap().up = Some(256)),
        ("more changes of the way than packets", |wire| {
            window_of(wire).ttl.as_mut().unwrap().up_changes = 751;
        }),
        ("an identifier of 17 bits", |wire| window_of(wire).ssid = 65_536),
        ("fewer numbers used than packets sent", |wire| window_of(wire).sequences = 749),
        ("a seen port beyond 65 535", |wire| window_of(wire).seen_source_port = Some(65_536)),
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
fn a_session_report_that_contradicts_itself_is_refused() {
    type Change = fn(&mut v1::SessionReport);
    let cases: [(&str, Change); 15] = [
        ("no address asked", |report| report.listen.clear()),
        ("a name for an address", |report| report.peer = "reflector:862".to_owned()),
        ("an identifier of 17 bits", |report| report.ssid = 65_536),
        ("nothing received", |report| report.received = 0),
        ("more received than numbers", |report| report.received = 746),
        ("fewer received than not missing", |report| report.received = 744),
        ("more numbers than any span", |report| report.more_sequences = 1 << 20),
        ("numbers all around", |report| report.more_sequences = u32::MAX),
        ("missing the last", |report| report.runs = vec![745, 5]),
        ("missing beyond the last", |report| report.runs = vec![746, 5]),
        ("a range of nothing", |report| report.runs = vec![5, 0, 3, 5]),
        ("half a range", |report| report.runs = vec![5, 5, 1]),
        ("ranges beyond all numbers", |report| report.runs = vec![u32::MAX, u32::MAX]),
        ("too many ranges", |report| report.runs = vec![1; 130]),
        ("a time beyond all", |report| report.sent_for_ns = u64::MAX),
    ];
    let missing = vec![(u32::MAX - 3, u32::MAX - 1), (1, 2)];
    let report = SessionReport::new(SessionReportParts {
        listen: "192.0.2.7:862".parse().unwrap(),
        peer: "[2001:db8::9]:50003".parse().unwrap(),
        ssid: 7,
        first_sequence: u32::MAX - 10,
        last_sequence: 738,
        received: 745,
        missing,
        missing_cut: false,
        first_sent_ns: 1_760_000_000_000_000_000,
        last_sent_ns: 1_760_000_014_980_000_000,
        dropped: 0,
    });
    let record = Record { body: Body::SessionReport(Box::new(report.unwrap())), ..sample() };
    let bytes = encode_payload(&[record.clone(), sample()], &schedules());
    assert_eq!(decode_payload(&bytes).unwrap().records[0], Ok(record));
    for (name, change) in cases {
        let mut wire = v1::BlockPayload::decode(bytes.as_slice()).unwrap();
        match wire.records[0].body.as_mut() {
            Some(v1::record::Body::SessionReport(report)) => change(report),
            other => panic!("{other:?}"),
        }
        let decoded = decode_payload(&wire.encode_to_vec()).unwrap();
        decoded.records[0].as_ref().expect_err(name);
        assert_eq!(decoded.records[1], Ok(sample()), "{name}");
    }
}

#[test]
fn nobody_says_that_a_window_is_settled() {
    let mut record = sample();
    let Body::Window(window) = &record.body else { panic!("{record:?}") };
    let parts = WindowParts { settled: true, ..window.clone().into_parts() };
    record.body = Body::Window(Box::new(Window::new(parts).unwrap()));
    let decoded = decode_payload(&encode_payload(&[record], &schedules())).unwrap();
    assert_eq!(decoded.records[0], Ok(sample()));
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
    let gap = Gap { reason: GapReason::Asleep, path: None, records: None };
    let small = Record { body: Body::Gap(gap), ..sample() };
    let full = vec![small.clone(); MAX_BLOCK_RECORDS];
    assert_eq!(
        decode_payload(&encode_payload(&full, &schedules())).unwrap().records.len(),
        MAX_BLOCK_RECORDS
    );
    let over = vec![small; MAX_BLOCK_RECORDS + 1];
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
