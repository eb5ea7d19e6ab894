//! The files of partitions as the operating system has them: found, renamed, deleted.
//!
//! Never opens a file that SQLite may have open: closing it would drop SQLite's locks.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Damage, Family, PartitionId};
use crate::sqlite::OpenError;
use crate::sqlite::database::sibling;

/// What SQLite keeps beside a file.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";
/// What SQLite keeps beside a file that has no log yet.
const ROLLBACK: &str = "-journal";
/// The end of the name of a file that is being made.
const UNFINISHED: &str = ".new";
/// Stands between the name of a damaged file and a number.
const DAMAGED: &str = ".damaged-";
/// The file beside a damaged file that says what was found.
const REASON: &str = ".txt";
/// The most that is read of it.
const MAX_REASON_BYTES: u64 = 4_096;
/// Damaged files of one name; after that many nobody is looking.
const MAX_ASIDE: u32 = 1_000;

/// What an SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where its header has the number of its layout (<https://sqlite.org/fileformat2.html>).
const USER_VERSION_AT: usize = 60;

/// What lies in the folders.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Scanned {
    pub(in crate::sqlite) partitions: Vec<PartitionId>,
    pub(in crate::sqlite) damaged: Vec<Damage>,
    pub(in crate::sqlite) unknown: Vec<PathBuf>,
    /// Partitions whose maker crashed, and what lies beside them.
    unfinished: Vec<PathBuf>,
}

/// Makes the folders, looks what is in them, and clears away what never was a partition. Refuses
/// partitions of a newer layout than `newest`.
pub(super) fn open(
    directory: &Path,
    newest: impl Fn(Family) -> usize,
) -> Result<Scanned, OpenError> {
    let unusable = |source| OpenError::Directory { directory: directory.to_owned(), source };
    for family in Family::ALL {
        std::fs::create_dir_all(directory.join(family.folder())).map_err(unusable)?;
    }
    let scanned = scan(directory).map_err(unusable)?;
    for id in &scanned.partitions {
        refuse_newer(&directory.join(id.file()), newest(id.family()))?;
    }
    for file in &scanned.unfinished {
        remove_if_there(&directory.join(file)).map_err(unusable)?;
    }
    sync_folder(directory).map_err(unusable)?;
    Ok(scanned)
}

/// Looks what is in the folders, as far as they are there. Changes nothing.
pub(in crate::sqlite) fn scan(directory: &Path) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    for family in Family::ALL {
        let folder = directory.join(family.folder());
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            scanned.sort_in(family, &folder, &entry?.file_name().to_string_lossy());
        }
    }
    scanned.partitions.sort_unstable();
    scanned.damaged.sort_by(|a, b| a.file.cmp(&b.file));
    scanned.unknown.sort_unstable();
    Ok(scanned)
}

impl Scanned {
    fn sort_in(&mut self, family: Family, folder: &Path, name: &str) {
        let file = Path::new(family.folder()).join(name);
        if let Some(id) = PartitionId::parse(family, name) {
            self.partitions.push(id);
        } else if let Some((id, rest)) = aside(family, name) {
            if rest.bytes().all(|byte| byte.is_ascii_digit()) {
                let reason = read_reason(&sibling(&folder.join(name), REASON));
                self.damaged.push(Damage { id, file, reason });
            }
        } else if is_unfinished(family, name) {
            self.unfinished.push(file);
        } else if !is_beside(family, name) {
            self.unknown.push(file);
        }
    }
}

/// The partition that a damaged file was, and what follows the mark.
fn aside(family: Family, name: &str) -> Option<(PartitionId, &str)> {
    let (was, rest) = name.split_once(DAMAGED)?;
    Some((PartitionId::parse(family, was)?, rest))
}

/// Whether it is the file, or beside the file, of a partition that was being made.
fn is_unfinished(family: Family, name: &str) -> bool {
    let (file, rest) = name.split_once(UNFINISHED).unwrap_or_default();
    ["", LOG, INDEX, ROLLBACK].contains(&rest) && PartitionId::parse(family, file).is_some()
}

/// The name of a partition that is being made.
pub(super) fn unfinished(file: &Path) -> PathBuf {
    sibling(file, UNFINISHED)
}

/// Gives a file that is whole and durable its name, durably.
pub(super) fn finish(unfinished: &Path, file: &Path) -> io::Result<()> {
    if !is_log_empty(unfinished) {
        return Err(io::Error::other("the file that was made is not whole"));
    }
    std::fs::rename(unfinished, file)?;
    sync_folder_of(file)
}

/// Whether it is the log or the index of a partition. Without its file SQLite removes it when the
/// file is made anew.
fn is_beside(family: Family, name: &str) -> bool {
    let of = [LOG, INDEX].iter().find_map(|suffix| name.strip_suffix(suffix));
    of.is_some_and(|name| PartitionId::parse(family, name).is_some())
}

fn read_reason(file: &Path) -> String {
    let mut reason = String::new();
    let read =
        File::open(file).and_then(|file| file.take(MAX_REASON_BYTES).read_to_string(&mut reason));
    match read {
        Ok(_) => reason.trim_end().to_owned(),
        Err(_) => "found earlier".to_owned(), // the note is for people, and it is gone
    }
}

/// Looks at the header only: whatever else is wrong with the file shows when it is used. A file
/// whose header is still in its log is refused then, too.
fn refuse_newer(file: &Path, known: usize) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Directory { directory: file.to_owned(), source };
    let mut header = Vec::with_capacity(100);
    let opened = File::open(file).map_err(unusable)?;
    opened.take(100).read_to_end(&mut header).map_err(unusable)?;
    if !header.starts_with(MAGIC) {
        return Ok(());
    }
    let Some(found) = header.get(USER_VERSION_AT..).and_then(<[u8]>::first_chunk) else {
        return Ok(());
    };
    let found = i64::from(i32::from_be_bytes(*found));
    let known = i64::try_from(known).unwrap_or(i64::MAX);
    if found <= known {
        return Ok(());
    }
    Err(OpenError::Newer { file: file.to_owned(), found, known })
}

/// Renames a damaged file with its log and writes `reason` beside it. Returns its new name.
pub(super) fn move_aside(file: &Path, reason: &str) -> io::Result<PathBuf> {
    let aside = free_aside(file)?;
    rename(file, &aside)?;
    // For people; losing it loses no data.
    let _ = std::fs::write(sibling(&aside, REASON), format!("{reason}\n"));
    sync_folder_of(file)?;
    Ok(aside)
}

/// Writes `reason` beside an empty file that stands for one that is gone. Returns its name.
pub(super) fn note_missing(file: &Path, reason: &str) -> io::Result<PathBuf> {
    let aside = free_aside(file)?;
    std::fs::write(sibling(&aside, REASON), format!("{reason}\n"))?;
    File::create_new(&aside)?;
    sync_folder_of(file)?;
    Ok(aside)
}

/// A name for a damaged file.
fn free_aside(file: &Path) -> io::Result<PathBuf> {
    let mut names = (1..=MAX_ASIDE).map(|number| sibling(file, &format!("{DAMAGED}{number}")));
    let free = names
        .find(|name| ["", LOG, INDEX, REASON].iter().all(|suffix| !sibling(name, suffix).exists()));
    free.ok_or_else(|| io::Error::new(io::ErrorKind::AlreadyExists, "too many damaged files"))
}

/// Undoes [`move_aside`], over what took the file's place.
pub(super) fn put_back(file: &Path, aside: &Path) -> io::Result<()> {
    delete(file)?;
    rename(aside, file)?;
    remove_if_there(&sibling(aside, REASON))?;
    sync_folder_of(file)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    for suffix in [LOG, INDEX] {
        match std::fs::rename(sibling(from, suffix), sibling(to, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Deletes a file with its log, durably. The file goes first: SQLite removes a log without one.
pub(super) fn delete(file: &Path) -> io::Result<()> {
    for suffix in ["", LOG, INDEX, ROLLBACK] {
        remove_if_there(&sibling(file, suffix))?;
    }
    sync_folder_of(file)
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), sync_folder)
}

/// Makes names in the folder durable.
pub(in crate::sqlite) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Bytes of a file and its log; 0 when it is not there.
pub(in crate::sqlite) fn size_bytes(file: &Path) -> u64 {
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |found| found.len());
    size(file).saturating_add(size(&sibling(file, LOG)))
}

/// Whether all of a file is in the file.
pub(in crate::sqlite) fn is_log_empty(file: &Path) -> bool {
    std::fs::metadata(sibling(file, LOG)).map_or(true, |log| log.len() == 0)
}

/// What SQLite calls a file that nobody changes (<https://sqlite.org/uri.html>).
pub(in crate::sqlite) fn immutable_uri(file: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}"); // a String takes everything
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}
