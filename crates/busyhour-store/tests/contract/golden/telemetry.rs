//! What golden databases hold of telemetry: the head with something in its journal, and a file of every
//! family.

use busyhour_model::{AgentId, BlockNo, SlotStart};
use busyhour_store::{
    Appended, BlockRows, Grain, Quarantined, RecordKind, SlotDetail, SqliteTelemetry, StoredWindow,
    Telemetry,
};

use crate::fixtures::{
    AGENT, ALWAYS, DAY, EPOCH, EVER, MINUTE, NOW, all_others, all_slots, all_windows, as_stored,
    at, block, block_of, every_kind, judged, window,
};
use crate::settlement::{lossy, of_reports, of_windows, report};

/// The files, but for the head.
pub(super) const PARTITIONS: &[&str] = &[
    "windows/2026-09-21.db",
    "slots/2026-09-21.db",
    "hours/2026-07-13.db",
    "checks/2026-09-21.db",
    "facts/2026-09-21.db",
    "loads/2026-09-21.db",
    "gaps/2026-09-21.db",
];
const GONE: AgentId = AgentId::from_u128(0xa9);

/// What is folded, and what is left in the journal.
fn blocks() -> (Vec<BlockRows>, Vec<BlockRows>) {
    let windows = (0..30).map(|n| {
        judged(window("edge:862", n, (n as u32 % 3) * 20), at(NOW, n as i64 * 3 * MINUTE))
    });
    let others = every_kind(NOW).into_iter().map(|(_, record)| record).collect();
    let unreadable = Quarantined { started: Some(NOW), reason: "unreadable".to_owned() };
    let rich =
        BlockRows { windows: windows.collect(), others, quarantined: vec![unreadable], ..block(2) };
    let long_ago = at(NOW, -70 * DAY);
    let folded = vec![
        BlockRows { received: long_ago, ..block_of(1, &[long_ago]) },
        rich,
        of_windows(3, &[lossy(100, 10), lossy(101, 10)]),
        BlockRows { agent: GONE, ..block_of(1, &[NOW]) },
    ];
    let left = vec![
        block_of(7, &[at(NOW, 2 * MINUTE), at(NOW, 20 * MINUTE)]),
        of_reports(1, &[report(100, &[(5, 11)])]),
    ];
    (folded, left)
}

/// Puts in what every golden database holds.
pub(super) fn fill(store: &SqliteTelemetry) {
    let (folded, left) = blocks();
    store.append(&folded).unwrap();
    store.prune(NOW).unwrap();
    store.forget(GONE).unwrap();
    store.clear_dirty(&store.dirty_days(1).unwrap()).unwrap();
    store.fold().unwrap();
    store.append(&left).unwrap();
}

/// Reads back what [`fill`] put in.
pub(super) fn check(store: &SqliteTelemetry) {
    let (folded, left) = blocks();
    assert_eq!(store.damaged(), []);
    let rows = store.paths(None).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].agent, rows[0].oldest), (AGENT, at(NOW, -70 * DAY)));
    let sent = folded[1..3].iter().chain(&left[..1]).flat_map(|block| &block.windows);
    let mut sent: Vec<StoredWindow> = sent.map(|judged| as_stored(judged, NOW)).collect();
    sent.sort_by_key(|window| window.judged.placed);
    let (settled, observed): (Vec<_>, Vec<_>) = all_windows(store)
        .into_iter()
        .map(|(_, window)| window)
        .partition(|window| window.judged.window.settled);
    sent.retain(|window| window.judged.window != lossy(100, 10).window);
    assert_eq!(observed, sent);
    let counts = settled[0].judged.window.counts;
    assert_eq!((settled.len(), counts.lost_up(), counts.lost_down()), (1, 7, 8));

    let valid = |slots: &[u32]| slots.iter().sum::<u32>();
    let slots: Vec<_> = all_slots(store).iter().map(|(_, slot)| slot.valid).collect();
    assert_eq!((slots.len(), valid(&slots)), (7, 34));
    let mut hours = Vec::new();
    let mut take = |_, slot: &busyhour_model::Slot| hours.push((slot.start, slot.valid));
    store.visit_slots(&[rows[0].id], EVER, Grain::Hour, SlotDetail::All, &mut take).unwrap();
    assert_eq!(hours[0], (SlotStart::containing(at(NOW, -70 * DAY)), 1));
    assert_eq!(hours.iter().map(|(_, valid)| valid).sum::<u32>(), 35);
    let mut others = all_others(store, &[AGENT]);
    let quarantined = others[3].pop().unwrap();
    assert_eq!(quarantined.stamp.started, NOW);
    let expected: Vec<_> = every_kind(NOW).into_iter().map(|(_, record)| vec![record]).collect();
    assert_eq!(others, expected);
    let gaps = store.others(AGENT, RecordKind::Gap, ALWAYS.0, ALWAYS.1, 9).unwrap();
    assert_eq!(gaps.len(), 2);

    let ranges = [(BlockNo(1), BlockNo(3)), (BlockNo(7), BlockNo(7))];
    assert_eq!(store.received(AGENT, EPOCH).unwrap(), ranges);
    assert_eq!(store.append(&left).unwrap(), [Appended::Duplicate; 2]);
    let gone = BlockRows { agent: GONE, ..block(5) };
    assert_eq!(store.append(&[gone]).unwrap(), [Appended::Refused]);
    let totals = store.totals().unwrap();
    assert_eq!((totals.windows, totals.blocks, totals.quarantined), (36, 6, 1));
    assert!(!store.dirty_days(9).unwrap().is_empty());
}
