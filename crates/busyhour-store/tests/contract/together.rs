//! The telemetry contract: many threads at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use busyhour_model::{AgentId, BlockNo, PathId};
use busyhour_store::{Appended, BlockRows, RecordKind, Telemetry};

use crate::fixtures::{
    ALWAYS, EPOCH, EVER, MINUTE, NOW, all_slots, all_windows, at, block_of, load,
};
use crate::stores::Store;

/// Blocks of each agent.
const BLOCKS: u64 = 24;
/// Windows of a block, each in a slot of its own: half a block shows.
const WINDOWS: u64 = 3;
/// The first agent's blocks come from three threads, each of which has all of them.
const SHARED: AgentId = AgentId::from_u128(1);
const OTHERS: [AgentId; 2] = [AgentId::from_u128(2), AgentId::from_u128(3)];

on_every_store! {
    blocks_that_many_threads_append_are_each_there_once
}

fn block(agent: AgentId, number: u64) -> BlockRows {
    let moment = |nth: u64| at(NOW, (nth * 15) as i64 * MINUTE + number as i64 * 1_000_000);
    let moments: Vec<_> = (0..WINDOWS).map(moment).collect();
    BlockRows { agent, others: vec![load(moment(0), number)], ..block_of(number, &moments) }
}

/// Appends in an order of its own, two blocks at a time; gives how many were stored.
fn append(store: &dyn Telemetry, agent: AgentId, seed: u64) -> usize {
    let mut numbers: Vec<u64> = (1..=BLOCKS).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut numbers);
    let pair = |pair: &[u64]| {
        let blocks: Vec<_> = pair.iter().map(|&number| block(agent, number)).collect();
        let answers = store.append(&blocks).unwrap();
        answers.into_iter().filter(|answer| *answer == Appended::Stored).count()
    };
    numbers.chunks(2).map(pair).sum()
}

/// Reads until told to stop: what is there is whole blocks, and never less than before.
fn watch(store: &dyn Telemetry, stop: &AtomicBool, looks: &AtomicUsize) {
    let mut before: BTreeMap<PathId, (usize, u32)> = BTreeMap::new();
    loop {
        let last = stop.load(Ordering::Acquire);
        for path in store.paths(None).unwrap() {
            let windows = store.windows(path.id, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap().len();
            let slots = store.slots(&[path.id], EVER.0, EVER.1).unwrap();
            let in_slots: u32 = slots.iter().map(|(_, slot)| slot.valid).sum();
            assert_eq!((windows as u64 % WINDOWS, u64::from(in_slots) % WINDOWS), (0, 0));
            let (old_windows, old_slots) =
                before.insert(path.id, (windows, in_slots)).unwrap_or_default();
            assert!(windows >= old_windows && in_slots >= old_slots);
        }
        looks.fetch_add(1, Ordering::Relaxed);
        if last {
            return;
        }
    }
}

fn blocks_that_many_threads_append_are_each_there_once<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let (stop, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let stored: Vec<usize> = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| watch(store, &stop, &looks));
        }
        let agents = [SHARED, SHARED, SHARED, OTHERS[0], OTHERS[1]];
        let appending: Vec<_> = (1..)
            .zip(agents)
            .map(|(seed, agent)| scope.spawn(move || append(store, agent, seed)))
            .collect();
        let stored = appending.into_iter().map(|thread| thread.join().unwrap()).collect();
        stop.store(true, Ordering::Release);
        stored
    });
    let each = BLOCKS as usize;
    assert_eq!(stored[..3].iter().sum::<usize>(), each, "by whichever thread");
    assert_eq!(stored[3..], [each, each]);
    assert!(looks.into_inner() >= 2);
    check(store);
    let engine = engine.reopen();
    check(engine.telemetry());
}

#[track_caller]
fn check(store: &dyn Telemetry) {
    let agents = [SHARED, OTHERS[0], OTHERS[1]];
    let windows = 3 * BLOCKS * WINDOWS;
    assert_eq!(all_windows(store).len() as u64, windows);
    let slots = all_slots(store);
    assert_eq!(slots.len() as u64, 3 * WINDOWS);
    assert!(slots.iter().all(|(_, slot)| u64::from(slot.valid) == BLOCKS));
    let packets: u64 = slots.iter().map(|(_, slot)| slot.sent).sum();
    assert_eq!(packets, windows * 750);
    for agent in agents {
        let received = store.received(agent, EPOCH).unwrap();
        assert_eq!(received, [(BlockNo(1), BlockNo(BLOCKS))]);
        let loads = store.others(agent, RecordKind::Load, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
        assert_eq!(loads.len() as u64, BLOCKS);
    }
    let totals = store.totals().unwrap();
    assert_eq!((totals.blocks, totals.windows), (3 * BLOCKS, windows));
}
