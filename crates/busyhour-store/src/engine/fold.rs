//! Folding: what the journal holds goes into partitions, and out of the journal when they have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use busyhour_model::{AgentId, PathId};
use rusqlite::params;

use super::memory::{OtherRow, Piece};
use super::{Engine, Frozen, listed, marks, others, receipts, slots, windows};
use crate::sqlite::{Family, PartitionId, folded_through, set_folded_through};
use crate::{RecordKind, StoreError};

const OPERATION: &str = "fold the journal";

/// Everything that one partition gets.
#[derive(Default)]
struct Work<'p> {
    windows: BTreeMap<PathId, &'p windows::PathDay<'p>>,
    slots: BTreeMap<(PathId, i64), &'p slots::PathDay<'p>>,
    others: BTreeMap<AgentId, &'p [OtherRow]>,
}

/// Records of one kind of an agent, by day.
type OthersByDay = BTreeMap<i64, Vec<OtherRow>>;

/// What was frozen, sorted by path and day.
#[derive(Default)]
struct Sorted<'p> {
    windows: Vec<(PathId, BTreeMap<i64, windows::PathDay<'p>>)>,
    slots: Vec<(PathId, BTreeMap<i64, slots::PathDay<'p>>)>,
    others: Vec<((AgentId, RecordKind), OthersByDay)>,
}

/// What a fold did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folded {
    /// All that was in the journal when it began is in partitions.
    Done,
    /// A backup runs; nothing moves until it is done.
    Held,
}

/// Folds everything that is in the journal. One at a time; appends go on beside it.
pub(super) fn fold(engine: &Engine) -> Result<Folded, StoreError> {
    let Some(guard) = engine.alone(OPERATION)? else { return Ok(Folded::Held) };
    let frozen = engine.freeze();
    let entry = frozen.entry;
    if entry == engine.folded_entry() {
        engine.thaw();
        return Ok(Folded::Done);
    }
    let sorted = sort(engine, &frozen.pieces);
    let work = sorted.by_partition();
    let (slots, others): (Vec<_>, Vec<_>) =
        work.iter().partition(|(id, _)| id.family() == Family::Slots);
    // Files of their own, so that neither waits for the other.
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| fold_partitions(engine, entry, &slots));
        fold_partitions(engine, entry, &others)?;
        beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    forget_entries(engine, &frozen, work.keys().copied())?;
    engine.folded_to(entry);
    engine.thaw();
    drop(guard);
    Ok(Folded::Done)
}

fn fold_partitions(
    engine: &Engine,
    entry: i64,
    work: &[(&PartitionId, &Work<'_>)],
) -> Result<(), StoreError> {
    for (id, work) in work {
        engine.partitions.write(**id, OPERATION, |sql| {
            if folded_through(sql)? >= entry {
                // Before a crash it came as far as this.
                return Ok(());
            }
            for (&path, day) in &work.windows {
                windows::fold(sql, path, day)?;
            }
            for (&(path, day), what) in &work.slots {
                slots::fold(sql, **id, (path, day), what)?;
            }
            for (&agent, records) in &work.others {
                others::fold(sql, agent, records)?;
            }
            set_folded_through(sql, entry)
        })?;
        engine.slot_counts(|counts| counts.remove(id));
    }
    Ok(())
}

/// Deletes folded entries and lists the partitions that have them; the head's own rows become what they were at the last of them, or later:
/// doing later entries again after a crash changes nothing in paths and marks, which take the newest.
fn forget_entries(
    engine: &Engine,
    frozen: &Frozen,
    folded_into: impl Iterator<Item = PartitionId>,
) -> Result<(), StoreError> {
    let touched: Vec<PathId> =
        frozen.pieces.iter().flat_map(|piece| piece.paths.keys().copied()).collect();
    let changed = engine.marks(|marks| marks.changed());
    let received = engine.receipts(|receipts| receipts.changed());
    let Frozen { entry, counts, .. } = frozen;
    engine.head.write(OPERATION, |sql| {
        engine.look_registry(|registry| registry.store(sql, &touched))?;
        marks::store(sql, &changed)?;
        receipts::store(sql, &received)?;
        listed::add(sql, folded_into)?;
        sql.prepare_cached("DELETE FROM journal WHERE entry <= ?1")?.execute([entry])?;
        sql.prepare_cached(
            "UPDATE totals SET folded = ?1, windows = ?2, blocks = ?3, quarantined = ?4",
        )?
        .execute(params![
            entry,
            counts.windows.cast_signed(),
            counts.blocks.cast_signed(),
            counts.quarantined.cast_signed()
        ])?;
        Ok(())
    })?;
    engine.marks(|marks| marks.stored(&changed));
    engine.receipts(|receipts| receipts.stored(&received));
    Ok(())
}

fn sort<'p>(engine: &Engine, pieces: &'p [Arc<Piece>]) -> Sorted<'p> {
    let mut sorted = Sorted::default();
    for piece in pieces {
        for (&path, memory) in &piece.paths {
            // What was forgotten meanwhile stays forgotten.
            if engine.look_registry(|registry| registry.get(path).is_none()) {
                continue;
            }
            sorted.windows.push((path, windows::by_day(piece, memory)));
            sorted.slots.push((path, slots::by_day(memory)));
        }
        for (&key, records) in &piece.others {
            if engine.forgotten(|forgotten| forgotten.contains(&key.0)) {
                continue;
            }
            sorted.others.push((key, others::by_day(records)));
        }
    }
    sorted
}

impl Sorted<'_> {
    fn by_partition(&self) -> BTreeMap<PartitionId, Work<'_>> {
        let mut work: BTreeMap<PartitionId, Work<'_>> = BTreeMap::new();
        let of = PartitionId::holding;
        for (path, days) in &self.windows {
            for (&day, what) in days {
                if let Some(id) = of(Family::Windows, day) {
                    work.entry(id).or_default().windows.insert(*path, what);
                }
            }
        }
        for (path, days) in &self.slots {
            for (&day, what) in days {
                if let Some(id) = of(Family::Slots, day) {
                    work.entry(id).or_default().slots.insert((*path, day), what);
                }
            }
        }
        for ((agent, kind), days) in &self.others {
            for (&day, records) in days {
                if let Some(id) = of(others::family(*kind), day) {
                    work.entry(id).or_default().others.insert(*agent, records);
                }
            }
        }
        work
    }
}
