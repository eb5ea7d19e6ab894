//! The benchmark of detection, from the command line. Tables go to standard output, progress to
//! standard error.

use std::error::Error;
use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use busyhour_detect::{Params, Rule};
use busyhour_sim::score::{Mistake, Report};
use busyhour_sim::world::{Hardness, Mechanisms, Plan, Sampling};
use clap::{Args, Parser, Subcommand, ValueEnum};
use detection::baseline::Baseline;
use detection::harness::{Method, Run, run};
use detection::tables::{self, Line};
use jiff::civil::Date;

const HELP: &str = "\
Examples:
  cargo run --release -p detection -- table --fleet hard --seeds 201..206
  cargo run --release -p detection -- table --methods all --fleet both --mechanisms both --seeds 1..4
  cargo run --release -p detection -- ablations --fleet hard --seeds 11..14 --output json
  cargo run --release -p detection -- mistakes --fleet hard --seeds 11 --only false-alert";

/// Runs the detector and the rules that users have today over generated fleets, and scores them.
#[derive(Debug, Parser)]
#[command(name = "detection", after_help = HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    worlds: Worlds,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every figure of each method, with its bounds and what it ought to be
    Table {
        /// `detector`, `baselines`, `all`, or names of rules, separated by commas
        #[arg(long, value_name = "NAMES", default_value = "detector")]
        methods: String,
        /// Fail when the detector misses an aim
        #[arg(long)]
        strict: bool,
    },
    /// Methods side by side
    Compare {
        /// `detector`, `baselines`, `all`, or names of rules, separated by commas
        #[arg(long, value_name = "NAMES", default_value = "all")]
        methods: String,
    },
    /// The detector without each of its rules
    Ablations,
    /// The detector at other samplings
    Sampling,
    /// The detector with agents absent by the day
    Absence,
    /// The detector at other thresholds: what false alerts cost in recall and days
    Curves,
    /// What the worlds are like, and how long they take
    Worlds,
    /// What is missed, false or wrong, one by one
    Mistakes {
        /// Only these kinds, separated by commas: missed, false-alert, wrong-place, wrong-cause,
        /// stuck, again
        #[arg(long, value_name = "KINDS")]
        only: Option<String>,
        /// Of this method
        #[arg(long, value_name = "NAME", default_value = "detector")]
        methods: String,
    },
}

/// Which worlds.
#[derive(Debug, Args)]
struct Worlds {
    /// normal, hard or both
    #[arg(long, global = true, value_name = "FLEET", default_value = "both")]
    fleet: String,
    /// tuning, held-out or both
    #[arg(long, global = true, value_name = "SET", default_value = "tuning")]
    mechanisms: String,
    /// Seeds, such as 7, 1,2,5 or 201..206 (the last one included)
    #[arg(long, global = true, value_name = "SEEDS", default_value = "1..4", value_parser = parse_seeds)]
    seeds: Seeds,
    /// Buildings of each world
    #[arg(long, global = true, value_name = "N", default_value_t = 30)]
    buildings: u32,
    /// Local days
    #[arg(long, global = true, value_name = "N", default_value_t = 84)]
    days: u32,
    /// The first local day
    #[arg(long, global = true, value_name = "DATE", default_value = "2025-02-09")]
    first: Date,
    /// How much is measured, in seconds of seconds
    #[arg(long, global = true, value_name = "S/OF", default_value = "15/60")]
    sampling: Sampling,
    /// The share of days on which an agent is off
    #[arg(long, global = true, value_name = "SHARE", default_value_t = 0.0)]
    absent: f64,
    /// Regions at the same time; each needs some 30 MB
    #[arg(long, global = true, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// table or json
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, and for docs/DETECT.md.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Clone)]
struct Seeds(Vec<u64>);

/// The most seeds of one run.
const MAX_SEEDS: u64 = 10_000;

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let number =
        |text: &str| text.trim().parse::<u64>().map_err(|_| format!("{text:?} is no seed"));
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last - first >= MAX_SEEDS {
            return Err("the last seed is below the first, or far above it".to_owned());
        }
        return Ok(Seeds((first..=last).collect()));
    }
    Ok(Seeds(text.split(',').map(number).collect::<Result<_, _>>()?))
}

fn main() -> ExitCode {
    match execute(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let fleets = cli.worlds.fleets()?;
    let mut lines: Vec<Line> = Vec::new();
    for fleet in &fleets {
        match &cli.command {
            Command::Table { methods, .. } | Command::Compare { methods } => {
                lines.extend(cli.worlds.lines(fleet, &parse_methods(methods)?, "")?);
            }
            Command::Ablations => {
                lines.extend(cli.worlds.lines(fleet, &ablations(), "")?);
            }
            Command::Curves => lines.extend(cli.worlds.lines(fleet, &curves(), "")?),
            Command::Sampling => {
                for text in ["60/60", "30/60", "15/60", "15/150", "15/300"] {
                    let fleet = Fleet { sampling: text.parse()?, ..fleet.clone() };
                    let what = format!("sampling {text}");
                    lines.extend(cli.worlds.lines(&fleet, &[Method::detector()], &what)?);
                }
            }
            Command::Absence => {
                for absent in [0.0, 0.3, 0.6] {
                    let fleet = Fleet { absent, ..fleet.clone() };
                    let what = format!("absent {:.0} % of days", absent * 100.0);
                    lines.extend(cli.worlds.lines(&fleet, &[Method::detector()], &what)?);
                }
            }
            Command::Worlds => {
                let run = cli.worlds.run(fleet, &[])?;
                println!("{}", tables::facts(&fleet.name(), &run.facts));
            }
            Command::Mistakes { only, methods } => {
                let run = cli.worlds.run(fleet, &parse_methods(methods)?)?;
                print_mistakes(&run, only.as_deref())?;
            }
        }
    }
    cli.print(&lines);
    if let Command::Table { strict: true, .. } = cli.command {
        let missed: Vec<String> =
            lines.iter().filter(|line| line.places).flat_map(missed).collect();
        if !missed.is_empty() {
            return Err(missed.join("; ").into());
        }
    }
    Ok(())
}

/// The aims that a method misses.
fn missed(line: &Line) -> Vec<String> {
    let rows = line.report.rows().into_iter();
    let missed =
        rows.filter(|row| tables::aim(row.name, line.hardness).is_some_and(|aim| !aim.holds(row)));
    missed.map(|row| format!("{}: {} {}", line.fleet, row.what, row.figure())).collect()
}

impl Cli {
    fn print(&self, lines: &[Line]) {
        let figures = matches!(self.command, Command::Table { .. });
        match self.worlds.output {
            _ if lines.is_empty() => {}
            Output::Json => println!("{}", tables::json(lines)),
            Output::Table if figures => {
                lines.iter().for_each(|line| println!("{}", tables::figures(line)));
            }
            Output::Table => println!("{}", tables::side_by_side(lines)),
        }
    }
}

/// Worlds of one kind.
#[derive(Debug, Clone)]
struct Fleet {
    hardness: Hardness,
    mechanisms: Mechanisms,
    sampling: Sampling,
    absent: f64,
}

impl Fleet {
    fn name(&self) -> String {
        format!("{}, {}", self.hardness.as_str(), self.mechanisms.as_str())
    }
}

impl Worlds {
    fn fleets(&self) -> Result<Vec<Fleet>, Box<dyn Error>> {
        let hardness = match self.fleet.as_str() {
            "both" => Hardness::ALL.to_vec(),
            one => vec![one.parse()?],
        };
        let mechanisms = match self.mechanisms.as_str() {
            "both" => Mechanisms::ALL.to_vec(),
            one => vec![one.parse()?],
        };
        let fleets = hardness.into_iter().flat_map(|hardness| {
            mechanisms.iter().map(move |mechanisms| Fleet {
                hardness,
                mechanisms: *mechanisms,
                sampling: self.sampling,
                absent: self.absent,
            })
        });
        Ok(fleets.collect())
    }

    fn plans(&self, fleet: &Fleet) -> Vec<Plan> {
        let plan = |seed: &u64| Plan {
            hardness: fleet.hardness,
            mechanisms: fleet.mechanisms,
            buildings: self.buildings,
            first: self.first,
            days: self.days,
            sampling: fleet.sampling,
            absent_days: fleet.absent,
            ..Plan::new(*seed)
        };
        self.seeds.0.iter().map(plan).collect()
    }

    fn run(&self, fleet: &Fleet, methods: &[Method]) -> Result<Run, Box<dyn Error>> {
        let name = fleet.name();
        let terminal = stderr().is_terminal();
        let progress = move |done: usize, of: usize| {
            if terminal {
                eprint!("\r{name}: region {done} of {of} ");
            } else if done.is_multiple_of(50) || done == of {
                eprintln!("{name}: region {done} of {of}");
            }
        };
        let run = run(&self.plans(fleet), methods, self.threads, &progress)?;
        if terminal {
            eprintln!();
        }
        Ok(run)
    }

    fn lines(
        &self,
        fleet: &Fleet,
        methods: &[Method],
        what: &str,
    ) -> Result<Vec<Line>, Box<dyn Error>> {
        let run = self.run(fleet, methods)?;
        let line = |(method, outcome): (&Method, detection::harness::Outcome)| Line {
            fleet: fleet.name(),
            hardness: fleet.hardness,
            method: if what.is_empty() { method.name() } else { what }.to_owned(),
            places: matches!(method, Method::Detector { .. }),
            report: Report::of(outcome.tally),
            took: outcome.took,
        };
        Ok(methods.iter().zip(run.outcomes).map(line).collect())
    }
}

fn parse_methods(names: &str) -> Result<Vec<Method>, Box<dyn Error>> {
    let baselines = || Baseline::ALL.map(Method::Baseline).to_vec();
    let mut methods = Vec::new();
    for name in names.split(',').map(str::trim) {
        match name {
            "detector" => methods.push(Method::detector()),
            "baselines" => methods.extend(baselines()),
            "all" => {
                methods.push(Method::detector());
                methods.extend(baselines());
            }
            name => {
                let rule = Baseline::ALL.into_iter().find(|rule| rule.as_str() == name);
                methods.push(Method::Baseline(rule.ok_or_else(|| format!("no rule is {name:?}"))?));
            }
        }
    }
    Ok(methods)
}

fn ablations() -> Vec<Method> {
    let without = |rule: Rule| {
        let params = Params::default();
        let params = Params { rules: params.rules.without(rule), ..params };
        Method::variant(format!("without {}", rule.as_str()), params)
    };
    let recurs = |recurs, of_days| {
        Method::variant(format!("{recurs} of {of_days}"), with_recurrence(recurs, of_days))
    };
    let mut methods = vec![Method::detector()];
    methods.extend(Rule::ALL.map(without));
    methods.extend([recurs(1, 1), recurs(2, 5), recurs(4, 10)]);
    methods
}

fn with_recurrence(recurs: u32, of_days: u32) -> Params {
    Params { recurs, of_days, ..Params::default() }
}

fn curves() -> Vec<Method> {
    let share = |permille: u32| {
        let params = Params { bad_permille: permille, ..Params::default() };
        Method::variant(format!("worst hour from {} %", f64::from(permille) / 10.0), params)
    };
    let floor = |windows: u32| {
        let params = Params { bad_windows: windows, ..Params::default() };
        Method::variant(format!("from {windows} bad windows"), params)
    };
    let recurs = |(recurs, of_days)| {
        Method::variant(format!("{recurs} of {of_days}"), with_recurrence(recurs, of_days))
    };
    let shares = [30, 40, 50, 60, 80, 100, 120].map(share);
    let floors = [3, 4, 5, 6, 8, 10].map(floor);
    let days =
        [(2, 3), (2, 5), (3, 4), (3, 5), (3, 6), (3, 7), (4, 5), (4, 7), (4, 10)].map(recurs);
    shares.into_iter().chain(floors).chain(days).collect()
}

fn print_mistakes(run: &Run, only: Option<&str>) -> Result<(), Box<dyn Error>> {
    let parse = |word: &str| {
        let known = Mistake::ALL.into_iter().find(|one| one.as_str() == word.trim());
        known.ok_or_else(|| format!("{word:?} is no kind of mistake"))
    };
    let only: Option<Vec<Mistake>> =
        only.map(|words| words.split(',').map(parse).collect::<Result<_, _>>()).transpose()?;
    for detail in run.outcomes.iter().flat_map(|outcome| &outcome.details) {
        if only.as_ref().is_none_or(|only| only.contains(&detail.mistake)) {
            println!("{}: {}", detail.mistake.as_str(), detail.text);
        }
    }
    Ok(())
}
