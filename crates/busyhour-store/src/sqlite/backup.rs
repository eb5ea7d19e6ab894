//! Backups: whole copies of a store at one moment, taken while the collector runs, and their way
//! back.
//!
//! A backup holds the fold lock, so that no row moves from file to file meanwhile; the journal grows.
//! It takes partitions first and the head last: all that partitions have folded is then in the head's
//! past. A file that did not change since the backup before is linked, not copied. A backup counts
//! once its manifest is there, which is after every copy was looked through.

mod manifest;
mod restore;

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use busyhour_model::UtcMicros;
use rusqlite::Connection;
use rusqlite::backup::{Backup as Copying, StepResult};
use thiserror::Error;

pub use restore::{Restored, restore};

use super::check::{CheckedFile, Progress, Whole, open_with_log};
use super::partition::files::{self, sync_folder};
use super::partition::open_alone;
use super::{FoldLock, OpenError, digest};
use crate::StoreError;
use manifest::{Entry, MANIFEST_FILE, Manifest, hash};

/// The file whose lock keeps a second backup out of the folder.
const LOCK_FILE: &str = "backup.lock";
/// The end of the name of a backup that is being taken.
const PARTIAL: &str = ".partial";
/// Pages copied between two reports of progress: some megabytes.
const PAGES_PER_STEP: i32 = 1_024;

/// Why a backup could not be taken or restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is no store to back up.
    #[error("{directory:?} is no collector's data directory: it has no {file:?}")]
    NoStore {
        /// The directory.
        directory: PathBuf,
        /// What a store has.
        file: PathBuf,
    },
    /// The folder for backups holds something else.
    #[error("{directory:?} is a collector's data directory; backups need a folder of their own")]
    IntoStore {
        /// The folder.
        directory: PathBuf,
    },
    /// Another backup is being taken into the folder.
    #[error("another backup is being taken into {directory:?}; wait for it")]
    InUse {
        /// The folder.
        directory: PathBuf,
    },
    /// There is a backup of this moment already.
    #[error("{directory:?} is there already")]
    Exists {
        /// The backup.
        directory: PathBuf,
    },
    /// There is nothing to restore.
    #[error("{directory:?} neither is a whole backup nor holds one")]
    NoBackup {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The directory to restore into has something in it.
    #[error("{directory:?} is not empty; restore into an empty directory")]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// The manifest is not what was written.
    #[error("{file:?} is damaged; use another backup")]
    Manifest {
        /// The manifest.
        file: PathBuf,
    },
    /// A file of the backup is not what was written.
    #[error("{file:?} is missing or not what was backed up; use another backup")]
    Differs {
        /// The file.
        file: PathBuf,
    },
    /// A file without which a backup is none is damaged at its source.
    #[error("{file:?} is damaged ({finding}); look with check, and restore an earlier backup")]
    Damaged {
        /// The collector's file.
        file: PathBuf,
        /// What was found first.
        finding: String,
    },
    /// SQLite could not copy a file.
    #[error("{file:?} cannot be copied")]
    Copy {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The operating system refused.
    #[error("{path:?} cannot be read or written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The audit of what was restored cannot be written.
    #[error("the audit of what was restored cannot be written")]
    Audit(#[source] StoreError),
    /// The directory to restore into cannot be taken.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Where it is.
    pub directory: PathBuf,
    /// Files that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files that had not changed since the backup before.
    pub unchanged: u64,
    /// Partitions that are damaged at their source. Where the backup before has them they are in
    /// this one as they were then; else they are not in it.
    pub damaged: Vec<CheckedFile>,
}

/// Takes a backup of the store in `from` into a new folder of `to` that is named by `now`. The
/// collector may run meanwhile.
///
/// # Errors
/// When `from` is no store, the head or the control database is damaged, or something cannot be read
/// or written; then nothing new is in `to` that would count as a backup.
pub fn backup(
    from: &Path,
    to: &Path,
    now: UtcMicros,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<BackupReport, BackupError> {
    let head = Whole::Head.file();
    if !from.join(&head).is_file() {
        return Err(BackupError::NoStore { directory: from.to_owned(), file: head });
    }
    let _lock = lock(to)?;
    clear_partial(to)?;
    let before = latest(to)?;
    let directory = to.join(name(now));
    if directory.exists() {
        return Err(BackupError::Exists { directory });
    }
    let partial = to.join(format!("{}{PARTIAL}", name(now)));
    std::fs::create_dir(&partial).map_err(at(&partial))?;
    // Whoever may not look into the store may not look into its backups.
    let allowed = std::fs::metadata(from).map(|found| found.permissions());
    let allowing = allowed.and_then(|allowed| std::fs::set_permissions(&partial, allowed));
    allowing.map_err(at(&partial))?;
    let mut taking = Taking {
        from,
        to: &partial,
        before: before.as_ref().map(|(directory, manifest)| (directory.as_path(), manifest)),
        manifest: Manifest::default(),
        report: BackupReport {
            directory: directory.clone(),
            copied: 0,
            copied_bytes: 0,
            unchanged: 0,
            damaged: Vec::new(),
        },
    };
    taking.take_all(progress)?;
    let Taking { manifest, report, .. } = taking;
    write_durably(&partial.join(MANIFEST_FILE), manifest.text().as_bytes())?;
    sync_folder(&partial).map_err(at(&partial))?;
    std::fs::rename(&partial, &directory).map_err(at(&directory))?;
    sync_folder(to).map_err(at(to))?;
    Ok(report)
}

/// Deletes the oldest whole backups in `to` beyond `keep`, at least one of which stays. Returns how
/// many went.
///
/// # Errors
/// When one cannot be deleted.
pub fn thin_backups(to: &Path, keep: usize) -> Result<u64, BackupError> {
    let _lock = lock(to)?;
    let mut backups = whole_backups(to)?;
    backups.sort_unstable();
    let beyond = backups.len().saturating_sub(keep.max(1));
    let mut gone = 0;
    for backup in backups.into_iter().take(beyond) {
        // Without its manifest it counts no more, should deleting be cut short.
        let manifest = backup.join(MANIFEST_FILE);
        std::fs::remove_file(&manifest).map_err(at(&manifest))?;
        std::fs::remove_dir_all(&backup).map_err(at(&backup))?;
        gone += 1;
    }
    Ok(gone)
}

/// A backup being taken.
struct Taking<'a> {
    from: &'a Path,
    to: &'a Path,
    before: Option<(&'a Path, &'a Manifest)>,
    manifest: Manifest,
    report: BackupReport,
}

impl Taking<'_> {
    fn take_all(&mut self, progress: &mut dyn FnMut(&Progress<'_>)) -> Result<(), BackupError> {
        let fold_lock = FoldLock::open(self.from).map_err(at(self.from))?;
        let _nothing_moves = fold_lock.shared().map_err(at(self.from))?;
        let scanned = files::scan(self.from).map_err(at(self.from))?;
        let wholes = Whole::all(scanned.partitions);
        let size = |whole: &Whole| files::size_bytes(&self.from.join(whole.file()));
        let sizes: Vec<u64> = wholes.iter().map(size).collect();
        let total_bytes = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
        let mut done_bytes = 0_u64;
        for (whole, size_bytes) in wholes.into_iter().zip(sizes) {
            let file = whole.file();
            progress(&Progress { file: &file, done_bytes, total_bytes });
            self.take(whole, &mut |copied_bytes| {
                let done_bytes = done_bytes.saturating_add(copied_bytes.min(size_bytes));
                progress(&Progress { file: &file, done_bytes, total_bytes });
            })?;
            done_bytes = done_bytes.saturating_add(size_bytes);
        }
        for folder in self
            .manifest
            .entries
            .iter()
            .filter_map(|entry| self.to.join(entry.whole.file()).parent().map(Path::to_owned))
        {
            sync_folder(&folder).map_err(at(&folder))?;
        }
        Ok(())
    }

    fn take(&mut self, whole: Whole, copied: &mut dyn FnMut(u64)) -> Result<(), BackupError> {
        let (source, copy) = (self.from.join(whole.file()), self.to.join(whole.file()));
        if let Some(folder) = copy.parent() {
            std::fs::create_dir_all(folder).map_err(at(folder))?;
        }
        if let Some(entry) = self.unchanged(whole, &source) {
            self.link(entry, &copy)?;
            self.report.unchanged += 1;
            return Ok(());
        }
        let mut found = CheckedFile::new(whole);
        match copy_database(whole, &source, &copy, copied) {
            Ok(()) => whole.check(self.to, &mut found),
            Err(error) if is_damage(&error) => found.findings.push(error.to_string()),
            Err(error) => return Err(BackupError::Copy { file: source, source: error }),
        }
        let Some(finding) = found.findings.first() else {
            return self.keep(whole, &copy);
        };
        if !matches!(whole, Whole::Partition(_)) {
            return Err(BackupError::Damaged { file: source, finding: finding.clone() });
        }
        self.report.damaged.push(found);
        remove_if_there(&copy)?;
        match self.before.and_then(|(_, manifest)| manifest.entry(whole).copied()) {
            Some(entry) => self.link(entry, &copy),
            None => Ok(()),
        }
    }

    /// Takes a copy that was looked through into the manifest.
    fn keep(&mut self, whole: Whole, copy: &Path) -> Result<(), BackupError> {
        let failed = |source| BackupError::Copy { file: copy.to_owned(), source };
        let content = open_alone(copy).and_then(|sql| digest::figure(&sql)).map_err(failed)?;
        let (sha256, size_bytes) = hash(copy, None).map_err(at(copy))?;
        let synced = File::open(copy).and_then(|file| file.sync_all());
        synced.map_err(at(copy))?;
        self.manifest.entries.push(Entry { whole, size_bytes, sha256, content });
        self.report.copied += 1;
        self.report.copied_bytes = self.report.copied_bytes.saturating_add(size_bytes);
        Ok(())
    }

    /// What the backup before has of the file, if the file has not changed since.
    fn unchanged(&self, whole: Whole, source: &Path) -> Option<Entry> {
        let (directory, manifest) = self.before?;
        let entry = *manifest.entry(whole)?;
        let size = |file: &Path| std::fs::metadata(file).map(|found| found.len()).ok();
        let same_size = size(source)? == entry.size_bytes
            && size(&directory.join(whole.file()))? == entry.size_bytes;
        if !matches!(whole, Whole::Partition(_)) || !same_size || !files::is_log_empty(source) {
            return None;
        }
        // What cannot be read is copied, and told as damaged then.
        let content = open_alone(source).and_then(|sql| digest::figure(&sql)).ok()?;
        (content == entry.content).then_some(entry)
    }

    fn link(&mut self, entry: Entry, copy: &Path) -> Result<(), BackupError> {
        let Some((directory, _)) = self.before else { return Ok(()) };
        let kept = directory.join(entry.whole.file());
        if std::fs::hard_link(&kept, copy).is_err() {
            // Not every file system has links.
            let mut file = File::create_new(copy).map_err(at(copy))?;
            let found = hash(&kept, Some(&mut file)).map_err(at(&kept))?;
            if found != (entry.sha256, entry.size_bytes) {
                return Err(BackupError::Differs { file: kept });
            }
            file.sync_all().map_err(at(copy))?;
        }
        self.manifest.entries.push(entry);
        Ok(())
    }
}

/// Copies one consistent state of a database, whoever writes it meanwhile.
fn copy_database(
    whole: Whole,
    source: &Path,
    copy: &Path,
    copied: &mut dyn FnMut(u64),
) -> rusqlite::Result<()> {
    // Nobody writes partitions now; opening them as they are leaves nothing beside them.
    let alone = matches!(whole, Whole::Partition(_)) && files::is_log_empty(source);
    let from = if alone { open_alone(source)? } else { open_with_log(source)? };
    // One transaction from first to last page: otherwise each commit meanwhile would begin it anew.
    from.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    let page_bytes: u32 = from.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let mut to = Connection::open(copy)?;
    // It is made durable as a whole, later.
    to.pragma_update(None, "synchronous", "off")?;
    let copying = Copying::new(&from, &mut to)?;
    while copying.step(PAGES_PER_STEP)? != StepResult::Done {
        let pages = copying.progress();
        let done = u64::try_from(pages.pagecount.saturating_sub(pages.remaining)).unwrap_or(0);
        copied(done.saturating_mul(u64::from(page_bytes)));
    }
    Ok(())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    super::kind_of(error) == crate::ErrorKind::Corrupt
}

/// A folder's name, in the order of time: `2026-11-23T04-05-06Z`.
fn name(now: UtcMicros) -> String {
    let seconds = now.0.div_euclid(1_000_000);
    let second = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    second.strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}

/// The newest whole backup in the folder.
fn latest(to: &Path) -> Result<Option<(PathBuf, Manifest)>, BackupError> {
    let Some(directory) = whole_backups(to)?.into_iter().max() else { return Ok(None) };
    let manifest = Manifest::read(&directory)?;
    Ok(manifest.map(|manifest| (directory, manifest)))
}

fn whole_backups(to: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(to).map_err(at(to))? {
        let path = entry.map_err(at(to))?.path();
        let partial = path.extension().is_some_and(|end| end == &PARTIAL[1..]);
        if !partial && path.join(MANIFEST_FILE).is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Clears away what a backup left that was cut short.
fn clear_partial(to: &Path) -> Result<(), BackupError> {
    for entry in std::fs::read_dir(to).map_err(at(to))? {
        let path = entry.map_err(at(to))?.path();
        if path.extension().is_some_and(|end| end == &PARTIAL[1..]) && path.is_dir() {
            std::fs::remove_dir_all(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

fn lock(to: &Path) -> Result<File, BackupError> {
    std::fs::create_dir_all(to).map_err(at(to))?;
    let directory = || to.to_owned();
    if to.join(Whole::Head.file()).exists() {
        return Err(BackupError::IntoStore { directory: directory() });
    }
    let path = to.join(LOCK_FILE);
    let options = File::options().create(true).truncate(false).write(true).open(&path);
    let file = options.map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::InUse { directory: directory() }),
        Err(TryLockError::Error(source)) => Err(BackupError::Io { path, source }),
    }
}

fn write_durably(file: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let write = || {
        let mut open = File::create_new(file)?;
        open.write_all(bytes)?;
        open.sync_all()
    };
    write().map_err(at(file))
}

fn remove_if_there(file: &Path) -> Result<(), BackupError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(file)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}
