//! The telemetry contract on the embedded engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use busyhour_model::{
    AgentId, BlockNo, Combination, Epoch, LimitTable, PathId, Record, RequirementProfile, Slot,
    SlotGist, SlotStart, UtcMicros,
};

use super::{
    Engine, FoldOptions, append, figures, gists, listed, others, prune, slots, tallies, windows,
};
use crate::sqlite::{Family, OpenError, PartitionId};
use crate::{
    Appended, BlockRows, DamagedFile, DayTally, DirtyDay, Forgotten, Grain, PathChanges, PathRow,
    RecordKind, Retention, SlotDetail, StoreError, StoredWindow, Telemetry, TelemetryTotals,
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
        self.engine.partitions.limit_size(bytes);
        self.engine.head.limit_size(bytes)
    }

    /// Puts what the journal holds into the files of its days. It happens by itself in time; those who
    /// measure files or stop for long do it at once.
    ///
    /// # Errors
    /// When files cannot be written, or a backup runs ([`crate::ErrorKind::Busy`]).
    pub fn fold(&self) -> Result<(), StoreError> {
        prune::fold_all(&self.engine, "fold the journal")
    }

    /// Puts slots beside those that are there, as if windows had made them. For loading what was
    /// aggregated elsewhere: such slots have no raw windows, and their paths must have been seen.
    ///
    /// # Errors
    /// When files cannot be written.
    #[doc(hidden)]
    pub fn load_slots(&self, slots: &[(PathId, Vec<Slot>)]) -> Result<(), StoreError> {
        const OPERATION: &str = "load slots";
        let mut weeks: BTreeMap<PartitionId, Vec<(PathId, i64, slots::PathDay<'_>)>> =
            BTreeMap::new();
        for (path, of_path) in slots {
            for (day, what) in slots::slots_by_day(of_path) {
                if let Some(id) = PartitionId::holding(Family::Slots, day) {
                    weeks.entry(id).or_default().push((*path, day, what));
                }
            }
        }
        for (id, days) in &weeks {
            self.engine.partitions.write(*id, OPERATION, |sql| {
                for (path, day, what) in days {
                    slots::fold(sql, *id, (*path, *day), what)?;
                }
                Ok(())
            })?;
            self.engine.slot_counts(|counts| counts.remove(id));
        }
        self.engine.head.write(OPERATION, |sql| listed::add(sql, weeks.keys().copied()))
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
        append::append(&self.engine, blocks)
    }

    fn received(
        &self,
        agent: AgentId,
        epoch: Epoch,
    ) -> Result<Vec<(BlockNo, BlockNo)>, StoreError> {
        Ok(self.engine.receipts(|receipts| receipts.of((agent, epoch))))
    }

    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError> {
        Ok(self.engine.look_registry(|registry| registry.rows(agent)))
    }

    fn path_changes(&self, since: Option<u64>) -> Result<PathChanges, StoreError> {
        Ok(self.engine.look_registry(|registry| registry.changes_since(since)))
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        grain: Grain,
        detail: SlotDetail,
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        slots::visit(&self.engine, paths, span, (grain, detail), visit)
    }

    fn take_gists(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        take: &mut dyn FnMut(PathId, Vec<SlotGist>),
    ) -> Result<(), StoreError> {
        gists::take(&self.engine, paths, span, take)
    }

    fn visit_tallies(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(&DayTally<'_>),
    ) -> Result<(), StoreError> {
        tallies::visit(&self.engine, paths, span, visit)
    }

    fn visit_figures(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, SlotStart, Combination, u32),
    ) -> Result<(), StoreError> {
        figures::visit(&self.engine, paths, span, visit)
    }

    fn windows(
        &self,
        path: PathId,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        let engine = &self.engine;
        let key = engine.look_registry(|registry| registry.get(path).map(|row| row.key.clone()));
        match key {
            Some(key) => windows::read(engine, path, &key, (from, until), limit),
            None => Ok(Vec::new()),
        }
    }

    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        others::read(&self.engine, (agent, kind), (from, until), limit)
    }

    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError> {
        Ok(self.engine.marks(|marks| marks.newest(limit)))
    }

    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError> {
        self.engine.marks(|marks| marks.clear(days));
        Ok(())
    }

    fn prune(&self, now: UtcMicros) -> Result<u64, StoreError> {
        prune::prune(&self.engine, now)
    }

    fn rejudge(
        &self,
        span: (SlotStart, SlotStart),
        table: &dyn Fn(RequirementProfile) -> Option<&'static LimitTable>,
    ) -> Result<u64, StoreError> {
        prune::rejudge(&self.engine, span, table)
    }

    fn forget(&self, agent: AgentId) -> Result<Forgotten, StoreError> {
        prune::forget(&self.engine, agent)
    }

    fn damaged(&self) -> Vec<DamagedFile> {
        let damaged = self.engine.partitions.damaged().into_iter();
        let file = damaged.map(|damage| DamagedFile {
            file: damage.file,
            first_day: damage.id.first_day(),
            until_day: damage.id.until_day(),
            holds: damage.id.family().folder(),
            reason: damage.reason,
        });
        file.collect()
    }

    fn totals(&self) -> Result<TelemetryTotals, StoreError> {
        let Engine { head, partitions, .. } = self.engine.as_ref();
        let counts = self.engine.counts(|counts| *counts);
        let mut slots = 0;
        for id in partitions.list(Family::Slots) {
            let known = self.engine.slot_counts(|counts| counts.get(&id).copied());
            let found = match known {
                Some(found) => found,
                None => partitions.read(id, "read totals", slots::count)?.unwrap_or(0),
            };
            self.engine.slot_counts(|counts| counts.insert(id, found));
            slots += found;
        }
        Ok(TelemetryTotals {
            windows: counts.windows,
            slots,
            blocks: counts.blocks,
            quarantined: counts.quarantined,
            size_bytes: head.size_bytes() + partitions.size_bytes(),
        })
    }
}
