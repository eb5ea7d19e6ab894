//! The file that an agent's secret goes into.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A new file that only its owner may read; removed again unless something is written.
pub(crate) struct SecretFile {
    file: File,
    path: PathBuf,
    written: bool,
}

impl SecretFile {
    /// Makes the file; one that is there already is never overwritten.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = options.open(path).with_context(|| {
            format!("create the secret file {} (an existing one is kept)", path.display())
        })?;
        Ok(Self { file, path: path.to_owned(), written: false })
    }

    /// Writes the one line and makes it durable.
    pub(crate) fn write(mut self, line: &str) -> anyhow::Result<()> {
        let writing = || format!("write the secret file {}", self.path.display());
        writeln!(&self.file, "{line}").and_then(|()| self.file.sync_all()).with_context(writing)?;
        self.written = true;
        Ok(())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.written {
            // Empty and ours: nothing is lost when it cannot be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}
