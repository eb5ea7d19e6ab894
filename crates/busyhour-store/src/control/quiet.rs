//! Quiet times: what is not told for a while, and what is worth a word when maintenance is over.

use busyhour_model::desk::{Quiet, QuietKind, QuietScope, Remark, ShortRemark, got_worse};
use busyhour_model::{BuildingId, Cause, IncidentId, SeverityClass, SubnetId, UtcMicros};
use rusqlite::{Connection, Row, params};

use super::{audit, desk, incidents, inventory, parsed};
use crate::codec::bad;
use crate::sqlite::{DAY_MICROS, unreadable};
use crate::{Act, AuditAction, AuditSubject, DeskRefusal, NewQuiet, Worsened};

/// Quiet times that are not over, at once.
const MAX_QUIETS: u32 = 1_000;
/// Of these, those that one person or program made: nobody uses them up for all.
const MAX_QUIETS_OF_ONE: u32 = 100;
/// The longest.
const MAX_QUIET_US: i64 = 366 * DAY_MICROS;

pub(super) const QUIETS: &str = "SELECT number, kind, from_us, until_us, reason, actor, made_us, \
     ended_us, ended_by FROM quiets WHERE end_us >= ?1 ORDER BY number";
pub(super) const SCOPES: &str =
    "SELECT scope, subject FROM quiet_scopes WHERE quiet = ?1 ORDER BY position";
pub(super) const COUNT: &str = "SELECT count(*) FROM quiets WHERE end_us >= ?1";
pub(super) const COUNT_OF_ONE: &str =
    "SELECT count(*) FROM quiets WHERE end_us >= ?1 AND actor = ?2";
/// What maintenance has to do now: 1 when it began, 2 when it is over.
pub(super) const TURNING: &str = "SELECT number, turns, end_us FROM quiets WHERE turns < 2 \
     AND from_us <= ?1 ORDER BY from_us, number";
pub(super) const CLASSES: &str =
    "SELECT incident, openings, class FROM quiet_classes WHERE quiet = ?1";
/// Those that were over before a moment.
pub(super) const OLD: &str = "DELETE FROM quiets WHERE end_us < ?1";
/// What belonged to those that are gone.
pub(super) const OLD_SCOPES: &str =
    "DELETE FROM quiet_scopes WHERE quiet NOT IN (SELECT number FROM quiets)";

pub(super) fn quiets(sql: &Connection, from: UtcMicros) -> rusqlite::Result<Vec<Quiet>> {
    let rows: Vec<Quiet> =
        sql.prepare_cached(QUIETS)?.query_map([from.0], quiet_row)?.collect::<Result<_, _>>()?;
    let mut scopes = sql.prepare_cached(SCOPES)?;
    let with_scopes = |mut quiet: Quiet| {
        let of = scopes.query_map([quiet.number.cast_signed()], scope_row)?;
        quiet.scopes = of.collect::<rusqlite::Result<_>>()?;
        Ok(quiet)
    };
    rows.into_iter().map(with_scopes).collect()
}

pub(super) fn add(
    sql: &Connection,
    new: &NewQuiet,
    by: &Act,
) -> rusqlite::Result<Result<Quiet, DeskRefusal>> {
    let from = new.from.max(by.at);
    if new.until <= from || new.until.since(by.at) > MAX_QUIET_US {
        return Ok(Err(DeskRefusal::QuietTimes));
    }
    let placeless = |scope: &QuietScope| !scope.is_place();
    let of_no_place = new.kind == QuietKind::Maintenance && new.scopes.iter().any(placeless);
    if !(1..=Quiet::MAX_SCOPES).contains(&new.scopes.len()) || of_no_place {
        return Ok(Err(DeskRefusal::QuietScopes));
    }
    for scope in &new.scopes {
        if !is_there(sql, scope)? {
            return Ok(Err(DeskRefusal::QuietPlace));
        }
    }
    let count: u32 = sql.prepare_cached(COUNT)?.query_row([by.at.0], |row| row.get(0))?;
    if count >= MAX_QUIETS {
        let what = "quiet times that are not over";
        return Ok(Err(DeskRefusal::TooMany { what, most: MAX_QUIETS }));
    }
    let of_one: u32 = sql
        .prepare_cached(COUNT_OF_ONE)?
        .query_row(params![by.at.0, by.actor.as_str()], |row| row.get(0))?;
    if of_one >= MAX_QUIETS_OF_ONE {
        let what = "quiet times of your own that are not over";
        return Ok(Err(DeskRefusal::TooMany { what, most: MAX_QUIETS_OF_ONE }));
    }
    put(sql, new, from, by).map(Ok)
}

fn put(sql: &Connection, new: &NewQuiet, from: UtcMicros, by: &Act) -> rusqlite::Result<Quiet> {
    // Nothing is noted at the begin of a silence.
    let turns = match new.kind {
        QuietKind::Silence => 2,
        QuietKind::Maintenance => 0,
    };
    sql.prepare_cached(
        "INSERT INTO quiets (kind, from_us, until_us, end_us, reason, actor, made_us, turns) \
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        new.kind.as_str(),
        from.0,
        new.until.0,
        new.reason.as_str(),
        by.actor.as_str(),
        by.at.0,
        turns,
    ])?;
    let number = sql.last_insert_rowid();
    let mut put = sql.prepare_cached("INSERT INTO quiet_scopes VALUES (?1, ?2, ?3, ?4)")?;
    for (position, scope) in (0_i64..).zip(&new.scopes) {
        put.execute(params![number, position, scope.as_str(), subject(scope)])?;
    }
    let action = match new.kind {
        QuietKind::Silence => AuditAction::Silenced,
        QuietKind::Maintenance => AuditAction::MaintenancePlanned,
    };
    let number = number.cast_unsigned();
    let hours = new.until.since(from) / (DAY_MICROS / 24);
    let detail = format!("scopes={} hours={hours}", new.scopes.len());
    audit::note(sql, by, action, AuditSubject::Quiet(number), &detail)?;
    Ok(Quiet {
        number,
        kind: new.kind,
        scopes: new.scopes.clone(),
        from,
        until: new.until,
        reason: new.reason.clone(),
        by: by.actor.as_str().to_owned(),
        made: by.at,
        ended: None,
    })
}

pub(super) fn end(
    sql: &Connection,
    number: u64,
    by: &Act,
) -> rusqlite::Result<Result<Quiet, DeskRefusal>> {
    let all = quiets(sql, UtcMicros(i64::MIN))?;
    let Some(mut quiet) = all.into_iter().find(|quiet| quiet.number == number) else {
        return Ok(Err(DeskRefusal::NoQuiet));
    };
    if quiet.ended.is_some() || quiet.until <= by.at {
        return Ok(Err(DeskRefusal::QuietOver));
    }
    quiet.ended = Some((by.at, by.actor.as_str().to_owned()));
    // What is called off before it began is over now.
    sql.prepare_cached(
        "UPDATE quiets SET ended_us = ?2, ended_by = ?3, end_us = ?2 WHERE number = ?1",
    )?
    .execute(params![number.cast_signed(), by.at.0, by.actor.as_str()])?;
    let action = match quiet.kind {
        QuietKind::Silence => AuditAction::SilenceEnded,
        QuietKind::Maintenance => AuditAction::MaintenanceEnded,
    };
    audit::note(sql, by, action, AuditSubject::Quiet(number), "")?;
    Ok(Ok(quiet))
}

/// Maintenance that began is given the classes of what is open and covered; of what is over it is told what
/// is of a higher class now.
pub(super) fn turn(sql: &Connection, now: UtcMicros) -> rusqlite::Result<Vec<Worsened>> {
    let turning: Vec<(i64, i64, i64)> = sql
        .prepare_cached(TURNING)?
        .query_map([now.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut worse = Vec::new();
    for (number, turns, end_us) in turning {
        let over = end_us <= now.0;
        match (turns, over) {
            (0, false) => begin(sql, number, now)?,
            (0, true) => {}
            (_, false) => continue,
            (_, true) => worse.extend(worsened(sql, number)?),
        }
        let turns = if over { 2 } else { 1 };
        sql.prepare_cached("UPDATE quiets SET turns = ?2 WHERE number = ?1")?
            .execute([number, turns])?;
    }
    Ok(worse)
}

/// Notes how bad what it covers is. What else covers it as well may end before.
fn begin(sql: &Connection, number: i64, now: UtcMicros) -> rusqlite::Result<()> {
    let overlay = desk::overlay(sql, now)?;
    let mut put =
        sql.prepare_cached("INSERT OR REPLACE INTO quiet_classes VALUES (?1, ?2, ?3, ?4)")?;
    for incident in incidents::incidents(sql, false)?.iter().filter(|one| one.is_open()) {
        let covers = overlay
            .cover(incident, now)
            .is_some_and(|cover| cover.quiets.contains(&number.cast_unsigned()));
        if covers {
            let class = SeverityClass::of(incident.severity).as_str();
            put.execute(params![number, incident.id.to_bytes(), incident.openings, class])?;
        }
    }
    Ok(())
}

fn worsened(sql: &Connection, number: i64) -> rusqlite::Result<Vec<Worsened>> {
    let classes: Vec<([u8; 16], u32, SeverityClass)> = sql
        .prepare_cached(CLASSES)?
        .query_map([number], |row| Ok((row.get(0)?, row.get(1)?, parsed(row, 2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut worse = Vec::new();
    for (id, openings, class) in classes {
        let id = IncidentId::from_u128(u128::from_be_bytes(id));
        let Some(incident) = incidents::incident(sql, id)? else { continue };
        if incident.openings == openings && got_worse(class, &incident) {
            worse.push(Worsened { incident: id, quiet: number.cast_unsigned() });
        }
    }
    sql.prepare_cached("DELETE FROM quiet_classes WHERE quiet = ?1")?.execute([number])?;
    Ok(worse)
}

fn is_there(sql: &Connection, scope: &QuietScope) -> rusqlite::Result<bool> {
    Ok(match scope {
        QuietScope::Everything | QuietScope::Cause(_) => true,
        QuietScope::Region(region) => {
            inventory::buildings(sql)?.iter().any(|building| building.region == region.as_str())
        }
        QuietScope::Building(id) => {
            inventory::buildings(sql)?.iter().any(|building| building.id == *id)
        }
        QuietScope::Subnet(id) => inventory::subnets(sql)?.iter().any(|subnet| subnet.id == *id),
        QuietScope::Incident(id) | QuietScope::IncidentIn(id, _) => {
            incidents::incident(sql, *id)?.is_some()
        }
    })
}

/// The bytes of an identity, a word or a name.
fn subject(scope: &QuietScope) -> Vec<u8> {
    match scope {
        QuietScope::Everything => Vec::new(),
        QuietScope::Region(region) => region.as_str().as_bytes().to_vec(),
        QuietScope::Building(id) => id.to_bytes().to_vec(),
        QuietScope::Subnet(id) => id.to_bytes().to_vec(),
        QuietScope::Incident(id) => id.to_bytes().to_vec(),
        QuietScope::IncidentIn(id, building) => [id.to_bytes(), building.to_bytes()].concat(),
        QuietScope::Cause(cause) => cause.as_str().as_bytes().to_vec(),
    }
}

fn scope_row(row: &Row<'_>) -> rusqlite::Result<QuietScope> {
    let bytes = row.get_ref(1)?.as_blob()?;
    let text = || std::str::from_utf8(bytes).map_err(unreadable);
    Ok(match row.get_ref(0)?.as_str()? {
        "everything" => QuietScope::Everything,
        "region" => QuietScope::Region(ShortRemark::new(text()?).map_err(unreadable)?),
        "building" => QuietScope::Building(BuildingId::from_slice(bytes).map_err(unreadable)?),
        "subnet" => QuietScope::Subnet(SubnetId::from_slice(bytes).map_err(unreadable)?),
        "incident" => QuietScope::Incident(IncidentId::from_slice(bytes).map_err(unreadable)?),
        "incident-in" => {
            let (incident, building) = bytes
                .split_at_checked(16)
                .ok_or_else(|| unreadable(bad("scope of a quiet time")))?;
            QuietScope::IncidentIn(
                IncidentId::from_slice(incident).map_err(unreadable)?,
                BuildingId::from_slice(building).map_err(unreadable)?,
            )
        }
        "cause" => QuietScope::Cause(text()?.parse::<Cause>().map_err(unreadable)?),
        _ => return Err(unreadable(bad("scope of a quiet time"))),
    })
}

/// Without its scopes.
fn quiet_row(row: &Row<'_>) -> rusqlite::Result<Quiet> {
    let ended: Option<i64> = row.get(7)?;
    let ended_by: Option<String> = row.get(8)?;
    Ok(Quiet {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        kind: parsed(row, 1)?,
        scopes: Vec::new(),
        from: UtcMicros(row.get(2)?),
        until: UtcMicros(row.get(3)?),
        reason: parsed::<Remark>(row, 4)?,
        by: row.get(5)?,
        made: UtcMicros(row.get(6)?),
        ended: ended.map(UtcMicros).zip(ended_by),
    })
}
