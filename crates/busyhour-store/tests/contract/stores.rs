//! The engines that the suite of the telemetry contract runs on.
//!
//! The embedded engine is there three times: what it answers must not depend on how much of its journal
//! was folded.

use std::sync::Mutex;

use busyhour_model::{
    AgentId, BlockNo, Combination, Epoch, LimitTable, PathId, Record, RequirementProfile, Slot,
    SlotGist, SlotStart, UtcMicros,
};
use busyhour_store::{
    Appended, BlockRows, DamagedFile, DayTally, DirtyDay, Forgotten, Grain, PathChanges, PathRow,
    RecordKind, SlotDetail, SqliteControl, SqliteTelemetry, StoreError, StoredWindow, Telemetry,
    TelemetryTotals, open,
};
use tempfile::TempDir;

use crate::fixtures::RETENTION;

/// An engine of telemetry with a place of its own, which is gone when this is dropped.
pub(crate) trait Store: Sized {
    /// An empty one, with [`RETENTION`].
    fn new() -> Self;

    /// Closes without any farewell and opens again.
    fn reopen(self) -> Self;

    fn telemetry(&self) -> &dyn Telemetry;
}

/// The embedded engine whose journal stays as it is.
pub(crate) type InTheJournal = Embedded<0>;
/// The embedded engine that folds after every append.
pub(crate) type FoldedAtOnce = Embedded<100>;
/// The embedded engine that folds after some appends.
pub(crate) type FoldedNowAndThen = Embedded<50>;

/// Makes a test of each function for each engine. An engine to come is one more line.
macro_rules! on_every_store {
    ($($test:ident)+) => {
        on_one_store! { in_the_journal: InTheJournal, $($test)+ }
        on_one_store! { folded_at_once: FoldedAtOnce, $($test)+ }
        on_one_store! { folded_now_and_then: FoldedNowAndThen, $($test)+ }
    };
}

macro_rules! on_one_store {
    ($module:ident: $store:ident, $($test:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test::<crate::stores::$store>();
                }
            )+
        }
    };
}

/// The embedded engine, folded after so many of a hundred appends.
pub(crate) struct Embedded<const PERCENT: u8> {
    telemetry: Folding<PERCENT>,
    _control: SqliteControl,
    directory: TempDir,
}

impl<const PERCENT: u8> Embedded<PERCENT> {
    fn opened(directory: TempDir) -> Self {
        let (telemetry, control) = open(directory.path(), RETENTION).unwrap();
        let telemetry =
            Folding { engine: telemetry, random: Mutex::new(fastrand::Rng::with_seed(5)) };
        Self { telemetry, _control: control, directory }
    }
}

impl<const PERCENT: u8> Store for Embedded<PERCENT> {
    fn new() -> Self {
        Self::opened(TempDir::new().unwrap())
    }

    fn reopen(self) -> Self {
        let Self { telemetry, _control: control, directory } = self;
        drop((telemetry, control));
        Self::opened(directory)
    }

    fn telemetry(&self) -> &dyn Telemetry {
        &self.telemetry
    }
}

struct Folding<const PERCENT: u8> {
    engine: SqliteTelemetry,
    random: Mutex<fastrand::Rng>,
}

impl<const PERCENT: u8> Telemetry for Folding<PERCENT> {
    fn append(&self, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError> {
        let appended = self.engine.append(blocks)?;
        if self.random.lock().unwrap().u8(..100) < PERCENT {
            self.engine.fold()?;
        }
        Ok(appended)
    }

    fn received(
        &self,
        agent: AgentId,
        epoch: Epoch,
    ) -> Result<Vec<(BlockNo, BlockNo)>, StoreError> {
        self.engine.received(agent, epoch)
    }

    fn paths(&self, agent: Option<AgentId>) -> Result<Vec<PathRow>, StoreError> {
        self.engine.paths(agent)
    }

    fn path_changes(&self, since: Option<u64>) -> Result<PathChanges, StoreError> {
        self.engine.path_changes(since)
    }

    fn visit_slots(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        grain: Grain,
        detail: SlotDetail,
        visit: &mut dyn FnMut(PathId, &Slot),
    ) -> Result<(), StoreError> {
        self.engine.visit_slots(paths, span, grain, detail, visit)
    }

    fn take_gists(
        &self,
        paths: &[PathId],
        span: (SlotStart, SlotStart),
        take: &mut dyn FnMut(PathId, Vec<SlotGist>),
    ) -> Result<(), StoreError> {
        self.engine.take_gists(paths, span, take)
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
        self.engine.windows(path, from, until, limit)
    }

    fn others(
        &self,
        agent: AgentId,
        kind: RecordKind,
        from: UtcMicros,
        until: UtcMicros,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.engine.others(agent, kind, from, until, limit)
    }

    fn dirty_days(&self, limit: usize) -> Result<Vec<DirtyDay>, StoreError> {
        self.engine.dirty_days(limit)
    }

    fn clear_dirty(&self, days: &[DirtyDay]) -> Result<(), StoreError> {
        self.engine.clear_dirty(days)
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
