//! The telemetry contract on SQLite.

mod append;
mod prune;
mod quarantine;
mod read;
mod settle;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use busyhour_model::{AgentId, BlockNo, Epoch, PathId, Record, Slot, SlotStart, UtcMicros};

use crate::sqlite::{Database, Migration, OpenError};
use crate::{
    Appended, BlockRows, DirtyDay, PathRow, RecordKind, Retention, StoreError, StoredWindow,
    Telemetry, TelemetryTotals,
};

const FILE: &str = "telemetry.db";
/// "BHt1" in a file's header says whose it is.
const APPLICATION_ID: i32 = 0x4248_7431;
const MIGRATIONS: &[Migration] =
    &[include_str!("telemetry/schema_1.sql"), include_str!("telemetry/schema_2.sql")];

/// Telemetry in one SQLite file.
#[derive(Debug)]
pub struct SqliteTelemetry {
    database: Database<append::Memory>,
    retention: Retention,
}

impl SqliteTelemetry {
    pub(crate) fn open(
        directory: &Path,
        lock: Arc<File>,
        retention: Retention,
    ) -> Result<Self, OpenError> {
        let database = Database::open(directory.join(FILE), lock, APPLICATION_ID, MIGRATIONS)?;
        Ok(Self { database, retention })
    }

    /// Forbids the file to grow beyond `bytes`; writes that need more fail with
    /// [`crate::ErrorKind::Full`] until it is raised or something is pruned. Holds until closed.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn limit_size(&self, bytes: u64) -> Result<(), StoreError> {
        self.database.limit_size(bytes)
    }
}

impl Telemetry for SqliteTelemetry {
    fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError> {
        append::append(&mut self.database.writer(), blocks, self.retention)
    }

    fn received(
        &self,
        agent: AgentId,
        epoch: Epoch,
    ) -> Result<Vec<(BlockNo, BlockNo)>, StoreError> {
        self.database.read("read receipts", |sql| read::received(sql, agent, epoch))
    }

    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError> {
        self.database.read("read paths", |sql| read::paths(sql, agent))
    }

    fn slots(
        &self,
        paths: &[PathId],
        from: SlotStart,
        until: SlotStart,
    ) -> Result<Vec<(PathId, Slot)>, StoreError> {
        self.database.read("read slots", |sql| read::slots(sql, paths, from, until))
    }

    fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        self.database.read("read windows", |sql| read::windows(sql, path, from, until, limit))
    }

    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.database.read("read records", |sql| read::others(sql, agent, kind, from, until, limit))
    }

    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError> {
        self.database.read("read days to judge", |sql| read::dirty_days(sql, limit))
    }

    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError> {
        self.database.write("clear judged days", |sql| append::clear_dirty(sql, days))
    }

    fn prune(&self, now: UtcMicros) -> Result<u64, StoreError> {
        prune::prune(&self.database, self.retention, now)
    }

    fn totals(&self) -> Result<TelemetryTotals, StoreError> {
        let totals = self.database.read("read totals", |sql| read::totals(sql))?;
        Ok(TelemetryTotals { size_bytes: self.database.size_bytes(), ..totals })
    }
}
