//! `busyhour-agent status`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use busyhour_daemon::load;
use jiff::Timestamp;
use serde::Serialize;

use super::report::{State, Status};
use super::{STALE, STATUS_FILE, table};
use crate::args::{Output, StatusArgs};
use crate::config::RawConfig;
use crate::print::print;
use crate::process::Outcome;

/// How the agent is, judged by when it said something last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Runs,
    Stopped,
    /// It did not say that it stops, and says nothing any more.
    Silent,
}

impl Life {
    /// `age` is how long ago the file was written.
    pub(super) fn of(state: State, age: Duration) -> Self {
        match state {
            State::Stopped => Self::Stopped,
            State::Running if age > STALE => Self::Silent,
            State::Running => Self::Runs,
        }
    }
}

/// What programs get: the file, and whether it is true.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    running: bool,
    age_s: u64,
    #[serde(flatten)]
    status: &'a Status,
}

/// Reads and prints.
pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<Outcome> {
    let folder = folder(args)?;
    let status = read(&folder)?;
    let written: Timestamp = status.written_utc.parse().context("read when it was written")?;
    // A clock that went back makes it as young as can be.
    let age = Duration::try_from(Timestamp::now().duration_since(written)).unwrap_or_default();
    let life = Life::of(status.state, age);
    match args.output {
        Output::Json => {
            let running = life == Life::Runs;
            let shown = Shown { running, age_s: age.as_secs(), status: &status };
            print(&serde_json::to_string_pretty(&shown)?)?;
        }
        Output::Table => print(&table::show(&status, life, age))?,
    }
    match life {
        Life::Runs => Ok(Outcome::Done),
        Life::Stopped | Life::Silent => Ok(Outcome::NotRunning),
    }
}

fn folder(args: &StatusArgs) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &args.data_dir {
        return Ok(folder.clone());
    }
    let raw: RawConfig = load(args.config.as_deref(), &[])?;
    Ok(raw.data_dir().to_owned())
}

fn read(folder: &Path) -> anyhow::Result<Status> {
    let path = folder.join(STATUS_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "no agent has run with the data directory {folder:?}; say which with --config or \
                 --data-dir"
            )
        }
        Err(error) => return Err(error).with_context(|| format!("read {path:?}")),
    };
    serde_json::from_slice(&text)
        .with_context(|| format!("{path:?} is not the status of an agent of this version"))
}
