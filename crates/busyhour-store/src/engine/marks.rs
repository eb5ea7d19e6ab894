//! Days to judge again.
//!
//! Marks are in memory; the head has those of the last fold, and the journal brings back the others. A
//! mark that was cleared and comes back after a crash is judged once more, which changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::PathId;
use rusqlite::{Connection, params};

use crate::DirtyDay;

pub(super) const MARKS: &str = "SELECT utc_day, path FROM dirty_days";

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// With the generation of the last append that brought something.
    days: BTreeMap<(i64, PathId), i64>,
    generation: i64,
    /// What changed since the head had it.
    changed: BTreeSet<(i64, PathId)>,
}

impl Marks {
    pub(super) fn load(sql: &Connection) -> rusqlite::Result<Self> {
        let mut marks = Self::default();
        let mut statement = sql.prepare(MARKS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            marks.days.insert((row.get(0)?, PathId(row.get(1)?)), 0);
        }
        Ok(marks)
    }

    /// Marks days, all with one new generation.
    pub(super) fn mark(&mut self, days: impl IntoIterator<Item = (i64, PathId)>) {
        self.generation += 1;
        for day in days {
            if self.days.insert(day, self.generation).is_none() {
                self.changed.insert(day);
            }
        }
    }

    /// Clears marks that nothing was added to since they were read.
    pub(super) fn clear(&mut self, days: &[DirtyDay]) {
        for day in days {
            let key = (day.utc_day, day.path);
            if self.days.get(&key) == Some(&day.generation) {
                self.days.remove(&key);
                self.changed.insert(key);
            }
        }
    }

    /// Forgets days before `from`, and those of paths that are no more.
    pub(super) fn retain(&mut self, from: i64, is_there: impl Fn(PathId) -> bool) -> usize {
        let before = self.days.len();
        let changed = &mut self.changed;
        self.days.retain(|key, _| {
            let keep = key.0 >= from && is_there(key.1);
            if !keep {
                changed.insert(*key);
            }
            keep
        });
        before - self.days.len()
    }

    /// The newest days first.
    pub(super) fn newest(&self, limit: usize) -> Vec<DirtyDay> {
        let newest = self.days.iter().rev().take(limit);
        newest
            .map(|(&(utc_day, path), &generation)| DirtyDay { path, utc_day, generation })
            .collect()
    }

    /// What the head does not know yet.
    pub(super) fn changed(&self) -> Vec<((i64, PathId), bool)> {
        self.changed.iter().map(|&key| (key, self.days.contains_key(&key))).collect()
    }

    /// The head has what [`Self::changed`] gave.
    pub(super) fn stored(&mut self, changed: &[((i64, PathId), bool)]) {
        for (key, there) in changed {
            if self.days.contains_key(key) == *there {
                self.changed.remove(key);
            }
        }
    }
}

/// Brings the head's marks up to date.
pub(super) fn store(sql: &Connection, changed: &[((i64, PathId), bool)]) -> rusqlite::Result<()> {
    let mut put = sql.prepare_cached("INSERT OR IGNORE INTO dirty_days VALUES (?1, ?2)")?;
    let mut delete =
        sql.prepare_cached("DELETE FROM dirty_days WHERE utc_day = ?1 AND path = ?2")?;
    for &((day, path), there) in changed {
        let statement = if there { &mut put } else { &mut delete };
        statement.execute(params![day, path.0])?;
    }
    Ok(())
}
