//! The way back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::{Entry, Manifest, hash};
use super::{BackupError, at, latest};
use crate::sqlite::check::Progress;
use crate::sqlite::lock::{self, UNFINISHED_FILE};
use crate::sqlite::partition::files::sync_folder;
use crate::{Act, AuditAction, AuditSubject, Control as _, SqliteControl};

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub backup: PathBuf,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Restores the backup in `from`, or the newest one in the folder of backups `from`, into `to`, which
/// is made when it is not there and must be empty. Every file is compared with what was backed up.
/// Until all of it is durable no collector starts on `to`. The audit tells that it was restored.
///
/// What was acknowledged to agents after the backup was taken is lost: agents deleted it.
///
/// # Errors
/// When there is no whole backup, `to` is not empty, or something cannot be read or written.
pub fn restore(
    from: &Path,
    to: &Path,
    by: &Act,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Restored, BackupError> {
    let none = || BackupError::NoBackup { directory: from.to_owned() };
    if !from.is_dir() {
        return Err(none());
    }
    let (backup, manifest) = match Manifest::read(from)? {
        Some(manifest) => (from.to_owned(), manifest),
        None => latest(from)?.ok_or_else(none)?,
    };
    let missing = |entry: &&Entry| !backup.join(entry.whole.file()).is_file();
    if let Some(entry) = manifest.entries.iter().find(missing) {
        return Err(BackupError::Differs { file: backup.join(entry.whole.file()) });
    }
    if !to.is_dir() {
        std::fs::create_dir_all(to).map_err(at(to))?;
        let allowed = std::fs::metadata(&backup).map(|found| found.permissions());
        let allowing = allowed.and_then(|allowed| std::fs::set_permissions(to, allowed));
        allowing.map_err(at(to))?;
    }
    if std::fs::read_dir(to).map_err(at(to))?.next().is_some() {
        return Err(BackupError::NotEmpty { directory: to.to_owned() });
    }
    let unfinished = to.join(UNFINISHED_FILE);
    File::create_new(&unfinished).map_err(at(&unfinished))?;
    let lock = Arc::new(lock::lock(to)?);
    sync_folder(to).map_err(at(to))?;
    let bytes = copy_all(&backup, &manifest, to, progress)?;
    let control = SqliteControl::open(to, Arc::clone(&lock))?;
    let name = backup.file_name().unwrap_or_default().to_string_lossy();
    let noted = control.note(by, AuditAction::Restored, AuditSubject::Store, &name);
    noted.map_err(BackupError::Audit)?;
    drop(control);
    lock::mark_made(&lock, to)?;
    std::fs::remove_file(&unfinished).map_err(at(&unfinished))?;
    sync_folder(to).map_err(at(to))?;
    Ok(Restored { backup, files: manifest.entries.len() as u64, bytes })
}

fn copy_all(
    backup: &Path,
    manifest: &Manifest,
    to: &Path,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<u64, BackupError> {
    let sizes = manifest.entries.iter().map(|entry| entry.size_bytes);
    let total_bytes = sizes.fold(0, u64::saturating_add);
    let mut done_bytes = 0_u64;
    for entry in &manifest.entries {
        let file = entry.whole.file();
        progress(&Progress { file: &file, done_bytes, total_bytes });
        let (kept, copy) = (backup.join(&file), to.join(&file));
        let folder = copy.parent().unwrap_or(to);
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        let mut open = File::create_new(&copy).map_err(at(&copy))?;
        let found = hash(&kept, Some(&mut open)).map_err(at(&kept))?;
        if found != (entry.sha256, entry.size_bytes) {
            return Err(BackupError::Differs { file: kept });
        }
        open.sync_all().map_err(at(&copy))?;
        sync_folder(folder).map_err(at(folder))?;
        done_bytes = done_bytes.saturating_add(entry.size_bytes);
    }
    Ok(done_bytes)
}
