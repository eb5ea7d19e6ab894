//! What the journal holds, in memory and by path, for readers and for folding.
//!
//! A *piece* is what came after a certain entry of the journal. The active piece grows; folding
//! freezes it, and it stays to be read until partitions have it. Whoever reads takes pieces first and
//! partitions afterwards: a partition that was folded beyond a piece's beginning has all of it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use busyhour_model::{
    AgentId, LimitsVersion, PathId, Slot, SlotStart, UtcMicros, Window, WindowFigures,
    WindowVerdict,
};

use super::journal::EntrySettlement;
use super::numbers::NumberMap;
use crate::codec::Row;
use crate::sqlite::utc_day;
use crate::{RecordKind, SlotDetail};

/// Locks are split so that a reader of one path rarely waits, and then for microseconds.
const SHARDS: usize = 64;
/// What a slot takes in memory, about: the struct and its small vectors.
const SLOT_BYTES: usize = 1_024;
const ROW_BYTES: usize = size_of::<MemoryRow>();

/// A window in memory: where its encoding lies in the piece's bodies.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryRow {
    pub(super) placed: UtcMicros,
    pub(super) nth: u32,
    /// Which of the piece's circumstances.
    circumstance: u32,
    /// Which of the piece's bodies, and where in them: those of an entry are below 1 GB, as it is one
    /// value to SQLite.
    bodies: u32,
    at: u32,
    length: u32,
}

/// One path's part of a piece.
#[derive(Debug, Default, Clone)]
pub(super) struct PathMemory {
    rows: Vec<MemoryRow>,
    /// What the piece adds to the path's slots, in the order of time.
    pub(super) slots: Vec<Slot>,
    pub(super) settlements: Vec<EntrySettlement>,
}

/// A window's encoding with what it shares with others.
#[derive(Debug, Clone)]
pub(super) struct OwnedRow {
    pub(super) placed: UtcMicros,
    pub(super) nth: u32,
    pub(super) circumstance: Arc<[u8]>,
    pub(super) body: Vec<u8>,
}

/// A record of another kind in memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OtherRow {
    pub(super) started: UtcMicros,
    pub(super) body: Vec<u8>,
}

/// What a shard gathered after one entry of the journal.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// The last entry that is not in it.
    pub(super) after: i64,
    pub(super) paths: NumberMap<PathId, PathMemory>,
    pub(super) others: HashMap<(AgentId, RecordKind), Vec<OtherRow>>,
    /// Windows' encodings as the entries had them, which pieces of all shards share.
    bodies: Vec<Arc<Vec<u8>>>,
    circumstances: Vec<Arc<[u8]>>,
    /// By the number that entries name it by.
    by_circumstance: NumberMap<u64, u32>,
    size_bytes: usize,
}

#[derive(Debug, Default)]
struct Shard {
    active: Piece,
    frozen: Option<Arc<Piece>>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Memory {
    shards: Vec<RwLock<Shard>>,
}

/// A window that was accepted, as memory takes it.
pub(super) struct NewWindow<'a> {
    pub(super) path: PathId,
    pub(super) placed: UtcMicros,
    pub(super) nth: u32,
    pub(super) raw: bool,
    pub(super) windows_per_slot: u32,
    /// With the number that the entry names it by.
    pub(super) circumstance: (u64, &'a Arc<[u8]>),
    /// Where it lies in the entry's bodies.
    pub(super) body: Range<usize>,
    pub(super) limits: LimitsVersion,
    pub(super) window: &'a Window,
    /// Of a valid window.
    pub(super) figures: &'a WindowFigures,
    pub(super) verdict: &'a WindowVerdict,
}

impl PathMemory {
    /// The slot that holds a moment.
    fn slot(&mut self, start: SlotStart, limits: LimitsVersion) -> (&mut Slot, bool) {
        let found = match self.slots.last() {
            Some(last) if last.start == start => Ok(self.slots.len() - 1),
            Some(last) if last.start < start => Err(self.slots.len()),
            _ => self.slots.binary_search_by_key(&start, |slot| slot.start),
        };
        let is_new = found.is_err();
        let at = found.unwrap_or_else(|at| {
            self.slots.insert(at, Slot::new(start, limits));
            at
        });
        (&mut self.slots[at], is_new)
    }

    /// The beginnings of its windows.
    pub(super) fn moments(&self) -> impl Iterator<Item = (UtcMicros, u32)> {
        self.rows.iter().map(|row| (row.placed, row.nth))
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.slots.is_empty() && self.settlements.is_empty()
    }
}

impl Piece {
    fn new(after: i64) -> Self {
        Self { after, ..Self::default() }
    }

    /// Adds windows whose encodings lie in `bodies`.
    fn add_all(&mut self, bodies: &Arc<Vec<u8>>, windows: &[&NewWindow<'_>]) {
        if windows.iter().any(|window| window.raw) {
            self.bodies.push(Arc::clone(bodies));
            self.size_bytes += size_of_val(bodies);
        }
        for window in windows {
            self.add(window);
        }
    }

    fn add(&mut self, new: &NewWindow<'_>) {
        let circumstance = self.intern(new.circumstance);
        let path = self.paths.entry(new.path).or_default();
        if new.raw {
            path.rows.push(MemoryRow {
                placed: new.placed,
                nth: new.nth,
                circumstance,
                bodies: number(self.bodies.len().saturating_sub(1)),
                at: number(new.body.start),
                length: number(new.body.len()),
            });
            self.size_bytes += ROW_BYTES + new.body.len();
        }
        let (slot, is_new) = path.slot(SlotStart::containing(new.placed), new.limits);
        if is_new {
            self.size_bytes += SLOT_BYTES;
        }
        slot.counts.limits = slot.limits.max(new.limits);
        slot.counts.expected = slot.expected.max(new.windows_per_slot);
        slot.add_coarsened(new.placed, new.window, new.figures, new.verdict);
    }

    fn intern(&mut self, (known_as, circumstance): (u64, &Arc<[u8]>)) -> u32 {
        if let Some(&known) = self.by_circumstance.get(&known_as) {
            return known;
        }
        let number = number(self.circumstances.len());
        self.circumstances.push(Arc::clone(circumstance));
        self.by_circumstance.insert(known_as, number);
        self.size_bytes += 2 * circumstance.len();
        number
    }

    fn body(&self, row: &MemoryRow) -> Option<&[u8]> {
        let at = row.at as usize;
        self.bodies.get(row.bodies as usize)?.get(at..at + row.length as usize)
    }

    /// The path's windows in the order in which they came.
    pub(super) fn rows<'p>(&'p self, path: &'p PathMemory) -> impl Iterator<Item = Row<'p>> {
        path.rows.iter().filter_map(|row| {
            Some(Row {
                placed: row.placed,
                nth: row.nth,
                circumstance: self.circumstances.get(row.circumstance as usize)?,
                body: self.body(row)?,
            })
        })
    }

    /// The path's windows that are wanted, in the order of time.
    fn owned_rows(&self, path: &PathMemory, wanted: impl Fn(UtcMicros) -> bool) -> Vec<OwnedRow> {
        let rows = path.rows.iter().filter(|row| wanted(row.placed));
        let mut rows: Vec<OwnedRow> = rows
            .filter_map(|row| {
                Some(OwnedRow {
                    placed: row.placed,
                    nth: row.nth,
                    circumstance: Arc::clone(self.circumstances.get(row.circumstance as usize)?),
                    body: self.body(row)?.to_vec(),
                })
            })
            .collect();
        rows.sort_by_key(|row| (row.placed, row.nth));
        rows
    }
}

/// What a piece says of a path's slots.
#[derive(Debug)]
pub(super) struct SlotsView {
    /// The last entry of the journal that is not in it.
    pub(super) after: i64,
    pub(super) slots: Vec<Slot>,
    pub(super) settlements: Vec<EntrySettlement>,
}

/// What a piece says of a path's windows.
#[derive(Debug)]
pub(super) struct RowsView {
    /// The last entry of the journal that is not in it.
    pub(super) after: i64,
    pub(super) rows: Vec<OwnedRow>,
    pub(super) settlements: Vec<EntrySettlement>,
}

impl Memory {
    pub(super) fn new(after: i64) -> Self {
        let shard = || RwLock::new(Shard { active: Piece::new(after), frozen: None });
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect() }
    }

    /// Adds the windows of an entry, whose encodings lie in `bodies`. Only the writer calls it, one append
    /// at a time.
    pub(super) fn add_windows(&self, bodies: &Arc<Vec<u8>>, windows: &[NewWindow<'_>]) {
        let mut by_shard: Vec<Vec<&NewWindow<'_>>> = vec![Vec::new(); SHARDS];
        for window in windows {
            by_shard[shard_of(window.path)].push(window);
        }
        for (number, of_shard) in by_shard.into_iter().enumerate() {
            if of_shard.is_empty() {
                continue;
            }
            self.with(number, |shard| shard.active.add_all(bodies, &of_shard));
        }
    }

    pub(super) fn add_settlement(&self, settlement: EntrySettlement) {
        self.with(shard_of(settlement.path), |shard| {
            let path = shard.active.paths.entry(settlement.path).or_default();
            path.settlements.push(settlement);
            shard.active.size_bytes += size_of::<EntrySettlement>();
        });
    }

    pub(super) fn add_other(
        &self,
        agent: AgentId,
        kind: RecordKind,
        started: UtcMicros,
        body: Vec<u8>,
    ) {
        self.with(shard_of_agent(agent), |shard| {
            shard.active.size_bytes += size_of::<OtherRow>() + body.len();
            let records = shard.active.others.entry((agent, kind)).or_default();
            records.push(OtherRow { started, body });
        });
    }

    /// Bytes of the active pieces, about.
    pub(super) fn active_bytes(&self) -> usize {
        (0..SHARDS).map(|number| self.look(number, |shard| shard.active.size_bytes)).sum()
    }

    /// Bytes of all pieces, about.
    pub(super) fn held_bytes(&self) -> usize {
        let held = |shard: &Shard| {
            shard.active.size_bytes + shard.frozen.as_ref().map_or(0, |piece| piece.size_bytes)
        };
        (0..SHARDS).map(|number| self.look(number, held)).sum()
    }

    /// Freezes the active pieces, which end with `entry`. Gives them all.
    pub(super) fn freeze(&self, entry: i64) -> Vec<Arc<Piece>> {
        let freeze = |shard: &mut Shard| {
            let piece = Arc::new(std::mem::replace(&mut shard.active, Piece::new(entry)));
            shard.frozen = Some(Arc::clone(&piece));
            piece
        };
        (0..SHARDS).map(|number| self.with(number, freeze)).collect()
    }

    /// Partitions have what was frozen.
    pub(super) fn thaw(&self) {
        for number in 0..SHARDS {
            let gone = self.with(number, |shard| shard.frozen.take());
            // Freed outside the lock.
            drop(gone);
        }
    }

    /// Forgets a path that the active pieces may have.
    pub(super) fn forget_path(&self, path: PathId) {
        self.with(shard_of(path), |shard| shard.active.paths.remove(&path));
    }

    /// Forgets an agent's other records.
    pub(super) fn forget_agent(&self, agent: AgentId) -> usize {
        self.with(shard_of_agent(agent), |shard| {
            let mut gone = 0;
            shard.active.others.retain(|(of, _), records| {
                let keep = *of != agent;
                gone += if keep { 0 } else { records.len() };
                keep
            });
            gone
        })
    }

    /// What the pieces say of a path's slots in `from..until`, oldest piece first.
    pub(super) fn slots(
        &self,
        path: PathId,
        (from, until): (SlotStart, SlotStart),
        detail: SlotDetail,
    ) -> Vec<SlotsView> {
        let within = |start: SlotStart| from <= start && start < until;
        let view = |piece: &Piece| {
            let found = piece.paths.get(&path)?;
            let slots = found.slots.iter().filter(|slot| within(slot.start));
            let slots: Vec<Slot> = slots.map(|slot| in_detail(slot, detail)).collect();
            let settlements = found.settlements.iter().copied();
            let settlements: Vec<EntrySettlement> = settlements
                .filter(|one| within(SlotStart::containing(one.placed)) && one.figures.is_some())
                .collect();
            let view = SlotsView { after: piece.after, slots, settlements };
            (!view.slots.is_empty() || !view.settlements.is_empty()).then_some(view)
        };
        self.look(shard_of(path), |shard| each_piece(shard, view))
    }

    /// What the pieces say of a path's windows in `from..until`, oldest piece first.
    pub(super) fn rows(
        &self,
        path: PathId,
        (from, until): (UtcMicros, UtcMicros),
    ) -> Vec<RowsView> {
        let view = |piece: &Piece| {
            let found = piece.paths.get(&path).filter(|found| !found.is_empty())?;
            let within = |at: UtcMicros| from <= at && at < until;
            let rows = piece.owned_rows(found, within);
            let settlements = found.settlements.iter().copied();
            let settlements = settlements.filter(|one| within(one.placed)).collect();
            Some(RowsView { after: piece.after, rows, settlements })
        };
        self.look(shard_of(path), |shard| each_piece(shard, view))
    }

    /// The beginnings of a path's windows on a day, with what tells them apart, piece by piece.
    pub(super) fn moments(&self, path: PathId, day: i64) -> Vec<(i64, Vec<(UtcMicros, u32)>)> {
        let view = |piece: &Piece| {
            let found = piece.paths.get(&path)?;
            let moments = found.moments().filter(|(placed, _)| utc_day(*placed) == day).collect();
            Some((piece.after, moments))
        };
        self.look(shard_of(path), |shard| each_piece(shard, view))
    }

    /// What the pieces hold of an agent's records of a kind, oldest piece first.
    pub(super) fn others(
        &self,
        (agent, kind): (AgentId, RecordKind),
        (from, until): (UtcMicros, UtcMicros),
    ) -> Vec<(i64, Vec<OtherRow>)> {
        let view = |piece: &Piece| {
            let found = piece.others.get(&(agent, kind))?.iter();
            let within = found.filter(|record| from <= record.started && record.started < until);
            Some((piece.after, within.cloned().collect()))
        };
        self.look(shard_of_agent(agent), |shard| each_piece(shard, view))
    }

    // A panic of a holder leaves whole values: each change is one insertion.
    fn with<T>(&self, number: usize, change: impl FnOnce(&mut Shard) -> T) -> T {
        change(&mut self.shards[number].write().unwrap_or_else(PoisonError::into_inner))
    }

    fn look<T>(&self, number: usize, look: impl FnOnce(&Shard) -> T) -> T {
        look(&self.shards[number].read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn each_piece<T>(shard: &Shard, view: impl FnMut(&Piece) -> Option<T>) -> Vec<T> {
    let frozen = shard.frozen.as_deref();
    frozen.into_iter().chain([&shard.active]).filter_map(view).collect()
}

/// A place that is known to be below 2^32.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn shard_of(path: PathId) -> usize {
    (path.0.cast_unsigned() % SHARDS as u64) as usize
}

fn shard_of_agent(agent: AgentId) -> usize {
    let [.., last] = agent.to_bytes();
    usize::from(last) % SHARDS
}

/// A copy of what was asked for.
fn in_detail(slot: &Slot, detail: SlotDetail) -> Slot {
    let mut copy = slot.counts_only();
    match detail {
        SlotDetail::All => return slot.clone(),
        SlotDetail::Counts => {}
        SlotDetail::Figures => copy.figures = slot.figures.clone(),
        SlotDetail::Sketches => {
            copy.rtt_us = slot.rtt_us.clone();
            copy.up_variation_us = slot.up_variation_us.clone();
            copy.down_variation_us = slot.down_variation_us.clone();
        }
    }
    copy
}

/// Gives a direction to lost packets that a slot has, where the slot is there.
pub(super) fn settle_slots(slots: &mut [Slot], settlements: &[EntrySettlement]) {
    for one in settlements {
        let start = SlotStart::containing(one.placed);
        if let Ok(at) = slots.binary_search_by_key(&start, |slot| slot.start) {
            one.settle(&mut slots[at]);
        }
    }
}

/// Adds what a piece says of a path's slots to what was known of them.
pub(super) fn absorb_slots<'s>(known: &mut Vec<Slot>, more: impl Iterator<Item = &'s Slot>) {
    for slot in more {
        match known.binary_search_by_key(&slot.start, |slot| slot.start) {
            Ok(at) => known[at].absorb(slot),
            Err(at) => known.insert(at, slot.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frozen_takes_memory_until_partitions_have_it() {
        let memory = Memory::new(0);
        let agent = AgentId::from_u128(5);
        memory.add_other(agent, RecordKind::Load, UtcMicros(1), vec![7; 1_000]);
        let bytes = memory.active_bytes();
        assert!(bytes >= 1_000, "{bytes}");
        assert_eq!(memory.held_bytes(), bytes);
        memory.freeze(1);
        memory.add_other(agent, RecordKind::Load, UtcMicros(2), vec![7; 1_000]);
        assert_eq!((memory.active_bytes(), memory.held_bytes()), (bytes, 2 * bytes));
        memory.thaw();
        assert_eq!(memory.held_bytes(), bytes);
    }
}
