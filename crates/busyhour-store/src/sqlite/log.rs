//! Damage in a write-ahead log.
//!
//! SQLite takes a log up to the first frame whose checksum is wrong, and what follows for something
//! that was never committed: after a power loss that is so. But where a later transaction follows
//! the wrong frame, the transaction of that frame was durable, and would be lost without a word: with
//! `synchronous = FULL` the next one begins only then.
//! (<https://sqlite.org/fileformat2.html#the_write_ahead_log>)

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The last bit tells how words are read for checksums.
const MAGIC: u32 = 0x377F_0682;
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// Whether transactions that were durable can be read no more; the sentence that says so.
pub(super) fn damage(log: &Path) -> io::Result<Option<String>> {
    let file = match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut log = BufReader::new(file);
    let mut header = [0; HEADER_BYTES];
    if !read_whole(&mut log, &mut header)? {
        return Ok(None);
    }
    let word = |at: usize| be_word(&header, at);
    let (magic, page_bytes) = (word(0), word(8));
    if magic & !1 != MAGIC || !PAGE_BYTES.contains(&page_bytes) {
        return Ok(None); // torn when it was begun, or there are no frames
    }
    let mut sum = Sum { big_endian: magic & 1 == 1, a: 0, b: 0 };
    sum.add(header.get(..24).unwrap_or_default());
    if (sum.a, sum.b) != (word(24), word(28)) {
        return Ok(None);
    }
    let salts = (word(16), word(20));
    frames(&mut log, page_bytes, salts, sum)
}

fn frames(
    log: &mut impl Read,
    page_bytes: u32,
    salts: (u32, u32),
    mut sum: Sum,
) -> io::Result<Option<String>> {
    let mut header = [0; FRAME_HEADER_BYTES];
    let mut page = vec![0; usize::try_from(page_bytes).unwrap_or(0)];
    let (mut frame, mut wrong, mut ended) = (0_u64, None, false);
    while read_whole(log, &mut header)? && read_whole(log, &mut page)? {
        frame += 1;
        let word = |at: usize| be_word(&header, at);
        if (word(8), word(12)) != salts && wrong.is_none() {
            return Ok(None); // left from before the log began anew
        }
        sum.add(header.get(..8).unwrap_or_default());
        sum.add(&page);
        if (sum.a, sum.b) != (word(16), word(20)) && wrong.is_none() {
            wrong = Some(frame);
        }
        let Some(wrong) = wrong.filter(|_| (word(8), word(12)) == salts) else { continue };
        if ended {
            return Ok(Some(format!(
                "the log is damaged in frame {wrong}: what was committed from there on is lost"
            )));
        }
        ended = word(4) != 0; // the last frame of a transaction
    }
    Ok(None)
}

/// The log's running checksum.
struct Sum {
    big_endian: bool,
    a: u32,
    b: u32,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let (first, second) = if self.big_endian {
                (be_word(pair, 0), be_word(pair, 4))
            } else {
                (be_word(pair, 0).swap_bytes(), be_word(pair, 4).swap_bytes())
            };
            self.a = self.a.wrapping_add(first).wrapping_add(self.b);
            self.b = self.b.wrapping_add(second).wrapping_add(self.a);
        }
    }
}

fn be_word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    u32::from_be_bytes(word)
}

/// Whether there was enough to fill the buffer.
fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    /// A log with `transactions` of two pages each, as a crash leaves it.
    fn log(directory: &TempDir, transactions: u8) -> Vec<u8> {
        let file = directory.path().join("x.db");
        let sql = Connection::open(&file).unwrap();
        sql.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0").unwrap();
        sql.execute_batch(
            "CREATE TABLE a (x); CREATE TABLE b (x); PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
        for number in 0..transactions {
            let rows = format!("INSERT INTO a VALUES ({number}); INSERT INTO b VALUES ({number})");
            sql.execute_batch(&format!("BEGIN; {rows}; COMMIT")).unwrap();
        }
        std::fs::read(directory.path().join("x.db-wal")).unwrap()
    }

    fn found(directory: &TempDir, bytes: &[u8]) -> Option<String> {
        let file = directory.path().join("copy-wal");
        std::fs::write(&file, bytes).unwrap();
        damage(&file).unwrap()
    }

    #[test]
    fn a_whole_log_and_one_that_was_cut_short_are_sound() {
        let directory = TempDir::new().unwrap();
        let bytes = log(&directory, 3);
        assert_eq!(bytes.len(), HEADER_BYTES + 6 * (4_096 + FRAME_HEADER_BYTES));
        for end in (0..bytes.len()).step_by(97).chain([bytes.len()]) {
            assert_eq!(found(&directory, &bytes[..end]), None, "{end}");
        }
        assert_eq!(damage(&directory.path().join("nowhere")).unwrap(), None);
    }

    #[test]
    fn a_frame_that_is_wrong_before_a_later_transaction_is_told() {
        let directory = TempDir::new().unwrap();
        let bytes = log(&directory, 3);
        let frame_bytes = 4_096 + FRAME_HEADER_BYTES;
        for frame in 0..6 {
            for within in [0, 20, FRAME_HEADER_BYTES, frame_bytes - 1] {
                let mut wrong = bytes.clone();
                wrong[HEADER_BYTES + frame * frame_bytes + within] ^= 1;
                let told = found(&directory, &wrong);
                // The last transaction may be one that a power loss cut short.
                assert_eq!(told.is_some(), frame < 4, "frame {frame}, byte {within}: {told:?}");
                let expected = format!("in frame {}:", frame + 1);
                assert!(told.is_none_or(|told| told.contains(&expected)));
            }
        }
    }

    #[test]
    fn what_is_left_of_a_log_that_began_anew_is_no_damage() {
        let directory = TempDir::new().unwrap();
        log(&directory, 3);
        let sql = Connection::open(directory.path().join("x.db")).unwrap();
        sql.execute_batch(
            "INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); INSERT INTO a VALUES (3)",
        )
        .unwrap();
        sql.execute_batch("PRAGMA wal_checkpoint(RESTART); INSERT INTO a VALUES (9)").unwrap();
        let bytes = std::fs::read(directory.path().join("x.db-wal")).unwrap();
        assert!(bytes.len() > HEADER_BYTES + 2 * 4_096, "frames of before are left");
        assert_eq!(found(&directory, &bytes), None);
    }
}
