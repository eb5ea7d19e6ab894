//! The process around the agent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use busyhour_daemon::{cancel_with_stdin, init_logging, load, parse_override, shutdown_signal};
use clap::Parser as _;

use crate::args::{AgentArgs, AgentCli, AgentCommand, ConfigArgs};
use crate::config::{RawConfig, Resolved};

/// Two name look-ups, the collector's name, and one for looks at the machine and the spool's end.
const BLOCKING_THREADS: usize = 4;
/// A thread that has nothing to do gives its memory back.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Parses the command line and plays the agent. Prints what went wrong to standard error.
#[must_use]
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match AgentCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match execute(cli.args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("busyhour-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the agent until it is told to stop, on a runtime of its own.
///
/// # Errors
/// When the configuration is not valid, or the agent cannot begin.
pub fn execute(args: AgentArgs) -> anyhow::Result<()> {
    match args.command {
        AgentCommand::CheckConfig(config) => {
            print!("{}", resolve(config)?);
            Ok(())
        }
        AgentCommand::Run(config) => {
            let stop_with_stdin = config.stop_with_stdin;
            let config = resolve(config)?;
            init_logging(&config.log)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .thread_keep_alive(BLOCKING_KEEP_ALIVE)
                .build()
                .context("start the runtime")?;
            let ran = runtime.block_on(async {
                let shutdown = shutdown_signal().context("install signal handlers")?;
                if stop_with_stdin {
                    cancel_with_stdin(shutdown.clone()).context("watch standard input")?;
                }
                crate::run(config, shutdown).await?;
                Ok(())
            });
            // A resolver that does not answer must not hold up the end.
            runtime.shutdown_background();
            ran
        }
    }
}

fn resolve(args: ConfigArgs) -> anyhow::Result<Resolved> {
    let overrides: Vec<(String, String)> =
        args.overrides.iter().map(|text| parse_override(text)).collect::<Result<_, _>>()?;
    let file: Option<PathBuf> = args.config;
    let raw: RawConfig = load(file.as_deref(), &overrides)?;
    Ok(raw.resolve()?)
}
