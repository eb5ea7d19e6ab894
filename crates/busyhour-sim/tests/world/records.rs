//! What is delivered: the same for the same plan, in any order, and consistent in itself.

use std::collections::BTreeSet;

use busyhour_model::LinkKind;
use busyhour_sim::world::{Plan, Reach, RegionRecord, Sampling};

use crate::{every_kind, regions, small, truths, world};

/// A record as text: equal texts are equal bytes.
fn text(record: &RegionRecord) -> String {
    format!("{record:?}")
}

#[test]
fn the_same_plan_gives_the_same_region_in_whatever_order() {
    let plan = Plan { buildings: 12, days: 28, ..Plan::new(1) };
    let (forwards, backwards) = (world(&plan), world(&plan));
    let last = forwards.regions() - 1;
    assert!(last >= 1);
    let first = (text(&forwards.region(0)), text(&forwards.region(last)));
    let late = text(&backwards.region(last));
    assert_eq!((text(&backwards.region(0)), late), first);
    let other = Plan { seed: 2, ..plan };
    assert_ne!(text(&world(&other).region(0)), first.0);
}

#[test]
fn a_region_that_a_world_does_not_have_is_empty() {
    let world = world(&small(1));
    assert!(world.region(99).series.is_empty() && world.truths(99).is_empty());
}

#[test]
fn truths_told_alone_are_those_of_the_record() {
    let world = world(&small(3));
    assert_eq!(world.region(0).truths, world.truths(0));
}

#[test]
fn what_is_measured_changes_nothing_of_what_is_true() {
    let plan = small(4);
    let sampling = Sampling::new(15, 300).unwrap();
    let sparse = Plan { sampling, absent_days: 0.3, ..plan.clone() };
    assert_eq!(truths(&plan), truths(&sparse));
}

#[test]
fn counts_of_a_quarter_hour_fit_together() {
    for plan in every_kind(5).map(|plan| Plan { buildings: 3, days: 28, ..plan }) {
        let expected = plan.sampling.windows_a_slot();
        for series in regions(&plan).iter().flat_map(|region| &region.series) {
            assert!(series.slots.windows(2).all(|pair| pair[0].start < pair[1].start));
            for slot in &series.slots {
                assert_eq!(slot.expected, expected);
                assert!((1..=expected).contains(&slot.valid), "{slot:?}");
                assert!(slot.bad <= slot.valid && slot.bad_by.iter().all(|&by| by <= slot.bad));
                assert!(slot.bad <= slot.bad_by.iter().sum(), "{slot:?}");
                assert_eq!(slot.sent, u32::from(slot.valid) * 750);
                assert!(slot.lost <= slot.sent);
                assert!(slot.rtt_min_us <= slot.rtt_p50_us && slot.rtt_p50_us <= slot.rtt_p95_us);
                let [_, _, _, _, failed] = slot.bad_by;
                assert_eq!(slot.rtt_min_us.is_none(), failed == slot.valid, "{slot:?}");
            }
        }
    }
}

#[test]
fn a_fleet_has_about_four_series_beyond_the_edge_a_building() {
    let plan = Plan { sampling: Sampling::new(15, 900).unwrap(), days: 28, ..Plan::new(6) };
    let regions = regions(&plan);
    let buildings: usize = regions.iter().map(|region| region.buildings.len()).sum();
    assert_eq!(buildings, 30);
    assert!(regions.iter().all(|region| (3..=10).contains(&region.buildings.len())));
    let series = || regions.iter().flat_map(|region| &region.series);
    let far = series().filter(|series| series.reach == Reach::Far).count();
    assert!((90..=140).contains(&far), "{far}");
    let names: BTreeSet<&str> = series().map(|series| series.name.as_str()).collect();
    assert_eq!(names.len(), series().count());
    for region in &regions {
        for series in &region.series {
            let near = series.near.map(|near| &region.series[near as usize]);
            assert!(
                near.is_none_or(|near| near.reach == Reach::Near && near.agent == series.agent)
            );
            let upstream = series.upstream.as_deref();
            match (series.reach, series.link) {
                (Reach::Near, _) => assert_eq!(upstream, None),
                (Reach::Far, LinkKind::Vpn) => assert!(upstream.unwrap().starts_with("vpn")),
                (Reach::Far, _) => assert!(upstream.unwrap().starts_with("upstream")),
            }
        }
    }
}
