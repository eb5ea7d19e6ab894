//! Users and their sessions.

use busyhour_model::{BuildingId, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{audit, parsed};
use crate::sqlite::unreadable;
use crate::{
    Act, AuditAction, AuditSubject, Grant, NewSession, NewUser, Proven, ProvenUser, Reach, Role,
    SessionRow, UserNo, UserRow,
};

/// Sessions of one user: several machines and browsers, and no more than can be looked through.
const MAX_SESSIONS: i64 = 16;
/// Users whom an identity provider proved: a large organisation's operators and champions.
const MAX_PROVEN: i64 = 10_000;

pub(super) const PASSWORD: &str = "SELECT number, name, role, buildings, added_us, signed_in_us, issuer, \
     password_hash FROM users WHERE name = ?1";
pub(super) const SESSION: &str = "SELECT u.number, u.name, u.role, u.buildings, u.added_us, u.signed_in_us, \
     u.issuer, s.used_us, s.expires_us FROM sessions s JOIN users u ON u.number = s.user \
     WHERE s.token_sha256 = ?1 AND s.expires_us > ?2";
pub(super) const PROVEN: &str = "SELECT number, name, role, buildings, added_us, signed_in_us, issuer \
     FROM users WHERE issuer = ?1 AND subject = ?2";
const USERS: &str = "SELECT number, name, role, buildings, added_us, signed_in_us, issuer FROM users \
     ORDER BY name";
const USER: &str = "SELECT number, name, role, buildings, added_us, signed_in_us, issuer FROM users \
     WHERE number = ?1";

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Done,
    /// There is no such user.
    Unknown,
    /// It is the only administrator.
    Last,
    /// An identity provider says what it may, and whether it is somebody.
    Proven,
}

pub(super) fn has_administrator(sql: &Connection) -> rusqlite::Result<bool> {
    Ok(administrators(sql)? > 0)
}

fn administrators(sql: &Connection) -> rusqlite::Result<i64> {
    sql.prepare_cached("SELECT count(*) FROM users WHERE role = ?1")?
        .query_row([Role::Administrator.as_str()], |row| row.get(0))
}

/// Adds a user; `None` when its name is taken.
pub(super) fn add(sql: &Connection, user: &NewUser, by: &Act) -> rusqlite::Result<Option<UserNo>> {
    let added = sql
        .prepare_cached(
            "INSERT INTO users (name, password_hash, role, buildings, added_us) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            user.name.as_str(),
            user.password_hash,
            user.grant.role().as_str(),
            buildings_blob(user.grant.reach()),
            by.at.0,
        ])?;
    if added == 0 {
        return Ok(None);
    }
    let number = UserNo(sql.last_insert_rowid());
    let detail = granted(&user.grant);
    audit::note(sql, by, AuditAction::UserAdded, AuditSubject::User(number), &detail)?;
    Ok(Some(number))
}

/// The same while there is no administrator.
pub(super) fn add_first(
    sql: &Connection,
    user: &NewUser,
    by: &Act,
) -> rusqlite::Result<Option<UserNo>> {
    if has_administrator(sql)? {
        return Ok(None);
    }
    add(sql, &NewUser { grant: Grant::administrator(), ..user.clone() }, by)
}

pub(super) fn change(
    sql: &Connection,
    user: UserNo,
    grant: &Grant,
    by: &Act,
) -> rusqlite::Result<Changed> {
    let Some(before) = user_row(sql, user)? else { return Ok(Changed::Unknown) };
    if before.issuer.is_some() {
        return Ok(Changed::Proven);
    }
    if grant.role() != Role::Administrator && is_last(sql, &before)? {
        return Ok(Changed::Last);
    }
    grant_to(sql, &before, grant, by)?;
    Ok(Changed::Done)
}

fn grant_to(sql: &Connection, before: &UserRow, grant: &Grant, by: &Act) -> rusqlite::Result<()> {
    if before.grant == *grant {
        return Ok(());
    }
    let user = before.number;
    sql.prepare_cached("UPDATE users SET role = ?2, buildings = ?3 WHERE number = ?1")?
        .execute(params![user.0, grant.role().as_str(), buildings_blob(grant.reach())])?;
    let detail = format!("{} before: {}", granted(grant), granted(&before.grant));
    audit::note(sql, by, AuditAction::UserChanged, AuditSubject::User(user), &detail)
}

/// Takes over what an identity provider says of somebody, whom it may bring for the first time.
pub(super) fn prove(sql: &Connection, user: &ProvenUser, by: &Act) -> rusqlite::Result<Proven> {
    let (issuer, subject) = (user.issuer(), user.subject());
    let known = sql.prepare_cached(PROVEN)?.query_row([issuer, subject], read_user).optional()?;
    if let Some(known) = known {
        grant_to(sql, &known, user.grant(), by)?;
        return Ok(Proven::User(UserRow { grant: user.grant().clone(), ..known }));
    }
    let proven: i64 = sql
        .prepare_cached("SELECT count(*) FROM users WHERE issuer IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    if proven >= MAX_PROVEN {
        return Ok(Proven::TooMany);
    }
    let added = sql
        .prepare_cached(
            "INSERT INTO users (name, password_hash, role, buildings, added_us, issuer, subject) \
             VALUES (?1, '', ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            user.name().as_str(),
            user.grant().role().as_str(),
            buildings_blob(user.grant().reach()),
            by.at.0,
            issuer,
            subject,
        ])?;
    if added == 0 {
        return Ok(Proven::NameTaken);
    }
    let number = UserNo(sql.last_insert_rowid());
    let detail = format!("{} issuer={issuer}", granted(user.grant()));
    audit::note(sql, by, AuditAction::UserAdded, AuditSubject::User(number), &detail)?;
    Ok(user_row(sql, number)?.map_or(Proven::NameTaken, Proven::User))
}

/// Takes away what a proven user may, and ends its sessions.
pub(super) fn disprove(
    sql: &Connection,
    (issuer, subject): (&str, &str),
    by: &Act,
) -> rusqlite::Result<()> {
    let known = sql.prepare_cached(PROVEN)?.query_row([issuer, subject], read_user).optional()?;
    let Some(known) = known else { return Ok(()) };
    let nothing = Grant::new(Role::Viewer, Reach::only(Vec::new())).map_err(unreadable)?;
    grant_to(sql, &known, &nothing, by)?;
    sql.prepare_cached("DELETE FROM sessions WHERE user = ?1")?.execute([known.number.0])?;
    Ok(())
}

pub(super) fn end_proven_sessions(sql: &Connection) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "DELETE FROM sessions WHERE user IN (SELECT number FROM users WHERE issuer IS NOT NULL)",
    )?
    .execute([])?;
    Ok(())
}

pub(super) fn set_password(
    sql: &Connection,
    user: UserNo,
    (password_hash, keep): (&str, Option<&[u8; 32]>),
    by: &Act,
) -> rusqlite::Result<Changed> {
    let Some(before) = user_row(sql, user)? else { return Ok(Changed::Unknown) };
    if before.issuer.is_some() {
        return Ok(Changed::Proven);
    }
    sql.prepare_cached("UPDATE users SET password_hash = ?2 WHERE number = ?1")?
        .execute(params![user.0, password_hash])?;
    sql.prepare_cached("DELETE FROM sessions WHERE user = ?1 AND token_sha256 IS NOT ?2")?
        .execute(params![user.0, keep])?;
    audit::note(sql, by, AuditAction::PasswordSet, AuditSubject::User(user), "")?;
    Ok(Changed::Done)
}

pub(super) fn remove(sql: &Connection, user: UserNo, by: &Act) -> rusqlite::Result<Changed> {
    let Some(before) = user_row(sql, user)? else { return Ok(Changed::Unknown) };
    if is_last(sql, &before)? {
        return Ok(Changed::Last);
    }
    sql.prepare_cached("DELETE FROM sessions WHERE user = ?1")?.execute([user.0])?;
    sql.prepare_cached("DELETE FROM users WHERE number = ?1")?.execute([user.0])?;
    let detail = format!("name={} {}", before.name, granted(&before.grant));
    audit::note(sql, by, AuditAction::UserRemoved, AuditSubject::User(user), &detail)?;
    Ok(Changed::Done)
}

fn is_last(sql: &Connection, user: &UserRow) -> rusqlite::Result<bool> {
    Ok(user.grant.role() == Role::Administrator && administrators(sql)? == 1)
}

pub(super) fn users(sql: &Connection) -> rusqlite::Result<Vec<UserRow>> {
    sql.prepare_cached(USERS)?.query_map([], read_user)?.collect()
}

fn user_row(sql: &Connection, user: UserNo) -> rusqlite::Result<Option<UserRow>> {
    sql.prepare_cached(USER)?.query_row([user.0], read_user).optional()
}

pub(super) fn password(
    sql: &Connection,
    name: &str,
) -> rusqlite::Result<Option<(UserRow, String)>> {
    sql.prepare_cached(PASSWORD)?
        .query_row([name], |row| Ok((read_user(row)?, row.get(7)?)))
        .optional()
}

/// Begins a session; false when there is no such user.
pub(super) fn begin_session(
    sql: &Connection,
    session: &NewSession,
    by: &Act,
) -> rusqlite::Result<bool> {
    let (user, now) = (session.user.0, by.at.0);
    let known = sql
        .prepare_cached("UPDATE users SET signed_in_us = ?2 WHERE number = ?1")?
        .execute([user, now])?;
    if known == 0 {
        return Ok(false);
    }
    sql.prepare_cached("DELETE FROM sessions WHERE expires_us <= ?1")?.execute([now])?;
    sql.prepare_cached("INSERT INTO sessions VALUES (?1, ?2, ?3, ?3, ?4, ?5)")?.execute(
        params![session.token_sha256, user, now, session.expires.0, session.peer.to_string(),],
    )?;
    sql.prepare_cached(
        "DELETE FROM sessions WHERE token_sha256 IN (SELECT token_sha256 FROM sessions \
         WHERE user = ?1 ORDER BY used_us DESC, token_sha256 = ?3 DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![user, MAX_SESSIONS, session.token_sha256])?;
    let detail = format!("from={}", session.peer);
    audit::note(sql, by, AuditAction::SignedIn, AuditSubject::User(session.user), &detail)?;
    Ok(true)
}

pub(super) fn session(
    sql: &Connection,
    token_sha256: &[u8; 32],
    now: UtcMicros,
) -> rusqlite::Result<Option<SessionRow>> {
    sql.prepare_cached(SESSION)?
        .query_row(params![token_sha256, now.0], |row| {
            Ok(SessionRow {
                user: read_user(row)?,
                used: UtcMicros(row.get(7)?),
                expires: UtcMicros(row.get(8)?),
            })
        })
        .optional()
}

pub(super) fn use_session(
    sql: &Connection,
    token_sha256: &[u8; 32],
    now: UtcMicros,
) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE sessions SET used_us = ?2 WHERE token_sha256 = ?1")?
        .execute(params![token_sha256, now.0])?;
    Ok(())
}

pub(super) fn end_session(sql: &Connection, token_sha256: &[u8; 32]) -> rusqlite::Result<()> {
    sql.prepare_cached("DELETE FROM sessions WHERE token_sha256 = ?1")?.execute([token_sha256])?;
    Ok(())
}

/// `role=viewer buildings=3`, for the audit.
pub(super) fn granted(grant: &Grant) -> String {
    match grant.reach() {
        Reach::All => format!("role={} buildings=all", grant.role()),
        Reach::Only(buildings) => {
            let ids: Vec<String> = buildings.iter().map(ToString::to_string).collect();
            format!("role={} buildings={}", grant.role(), ids.join(","))
        }
    }
}

pub(super) fn buildings_blob(reach: &Reach) -> Option<Vec<u8>> {
    match reach {
        Reach::All => None,
        Reach::Only(buildings) => {
            Some(buildings.iter().flat_map(|building| building.to_bytes()).collect())
        }
    }
}

/// Reads a role and buildings, beginning at `at`.
pub(super) fn read_grant(row: &Row<'_>, at: usize) -> rusqlite::Result<Grant> {
    let role: Role = parsed(row, at)?;
    let reach = match row.get::<_, Option<Vec<u8>>>(at + 1)? {
        None => Reach::All,
        Some(bytes) => {
            let ids = bytes.chunks(16).map(|id| BuildingId::from_slice(id).map_err(unreadable));
            Reach::only(ids.collect::<rusqlite::Result<_>>()?)
        }
    };
    Grant::new(role, reach).map_err(unreadable)
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    Ok(UserRow {
        number: UserNo(row.get(0)?),
        name: parsed(row, 1)?,
        grant: read_grant(row, 2)?,
        added: UtcMicros(row.get(4)?),
        signed_in: row.get::<_, Option<i64>>(5)?.map(UtcMicros),
        issuer: row.get(6)?,
    })
}
