//! Looking through a store, backing it up and getting it back.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use busyhour_model::{IncidentState, Scope, UtcMicros};
use busyhour_store::{
    Act, BackupError, BackupReport, BlockRows, CheckReport, Control, JudgeWrite, OpenError,
    Telemetry, Unfinished, backup, check, open, restore, thin_backups,
};
use jiff::civil::date;
use tempfile::TempDir;

use crate::fixtures::{
    DAY, Engine, MINUTE, NOW, RETENTION, at, block_of, building, contents, every_kind,
};
use crate::incidents::incident;
use crate::learned::{load, month, week};
use crate::verdicts::{HOME, day};

/// Two days, all kinds of record, in partitions and in the journal.
fn filled() -> Engine {
    let engine = Engine::new();
    engine
        .control
        .import_buildings(&[building("HQ", &["10.0.0.0/8"])], &Act::by_operator(NOW))
        .unwrap();
    append(&engine, 1, 0);
    append(&engine, 2, -DAY);
    engine.telemetry.fold().unwrap();
    append(&engine, 3, MINUTE);
    engine
}

fn append(engine: &Engine, number: u64, after: i64) {
    let moments: Vec<_> = (0..40).map(|n| at(NOW, after + n * MINUTE)).collect();
    let others = every_kind(at(NOW, after)).into_iter().map(|(_, record)| record).collect();
    let block = BlockRows { others, ..block_of(number, &moments) };
    engine.telemetry.append(&[block]).unwrap();
}

fn close(engine: Engine) -> TempDir {
    let Engine { telemetry, control, directory } = engine;
    drop((telemetry, control));
    directory
}

fn look(directory: &Path) -> CheckReport {
    check(directory, &mut |_| {}).unwrap()
}

/// Every file below the directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// The databases, which are what can be damaged.
fn databases(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(directory);
    found.retain(|path, _| path.extension().is_some_and(|end| end == "db"));
    found
}

fn take(engine: &Engine, to: &Path, hour: i64) -> Result<BackupReport, BackupError> {
    backup(engine.directory.path(), to, at(NOW, hour * 3_600_000_000), &mut |_| {})
}

fn restored(from: &Path) -> Engine {
    let directory = TempDir::new().unwrap();
    restore(from, directory.path(), &act(), &mut |_| {}).unwrap();
    let (telemetry, control) = open(directory.path(), RETENTION).unwrap();
    Engine { telemetry, control, directory }
}

fn act() -> Act {
    Act::by_operator(NOW)
}

#[test]
fn a_store_that_was_closed_is_sound_and_looking_changes_nothing() {
    let directory = close(filled());
    let before = files(directory.path());
    let mut steps = Vec::new();
    let report = check(directory.path(), &mut |now| {
        assert!(now.done_bytes < now.total_bytes);
        steps.push(now.file.to_owned());
    });
    let report = report.unwrap();
    assert!(report.is_sound(), "{report:?}");
    let looked: Vec<_> = report.files.iter().map(|file| file.file.clone()).collect();
    assert_eq!(looked, steps);
    assert_eq!(looked.len(), databases(directory.path()).len());
    assert!(report.files.iter().all(|file| file.size_bytes > 0));
    assert!(report.files.iter().map(|file| file.decoded).sum::<u64>() > 120);
    assert!(report.set_aside.is_empty() && report.unknown.is_empty(), "{report:?}");
    assert_eq!(files(directory.path()), before);
}

#[test]
fn what_is_judged_and_learned_is_decoded_when_it_is_looked_through() {
    let engine = Engine::new();
    let today = date(2026, 9, 21);
    let write = JudgeWrite {
        days: vec![day(Scope::Building(HOME), today)],
        incidents: vec![incident(1, IncidentState::Closed), incident(2, IncidentState::Open)],
        loads: vec![load(HOME, today, 9)],
        weeks: vec![week(HOME, today)],
        months: vec![month(1, today)],
        ..JudgeWrite::default()
    };
    engine.control.write_judgement(&write, NOW).unwrap();
    let directory = close(engine);
    let file = directory.path().join("control.db");
    let of_control = || {
        let files = look(directory.path()).files;
        files.into_iter().find(|found| found.file.as_os_str() == "control.db").unwrap()
    };
    let found = of_control();
    assert_eq!((found.decoded, found.findings), (6, vec![]));
    let whole = fs::read(&file).unwrap();
    for (damage, what) in [
        ("UPDATE days SET figures = x'01'", "stored verdict"),
        ("UPDATE incidents SET members = x'01' WHERE number = 1", "stored members of an incident"),
        ("UPDATE incidents SET figures = x'02'", "stored incident has layout 2"),
        ("UPDATE building_loads SET quarters = x'01ff'", "stored load of a building"),
        ("UPDATE working_weeks SET week = x''", "stored working week"),
        ("UPDATE series_months SET month = 'May'", "four digit year"),
    ] {
        fs::write(&file, &whole).unwrap();
        rusqlite::Connection::open(&file).unwrap().execute_batch(damage).unwrap();
        let findings = of_control().findings;
        assert!(findings.iter().any(|finding| finding.contains(what)), "{damage}: {findings:?}");
    }
}

#[test]
fn a_store_that_crashed_is_looked_through_with_its_logs_and_not_changed() {
    let engine = filled();
    let crashed = TempDir::new().unwrap();
    for (path, bytes) in files(engine.directory.path()) {
        let to = crashed.path().join(path.strip_prefix(engine.directory.path()).unwrap());
        if to.to_string_lossy().ends_with("-shm") {
            continue; // a power loss takes memory
        }
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    let before = files(crashed.path());
    assert!(before.contains_key(&crashed.path().join("telemetry.db-wal")));
    let report = look(crashed.path());
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(files(crashed.path()), before);
}

#[test]
fn a_running_collector_is_not_looked_through() {
    let engine = Engine::new();
    let refused = check(engine.directory.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    let nowhere = engine.directory.path().join("nowhere");
    let refused = check(&nowhere, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, OpenError::Directory { .. }), "{refused}");
    assert!(!nowhere.exists());
}

/// Damages the page of that number in every file that has it, looks, and gives the files in which
/// nothing was found.
fn unfound(
    directory: &Path,
    files: &BTreeMap<PathBuf, Vec<u8>>,
    page: usize,
    damage: impl Fn(&mut Vec<u8>, Range<usize>),
) -> Vec<PathBuf> {
    let has_page = |bytes: &[u8]| bytes.len() > page * page_bytes(bytes);
    let concerned: BTreeMap<_, _> = files.iter().filter(|(_, bytes)| has_page(bytes)).collect();
    for (path, bytes) in &concerned {
        let begin = page * page_bytes(bytes);
        let mut damaged = bytes.to_vec();
        damage(&mut damaged, begin..begin + page_bytes(bytes));
        fs::write(path, damaged).unwrap();
    }
    let report = look(directory);
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
    let of = |file: &PathBuf| {
        let found = report.files.iter().find(|found| directory.join(&found.file) == *file);
        found.unwrap().findings.is_empty()
    };
    for path in files.keys().filter(|path| !concerned.contains_key(path)) {
        assert!(of(path), "{path:?} was not touched");
    }
    concerned.into_keys().filter(|path| of(path)).cloned().collect()
}

/// As the header says (<https://sqlite.org/fileformat2.html>).
fn page_bytes(file: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([file[16], file[17]]))
}

#[test]
fn every_page_that_is_damaged_or_cut_off_is_told_with_its_file() {
    let directory = close(filled());
    let files = databases(directory.path());
    let pages = files.values().map(|bytes| bytes.len() / page_bytes(bytes)).max().unwrap();
    let mut free: BTreeMap<&PathBuf, i64> = BTreeMap::new();
    for path in files.keys() {
        let sql = rusqlite::Connection::open(path).unwrap();
        let count = sql.pragma_query_value(None, "freelist_count", |row| row.get(0));
        free.insert(path, count.unwrap());
    }
    for page in 0..pages {
        let cut = unfound(directory.path(), &files, page, |bytes, at| bytes.truncate(at.start));
        assert_eq!(cut, Vec::<PathBuf>::new(), "{page} pages");
        let lost = unfound(directory.path(), &files, page, |bytes, at| {
            bytes[at].iter_mut().for_each(|byte| *byte ^= 0x5a);
        });
        // What is free holds nothing.
        for path in lost {
            let left = free.get_mut(&path).unwrap();
            *left -= 1;
            assert!(*left >= 0, "page {page} of {path:?}");
        }
    }
    assert!(look(directory.path()).is_sound());
}

#[test]
fn a_row_that_changed_unnoticed_by_sqlite_is_told() {
    let directory = close(filled());
    let sql = rusqlite::Connection::open(directory.path().join("telemetry.db")).unwrap();
    sql.execute("UPDATE paths SET windows_per_slot = windows_per_slot + 1", []).unwrap();
    drop(sql);
    let report = look(directory.path());
    let findings: Vec<_> = report.files.iter().flat_map(|file| &file.findings).collect();
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert!(finding.contains("\"paths\" does not have the content"), "{finding}");
}

#[test]
fn a_control_database_that_changed_behind_the_collectors_back_is_refused() {
    let directory = close(filled());
    let sql = rusqlite::Connection::open(directory.path().join("control.db")).unwrap();
    sql.execute("UPDATE buildings SET city = 'Bremen'", []).unwrap();
    drop(sql);
    let Err(refused) = open(directory.path(), RETENTION) else { panic!("opened") };
    assert!(matches!(refused, OpenError::Journal { .. }), "{refused}");
    assert!(refused.to_string().contains("control.db"), "{refused}");
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("\"buildings\" does not have the content"), "{why}");
}

#[test]
fn a_store_that_was_never_made_or_restored_to_the_end_is_said_to_be_none() {
    let empty = TempDir::new().unwrap();
    let report = look(empty.path());
    assert_eq!((report.unfinished, report.is_sound()), (Some(Unfinished::Making), false));
    let directory = close(filled());
    assert_eq!(look(directory.path()).unfinished, None);
    let lock = directory.path().join("collector.lock");
    let mark = fs::read(&lock).unwrap();
    for cut in [0, mark.len() - 1] {
        fs::write(&lock, &mark[..cut]).unwrap();
        let report = look(directory.path());
        assert!(report.files.iter().all(|file| file.findings.is_empty()), "{report:?}");
        assert_eq!((report.unfinished, report.is_sound()), (Some(Unfinished::Making), false));
    }
    let said = Unfinished::Making.to_string();
    assert!(said.contains("a collector that starts") && said.contains("backup"), "{said}");
    fs::write(directory.path().join("restore.unfinished"), "").unwrap();
    let report = look(directory.path());
    assert_eq!((report.unfinished, report.is_sound()), (Some(Unfinished::Restoring), false));
    let said = Unfinished::Restoring.to_string();
    assert!(said.contains("restore it into an empty directory"), "{said}");
}

#[test]
fn a_lost_head_or_control_database_is_refused_and_not_made_anew() {
    for name in ["telemetry.db", "control.db"] {
        for emptied in [false, true] {
            let directory = close(filled());
            let file = directory.path().join(name);
            if emptied {
                fs::write(&file, "").unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
            let Err(refused) = open(directory.path(), RETENTION) else { panic!("opened") };
            assert!(matches!(refused, OpenError::Missing { .. }), "{refused}");
            assert!(refused.to_string().contains(name), "{refused}");
            assert!(!look(directory.path()).is_sound());
        }
    }
}

#[test]
fn a_backup_of_a_running_collector_comes_back_as_it_was() {
    let engine = filled();
    let kept = TempDir::new().unwrap();
    let report = take(&engine, kept.path(), 0).unwrap();
    assert!(report.directory.ends_with("2026-09-21T08-00-00Z"), "{report:?}");
    assert_eq!((report.unchanged, report.damaged.len()), (0, 0));
    let allowed = |path: &Path| fs::metadata(path).unwrap().permissions();
    assert_eq!(allowed(&report.directory), allowed(engine.directory.path()));
    let (then, buildings) = (contents(&engine.telemetry), engine.control.buildings().unwrap());
    append(&engine, 4, 2 * MINUTE);

    let again = restored(kept.path());
    assert_eq!(contents(&again.telemetry), then);
    assert_eq!(again.control.buildings().unwrap(), buildings);
    append(&again, 5, 3 * MINUTE);
    assert!(look(close(again).path()).is_sound());
}

#[test]
fn what_a_backup_holds_is_whole_while_blocks_come_and_are_folded() {
    let engine = filled();
    let kept = TempDir::new().unwrap();
    let done = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 10.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                append(&engine, number, (number as i64 % 1_000) * MINUTE);
                // Refused while a backup runs; then the journal grows.
                let _ = engine.telemetry.fold();
            }
        });
        let taken: Vec<_> =
            (0..4).map(|hour| take(&engine, kept.path(), hour).unwrap().directory).collect();
        done.store(true, Ordering::Relaxed);
        taken
    });
    for backup in taken {
        let again = restored(&backup);
        let totals = again.telemetry.totals().unwrap();
        assert_eq!(totals.windows, totals.blocks * 40);
        let stored = crate::fixtures::all_windows(&again.telemetry).len();
        let slots = crate::fixtures::all_slots(&again.telemetry);
        let in_slots: u64 =
            slots.iter().map(|(_, slot)| u64::from(slot.valid + slot.invalid)).sum();
        assert_eq!(stored as u64, in_slots);
        assert!(look(close(again).path()).is_sound());
    }
}

#[test]
fn a_second_backup_copies_only_what_changed() {
    let engine = filled();
    let kept = TempDir::new().unwrap();
    let first = take(&engine, kept.path(), 0).unwrap();
    let second = take(&engine, kept.path(), 1).unwrap();
    assert_eq!((second.copied, second.unchanged), (2, first.copied - 2), "the two heads");
    append(&engine, 4, 2 * MINUTE);
    engine.telemetry.fold().unwrap();
    let third = take(&engine, kept.path(), 2).unwrap();
    // Today's windows, slots and other records; yesterday's are as they were.
    assert!(third.copied > second.copied && third.unchanged > 0, "{third:?}");
    let then = contents(&engine.telemetry);
    // Each is whole without the others.
    assert_eq!(thin_backups(kept.path(), 1).unwrap(), 2);
    assert_eq!(contents(&restored(&third.directory).telemetry), then);
    assert_eq!(contents(&restored(kept.path()).telemetry), then);
}

#[test]
fn a_damaged_partition_is_told_and_the_backup_has_it_as_it_was_before() {
    let engine = filled();
    let then = contents(&engine.telemetry);
    let kept = TempDir::new().unwrap();
    take(&engine, kept.path(), 0).unwrap();
    let (path, bytes) = databases(&engine.directory.path().join("windows")).pop_first().unwrap();
    let damaged: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x5a).collect();
    fs::write(&path, damaged).unwrap();
    let second = take(&engine, kept.path(), 1).unwrap();
    let [found] = second.damaged.as_slice() else { panic!("{second:?}") };
    assert!(path.ends_with(&found.file), "{found:?}");
    assert_eq!(contents(&restored(kept.path()).telemetry), then);

    let elsewhere = TempDir::new().unwrap();
    let without = take(&engine, elsewhere.path(), 0).unwrap();
    assert_eq!(without.damaged.len(), 1);
    assert!(!without.directory.join(&found.file).exists());
    restored(elsewhere.path());
}

#[test]
fn a_damaged_head_makes_no_backup_and_keeps_the_one_before() {
    let directory = close(filled());
    let kept = TempDir::new().unwrap();
    let take =
        |hour: i64| backup(directory.path(), kept.path(), at(NOW, hour * 60 * MINUTE), &mut |_| {});
    take(0).unwrap();
    let file = directory.path().join("control.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[4_096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&file, bytes).unwrap();
    let refused = take(1).unwrap_err();
    assert!(
        matches!(&refused, BackupError::Damaged { file: named, .. } if *named == file),
        "{refused}"
    );
    let left: Vec<_> =
        fs::read_dir(kept.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let whole = left.iter().filter(|path| path.join("manifest.txt").exists()).count();
    assert_eq!(whole, 1, "{left:?}");
    restored(kept.path());
}

#[test]
fn backups_are_refused_where_they_do_not_belong() {
    let engine = filled();
    let data = engine.directory.path();
    let kept = TempDir::new().unwrap();
    let refused = backup(kept.path(), kept.path(), NOW, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, BackupError::NoStore { .. }), "{refused}");
    let refused = backup(data, data, NOW, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, BackupError::IntoStore { .. }), "{refused}");
    take(&engine, kept.path(), 0).unwrap();
    let refused = take(&engine, kept.path(), 0).unwrap_err();
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
    let refused = restore(kept.path(), data, &act(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
    let empty = TempDir::new().unwrap();
    for nothing in [empty.path(), &empty.path().join("nowhere")] {
        let to = TempDir::new().unwrap();
        let refused = restore(nothing, to.path(), &act(), &mut |_| {}).unwrap_err();
        assert!(matches!(refused, BackupError::NoBackup { .. }), "{refused}");
    }
    append(&engine, 4, 2 * MINUTE);
}

#[test]
fn a_backup_that_changed_is_not_restored_and_a_store_half_restored_is_not_opened() {
    let engine = filled();
    let kept = TempDir::new().unwrap();
    let taken = take(&engine, kept.path(), 0).unwrap().directory;
    for (path, bytes) in files(&taken) {
        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        for left in [Some(damaged), None] {
            match left {
                Some(damaged) => fs::write(&path, damaged).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let to = TempDir::new().unwrap();
            let refused = restore(&taken, to.path(), &act(), &mut |_| {}).unwrap_err();
            let told = matches!(
                &refused,
                BackupError::Differs { file } | BackupError::Manifest { file } if *file == path
            );
            assert!(told || matches!(refused, BackupError::NoBackup { .. }), "{path:?}: {refused}");
            if fs::read_dir(to.path()).unwrap().next().is_some() {
                let Err(refused) = open(to.path(), RETENTION) else { panic!("{path:?}: opened") };
                assert!(matches!(refused, OpenError::Unfinished { .. }), "{refused}");
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    restored(&taken);
}

#[test]
fn what_a_backup_left_that_was_cut_short_is_no_backup() {
    let engine = filled();
    let kept = TempDir::new().unwrap();
    let whole = take(&engine, kept.path(), 0).unwrap().directory;
    let partial = kept.path().join("2026-09-21T09-00-00Z.partial");
    fs::rename(&whole, &partial).unwrap();
    let to = TempDir::new().unwrap();
    let refused = restore(kept.path(), to.path(), &act(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, BackupError::NoBackup { .. }), "{refused}");
    take(&engine, kept.path(), 1).unwrap();
    assert!(!partial.exists());
    restored(kept.path());
}

/// The name tells the moment, in an order that people and programs sort alike.
#[test]
fn a_backup_of_any_moment_has_a_name() {
    let engine = Engine::new();
    let kept = TempDir::new().unwrap();
    for (now, name) in
        [(UtcMicros(0), "1970-01-01T00-00-00Z"), (UtcMicros(1_999_999), "1970-01-01T00-00-01Z")]
    {
        let taken = backup(engine.directory.path(), kept.path(), now, &mut |_| {}).unwrap();
        assert!(taken.directory.ends_with(name), "{taken:?}");
    }
}
