//! `busyhour incident`: what is wrong where, and why we think so.

use std::io::Write as _;

use anyhow::bail;
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::IncidentCommand;
use crate::client::{Client, Envelope, Item};
use crate::desk;
use crate::desk_args::Named;
use crate::output::{Column, Printer, harmless};

/// The paths of one incident that are printed for people; `-o json` has all.
const MAX_MEMBERS: usize = 50;

const INCIDENTS: &[Column] = &[
    ("number", "no"),
    ("state", "state"),
    ("kind", "kind"),
    ("place", "place"),
    ("hours_local", "local hours"),
    ("first_bad_date", "since"),
    ("severity_ratio", "severity"),
    ("confidence_ratio", "sure"),
    ("cause", "cause"),
    ("owner", "owner"),
    ("acknowledged_by", "seen by"),
    ("quiet", "quiet"),
    ("simulated", "simulated"),
    ("sentence", "what"),
];

const FACTS: &[Column] = &[
    ("number", "incident"),
    ("state", "state"),
    ("stale", "not observed lately"),
    ("change", "last change"),
    ("changed_date", "on"),
    ("merged_into", "part of incident"),
    ("part_of", "made part of incident"),
    ("parts", "incidents that are part of it"),
    ("owner", "owner"),
    ("owner_contact", "owner's contact"),
    ("acknowledged_by", "acknowledged by"),
    ("acknowledged_utc", "acknowledged"),
    ("acknowledged_reason", "and said"),
    ("quiet", "not told because of"),
    ("quiet_until_utc", "not told until"),
    ("kind", "kind"),
    ("place", "place"),
    ("confidence_ratio", "sure of the place"),
    ("siblings", "paths that suffer"),
    ("segment", "whose part"),
    ("buildings", "buildings"),
    ("building", "local time of"),
    ("hours_local", "local hours"),
    ("bad_dates", "bad days"),
    ("observed_dates", "observed working days"),
    ("opened_date", "opened"),
    ("closed_date", "closed"),
    ("openings", "times opened"),
    ("severity_ratio", "severity"),
    ("severity_class", "class of severity"),
    ("cause", "likely cause"),
    ("cause_confidence_ratio", "sure of the cause"),
    ("mechanism", "mechanism"),
    ("worst_hour_local", "worst hour"),
    ("worst_hour_bad_ratio", "worst hour, bad windows"),
    ("worst_hour_breach", "worst hour breaks"),
    ("worst_hour_says", "worst hour, p90"),
    ("worst_hour_reorder", "worst hour, order"),
    ("worst_hour_estimate_r_p10", "worst hour, R p10"),
    ("average_says", "daily average"),
    ("average_passes", "daily average passes"),
    ("masked", "masked"),
    ("masking_factor", "masking factor"),
    ("simulated", "simulated"),
    ("id", "id"),
];

const ACTS: &[Column] = &[
    ("at_utc", "when"),
    ("by", "who"),
    ("act", "did"),
    ("text", "and said"),
    ("owner", "owner"),
    ("owner_contact", "contact"),
    ("into", "into"),
];

const SIDES: &[Column] = &[
    ("side", "worst hours"),
    ("days", "days"),
    ("bad_days", "bad"),
    ("bad_ratio", "bad windows"),
    ("loss_ratio_p90", "loss p90"),
    ("rtt_us_p90", "round trip p90"),
    ("jitter_us_p90", "jitter p90"),
];

const EVIDENCE: &[Column] = &[("cause", "cause"), ("weight", "weight"), ("text", "evidence")];

const MEMBERS: &[Column] = &[
    ("path_id", "path"),
    ("agent", "agent"),
    ("building", "building"),
    ("subnet", "subnet"),
    ("link", "link"),
    ("target", "target"),
    ("class", "class"),
];

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: &IncidentCommand,
) -> anyhow::Result<Outcome> {
    match command {
        IncidentCommand::Ls { closed, all_kinds, parts } => {
            let kind = if *all_kinds { "all" } else { "alerting" };
            let mut query = vec![("closed", closed.to_string()), ("kind", kind.to_owned())];
            if *parts {
                query.push(("parts", parts.to_string()));
            }
            let mut answer = client.list("/api/v1/incidents", &query)?;
            if printer.is_table() {
                answer.items.iter_mut().for_each(name_place);
            }
            printer.lines(&answer, INCIDENTS)?;
        }
        IncidentCommand::Show(named) => show(client, printer, named)?,
        IncidentCommand::Acts(named) => {
            printer.rows(&client.list(&address(named, "/acts")?, &[])?, ACTS)?;
        }
        IncidentCommand::Note { incident, text } => {
            act(client, printer, (incident, "/notes"), &json!({ "text": text }))?;
        }
        IncidentCommand::Ack { incident, reason } => {
            act(client, printer, (incident, "/acknowledge"), &json!({ "reason": reason }))?;
        }
        IncidentCommand::Unack(incident) => {
            act(client, printer, (incident, "/unacknowledge"), &json!({}))?;
        }
        IncidentCommand::Own { incident, name: Some(name), contact, .. } => {
            let owner = json!({ "name": name, "contact": contact });
            act(client, printer, (incident, "/owner"), &owner)?;
        }
        IncidentCommand::Own { incident, name: None, .. } => {
            let done = client.delete(&address(incident, "/owner")?, &[])?;
            printer.rows(&Envelope::new(desk::item(done)), ACTS)?;
        }
        IncidentCommand::Merge { incident, into, reason } => {
            let merge = json!({ "into": into, "reason": reason });
            act(client, printer, (incident, "/merge"), &merge)?;
        }
        IncidentCommand::Split(incident) => {
            act(client, printer, (incident, "/split"), &json!({}))?;
        }
    }
    Ok(Outcome::Done)
}

/// Does something with an incident, and prints that as it is kept.
fn act(
    client: &Client,
    printer: &Printer,
    (incident, what): (&Named, &str),
    body: &Value,
) -> anyhow::Result<()> {
    let done = client.post(&address(incident, what)?, body)?;
    printer.rows(&Envelope::new(desk::item(done)), ACTS)
}

/// The address of an incident, or of a part of it.
fn address(Named { incident }: &Named, part: &str) -> anyhow::Result<String> {
    let named = incident.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !named || incident.is_empty() {
        bail!("{incident:?} is no incident's number or id; `busyhour incident ls` lists them");
    }
    Ok(format!("/api/v1/incidents/{incident}{part}"))
}

fn show(client: &Client, printer: &Printer, incident: &Named) -> anyhow::Result<()> {
    let answer = client.list(&address(incident, "")?, &[])?;
    let (true, [item]) = (printer.is_table(), answer.items.as_slice()) else {
        return printer.rows(&answer, INCIDENTS);
    };
    let mut facts = item.clone();
    name_place(&mut facts);
    let siblings = item.get("siblings").map_or(Value::Null, who_suffers);
    facts.insert("siblings".to_owned(), siblings);
    say(&text(item, "sentence"))?;
    printer.one(&Envelope::new(vec![facts]), FACTS)?;
    to_do(item)?;
    before_and_after(printer, item)?;
    say(&format!("\nWhy we think so: {}", text(item, "explanation")))?;
    printer.rows(&Envelope::new(parts(item, "evidence")), EVIDENCE)?;
    let mut members = parts(item, "members");
    let more = members.len().saturating_sub(MAX_MEMBERS);
    members.truncate(MAX_MEMBERS);
    writeln!(std::io::stdout().lock())?;
    printer.rows(&Envelope::new(members), MEMBERS)?;
    if more > 0 {
        eprintln!("and {more} more paths: -o json has all of them");
    }
    let acts = client.list(&address(incident, "/acts")?, &[])?;
    if !acts.items.is_empty() {
        writeln!(std::io::stdout().lock())?;
        printer.rows(&acts, ACTS)?;
    }
    Ok(())
}

/// What to do, and who usually does it where nobody said whose it is.
fn to_do(item: &Item) -> anyhow::Result<()> {
    let steps = item.get("remedy").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if steps.is_empty() {
        return Ok(());
    }
    let who = match item.get("owner").and_then(Value::as_str) {
        Some(owner) => owner.to_owned(),
        None => text(item, "remedy_who"),
    };
    let steps = steps.iter().filter_map(Value::as_str).zip(1..);
    let steps: Vec<String> = steps.map(|(step, at)| format!("{at}. {step}")).collect();
    say(&format!("\nWhat to do ({who}):\n{}", steps.join("\n")))
}

/// What mending changed, once that can be told.
fn before_and_after(printer: &Printer, item: &Item) -> anyhow::Result<()> {
    let mut sides = Vec::new();
    for side in ["before", "after"] {
        let Some(Value::Object(figures)) = item.get(side) else { return Ok(()) };
        let mut figures = figures.clone();
        figures.insert("side".to_owned(), Value::from(side));
        sides.push(figures);
    }
    printer.rows(&Envelope::new(sides), SIDES)
}

/// A paragraph. A reader that has seen enough is no error, so nothing panics here.
fn say(text: &str) -> anyhow::Result<()> {
    let lines: Vec<String> = text.lines().map(harmless).collect();
    Ok(writeln!(std::io::stdout().lock(), "{}\n", lines.join("\n"))?)
}

/// Puts the whole place under `place`, which the collector tells in parts.
fn name_place(item: &mut Item) {
    let name = text(item, "place");
    let building = text(item, "building");
    let link = item.get("link").and_then(Value::as_str);
    let on = link.map_or_else(String::new, |link| format!(", {link}"));
    let kind = text(item, "place_kind");
    let place = match kind.as_str() {
        "link" => format!("{building}{on}"),
        "subnet" | "agent" => format!("{building}, {name}{on}"),
        "upstream" | "vpn" | "target" => match item.get("building_count").and_then(Value::as_u64) {
            Some(1) | None => format!("{kind} {name}"),
            Some(count) => format!("{kind} {name}, {count} buildings"),
        },
        _ => name,
    };
    item.insert("place".to_owned(), Value::String(place));
}

/// `4 of 4 in that place, 0 of 6 beside it`.
fn who_suffers(siblings: &Value) -> Value {
    let count = |key: &str| siblings.get(key).and_then(Value::as_u64).unwrap_or(0);
    let mut text = format!(
        "{} of {} in that place, {} of {} beside it",
        count("suffering"),
        count("within"),
        count("suffering_beside"),
        count("beside")
    );
    if count("near") > 0 {
        text.push_str(&format!(
            ", {} of {} to the building's edge",
            count("suffering_near"),
            count("near")
        ));
    }
    Value::String(text)
}

fn text(item: &Item, key: &str) -> String {
    item.get(key).and_then(Value::as_str).unwrap_or("-").to_owned()
}

/// The rows that an item holds under `key`.
fn parts(item: &Item, key: &str) -> Vec<Item> {
    let rows = item.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    rows.iter().filter_map(|row| row.as_object().cloned()).collect()
}
