//! Revisions of configurations, for whom they are in force, labels, and what agents run.

use busyhour_model::{AgentId, BuildingId, SubnetId, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{agents, audit, id, parsed};
use crate::sqlite::{row_limit, unreadable};
use crate::{
    Act, AgentRow, AssignmentRow, AssignmentScope, AuditAction, AuditSubject, ComparedClock,
    ConfigurationReport, ConfigurationRow, ConfigurationState, DesiredState, Label, RefusalRow,
    ReportRow,
};

pub(super) const NEWEST: &str = "SELECT revision, name, made_us, made_by, body FROM configurations \
     ORDER BY revision DESC LIMIT ?1";
pub(super) const NEWEST_NAMED: &str = "SELECT revision, name, made_us, made_by, body FROM configurations \
     WHERE name = ?1 ORDER BY revision DESC LIMIT 1";
pub(super) const ONE: &str =
    "SELECT revision, name, made_us, made_by, body FROM configurations WHERE revision = ?1";
pub(super) const IN_USE: &str = "SELECT revision, name, made_us, made_by, body FROM configurations \
     WHERE revision IN (SELECT revision FROM configuration_assignments \
     UNION SELECT revision FROM agent_configurations) ORDER BY revision";
pub(super) const ASSIGNMENTS: &str =
    "SELECT scope, subject, revision, from_us, assigned_by FROM configuration_assignments";
pub(super) const LABELS: &str = "SELECT agent, label FROM agent_labels";
pub(super) const REPORTS: &str = "SELECT agent, reported_us, revision, edition, told_revision, told_edition, state, \
     reason, good_edition, paused, clock_offset_us, clock_close FROM agent_configurations";
pub(super) const REFUSALS: &str =
    "SELECT agent, revision, reason, times, again FROM configuration_refusals";
/// What was made before and is neither in force nor in use, nor the newest of its name. Agents may have
/// refused it.
pub(super) const OLD: &str = "DELETE FROM configurations WHERE made_us < ?1 \
     AND revision NOT IN (SELECT revision FROM configuration_assignments) \
     AND revision NOT IN (SELECT revision FROM agent_configurations) \
     AND revision NOT IN (SELECT max(revision) FROM configurations GROUP BY name)";
/// What belongs to an agent alone.
const OF_AGENT: [&str; 4] = [
    "DELETE FROM agent_labels WHERE agent = ?1",
    "DELETE FROM agent_configurations WHERE agent = ?1",
    "DELETE FROM configuration_refusals WHERE agent = ?1",
    "DELETE FROM configuration_assignments WHERE scope = 'agent' AND subject = ?1",
];
/// Refusals of one agent that are kept; beyond, the oldest revisions go.
const MAX_REFUSALS: i64 = 16;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 256;

pub(super) fn add(
    sql: &Connection,
    name: &str,
    body: &[u8],
    by: &Act,
) -> rusqlite::Result<(u32, bool)> {
    let newest = sql.prepare_cached(NEWEST_NAMED)?.query_row([name], row).optional()?;
    if let Some(newest) = newest.filter(|newest| newest.body == body) {
        return Ok((newest.revision, false));
    }
    sql.prepare_cached(
        "INSERT INTO configurations (name, made_us, made_by, body) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![name, by.at.0, by.actor.as_str(), body])?;
    let revision = u32::try_from(sql.last_insert_rowid()).map_err(unreadable)?;
    let subject = AuditSubject::Configuration(revision);
    let detail = format!("name={name} bytes={}", body.len());
    audit::note(sql, by, AuditAction::ConfigurationMade, subject, &detail)?;
    Ok((revision, true))
}

pub(super) fn newest(sql: &Connection, limit: usize) -> rusqlite::Result<Vec<ConfigurationRow>> {
    sql.prepare_cached(NEWEST)?.query_map([row_limit(limit)], row)?.collect()
}

pub(super) fn one(sql: &Connection, revision: u32) -> rusqlite::Result<Option<ConfigurationRow>> {
    sql.prepare_cached(ONE)?.query_row([revision], row).optional()
}

/// False when there is no such revision.
pub(super) fn assign(
    sql: &Connection,
    scope: &AssignmentScope,
    revision: Option<u32>,
    by: &Act,
) -> rusqlite::Result<bool> {
    let (word, subject) = (scope.word(), subject(scope));
    match revision {
        None => {
            let gone = sql
                .prepare_cached(
                    "DELETE FROM configuration_assignments WHERE scope = ?1 AND subject = ?2",
                )?
                .execute(params![word, subject])?;
            if gone == 0 {
                return Ok(true);
            }
        }
        Some(revision) => {
            if one(sql, revision)?.is_none() {
                return Ok(false);
            }
            sql.prepare_cached(
                "INSERT INTO configuration_assignments VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (scope, subject) DO UPDATE SET revision = excluded.revision, \
                 from_us = excluded.from_us, assigned_by = excluded.assigned_by",
            )?
            .execute(params![word, subject, revision, by.at.0, by.actor.as_str()])?;
            tell_again(sql, scope, revision)?;
        }
    }
    let audited = match scope {
        AssignmentScope::Agent(agent) => AuditSubject::Agent(*agent),
        AssignmentScope::Everywhere
        | AssignmentScope::Building(_)
        | AssignmentScope::Subnet(_)
        | AssignmentScope::Label(_) => {
            revision.map_or(AuditSubject::Store, AuditSubject::Configuration)
        }
    };
    let to = match scope {
        AssignmentScope::Everywhere | AssignmentScope::Agent(_) => String::new(),
        AssignmentScope::Building(building) => format!(" to={building}"),
        AssignmentScope::Subnet(subnet) => format!(" to={subnet}"),
        AssignmentScope::Label(label) => format!(" to={label}"),
    };
    let detail = format!("scope={word}{to} revision={}", revision.unwrap_or_default());
    audit::note(sql, by, AuditAction::ConfigurationAssigned, audited, &detail)?;
    Ok(true)
}

/// Agents in the scope that refused the revision are told it once more.
fn tell_again(sql: &Connection, scope: &AssignmentScope, revision: u32) -> rusqlite::Result<()> {
    let labels = labels(sql)?;
    let mut again = sql.prepare_cached(
        "UPDATE configuration_refusals SET again = 1 WHERE revision = ?1 AND agent = ?2",
    )?;
    for agent in agents::agents(sql)?.iter().filter(|agent| scope.covers(agent, &labels)) {
        again.execute(params![revision, agent.id.to_bytes()])?;
    }
    Ok(())
}

/// False when the agent is not let in.
pub(super) fn label(
    sql: &Connection,
    agent: AgentId,
    labels: &[Label],
    by: &Act,
) -> rusqlite::Result<bool> {
    if agents::agent(sql, agent)?.is_none_or(|agent| agent.removed.is_some()) {
        return Ok(false);
    }
    sql.prepare_cached("DELETE FROM agent_labels WHERE agent = ?1")?.execute([agent.to_bytes()])?;
    for label in labels {
        sql.prepare_cached("INSERT INTO agent_labels VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![agent.to_bytes(), label.as_str()])?;
    }
    let words: Vec<&str> = labels.iter().map(Label::as_str).collect();
    let detail = format!("labels={}", words.join(","));
    audit::note(sql, by, AuditAction::AgentLabelled, AuditSubject::Agent(agent), &detail)?;
    Ok(true)
}

pub(super) fn report(sql: &Connection, row: &ReportRow) -> rusqlite::Result<()> {
    let ReportRow { agent, at, report, clock } = row;
    let known = agents::agent(sql, *agent)?.is_some_and(|agent| agent.removed.is_none());
    if !known {
        return Ok(());
    }
    let reason: String =
        report.reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    sql.prepare_cached(
        "INSERT INTO agent_configurations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
         ON CONFLICT (agent) DO UPDATE SET revision = excluded.revision, edition = excluded.edition, \
         told_revision = excluded.told_revision, told_edition = excluded.told_edition, \
         state = excluded.state, reason = excluded.reason, reported_us = excluded.reported_us, \
         good_edition = excluded.good_edition, paused = excluded.paused, \
         clock_offset_us = coalesce(excluded.clock_offset_us, clock_offset_us), \
         clock_close = coalesce(excluded.clock_close, clock_close)",
    )?
    .execute(params![
        agent.to_bytes(),
        report.revision,
        report.edition.cast_signed(),
        report.told_revision,
        report.told_edition.cast_signed(),
        report.state.as_str(),
        reason,
        at.0,
        report.good_edition.cast_signed(),
        report.paused,
        clock.map(|clock| clock.offset_us),
        clock.map(|clock| clock.close),
    ])?;
    match report.state {
        ConfigurationState::Committed | ConfigurationState::Trial | ConfigurationState::Nothing => {
            return Ok(());
        }
        ConfigurationState::Refused | ConfigurationState::RolledBack => {}
    }
    // What it is told without a revision is nothing, which cannot be refused.
    if report.told_revision == 0 {
        return Ok(());
    }
    sql.prepare_cached(
        "INSERT INTO configuration_refusals VALUES (?1, ?2, ?3, 1, 0, ?4, ?5) \
         ON CONFLICT (agent, revision) DO UPDATE SET edition = excluded.edition, times = times + 1, \
         again = 0, reason = excluded.reason, refused_us = excluded.refused_us \
         WHERE edition <> excluded.edition",
    )?
    .execute(params![
        agent.to_bytes(),
        report.told_revision,
        report.told_edition.cast_signed(),
        reason,
        at.0
    ])?;
    sql.prepare_cached(
        "DELETE FROM configuration_refusals WHERE agent = ?1 AND revision NOT IN (SELECT revision \
         FROM configuration_refusals WHERE agent = ?1 ORDER BY revision DESC LIMIT ?2)",
    )?
    .execute(params![agent.to_bytes(), MAX_REFUSALS])?;
    Ok(())
}

pub(super) fn clock(
    sql: &Connection,
    agent: AgentId,
    clock: ComparedClock,
) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE agent_configurations SET clock_offset_us = ?2, clock_close = ?3 WHERE agent = ?1",
    )?
    .execute(params![agent.to_bytes(), clock.offset_us, clock.close])?;
    Ok(())
}

fn labels(sql: &Connection) -> rusqlite::Result<Vec<(AgentId, Label)>> {
    sql.prepare_cached(LABELS)?
        .query_map([], |row| Ok((id(row, 0, AgentId::from_u128)?, parsed(row, 1)?)))?
        .collect()
}

pub(super) fn desired(sql: &Connection) -> rusqlite::Result<DesiredState> {
    let mut agents: Vec<AgentRow> = agents::agents(sql)?;
    agents.retain(|agent| agent.removed.is_none());
    Ok(DesiredState {
        agents,
        labels: labels(sql)?,
        assignments: sql
            .prepare_cached(ASSIGNMENTS)?
            .query_map([], assignment)?
            .collect::<rusqlite::Result<_>>()?,
        configurations: sql
            .prepare_cached(IN_USE)?
            .query_map([], row)?
            .collect::<rusqlite::Result<_>>()?,
        reports: sql
            .prepare_cached(REPORTS)?
            .query_map([], report_row)?
            .collect::<rusqlite::Result<_>>()?,
        refusals: sql
            .prepare_cached(REFUSALS)?
            .query_map([], refusal)?
            .collect::<rusqlite::Result<_>>()?,
    })
}

/// Nothing of it is said of an agent that was removed or forgotten.
pub(super) fn leave(sql: &Connection, agent: AgentId) -> rusqlite::Result<()> {
    for statement in OF_AGENT {
        sql.prepare_cached(statement)?.execute([agent.to_bytes()])?;
    }
    Ok(())
}

fn subject(scope: &AssignmentScope) -> Vec<u8> {
    match scope {
        AssignmentScope::Everywhere => Vec::new(),
        AssignmentScope::Building(building) => building.to_bytes().to_vec(),
        AssignmentScope::Subnet(subnet) => subnet.to_bytes().to_vec(),
        AssignmentScope::Label(label) => label.as_str().as_bytes().to_vec(),
        AssignmentScope::Agent(agent) => agent.to_bytes().to_vec(),
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<ConfigurationRow> {
    Ok(ConfigurationRow {
        revision: row.get(0)?,
        name: row.get(1)?,
        made: UtcMicros(row.get(2)?),
        made_by: row.get(3)?,
        body: row.get(4)?,
    })
}

fn assignment(row: &Row<'_>) -> rusqlite::Result<AssignmentRow> {
    let bytes = row.get_ref(1)?.as_blob()?;
    let scope = match row.get_ref(0)?.as_str()? {
        "building" => AssignmentScope::Building(BuildingId::from_slice(bytes).map_err(unreadable)?),
        "subnet" => AssignmentScope::Subnet(SubnetId::from_slice(bytes).map_err(unreadable)?),
        "agent" => AssignmentScope::Agent(AgentId::from_slice(bytes).map_err(unreadable)?),
        "label" => {
            let text = std::str::from_utf8(bytes).map_err(unreadable)?;
            AssignmentScope::Label(Label::new(text).map_err(unreadable)?)
        }
        _ => AssignmentScope::Everywhere,
    };
    Ok(AssignmentRow {
        scope,
        revision: row.get(2)?,
        from: UtcMicros(row.get(3)?),
        by: row.get(4)?,
    })
}

fn refusal(row: &Row<'_>) -> rusqlite::Result<RefusalRow> {
    Ok(RefusalRow {
        agent: id(row, 0, AgentId::from_u128)?,
        revision: row.get(1)?,
        reason: row.get(2)?,
        times: row.get(3)?,
        again: row.get(4)?,
    })
}

fn report_row(row: &Row<'_>) -> rusqlite::Result<ReportRow> {
    Ok(ReportRow {
        agent: id(row, 0, AgentId::from_u128)?,
        at: UtcMicros(row.get(1)?),
        report: ConfigurationReport {
            revision: row.get(2)?,
            edition: row.get::<_, i64>(3)?.cast_unsigned(),
            told_revision: row.get(4)?,
            told_edition: row.get::<_, i64>(5)?.cast_unsigned(),
            state: parsed(row, 6)?,
            reason: row.get(7)?,
            good_edition: row.get::<_, i64>(8)?.cast_unsigned(),
            paused: row.get(9)?,
        },
        clock: match (row.get(10)?, row.get(11)?) {
            (Some(offset_us), Some(close)) => Some(ComparedClock { offset_us, close }),
            _ => None,
        },
    })
}
