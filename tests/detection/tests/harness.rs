//! What the benchmark itself has to be: complete, repeatable, and true to what was generated.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use busyhour_detect::{BuildingNo, Recorded as _, SeriesNo};
use busyhour_model::SlotStart;
use busyhour_sim::world::{Hardness, Mechanisms, Plan, RegionRecord, Sampling, World};
use detection::baseline::Baseline;
use detection::harness::{Method, run};
use detection::recorded::RecordedRegion;

const LONG_AGO: SlotStart = SlotStart::from_number(0);
const FAR_OFF: SlotStart = SlotStart::from_number(i64::MAX);

/// Hard fleets have late deliveries and gaps of all kinds.
fn plan(seed: u64) -> Plan {
    Plan {
        hardness: Hardness::Hard,
        mechanisms: Mechanisms::HeldOut,
        buildings: 6,
        days: 28,
        sampling: Sampling::new(15, 300).unwrap(),
        ..Plan::new(seed)
    }
}

fn region(plan: &Plan) -> RegionRecord {
    World::new(plan).unwrap().region(0)
}

#[test]
fn the_detector_reads_every_slot_that_was_delivered_and_no_other() {
    let plan = plan(5);
    let region = region(&plan);
    let recorded = RecordedRegion::new(&region, &plan);
    let (first, last) = recorded.dates();
    assert_eq!(first, plan.first);
    assert_eq!(first.until(last).unwrap().get_days(), 27);
    assert_eq!(recorded.fleet().series.len(), region.series.len());
    let mut late = 0;
    for (number, series) in (0..).zip(&region.series) {
        let of = |from, until, known_on| recorded.cells(SeriesNo(number), from, until, known_on);
        let days_later = last.saturating_add(jiff::Span::new().days(100));
        let all = of(LONG_AGO, FAR_OFF, days_later);
        assert_eq!(all.len(), series.slots.len(), "{}", series.name);
        let sum = |of: fn(&busyhour_detect::Cell) -> u32| all.iter().map(of).sum::<u32>();
        let slots = series.slots.iter();
        assert_eq!(sum(|cell| cell.bad), slots.map(|slot| u32::from(slot.bad)).sum::<u32>());
        // A day of it is what lies in that day, and nothing that came later.
        for day in first.series(jiff::Span::new().days(1)).take(28) {
            let known = of(LONG_AGO, FAR_OFF, day).len();
            let missing = series.slots.iter().filter(|slot| slot.delivered > Some(day)).count();
            assert_eq!(known + missing, all.len(), "{} on {day}", series.name);
            late += usize::from(missing > 0);
        }
        if let Some(slot) = series.slots.get(series.slots.len() / 2) {
            let one = of(slot.start, slot.start.offset(1), days_later);
            assert_eq!(one.iter().map(|cell| cell.start).collect::<Vec<_>>(), [slot.start]);
        }
    }
    assert!(late > 0, "a hard fleet has late deliveries");
    let load = recorded.loads(BuildingNo(0), LONG_AGO, FAR_OFF);
    assert_eq!(load, region.buildings[0].loads);
    assert!(recorded.cells(SeriesNo(9_999), LONG_AGO, FAR_OFF, last).is_empty());
}

#[test]
fn what_arrives_late_is_announced_on_the_day_on_which_it_arrives() {
    let plan = plan(5);
    let region = region(&plan);
    let recorded = RecordedRegion::new(&region, &plan);
    let (first, last) = recorded.dates();
    let mut announced = 0;
    for day in first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last) {
        for (series, date) in recorded.late(day) {
            assert!(date < day, "only earlier days are made again");
            let slots = &region.series[series.0 as usize].slots;
            assert!(slots.iter().any(|slot| slot.delivered == Some(day)), "{date} on {day}");
            announced += 1;
        }
    }
    assert!(announced > 0, "a hard fleet has late deliveries");
}

#[test]
fn the_number_of_threads_and_of_methods_changes_no_count() {
    let plans = [plan(5), plan(6)];
    let prometheus = Method::Baseline(Baseline::Prometheus);
    let both = [Method::detector(), prometheus.clone()];
    let one = run(&plans, &both, 1, &|_, _| ()).unwrap();
    let two = run(&plans, &both, 3, &|_, _| ()).unwrap();
    let alone = run(&plans, &[prometheus], 2, &|_, _| ()).unwrap();
    for (one, two) in one.outcomes.iter().zip(&two.outcomes) {
        assert_eq!(one.tally, two.tally);
        assert_eq!(one.details, two.details);
    }
    assert_eq!(alone.outcomes[0].tally, one.outcomes[1].tally);
    assert_eq!(one.outcomes[0].tally.building_days, 2 * 6 * 28);
    assert_eq!(one.facts.buildings, 12);
    assert!(one.facts.severities.is_sorted());
}

#[test]
fn a_plan_that_makes_no_world_is_an_error() {
    let impossible = Plan { buildings: 0, ..Plan::new(1) };
    assert!(run(&[impossible], &[Method::detector()], 1, &|_, _| ()).is_err());
}
