//! `busyhour-agent status`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::report::{State, Status};
use super::{STALE, STATUS_FILE, table};
use crate::args::{Output, StatusArgs};
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
    let status = read(&args.whose.data_dir()?)?;
    let age = age(&status)?;
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

/// Whether a running agent measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It does, or is about to.
    Measuring,
    /// It is paused, and its last probe was sent.
    Paused,
    /// It is paused, and has not ended all its sessions.
    Ending,
    /// It did not say that it stops, and says nothing any more.
    Silent,
}

/// What the agent with this data directory says; `None` when none runs.
pub(crate) fn rest_of(folder: &Path) -> Option<Rest> {
    let status = read(folder).ok()?;
    let life = Life::of(status.state, age(&status).ok()?);
    let ended = || status.sessions.iter().all(|session| session.waiting_for.is_some());
    // What the machine's state asks for is not what its owner asked for, or took back.
    let asked = status.paused.as_ref().filter(|pause| pause.reason == "paused");
    match (life, asked) {
        (Life::Stopped, _) => None,
        (Life::Silent, _) => Some(Rest::Silent),
        (Life::Runs, None) => Some(Rest::Measuring),
        (Life::Runs, Some(_)) if ended() => Some(Rest::Paused),
        (Life::Runs, Some(_)) => Some(Rest::Ending),
    }
}

/// How long ago the agent said this.
fn age(status: &Status) -> anyhow::Result<Duration> {
    let written: Timestamp = status.written_utc.parse().context("read when it was written")?;
    // A clock that went back makes it as young as can be.
    Ok(Duration::try_from(Timestamp::now().duration_since(written)).unwrap_or_default())
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
