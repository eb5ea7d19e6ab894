//! Every path, in memory: the rows are in the head, and are brought up to date when the journal is
//! folded.

use std::collections::{BTreeMap, HashMap};

use busyhour_model::{
    AgentId, Context, Link, LinkKind, PathId, PathKey, ProfileName, RequirementProfile, TargetName,
    UtcMicros,
};
use rusqlite::{Connection, Row, params};

use crate::codec::{decode_context, encode_context};
use crate::sqlite::unreadable;
use crate::{PathChanges, PathRow};

pub(super) const PATHS: &str = "SELECT id, agent, link, interface, family, target, class, profile, \
     transport, requirement, windows_per_slot, oldest_us, newest_us, context FROM paths ORDER BY id";

/// All paths by number and by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    rows: BTreeMap<PathId, Known>,
    by_agent: HashMap<AgentId, HashMap<PathKey, PathId>>,
    /// How often rows changed.
    changes: u64,
    /// By that count, when paths were forgotten last.
    forgotten: u64,
}

/// A row, and when it changed last by the registry's count.
#[derive(Debug)]
struct Known {
    row: PathRow,
    /// In anything but its newest window.
    changed: u64,
    /// In its newest window.
    heard: u64,
}

/// What a window tells of its path.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathNews<'a> {
    pub(super) placed: UtcMicros,
    pub(super) requirement: RequirementProfile,
    pub(super) windows_per_slot: u32,
    pub(super) context: &'a Context,
}

impl Registry {
    pub(super) fn load(sql: &Connection) -> rusqlite::Result<Self> {
        let mut registry = Self::default();
        let mut statement = sql.prepare(PATHS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            registry.insert(path_row(row)?);
        }
        Ok(registry)
    }

    pub(super) fn insert(&mut self, row: PathRow) {
        self.by_agent.entry(row.agent).or_default().insert(row.key.clone(), row.id);
        self.changes += 1;
        let (changed, heard) = (self.changes, self.changes);
        self.rows.insert(row.id, Known { row, changed, heard });
    }

    /// Forgets an agent's paths. Gives what they were.
    pub(super) fn forget(&mut self, agent: AgentId) -> Vec<PathId> {
        let gone: Vec<PathId> =
            self.by_agent.remove(&agent).unwrap_or_default().into_values().collect();
        for path in &gone {
            self.rows.remove(path);
        }
        self.note_forgotten(!gone.is_empty());
        gone
    }

    /// The paths whose newest window is older.
    pub(super) fn older(&self, than: UtcMicros) -> Vec<PathId> {
        self.all().filter(|row| row.newest < than).map(|row| row.id).collect()
    }

    /// Forgets paths whose newest window is older. Gives how many.
    pub(super) fn forget_older(&mut self, than: UtcMicros) -> usize {
        let before = self.rows.len();
        let by_agent = &mut self.by_agent;
        self.rows.retain(|_, Known { row, .. }| {
            let keep = row.newest >= than;
            if !keep && let Some(of_agent) = by_agent.get_mut(&row.agent) {
                of_agent.remove(&row.key);
            }
            keep
        });
        self.by_agent.retain(|_, of_agent| !of_agent.is_empty());
        let gone = before - self.rows.len();
        self.note_forgotten(gone > 0);
        gone
    }

    fn note_forgotten(&mut self, any: bool) {
        if any {
            self.changes += 1;
            self.forgotten = self.changes;
        }
    }

    /// Brings a path's row up to date with a window.
    pub(super) fn tell(&mut self, path: PathId, news: &PathNews<'_>) {
        let Some(Known { row, changed, heard }) = self.rows.get_mut(&path) else { return };
        let is_oldest = news.placed < row.oldest;
        let mut is_other = is_oldest;
        if is_oldest {
            row.oldest = news.placed;
        }
        if news.placed >= row.newest {
            row.newest = news.placed;
            let schedule = (news.requirement, news.windows_per_slot);
            is_other |= (row.requirement, row.windows_per_slot) != schedule;
            (row.requirement, row.windows_per_slot) = schedule;
            if row.context != *news.context {
                is_other = true;
                row.context = news.context.clone();
            }
            self.changes += 1;
            *heard = self.changes;
        }
        if is_other {
            self.changes += 1;
            *changed = self.changes;
        }
    }

    pub(super) fn find(&self, agent: AgentId, key: &PathKey) -> Option<PathId> {
        self.by_agent.get(&agent)?.get(key).copied()
    }

    pub(super) fn get(&self, path: PathId) -> Option<&PathRow> {
        self.rows.get(&path).map(|known| &known.row)
    }

    fn all(&self) -> impl Iterator<Item = &PathRow> {
        self.rows.values().map(|known| &known.row)
    }

    /// What changed since there were so many changes.
    pub(super) fn changes_since(&self, since: Option<u64>) -> PathChanges {
        let until = Some(self.changes);
        let counted = since.filter(|since| (self.forgotten..=self.changes).contains(since));
        let Some(since) = counted else {
            return PathChanges { rows: self.rows(None), all: true, until, heard: Vec::new() };
        };
        let mut found = PathChanges { until, ..PathChanges::default() };
        if since == self.changes {
            return found;
        }
        for Known { row, changed, heard } in self.rows.values() {
            if *changed > since {
                found.rows.push(row.clone());
            } else if *heard > since {
                found.heard.push((row.id, row.newest));
            }
        }
        found
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn paths_of(&self, agent: AgentId) -> usize {
        self.by_agent.get(&agent).map_or(0, HashMap::len)
    }

    /// All rows in the order of their numbers; of one agent when given.
    pub(super) fn rows(&self, agent: Option<AgentId>) -> Vec<PathRow> {
        let Some(agent) = agent else { return self.all().cloned().collect() };
        let mut ids: Vec<PathId> =
            self.by_agent.get(&agent).into_iter().flat_map(HashMap::values).copied().collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.get(*id)).cloned().collect()
    }

    /// Writes the rows of `paths` as they are now.
    pub(super) fn store(&self, sql: &Connection, paths: &[PathId]) -> rusqlite::Result<()> {
        let mut update = sql.prepare_cached(
            "UPDATE paths SET requirement = ?2, windows_per_slot = ?3, oldest_us = ?4, \
             newest_us = ?5, context = ?6 WHERE id = ?1",
        )?;
        for row in paths.iter().filter_map(|path| self.get(*path)) {
            update.execute(params![
                row.id.0,
                row.requirement.as_str(),
                row.windows_per_slot,
                row.oldest.0,
                row.newest.0,
                encode_context(&row.context),
            ])?;
        }
        Ok(())
    }
}

/// Stores a new path. Gives its number.
pub(super) fn insert_path(
    sql: &Connection,
    agent: AgentId,
    key: &PathKey,
    news: &PathNews<'_>,
) -> rusqlite::Result<PathRow> {
    sql.prepare_cached(
        "INSERT INTO paths (agent, link, interface, family, target, class, profile, transport, \
         requirement, windows_per_slot, oldest_us, newest_us, context) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)",
    )?
    .execute(params![
        agent.to_bytes(),
        key.link.kind().as_str(),
        key.link.interface(),
        key.family.as_str(),
        key.target.as_str(),
        key.class.as_str(),
        key.profile.as_str(),
        key.transport.as_str(),
        news.requirement.as_str(),
        news.windows_per_slot,
        news.placed.0,
        encode_context(news.context),
    ])?;
    Ok(PathRow {
        id: PathId(sql.last_insert_rowid()),
        agent,
        key: key.clone(),
        requirement: news.requirement,
        windows_per_slot: news.windows_per_slot,
        oldest: news.placed,
        newest: news.placed,
        context: news.context.clone(),
    })
}

fn path_row(row: &Row<'_>) -> rusqlite::Result<PathRow> {
    let link: LinkKind = word(row, 2)?;
    let key = PathKey {
        link: Link::new(link, row.get::<_, String>(3)?).map_err(unreadable)?,
        family: word(row, 4)?,
        target: TargetName::new(row.get::<_, String>(5)?).map_err(unreadable)?,
        class: word(row, 6)?,
        profile: ProfileName::new(row.get::<_, String>(7)?).map_err(unreadable)?,
        transport: word(row, 8)?,
    };
    Ok(PathRow {
        id: PathId(row.get(0)?),
        agent: AgentId::from_slice(row.get_ref(1)?.as_blob()?).map_err(unreadable)?,
        key,
        requirement: word(row, 9)?,
        windows_per_slot: row.get(10)?,
        oldest: UtcMicros(row.get(11)?),
        newest: UtcMicros(row.get(12)?),
        context: decode_context(row.get_ref(13)?.as_blob()?).map_err(unreadable)?,
    })
}

fn word<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get_ref(at)?.as_str()?.parse().map_err(unreadable)
}
