use proptest::prelude::*;

use super::*;
use crate::emodel::{REFERENCE_CODEC, estimate, rating};
use crate::{
    AddressFamily, BurstLoss, ClockQuality, Jitter, LIMITS, Link, LinkKind, OneWayDelay,
    PacketCounts, PathKey, ProfileName, Settlement, TargetName, TrafficClass, Transport,
    WindowParts,
};

fn path() -> PathKey {
    PathKey {
        link: Link::new(LinkKind::Wired, "eth0").unwrap(),
        family: AddressFamily::Ipv4,
        target: TargetName::new("reflector:862").unwrap(),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").unwrap(),
        transport: Transport::Udp,
    }
}

/// Figures as they are near the limits, in microseconds.
fn delay() -> impl Strategy<Value = u32> {
    let limits = LIMITS.iter().flat_map(|table| [table.rtt_us, table.one_way_us, table.jitter_us]);
    let at = prop::sample::select(limits.collect::<Vec<u32>>());
    prop_oneof![0u32..400_000, any::<u32>(), (at, 0u32..3).prop_map(|(at, off)| at + off - 1)]
}

prop_compose! {
    fn window()(
        (sent, unsent) in (1u32..2_000, prop_oneof![Just(0u32), 0u32..500]),
        lost in prop_oneof![
            Just([0u32; 3]), Just([1, 0, 0]), prop::array::uniform3(0u32..8),
            prop::array::uniform3(0u32..700), Just([2_000, 0, 0]),
        ],
        burst in prop::option::of((0u32..20, 1u32..20)),
        median in delay(),
        one_way in prop::option::of((delay(), delay(), 0u32..100_000)),
        jitter in prop::array::uniform2(prop::option::of(delay())),
        rate_pps in prop_oneof![Just(50u32), 5u32..15],
    ) -> Window {
        let mut left = sent;
        let lost = lost.map(|lost| {
            let lost = lost.min(left);
            left -= lost;
            lost
        });
        let counts = PacketCounts::new(sent + unsent, sent, lost, 0, 0).unwrap();
        let answered = counts.received() > 0;
        let mut rtt = Histogram::new();
        rtt.record_n(median, u64::from(counts.received()));
        let synchronized = ClockQuality { synchronized: true, error_us: 0 };
        Window::new(WindowParts {
            burst: burst
                .map(|(lost, of)| BurstLoss::new(lost.min(of).min(counts.lost()), of).unwrap()),
            rtt_median_us: answered.then_some(median),
            rtt,
            one_way: one_way.filter(|_| answered).map(|(up, down, error_us)| OneWayDelay {
                up_median_us: up.cast_signed(),
                down_median_us: down.cast_signed(),
                error_us,
            }),
            up_jitter: jitter[0].map(|mean_us| Jitter { mean_us, max_us: mean_us }),
            down_jitter: jitter[1].map(|mean_us| Jitter { mean_us, max_us: mean_us }),
            clock: synchronized,
            far_clock: Some(synchronized),
            ..WindowParts::new(path(), rate_pps, counts)
        })
        .unwrap()
    }
}

fn slot_of(windows: &[Window], table: &LimitTable) -> Slot {
    let mut slot = Slot::new(SlotStart::from_number(4_001), table.version);
    for (minute, window) in (0..).zip(windows) {
        slot.add(UtcMicros::from_secs(60 * minute), window, &table.judge(window));
    }
    slot
}

fn table() -> impl Strategy<Value = LimitTable> {
    let version = |(table, version)| LimitTable { version: LimitsVersion(version), ..table };
    (prop::sample::select(LIMITS), 1u32..9).prop_map(version)
}

proptest! {
    #[test]
    fn judging_a_slot_again_is_counting_its_windows_by_the_other_table(
        windows in prop::collection::vec(window(), 0..30),
        (before, after) in (table(), table()),
    ) {
        let found = slot_of(&windows, &before).rejudged(&after);
        prop_assert_eq!(found, Some(slot_of(&windows, &after)));
    }

    #[test]
    fn merging_slots_is_adding_their_windows_together(
        windows in prop::collection::vec(window(), 0..20), at in any::<prop::sample::Index>(),
    ) {
        let table = &LIMITS[0];
        let whole = slot_of(&windows, table);
        let (left, right) = windows.split_at(at.index(windows.len() + 1));
        let (left, right) = (slot_of(left, table), slot_of(right, table));
        let merged = |a: &Slot, b: &Slot| { let mut ab = a.clone(); ab.merge(b); ab };
        let figures = |slot: Slot| slot.figures;
        prop_assert_eq!(figures(merged(&left, &right)), figures(whole.clone()));
        prop_assert_eq!(figures(merged(&right, &left)), figures(whole.clone()));
        let mut totals = FigureTotals::new();
        totals.add(&left.figures);
        totals.merge(&{ let mut other = FigureTotals::new(); other.add(&right.figures); other });
        for &figure in Figure::ALL {
            prop_assert_eq!(totals.marginal(figure), &whole.figures.marginal(figure));
        }
    }

    #[test]
    fn a_settled_slot_is_that_of_the_settled_windows(
        windows in prop::collection::vec(window(), 1..8), share in 0.0f64..=1.0,
    ) {
        let table = &LIMITS[0];
        let mut slot = slot_of(&windows, table);
        let mut settled = windows.clone();
        for (window, settled) in windows.iter().zip(&mut settled) {
            let unknown = window.counts.lost_unknown();
            let up = (f64::from(unknown) * share) as u32;
            let settlement = Settlement { up, down: unknown - up };
            *settled = window.clone().settle(settlement).unwrap();
            if table.judge(window).valid {
                slot.counts.settle(settlement);
                slot.figures.replace(&WindowFigures::of(window), &WindowFigures::of(settled));
            }
        }
        prop_assert_eq!(slot, slot_of(&settled, table));
    }

    #[test]
    fn figures_are_those_of_the_windows(windows in prop::collection::vec(window(), 1..40), q in 0.0f64..=1.0) {
        let table = &LIMITS[0];
        let valid: Vec<WindowFigures> = windows
            .iter()
            .filter(|window| table.judge(window).valid)
            .map(WindowFigures::of)
            .collect();
        let figures = slot_of(&windows, table).figures;
        for &figure in Figure::ALL {
            let mut values: Vec<u32> =
                valid.iter().filter_map(|window| window.values[figure as usize]).collect();
            values.sort_unstable();
            prop_assert_eq!(figures.count(figure), values.len() as u64);
            prop_assert_eq!(figures.sum(figure), values.iter().map(|&v| u64::from(v)).sum::<u64>());
            let above = values.iter().filter(|&&value| value > 20_000).count();
            prop_assert_eq!(figures.above(figure, 20_000), above as u64);
            prop_assert_eq!(figures.marginal(figure).above(20_000), above as u64);
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len().max(1));
            match (figures.quantile(figure, q), values.get(rank - 1)) {
                (Some(found), Some(&truth)) => {
                    let off = f64::from(found.abs_diff(truth));
                    prop_assert!(off <= (f64::from(truth) / 14.0).max(50.0), "{found}, {truth}");
                }
                (found, truth) => prop_assert_eq!(found, truth.copied()),
            }
        }
    }

    #[test]
    fn a_windows_rating_is_the_worse_of_its_call_estimate(window in window()) {
        let found = rating(&window, REFERENCE_CODEC);
        prop_assert_eq!(found, estimate(&window, REFERENCE_CODEC).map(|call| call.worse.r));
    }

    #[test]
    fn parts_of_figures_round_trip(windows in prop::collection::vec(window(), 0..30)) {
        let figures = slot_of(&windows, &LIMITS[0]).figures;
        let bytes = |&(combination, n): &(Combination, u32)| (combination.to_bytes(), n);
        let parts: Vec<_> = figures.combinations().iter().map(bytes).collect();
        prop_assert!(parts.is_sorted());
        let back = |(bytes, n)| (Combination::from_bytes(bytes).unwrap(), n);
        let again = Figures::from_parts(parts.into_iter().map(back).collect(), *figures.sums());
        prop_assert_eq!(again, Ok(figures));
    }
}

#[test]
fn a_limit_between_two_edges_cannot_be_judged_by_again() {
    let odd = LimitTable { jitter_us: 30_001, ..LIMITS[0] };
    assert_eq!(slot_of(&[], &LIMITS[0]).rejudged(&odd), None);
}

#[test]
fn contradicting_figures_are_refused() {
    let mut figures = Figures::new();
    figures.record_n(&WindowFigures::default().with(Figure::Delay, 20_000), 3);
    figures.record_n(&WindowFigures::default().with(Figure::Delay, 40_000), 1);
    let (parts, sums) = (figures.combinations().to_vec(), *figures.sums());
    assert_eq!(Figures::from_parts(parts.clone(), sums), Ok(figures));
    let reversed = parts.iter().rev().copied().collect();
    assert_eq!(Figures::from_parts(reversed, sums), Err(InvalidFigures::Combinations(1)));
    let none = vec![(parts[0].0, 0)];
    assert_eq!(Figures::from_parts(none, sums), Err(InvalidFigures::Combinations(0)));
    let mut low = sums;
    low[Figure::Delay as usize] = 3 * 18_001 + 36_000;
    assert_eq!(Figures::from_parts(parts, low), Err(InvalidFigures::Sum(Figure::Delay)));
    assert_eq!(Combination::from_bytes([0, 0, 0, 0, 0, 0, 8]), None);
    assert_eq!(Combination::from_bytes([254, 0, 0, 0, 0, 0, 0]), None);
}

#[test]
fn the_worst_stretches_are_kept_with_their_windows() {
    let lossy = |lost, worst_15s| {
        let counts = PacketCounts::new(750, 750, [lost, 0, 0], 0, 0).unwrap();
        let mut rtt = Histogram::new();
        rtt.record_n(20_000, 100);
        let burst = BurstLoss::new(lost.min(3), 10).ok();
        let worst_15s = BurstLoss::new(worst_15s, 750).ok();
        let rtt_median_us = Some(20_000);
        let parts = WindowParts::new(path(), 50, counts);
        Window::new(WindowParts { burst, worst_15s, rtt, rtt_median_us, ..parts }).unwrap()
    };
    let quiet = slot_of(&[lossy(0, 0)], &LIMITS[0]);
    assert_eq!((quiet.worst_burst, quiet.worst_15s), (None, None));
    let slot = slot_of(&[lossy(2, 0), lossy(5, 9), lossy(4, 9), lossy(0, 0)], &LIMITS[0]);
    let at = |worst: Option<WorstLoss>| worst.map(|w| (w.loss.lost(), w.window.as_secs()));
    assert_eq!(at(slot.worst_burst), Some((3, 60)), "the earlier of equals");
    assert_eq!(at(slot.worst_15s), Some((9, 60)), "sliding, where that is worse than the window");
}

#[test]
fn quarters_merge_into_hours_that_begin_on_the_hour() {
    let quarter = |number: i64, expected| {
        let mut slot = Slot::new(SlotStart::from_number(number), LimitsVersion(1));
        slot.expected = expected;
        slot
    };
    let hours = merge_hours(&[quarter(-1, 1), quarter(5, 2), quarter(7, 3), quarter(8, 4)]);
    let found: Vec<_> = hours.iter().map(|hour| (hour.start.number(), hour.expected)).collect();
    assert_eq!(found, [(-4, 1), (4, 5), (8, 4)]);
}

#[test]
fn what_the_same_quarter_got_later_is_absorbed() {
    let mut slot = slot_of(&[], &LIMITS[0]);
    slot.expected = 15;
    let mut more = Slot { start: SlotStart::from_number(0), ..slot.clone() };
    (more.expected, more.valid, more.limits) = (60, 3, LimitsVersion(7));
    slot.absorb(&more);
    assert_eq!((slot.start.number(), slot.expected, slot.valid), (4_001, 60, 3));
    assert_eq!(slot.limits, LimitsVersion(7));
}
