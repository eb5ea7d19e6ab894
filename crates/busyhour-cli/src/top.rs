//! `busyhour top`: the buildings, worst first; on a terminal again and again.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::Outcome;
use crate::args::parse_since;
use crate::client::{Client, Envelope};
use crate::output::{Column, Printer, harmless};

const TOP: &[Column] = &[
    ("name", "building"),
    ("standing", "standing"),
    ("bad_hours_local", "bad hours"),
    ("worst_hour_local", "worst hour"),
    ("worst_hour_bad_ratio", "bad windows"),
    ("worst_hour_breach", "most by"),
    ("worst_hour_says", "p90"),
    ("average_says", "daily average"),
    ("masking_factor", "factor"),
    ("bad_days", "bad days"),
    ("observed_days", "of"),
    ("coverage_ratio", "coverage"),
    ("data_age_s", "data age"),
    ("simulated", "simulated"),
];
/// The same where it has to fit on a terminal.
const WATCHED: &[Column] = &[
    ("name", "building"),
    ("standing", "standing"),
    ("bad_hours_local", "bad hours"),
    ("worst_hour_bad_ratio", "bad windows"),
    ("worst_hour_says", "p90"),
    ("average_says", "daily average"),
    ("masking_factor", "factor"),
    ("data_age_s", "data age"),
];
/// Lines of a screen that are not buildings: what stands above and below them.
const OTHER_LINES: usize = 5;
/// The shortest time between two looks: the collector has others to answer.
const MIN_EVERY: Duration = Duration::from_secs(1);
/// Clears the screen and puts the cursor into its corner.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// What `top` understands.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// How many; on a terminal that is watched as many as fit, unless told
    #[arg(short = 'n', long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
    /// Print once and end, on a terminal too
    #[arg(long)]
    once: bool,
    /// How long to wait before looking again, from 1s on
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_since)]
    every: jiff::SignedDuration,
}

const USUAL_LIMIT: u32 = 10;
/// Lines of a terminal that does not tell.
const USUAL_HEIGHT: usize = 24;

pub(crate) fn run(client: &Client, printer: &Printer, args: &TopArgs) -> anyhow::Result<Outcome> {
    if args.once || !printer.is_live() {
        printer.rows(&ask(client, args.limit.unwrap_or(USUAL_LIMIT))?, TOP)?;
        return Ok(Outcome::Done);
    }
    watch(client, printer, args)
}

fn ask(client: &Client, limit: u32) -> anyhow::Result<Envelope> {
    client.list("/api/v1/top", &[("limit", limit.to_string())])
}

/// Looks again and again until Ctrl-C. The first look must work; after that an error is shown and the
/// last answer stays, with its age.
fn watch(client: &Client, printer: &Printer, args: &TopArgs) -> anyhow::Result<Outcome> {
    let every = args.every.unsigned_abs().max(MIN_EVERY);
    let mut answer = ask(client, args.limit.unwrap_or_else(fitting))?;
    let mut looked = jiff::Zoned::now();
    let mut error: Option<String> = None;
    loop {
        // In front, where no long list pushes it off the screen.
        let trouble = error.map(|error| format!("NOT LOOKED AT SINCE THEN: {error}"));
        let mut screen = vec![head(client, &answer, &looked), trouble.unwrap_or_default()];
        screen.extend(printer.screen(&answer, WATCHED));
        screen.truncate(height().saturating_sub(1).max(1));
        let mut out = io::stdout().lock();
        writeln!(out, "{CLEAR}{}", screen.join("\n"))?;
        out.flush()?;
        drop(out);
        std::thread::sleep(every);
        error = match ask(client, args.limit.unwrap_or_else(fitting)) {
            Ok(newer) => {
                (answer, looked) = (newer, jiff::Zoned::now());
                None
            }
            Err(error) => Some(harmless(&format!("{error:#}"))),
        };
    }
}

/// `http://… at 10:15:02: 2 masked, 1 bad, 7 good of the worst 10; Ctrl-C ends`.
fn head(client: &Client, answer: &Envelope, looked: &jiff::Zoned) -> String {
    let count = |standing: &str| {
        let stands = |value: Option<&Value>| value.and_then(Value::as_str) == Some(standing);
        answer.items.iter().filter(|item| stands(item.get("standing"))).count()
    };
    let counts: Vec<String> = ["masked", "bad", "bad-lately", "unknown", "good"]
        .into_iter()
        .map(|standing| (count(standing), standing))
        .filter(|(count, _)| *count > 0)
        .map(|(count, standing)| format!("{count} {standing}"))
        .collect();
    let counts = if counts.is_empty() { "no buildings".to_owned() } else { counts.join(", ") };
    let time = looked.strftime("%H:%M:%S");
    format!("{} at {time}, the worst {}: {counts}; Ctrl-C ends", client.base(), answer.items.len())
}

fn height() -> usize {
    terminal_size::terminal_size().map_or(USUAL_HEIGHT, |(_, height)| usize::from(height.0))
}

/// As many buildings as the screen has room for.
fn fitting() -> u32 {
    u32::try_from(height().saturating_sub(OTHER_LINES)).unwrap_or(USUAL_LIMIT).clamp(1, 1000)
}
