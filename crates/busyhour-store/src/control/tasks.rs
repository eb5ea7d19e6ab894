//! Sign-offs of tasks.

use busyhour_model::UtcMicros;
use busyhour_model::desk::Remark;
use rusqlite::{Connection, Row, params};

use super::{audit, parsed, parsed_option};
use crate::{Act, AuditAction, AuditSubject, DeskRefusal, SignOff, TaskWord};

/// The most that one task is signed off for one period: several people may.
const MAX_OF_PERIOD: u32 = 20;

pub(super) const SIGN_OFFS: &str =
    "SELECT number, task, period, at_us, actor, note FROM sign_offs ORDER BY number DESC LIMIT ?1";
pub(super) const OF_PERIOD: &str = "SELECT count(*) FROM sign_offs WHERE task = ?1 AND period = ?2";
pub(super) const OLD: &str = "DELETE FROM sign_offs WHERE at_us < ?1";

pub(super) fn sign_off(
    sql: &Connection,
    (task, period): (&TaskWord, &TaskWord),
    note: Option<&Remark>,
    by: &Act,
) -> rusqlite::Result<Result<SignOff, DeskRefusal>> {
    let known: u32 = sql
        .prepare_cached(OF_PERIOD)?
        .query_row([task.as_str(), period.as_str()], |row| row.get(0))?;
    if known >= MAX_OF_PERIOD {
        return Ok(Err(DeskRefusal::TooMany { what: "sign-offs", most: MAX_OF_PERIOD }));
    }
    sql.prepare_cached(
        "INSERT INTO sign_offs (task, period, at_us, actor, note) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        task.as_str(),
        period.as_str(),
        by.at.0,
        by.actor.as_str(),
        note.map(Remark::as_str),
    ])?;
    let number = u64::try_from(sql.last_insert_rowid()).unwrap_or(0);
    let detail = format!("task={task} period={period}");
    audit::note(sql, by, AuditAction::TaskSignedOff, AuditSubject::Store, &detail)?;
    Ok(Ok(SignOff {
        number,
        task: task.clone(),
        period: period.clone(),
        at: by.at,
        by: by.actor.to_string(),
        note: note.cloned(),
    }))
}

pub(super) fn sign_offs(sql: &Connection, limit: usize) -> rusqlite::Result<Vec<SignOff>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    sql.prepare_cached(SIGN_OFFS)?.query_map([limit], row)?.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<SignOff> {
    Ok(SignOff {
        number: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        task: parsed(row, 1)?,
        period: parsed(row, 2)?,
        at: UtcMicros(row.get(3)?),
        by: row.get(4)?,
        note: parsed_option(row, 5)?,
    })
}
