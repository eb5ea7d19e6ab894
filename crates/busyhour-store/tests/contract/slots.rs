//! The telemetry contract: slots in part, hours, and judging again.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{
    Figures, Histogram, Jitter, LIMITS, LimitTable, LimitsVersion, PathId, RequirementProfile,
    Slot, SlotGist, SlotStart, UtcMicros, Window, WindowParts, merge_hours,
};
use busyhour_store::{BlockRows, Grain, JudgedWindow, SlotDetail, Telemetry};

use crate::fixtures::{
    ALWAYS, DAY, EVER, HOUR, MINUTE, NOW, all_slots, all_windows, at, block, block_of, delays,
    judged, slot_of, window,
};
use crate::settlement::{lossy, of_reports, of_windows, report};
use crate::stores::Store;

on_every_store! {
    what_was_not_asked_for_of_a_slot_is_empty_and_the_rest_is_whole
    hours_are_the_sums_of_their_quarters
    an_hour_that_a_span_cuts_is_in_it_when_it_begins_in_it
    slots_are_handed_out_once_and_each_paths_in_the_order_of_time
    slots_in_short_are_what_whole_ones_say
    figures_of_one_path_are_those_of_its_slots
    tallies_are_the_counts_of_slots
    figures_handed_out_by_themselves_are_those_of_slots
    judging_again_counts_what_the_other_table_says_of_each_window
    judging_again_is_for_the_paths_and_times_that_were_asked_for
    what_was_judged_again_is_marked_and_the_second_time_nothing_changes
    a_settled_slot_is_judged_again_as_any_other
}

const DETAILS: [SlotDetail; 4] =
    [SlotDetail::Counts, SlotDetail::Figures, SlotDetail::Sketches, SlotDetail::All];
const GRAINS: [Grain; 2] = [Grain::Quarter, Grain::Hour];

/// Limits that the windows below often break.
static STRICT: LimitTable = LimitTable {
    version: LimitsVersion(7),
    loss_ppm: 1_000,
    rtt_us: 60_000,
    jitter_us: 15_000,
    ..LIMITS[0]
};

fn strict(_: RequirementProfile) -> Option<&'static LimitTable> {
    Some(&STRICT)
}

/// A window that is like no other: any limit may be broken.
fn varied(target: &str, seed: u64) -> Window {
    let mut random = fastrand::Rng::with_seed(seed);
    let lost = if random.bool() { 0 } else { random.u32(0..40) };
    let parts = window(target, seed, lost).into_parts();
    let rtt = delays(seed, u64::from(750 - lost), random.u32(10_000..140_000));
    let mean_us = random.u32(100..40_000);
    Window::new(WindowParts {
        rtt_median_us: rtt.quantile(0.5),
        rtt,
        up_jitter: Some(Jitter { mean_us, max_us: mean_us * 2 }),
        ..parts
    })
    .unwrap()
}

/// Two paths over two weeks of quarter-hours: most of them early, some late.
fn two_weeks() -> Vec<BlockRows> {
    let window = |seed: u64| {
        let target = ["edge:862", "far:862"][(seed % 2) as usize];
        let day = [0, 0, 1, 6, 7, 9][(seed % 6) as usize];
        let minutes = (seed * 7_919) % (15 * 60);
        judged(varied(target, seed), at(NOW, day * DAY + minutes as i64 * MINUTE))
    };
    let block = |number: u64| {
        let windows = (number * 40..number * 40 + 40).map(window).collect();
        BlockRows { windows, ..block(number) }
    };
    (1..=6).map(block).collect()
}

fn filled<S: Store>() -> S {
    let engine = S::new();
    for block in two_weeks() {
        engine.telemetry().append(&[block]).unwrap();
    }
    // What is settled after it was folded has to be in every part of a slot.
    engine.telemetry().append(&[of_windows(20, &[lossy(0, 10), lossy(1, 10)])]).unwrap();
    engine.telemetry().append(&[of_reports(21, &[report(0, &[(5, 11)])])]).unwrap();
    engine
}

fn paths(store: &dyn Telemetry) -> Vec<PathId> {
    store.paths(None).unwrap().iter().map(|path| path.id).collect()
}

/// What is handed out, by path in the order in which it came.
fn visited(
    store: &dyn Telemetry,
    span: (SlotStart, SlotStart),
    grain: Grain,
    detail: SlotDetail,
) -> BTreeMap<PathId, Vec<Slot>> {
    let mut found: BTreeMap<PathId, Vec<Slot>> = BTreeMap::new();
    store
        .visit_slots(&paths(store), span, grain, detail, &mut |path, slot| {
            found.entry(path).or_default().push(slot.clone());
        })
        .unwrap();
    found
}

/// What is handed over in short, by path.
fn in_short(
    store: &dyn Telemetry,
    paths: &[PathId],
    span: (SlotStart, SlotStart),
) -> BTreeMap<PathId, Vec<SlotGist>> {
    let mut found: BTreeMap<PathId, Vec<SlotGist>> = BTreeMap::new();
    store
        .take_gists(paths, span, &mut |path, gists| found.entry(path).or_default().extend(gists))
        .unwrap();
    found
}

/// All there is, and parts of it: days, hours that end within six of them, a week from its middle on.
fn spans() -> Vec<(SlotStart, SlotStart)> {
    let parts =
        [(0, 96), (-8, 88), (3, 5), (7, 40), (300, 960), (500, 500), (90, 10), (2_000, 2_096)];
    let first = slot_of(NOW);
    let parts = parts.map(|(from, until)| (first.offset(from), first.offset(until)));
    std::iter::once(EVER).chain(parts).collect()
}

fn slots_in_short_are_what_whole_ones_say<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    for span in spans() {
        let whole = visited(store, span, Grain::Quarter, SlotDetail::Figures);
        let expected: BTreeMap<PathId, Vec<SlotGist>> = whole
            .into_iter()
            .map(|(path, slots)| (path, slots.iter().map(SlotGist::of).collect()))
            .collect();
        assert_eq!(in_short(store, &paths(store), span), expected, "{span:?}");
    }
    let twice = [paths(store), paths(store)].concat();
    assert_eq!(in_short(store, &twice, EVER).len(), paths(store).len());
    assert!(in_short(store, &[], EVER).is_empty());
}

fn figures_of_one_path_are_those_of_its_slots<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    let whole = visited(store, EVER, Grain::Quarter, SlotDetail::Figures);
    for span in spans() {
        for (path, slots) in &whole {
            let within = slots.iter().filter(|slot| span.0 <= slot.start && slot.start < span.1);
            let windows = |slot: &Slot| {
                let windows = slot.figures.combinations().iter();
                windows.map(|&(combination, n)| (slot.start, combination, n)).collect::<Vec<_>>()
            };
            let expected: BTreeSet<_> = within.flat_map(windows).collect();
            let mut seen = Vec::new();
            let mut see = |of, start, combination, n| {
                assert_eq!(of, *path);
                seen.push((start, combination, n));
            };
            store.visit_figures(&[*path], span, &mut see).unwrap();
            assert_eq!(seen.len(), expected.len(), "{span:?}");
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected, "{span:?}");
        }
    }
}

fn what_was_not_asked_for_of_a_slot_is_empty_and_the_rest_is_whole<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    for grain in GRAINS {
        let whole = visited(store, EVER, grain, SlotDetail::All);
        assert!(whole.values().flatten().any(|slot| slot.figures != Figures::new()));
        assert!(whole.values().flatten().any(|slot| !slot.up_variation_us.is_empty()));
        for detail in DETAILS {
            let figures = matches!(detail, SlotDetail::Figures | SlotDetail::All);
            let sketches = matches!(detail, SlotDetail::Sketches | SlotDetail::All);
            let expected = |slot: &Slot| {
                let mut slot = slot.clone();
                if !figures {
                    slot.figures = Figures::new();
                }
                if !sketches {
                    slot.rtt_us = Histogram::new();
                    slot.up_variation_us = Histogram::new();
                    slot.down_variation_us = Histogram::new();
                }
                slot
            };
            let expected: BTreeMap<PathId, Vec<Slot>> = whole
                .iter()
                .map(|(path, slots)| (*path, slots.iter().map(expected).collect()))
                .collect();
            assert_eq!(visited(store, EVER, grain, detail), expected, "{grain:?} {detail:?}");
        }
    }
}

fn hours_are_the_sums_of_their_quarters<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    let quarters = visited(store, EVER, Grain::Quarter, SlotDetail::All);
    let hours = visited(store, EVER, Grain::Hour, SlotDetail::All);
    let sums: BTreeMap<_, _> =
        quarters.iter().map(|(path, slots)| (*path, merge_hours(slots))).collect();
    assert_eq!(hours, sums);
    let count = |of: &BTreeMap<PathId, Vec<Slot>>| of.values().flatten().count();
    assert!(count(&hours) * 2 < count(&quarters), "hours have several quarters");
}

fn an_hour_that_a_span_cuts_is_in_it_when_it_begins_in_it<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let moments: Vec<_> = (0..12).map(|quarter| at(NOW, quarter * 15 * MINUTE)).collect();
    store.append(&[block_of(1, &moments)]).unwrap();
    let whole = visited(store, EVER, Grain::Hour, SlotDetail::All);
    let whole = whole.values().next().unwrap();
    assert_eq!(whole.iter().map(|hour| hour.valid).collect::<Vec<_>>(), [4, 4, 4]);
    for (from, until) in [(0, 12), (1, 9), (3, 5), (4, 5), (1, 4), (0, 1), (5, 5), (8, 4)] {
        let span = (slot_of(NOW).offset(from), slot_of(NOW).offset(until));
        let within = |hour: &&Slot| span.0 <= hour.start && hour.start < span.1;
        let expected: Vec<_> = whole.iter().filter(within).cloned().collect();
        let found = visited(store, span, Grain::Hour, SlotDetail::All);
        let found = found.into_values().next().unwrap_or_default();
        assert_eq!(found, expected, "{from}..{until}");
    }
}

fn slots_are_handed_out_once_and_each_paths_in_the_order_of_time<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    for grain in GRAINS {
        let found = visited(store, EVER, grain, SlotDetail::Counts);
        for slots in found.values() {
            assert!(slots.is_sorted_by(|a, b| a.start < b.start), "{grain:?}");
        }
        // A part of the time gives a part of the slots, wherever it is cut.
        for cut in [-3, 0, 1, 5, 95, 96, 97, 500, 672, 673, 900] {
            let cut = slot_of(NOW).offset(cut * if grain == Grain::Hour { 4 } else { 1 });
            let mut parts = visited(store, (EVER.0, cut), grain, SlotDetail::Counts);
            for (path, slots) in visited(store, (cut, EVER.1), grain, SlotDetail::Counts) {
                parts.entry(path).or_default().extend(slots);
            }
            assert_eq!(parts, found);
        }
    }
    let ids = paths(store);
    let asked = [ids[1], PathId(9_999), ids[0], ids[1]];
    let mut count = 0;
    store
        .visit_slots(&asked, EVER, Grain::Quarter, SlotDetail::Counts, &mut |_, _| count += 1)
        .unwrap();
    assert_eq!(count, all_slots(store).len());
    let mut nothing = |path: PathId, slot: &Slot| panic!("{path:?} {slot:?}");
    store.visit_slots(&[], EVER, Grain::Hour, SlotDetail::All, &mut nothing).unwrap();
    let backwards = (EVER.1, EVER.0);
    store.visit_slots(&ids, backwards, Grain::Quarter, SlotDetail::All, &mut nothing).unwrap();
}

/// Of each slot valid and bad windows, where there are any, as tallies tell it.
fn tallied(
    store: &dyn Telemetry,
    paths: &[PathId],
    span: (SlotStart, SlotStart),
) -> BTreeMap<(PathId, SlotStart), (u32, u32)> {
    let mut found = BTreeMap::new();
    store
        .visit_tallies(paths, span, &mut |day| {
            assert!(!day.slots.is_empty() && day.slots.len() <= 96);
            for (at, &counts) in (0..).zip(day.slots) {
                let start = day.first.offset(at);
                assert!(span.0 <= start && start < span.1, "{start:?}");
                let before = found.insert((day.path, start), counts);
                assert_eq!(before, None, "each slot once");
            }
        })
        .unwrap();
    found.retain(|_, counts| *counts != (0, 0));
    found
}

fn figures_handed_out_by_themselves_are_those_of_slots<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    let ids = paths(store);
    let asked = [ids[1], PathId(9_999), ids[0], ids[1]];
    for (from, until) in [(-9_999, 9_999), (0, 96), (1, 2), (30, 500), (671, 673), (40, 40)] {
        let span = (slot_of(NOW).offset(from), slot_of(NOW).offset(until));
        let mut alone = BTreeMap::new();
        store
            .visit_figures(&asked, span, &mut |path, start, combination, n| {
                *alone.entry((path, start, combination)).or_insert(0) += n;
            })
            .unwrap();
        let mut whole = BTreeMap::new();
        for (path, slot) in store.slots(&ids, span.0, span.1).unwrap() {
            for &(combination, n) in slot.figures.combinations() {
                *whole.entry((path, slot.start, combination)).or_insert(0) += n;
            }
        }
        assert_eq!(alone, whole, "{from}..{until}");
        assert!(!alone.is_empty() || until - from < 2 || from > 500, "{from}..{until}");
    }
}

fn tallies_are_the_counts_of_slots<S: Store>() {
    let mut engine = filled::<S>();
    for (round, table) in [LIMITS[0], STRICT].into_iter().enumerate() {
        let store = engine.telemetry();
        let ids = paths(store);
        let asked = [ids[1], PathId(9_999), ids[0], ids[1]];
        for (from, until) in [(-9_999, 9_999), (0, 96), (1, 2), (30, 500), (671, 673), (40, 40)] {
            let span = (slot_of(NOW).offset(from), slot_of(NOW).offset(until));
            let slots = store.slots(&ids, span.0, span.1).unwrap().into_iter();
            let slots = slots.map(|(path, slot)| ((path, slot.start), (slot.valid, slot.bad)));
            let slots: BTreeMap<_, _> = slots.filter(|(_, counts)| *counts != (0, 0)).collect();
            assert_eq!(tallied(store, &asked, span), slots, "{from}..{until}");
        }
        let whole = tallied(store, &ids, EVER);
        assert!(whole.len() > 50 && whole.values().any(|counts| counts.1 > 0));
        // Windows that come later, and those that are judged again, are in them.
        if round == 0 {
            store.rejudge(EVER, &strict).unwrap();
            assert_ne!(tallied(store, &ids, EVER), whole, "by {:?}", table.version);
            store.append(&[block_of(30, &[NOW, at(NOW, 9 * DAY)])]).unwrap();
        }
        engine = engine.reopen();
    }
}

/// Slots as they would be had each window been judged by the table to which `table` points.
fn counted_by<'t>(
    store: &dyn Telemetry,
    table: impl Fn(PathId, UtcMicros) -> &'t LimitTable,
) -> Vec<(PathId, Slot)> {
    let expected: BTreeMap<_, _> =
        all_slots(store).iter().map(|(path, slot)| ((*path, slot.start), slot.expected)).collect();
    let mut slots: BTreeMap<(PathId, SlotStart), Slot> = BTreeMap::new();
    for (path, stored) in all_windows(store) {
        let JudgedWindow { placed, window, .. } = stored.judged;
        let (table, start) = (table(path, placed), slot_of(placed));
        let slot = slots.entry((path, start)).or_insert_with(|| Slot::new(start, table.version));
        slot.expected = expected[&(path, start)];
        slot.add(placed, &window, &table.judge(&window));
    }
    slots.into_iter().map(|((path, _), slot)| (path, slot)).collect()
}

fn judging_again_counts_what_the_other_table_says_of_each_window<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    let before = all_slots(store);
    let expected = counted_by(store, |_, _| &STRICT);
    let bad = |slots: &[(PathId, Slot)]| slots.iter().map(|(_, slot)| slot.bad).sum::<u32>();
    assert!(bad(&expected) > bad(&before) + 10 && bad(&before) > 10, "the tables differ");
    assert_eq!(store.rejudge(EVER, &strict).unwrap(), before.len() as u64);
    assert_eq!(all_slots(store), expected);
    // Raw windows keep the verdict they were given.
    assert!(all_windows(store).iter().all(|(_, stored)| {
        stored.judged.limits == LimitsVersion(1)
            && stored.judged.verdict == LIMITS[0].judge(&stored.judged.window)
    }));
    let engine = engine.reopen();
    assert_eq!(all_slots(engine.telemetry()), expected);
}

fn judging_again_is_for_the_paths_and_times_that_were_asked_for<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let other = RequirementProfile::SiteEdgeToMicrosoftEdge;
    for mut block in two_weeks() {
        for judged in &mut block.windows {
            if judged.window.path.target.as_str() == "far:862" {
                judged.requirement = other;
            }
        }
        store.append(&[block]).unwrap();
    }
    let rows = store.paths(None).unwrap();
    let far = rows.iter().find(|row| row.requirement == other).unwrap().id;
    let span = (slot_of(at(NOW, 20 * MINUTE)), slot_of(at(NOW, 6 * DAY + 5 * HOUR)));
    let within = |moment| span.0 <= slot_of(moment) && slot_of(moment) < span.1;
    let expected = counted_by(store, |path, moment| match path == far && within(moment) {
        true => &STRICT,
        false => &LIMITS[0],
    });
    let changed = expected.iter().filter(|(_, slot)| slot.limits == STRICT.version).count();
    assert!(changed > 10 && changed * 2 < expected.len());
    let table = |of: RequirementProfile| (of == other).then_some(&STRICT);
    assert_eq!(store.rejudge(span, &table).unwrap(), changed as u64);
    assert_eq!(all_slots(store), expected);
}

fn what_was_judged_again_is_marked_and_the_second_time_nothing_changes<S: Store>() {
    let engine = filled::<S>();
    let store = engine.telemetry();
    let clear = || store.clear_dirty(&store.dirty_days(usize::MAX).unwrap()).unwrap();
    clear();
    let span = (slot_of(NOW), slot_of(at(NOW, DAY + DAY / 2)));
    assert!(store.rejudge(span, &strict).unwrap() > 0);
    let of_day = |slot: &Slot| slot.start.number().div_euclid(96);
    let days: BTreeSet<_> = all_slots(store)
        .iter()
        .filter(|(_, slot)| slot.limits == STRICT.version)
        .map(|(path, slot)| (of_day(slot), *path))
        .collect();
    let marked = || -> BTreeSet<_> {
        let days = store.dirty_days(usize::MAX).unwrap();
        days.iter().map(|day| (day.utc_day, day.path)).collect()
    };
    assert_eq!(marked(), days);
    assert!(days.len() > 2);
    let once = all_slots(store);
    clear();
    assert_eq!(store.rejudge(span, &strict).unwrap(), 0);
    assert_eq!((marked(), all_slots(store)), (BTreeSet::new(), once));
    // Under the first table everything is as it was, but for what is not in force any more.
    store.rejudge(EVER, &|_| Some(&LIMITS[0])).unwrap();
    assert_eq!(all_slots(store), counted_by(store, |_, _| &LIMITS[0]));
}

fn a_settled_slot_is_judged_again_as_any_other<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[of_windows(1, &[lossy(0, 10), lossy(1, 10), lossy(2, 0)])]).unwrap();
    store.append(&[of_reports(1, &[report(0, &[(5, 11)])])]).unwrap();
    let expected = counted_by(store, |_, _| &STRICT);
    store.rejudge(EVER, &strict).unwrap();
    assert_eq!(all_slots(store), expected);
    // And settled when it was judged again.
    store.append(&[of_reports(2, &[report(1, &[(5, 11)])])]).unwrap();
    assert_eq!(all_slots(store), counted_by(store, |_, _| &STRICT));
    let path = paths(store)[0];
    let windows = store.windows(path, ALWAYS.0, ALWAYS.1, 9).unwrap();
    assert_eq!(windows.iter().filter(|stored| stored.judged.window.settled).count(), 2);
}
