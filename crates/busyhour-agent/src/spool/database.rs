//! The spool's file: SQLite in WAL mode with `synchronous = FULL`, so that what was committed
//! survives a kill and a power cut.

use std::path::{Path, PathBuf};
use std::time::Duration;

use busyhour_delivery::{Block, BlockMeta, BlockRanges};
use busyhour_model::{BlockNo, Epoch, UtcMicros};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};
use thiserror::Error;

/// The layout below; a file with a higher one was written by a newer agent.
const LAYOUT: i64 = 1;
/// "BHsp": tells a spool from any other SQLite file.
const APPLICATION: i64 = 0x4248_7370;
/// How long another agent that is just ending may keep the file.
const BUSY: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE spool (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    epoch INTEGER NOT NULL,
    newest_block INTEGER NOT NULL,
    last_committed_us INTEGER
) STRICT;
-- Records that are not sealed yet, each encoded as a payload of its own.
CREATE TABLE open_record (
    id INTEGER PRIMARY KEY,
    crc32c INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
-- Sealed blocks; a row is never updated.
CREATE TABLE block (
    block INTEGER PRIMARY KEY,
    records INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    crc32c INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
";

/// What went wrong with the file, as far as somebody acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another process has the file.
    InUse,
    /// The file is damaged, or no spool at all.
    Corrupt,
    /// It was written by a newer agent.
    Newer,
    /// A full disk, a read-only or failing one. It may pass.
    Passing,
}

/// An operation on the file that did not work.
#[derive(Debug, Error)]
pub(crate) enum DatabaseError {
    /// SQLite says why.
    #[error("{operation} in spool {path:?}")]
    Sqlite { operation: &'static str, path: PathBuf, source: rusqlite::Error },
    /// The file can be read, but not believed.
    #[error("spool {path:?} is damaged: {finding}")]
    Damaged { path: PathBuf, finding: String },
    /// A newer layout.
    #[error("spool {path:?} has layout {found}, this version knows {LAYOUT}")]
    Newer { path: PathBuf, found: i64 },
}

impl DatabaseError {
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Damaged { .. } => Trouble::Corrupt,
            Self::Newer { .. } => Trouble::Newer,
            Self::Sqlite { source, .. } => match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::InUse,
                Some(
                    ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory,
                ) => Trouble::Passing,
                // Not a database, values of another type, numbers given twice: whatever else there
                // is, a sound spool does not have.
                _ => Trouble::Corrupt,
            },
        }
    }
}

/// What a file held when it was opened.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) epoch: Epoch,
    /// The highest block that was ever sealed; 0 when none was.
    pub(crate) newest_block: u64,
    /// When records were committed last, by the wall clock of that time.
    pub(crate) last_committed: Option<UtcMicros>,
    /// Records that are not sealed yet, by number; damaged ones are left out.
    pub(crate) open: Vec<(i64, Vec<u8>)>,
    /// Records that are not sealed yet and cannot be read any more.
    pub(crate) damaged: u64,
    /// The sealed blocks, oldest first.
    pub(crate) blocks: Vec<BlockMeta>,
}

/// The open file. It belongs to one process at a time.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens or creates the file; a new one gets `epoch`.
    pub(crate) fn open(path: &Path, epoch: Epoch) -> Result<(Self, Contents), DatabaseError> {
        let failed = |source| failure("open", path, source);
        let connection = Connection::open(path).map_err(failed)?;
        let mut database = Self { connection, path: path.to_owned() };
        database.configure().map_err(failed)?;
        database.create(epoch)?;
        database.check()?;
        let contents = database.contents().map_err(|source| failure("read", path, source))?;
        Ok((database, contents))
    }

    fn configure(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)?;
        // Exclusive: a second agent on this file is told so, and no shared memory file is needed.
        self.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // 512 KiB of pages in memory, and a log that shrinks again after a burst.
        self.connection.pragma_update(None, "cache_size", -512)?;
        self.connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
        self.connection.set_prepared_statement_cache_capacity(8);
        Ok(())
    }

    fn create(&mut self, epoch: Epoch) -> Result<(), DatabaseError> {
        let failed = |source| failure("create", &self.path, source);
        let begin = TransactionBehavior::Exclusive;
        let transaction = self.connection.transaction_with_behavior(begin).map_err(failed)?;
        let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (layout, application) =
            (pragma("user_version").map_err(failed)?, pragma("application_id").map_err(failed)?);
        match (layout, application) {
            (LAYOUT, APPLICATION) => return Ok(()),
            (0, 0) => {}
            (found, APPLICATION) => {
                return Err(DatabaseError::Newer { path: self.path.clone(), found });
            }
            _ => return Err(damaged(&self.path, "it is not a spool")),
        }
        let write = || {
            transaction.execute_batch(SCHEMA)?;
            transaction.execute(
                "INSERT INTO spool (only, epoch, newest_block) VALUES (1, ?1, 0)",
                [epoch.0.cast_signed()],
            )?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", LAYOUT)
        };
        write().map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn check(&self) -> Result<(), DatabaseError> {
        let verdict: String = self
            .connection
            .pragma_query_value(None, "quick_check", |row| row.get(0))
            .map_err(|source| failure("check", &self.path, source))?;
        if verdict == "ok" { Ok(()) } else { Err(damaged(&self.path, &verdict)) }
    }

    fn contents(&self) -> rusqlite::Result<Contents> {
        let (epoch, newest, last_committed_us) = self.connection.query_row(
            "SELECT epoch, newest_block, last_committed_us FROM spool",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?)),
        )?;
        let mut open = Vec::new();
        let mut damaged = 0;
        let mut statement =
            self.connection.prepare("SELECT id, crc32c, payload FROM open_record ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, crc, payload): (i64, u32, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if crc32c::crc32c(&payload) == crc {
                open.push((id, payload));
            } else {
                damaged += 1;
            }
        }
        Ok(Contents {
            epoch: Epoch(epoch.cast_unsigned()),
            newest_block: newest.cast_unsigned(),
            last_committed: last_committed_us.map(UtcMicros),
            open,
            damaged,
            blocks: self.blocks()?,
        })
    }

    fn blocks(&self) -> rusqlite::Result<Vec<BlockMeta>> {
        let mut statement = self.connection.prepare(
            "SELECT block, records, first_us, last_us, length(payload) FROM block ORDER BY block",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(BlockMeta {
                number: BlockNo(row.get::<_, i64>(0)?.cast_unsigned()),
                records: row.get(1)?,
                first: UtcMicros(row.get(2)?),
                last: UtcMicros(row.get(3)?),
                size_bytes: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })?;
        rows.collect()
    }

    /// Commits records, encoded each on its own, at `now`; gives their numbers, in order. The latest
    /// commit's time counts, not the highest: a clock that ran ahead is corrected at some point.
    pub(crate) fn append(
        &mut self,
        payloads: &[Vec<u8>],
        now: UtcMicros,
    ) -> Result<Vec<i64>, DatabaseError> {
        let mut write = || {
            let transaction = begin(&mut self.connection)?;
            let mut ids = Vec::with_capacity(payloads.len());
            {
                let mut insert = transaction
                    .prepare_cached("INSERT INTO open_record (crc32c, payload) VALUES (?1, ?2)")?;
                for payload in payloads {
                    ids.push(insert.insert(params![crc32c::crc32c(payload), payload])?);
                }
            }
            transaction.execute("UPDATE spool SET last_committed_us = ?1", [now.0])?;
            transaction.commit()?;
            Ok(ids)
        };
        write().map_err(|source| failure("append", &self.path, source))
    }

    /// Makes the open records up to `last_open` a block.
    pub(crate) fn seal(
        &mut self,
        meta: &BlockMeta,
        block: &Block,
        last_open: i64,
    ) -> Result<(), DatabaseError> {
        let number = block.number.0.cast_signed();
        let mut write = || {
            let transaction = begin(&mut self.connection)?;
            transaction.execute(
                "INSERT INTO block (block, records, first_us, last_us, crc32c, payload)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    number,
                    meta.records,
                    meta.first.0,
                    meta.last.0,
                    block.crc32c,
                    block.payload
                ],
            )?;
            transaction.execute("UPDATE spool SET newest_block = ?1", [number])?;
            transaction.execute("DELETE FROM open_record WHERE id <= ?1", [last_open])?;
            transaction.commit()
        };
        write().map_err(|source| failure("seal a block", &self.path, source))
    }

    /// A block; `None` when there is none with this number. Its sum is not checked.
    pub(crate) fn read(&self, number: BlockNo) -> Result<Option<Block>, DatabaseError> {
        self.connection
            .prepare_cached("SELECT crc32c, payload FROM block WHERE block = ?1")
            .and_then(|mut select| {
                let block = |row: &rusqlite::Row<'_>| {
                    Ok(Block { number, crc32c: row.get(0)?, payload: row.get(1)? })
                };
                select.query_row([number.0.cast_signed()], block).optional()
            })
            .map_err(|source| failure("read a block", &self.path, source))
    }

    /// Deletes blocks.
    pub(crate) fn delete(&mut self, blocks: &BlockRanges) -> Result<(), DatabaseError> {
        let mut write = || {
            let transaction = begin(&mut self.connection)?;
            for (first, last) in blocks.iter() {
                let range = [first.0.cast_signed(), last.0.cast_signed()];
                transaction
                    .prepare_cached("DELETE FROM block WHERE block BETWEEN ?1 AND ?2")?
                    .execute(range)?;
            }
            transaction.commit()
        };
        write().map_err(|source| failure("delete blocks", &self.path, source))
    }

    /// Lets the file grow to so many pages only: a full disk for tests.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<rusqlite::Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn failure(operation: &'static str, path: &Path, source: rusqlite::Error) -> DatabaseError {
    DatabaseError::Sqlite { operation, path: path.to_owned(), source }
}

fn damaged(path: &Path, finding: &str) -> DatabaseError {
    DatabaseError::Damaged { path: path.to_owned(), finding: finding.chars().take(200).collect() }
}
