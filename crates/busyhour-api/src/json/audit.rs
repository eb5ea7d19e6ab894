//! Who did what.

use std::collections::HashMap;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header;
use busyhour_model::{AgentId, UtcMicros};
use busyhour_store::{AccountName, ApiTokenNo, AuditEntry, AuditSubject, ChainedEntry, UserNo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::{Listing, MAX_ITEMS, View};
use super::span::SpanQuery;
use super::{Items, Single, query, single};
use crate::app::App;
use crate::operation::{Ndjson, Typed};
use crate::problem::Problem;
use crate::text;

/// The most entries of an export.
const MAX_ENTRIES: usize = 10_000;

/// One entry.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditItem {
    number: i64,
    at_utc: String,
    actor: String,
    action: &'static str,
    /// Agents by their id.
    subject: String,
    /// The name of the agent, user or token, as long as there is one.
    subject_name: Option<String>,
    /// `name=value` pairs.
    detail: String,
}

/// What subjects are called now.
struct Names {
    agents: HashMap<AgentId, String>,
    users: HashMap<UserNo, AccountName>,
    tokens: HashMap<ApiTokenNo, AccountName>,
}

impl Names {
    fn of(&self, subject: AuditSubject) -> Option<String> {
        match subject {
            AuditSubject::Agent(agent) => self.agents.get(&agent).cloned(),
            AuditSubject::User(user) => self.users.get(&user).map(ToString::to_string),
            AuditSubject::ApiToken(token) => self.tokens.get(&token).map(ToString::to_string),
            AuditSubject::Store
            | AuditSubject::BuildingFile(_)
            | AuditSubject::Token(_)
            | AuditSubject::Configuration(_)
            | AuditSubject::Incident(_)
            | AuditSubject::Quiet(_) => None,
        }
    }
}

/// The last entry of a page: those before it are on the next. Positions would have the whole audit read
/// for each page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    at: UtcMicros,
    number: i64,
}

impl Mark {
    fn of(entry: &AuditEntry) -> String {
        format!("a{}.{}", entry.by.at.0, entry.number)
    }

    fn read(text: &str) -> Option<Self> {
        let (at, number) = text.strip_prefix('a')?.split_once('.')?;
        Some(Self { at: UtcMicros(at.parse().ok()?), number: number.parse().ok()? })
    }
}

/// What was done, newest first; all of it unless a time is told.
pub(crate) async fn list(
    app: App,
    view: View,
    span: Result<Query<SpanQuery>, QueryRejection>,
) -> Items<AuditItem> {
    let (from, until) = query(span)?.read()?;
    let (from, until) = (from.unwrap_or(UtcMicros(i64::MIN)), until.unwrap_or(UtcMicros(i64::MAX)));
    let (limit, mark) = (view.limit(MAX_ITEMS), view.mark(Mark::read)?);
    let found = app.core().with_services(move |services| {
        let control = &services.control;
        let names = Names {
            agents: control.agents()?.into_iter().map(|a| (a.id, a.name)).collect(),
            users: services.accounts.users()?.into_iter().map(|u| (u.number, u.name)).collect(),
            tokens: services
                .accounts
                .api_tokens()?
                .into_iter()
                .map(|token| (token.number, token.name))
                .collect(),
        };
        let before = mark.map(|mark| (mark.at, mark.number));
        Ok((control.audit_before(from, until, before, limit + 1)?, names))
    });
    let (mut entries, names) = found.await?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| has_more).map(Mark::of);
    let item = |entry: AuditEntry| AuditItem {
        number: entry.number,
        at_utc: text::utc(entry.by.at),
        actor: entry.by.actor.as_str().to_owned(),
        action: entry.action.as_str(),
        subject: entry.subject.to_string(),
        subject_name: names.of(entry.subject),
        detail: entry.detail,
    };
    Ok(Listing::page(entries.into_iter().map(item).collect(), next))
}

/// What the chain of the audit says of itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChainItem {
    entries: u64,
    /// The last number that retention deleted.
    pruned_to: i64,
    head: i64,
    /// SHA-256; who keeps it elsewhere can tell later that nothing before it was changed.
    head_link: String,
    /// Every entry follows from the one before it.
    whole: bool,
    broken_at: Option<i64>,
    /// An entry that was asked for by its number is there with the link that was told.
    known: Option<bool>,
}

/// An entry that somebody kept the link of.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChainQuery {
    number: Option<i64>,
    link: Option<String>,
}

/// Follows the chain of the audit.
pub(crate) async fn chain(
    app: App,
    parameters: Result<Query<ChainQuery>, QueryRejection>,
) -> Result<Json<Single<ChainItem>>, Problem> {
    let kept = match query(parameters)? {
        ChainQuery { number: Some(number), link: Some(link) } => Some((number, link)),
        ChainQuery { number: None, link: None } => None,
        ChainQuery { .. } => return Err(Problem::bad_request("say number and link, or neither")),
    };
    let found = app.core().with_services(move |services| {
        let chain = services.accounts.audit_chain()?;
        let Some((number, link)) = kept else { return Ok((chain, None)) };
        let at = services.accounts.chained_audit(number.saturating_sub(1), 1)?;
        let is_it = |found: &ChainedEntry| {
            found.entry.number == number && hex(&found.link).eq_ignore_ascii_case(&link)
        };
        Ok((chain, Some(at.first().is_some_and(is_it))))
    });
    let (chain, known) = found.await?;
    Ok(single(ChainItem {
        entries: chain.entries,
        pruned_to: chain.pruned_to,
        head: chain.head,
        head_link: hex(&chain.head_link),
        whole: chain.broken_at.is_none(),
        broken_at: chain.broken_at,
        known,
    }))
}

/// From where on, and how many.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ExportQuery {
    after: Option<i64>,
    limit: Option<usize>,
}

/// One line of an export: all that the link is made from.
#[derive(Debug, Serialize, JsonSchema)]
struct ExportLine<'a> {
    number: i64,
    at_us: i64,
    at_utc: String,
    actor: &'a str,
    action: &'static str,
    subject: String,
    detail: &'a str,
    link: String,
}

/// The audit as JSON lines, oldest first, each with its link of the chain.
pub(crate) async fn export(
    app: App,
    parameters: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Typed<Ndjson>, Problem> {
    let ExportQuery { after, limit } = query(parameters)?;
    let limit = limit.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES);
    let found = app.core().with_services(move |services| {
        Ok(services.accounts.chained_audit(after.unwrap_or(0), limit)?)
    });
    let mut lines = String::new();
    for ChainedEntry { entry, link } in &found.await? {
        let line = ExportLine {
            number: entry.number,
            at_us: entry.by.at.0,
            at_utc: text::utc(entry.by.at),
            actor: entry.by.actor.as_str(),
            action: entry.action.as_str(),
            subject: entry.subject.to_string(),
            detail: &entry.detail,
            link: hex(link),
        };
        lines.push_str(&serde_json::to_string(&line).map_err(|_| Problem::internal())?);
        lines.push('\n');
    }
    Ok(Typed::new(([(header::CONTENT_TYPE, "application/x-ndjson")], lines)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
