//! Partitions behave as files that come, go and break on their own.

use std::sync::mpsc;

use rusqlite::OptionalExtension as _;
use tempfile::TempDir;

use super::*;
use crate::sqlite::database::sibling;
use crate::sqlite::unreadable;

/// 2026-11-23, a Monday.
const MONDAY: i64 = 20_780;
const OP: &str = "try something";

fn layouts(_: Family) -> &'static [Migration] {
    &["CREATE TABLE packs (path INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;"]
}

fn newer_layouts(_: Family) -> &'static [Migration] {
    &[
        "CREATE TABLE packs (path INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
        "ALTER TABLE packs ADD COLUMN rows INTEGER NOT NULL DEFAULT 7;",
    ]
}

fn open_with(directory: &TempDir, layouts: Layouts) -> Result<Partitions, OpenError> {
    let lock = Arc::new(File::create(directory.path().join("lock")).unwrap());
    Partitions::open(directory.path(), lock, layouts)
}

fn open(directory: &TempDir) -> Partitions {
    open_with(directory, layouts).unwrap()
}

fn day(day: i64) -> PartitionId {
    PartitionId::holding(Family::Windows, day).unwrap()
}

fn put(partitions: &Partitions, id: PartitionId, path: i64, body: &[u8]) -> Result<(), StoreError> {
    partitions.write(id, OP, |sql| insert(sql, path, body))
}

fn insert(sql: &Transaction<'_>, path: i64, body: &[u8]) -> rusqlite::Result<()> {
    sql.execute("INSERT OR REPLACE INTO packs (path, body) VALUES (?1, ?2)", params![path, body])?;
    set_folded_through(sql, path)
}

fn get(partitions: &Partitions, id: PartitionId, path: i64) -> Option<Option<Vec<u8>>> {
    partitions.read(id, OP, |sql| body(sql, path)).unwrap()
}

fn body(sql: &Transaction<'_>, path: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    sql.query_row("SELECT body FROM packs WHERE path = ?1", [path], |row| row.get(0)).optional()
}

/// Writes over the middle of the file, behind SQLite's back.
fn damage(directory: &TempDir, id: PartitionId) {
    let file = directory.path().join(id.file());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.iter_mut().skip(100).for_each(|byte| *byte ^= 0x5A);
    std::fs::write(&file, bytes).unwrap();
}

fn unknown(directory: &TempDir) -> Vec<PathBuf> {
    files::scan(directory.path()).unwrap().unknown
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let directory = TempDir::new().unwrap();
    {
        let partitions = open(&directory);
        assert_eq!(partitions.list(Family::Windows), []);
        assert_eq!(get(&partitions, day(MONDAY), 1), None);
        put(&partitions, day(MONDAY), 1, b"one").unwrap();
        put(&partitions, day(MONDAY + 1), 2, b"two").unwrap();
        assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"one".to_vec())));
    }
    let partitions = open(&directory);
    assert_eq!(partitions.list(Family::Windows), [day(MONDAY), day(MONDAY + 1)]);
    assert_eq!(partitions.list(Family::Slots), []);
    assert_eq!(get(&partitions, day(MONDAY), 2), Some(None));
    assert_eq!(get(&partitions, day(MONDAY + 1), 2), Some(Some(b"two".to_vec())));
    let through = partitions.read(day(MONDAY + 1), OP, folded_through).unwrap();
    assert_eq!(through, Some(2));
    assert!(partitions.size_bytes() > 0);
    assert!(partitions.damaged().is_empty());
}

#[test]
fn a_transaction_that_fails_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    let failed = partitions.write(day(MONDAY), OP, |sql| {
        insert(sql, 1, b"one")?;
        sql.execute("INSERT INTO nothing VALUES (1)", [])
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(None));
    assert_eq!(partitions.read(day(MONDAY), OP, folded_through).unwrap(), Some(-1));
}

#[test]
fn readers_see_one_state_while_the_writer_commits() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"old").unwrap();
    let seen = partitions.read(day(MONDAY), OP, |sql| {
        let before = body(sql, 1)?;
        put(&partitions, day(MONDAY), 1, b"new").unwrap();
        Ok((before, body(sql, 1)?))
    });
    let old = Some(b"old".to_vec());
    assert_eq!(seen.unwrap(), Some((old.clone(), old)));
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"new".to_vec())));
}

#[test]
fn more_partitions_than_connections_are_read_by_many_threads() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    let days = i64::try_from(pool::MAX_READERS).unwrap() + 10;
    for offset in 0..days {
        put(&partitions, day(MONDAY + offset), offset, b"x").unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for offset in (0..days).chain(0..days) {
                    let found = get(&partitions, day(MONDAY + offset), offset);
                    assert_eq!(found, Some(Some(b"x".to_vec())));
                }
            });
        }
    });
}

#[test]
fn as_many_readers_as_there_are_connections_come_back_after_errors_and_panics() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"one").unwrap();
    for _ in 0..=pool::MAX_READERS {
        let failed = partitions.read(day(MONDAY), OP, |sql| sql.execute("nonsense", []));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            partitions.read(day(MONDAY), OP, |_| -> rusqlite::Result<()> { panic!("on purpose") })
        }));
        assert!(panicked.is_err());
    }
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"one".to_vec())));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        partitions.write(day(MONDAY), OP, |sql| -> rusqlite::Result<()> {
            insert(sql, 2, b"two")?;
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err());
    put(&partitions, day(MONDAY), 3, b"three").unwrap();
    assert_eq!(get(&partitions, day(MONDAY), 2), Some(None));
}

#[test]
fn a_dropped_partition_is_gone_but_for_those_who_read_it() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"one").unwrap();
    get(&partitions, day(MONDAY), 1);
    let during = partitions.read(day(MONDAY), OP, |sql| {
        body(sql, 1)?;
        partitions.drop_partition(day(MONDAY)).unwrap();
        assert_eq!(get(&partitions, day(MONDAY), 1), None);
        put(&partitions, day(MONDAY), 1, b"again").unwrap();
        body(sql, 1)
    });
    assert_eq!(during.unwrap(), Some(Some(b"one".to_vec())));
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"again".to_vec())));
    partitions.drop_partition(day(MONDAY)).unwrap();
    partitions.drop_partition(day(MONDAY)).unwrap();
    drop(partitions);
    let folder = directory.path().join("windows");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    assert_eq!(open(&directory).list(Family::Windows), []);
}

#[test]
fn a_damaged_partition_is_set_aside_by_a_reader_and_the_others_serve() {
    let directory = TempDir::new().unwrap();
    {
        let partitions = open(&directory);
        put(&partitions, day(MONDAY), 1, b"one").unwrap();
        put(&partitions, day(MONDAY + 1), 1, b"two").unwrap();
    }
    damage(&directory, day(MONDAY));
    let partitions = open(&directory);
    assert_eq!(get(&partitions, day(MONDAY), 1), None);
    assert_eq!(get(&partitions, day(MONDAY + 1), 1), Some(Some(b"two".to_vec())));
    assert_eq!(partitions.list(Family::Windows), [day(MONDAY + 1)]);

    let found = partitions.damaged();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.id, day(MONDAY));
    assert_eq!(one.file, Path::new("windows/2026-11-23.db.damaged-1"));
    assert!(!one.reason.is_empty());
    assert!(directory.path().join(&one.file).exists());

    put(&partitions, day(MONDAY), 1, b"anew").unwrap();
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"anew".to_vec())));
    drop(partitions);
    let again = open(&directory);
    assert_eq!(again.damaged(), found);
    assert_eq!(unknown(&directory), Vec::<PathBuf>::new());
}

#[test]
fn a_damaged_partition_is_set_aside_by_the_writer_which_begins_a_new_one() {
    let directory = TempDir::new().unwrap();
    put(&open(&directory), day(MONDAY), 1, b"one").unwrap();
    damage(&directory, day(MONDAY));
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 2, b"two").unwrap();
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(None));
    assert_eq!(get(&partitions, day(MONDAY), 2), Some(Some(b"two".to_vec())));
    assert_eq!(partitions.damaged().len(), 1);
}

#[test]
fn a_second_damaged_file_of_a_day_gets_a_name_of_its_own() {
    let directory = TempDir::new().unwrap();
    for _ in 0..2 {
        put(&open(&directory), day(MONDAY), 1, b"one").unwrap();
        damage(&directory, day(MONDAY));
        assert_eq!(get(&open(&directory), day(MONDAY), 1), None);
    }
    let files: Vec<_> = open(&directory).damaged().into_iter().map(|found| found.file).collect();
    let name = |number| PathBuf::from(format!("windows/2026-11-23.db.damaged-{number}"));
    assert_eq!(files, [name(1), name(2)]);
}

#[test]
fn one_doubt_that_a_second_look_does_not_share_sets_nothing_aside() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"one").unwrap();
    let mut looks = 0;
    let found = partitions.read(day(MONDAY), OP, |sql| {
        looks += 1;
        if looks == 1 { Err(unreadable(std::fmt::Error)) } else { body(sql, 1) }
    });
    assert_eq!(found.unwrap(), Some(Some(b"one".to_vec())));
    assert!(partitions.damaged().is_empty());
}

#[test]
fn a_writer_that_finds_even_a_new_partition_unreadable_is_at_fault_itself() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"one").unwrap();
    let failed = partitions
        .write(day(MONDAY), OP, |_| -> rusqlite::Result<()> { Err(unreadable(std::fmt::Error)) });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(partitions.damaged().is_empty());
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"one".to_vec())));
    let folder = std::fs::read_dir(directory.path().join("windows")).unwrap();
    let names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("damaged")), "{names:?}");
}

#[test]
fn a_full_disk_refuses_writing_and_says_so_until_there_is_room() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"one").unwrap();
    partitions.limit_size(40_000);
    let large = vec![7; 100_000];
    let full = put(&partitions, day(MONDAY), 2, &large).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"one".to_vec())));
    let full = put(&partitions, day(MONDAY + 1), 2, &large).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    partitions.limit_size(u64::MAX);
    put(&partitions, day(MONDAY), 2, &large).unwrap();
    assert_eq!(get(&partitions, day(MONDAY), 2), Some(Some(large)));
}

#[test]
fn queries_go_on_where_the_shared_index_cannot_be_made() {
    let directory = TempDir::new().unwrap();
    put(&open(&directory), day(MONDAY), 1, b"one").unwrap();
    let file = directory.path().join(day(MONDAY).file());
    assert!(!sibling(&file, "-shm").exists());
    std::fs::create_dir(sibling(&file, "-shm")).unwrap();
    let partitions = open(&directory);
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"one".to_vec())));
    assert!(put(&partitions, day(MONDAY), 1, b"two").is_err());
    assert_eq!(get(&partitions, day(MONDAY), 1), Some(Some(b"one".to_vec())));
}

#[test]
fn older_layouts_are_upgraded_and_newer_ones_refused() {
    let directory = TempDir::new().unwrap();
    put(&open(&directory), day(MONDAY), 1, b"one").unwrap();
    let newer = open_with(&directory, newer_layouts).unwrap();
    let rows = newer.read(day(MONDAY), OP, |sql| {
        sql.query_row("SELECT rows FROM packs WHERE path = 1", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(rows.unwrap(), Some(7));
    drop(newer);
    let refused = open_with(&directory, layouts).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 3, known: 2, .. }), "{refused:?}");
}

#[test]
fn a_file_of_another_family_is_set_aside_and_unknown_files_are_left_alone() {
    let directory = TempDir::new().unwrap();
    put(&open(&directory), day(MONDAY), 1, b"one").unwrap();
    let loads = PartitionId::holding(Family::Loads, MONDAY).unwrap();
    let (windows_file, loads_file) = (day(MONDAY).file(), loads.file());
    std::fs::copy(directory.path().join(windows_file), directory.path().join(loads_file)).unwrap();
    std::fs::write(directory.path().join("windows/notes.txt"), "mine").unwrap();
    let partitions = open(&directory);
    assert_eq!(get(&partitions, loads, 1), None);
    assert_eq!(partitions.damaged().len(), 1);
    drop(partitions);
    assert_eq!(unknown(&directory), [PathBuf::from("windows/notes.txt")]);
}

#[test]
fn an_emptied_file_is_damaged_and_an_unfinished_one_never_was() {
    let directory = TempDir::new().unwrap();
    put(&open(&directory), day(MONDAY), 1, b"one").unwrap();
    std::fs::write(directory.path().join(day(MONDAY).file()), []).unwrap();
    let unfinished = directory.path().join("windows/2026-11-24.db.new");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        std::fs::write(sibling(&unfinished, suffix), "half of it").unwrap();
    }
    let partitions = open(&directory);
    assert_eq!(partitions.list(Family::Windows), [day(MONDAY)]);
    assert_eq!(get(&partitions, day(MONDAY), 1), None);
    assert_eq!(partitions.damaged().len(), 1);
    assert_eq!(unknown(&directory), Vec::<PathBuf>::new());
    assert!(!unfinished.exists());
    put(&partitions, day(MONDAY + 1), 1, b"two").unwrap();
    assert_eq!(get(&partitions, day(MONDAY + 1), 1), Some(Some(b"two".to_vec())));
}

#[test]
fn two_partitions_are_written_at_the_same_time_and_one_partition_in_turn() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    std::thread::scope(|scope| {
        let (began, beginning) = mpsc::channel();
        let (finish, finishing) = mpsc::channel::<()>();
        let held = &partitions;
        scope.spawn(move || {
            let done = held.write(day(MONDAY), OP, |sql| {
                began.send(()).unwrap();
                finishing.recv().unwrap();
                insert(sql, 1, b"one")
            });
            done.unwrap();
        });
        beginning.recv().unwrap();
        put(&partitions, day(MONDAY + 1), 1, b"beside").unwrap();
        let second = scope.spawn(|| partitions.write(day(MONDAY), OP, |sql| body(sql, 1)).unwrap());
        finish.send(()).unwrap();
        assert_eq!(second.join().unwrap(), Some(b"one".to_vec()));
    });
}

#[test]
fn a_partition_is_not_dropped_under_its_writer() {
    let directory = TempDir::new().unwrap();
    let partitions = open(&directory);
    put(&partitions, day(MONDAY), 1, b"one").unwrap();
    let file = directory.path().join(day(MONDAY).file());
    std::thread::scope(|scope| {
        let written = partitions.write(day(MONDAY), OP, |sql| {
            let (began, beginning) = mpsc::channel();
            let dropping = &partitions;
            scope.spawn(move || {
                began.send(()).unwrap();
                dropping.drop_partition(day(MONDAY)).unwrap();
            });
            beginning.recv().unwrap();
            // Gives a drop that does not wait every chance.
            (0..1_000).for_each(|_| std::thread::yield_now());
            assert!(file.exists());
            insert(sql, 2, b"two")
        });
        written.unwrap();
    });
    assert_eq!(get(&partitions, day(MONDAY), 2), None);
}
