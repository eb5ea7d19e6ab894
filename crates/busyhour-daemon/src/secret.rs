//! Secrets that come from files and never show.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A secret is one short line; a larger file is somebody's mistake.
const MAX_BYTES: u64 = 4096;

/// A secret that could not be read.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("secret file {path:?} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read or write the file.
    #[error(
        "secret file {path:?} has mode {mode:04o}: other users can use it; run chmod 600 {path:?}"
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not one non-empty line of text.
    #[error("secret file {path:?} must hold exactly one line of at most {MAX_BYTES} bytes")]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// A text that is shown to nobody: its `Debug` form is a placeholder and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret that was made in this process.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads the one line of a file that only its owner may read, or of a credential that the service
    /// manager passed (`LoadCredential=`, in the folder that `CREDENTIALS_DIRECTORY` names). Of those
    /// the group bits mean nothing: they are the mask of the access list that lets the service read.
    ///
    /// # Errors
    /// When the file cannot be read, can be used by group or others, or is not one line.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::read_beside(path, credentials.as_deref())
    }

    fn read_beside(path: &Path, credentials: Option<&Path>) -> Result<Self, SecretError> {
        let others =
            if credentials.is_some_and(|folder| is_in(path, folder)) { 0o007 } else { 0o077 };
        let failed = |source| SecretError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        check_permissions(&file, path, others)?;
        let mut text = String::new();
        match (&mut file).take(MAX_BYTES + 1).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => text.clear(),
            Err(error) => return Err(failed(error)),
        }
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() || text.len() as u64 > MAX_BYTES || line.chars().any(char::is_control) {
            return Err(SecretError::Content { path: path.to_owned() });
        }
        Ok(Self(line.to_owned()))
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// True for a file right in the folder, whatever links and dots its name takes.
fn is_in(path: &Path, folder: &Path) -> bool {
    let (Ok(file), Ok(folder)) = (path.canonicalize(), folder.canonicalize()) else { return false };
    file.parent() == Some(&folder)
}

/// Refuses a file when one of these permission bits is set.
#[cfg(unix)]
fn check_permissions(file: &File, path: &Path, others: u32) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata =
        file.metadata().map_err(|source| SecretError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & others != 0 {
        return Err(SecretError::Permissions { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_file: &File, _path: &Path, _others: u32) -> Result<(), SecretError> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<Secret, SecretError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Secret::read(&path)
    }

    #[test]
    fn one_line_is_read_without_its_end() {
        assert_eq!(read(b"id.secret\n", 0o600).unwrap().expose(), "id.secret");
        assert_eq!(read(b"id.secret", 0o400).unwrap().expose(), "id.secret");
        assert_eq!(read(b"id.secret\r\n", 0o600).unwrap().expose(), "id.secret");
    }

    #[test]
    fn a_file_that_others_can_use_is_refused_with_the_remedy() {
        for mode in [0o640, 0o604, 0o620, 0o777] {
            let message = read(b"id.secret\n", mode).unwrap_err().to_string();
            assert!(message.contains("chmod 600"), "{message}");
            assert!(message.contains(&format!("{mode:04o}")), "{message}");
        }
    }

    #[test]
    fn a_credential_of_the_service_manager_may_have_group_bits() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = directory.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        let (inside, outside) = (credentials.join("secret"), directory.path().join("secret"));
        let read = |path: &Path, mode| {
            std::fs::write(&inside, "id.secret").unwrap();
            std::fs::write(&outside, "id.secret").unwrap();
            for file in [&inside, &outside] {
                std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let text = Secret::read_beside(path, Some(&credentials)).map(|secret| secret.0);
            std::fs::remove_file(&inside).unwrap();
            std::fs::remove_file(&outside).unwrap();
            text
        };
        assert_eq!(read(&inside, 0o440).unwrap(), "id.secret");
        assert_eq!(read(&inside, 0o460).unwrap(), "id.secret");
        assert!(matches!(read(&inside, 0o444), Err(SecretError::Permissions { .. })));
        assert!(matches!(read(&outside, 0o440), Err(SecretError::Permissions { .. })));
        let around = credentials.join("../secret");
        assert!(matches!(read(&around, 0o440), Err(SecretError::Permissions { .. })));
        // No folder, an empty name and one that is not there are no licence.
        std::fs::write(&inside, "id.secret").unwrap();
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o440)).unwrap();
        for folder in [None, Some(Path::new("")), Some(Path::new("/nowhere"))] {
            assert!(Secret::read_beside(&inside, folder).is_err(), "{folder:?}");
        }
    }

    #[test]
    fn anything_but_one_line_is_refused() {
        for content in [&b""[..], b"\n", b"a\nb\n", b"\xff\xfe", &[b'x'; 5000]] {
            assert!(matches!(read(content, 0o600), Err(SecretError::Content { .. })));
        }
    }

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hunter2"));
    }
}
