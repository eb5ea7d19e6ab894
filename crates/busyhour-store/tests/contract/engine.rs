//! What the embedded engine adds: one collector at a time, full disks, crashes, damage.

use std::error::Error as _;
use std::fs;
use std::path::Path;

use busyhour_model::UtcMicros;
use busyhour_store::{Act, Appended, Control, ErrorKind, OpenError, StoreError, Telemetry, open};
use tempfile::TempDir;

use crate::fixtures::{
    AGENT, EPOCH, Engine, MINUTE, NOW, RETENTION, at, block_of, building, judged, slot_of, window,
};

const ALWAYS: (UtcMicros, UtcMicros) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));

fn refusal(directory: &Path) -> OpenError {
    match open(directory, RETENTION) {
        Ok(_) => panic!("opened"),
        Err(refusal) => refusal,
    }
}

#[test]
fn a_second_collector_is_refused_until_the_first_is_gone() {
    let engine = Engine::new();
    let refused = refusal(engine.directory.path());
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("another collector is using"), "{refused}");
    assert!(refused.to_string().contains("data directory of its own"), "{refused}");
    let Engine { telemetry, control, directory } = engine;
    drop(telemetry);
    assert!(matches!(refusal(directory.path()), OpenError::InUse { .. }), "half of it is in use");
    drop(control);
    open(directory.path(), RETENTION).unwrap();
}

#[test]
fn files_that_are_not_the_collectors_are_left_alone() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("telemetry.db");
    fs::write(&file, "not a database, certainly not one of ours, and long enough to look").unwrap();
    let refused = refusal(directory.path());
    assert!(matches!(refused, OpenError::Database { .. }), "{refused}");
    assert!(refused.source().is_some());
    // One file in the other's place.
    let engine = Engine::new();
    let files = engine.directory.path().to_owned();
    let Engine { telemetry, control, directory: _kept } = engine;
    drop((telemetry, control));
    fs::copy(files.join("control.db"), files.join("telemetry.db")).unwrap();
    assert!(matches!(refusal(&files), OpenError::Foreign { .. }));
}

/// No version with another layout was ever released; its mark is another one.
#[test]
fn a_file_of_an_older_kind_is_refused_as_foreign() {
    let engine = Engine::new();
    let Engine { telemetry, control, directory } = engine;
    drop((telemetry, control));
    let file = rusqlite::Connection::open(directory.path().join("telemetry.db")).unwrap();
    let known: i32 = file.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
    assert_eq!(known.to_be_bytes(), *b"BHt2");
    file.pragma_update(None, "application_id", i32::from_be_bytes(*b"BHtl")).unwrap();
    drop(file);
    let refused = refusal(directory.path());
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a file");
    fs::write(&file, "").unwrap();
    let refused = refusal(&file.join("data"));
    assert!(matches!(refused, OpenError::Directory { .. }), "{refused}");
    assert!(refused.to_string().contains("a file"), "{refused}");
}

/// Appends blocks of many windows until it is refused; returns the refusal and how many were taken.
fn fill(telemetry: &dyn Telemetry) -> (StoreError, u64) {
    for number in 1..10_000 {
        let moments: Vec<_> = (0..50).map(|n| at(NOW, (number as i64 * 50 + n) * MINUTE)).collect();
        match telemetry.append(&[block_of(number, &moments)]) {
            Ok(answer) => assert_eq!(answer, [Appended::Stored]),
            Err(refused) => return (refused, number - 1),
        }
    }
    panic!("never full");
}

#[test]
fn a_full_disk_refuses_whole_blocks_and_recovers() {
    let engine = Engine::new();
    let store = &engine.telemetry;
    store.limit_size(400_000).unwrap();
    let (refused, taken) = fill(store);
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!(refused.to_string(), "append blocks");
    assert!(refused.source().is_some());
    assert!(taken > 1, "{taken}");
    // Nothing of the refused block is there, and reading goes on.
    let whole = |taken: u64| {
        let path = store.paths(None).unwrap()[0].id;
        let windows = store.windows(path, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
        assert_eq!(windows.len() as u64, taken * 50);
        let last = at(NOW, 1_000_000 * MINUTE);
        let slots = store.slots(&[path], slot_of(NOW), slot_of(last)).unwrap();
        assert_eq!(slots.iter().map(|(_, s)| u64::from(s.valid)).sum::<u64>(), taken * 50);
        assert_eq!(store.received(AGENT, EPOCH).unwrap()[0].1.0, taken);
        assert_eq!(store.totals().unwrap().windows, taken * 50);
    };
    whole(taken);
    store.limit_size(u64::MAX).unwrap();
    // The path and circumstances that the refused block brought are not remembered wrongly.
    let again = block_of(taken + 1, &(0..50).map(|n| at(NOW, n * 1_000)).collect::<Vec<_>>());
    assert_eq!(store.append(&[again]).unwrap(), [Appended::Stored]);
    whole(taken + 1);
}

#[test]
fn a_first_block_that_found_the_disk_full_is_not_remembered() {
    let engine = Engine::new();
    let store = &engine.telemetry;
    store.limit_size(0).unwrap();
    let many: Vec<_> = (0..500).map(|n| at(NOW, n * MINUTE)).collect();
    let first = block_of(1, &many);
    assert_eq!(store.append(std::slice::from_ref(&first)).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!((store.paths(None).unwrap(), store.dirty_days(9).unwrap()), (vec![], vec![]));
    store.limit_size(u64::MAX).unwrap();
    assert_eq!(store.append(&[first]).unwrap(), [Appended::Stored]);
    let path = store.paths(None).unwrap()[0].id;
    assert_eq!(store.windows(path, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap().len(), 500);
}

#[test]
fn a_full_disk_leaves_the_inventory_as_it_was() {
    let engine = Engine::new();
    let store = &engine.control;
    store.import_buildings(&[building("A", &["10.0.0.0/24"])], &Act::by_operator(NOW)).unwrap();
    let before = (store.buildings().unwrap(), store.subnets().unwrap());
    store.limit_size(0).unwrap();
    let prefixes: Vec<_> = (0..2_000).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).collect();
    let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
    let large = [building("B", &prefixes)];
    let refused = store.import_buildings(&large, &Act::by_operator(at(NOW, 1))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!((store.buildings().unwrap(), store.subnets().unwrap()), before);
    store.limit_size(u64::MAX).unwrap();
    assert_eq!(
        store.import_buildings(&large, &Act::by_operator(at(NOW, 1))).unwrap().subnets,
        2_000
    );
}

/// The files as a crash would leave them: copied while the store is open. Returns the length of the
/// write-ahead log.
fn crash_copy(from: &Path, to: &Path) -> u64 {
    for name in ["telemetry.db", "telemetry.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    fs::metadata(to.join("telemetry.db-wal")).unwrap().len()
}

#[test]
fn after_a_crash_every_acknowledged_block_is_there_once() {
    let engine = Engine::new();
    for number in 1..=20 {
        let start = at(NOW, number as i64 * MINUTE);
        engine.telemetry.append(&[block_of(number, &[start, at(start, 1)])]).unwrap();
    }
    let copy = TempDir::new().unwrap();
    let length = crash_copy(engine.directory.path(), copy.path());
    assert!(length > 0, "the log was there to be copied");
    let (telemetry, _control) = open(copy.path(), RETENTION).unwrap();
    let all: Vec<_> = (1..=20).map(|number| block_of(number, &[NOW])).collect();
    assert_eq!(telemetry.append(&all).unwrap(), [Appended::Duplicate; 20]);
    assert_eq!(telemetry.totals().unwrap().windows, 40);
}

#[test]
fn a_log_torn_anywhere_leaves_whole_blocks() {
    let engine = Engine::new();
    for number in 1..=8 {
        let start = at(NOW, number as i64 * MINUTE);
        engine.telemetry.append(&[block_of(number, &[start, at(start, 1)])]).unwrap();
    }
    let mut random = fastrand::Rng::with_seed(11);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let copy = TempDir::new().unwrap();
        let length = crash_copy(engine.directory.path(), copy.path());
        let log =
            fs::File::options().write(true).open(copy.path().join("telemetry.db-wal")).unwrap();
        log.set_len(random.u64(0..=length)).unwrap();
        let Ok((telemetry, _control)) = open(copy.path(), RETENTION) else {
            panic!("a torn log is ordinary after a power loss");
        };
        let received = telemetry.received(AGENT, EPOCH).unwrap();
        let blocks: u64 = received.iter().map(|(first, last)| last.0 - first.0 + 1).sum();
        let windows: usize = telemetry
            .paths(None)
            .unwrap()
            .iter()
            .map(|path| telemetry.windows(path.id, ALWAYS.0, ALWAYS.1, 99).unwrap().len())
            .sum();
        assert_eq!(windows as u64, blocks * 2);
        assert_eq!(telemetry.totals().unwrap().blocks, blocks);
        seen.insert(blocks);
    }
    assert!(seen.len() > 3, "the log was cut in different places: {seen:?}");
}

#[test]
fn a_damaged_head_is_refused_with_what_to_do() {
    let engine = Engine::new();
    let moments: Vec<_> = (0..300).map(|n| at(NOW, n * MINUTE)).collect();
    engine.telemetry.append(&[block_of(1, &moments)]).unwrap();
    let Engine { telemetry, control, directory } = engine;
    drop((telemetry, control));
    let file = directory.path().join("telemetry.db");
    let whole = fs::read(&file).unwrap();
    assert!(!directory.path().join("telemetry.db-wal").exists(), "all is in the file");
    // Any page: the first ones hold the layout, the last ones the journal.
    for page in 0..whole.len() / 4_096 {
        let mut bytes = whole.clone();
        bytes[page * 4_096..][..4_096].iter_mut().for_each(|byte| *byte ^= 0xa5);
        fs::write(&file, bytes).unwrap();
        let Err(refused) = open(directory.path(), RETENTION) else { continue };
        let said = refused.to_string();
        assert!(said.contains("check") && said.contains("restore"), "{page}: {said}");
        assert!(said.contains("telemetry.db"), "{page}: {said}");
    }
    // The journal is the last of them, and never read over.
    let mut bytes = whole;
    let last = bytes.len() - 4_096;
    bytes[last..].iter_mut().for_each(|byte| *byte ^= 0xa5);
    fs::write(&file, bytes).unwrap();
    assert!(matches!(refusal(directory.path()), OpenError::Journal { .. }));
}

#[test]
fn reading_and_writing_at_the_same_time_disturb_nobody() {
    let engine = Engine::new();
    let store = &engine.telemetry;
    store.append(&[block_of(1, &[NOW])]).unwrap();
    let path = store.paths(None).unwrap()[0].id;
    std::thread::scope(|scope| {
        for reader in 0..8 {
            scope.spawn(move || {
                let mut before = 0;
                for _ in 0..60 {
                    let windows = store.windows(path, ALWAYS.0, ALWAYS.1, 9_999).unwrap().len();
                    assert!(windows >= before && windows % 2 == 1, "{reader}: half a block");
                    before = windows;
                }
            });
        }
        scope.spawn(|| {
            for number in 2..60 {
                let moments = [at(NOW, number as i64 * MINUTE), at(NOW, number as i64 * 10)];
                store.append(&[block_of(number, &moments)]).unwrap();
            }
        });
    });
    assert_eq!(store.totals().unwrap().windows, 1 + 58 * 2);
}

/// Not a limit of time but of size, which does not depend on the machine.
#[test]
fn a_window_takes_few_bytes() {
    let engine = Engine::new();
    let windows = |number: u64| -> Vec<_> {
        (0..1_000)
            .map(|n| (number * 1_000 + n) as i64)
            .map(|n| judged(window("edge:862", n as u64, 0), at(NOW, n * MINUTE)))
            .collect()
    };
    for number in 1..=5 {
        let block = busyhour_store::BlockRows {
            windows: windows(number),
            ..crate::fixtures::block(number)
        };
        engine.telemetry.append(&[block]).unwrap();
    }
    let engine = engine.reopen();
    let per_window = engine.telemetry.totals().unwrap().size_bytes / 5_000;
    assert!(per_window < 350, "{per_window} bytes");
}
