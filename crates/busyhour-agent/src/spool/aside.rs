//! Damaged spools are kept beside the new one, for somebody to look at.

use std::path::{Path, PathBuf};

use busyhour_model::UtcMicros;

/// Damaged spools that are kept.
const KEPT_ASIDE: usize = 2;

/// Renames a spool with its log to `PATH.WHY-SECONDS`, and deletes the oldest that were put aside.
pub(super) fn move_aside(path: &Path, why: &str, now: UtcMicros) {
    forget_oldest(path);
    let aside = with_suffix(path, &format!(".{why}-{}", now.as_secs()));
    for suffix in ["", "-wal", "-journal"] {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&aside, suffix));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(file = ?from, %error, "a damaged spool cannot be renamed");
            }
            _ => {}
        }
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Deletes spools that were put aside, but the newest ones.
fn forget_oldest(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return;
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let prefix = format!("{name}.");
    let mut aside: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)))
        .map(|entry| entry.path())
        .collect();
    let age = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
    aside.sort_by_key(age);
    // Each has up to two files.
    let excess = aside.len().saturating_sub(KEPT_ASIDE * 2);
    for path in aside.into_iter().take(excess) {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(file = ?path, %error, "an old damaged spool cannot be deleted");
        }
    }
}
