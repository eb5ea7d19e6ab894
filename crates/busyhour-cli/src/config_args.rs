//! The command line of `busyhour config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List the revisions of configurations, newest first
    #[command(after_help = "\
Examples:
  busyhour config ls
  busyhour config ls -o csv")]
    Ls,
    /// Show the targets of a revision
    #[command(after_help = "\
Examples:
  busyhour config show 7
  busyhour config show 7 -o json")]
    Show {
        /// The revision, as `config ls` prints it
        revision: u32,
    },
    /// Make a revision of a configuration from a file; it is in force for nobody before `config assign`
    #[command(after_help = "\
The file is TOML. What is left out of a target is as here; a target needs its name only:

  [budget]
  subnet_bits_per_second = 200000      # all agents of a subnet together, on average
  building_bits_per_second = 200000    # the same of a building

  [[target]]
  name = \"reflector.example.com:862\"
  profile = \"audio-50\"
  segment = \"client-to-site-edge\"      # or client-to-microsoft-edge, site-edge-to-microsoft-edge,
                                       # building-to-building; without it nothing is said of it
  requirement = \"client-to-microsoft-edge\"  # without it what the segment says
  window_ms = 15000
  period_ms = 60000
  agents_per_subnet = 2                # 0 is all of them

Whatever the number of agents, all of a building together send one call of expedited traffic at most
at any moment: the collector elects who measures what, and when.

Examples:
  busyhour config set branches branches.toml --dry-run
  busyhour config set branches branches.toml")]
    Set {
        /// The configuration's name: letters, digits, dots, hyphens and underscores
        name: String,
        /// What is desired
        file: PathBuf,
        /// Say what would differ from the newest revision of this name, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Say what differs between two revisions
    #[command(after_help = "\
Examples:
  busyhour config diff 8
  busyhour config diff 8 --from 5")]
    Diff {
        /// The revision
        revision: u32,
        /// Compare it with this one, instead of the one before it of the same name
        #[arg(long, value_name = "REVISION")]
        from: Option<u32>,
    },
    /// Put a revision in force for a building, a subnet, a label, an agent, or everywhere
    #[command(after_help = "\
Of several that hold for an agent the most particular decides: agent, label, subnet, building,
everywhere. To go back, assign the revision before. Prints the agents for which it changes something;
each runs it on trial first, and goes back by itself when it does not do well with it.

Examples:
  busyhour config assign 8 --label canary
  busyhour config assign 8 --building \"Berlin HQ\" --dry-run
  busyhour config assign 8 --everywhere")]
    Assign {
        /// The revision
        revision: u32,
        #[command(flatten)]
        to: Whom,
        /// Say for whom it would change something, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Put nothing in force any more where something was assigned
    #[command(after_help = "\
Examples:
  busyhour config unassign --label canary
  busyhour config unassign --building \"Berlin HQ\" --dry-run")]
    Unassign {
        #[command(flatten)]
        to: Whom,
        /// Say for whom it would change something, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List what is in force for whom
    #[command(after_help = "\
Examples:
  busyhour config assignments
  busyhour config assignments -o json")]
    Assignments,
    /// List what every agent is to measure, and what it says that it runs
    #[command(after_help = "\
An agent runs a new configuration on trial, then commits to it; it refuses what its own file does not
allow, and goes back from what it does not do well with. Then it goes on with what it ran before, and
is told that revision again only when it is assigned again.

Examples:
  busyhour config agents
  busyhour config agents -o csv")]
    Agents,
    /// Give an agent labels, in place of all that it had
    #[command(after_help = "\
Examples:
  busyhour config label berlin-7 canary wired
  busyhour config label berlin-7")]
    Label {
        /// The agent's name, or its id
        agent: String,
        /// The labels; none takes away all
        #[arg(value_name = "LABEL")]
        labels: Vec<String>,
    },
}

/// For whom something is in force: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "whom",
    args = ["everywhere", "building", "subnet", "label", "agent"])]
pub(crate) struct Whom {
    /// All agents
    #[arg(long)]
    pub(crate) everywhere: bool,
    /// Agents in this building
    #[arg(long, value_name = "NAME")]
    pub(crate) building: Option<String>,
    /// Agents in this subnet
    #[arg(long, value_name = "CIDR")]
    pub(crate) subnet: Option<IpNet>,
    /// The subnet's egress prefix, where several buildings have it
    #[arg(long, value_name = "CIDR", requires = "subnet")]
    pub(crate) egress: Option<IpNet>,
    /// Agents with this label
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: Option<String>,
    /// One agent, by its name or id
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
}
