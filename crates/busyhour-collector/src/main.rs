//! `busyhour-collector`: the collector as a process of its own.

use std::process::ExitCode;

use busyhour_collector::{CollectorCli, execute};
use clap::Parser as _;

fn main() -> ExitCode {
    match execute(CollectorCli::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
