//! `busyhour audit`: who did what.

use anyhow::Context as _;

use crate::Outcome;
use crate::args::AuditCommand;
use crate::client::Client;
use crate::output::{Column, Printer};

const ENTRIES: &[Column] = &[
    ("at_utc", "when"),
    ("actor", "who"),
    ("action", "did"),
    ("subject", "to"),
    ("subject_name", "name"),
    ("detail", "detail"),
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
    }
    Ok(Outcome::Done)
}
