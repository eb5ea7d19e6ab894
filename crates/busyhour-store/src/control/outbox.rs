//! The outbox: each event once on each channel.

use busyhour_model::{BuildingId, Incident, IncidentId, IncidentPlace, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::incidents::{event_of, incident};
use super::{id, parsed};
use crate::codec::bad;
use crate::sqlite::{row_limit, unreadable};
use crate::{Delivery, DeliveryOutcome, DeliveryTotals};

pub(super) const UNTOLD: &str = "SELECT id FROM events WHERE routed = 0 ORDER BY id";
pub(super) const PENDING: &str = "SELECT count(*) FROM deliveries WHERE state = 'pending'";
pub(super) const BUILDING_NAME: &str =
    "SELECT name FROM buildings WHERE id = ?1 ORDER BY valid_from_us DESC LIMIT 1";
pub(super) const SUBNET_NAME: &str = "SELECT network_name, prefix FROM subnets WHERE id = ?1 \
     ORDER BY valid_from_us DESC LIMIT 1";
pub(super) const AGENT_NAME: &str = "SELECT name FROM agents WHERE id = ?1";
pub(super) const DUE: &str = "SELECT d.id, d.channel, d.attempts, e.incident, e.event, e.created_us \
     FROM deliveries d JOIN events e ON e.id = d.event \
     WHERE d.state = 'pending' AND d.due_us <= ?1 ORDER BY d.id LIMIT ?2";

/// Puts untold events on every channel. Without channels they wait.
pub(super) fn route(sql: &Connection, channels: &[String], now: UtcMicros) -> rusqlite::Result<()> {
    if channels.is_empty() {
        return Ok(());
    }
    let untold: Vec<i64> =
        sql.prepare_cached(UNTOLD)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut put = sql.prepare_cached(
        "INSERT INTO deliveries (event, channel, state, due_us, attempts) \
         VALUES (?1, ?2, 'pending', ?3, 0) ON CONFLICT DO NOTHING",
    )?;
    let mut done = sql.prepare_cached("UPDATE events SET routed = 1 WHERE id = ?1")?;
    for event in untold {
        for channel in channels {
            put.execute(params![event, channel, now.0])?;
        }
        done.execute([event])?;
    }
    Ok(())
}

pub(super) fn due(
    sql: &Connection,
    now: UtcMicros,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    let mut statement = sql.prepare_cached(DUE)?;
    let mut rows = statement.query(params![now.0, row_limit(limit)])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(incident) = incident(sql, id(row, 3, IncidentId::from_u128)?)? else {
            return Err(unreadable(bad("incident of an event")));
        };
        due.push(Delivery {
            id: row.get(0)?,
            channel: row.get(1)?,
            event: event_of(row.get_ref(4)?.as_str()?)?,
            building: building_name(sql, incident.building)?,
            buildings: building_names(sql, &incident)?,
            subnet: subnet_name(sql, &incident)?,
            agent: agent_name(sql, &incident)?,
            incident,
            created: UtcMicros(row.get(5)?),
            attempts: row.get(2)?,
        });
    }
    Ok(due)
}

/// A building's latest name; it may have ended since.
fn building_name(sql: &Connection, building: BuildingId) -> rusqlite::Result<String> {
    let name: Option<String> = sql
        .prepare_cached(BUILDING_NAME)?
        .query_row([building.to_bytes()], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_else(|| building.to_string()))
}

/// The names of the buildings that suffer, in order.
fn building_names(sql: &Connection, incident: &Incident) -> rusqlite::Result<Vec<String>> {
    let names = incident.buildings().into_iter().map(|building| building_name(sql, building));
    let mut names = names.collect::<rusqlite::Result<Vec<String>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The subnet's latest network name and prefix, where the place is a subnet.
fn subnet_name(sql: &Connection, incident: &Incident) -> rusqlite::Result<Option<String>> {
    let Some(subnet) = incident.subnet() else { return Ok(None) };
    sql.prepare_cached(SUBNET_NAME)?
        .query_row([subnet.to_bytes()], |row| {
            let (name, prefix): (String, ipnet::IpNet) = (row.get(0)?, parsed(row, 1)?);
            Ok(if name.is_empty() { prefix.to_string() } else { format!("{name} ({prefix})") })
        })
        .optional()
}

/// The agent's name, where the place is an agent.
fn agent_name(sql: &Connection, incident: &Incident) -> rusqlite::Result<Option<String>> {
    let IncidentPlace::Agent(agent) = incident.place else { return Ok(None) };
    sql.prepare_cached(AGENT_NAME)?.query_row([agent.to_bytes()], |row| row.get(0)).optional()
}

/// Notes what became of an attempt; of one that is finished nothing changes.
pub(super) fn delivered(
    sql: &Connection,
    delivery: i64,
    outcome: &DeliveryOutcome,
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let (state, due, detail) = match outcome {
        DeliveryOutcome::Sent => ("sent", None, None),
        DeliveryOutcome::Retry { at, error } => ("pending", Some(at.0), Some(error)),
        DeliveryOutcome::Withheld { reason } => ("withheld", None, Some(reason)),
    };
    let changed = sql
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, due_us = coalesce(?3, due_us), detail = ?4, \
         attempts = attempts + 1, finished_us = iif(?3 IS NULL, ?5, NULL) \
         WHERE id = ?1 AND state = 'pending'",
        )?
        .execute(params![delivery, state, due, detail, now.0])?;
    sql.prepare_cached("UPDATE delivery_counts SET deliveries = deliveries + ?2 WHERE state = ?1")?
        .execute(params![state, i64::from(changed != 0)])?;
    Ok(())
}

pub(super) fn totals(sql: &Connection) -> rusqlite::Result<DeliveryTotals> {
    let count = |statement: &str| {
        let count: i64 = sql.prepare_cached(statement)?.query_row([], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(u64::try_from(count).unwrap_or(0))
    };
    Ok(DeliveryTotals {
        // What is not yet on a channel waits too.
        pending: count(PENDING)? + count("SELECT count(*) FROM events WHERE routed = 0")?,
        sent: count("SELECT deliveries FROM delivery_counts WHERE state = 'sent'")?,
        withheld: count("SELECT deliveries FROM delivery_counts WHERE state = 'withheld'")?,
    })
}
