//! Partitions: one SQLite file for each family of records and span of days.
//!
//! Each is written in transactions of its own and read without waiting for its writer. One that
//! turns out to be damaged is renamed and from then on is as if it had never been; the others
//! serve. Nothing here knows what the tables mean.

mod family;
pub(super) mod files;
mod pool;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, params};

pub(crate) use family::{Family, PartitionId};

use super::database::{BUSY_TIMEOUT, begin, limit_pages, look_at_cells};
use super::digest;
use super::migrate::{Migration, migrate};
use super::{OpenError, kind_of, unreadable};
use crate::{ErrorKind, StoreError};
use files::Scanned;
use pool::Pool;

/// Pages that one writer may have in memory; more are written early.
const WRITER_CACHE_KIB: i64 = 16_384;
/// Pages that one reader may have in memory: inner nodes, and what a question touches twice.
const READER_CACHE_KIB: i64 = 1_024;
/// Files up to this size are looked through before they are read first: some hundredths of a second. Of
/// larger ones it takes too long for somebody who asks.
const LOOKED_THROUGH_BYTES: u64 = 16 << 20;
/// Distinct statements per connection, above what one family needs.
const STATEMENTS: usize = 16;

/// What every partition begins with.
const META: Migration = "\
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- The last entry of the journal that is in here; -1 before the first.
    folded_through INTEGER NOT NULL
) STRICT;
INSERT INTO meta (one, folded_through) VALUES (1, -1);";

/// The layouts of a family's tables, oldest first. Each partition has `meta` besides.
pub(crate) type Layouts = fn(Family) -> &'static [Migration];

/// The number of a family's newest layout: `meta` comes first.
pub(super) fn newest_layout(layouts: Layouts, family: Family) -> usize {
    1 + layouts(family).len()
}

/// The number of the last journal entry folded into the partition; -1 when there is none.
pub(crate) fn folded_through(partition: &Transaction<'_>) -> rusqlite::Result<i64> {
    partition.prepare_cached("SELECT folded_through FROM meta")?.query_row([], |row| row.get(0))
}

/// Notes the number of the last journal entry folded into the partition.
pub(crate) fn set_folded_through(partition: &Transaction<'_>, entry: i64) -> rusqlite::Result<()> {
    partition.prepare_cached("UPDATE meta SET folded_through = ?1")?.execute(params![entry])?;
    Ok(())
}

/// Whether a partition is looked through before it is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    Not,
}

/// A file that is small enough to be looked through does not have what was written.
#[derive(Debug, thiserror::Error)]
#[error("{}", findings.join("; "))]
struct Unlike {
    findings: Vec<String>,
}

/// A partition that was found damaged and set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// What it was.
    pub(crate) id: PartitionId,
    /// Where it lies now, within the data directory.
    pub(crate) file: PathBuf,
    /// What was found, as a clause.
    pub(crate) reason: String,
}

/// All partitions of a data directory.
#[derive(Debug)]
pub(crate) struct Partitions {
    directory: PathBuf,
    layouts: Layouts,
    pool: Pool,
    max_bytes: AtomicU64,
    _lock: Arc<File>,
}

impl Partitions {
    /// Finds the partitions in `directory`, whose lock the caller has. Makes the families' folders.
    pub(crate) fn open(
        directory: &Path,
        lock: Arc<File>,
        layouts: Layouts,
    ) -> Result<Self, OpenError> {
        let newest = |family| newest_layout(layouts, family);
        let Scanned { partitions, damaged, .. } = files::open(directory, newest)?;
        let pool = Pool::default();
        partitions.into_iter().for_each(|id| pool.add(id));
        damaged.into_iter().for_each(|damage| pool.note_damage(damage));
        let max_bytes = AtomicU64::new(u64::MAX);
        let directory = directory.to_owned();
        Ok(Self { directory, layouts, pool, max_bytes, _lock: lock })
    }

    /// The partitions of a family, by day.
    pub(crate) fn list(&self, family: Family) -> Vec<PartitionId> {
        self.pool.list().into_iter().filter(|id| id.family() == family).collect()
    }

    /// What was set aside, in this run and before; what is new comes last.
    pub(crate) fn damaged(&self) -> Vec<Damage> {
        self.pool.damage()
    }

    /// Forbids each partition to grow beyond `bytes` (rounded down to pages, never below what it
    /// has) from its next transaction on.
    pub(crate) fn limit_size(&self, bytes: u64) {
        self.max_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of all files and their logs.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.pool.list().into_iter().map(|id| files::size_bytes(&self.file(id))).sum()
    }

    /// Runs `write` in one durable transaction of the partition, which is made when it is not there;
    /// all of it happens or nothing. Transactions of different partitions may run at the same time.
    ///
    /// When what it finds there is damaged, `write` runs up to three times, each time without what
    /// it did before: twice to be sure, then on a new partition.
    pub(crate) fn write<T>(
        &self,
        id: PartitionId,
        operation: &str,
        mut write: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let _turn = self.pool.turn(id);
        let existed = self.pool.has(id);
        let first = self.try_write(id, operation, &mut write);
        if !existed || !is_damage(&first) {
            return first;
        }
        let second = self.try_write(id, operation, &mut write);
        let Err(error) = second else { return second };
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        let aside = self.move_aside(id, operation, &error)?;
        let third = self.try_write(id, operation, &mut write);
        if is_damage(&third) {
            // What was given to be written is at fault, not the file.
            self.pool.remove(id);
            files::put_back(&self.file(id), &aside).map_err(io(id, operation))?;
            self.pool.add(id);
            return third;
        }
        self.note_damage(id, aside, &error);
        third
    }

    /// Runs `read` on one consistent state of the partition; `None` when there is no such partition.
    /// Never waits for a writer. Must not read or write partitions itself: it would hold one
    /// connection while it waits for another.
    ///
    /// When what it finds there is damaged, `read` runs once more on a new connection. When that
    /// finds damage too, the partition is set aside, and the answer is that there is none. Before the
    /// first time a partition that is not large is looked through.
    pub(crate) fn read<T>(
        &self,
        id: PartitionId,
        operation: &str,
        read: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.read_twice(id, operation, Look::First, read)
    }

    /// The number of the last journal entry folded into the partition, without looking through it;
    /// `None` when there is no such partition.
    pub(crate) fn folded_through(
        &self,
        id: PartitionId,
        operation: &str,
    ) -> Result<Option<i64>, StoreError> {
        self.read_twice(id, operation, Look::Not, folded_through)
    }

    fn read_twice<T>(
        &self,
        id: PartitionId,
        operation: &str,
        look: Look,
        mut read: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut read = |sql: &Transaction<'_>| {
            if look == Look::First {
                self.look_through(id, sql)?;
            }
            read(sql)
        };
        let first = self.try_read(id, operation, &mut read);
        if !is_damage(&first) {
            return first;
        }
        self.pool.close_idle(id);
        let second = self.try_read(id, operation, &mut read);
        let Err(error) = second else { return second };
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.set_aside(id, operation, &error)?;
        Ok(None)
    }

    /// Has SQLite check a partition and counts its digests again, unless that was done or would take long.
    fn look_through(&self, id: PartitionId, sql: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.pool.is_sound(id) || files::size_bytes(&self.file(id)) > LOOKED_THROUGH_BYTES {
            return Ok(());
        }
        // The digests know rows, not whether an index leads to them.
        let checked: String = sql.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let mut findings = digest::verify(sql)?;
        findings.extend(Some(checked).filter(|line| line != "ok"));
        if !findings.is_empty() {
            return Err(unreadable(Unlike { findings }));
        }
        self.pool.note_sound(id);
        Ok(())
    }

    /// Deletes the partition. Who reads it at the moment finishes.
    pub(crate) fn drop_partition(&self, id: PartitionId) -> Result<(), StoreError> {
        let _turn = self.pool.turn(id);
        self.pool.remove(id);
        files::delete(&self.file(id)).map_err(|error| {
            self.pool.add(id);
            io(id, "delete a partition")(error)
        })
    }

    /// Renames the partition, as one that is damaged. Who reads it at the moment finishes.
    fn set_aside(
        &self,
        id: PartitionId,
        operation: &str,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let _turn = self.pool.turn(id);
        if !self.pool.has(id) {
            return Ok(()); // somebody else found it, too
        }
        let aside = self.move_aside(id, operation, error)?;
        self.note_damage(id, aside, error);
        Ok(())
    }

    /// Must have the partition's turn.
    fn move_aside(
        &self,
        id: PartitionId,
        operation: &str,
        error: &StoreError,
    ) -> Result<PathBuf, StoreError> {
        self.pool.remove(id);
        files::move_aside(&self.file(id), &causes(error)).map_err(|error| {
            self.pool.add(id);
            io(id, operation)(error)
        })
    }

    /// Notes that the file of a partition is gone, in a file beside its place that tells it at every later
    /// start until it is deleted. False when that cannot be written; then it is told in this run.
    pub(crate) fn note_missing(&self, id: PartitionId) -> bool {
        let _turn = self.pool.turn(id);
        let file = self.file(id);
        let reason = format!(
            "{} is missing: somebody deleted it. Stop the collector, copy it from a backup to where it was \
             and delete this note, or delete the note to do without",
            id.file().display()
        );
        let noted = files::note_missing(&file, &reason);
        let is_noted = noted.is_ok();
        let file = noted.unwrap_or(file);
        let file = file.strip_prefix(&self.directory).map(Path::to_owned).unwrap_or(file);
        self.pool.note_damage(Damage { id, file, reason });
        is_noted
    }

    fn note_damage(&self, id: PartitionId, aside: PathBuf, error: &StoreError) {
        let file = aside.strip_prefix(&self.directory).map(Path::to_owned).unwrap_or(aside);
        self.pool.note_damage(Damage { id, file, reason: causes(error) });
    }

    fn try_write<T>(
        &self,
        id: PartitionId,
        operation: &str,
        write: &mut impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.writer(id).map_err(|error| refused(id, operation, error))?;
        let mut attempt = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let value = attempt(&mut connection).map_err(sqlite(id, operation))?;
        // What stays in the log is as durable; the next transaction moves it.
        let _ = empty_log(&connection);
        Ok(value)
    }

    fn try_read<T>(
        &self,
        id: PartitionId,
        operation: &str,
        read: &mut impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut reader = match self.pool.reader(id, || self.open_reader(id, operation)) {
            Ok(Some(reader)) => reader,
            Ok(None) => return Ok(None),
            Err(_) if !self.pool.has(id) => return Ok(None), // dropped in between
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Full) => {
                return self.read_alone(id, operation, read).unwrap_or(Err(error)).map(Some);
            }
            Err(error) => return Err(error),
        };
        let mut attempt = |connection: &mut Connection| read(&connection.transaction()?);
        match attempt(reader.connection()) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                reader.discard();
                Err(sqlite(id, operation)(error))
            }
        }
    }

    /// Reads where SQLite cannot make the index that writers and readers share, as on a full disk.
    /// Keeps the writer out instead, and answers only when there is nothing in the log.
    fn read_alone<T>(
        &self,
        id: PartitionId,
        operation: &str,
        read: &mut impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Option<Result<T, StoreError>> {
        let _turn = self.pool.turn(id);
        let file = self.file(id);
        if !files::is_log_empty(&file) {
            return None;
        }
        let mut attempt = || read(&open_alone(&file)?.transaction()?);
        Some(attempt().map_err(sqlite(id, operation)))
    }

    fn file(&self, id: PartitionId) -> PathBuf {
        self.directory.join(id.file())
    }

    fn layouts(&self, family: Family) -> Vec<Migration> {
        std::iter::once(META).chain((self.layouts)(family).iter().copied()).collect()
    }

    /// A connection that may write; the file is there and has the newest layout, both durably.
    fn writer(&self, id: PartitionId) -> Result<Connection, OpenError> {
        let file = self.file(id);
        if !self.pool.has(id) {
            self.create(id, &file)?;
        }
        let failed = |source| OpenError::Database { file: file.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&file, flags).map_err(failed)?;
        self.configure_writer(&connection).map_err(failed)?;
        let mark =
            connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
        if mark.map_err(failed)? != id.family().application_id() {
            // Emptied, too: none that was made is empty.
            return Err(OpenError::Foreign { file });
        }
        self.migrate(id.family(), &mut connection, &file)?;
        digest::watch(&connection).map_err(failed)?;
        Ok(connection)
    }

    /// Makes the file under another name first: under its own it is whole or not there.
    fn create(&self, id: PartitionId, file: &Path) -> Result<(), OpenError> {
        let new = files::unfinished(file);
        let unusable = |source| OpenError::Directory { directory: file.to_owned(), source };
        files::delete(&new).map_err(unusable)?;
        let failed = |source| OpenError::Database { file: file.to_owned(), source };
        let mut connection = Connection::open(&new).map_err(failed)?;
        connection.pragma_update(None, "page_size", id.family().page_bytes()).map_err(failed)?;
        self.configure_writer(&connection).map_err(failed)?;
        self.migrate(id.family(), &mut connection, &new)?;
        empty_log(&connection).map_err(failed)?;
        connection.close().map_err(|(_, error)| failed(error))?;
        files::finish(&new, file).map_err(unusable)?;
        self.pool.add(id);
        Ok(())
    }

    fn migrate(
        &self,
        family: Family,
        connection: &mut Connection,
        file: &Path,
    ) -> Result<(), OpenError> {
        migrate(connection, file, family.application_id(), &self.layouts(family))
    }

    fn configure_writer(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        look_at_cells(connection)?;
        // The log is emptied after each transaction, at once.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        limit_pages(connection, self.max_bytes.load(Ordering::Relaxed))
    }

    fn open_reader(&self, id: PartitionId, operation: &str) -> Result<Connection, StoreError> {
        let connection = open_reader(&self.file(id)).map_err(sqlite(id, operation))?;
        let known = i64::try_from(self.layouts(id.family()).len()).unwrap_or(i64::MAX);
        let number = |name: &str| {
            let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            value.map_err(sqlite(id, operation))
        };
        let mark = i64::from(id.family().application_id());
        if number("application_id")? == mark && number("user_version")? == known {
            return Ok(connection);
        }
        // The writer upgrades what is of an older version, or says what is wrong.
        let _turn = self.pool.turn(id);
        if self.pool.has(id) {
            self.writer(id).map_err(|error| refused(id, operation, error))?;
        }
        Ok(connection)
    }
}

fn is_damage<T>(done: &Result<T, StoreError>) -> bool {
    matches!(done, Err(error) if error.kind() == ErrorKind::Corrupt)
}

/// What is wrong, without the operation that found it.
fn causes(error: &StoreError) -> String {
    let mut next = std::error::Error::source(error);
    let mut causes = Vec::new();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

fn sqlite(id: PartitionId, operation: &str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |error| StoreError::new(format!("{operation} in {id}"), kind_of(&error)).with_source(error)
}

fn io(id: PartitionId, operation: &str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |error| {
        StoreError::new(format!("{operation} in {id}"), kind_of_io(&error)).with_source(error)
    }
}

fn kind_of_io(error: &std::io::Error) -> ErrorKind {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Io, // a foreign, non-exhaustive enumeration
    }
}

fn refused(id: PartitionId, operation: &str, error: OpenError) -> StoreError {
    let kind = match &error {
        OpenError::Foreign { .. } | OpenError::Missing { .. } => ErrorKind::Corrupt,
        OpenError::Database { source, .. } => kind_of(source),
        OpenError::Directory { source, .. } => kind_of_io(source),
        OpenError::Journal { source, .. } => source.kind(),
        OpenError::Newer { .. }
        | OpenError::InUse { .. }
        | OpenError::Engine { .. }
        | OpenError::Unfinished { .. } => ErrorKind::Other,
    };
    StoreError::new(format!("{operation} in {id}"), kind).with_source(error)
}

fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    // One that may not write could not remove the log when it is the last to close.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    configure_reader(&connection)?;
    Ok(connection)
}

/// A connection to a file that nobody changes; it locks nothing and looks into no log.
pub(super) fn open_alone(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(files::immutable_uri(file), flags)?;
    configure_reader(&connection)?;
    Ok(connection)
}

fn configure_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    look_at_cells(connection)
}

/// Moves the write-ahead log into the file, without waiting for readers, who may keep some of it
/// there.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
