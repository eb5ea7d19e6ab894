//! Keeps what moves data from file to file (a fold, retention) and a backup out of each other's way.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file whose lock is held while data moves, or by those who want that it does not.
const FOLD_LOCK_FILE: &str = "fold.lock";

/// The lock of one data directory. Backups, of this process or another, share it; whoever moves
/// data has it alone.
///
/// Only whole operations are guarded: rows that a fold or retention takes out of one file because
/// another one has them now. Appending and reading need it not.
#[derive(Debug)]
pub(crate) struct FoldLock {
    /// The operating system tells open files apart, not who uses one: the mutex tells threads apart.
    file: Mutex<File>,
}

/// The lock, until dropped.
#[derive(Debug)]
pub(crate) struct FoldGuard<'a> {
    file: MutexGuard<'a, File>,
}

impl FoldLock {
    /// Opens the lock of `directory`; the file is made when it is not there.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FOLD_LOCK_FILE);
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// For who moves data: `None` while a backup runs; then leave the data where it is, and try
    /// again later. Waits for others of this process that move data.
    pub(crate) fn try_alone(&self) -> io::Result<Option<FoldGuard<'_>>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.try_lock() {
            Ok(()) => Ok(Some(FoldGuard { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// For a backup: waits until nothing moves.
    pub(crate) fn shared(&self) -> io::Result<FoldGuard<'_>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.lock_shared()?;
        Ok(FoldGuard { file })
    }
}

impl Drop for FoldGuard<'_> {
    fn drop(&mut self) {
        // When this fails the lock lasts until the file is closed; nobody loses data over it.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_share_the_lock_and_whoever_moves_data_has_it_alone() {
        let directory = tempfile::tempdir().unwrap();
        let open = || FoldLock::open(directory.path()).unwrap();
        let (fold, backup, other) = (open(), open(), open());
        let first = backup.shared().unwrap();
        let second = other.shared().unwrap();
        assert!(fold.try_alone().unwrap().is_none());
        drop(first);
        assert!(fold.try_alone().unwrap().is_none());
        drop(second);
        let alone = fold.try_alone().unwrap();
        assert!(alone.is_some());
        assert!(backup.try_alone().unwrap().is_none());
        drop(alone);
        assert!(backup.try_alone().unwrap().is_some());
    }
}
