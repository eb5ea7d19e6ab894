//! `addresses.json`: where this collector can be reached, for whoever started it with port 0.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file's name in the data directory.
const NAME: &str = "addresses.json";

/// The addresses that a running collector listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The process.
    pub pid: u32,
    /// Where agents deliver (gRPC).
    pub ingest: SocketAddr,
    /// Where the API and the page are (HTTP).
    pub api: SocketAddr,
}

/// The file; it is there only while the collector runs.
#[derive(Debug)]
pub(crate) struct AddressFile(PathBuf);

impl AddressFile {
    /// Removes what a collector that was killed left behind.
    pub(crate) fn clear(directory: &Path) -> io::Result<()> {
        match fs::remove_file(directory.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the file whole or not at all.
    pub(crate) fn write(directory: &Path, addresses: &Addresses) -> io::Result<Self> {
        let (path, unfinished) = (directory.join(NAME), directory.join("addresses.part"));
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

impl Addresses {
    /// Reads the file of a running collector; `None` while there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is not the collector's.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        match fs::read(directory.join(NAME)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
