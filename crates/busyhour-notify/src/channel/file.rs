//! One JSON file per alert.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Problem, SendError};
use crate::config::FileConfig;
use crate::message::Message;

#[derive(Debug)]
pub(super) struct FileDrop {
    folder: PathBuf,
}

impl FileDrop {
    pub(super) fn build(config: &FileConfig) -> Result<Self, Problem> {
        let folder = config.folder.clone();
        fs::create_dir_all(&folder)
            .map_err(|source| Problem::Folder { path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let path = self.folder.join(format!("{}.json", message.key));
        let json = message.json.clone();
        let written = tokio::task::spawn_blocking(move || write_whole(&path, &json)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SendError::passing(format!("write the alert's file: {error}"))),
            Err(_) => Err(SendError::passing("writing the alert's file was cut short".to_owned())),
        }
    }
}

/// The file is there with all of its content or not at all.
fn write_whole(path: &Path, json: &str) -> io::Result<()> {
    let unfinished = path.with_extension("part");
    let mut file = File::create(&unfinished)?;
    file.write_all(json.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
