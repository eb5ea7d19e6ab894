//! Looking through a store that nobody uses, without changing anything.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::database::{BUSY_TIMEOUT, look_at_cells, sibling};
use super::digest;
use super::lock::{self, Made, lock_existing};
use super::partition::files::{self, Scanned};
use super::partition::{self, PartitionId, open_alone};
use super::{OpenError, log};
use crate::{control, engine};

/// Findings of SQLite's own check told of one file; more say nothing new.
const MAX_FINDINGS: u32 = 20;

/// What is done at the moment, for a person who waits.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The file, within the directory.
    pub file: &'a Path,
    /// Bytes of files that are done.
    pub done_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
}

/// What a look through a store found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Every file, in the order of names.
    pub files: Vec<CheckedFile>,
    /// Files that the collector found damaged and set aside earlier, with what it found.
    pub set_aside: Vec<(PathBuf, String)>,
    /// Files that are none of the collector's.
    pub unknown: Vec<PathBuf>,
    /// What was begun in the directory and never ended.
    pub unfinished: Option<Unfinished>,
}

impl CheckReport {
    /// Whether the store is whole and all files in use are as they were written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.unfinished.is_none() && self.files.iter().all(|file| file.findings.is_empty())
    }
}

/// Why there is no whole store, whatever its files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// None was made to the end.
    Making,
    /// A backup was not restored to the end.
    Restoring,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Making => {
                "no store was made here to the end: a collector that starts makes what is missing, and \
                 where one was made before, say its directory or restore a backup"
            }
            Self::Restoring => {
                "a backup was not restored to the end: restore it into an empty directory"
            }
        })
    }
}

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFile {
    /// The file, within the directory.
    pub file: PathBuf,
    /// Its bytes, with its log.
    pub size_bytes: u64,
    /// Records, slots, entries, verdicts and incidents that were decoded.
    pub decoded: u64,
    /// What is wrong, each as a clause; empty when all is as it was written.
    pub findings: Vec<String>,
}

impl CheckedFile {
    /// One that was not looked at yet.
    pub(super) fn new(whole: Whole) -> Self {
        Self { file: whole.file(), size_bytes: 0, decoded: 0, findings: Vec::new() }
    }
}

/// Looks through the store in `directory`: SQLite's own check, the digest of each table, every stored
/// record decoded, and whether a file is missing. Needs the collector stopped; changes nothing.
///
/// # Errors
/// When a collector uses the directory, or it cannot be read.
pub fn check(
    directory: &Path,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<CheckReport, OpenError> {
    let lock = lock_existing(directory)?;
    let unusable = |source| OpenError::Directory { directory: directory.to_owned(), source };
    std::fs::read_dir(directory).map_err(unusable)?;
    let Scanned { partitions, damaged, unknown, .. } = files::scan(directory).map_err(unusable)?;
    let found: BTreeSet<PartitionId> =
        partitions.iter().copied().chain(damaged.iter().map(|damage| damage.id)).collect();
    let wholes = Whole::all(partitions);
    let size = |whole: &Whole| files::size_bytes(&directory.join(whole.file()));
    let total_bytes = wholes.iter().map(size).fold(0, u64::saturating_add);
    let mut done_bytes = 0_u64;
    let mut checked = Vec::with_capacity(wholes.len());
    for whole in wholes {
        let file = whole.file();
        progress(&Progress { file: &file, done_bytes, total_bytes });
        let mut found = CheckedFile::new(whole);
        whole.check(directory, &mut found);
        done_bytes = done_bytes.saturating_add(found.size_bytes);
        checked.push(found);
    }
    checked.extend(missing(directory, &found));
    let set_aside = damaged.into_iter().map(|damage| (damage.file, damage.reason)).collect();
    let unfinished = unfinished(lock.as_ref(), directory)?;
    Ok(CheckReport { files: checked, set_aside, unknown, unfinished })
}

/// The partitions that the head lists and that are not among those `found`. A head that cannot be read is
/// told of by itself.
fn missing(directory: &Path, found: &BTreeSet<PartitionId>) -> Vec<CheckedFile> {
    let listed = opened(&directory.join(engine::FILE), engine::listed).unwrap_or_default();
    let of = |id: &PartitionId| {
        let finding = "is missing: somebody deleted it; a backup may have it".to_owned();
        CheckedFile { findings: vec![finding], ..CheckedFile::new(Whole::Partition(*id)) }
    };
    listed.difference(found).map(of).collect()
}

fn unfinished(
    lock: Option<&std::fs::File>,
    directory: &Path,
) -> Result<Option<Unfinished>, OpenError> {
    if directory.join(lock::UNFINISHED_FILE).exists() {
        return Ok(Some(Unfinished::Restoring));
    }
    let made = lock.map_or(Ok(Made::Not), |lock| lock::made(lock, directory))?;
    Ok((made == Made::Not).then_some(Unfinished::Making))
}

/// A file that is looked at by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Head,
    Control,
    Partition(PartitionId),
}

impl Whole {
    /// Partitions first: a backup takes the files in this order.
    pub(super) fn all(partitions: Vec<PartitionId>) -> Vec<Self> {
        let partitions = partitions.into_iter().map(Self::Partition);
        partitions.chain([Self::Control, Self::Head]).collect()
    }

    /// The file, within the directory.
    pub(super) fn file(self) -> PathBuf {
        match self {
            Self::Head => PathBuf::from(engine::FILE),
            Self::Control => PathBuf::from(control::FILE),
            Self::Partition(id) => id.file(),
        }
    }

    fn application_id(self) -> i32 {
        match self {
            Self::Head => engine::APPLICATION_ID,
            Self::Control => control::APPLICATION_ID,
            Self::Partition(id) => id.family().application_id(),
        }
    }

    /// The newest layout.
    fn layout(self) -> usize {
        match self {
            Self::Head => engine::MIGRATIONS.len(),
            Self::Control => control::MIGRATIONS.len(),
            Self::Partition(id) => partition::newest_layout(engine::layouts, id.family()),
        }
    }

    /// Decodes all that the program ever decodes of it; how much that was.
    fn decode(self, sql: &Connection) -> rusqlite::Result<u64> {
        match self {
            Self::Head => engine::check_head(sql),
            Self::Control => control::check(sql),
            Self::Partition(id) => engine::check_partition(sql, id),
        }
    }

    /// Looks at the file in `directory` and adds what is wrong.
    pub(super) fn check(self, directory: &Path, found: &mut CheckedFile) {
        let file = directory.join(self.file());
        found.size_bytes = files::size_bytes(&file);
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.len() == 0 => found.findings.push("is empty".to_owned()),
            Ok(_) => {
                let looked = opened(&file, |sql| self.look(sql, found));
                found.findings.extend(looked.err().map(|error| sentence(&error)));
                match log::damage(&sibling(&file, "-wal")) {
                    Ok(finding) => found.findings.extend(finding),
                    Err(error) => found.findings.push(format!("its log cannot be read: {error}")),
                }
            }
            Err(error) => found.findings.push(format!("cannot be read: {error}")),
        }
    }

    fn look(self, sql: &Connection, found: &mut CheckedFile) -> rusqlite::Result<()> {
        let number = |name: &str| sql.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if number("application_id")? != i64::from(self.application_id()) {
            found.findings.push("was not made to the end, or is another kind of file".to_owned());
            return Ok(());
        }
        let (layout, known) = (number("user_version")?, self.layout());
        if layout != i64::try_from(known).unwrap_or(i64::MAX) {
            found.findings.push(format!(
                "has layout {layout}, this program knows {known}; look with the version that wrote it"
            ));
            return Ok(());
        }
        let mut check = sql.prepare(&format!("PRAGMA integrity_check({MAX_FINDINGS})"))?;
        for line in check.query_map([], |row| row.get::<_, String>(0))? {
            found.findings.extend(Some(line?).filter(|line| line != "ok"));
        }
        found.findings.extend(digest::verify(sql)?);
        found.decoded = self.decode(sql)?;
        Ok(())
    }
}

/// Looks at a file that nobody else has open, and leaves what lies beside it as it was.
fn opened<T>(
    file: &Path,
    look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let index = sibling(file, "-shm");
    let (alone, indexed) = (files::is_log_empty(file), index.exists());
    let opened = if alone { open_alone(file) } else { open_with_log(file) };
    let looked = opened.and_then(|sql| look(&sql));
    if !alone && !indexed {
        // Made for reading the log.
        let _ = std::fs::remove_file(index);
    }
    looked
}

/// What is wrong, with its causes.
fn sentence(error: &rusqlite::Error) -> String {
    use std::error::Error as _;
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, source) => {
            format!("holds something that cannot be decoded: {source}")
        }
        _ => match error.source() {
            Some(source) => format!("{error}: {source}"), // a foreign, non-exhaustive enumeration
            None => error.to_string(),
        },
    }
}

/// A connection that sees what is in the log, too, and writes neither file.
pub(super) fn open_with_log(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    look_at_cells(&connection)?;
    Ok(connection)
}
