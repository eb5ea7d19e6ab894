//! `addresses.json`: where a process can be reached, for whoever started it with port 0.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The file's name in the data directory.
pub const ADDRESS_FILE: &str = "addresses.json";

/// The file; it is there only while its process runs.
#[derive(Debug)]
pub struct AddressFile(PathBuf);

impl AddressFile {
    /// Removes what a process that was killed left behind.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn clear(directory: &Path) -> io::Result<()> {
        match fs::remove_file(directory.join(ADDRESS_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(directory: &Path, addresses: &impl Serialize) -> io::Result<Self> {
        let (path, unfinished) = (directory.join(ADDRESS_FILE), directory.join("addresses.part"));
        let mut file = File::create(&unfinished)?;
        serde_json::to_writer_pretty(&mut file, addresses)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        Ok(Self(path))
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        // The next start removes it if this cannot.
        let _ = fs::remove_file(&self.0);
    }
}
