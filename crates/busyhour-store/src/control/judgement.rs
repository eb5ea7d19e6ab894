//! Verdicts and incidents.

use busyhour_model::{
    AgentId, BuildingId, DaySummary, Incident, IncidentId, IncidentState, LinkKind, PathId, Scope,
    SubnetId, UtcMicros,
};
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{id, parsed};
use crate::codec::{bad, decode_day, decode_incident, encode_day, encode_incident};
use crate::sqlite::unreadable;
use crate::{IncidentEvent, JudgeWrite};

pub(super) const DAYS: &str = "SELECT date, scope, subject, link, building, verdict, masked, \
     figures FROM days WHERE date >= ?1 AND date <= ?2";
pub(super) const DAYS_OF_BUILDING: &str = "SELECT date, scope, subject, link, building, verdict, masked, figures FROM days \
     WHERE building = ?3 AND date >= ?1 AND date <= ?2";
pub(super) const INCIDENTS: &str = "SELECT id, scope, subject, scope_link, building, state, opened_us, closed_us, figures \
     FROM incidents ORDER BY opened_us DESC, id DESC";
pub(super) const OPEN_INCIDENTS: &str = "SELECT id, scope, subject, scope_link, building, state, opened_us, closed_us, figures \
     FROM incidents WHERE state <> 'closed' ORDER BY opened_us DESC, id DESC";
pub(super) const INCIDENT: &str = "SELECT id, scope, subject, scope_link, building, state, opened_us, closed_us, figures \
     FROM incidents WHERE id = ?1";

pub(super) fn write(sql: &Connection, write: &JudgeWrite, now: UtcMicros) -> rusqlite::Result<()> {
    let mut put_day =
        sql.prepare_cached("INSERT OR REPLACE INTO days VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for day in &write.days {
        let (scope, subject, link) = scope_columns(day.scope);
        put_day.execute(params![
            day.date.to_string(),
            scope,
            subject,
            link,
            day.building.to_bytes(),
            day.verdict.as_str(),
            day.masked,
            encode_day(day),
        ])?;
    }
    for incident in &write.incidents {
        put_incident(sql, incident)?;
    }
    let mut tell = sql.prepare_cached(
        "INSERT INTO events (incident, times_opened, event, created_us, routed) \
         SELECT id, times_opened, ?2, ?3, 0 FROM incidents WHERE id = ?1 ON CONFLICT DO NOTHING",
    )?;
    for &(incident, event) in &write.tell {
        tell.execute(params![incident.to_bytes(), event_word(event), now.0])?;
    }
    Ok(())
}

/// Writes an incident; one that was closed and no longer is counts as opened once more.
fn put_incident(sql: &Connection, incident: &Incident) -> rusqlite::Result<()> {
    let (scope, subject, link) = scope_columns(incident.scope);
    sql.prepare_cached(
        "INSERT INTO incidents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9) \
         ON CONFLICT (id) DO UPDATE SET times_opened = times_opened + \
         (state = 'closed' AND excluded.state <> 'closed'), scope = excluded.scope, \
         subject = excluded.subject, scope_link = excluded.scope_link, \
         building = excluded.building, state = excluded.state, opened_us = excluded.opened_us, \
         closed_us = excluded.closed_us, figures = excluded.figures",
    )?
    .execute(params![
        incident.id.to_bytes(),
        scope,
        subject,
        link,
        incident.building.to_bytes(),
        incident.state.as_str(),
        incident.opened.0,
        incident.closed.map(|at| at.0),
        encode_incident(incident),
    ])?;
    Ok(())
}

pub(super) fn days(
    sql: &Connection,
    building: Option<BuildingId>,
    from: Date,
    until: Date,
) -> rusqlite::Result<Vec<DaySummary>> {
    let (from, until) = (from.to_string(), until.to_string());
    let mut days = match building {
        Some(building) => sql
            .prepare_cached(DAYS_OF_BUILDING)?
            .query_map(params![from, until, building.to_bytes()], day)?
            .collect::<rusqlite::Result<Vec<_>>>()?,
        None => sql
            .prepare_cached(DAYS)?
            .query_map(params![from, until], day)?
            .collect::<rusqlite::Result<Vec<_>>>()?,
    };
    days.sort_unstable_by_key(|day| (day.date, day.scope));
    Ok(days)
}

fn day(row: &Row<'_>) -> rusqlite::Result<DaySummary> {
    let date: Date = parsed(row, 0)?;
    let scope = scope(row, 1)?;
    let building = id(row, 4, BuildingId::from_u128)?;
    let figures = row.get_ref(7)?.as_blob()?;
    decode_day(figures, (scope, building, date), parsed(row, 5)?, row.get(6)?).map_err(unreadable)
}

pub(super) fn incidents(sql: &Connection, include_closed: bool) -> rusqlite::Result<Vec<Incident>> {
    let statement = if include_closed { INCIDENTS } else { OPEN_INCIDENTS };
    sql.prepare_cached(statement)?.query_map([], incident_row)?.collect()
}

pub(super) fn incident(
    sql: &Connection,
    incident: IncidentId,
) -> rusqlite::Result<Option<Incident>> {
    sql.prepare_cached(INCIDENT)?.query_row([incident.to_bytes()], incident_row).optional()
}

fn incident_row(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let identity = id(row, 0, IncidentId::from_u128)?;
    let about = (scope(row, 1)?, id(row, 4, BuildingId::from_u128)?);
    let state: IncidentState = parsed(row, 5)?;
    let opened = UtcMicros(row.get(6)?);
    let closed = row.get::<_, Option<i64>>(7)?.map(UtcMicros);
    let figures = row.get_ref(8)?.as_blob()?;
    decode_incident(figures, identity, about, state, (opened, closed)).map_err(unreadable)
}

pub(super) const fn event_word(event: IncidentEvent) -> &'static str {
    match event {
        IncidentEvent::Opened => "opened",
        IncidentEvent::Closed => "closed",
    }
}

pub(super) fn event_of(word: &str) -> rusqlite::Result<IncidentEvent> {
    match word {
        "opened" => Ok(IncidentEvent::Opened),
        "closed" => Ok(IncidentEvent::Closed),
        _ => Err(unreadable(bad("incident event"))),
    }
}

/// A scope as three columns: kind, subject, link.
fn scope_columns(scope: Scope) -> (&'static str, Vec<u8>, &'static str) {
    match scope {
        Scope::Path(path) => ("path", path.0.to_be_bytes().to_vec(), ""),
        Scope::Agent(agent, link) => ("agent", agent.to_bytes().to_vec(), link.as_str()),
        Scope::Subnet(subnet, link) => ("subnet", subnet.to_bytes().to_vec(), link.as_str()),
        Scope::Building(building) => ("building", building.to_bytes().to_vec(), ""),
    }
}

/// Reads the three columns of a scope, beginning at `at`.
fn scope(row: &Row<'_>, at: usize) -> rusqlite::Result<Scope> {
    let link = || parsed::<LinkKind>(row, at + 2);
    match row.get_ref(at)?.as_str()? {
        "path" => Ok(Scope::Path(PathId(i64::from_be_bytes(row.get(at + 1)?)))),
        "agent" => Ok(Scope::Agent(id(row, at + 1, AgentId::from_u128)?, link()?)),
        "subnet" => Ok(Scope::Subnet(id(row, at + 1, SubnetId::from_u128)?, link()?)),
        "building" => Ok(Scope::Building(id(row, at + 1, BuildingId::from_u128)?)),
        _ => Err(unreadable(bad("scope"))),
    }
}
