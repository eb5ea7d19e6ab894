//! Keys that packets are authenticated with.

use std::path::{Path, PathBuf};

use busyhour_daemon::Secret;
use busyhour_wire::Key;

use super::InvalidConfig;

/// A key with the file it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Where it was read.
    pub path: PathBuf,
    secret: Secret,
}

impl KeyFile {
    /// Reads a file that only its owner may read: one line, whose octets are the key, or `hex:` and
    /// hexadecimal digits of them.
    pub(super) fn read(field: &'static str, path: &Path) -> Result<Self, InvalidConfig> {
        let secret = Secret::read(path).map_err(|source| InvalidConfig::Key { field, source })?;
        if Key::octets_of_line(secret.expose()).is_none() {
            return Err(InvalidConfig::KeyDigits { field, path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), secret })
    }

    /// The key, ready for use.
    #[must_use]
    pub fn key(&self) -> Key {
        // It was there when the file was read.
        Key::new(&Key::octets_of_line(self.secret.expose()).unwrap_or_default())
    }
}
