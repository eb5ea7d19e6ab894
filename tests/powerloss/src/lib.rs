//! What the store promises when power, processes or bits go: the disk that loses what was not
//! synced, the load that is put on the store, and the law that it is held to.
//!
//! # The disk
//!
//! [`watch`] makes a folder lie on a [`Disk`]: a SQLite file system (VFS), the default one of the
//! test's process, hands every operation on to the files of the operating system and remembers for
//! each file what was durable at its last sync and everything written or cut off since. After a
//! number of operations the disk dies: whatever is asked of it fails, as on a dead machine. Then
//! [`Disk::lose_power`] makes the folder that the next start would find:
//!
//! - of what was written since a file's last sync, any part may be there, in sectors of 512 bytes,
//!   whole or torn, the later without the earlier;
//! - what a file grew by and did not get may read as zeros or as anything;
//! - of what happened to the names in a folder since it was synced, making, deleting and renaming
//!   files, some may have happened, in order and a renaming at once, as file systems with a journal
//!   have it (SQLite syncs the folder with the first sync of a new journal or write-ahead log);
//! - the shared memory beside a write-ahead log is gone.
//!
//! A sync that was answered is kept, as is what lay beside a write in the same sector. What the store
//! itself does to names, past SQLite, is seen too: unlink(2), rename(2) and fsync(2) are replaced for
//! the whole program. Not seen, and taken as durable, are folders that are made and the contents of
//! files that SQLite never opened, such as lock files.
//!
//! # The law
//!
//! [`law`]: every block that was acknowledged is there, its rows exactly once; the blocks of a
//! refused or interrupted call are there all or not at all; days that changed are marked; and a store
//! that went on after any number of losses ends up with what one has that never lost anything.

pub mod disk;
pub mod expected;
pub mod inventory;
pub mod law;
pub mod load;
mod past;
mod vfs;

use std::path::Path;
use std::str::FromStr;

use busyhour_store::{CheckedFile, OpenError, SqliteControl, SqliteTelemetry};

use tempfile::TempDir;

pub use disk::Disk;
pub use vfs::watch;

/// Opens the store under test, which folds often.
///
/// # Errors
/// As the store does.
pub fn open(directory: &Path) -> Result<(SqliteTelemetry, SqliteControl), OpenError> {
    busyhour_store::open_with(directory, load::RETENTION, load::FOLDING)
}

/// What the check of a closed store finds.
#[must_use]
pub fn findings(directory: &Path) -> Vec<String> {
    match busyhour_store::check(directory, &mut |_| {}) {
        Err(error) => vec![error.to_string()],
        Ok(report) => {
            let of_file = |file: CheckedFile| {
                let name = file.file;
                file.findings
                    .into_iter()
                    .map(move |finding| format!("{}: {finding}", name.display()))
            };
            report.files.into_iter().flat_map(of_file).collect()
        }
    }
}

/// A folder for a store that really syncs nothing worth keeping: in memory where there is such a
/// place, as the store's own syncs of folders cost a lot elsewhere.
///
/// # Panics
/// When none can be made.
#[must_use]
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a folder")
}

/// A number that a longer run sets in its environment, or the one of an ordinary run.
#[must_use]
pub fn setting<T: FromStr>(name: &str, ordinary: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(ordinary)
}
