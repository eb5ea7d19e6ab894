//! An agent is forgotten: whatever names it goes; what its building was judged to be stays.

use busyhour_model::{AgentId, PathId};
use rusqlite::{Connection, params};

use super::{agents, audit, prune};
use crate::{Act, AuditAction, AuditSubject, Forgotten, ForgottenAgent};

/// Steps from date to date along the key, instead of reading the whole table.
pub(super) const FORGET_VERDICTS: &str = "DELETE FROM days WHERE scope = ?1 AND subject = ?2 AND date IN ( \
     WITH RECURSIVE dates (date) AS (SELECT min(date) FROM days UNION ALL \
     SELECT (SELECT min(d.date) FROM days d WHERE d.date > dates.date) FROM dates \
     WHERE dates.date IS NOT NULL) SELECT date FROM dates WHERE date IS NOT NULL)";
pub(super) const INCIDENTS_ABOUT: &str =
    "SELECT id FROM incidents WHERE scope = ?1 AND subject = ?2";

/// `None` when there is no such agent.
pub(super) fn forget(
    sql: &Connection,
    agent: AgentId,
    paths: &[PathId],
    telemetry: &Forgotten,
    by: &Act,
) -> rusqlite::Result<Option<ForgottenAgent>> {
    if agents::agent(sql, agent)?.is_none() {
        return Ok(None);
    }
    let mut gone = ForgottenAgent::default();
    let of_paths = paths.iter().map(|path| ("path", path.0.to_be_bytes().to_vec()));
    for (scope, subject) in of_paths.chain([("agent", agent.to_bytes().to_vec())]) {
        let verdicts = sql.prepare_cached(FORGET_VERDICTS)?.execute(params![scope, subject])?;
        gone.verdicts += verdicts as u64;
        let incidents: Vec<Vec<u8>> = sql
            .prepare_cached(INCIDENTS_ABOUT)?
            .query_map(params![scope, subject], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for incident in &incidents {
            prune::delete_incident(sql, incident)?;
        }
        gone.incidents += incidents.len() as u64;
    }
    let id = agent.to_bytes();
    let placements =
        sql.prepare_cached("DELETE FROM placements WHERE agent = ?1")?.execute([id])?;
    gone.placements = placements as u64;
    sql.prepare_cached("DELETE FROM bindings WHERE agent = ?1")?.execute([id])?;
    sql.prepare_cached("DELETE FROM agents WHERE id = ?1")?.execute([id])?;
    let detail = format!(
        "paths={} windows={} slots={} others={} placements={} verdicts={} incidents={}",
        telemetry.paths,
        telemetry.windows,
        telemetry.slots,
        telemetry.others,
        gone.placements,
        gone.verdicts,
        gone.incidents,
    );
    audit::note(sql, by, AuditAction::AgentForgotten, AuditSubject::Agent(agent), &detail)?;
    Ok(Some(gone))
}
