//! Agents: who was let in, and what was seen of them.

use busyhour_model::{AgentId, BuildingId, Placement, SubnetId, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{id, parsed_option};
use crate::{AgentRow, Binding, NewAgent, Sighting};

pub(super) const AGENTS: &str = "SELECT a.id, a.name, a.simulated, a.bound_prefix, a.bound_egress, a.added_us, a.seen_us, \
     a.version, a.os, a.local_prefix, a.peer, p.subnet, p.building, p.valid_from_us \
     FROM agents a LEFT JOIN placements p ON p.agent = a.id AND p.valid_until_us IS NULL \
     ORDER BY a.name";
pub(super) const AGENT: &str = "SELECT a.id, a.name, a.simulated, a.bound_prefix, a.bound_egress, a.added_us, a.seen_us, \
     a.version, a.os, a.local_prefix, a.peer, p.subnet, p.building, p.valid_from_us \
     FROM agents a LEFT JOIN placements p ON p.agent = a.id AND p.valid_until_us IS NULL \
     WHERE a.id = ?1";

/// Adds an agent; false when its name or identity is taken.
pub(super) fn add(sql: &Connection, agent: &NewAgent) -> rusqlite::Result<bool> {
    let (prefix, egress) = match agent.binding {
        Binding::Subnet { prefix, egress } => (Some(prefix.trunc()), egress.map(|e| e.trunc())),
        Binding::Address => (None, None),
    };
    let added = sql
        .prepare_cached(
            "INSERT INTO agents (id, name, secret_sha256, simulated, bound_prefix, bound_egress, \
             added_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            agent.id.to_bytes(),
            agent.name,
            agent.secret_sha256,
            agent.simulated,
            prefix.map(|prefix| prefix.to_string()),
            egress.map(|egress| egress.to_string()),
            agent.added.0,
        ])?;
    Ok(added == 1)
}

pub(super) fn agents(sql: &Connection) -> rusqlite::Result<Vec<AgentRow>> {
    sql.prepare_cached(AGENTS)?.query_map([], agent_row)?.collect()
}

pub(super) fn agent(sql: &Connection, agent: AgentId) -> rusqlite::Result<Option<AgentRow>> {
    sql.prepare_cached(AGENT)?.query_row([agent.to_bytes()], agent_row).optional()
}

pub(super) fn secret(
    sql: &Connection,
    agent: AgentId,
) -> rusqlite::Result<Option<([u8; 32], bool)>> {
    sql.prepare_cached("SELECT secret_sha256, simulated FROM agents WHERE id = ?1")?
        .query_row([agent.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Notes a sighting.
pub(super) fn saw(sql: &Connection, agent: AgentId, sighting: &Sighting) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE agents SET seen_us = ?2, version = ?3, os = ?4, local_prefix = ?5, peer = ?6 \
         WHERE id = ?1",
    )?
    .execute(params![
        agent.to_bytes(),
        sighting.at.0,
        sighting.version,
        sighting.os,
        sighting.local_prefix.map(|prefix| prefix.to_string()),
        sighting.peer.map(|peer| peer.to_string()),
    ])?;
    Ok(())
}

fn agent_row(row: &Row<'_>) -> rusqlite::Result<AgentRow> {
    let agent = id(row, 0, AgentId::from_u128)?;
    let binding = match parsed_option(row, 3)? {
        Some(prefix) => Binding::Subnet { prefix, egress: parsed_option(row, 4)? },
        None => Binding::Address,
    };
    Ok(AgentRow {
        id: agent,
        name: row.get(1)?,
        simulated: row.get(2)?,
        binding,
        added: UtcMicros(row.get(5)?),
        sighting: sighting(row)?,
        placement: placement(row, agent)?,
    })
}

fn sighting(row: &Row<'_>) -> rusqlite::Result<Option<Sighting>> {
    let Some(seen) = row.get::<_, Option<i64>>(6)? else { return Ok(None) };
    Ok(Some(Sighting {
        at: UtcMicros(seen),
        version: row.get(7)?,
        os: row.get(8)?,
        local_prefix: parsed_option(row, 9)?,
        peer: parsed_option(row, 10)?,
    }))
}

fn placement(row: &Row<'_>, agent: AgentId) -> rusqlite::Result<Option<Placement>> {
    if row.get::<_, Option<i64>>(13)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Placement {
        agent,
        subnet: id(row, 11, SubnetId::from_u128)?,
        building: id(row, 12, BuildingId::from_u128)?,
        from: UtcMicros(row.get(13)?),
        until: None,
    }))
}
