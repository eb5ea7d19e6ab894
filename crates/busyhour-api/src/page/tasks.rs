//! The calendar of tasks, with a form for each to sign it off.

use askama::Template;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use busyhour_report::{ReportKind, TaskState};
use busyhour_store::{Role, SignOff};
use serde::Deserialize;

use super::{Page, PageProblem, rendered};
use crate::app::App;
use crate::json::tasks::{SignOffBody, signed_off, states};
use crate::signin::credential::SessionKey;
use crate::signin::pages::{check_token, said};
use crate::text;

/// Sign-offs that the page shows; the JSON has all.
const MAX_SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    as_of: String,
    groups: Vec<Group>,
    history: Vec<Line>,
    /// Of who may sign off.
    form_token: Option<String>,
}

struct Group {
    title: &'static str,
    tasks: Vec<Row>,
}

struct Row {
    name: &'static str,
    what: &'static str,
    helps: &'static str,
    period: String,
    state: &'static str,
    signed_by: String,
    overdue: String,
    is_signed: bool,
}

struct Line {
    at: String,
    by: String,
    task: String,
    period: String,
    note: String,
}

impl Row {
    fn new(state: &TaskState) -> Self {
        let overdue: Vec<String> = state.overdue.iter().map(ToString::to_string).collect();
        Self {
            name: state.task.name,
            what: state.task.what,
            helps: state.task.helps,
            period: state.period.to_string(),
            state: state.word(),
            signed_by: state.signed_by.join(", "),
            overdue: overdue.join(", "),
            is_signed: !state.signed_by.is_empty(),
        }
    }
}

impl Line {
    fn new(done: &SignOff) -> Self {
        Self {
            at: text::utc(done.at),
            by: done.by.clone(),
            task: done.task.to_string(),
            period: done.period.to_string(),
            note: done.note.as_ref().map(|note| note.as_str().to_owned()).unwrap_or_default(),
        }
    }
}

/// The calendar.
pub(crate) async fn calendar(app: App) -> Page {
    let principal = app.principal();
    let may = matches!(principal.grant.role(), Role::Operator | Role::Administrator);
    let token =
        principal.session.as_ref().filter(|_| may).map(SessionKey::form_token).transpose()?;
    let as_of = text::utc(app.now());
    let page = app.with_store(move |services| {
        let (states, signed) = states(services)?;
        let group = |&kind: &ReportKind| Group {
            title: match kind {
                ReportKind::Daily => "Every working day",
                ReportKind::Weekly => "Every week",
                ReportKind::Monthly => "Every month",
            },
            tasks: states.iter().filter(|state| state.task.cadence == kind).map(Row::new).collect(),
        };
        rendered(&TasksPage {
            as_of,
            groups: ReportKind::ALL.iter().map(group).collect(),
            history: signed.iter().take(MAX_SHOWN).map(Line::new).collect(),
            form_token: token,
        })
    });
    Ok(axum::response::Html(page.await?))
}

#[derive(Deserialize)]
pub(crate) struct SignOffForm {
    token: String,
    task: String,
    #[serde(default)]
    period: String,
    #[serde(default)]
    note: String,
}

/// Signs a task off, and goes back to the calendar.
pub(crate) async fn sign_off(
    app: App,
    form: Result<Form<SignOffForm>, FormRejection>,
) -> Result<Response, PageProblem> {
    let SignOffForm { token, task, period, note } = said(form)?;
    check_token(app.principal(), &token)?;
    let wanted = SignOffBody { task, period: Some(period), note: Some(note) };
    let done = app.with_store(move |services| signed_off(services, &wanted)).await?;
    Ok(Redirect::to(&format!("/tasks#{}", done.task)).into_response())
}
