//! What a backup says of itself: a text file, so that people can read it and `sha256sum` can check it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::BackupError;
use crate::sqlite::check::Whole;
use crate::sqlite::partition::{Family, PartitionId};

/// The manifest's name within a backup. A backup without one is not whole.
pub(super) const MANIFEST_FILE: &str = "manifest.txt";
/// To `sha256sum --check` lines that begin with # are none.
const FIRST_LINE: &str = "# busyhour-backup 1";
const LAST_LINE: &str = "# end";
/// Some hundred bytes for each of a hundred thousand files.
const MAX_BYTES: u64 = 16 << 20;
/// Read from a file at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// One file of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) whole: Whole,
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    /// The figure of its digests, which tells whether the collector's file has changed since.
    pub(super) content: u64,
}

/// All files of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) entries: Vec<Entry>,
}

impl Manifest {
    pub(super) fn entry(&self, whole: Whole) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.whole == whole)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for Entry { whole, size_bytes, sha256, content } in &self.entries {
            let (sum, file) = (hex(sha256), whole.name());
            // A String takes everything.
            let _ = writeln!(text, "# {size_bytes} {content:016x}\n{sum}  {file}");
        }
        let sum = hex(&Sha256::digest(text.as_bytes()));
        let _ = writeln!(text, "{LAST_LINE} {sum}");
        text
    }

    /// Reads the manifest of the backup in `directory`; `None` when there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, BackupError> {
        let file = directory.join(MANIFEST_FILE);
        let mut text = String::new();
        let read =
            File::open(&file).and_then(|open| open.take(MAX_BYTES).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(source) => return Err(BackupError::Io { path: file, source }),
            Ok(_) => {
                if let Some(manifest) = Self::parse(&text) {
                    return Ok(Some(manifest));
                }
            }
        }
        Err(BackupError::Manifest { file })
    }

    fn parse(text: &str) -> Option<Self> {
        let (above, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let whole = [above, "\n"].concat();
        let lines = whole.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?;
        if last != format!("{LAST_LINE} {}", hex(&Sha256::digest(whole.as_bytes()))) {
            return None;
        }
        let (mut entries, mut lines) = (Vec::new(), lines.lines());
        while let Some(line) = lines.next() {
            entries.push(parse_entry(line, lines.next()?)?);
        }
        Some(Self { entries })
    }
}

fn parse_entry(about: &str, sum: &str) -> Option<Entry> {
    let (size, content) = about.strip_prefix("# ")?.split_once(' ')?;
    let (size_bytes, content) = (size.parse().ok()?, u64::from_str_radix(content, 16).ok()?);
    let (sha256, name) = sum.split_once("  ")?;
    Some(Entry { whole: Whole::named(name)?, size_bytes, sha256: unhex(sha256)?, content })
}

impl Whole {
    /// The file within the directory, the same on every system.
    fn name(self) -> String {
        match self {
            Self::Head | Self::Control => self.file().to_string_lossy().into_owned(),
            Self::Partition(id) => format!("{}/{}", id.family().folder(), id.file_name()),
        }
    }

    /// The file that has this name. No other path comes out of a manifest.
    fn named(name: &str) -> Option<Self> {
        let heads = [Self::Head, Self::Control];
        if let Some(head) = heads.into_iter().find(|head| head.name() == name) {
            return Some(head);
        }
        let (folder, file) = name.split_once('/')?;
        let family = Family::ALL.into_iter().find(|family| family.folder() == folder)?;
        PartitionId::parse(family, file).map(Self::Partition)
    }
}

/// The SHA-256 and size of a file, which is also written to `copy` when there is one.
pub(super) fn hash(file: &Path, mut copy: Option<&mut File>) -> io::Result<([u8; 32], u64)> {
    use std::io::Write as _;
    let mut from = File::open(file)?;
    let (mut sum, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; BUFFER_BYTES]);
    loop {
        let read = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        sum.update(bytes);
        size = size.saturating_add(bytes.len() as u64);
        if let Some(copy) = &mut copy {
            copy.write_all(bytes)?;
        }
    }
    Ok((sum.finalize().into(), size))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let partition = |family| Whole::Partition(PartitionId::holding(family, 20_780).unwrap());
        let wholes = [partition(Family::Windows), partition(Family::Hours), Whole::Head];
        let entries = wholes.into_iter().zip(1..).map(|(whole, n)| Entry {
            whole,
            size_bytes: n * 4_096,
            sha256: [n as u8; 32],
            content: n << 40,
        });
        Manifest { entries: entries.collect() }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was_written() {
        for manifest in [manifest(), Manifest::default()] {
            assert_eq!(Manifest::parse(&manifest.text()), Some(manifest));
        }
        let sum = "02".repeat(32);
        let lines = format!("\n# 8192 0000020000000000\n{sum}  hours/2026-11-23.db\n");
        assert!(manifest().text().contains(&lines), "{}", manifest().text());
    }

    #[test]
    fn a_manifest_that_was_cut_or_changed_is_none() {
        let text = manifest().text();
        for end in 0..text.len() {
            assert_eq!(Manifest::parse(&text[..end]), None, "{end}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(Manifest::parse(&changed), None, "{at}");
        }
    }

    #[test]
    fn a_manifest_names_no_file_outside_of_a_store() {
        for name in
            ["../telemetry.db", "/etc/passwd", "windows/../telemetry.db", "windows/x.db", ""]
        {
            assert_eq!(Whole::named(name), None, "{name}");
        }
    }
}
