use busyhour_model::{
    AddressFamily, AgentId, BurstLoss, ClockQuality, Context, Dscp, DscpSeen, Ecn, EcnSeen,
    Histogram, Jitter, Judgement, LimitsVersion, Link, LinkKind, LossPattern, OneWayDelay,
    PacketCounts, PathId, PathKey, Playout, ProfileName, Reorder, RequirementProfile,
    ScheduleRevision, SessionReport, SessionReportParts, Settlement, Stamp, TargetName,
    TimestampMethod, TrafficClass, Transport, TtlSeen, UtcMicros, Window, WindowParts,
    WindowVerdict,
};
use proptest::prelude::*;

use super::*;
use crate::{JudgedWindow, StoredWindow};

fn histogram_of(values: &[u32], repeat: u64) -> Histogram {
    let mut histogram = Histogram::new();
    for &value in values {
        histogram.record_n(value, repeat);
    }
    histogram
}

prop_compose! {
    fn histogram()(
        values in prop::collection::vec(prop_oneof![0u32..100, 0u32..100_000, any::<u32>()], 0..40),
        repeat in prop_oneof![1u64..40, 1u64..1_000_000],
    ) -> Histogram {
        histogram_of(&values, repeat)
    }
}

prop_compose! {
    fn context()(
        local in prop::option::of(any::<(std::net::IpAddr, u8)>()),
        resolved in prop::option::of(any::<std::net::SocketAddr>()),
        reflexive in prop::option::of(any::<std::net::IpAddr>()),
    ) -> Context {
        let prefix = |(address, length): (std::net::IpAddr, u8)| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            ipnet::IpNet::new(address, length % (longest + 1)).unwrap()
        };
        Context { local_prefix: local.map(prefix), resolved, reflexive }
    }
}

pub(super) fn path() -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wifi, "wlan0").unwrap(),
        family: AddressFamily::Ipv6,
        target: TargetName::new("edge:862").unwrap(),
        class: TrafficClass::Video,
        profile: ProfileName::new("video").unwrap(),
        transport: Transport::Tcp,
    }
}

prop_compose! {
    fn window()(
        (received, lost) in (0u32..500, any::<[u8; 3]>()),
        delays in prop::collection::vec(any::<u32>(), 500),
        (up, down) in (0usize..500, 0usize..500),
        (burst_lost, burst_of) in (0u32..300, prop::option::of(300u32..400)),
        jitter in any::<[Option<(u32, u32)>; 2]>(),
        dscp in any::<[u8; 3]>(),
        numbers in any::<[u32; 6]>(),
        port in any::<u16>(),
        more in prop::array::uniform24(prop_oneof![Just(0u32), any::<u32>()]),
        choice in any::<u32>(),
    ) -> Window {
        let lost = lost.map(u32::from);
        let all_lost: u32 = lost.iter().sum();
        let sent = received + all_lost;
        let counts = PacketCounts::new(sent + numbers[5] % 60_000, sent, lost, received / 3, 7);
        let some = |count: usize| histogram_of(&delays[..count.min(received as usize)], 1);
        let rtt = some(500);
        let code = |n: usize| Dscp::new(dscp[n] % 64).unwrap();
        let jitter = |n: usize| jitter[n].map(|(mean_us, max_us)| Jitter { mean_us, max_us });
        let parts = WindowParts {
            burst: burst_of.map(|of| BurstLoss::new(burst_lost.min(all_lost), of).unwrap()),
            rtt_median_us: (!rtt.is_empty()).then_some(rtt.max()),
            rtt,
            up_variation: some(up),
            down_variation: some(down),
            up_jitter: jitter(0),
            down_jitter: jitter(1),
            dscp: DscpSeen {
                sent: code(0),
                up: Some(code(1)),
                down: (dscp[2] > 63).then(|| code(2)),
                up_changed: numbers[0] % (sent + 1),
                down_changed: numbers[1] % (received + 1),
            },
            sent_by: TimestampMethod::ALL[usize::from(dscp[0]) % 3],
            received_by: TimestampMethod::ALL[usize::from(dscp[1]) % 3],
            source_port: port,
            clock_step_samples: numbers[2],
            receive_queue_drops: numbers[3],
            send_lateness_max_us: numbers[4],
            ..WindowParts::new(path(), 1 + numbers[4] % 1_000, counts.unwrap())
        };
        Window::new(with_evidence(parts, more, choice)).unwrap()
    }
}

/// Adds evidence that the counts allow: numbers that are too large for them are reduced.
fn with_evidence(parts: WindowParts, more: [u32; 24], choice: u32) -> WindowParts {
    let (sent, received, lost) =
        (parts.counts.sent(), parts.counts.received(), parts.counts.lost());
    let chosen = |bit: u32| choice & (1 << bit) != 0;
    let some = |bit: u32, value: u32| chosen(bit).then_some(value);
    let (of_sent, of_received) =
        (|n: usize| more[n] % (sent + 1), |n: usize| more[n] % (received + 1));
    let burst_lost = more[2] % (lost + 1);
    let (late_up, late_down) = (of_received(3), of_received(4));
    let worst = if chosen(12) { (lost, sent) } else { (0, 700) };
    let clock = |synchronized, error_us| ClockQuality { synchronized, error_us };
    let ecn = |n: usize| Ecn::from_tos(more[n] as u8);
    WindowParts {
        worst_15s: if chosen(0) { BurstLoss::new(worst.0, worst.1).ok() } else { None },
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
            late_up: late_up / 2,
            late_down,
            discarded_up: late_up,
            discarded_down: late_down,
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
            up: some(5, more[16]).map(|ttl| ttl as u8),
            down: some(6, more[17]).map(|ttl| ttl as u8),
            up_changes: of_sent(18),
            down_changes: of_received(19),
        },
        clock: clock(chosen(1) || chosen(7), more[20]),
        far_clock: chosen(1).then(|| clock(true, more[21])).or(some(8, 0).map(|n| clock(false, n))),
        ssid: more[22] as u16,
        first_sequence: more[23],
        sequences: if chosen(9) { sent + more[5] % 500 } else { 0 },
        seen_source_port: some(10, more[22]).map(|port| port as u16),
        peer_tlvs: some(11, more[5]).map(|n| n % 2 == 0),
        implausible_samples: more[6],
        reflector_drops: more[7],
        ..parts
    }
}

prop_compose! {
    pub(super) fn stored()(
        window in window(),
        context in context(),
        times in any::<[i64; 3]>(),
        (boot, boot_micros, duration) in (any::<u128>(), any::<u64>(), 0u64..86_400_000_000),
        (schedule, limits) in any::<(u64, u32)>(),
        bits in any::<[u8; 6]>(),
    ) -> StoredWindow {
        let judgement = |n: usize| {
            [Judgement::Pass, Judgement::Fail, Judgement::Unknown][usize::from(bits[n]) % 3]
        };
        let judged = JudgedWindow {
            placed: UtcMicros(times[0]),
            stamp: Stamp::new(
                UtcMicros(times[1]),
                busyhour_model::BootMicros(boot_micros),
                busyhour_model::BootId::from_u128(boot),
                duration,
            ).unwrap(),
            schedule: ScheduleRevision(schedule),
            context,
            window,
            requirement: RequirementProfile::ALL[usize::from(bits[0]) % RequirementProfile::ALL.len()],
            limits: LimitsVersion(limits),
            verdict: WindowVerdict {
                valid: bits[1] % 2 == 0,
                failed: bits[1] % 4 < 2,
                loss: judgement(2),
                burst: judgement(3),
                delay: judgement(4),
                jitter: judgement(5),
            },
        };
        StoredWindow { judged, received: UtcMicros(times[2]) }
    }
}

prop_compose! {
    fn report()(
        (listen, peer) in any::<(std::net::SocketAddr, std::net::SocketAddr)>(),
        (ssid, first_sequence, dropped) in any::<(u16, u32, u32)>(),
        runs in prop::collection::vec((1u32..500, 1u32..500), 0..64),
        (more, missing_cut) in (1u32..1_000, any::<bool>()),
        times in any::<[i64; 2]>(),
    ) -> SessionReport {
        let came: u32 = runs.iter().map(|run| run.0).sum::<u32>() + more;
        let lost: u32 = runs.iter().map(|run| run.1).sum();
        let runs: Vec<u32> = runs.iter().flat_map(|&(came, lost)| [came, lost]).collect();
        // Those of IPv6 lose scope and flow, which nobody compares.
        let bare = |endpoint: std::net::SocketAddr| (endpoint.ip(), endpoint.port()).into();
        SessionReport::new(SessionReportParts {
            listen: bare(listen),
            peer: bare(peer),
            ssid,
            first_sequence,
            last_sequence: first_sequence.wrapping_add(came + lost - 1),
            received: if missing_cut { 1 + came / 2 } else { came },
            missing: SessionReportParts::missing_from_runs(first_sequence, &runs).unwrap(),
            missing_cut,
            first_sent_ns: times[0].min(times[1]),
            last_sent_ns: times[0].max(times[1]),
            dropped,
        })
        .unwrap()
    }
}

/// Checks that no beginning of `bytes` decodes, and that `bytes` with something after them do not.
pub(super) fn check_cuts<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Decoded<T>) {
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    assert!(decode(&[bytes, &[0]].concat()).is_err(), "a byte too many");
}

fn decode_histogram(bytes: &[u8]) -> Decoded<Histogram> {
    let mut from = Decoder::of_version(bytes, 1, "histogram")?;
    let histogram = from.histogram()?;
    from.finish(histogram)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn numbers_survive(uint in any::<u64>(), int in any::<i64>(), base in any::<i64>()) {
        let mut out = Encoder::with_version(1);
        out.uint(uint);
        out.int(int);
        out.delta(int, base);
        let bytes = out.into_bytes();
        let mut from = Decoder::of_version(&bytes, 1, "numbers").unwrap();
        prop_assert_eq!((from.uint(), from.int(), from.delta(base)), (Ok(uint), Ok(int), Ok(int)));
        prop_assert!(from.finish(()).is_ok());
    }

    #[test]
    fn a_histogram_survives_exactly_and_not_cut(histogram in histogram()) {
        let mut out = Encoder::with_version(1);
        out.histogram(&histogram);
        let bytes = out.into_bytes();
        prop_assert_eq!(decode_histogram(&bytes), Ok(histogram));
        check_cuts(&bytes, decode_histogram);
    }

    #[test]
    fn a_window_survives_exactly_and_not_cut(stored in stored()) {
        let judged = &stored.judged;
        let shared = encode_circumstance(judged);
        let circumstance = decode_circumstance(&shared).unwrap();
        let bytes = encode_window(judged, stored.received);
        let decode = |bytes: &[u8]| decode_window(bytes, judged.placed, &path(), &circumstance);
        prop_assert_eq!(decode(&bytes), Ok(stored.clone()));
        check_cuts(&bytes, decode);
        check_cuts(&shared, decode_circumstance);
    }

    #[test]
    fn a_settled_window_survives_exactly_and_is_the_same_window(stored in stored(), up: u32) {
        let judged = &stored.judged;
        let shared = decode_circumstance(&encode_circumstance(judged)).unwrap();
        let observed = encode_window(judged, stored.received);
        let unknown = judged.window.counts.lost_unknown();
        let up = up % (unknown + 1);
        let settlement = Settlement { up, down: unknown - up };
        let bytes = encode_settled(&observed, settlement).unwrap();
        let decode = |bytes: &[u8]| decode_window(bytes, judged.placed, &path(), &shared);
        let mut expected = stored.clone();
        expected.judged.window = judged.window.clone().settle(settlement).unwrap();
        prop_assert_eq!(decode(&bytes), Ok(expected));
        check_cuts(&bytes, decode);
        prop_assert!(same_window(&bytes, &observed) && same_window(&observed, &bytes));
        prop_assert!(encode_settled(&bytes, settlement).is_err());
        let too_many = Settlement { up: unknown + 1, down: 0 };
        prop_assert!(decode(&encode_settled(&observed, too_many).unwrap()).is_err());
    }

    #[test]
    fn a_session_report_survives_exactly_and_not_cut(report in report()) {
        let bytes = encode_report(&report);
        prop_assert_eq!(decode_report(&bytes), Ok(report));
        check_cuts(&bytes, decode_report);
    }

    #[test]
    fn a_changed_byte_of_a_window_does_no_harm(stored in stored(), at: usize, to: u8) {
        let shared = decode_circumstance(&encode_circumstance(&stored.judged)).unwrap();
        let mut bytes = encode_window(&stored.judged, stored.received);
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = decode_window(&bytes, stored.judged.placed, &path(), &shared);
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        stored in stored(),
    ) {
        let of_layout = |version: u8| [&[version], bytes.as_slice()].concat();
        let shared = decode_circumstance(&encode_circumstance(&stored.judged)).unwrap();
        let _ = decode_window(&of_layout(2), UtcMicros(0), &path(), &shared);
        let _ = decode_circumstance(&of_layout(2));
        let bytes = of_layout(1);
        let _ = decode_counts(&bytes, PathId(1), 0, &mut Room::default());
        let _ = decode_records(&bytes, AgentId::from_u128(1));
        let _ = decode_context(&bytes);
        let _ = decode_report(&bytes);
        for kind in [crate::RecordKind::Check, crate::RecordKind::Fact, crate::RecordKind::Gap] {
            let _ = decode_other(&bytes, kind, UtcMicros(0));
        }
    }
}

#[test]
fn another_version_is_not_read() {
    let error = decode_context(&[2]).unwrap_err();
    assert_eq!(error.to_string(), "stored context has layout 2; this program reads layout 1");
}

#[test]
fn an_empty_histogram_is_one_byte_and_a_small_one_few() {
    let size = |histogram: &Histogram| {
        let mut out = Encoder::default();
        out.histogram(histogram);
        out.into_bytes().len()
    };
    assert_eq!(size(&Histogram::new()), 1);
    let neighbours: Vec<u32> = (1_000..1_030).map(|n| n * 20).collect();
    assert!(size(&histogram_of(&neighbours, 10)) <= 30 + 12);
}

/// What a quiet window takes without its distributions: 750 packets, all back, evidence of every kind
/// and nothing wrong.
#[test]
fn evidence_costs_a_quiet_window_few_bytes() {
    let size = |window: WindowParts| {
        let judged = JudgedWindow {
            placed: UtcMicros(0),
            stamp: Stamp::new(
                UtcMicros(0),
                busyhour_model::BootMicros(1 << 40),
                busyhour_model::BootId::from_u128(1),
                15_000_000,
            )
            .unwrap(),
            schedule: ScheduleRevision(1),
            context: Context::default(),
            verdict: busyhour_model::LIMITS[0].judge(&Window::new(window.clone()).unwrap()),
            window: Window::new(window).unwrap(),
            requirement: RequirementProfile::ClientToMicrosoftEdge,
            limits: LimitsVersion(1),
        };
        encode_window(&judged, UtcMicros(1_000_000)).len()
    };
    let counts = PacketCounts::clean(750, 750);
    let jitter = Some(Jitter { mean_us: 300, max_us: 900 });
    let plain = WindowParts {
        burst: BurstLoss::new(0, 10).ok(),
        up_jitter: jitter,
        down_jitter: jitter,
        sequences: 750,
        ..WindowParts::new(path(), 50, counts)
    };
    let code = Some(Dscp::from_tos(34 << 2));
    let clock = ClockQuality { synchronized: true, error_us: 4_000 };
    let whole = WindowParts {
        worst_15s: BurstLoss::new(0, 750).ok(),
        one_way: Some(OneWayDelay { up_median_us: 9_000, down_median_us: 9_500, error_us: 8_000 }),
        playout: Some(Playout { delay_us: 40_000, ..Playout::default() }),
        dscp: DscpSeen { up: code, down: code, ..plain.dscp },
        ecn: EcnSeen { up: Some(Ecn::NotEct), down: Some(Ecn::NotEct), ..EcnSeen::default() },
        ttl: TtlSeen { up: Some(58), down: Some(57), ..TtlSeen::default() },
        clock,
        far_clock: Some(clock),
        ssid: 77,
        first_sequence: 750 * 4 * 60 * 24,
        seen_source_port: Some(50_003),
        peer_tlvs: Some(true),
        ..plain.clone()
    };
    let (plain, whole) = (size(plain), size(whole));
    assert!(whole <= 49 && whole - plain <= 16, "{plain} bytes, with all evidence {whole}");
}
