//! The process around the agent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use busyhour_daemon::{
    LogConfig, cancel_with_stdin, init_logging, load, parse_override, shutdown_signal,
};
use clap::Parser as _;

use crate::args::{AgentArgs, AgentCli, AgentCommand, ConfigArgs};
use crate::config::{RawConfig, Resolved};
use crate::print::print;
use crate::{enrol, once, pause, status};

/// Two name look-ups, the collector's name, and one for looks at the machine and the spool's end.
const BLOCKING_THREADS: usize = 4;
/// A thread that has nothing to do gives its memory back.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// What commands that only look at something find worth telling on standard error.
const QUIET: &str = "warn";

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// It measured, and nothing came back.
    NothingBack,
    /// There is no running agent.
    NotRunning,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::NotRunning => Self::FAILURE,
            Outcome::NothingBack => Self::from(EXIT_NOTHING_BACK),
        }
    }
}

/// 2 is what a wrong command line ends with.
const EXIT_NOTHING_BACK: u8 = 3;

/// Parses the command line and plays the agent. Prints what went wrong to standard error.
#[must_use]
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match AgentCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match execute(cli.args) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("busyhour-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line says: plays the agent until it is told to stop, on a runtime of its
/// own, or looks at something and prints it.
///
/// # Errors
/// When the configuration is not valid, the agent cannot begin, or nothing can be looked at.
pub fn execute(args: AgentArgs) -> anyhow::Result<Outcome> {
    match args.command {
        AgentCommand::CheckConfig(config) => {
            print(&resolve(config)?.to_string())?;
            Ok(Outcome::Done)
        }
        AgentCommand::Once(args) => {
            init_logging(&LogConfig { level: QUIET.to_owned(), ..LogConfig::default() })?;
            on_runtime(|| async move { once::run(&args).await })
        }
        AgentCommand::Enrol(args) => {
            init_logging(&LogConfig { level: QUIET.to_owned(), ..LogConfig::default() })?;
            on_runtime(|| async move { enrol::run(&args).await })
        }
        AgentCommand::Status(args) => status::show(&args),
        AgentCommand::Pause(args) => pause::pause(&args),
        AgentCommand::Resume(args) => pause::resume(&args),
        AgentCommand::Run(config) => {
            let stop_with_stdin = config.stop_with_stdin;
            let config = resolve(config)?;
            init_logging(&config.log)?;
            on_runtime(|| async move {
                let shutdown = shutdown_signal().context("install signal handlers")?;
                if stop_with_stdin {
                    cancel_with_stdin(shutdown.clone()).context("watch standard input")?;
                }
                crate::run(config, shutdown).await?;
                Ok(Outcome::Done)
            })
        }
    }
}

fn on_runtime<F: Future<Output = anyhow::Result<Outcome>>>(
    work: impl FnOnce() -> F,
) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build()
        .context("start the runtime")?;
    let ran = runtime.block_on(async { work().await });
    // A resolver that does not answer must not hold up the end.
    runtime.shutdown_background();
    ran
}

fn resolve(args: ConfigArgs) -> anyhow::Result<Resolved> {
    let overrides: Vec<(String, String)> =
        args.overrides.iter().map(|text| parse_override(text)).collect::<Result<_, _>>()?;
    let file: Option<PathBuf> = args.config;
    let raw: RawConfig = load(file.as_deref(), &overrides)?;
    Ok(raw.resolve()?)
}
