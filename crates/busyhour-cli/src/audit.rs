//! `busyhour audit`: who did what.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use crate::Outcome;
use crate::args::AuditCommand;
use crate::client::{Client, Envelope, Item};
use crate::output::{Column, Printer};

const ENTRIES: &[Column] = &[
    ("at_utc", "when"),
    ("actor", "who"),
    ("action", "did"),
    ("subject", "to"),
    ("subject_name", "name"),
    ("detail", "detail"),
];

const CHAIN: &[Column] = &[
    ("whole", "whole"),
    ("broken_at", "broken at"),
    ("known", "kept entry is there"),
    ("entries", "entries"),
    ("pruned_to", "deleted up to"),
    ("head", "newest"),
    ("head_link", "link"),
];

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: &AuditCommand,
) -> anyhow::Result<Outcome> {
    match command {
        AuditCommand::Ls { since, limit } => {
            let from = jiff::Timestamp::now().checked_sub(*since).context("look back")?;
            let query = [("from", from.to_string()), ("limit", limit.to_string())];
            let entries = client.list("/api/v1/audit", &query)?;
            printer.rows(&entries, ENTRIES)?;
            if entries.items.len() >= *limit as usize {
                eprintln!("the answer ends at {limit} entries: ask for less time or use --limit");
            }
        }
        AuditCommand::Verify { number, link } => {
            return verify(client, printer, number.zip(link.as_deref()));
        }
        AuditCommand::Export => export(client)?,
    }
    Ok(Outcome::Done)
}

/// Follows the chain, and looks for an entry whose link was kept.
fn verify(
    client: &Client,
    printer: &Printer,
    kept: Option<(i64, &str)>,
) -> anyhow::Result<Outcome> {
    let mut query = Vec::new();
    if let Some((number, link)) = kept {
        query = vec![("number", number.to_string()), ("link", link.to_owned())];
    }
    let answer = client.get("/api/v1/audit/chain", &query)?;
    let mut item: Item = serde_json::from_str(&answer).context("read the answer")?;
    item.remove("schema_version");
    let says = |key: &str| item.get(key).and_then(Value::as_bool);
    let sound = says("whole") == Some(true) && says("known") != Some(false);
    printer.one(&Envelope::new(vec![item]), CHAIN)?;
    Ok(if sound { Outcome::Done } else { Outcome::Found })
}

/// Prints all entries, a portion after the other.
fn export(client: &Client) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let lines = client.get("/api/v1/audit/export", &[("after", after.to_string())])?;
        let Some(last) = lines.lines().last() else { return Ok(()) };
        let last: Value = serde_json::from_str(last).context("read an entry of the audit")?;
        let number = last.get("number").and_then(Value::as_i64).filter(|number| *number > after);
        after = number.context("the collector gives the same entries again")?;
        std::io::stdout().lock().write_all(lines.as_bytes()).context("print the audit")?;
    }
}
