//! `busyhour check`: how something stands, for a monitoring system, as its plugins say it: one line with
//! figures after `|`, and an exit code.
//!
//! What is not known is never OK: neither what nobody measured lately nor what could not be asked.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::args::parse_since;
use crate::client::{Client, Item};
use crate::commands::building_id;
use crate::output::harmless;
use crate::show::text;

/// What `check` understands.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A building, by its name or id
    #[arg(required_unless_present_any = ["path", "fleet"])]
    building: Option<String>,
    /// A path, by its number as `path ls` prints it
    #[arg(long, value_name = "NUMBER", conflicts_with = "building")]
    path: Option<i64>,
    /// All buildings together
    #[arg(long, conflicts_with_all = ["building", "path"])]
    fleet: bool,
    /// Data that are older say nothing of now: the state is UNKNOWN then
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = parse_since)]
    stale_after: jiff::SignedDuration,
    /// How long the collector may take to answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_since)]
    pub(crate) timeout: jiff::SignedDuration,
}

/// What monitoring systems know, in the order in which several are made one: the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Critical,
    Warning,
    Unknown,
    Ok,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Warning => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::Ok => "OK",
        }
    }

    /// As the Monitoring Plugins Development Guidelines number them.
    const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// Of a building or a path that stands so.
    fn of(standing: &str) -> Self {
        match standing {
            "masked" | "bad" => Self::Critical,
            "bad-lately" => Self::Warning,
            "good" => Self::Ok,
            _ => Self::Unknown,
        }
    }
}

/// One line.
#[derive(Debug, PartialEq)]
struct Told {
    state: State,
    message: String,
    /// Label, value with its unit, least and most.
    figures: Vec<Performance>,
}

/// A figure after the `|`; one without a value is `U`, not known.
#[derive(Debug, PartialEq)]
struct Performance {
    label: &'static str,
    value: Option<f64>,
    unit: &'static str,
    most: Option<f64>,
}

/// Asks, prints the line and says how to end. Nothing that goes wrong is anything but UNKNOWN.
pub(crate) fn run(client: anyhow::Result<Client>, args: &CheckArgs) -> ExitCode {
    let told = client.and_then(|client| ask(&client, args)).unwrap_or_else(|error| Told {
        state: State::Unknown,
        message: format!("{error:#}"),
        figures: Vec::new(),
    });
    // A monitoring system that does not read does not get the code either.
    let _ = writeln!(std::io::stdout().lock(), "{}", line(&told));
    ExitCode::from(told.state.exit_code())
}

/// How a monitoring system hears of a command line that is wrong.
pub(crate) fn usage(error: &str) -> ExitCode {
    let lines = error.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let first = lines.collect::<Vec<_>>().join(" ");
    let first = first.trim_start_matches("error: ");
    eprint!("{error}");
    let told = Told { state: State::Unknown, message: first.to_owned(), figures: Vec::new() };
    let _ = writeln!(std::io::stdout().lock(), "{}", line(&told));
    ExitCode::from(State::Unknown.exit_code())
}

fn ask(client: &Client, args: &CheckArgs) -> anyhow::Result<Told> {
    let stale_after = args.stale_after.as_secs();
    match (&args.building, args.path) {
        (None, None) => {
            let buildings = client.list("/api/v1/buildings", &[])?;
            let worst = client.list("/api/v1/top", &[("limit", "1".to_owned())])?;
            let first = worst.items.first().map(|item| text(item, "name"));
            Ok(fleet(&buildings.items, first.as_deref(), stale_after))
        }
        (_, Some(path)) => {
            let told = client.list(&format!("/api/v1/paths/{path}/explain"), &[])?;
            let item = told.items.first().context("the collector explains nothing")?;
            Ok(of_path(item, stale_after))
        }
        (Some(name), None) => {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            let hint = || format!("for the path of this number say --path {name}");
            let id = building_id(client, name);
            let id = if is_number { id.with_context(hint)? } else { id? };
            let told = client.list(&format!("/api/v1/buildings/{id}"), &[])?;
            let item = told.items.first().context("the collector tells of no building")?;
            Ok(of_building(item, stale_after))
        }
    }
}

fn of_building(item: &Item, stale_after: i64) -> Told {
    let standing = text(item, "standing");
    let age = item.get("data_age_s").and_then(Value::as_i64);
    let name = text(item, "name");
    let (state, why) = match stale(age, stale_after) {
        Some(why) => (State::Unknown, format!("{why}; it was {standing} when last looked at")),
        None => (State::of(&standing), why_so(item, &standing)),
    };
    let mut figures = Vec::new();
    if standing != "good" {
        // A good building has no bad hour that figures could be told of.
        let share = ("worst_hour_bad_ratio", 100.0);
        figures.push(figure(item, "bad_windows", share, "%", Some(100.0)));
    }
    figures.extend([
        figure(item, "bad_days", ("bad_days", 1.0), "", number(item, "observed_days")),
        figure(item, "coverage", ("coverage_ratio", 100.0), "%", Some(100.0)),
        figure(item, "data_age", ("data_age_s", 1.0), "s", None),
    ]);
    Told { state, message: format!("{name}: {why}"), figures }
}

fn why_so(item: &Item, standing: &str) -> String {
    let said = |key: &str| Some(text(item, key)).filter(|text| !text.is_empty());
    match standing {
        "good" => {
            let days = text(item, "observed_days");
            format!("good, no bad busy hour on its last {days} observed business days")
        }
        "unknown" => {
            said("unknown_because").unwrap_or_else(|| "not observed well enough".to_owned())
        }
        standing => match said("sentence") {
            Some(sentence) => {
                let sentence = first_sentence(&sentence);
                let name = format!("{}: ", text(item, "name"));
                sentence.strip_prefix(&name).unwrap_or(sentence).to_owned()
            }
            None => {
                let (bad, of) = (text(item, "bad_days"), text(item, "observed_days"));
                format!("{standing}, {bad} of its last {of} observed business days were bad")
            }
        },
    }
}

/// A line of a monitoring system is no place for a paragraph.
fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..end])
}

/// Of the newest window of a path, its last observed day and its incidents.
fn of_path(item: &Item, stale_after: i64) -> Told {
    let name = format!(
        "path {} ({}, {} to {})",
        text(item, "path_id"),
        text(item, "agent"),
        text(item, "link"),
        text(item, "target")
    );
    let age = item.get("data_age_s").and_then(Value::as_i64);
    let incidents = item.get("incidents").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let in_state = |state: &str| {
        let word = |incident: &Value, key: &str| {
            incident.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        incidents
            .iter()
            .filter(|incident| incident.get("alerts").and_then(Value::as_bool) == Some(true))
            .find(|incident| word(incident, "state") == state)
            .map(|incident| first_sentence(&word(incident, "sentence")).to_owned())
    };
    let day = item.get("last_observed_day").and_then(Value::as_object);
    let is_observed_lately = item.get("observed_lately").and_then(Value::as_bool) == Some(true);
    let verdict = day.map(|day| text(day, "verdict"));
    let date = day.map_or_else(String::new, |day| text(day, "date_local"));
    let (state, why) = if let Some(why) = stale(age, stale_after) {
        (State::Unknown, why)
    } else if let Some(sentence) = in_state("open") {
        (State::Critical, sentence)
    } else if let Some(sentence) = in_state("recovering").or_else(|| in_state("suspected")) {
        (State::Warning, sentence)
    } else {
        match verdict.as_deref() {
            Some("good") if !is_observed_lately => {
                (State::Unknown, format!("good on {date}, but not observed well enough since"))
            }
            Some("good") => (State::Ok, format!("good on {date}, its last observed day")),
            Some(verdict) => {
                (State::Warning, format!("{verdict} on {date}, its last observed day"))
            }
            None => (State::Unknown, "no day of it was observed lately".to_owned()),
        }
    };
    let empty = Item::new();
    let day = day.unwrap_or(&empty);
    Told {
        state,
        message: format!("{name}: {why}"),
        figures: vec![
            figure(day, "bad_windows", ("worst_hour_bad_ratio", 100.0), "%", Some(100.0)),
            figure(day, "coverage", ("coverage_ratio", 100.0), "%", Some(100.0)),
            figure(item, "data_age", ("data_age_s", 1.0), "s", None),
        ],
    }
}

/// All buildings: as bad as the worst of them. Nothing to look at is not OK.
fn fleet(buildings: &[Item], first: Option<&str>, stale_after: i64) -> Told {
    let mut counts: [(&'static str, f64); 6] = [
        ("masked", 0.0),
        ("bad", 0.0),
        ("bad_lately", 0.0),
        ("unknown", 0.0),
        ("stale", 0.0),
        ("good", 0.0),
    ];
    let mut worst: Option<State> = None;
    for building in buildings {
        let age = building.get("data_age_s").and_then(Value::as_i64);
        let standing = text(building, "standing");
        let is_stale = stale(age, stale_after).is_some();
        let counted = match (age, is_stale) {
            (Some(_), true) => "stale".to_owned(),
            // What nobody measures is not known, rather than not known any more.
            (None, _) => "unknown".to_owned(),
            (Some(_), false) => standing.replace('-', "_"),
        };
        for (name, count) in &mut counts {
            *count += f64::from(u8::from(*name == counted));
        }
        let state = if is_stale { State::Unknown } else { State::of(&standing) };
        worst = Some(worst.map_or(state, |worst| worst.min(state)));
    }
    let total = buildings.len();
    let words: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0.0)
        .map(|(name, count)| format!("{count:.0} {}", name.replace('_', "-")))
        .collect();
    let (state, message) = match worst {
        None => (State::Unknown, "there are no buildings".to_owned()),
        Some(State::Ok) => (State::Ok, format!("all {total} buildings are good")),
        Some(state) => {
            let first = first.map_or_else(String::new, |first| format!("; look first at {first}"));
            (state, format!("{} of {total} buildings{first}", words.join(", ")))
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "buildings are few")]
    let most = Some(total as f64);
    let figures = counts.into_iter().map(|(label, count)| Performance {
        label,
        value: Some(count),
        unit: "",
        most,
    });
    Told { state, message, figures: figures.collect() }
}

/// Why data of this age say nothing of now.
fn stale(age_s: Option<i64>, stale_after: i64) -> Option<String> {
    match age_s {
        None => Some("nothing was ever measured".to_owned()),
        Some(age) if age > stale_after => {
            Some(format!("nothing was measured for {} minutes", age / 60))
        }
        Some(_) => None,
    }
}

fn number(item: &Item, key: &str) -> Option<f64> {
    item.get(key).and_then(Value::as_f64)
}

fn figure(
    item: &Item,
    label: &'static str,
    (key, times): (&str, f64),
    unit: &'static str,
    most: Option<f64>,
) -> Performance {
    Performance { label, value: number(item, key).map(|value| value * times), unit, most }
}

/// `BUSYHOUR OK - Ulm: good … | bad_days=0;;;0;5`
fn line(told: &Told) -> String {
    // What stands after the first | is figures.
    let message = harmless(&told.message).replace('|', "/");
    let figures: Vec<String> = told
        .figures
        .iter()
        .map(|Performance { label, value, unit, most }| {
            let most = most.map_or_else(String::new, |most| format!(";{}", plain(most)));
            match value {
                Some(value) => format!("{label}={}{unit};;;0{most}", plain(*value)),
                None => format!("{label}=U"),
            }
        })
        .collect();
    let bar = if figures.is_empty() { "" } else { " | " };
    format!("BUSYHOUR {} - {message}{bar}{}", told.state.word(), figures.join(" "))
}

/// Digits as plugins write them: no exponent, no more than is known.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests;
