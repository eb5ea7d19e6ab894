//! `busyhour config`: what agents are to measure, for whom, and what they run.

use std::path::Path;

use anyhow::{Context as _, bail};
use busyhour_daemon::load_file;
use serde_json::{Value, json};

use crate::Outcome;
use crate::agents::find;
use crate::client::{Client, Envelope, Item};
use crate::config_args::{ConfigCommand, Whom};
use crate::output::{Column, Printer, harmless};

const REVISIONS: &[Column] = &[
    ("revision", "revision"),
    ("name", "name"),
    ("targets", "targets"),
    ("subnet_bits_per_second", "subnet bit/s"),
    ("building_bits_per_second", "building bit/s"),
    ("assignments", "assignments"),
    ("agents", "agents"),
    ("made_utc", "made"),
    ("made_by", "by"),
];
const TARGETS: &[Column] = &[
    ("name", "target"),
    ("profile", "profile"),
    ("segment", "segment"),
    ("requirement", "judged by"),
    ("window_ms", "window ms"),
    ("period_ms", "period ms"),
    ("agents_per_subnet", "agents per subnet"),
    ("mean_bits_per_second", "bit/s"),
];
const DIFFERENCES: &[Column] = &[("subject", "what"), ("before", "before"), ("after", "after")];
const ASSIGNMENTS: &[Column] = &[
    ("scope", "for"),
    ("subject", "which"),
    ("revision", "revision"),
    ("from_utc", "since"),
    ("by", "by"),
];
const CHANGES: &[Column] = &[
    ("name", "agent"),
    ("before_revision", "revision before"),
    ("after_revision", "after"),
    ("before_targets", "targets before"),
    ("after_targets", "after"),
    ("presence", "it is"),
    ("id", "id"),
];
const RUNS: &[Column] = &[
    ("name", "name"),
    ("building", "building"),
    ("labels", "labels"),
    ("assigned_revision", "assigned"),
    ("assigned_by", "by"),
    ("targets", "targets"),
    ("presence", "it is"),
    ("running_revision", "runs"),
    ("up_to_date", "up to date"),
    ("state", "state"),
    ("state_revision", "of"),
    ("refused_because", "refused because"),
    ("held_back_because", "held back because"),
    ("left_out_in_building", "no room for"),
];
/// Agents whose configurations are asked for, and where revisions are.
const AGENTS: &str = "/api/v1/configurations/agents";
const ALL: &str = "/api/v1/configurations";

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: ConfigCommand,
) -> anyhow::Result<Outcome> {
    match command {
        ConfigCommand::Ls => printer.rows(&client.list(ALL, &[])?, REVISIONS)?,
        ConfigCommand::Show { revision } => {
            printer.rows(&client.list(&format!("{ALL}/{revision}"), &[])?, TARGETS)?;
        }
        ConfigCommand::Set { name, file, dry_run } => set(client, printer, &name, &file, dry_run)?,
        ConfigCommand::Diff { revision, from } => {
            let from = from.map(|from| ("from", from.to_string()));
            let query: Vec<_> = from.into_iter().collect();
            let found = client.list(&format!("{ALL}/{revision}/diff"), &query)?;
            printer.rows(&found, DIFFERENCES)?;
        }
        ConfigCommand::Assign { revision, to, dry_run } => {
            assign(client, printer, Some(revision), to, dry_run)?;
        }
        ConfigCommand::Unassign { to, dry_run } => assign(client, printer, None, to, dry_run)?,
        ConfigCommand::Assignments => {
            printer.rows(&client.list(&format!("{ALL}/assignments"), &[])?, ASSIGNMENTS)?;
        }
        ConfigCommand::Agents => printer.rows(&client.list(AGENTS, &[])?, RUNS)?,
        ConfigCommand::Label { agent, labels } => {
            let (id, name) = find(client, &agent)?;
            let body = json!({ "labels": labels });
            client.post(&format!("/api/v1/agents/{id}/labels"), &body)?;
            let words = if labels.is_empty() { "none".to_owned() } else { labels.join(" ") };
            eprintln!("labels of {}: {words}", harmless(&name));
        }
    }
    Ok(Outcome::Done)
}

fn set(
    client: &Client,
    printer: &Printer,
    name: &str,
    file: &Path,
    dry_run: bool,
) -> anyhow::Result<()> {
    let mut body: Value = load_file(file)?;
    let fields = body.as_object_mut().context("the file has no tables")?;
    for taken in ["name", "dry_run"] {
        if fields.contains_key(taken) {
            bail!("{taken} is not for the file to say: it is on the command line");
        }
    }
    fields.insert("name".to_owned(), name.into());
    fields.insert("dry_run".to_owned(), dry_run.into());
    let made = client.post(ALL, &body)?;
    let differences = made.get("differences").and_then(Value::as_array).cloned();
    let differences: Vec<Item> = differences
        .unwrap_or_default()
        .into_iter()
        .filter_map(|one| if let Value::Object(item) = one { Some(item) } else { None })
        .collect();
    printer.rows(&Envelope::new(differences), DIFFERENCES)?;
    let revision = made.get("revision").and_then(Value::as_u64);
    let changed = made.get("changed").and_then(Value::as_bool) == Some(true);
    match (revision, changed) {
        (Some(revision), true) => {
            eprintln!(
                "revision {revision}; `busyhour config assign {revision} …` puts it in force"
            );
        }
        (Some(revision), false) => eprintln!("revision {revision} says the same already"),
        (None, _) => eprintln!("nothing was changed"),
    }
    Ok(())
}

fn assign(
    client: &Client,
    printer: &Printer,
    revision: Option<u32>,
    to: Whom,
    dry_run: bool,
) -> anyhow::Result<()> {
    let agent = to.agent.map(|agent| find(client, &agent)).transpose()?;
    let body = json!({
        "revision": revision,
        "everywhere": to.everywhere,
        "building": to.building,
        "subnet": to.subnet.map(|subnet| subnet.to_string()),
        "egress": to.egress.map(|egress| egress.to_string()),
        "label": to.label,
        "agent": agent.map(|(id, _)| id),
        "dry_run": dry_run,
    });
    let answer = client.post(&format!("{ALL}/assignments"), &body)?;
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let items = items.into_iter().filter_map(|item| match item {
        Value::Object(item) => Some(item),
        _ => None,
    });
    printer.rows(&Envelope::new(items.collect()), CHANGES)?;
    if dry_run {
        eprintln!("nothing was changed");
    }
    Ok(())
}

/// Adds to agents what they run. Whoever may not see configurations sees agents as before.
pub(crate) fn add_running(client: &Client, agents: &mut Envelope) {
    let Ok(running) = client.list(AGENTS, &[]) else { return };
    for agent in &mut agents.items {
        let of_agent = |item: &&Item| item.get("id") == agent.get("id");
        let Some(item) = running.items.iter().find(of_agent) else { continue };
        for (key, value) in item {
            if !matches!(key.as_str(), "id" | "name" | "building") {
                agent.insert(format!("configuration_{key}"), value.clone());
            }
        }
    }
}
