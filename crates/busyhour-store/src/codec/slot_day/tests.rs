use busyhour_model::{
    AddressFamily, BurstLoss, Histogram, Jitter, LIMITS, Link, LinkKind, PacketCounts, PathKey,
    ProfileName, TargetName, TrafficClass, Transport, Window, WindowFigures, WindowParts,
};
use proptest::prelude::*;

use super::*;

const PATH: PathId = PathId(77);
/// 2026-11-23.
const DAY: i64 = 20_780;

/// Slots as they were encoded, read back from their parts. How windows are spread has to follow from them.
fn decode(parts: &[Vec<u8>; 4], path: PathId, utc_day: i64) -> Decoded<Vec<Slot>> {
    let mut slots = decode_counts(&parts[0], path, utc_day, &mut Room::default())?;
    decode_figures(&parts[1], path, utc_day, &mut slots, &mut Room::default())?;
    decode_sketches(&parts[2], path, utc_day, &mut slots)?;
    let in_short = slots.iter().map(|slot| SlotGist::of_counts(slot.start, slot.counts));
    let mut in_short: Vec<SlotGist> = in_short.collect();
    decode_spreads(&parts[3], path, utc_day, &mut in_short, &mut Room::default())?;
    Ok(slots)
}

/// The same slots in short.
fn decode_in_short(parts: &[Vec<u8>; 4]) -> Decoded<Vec<SlotGist>> {
    let (room, mut gists) = (&mut Room::default(), Vec::new());
    decode_gists(&parts[0], PATH, DAY, room, &mut gists)?;
    decode_spreads(&parts[3], PATH, DAY, &mut gists, room)?;
    Ok(gists)
}

fn encode(slots: &[Slot]) -> [Vec<u8>; 4] {
    [encode_counts, encode_figures, encode_sketches, encode_spreads]
        .map(|part| part(PATH, DAY, slots))
}

fn histogram_of(values: &[u32], times: u64) -> Histogram {
    let mut histogram = Histogram::new();
    for &value in values {
        histogram.record_n(value, times);
    }
    histogram
}

prop_compose! {
    fn histogram()(
        values in prop::collection::vec(prop_oneof![0u32..100, 0u32..100_000, any::<u32>()], 0..30),
        times in prop_oneof![1u64..40, 1u64..1_000_000],
        coarse in any::<bool>(),
    ) -> Histogram {
        let histogram = histogram_of(&values, times);
        if coarse { histogram.coarsened() } else { histogram }
    }
}

prop_compose! {
    fn figures()(
        windows in prop::collection::vec((
            prop::array::uniform6(prop::option::of(prop_oneof![0u32..3_000, any::<u32>()])),
            any::<[bool; 3]>(), 1u32..2_000,
        ), 0..12),
    ) -> Figures {
        let mut figures = Figures::new();
        for (values, [failed, lone_loss, lone_burst], n) in windows {
            figures.record_n(&WindowFigures { values, failed, lone_loss, lone_burst }, n);
        }
        figures
    }
}

prop_compose! {
    fn worst()(
        worst in prop::option::of((1u32..800, 0u32..800, any::<i64>())),
    ) -> Option<WorstLoss> {
        worst.map(|(lost, more, window)| WorstLoss {
            loss: BurstLoss::new(lost, lost + more).unwrap(),
            window: UtcMicros(window),
        })
    }
}

prop_compose! {
    fn slot()(
        narrow in prop::array::uniform12(prop_oneof![Just(15u32), 0u32..20, any::<u32>()]),
        wide in prop::array::uniform8(prop_oneof![Just(0u64), 0u64..50_000, any::<u64>()]),
        worst_burst in worst(),
        worst_15s in worst(),
        figures in figures(),
        sketches in prop::array::uniform3(histogram()),
    ) -> Slot {
        let [limits, expected, valid, invalid, dense, bad, by_0, by_1, by_2, by_3, by_4, _] = narrow;
        let [sent, lost_up, lost_down, lost_unknown, reordered, duplicated, up, down] = wide;
        let counts = SlotCounts {
            limits: LimitsVersion(limits),
            expected,
            valid,
            invalid,
            dense,
            bad,
            bad_by: [by_0, by_1, by_2, by_3, by_4],
            sent,
            lost_up,
            lost_down,
            lost_unknown,
            reordered,
            duplicated,
            dscp_up_changed: up,
            dscp_down_changed: down,
            worst_burst,
            worst_15s,
        };
        let [rtt_us, up_variation_us, down_variation_us] = sketches;
        let slot = Slot::of_counts(SlotStart::from_number(0), counts);
        Slot { figures, rtt_us, up_variation_us, down_variation_us, ..slot }
    }
}

prop_compose! {
    /// Slots of a day, not all of them; or only its hours.
    fn day(most: usize)(
        slots in prop::collection::vec(
            prop_oneof![9 => slot().prop_map(Some), 1 => Just(None)], 0..=most,
        ),
        step in prop_oneof![Just(1i64), Just(4)],
    ) -> Vec<Slot> {
        (0..).zip(slots).filter_map(|(n, slot)| {
            Some(Slot { start: SlotStart::from_number(DAY * DAY_SLOTS + n * step), ..slot? })
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn slots_survive_exactly(slots in day(16)) {
        let parts = encode(&slots);
        prop_assert_eq!(decode(&parts, PATH, DAY), Ok(slots.clone()));
        let counts = slots.iter().map(Slot::counts_only).collect();
        prop_assert_eq!(decode_counts(&parts[0], PATH, DAY, &mut Room::default()), Ok(counts));
    }

    #[test]
    fn what_is_read_in_short_is_what_whole_slots_say(slots in day(16)) {
        let expected: Vec<SlotGist> = slots.iter().map(SlotGist::of).collect();
        prop_assert_eq!(decode_in_short(&encode(&slots)), Ok(expected));
    }

    #[test]
    fn no_bit_can_change_and_nothing_can_be_missing(
        slots in day(3), (part, at, bit) in (0usize..4, any::<prop::sample::Index>(), 0u32..8),
    ) {
        let parts = encode(&slots);
        let mut changed = parts.clone();
        let at = at.index(changed[part].len());
        changed[part][at] ^= 1 << bit;
        prop_assert!(decode(&changed, PATH, DAY).is_err());
        for length in 0..parts[part].len() {
            let mut cut = parts.clone();
            cut[part].truncate(length);
            prop_assert!(decode(&cut, PATH, DAY).is_err(), "{length} bytes of part {part}");
        }
    }

    #[test]
    fn content_that_only_looks_whole_never_panics(
        part in 0usize..4, bytes in prop::collection::vec(any::<u8>(), 0..200), slots in day(6),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut parts = encode(&slots);
        // With the right checksum: as if a program had written it that errs.
        let kind = [Part::Counts, Part::Figures, Part::Sketches, Part::Spreads][part];
        let sealed = |content: Vec<u8>| {
            let checksum = checksum(&content, kind, PATH, DAY);
            [content.as_slice(), &checksum].concat()
        };
        let mut content = parts[part].clone();
        content.truncate(content.len() - CHECKSUM);
        for (at, to) in places {
            let at = at.index(content.len());
            content[at] = to;
        }
        parts[part] = sealed(content);
        let _ = decode(&parts, PATH, DAY);
        let _ = decode_in_short(&parts);
        parts[part] = sealed([&[VERSION], bytes.as_slice()].concat());
        let _ = decode(&parts, PATH, DAY);
        let _ = decode_in_short(&parts);
    }
}

#[test]
fn a_part_of_another_path_day_or_kind_is_refused() {
    let parts = encode(&quiet_day(4));
    assert!(decode(&parts, PATH, DAY).is_ok());
    let [counts, figures, sketches, spreads] = parts;
    for (path, utc_day) in [(PathId(78), DAY), (PATH, DAY + 1)] {
        assert!(decode_counts(&counts, path, utc_day, &mut Room::default()).is_err());
        let mut slots = decode_counts(&counts, PATH, DAY, &mut Room::default()).unwrap();
        assert!(decode_figures(&figures, path, utc_day, &mut slots, &mut Room::default()).is_err());
        assert!(decode_sketches(&sketches, path, utc_day, &mut slots).is_err());
        let gists: Vec<SlotGist> = slots.iter().map(SlotGist::of).collect();
        let read = |gists: &mut [SlotGist]| {
            decode_spreads(&spreads, path, utc_day, gists, &mut Room::default())
        };
        assert!(read(&mut gists.clone()).is_err());
    }
    assert!(decode_counts(&figures, PATH, DAY, &mut Room::default()).is_err());
    let later = &quiet_day(5)[1..];
    let mut others =
        decode_counts(&encode_counts(PATH, DAY, later), PATH, DAY, &mut Room::default()).unwrap();
    assert!(
        decode_figures(&figures, PATH, DAY, &mut others, &mut Room::default()).is_err(),
        "of other slots"
    );
    assert!(decode_sketches(&sketches, PATH, DAY, &mut others).is_err(), "of other slots");
    let mut others: Vec<SlotGist> = others.iter().map(SlotGist::of).collect();
    let read = decode_spreads(&spreads, PATH, DAY, &mut others, &mut Room::default());
    assert!(read.is_err(), "of other slots");
}

#[test]
fn counts_far_from_the_others_survive() {
    let first = SlotStart::from_number(DAY * DAY_SLOTS);
    let slots: Vec<Slot> = (0..DAY_SLOTS)
        .map(|n| {
            let mut slot = Slot::new(first.offset(n), LimitsVersion(1));
            slot.rtt_us.record_n(1_000, 1 << 44);
            slot.rtt_us.record_n(20_000, if n == 40 { 1 << 43 } else { 5 });
            slot
        })
        .collect();
    assert_eq!(decode(&encode(&slots), PATH, DAY), Ok(slots));
}

#[test]
fn a_code_wider_than_a_number_is_refused() {
    let coded = |low: i64| {
        let mut out = Encoder::with_version(VERSION);
        // One bucket of one slot: its mean, its code, and no step above it.
        put_column(&mut out, &[3]);
        put_column(&mut out, &[low]);
        out.fixed(&[0; 9]);
        let bytes = out.into_bytes();
        let mut from = Decoder::of_version(&bytes, VERSION, "test").unwrap();
        let mut found = [Vec::new()];
        sketch::read_common(&mut from, &[7], &mut found).map(|()| found[0].clone())
    };
    assert_eq!(coded(63), Ok(vec![(7, 3)]));
    assert!(coded(64).is_err() && coded(-1).is_err());
}

#[test]
fn another_layout_is_told_apart_from_damage() {
    let mut counts = encode_counts(PATH, DAY, &[]);
    counts[0] = VERSION + 1;
    assert!(matches!(
        decode_counts(&counts, PATH, DAY, &mut Room::default()),
        Err(crate::codec::DecodeError::Layout { found: 3, known: 2, .. })
    ));
}

/// An exponentially distributed number.
fn tail(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - random.f64()).ln()
}

/// 750 packets, of which one in 200 is late by some milliseconds.
fn quiet_window(random: &mut fastrand::Rng, base_us: f64) -> Window {
    let mut of = |base: f64, mean: f64| {
        let mut values: Vec<u32> = (0..750)
            .map(|_| {
                let late = if random.u32(..200) == 0 { tail(random, 2_500.0) } else { 0.0 };
                (base + tail(random, mean) + late) as u32
            })
            .collect();
        values.sort_unstable();
        (histogram_of(&values, 1).coarsened(), values[375])
    };
    let ((rtt, median), (up, _), (down, _)) = (of(base_us, 260.0), of(0.0, 130.0), of(0.0, 160.0));
    let mean_us = 150 + random.u32(..60);
    let jitter = Some(Jitter { mean_us, max_us: 4 * mean_us });
    let link = Link::new(LinkKind::Wired, "eth0").unwrap();
    let path = PathKey {
        link,
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    };
    let lost = u32::from(random.u32(..300) == 0);
    Window::new(WindowParts {
        burst: BurstLoss::new(lost, 10).ok(),
        rtt: if lost == 0 { rtt } else { Histogram::new() },
        rtt_median_us: (lost == 0).then_some(median),
        up_variation: if lost == 0 { up } else { Histogram::new() },
        down_variation: if lost == 0 { down } else { Histogram::new() },
        up_jitter: jitter,
        down_jitter: jitter,
        ..WindowParts::new(path, 50, PacketCounts::new(750, 750, [lost, 0, 0], 0, 0).unwrap())
    })
    .unwrap()
}

/// One window a minute over a quiet path of 21 ms.
fn quiet_day(slots: i64) -> Vec<Slot> {
    let mut random = fastrand::Rng::with_seed(5);
    let first = SlotStart::from_number(DAY * DAY_SLOTS);
    (0..slots)
        .map(|n| {
            let mut slot = Slot::new(first.offset(n), LimitsVersion(1));
            slot.expected = 15;
            let base_us = 21_000.0 + 300.0 * random.f64();
            for minute in 0..15 {
                let started = slot.start.start().0 + minute * 60_000_000 + random.i64(..3_000);
                let window = quiet_window(&mut random, base_us);
                slot.add(UtcMicros(started), &window, &LIMITS[0].judge(&window));
            }
            slot
        })
        .collect()
}

#[test]
fn a_quiet_quarter_hour_takes_sixty_bytes_at_most() {
    let slots = quiet_day(DAY_SLOTS);
    let parts = encode(&slots);
    let each = parts.each_ref().map(|part| part.len() as f64 / slots.len() as f64);
    eprintln!("EACH {each:.1?}");
    assert!(each.iter().sum::<f64>() <= 60.0, "counts, figures, sketches, spreads: {each:.1?}");
    assert_eq!(decode(&parts, PATH, DAY), Ok(slots));
}
