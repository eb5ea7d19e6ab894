//! Generated worlds are what their plans and truths say they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod gaps;
mod records;
mod seen;
mod truths;

use busyhour_sim::world::{Hardness, Mechanisms, Plan, RegionRecord, Truth, World};

/// A small normal world: two regions, six weeks.
fn small(seed: u64) -> Plan {
    Plan { buildings: 6, days: 42, ..Plan::new(seed) }
}

fn world(plan: &Plan) -> World {
    World::new(plan).unwrap()
}

fn regions(plan: &Plan) -> Vec<RegionRecord> {
    let world = world(plan);
    (0..world.regions()).map(|number| world.region(number)).collect()
}

fn truths(plan: &Plan) -> Vec<Truth> {
    let world = world(plan);
    (0..world.regions()).flat_map(|number| world.truths(number)).collect()
}

/// The plans of both hardnesses and both sets of mechanisms.
fn every_kind(seed: u64) -> impl Iterator<Item = Plan> {
    let kinds = Hardness::ALL.iter().flat_map(|&hardness| {
        Mechanisms::ALL.iter().map(move |&mechanisms| (hardness, mechanisms))
    });
    kinds.map(move |(hardness, mechanisms)| Plan { hardness, mechanisms, ..Plan::new(seed) })
}
