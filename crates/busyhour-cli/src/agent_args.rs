//! The command line of `busyhour agent` and `busyhour token`.

use std::path::PathBuf;

use clap::Subcommand;
use ipnet::IpNet;

use crate::args::parse_since;

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// List the agents
    #[command(after_help = "\
Examples:
  busyhour agent ls
  busyhour agent ls --removed")]
    Ls {
        /// Those that were removed as well
        #[arg(long)]
        removed: bool,
    },
    /// Show one agent: where it stands, its certificate, where it is, what it last said
    #[command(after_help = "\
Examples:
  busyhour agent show berlin-7
  busyhour agent show berlin-7 -o json")]
    Show {
        /// The agent's name, or its id
        name: String,
    },
    /// Let agents deliver that wait for it, or whose identity was seen in two places
    #[command(after_help = "\
Agents wait when their token was made with --approve manual, and when their certificate was over for
more than 90 days. An agent whose identity was seen in two places is approved by its name only: look
first which machine is the right one.

Examples:
  busyhour agent approve berlin-7
  busyhour agent approve --building \"Berlin HQ\"")]
    Approve {
        /// The agent's name, or its id
        #[arg(required_unless_present = "building")]
        name: Option<String>,
        /// All that were enrolled for this building and wait
        #[arg(long, value_name = "NAME", conflicts_with = "name")]
        building: Option<String>,
    },
    /// Let an enrolled agent deliver no more, at once and for good; what it measured stays
    #[command(after_help = "\
Its session is ended before the command returns: nothing of it is acknowledged after that. Its key is
never taken again; its machine may be enrolled anew.

Examples:
  busyhour agent revoke berlin-7 --reason \"the machine was stolen\"")]
    Revoke {
        /// The agent's name, or its id
        name: String,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// List where an agent was: its places, how it was bound, and by whom
    #[command(after_help = "\
Without a prefix under \"bound to\" the agent's address told where it was. Who bound it is known as
long as the audit is kept.

Examples:
  busyhour agent history berlin-7
  busyhour agent history berlin-7 -o csv")]
    History {
        /// The agent's name, or its id
        name: String,
    },
    /// Register an agent on the collector's own machine and write its secret to a file
    #[command(after_help = "\
A secret lets an agent in over loopback only; agents elsewhere are enrolled: `busyhour token create`.

The file is written with mode 0600 and must not exist yet; the collector keeps only a digest of the
secret, so it cannot be shown again. Put the file on the agent's machine and name it in the agent's
configuration as agent.secret_file. Without --building and --subnet the agent's address tells where
it is.

Examples:
  busyhour agent add berlin-7 --building \"Berlin HQ\" --secret-file berlin-7.secret
  busyhour agent add lab-1 --subnet 10.20.1.0/24 --secret-file /etc/busyhour/agent.secret")]
    Add {
        /// A name for people
        name: String,
        /// Bind the agent to this subnet of the building file
        #[arg(long, value_name = "CIDR")]
        subnet: Option<IpNet>,
        /// Bind the agent to this building's only subnet; where it has several, say which with
        /// --subnet
        #[arg(long, value_name = "NAME")]
        building: Option<String>,
        /// Where the secret goes
        #[arg(long, value_name = "OUT")]
        secret_file: PathBuf,
    },
    /// Say where an agent is from now on
    #[command(after_help = "\
What it measured before stays where it was.

Examples:
  busyhour agent move berlin-7 --building \"Berlin Mitte\"
  busyhour agent move lab-1 --by-address")]
    Move {
        /// The agent's name, or its id
        name: String,
        /// Bind the agent to this subnet of the building file
        #[arg(long, value_name = "CIDR")]
        subnet: Option<IpNet>,
        /// Bind the agent to this building's only subnet; where it has several, say which with
        /// --subnet
        #[arg(long, value_name = "NAME")]
        building: Option<String>,
        /// Let the agent's address tell where it is
        #[arg(long, conflicts_with_all = ["subnet", "building"])]
        #[arg(required_unless_present_any = ["subnet", "building"])]
        by_address: bool,
    },
    /// Let an agent deliver no more; what it measured stays
    #[command(after_help = "\
Its name is free for another agent at once. `agent ls --removed` shows it until its retention is over.

Example:
  busyhour agent remove berlin-7")]
    Remove {
        /// The agent's name, or its id
        name: String,
    },
    /// Delete all that is known of an agent: its name, its addresses, all it measured
    #[command(after_help = "\
Without --yes it says what would go and changes nothing. With it, the agent is forgotten for good:
blocks that it still sends are refused. What its building was judged to be stays; it names nobody.
Backups are not touched.

Examples:
  busyhour agent forget berlin-7
  busyhour agent forget berlin-7 --yes")]
    Forget {
        /// The agent's name, or its id
        name: String,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token that lets a machine in as an agent of a building
    #[command(after_help = "\
On the machine: `busyhour-agent enrol --collector https://HOST:PORT --token-file FILE`. Whoever has
the token can become an agent there, so it lets one machine in, for a day at most, unless told
otherwise. It is shown this once: on standard output, or in a new file of mode 0600. It also proves
the collector to the machine.

Examples:
  busyhour token create --building \"Berlin HQ\" --token-file berlin.token
  busyhour token create --subnet 10.10.16.0/22 --ttl 1h --from 10.10.16.0/22 --token-file lab.token
  busyhour token create --building \"Berlin HQ\" --uses 40 --approve manual --token-file berlin.token
  busyhour token create --building Lab | ssh lab-1 busyhour-agent enrol --collector \\
    https://collector.example.com:7443 --token-file -")]
    Create {
        /// The building that agents are let into
        #[arg(long, value_name = "NAME", required_unless_present = "subnet")]
        building: Option<String>,
        /// Only this subnet of it
        #[arg(long, value_name = "CIDR")]
        subnet: Option<IpNet>,
        /// How many machines it lets in
        #[arg(long, value_name = "N", default_value_t = 1)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: u32,
        /// How long it lets them in, such as 30m; from 1m to 24h
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_since)]
        ttl: jiff::SignedDuration,
        /// Only machines whose connections come from this network
        #[arg(long, value_name = "CIDR")]
        from: Option<IpNet>,
        /// Whether they deliver at once, or wait for `agent approve`
        #[arg(long, default_value = "auto", value_parser = ["auto", "manual"])]
        approve: String,
        /// Where the token goes; without it to standard output
        #[arg(long, value_name = "OUT")]
        token_file: Option<PathBuf>,
    },
    /// List the tokens, newest first, without what they are
    #[command(after_help = "\
Examples:
  busyhour token ls
  busyhour token ls -o csv")]
    Ls,
    /// Show one token, without what it is
    #[command(after_help = "\
Example:
  busyhour token show 0a1b2c3d4e")]
    Show {
        /// The token's id, as `token ls` prints it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Let nobody in by a token any more; whom it let in stays
    #[command(after_help = "\
Example:
  busyhour token revoke 0a1b2c3d4e")]
    Revoke {
        /// The token's id, as `token ls` prints it
        #[arg(value_name = "ID")]
        id: String,
    },
}
