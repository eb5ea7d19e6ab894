//! `busyhour`: the operator's commands, over the collector's HTTP API.
//!
//! Data goes to standard output, messages to standard error; the exit code tells scripts what
//! happened (0 done, 1 error, 2 usage, 3 what the command looks for is there; of `check` what monitoring
//! systems know). It refuses to
//! judge or to compute: figures are the collector's, this crate prints them. `decode` and `detect` ask
//! no collector: they explain packets, and judge a fleet's tables as the engine says. `demo` and the hidden `role` re-execute this same program as the
//! daemons.

mod account_args;
mod accounts;
mod agent_args;
mod agents;
mod args;
mod audit;
mod channels;
mod check;
mod client;
mod commands;
mod config_args;
mod configuration;
mod credential;
mod decode;
mod demo;
mod desk;
mod desk_args;
mod detect;
mod explain;
mod generated;
mod incidents;
mod loads;
mod output;
mod path_quality;
mod profile;
mod profile_args;
mod report_args;
mod reports;
mod secret_file;
mod show;
mod sim;
mod simulate;
mod tasks;
mod tokens;
mod top;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use busyhour_agent::AgentCli;
use busyhour_collector::CollectorCli;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command, Global, RoleCommand};
use crate::client::{Client, Trust};
use crate::output::Printer;
use crate::profile::Sources;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// What the command looks for is there (exit code 3).
    Found,
}

const EXIT_ERROR: u8 = 1;
const EXIT_FOUND: u8 = 3;

fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, Sources::of(&matches)))
    });
    let (cli, sources) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() && is_check() => {
            return check::usage(&error.render().to_string());
        }
        Err(error) => error.exit(),
    };
    if let Command::Check(args) = &cli.command {
        return check::run(client(&cli.global, sources, Some(args.timeout.unsigned_abs())), args);
    }
    match run(cli, sources) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(EXIT_FOUND),
        // A reader that has seen enough (`busyhour top | head -1`) is not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_ERROR)
        }
    }
}

/// The command line is one of `check`, whatever else is wrong with it.
fn is_check() -> bool {
    let matches = Cli::command().ignore_errors(true).try_get_matches();
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("check"))
}

/// What asks the collector that the command line, the environment or a profile names.
fn client(global: &Global, sources: Sources, timeout: Option<Duration>) -> anyhow::Result<Client> {
    let chosen = profile::choose(global, sources)?;
    let trust = Trust {
        token_file: chosen.token_file.as_deref(),
        token: chosen.token.as_deref(),
        ca_file: chosen.ca_file.as_deref(),
        timeout,
    };
    Client::new(&chosen.collector, &trust)
}

fn run(cli: Cli, sources: Sources) -> anyhow::Result<Outcome> {
    let client = client(&cli.global, sources, None);
    let printer = Printer::new(cli.global.output.unwrap_or_default(), cli.global.no_headers);
    match cli.command {
        Command::Building(command) => commands::building(&client?, &printer, command),
        Command::Load(command) => loads::run(&client?, &printer, &command),
        Command::Subnet(command) => commands::subnet(&client?, &printer, &command),
        Command::Target(command) => commands::target(&client?, &printer, &command),
        Command::Path(command) => commands::path(&client?, &printer, &command),
        Command::Top(args) => top::run(&client?, &printer, &args),
        Command::Explain(args) => explain::run(&client?, &printer, &args),
        // It ends in its own way, before this.
        Command::Check(_) => Ok(Outcome::Done),
        Command::Profile(command) => profile::run(&printer, cli.global.ca_file.as_deref(), command),
        Command::Completions { shell } => generated::completions(shell),
        Command::Man { folder } => generated::manual(&folder),
        Command::Agent(command) => agents::run(&client?, &printer, command),
        Command::Token(command) => tokens::run(&client?, &printer, command),
        Command::Config(command) => configuration::run(&client?, &printer, command),
        Command::Login(args) => accounts::login(&client?, &args),
        Command::Logout => accounts::logout(&client?),
        Command::Whoami => accounts::whoami(&client?, &printer),
        Command::User(command) => accounts::user(&client?, &printer, command),
        Command::ApiToken(command) => accounts::api_token(&client?, &printer, command),
        Command::Audit(command) => audit::run(&client?, &printer, &command),
        Command::Incident(command) => incidents::run(&client?, &printer, &command),
        Command::Channel(command) => channels::run(&client?, &printer, &command),
        Command::Owner(command) => desk::owner(&client?, &printer, &command),
        Command::Silence(command) => desk::silence(&client?, &printer, &command),
        Command::Maintenance(command) => desk::maintenance(&client?, &printer, &command),
        Command::Report(command) => reports::run(&client?, &printer, &command),
        Command::Task(command) => tasks::run(&client?, &printer, &command),
        Command::Decode(args) => decode::run(&printer, &args),
        Command::Detect(args) => detect::run(cli.global.output, cli.global.no_headers, &args),
        Command::Sim(command) => {
            let format = cli.global.output.unwrap_or_default();
            sim::run(&printer, format, &command).map(|()| Outcome::Done)
        }
        Command::Demo(args) => demo::run(&args).map(|()| Outcome::Done),
        Command::Role(RoleCommand::Collector(args)) => {
            let CollectorCli { args } = args.parse("busyhour-collector");
            busyhour_collector::execute(args).map(|()| Outcome::Done)
        }
        Command::Role(RoleCommand::Agent(args)) => {
            let AgentCli { args } = args.parse("busyhour-agent");
            busyhour_agent::execute(args).map(|_| Outcome::Done)
        }
        Command::Role(RoleCommand::Simulate(args)) => {
            simulate::run(&client?, &args).map(|()| Outcome::Done)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
