//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const ABOUT: &str = "Takes what agents measured, judges it, tells people, and serves API and page";

const EXAMPLES: &str = "\
Examples:
  busyhour-collector run --config /etc/busyhour/collector.toml
  busyhour-collector run --set collector.data_dir=/var/lib/busyhour --set api.listen=127.0.0.1:0
  busyhour-collector check-config --config /etc/busyhour/collector.toml
  BUSYHOUR__LOG__LEVEL=debug busyhour-collector run --config collector.toml

Every setting has the layers default, file, environment BUSYHOUR__SECTION__FIELD, --set; the last
one wins. The addresses in use are logged and written to addresses.json in the data directory. The
collector stops cleanly on SIGTERM or Ctrl-C.";

/// `busyhour-collector`: the process's own command line.
#[derive(Debug, Parser)]
#[command(name = "busyhour-collector", version, about = ABOUT, after_help = EXAMPLES)]
#[command(max_term_width = 100)]
pub struct CollectorCli {
    /// What to do.
    #[command(flatten)]
    pub args: CollectorArgs,
}

/// The collector's commands, also for a process that plays the collector as one of its roles.
#[derive(Debug, Clone, Args)]
pub struct CollectorArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CollectorCommand,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum CollectorCommand {
    /// Ingest, judge, tell and serve until told to stop
    Run(ConfigArgs),
    /// Read the configuration, print what is in force, and say what is wrong with it
    CheckConfig(ConfigArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// A TOML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as `log.level=debug`; may be repeated. Lists are written as in TOML
    #[arg(long = "set", value_name = "SECTION.FIELD=VALUE")]
    pub overrides: Vec<String>,
    /// Stop when standard input closes, so as not to outlive whoever holds its other end
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}
