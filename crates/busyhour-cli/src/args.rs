//! The command line: what can be typed and what `--help` says of it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::account_args::{ApiTokenCommand, LoginArgs, UserCommand};

pub(crate) use crate::agent_args::{AgentCommand, TokenCommand};
pub(crate) use crate::channels::ChannelCommand;
pub(crate) use crate::config_args::ConfigCommand;
pub(crate) use crate::desk_args::{
    IncidentCommand, MaintenanceCommand, OwnerCommand, SilenceCommand,
};
pub(crate) use crate::report_args::{ReportCommand, TaskCommand};

/// Where a collector on the same machine listens unless told otherwise.
pub(crate) const DEFAULT_COLLECTOR: &str = "http://127.0.0.1:8080";

const TOP_HELP: &str = "\
Examples:
  busyhour demo                              run all of Busyhour on this machine
  busyhour top                               which building must somebody look at first
  busyhour explain 12 --at 3h                what a path was like three hours ago, and why
  busyhour check --fleet                     the fleet, for a monitoring system
  busyhour building import buildings.csv     tell the collector what buildings there are
  busyhour subnet missing                    where agents live that no building file knows
  busyhour token create --building \"Berlin HQ\" --token-file berlin.token
  busyhour report weekly                     is it better or worse, and where
  busyhour decode --pcap probe.pcap          what the packets of a capture say
  busyhour detect fleet/ --summary           what recurs at busy hours in another tool's figures

Data goes to standard output, messages to standard error.
Exit codes: 0 done; 1 error; 2 usage; 3 the command ran and what it looks for is there
(`building import`: the file has errors; `subnet missing`: prefixes are missing). `check` ends as
monitoring plugins do.";

const DETECT_HELP: &str = "\
The folder holds tables with a line of column names (or columns in this order):
  buildings.csv  the building file's columns by name, TimeZone, BusinessHours, Holidays
  series.csv     series, subnet, link, upstream, near, agent, target
  load.csv       building, start, load
  slots.csv      series, start, valid, bad, bad_loss, bad_jitter, bad_delay, bad_burst, sent, lost,
                 rtt_min_ms, rtt_p50_ms, rtt_p95_ms
  windows.csv    instead: series, start, sent, lost, burst_lost, burst_of, rtt_ms, jitter_ms
or one table of any name with series, time and rtt. Each may be compressed as .csv.zst. Only the
data are required: what else is missing is said on standard error, with what is lost for it.
Times are UTC, as 2025-02-09T08:00:00Z or in seconds since 1970.

Findings are JSON lines, one for each transition, as each day shows them. -o table is for people.
Exit code 3 with --exit-code when an incident is open at the end.

Examples:
  busyhour detect fleet/ > findings.jsonl
  busyhour detect fleet/ --summary -o table
  busyhour detect fleet/ --from 2025-03-01 --until 2025-04-30 -o csv > findings.csv
  busyhour detect pings.csv --zone Europe/Berlin --hours \"Mo-Fr 08:00-18:00\"";

/// Busyhour watches the paths that calls and meetings take, and tells where and when quality breaks
/// at the busy hour.
#[derive(Debug, Parser)]
#[command(name = "busyhour", version, after_help = TOP_HELP, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command that asks the collector understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The collector's address [default: of the profile in use, else http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL", env = "BUSYHOUR_COLLECTOR")]
    pub(crate) collector: Option<String>,
    /// The profile to ask with, as `busyhour profile` keeps them, instead of the one in use
    #[arg(long, global = true, value_name = "NAME", env = "BUSYHOUR_PROFILE")]
    pub(crate) profile: Option<String>,
    /// A file with an API token to ask with, instead of the session of `busyhour login`
    #[arg(long, global = true, value_name = "FILE", env = "BUSYHOUR_TOKEN_FILE")]
    pub(crate) api_token_file: Option<PathBuf>,
    /// A file with the certificates that the collector's is checked against, instead of the system's
    #[arg(long, global = true, value_name = "FILE", env = "BUSYHOUR_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How data is printed: table, wide, json, yaml or csv [default: table; of `detect`: json]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    #[arg(hide_possible_values = true)]
    pub(crate) output: Option<Format>,
    /// Leave out the line of column titles
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people, figures with units
    #[default]
    Table,
    /// The same with every other field, on lines as long as they are
    Wide,
    /// The collector's answer with its schema version, figures raw
    Json,
    /// The same as YAML
    Yaml,
    /// Every field, figures raw, safe to open in a spreadsheet
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Buildings: list, show, import from the building file, export
    #[command(subcommand)]
    Building(BuildingCommand),
    /// Load: import what is known of how much goes on in buildings, such as counts of calls
    #[command(subcommand)]
    Load(LoadCommand),
    /// Subnets: list, and find those that no building file knows
    #[command(subcommand)]
    Subnet(SubnetCommand),
    /// Targets: what is measured, from how many places
    #[command(subcommand)]
    Target(TargetCommand),
    /// Paths: list, show one, and show the windows, hours, synthetic streams and call estimates of one
    #[command(subcommand)]
    Path(PathCommand),
    /// The buildings, worst first; on a terminal again and again until Ctrl-C
    #[command(after_help = "\
Examples:
  busyhour top
  busyhour top --once
  busyhour top -n 3 -o json")]
    Top(crate::top::TopArgs),
    /// Explain one moment of a path: what was measured, against which limits, whether it was a busy
    /// hour, what the day and its incident say
    #[command(after_help = "\
Examples:
  busyhour explain 12
  busyhour explain 12 --at 2026-03-02T09:15:00Z
  busyhour explain 12 --at \"2026-03-02T10:15[Europe/Berlin]\" -o json
  busyhour explain 12 --at 3h")]
    Explain(crate::explain::ExplainArgs),
    /// Check a building, a path or the fleet for a monitoring system such as Nagios or Icinga
    #[command(after_help = "\
One line, with figures after `|`, and an exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

  CRITICAL  an incident is open (standing bad or masked)
  WARNING   it was bad lately: an incident recovers, or a bad day has not come back
  OK        no bad busy hour on the last observed business days
  UNKNOWN   not observed well enough, data older than --stale-after, or the collector cannot be
            asked: never OK. Where machines sleep at night, say --stale-after 16h

A fleet is as its worst building is; an empty one is UNKNOWN.

Examples:
  busyhour check \"Berlin HQ\"
  busyhour check --path 12 --stale-after 2h
  busyhour --profile hq check --fleet")]
    Check(crate::check::CheckArgs),
    /// Agents: list, show, approve, add one, move it, look where it was, revoke it, remove it, forget it
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Enrolment tokens: what lets machines in as agents
    #[command(subcommand)]
    Token(TokenCommand),
    /// Configurations: what agents are to measure, for whom, and what they run
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Incidents: list, show one with what speaks for it, note, acknowledge, own, merge, split
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Channels: where alerts go, how that goes; send a test
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Owners: who answers for which cause in which region
    #[command(subcommand)]
    Owner(OwnerCommand),
    /// Silences: tell nobody for a while
    #[command(subcommand)]
    Silence(SilenceCommand),
    /// Maintenance: planned work, after which only what got worse is told
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Reviews of a day, a week, a month: as text, page, CSV or JSON
    #[command(subcommand)]
    Report(ReportCommand),
    /// The calendar of daily, weekly and monthly tasks: what is due, and sign one off
    #[command(subcommand)]
    Task(TaskCommand),
    /// Sign in at the collector; the session ends after two hours without use, or twelve in all
    #[command(after_help = "\
The session is kept below XDG_STATE_HOME or ~/.local/state, for this collector alone.

Examples:
  busyhour login eva
  busyhour --collector https://busyhour.example.org login eva --password-file eva.txt")]
    Login(LoginArgs),
    /// End the session of `busyhour login`
    #[command(after_help = "\
Example:
  busyhour logout")]
    Logout,
    /// Who one is to the collector, and what one may do
    #[command(after_help = "\
Examples:
  busyhour whoami
  busyhour --profile hq whoami -o json")]
    Whoami,
    /// Users: list, make the first administrator, add, change, remove
    #[command(subcommand)]
    User(UserCommand),
    /// API tokens, for programs: list, create, revoke
    #[command(subcommand)]
    ApiToken(ApiTokenCommand),
    /// The audit: who did what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Profiles: several collectors by name, each with its token and certificates
    #[command(subcommand)]
    Profile(crate::profile_args::ProfileCommand),
    /// Print a script that completes commands in a shell
    #[command(after_help = "\
Examples:
  busyhour completions bash > /etc/bash_completion.d/busyhour
  busyhour completions zsh > /usr/local/share/zsh/site-functions/_busyhour
  busyhour completions fish > ~/.config/fish/completions/busyhour.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual into a folder: a page for each command
    #[command(after_help = "\
Examples:
  busyhour man /usr/local/share/man/man1
  busyhour man pages && man -l pages/busyhour-top.1")]
    Man {
        /// The folder; it is made when it is not there, and pages in it are written anew
        folder: PathBuf,
    },
    /// Explain a captured test packet or STUN message, field by field
    #[command(after_help = "\
What a datagram is, and in which mode, is guessed and said, unless --as and --mode tell. With a key
the HMACs are verified; with a password, in the same file, those of a STUN message.

A key file has one line: the key, or hex: and its hexadecimal digits. Only its owner may read it.

A capture is pcap or pcapng. Of its UDP datagrams those are explained that are surely one of the
three; with --port or --as all that can be.

Exit code 1 when there is nothing to explain, and when a capture is cut or damaged: what it holds in
front of that is explained first.

Examples:
  busyhour decode 00010000 2112a442 b7e7a701bc34d686fa87dfae
  xxd -p packet.bin | busyhour decode -
  busyhour decode --file packet.bin --key-file session.key -o json
  busyhour decode --pcap probe.pcap --port 862 -n 2")]
    Decode(crate::decode::DecodeArgs),
    /// Find what recurs at busy hours in a fleet's tables, without a collector
    #[command(after_help = DETECT_HELP)]
    Detect(crate::detect::DetectArgs),
    /// Simulated fleets with known truth: write one, and score findings about it
    #[command(subcommand)]
    Sim(crate::sim::SimCommand),
    /// Run all of Busyhour on this machine, on real packets and simulated history
    Demo(crate::demo::DemoArgs),
    /// Run as one of the daemons; used by `demo`
    #[command(subcommand, hide = true)]
    Role(RoleCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BuildingCommand {
    /// List the buildings
    #[command(after_help = "\
Examples:
  busyhour building ls
  busyhour building ls -o csv > buildings-now.csv")]
    Ls,
    /// Show one building
    #[command(after_help = "\
Examples:
  busyhour building show \"Berlin HQ\"
  busyhour building show \"Berlin HQ\" -o json")]
    Show {
        /// The building's name, or its id
        name: String,
    },
    /// Import the building file (Call Quality Dashboard format: CSV or TSV, 14 or 15 columns)
    #[command(after_help = "\
Findings are printed with line, column and remedy. A file with errors changes nothing and the
command ends with exit code 3; warnings alone do not stop it.

A file without its companion table keeps the time zones, business hours and holidays that are in
force, and is refused when it would end IPv6 networks or egress prefixes.

The companion table has a header line and the columns BuildingName, TimeZone, BusinessHours,
Holidays (dates such as 2026-12-25, separated by spaces), Prefix, EgressPrefix and NetworkName, in
any order; only BuildingName is required. Holidays that are told replace all that were.

Examples:
  busyhour building import buildings.csv --dry-run
  busyhour building import buildings.csv --companion zones.csv
  busyhour building import buildings.tsv -o csv > findings.csv")]
    Import {
        /// The building file
        file: PathBuf,
        /// The companion table: time zones, business hours, holidays, IPv6 and egress prefixes
        #[arg(long, value_name = "FILE")]
        companion: Option<PathBuf>,
        /// Check only, change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List the versions of the building file: what was in force when, and who imported it
    #[command(after_help = "\
The digest is SHA-256 of both exports of that version, one after the other.

Examples:
  busyhour building history
  { busyhour building export; busyhour building export --companion; } | sha256sum")]
    History,
    /// Print the building file that the collector holds, always in its own 15-column format
    #[command(after_help = "\
Together the two files tell all that the collector knows; import them together.

Examples:
  busyhour building export > buildings.csv
  busyhour building export --companion > zones.csv
  busyhour building export --version 3 | diff - buildings.csv")]
    Export {
        /// Print this version, as `building history` numbers them
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        /// Print the companion table: time zones, business hours, holidays, IPv6 and egress prefixes
        #[arg(long)]
        companion: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LoadCommand {
    /// Import a table of load: counts of calls, of people, of anything that rises with work
    #[command(after_help = "\
Busy hours are learned from load. Where a building's load was imported for at least 14 of the
last 28 days, it is learned from that alone, otherwise from the traffic of its agents.

The table has a line of column names, among them building (its name), start (UTC as
2026-03-02T09:15:00Z, or seconds since 1970) and load (a figure from 0 on, in any unit). Rows
that all begin on the hour hold for an hour, others for half an hour or a quarter-hour. What was
imported before of the same buildings and days is replaced.

Findings are printed with line, column and remedy. A table with errors changes nothing and the
command ends with exit code 3; warnings alone do not stop it.

Examples:
  busyhour load import calls.csv --dry-run
  busyhour load import calls.csv")]
    Import {
        /// The table: CSV or TSV
        file: PathBuf,
        /// Check only, change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubnetCommand {
    /// List the subnets
    #[command(after_help = "\
Examples:
  busyhour subnet ls -o csv
  busyhour subnet ls --at 2026-03-02T09:00:00Z")]
    Ls {
        /// As they were at this moment; now unless told
        #[arg(long, value_name = "TIME")]
        at: Option<jiff::Timestamp>,
    },
    /// Show one subnet
    #[command(after_help = "\
Examples:
  busyhour subnet show 10.10.16.0/22
  busyhour subnet show 10.10.16.0/22 -o yaml")]
    Show {
        /// Its prefix, or its id where several buildings have the prefix
        subnet: String,
    },
    /// List the prefixes that agents live in and no building file knows
    #[command(after_help = "\
Exit code 3 when there are any, 0 when there are none.

Example:
  busyhour subnet missing || echo \"the building file is not complete\"")]
    Missing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TargetCommand {
    /// List the targets: how many measure each, and how lately
    #[command(after_help = "\
Examples:
  busyhour target ls
  busyhour target ls -o csv")]
    Ls,
    /// Show one target
    #[command(after_help = "\
Example:
  busyhour target show reflector.example.com:862")]
    Show {
        /// The target, as `target ls` prints it
        target: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PathCommand {
    /// List the paths
    #[command(after_help = "\
Example:
  busyhour path ls")]
    Ls,
    /// Show one path: from where to where it leads, what is sent, by what it is judged
    #[command(after_help = "\
Examples:
  busyhour path show 12
  busyhour path show 12 -o yaml")]
    Show {
        /// The path's number, as `path ls` prints it
        path: i64,
    },
    /// Show the 15-second windows of one path, newest last
    #[command(after_help = "\
Examples:
  busyhour path windows 12
  busyhour path windows 12 --since 3h -o csv
  busyhour path windows 12 --since 10m --wide
  busyhour path windows 12 --from 2026-03-02T09:00:00Z --until 2026-03-02T12:00:00Z")]
    Windows {
        /// The path's number, as `path ls` prints it
        path: i64,
        /// How far back, such as 30m, 3h or 2d
        #[arg(long, value_name = "DURATION", default_value = "1h", conflicts_with = "from")]
        #[arg(value_parser = parse_since)]
        since: jiff::SignedDuration,
        /// From this moment on
        #[arg(long, value_name = "TIME")]
        from: Option<jiff::Timestamp>,
        /// Up to this moment; now unless told
        #[arg(long, value_name = "TIME")]
        until: Option<jiff::Timestamp>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: u32,
        /// More columns: order, bursts, playout, marks, hop limits, clocks; csv and json have all
        #[arg(long)]
        wide: bool,
    },
    /// Show the hours of one path in its building's time: loss, order and their verdicts
    #[command(after_help = "\
Packets out of order are judged over an hour, and only where chance does not explain them.

Examples:
  busyhour path hours 12
  busyhour path hours 12 --since 31d -o csv")]
    Hours {
        /// The path's number, as `path ls` prints it
        path: i64,
        /// How far back, such as 3h or 7d; at most 31 days
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_since)]
        since: jiff::SignedDuration,
    },
    /// Show one path as synthetic streams of five minutes, classified as the Call Quality Dashboard
    /// classifies those of calls
    #[command(after_help = "\
No call is measured: probes sent these packets, and what only a call's client knows is not evaluated.

Examples:
  busyhour path streams 12
  busyhour path streams 12 --since 3h --classifier cqd-2018 -o csv")]
    Streams {
        /// The path's number, as `path ls` prints it
        path: i64,
        /// How far back, such as 3h or 7d; at most 7 days
        #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = parse_since)]
        since: jiff::SignedDuration,
        /// The edition of the rules: cqd-current or cqd-2018
        #[arg(long, value_name = "NAME", default_value = "cqd-current")]
        classifier: String,
    },
    /// Show what a call of a reference codec would have been like, by ITU-T's E-model
    #[command(after_help = "\
A planning estimate, never the score of any product. Codecs with published figures: g711-plc, g711,
g729a-vad, and on the wideband scale amr-wb-12.65, amr-wb-23.05, amr-wb-23.85.

Examples:
  busyhour path estimates 12
  busyhour path estimates 12 --since 3h --codec amr-wb-23.05 -o json")]
    Estimates {
        /// The path's number, as `path ls` prints it
        path: i64,
        /// How far back, such as 30m, 3h or 2d; at most 31 days
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_since)]
        since: jiff::SignedDuration,
        /// The reference codec
        #[arg(long, value_name = "NAME", default_value = "g711-plc")]
        codec: String,
        /// At most this many windows
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List what was done, newest first
    #[command(after_help = "\
Agents are named by their ids, and by name as long as they are not forgotten.

Examples:
  busyhour audit ls
  busyhour audit ls --since 365d -o csv")]
    Ls {
        /// How far back, such as 3h or 30d
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_since)]
        since: jiff::SignedDuration,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 1000)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Follow the chain of the audit: every entry is linked to the one before it
    #[command(after_help = "\
Who keeps the number and the link of the newest entry elsewhere can prove later that nothing before it
was changed or taken out. Exit code 3 when the chain is broken, or does not have what was kept.

Examples:
  busyhour audit verify
  busyhour audit verify --number 4711 --link 9f86d081884c7d65...")]
    Verify {
        /// The number of an entry whose link was kept
        #[arg(long, value_name = "N", requires = "link")]
        number: Option<i64>,
        /// Its link, as `audit verify` and `audit export` print it
        #[arg(long, value_name = "HEX", requires = "number")]
        link: Option<String>,
    },
    /// Print the whole audit as JSON lines, oldest first, with the links of its chain
    #[command(after_help = "\
Example:
  busyhour audit export > audit.ndjson")]
    Export,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Run as a collector
    Collector(ProgramArgs),
    /// Run as an agent
    Agent(ProgramArgs),
    /// Deliver simulated history to a running collector; used by tests and benchmarks
    Simulate(crate::simulate::SimulateArgs),
}

/// What another program is given, unread: the options here and there may have the same names.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ProgramArgs {
    /// As for the program itself
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl ProgramArgs {
    /// The program's own command line; ends the process where the program would.
    pub(crate) fn parse<T: Parser>(self, program: &str) -> T {
        T::parse_from(std::iter::once(program.into()).chain(self.arguments))
    }
}

pub(crate) fn parse_since(text: &str) -> Result<jiff::SignedDuration, String> {
    match text.parse::<jiff::SignedDuration>() {
        Ok(duration) if duration.is_positive() => Ok(duration),
        Ok(_) => Err("the duration must be above zero".to_owned()),
        Err(_) => days(text).ok_or_else(|| "expected a duration such as 30m, 3h or 2d".to_owned()),
    }
}

/// A day is 24 hours here: this is how far back to look, not a calendar.
fn days(text: &str) -> Option<jiff::SignedDuration> {
    let count: i64 = text.strip_suffix('d')?.trim().parse().ok()?;
    let in_range = (1..=3660).contains(&count);
    in_range.then(|| jiff::SignedDuration::from_hours(count * 24))
}
