//! Losses of unknown direction and the session reports that settle them.

use busyhour_model::{
    AgentId, Body, BootId, BootMicros, Context, Figure, PacketCounts, Record, ScheduleRevision,
    SessionReport, SessionReportParts, Slot, Stamp, UtcMicros, Window, WindowParts,
};
use busyhour_store::{Appended, BlockRows, JudgedWindow, StoredWindow, Telemetry};
use proptest::prelude::*;

use crate::fixtures::{
    AGENT, ALWAYS, DAY, HOUR, MINUTE, NOW, RETENTION, all_slots, at, block, cases, judged,
    path_key, slot_of,
};
use crate::stores::Store;

on_every_store! {
    a_report_settles_a_window_whichever_of_them_comes_first
    settling_marks_the_day_to_be_judged_again
    what_is_delivered_again_settles_nothing_twice
    only_a_report_of_the_same_session_settles
    a_report_cannot_change_what_is_known
    an_outage_up_is_settled_by_the_first_report_after_it
    a_window_that_does_not_count_is_settled_and_its_slot_stays
    reports_are_kept_as_long_as_raw_windows
    the_order_of_windows_and_reports_does_not_matter
    an_agent_that_lies_can_only_name_a_direction
    what_one_append_compares_is_bounded
}

pub(crate) const REFLECTOR: AgentId = AgentId::from_u128(0xb2);
const SSID: u16 = 41;
const PACKETS: u32 = 750;

/// What is asked of a window: lost up, lost down, lost with direction unknown, settled.
type Losses = (u32, u32, u32, bool);

/// The numbers of the window that begins this many minutes after now.
fn first_sequence(minute: u32) -> u32 {
    (u32::MAX - 100).wrapping_add(minute * PACKETS)
}

/// A window of 750 packets of which two were lost up, three down and this many who knows where.
pub(crate) fn lossy(minute: u32, unknown: u32) -> JudgedWindow {
    let sent = PACKETS;
    let counts = PacketCounts::new(sent, sent, [2, 3, unknown], 0, 0).unwrap();
    let window = Window::new(WindowParts {
        ssid: SSID,
        first_sequence: first_sequence(minute),
        sequences: sent,
        ..WindowParts::new(path_key("edge:862"), 50, counts)
    });
    judged(window.unwrap(), at(NOW, i64::from(minute) * MINUTE))
}

/// What the reflector received of the session in this minute: all but these ranges, counted from the
/// window's first number.
pub(crate) fn report(minute: u32, missing: &[(u32, u32)]) -> Record {
    let first = first_sequence(minute);
    let lost: u32 = missing.iter().map(|(from, to)| to - from + 1).sum();
    let ranges =
        missing.iter().map(|&(from, to)| (first.wrapping_add(from), first.wrapping_add(to)));
    let started = at(NOW, i64::from(minute) * MINUTE);
    let report = SessionReport::new(SessionReportParts {
        listen: "192.0.2.7:862".parse().unwrap(),
        peer: "198.51.100.4:50003".parse().unwrap(),
        ssid: SSID,
        first_sequence: first,
        last_sequence: first.wrapping_add(PACKETS - 1),
        received: PACKETS - lost,
        missing: ranges.collect(),
        missing_cut: false,
        first_sent_ns: started.0 * 1_000,
        last_sent_ns: at(started, 14_980_000).0 * 1_000,
        dropped: 0,
    });
    Record {
        stamp: Stamp::new(started, BootMicros(1), BootId::from_u128(9), 18_000_000).unwrap(),
        schedule: ScheduleRevision(3),
        context: Context::default(),
        body: Body::SessionReport(Box::new(report.unwrap())),
    }
}

fn changed(record: &Record, change: impl FnOnce(&mut SessionReportParts)) -> Record {
    let Body::SessionReport(report) = &record.body else { panic!("{record:?}") };
    let mut parts = report.clone().into_parts();
    change(&mut parts);
    let body = Body::SessionReport(Box::new(SessionReport::new(parts).unwrap()));
    Record { body, ..record.clone() }
}

pub(crate) fn of_windows(number: u64, windows: &[JudgedWindow]) -> BlockRows {
    BlockRows { windows: windows.to_vec(), ..block(number) }
}

pub(crate) fn of_reports(number: u64, reports: &[Record]) -> BlockRows {
    BlockRows { agent: REFLECTOR, others: reports.to_vec(), ..block(number) }
}

fn windows(store: &dyn Telemetry) -> Vec<StoredWindow> {
    let Some(path) = store.paths(None).unwrap().first().map(|path| path.id) else {
        return Vec::new();
    };
    store.windows(path, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap()
}

fn losses(store: &dyn Telemetry) -> Vec<Losses> {
    let of = |stored: &StoredWindow| {
        let window = &stored.judged.window;
        let counts = window.counts;
        (counts.lost_up(), counts.lost_down(), counts.lost_unknown(), window.settled)
    };
    windows(store).iter().map(of).collect()
}

fn slot_losses(store: &dyn Telemetry) -> (u64, u64, u64) {
    let slot = all_slots(store)[0].1.clone();
    (slot.lost_up, slot.lost_down, slot.lost_unknown)
}

fn a_report_settles_a_window_whichever_of_them_comes_first<S: Store>() {
    let window = of_windows(1, &[lossy(0, 10)]);
    let report = of_reports(1, &[report(0, &[(5, 5), (700, 705)])]);
    let both = [window, report];
    let [window, report] = &both;
    let reversed = [report.clone(), window.clone()];
    let orders: [&[&[BlockRows]]; 4] =
        [&[&both], &[&reversed], &[&both[..1], &both[1..]], &[&both[1..], &both[..1]]];
    for order in orders {
        let engine = S::new();
        let store = engine.telemetry();
        for blocks in order {
            assert!(store.append(blocks).unwrap().iter().all(|one| *one == Appended::Stored));
        }
        assert_eq!(losses(store), [(7, 8, 0, true)]);
        assert_eq!(slot_losses(store), (7, 8, 0));
        assert_eq!(store.totals().unwrap().windows, 1);
    }
}

fn settling_marks_the_day_to_be_judged_again<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[of_windows(1, &[lossy(0, 10)])]).unwrap();
    store.clear_dirty(&store.dirty_days(9).unwrap()).unwrap();
    store.append(&[of_reports(1, &[report(0, &[(5, 6)])])]).unwrap();
    assert_eq!(store.dirty_days(9).unwrap().len(), 1);
}

fn what_is_delivered_again_settles_nothing_twice<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let (window, report) = (lossy(0, 10), report(0, &[(5, 11)]));
    store.append(&[of_windows(1, std::slice::from_ref(&window))]).unwrap();
    store.append(&[of_reports(1, std::slice::from_ref(&report))]).unwrap();
    let before = (windows(store), all_slots(store));
    // The same blocks, and the same records in other blocks, as after a spool was rolled back.
    let later = at(NOW, MINUTE);
    for number in [1, 2] {
        let window = of_windows(number, std::slice::from_ref(&window));
        store.append(&[BlockRows { received: later, ..window }]).unwrap();
        let report = of_reports(number, std::slice::from_ref(&report));
        store.append(&[BlockRows { received: later, ..report }]).unwrap();
    }
    assert_eq!((windows(store), all_slots(store)), before);
    let engine = engine.reopen();
    assert_eq!((windows(engine.telemetry()), all_slots(engine.telemetry())), before);
}

fn only_a_report_of_the_same_session_settles<S: Store>() {
    type Change = fn(&mut SessionReportParts);
    let cases: [(&str, Change); 5] = [
        ("another address was asked", |report| report.listen = "192.0.2.8:862".parse().unwrap()),
        ("another identifier", |report| report.ssid += 1),
        ("another time", |report| {
            report.first_sent_ns -= 3_600_000_000_000;
            report.last_sent_ns -= 3_600_000_000_000;
        }),
        ("refused by a cap", |report| report.dropped = 1),
        ("other numbers", |report| {
            report.first_sequence = report.first_sequence.wrapping_add(1);
            report.last_sequence = report.last_sequence.wrapping_add(1);
        }),
    ];
    for (why, change) in cases {
        let engine = S::new();
        let store = engine.telemetry();
        let report = report(0, &[(5, 11)]);
        store.append(&[of_reports(1, &[changed(&report, change)])]).unwrap();
        store.append(&[of_windows(1, &[lossy(0, 10)])]).unwrap();
        assert_eq!(losses(store), [(2, 3, 10, false)], "{why}");
        assert_eq!(slot_losses(store), (2, 3, 10), "{why}");
        // What was of no help does not stand in the way of what is.
        let other = changed(&report, |report| report.first_sent_ns -= 1_000);
        store.append(&[of_reports(2, &[other])]).unwrap();
        assert_eq!(losses(store), [(7, 8, 0, true)], "{why}");
    }
}

fn a_report_cannot_change_what_is_known<S: Store>() {
    for missing in [&[][..], &[(0, 0)], &[(0, 12)]] {
        let engine = S::new();
        let store = engine.telemetry();
        store.append(&[of_windows(1, &[lossy(0, 10), lossy(1, 0)])]).unwrap();
        store.append(&[of_reports(1, &[report(0, missing), report(1, &[(0, 500)])])]).unwrap();
        assert_eq!(losses(store), [(2, 3, 10, false), (2, 3, 0, false)], "{missing:?}");
    }
}

/// A window whose packets were all lost, nobody knows where.
fn lost(minute: u32) -> JudgedWindow {
    let mut window = lossy(minute, 0);
    let counts = PacketCounts::new(PACKETS, PACKETS, [0, 0, PACKETS], 0, 0).unwrap();
    let parts = WindowParts { counts, ..window.window.into_parts() };
    window.window = Window::new(parts).unwrap();
    window
}

/// What the reflector says when it hears again after so many minutes of nothing.
fn report_after(minutes: u32) -> Record {
    changed(&report(minutes, &[]), |report| {
        let first = first_sequence(0);
        report.first_sequence = first;
        report.missing = vec![(first, first.wrapping_add(minutes * PACKETS - 1))];
        report.first_sent_ns = at(NOW, -MINUTE).0 * 1_000;
    })
}

/// One report after an outage covers the windows that it lasted, in a session whose numbers go on.
fn an_outage_up_is_settled_by_the_first_report_after_it<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[of_windows(1, &(0..40).map(lost).collect::<Vec<_>>())]).unwrap();
    store.append(&[of_reports(1, &[report_after(40)])]).unwrap();
    assert_eq!(losses(store), vec![(PACKETS, 0, 0, true); 40]);
    assert!(all_slots(store).iter().all(|(_, slot)| slot.lost_unknown == 0 && slot.lost_down == 0));
}

fn a_window_that_does_not_count_is_settled_and_its_slot_stays<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let mut window = lossy(0, 10);
    window.verdict.valid = false;
    store.append(&[of_windows(1, &[window]), of_reports(1, &[report(0, &[(5, 11)])])]).unwrap();
    assert_eq!(losses(store), [(7, 8, 0, true)]);
    assert_eq!(slot_losses(store), (0, 0, 0));
}

fn reports_are_kept_as_long_as_raw_windows<S: Store>() {
    let raw_days = i64::from(RETENTION.windows_days) * DAY;
    let settles_after = |pruned: UtcMicros| {
        let engine = S::new();
        let store = engine.telemetry();
        store.append(&[of_reports(1, &[report(0, &[(5, 11)])])]).unwrap();
        let rows = store.prune(pruned).unwrap();
        store.append(&[of_windows(1, &[lossy(0, 10)])]).unwrap();
        (rows, losses(store)[0].3)
    };
    assert_eq!(settles_after(at(NOW, raw_days - HOUR)), (0, true));
    assert_eq!(settles_after(at(NOW, raw_days + HOUR)), (1, false));

    // One that comes too late is not kept either, and a window that went is not looked for.
    let engine = S::new();
    let store = engine.telemetry();
    let late = at(NOW, raw_days + DAY);
    store.append(&[of_windows(1, &[lossy(0, 10)])]).unwrap();
    store.prune(late).unwrap();
    let report = of_reports(1, &[report(0, &[(5, 11)])]);
    store.append(&[BlockRows { received: late, ..report }]).unwrap();
    assert_eq!((windows(store), slot_losses(store)), (vec![], (2, 3, 10)));
    store.append(&[of_windows(2, &[lossy(0, 10)])]).unwrap();
    assert_eq!(losses(store), [(2, 3, 10, false)]);
}

fn the_order_of_windows_and_reports_does_not_matter<S: Store>() {
    let unknown = prop::collection::vec(0_u32..20, 1..20);
    let reported = prop::collection::vec((any::<bool>(), 0_u32..22), 20);
    let cuts = prop::collection::vec(1_usize..6, 1..12);
    proptest!(cases(12), |(unknown in unknown, reported in reported, seed: u64, cuts in cuts)| {
        let mut blocks = Vec::new();
        let mut expected = Vec::new();
        for ((minute, &unknown), &(said, lost_up)) in (0..).zip(&unknown).zip(&reported) {
            blocks.push(of_windows(u64::from(minute) + 1, &[lossy(minute, unknown)]));
            let possible = said && unknown > 0 && (2..=2 + unknown).contains(&lost_up);
            expected.push(if possible {
                (lost_up, 3 + unknown - (lost_up - 2), 0, true)
            } else {
                (2, 3, unknown, false)
            });
            if said {
                let missing: Vec<_> = (0..lost_up).map(|n| (n * 30, n * 30)).collect();
                blocks.push(of_reports(u64::from(minute) + 1, &[report(minute, &missing)]));
            }
        }
        fastrand::Rng::with_seed(seed).shuffle(&mut blocks);
        let engine = S::new();
        let store = engine.telemetry();
        let mut rest = blocks.as_slice();
        for cut in cuts.into_iter().chain([blocks.len()]) {
            let (some, more) = rest.split_at(cut.min(rest.len()));
            store.append(some).unwrap();
            rest = more;
        }
        prop_assert_eq!(losses(store), expected);
        // Slots and windows agree.
        for (_, slot) in all_slots(store) {
            let of_slot = windows(store);
            let of_slot = of_slot.iter().filter(|w| slot_of(w.judged.placed) == slot.start);
            let sum = |lost: fn(&PacketCounts) -> u32| -> u64 {
                of_slot.clone().map(|w| u64::from(lost(&w.judged.window.counts))).sum()
            };
            prop_assert_eq!(
                (slot.lost_up, slot.lost_down, slot.lost_unknown),
                (
                    sum(PacketCounts::lost_up),
                    sum(PacketCounts::lost_down),
                    sum(PacketCounts::lost_unknown)
                ),
            );
        }
    });
}

fn an_agent_that_lies_can_only_name_a_direction<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    let liar = BlockRows { agent: AGENT, ..of_reports(7, &[report(0, &[(0, 11)])]) };
    store.append(&[liar, of_windows(1, &[lossy(0, 10)])]).unwrap();
    let stored = windows(store).remove(0).judged;
    let honest = lossy(0, 10);
    assert_eq!(losses(store), [(12, 3, 0, true)]);
    assert_eq!(stored.window.counts.lost(), honest.window.counts.lost());
    assert_eq!(stored.verdict, honest.verdict);
    let slot = all_slots(store).remove(0).1;
    let mut told = Slot::new(slot.start, stored.limits);
    told.expected = slot.expected;
    told.add(honest.placed, &honest.window, &honest.verdict);
    assert_eq!((slot.lost(), slot.bad, slot.bad_by), (told.lost(), told.bad, told.bad_by));
    assert_eq!((slot.sent, slot.valid), (told.sent, told.valid));
    let loss = |slot: &Slot| slot.figures.marginal(Figure::Loss);
    assert_eq!(loss(&slot), loss(&told));
}

fn what_one_append_compares_is_bounded<S: Store>() {
    let engine = S::new();
    let store = engine.telemetry();
    store.append(&[of_windows(1, &(0..520).map(lost).collect::<Vec<_>>())]).unwrap();
    store.append(&[of_reports(1, &[report_after(520)])]).unwrap();
    let settled = losses(store).iter().filter(|losses| losses.3).count();
    assert_eq!(settled, 512, "the earliest");
    assert_eq!(losses(store)[512..], vec![(0, 0, PACKETS, false); 8]);

    let helps_among = |useless: i64| {
        let engine = S::new();
        let store = engine.telemetry();
        let report = report(0, &[(5, 11)]);
        let useless = (0..useless).map(|n| {
            changed(&report, |report| {
                report.dropped = 1;
                report.last_sent_ns -= 1_000 * (n + 1);
            })
        });
        store.append(&[of_reports(1, &useless.collect::<Vec<_>>())]).unwrap();
        store.append(&[of_reports(2, &[report]), of_windows(1, &[lossy(0, 10)])]).unwrap();
        losses(store)[0].3
    };
    assert!(helps_among(63));
    assert!(!helps_among(64));
}
