//! Power is lost at any moment, again and again: what the store acknowledged is there.

use std::collections::BTreeSet;
use std::path::Path;

use fastrand::Rng;
use powerloss::disk::Honesty;
use powerloss::law::{Tally, survives};
use powerloss::{scratch, setting, watch};
use rusqlite::Connection;
use tempfile::TempDir;

/// Losses in an ordinary run; `.ci/long` asks for thousands.
const LOSSES: u32 = 200;
/// Steps of one run, over which power is lost some ten times.
const STEPS: usize = 40;

#[test]
fn what_was_acknowledged_outlives_any_loss_of_power() {
    let losses = setting("BUSYHOUR_LOSSES", LOSSES);
    let mut seed = setting("BUSYHOUR_SEED", 1);
    let mut tally = Tally::default();
    while tally.losses < losses {
        tally.add(survives(seed, STEPS, Honesty::Honest).unwrap());
        seed += 1;
    }
    println!("{tally:?}, up to seed {seed}");
    assert!(tally.while_opening > 0 && tally.undone > 0, "{tally:?}");
}

#[test]
fn a_disk_that_lies_about_syncing_is_caught() {
    for honesty in [Honesty::Lies, Honesty::LiesAboutLogs] {
        let caught = (1..20).find_map(|seed| survives(seed, STEPS, honesty).err());
        println!("{honesty:?}: {caught:?}");
        assert!(caught.is_some(), "{honesty:?}");
    }
}

fn database(folder: &Path, journal: &str, synchronous: &str) -> rusqlite::Result<Connection> {
    let database = Connection::open(folder.join("some.db"))?;
    database.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    database.pragma_update(None, "synchronous", synchronous)?;
    database.pragma_update(None, "wal_autocheckpoint", 8)?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, text TEXT)")?;
    Ok(database)
}

/// Adds rows until power is lost after that many operations; how many were committed.
fn rows_until(
    folder: &Path,
    pragmas: (&str, &str),
    operations: u64,
    random: &mut Rng,
) -> (i64, TempDir) {
    let disk = watch(folder, Honesty::Honest);
    disk.dies_after(Some(operations));
    let mut committed = 0;
    let _: rusqlite::Result<()> = (|| {
        let database = database(folder, pragmas.0, pragmas.1)?;
        for n in 1..40 {
            database.execute("INSERT INTO rows VALUES (?1, ?2)", (n, "x".repeat(300)))?;
            committed = n;
        }
        Ok(())
    })();
    let left = scratch();
    disk.lose_power(left.path(), random);
    (committed, left)
}

/// Runs SQLite alone into many losses of power; how often it lost a row that was committed, and how
/// often the file was damaged.
fn losses_of(pragmas: (&str, &str)) -> (u32, u32) {
    let (mut lost, mut damaged) = (0, 0);
    for seed in 0..150 {
        let mut random = Rng::with_seed(seed);
        let folder = scratch();
        let operations = random.u64(1..200);
        let (committed, left) = rows_until(folder.path(), pragmas, operations, &mut random);
        let rows: rusqlite::Result<(i64, String)> = (|| {
            let database = database(left.path(), pragmas.0, pragmas.1)?;
            let rows = database.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
            Ok((rows, database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?))
        })();
        match rows {
            Ok((rows, verdict)) if verdict == "ok" => lost += u32::from(rows < committed),
            Ok(_) | Err(_) => damaged += 1,
        }
    }
    println!("{pragmas:?}: lost {lost}, damaged {damaged}");
    (lost, damaged)
}

/// The disk asks no more of SQLite than it promises (<https://sqlite.org/pragma.html#pragma_synchronous>),
/// and no less.
#[test]
fn the_disk_takes_from_sqlite_what_its_settings_leave_to_chance_and_nothing_else() {
    assert_eq!(losses_of(("wal", "full")), (0, 0));
    let (lost, damaged) = losses_of(("wal", "normal"));
    assert!(lost > 0 && damaged == 0, "the last commits may go, the file stays sound");
    let (lost, damaged) = losses_of(("wal", "off"));
    assert!(lost > 0 && damaged > 0, "nothing is safe");
    // A journal whose deletion was not synced may undo the last commit; "extra" syncs it.
    assert_eq!(losses_of(("delete", "extra")), (0, 0));
    let (lost, damaged) = losses_of(("delete", "full"));
    assert!(lost > 0 && damaged == 0, "the last commit may be undone, the file stays sound");
}

/// What a name stands for after power was lost, as often as asked.
fn fates(disk: &powerloss::Disk, name: &str) -> BTreeSet<Option<String>> {
    let fate = |seed| {
        let left = scratch();
        disk.lose_power(left.path(), &mut Rng::with_seed(seed));
        std::fs::read_to_string(left.path().join(name)).ok()
    };
    (0..200).map(fate).collect()
}

#[test]
fn names_outlive_a_loss_of_power_once_their_folder_was_synced() {
    let folder = scratch();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("old"), "one").unwrap();
    std::fs::write(at("new"), "other").unwrap();
    let disk = watch(folder.path(), Honesty::Honest);
    let text = |text: &str| Some(text.to_owned());

    std::fs::rename(at("old"), at("new")).unwrap();
    assert_eq!(fates(&disk, "new"), BTreeSet::from([text("one"), text("other")]));
    assert_eq!(fates(&disk, "old"), BTreeSet::from([text("one"), None]));
    std::fs::File::open(folder.path()).unwrap().sync_all().unwrap();
    assert_eq!(fates(&disk, "new"), BTreeSet::from([text("one")]));
    assert_eq!(fates(&disk, "old"), BTreeSet::from([None]));

    std::fs::remove_file(at("new")).unwrap();
    assert_eq!(fates(&disk, "new"), BTreeSet::from([text("one"), None]));
    std::fs::File::open(folder.path()).unwrap().sync_all().unwrap();
    assert_eq!(fates(&disk, "new"), BTreeSet::from([None]));

    disk.dies_after(Some(0));
    std::fs::write(at("last"), "words").unwrap();
    assert!(std::fs::remove_file(at("last")).is_err(), "a dead disk answers nothing");
}
