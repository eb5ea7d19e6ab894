//! An agent is forgotten: whatever names it or was measured by it alone goes; what its building was
//! judged to be stays.

use std::borrow::Cow;
use std::collections::BTreeSet;

use busyhour_model::{AgentId, BuildingId, Incident, IncidentPlace, PathId, Scope, UtcMicros};
use rusqlite::{Connection, params};

use super::{agents, audit, configuration, id, incidents, names, prune};
use crate::sqlite::{days_before, unreadable};
use crate::{Act, AgentRow, AuditAction, AuditSubject, Forgotten, ForgottenAgent};

/// Steps from date to date along the key, instead of reading the whole table.
pub(super) const FORGET_VERDICTS: &str = "DELETE FROM days WHERE scope = ?1 AND subject = ?2 AND date IN ( \
     WITH RECURSIVE dates (date) AS (SELECT min(date) FROM days UNION ALL \
     SELECT (SELECT min(d.date) FROM days d WHERE d.date > dates.date) FROM dates \
     WHERE dates.date IS NOT NULL) SELECT date FROM dates WHERE date IS NOT NULL)";
/// The same, from month to month.
pub(super) const FORGET_MONTHS: &str = "DELETE FROM series_months WHERE path = ?1 AND month IN ( \
     WITH RECURSIVE months (month) AS (SELECT min(month) FROM series_months UNION ALL \
     SELECT (SELECT min(m.month) FROM series_months m WHERE m.month > months.month) FROM months \
     WHERE months.month IS NOT NULL) SELECT month FROM months WHERE month IS NOT NULL)";
/// The mean of two, less the one that is known, is the other; of three and more it is the median.
pub(super) const FORGET_LOADS: &str = "DELETE FROM building_loads \
     WHERE building = ?1 AND date >= ?2 AND date <= ?3 AND machines < 3 AND source = 'agents'";
pub(super) const FORGOTTEN: &str = "SELECT subject FROM forgotten";
/// What stands in texts where a forgotten agent's name stood.
const NAMELESS: &str = "a forgotten agent";
const PLACES: &str =
    "SELECT building, valid_from_us, valid_until_us FROM placements WHERE agent = ?1";

/// Who was forgotten. A judge that looked before writes after it.
#[derive(Debug, Default)]
pub(super) struct Silenced {
    agents: BTreeSet<AgentId>,
    paths: BTreeSet<PathId>,
}

impl Silenced {
    pub(super) fn load(sql: &Connection) -> rusqlite::Result<Self> {
        let mut silenced = Self::default();
        let mut forgotten = sql.prepare_cached(FORGOTTEN)?;
        let mut rows = forgotten.query([])?;
        while let Some(row) = rows.next()? {
            let subject = row.get_ref(0)?.as_blob()?;
            if let Ok(path) = subject.try_into() {
                silenced.paths.insert(PathId(i64::from_be_bytes(path)));
            } else {
                silenced.agents.insert(AgentId::from_slice(subject).map_err(unreadable)?);
            }
        }
        Ok(silenced)
    }

    pub(super) fn has_scope(&self, scope: Scope) -> bool {
        match scope {
            Scope::Path(path) => self.paths.contains(&path),
            Scope::Agent(agent, _) => self.agents.contains(&agent),
            Scope::Subnet(..) | Scope::Building(_) => false,
        }
    }

    pub(super) fn has_path(&self, path: PathId) -> bool {
        self.paths.contains(&path)
    }

    /// An incident without their members; `None` when it is about one of them, or nobody is left.
    pub(super) fn without<'i>(&self, incident: &'i Incident) -> Option<Cow<'i, Incident>> {
        if let IncidentPlace::Agent(agent) = incident.place
            && self.agents.contains(&agent)
        {
            return None;
        }
        if !incident.members.iter().any(|member| self.has_path(member.path)) {
            return Some(Cow::Borrowed(incident));
        }
        let mut rest = incident.clone();
        rest.members.retain(|member| !self.has_path(member.path));
        (!rest.members.is_empty()).then_some(Cow::Owned(rest))
    }
}

/// `None` when there is no such agent.
pub(super) fn forget(
    sql: &Connection,
    agent: AgentId,
    paths: &[PathId],
    telemetry: &Forgotten,
    by: &Act,
) -> rusqlite::Result<Option<ForgottenAgent>> {
    let Some(row) = agents::agent(sql, agent)? else { return Ok(None) };
    let mut gone = ForgottenAgent::default();
    let of_paths = paths.iter().map(|path| ("path", path.0.to_be_bytes().to_vec()));
    for (scope, subject) in of_paths.chain([("agent", agent.to_bytes().to_vec())]) {
        let verdicts = sql.prepare_cached(FORGET_VERDICTS)?.execute(params![scope, subject])?;
        gone.verdicts += verdicts as u64;
    }
    for path in paths {
        gone.months += sql.prepare_cached(FORGET_MONTHS)?.execute([path.0])? as u64;
    }
    gone.incidents = forget_incidents(sql, &row, paths)?;
    gone.loads = forget_loads(sql, agent)?;
    let id = agent.to_bytes();
    let mut silence = sql.prepare_cached("INSERT OR IGNORE INTO forgotten VALUES (?1)")?;
    silence.execute([id])?;
    for path in paths {
        silence.execute([path.0.to_be_bytes()])?;
    }
    let placements =
        sql.prepare_cached("DELETE FROM placements WHERE agent = ?1")?.execute([id])?;
    gone.placements = placements as u64;
    sql.prepare_cached("DELETE FROM bindings WHERE agent = ?1")?.execute([id])?;
    sql.prepare_cached("DELETE FROM identities WHERE agent = ?1")?.execute([id])?;
    configuration::leave(sql, agent)?;
    sql.prepare_cached("DELETE FROM agents WHERE id = ?1")?.execute([id])?;
    let detail = format!(
        "paths={} windows={} slots={} others={} placements={} verdicts={} incidents={} loads={} \
         months={}",
        telemetry.paths,
        telemetry.windows,
        telemetry.slots,
        telemetry.others,
        gone.placements,
        gone.verdicts,
        gone.incidents,
        gone.loads,
        gone.months,
    );
    audit::note(sql, by, AuditAction::AgentForgotten, AuditSubject::Agent(agent), &detail)?;
    Ok(Some(gone))
}

/// Deletes the incidents that are about the agent or that only it suffers from; of the others it is no
/// part any more. Nothing in them, and nothing that people wrote, says its name. How many were deleted.
fn forget_incidents(sql: &Connection, agent: &AgentRow, paths: &[PathId]) -> rusqlite::Result<u64> {
    let mut gone = 0;
    for incident in incidents::of_agent(sql, agent.id)? {
        prune::delete_incident(sql, &incident.id.to_bytes())?;
        gone += 1;
    }
    let mut paths = paths.to_vec();
    paths.sort_unstable();
    for mut incident in incidents::of_paths(sql, &paths)? {
        incident.members.retain(|member| paths.binary_search(&member.path).is_err());
        if incident.members.is_empty() {
            prune::delete_incident(sql, &incident.id.to_bytes())?;
            gone += 1;
        } else {
            names::replace(&mut incident, &agent.name, NAMELESS);
            incidents::put(sql, &incident)?;
        }
    }
    names::unsay(sql, &agent.name, NAMELESS)?;
    Ok(gone)
}

/// Deletes the loads of the buildings where it was, of the days on which they tell what it did.
fn forget_loads(sql: &Connection, agent: AgentId) -> rusqlite::Result<u64> {
    let places: Vec<(BuildingId, i64, Option<i64>)> = sql
        .prepare_cached(PLACES)?
        .query_map([agent.to_bytes()], |row| {
            Ok((id(row, 0, BuildingId::from_u128)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for (building, from, until) in places {
        // A local date is at most one day away from that of UTC; the first place holds for all time
        // before it, the last one for all time after it.
        let from = prune::utc_date(days_before(UtcMicros(from), 1)).unwrap_or_default();
        let until = until.and_then(|until| prune::utc_date(prune::day_after(UtcMicros(until))));
        let until = until.unwrap_or_else(|| "9999-12-31".to_owned());
        let mut forget = sql.prepare_cached(FORGET_LOADS)?;
        gone += forget.execute(params![building.to_bytes(), from, until])? as u64;
    }
    Ok(gone)
}
