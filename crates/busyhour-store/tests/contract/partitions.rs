//! What the embedded engine adds: a journal that is folded into files of days, and what becomes of both
//! when they are cut short, damaged, full or held.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use busyhour_model::{Body, Record};
use busyhour_store::{
    Appended, BlockRows, ErrorKind, FoldOptions, OpenError, SqliteControl, SqliteTelemetry,
    Telemetry, check, open, open_with,
};
use tempfile::TempDir;

use crate::fixtures::{
    AGENT, ALWAYS, DAY, EVER, Engine, HOUR, MINUTE, NOW, RETENTION, all_others, all_slots,
    all_windows, at, block_of, contents, every_kind,
};
use crate::settlement::{REFLECTOR, lossy, of_reports, of_windows, report};
use crate::stores::{InTheJournal, Store as _};

const NEVER: FoldOptions = FoldOptions { after_bytes: usize::MAX, after: Duration::MAX };

fn opened(directory: &Path) -> (SqliteTelemetry, SqliteControl) {
    open_with(directory, RETENTION, NEVER).unwrap()
}

/// A block with something of every kind, on two days of two weeks.
fn full(number: u64) -> BlockRows {
    let minute = number as i64 * MINUTE;
    let moments = [at(NOW, minute), at(NOW, 6 * DAY + minute), at(NOW, 7 * DAY + minute)];
    let others = moments.iter().flat_map(|&moment| every_kind(moment));
    BlockRows { others: others.map(|(_, record)| record).collect(), ..block_of(number, &moments) }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy of a data directory that nobody has open.
fn copied(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    copy(from, to.path());
    to
}

/// The files of days, within the directory.
fn partitions(directory: &Path) -> BTreeSet<PathBuf> {
    let folders = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let databases = files.filter(|path| path.extension().is_some_and(|kind| kind == "db"));
    databases.map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect()
}

#[test]
fn what_was_folded_and_what_was_not_are_one() {
    let directory = TempDir::new().unwrap();
    let straight = InTheJournal::new();
    for number in 1..=12 {
        let (store, _control) = opened(directory.path());
        store.append(&[full(number)]).unwrap();
        straight.telemetry().append(&[full(number)]).unwrap();
        assert_eq!(contents(&store), contents(straight.telemetry()));
        if number % 3 == 0 {
            store.fold().unwrap();
            assert_eq!(contents(&store), contents(straight.telemetry()));
        }
        // What is there already changes nothing, wherever it is.
        let again = BlockRows { epoch: busyhour_model::Epoch(number), ..block_of(1, &[]) };
        let windows = (1..=number).flat_map(|number| full(number).windows).collect();
        let (windows_before, slots) = (all_windows(&store), all_slots(&store));
        assert_eq!(
            store.append(&[BlockRows { windows, ..again.clone() }]).unwrap(),
            [Appended::Stored]
        );
        straight.telemetry().append(&[again]).unwrap();
        assert_eq!((all_windows(&store), all_slots(&store)), (windows_before, slots));
    }
    assert!(partitions(directory.path()).len() > 10);
}

#[test]
fn a_report_settles_a_window_wherever_either_of_them_is() {
    // Whether it is folded, and opened again, after the first and after the second of them.
    for plan in 0..32 {
        let directory = TempDir::new().unwrap();
        let plan = |bit: u32| plan & (1 << bit) != 0;
        let mut both =
            [of_windows(1, &[lossy(0, 10), lossy(1, 10)]), of_reports(1, &[report(0, &[(5, 11)])])];
        if plan(4) {
            both.reverse();
        }
        for (bit, block) in [(0, &both[0]), (2, &both[1])] {
            let (store, _control) = opened(directory.path());
            store.append(std::slice::from_ref(block)).unwrap();
            if plan(bit) {
                store.fold().unwrap();
            }
            if plan(bit + 1) {
                drop((store, _control));
                opened(directory.path());
            }
        }
        let (store, _control) = opened(directory.path());
        for _ in 0..2 {
            let windows = all_windows(&store);
            let settled: Vec<_> = windows.iter().map(|(_, w)| w.judged.window.settled).collect();
            assert_eq!(settled, [true, false]);
            let slot = all_slots(&store).remove(0).1;
            assert_eq!((slot.lost_up, slot.lost_down, slot.lost_unknown), (9, 11, 10));
            store.fold().unwrap();
        }
    }
}

#[test]
fn many_small_folds_leave_few_packs() {
    let engine = Engine::new();
    for number in 0..100 {
        let moment = at(NOW, (number as i64 * 37 % 100) * MINUTE);
        engine.telemetry.append(&[block_of(number, &[moment])]).unwrap();
        engine.telemetry.fold().unwrap();
    }
    let placed: Vec<_> =
        all_windows(&engine.telemetry).iter().map(|(_, w)| w.judged.placed).collect();
    assert_eq!(placed, (0..100).map(|n| at(NOW, n * MINUTE)).collect::<Vec<_>>());
    let Engine { telemetry, control, directory } = engine;
    drop((telemetry, control));
    let file = directory.path().join("windows/2026-09-21.db");
    let file = rusqlite::Connection::open(file).unwrap();
    let packs: i64 = file.query_row("SELECT count(*) FROM packs", [], |row| row.get(0)).unwrap();
    assert!((1..=8).contains(&packs), "{packs} packs");
}

#[test]
fn memory_is_bounded_by_folding_and_nothing_is_lost_by_it() {
    let (directory, straight) = (TempDir::new().unwrap(), InTheJournal::new());
    for (after_bytes, blocks) in [(0, 5), (10_000, 25), (60_000, 50)] {
        let options = FoldOptions { after_bytes, after: Duration::MAX };
        let (store, _control) = open_with(directory.path(), RETENTION, options).unwrap();
        let first = straight.telemetry().totals().unwrap().blocks;
        for number in first + 1..first + blocks {
            assert_eq!(store.append(&[full(number)]).unwrap(), [Appended::Stored]);
            straight.telemetry().append(&[full(number)]).unwrap();
        }
        assert_eq!(contents(&store), contents(straight.telemetry()));
    }
    assert!(partitions(directory.path()).len() > 10, "folded by itself");
}

/// Two folds. In between a directory as it was before the second one, with all that it would fold in the
/// journal, and one as it was after it.
fn around_a_fold() -> (TempDir, TempDir) {
    let directory = TempDir::new().unwrap();
    let (store, control) = opened(directory.path());
    for number in 1..=4 {
        store.append(&[full(number)]).unwrap();
    }
    store.append(&[of_windows(5, &[lossy(0, 10)])]).unwrap();
    store.fold().unwrap();
    for number in 6..=9 {
        store.append(&[full(number)]).unwrap();
    }
    let again = BlockRows { epoch: busyhour_model::Epoch(1), ..full(7) };
    store.append(&[again, of_reports(1, &[report(0, &[(5, 11)])])]).unwrap();
    drop((store, control));
    let before = copied(directory.path());
    let (store, control) = opened(directory.path());
    store.fold().unwrap();
    drop((store, control));
    (before, directory)
}

#[test]
fn a_fold_cut_short_anywhere_loses_nothing_and_takes_nothing_twice() {
    let (before, after) = around_a_fold();
    let files: Vec<_> = partitions(after.path()).into_iter().collect();
    let (store, control) = opened(after.path());
    let agents = [AGENT, REFLECTOR];
    let told = |store: &SqliteTelemetry| (contents(store), all_others(store, &agents));
    let expected = told(&store);
    drop((store, control));
    let mut random = fastrand::Rng::with_seed(3);
    for try_number in 0..24 {
        let directory = copied(before.path());
        // None, each alone, any, and all of them were folded when it was cut short.
        for (at, file) in files.iter().enumerate() {
            let folded = match try_number {
                0 => false,
                1 => true,
                only if only < files.len() + 2 => only == at + 2,
                _ => random.bool(),
            };
            if folded {
                fs::copy(after.path().join(file), directory.path().join(file)).unwrap();
            }
        }
        let (store, control) = opened(directory.path());
        assert_eq!(told(&store), expected, "before it is finished");
        if random.bool() {
            store.append(&[full(20)]).unwrap();
            store.append(&[full(20)]).unwrap();
        } else {
            store.fold().unwrap();
            assert_eq!(told(&store), expected, "when it is finished");
            store.append(&[full(20)]).unwrap();
        }
        let more = told(&store);
        store.fold().unwrap();
        assert_eq!(told(&store), more);
        drop((store, control));
        let (store, _control) = opened(directory.path());
        assert_eq!(told(&store), more);
        let ids: Vec<_> = store.paths(None).unwrap().iter().map(|path| path.id).collect();
        let windows = |slots: Vec<(_, busyhour_model::Slot)>| -> u32 {
            slots.iter().map(|(_, slot)| slot.valid + slot.invalid).sum()
        };
        let in_slots = windows(store.slots(&ids, EVER.0, EVER.1).unwrap());
        assert_eq!(u64::from(in_slots), store.totals().unwrap().windows);
    }
}

fn refusal(directory: &Path) -> OpenError {
    match open(directory, RETENTION) {
        Ok(_) => panic!("opened"),
        Err(refusal) => refusal,
    }
}

#[test]
fn a_head_that_is_older_than_its_partitions_is_refused() {
    let (before, after) = around_a_fold();
    // Another append after the copy, so that partitions have what the old head never knew.
    let (store, control) = opened(after.path());
    store.append(&[full(10)]).unwrap();
    store.fold().unwrap();
    drop((store, control));
    fs::copy(before.path().join("telemetry.db"), after.path().join("telemetry.db")).unwrap();
    let refused = refusal(after.path());
    assert!(matches!(refused, OpenError::Journal { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("check") && said.contains("restore"), "{said}");
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("older"), "{why}");
}

type Spoil = fn(&mut Vec<u8>);

const SPOILT: [(&str, Spoil); 4] = [
    ("rows", |bytes| bytes[8_192..].iter_mut().for_each(|byte| *byte ^= 0xa5)),
    ("everything", |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0xa5)),
    ("cut", |bytes| bytes.truncate(6_000)),
    ("emptied", Vec::clear),
];

/// The days, since 1970, of the Monday that begins the week of [`NOW`].
const MONDAY: i64 = NOW.0.div_euclid(DAY);

/// A store whose first file of a family is damaged, and what it held before, but for what was in that file.
struct Damaged {
    directory: TempDir,
    folder: &'static str,
    windows: usize,
    slots: usize,
    others: Vec<Vec<Record>>,
}

fn damage(folder: &'static str, spoil: Spoil) -> Damaged {
    let directory = TempDir::new().unwrap();
    let (store, control) = opened(directory.path());
    for number in 1..=6 {
        store.append(&[full(number)]).unwrap();
    }
    store.fold().unwrap();
    let lost = |here: bool, day: i64| here && day == MONDAY;
    let is = |name: &str| folder == name;
    let windows = all_windows(&store).into_iter();
    let windows =
        windows.filter(|(_, w)| !lost(is("windows"), w.judged.placed.0.div_euclid(DAY))).count();
    let slots = all_slots(&store).into_iter();
    let slots = slots
        .filter(|(_, slot)| !is("slots") || slot.start.number().div_euclid(96) >= MONDAY + 7)
        .count();
    let mut others = all_others(&store, &[AGENT]);
    others.iter_mut().flatten_lost(folder);
    drop((store, control));
    let file = directory.path().join(folder).join("2026-09-21.db");
    assert!(!file.with_extension("db-wal").exists(), "all is in the file");
    let mut bytes = fs::read(&file).unwrap();
    spoil(&mut bytes);
    fs::write(&file, bytes).unwrap();
    Damaged { directory, folder, windows, slots, others }
}

trait FlattenLost {
    fn flatten_lost(self, folder: &str);
}

impl<'r, I: Iterator<Item = &'r mut Vec<Record>>> FlattenLost for I {
    fn flatten_lost(self, folder: &str) {
        for records in self {
            records.retain(|record| {
                let holds = match &record.body {
                    Body::Check(_) => "checks",
                    Body::Fact(_) => "facts",
                    Body::Load(_) => "loads",
                    Body::Gap(_) => "gaps",
                    Body::Window(_) | Body::SessionReport(_) => "",
                };
                holds != folder || record.stamp.started.0.div_euclid(DAY) > MONDAY
            });
        }
    }
}

impl Damaged {
    #[track_caller]
    fn check_rest(&self, store: &SqliteTelemetry, more: usize) {
        assert_eq!(all_windows(store).len(), self.windows + 3 * more, "{}", self.folder);
        // The block that came later is in slots that are there, but for those that were lost.
        let slots = all_slots(store).len();
        assert!(slots == self.slots + if self.folder == "slots" { more * 2 } else { 0 }, "{slots}");
        let mut others = all_others(store, &[AGENT]);
        if more == 0 {
            assert_eq!(others, self.others, "{}", self.folder);
        }
        let count: usize = others.iter_mut().map(|records| records.len()).sum();
        let before: usize = self.others.iter().map(Vec::len).sum();
        assert_eq!(count, before + 12 * more, "{}", self.folder);
    }

    #[track_caller]
    fn check_told(&self, store: &SqliteTelemetry) {
        let told = store.damaged();
        assert_eq!(told.len(), 1, "{told:?}");
        let days = if self.folder == "slots" { 7 } else { 1 };
        assert_eq!(
            (told[0].holds, told[0].first_day, told[0].until_day),
            (self.folder, MONDAY, MONDAY + days)
        );
        assert!(!told[0].reason.is_empty());
        assert!(self.directory.path().join(&told[0].file).is_file(), "{:?}", told[0].file);
    }
}

#[test]
fn a_damaged_partition_is_set_aside_and_the_rest_serves() {
    for folder in ["windows", "slots", "checks", "facts", "loads", "gaps"] {
        for (how, spoil) in SPOILT {
            let damaged = damage(folder, spoil);
            let (store, control) = opened(damaged.directory.path());
            damaged.check_rest(&store, 0);
            damaged.check_told(&store);
            // New data of that day is taken.
            assert_eq!(store.append(&[full(7)]).unwrap(), [Appended::Stored], "{how}");
            damaged.check_rest(&store, 1);
            store.fold().unwrap();
            damaged.check_rest(&store, 1);
            drop((store, control));
            let (store, _control) = opened(damaged.directory.path());
            damaged.check_rest(&store, 1);
            damaged.check_told(&store);
        }
    }
}

#[test]
fn a_partition_that_folding_finds_damaged_is_set_aside() {
    for folder in ["windows", "slots", "checks", "facts", "loads", "gaps"] {
        let damaged = damage(folder, SPOILT[0].1);
        let (store, _control) = opened(damaged.directory.path());
        store.append(&[full(7)]).unwrap();
        store.fold().unwrap();
        damaged.check_rest(&store, 1);
        damaged.check_told(&store);
    }
}

/// A store that has files of every kind, those of hours too, closed.
fn with_hours() -> TempDir {
    let directory = TempDir::new().unwrap();
    let (store, control) = opened(directory.path());
    store.append(&[full(1)]).unwrap();
    let later = at(NOW, (i64::from(RETENTION.slots_days) + 7) * DAY);
    store.prune(later).unwrap();
    let others = every_kind(later).into_iter().map(|(_, record)| record).collect();
    let block = BlockRows { received: later, others, ..block_of(2, &[later]) };
    store.append(&[block]).unwrap();
    store.fold().unwrap();
    drop((store, control));
    directory
}

#[test]
fn a_partition_that_somebody_deleted_is_missed_until_its_note_is_deleted() {
    let whole = with_hours();
    let files = partitions(whole.path());
    let folders: BTreeSet<_> = files.iter().map(|file| file.parent().unwrap()).collect();
    assert_eq!(folders.len(), 7, "{folders:?}");
    for file in files {
        let directory = copied(whole.path());
        fs::remove_file(directory.path().join(&file)).unwrap();
        let report = check(directory.path(), &mut |_| {}).unwrap();
        let missing: Vec<_> =
            report.files.iter().filter(|found| !found.findings.is_empty()).collect();
        assert_eq!(missing.len(), 1, "{report:?}");
        assert_eq!(missing[0].file, file);
        assert!(missing[0].findings[0].contains("missing"), "{missing:?}");
        let told = |more: u64| {
            let (store, _control) = opened(directory.path());
            if more > 0 {
                let later = at(NOW, (i64::from(RETENTION.slots_days) + 7) * DAY);
                let block = BlockRows { received: later, ..block_of(2 + more, &[later]) };
                assert_eq!(store.append(&[block]).unwrap(), [Appended::Stored]);
                store.fold().unwrap();
            }
            store.damaged()
        };
        let first = told(1);
        let [one] = first.as_slice() else { panic!("{first:?}") };
        assert!(one.reason.contains(&*file.to_string_lossy()), "{one:?}");
        assert!(one.reason.contains("is missing") && one.reason.contains("backup"), "{one:?}");
        let folder = file.parent().unwrap().to_string_lossy();
        assert_eq!(one.holds, folder);
        // Also when its place was taken, and when the store is opened again.
        assert_eq!(told(2), first);
        let report = check(directory.path(), &mut |_| {}).unwrap();
        assert!(report.is_sound() && report.set_aside.len() == 1, "{report:?}");
        let note = directory.path().join(&one.file);
        fs::remove_file(&note).unwrap();
        assert_eq!(told(0), []);
        assert!(check(directory.path(), &mut |_| {}).unwrap().is_sound());
    }
}

#[test]
fn what_retention_deletes_is_not_missed() {
    let directory = with_hours();
    for days in [70, 100, 2_000] {
        let (store, control) = opened(directory.path());
        store.prune(at(NOW, days * DAY)).unwrap();
        drop((store, control));
        assert!(check(directory.path(), &mut |_| {}).unwrap().is_sound());
        let (store, _control) = opened(directory.path());
        assert_eq!(store.damaged(), []);
    }
    assert_eq!(partitions(directory.path()), BTreeSet::new());
}

#[test]
fn a_partition_that_was_put_back_is_read_again() {
    let directory = with_hours();
    let (store, control) = opened(directory.path());
    let before = contents(&store);
    drop((store, control));
    let place = directory.path().join(partitions(directory.path()).pop_first().unwrap());
    let kept = directory.path().join("kept");
    fs::rename(&place, &kept).unwrap();
    let (store, control) = opened(directory.path());
    let note = directory.path().join(&store.damaged()[0].file);
    drop((store, control));
    fs::rename(&kept, &place).unwrap();
    fs::remove_file(note).unwrap();
    let (store, _control) = opened(directory.path());
    assert_eq!((contents(&store), store.damaged()), (before, Vec::new()));
    assert!(partitions(directory.path()).len() > 6);
}

/// The statement takes rows that SQLite does not miss.
#[test]
fn rows_that_vanished_from_a_partition_are_told_when_it_is_read() {
    for (folder, statement) in [
        ("windows", "DELETE FROM packs"),
        ("checks", "UPDATE packs SET first_us = first_us + 1"),
        ("slots", "DELETE FROM counts WHERE id = (SELECT max(id) FROM counts)"),
        ("slots", "DELETE FROM tallies"),
    ] {
        let directory = with_hours();
        let file = partitions(directory.path()).into_iter().rfind(|file| file.starts_with(folder));
        let file = file.unwrap();
        let sql = rusqlite::Connection::open(directory.path().join(&file)).unwrap();
        assert!(sql.execute(statement, []).unwrap() > 0);
        drop(sql);
        let (store, _control) = opened(directory.path());
        drop((all_windows(&store), all_others(&store, &[AGENT]), all_slots(&store)));
        let told = store.damaged();
        assert_eq!(told.len(), 1, "{statement}: {told:?}");
        assert_eq!(told[0].file.with_extension(""), file);
        assert!(
            told[0].reason.contains("digest") || told[0].reason.contains("content"),
            "{told:?}"
        );
    }
}

/// One window's pack is in the table still, and the index does not lead to it any more.
#[test]
fn rows_that_an_index_lost_are_told_when_they_are_read() {
    let directory = with_hours();
    let file = directory.path().join("windows/2026-11-27.db");
    let mut bytes = fs::read(&file).unwrap();
    let sql = rusqlite::Connection::open(&file).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'packs_of_subject'";
    let root: u32 = sql.query_row(root, [], |row| row.get(0)).unwrap();
    drop(sql);
    // A page begins with its kind, the first free block and, in two octets, how many cells it has
    // (https://sqlite.org/fileformat2.html#b_tree_pages).
    let cells = (root as usize - 1) * 4_096 + 3;
    assert_eq!(bytes[cells..cells + 2], [0, 1]);
    bytes[cells + 1] = 0;
    fs::write(&file, bytes).unwrap();
    let (store, _control) = opened(directory.path());
    assert_eq!(all_windows(&store), []);
    let told = store.damaged();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].holds, "windows");
}

#[test]
fn hours_that_are_damaged_are_set_aside_and_quarters_serve() {
    let directory = TempDir::new().unwrap();
    let (store, control) = opened(directory.path());
    store.append(&[full(1)]).unwrap();
    store.prune(at(NOW, (i64::from(RETENTION.slots_days) + 7) * DAY)).unwrap();
    drop((store, control));
    let file = directory.path().join("hours/2026-09-21.db");
    fs::write(&file, "no database").unwrap();
    let (store, _control) = opened(directory.path());
    let path = store.paths(None).unwrap()[0].id;
    let hours = || {
        let mut starts = Vec::new();
        let (grain, detail) = (busyhour_store::Grain::Hour, busyhour_store::SlotDetail::All);
        store
            .visit_slots(&[path], EVER, grain, detail, &mut |_, slot| {
                starts.push(slot.start.start());
            })
            .unwrap();
        starts
    };
    assert_eq!(hours(), [at(NOW, 7 * DAY)]);
    assert_eq!(store.damaged()[0].holds, "hours");
}

#[test]
fn appending_waits_for_room_and_goes_on_when_there_is_some() {
    let directory = TempDir::new().unwrap();
    let options = FoldOptions { after_bytes: 20_000, after: Duration::MAX };
    let (store, control) = open_with(directory.path(), RETENTION, options).unwrap();
    store.limit_size(160_000).unwrap();
    let block = |number: u64| {
        let moments: Vec<_> =
            (0..50).map(|n| at(NOW, (number as i64 * 50 + n) * 1_000_000)).collect();
        block_of(number, &moments)
    };
    let refused = (1..1_000).map(|number| (number, store.append(&[block(number)])));
    let (number, refused) = refused
        .map(|(number, answer)| (number, answer.err()))
        .find(|(_, error)| error.is_some())
        .unwrap();
    let refused = refused.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
    assert!(refused.to_string().contains("cannot be folded"), "{refused}");
    let whole = |store: &SqliteTelemetry, blocks: u64| {
        assert_eq!(all_windows(store).len() as u64, blocks * 50);
        let slots = all_slots(store);
        let valid: u64 = slots.iter().map(|(_, slot)| u64::from(slot.valid)).sum();
        assert_eq!((valid, store.totals().unwrap().windows), (blocks * 50, blocks * 50));
    };
    assert!(number > 10, "{number}");
    whole(&store, number - 1);
    assert_eq!(store.append(&[block(number)]).unwrap_err().kind(), ErrorKind::Full, "still");
    store.limit_size(u64::MAX).unwrap();
    assert_eq!(store.append(&[block(number)]).unwrap(), [Appended::Stored]);
    whole(&store, number);
    drop((store, control));
    let (store, _control) = opened(directory.path());
    whole(&store, number);
    store.fold().unwrap();
    whole(&store, number);
}

#[test]
fn while_a_backup_runs_nothing_moves_and_appends_go_on() {
    let directory = TempDir::new().unwrap();
    let (store, _control) = opened(directory.path());
    store.append(&[full(1)]).unwrap();
    store.fold().unwrap();
    let files = partitions(directory.path());
    let backup = File::open(directory.path().join("fold.lock")).unwrap();
    backup.lock_shared().unwrap();
    store.append(&[full(2)]).unwrap();
    let before = contents(&store);
    let busy = |error: busyhour_store::StoreError| {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
    };
    busy(store.fold().unwrap_err());
    busy(store.forget(AGENT).unwrap_err());
    busy(store.rejudge(EVER, &|_| None).unwrap_err());
    store.prune(at(NOW, 20 * DAY)).unwrap();
    assert_eq!((partitions(directory.path()), contents(&store)), (files.clone(), before));
    backup.unlock().unwrap();
    store.prune(at(NOW, 20 * DAY)).unwrap();
    assert!(partitions(directory.path()).len() < files.len());
    store.forget(AGENT).unwrap();
    assert_eq!(store.paths(None).unwrap(), []);
}

/// A path that was silent for years and is back: what the head says of it is old, the journal knows better.
#[test]
fn a_path_that_came_back_is_not_pruned_while_a_backup_runs() {
    let directory = TempDir::new().unwrap();
    let (store, control) = opened(directory.path());
    store.append(&[block_of(1, &[NOW])]).unwrap();
    store.fold().unwrap();
    let later = at(NOW, i64::from(RETENTION.hours_days + 1) * DAY);
    let backup = File::open(directory.path().join("fold.lock")).unwrap();
    backup.lock_shared().unwrap();
    store.append(&[BlockRows { received: later, ..block_of(2, &[later]) }]).unwrap();
    store.prune(at(later, HOUR)).unwrap();
    backup.unlock().unwrap();
    let path = store.paths(None).unwrap()[0].id;
    drop((store, control));
    let (store, _control) = opened(directory.path());
    assert_eq!(store.paths(None).unwrap()[0].id, path);
    assert_eq!(store.windows(path, later, ALWAYS.1, 9).unwrap().len(), 1);
}

#[test]
fn readers_see_whole_blocks_while_they_are_appended_and_folded() {
    let directory = TempDir::new().unwrap();
    let options = FoldOptions { after_bytes: 3_000, after: Duration::MAX };
    let (store, _control) = open_with(directory.path(), RETENTION, options).unwrap();
    store.append(&[full(1)]).unwrap();
    let path = store.paths(None).unwrap()[0].id;
    let store = &store;
    std::thread::scope(|scope| {
        for reader in 0..4 {
            scope.spawn(move || {
                let mut before = (0, 0);
                for _ in 0..40 {
                    let windows = store.windows(path, ALWAYS.0, at(NOW, DAY), 9_999).unwrap();
                    let slots = store.slots(&[path], EVER.0, EVER.1).unwrap();
                    let in_slots: u32 = slots.iter().map(|(_, slot)| slot.valid).sum();
                    assert!(windows.len() >= before.0 && in_slots >= before.1, "{reader}");
                    assert_eq!(in_slots % 3, 0, "{reader}: half a block");
                    before = (windows.len(), in_slots);
                }
            });
        }
        scope.spawn(|| {
            for number in 2..40 {
                store.append(&[full(number)]).unwrap();
            }
        });
    });
    assert_eq!(all_windows(store).len(), 39 * 3);
}
