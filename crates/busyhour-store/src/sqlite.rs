//! The embedded engine: one directory, two SQLite files, one collector.

mod backup;
mod check;
mod database;
mod digest;
mod fold_lock;
mod lock;
mod log;
mod migrate;
mod partition;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use busyhour_model::UtcMicros;
use rusqlite::types::Type;
use thiserror::Error;

pub use backup::{BackupError, BackupReport, Restored, backup, restore, thin_backups};
pub use check::{CheckReport, CheckedFile, Progress, Unfinished, check};
pub(crate) use database::{ChangeCount, Database};
pub(crate) use fold_lock::{FoldGuard, FoldLock};
use lock::Made;
pub(crate) use migrate::Migration;
pub(crate) use partition::{Family, PartitionId, Partitions, folded_through, set_folded_through};

use crate::{ErrorKind, FoldOptions, Retention, SqliteControl, SqliteTelemetry, StoreError};
use crate::{control, engine};

/// SQLite before this version can lose committed transactions when a checkpoint and a write race
/// (the WAL-reset bug).
const OLDEST_SQLITE: i32 = 3_051_003;

/// Why the store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another collector has it.
    #[error(
        "another collector is using {directory:?}; stop it, or give this one a data directory of \
         its own"
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// The directory or its lock file cannot be made or written.
    #[error("the data directory {directory:?} cannot be used; check that it may be written")]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The SQLite that this program was built with is not safe.
    #[error("SQLite {found} can damage its files; build with 3.51.3 or newer")]
    Engine {
        /// Its version.
        found: String,
    },
    /// The file is of a newer program.
    #[error(
        "{file:?} was written by a newer version (layout {found}, this program knows {known}); \
         run that version, or restore a backup"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its layout.
        found: i64,
        /// The newest layout this program knows.
        known: i64,
    },
    /// The file is not one of the collector's.
    #[error("{file:?} is not a database of the collector; move it away")]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// What the head holds cannot be read back.
    #[error(
        "{file:?} cannot be read back; \"busyhour-collector check\" says more, \"restore\" brings back a \
         backup"
    )]
    Journal {
        /// The file.
        file: PathBuf,
        /// What was found.
        source: StoreError,
    },
    /// A file of a store that was made here is gone.
    #[error(
        "{file:?} is missing or empty, and the store in this directory had it; restore a backup into \
         an empty directory, or begin anew in one"
    )]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A backup was not restored to the end.
    #[error(
        "{file:?} says that a backup was not restored to the end; restore it into an empty directory"
    )]
    Unfinished {
        /// The mark.
        file: PathBuf,
    },
    /// SQLite could not open or upgrade the file.
    #[error(
        "{file:?} cannot be opened; \"busyhour-collector check\" says more, \"restore\" brings back a \
         backup"
    )]
    Database {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// Opens the store in `directory`, which is made when it is not there. The directory stays locked
/// until both parts are dropped.
///
/// # Errors
/// When another collector has it, a file is newer or damaged, or the directory cannot be written.
pub fn open(
    directory: &Path,
    retention: Retention,
) -> Result<(SqliteTelemetry, SqliteControl), OpenError> {
    open_with(directory, retention, FoldOptions::default())
}

/// The same, with other times for folding.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    directory: &Path,
    retention: Retention,
    folding: FoldOptions,
) -> Result<(SqliteTelemetry, SqliteControl), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::Engine { found: rusqlite::version().to_owned() });
    }
    let lock = Arc::new(lock::lock(directory)?);
    let made = lock::refuse_missing(&lock, directory, &[engine::FILE, control::FILE])?;
    let telemetry = SqliteTelemetry::open(directory, &lock, retention, folding)?;
    let control = SqliteControl::open(directory, Arc::clone(&lock))?;
    if made == Made::Not {
        lock::mark_made(&lock, directory)?;
    }
    Ok((telemetry, control))
}

/// Names the operation that SQLite refused, and sorts the refusal.
pub(crate) fn during(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |error| StoreError::new(operation, kind_of(&error)).with_source(error)
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::ErrorCode;
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => return ErrorKind::Corrupt,
        _ => {} // a foreign, non-exhaustive enumeration
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            ErrorKind::Io
        }
        Some(ErrorCode::ConstraintViolation) => ErrorKind::Conflict,
        _ => ErrorKind::Other, // a foreign, non-exhaustive enumeration
    }
}

/// Turns an unreadable stored value into the error that a row reader may give.
pub(crate) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, Box::new(error))
}

/// A row limit as SQLite takes it.
pub(crate) fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The moment `days` before `now`.
pub(crate) fn days_before(now: UtcMicros, days: u32) -> UtcMicros {
    UtcMicros(now.0.saturating_sub(i64::from(days).saturating_mul(DAY_MICROS)))
}

/// The day of UTC that holds `at`, since 1970.
pub(crate) const fn utc_day(at: UtcMicros) -> i64 {
    at.0.div_euclid(DAY_MICROS)
}

pub(crate) const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;

/// How SQLite would answer a statement, with every parameter bound to 1.
#[cfg(test)]
pub(crate) fn plan_of(connection: &rusqlite::Connection, statement: &str) -> String {
    let explain = ["EXPLAIN QUERY PLAN ", statement].concat();
    let mut prepared = connection.prepare(&explain).unwrap();
    let parameters = std::iter::repeat_n(1, prepared.parameter_count());
    let parameters = rusqlite::params_from_iter(parameters);
    let details = prepared.query_map(parameters, |row| row.get(3)).unwrap();
    details.collect::<Result<Vec<String>, _>>().unwrap().join("; ")
}
