//! The right to use a data directory, and the mark that a store was made in it.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::OpenError;
use super::partition::files::sync_folder;

/// The file whose lock keeps a second collector out of the data directory.
pub(super) const LOCK_FILE: &str = "collector.lock";
/// The file that is there while a backup is being restored: until it is gone the rest is not whole.
pub(super) const UNFINISHED_FILE: &str = "restore.unfinished";
/// What it says once the store was made: from then on a file that is not there is lost, not new.
const MARK: &[u8] = b"made\n";

/// Takes the directory, which is made when it is not there.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Directory { directory: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(directory.join(LOCK_FILE))
        .map_err(unusable)?;
    take(&file, directory)?;
    Ok(file)
}

/// Takes the directory without making anything: `None` when nobody ever took it.
pub(super) fn lock_existing(directory: &Path) -> Result<Option<File>, OpenError> {
    match File::open(directory.join(LOCK_FILE)) {
        Ok(file) => take(&file, directory).map(|()| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Directory { directory: directory.to_owned(), source }),
    }
}

fn take(file: &File, directory: &Path) -> Result<(), OpenError> {
    let directory = directory.to_owned();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory }),
        Err(TryLockError::Error(source)) => Err(OpenError::Directory { directory, source }),
    }
}

/// Refuses a directory in which a store was made when one of its files is not there, and one that
/// was not restored to the end.
pub(super) fn refuse_missing(
    lock: &File,
    directory: &Path,
    files: &[&str],
) -> Result<Made, OpenError> {
    let unfinished = directory.join(UNFINISHED_FILE);
    if unfinished.exists() {
        return Err(OpenError::Unfinished { file: unfinished });
    }
    if made(lock, directory)? == Made::Not {
        return Ok(Made::Not);
    }
    for file in files.iter().map(|name| directory.join(name)) {
        if std::fs::metadata(&file).map_or(0, |found| found.len()) == 0 {
            return Err(OpenError::Missing { file });
        }
    }
    Ok(Made::Before)
}

/// What the mark says.
pub(super) fn made(lock: &File, directory: &Path) -> Result<Made, OpenError> {
    let mut mark = Vec::with_capacity(MARK.len());
    let read = lock.take(MARK.len() as u64).read_to_end(&mut mark);
    read.map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })?;
    Ok(if mark == MARK { Made::Before } else { Made::Not })
}

/// Whether a store was made in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Before,
    Not,
}

/// Notes durably that the store was made: its files are there and durable.
pub(super) fn mark_made(mut lock: &File, directory: &Path) -> Result<(), OpenError> {
    let mut mark = || {
        sync_folder(directory)?;
        lock.write_all(MARK)?;
        lock.sync_all()
    };
    mark().map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })
}
