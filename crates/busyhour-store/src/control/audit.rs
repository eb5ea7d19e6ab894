//! The audit: entries are added in the transaction that does what they tell.

use std::collections::HashMap;

use busyhour_model::UtcMicros;
use rusqlite::{Connection, Row, params};

use super::parsed;
use crate::sqlite::{row_limit, unreadable};
use crate::{Act, Actor, AuditAction, AuditEntry, AuditSubject};

pub(super) const ENTRIES: &str = "SELECT number, at_us, actor, action, subject, detail FROM audit \
     WHERE at_us >= ?1 AND at_us < ?2 ORDER BY at_us DESC, number DESC LIMIT ?3";

pub(super) fn note(
    sql: &Connection,
    by: &Act,
    action: AuditAction,
    subject: AuditSubject,
    detail: &str,
) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT INTO audit (at_us, actor, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        by.at.0,
        by.actor.as_str(),
        action.as_str(),
        subject.to_string(),
        detail
    ])?;
    Ok(())
}

/// The newest entries first.
pub(super) fn entries(
    sql: &Connection,
    from: UtcMicros,
    until: UtcMicros,
    limit: usize,
) -> rusqlite::Result<Vec<AuditEntry>> {
    sql.prepare_cached(ENTRIES)?
        .query_map(params![from.0, until.0, row_limit(limit)], entry)?
        .collect()
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
