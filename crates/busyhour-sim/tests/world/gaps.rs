//! What is missing, late, or told at the wrong time.

use std::collections::BTreeMap;

use busyhour_model::{LinkKind, LocalDay, local_day_span};
use busyhour_sim::world::{BuildingRecord, Hardness, Plan, RegionRecord, Sampling, SeriesRecord};
use jiff::civil::Date;

use crate::{regions, small};

fn sparse() -> Sampling {
    Sampling::new(15, 900).unwrap()
}

/// The share of scheduled windows that a series delivered.
fn coverage(series: &SeriesRecord, days: u32, a_slot: u16) -> f64 {
    let valid: f64 = series.slots.iter().map(|slot| f64::from(slot.valid)).sum();
    valid / (f64::from(days) * 96.0 * f64::from(a_slot))
}

fn coverages(plan: &Plan) -> Vec<f64> {
    let of = |series: &SeriesRecord| coverage(series, plan.days, plan.sampling.windows_a_slot());
    let mut all: Vec<f64> =
        regions(plan).iter().flat_map(|region| &region.series).map(of).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Quarter-hours that a series delivered on each local date of its building.
fn by_date(region: &RegionRecord, series: &SeriesRecord) -> BTreeMap<Date, usize> {
    let zone = &region.buildings[series.building as usize].zone;
    let mut dates = BTreeMap::new();
    for slot in &series.slots {
        *dates.entry(LocalDay::of(slot.start, zone).date).or_default() += 1;
    }
    dates
}

fn quarter_hours(building: &BuildingRecord, date: Date) -> usize {
    let (from, until) = local_day_span(date, &building.zone).unwrap();
    (until.since(from) / (15 * 60 * 1_000_000)) as usize
}

#[test]
fn most_is_delivered_less_in_hard_fleets_and_a_third_by_those_who_sleep() {
    let normal = Plan { sampling: sparse(), ..Plan::new(11) };
    let hard = Plan { hardness: Hardness::Hard, ..normal.clone() };
    for (plan, wanted) in [(normal, 0.92), (hard, 0.85)] {
        let coverages = coverages(&plan);
        let middle = coverages[coverages.len() / 2];
        let (low, high) = (wanted - 0.05, wanted + 0.05);
        assert!((low..high).contains(&middle), "{middle} for {wanted}");
        let asleep = coverages[coverages.len() / 12];
        assert!((0.1..0.55).contains(&asleep), "{asleep}");
    }
}

#[test]
fn a_day_on_which_clocks_change_has_92_or_100_quarter_hours() {
    let mut seen = BTreeMap::new();
    for seed in 12..16 {
        let plan = Plan { sampling: sparse(), buildings: 12, ..Plan::new(seed) };
        for region in regions(&plan) {
            for series in &region.series {
                let building = &region.buildings[series.building as usize];
                for (date, slots) in by_date(&region, series) {
                    let length = quarter_hours(building, date);
                    assert!(slots <= length, "{} on {date}", series.name);
                    let most = seen.entry(length).or_insert(0);
                    *most = slots.max(*most);
                }
            }
        }
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [92, 96, 100]);
    assert!(seen.iter().all(|(length, most)| most + 2 >= *length), "{seen:?}");
}

#[test]
fn agents_that_are_absent_deliver_nothing_on_whole_days() {
    let always = Plan { sampling: sparse(), absent_days: 1.0, ..small(16) };
    assert!(coverages(&always).iter().all(|&coverage| coverage < 1e-9));
    let days = |absent_days| -> usize {
        let plan = Plan { sampling: sparse(), absent_days, ..small(16) };
        let regions = regions(&plan);
        let dates = |region: &RegionRecord| {
            let wired = region.series.iter().filter(|series| series.link == LinkKind::Wired);
            wired.map(|series| by_date(region, series).len()).sum::<usize>()
        };
        regions.iter().map(dates).sum()
    };
    let share = days(0.3) as f64 / days(0.0) as f64;
    assert!((0.6..0.8).contains(&share), "{share}");
}

#[test]
fn sampling_less_often_delivers_as_much_less() {
    let windows = |seconds, of_seconds| -> f64 {
        let sampling = Sampling::new(seconds, of_seconds).unwrap();
        let plan = Plan { buildings: 3, days: 28, sampling, ..Plan::new(17) };
        let slots = regions(&plan);
        let slots = slots.iter().flat_map(|region| &region.series).flat_map(|series| &series.slots);
        slots.map(|slot| f64::from(slot.valid)).sum()
    };
    let quarter = windows(15, 60);
    for (seconds, of_seconds, wanted) in [(15, 300, 0.2), (15, 150, 0.4), (30, 60, 2.0)] {
        let share = windows(seconds, of_seconds) / quarter;
        assert!((share / wanted - 1.0).abs() < 0.02, "{seconds}/{of_seconds}: {share}");
    }
}

#[test]
fn some_days_are_delivered_days_later() {
    let regions = regions(&Plan { sampling: sparse(), ..small(18) });
    let (mut late, mut all) = (0, 0);
    for region in &regions {
        for series in &region.series {
            let zone = &region.buildings[series.building as usize].zone;
            for slot in &series.slots {
                all += 1;
                let Some(delivered) = slot.delivered else { continue };
                late += 1;
                // A wrong clock may be half an hour into the next day.
                let days = (delivered - LocalDay::of(slot.start, zone).date).get_days();
                assert!((0..=5).contains(&days), "{days} days");
            }
        }
    }
    let share = f64::from(late) / f64::from(all);
    assert!((0.01..0.06).contains(&share), "{share}");
}

#[test]
fn load_is_recorded_with_gaps_and_rests_when_nobody_works() {
    let regions = regions(&Plan { sampling: sparse(), days: 56, ..small(19) });
    for building in regions.iter().flat_map(|region| &region.buildings) {
        assert!(building.loads.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut days: BTreeMap<Date, f64> = BTreeMap::new();
        for (slot, load) in &building.loads {
            *days.entry(LocalDay::of(*slot, &building.zone).date).or_default() += f64::from(*load);
        }
        let works = |date: &Date| {
            let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap();
            building.works[weekday] && !building.closed.contains(date)
        };
        let mean = |working: bool| {
            let loads: Vec<f64> = days
                .iter()
                .filter(|(date, _)| works(date) == working)
                .map(|(_, load)| *load)
                .collect();
            loads.iter().sum::<f64>() / loads.len().max(1) as f64
        };
        assert!(days.is_empty() || mean(false) < 0.55 * mean(true), "{}", building.name);
    }
}
