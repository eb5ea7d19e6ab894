//! The table of owners: who answers for a cause, in a region or in all.

use busyhour_model::desk::{Owner, OwnerRow, ShortRemark};
use busyhour_model::{Cause, UtcMicros};
use rusqlite::{Connection, Row, params};

use super::{audit, parsed, parsed_option};
use crate::{Act, AuditAction, AuditSubject, DeskRefusal};

/// The most rows of the table.
const MAX_OWNERS: u32 = 2_000;

pub(super) const OWNERS: &str =
    "SELECT cause, region, name, contact, at_us, actor FROM owners ORDER BY cause, region";

/// What a row is for.
type Key<'a> = (Option<Cause>, Option<&'a ShortRemark>);

pub(super) fn owners(sql: &Connection) -> rusqlite::Result<Vec<OwnerRow>> {
    sql.prepare_cached(OWNERS)?.query_map([], owner_row)?.collect()
}

pub(super) fn set(
    sql: &Connection,
    key: Key<'_>,
    owner: &Owner,
    by: &Act,
) -> rusqlite::Result<Result<(), DeskRefusal>> {
    let (cause, region) = columns(key);
    let others: u32 = sql
        .prepare_cached("SELECT count(*) FROM owners WHERE NOT (cause = ?1 AND region = ?2)")?
        .query_row([cause, region], |row| row.get(0))?;
    if others >= MAX_OWNERS {
        return Ok(Err(DeskRefusal::TooMany { what: "owners", most: MAX_OWNERS }));
    }
    sql.prepare_cached("INSERT OR REPLACE INTO owners VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
        params![
            cause,
            region,
            owner.name.as_str(),
            owner.contact.as_ref().map(ShortRemark::as_str),
            by.at.0,
            by.actor.as_str(),
        ],
    )?;
    note(sql, key, AuditAction::OwnerSet, by)?;
    Ok(Ok(()))
}

/// False when there was none.
pub(super) fn remove(sql: &Connection, key: Key<'_>, by: &Act) -> rusqlite::Result<bool> {
    let (cause, region) = columns(key);
    let gone = sql
        .prepare_cached("DELETE FROM owners WHERE cause = ?1 AND region = ?2")?
        .execute([cause, region])?;
    if gone == 0 {
        return Ok(false);
    }
    note(sql, key, AuditAction::OwnerRemoved, by)?;
    Ok(true)
}

fn note(sql: &Connection, key: Key<'_>, action: AuditAction, by: &Act) -> rusqlite::Result<()> {
    let cause = key.0.map_or("all", Cause::as_str);
    let region = key.1.map(|region| format!(" region={:?}", region.as_str())).unwrap_or_default();
    audit::note(sql, by, action, AuditSubject::Store, &format!("cause={cause}{region}"))
}

/// A row for all has nothing there.
fn columns<'a>((cause, region): Key<'a>) -> (&'static str, &'a str) {
    (cause.map_or("", Cause::as_str), region.map_or("", ShortRemark::as_str))
}

fn owner_row(row: &Row<'_>) -> rusqlite::Result<OwnerRow> {
    let all = |at: usize| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?.is_empty());
    Ok(OwnerRow {
        cause: if all(0)? { None } else { Some(parsed(row, 0)?) },
        region: if all(1)? { None } else { Some(parsed(row, 1)?) },
        owner: Owner { name: parsed(row, 2)?, contact: parsed_option(row, 3)? },
        at: UtcMicros(row.get(4)?),
        by: row.get(5)?,
    })
}
