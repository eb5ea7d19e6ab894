//! The calendar of tasks, and who signed off what. It is the fleet's, so only who sees all of it has it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use busyhour_model::desk::Remark;
use busyhour_report::{Done, Period, Task, TaskState, calendar};
use busyhour_store::{SignOff, StoreError, TaskWord};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::View;
use super::{Items, Single, body, items, single};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::state::date_in;
use crate::text;

/// Sign-offs that the calendar looks at: the last months of fifteen tasks.
const MAX_SIGN_OFFS: usize = 2_000;

/// A task and how it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskItem {
    task: &'static str,
    /// `daily`, `weekly` or `monthly`.
    cadence: &'static str,
    /// The last period that is over.
    period: String,
    /// `signed off`, `due` or `overdue`.
    state: &'static str,
    /// Who signed the period off.
    signed_by: Vec<String>,
    /// Earlier periods that nobody signed off.
    overdue_periods: Vec<String>,
    what: &'static str,
    helps: &'static str,
}

impl TaskItem {
    fn new(state: &TaskState) -> Self {
        Self {
            task: state.task.name,
            cadence: state.task.cadence.as_str(),
            period: state.period.to_string(),
            state: state.word(),
            signed_by: state.signed_by.clone(),
            overdue_periods: state.overdue.iter().map(ToString::to_string).collect(),
            what: state.task.what,
            helps: state.task.helps,
        }
    }
}

/// A sign-off.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SignOffItem {
    number: u64,
    task: String,
    period: String,
    at_utc: String,
    signed_by: String,
    note: Option<String>,
}

impl SignOffItem {
    fn new(done: &SignOff) -> Self {
        Self {
            number: done.number,
            task: done.task.to_string(),
            period: done.period.to_string(),
            at_utc: text::utc(done.at),
            signed_by: done.by.clone(),
            note: done.note.as_ref().map(|note| note.as_str().to_owned()),
        }
    }
}

/// Today, by the clock of UTC: the fleet has no other.
fn today(services: &Scoped) -> Date {
    date_in((services.clock)(), &TimeZone::UTC)
}

/// How all tasks stand today, with the sign-offs, newest first.
pub(crate) fn states(services: &Scoped) -> Result<(Vec<TaskState>, Vec<SignOff>), Problem> {
    let mut signed = services.desk.whole()?.sign_offs(MAX_SIGN_OFFS)?;
    signed.reverse();
    let since = signed.first().map(|done| date_in(done.at, &TimeZone::UTC));
    let done: Vec<Done<'_>> = signed
        .iter()
        .map(|done| Done { task: done.task.as_str(), period: done.period.as_str(), by: &done.by })
        .collect();
    let states = calendar(today(services), since, &done);
    signed.reverse();
    Ok((states, signed))
}

/// The tasks, daily ones first.
pub(crate) async fn list(app: App) -> Items<TaskItem> {
    let (states, _) = app.with_store(states).await?;
    Ok(items(states.iter().map(TaskItem::new).collect()))
}

/// Who signed off what, newest first.
pub(crate) async fn history(app: App, view: View) -> Items<SignOffItem> {
    let reach = view.reach()?;
    let signed = app.with_store(move |services| Ok(services.desk.whole()?.sign_offs(reach)?));
    Ok(items(signed.await?.iter().map(SignOffItem::new).collect()))
}

/// What is signed off.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SignOffBody {
    pub(crate) task: String,
    /// Otherwise the last that is over.
    pub(crate) period: Option<String>,
    pub(crate) note: Option<String>,
}

/// Signs a task off.
pub(crate) async fn sign_off(
    app: App,
    wanted: Result<Json<SignOffBody>, JsonRejection>,
) -> Result<Json<Single<SignOffItem>>, Problem> {
    let wanted = body(wanted)?;
    let done = app.with_store(move |services| signed_off(services, &wanted)).await?;
    Ok(single(SignOffItem::new(&done)))
}

/// Signs a task off for a period that is over.
pub(crate) fn signed_off(services: &Scoped, wanted: &SignOffBody) -> Result<SignOff, Problem> {
    let desk = services.desk.whole()?;
    let unknown = || {
        let detail = format!("there is no task {:?}; `busyhour task ls` lists them", wanted.task);
        Problem::unprocessable(detail, Vec::new())
    };
    let task = Task::named(wanted.task.trim()).ok_or_else(unknown)?;
    let today = today(services);
    let period = match wanted.period.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        None => task.due(today),
        Some(text) => Period::parse(task.cadence, text)
            .map_err(|error| Problem::unprocessable(error.to_string(), Vec::new()))?,
    };
    if period.first() > today {
        let detail = format!("{period} has not begun: nobody can have done it");
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    let note = wanted.note.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let note = note.map(Remark::new).transpose();
    let note = note.map_err(|error| Problem::unprocessable(error.to_string(), Vec::new()))?;
    let word = |text: &str| TaskWord::new(text).map_err(|_| Problem::internal());
    let (name, period) = (word(task.name)?, word(&period.to_string())?);
    let act = services.act((services.clock)());
    let signed: Result<_, StoreError> = desk.sign_off((&name, &period), note.as_ref(), &act);
    signed?.map_err(Problem::from)
}
