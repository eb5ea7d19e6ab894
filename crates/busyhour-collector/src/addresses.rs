//! What `addresses.json` of a collector says.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use busyhour_daemon::ADDRESS_FILE;
use serde::{Deserialize, Serialize};

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

impl Addresses {
    /// Reads the file of a running collector; `None` while there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is not the collector's.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        match fs::read(directory.join(ADDRESS_FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
