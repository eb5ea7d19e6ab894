//! `busyhour-agent pause` and `resume`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::file;
use crate::args::{Output, PauseArgs, ResumeArgs};
use crate::config::parse_duration;
use crate::print::print;
use crate::process::Outcome;
use crate::status::{Rest, rest_of};

/// How long a pause may last that ends by itself: longer is a machine that is not to measure.
const LENGTHS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(366 * 86_400);
/// How long the agent may take to honour a wish: it looks every second, and says so at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether it did.
const LOOK: Duration = Duration::from_millis(100);

/// What programs get.
#[derive(Debug, Serialize)]
struct Shown {
    paused: bool,
    until_utc: Option<String>,
    /// An agent runs, and honours it.
    running: bool,
}

/// Asks for a pause and waits until the running agent honours it.
pub(crate) fn pause(args: &PauseArgs) -> anyhow::Result<Outcome> {
    let folder = existing(args.whose.data_dir()?)?;
    let since = Timestamp::now();
    let until = match &args.length {
        None => None,
        Some(text) => {
            let length = parse_duration(text).filter(|length| LENGTHS.contains(length));
            let length =
                length.with_context(|| format!("--for {text:?} is no duration from 1s to 366d"))?;
            Some(since.checked_add(length).context("tell when that is over")?)
        }
    };
    file::write(&folder, since, until).with_context(|| forbidden("write", &folder))?;
    let running = honoured(&folder, Rest::Paused, until)?;
    let until_utc = until.map(|until| until.to_string());
    let length = until_utc.as_ref().map_or_else(
        || "until `busyhour-agent resume`".to_owned(),
        |until| format!("until {until}, or `busyhour-agent resume`"),
    );
    let text = if running {
        format!(
            "paused {length}: nothing is measured and no probe is sent. Probes of others are answered, \
             and what was observed before is delivered"
        )
    } else {
        format!("paused {length}; no agent runs now, and one that is started measures nothing")
    };
    show(args.output, &Shown { paused: true, until_utc, running }, &text)
}

/// Asks for no pause and waits until the running agent measures.
pub(crate) fn resume(args: &ResumeArgs) -> anyhow::Result<Outcome> {
    let folder = existing(args.whose.data_dir()?)?;
    file::remove(&folder).with_context(|| forbidden("remove", &folder))?;
    let running = honoured(&folder, Rest::Measuring, None)?;
    let text = if running {
        "measuring goes on, unless `busyhour-agent status` says why it rests"
    } else {
        "not paused any more; no agent runs now"
    };
    show(args.output, &Shown { paused: false, until_utc: None, running }, text)
}

/// A folder that is not there is another agent's by mistake: nobody would be paused.
fn existing(folder: PathBuf) -> anyhow::Result<PathBuf> {
    if !folder.is_dir() {
        bail!("there is no data directory {folder:?}; say which with --config or --data-dir");
    }
    Ok(folder)
}

fn forbidden(what: &str, folder: &Path) -> String {
    format!("{what} pause.json in {folder:?}: only who owns the data directory may pause its agent")
}

/// Waits until the agent does as was asked, or that is over; false when none runs.
fn honoured(folder: &Path, wanted: Rest, until: Option<Timestamp>) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let is_over = || until.is_some_and(|until| until <= Timestamp::now());
    loop {
        match rest_of(folder) {
            None => return Ok(false),
            Some(rest) if rest == wanted || is_over() => return Ok(true),
            Some(Rest::Silent) => bail!(
                "it is written down, but the agent that ran here says nothing any more; see \
                 `busyhour-agent status`"
            ),
            Some(_) if begun.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            Some(_) => bail!(
                "it is written down, but the running agent has not said that it honours it; see \
                 `busyhour-agent status`"
            ),
        }
    }
}

fn show(output: Output, shown: &Shown, text: &str) -> anyhow::Result<Outcome> {
    match output {
        Output::Json => print(&serde_json::to_string_pretty(shown)?)?,
        Output::Table => print(text)?,
    }
    Ok(Outcome::Done)
}
