//! `busyhour agent`: who delivers, who does no more, and who was never here.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::AgentCommand;
use crate::client::{Client, Envelope, Item};
use crate::configuration::add_running;
use crate::output::{Column, Printer, harmless};
use crate::secret_file::SecretFile;

const AGENTS: &[Column] = &[
    ("name", "name"),
    ("building", "building"),
    ("subnet", "subnet"),
    ("last_seen_age_s", "last seen"),
    ("identity", "identity"),
    ("configuration_running_revision", "runs"),
    ("configuration_state", "configuration"),
    ("gap_hours_7d", "gap hours (7 d)"),
    ("gap_main_reason_7d", "mostly"),
    ("version", "version"),
    ("os", "system"),
    ("simulated", "simulated"),
    ("id", "id"),
];
const REMOVED: &[Column] = &[("removed_utc", "removed")];
const SHOWN: &[Column] = &[
    ("name", "name"),
    ("id", "id"),
    ("identity", "identity"),
    ("identity_since_utc", "since"),
    ("identity_reason", "because"),
    ("identity_off_site", "off site"),
    ("identity_renewed_late", "renewed late"),
    ("identity_building", "enrolled for"),
    ("identity_subnet", "bound to"),
    ("identity_token", "by token"),
    ("identity_enrolled_utc", "enrolled"),
    ("identity_certificate_from_utc", "certificate from"),
    ("identity_certificate_expires_utc", "until"),
    ("identity_next_certificate", "has the next one"),
    ("configuration_assigned_revision", "configuration"),
    ("configuration_assigned_by", "assigned by"),
    ("configuration_running_revision", "runs revision"),
    ("configuration_state", "state of it"),
    ("configuration_refused_because", "refused because"),
    ("configuration_targets", "targets"),
    ("configuration_labels", "labels"),
    ("building", "building"),
    ("subnet", "subnet"),
    ("last_seen_utc", "last seen"),
    ("peer", "its address"),
    ("local_prefix", "its network"),
    ("version", "version"),
    ("os", "system"),
    ("added_utc", "added"),
    ("removed_utc", "removed"),
    ("gap_hours_7d", "gap hours (7 d)"),
    ("gaps_7d", "of that"),
];
const PLACES: &[Column] = &[
    ("from_utc", "from"),
    ("until_utc", "until"),
    ("building", "building"),
    ("subnet", "subnet"),
    ("bound_prefix", "bound to"),
    ("bound_egress", "behind"),
    ("actor", "bound by"),
];
const GOING: &[Column] = &[
    ("name", "name"),
    ("id", "id"),
    ("added_utc", "added"),
    ("removed_utc", "removed"),
    ("last_seen_utc", "last seen"),
    ("local_prefix", "its network"),
    ("peer", "its address"),
    ("placements", "places it was in"),
    ("paths", "paths"),
    ("oldest_window_utc", "measured from"),
    ("newest_window_utc", "until"),
    ("simulated", "simulated"),
];

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: AgentCommand,
) -> anyhow::Result<Outcome> {
    match command {
        AgentCommand::Ls { removed } => {
            let query = [("removed", removed.to_string())];
            let mut agents = client.list("/api/v1/agents", &query)?;
            identify(client, &mut agents);
            add_running(client, &mut agents);
            let more = if removed { REMOVED } else { &[] };
            printer.rows(&agents, &[AGENTS, more].concat())?;
        }
        AgentCommand::Show { name } => show(client, printer, &name)?,
        AgentCommand::Approve { name: Some(name), .. } => {
            let (id, name) = find(client, &name)?;
            client.post(&format!("/api/v1/identities/{id}/approve"), &json!({}))?;
            eprintln!("{} may deliver", harmless(&name));
        }
        AgentCommand::Approve { name: None, building } => {
            let body = json!({ "building": building });
            let approved = client.post("/api/v1/identities/approve", &body)?;
            let ids = approved.get("items").and_then(Value::as_array).map_or(0, Vec::len);
            eprintln!("{ids} agents that waited may deliver");
        }
        AgentCommand::Revoke { name, reason } => {
            let (id, name) = find(client, &name)?;
            let body = json!({ "reason": reason });
            client.post(&format!("/api/v1/identities/{id}/revoke"), &body)?;
            eprintln!("{} delivers no more; what it measured stays", harmless(&name));
        }
        AgentCommand::History { name } => {
            let (id, _) = find(client, &name)?;
            printer.rows(&client.list(&format!("/api/v1/agents/{id}/history"), &[])?, PLACES)?;
        }
        AgentCommand::Add { name, subnet, building, secret_file } => {
            let body = json!({
                "name": name,
                "subnet": subnet.map(|subnet| subnet.to_string()),
                "building": building,
            });
            // First the file: a secret that cannot be written would be lost.
            let file = SecretFile::create(&secret_file)?;
            let answer = client.post("/api/v1/agents", &body)?;
            let secret = text(&answer, "secret_line").context("the collector gave no secret")?;
            file.write(secret)?;
            eprintln!("{name} may deliver; its secret is in {}", secret_file.display());
            println!("{}", text(&answer, "id").unwrap_or_default());
        }
        AgentCommand::Move { name, subnet, building, by_address } => {
            let (id, name) = find(client, &name)?;
            let body = json!({
                "subnet": subnet.map(|subnet| subnet.to_string()),
                "building": building,
                "by_address": by_address,
            });
            let bound = client.post(&format!("/api/v1/agents/{id}/bind"), &body)?;
            let place = text(&bound, "bound_prefix").unwrap_or("wherever its address tells");
            eprintln!("{} is in {place} from now on", harmless(&name));
        }
        AgentCommand::Remove { name } => {
            let (id, name) = find(client, &name)?;
            client.post(&format!("/api/v1/agents/{id}/remove"), &json!({"confirm": name}))?;
            eprintln!("{} delivers no more; what it measured stays", harmless(&name));
        }
        AgentCommand::Forget { name, yes } => forget(client, printer, &name, yes)?,
    }
    Ok(Outcome::Done)
}

/// Shows an agent with its identity.
fn show(client: &Client, printer: &Printer, name: &str) -> anyhow::Result<()> {
    let (id, _) = find(client, name)?;
    let mut agents = client.list("/api/v1/agents", &[("removed", "true".to_owned())])?;
    agents.items.retain(|item| item.get("id").and_then(Value::as_str) == Some(&id));
    identify(client, &mut agents);
    add_running(client, &mut agents);
    printer.one(&agents, SHOWN)
}

/// Adds to agents what is known of their identities: `identity` is its state, or `secret` of an agent
/// that has no certificate. Whoever may not see identities sees agents as before.
fn identify(client: &Client, agents: &mut Envelope) {
    let Ok(identities) = client.list("/api/v1/identities", &[]) else { return };
    for agent in &mut agents.items {
        let of_agent = |identity: &&Item| identity.get("id") == agent.get("id");
        let Some(identity) = identities.items.iter().find(of_agent).cloned() else {
            agent.insert("identity".to_owned(), "secret".into());
            continue;
        };
        for (key, value) in identity {
            match key.as_str() {
                "id" | "name" => {}
                "state" => {
                    agent.insert("identity".to_owned(), value);
                }
                key => {
                    agent.insert(format!("identity_{key}"), value);
                }
            }
        }
    }
}

fn forget(client: &Client, printer: &Printer, name: &str, yes: bool) -> anyhow::Result<()> {
    let (id, name) = find(client, name)?;
    if !yes {
        let going = client.list(&format!("/api/v1/agents/{id}/forget"), &[])?;
        printer.one(&going, GOING)?;
        eprintln!("nothing was changed; with --yes all of this goes and does not come back");
        return Ok(());
    }
    let gone = client.delete(&format!("/api/v1/agents/{id}"), &[("confirm", &name)])?;
    let count = |key: &str| gone.get(key).and_then(Value::as_u64).unwrap_or(0);
    eprintln!(
        "{} is forgotten: {} paths, {} windows, {} slots, {} other records, {} places, {} verdicts, \
         {} incidents",
        harmless(&name),
        count("paths"),
        count("windows"),
        count("slots"),
        count("others"),
        count("placements"),
        count("verdicts"),
        count("incidents"),
    );
    if gone.get("lingers").and_then(Value::as_bool) == Some(true) {
        eprintln!(
            "bytes of it may still be in free space of the collector's files, because somebody reads \
             them; pruning overwrites them within hours"
        );
    }
    Ok(())
}

/// The id and name of an agent by either. Of those that share a name the one that was not removed is
/// meant.
pub(crate) fn find(client: &Client, wanted: &str) -> anyhow::Result<(String, String)> {
    let agents = client.list("/api/v1/agents", &[("removed", "true".to_owned())])?;
    let word = |item: &Item, key: &str| {
        item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let by_id = agents.items.iter().find(|item| word(item, "id") == wanted.to_lowercase());
    let mut named: Vec<&Item> =
        agents.items.iter().filter(|item| word(item, "name") == wanted).collect();
    let delivers = |item: &&Item| item.get("removed_utc").is_none_or(Value::is_null);
    if named.iter().any(delivers) {
        named.retain(delivers);
    }
    match (by_id.or_else(|| named.first().copied()), named.len()) {
        (Some(one), 0 | 1) => Ok((word(one, "id"), word(one, "name"))),
        (None, _) => bail!("there is no agent {wanted:?}; `busyhour agent ls` lists them"),
        (Some(_), _) => {
            let ids: Vec<String> = named.iter().map(|item| word(item, "id")).collect();
            bail!("several removed agents were named {wanted:?}: say which of {}", ids.join(", "))
        }
    }
}

fn text<'a>(answer: &'a Value, key: &str) -> Option<&'a str> {
    answer.get(key).and_then(Value::as_str)
}

/// Writes an agent's secret into a new file that only its owner may read.
pub(crate) fn write_secret_file(path: &Path, line: &str) -> anyhow::Result<()> {
    SecretFile::create(path)?.write(line)
}
