//! Who did what.

use std::collections::HashMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{AuditEntry, AuditSubject};
use serde::{Deserialize, Serialize};

use super::paths::moment;
use super::{Items, items, query};
use crate::app::App;
use crate::guard::Principal;
use crate::text;

/// The most entries in one answer; earlier ones are asked for by time.
const MAX_ENTRIES: usize = 10_000;
const USUAL_ENTRIES: usize = 1_000;

/// Which entries are asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct AuditQuery {
    #[serde(alias = "since")]
    from: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
}

/// One entry.
#[derive(Debug, Serialize)]
pub(crate) struct AuditItem {
    number: i64,
    at_utc: String,
    actor: String,
    action: &'static str,
    /// Agents by their id.
    subject: String,
    /// The agent's name, as long as there is one.
    subject_name: Option<String>,
    /// `name=value` pairs.
    detail: String,
}

/// What was done, newest first; all of it unless a time is told.
pub(crate) async fn list(
    _: Principal,
    State(app): State<App>,
    parameters: Result<Query<AuditQuery>, QueryRejection>,
) -> Items<AuditItem> {
    let query = query(parameters)?;
    let from = moment("from", query.from.as_deref())?.unwrap_or(UtcMicros(i64::MIN));
    let until = moment("until", query.until.as_deref())?.unwrap_or(UtcMicros(i64::MAX));
    let limit = query.limit.unwrap_or(USUAL_ENTRIES).min(MAX_ENTRIES);
    let found = app.with_store(move |services| {
        let control = &services.control;
        Ok((control.audit(from, until, limit)?, control.agents()?))
    });
    let (entries, agents) = found.await?;
    let names: HashMap<AgentId, String> = agents.into_iter().map(|a| (a.id, a.name)).collect();
    let item = |entry: AuditEntry| AuditItem {
        number: entry.number,
        at_utc: text::utc(entry.by.at),
        actor: entry.by.actor.as_str().to_owned(),
        action: entry.action.as_str(),
        subject: entry.subject.to_string(),
        subject_name: match entry.subject {
            AuditSubject::Agent(agent) => names.get(&agent).cloned(),
            AuditSubject::Store | AuditSubject::BuildingFile(_) => None,
        },
        detail: entry.detail,
    };
    Ok(items(entries.into_iter().map(item).collect()))
}
