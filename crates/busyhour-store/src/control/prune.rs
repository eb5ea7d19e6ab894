//! Retention: each kind of data goes after its own time.

use busyhour_model::{AgentId, UtcMicros};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, params};

use super::{audit, configuration, id, incidents, names, quiet, tasks, tokens};
use crate::sqlite::{DAY_MICROS, days_before};
use crate::{ControlPruned, ControlRetention};

/// Steps from date to date along the key: verdicts of buildings stay longer and are not read.
pub(super) const PATH_VERDICTS: &str = "DELETE FROM days WHERE scope IN ('agent', 'path') AND date IN ( \
     WITH RECURSIVE dates (date) AS (SELECT min(date) FROM days UNION ALL \
     SELECT (SELECT min(d.date) FROM days d WHERE d.date > dates.date) FROM dates \
     WHERE dates.date < ?1) SELECT date FROM dates WHERE date < ?1)";
pub(super) const VERDICTS: &str = "DELETE FROM days WHERE date < ?1";
pub(super) const LOADS: &str = "DELETE FROM building_loads WHERE date < ?1";
pub(super) const MONTHS: &str = "DELETE FROM series_months WHERE month < ?1";
pub(super) const SIGHTINGS: &str = "UPDATE agents SET local_prefix = NULL, peer = NULL \
     WHERE seen_us < ?1 AND (local_prefix IS NOT NULL OR peer IS NOT NULL)";
/// Where the opening of what is still open was told is kept, and of what is over until its end was told there.
pub(super) const DELIVERIES: &str = "DELETE FROM deliveries WHERE finished_us < ?1 AND NOT EXISTS ( \
     SELECT 1 FROM events e JOIN incidents i ON i.id = e.incident AND i.openings = e.openings \
     WHERE e.id = deliveries.event AND e.event IN ('opened', 'worse') AND (i.state <> 'closed' \
       OR EXISTS (SELECT 1 FROM events c WHERE c.incident = e.incident \
         AND c.openings = e.openings AND c.event IN ('closed', 'merged') AND (c.fate = 'untold' OR EXISTS ( \
           SELECT 1 FROM deliveries p WHERE p.event = c.id AND p.state = 'pending')))))";
/// Events of no incident, when nothing is known of their deliveries any more.
pub(super) const EVENTS: &str = "DELETE FROM events WHERE incident IS NULL AND created_us < ?1 \
     AND id NOT IN (SELECT event FROM deliveries)";
pub(super) const INCIDENTS: &str =
    "SELECT id FROM incidents WHERE state = 'closed' AND closed_us < ?1";
pub(super) const BUILDINGS: &str = "DELETE FROM buildings WHERE valid_until_us < ?1";
pub(super) const SUBNETS: &str = "DELETE FROM subnets WHERE valid_until_us < ?1";
const WEEKS: &str = "DELETE FROM working_weeks WHERE building NOT IN (SELECT id FROM buildings)";
pub(super) const DELIVERIES_OF_INCIDENT: &str =
    "DELETE FROM deliveries WHERE event IN (SELECT id FROM events WHERE incident = ?1)";

pub(super) const NAME_IS_FREE: &str =
    "SELECT NOT EXISTS (SELECT 1 FROM agents WHERE name = ?1 AND removed_us IS NULL)";

/// Months are compared with those of two years.
const MONTHS_KEPT_DAYS: u32 = 25 * 31;

pub(super) fn prune(
    sql: &Connection,
    now: UtcMicros,
    retention: &ControlRetention,
) -> rusqlite::Result<ControlPruned> {
    let from = |days| days_before(now, days).0;
    let delete = |statement: &str, days: u32| -> rusqlite::Result<u64> {
        Ok(sql.prepare_cached(statement)?.execute([from(days)])? as u64)
    };
    let delete_days = |statement: &str, days: u32| -> rusqlite::Result<u64> {
        let Some(date) = utc_date(days_before(now, days)) else { return Ok(0) };
        Ok(sql.prepare_cached(statement)?.execute([date])? as u64)
    };
    let deliveries = delete(DELIVERIES, retention.deliveries_days)?;
    delete(EVENTS, retention.deliveries_days)?;
    Ok(ControlPruned {
        audit: prune_audit(sql, from(retention.audit_days))?
            + delete(tasks::OLD, retention.audit_days)?,
        sightings: delete(SIGHTINGS, retention.sightings_days)?,
        tokens: delete(tokens::OLD_TOKENS, retention.agents_days)?,
        agents: prune_names(sql, from(retention.agents_days))?,
        placements: prune_placements(sql, from(retention.placements_days))?,
        path_verdicts: delete_days(PATH_VERDICTS, retention.path_verdicts_days)?,
        verdicts: delete_days(VERDICTS, retention.verdicts_days)?,
        loads: delete_days(LOADS, retention.verdicts_days)?,
        months: delete_days(MONTHS, MONTHS_KEPT_DAYS)?,
        incidents: prune_incidents(sql, from(retention.incidents_days))?,
        deliveries,
        inventory: delete(BUILDINGS, retention.inventory_days)?
            + delete(SUBNETS, retention.inventory_days)?
            + delete(
                "DELETE FROM building_files WHERE valid_until_us < ?1",
                retention.inventory_days,
            )?
            + delete(configuration::OLD, retention.inventory_days)?
            + sql.prepare_cached(WEEKS)?.execute([])? as u64,
        lingers: false,
    })
}

/// The date of UTC as verdicts name theirs; a local date is at most one day away. `None` beyond the
/// year 9999 and before the year -9999.
pub(super) fn utc_date(at: UtcMicros) -> Option<String> {
    let at = Timestamp::from_microsecond(at.0).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date().to_string())
}

/// A day later.
pub(super) fn day_after(at: UtcMicros) -> UtcMicros {
    UtcMicros(at.0.saturating_add(DAY_MICROS))
}

fn prune_audit(sql: &Connection, from_us: i64) -> rusqlite::Result<u64> {
    let entries = audit::prune(sql, from_us)?;
    let actors = sql
        .prepare_cached(
            "UPDATE building_files SET actor = NULL \
             WHERE imported_us < ?1 AND actor IS NOT NULL",
        )?
        .execute([from_us])?;
    Ok((entries + actors) as u64)
}

/// Who was removed long ago is called by its id.
fn prune_names(sql: &Connection, from_us: i64) -> rusqlite::Result<u64> {
    let removed: Vec<(AgentId, String)> = sql
        .prepare_cached("SELECT id, name FROM agents WHERE removed_us < ?1")?
        .query_map([from_us], |row| Ok((id(row, 0, AgentId::from_u128)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for (agent, name) in removed {
        if name == agent.to_string() {
            continue;
        }
        sql.prepare_cached(
            "UPDATE agents SET name = ?2, seen_us = NULL, version = NULL, os = NULL, \
             local_prefix = NULL, peer = NULL WHERE id = ?1",
        )?
        .execute(params![agent.to_bytes(), agent.to_string()])?;
        for mut incident in incidents::of_agent(sql, agent)? {
            names::replace(&mut incident, &name, &agent.to_string());
            incidents::put(sql, &incident)?;
        }
        // Another may have the name by now, which people mean then.
        let is_free: bool =
            sql.prepare_cached(NAME_IS_FREE)?.query_row([&name], |row| row.get(0))?;
        if is_free {
            names::unsay(sql, &name, &agent.to_string())?;
        }
        gone += 1;
    }
    Ok(gone)
}

fn prune_placements(sql: &Connection, from_us: i64) -> rusqlite::Result<u64> {
    let mut gone = 0;
    for statement in [
        "DELETE FROM placements WHERE valid_until_us < ?1",
        "DELETE FROM bindings WHERE valid_until_us < ?1",
        "DELETE FROM identities WHERE agent IN (SELECT id FROM agents WHERE removed_us < ?1)",
        // Of who was removed before, all places and bindings ended before.
        "DELETE FROM agents WHERE removed_us < ?1",
    ] {
        gone += sql.prepare_cached(statement)?.execute([from_us])?;
    }
    Ok(gone as u64)
}

fn prune_incidents(sql: &Connection, from_us: i64) -> rusqlite::Result<u64> {
    let incidents: Vec<Vec<u8>> = sql
        .prepare_cached(INCIDENTS)?
        .query_map([from_us], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for incident in &incidents {
        delete_incident(sql, incident)?;
    }
    let quiets = sql.prepare_cached(quiet::OLD)?.execute([from_us])?;
    sql.prepare_cached(quiet::OLD_SCOPES)?.execute([])?;
    Ok((incidents.len() + quiets) as u64)
}

/// Deletes an incident with what was told, or was to be told, of it, and what people did with it.
pub(super) fn delete_incident(sql: &Connection, incident: &[u8]) -> rusqlite::Result<()> {
    for statement in [
        DELIVERIES_OF_INCIDENT,
        "DELETE FROM acts WHERE incident = ?1",
        "DELETE FROM events WHERE incident = ?1",
        "DELETE FROM incidents WHERE id = ?1",
    ] {
        sql.prepare_cached(statement)?.execute(params![incident])?;
    }
    Ok(())
}
