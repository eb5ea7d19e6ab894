//! The partitions that there are to be, as the head knows: one whose file somebody deleted is missed.
//!
//! A partition is listed after its file is durable and taken off before its file is deleted, so that a
//! crash in between makes nothing seem missing.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::Engine;
use crate::StoreError;
use crate::sqlite::{Family, PartitionId, unreadable};

pub(super) const LISTED: &str = "SELECT family, first_day FROM partitions";
const OPERATION: &str = "look for partitions that are missing";

/// Lists partitions whose files are there.
pub(super) fn add(
    sql: &Connection,
    ids: impl IntoIterator<Item = PartitionId>,
) -> rusqlite::Result<()> {
    let mut add = sql.prepare_cached("INSERT OR IGNORE INTO partitions VALUES (?1, ?2)")?;
    for id in ids {
        add.execute(params![id.family().folder(), id.first_day()])?;
    }
    Ok(())
}

/// Takes a partition off that is to go.
pub(super) fn remove(sql: &Connection, id: PartitionId) -> rusqlite::Result<()> {
    sql.prepare_cached("DELETE FROM partitions WHERE family = ?1 AND first_day = ?2")?
        .execute(params![id.family().folder(), id.first_day()])?;
    Ok(())
}

/// The partitions that a head lists.
pub(crate) fn listed(sql: &Connection) -> rusqlite::Result<BTreeSet<PartitionId>> {
    let mut statement = sql.prepare(LISTED)?;
    let ids = statement.query_map([], |row| {
        let (folder, first_day) = (row.get_ref(0)?.as_str()?, row.get(1)?);
        let family = Family::ALL.into_iter().find(|family| family.folder() == folder);
        let id = family.and_then(|family| PartitionId::holding(family, first_day));
        id.filter(|id| id.first_day() == first_day).ok_or_else(|| unreadable(NoPartition))
    })?;
    ids.collect()
}

/// What stands in the list where a partition should.
#[derive(Debug, thiserror::Error)]
#[error("what is listed is no partition")]
struct NoPartition;

/// Notes as damaged what is listed and not there, and takes it off: from then on the note beside its
/// place tells of it. To be called when the store is opened.
pub(super) fn miss(engine: &Engine) -> Result<(), StoreError> {
    let listed = engine.head.read(OPERATION, |sql| listed(sql))?;
    let told: BTreeSet<PartitionId> =
        engine.partitions.damaged().iter().map(|damage| damage.id).collect();
    let mut noted = Vec::new();
    for id in listed {
        let is_there = engine.partitions.list(id.family()).contains(&id);
        if !is_there && (told.contains(&id) || engine.partitions.note_missing(id)) {
            noted.push(id);
        }
    }
    if noted.is_empty() {
        return Ok(());
    }
    engine.head.write(OPERATION, |sql| noted.iter().try_for_each(|&id| remove(sql, id)))
}
