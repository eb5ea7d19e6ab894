//! What is asked of the engine, as the contract has it.

use std::collections::BTreeMap;

use super::{Engine, append, figures, others, prune, slots, tallies, windows};
use crate::sqlite::{Family, PartitionId};
use crate::{
    Appended, BlockRows, DamagedFile, DayTally, DirtyDay, Forgotten, Grain, PathRow, RecordKind,
    SlotDetail, StoreError, StoredWindow, TelemetryTotals,
};
use busyhour_model::{
    AgentId, BlockNo, Combination, Epoch, LimitTable, PathId, Record, RequirementProfile, Slot,
    SlotStart, UtcMicros,
};

impl Engine {
    pub(crate) fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError> {
        append::append(self, blocks)
    }

    pub(crate) fn received(&self, agent: AgentId, epoch: Epoch) -> Vec<(BlockNo, BlockNo)> {
        self.receipts(|receipts| receipts.of((agent, epoch)))
    }

    pub(crate) fn paths(&self, agent: Option<AgentId>) -> Vec<PathRow> {
        self.look_registry(|registry| registry.rows(agent))
    }

    pub(crate) fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        what: (Grain, SlotDetail),
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        slots::visit(self, paths, span, what, visit)
    }

    pub(crate) fn visit_tallies(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(&DayTally<'_>),
    ) -> Result<(), StoreError> {
        tallies::visit(self, paths, span, visit)
    }

    pub(crate) fn visit_figures(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        visit: &mut dyn FnMut(PathId, SlotStart, Combination, u32),
    ) -> Result<(), StoreError> {
        figures::visit(self, paths, span, visit)
    }

    pub(crate) fn windows(
        &self,
        path: PathId,
        span: (UtcMicros, UtcMicros),
        limit: usize,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        let key = self.look_registry(|registry| registry.get(path).map(|row| row.key.clone()));
        match key {
            Some(key) => windows::read(self, path, &key, span, limit),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn others(
        &self,
        of: (AgentId, RecordKind),
        span: (UtcMicros, UtcMicros),
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        others::read(self, of, span, limit)
    }

    pub(crate) fn dirty_days(&self, limit: usize) -> Vec<DirtyDay> {
        self.marks(|marks| marks.newest(limit))
    }

    pub(crate) fn clear_dirty(&self, days: &[DirtyDay]) {
        self.marks(|marks| marks.clear(days));
    }

    pub(crate) fn prune(&self, now: UtcMicros) -> Result<u64, StoreError> {
        prune::prune(self, now)
    }

    pub(crate) fn rejudge(
        &self,
        span: (SlotStart, SlotStart),
        table: &dyn Fn(RequirementProfile) -> Option<&'static LimitTable>,
    ) -> Result<u64, StoreError> {
        prune::rejudge(self, span, table)
    }

    pub(crate) fn forget(&self, agent: AgentId) -> Result<Forgotten, StoreError> {
        prune::forget(self, agent)
    }

    pub(crate) fn fold_all(&self, operation: &'static str) -> Result<(), StoreError> {
        prune::fold_all(self, operation)
    }

    pub(crate) fn damaged(&self) -> Vec<DamagedFile> {
        let damaged = self.partitions.damaged().into_iter();
        let file = damaged.map(|damage| DamagedFile {
            file: damage.file,
            first_day: damage.id.first_day(),
            until_day: damage.id.until_day(),
            holds: damage.id.family().folder(),
            reason: damage.reason,
        });
        file.collect()
    }

    pub(crate) fn totals(&self) -> Result<TelemetryTotals, StoreError> {
        let counts = self.counts(|counts| *counts);
        let mut slots = 0;
        for id in self.partitions.list(Family::Slots) {
            let known = self.slot_counts(|counts| counts.get(&id).copied());
            let found = match known {
                Some(found) => found,
                None => self.partitions.read(id, "read totals", slots::count)?.unwrap_or(0),
            };
            self.slot_counts(|counts| counts.insert(id, found));
            slots += found;
        }
        Ok(TelemetryTotals {
            windows: counts.windows,
            slots,
            blocks: counts.blocks,
            quarantined: counts.quarantined,
            size_bytes: self.head.size_bytes() + self.partitions.size_bytes(),
        })
    }

    pub(crate) fn limit_size(&self, bytes: u64) -> Result<(), StoreError> {
        self.partitions.limit_size(bytes);
        self.head.limit_size(bytes)
    }

    pub(crate) fn load_slots(&self, slots: &[(PathId, Vec<Slot>)]) -> Result<(), StoreError> {
        let mut weeks: BTreeMap<PartitionId, Vec<(PathId, i64, slots::PathDay<'_>)>> =
            BTreeMap::new();
        for (path, of_path) in slots {
            for (day, what) in slots::slots_by_day(of_path) {
                if let Some(id) = PartitionId::holding(Family::Slots, day) {
                    weeks.entry(id).or_default().push((*path, day, what));
                }
            }
        }
        for (id, days) in weeks {
            self.partitions.write(id, "load slots", |sql| {
                for (path, day, what) in &days {
                    slots::fold(sql, id, (*path, *day), what)?;
                }
                Ok(())
            })?;
            self.slot_counts(|counts| counts.remove(&id));
        }
        Ok(())
    }
}
