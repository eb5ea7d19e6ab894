//! The file that the switch is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use busyhour_daemon::chain;
use busyhour_model::UtcMicros;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Pause, Why};
use crate::identity::private_file;

/// The file in the data directory.
const PAUSE_FILE: &str = "pause.json";
/// More than the two times take.
const MAX_BYTES: u64 = 4 * 1024;

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    since_utc: String,
    until_utc: Option<String>,
}

/// A pause that cannot be read.
#[derive(Debug, Error)]
enum Unreadable {
    #[error("read the pause")]
    Read(#[source] io::Error),
    #[error("understand the pause")]
    Parse(#[source] serde_json::Error),
    #[error("understand when the pause is")]
    Time(#[source] jiff::Error),
}

/// The pause that the file asks for; `None` when there is none. One that was asked for until a moment
/// that is over is there until it is replaced or removed.
pub(crate) fn read(folder: &Path) -> Option<Pause> {
    match try_read(&path(folder)) {
        Ok(pause) => pause,
        Err(error) => {
            tracing::debug!(error = %chain(&error), "paused for a reason that cannot be read");
            Some(Pause { why: Why::Owner, since: None, until: None })
        }
    }
}

fn try_read(path: &Path) -> Result<Option<Pause>, Unreadable> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unreadable::Read(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(Unreadable::Read)?;
    let content: Content = serde_json::from_slice(&text).map_err(Unreadable::Parse)?;
    let micros = |text: &String| -> Result<UtcMicros, Unreadable> {
        let at: Timestamp = text.parse().map_err(Unreadable::Time)?;
        Ok(UtcMicros(at.as_microsecond()))
    };
    let until = content.until_utc.as_ref().map(micros).transpose()?;
    Ok(Some(Pause { why: Why::Owner, since: Some(micros(&content.since_utc)?), until }))
}

/// Asks for a pause, durably, in place of the one before.
pub(super) fn write(folder: &Path, since: Timestamp, until: Option<Timestamp>) -> io::Result<()> {
    let (since_utc, until_utc) = (since.to_string(), until.map(|until| until.to_string()));
    let mut text = serde_json::to_vec(&Content { since_utc, until_utc })?;
    text.push(b'\n');
    private_file::write(&path(folder), &text)
}

/// Asks for no pause, durably.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    private_file::remove(&path(folder))
}

fn path(folder: &Path) -> PathBuf {
    folder.join(PAUSE_FILE)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_written_is_read_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        remove(folder.path()).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        for until in [None, Some(1_800_000_060)] {
            write(folder.path(), at(1_800_000_000), until.map(at)).unwrap();
            let expected = Pause {
                why: Why::Owner,
                since: Some(UtcMicros::from_secs(1_800_000_000)),
                until: until.map(UtcMicros::from_secs),
            };
            assert_eq!(read(folder.path()), Some(expected));
        }
        remove(folder.path()).unwrap();
        assert_eq!(read(folder.path()), None);
        assert_eq!(read(&folder.path().join("not/there")), None);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_a_pause_without_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let endless = Some(Pause { why: Why::Owner, since: None, until: None });
        for text in ["", "pause", "{\"since_utc\":\"yesterday\"}", &" ".repeat(10_000)] {
            fs::write(path(folder.path()), text).unwrap();
            assert_eq!(read(folder.path()), endless, "{text:.20}");
        }
        fs::remove_file(path(folder.path())).unwrap();
        fs::create_dir(path(folder.path())).unwrap();
        assert_eq!(read(folder.path()), endless);
    }

    #[test]
    fn a_pause_is_over_at_its_end_and_not_before() {
        let until = UtcMicros::from_secs(100);
        let pause = Pause { why: Why::Owner, since: None, until: Some(until) };
        assert!(!pause.is_over(UtcMicros(until.0 - 1)) && pause.is_over(until));
        assert!(!Pause { why: Why::Owner, since: None, until: None }.is_over(UtcMicros(i64::MAX)));
    }
}
