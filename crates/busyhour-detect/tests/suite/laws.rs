//! What holds for every input.

use busyhour_detect::{Cell, Params, Quarters, series_day};
use busyhour_model::{Breach, DaySummary, DayVerdict, Slot};
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use crate::support::{FINE, Quarter, frame, judged_path_in, local_day, slot, tuesday, usual_frame};

/// Per quarter-hour of the day: windows that count and bad ones, or nothing.
fn quarters() -> impl Strategy<Value = Vec<Option<(u32, u32)>>> {
    let quarter = prop_oneof![
        1 => Just(None),
        6 => (1u32..=15).prop_map(|valid| Some((valid, 0))),
        2 => (1u32..=15).prop_flat_map(|valid| (Just(valid), 0..=valid)).prop_map(Some),
    ];
    proptest::collection::vec(quarter, 96)
}

/// Days on which each hour is somewhat bad by itself, so that whether it is bad all day is near.
fn hours_alike() -> impl Strategy<Value = Vec<Option<(u32, u32)>>> {
    let hour = prop_oneof![2 => Just(0u32), 3 => 0u32..=3, 1 => 0u32..=15];
    proptest::collection::vec(hour, 24)
        .prop_map(|hours| hours.into_iter().flat_map(|bad| [Some((15, bad)); 4]).collect())
}

fn slots_of(quarters: &[Option<(u32, u32)>], zone: &TimeZone) -> Vec<Slot> {
    local_day(tuesday(), zone, |minute| {
        let (valid, bad) = quarters.get(usize::from(minute) / 15).copied().flatten()?;
        Some(Quarter { valid, bad, ..FINE })
    })
}

fn judge_in(zone: &TimeZone, slots: Vec<Slot>) -> DaySummary {
    judged_path_in(&frame(tuesday(), zone, "Mo-Fr 08:00-18:00"), slots)
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn the_order_of_slots_is_irrelevant(quarters in quarters(), seed in any::<u64>()) {
        let slots = slots_of(&quarters, &TimeZone::UTC);
        let mut shuffled = slots.clone();
        shuffled.sort_by_key(|slot| (slot.start.number() as u64).wrapping_mul(seed | 1));
        prop_assert_eq!(judge_in(&TimeZone::UTC, slots), judge_in(&TimeZone::UTC, shuffled));
    }

    #[test]
    fn a_zone_shifted_by_whole_hours_judges_the_same_local_day_alike(
        quarters in quarters(),
        hours in -12i8..=14,
    ) {
        let zone = TimeZone::fixed(Offset::constant(hours));
        let here = judge_in(&TimeZone::UTC, slots_of(&quarters, &TimeZone::UTC));
        prop_assert_eq!(judge_in(&zone, slots_of(&quarters, &zone)), here);
    }

    #[test]
    fn a_longer_way_within_the_limit_changes_no_verdict(
        quarters in quarters(),
        longer_us in 0u32..70_000,
    ) {
        let slots_with = |rtt_us| {
            slots_of(&quarters, &TimeZone::UTC).into_iter().map(move |before| {
                let (valid, bad) = (before.valid, before.bad);
                slot(before.start, Quarter { valid, bad, rtt_us, ..FINE }, before.expected)
            }).collect::<Vec<Slot>>()
        };
        let (slots, longer) = (slots_with(20_000), slots_with(20_000 + longer_us));
        let (before, after) = (judge_in(&TimeZone::UTC, slots), judge_in(&TimeZone::UTC, longer));
        prop_assert_eq!(before.verdict, after.verdict);
        prop_assert_eq!(before.bad_quarters, after.bad_quarters);
        prop_assert_eq!(before.masked, after.masked);
        prop_assert_eq!(before.masking_factor, after.masking_factor);
    }

    #[test]
    fn nothing_unobserved_is_good(quarters in quarters(), keep in 0usize..96) {
        let mut slots = slots_of(&quarters, &TimeZone::UTC);
        slots.truncate(keep);
        let day = judge_in(&TimeZone::UTC, slots);
        if day.coverage().is_none_or(|coverage| coverage < 0.4) {
            prop_assert_ne!(day.verdict, DayVerdict::Good);
        }
        prop_assert_eq!(day.verdict.is_bad(), !day.bad_quarters.is_empty());
        prop_assert!(!day.masked || day.verdict.is_bad());
    }

    #[test]
    fn slots_of_other_days_are_ignored(quarters in quarters(), far in 200i64..100_000) {
        let slots = slots_of(&quarters, &TimeZone::UTC);
        let alone = judge_in(&TimeZone::UTC, slots.clone());
        let mut more = slots;
        let elsewhere = usual_frame().first.offset(far);
        let bad = Quarter { bad: 15, breach: Breach::Delay, ..FINE };
        more.extend([slot(elsewhere, bad, 15), slot(usual_frame().first.offset(-far), bad, 15)]);
        prop_assert_eq!(judge_in(&TimeZone::UTC, more), alone);
    }

    #[test]
    fn a_paths_day_and_the_row_that_findings_rest_on_agree(
        quarters in prop_oneof![quarters(), hours_alike()],
    ) {
        let slots = slots_of(&quarters, &TimeZone::UTC);
        let cells: Vec<Cell> = slots.iter().map(Cell::of).collect();
        let frame = usual_frame();
        let row = series_day(&frame, &cells, &|_| false, &Params::default());
        let day = judged_path_in(&frame, slots);
        prop_assert_eq!(row.verdict, day.verdict);
        prop_assert_eq!(row.bad_quarters(), Quarters::from_minutes(&day.bad_quarters));
        prop_assert!(row.worst().is_some() || !row.verdict.is_bad());
        if let Some(worst) = row.worst() {
            let hour = day.worst_hour.map(|hour| (hour.start_minute, hour.valid, hour.bad, hour.bad_by));
            prop_assert_eq!(hour, Some((worst.minute, worst.valid, worst.bad, worst.bad_by)));
        }
    }
}
