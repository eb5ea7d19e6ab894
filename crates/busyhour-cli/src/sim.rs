//! `busyhour sim`: fleets with known truth, and what findings about them are worth.

mod findings;
mod generate;
mod score;
mod truth_file;

use std::path::PathBuf;

use busyhour_sim::world::{Hardness, Mechanisms, Sampling};
use clap::{Args, Subcommand};
use jiff::civil::Date;

use crate::args::Format;
use crate::output::Printer;

/// What is understood after `sim`.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Write a simulated fleet with its truth into a folder
    #[command(after_help = "\
The folder holds buildings.csv, series.csv, load.csv and slots.csv.zst, which `busyhour detect`
reads, and truth.json, which it does not. The same arguments give the same bytes.

--sampling says how many seconds of how many are measured, in whole windows of 15 s. --absent is the
share of days on which an agent is switched off, beside all other gaps.

Examples:
  busyhour sim generate /tmp/fleet
  busyhour sim generate --seed 7 --fleet hard --mechanisms held-out /tmp/hard
  busyhour sim generate --buildings 1000 --days 28 --plain /tmp/large
  busyhour sim generate --sampling 15/150 --absent 0.3 /tmp/sparse")]
    Generate(GenerateArgs),
    /// Hold findings about a simulated fleet against its truth
    #[command(after_help = "\
Findings are JSON lines as `busyhour detect` writes them, one for each transition of an incident,
or one for each incident with `opened` and `closed`; - reads them from standard input. What counts
as found, as false and as right is written down in docs/DETECT.md, section Scores. All bounds hold
in 95 of 100 cases.

Examples:
  busyhour detect /tmp/fleet > findings.jsonl && busyhour sim score /tmp/fleet findings.jsonl
  busyhour detect /tmp/fleet | busyhour sim score /tmp/fleet - -o json")]
    Score(ScoreArgs),
}

/// What `sim generate` understands.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The folder: a new one, or an empty one
    folder: PathBuf,
    /// What the fleet is drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How hard it is: normal or hard
    #[arg(long, value_name = "FLEET", default_value = "normal")]
    fleet: Hardness,
    /// What links, days and faults are like: tuning or held-out
    #[arg(long, value_name = "SET", default_value = "tuning")]
    mechanisms: Mechanisms,
    /// How many buildings
    #[arg(long, value_name = "N", default_value_t = 30)]
    buildings: u32,
    /// The first local day
    #[arg(long, value_name = "DATE", default_value = "2025-02-09")]
    first: Date,
    /// How many local days
    #[arg(long, value_name = "N", default_value_t = 84)]
    days: u32,
    /// How much is measured, in seconds of seconds
    #[arg(long, value_name = "S/OF", default_value = "15/60")]
    sampling: Sampling,
    /// The share of days on which an agent is off
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    absent: f64,
    /// Write slots.csv, not compressed
    #[arg(long)]
    plain: bool,
}

/// What `sim score` understands.
#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// The folder that `sim generate` wrote
    folder: PathBuf,
    /// The findings, or - for standard input
    findings: PathBuf,
}

/// Runs a command of `sim`.
///
/// # Errors
/// When the plan makes no fleet, a folder is not as it should be, or a file cannot be read.
pub(crate) fn run(printer: &Printer, format: Format, command: &SimCommand) -> anyhow::Result<()> {
    match command {
        SimCommand::Generate(args) => generate::run(args),
        SimCommand::Score(args) => score::run(printer, format, args),
    }
}
