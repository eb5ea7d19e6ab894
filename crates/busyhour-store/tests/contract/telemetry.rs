//! The telemetry contract: what is appended, and what is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use busyhour_model::{
    AgentId, BlockNo, Body, BootId, Epoch, Gap, GapReason, PathId, Schedule, ScheduleRevision,
    Slot, SlotStart, UtcMicros,
};
use busyhour_store::{
    Appended, BlockRows, JudgedWindow, PathChanges, PathRow, Quarantined, RecordKind, Telemetry,
};
use proptest::prelude::*;

use crate::fixtures::{
    AGENT, ALWAYS, DAY, EPOCH, HOUR, MINUTE, NOW, RETENTION, all_slots, all_windows, as_stored, at,
    block, block_of, cases, contents, every_kind, judged, load, path_key, slot_of, window,
};
use crate::stores::Store;

on_every_store! {
    what_was_appended_is_read_back_exactly
    a_slot_is_the_sum_of_its_windows
    a_block_counts_once_however_often_it_comes
    blocks_of_other_epochs_and_agents_are_other_blocks
    receipts_are_the_blocks_that_came
    ranges_are_half_open_and_limited
    slots_come_by_path_and_time_each_once
    windows_of_the_same_microsecond_are_all_kept
    windows_beyond_raw_retention_are_in_slots_only
    late_windows_do_not_make_a_path_older
    a_path_knows_its_oldest_window
    whoever_follows_the_changes_of_paths_knows_all_of_them
    a_window_that_comes_again_in_another_block_is_the_same_window
    paths_beyond_the_bound_of_an_agent_are_quarantined
    windows_beyond_one_a_second_of_a_path_are_quarantined
    old_windows_without_number_are_quarantined
    windows_older_than_quarter_hours_are_kept_are_quarantined
    of_many_schedules_the_newest_are_known
    expected_windows_follow_the_schedule_that_was_told_before
    records_of_every_kind_are_read_back_exactly
    quarantined_records_are_counted_and_touch_nothing
    a_mark_is_cleared_only_at_the_generation_that_was_read
    everything_is_there_after_opening_again
}

fn what_was_appended_is_read_back_exactly<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let sent = BlockRows {
        windows: vec![
            judged(window("edge:862", 1, 0), at(NOW, 0)),
            judged(window("edge:862", 2, 40), at(NOW, MINUTE)),
            judged(window("edge:862", 4, 750), at(NOW, 2 * MINUTE)),
        ],
        ..block(1)
    };
    assert_eq!(store.append(std::slice::from_ref(&sent)).unwrap(), [Appended::Stored]);
    let path = store.paths(None).unwrap().remove(0);
    assert_eq!((path.agent, &path.key), (AGENT, &path_key("edge:862")));
    assert_eq!((path.newest, path.windows_per_slot), (at(NOW, 2 * MINUTE), 15));
    assert_eq!(path.context, sent.windows[0].context);
    let found = store.windows(path.id, ALWAYS.0, ALWAYS.1, 10).unwrap();
    assert_eq!(found, sent.windows.iter().map(|sent| as_stored(sent, NOW)).collect::<Vec<_>>());
}

fn a_slot_is_the_sum_of_its_windows<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let moments: Vec<_> = (0..45).map(|minute| at(NOW, minute * MINUTE)).collect();
    let first = block_of(1, &moments[..20]);
    let second = block_of(2, &moments[20..]);
    let mut expected: HashMap<SlotStart, Slot> = HashMap::new();
    for judged in first.windows.iter().chain(&second.windows) {
        let start = slot_of(judged.placed);
        let slot = expected.entry(start).or_insert_with(|| Slot::new(start, judged.limits));
        slot.expected = 15;
        slot.add(judged.placed, &judged.window.coarsened(), &judged.verdict);
    }
    // The newer block first: late data lands where it belongs.
    store.append(&[second]).unwrap();
    store.append(&[first]).unwrap();
    let slots = all_slots(store);
    assert_eq!(slots.len(), 3);
    for (_, slot) in slots {
        assert_eq!(Some(&slot), expected.get(&slot.start));
    }
}

fn a_block_counts_once_however_often_it_comes<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let sent = BlockRows {
        others: vec![load(NOW, 1)],
        quarantined: vec![Quarantined { started: None, reason: "unreadable".to_owned() }],
        ..block_of(1, &[NOW, at(NOW, MINUTE)])
    };
    let twice = [sent.clone(), sent.clone()];
    assert_eq!(store.append(&twice).unwrap(), [Appended::Stored, Appended::Duplicate]);
    let before = contents(store);
    let marks = store.dirty_days(10).unwrap();
    assert_eq!(store.append(&[sent]).unwrap(), [Appended::Duplicate]);
    assert_eq!(contents(store), before);
    assert_eq!(store.dirty_days(10).unwrap(), marks);
}

fn blocks_of_other_epochs_and_agents_are_other_blocks<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let other_epoch = BlockRows { epoch: Epoch(1), ..block_of(1, &[at(NOW, MINUTE)]) };
    let other_agent =
        BlockRows { agent: AgentId::from_u128(0xa2), ..block_of(1, &[at(NOW, MINUTE)]) };
    let blocks = [block_of(1, &[NOW]), other_epoch, other_agent];
    assert_eq!(store.append(&blocks).unwrap(), [Appended::Stored; 3]);
    assert_eq!(store.paths(None).unwrap().len(), 2);
    assert_eq!(store.paths(Some(AGENT)).unwrap().len(), 1);
    assert_eq!(store.received(AGENT, Epoch(1)).unwrap(), [(BlockNo(1), BlockNo(1))]);
    assert_eq!(store.received(AGENT, Epoch(2)).unwrap(), []);
}

fn receipts_are_the_blocks_that_came<S: Store>() {
    let number = prop_oneof![
        1u64..40,
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(1 << 63),
        Just((1 << 63) - 1),
        Just(0)
    ];
    proptest!(cases(16), |(numbers in prop::collection::vec(number, 1..60))| {
        let engine = S::new();
        let store = engine.telemetry();
        let mut came = BTreeSet::new();
        for number in numbers {
            let answer = store.append(&[block(number)]).unwrap();
            let expected =
                if came.insert(number) { Appended::Stored } else { Appended::Duplicate };
            prop_assert_eq!(answer, [expected]);
        }
        let ranges = store.received(AGENT, EPOCH).unwrap();
        let told: Vec<u64> = ranges.iter().flat_map(|r| r.0.0..=r.1.0).collect();
        prop_assert_eq!(store.totals().unwrap().blocks as usize, told.len());
        prop_assert_eq!(told, came.into_iter().collect::<Vec<_>>());
        prop_assert!(ranges.windows(2).all(|pair| pair[0].1.0 + 1 < pair[1].0.0), "joined");
    });
}

fn ranges_are_half_open_and_limited<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let moments: Vec<_> = (0..60).map(|minute| at(NOW, minute * MINUTE)).collect();
    store.append(&[block_of(1, &moments)]).unwrap();
    let path = store.paths(None).unwrap()[0].id;
    let placed = |from, until, limit| -> Vec<_> {
        let found = store.windows(path, from, until, limit).unwrap();
        found.into_iter().map(|window| window.judged.placed).collect()
    };
    assert_eq!(placed(moments[3], moments[6], 100), &moments[3..6]);
    assert_eq!(placed(moments[3], moments[50], 2), &moments[3..5]);
    let slots = store.slots(&[path], slot_of(moments[15]), slot_of(moments[45])).unwrap();
    let starts: Vec<_> = slots.iter().map(|(_, slot)| slot.start.start()).collect();
    assert_eq!(starts, [moments[15], moments[30]]);
    assert_eq!(store.slots(&[PathId(9_999)], slot_of(NOW), slot_of(moments[59])).unwrap(), []);
    assert_eq!(store.windows(PathId(9_999), ALWAYS.0, ALWAYS.1, 9).unwrap(), []);
}

fn slots_come_by_path_and_time_each_once<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let windows = vec![
        judged(window("b:1", 1, 0), at(NOW, HOUR)),
        judged(window("a:1", 2, 0), NOW),
        judged(window("b:1", 3, 0), NOW),
    ];
    store.append(&[BlockRows { windows, ..block(1) }]).unwrap();
    let ids: Vec<_> = store.paths(None).unwrap().iter().map(|path| path.id).collect();
    assert!(ids.is_sorted());
    let asked = [ids[1], ids[0], ids[1]];
    let found: Vec<_> = store
        .slots(&asked, slot_of(NOW), slot_of(at(NOW, DAY)))
        .unwrap()
        .into_iter()
        .map(|(path, slot)| (path, slot.start.start()))
        .collect();
    assert_eq!(found, [(ids[0], NOW), (ids[0], at(NOW, HOUR)), (ids[1], NOW)]);
}

fn windows_of_the_same_microsecond_are_all_kept<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW, NOW]), block_of(2, &[NOW])]).unwrap();
    let path = store.paths(None).unwrap()[0].id;
    assert_eq!(store.windows(path, ALWAYS.0, ALWAYS.1, 10).unwrap().len(), 3);
    assert_eq!(all_slots(store)[0].1.valid, 3);
}

fn windows_beyond_raw_retention_are_in_slots_only<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let old = at(NOW, -i64::from(RETENTION.windows_days) * DAY - HOUR);
    store.append(&[block_of(1, &[old, NOW])]).unwrap();
    let path = store.paths(None).unwrap()[0].id;
    assert_eq!(store.windows(path, ALWAYS.0, ALWAYS.1, 10).unwrap().len(), 1);
    let starts: Vec<_> = all_slots(store).iter().map(|(_, slot)| slot.start).collect();
    assert_eq!(starts, [slot_of(old), slot_of(NOW)]);
    assert_eq!(store.dirty_days(10).unwrap().len(), 2, "its day is judged again");
}

fn late_windows_do_not_make_a_path_older<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW])]).unwrap();
    store.append(&[block_of(2, &[at(NOW, -DAY)])]).unwrap();
    assert_eq!(store.paths(None).unwrap()[0].newest, NOW);
    store.append(&[block_of(3, &[at(NOW, MINUTE)])]).unwrap();
    assert_eq!(store.paths(None).unwrap()[0].newest, at(NOW, MINUTE));
}

fn a_path_knows_its_oldest_window<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW, at(NOW, MINUTE)])]).unwrap();
    assert_eq!(store.paths(None).unwrap()[0].oldest, NOW);
    store.append(&[block_of(2, &[at(NOW, -DAY), at(NOW, -HOUR)])]).unwrap();
    assert_eq!(store.paths(None).unwrap()[0].oldest, at(NOW, -DAY));
    let engine = engine.reopen();
    engine.telemetry().append(&[block_of(3, &[at(NOW, -HOUR)])]).unwrap();
    assert_eq!(engine.telemetry().paths(None).unwrap()[0].oldest, at(NOW, -DAY));
}

/// Takes changes over into what is known of paths.
fn follow(known: &mut BTreeMap<PathId, PathRow>, changes: PathChanges) -> Option<u64> {
    if changes.all {
        known.clear();
    }
    known.extend(changes.rows.into_iter().map(|row| (row.id, row)));
    for (path, newest) in changes.heard {
        known.get_mut(&path).unwrap().newest = newest;
    }
    changes.until
}

fn whoever_follows_the_changes_of_paths_knows_all_of_them<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let (mut known, mut since) = (BTreeMap::new(), None);
    let mut check = |what: &str, rows: usize, heard: usize| {
        let changes = store.path_changes(since).unwrap();
        let found = (changes.all, changes.rows.len(), changes.heard.len());
        since = follow(&mut known, changes);
        let all = store.paths(None).unwrap();
        assert_eq!(known.values().cloned().collect::<Vec<_>>(), all, "{what}");
        assert_eq!((found.1, found.2), (rows, heard), "{what}");
        found.0
    };
    assert!(check("nobody asked before", 0, 0));
    let of = |number: u64, target: &str, minute: i64| BlockRows {
        windows: vec![judged(window(target, number, 0), at(NOW, minute * MINUTE))],
        ..block(number)
    };
    store.append(&[of(1, "one:862", 0), of(2, "other:862", 0)]).unwrap();
    assert!(!check("two that are new", 2, 0));
    assert!(!check("nothing came", 0, 0));
    store.append(&[of(3, "one:862", 5)]).unwrap();
    check("a newer window", 0, 1);
    store.append(&[of(4, "one:862", 3)]).unwrap();
    check("one from between", 0, 0);
    store.append(&[of(5, "one:862", -3)]).unwrap();
    check("an older one", 1, 0);
    let mut elsewhere = of(6, "other:862", 6);
    elsewhere.windows[0].context.resolved = "192.0.2.77:862".parse().ok();
    store.append(&[elsewhere]).unwrap();
    check("another address", 1, 0);
    let stranger = AgentId::from_u128(99);
    store.append(&[BlockRows { agent: stranger, ..of(1, "one:862", 0) }]).unwrap();
    check("another agent", 1, 0);
    store.forget(stranger).unwrap();
    assert!(check("one that was forgotten", 2, 0));
    assert!(!check("and nothing since", 0, 0));
}

fn a_window_that_comes_again_in_another_block_is_the_same_window<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let first = block_of(1, &[NOW, at(NOW, MINUTE)]);
    let rolled_back = BlockRows { epoch: Epoch(1), received: at(NOW, HOUR), ..first.clone() };
    store.append(&[first]).unwrap();
    let before = (store.totals().unwrap().windows, all_slots(store));
    assert_eq!(store.append(std::slice::from_ref(&rolled_back)).unwrap(), [Appended::Stored]);
    assert_eq!((store.totals().unwrap().windows, all_slots(store)), before);
    // Another window of the same moment is another one.
    let mut other_boot = BlockRows { epoch: Epoch(2), ..rolled_back };
    for judged in &mut other_boot.windows {
        judged.stamp.boot = BootId::from_u128(8);
    }
    store.append(&[other_boot]).unwrap();
    assert_eq!(store.totals().unwrap().windows, before.0 * 2);
}

fn paths_beyond_the_bound_of_an_agent_are_quarantined<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let of = |number: u64, agent, targets: std::ops::Range<u64>| BlockRows {
        agent,
        windows: targets.map(|n| judged(window(&format!("t{n}:862"), n, 0), NOW)).collect(),
        ..block(number)
    };
    let other = AgentId::from_u128(0xa2);
    store.append(&[of(1, AGENT, 0..200), of(2, AGENT, 200..260), of(1, other, 0..1)]).unwrap();
    assert_eq!(store.paths(Some(AGENT)).unwrap().len(), 256);
    assert_eq!(store.paths(Some(other)).unwrap().len(), 1);
    let totals = store.totals().unwrap();
    assert_eq!((totals.windows, totals.quarantined), (256 + 1, 4));
    let gaps = store.others(AGENT, RecordKind::Gap, ALWAYS.0, ALWAYS.1, 10).unwrap();
    assert_eq!((gaps.len(), gaps[0].stamp.started), (1, NOW));
}

/// A block with windows of one path that differ in when they were placed alone.
fn crowd(number: u64, moments: impl Iterator<Item = UtcMicros>) -> BlockRows {
    let like = judged(window("edge:862", 1, 0), NOW);
    let windows = moments.map(|placed| JudgedWindow { placed, ..like.clone() }).collect();
    BlockRows { windows, ..block(number) }
}

/// How many windows slots hold, and how many windows were quarantined.
fn crowded(store: &dyn Telemetry) -> (u32, u64) {
    let in_slots = all_slots(store).iter().map(|(_, slot)| slot.valid).sum();
    (in_slots, store.totals().unwrap().quarantined)
}

fn windows_beyond_one_a_second_of_a_path_are_quarantined<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let second = |nth: i64| at(NOW, nth * 1_000_000);
    for (number, from) in (1..).zip([0, 300, 600]) {
        store.append(&[crowd(number, (from..from + 300).map(second))]).unwrap();
    }
    assert_eq!(crowded(store), (900, 0), "one a second is what fits");
    // A newer one, one among them, and one of the next quarter-hour.
    let more = [at(second(899), 1), at(NOW, 500), second(900)];
    assert_eq!(store.append(&[crowd(4, more.into_iter())]).unwrap(), [Appended::Stored]);
    assert_eq!(crowded(store), (901, 2));
    let gaps = store.others(AGENT, RecordKind::Gap, ALWAYS.0, ALWAYS.1, 9).unwrap();
    let [Body::Gap(gap)] = gaps.iter().map(|record| &record.body).collect::<Vec<_>>()[..] else {
        panic!("{gaps:?}")
    };
    assert_eq!((gap.reason, gap.records), (GapReason::Quarantined, Some(2)));
    // When that quarter-hour is over and the store was opened again, and beside one that has room.
    let engine = engine.reopen();
    let store = engine.telemetry();
    let late = [at(NOW, 700), at(NOW, -1), second(901)];
    store.append(&[crowd(5, late.into_iter())]).unwrap();
    assert_eq!(crowded(store), (903, 3));
    assert_eq!(all_windows(store).len(), 903);
}

fn old_windows_without_number_are_quarantined<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[crowd(1, [NOW].into_iter())]).unwrap();
    // Beyond the raw windows' retention, where nothing tells one from another.
    let old = at(NOW, -(i64::from(RETENTION.windows_days) + 5) * DAY);
    for number in 2..6 {
        store.append(&[crowd(number, std::iter::repeat_n(old, 300))]).unwrap();
    }
    assert_eq!(crowded(store), (901, 300));
    assert_eq!(all_windows(store).len(), 1);
}

fn windows_older_than_quarter_hours_are_kept_are_quarantined<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let oldest = at(NOW, -i64::from(RETENTION.slots_days) * DAY);
    let moments = [oldest, at(oldest, -1), UtcMicros(0)];
    assert_eq!(store.append(&[crowd(1, moments.into_iter())]).unwrap(), [Appended::Stored]);
    assert_eq!(crowded(store), (1, 2));
    assert_eq!(all_slots(store)[0].1.start, slot_of(oldest));
    assert_eq!(store.paths(None).unwrap()[0].oldest, oldest);
}

fn of_many_schedules_the_newest_are_known<S: Store>() {
    let engine = S::new();
    let told = |number: u64| BlockRows {
        schedules: vec![Schedule { revision: ScheduleRevision(number), period_us: 60_000_000 }],
        received: at(NOW, number as i64),
        ..block(number)
    };
    for number in 1..=70 {
        engine.telemetry().append(&[told(number)]).unwrap();
    }
    let engine = engine.reopen();
    let expected = |number: u64, revision| {
        let mut rows = block_of(number, &[at(NOW, number as i64 * HOUR)]);
        rows.schedules.clear();
        rows.windows[0].schedule = ScheduleRevision(revision);
        engine.telemetry().append(&[rows]).unwrap();
        all_slots(engine.telemetry()).last().unwrap().1.expected
    };
    assert_eq!((expected(100, 6), expected(101, 7), expected(102, 70)), (0, 15, 15));
}

fn expected_windows_follow_the_schedule_that_was_told_before<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let untold = |number, moment| BlockRows { schedules: vec![], ..block_of(number, &[moment]) };
    store.append(&[untold(1, NOW)]).unwrap();
    assert_eq!(all_slots(store)[0].1.expected, 0);
    store.append(&[block_of(2, &[at(NOW, MINUTE)])]).unwrap();
    assert_eq!(all_slots(store)[0].1.expected, 15);
    let engine = S::new();
    engine.telemetry().append(&[block(1)]).unwrap();
    let engine = engine.reopen();
    engine.telemetry().append(&[untold(2, NOW)]).unwrap();
    assert_eq!(all_slots(engine.telemetry())[0].1.expected, 15);
}

fn records_of_every_kind_are_read_back_exactly<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let records = every_kind(NOW);
    let others: Vec<_> = records.iter().map(|(_, record)| record.clone()).collect();
    let doubled = others.iter().chain(&others).cloned().collect();
    store.append(&[BlockRows { others: doubled, ..block(1) }]).unwrap();
    for (kind, record) in records {
        let found = store.others(AGENT, kind, NOW, at(NOW, 1), 10).unwrap();
        assert_eq!(found, [record.clone(), record]);
        assert_eq!(store.others(AGENT, kind, at(NOW, 1), at(NOW, 9), 10).unwrap(), []);
        assert_eq!(store.others(AGENT, kind, at(NOW, -9), NOW, 10).unwrap(), []);
        assert_eq!(store.others(AGENT, kind, NOW, at(NOW, 1), 1).unwrap().len(), 1);
        assert_eq!(store.others(AgentId::from_u128(1), kind, NOW, at(NOW, 1), 1).unwrap(), []);
    }
}

fn quarantined_records_are_counted_and_touch_nothing<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let quarantined = vec![
        Quarantined { started: Some(at(NOW, 365 * DAY)), reason: "a year ahead".to_owned() },
        Quarantined { started: None, reason: "unreadable".to_owned() },
        Quarantined { started: Some(at(NOW, -HOUR)), reason: "unreadable".to_owned() },
        Quarantined { started: Some(at(NOW, -MINUTE)), reason: "unreadable".to_owned() },
    ];
    let unknown = vec![quarantined[0].clone()];
    let later = BlockRows { quarantined: unknown, received: at(NOW, HOUR), ..block(2) };
    store.append(&[BlockRows { quarantined, ..block(1) }, later]).unwrap();
    let totals = store.totals().unwrap();
    assert_eq!((totals.quarantined, totals.windows, totals.blocks), (5, 0, 2));
    assert_eq!(store.dirty_days(10).unwrap(), []);
    // Readers see it as a gap of the whole agent, where it is known to be.
    let gaps = store.others(AGENT, RecordKind::Gap, ALWAYS.0, ALWAYS.1, 10).unwrap();
    let gap = |records| {
        Body::Gap(Gap { reason: GapReason::Quarantined, path: None, records: Some(records) })
    };
    let seen: Vec<_> = gaps
        .iter()
        .map(|gap| (gap.stamp.started, gap.stamp.duration_us(), gap.body.clone()))
        .collect();
    let span = (HOUR - MINUTE).unsigned_abs();
    assert_eq!(seen, [(at(NOW, -HOUR), span, gap(4)), (at(NOW, HOUR), 0, gap(1))]);
}

fn a_mark_is_cleared_only_at_the_generation_that_was_read<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW, at(NOW, -DAY), at(NOW, MINUTE)])]).unwrap();
    let read = store.dirty_days(10).unwrap();
    assert_eq!(read.len(), 2);
    assert!(read[0].utc_day > read[1].utc_day, "newest day first");
    assert_eq!(store.dirty_days(1).unwrap(), read[..1]);
    // While the judge works, the newest day gets another window.
    store.append(&[block_of(2, &[at(NOW, 2 * MINUTE)])]).unwrap();
    store.clear_dirty(&read).unwrap();
    let left = store.dirty_days(10).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].utc_day, read[0].utc_day);
    assert!(left[0].generation > read[0].generation);
    store.clear_dirty(&left).unwrap();
    assert_eq!(store.dirty_days(10).unwrap(), []);
    // A mark made again is not cleared by what was read before it was cleared.
    store.append(&[block_of(3, &[at(NOW, 3 * MINUTE)])]).unwrap();
    store.clear_dirty(&left).unwrap();
    assert_eq!(store.dirty_days(10).unwrap().len(), 1);
}

fn everything_is_there_after_opening_again<S: Store>() {
    let engine = S::new();
    for number in 1..=5 {
        let start = at(NOW, number as i64 * 10 * MINUTE);
        let sent = BlockRows { others: vec![load(start, 5)], ..block_of(number, &[start]) };
        engine.telemetry().append(&[sent]).unwrap();
    }
    let before = contents(engine.telemetry());
    let engine = engine.reopen();
    assert_eq!(contents(engine.telemetry()), before);
    let again = engine.telemetry().append(&[block_of(3, &[NOW]), block_of(6, &[NOW])]).unwrap();
    assert_eq!(again, [Appended::Duplicate, Appended::Stored]);
    assert_eq!(engine.telemetry().paths(None).unwrap().len(), 1);
    assert!(engine.telemetry().totals().unwrap().size_bytes > 0);
}
