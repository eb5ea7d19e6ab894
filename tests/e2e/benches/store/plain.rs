//! Windows in the forms that the store's own are compared with: a row for each, and plain columns
//! under general compressors.

use std::io::Write as _;
use std::process::{Command, Stdio};

use busyhour_store::JudgedWindow;
use rusqlite::{Connection, params};

use crate::fields::{DISTRIBUTIONS, FIELDS};
use crate::import::{signed, unsigned};

/// A window by itself: each field as a variable-length integer, each bucket as two.
fn row(window: &JudgedWindow) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    for (_, value) in FIELDS {
        // One more, so that nothing is 0.
        signed(value(window).map_or(0, |value| value + 1), &mut bytes);
    }
    for (_, of) in DISTRIBUTIONS {
        let buckets = of(&window.window).buckets();
        unsigned(buckets.len() as u64, &mut bytes);
        let mut before = 0;
        for &(bucket, count) in buckets {
            unsigned((bucket - before).into(), &mut bytes);
            unsigned(count, &mut bytes);
            before = bucket;
        }
    }
    bytes
}

/// Bytes of a database with a row for each window, by path and time.
pub(crate) fn rows_bytes(paths: &[Vec<JudgedWindow>]) -> u64 {
    let folder = crate::store::folder();
    let file = folder.path().join("rows.db");
    let mut sql = Connection::open(&file).expect("a database");
    sql.execute_batch(
        "CREATE TABLE windows (path INTEGER NOT NULL, placed_us INTEGER NOT NULL,
            body BLOB NOT NULL, PRIMARY KEY (path, placed_us)) STRICT, WITHOUT ROWID",
    )
    .expect("a table");
    let transaction = sql.transaction().expect("a transaction");
    for (path, windows) in paths.iter().enumerate() {
        for window in windows {
            let mut insert = transaction
                .prepare_cached("INSERT INTO windows VALUES (?, ?, ?)")
                .expect("a statement");
            insert.execute(params![path as i64, window.placed.0, row(window)]).expect("a row");
        }
    }
    transaction.commit().expect("a commit");
    drop(sql);
    std::fs::metadata(&file).expect("the database").len()
}

/// One path's windows, every field an array of little-endian integers of the narrowest width that
/// holds them all.
pub(crate) fn columns(windows: &[JudgedWindow]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (_, value) in FIELDS {
        let present: Vec<i64> =
            windows.iter().map(|window| i64::from(value(window).is_some())).collect();
        if present.contains(&0) {
            array(&present, &mut bytes);
        }
        let values: Vec<i64> = windows.iter().filter_map(value).collect();
        array(&values, &mut bytes);
    }
    for (_, of) in DISTRIBUTIONS {
        let (mut lengths, mut buckets, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for window in windows {
            let found = of(&window.window).buckets();
            lengths.push(found.len() as i64);
            buckets.extend(found.iter().map(|&(bucket, _)| i64::from(bucket)));
            counts.extend(found.iter().map(|&(_, count)| count as i64));
        }
        for numbers in [lengths, buckets, counts] {
            array(&numbers, &mut bytes);
        }
    }
    bytes
}

fn array(numbers: &[i64], into: &mut Vec<u8>) {
    let (lowest, highest) =
        numbers.iter().fold((0, 0), |(low, high), &n| (n.min(low), n.max(high)));
    let width = match () {
        () if highest < 1 << 7 && lowest >= -(1 << 7) => 1,
        () if highest < 1 << 15 && lowest >= -(1 << 15) => 2,
        () if highest < 1 << 31 && lowest >= -(1 << 31) => 4,
        () => 8,
    };
    for number in numbers {
        into.extend_from_slice(&number.to_le_bytes()[..width]);
    }
}

/// The strongest settings of the general compressors: what is shown, the program, what it is told.
pub(crate) const COMPRESSORS: [(&str, &str, &[&str]); 2] = [
    ("xz -9e", "xz", &["-9e", "--stdout"]),
    ("zstd -22", "zstd", &["--ultra", "-22", "--stdout", "--quiet"]),
];

/// Bytes under a compressor; `None` when it is not installed.
pub(crate) fn compressed(program: &str, arguments: &[&str], bytes: &[u8]) -> Option<usize> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes).expect("the compressor reads"));
        child.wait_with_output().expect("the compressor ends")
    });
    assert!(output.status.success(), "{program} compresses");
    Some(output.stdout.len())
}
