//! `busyhour task`: the calendar of daily, weekly and monthly tasks, and who signed off what.

use serde_json::{Value, json};

use crate::Outcome;
use crate::client::{Client, Item};
use crate::output::{Column, Printer};
use crate::report_args::TaskCommand;
use crate::show::{Kind, pick};

const TASKS: &[Column] = &[
    ("task", "task"),
    ("cadence", "how often"),
    ("period", "period"),
    ("state", "state"),
    ("overdue_periods", "overdue"),
    ("signed_by", "signed off by"),
    ("what", "what"),
    ("helps", "what helps"),
];

const TASK: Kind = Kind { what: "task", keys: &["task"], ls: "task ls" };

const SIGNED: &[Column] = &[
    ("at_utc", "when"),
    ("signed_by", "who"),
    ("task", "task"),
    ("period", "period"),
    ("note", "note"),
];

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: &TaskCommand,
) -> anyhow::Result<Outcome> {
    match command {
        TaskCommand::Ls { exit_code } => {
            let tasks = client.list("/api/v1/tasks", &[])?;
            printer.lines(&tasks, TASKS)?;
            if *exit_code && tasks.items.iter().any(is_overdue) {
                return Ok(Outcome::Found);
            }
        }
        TaskCommand::Show { task } => {
            printer.one(&pick(client.list("/api/v1/tasks", &[])?, &TASK, task)?, TASKS)?;
        }
        TaskCommand::History => {
            printer.rows(&client.list("/api/v1/tasks/history", &[])?, SIGNED)?;
        }
        TaskCommand::Done { task, period, note } => {
            let body = json!({"task": task, "period": period, "note": note});
            let answer = client.post("/api/v1/tasks", &body)?;
            let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
            eprintln!("signed off: {} of {}", text("task"), text("period"));
        }
    }
    Ok(Outcome::Done)
}

/// Earlier periods are open.
fn is_overdue(item: &Item) -> bool {
    item.get("overdue_periods").and_then(Value::as_array).is_some_and(|open| !open.is_empty())
}
