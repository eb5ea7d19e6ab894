//! One SQLite file: one writer, a few readers that it never blocks.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::digest;
use super::migrate::{Migration, migrate};
use super::{OpenError, during};
use crate::{ErrorKind, StoreError};

/// Queries at the same time; more wait. Each reader costs a page cache and two file handles.
const MAX_READERS: usize = 4;
/// Distinct statements per connection, above what this crate has.
const STATEMENTS: usize = 64;
const COUNT_AGAIN: &str = "count the digests again";
/// How long to wait for a foreign process (a backup, a shell) that holds the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writing connection and what its owner remembers between transactions.
#[derive(Debug)]
pub(crate) struct Writer<M> {
    connection: Connection,
    pub(crate) memory: M,
}

impl<M> Writer<M> {
    /// Runs `write`, which has errors of its own, in one durable transaction.
    pub(crate) fn write_or<T, E: From<rusqlite::Error>>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = begin(&mut self.connection)?;
        let value = write(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Runs `write` in one durable transaction; all of it happens or nothing.
    pub(crate) fn write<T>(
        &mut self,
        operation: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let attempt = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        attempt(&mut self.connection).map_err(during(operation))
    }
}

#[derive(Debug)]
pub(crate) struct Database<M> {
    file: PathBuf,
    /// Held only to take or give back a connection. Closed before the writer, which then is the
    /// last one and folds the write-ahead log into the file.
    readers: Mutex<Readers>,
    /// Held for one transaction; SQLite allows one writer anyway.
    writer: Mutex<Writer<M>>,
    returned: Condvar,
    _lock: Arc<File>,
}

#[derive(Debug, Default)]
struct Readers {
    idle: Vec<Connection>,
    opened: usize,
}

impl<M: Default> Database<M> {
    pub(crate) fn open(
        file: PathBuf,
        lock: Arc<File>,
        application_id: i32,
        migrations: &[Migration],
    ) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Database { file: file.clone(), source };
        let mut connection = Connection::open(&file).map_err(refused)?;
        configure(&connection).map_err(refused)?;
        migrate(&mut connection, &file, application_id, migrations)?;
        digest::watch(&connection).map_err(refused)?;
        Ok(Self {
            writer: Mutex::new(Writer { connection, memory: M::default() }),
            readers: Mutex::default(),
            returned: Condvar::new(),
            _lock: lock,
            file,
        })
    }
}

impl<M> Database<M> {
    /// Overwrites what is deleted or replaced; freed bytes would keep it otherwise.
    pub(crate) fn overwriting(self) -> Result<Self, OpenError> {
        let on = |_: &rusqlite::Row<'_>| Ok(());
        let set = self.writer().connection.pragma_update_and_check(None, "secure_delete", true, on);
        match set {
            Ok(()) => Ok(self),
            Err(source) => Err(OpenError::Database { file: self.file, source }),
        }
    }

    /// Counts the rows that change: what of which tables each event names, as `UPDATE OF name ON agents`
    /// does. Changes that are rolled back count as well.
    pub(crate) fn counting(self, events: &[&str]) -> Result<(Self, ChangeCount), OpenError> {
        let count = ChangeCount::default();
        let watched = count.watch(&self.writer().connection, events);
        match watched {
            Ok(()) => Ok((self, count)),
            Err(source) => Err(OpenError::Database { file: self.file, source }),
        }
    }

    /// How many changes were counted of which all that are not rolled back can be read by now.
    pub(crate) fn count(&self, changes: &ChangeCount) -> u64 {
        // Nothing that was counted waits to be committed while nobody writes.
        let _nobody = self.writer();
        changes.0.load(Ordering::Relaxed)
    }

    /// The writer. A panic of an earlier holder rolled its transaction back, so what it left is
    /// usable.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer<M>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `write` in one durable transaction; all of it happens or nothing.
    pub(crate) fn write<T>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.writer().write(operation, write)
    }

    /// Runs `read` on one consistent state of the file.
    pub(crate) fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let attempt = || {
            let mut reader = self.reader()?;
            let transaction = reader.connection().transaction()?;
            read(&transaction)
        };
        attempt().map_err(during(operation))
    }

    /// Refuses a file that has something that was not written so.
    pub(crate) fn refuse_unlike(&self) -> Result<(), OpenError> {
        let findings = self.read(COUNT_AGAIN, |sql| digest::verify(sql));
        let unlike = |findings: Vec<String>| match findings.as_slice() {
            [] => Ok(()),
            some => {
                let what = format!("{COUNT_AGAIN}: {}", some.join("; "));
                Err(StoreError::new(what, ErrorKind::Corrupt))
            }
        };
        let refused = |source| OpenError::Journal { file: self.file.clone(), source };
        findings.and_then(unlike).map_err(refused)
    }

    /// Empties the write-ahead log, so that what was deleted is in neither file. Waits for readers as long
    /// as for another process; true when something is left in the log.
    pub(crate) fn empty_log(&self) -> bool {
        is_log_left(&self.writer().connection)
    }

    /// Makes the file anew without what is free in it, and empties the log: what was deleted or replaced
    /// is in neither any more. True when it may be.
    pub(crate) fn wipe(&self) -> bool {
        let writer = self.writer();
        let anew = writer.connection.execute_batch("VACUUM");
        is_log_left(&writer.connection) || anew.is_err()
    }

    /// Forbids the file to grow beyond `bytes` (rounded down to pages, never below what it has).
    pub(crate) fn limit_size(&self, bytes: u64) -> Result<(), StoreError> {
        let writer = self.writer();
        limit_pages(&writer.connection, bytes).map_err(during("limit the size of the database"))
    }

    /// Bytes of the file and its write-ahead log.
    pub(crate) fn size_bytes(&self) -> u64 {
        let wal = sibling(&self.file, "-wal");
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        size(&self.file) + size(&wal)
    }

    fn reader(&self) -> rusqlite::Result<Reader<'_, M>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = readers.idle.pop() {
                return Ok(Reader { database: self, connection: Some(connection) });
            }
            if readers.opened < MAX_READERS {
                let connection = open_reader(&self.file)?;
                readers.opened += 1;
                return Ok(Reader { database: self, connection: Some(connection) });
            }
            readers = self.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// How often rows of some tables changed since the file was opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeCount(Arc<AtomicU64>);

impl ChangeCount {
    /// Triggers of the writing connection count, so that no statement is left out.
    fn watch(&self, connection: &Connection, events: &[&str]) -> rusqlite::Result<()> {
        let (flags, count) = (FunctionFlags::SQLITE_INNOCUOUS, Arc::clone(&self.0));
        connection.create_scalar_function("count_change", 0, flags, move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(true)
        })?;
        for event in events {
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER \"count {event}\" AFTER {event} BEGIN SELECT count_change(); END;"
            ))?;
        }
        Ok(())
    }
}

/// Moves all of the log into the file; whether something is left in it.
fn is_log_left(connection: &Connection) -> bool {
    let busy =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    busy.unwrap_or(true)
}

/// Begins a transaction that may write, at once: it cannot find another writer half-way.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Forbids a file to grow beyond `bytes` through this connection.
pub(super) fn limit_pages(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    // To SQLite, 0 is a question.
    let pages = (i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1)).max(1);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

/// A reader that goes back when dropped, whatever happened.
struct Reader<'a, M> {
    database: &'a Database<M>,
    connection: Option<Connection>,
}

impl<M> Reader<'_, M> {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("taken only by drop")
    }
}

impl<M> Drop for Reader<'_, M> {
    fn drop(&mut self) {
        let mut readers = self.database.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.idle.extend(self.connection.take());
        self.database.returned.notify_one();
    }
}

fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "query_only", true)?;
    look_at_cells(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Negative is kibibytes: 64 MiB hold the pages that a transaction over many paths dirties.
    connection.pragma_update(None, "cache_size", -65_536)?;
    // A log that once grew is cut back after the next checkpoint.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    look_at_cells(connection)
}

/// Makes SQLite look at every cell of a page when it reads the page, so that damage is told there and
/// not taken for rows.
pub(super) fn look_at_cells(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cell_size_check", true)
}

/// A file whose name begins with that of `file`.
pub(super) fn sibling(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
