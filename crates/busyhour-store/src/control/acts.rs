//! Acts on incidents: added, never changed, gone with their incident.

use busyhour_model::desk::{Deed, IncidentAct, Overlay, Owner, Places, Remark, ShortRemark};
use busyhour_model::{Incident, IncidentId, IncidentState, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{audit, id, incidents, parsed, parsed_option};
use crate::codec::bad;
use crate::sqlite::unreadable;
use crate::{Act, AuditAction, AuditSubject, DeskRefusal};

/// The most acts on one incident, but for those that take one back: each of them needs the other.
const MAX_ACTS: u32 = 1_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, incident, openings, at_us, actor, act, remark, name, contact, other, \
             other_number FROM acts ",
            $rest
        )
    };
}

pub(super) const OF_INCIDENT: &str = select!("WHERE incident = ?1 ORDER BY number");
/// What is only said changes nothing.
pub(super) const STANDING: &str = select!("WHERE act <> 'note' ORDER BY number");
pub(super) const COUNT: &str = "SELECT count(*) FROM acts WHERE incident = ?1";
/// The last word on what an incident is part of.
pub(super) const MERGED: &str = "SELECT other FROM acts \
     WHERE incident = ?1 AND act IN ('merge', 'split') ORDER BY number DESC LIMIT 1";
pub(super) const OWNED: &str = "SELECT name FROM acts \
     WHERE incident = ?1 AND act IN ('own', 'disown') ORDER BY number DESC LIMIT 1";
pub(super) const ACKNOWLEDGED: &str = "SELECT act, openings FROM acts WHERE incident = ?1 \
     AND act IN ('acknowledge', 'unacknowledge') ORDER BY number DESC LIMIT 1";

type Refused<T> = rusqlite::Result<Result<T, DeskRefusal>>;

/// Adds an act, if it can be done now.
pub(super) fn act(
    sql: &Connection,
    incident: IncidentId,
    deed: &Deed,
    by: &Act,
) -> Refused<IncidentAct> {
    let Some(found) = incidents::incident(sql, incident)? else {
        return Ok(Err(DeskRefusal::NoIncident));
    };
    let count: u32 =
        sql.prepare_cached(COUNT)?.query_row([incident.to_bytes()], |row| row.get(0))?;
    if count >= MAX_ACTS && !takes_back(deed) {
        return Ok(Err(DeskRefusal::TooMany { what: "acts on this incident", most: MAX_ACTS }));
    }
    let deed = match possible(sql, &found, deed)? {
        Ok(deed) => deed,
        Err(refusal) => return Ok(Err(refusal)),
    };
    add(sql, &found, deed, by).map(Ok)
}

/// True for what is only done after its counterpart, so that it needs no bound of its own.
const fn takes_back(deed: &Deed) -> bool {
    match deed {
        Deed::Unacknowledge | Deed::Disown | Deed::Split => true,
        Deed::Note(_) | Deed::Acknowledge(_) | Deed::Own(_) | Deed::Merge { .. } => false,
    }
}

/// The deed with what the store knows of it, or why it cannot be done.
fn possible(sql: &Connection, incident: &Incident, deed: &Deed) -> Refused<Deed> {
    let bytes = incident.id.to_bytes();
    let refusal = match deed {
        Deed::Note(_) | Deed::Own(_) => None,
        Deed::Acknowledge(_) => (!incident.is_open()).then_some(DeskRefusal::NotOpen),
        Deed::Unacknowledge => {
            let last: Option<(String, u32)> = sql
                .prepare_cached(ACKNOWLEDGED)?
                .query_row([bytes], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let stands = last.is_some_and(|(act, openings)| {
                act == "acknowledge" && openings == incident.openings && incident.is_open()
            });
            (!stands).then_some(DeskRefusal::NotAcknowledged)
        }
        Deed::Disown => {
            let owner: Option<Option<String>> =
                sql.prepare_cached(OWNED)?.query_row([bytes], |row| row.get(0)).optional()?;
            owner.flatten().is_none().then_some(DeskRefusal::NotOwned)
        }
        Deed::Split => merged(sql, incident.id)?.is_none().then_some(DeskRefusal::NotMerged),
        Deed::Merge { into, reason, .. } => {
            let whole = match into_whole(sql, incident, *into)? {
                Ok(whole) => whole,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (into, into_number, reason) = (whole.id, whole.number, reason.clone());
            return Ok(Ok(Deed::Merge { into, into_number, reason }));
        }
    };
    Ok(refusal.map_or_else(|| Ok(deed.clone()), Err))
}

/// The incident to merge into, if that can be.
fn into_whole(sql: &Connection, part: &Incident, into: IncidentId) -> Refused<Incident> {
    if into == part.id {
        return Ok(Err(DeskRefusal::IntoItself));
    }
    let Some(whole) = incidents::incident(sql, into)? else {
        return Ok(Err(DeskRefusal::IntoNone));
    };
    if [part.state, whole.state].contains(&IncidentState::Closed) {
        return Ok(Err(DeskRefusal::MergeClosed));
    }
    if merged(sql, part.id)?.is_some() {
        return Ok(Err(DeskRefusal::Merged));
    }
    let mut next = merged(sql, whole.id)?;
    for _ in merges_below(sql, part.id)?..Overlay::MAX_MERGES {
        let Some(one) = next else { return Ok(Ok(whole)) };
        if one == part.id {
            return Ok(Err(DeskRefusal::IntoPart));
        }
        next = merged(sql, one)?;
    }
    let most = u32::try_from(Overlay::MAX_MERGES).unwrap_or(u32::MAX);
    Ok(Err(DeskRefusal::TooMany { what: "merges in a row", most }))
}

/// The most merges in a row that lead to an incident.
fn merges_below(sql: &Connection, whole: IncidentId) -> rusqlite::Result<usize> {
    let overlay = Overlay::new(&standing(sql)?, Vec::new(), Vec::new(), Places::default());
    let merges = |part: &IncidentId| {
        overlay.wholes(*part).position(|id| id == whole).map_or(0, |before| before + 1)
    };
    Ok(overlay.parts_of(whole).iter().map(merges).max().unwrap_or(0))
}

/// What an incident is part of by hand.
fn merged(sql: &Connection, incident: IncidentId) -> rusqlite::Result<Option<IncidentId>> {
    let other: Option<Option<[u8; 16]>> = sql
        .prepare_cached(MERGED)?
        .query_row([incident.to_bytes()], |row| row.get(0))
        .optional()?;
    Ok(other.flatten().map(|bytes| IncidentId::from_u128(u128::from_be_bytes(bytes))))
}

fn add(
    sql: &Connection,
    incident: &Incident,
    deed: Deed,
    by: &Act,
) -> rusqlite::Result<IncidentAct> {
    let owner = match &deed {
        Deed::Own(owner) => Some(owner),
        _ => None,
    };
    let other = match &deed {
        Deed::Merge { into, into_number, .. } => Some((into.to_bytes(), into_number)),
        _ => None,
    };
    sql.prepare_cached(
        "INSERT INTO acts (incident, openings, at_us, actor, act, remark, name, contact, other, \
         other_number) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        incident.id.to_bytes(),
        incident.openings,
        by.at.0,
        by.actor.as_str(),
        deed.as_str(),
        deed.remark().map(Remark::as_str),
        owner.map(|owner| owner.name.as_str()),
        owner.and_then(|owner| owner.contact.as_ref()).map(ShortRemark::as_str),
        other.map(|(bytes, _)| bytes),
        other.map(|(_, number)| number.cast_signed()),
    ])?;
    let number = sql.last_insert_rowid();
    if let Deed::Acknowledge(_) = deed {
        // Where machines call people, they stop when somebody has seen it.
        sql.prepare_cached(
            "INSERT INTO events (incident, openings, event, detail, created_us, fate, look_us) \
             VALUES (?1, ?2, 'acknowledged', ?3, ?4, 'untold', ?4)",
        )?
        .execute(params![incident.id.to_bytes(), incident.openings, number, by.at.0])?;
    }
    let detail = match &deed {
        Deed::Merge { into_number, .. } => format!("act={number} into={into_number}"),
        _ => format!("act={number}"),
    };
    audit::note(sql, by, action(&deed), AuditSubject::Incident(incident.number), &detail)?;
    Ok(IncidentAct {
        number: number.cast_unsigned(),
        incident: incident.id,
        openings: incident.openings,
        at: by.at,
        by: by.actor.as_str().to_owned(),
        deed,
    })
}

const fn action(deed: &Deed) -> AuditAction {
    match deed {
        Deed::Note(_) => AuditAction::IncidentNoted,
        Deed::Acknowledge(_) => AuditAction::IncidentAcknowledged,
        Deed::Unacknowledge => AuditAction::IncidentUnacknowledged,
        Deed::Own(_) => AuditAction::IncidentOwned,
        Deed::Disown => AuditAction::IncidentDisowned,
        Deed::Merge { .. } => AuditAction::IncidentMerged,
        Deed::Split => AuditAction::IncidentSplit,
    }
}

pub(super) fn of_incident(
    sql: &Connection,
    incident: IncidentId,
) -> rusqlite::Result<Vec<IncidentAct>> {
    sql.prepare_cached(OF_INCIDENT)?.query_map([incident.to_bytes()], act_row)?.collect()
}

/// All acts but notes, oldest first.
pub(super) fn standing(sql: &Connection) -> rusqlite::Result<Vec<IncidentAct>> {
    sql.prepare_cached(STANDING)?.query_map([], act_row)?.collect()
}

fn act_row(row: &Row<'_>) -> rusqlite::Result<IncidentAct> {
    let missing = || unreadable(bad("act on an incident"));
    let remark = || parsed_option::<Remark>(row, 6)?.ok_or_else(missing);
    let deed = match row.get_ref(5)?.as_str()? {
        "note" => Deed::Note(remark()?),
        "acknowledge" => Deed::Acknowledge(remark()?),
        "unacknowledge" => Deed::Unacknowledge,
        "own" => Deed::Own(Owner { name: parsed(row, 7)?, contact: parsed_option(row, 8)? }),
        "disown" => Deed::Disown,
        "merge" => Deed::Merge {
            into: id(row, 9, IncidentId::from_u128)?,
            into_number: row.get::<_, i64>(10)?.cast_unsigned(),
            reason: remark()?,
        },
        "split" => Deed::Split,
        _ => return Err(missing()),
    };
    Ok(IncidentAct {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        incident: id(row, 1, IncidentId::from_u128)?,
        openings: row.get(2)?,
        at: UtcMicros(row.get(3)?),
        by: row.get(4)?,
        deed,
    })
}
