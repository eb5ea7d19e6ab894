//! Incidents, and what is to be told of them.

use busyhour_model::{
    AgentId, BuildingId, Incident, IncidentId, IncidentMember, IncidentPlace, LinkKind, PathId,
    SubnetId, TargetName, UtcMicros,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{id, parsed};
use crate::IncidentEvent;
use crate::codec::{
    IncidentColumns, bad, decode_incident, decode_members, encode_incident, encode_members,
};
use crate::sqlite::unreadable;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, number, kind, state, building, place, subject, link, noted_us, opened_us, \
             closed_us, openings, members, figures FROM incidents ",
            $rest
        )
    };
}

pub(super) const ALL: &str = select!("ORDER BY since_us DESC, number DESC");
pub(super) const NOT_CLOSED: &str =
    select!("WHERE state <> 'closed' ORDER BY since_us DESC, number DESC");
pub(super) const CLOSED_SINCE: &str = select!("WHERE state = 'closed' AND closed_us >= ?1");
pub(super) const ONE: &str = select!("WHERE id = ?1");
/// Those whose place is one agent.
pub(super) const OF_AGENT: &str = select!("WHERE place = 'agent' AND subject = ?1");
/// Reads neither words nor figures of those that do not have a path.
pub(super) const MEMBERS: &str = "SELECT id, members FROM incidents";
pub(super) const LAST_NUMBER: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'incidents'";

/// Writes an incident.
pub(super) fn put(sql: &Connection, incident: &Incident) -> rusqlite::Result<()> {
    // A number is another's or it stays: the row that was not found is not added then.
    if !execute(sql, UPDATE, incident)? {
        execute(sql, INSERT, incident)?;
    }
    Ok(())
}

const UPDATE: &str = "UPDATE incidents SET kind = ?3, state = ?4, building = ?5, place = ?6, \
     subject = ?7, link = ?8, since_us = ?9, noted_us = ?10, opened_us = ?11, closed_us = ?12, \
     openings = ?13, members = ?14, figures = ?15 WHERE id = ?2 AND number = ?1";
const INSERT: &str = "INSERT INTO incidents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
     ?12, ?13, ?14, ?15)";

/// True when a row changed.
fn execute(sql: &Connection, statement: &str, incident: &Incident) -> rusqlite::Result<bool> {
    let number = i64::try_from(incident.number)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let link = incident.link().map_or("", |link| link.as_str());
    let changed = sql.prepare_cached(statement)?.execute(params![
        number,
        incident.id.to_bytes(),
        incident.kind.as_str(),
        incident.state.as_str(),
        incident.building.to_bytes(),
        incident.place.kind(),
        subject(&incident.place),
        link,
        incident.since().0,
        incident.noted.0,
        incident.opened.map(|at| at.0),
        incident.closed.map(|at| at.0),
        incident.openings,
        encode_members(&incident.members),
        encode_incident(incident),
    ])?;
    Ok(changed != 0)
}

/// Notes what is to be told; nothing of what was left out, and nothing twice of one opening.
pub(super) fn tell(
    sql: &Connection,
    told: &[(IncidentId, IncidentEvent)],
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let mut tell = sql.prepare_cached(
        "INSERT INTO events (incident, openings, event, detail, created_us, fate, look_us) \
         SELECT id, openings, ?2, '', ?3, 'untold', ?3 FROM incidents WHERE id = ?1 \
         ON CONFLICT DO NOTHING",
    )?;
    for &(incident, event) in told {
        tell.execute(params![incident.to_bytes(), event_word(event), now.0])?;
    }
    Ok(())
}

pub(super) fn incidents(sql: &Connection, include_closed: bool) -> rusqlite::Result<Vec<Incident>> {
    let statement = if include_closed { ALL } else { NOT_CLOSED };
    sql.prepare_cached(statement)?.query_map([], incident_row)?.collect()
}

/// Those not closed and those closed at a moment or later, newest first.
pub(super) fn recent(sql: &Connection, closed_from: UtcMicros) -> rusqlite::Result<Vec<Incident>> {
    let mut recent = incidents(sql, false)?;
    let mut closed = sql.prepare_cached(CLOSED_SINCE)?;
    for incident in closed.query_map([closed_from.0], incident_row)? {
        recent.push(incident?);
    }
    recent.sort_unstable_by_key(|one| std::cmp::Reverse((one.since(), one.number)));
    Ok(recent)
}

pub(super) fn incident(
    sql: &Connection,
    incident: IncidentId,
) -> rusqlite::Result<Option<Incident>> {
    sql.prepare_cached(ONE)?.query_row([incident.to_bytes()], incident_row).optional()
}

pub(super) fn of_agent(sql: &Connection, agent: AgentId) -> rusqlite::Result<Vec<Incident>> {
    sql.prepare_cached(OF_AGENT)?.query_map([agent.to_bytes()], incident_row)?.collect()
}

/// Those that any of `paths` (ascending) suffers from.
pub(super) fn of_paths(sql: &Connection, paths: &[PathId]) -> rusqlite::Result<Vec<Incident>> {
    let mut all = sql.prepare_cached(MEMBERS)?;
    let mut rows = all.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let members = members(row, 1)?;
        if members.iter().any(|member| paths.binary_search(&member.path).is_ok()) {
            found.extend(incident(sql, id(row, 0, IncidentId::from_u128)?)?);
        }
    }
    Ok(found)
}

/// The highest number that was ever given; it outlives its incident.
pub(super) fn last_number(sql: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> =
        sql.prepare_cached(LAST_NUMBER)?.query_row([], |row| row.get(0)).optional()?;
    Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
}

/// Decodes every incident; how many there are.
pub(super) fn check(sql: &Connection) -> rusqlite::Result<u64> {
    let mut all = sql.prepare(ALL)?;
    all.query_map([], incident_row)?.try_fold(0, |count, incident| incident.map(|_| count + 1))
}

fn incident_row(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let moment = |at: usize| row.get::<_, Option<i64>>(at).map(|moment| moment.map(UtcMicros));
    let number: i64 = row.get(1)?;
    let columns = IncidentColumns {
        id: id(row, 0, IncidentId::from_u128)?,
        number: number.try_into().map_err(|_| unreadable(bad("number of an incident")))?,
        kind: parsed(row, 2)?,
        state: parsed(row, 3)?,
        building: id(row, 4, BuildingId::from_u128)?,
        place: place(row, 5)?,
        noted: UtcMicros(row.get(8)?),
        opened: moment(9)?,
        closed: moment(10)?,
        openings: row.get(11)?,
    };
    let figures = row.get_ref(13)?.as_blob()?;
    decode_incident(figures, columns, members(row, 12)?).map_err(unreadable)
}

fn members(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<IncidentMember>> {
    decode_members(row.get_ref(at)?.as_blob()?).map_err(unreadable)
}

/// What a place is the place of: the bytes of a name or of an identity.
fn subject(place: &IncidentPlace) -> Vec<u8> {
    match place {
        IncidentPlace::Upstream(name) | IncidentPlace::Vpn(name) => name.as_bytes().to_vec(),
        IncidentPlace::Target(name) => name.as_str().as_bytes().to_vec(),
        IncidentPlace::Building(id) | IncidentPlace::Link(id, _) | IncidentPlace::Unplaced(id) => {
            id.to_bytes().to_vec()
        }
        IncidentPlace::Subnet(id, _) => id.to_bytes().to_vec(),
        IncidentPlace::Agent(id) => id.to_bytes().to_vec(),
    }
}

/// Reads the three columns of a place, beginning at `at`.
fn place(row: &Row<'_>, at: usize) -> rusqlite::Result<IncidentPlace> {
    let name = || {
        let bytes: Vec<u8> = row.get(at + 1)?;
        String::from_utf8(bytes).map_err(unreadable)
    };
    let building = || id(row, at + 1, BuildingId::from_u128);
    let link = || -> rusqlite::Result<Option<LinkKind>> {
        let none = row.get_ref(at + 2)?.as_str()?.is_empty();
        if none { Ok(None) } else { parsed(row, at + 2).map(Some) }
    };
    Ok(match row.get_ref(at)?.as_str()? {
        "upstream" => IncidentPlace::Upstream(name()?),
        "vpn" => IncidentPlace::Vpn(name()?),
        "target" => IncidentPlace::Target(TargetName::new(name()?).map_err(unreadable)?),
        "building" => IncidentPlace::Building(building()?),
        "link" => IncidentPlace::Link(building()?, parsed(row, at + 2)?),
        "subnet" => IncidentPlace::Subnet(id(row, at + 1, SubnetId::from_u128)?, link()?),
        "agent" => IncidentPlace::Agent(id(row, at + 1, AgentId::from_u128)?),
        "unplaced" => IncidentPlace::Unplaced(building()?),
        _ => return Err(unreadable(bad("place of an incident"))),
    })
}

const fn event_word(event: IncidentEvent) -> &'static str {
    match event {
        IncidentEvent::Opened => "opened",
        IncidentEvent::Worse => "worse",
        IncidentEvent::Closed => "closed",
        IncidentEvent::Merged => "merged",
        IncidentEvent::Acknowledged => "acknowledged",
    }
}

pub(super) fn event_of(word: &str) -> rusqlite::Result<IncidentEvent> {
    match word {
        "opened" => Ok(IncidentEvent::Opened),
        "worse" => Ok(IncidentEvent::Worse),
        "closed" => Ok(IncidentEvent::Closed),
        "merged" => Ok(IncidentEvent::Merged),
        "acknowledged" => Ok(IncidentEvent::Acknowledged),
        _ => Err(unreadable(bad("incident event"))),
    }
}
