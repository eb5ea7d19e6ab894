//! The audit: entries are added in the transaction that does what they tell, each linked to the one
//! before it.

use std::collections::HashMap;

use busyhour_model::UtcMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use super::parsed;
use crate::sqlite::{row_limit, unreadable};
use crate::{Act, Actor, AuditAction, AuditChain, AuditEntry, AuditSubject, ChainedEntry};

pub(super) const ENTRIES: &str = "SELECT number, at_us, actor, action, subject, detail FROM audit \
     WHERE at_us >= ?1 AND at_us < ?2 AND (+at_us < ?3 OR +number < ?4) \
     ORDER BY at_us DESC, number DESC LIMIT ?5";
pub(super) const CHAINED: &str = "SELECT number, at_us, actor, action, subject, detail, link FROM audit \
     WHERE number > ?1 ORDER BY number LIMIT ?2";
/// From the oldest on: what comes after the first that is kept is not looked at. A clock that went wrong
/// for a while makes entries stay longer, never shorter.
pub(super) const FIRST_KEPT: &str =
    "SELECT number FROM audit WHERE +at_us >= ?1 ORDER BY number LIMIT 1";

pub(super) fn note(
    sql: &Connection,
    by: &Act,
    action: AuditAction,
    subject: AuditSubject,
    detail: &str,
) -> rusqlite::Result<()> {
    let head = head(sql)?;
    let (number, subject) = (head.number.saturating_add(1), subject.to_string());
    let said = [by.actor.as_str(), action.as_str(), &subject, detail];
    let link = head.next(by.at.0, said).link;
    let [actor, action, subject, detail] = said;
    sql.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![number, by.at.0, actor, action, subject, detail, link])?;
    Ok(())
}

/// The newest entries first, from those on that came before an entry.
pub(super) fn entries(
    sql: &Connection,
    (from, until): (UtcMicros, UtcMicros),
    before: Option<(UtcMicros, i64)>,
    limit: usize,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let (at, number) = before.unwrap_or((until, i64::MAX));
    let until = until.0.min(at.0.saturating_add(1));
    sql.prepare_cached(ENTRIES)?
        .query_map(params![from.0, until, at.0, number, row_limit(limit)], entry)?
        .collect()
}

/// A place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    number: i64,
    link: [u8; 32],
}

impl Link {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { number: row.get(0)?, link: row.get(1)? })
    }

    /// The place after it. Every text has its length in front, so that no two entries are the same
    /// bytes.
    fn next(self, at_us: i64, said: [&str; 4]) -> Self {
        let number = self.number.saturating_add(1);
        let mut digest = Sha256::new();
        digest.update(b"busyhour audit 1");
        digest.update(self.link);
        digest.update(number.to_be_bytes());
        digest.update(at_us.to_be_bytes());
        for text in said {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        }
        Self { number, link: digest.finalize().into() }
    }
}

/// The last that retention deleted.
fn last_gone(sql: &Connection) -> rusqlite::Result<Link> {
    sql.prepare_cached("SELECT gone_number, gone_link FROM audit_kept")?.query_row([], Link::read)
}

/// The newest entry, or the last that retention deleted.
fn head(sql: &Connection) -> rusqlite::Result<Link> {
    let newest = sql
        .prepare_cached("SELECT number, link FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], Link::read)
        .optional()?;
    newest.map_or_else(|| last_gone(sql), Ok)
}

/// Follows the chain.
pub(super) fn chain(sql: &Connection) -> rusqlite::Result<AuditChain> {
    let gone = last_gone(sql)?;
    let (mut at, mut entries, mut broken_at) = (gone, 0, None);
    let mut statement = sql.prepare_cached(
        "SELECT number, link, at_us, actor, action, subject, detail FROM audit ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let found = Link::read(row)?;
        let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str()?));
        let said = [text(3)?, text(4)?, text(5)?, text(6)?];
        if broken_at.is_none() && at.next(row.get(2)?, said) != found {
            broken_at = Some(found.number);
        }
        at = found;
        entries += 1;
    }
    Ok(AuditChain {
        entries,
        pruned_to: gone.number,
        head: at.number,
        head_link: at.link,
        broken_at,
    })
}

/// An error when the chain is broken.
pub(super) fn check(sql: &Connection) -> rusqlite::Result<()> {
    match chain(sql)?.broken_at {
        None => Ok(()),
        Some(number) => Err(unreadable(BrokenChain(number))),
    }
}

/// An entry that does not follow from the one before it.
#[derive(Debug, thiserror::Error)]
#[error("entry {0} of the audit does not follow from the one before it")]
struct BrokenChain(i64);

/// Entries with their links, oldest first.
pub(super) fn chained(
    sql: &Connection,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<ChainedEntry>> {
    sql.prepare_cached(CHAINED)?
        .query_map(params![after, row_limit(limit)], |row| {
            Ok(ChainedEntry { entry: entry(row)?, link: row.get(6)? })
        })?
        .collect()
}

/// Deletes the oldest entries up to the first that is kept; of the last that goes the link stays, so
/// that the chain of the others still begins somewhere.
pub(super) fn prune(sql: &Connection, from_us: i64) -> rusqlite::Result<usize> {
    let kept: Option<i64> =
        sql.prepare_cached(FIRST_KEPT)?.query_row([from_us], |row| row.get(0)).optional()?;
    let last = sql
        .prepare_cached(
            "SELECT number, link FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([kept.unwrap_or(i64::MAX)], Link::read)
        .optional()?;
    // The table's own guard is told first how long it keeps its entries.
    sql.prepare_cached("UPDATE audit_kept SET from_us = ?1")?.execute([from_us])?;
    let Some(last) = last else { return Ok(0) };
    sql.prepare_cached("UPDATE audit_kept SET gone_number = ?1, gone_link = ?2")?
        .execute(params![last.number, last.link])?;
    sql.prepare_cached("DELETE FROM audit WHERE number <= ?1")?.execute([last.number])
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let actor = Actor::new(row.get::<_, String>(2)?).map_err(unreadable)?;
    Ok(AuditEntry {
        number: row.get(0)?,
        by: Act { at: UtcMicros(row.get(1)?), actor },
        action: parsed(row, 3)?,
        subject: parsed(row, 4)?,
        detail: row.get(5)?,
    })
}

/// Keeps the settings and writes one entry with all that changed.
pub(super) fn settings(
    sql: &Connection,
    settings: &[(&str, String)],
    by: &Act,
) -> rusqlite::Result<usize> {
    let known: HashMap<String, String> = sql
        .prepare_cached("SELECT name, value FROM settings")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut put = sql.prepare_cached("INSERT OR REPLACE INTO settings VALUES (?1, ?2)")?;
    let mut changed = Vec::new();
    for (name, value) in settings {
        let before = known.get(*name);
        if before == Some(value) {
            continue;
        }
        put.execute(params![name, value])?;
        let before = before.map(|before| format!("{before}->")).unwrap_or_default();
        changed.push(format!("{name}={before}{value}"));
    }
    if !changed.is_empty() {
        let detail = changed.join(" ");
        note(sql, by, AuditAction::SettingsChanged, AuditSubject::Store, &detail)?;
    }
    Ok(changed.len())
}
