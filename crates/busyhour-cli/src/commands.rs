//! What each command asks for and which columns it shows.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::{BuildingCommand, PathCommand, SubnetCommand, TargetCommand};
use crate::client::{Answer, Client, Envelope, Item};
use crate::output::{Column, Printer, harmless, waiting};
use crate::path_quality;
use crate::show::{Kind, pick, text};

/// The largest building file that is sent; the collector takes 16 MiB with its companion.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The names of what ends that are printed of each kind; `-o json` of the API has all.
const MAX_ENDED: usize = 50;

const BUILDINGS: &[Column] = &[
    ("name", "name"),
    ("city", "city"),
    ("country", "country"),
    ("time_zone", "time zone"),
    ("business_hours", "business hours"),
    ("subnet_count", "subnets"),
    ("agent_count", "agents"),
    ("standing", "standing"),
    ("simulated", "simulated"),
];

const VERSIONS: &[Column] = &[
    ("version", "version"),
    ("from_utc", "in force from"),
    ("until_utc", "until"),
    ("actor", "imported by"),
    ("buildings", "buildings"),
    ("subnets", "subnets"),
    ("sha256", "digest"),
];

pub(crate) fn building(
    client: &Client,
    printer: &Printer,
    command: BuildingCommand,
) -> anyhow::Result<Outcome> {
    match command {
        BuildingCommand::Ls => printer.rows(&client.list("/api/v1/buildings", &[])?, BUILDINGS)?,
        BuildingCommand::Show { name } => {
            let id = building_id(client, &name)?;
            printer.one(&client.list(&format!("/api/v1/buildings/{id}"), &[])?, BUILDING)?;
        }
        BuildingCommand::Import { file, companion, dry_run } => {
            return import(client, printer, &file, companion.as_deref(), dry_run);
        }
        BuildingCommand::History => {
            printer.rows(&client.list("/api/v1/buildings/files", &[])?, VERSIONS)?;
        }
        BuildingCommand::Export { version, companion } => {
            let path = if companion { "/companion" } else { "" };
            let query: Vec<_> = version.map(|n| ("version", n.to_string())).into_iter().collect();
            let text = client.get(&format!("/api/v1/buildings/export{path}"), &query)?;
            std::io::stdout().lock().write_all(text.as_bytes())?;
        }
    }
    Ok(Outcome::Done)
}

const BUILDING_KIND: Kind = Kind { what: "building", keys: &["name", "id"], ls: "building ls" };

/// The id of a building by its name or its id.
pub(crate) fn building_id(client: &Client, name: &str) -> anyhow::Result<String> {
    let picked = pick(client.list("/api/v1/buildings", &[])?, &BUILDING_KIND, name)?;
    Ok(picked.items.first().map_or_else(String::new, |item| text(item, "id")))
}

const BUILDING: &[Column] = &[
    ("name", "name"),
    ("standing", "standing"),
    ("unknown_because", "unknown because"),
    ("sentence", "what"),
    ("bad_hours_local", "bad hours"),
    ("bad_days", "bad days"),
    ("observed_days", "of observed days"),
    ("last_bad_date", "last bad day"),
    ("worst_hour_local", "worst hour"),
    ("worst_hour_breach", "worst hour breaks"),
    ("worst_hour_bad_ratio", "worst hour, bad windows"),
    ("worst_hour_loss_ratio_p90", "worst hour, loss p90"),
    ("worst_hour_rtt_us_p90", "worst hour, round trip p90"),
    ("worst_hour_jitter_us_p90", "worst hour, jitter p90"),
    ("worst_hour_reorder", "worst hour, order"),
    ("worst_hour_estimate_mos_p10", "worst hour, MOS estimate p10"),
    ("average_loss_ratio", "daily average, loss"),
    ("average_rtt_us", "daily average, round trip"),
    ("average_jitter_us", "daily average, jitter"),
    ("average_passes", "daily average passes"),
    ("masked", "masked"),
    ("masking_factor", "masking factor"),
    ("coverage_ratio", "coverage"),
    ("data_age_s", "data age"),
    ("time_zone", "time zone"),
    ("business_hours", "business hours"),
    ("city", "city"),
    ("country", "country"),
    ("region", "region"),
    ("subnet_count", "subnets"),
    ("agent_count", "agents"),
    ("simulated", "simulated"),
    ("id", "id"),
];

pub(crate) const FINDINGS: &[Column] = &[
    ("severity", "severity"),
    ("source", "in"),
    ("line", "line"),
    ("column", "column"),
    ("message", "finding"),
    ("remedy", "remedy"),
];

fn import(
    client: &Client,
    printer: &Printer,
    file: &Path,
    companion: Option<&Path>,
    dry_run: bool,
) -> anyhow::Result<Outcome> {
    let companion = companion.map(read_text).transpose()?;
    let body = json!({"file": read_text(file)?, "companion": companion, "dry_run": dry_run});
    let turning = waiting("the collector reads the file");
    let answer = client.post_or_refusal("/api/v1/buildings/import", &body)?;
    drop(turning);
    let (answer, outcome) = match answer {
        Answer::Done(answer) => (answer, Outcome::Done),
        Answer::Refused(answer) => (answer, Outcome::Found),
    };
    let findings = Envelope::new(rows(&answer, "findings"));
    if outcome == Outcome::Found && findings.items.is_empty() {
        bail!("{}", detail(&answer));
    }
    if !findings.items.is_empty() || !printer.is_table() {
        printer.rows(&findings, FINDINGS)?;
    }
    if outcome == Outcome::Found {
        eprintln!("{} has errors: nothing was changed", file.display());
    } else {
        eprintln!("{}", summary(&answer, dry_run));
    }
    Ok(outcome)
}

/// Why nothing was done (RFC 9457).
pub(crate) fn detail(problem: &Value) -> String {
    let detail = problem.get("detail").and_then(Value::as_str);
    detail.unwrap_or("the collector refuses this").to_owned()
}

pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("read {}", path.display());
    let size = fs::metadata(path).with_context(reading)?.len();
    if size > MAX_FILE_BYTES {
        bail!("{} has {size} bytes; at most {MAX_FILE_BYTES} can be imported", path.display());
    }
    let bytes = fs::read(path).with_context(reading)?;
    String::from_utf8(bytes).ok().with_context(|| {
        format!("{} is not UTF-8; save it as \"CSV UTF-8\" and try again", path.display())
    })
}

/// The rows that an answer holds under `key`.
pub(crate) fn rows(answer: &Value, key: &str) -> Vec<Item> {
    let rows = answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    rows.into_iter()
        .filter_map(|row| match row {
            Value::Object(item) => Some(item),
            _ => None,
        })
        .collect()
}

fn summary(answer: &Value, dry_run: bool) -> String {
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (begins, in_force) = match dry_run {
        true => ("the file can be imported; nothing was changed. It would put in force: ", ""),
        false => ("", " in force"),
    };
    let counts = format!(
        "{begins}buildings{in_force}: {} ({} new, {} renamed, {} ended); subnets: {} ({} new, {} \
         ended)",
        count("buildings"),
        count("buildings_added"),
        count("buildings_renamed"),
        count("buildings_ended"),
        count("subnets"),
        count("subnets_added"),
        count("subnets_ended"),
    );
    let ended = |key: &str, what: &str| {
        let names = answer.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let shown: Vec<String> =
            names.iter().filter_map(Value::as_str).take(MAX_ENDED).map(harmless).collect();
        let more = match names.len().saturating_sub(MAX_ENDED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let verb = if dry_run { "would end" } else { "ended" };
        let list = || format!("\n{what} that {verb}: {}{more}", shown.join(", "));
        if shown.is_empty() { String::new() } else { list() }
    };
    let (buildings, subnets) =
        (ended("ended_buildings", "buildings"), ended("ended_subnets", "subnets"));
    format!("{counts}{buildings}{subnets}")
}

const SUBNETS: &[Column] = &[
    ("prefix", "prefix"),
    ("egress_prefix", "egress"),
    ("building", "building"),
    ("network", "network"),
    ("agent_count", "agents"),
    ("simulated", "simulated"),
];
const SUBNET_KIND: Kind = Kind { what: "subnet", keys: &["prefix", "id"], ls: "subnet ls" };
const SUBNET: &[Column] = &[
    ("prefix", "prefix"),
    ("egress_prefix", "egress"),
    ("network", "network"),
    ("building", "building"),
    ("city", "city"),
    ("country", "country"),
    ("region", "region"),
    ("inside_corp", "inside the company"),
    ("express_route", "express route"),
    ("vpn", "VPN"),
    ("agent_count", "agents"),
    ("simulated", "simulated"),
    ("id", "id"),
];
const MISSING: &[Column] =
    &[("prefix", "prefix"), ("agents", "agents"), ("last_seen_utc", "last seen")];

pub(crate) fn subnet(
    client: &Client,
    printer: &Printer,
    command: &SubnetCommand,
) -> anyhow::Result<Outcome> {
    match command {
        SubnetCommand::Ls { at } => {
            let query: Vec<_> = at.iter().map(|at| ("at", at.to_string())).collect();
            printer.rows(&client.list("/api/v1/subnets", &query)?, SUBNETS)?;
            Ok(Outcome::Done)
        }
        SubnetCommand::Show { subnet } => {
            let subnets = client.list("/api/v1/subnets", &[])?;
            printer.one(&pick(subnets, &SUBNET_KIND, subnet)?, SUBNET)?;
            Ok(Outcome::Done)
        }
        SubnetCommand::Missing => {
            let missing = client.list("/api/v1/subnets/missing", &[])?;
            printer.rows(&missing, MISSING)?;
            Ok(if missing.items.is_empty() { Outcome::Done } else { Outcome::Found })
        }
    }
}

const PATHS: &[Column] = &[
    ("id", "path"),
    ("agent", "agent"),
    ("building", "building"),
    ("link", "link"),
    ("family", "family"),
    ("target", "target"),
    ("class", "class"),
    ("requirement", "requirement"),
    ("data_age_s", "data age"),
    ("simulated", "simulated"),
];
const PATH_KIND: Kind = Kind { what: "path", keys: &["id"], ls: "path ls" };
const ONE_PATH: &[Column] = &[
    ("id", "path"),
    ("agent", "agent"),
    ("building", "building"),
    ("link", "link"),
    ("interface", "interface"),
    ("family", "family"),
    ("transport", "transport"),
    ("target", "target"),
    ("resolved", "target's address"),
    ("class", "class"),
    ("profile", "profile"),
    ("requirement", "judged by"),
    ("windows_per_slot", "windows a quarter-hour"),
    ("local_prefix", "network of the agent"),
    ("reflexive", "seen on the Internet as"),
    ("newest_window_utc", "newest window"),
    ("data_age_s", "data age"),
    ("simulated", "simulated"),
];
const TARGETS: &[Column] = &[
    ("target", "target"),
    ("building_count", "buildings"),
    ("agent_count", "agents"),
    ("path_count", "paths"),
    ("classes", "classes"),
    ("requirements", "judged by"),
    ("data_age_s", "data age"),
    ("simulated", "simulated"),
];
const TARGET_KIND: Kind = Kind { what: "target", keys: &["target"], ls: "target ls" };
const TARGET: &[Column] = &[
    ("target", "target"),
    ("resolved", "addresses"),
    ("building_count", "buildings"),
    ("agent_count", "agents"),
    ("path_count", "paths"),
    ("classes", "classes"),
    ("profiles", "profiles"),
    ("requirements", "judged by"),
    ("newest_window_utc", "newest window"),
    ("data_age_s", "data age"),
    ("simulated", "simulated"),
];

pub(crate) fn target(
    client: &Client,
    printer: &Printer,
    command: &TargetCommand,
) -> anyhow::Result<Outcome> {
    let targets = client.list("/api/v1/targets", &[])?;
    match command {
        TargetCommand::Ls => printer.rows(&targets, TARGETS)?,
        TargetCommand::Show { target } => {
            printer.one(&pick(targets, &TARGET_KIND, target)?, TARGET)?;
        }
    }
    Ok(Outcome::Done)
}

const WINDOWS: &[Column] = &[
    ("placed_utc", "began"),
    ("sent", "sent"),
    ("lost_up", "lost up"),
    ("lost_down", "lost down"),
    ("lost_unknown", "lost ?"),
    ("rtt_us_median", "rtt"),
    ("rtt_us_p99", "rtt p99"),
    ("up_jitter_us", "jitter up"),
    ("down_jitter_us", "jitter down"),
    ("loss", "loss"),
    ("burst", "burst"),
    ("delay", "delay"),
    ("jitter", "jitter"),
    ("bad", "bad"),
    ("estimate_mos", "MOS estimate"),
    ("simulated", "simulated"),
];
/// What `--wide` shows besides.
const EVIDENCE: &[Column] = &[
    ("settled", "settled"),
    ("burst_lost", "worst 200 ms lost"),
    ("burst_of", "of"),
    ("worst_15s_lost", "worst 15 s lost"),
    ("worst_15s_of", "of"),
    ("loss_runs", "loss runs"),
    ("loss_bursts", "loss bursts"),
    ("up_reordered", "reordered up"),
    ("down_reordered", "reordered down"),
    ("reorder_extent_max", "extent"),
    ("up_one_way_us_median", "one way up"),
    ("down_one_way_us_median", "one way down"),
    ("one_way_error_us", "give or take"),
    ("one_way", "one way"),
    ("up_discarded", "discarded up"),
    ("down_discarded", "discarded down"),
    ("dscp_up", "DSCP up"),
    ("dscp_down", "DSCP down"),
    ("ecn_up", "ECN up"),
    ("ecn_down", "ECN down"),
    ("ttl_up", "TTL up"),
    ("ttl_down", "TTL down"),
    ("receive_queue_drops", "queue drops"),
    ("reflector_drops", "reflector drops"),
    ("send_lateness_max_us", "sent late"),
    ("sent_by", "sent by"),
    ("received_by", "received by"),
];

pub(crate) fn path(
    client: &Client,
    printer: &Printer,
    command: &PathCommand,
) -> anyhow::Result<Outcome> {
    match command {
        PathCommand::Ls => printer.rows(&client.list("/api/v1/paths", &[])?, PATHS)?,
        PathCommand::Show { path } => {
            let paths = client.list("/api/v1/paths", &[])?;
            printer.one(&pick(paths, &PATH_KIND, &path.to_string())?, ONE_PATH)?;
        }
        PathCommand::Windows { path, since, from, until, limit, wide } => {
            let until = until.unwrap_or_else(jiff::Timestamp::now);
            let from = match from {
                Some(from) => *from,
                None => until.checked_sub(*since).context("look back from --until")?,
            };
            if from >= until {
                bail!("--from must lie before --until");
            }
            let query = [
                ("from", from.to_string()),
                ("until", until.to_string()),
                ("limit", limit.to_string()),
            ];
            let windows = client.list(&format!("/api/v1/paths/{path}/windows"), &query)?;
            let more = if *wide { EVIDENCE } else { &[] };
            printer.rows(&windows, &[WINDOWS, more].concat())?;
            if windows.items.len() >= *limit as usize {
                eprintln!("the answer ends at {limit} windows: ask for less time or use --limit");
            }
        }
        PathCommand::Hours { path, since } => {
            return path_quality::hours(client, printer, *path, *since);
        }
        PathCommand::Streams { path, since, classifier } => {
            return path_quality::streams(client, printer, *path, (*since, classifier));
        }
        PathCommand::Estimates { path, since, codec, limit } => {
            return path_quality::estimates(client, printer, *path, (*since, codec, *limit));
        }
    }
    Ok(Outcome::Done)
}
