//! The telemetry contract: what goes when it is too old, and what it leaves.

use std::collections::BTreeMap;

use busyhour_model::{PathId, Slot, SlotStart, UtcMicros};
use busyhour_store::{Appended, BlockRows, Grain, Quarantined, RecordKind, SlotDetail, Telemetry};

use crate::fixtures::{
    AGENT, ALWAYS, DAY, EPOCH, EVER, HOUR, MINUTE, NOW, RETENTION, all_slots, all_windows, at,
    block, block_of, every_kind, slot_of,
};
use crate::stores::Store;

on_every_store! {
    raw_windows_of_a_day_go_together_and_leave_their_slots
    records_of_each_kind_go_after_their_own_time
    records_that_come_too_late_are_not_kept
    quarter_hours_of_a_week_become_hours_together
    hours_go_at_last_and_with_them_the_path
    old_hours_and_young_quarters_are_one_answer
    after_everything_went_the_same_path_begins_anew
    what_old_and_new_windows_share_stays_for_the_new
    what_never_was_judged_is_not_asked_for_when_its_slots_are_gone
    what_is_known_of_quarantined_records_goes_as_gaps_do
}

/// Midnight before [`NOW`], which is a Monday.
const MONDAY: UtcMicros = UtcMicros(NOW.0 - 8 * HOUR);

fn days(days: u32) -> i64 {
    i64::from(days) * DAY
}

/// Nothing goes a microsecond before `moment`, and something goes then, once.
fn goes_at(store: &dyn Telemetry, moment: UtcMicros) {
    assert_eq!(store.prune(at(moment, -1)).unwrap(), 0);
    assert!(store.prune(moment).unwrap() > 0);
    assert_eq!(store.prune(moment).unwrap(), 0);
}

fn hours(store: &dyn Telemetry, span: (SlotStart, SlotStart)) -> BTreeMap<PathId, Vec<Slot>> {
    let paths: Vec<_> = store.paths(None).unwrap().iter().map(|path| path.id).collect();
    let mut hours: BTreeMap<PathId, Vec<Slot>> = BTreeMap::new();
    store
        .visit_slots(&paths, span, Grain::Hour, SlotDetail::All, &mut |path, slot| {
            hours.entry(path).or_default().push(slot.clone());
        })
        .unwrap();
    hours
}

fn raw_windows_of_a_day_go_together_and_leave_their_slots<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let early = [MONDAY, at(MONDAY, DAY - 1), at(MONDAY, DAY)];
    store.append(&[block_of(1, &early)]).unwrap();
    let (slots, dirty) = (all_slots(store), store.dirty_days(9).unwrap());
    goes_at(store, at(MONDAY, DAY + days(RETENTION.windows_days)));
    let left: Vec<_> = all_windows(store).iter().map(|(_, w)| w.judged.placed).collect();
    assert_eq!(left, early[2..]);
    goes_at(store, at(MONDAY, 2 * DAY + days(RETENTION.windows_days)));
    assert_eq!(all_windows(store), []);
    assert_eq!((all_slots(store), store.dirty_days(9).unwrap()), (slots.clone(), dirty));
    let engine = engine.reopen();
    assert_eq!(all_windows(engine.telemetry()), []);
    assert_eq!(all_slots(engine.telemetry()), slots);
}

const KEPT: [(RecordKind, u32); 4] = [
    (RecordKind::Check, RETENTION.checks_days),
    (RecordKind::Fact, RETENTION.facts_days),
    (RecordKind::Load, RETENTION.loads_days),
    (RecordKind::Gap, RETENTION.gaps_days),
];

fn records_of_each_kind_go_after_their_own_time<S: Store>() {
    let moments = [MONDAY, at(MONDAY, DAY - 1), at(MONDAY, DAY)];
    for (kind, kept_days) in KEPT {
        let engine = S::new();
        let store = engine.telemetry();
        let of_kind = |moment| every_kind(moment).into_iter().find(|(of, _)| *of == kind);
        let records: Vec<_> = moments.iter().map(|&m| of_kind(m).unwrap().1).collect();
        store.append(&[BlockRows { others: records.clone(), ..block(1) }]).unwrap();
        let left = || store.others(AGENT, kind, ALWAYS.0, ALWAYS.1, 9).unwrap();
        assert_eq!(left(), records);
        goes_at(store, at(MONDAY, DAY + days(kept_days)));
        assert_eq!(left(), records[2..], "{kind:?}");
        goes_at(store, at(MONDAY, 2 * DAY + days(kept_days)));
        assert_eq!(left(), [], "{kind:?}");
    }
}

fn records_that_come_too_late_are_not_kept<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    for (number, (kind, kept_days)) in (1..).zip(KEPT) {
        let oldest = at(NOW, -days(kept_days));
        let of_kind =
            |moment| every_kind(moment).into_iter().find(|(of, _)| *of == kind).unwrap().1;
        let (kept, late) = (of_kind(oldest), of_kind(at(oldest, -1)));
        let sent = BlockRows { others: vec![late, kept.clone()], ..block(number) };
        assert_eq!(store.append(&[sent]).unwrap(), [Appended::Stored]);
        assert_eq!(store.others(AGENT, kind, ALWAYS.0, ALWAYS.1, 9).unwrap(), [kept], "{kind:?}");
    }
}

fn quarter_hours_of_a_week_become_hours_together<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let sunday = at(MONDAY, 6 * DAY + 23 * HOUR);
    let moments = [0, 20, 40, 70].map(|minutes| at(NOW, minutes * MINUTE));
    store.append(&[block_of(1, &moments), block_of(2, &[sunday, at(sunday, 3 * HOUR)])]).unwrap();
    let (before, quarters) = (hours(store, EVER), all_slots(store));
    assert_eq!(quarters.len(), 6);
    // Raw windows go long before.
    store.prune(at(MONDAY, 20 * DAY)).unwrap();
    goes_at(store, at(MONDAY, 7 * DAY + days(RETENTION.slots_days)));
    assert_eq!(all_slots(store), quarters[5..], "those of the next week");
    assert_eq!(store.totals().unwrap().slots, 1);
    assert_eq!(hours(store, EVER), before);
    let engine = engine.reopen();
    assert_eq!(hours(engine.telemetry(), EVER), before);
    assert_eq!(engine.telemetry().paths(None).unwrap().len(), 1);
}

fn hours_go_at_last_and_with_them_the_path<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW])]).unwrap();
    store.prune(at(MONDAY, 7 * DAY + days(RETENTION.slots_days))).unwrap();
    assert_eq!((all_slots(store).len(), hours(store, EVER).len()), (0, 1));
    let path = store.paths(None).unwrap()[0].id;
    store.prune(at(NOW, days(RETENTION.hours_days))).unwrap();
    assert_eq!(store.paths(None).unwrap().len(), 1);
    store.prune(at(MONDAY, 7 * DAY + days(RETENTION.hours_days))).unwrap();
    assert_eq!((store.paths(None).unwrap(), hours(store, EVER)), (vec![], BTreeMap::new()));
    let mut nothing = |path: PathId, slot: &Slot| panic!("{path:?} {slot:?}");
    for grain in [Grain::Quarter, Grain::Hour] {
        store.visit_slots(&[path], EVER, grain, SlotDetail::Counts, &mut nothing).unwrap();
    }
    assert_eq!(store.received(AGENT, EPOCH).unwrap().len(), 1, "receipts stay");
}

fn old_hours_and_young_quarters_are_one_answer<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let moments: Vec<_> =
        (0..21 * 8).map(|n| at(MONDAY, n * 3 * HOUR + n % 4 * 15 * MINUTE)).collect();
    for (number, some) in (1..).zip(moments.chunks(40)) {
        store.append(&[block_of(number, some)]).unwrap();
    }
    let spans = [(0, 9_999), (0, 700), (671, 673), (669, 1_345), (5, 1_400), (672, 1_344)];
    let spans =
        spans.map(|(from, until)| (slot_of(MONDAY).offset(from), slot_of(MONDAY).offset(until)));
    let before = spans.map(|span| hours(store, span));
    for weeks in 1..=3 {
        store.prune(at(MONDAY, weeks * 7 * DAY + days(RETENTION.slots_days))).unwrap();
        assert_eq!(store.totals().unwrap().slots, (3 - weeks as u64) * 7 * 8);
        assert_eq!(spans.map(|span| hours(store, span)), before, "{weeks} weeks are hours");
    }
}

fn after_everything_went_the_same_path_begins_anew<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW])]).unwrap();
    let first = store.paths(None).unwrap()[0].id;
    let later = at(NOW, days(RETENTION.hours_days + 8));
    store.prune(later).unwrap();
    let again = BlockRows { received: later, ..block_of(2, &[later]) };
    store.append(std::slice::from_ref(&again)).unwrap();
    let path = store.paths(None).unwrap().remove(0);
    assert_ne!(path.id, first, "numbers are not used again");
    let found = store.windows(path.id, ALWAYS.0, ALWAYS.1, 9).unwrap();
    assert_eq!((found.len(), found[0].judged.placed), (1, later));
    assert_eq!(hours(store, EVER)[&path.id].len(), 1);
}

fn what_old_and_new_windows_share_stays_for_the_new<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let newer = block_of(2, &[at(NOW, DAY)]);
    store.append(&[block_of(1, &[NOW])]).unwrap();
    store.append(std::slice::from_ref(&newer)).unwrap();
    let before = all_windows(store);
    store.prune(at(MONDAY, DAY + days(RETENTION.windows_days))).unwrap();
    assert_eq!(all_windows(store), before[1..]);
}

fn what_never_was_judged_is_not_asked_for_when_its_slots_are_gone<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[block_of(1, &[NOW, at(NOW, 8 * DAY)])]).unwrap();
    let marks = store.dirty_days(9).unwrap();
    assert_eq!(marks.len(), 2);
    store.prune(at(MONDAY, 7 * DAY + days(RETENTION.slots_days))).unwrap();
    assert_eq!(store.dirty_days(9).unwrap(), marks[..1]);
    let engine = engine.reopen();
    assert_eq!(engine.telemetry().dirty_days(9).unwrap().len(), 1);
}

fn what_is_known_of_quarantined_records_goes_as_gaps_do<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let quarantined = vec![Quarantined { started: None, reason: "unreadable".to_owned() }];
    store.append(&[BlockRows { quarantined, ..block(1) }]).unwrap();
    store.prune(at(NOW, days(RETENTION.gaps_days) - 1)).unwrap();
    let gaps = || store.others(AGENT, RecordKind::Gap, ALWAYS.0, ALWAYS.1, 9).unwrap().len();
    assert_eq!(gaps(), 1);
    assert!(store.prune(at(NOW, days(RETENTION.gaps_days + 1))).unwrap() > 0);
    assert_eq!((gaps(), store.totals().unwrap().quarantined), (0, 1), "the count stays");
}
