//! The telemetry contract on the embedded engine.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use busyhour_model::{
    AgentId, BlockNo, Combination, Epoch, LimitTable, PathId, Record, RequirementProfile, Slot,
    SlotStart, UtcMicros,
};

use crate::engine::{Engine, FoldOptions};
use crate::sqlite::OpenError;
use crate::{
    Appended, BlockRows, DamagedFile, DayTally, DirtyDay, Forgotten, Grain, PathRow, RecordKind,
    Retention, SlotDetail, StoreError, StoredWindow, Telemetry, TelemetryTotals,
};

/// Telemetry in one directory. A thread folds its journal; it ends when this is dropped.
#[derive(Debug)]
pub struct SqliteTelemetry {
    engine: Arc<Engine>,
    folder: Option<JoinHandle<()>>,
}

impl SqliteTelemetry {
    pub(crate) fn open(
        directory: &Path,
        lock: &Arc<File>,
        retention: Retention,
        folding: FoldOptions,
    ) -> Result<Self, OpenError> {
        let engine = Engine::open(directory, lock, retention, folding)?;
        let unusable = |source| OpenError::Directory { directory: directory.to_owned(), source };
        let folder = Some(engine.spawn_folder().map_err(unusable)?);
        Ok(Self { engine, folder })
    }

    /// Forbids each file to grow beyond `bytes`; writes that need more fail with
    /// [`crate::ErrorKind::Full`] until it is raised or something is pruned. Holds until closed.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn limit_size(&self, bytes: u64) -> Result<(), StoreError> {
        self.engine.limit_size(bytes)
    }

    /// Puts what the journal holds into the files of its days. It happens by itself in time; those who
    /// measure files or stop for long do it at once.
    ///
    /// # Errors
    /// When files cannot be written, or a backup runs ([`crate::ErrorKind::Busy`]).
    pub fn fold(&self) -> Result<(), StoreError> {
        self.engine.fold_all("fold the journal")
    }

    /// Puts slots beside those that are there, as if windows had made them. For loading what was
    /// aggregated elsewhere: such slots have no raw windows, and their paths must have been seen.
    ///
    /// # Errors
    /// When files cannot be written.
    #[doc(hidden)]
    pub fn load_slots(&self, slots: &[(PathId, Vec<Slot>)]) -> Result<(), StoreError> {
        self.engine.load_slots(slots)
    }
}

impl Drop for SqliteTelemetry {
    fn drop(&mut self) {
        self.engine.stop();
        if let Some(folder) = self.folder.take() {
            // It reports by the engine alone, and there is nobody left to be told of a panic.
            let _ = folder.join();
        }
    }
}

impl Telemetry for SqliteTelemetry {
    fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError> {
        self.engine.append(blocks)
    }

    fn received(
        &self,
        agent: AgentId,
        epoch: Epoch,
    ) -> Result<Vec<(BlockNo, BlockNo)>, StoreError> {
        Ok(self.engine.received(agent, epoch))
    }

    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError> {
        Ok(self.engine.paths(agent))
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        grain: Grain,
        detail: SlotDetail,
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        self.engine.visit_slots(paths, span, (grain, detail), visit)
    }

    fn visit_tallies(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(&DayTally<'_>),
    ) -> Result<(), StoreError> {
        self.engine.visit_tallies(paths, span, visit)
    }

    fn visit_figures(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, SlotStart, Combination, u32),
    ) -> Result<(), StoreError> {
        self.engine.visit_figures(paths, span, visit)
    }

    fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        self.engine.windows(path, (from, until), limit)
    }

    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.engine.others((agent, kind), (from, until), limit)
    }

    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError> {
        Ok(self.engine.dirty_days(limit))
    }

    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError> {
        self.engine.clear_dirty(days);
        Ok(())
    }

    fn prune(&self, now: UtcMicros) -> Result<u64, StoreError> {
        self.engine.prune(now)
    }

    fn rejudge(
        &self,
        span: (SlotStart, SlotStart),
        table: &dyn Fn(RequirementProfile) -> Option<&'static LimitTable>,
    ) -> Result<u64, StoreError> {
        self.engine.rejudge(span, table)
    }

    fn forget(&self, agent: AgentId) -> Result<Forgotten, StoreError> {
        self.engine.forget(agent)
    }

    fn damaged(&self) -> Vec<DamagedFile> {
        self.engine.damaged()
    }

    fn totals(&self) -> Result<TelemetryTotals, StoreError> {
        self.engine.totals()
    }
}
