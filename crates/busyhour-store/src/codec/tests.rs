use busyhour_model::{
    AddressFamily, BurstLoss, Context, Dscp, DscpSeen, Histogram, Jitter, Judgement, LimitsVersion,
    Link, LinkKind, PacketCounts, PathKey, ProfileName, RequirementProfile, ScheduleRevision, Slot,
    SlotStart, Stamp, TargetName, TimestampMethod, TrafficClass, Transport, UtcMicros, Window,
    WindowParts, WindowVerdict, WorstBurst,
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

fn path() -> PathKey {
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
    ) -> Window {
        let lost = lost.map(u32::from);
        let all_lost: u32 = lost.iter().sum();
        let sent = received + all_lost;
        let counts = PacketCounts::new(sent + numbers[5] % 60_000, sent, lost, received / 3, 7);
        let some = |count: usize| histogram_of(&delays[..count.min(received as usize)], 1);
        let rtt = some(500);
        let code = |n: usize| Dscp::new(dscp[n] % 64).unwrap();
        let jitter = |n: usize| jitter[n].map(|(mean_us, max_us)| Jitter { mean_us, max_us });
        Window::new(WindowParts {
            path: path(),
            counts: counts.unwrap(),
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
        })
        .unwrap()
    }
}

prop_compose! {
    fn stored()(
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
            requirement: RequirementProfile::ALL[usize::from(bits[0]) % 3],
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

/// Checks that no beginning of `bytes` decodes, and that `bytes` with something after them do not.
fn check_cuts<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Decoded<T>) {
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
    fn a_slot_survives_exactly_and_not_cut(
        counts in any::<[u32; 9]>(), sums in any::<[u64; 8]>(),
        histograms in (histogram(), histogram(), histogram(), histogram(), histogram()),
        worst in prop::option::of((0u32..10, any::<i64>())),
    ) {
        let start = SlotStart::from_number(1_988_864);
        let slot = Slot {
            limits: LimitsVersion(counts[0]),
            expected: counts[1],
            valid: counts[2],
            invalid: counts[3],
            bad: counts[4],
            bad_by: [counts[5], counts[6], counts[7], counts[8], 0],
            sent: sums[0],
            lost_up: sums[1],
            lost_down: sums[2],
            lost_unknown: sums[3],
            reordered: sums[4],
            duplicated: sums[5],
            dscp_up_changed: sums[6],
            dscp_down_changed: sums[7],
            rtt_us: histograms.0,
            up_variation_us: histograms.1,
            down_variation_us: histograms.2,
            loss_ppm: histograms.3,
            jitter_us: histograms.4,
            worst_burst: worst.map(|(lost, at)| WorstBurst {
                burst: BurstLoss::new(lost, 10).unwrap(), window: UtcMicros(at),
            }),
            start,
        };
        let bytes = encode_slot(&slot);
        let decode = |bytes: &[u8]| decode_slot(bytes, start);
        prop_assert_eq!(decode(&bytes), Ok(slot));
        check_cuts(&bytes, decode);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[1], bytes.as_slice()].concat();
        let _ = decode_slot(&bytes, SlotStart::from_number(0));
        let _ = decode_context(&bytes);
        if let Ok(circumstance) = decode_circumstance(&bytes) {
            let _ = decode_window(&bytes, UtcMicros(0), &path(), &circumstance);
        }
        for kind in [crate::RecordKind::Check, crate::RecordKind::Fact, crate::RecordKind::Gap] {
            let _ = decode_other(&bytes, kind, UtcMicros(0));
        }
    }
}

#[test]
fn another_version_is_not_read() {
    let mut bytes = encode_slot(&Slot::new(SlotStart::from_number(0), LimitsVersion(1)));
    bytes[0] = 2;
    assert!(decode_slot(&bytes, SlotStart::from_number(0)).is_err());
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
