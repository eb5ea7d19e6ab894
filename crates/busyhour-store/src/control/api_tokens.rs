//! API tokens: for programs that ask without anybody signing in.

use busyhour_model::UtcMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::users::{buildings_blob, granted, read_grant};
use super::{audit, parsed};
use crate::{Act, ApiTokenNo, ApiTokenRow, AuditAction, AuditSubject, NewApiToken};

pub(super) const BY_TOKEN: &str = "SELECT number, name, role, buildings, made_by, added_us, expires_us, used_us \
     FROM api_tokens WHERE token_sha256 = ?1 AND expires_us > ?2";
const TOKENS: &str = "SELECT number, name, role, buildings, made_by, added_us, expires_us, used_us \
     FROM api_tokens ORDER BY name";

/// Makes a token; `None` when its name is taken.
pub(super) fn add(
    sql: &Connection,
    token: &NewApiToken,
    by: &Act,
) -> rusqlite::Result<Option<ApiTokenNo>> {
    let added = sql
        .prepare_cached(
            "INSERT INTO api_tokens \
             (token_sha256, name, role, buildings, made_by, added_us, expires_us) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            token.token_sha256,
            token.name.as_str(),
            token.grant.role().as_str(),
            buildings_blob(token.grant.reach()),
            by.actor.as_str(),
            by.at.0,
            token.expires.0,
        ])?;
    if added == 0 {
        return Ok(None);
    }
    let number = ApiTokenNo(sql.last_insert_rowid());
    let detail = format!("name={} {}", token.name, granted(&token.grant));
    audit::note(sql, by, AuditAction::ApiTokenMade, AuditSubject::ApiToken(number), &detail)?;
    Ok(Some(number))
}

/// Revokes a token; false when there is none.
pub(super) fn revoke(sql: &Connection, token: ApiTokenNo, by: &Act) -> rusqlite::Result<bool> {
    let gone =
        sql.prepare_cached("DELETE FROM api_tokens WHERE number = ?1")?.execute([token.0])?;
    if gone == 0 {
        return Ok(false);
    }
    audit::note(sql, by, AuditAction::ApiTokenRevoked, AuditSubject::ApiToken(token), "")?;
    Ok(true)
}

pub(super) fn tokens(sql: &Connection) -> rusqlite::Result<Vec<ApiTokenRow>> {
    sql.prepare_cached(TOKENS)?.query_map([], read)?.collect()
}

pub(super) fn by_token(
    sql: &Connection,
    token_sha256: &[u8; 32],
    now: UtcMicros,
) -> rusqlite::Result<Option<ApiTokenRow>> {
    sql.prepare_cached(BY_TOKEN)?.query_row(params![token_sha256, now.0], read).optional()
}

pub(super) fn used(sql: &Connection, token: ApiTokenNo, now: UtcMicros) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE api_tokens SET used_us = ?2 WHERE number = ?1")?
        .execute([token.0, now.0])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiTokenRow> {
    Ok(ApiTokenRow {
        number: ApiTokenNo(row.get(0)?),
        name: parsed(row, 1)?,
        grant: read_grant(row, 2)?,
        made_by: row.get(4)?,
        added: UtcMicros(row.get(5)?),
        expires: UtcMicros(row.get(6)?),
        used: row.get::<_, Option<i64>>(7)?.map(UtcMicros),
    })
}
