//! The embedded engine's telemetry: a journal in the head, partitions that it is folded into, and in
//! memory what the journal holds. `docs/STORE.md` says why.
//!
//! Invariants: an entry of the journal and the receipts of its blocks are one transaction. A record is
//! in the journal or in its partition, and each partition knows how far the journal was folded into
//! it; readers look at memory first and leave out what the partition has. Locks are taken in this
//! order: fold lock, writer, then one of registry, marks, counts or a shard of memory.

mod append;
mod check;
mod figures;
mod fold;
mod gists;
mod journal;
mod listed;
mod marks;
mod memory;
mod numbers;
mod others;
mod packs;
mod prune;
mod quarantine;
mod receipts;
mod registry;
mod replay;
mod room;
mod settle;
mod slot_rows;
mod slots;
mod tallies;
mod telemetry;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use busyhour_model::AgentId;

use crate::sqlite::{
    Database, Family, FoldGuard, FoldLock, Migration, OpenError, PartitionId, Partitions, during,
};
use crate::{ErrorKind, RecordKind, Retention, StoreError};
pub(crate) use check::{check_head, check_partition};
pub(crate) use listed::listed;
pub use telemetry::SqliteTelemetry;

use append::WriterMemory;
use fold::Folded;
use journal::Entry;
use marks::Marks;
use memory::{Memory, Piece};
use receipts::Receipts;
use registry::Registry;

pub(crate) const FILE: &str = "telemetry.db";
/// "BHt2" in a file's header says whose it is.
pub(crate) const APPLICATION_ID: i32 = 0x4248_7432;
pub(crate) const MIGRATIONS: &[Migration] = &[include_str!("engine/head.sql")];
const PACKS: &[Migration] = &[include_str!("engine/packs.sql")];
const SLOTS: &[Migration] = &[include_str!("engine/slots.sql")];

/// How long after a fold that failed another is tried.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// When the journal is folded into partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldOptions {
    /// Bytes of the journal in memory. At twice as much appending waits for folding, and at three times as
    /// much together with what is being folded.
    pub after_bytes: usize,
    /// Time since the last fold.
    pub after: Duration,
}

impl Default for FoldOptions {
    fn default() -> Self {
        Self { after_bytes: 256 << 20, after: Duration::from_secs(3600) }
    }
}

/// Totals since the store was made.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    windows: u64,
    blocks: u64,
    quarantined: u64,
}

/// What is being folded.
#[derive(Debug, Clone)]
struct Frozen {
    /// The last entry of the journal in it.
    entry: i64,
    pieces: Vec<Arc<Piece>>,
    /// Totals as of that entry.
    counts: Counts,
}

/// How folding stands, for those who wait.
#[derive(Debug, Default)]
struct Folding {
    wanted: bool,
    stop: bool,
    /// Folds that ended, however.
    ended: u64,
    failed: Option<ErrorKind>,
    held: bool,
}

/// Telemetry in one directory.
#[derive(Debug)]
pub(crate) struct Engine {
    head: Database<WriterMemory>,
    partitions: Partitions,
    fold_lock: FoldLock,
    memory: Memory,
    registry: RwLock<Registry>,
    marks: Mutex<Marks>,
    receipts: Mutex<Receipts>,
    /// Agents whose blocks are refused.
    forgotten: Mutex<HashSet<AgentId>>,
    counts: Mutex<Counts>,
    /// Slots of partitions, as far as they were counted since something was folded into them.
    slot_counts: Mutex<HashMap<PartitionId, u64>>,
    /// The last entry that all partitions have.
    folded_entry: AtomicI64,
    /// What a fold that did not come to its end had frozen.
    frozen: Mutex<Option<Frozen>>,
    /// Bytes of what was forgotten may still be in the head's file or log.
    lingers: AtomicBool,
    folding: Mutex<Folding>,
    folded: Condvar,
    retention: Retention,
    options: FoldOptions,
}

/// What went wrong within a transaction.
enum Trouble {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Trouble {
    fn during(self, operation: &'static str) -> StoreError {
        match self {
            Self::Sql(error) => during(operation)(error),
            Self::Store(error) => error,
        }
    }
}

/// The tables of each family's partitions.
pub(crate) const fn layouts(family: Family) -> &'static [Migration] {
    match family {
        Family::Windows | Family::Loads | Family::Checks | Family::Facts | Family::Gaps => PACKS,
        Family::Slots | Family::Hours => SLOTS,
    }
}

impl Engine {
    pub(crate) fn open(
        directory: &Path,
        lock: &Arc<File>,
        retention: Retention,
        options: FoldOptions,
    ) -> Result<Arc<Self>, OpenError> {
        let file = directory.join(FILE);
        let head = Database::open(file.clone(), Arc::clone(lock), APPLICATION_ID, MIGRATIONS)?;
        let partitions = Partitions::open(directory, Arc::clone(lock), layouts)?;
        let fold_lock = FoldLock::open(directory)
            .map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })?;
        let engine = Self {
            head,
            partitions,
            fold_lock,
            memory: Memory::new(0),
            registry: RwLock::default(),
            marks: Mutex::default(),
            receipts: Mutex::default(),
            forgotten: Mutex::default(),
            counts: Mutex::default(),
            slot_counts: Mutex::default(),
            folded_entry: AtomicI64::new(0),
            frozen: Mutex::default(),
            lingers: AtomicBool::new(false),
            folding: Mutex::default(),
            folded: Condvar::new(),
            retention,
            options,
        };
        let unusable = |source: StoreError| OpenError::Journal { file: file.clone(), source };
        // A row that went missing would be missing for ever once the journal is folded.
        engine.head.refuse_unlike()?;
        listed::miss(&engine).map_err(unusable)?;
        replay::replay(engine).map(Arc::new).map_err(unusable)
    }

    /// Starts the thread that folds. It ends when [`Self::stop`] is called.
    pub(crate) fn spawn_folder(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let engine = Arc::clone(self);
        std::thread::Builder::new()
            .name("store-folder".to_owned())
            .spawn(move || engine.fold_when_due())
    }

    fn fold_when_due(&self) {
        let mut wait = self.options.after;
        loop {
            let folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |folding: &mut Folding| !folding.wanted && !folding.stop;
            let (mut folding, _) = self
                .folded
                .wait_timeout_while(folding, wait, idle)
                .unwrap_or_else(PoisonError::into_inner);
            if folding.stop {
                return;
            }
            folding.wanted = false;
            drop(folding);
            let result = self.fold_now();
            wait =
                if matches!(result, Ok(Folded::Done)) { self.options.after } else { RETRY_AFTER };
        }
    }

    /// Folds, and tells who waits how it went.
    fn fold_now(&self) -> Result<Folded, StoreError> {
        let result = fold::fold(self);
        let mut folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        folding.ended += 1;
        folding.failed = result.as_ref().err().map(StoreError::kind);
        folding.held = matches!(result, Ok(Folded::Held));
        drop(folding);
        self.folded.notify_all();
        result
    }

    /// Ends the folder's thread.
    pub(crate) fn stop(&self) {
        self.folding.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.folded.notify_all();
    }

    /// Wakes the folder when the journal is large enough.
    fn fold_if_due(&self) {
        if self.memory.active_bytes() >= self.options.after_bytes {
            self.folding.lock().unwrap_or_else(PoisonError::into_inner).wanted = true;
            self.folded.notify_all();
        }
    }

    /// Waits while so much is not folded that more would need too much memory.
    fn wait_for_room(&self) -> Result<(), StoreError> {
        let after = self.options.after_bytes.max(1);
        let full = || {
            self.memory.active_bytes() >= after.saturating_mul(2)
                || self.memory.held_bytes() >= after.saturating_mul(3)
        };
        let mut folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tried = false;
        while full() {
            let why = match (folding.failed, folding.held) {
                (Some(kind), _) if tried => Some(kind),
                (_, true) if tried => Some(ErrorKind::Busy),
                _ => None,
            };
            if let Some(kind) = why {
                let operation = "append blocks while what came before cannot be folded";
                return Err(StoreError::new(operation, kind));
            }
            folding.wanted = true;
            self.folded.notify_all();
            let ended = folding.ended;
            let waiting = |folding: &mut Folding| folding.ended == ended && !folding.stop;
            let waited = self.folded.wait_while(folding, waiting);
            folding = waited.unwrap_or_else(PoisonError::into_inner);
            if folding.stop {
                return Err(StoreError::new(
                    "append blocks to a store that closes",
                    ErrorKind::Busy,
                ));
            }
            tried = true;
        }
        Ok(())
    }

    /// The right to move data between files; `None` while a backup runs.
    fn alone(&self, operation: &'static str) -> Result<Option<FoldGuard<'_>>, StoreError> {
        let refused =
            |error: std::io::Error| StoreError::new(operation, ErrorKind::Io).with_source(error);
        self.fold_lock.try_alone().map_err(refused)
    }

    /// Freezes what the journal holds, or gives what an earlier fold froze and did not finish.
    fn freeze(&self) -> Frozen {
        let mut writer = self.head.writer();
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        frozen
            .get_or_insert_with(|| {
                writer.memory.freeze();
                let entry = writer.memory.last_entry;
                let counts = self.counts(|counts| *counts);
                Frozen { entry, pieces: self.memory.freeze(entry), counts }
            })
            .clone()
    }

    fn folded_entry(&self) -> i64 {
        self.folded_entry.load(Ordering::Relaxed)
    }

    fn folded_to(&self, entry: i64) {
        self.folded_entry.store(entry, Ordering::Relaxed);
    }

    /// Partitions have what was frozen.
    fn thaw(&self) {
        *self.frozen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.memory.thaw();
    }

    /// Takes over what an entry brought beside windows: other records, settlements, marks, totals.
    fn take_entry(&self, entry: &Entry) {
        for one in &entry.settlements {
            self.memory.add_settlement(*one);
        }
        for other in &entry.others {
            self.memory.add_other(other.agent, other.kind, other.started, other.body.clone());
        }
        self.receipts(|receipts| {
            for &(agent, epoch, block) in &entry.receipts {
                receipts.add((agent, epoch), block);
            }
        });
        let days = append::days_of(entry);
        if !days.is_empty() {
            self.marks(|marks| marks.mark(days));
        }
        self.counts(|counts| {
            counts.windows += entry.windows.len() as u64;
            counts.blocks += entry.receipts.len() as u64;
            counts.quarantined += entry.quarantined;
        });
    }

    /// Days that records of a kind are kept.
    const fn days_kept(&self, kind: RecordKind) -> u32 {
        match kind {
            RecordKind::Check => self.retention.checks_days,
            RecordKind::Fact => self.retention.facts_days,
            RecordKind::Load => self.retention.loads_days,
            RecordKind::Gap => self.retention.gaps_days,
        }
    }

    // Each holds its lock for one short step; a panic in it leaves whole values.

    fn registry<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        change(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn look_registry<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn marks<T>(&self, change: impl FnOnce(&mut Marks) -> T) -> T {
        change(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn receipts<T>(&self, change: impl FnOnce(&mut Receipts) -> T) -> T {
        change(&mut self.receipts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn forgotten<T>(&self, change: impl FnOnce(&mut HashSet<AgentId>) -> T) -> T {
        change(&mut self.forgotten.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn slot_counts<T>(&self, change: impl FnOnce(&mut HashMap<PartitionId, u64>) -> T) -> T {
        change(&mut self.slot_counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn counts<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
