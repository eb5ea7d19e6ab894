//! Agents: who was let in, how each is bound, and what was seen of it.

use busyhour_model::{AgentId, BuildingId, Placement, SubnetId, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{audit, configuration, id, identity, parsed_option, place};
use crate::{Act, AgentRow, AuditAction, AuditSubject, Binding, DatedBinding, NewAgent, Sighting};

pub(super) const AGENTS: &str = "SELECT a.id, a.name, a.simulated, b.prefix, b.egress, a.added_us, a.removed_us, \
     a.seen_us, a.version, a.os, a.local_prefix, a.peer, p.subnet, p.building, p.valid_from_us \
     FROM agents a LEFT JOIN bindings b ON b.agent = a.id AND b.valid_until_us IS NULL \
     LEFT JOIN placements p ON p.agent = a.id AND p.valid_until_us IS NULL \
     ORDER BY a.name, a.added_us";
pub(super) const AGENT: &str = "SELECT a.id, a.name, a.simulated, b.prefix, b.egress, a.added_us, a.removed_us, \
     a.seen_us, a.version, a.os, a.local_prefix, a.peer, p.subnet, p.building, p.valid_from_us \
     FROM agents a LEFT JOIN bindings b ON b.agent = a.id AND b.valid_until_us IS NULL \
     LEFT JOIN placements p ON p.agent = a.id AND p.valid_until_us IS NULL \
     WHERE a.id = ?1";
pub(super) const SECRET: &str = "SELECT secret_sha256, simulated FROM agents WHERE id = ?1 AND removed_us IS NULL \
     AND secret_sha256 IS NOT NULL";
pub(super) const BINDINGS: &str = "SELECT prefix, egress, valid_from_us, valid_until_us FROM bindings WHERE agent = ?1 \
     ORDER BY valid_from_us";

/// Adds an agent; false when its name or identity is taken.
pub(super) fn add(sql: &Connection, agent: &NewAgent, by: &Act) -> rusqlite::Result<bool> {
    let added = sql
        .prepare_cached(
            "INSERT INTO agents (id, name, secret_sha256, simulated, added_us) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            agent.id.to_bytes(),
            agent.name,
            agent.secret_sha256,
            agent.simulated,
            agent.added.0,
        ])?;
    if added == 0 {
        return Ok(false);
    }
    put_binding(sql, agent.id, agent.binding, agent.added)?;
    place::place_one(sql, agent.id, agent.added)?;
    let simulated = if agent.simulated { "yes" } else { "no" };
    let detail = format!("bound={} simulated={simulated}", bound_by(agent.binding));
    audit::note(sql, by, AuditAction::AgentAdded, AuditSubject::Agent(agent.id), &detail)?;
    Ok(true)
}

/// Binds an agent differently; false when it is not let in.
pub(super) fn bind(
    sql: &Connection,
    agent: AgentId,
    binding: Binding,
    by: &Act,
) -> rusqlite::Result<bool> {
    let Some(before) = let_in(sql, agent)? else { return Ok(false) };
    if normal(before.binding) == normal(binding) {
        return Ok(true);
    }
    end_binding(sql, agent, by.at)?;
    put_binding(sql, agent, binding, by.at)?;
    if let Binding::Subnet { prefix, egress } = normal(binding) {
        identity::move_to(sql, agent, prefix, egress)?;
    }
    place::place_one(sql, agent, by.at)?;
    let detail = format!("bound={}", bound_by(binding));
    audit::note(sql, by, AuditAction::AgentBound, AuditSubject::Agent(agent), &detail)?;
    Ok(true)
}

/// Removes an agent; false when it is not let in.
pub(super) fn remove(sql: &Connection, agent: AgentId, by: &Act) -> rusqlite::Result<bool> {
    if let_in(sql, agent)?.is_none() {
        return Ok(false);
    }
    end_binding(sql, agent, by.at)?;
    place::end(sql, agent, by.at)?;
    sql.prepare_cached("UPDATE agents SET removed_us = ?2, secret_sha256 = NULL WHERE id = ?1")?
        .execute(params![agent.to_bytes(), by.at.0])?;
    identity::revoke(sql, agent, "the agent was removed", by)?;
    configuration::leave(sql, agent)?;
    audit::note(sql, by, AuditAction::AgentRemoved, AuditSubject::Agent(agent), "")?;
    Ok(true)
}

/// Notes a sighting and places the agent anew where that changes something; false when it is not
/// let in.
pub(super) fn saw(sql: &Connection, agent: AgentId, sighting: &Sighting) -> rusqlite::Result<bool> {
    let Some(before) = let_in(sql, agent)? else { return Ok(false) };
    sql.prepare_cached(
        "UPDATE agents SET seen_us = ?2, version = ?3, os = ?4, \
         local_prefix = coalesce(?5, local_prefix), peer = ?6 WHERE id = ?1",
    )?
    .execute(params![
        agent.to_bytes(),
        sighting.at.0,
        sighting.version,
        sighting.os,
        sighting.local_prefix.map(|prefix| prefix.to_string()),
        sighting.peer.map(|peer| peer.to_string()),
    ])?;
    // Where it is depends on these two, and on the file, which places all when it changes.
    let before = before.sighting.map(|seen| (seen.local_prefix, seen.peer));
    let (local, peer) = before.unwrap_or_default();
    if before.is_none()
        || peer != sighting.peer
        || sighting.local_prefix.is_some_and(|new| Some(new) != local)
    {
        place::place_one(sql, agent, sighting.at)?;
    }
    Ok(true)
}

pub(super) fn agents(sql: &Connection) -> rusqlite::Result<Vec<AgentRow>> {
    sql.prepare_cached(AGENTS)?.query_map([], agent_row)?.collect()
}

pub(super) fn agent(sql: &Connection, agent: AgentId) -> rusqlite::Result<Option<AgentRow>> {
    sql.prepare_cached(AGENT)?.query_row([agent.to_bytes()], agent_row).optional()
}

/// An agent that was not removed.
fn let_in(sql: &Connection, agent: AgentId) -> rusqlite::Result<Option<AgentRow>> {
    Ok(self::agent(sql, agent)?.filter(|agent| agent.removed.is_none()))
}

pub(super) fn secret(
    sql: &Connection,
    agent: AgentId,
) -> rusqlite::Result<Option<([u8; 32], bool)>> {
    sql.prepare_cached(SECRET)?
        .query_row([agent.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

pub(super) fn bindings(sql: &Connection, agent: AgentId) -> rusqlite::Result<Vec<DatedBinding>> {
    sql.prepare_cached(BINDINGS)?
        .query_map([agent.to_bytes()], |row| {
            Ok(DatedBinding {
                binding: binding(row, 0)?,
                from: UtcMicros(row.get(2)?),
                until: row.get::<_, Option<i64>>(3)?.map(UtcMicros),
            })
        })?
        .collect()
}

/// A binding is kept by networks, not by addresses within them.
fn normal(binding: Binding) -> Binding {
    match binding {
        Binding::Address => Binding::Address,
        Binding::Subnet { prefix, egress } => {
            Binding::Subnet { prefix: prefix.trunc(), egress: egress.map(|egress| egress.trunc()) }
        }
    }
}

const fn bound_by(binding: Binding) -> &'static str {
    match binding {
        Binding::Address => "address",
        Binding::Subnet { .. } => "subnet",
    }
}

pub(super) fn put_binding(
    sql: &Connection,
    agent: AgentId,
    binding: Binding,
    from: UtcMicros,
) -> rusqlite::Result<()> {
    let (prefix, egress) = match normal(binding) {
        Binding::Subnet { prefix, egress } => (Some(prefix), egress),
        Binding::Address => (None, None),
    };
    sql.prepare_cached(
        "INSERT INTO bindings (agent, valid_from_us, prefix, egress) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        agent.to_bytes(),
        from.0,
        prefix.map(|prefix| prefix.to_string()),
        egress.map(|egress| egress.to_string()),
    ])?;
    Ok(())
}

/// Ends the binding that holds; what began at the same moment or later never held.
fn end_binding(sql: &Connection, agent: AgentId, now: UtcMicros) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM bindings WHERE agent = ?1 AND valid_from_us >= ?2",
        "UPDATE bindings SET valid_until_us = ?2 \
         WHERE agent = ?1 AND (valid_until_us IS NULL OR valid_until_us > ?2)",
    ] {
        sql.prepare_cached(statement)?.execute(params![agent.to_bytes(), now.0])?;
    }
    Ok(())
}

/// Reads a prefix and an egress prefix, beginning at `at`.
fn binding(row: &Row<'_>, at: usize) -> rusqlite::Result<Binding> {
    Ok(match parsed_option(row, at)? {
        Some(prefix) => Binding::Subnet { prefix, egress: parsed_option(row, at + 1)? },
        None => Binding::Address,
    })
}

fn agent_row(row: &Row<'_>) -> rusqlite::Result<AgentRow> {
    let agent = id(row, 0, AgentId::from_u128)?;
    Ok(AgentRow {
        id: agent,
        name: row.get(1)?,
        simulated: row.get(2)?,
        binding: binding(row, 3)?,
        added: UtcMicros(row.get(5)?),
        removed: row.get::<_, Option<i64>>(6)?.map(UtcMicros),
        sighting: sighting(row)?,
        placement: placement(row, agent)?,
    })
}

fn sighting(row: &Row<'_>) -> rusqlite::Result<Option<Sighting>> {
    let Some(seen) = row.get::<_, Option<i64>>(7)? else { return Ok(None) };
    Ok(Some(Sighting {
        at: UtcMicros(seen),
        version: row.get(8)?,
        os: row.get(9)?,
        local_prefix: parsed_option(row, 10)?,
        peer: parsed_option(row, 11)?,
    }))
}

fn placement(row: &Row<'_>, agent: AgentId) -> rusqlite::Result<Option<Placement>> {
    let Some(from) = row.get::<_, Option<i64>>(14)? else { return Ok(None) };
    Ok(Some(Placement {
        agent,
        subnet: id(row, 12, SubnetId::from_u128)?,
        building: id(row, 13, BuildingId::from_u128)?,
        from: UtcMicros(from),
        until: None,
    }))
}
