//! The command line.

use std::path::PathBuf;

use busyhour_daemon::load;
use busyhour_model::TrafficClass;
use busyhour_probe::{PEER_PROFILES, PROFILES, PeerProfile, Profile};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::RawConfig;

const EXAMPLES: &str = "\
Examples:
  busyhour-agent once reflector.example.com
  busyhour-agent enrol --collector https://collector.example.com:7443 --token-file -
  busyhour-agent run --config /etc/busyhour/agent.toml
  busyhour-agent run --set reflector.listen='[\"0.0.0.0:862\",\"[::]:862\"]'
  busyhour-agent status
  busyhour-agent pause --for 2h
  busyhour-agent check-config --config /etc/busyhour/agent.toml
  BUSYHOUR__LOG__LEVEL=debug busyhour-agent run --config agent.toml

Every setting has the layers default, file, environment BUSYHOUR__SECTION__FIELD, --set; the last
one wins. The agent stops cleanly on SIGTERM or Ctrl-C.";

const ONCE_EXAMPLES: &str = "\
Examples:
  busyhour-agent once reflector.example.com
  busyhour-agent once 192.0.2.1:8620 --class video --window 5s
  busyhour-agent once '[2001:db8::1]:862' --profile burst-200 -o json
  busyhour-agent once router.example.com --peer twamp-light
  busyhour-agent once 192.0.2.1 --key-file link.key --security authenticated --profile audio-50-190

Measures one window and prints everything about it; nothing is kept and no agent need run. Ctrl-C
ends it early and prints what there is. The exit code is 0 when something was measured, 1 for an
error, 2 for a wrong command line, and 3 when nothing came back.";

const STATUS_EXAMPLES: &str = "\
Examples:
  busyhour-agent status
  busyhour-agent status --config agent.toml
  busyhour-agent status --data-dir /var/lib/busyhour-agent -o json

Reads what a running agent writes into its data directory every ten seconds. The exit code is 0
when an agent runs and 1 when none does, or when it no longer says anything.";

const PAUSE_EXAMPLES: &str = "\
Examples:
  busyhour-agent pause
  busyhour-agent pause --for 2h
  busyhour-agent resume

For the machine's owner: whoever may write in the agent's data directory. While it is paused the agent
measures nothing and sends no probe, through restarts, too; it answers probes of others and delivers
what it observed before, and the collector shows a gap that says why. The command returns when the
running agent honours it. With --for it ends by itself.";

const RESUME_EXAMPLES: &str = "\
Examples:
  busyhour-agent resume
  busyhour-agent resume --config agent.toml";

const ENROL_EXAMPLES: &str = "\
Examples:
  busyhour-agent enrol --collector https://collector.example.com:7443 --token-file token
  busyhour-agent enrol --collector https://10.0.0.5:7443 --token-file - < token

The token is what `busyhour token create` printed; its file must be readable by its owner only. It is
never an argument, which every user of this machine could read. The agent makes its key here and sends
only what proves that it has it; before it sends the token's secret, the collector must have shown a
certificate of the authority that the token names. The identity lies in the data directory, which
everything else follows from: agent.toml need not name the collector.

Run it again with the same token when it was interrupted. Whoever runs it, the files belong to whom
the data directory belongs.";

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
    /// Get this machine's identity from a collector, for a token.
    #[command(after_help = ENROL_EXAMPLES)]
    Enrol(EnrolArgs),
    /// Measure one window to one reflector, now, and print it.
    #[command(after_help = ONCE_EXAMPLES)]
    Once(Box<OnceArgs>),
    /// Show what the running agent sends where, and what it sees.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Measure nothing until it is resumed, or for a time.
    #[command(after_help = PAUSE_EXAMPLES)]
    Pause(PauseArgs),
    /// Measure again after a pause.
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(ResumeArgs),
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

/// Whom to be enrolled with, and by what.
#[derive(Debug, Clone, Args)]
pub struct EnrolArgs {
    /// The collector's address for agents; without it collector.url of the configuration.
    #[arg(long, value_name = "URL")]
    pub collector: Option<String>,
    /// The file that holds the token, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// The agent's configuration, for its data directory.
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub config: Option<PathBuf>,
    /// The agent's data directory.
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Replace the identity that this machine has.
    #[arg(long)]
    pub again: bool,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// What to measure once.
#[derive(Debug, Clone, Args)]
pub struct OnceArgs {
    /// Any STAMP or TWAMP-Light reflector: an address or a name, and its port when it is not 862.
    /// An IPv6 address with a port is written in brackets.
    #[arg(value_name = "HOST[:PORT]")]
    pub target: String,
    /// What to send; without it the first profile of the class, or audio.
    #[arg(long, value_parser = PossibleValuesParser::new(PROFILES.iter().map(Profile::name)))]
    pub profile: Option<String>,
    /// The class of traffic to imitate.
    #[arg(long, value_parser = PossibleValuesParser::new(TrafficClass::ALL.iter().map(|class| class.as_str())))]
    pub class: Option<String>,
    /// How long to send, from 100ms to 60s.
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub window: String,
    /// What kind of reflector answers.
    #[arg(
        long,
        default_value = "stamp",
        value_parser = PossibleValuesParser::new(PEER_PROFILES.iter().map(PeerProfile::name))
    )]
    pub peer: String,
    /// How packets are authenticated; with a key the TLVs are, without one nothing is.
    #[arg(long, value_parser = ["open", "tlvs", "authenticated"])]
    pub security: Option<String>,
    /// The key that the reflector has: a file of one line, or of `hex:` and hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The ECN code point of requests.
    #[arg(long, default_value = "not-ect", value_parser = ["not-ect", "ect0", "ect1"])]
    pub ecn: String,
    /// Only IPv4.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Only IPv6.
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Which agent of this machine is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct Whose {
    /// The agent's configuration, for its data directory.
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub config: Option<PathBuf>,
    /// The agent's data directory.
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

impl Whose {
    /// Its data directory.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.data_dir {
            return Ok(folder.clone());
        }
        let raw: RawConfig = load(self.config.as_deref(), &[])?;
        Ok(raw.data_dir().to_owned())
    }
}

/// How long to pause which agent.
#[derive(Debug, Clone, Args)]
pub struct PauseArgs {
    /// How long, from 1s to 366d, such as 2h; without it until it is resumed.
    #[arg(long = "for", value_name = "DURATION")]
    pub length: Option<String>,
    /// Which agent.
    #[command(flatten)]
    pub whose: Whose,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Which agent is to measure again.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// Which agent.
    #[command(flatten)]
    pub whose: Whose,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Whose status to show.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Which agent.
    #[command(flatten)]
    pub whose: Whose,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}
