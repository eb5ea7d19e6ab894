//! `busyhour report`: reviews of a day, a week, a month.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, bail};

use crate::Outcome;
use crate::client::Client;
use crate::commands::building_id;
use crate::report_args::{ReportCommand, ReportForm, ReportFormat};

pub(crate) fn run(client: &Client, command: &ReportCommand) -> anyhow::Result<Outcome> {
    let (kind, period, form) = match command {
        ReportCommand::Daily { date, form } => ("daily", date, form),
        ReportCommand::Weekly { week, form } => ("weekly", week, form),
        ReportCommand::Monthly { month, form } => ("monthly", month, form),
    };
    let ReportForm { building, format, table, out } = form;
    if table.is_some() && *format != ReportFormat::Csv {
        bail!("--table is for --format csv; the other forms have all tables");
    }
    let mut query = vec![("format", format.as_str().to_owned())];
    query.extend(period.clone().map(|period| ("date", period)));
    query.extend(table.clone().map(|table| ("table", table)));
    if let Some(name) = building {
        query.push(("building", building_id(client, name)?));
    }
    eprintln!("the collector works the {kind} report out; a large fleet's takes a while");
    let text = client.get(&format!("/api/v1/reports/{kind}"), &query)?;
    match out {
        Some(file) => {
            fs::write(file, &text).with_context(|| format!("write {}", file.display()))?;
            eprintln!("written to {}", file.display());
        }
        None => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                stdout.write_all(b"\n")?;
            }
        }
    }
    Ok(Outcome::Done)
}
