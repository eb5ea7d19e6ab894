//! `busyhour report`: reviews of a day, a week, a month.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, bail};

use crate::Outcome;
use crate::args::Format;
use crate::client::{Client, Item};
use crate::commands::building_id;
use crate::output::{Column, Printer, waiting, yaml};
use crate::report_args::{ReportCommand, ReportForm, ReportFormat};

const REPORTS: &[Column] = &[
    ("kind", "kind"),
    ("period", "period"),
    ("first_date", "first day"),
    ("last_date", "last day"),
    ("title", "what"),
];

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: &ReportCommand,
) -> anyhow::Result<Outcome> {
    let (kind, period, form) = match command {
        ReportCommand::Ls => {
            printer.rows(&client.list("/api/v1/reports", &[])?, REPORTS)?;
            return Ok(Outcome::Done);
        }
        ReportCommand::Show { kind, period, form } => (kind.as_str(), period, form),
        ReportCommand::Daily { date, form } => ("daily", date, form),
        ReportCommand::Weekly { week, form } => ("weekly", week, form),
        ReportCommand::Monthly { month, form } => ("monthly", month, form),
    };
    let ReportForm { building, format, table, out } = form;
    let format = format.unwrap_or_else(|| match printer.format() {
        Format::Table | Format::Wide => ReportFormat::Text,
        Format::Json | Format::Yaml => ReportFormat::Json,
        Format::Csv => ReportFormat::Csv,
    });
    if table.is_some() && format != ReportFormat::Csv {
        bail!("--table is for --format csv; the other forms have all tables");
    }
    let mut query = vec![("format", format.as_str().to_owned())];
    query.extend(period.clone().map(|period| ("date", period)));
    query.extend(table.clone().map(|table| ("table", table)));
    if let Some(name) = building {
        query.push(("building", building_id(client, name)?));
    }
    eprintln!("the collector works the {kind} report out; a large fleet's takes a while");
    let turning = waiting("waiting for the report");
    let mut text = client.get(&format!("/api/v1/reports/{kind}"), &query)?;
    drop(turning);
    if format == ReportFormat::Json && printer.format() == Format::Yaml {
        let report: Item = serde_json::from_str(&text).context("read the report")?;
        text = yaml(&report)?;
    }
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
