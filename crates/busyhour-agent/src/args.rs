//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  busyhour-agent run --config /etc/busyhour/agent.toml
  busyhour-agent run --set reflector.listen='[\"0.0.0.0:862\",\"[::]:862\"]'
  busyhour-agent check-config --config /etc/busyhour/agent.toml
  BUSYHOUR__LOG__LEVEL=debug busyhour-agent run --config agent.toml

Every setting has the layers default, file, environment BUSYHOUR__SECTION__FIELD, --set; the last
one wins. The agent stops cleanly on SIGTERM or Ctrl-C.";

/// `busyhour-agent`: the process's own command line.
#[derive(Debug, Parser)]
#[command(name = "busyhour-agent", version, about = ABOUT, after_help = EXAMPLES)]
pub struct AgentCli {
    /// What to do.
    #[command(flatten)]
    pub args: AgentArgs,
}

const ABOUT: &str = "Measures the network paths that calls and meetings take, and answers probes";

/// The agent's commands, also for a process that plays the agent as one of its roles.
#[derive(Debug, Clone, Args)]
pub struct AgentArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AgentCommand,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum AgentCommand {
    /// Measure and answer probes until told to stop.
    Run(ConfigArgs),
    /// Read the configuration, print what is in force, and say what is wrong with it.
    CheckConfig(ConfigArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// A TOML file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as `log.level=debug`; may be repeated. Lists are written as in TOML.
    #[arg(long = "set", value_name = "SECTION.FIELD=VALUE")]
    pub overrides: Vec<String>,
    /// Stop when standard input closes, so as not to outlive whoever holds its other end.
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}
