//! The benchmark of detection, from the command line. Tables go to standard output, progress to
//! standard error.

use std::error::Error;
use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use busyhour_sim::score::{Mistake, Report};
use busyhour_sim::world::{Hardness, Mechanisms, Plan, Sampling};
use clap::{Args, Parser, Subcommand, ValueEnum};
use detection::aims::Scale;
use detection::baseline::Baseline;
use detection::harness::{Method, Run, run};
use detection::tables::markdown::{self, Intervals};
use detection::tables::{self, Line};
use detection::variants::{ablations, curves};
use jiff::civil::Date;

/// The share of days that agents are absent for which there is an aim.
const ABSENT: f64 = 0.3;

const HELP: &str = "\
Examples:
  cargo run --release -p detection -- table --fleet hard --seeds 201..206
  cargo run --release -p detection -- table --methods all --fleet both --mechanisms both --seeds 1..4
  cargo run --release -p detection -- table --mechanisms both --seeds 21..24 --held-out-seeds 25..28
  cargo run --release -p detection -- ablations --fleet hard --seeds 11..14 --output markdown
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
    Absence {
        /// Fail when it misses the aim at 30 % of days
        #[arg(long)]
        strict: bool,
    },
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
    /// Seeds of worlds with held-out mechanisms, where they are others
    #[arg(long, global = true, value_name = "SEEDS", value_parser = parse_seeds)]
    held_out_seeds: Option<Seeds>,
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
    /// table, markdown or json
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people at a terminal.
    Table,
    /// For docs/DETECT.md.
    Markdown,
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
            Command::Absence { .. } => {
                for absent in [0.0, ABSENT, 0.6] {
                    let fleet = Fleet { absent, ..fleet.clone() };
                    let what = absent_for(absent);
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
    let lines = tables::with_sums(lines);
    cli.print(&lines);
    let missed = cli.missed(&lines);
    if missed.is_empty() { Ok(()) } else { Err(missed.join("; ").into()) }
}

/// What is said of fleets whose agents are off on that share of days.
fn absent_for(share: f64) -> String {
    format!("absent {:.0} % of days", share * 100.0)
}

impl Cli {
    /// The aims that the detector misses, where somebody asked. They are for all that was run of a fleet.
    fn missed(&self, lines: &[Line]) -> Vec<String> {
        let detector = tables::whole(lines).into_iter().filter(|line| line.places);
        let missed = |scale: Scale| move |line: &Line| scale.missed(&line.report, line.hardness);
        match self.command {
            Command::Table { strict: true, .. } => {
                detector.flat_map(missed(Scale::Whole)).collect()
            }
            Command::Absence { strict: true } => detector
                .filter(|line| line.method == absent_for(ABSENT))
                .flat_map(missed(Scale::Absent))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn print(&self, lines: &[Line]) {
        let figures = matches!(self.command, Command::Table { .. });
        match self.worlds.output {
            _ if lines.is_empty() => {}
            Output::Json => println!("{}", tables::json(lines)),
            Output::Markdown if figures => print!("{}", markdown::figures(lines)),
            Output::Markdown => print!("{}", markdown::variants(lines, self.intervals())),
            Output::Table if figures => {
                lines.iter().for_each(|line| println!("{}", tables::figures(line)));
            }
            Output::Table => println!("{}", tables::side_by_side(lines)),
        }
    }

    /// Where a few lines are the whole answer, they are told with what they are worth.
    const fn intervals(&self) -> Intervals {
        match self.command {
            Command::Sampling | Command::Absence { .. } => Intervals::Shown,
            _ => Intervals::Left,
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
        let seeds = match fleet.mechanisms {
            Mechanisms::Tuning => &self.seeds,
            Mechanisms::HeldOut => self.held_out_seeds.as_ref().unwrap_or(&self.seeds),
        };
        seeds.0.iter().map(plan).collect()
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
            hardness: fleet.hardness,
            mechanisms: Some(fleet.mechanisms),
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn seeds(arguments: &[&str]) -> Vec<(Mechanisms, Vec<u64>)> {
        let cli =
            Cli::parse_from([&["detection", "worlds", "--fleet", "hard"], arguments].concat());
        let fleets = cli.worlds.fleets().unwrap();
        let seeds = |fleet: &Fleet| cli.worlds.plans(fleet).iter().map(|plan| plan.seed).collect();
        fleets.iter().map(|fleet| (fleet.mechanisms, seeds(fleet))).collect()
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn held_out_mechanisms_have_seeds_of_their_own_where_some_are_given() {
        let both = ["--mechanisms", "both", "--seeds", "7..8"];
        let (tuning, held_out) = (Mechanisms::Tuning, Mechanisms::HeldOut);
        assert_eq!(seeds(&both), [(tuning, vec![7, 8]), (held_out, vec![7, 8])]);
        let apart = [&both[..], &["--held-out-seeds", "9"]].concat();
        assert_eq!(seeds(&apart), [(tuning, vec![7, 8]), (held_out, vec![9])]);
    }
}
