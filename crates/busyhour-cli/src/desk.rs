//! `busyhour owner`, `silence` and `maintenance`: who must act, and when nobody is told.

use anyhow::bail;
use serde_json::{Value, json};

use crate::Outcome;
use crate::client::{Client, Envelope, Item};
use crate::desk_args::{MaintenanceCommand, OwnerCommand, PlaceArgs, SilenceCommand};
use crate::output::{Column, Printer};
use crate::show::{Kind, pick, text};

const OWNERS: &[Column] = &[
    ("cause", "cause"),
    ("region", "region"),
    ("name", "owner"),
    ("contact", "contact"),
    ("since_utc", "since"),
    ("by", "by"),
];

const QUIETS: &[Column] = &[
    ("number", "no"),
    ("state", "state"),
    ("scopes", "of"),
    ("from_utc", "from"),
    ("until_utc", "until"),
    ("ended_utc", "ended"),
    ("by", "by"),
    ("reason", "why"),
];

/// What is told of one.
const QUIET: &[Column] = &[
    ("number", "number"),
    ("state", "state"),
    ("scopes", "of"),
    ("reason", "why"),
    ("from_utc", "from"),
    ("until_utc", "until"),
    ("by", "made by"),
    ("made_utc", "made"),
    ("ended_utc", "ended early"),
    ("ended_by", "ended by"),
];
const SILENCE: Kind = Kind { what: "silence", keys: &["number"], ls: "silence ls --over" };
const MAINTENANCE: Kind =
    Kind { what: "maintenance", keys: &["number"], ls: "maintenance ls --over" };

pub(crate) fn owner(
    client: &Client,
    printer: &Printer,
    command: &OwnerCommand,
) -> anyhow::Result<Outcome> {
    match command {
        OwnerCommand::Ls => printer.rows(&client.list("/api/v1/owners", &[])?, OWNERS)?,
        OwnerCommand::Show { name } => {
            let mut owners = client.list("/api/v1/owners", &[])?;
            owners.items.retain(|row| text(row, "name").to_lowercase() == name.to_lowercase());
            if owners.items.is_empty() {
                bail!(
                    "nobody named {name:?} answers for anything; `busyhour owner ls` lists who does"
                );
            }
            printer.rows(&owners, OWNERS)?;
        }
        OwnerCommand::Set { name, contact, of } => {
            let row = json!({
                "name": name, "contact": contact, "cause": of.cause, "region": of.region,
            });
            client.post("/api/v1/owners", &row)?;
            eprintln!("{name} answers for {}", of_what(of.cause.as_deref(), of.region.as_deref()));
        }
        OwnerCommand::Rm { of } => {
            let said = [("cause", of.cause.as_deref()), ("region", of.region.as_deref())];
            let query: Vec<_> =
                said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            client.delete("/api/v1/owners", &query)?;
            let what = of_what(of.cause.as_deref(), of.region.as_deref());
            eprintln!("the owner of {what} was taken out of the table");
        }
    }
    Ok(Outcome::Done)
}

fn of_what(cause: Option<&str>, region: Option<&str>) -> String {
    match (cause, region) {
        (Some(cause), Some(region)) => format!("{cause} in {region}"),
        (Some(cause), None) => cause.to_owned(),
        (None, Some(region)) => format!("{region}, where no row is more particular"),
        (None, None) => "all that has no owner of its own".to_owned(),
    }
}

pub(crate) fn silence(
    client: &Client,
    printer: &Printer,
    command: &SilenceCommand,
) -> anyhow::Result<Outcome> {
    match command {
        SilenceCommand::Ls { over } => list(client, printer, "silences", *over)?,
        SilenceCommand::Show { number } => {
            show(client, printer, "silences", (*number, &SILENCE))?;
        }
        SilenceCommand::Add { places, incidents, causes } => {
            let more = json!({ "incidents": incidents, "causes": causes });
            make(client, printer, "silences", &body(places, &more))?;
        }
        SilenceCommand::End { number } => end(client, printer, "silences", *number)?,
    }
    Ok(Outcome::Done)
}

pub(crate) fn maintenance(
    client: &Client,
    printer: &Printer,
    command: &MaintenanceCommand,
) -> anyhow::Result<Outcome> {
    match command {
        MaintenanceCommand::Ls { over } => list(client, printer, "maintenance", *over)?,
        MaintenanceCommand::Show { number } => {
            show(client, printer, "maintenance", (*number, &MAINTENANCE))?;
        }
        MaintenanceCommand::Add { places } => {
            make(client, printer, "maintenance", &body(places, &json!({})))?;
        }
        MaintenanceCommand::End { number } => end(client, printer, "maintenance", *number)?,
    }
    Ok(Outcome::Done)
}

fn body(places: &PlaceArgs, more: &Value) -> Value {
    let PlaceArgs { everything, regions, buildings, subnets, from, until, reason } = places;
    let mut body = json!({
        "everything": everything, "regions": regions, "buildings": buildings, "subnets": subnets,
        "from": from, "until": until, "reason": reason,
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

fn list(client: &Client, printer: &Printer, what: &str, over: bool) -> anyhow::Result<()> {
    let query: &[_] = if over { &[("over", "true".to_owned())] } else { &[] };
    print(printer, client.list(&format!("/api/v1/{what}"), query)?)
}

fn show(
    client: &Client,
    printer: &Printer,
    what: &str,
    (number, kind): (u64, &Kind),
) -> anyhow::Result<()> {
    let all = client.list(&format!("/api/v1/{what}"), &[("over", "true".to_owned())])?;
    let mut one = pick(all, kind, &number.to_string())?;
    if printer.is_table() {
        one.items.iter_mut().for_each(name_scopes);
    }
    printer.one(&one, QUIET)
}

fn make(client: &Client, printer: &Printer, what: &str, body: &Value) -> anyhow::Result<()> {
    let made = client.post(&format!("/api/v1/{what}"), body)?;
    print(printer, Envelope::new(item(made)))
}

fn end(client: &Client, printer: &Printer, what: &str, number: u64) -> anyhow::Result<()> {
    let ended = client.post(&format!("/api/v1/{what}/{number}/end"), &json!({}))?;
    print(printer, Envelope::new(item(ended)))
}

/// A single answer as the only row.
pub(crate) fn item(answer: Value) -> Vec<Item> {
    let Value::Object(mut item) = answer else { return Vec::new() };
    item.remove("schema_version");
    vec![item]
}

/// For people what it is for is told in words.
fn print(printer: &Printer, mut answer: Envelope) -> anyhow::Result<()> {
    if printer.is_table() {
        answer.items.iter_mut().for_each(name_scopes);
    }
    printer.rows(&answer, QUIETS)
}

/// `building Berlin HQ, cause wifi`
fn name_scopes(item: &mut Item) {
    let scopes = item.get("scopes").and_then(Value::as_array).cloned().unwrap_or_default();
    let word = |scope: &Value, key: &str| {
        scope.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let words: Vec<String> = scopes
        .iter()
        .map(|scope| format!("{} {}", word(scope, "scope"), word(scope, "subject")))
        .map(|words| words.trim_end().to_owned())
        .collect();
    item.insert("scopes".to_owned(), Value::String(words.join(", ")));
}
