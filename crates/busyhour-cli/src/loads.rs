//! `busyhour load`: load that people import.

use anyhow::bail;
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::LoadCommand;
use crate::client::{Answer, Client, Envelope};
use crate::commands::{FINDINGS, detail, read_text, rows};
use crate::output::{Printer, waiting};

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: &LoadCommand,
) -> anyhow::Result<Outcome> {
    let LoadCommand::Import { file, dry_run } = command;
    let body = json!({"file": read_text(file)?, "dry_run": dry_run});
    let turning = waiting("the collector reads the table");
    let answer = client.post_or_refusal("/api/v1/loads/import", &body)?;
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
        eprintln!("{}", summary(&answer, *dry_run));
    }
    Ok(outcome)
}

fn summary(answer: &Value, dry_run: bool) -> String {
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    let begins = if dry_run {
        "the table can be imported; nothing was changed. It has"
    } else {
        "imported:"
    };
    format!(
        "{begins} {} rows of load, {} days of {} buildings",
        count("rows"),
        count("days"),
        count("buildings")
    )
}
