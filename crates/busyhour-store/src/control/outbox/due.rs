//! What is due, with the names that people know places by.

use busyhour_model::{BuildingId, Incident, IncidentId, IncidentPlace, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};

use super::super::incidents::{event_of, incident};
use super::super::{id, parsed};
use super::failed;
use crate::codec::bad;
use crate::sqlite::{row_limit, unreadable};
use crate::{About, Delivery, IncidentNews, OpeningTold, Purpose};

pub(crate) const BUILDING_NAME: &str =
    "SELECT name FROM buildings WHERE id = ?1 ORDER BY valid_from_us DESC LIMIT 1";
pub(crate) const SUBNET_NAME: &str = "SELECT network_name, prefix FROM subnets WHERE id = ?1 \
     ORDER BY valid_from_us DESC LIMIT 1";
pub(crate) const AGENT_NAME: &str = "SELECT name FROM agents WHERE id = ?1";
/// Channels that have something due.
pub(crate) const DUE_CHANNELS: &str =
    "SELECT DISTINCT channel FROM deliveries WHERE state = 'pending' AND due_us <= ?1";
/// The labels are those that its opening was placed with first, and the last column but one is what became of
/// the opening, or of its getting worse, on the same channel: 2 sent (to some at least), 1 waiting, else never.
pub(crate) const DUE: &str = "SELECT d.id, d.channel, d.attempts, e.incident, e.event, e.created_us, \
     d.purpose, d.bundle, e.openings, e.detail, \
     (SELECT o.labels FROM events o WHERE o.incident = e.incident AND o.openings = e.openings \
      AND o.event IN ('opened', 'worse') AND o.labels IS NOT NULL ORDER BY o.id LIMIT 1), \
     (SELECT max(iif(s.state = 'sent' OR s.left_for IS NOT NULL, 2, s.state = 'pending')) FROM events o \
      JOIN deliveries s ON s.event = o.id AND s.channel = d.channel \
      WHERE o.incident = e.incident AND o.openings = e.openings \
      AND o.event IN ('opened', 'worse')), d.placed_us, d.left_for \
     FROM deliveries d JOIN events e ON e.id = d.event \
     WHERE d.state = 'pending' AND d.channel = ?3 AND d.due_us <= ?1 ORDER BY d.id LIMIT ?2";
/// Open incidents are few; what was told of each is found by its index. What was told last stands.
const STANDING: &str = "SELECT max(d.id), d.channel, d.attempts, e.incident, e.event, \
     e.created_us, d.purpose, d.bundle, e.openings, e.detail, \
     (SELECT o.labels FROM events o WHERE o.incident = e.incident AND o.openings = e.openings \
      AND o.event IN ('opened', 'worse') AND o.labels IS NOT NULL ORDER BY o.id LIMIT 1), \
     2, d.placed_us, NULL \
     FROM incidents i JOIN events e \
       ON e.incident = i.id AND e.openings = i.openings AND e.event IN ('opened', 'worse') \
     JOIN deliveries d ON d.event = e.id AND d.channel = ?1 \
     WHERE i.state <> 'closed' AND d.state = 'sent' GROUP BY i.id ORDER BY 1 LIMIT ?2";

pub(super) fn due(
    sql: &Connection,
    now: UtcMicros,
    limit: usize,
    but: &[String],
) -> rusqlite::Result<Vec<Delivery>> {
    let channels: Vec<String> = sql
        .prepare_cached(DUE_CHANNELS)?
        .query_map([now.0], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let channels: Vec<String> = channels.into_iter().filter(|name| !but.contains(name)).collect();
    let share = row_limit(limit.div_ceil(channels.len().max(1)));
    let mut statement = sql.prepare_cached(DUE)?;
    let mut due = Vec::new();
    for channel in channels {
        due.extend(deliveries(sql, statement.query(params![now.0, share, channel])?)?);
    }
    due.sort_unstable_by_key(|delivery| delivery.id);
    Ok(due)
}

pub(super) fn standing(
    sql: &Connection,
    channel: &str,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    let mut statement = sql.prepare_cached(STANDING)?;
    deliveries(sql, statement.query(params![channel, row_limit(limit)])?)
}

fn deliveries(sql: &Connection, mut rows: Rows<'_>) -> rusqlite::Result<Vec<Delivery>> {
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(Delivery {
            id: row.get(0)?,
            channel: row.get(1)?,
            purpose: purpose(row.get_ref(6)?.as_str()?)?,
            bundle: row.get(7)?,
            about: about(sql, row)?,
            created: UtcMicros(row.get(5)?),
            placed: UtcMicros(row.get(12)?),
            attempts: row.get(2)?,
            left_for: row
                .get::<_, Option<String>>(13)?
                .map_or_else(Vec::new, |left| left.lines().map(str::to_owned).collect()),
        });
    }
    Ok(due)
}

fn about(sql: &Connection, row: &Row<'_>) -> rusqlite::Result<About> {
    let detail = || row.get::<_, String>(9);
    Ok(match row.get_ref(4)?.as_str()? {
        "test" => About::Test,
        "channel-failed" => {
            let (channel, error) = failed(&detail()?);
            About::ChannelFailed { channel, error }
        }
        "channel-works" => About::ChannelWorks { channel: detail()? },
        "message-refused" => {
            let (channel, rest) = failed(&detail()?);
            let (error, what) = failed(&rest);
            About::MessageRefused { channel, error, what }
        }
        "not-made" => {
            let (_, rest) = failed(&detail()?);
            let (what, error) = failed(&rest);
            About::NotMade { error, what }
        }
        "report" => About::Report { name: detail()? },
        word => {
            let Some(incident) = incident(sql, id(row, 3, IncidentId::from_u128)?)? else {
                return Err(unreadable(bad("incident of an event")));
            };
            About::Incident(Box::new(IncidentNews {
                event: event_of(word)?,
                openings: row.get(8)?,
                building: building_name(sql, incident.building)?,
                buildings: building_names(sql, &incident)?,
                subnet: subnet_name(sql, &incident)?,
                agent: agent_name(sql, &incident)?,
                incident,
                labels: row.get(10)?,
                opening: match row.get::<_, Option<i64>>(11)? {
                    Some(2) => OpeningTold::Taken,
                    Some(1) => OpeningTold::Waits,
                    _ => OpeningTold::Never,
                },
            }))
        }
    })
}

pub(super) fn purpose(word: &str) -> rusqlite::Result<Purpose> {
    match word {
        "tell" => Ok(Purpose::Tell),
        "digest" => Ok(Purpose::Digest),
        "escalate" => Ok(Purpose::Escalate),
        _ => Err(unreadable(bad("purpose of a delivery"))),
    }
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
