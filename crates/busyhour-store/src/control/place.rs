//! Where agents are: from enrolment or address, by the building file in force.

use std::collections::BTreeMap;
use std::net::IpAddr;

use busyhour_model::{AgentId, BuildingId, Placement, Subnet, SubnetId, UtcMicros};
use ipnet::IpNet;
use rusqlite::{Connection, Row, params};

use super::{agents, id, identity, inventory};
use crate::{AgentRow, Binding, IdentityState, MissingPrefix};

pub(super) const PLACEMENTS: &str = "SELECT agent, subnet, building, valid_from_us, valid_until_us \
     FROM placements ORDER BY agent, valid_from_us";
pub(super) const PLACEMENTS_AT: &str = "SELECT agent, subnet, building, valid_from_us, valid_until_us \
     FROM placements WHERE valid_from_us <= ?1 AND (valid_until_us IS NULL OR valid_until_us > ?1) \
     ORDER BY agent";

/// Places every agent anew.
pub(super) fn place_all(sql: &Connection, now: UtcMicros) -> rusqlite::Result<()> {
    let subnets = inventory::subnets(sql)?;
    for agent in agents::agents(sql)?.iter().filter(|agent| agent.removed.is_none()) {
        place(sql, agent, &subnets, now)?;
    }
    Ok(())
}

/// Places one agent anew.
pub(super) fn place_one(sql: &Connection, agent: AgentId, now: UtcMicros) -> rusqlite::Result<()> {
    let Some(agent) = agents::agent(sql, agent)? else { return Ok(()) };
    place(sql, &agent, &inventory::subnets(sql)?, now)
}

/// Ends the placement that no longer holds and begins the one that does. An agent's first placement
/// holds for all time before it.
fn place(
    sql: &Connection,
    agent: &AgentRow,
    subnets: &[Subnet],
    now: UtcMicros,
) -> rusqlite::Result<()> {
    let found = on_site(sql, agent, locate(agent, subnets))?;
    let found = found.map(|subnet| (subnet.id, subnet.building));
    let held = agent.placement.map(|placement| (placement.subnet, placement.building));
    if found == held {
        return Ok(());
    }
    end(sql, agent.id, now)?;
    if let Some((subnet, building)) = found {
        sql.prepare_cached(
            "INSERT INTO placements (agent, valid_from_us, subnet, building) SELECT ?1, \
             iif(EXISTS (SELECT 1 FROM placements WHERE agent = ?1), ?2, ?3), ?4, ?5",
        )?
        .execute(params![
            agent.id.to_bytes(),
            now.0,
            i64::MIN,
            subnet.to_bytes(),
            building.to_bytes(),
        ])?;
    }
    Ok(())
}

/// Where an agent was found, unless that contradicts its enrolment: then it is nowhere, and is noted to be
/// off site. Agents without an identity were enrolled by somebody who knew where.
fn on_site<'s>(
    sql: &Connection,
    agent: &AgentRow,
    found: Option<&'s Subnet>,
) -> rusqlite::Result<Option<&'s Subnet>> {
    let Some((building, state)) = identity::placing(sql, agent.id)? else { return Ok(found) };
    if state == IdentityState::Revoked {
        return Ok(None);
    }
    let elsewhere = |subnet: &Subnet| {
        subnet.building != building
            || agent
                .sighting
                .as_ref()
                .and_then(|seen| seen.local_prefix)
                .is_some_and(|local| !lives_in(local, subnet))
    };
    // An address that no building has is not its building's either.
    let told = agent.sighting.as_ref().is_some_and(|seen| seen.local_prefix.is_some());
    let off_site = found.map_or(told, elsewhere);
    identity::put_off_site(sql, agent.id, off_site)?;
    Ok(found.filter(|_| !off_site))
}

/// Ends the placement that holds; what began at the same moment or later never held.
pub(super) fn end(sql: &Connection, agent: AgentId, now: UtcMicros) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM placements WHERE agent = ?1 AND valid_from_us >= ?2",
        "UPDATE placements SET valid_until_us = ?2 \
         WHERE agent = ?1 AND (valid_until_us IS NULL OR valid_until_us > ?2)",
    ] {
        sql.prepare_cached(statement)?.execute(params![agent.to_bytes(), now.0])?;
    }
    Ok(())
}

/// The subnet an agent is in, when exactly one fits. One whose address is not known (any more) is
/// where it was.
fn locate<'s>(agent: &AgentRow, subnets: &'s [Subnet]) -> Option<&'s Subnet> {
    match agent.binding {
        Binding::Subnet { prefix, egress } => by_enrolment(prefix, egress, subnets),
        Binding::Address => {
            let sighting = agent.sighting.as_ref()?;
            let Some(local) = sighting.local_prefix else {
                let held = agent.placement?.subnet;
                return subnets.iter().find(|subnet| subnet.id == held);
            };
            by_address(local, sighting.peer, subnets)
        }
    }
}

fn by_enrolment(prefix: IpNet, egress: Option<IpNet>, subnets: &[Subnet]) -> Option<&Subnet> {
    let same_prefix = || subnets.iter().filter(|subnet| subnet.prefix == prefix);
    if egress.is_some()
        && let Some(exact) = same_prefix().find(|subnet| subnet.egress == egress)
    {
        return Some(exact);
    }
    let mut fitting = same_prefix().filter(|subnet| egress.is_none() || subnet.egress.is_none());
    let only = fitting.next();
    if fitting.next().is_some() { None } else { only }
}

/// The longest prefix that holds the agent's network, or its address where it told one, among those
/// whose egress prefix holds the address it is seen under; with an egress prefix before without.
fn by_address(local: IpNet, peer: Option<IpAddr>, subnets: &[Subnet]) -> Option<&Subnet> {
    let peer = peer.map(|peer| peer.to_canonical());
    subnets
        .iter()
        .filter(|subnet| lives_in(local, subnet))
        .filter(|subnet| {
            subnet.egress.is_none_or(|egress| peer.is_some_and(|peer| egress.contains(&peer)))
        })
        .max_by_key(|subnet| {
            (subnet.prefix.prefix_len(), subnet.egress.map(|egress| egress.prefix_len()))
        })
}

/// Whether an agent's network, or its address where it told one, is in a subnet.
fn lives_in(local: IpNet, subnet: &Subnet) -> bool {
    let told_address =
        local.addr() != local.network() || local.prefix_len() == local.max_prefix_len();
    subnet.prefix.contains(&local.trunc())
        || (told_address && subnet.prefix.contains(&local.addr()))
}

pub(super) fn placements(sql: &Connection) -> rusqlite::Result<Vec<Placement>> {
    sql.prepare_cached(PLACEMENTS)?.query_map([], placement)?.collect()
}

/// Where agents were at a moment, by agent.
pub(super) fn placements_at(sql: &Connection, at: UtcMicros) -> rusqlite::Result<Vec<Placement>> {
    sql.prepare_cached(PLACEMENTS_AT)?.query_map([at.0], placement)?.collect()
}

fn placement(row: &Row<'_>) -> rusqlite::Result<Placement> {
    Ok(Placement {
        agent: id(row, 0, AgentId::from_u128)?,
        subnet: id(row, 1, SubnetId::from_u128)?,
        building: id(row, 2, BuildingId::from_u128)?,
        from: UtcMicros(row.get(3)?),
        until: row.get::<_, Option<i64>>(4)?.map(UtcMicros),
    })
}

pub(super) fn missing_prefixes(sql: &Connection) -> rusqlite::Result<Vec<MissingPrefix>> {
    let subnets = inventory::subnets(sql)?;
    let mut missing: BTreeMap<IpNet, MissingPrefix> = BTreeMap::new();
    for agent in agents::agents(sql)?.into_iter().filter(|agent| agent.removed.is_none()) {
        let Some(sighting) = agent.sighting else { continue };
        let Some(local) = sighting.local_prefix else { continue };
        // Where its enrolment put it says nothing of the network it really lives in. What its egress
        // prefix forbids is missing only for those whose address places them.
        let known = match agent.binding {
            Binding::Address => by_address(local, sighting.peer, &subnets).is_some(),
            Binding::Subnet { .. } => {
                subnets.iter().any(|subnet| subnet.prefix.contains(&local.trunc()))
            }
        };
        if known {
            continue;
        }
        let prefix = local.trunc();
        let entry = missing.entry(prefix).or_insert_with(|| MissingPrefix {
            prefix,
            agents: Vec::new(),
            last_seen: sighting.at,
        });
        entry.agents.push(agent.name);
        entry.last_seen = entry.last_seen.max(sighting.at);
    }
    let mut missing: Vec<_> = missing.into_values().collect();
    missing.sort_by_key(|missing| std::cmp::Reverse(missing.agents.len()));
    Ok(missing)
}
