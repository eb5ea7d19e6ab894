//! Days of delivery in virtual time: agents and a collector that crash, disks that fill, networks that
//! part, lose and deliver in one direction only. What happened is written down and checked by somebody
//! who knows nothing of the engines.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

#[path = "days/agent.rs"]
mod agent;
#[path = "days/collector.rs"]
mod collector;
#[path = "days/history.rs"]
mod history;
#[path = "days/network.rs"]
mod network;
#[path = "days/world.rs"]
mod world;

use history::{Event, Fault, Summary, check};
use world::World;

/// Worlds that are looked at; each lives for two days.
const WORLDS: u64 = 12;

#[test]
fn over_days_of_faults_nothing_is_stored_twice_lost_in_silence_or_acknowledged_too_soon() {
    let mut all = Summary::default();
    for seed in 0..WORLDS {
        let history = World::new(seed).live();
        match check(&history) {
            Ok(found) => all.add(&found),
            Err(fault) => panic!("seed {seed}: {fault:?}"),
        }
    }
    // The days were worth the name.
    assert!(all.stored > 15_000, "{all:?}");
    assert!(all.sent_again > 50, "{all:?}");
    assert!(all.in_gaps > 2_000, "{all:?}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(World::new(3).live().events, World::new(3).live().events);
}

/// The checker sees what it is there for.
#[test]
fn a_history_that_breaks_a_law_is_told_from_one_that_does_not() {
    let sound = World::new(1).live();
    assert!(check(&sound).is_ok());
    let first = |is: fn(&Event) -> bool| sound.events.iter().position(is).unwrap();
    let stored = first(|event| matches!(event, Event::Stored { .. }));
    let acknowledged = first(|event| matches!(event, Event::Acknowledged { .. }));
    let gap = first(|event| matches!(event, Event::Stored { block, .. } if agent::has_gap(block)));
    let is_fault = |change: &dyn Fn(&mut Vec<Event>), fault: fn(&Fault) -> bool| {
        let mut broken = sound.clone();
        change(&mut broken.events);
        let found = check(&broken);
        assert!(found.as_ref().is_err_and(fault), "{found:?}");
    };
    is_fault(
        &|events| {
            let twice = events[stored].clone();
            events.insert(stored + 1, twice);
        },
        |fault| matches!(fault, Fault::StoredTwice(_)),
    );
    is_fault(&|events| events.swap(stored, acknowledged), |fault| {
        matches!(fault, Fault::AcknowledgedTooSoon(_))
    });
    is_fault(
        &|events| {
            if let Event::Stored { block, .. } = &mut events[stored] {
                block.payload.push(0);
            }
        },
        |fault| matches!(fault, Fault::NeverSent(_)),
    );
    is_fault(
        &|events| {
            let Event::Stored { key, .. } = &events[gap] else { return };
            let key = *key;
            events.retain(|event| event.key() != Some(key));
        },
        |fault| matches!(fault, Fault::Missing { .. }),
    );
}
