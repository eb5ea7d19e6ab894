//! Blocks into the journal: each exactly once, in one transaction with its receipt.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use busyhour_model::{
    AgentId, BlockNo, Body, Epoch, PathId, Record, Schedule, ScheduleRevision, SlotStart,
    UtcMicros, WindowFigures,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::journal::{Entry, EntryOther, EntryWindow};
use super::memory::NewWindow;
use super::numbers::{NumberMap, NumberSet};
use super::registry::{PathNews, insert_path};
use super::room::{LateSlots, MAX_WINDOWS_A_SLOT, NewestSlots};
use super::settle::Candidates;
use super::{Engine, Trouble, quarantine, room, windows};
use crate::codec::{
    Encoder, bad, encode_other, put_circumstance, put_coarsened, same_window, to_the_millisecond,
};
use crate::sqlite::{Family, PartitionId, days_before, unreadable, utc_day};
use crate::{Appended, BlockRows, JudgedWindow, PathRow, Quarantined, RecordKind, StoreError};

/// Paths of one agent: 32 targets over some links and both families. More is no agent of ours.
const MAX_PATHS: usize = 256;
/// Schedules kept of one agent. Each block tells those that it names, so the oldest may go.
const MAX_SCHEDULES: i64 = 64;
/// Schedules, circumstances and newest slots remembered; beyond that all are forgotten and told again.
const MAX_REMEMBERED: usize = 200_000;
/// From so many windows on a transaction is prepared on two threads: some milliseconds of work.
const MANY_WINDOWS: usize = 512;
const OPERATION: &str = "append blocks";

/// What the writer remembers between transactions.
#[derive(Debug, Default)]
pub(super) struct WriterMemory {
    /// The number of the last entry of the journal.
    pub(super) last_entry: i64,
    /// The next number of a circumstance.
    pub(super) next_circumstance: u64,
    known: Known,
}

/// What the journal and the head have already; forgotten when a transaction fails, and found again.
#[derive(Debug, Default)]
struct Known {
    /// Schedules that the head has; `None` when one was never told.
    schedules: HashMap<(AgentId, ScheduleRevision), Option<Schedule>>,
    /// Circumstances that entries since the last freeze told.
    circumstances: HashMap<Arc<[u8]>, u64>,
    newest_slots: NewestSlots,
}

impl WriterMemory {
    /// Forgets all but numbers.
    pub(super) fn forget(&mut self) {
        self.known = Known::default();
    }

    /// Entries from now on do without those before.
    pub(super) fn freeze(&mut self) {
        self.known.circumstances.clear();
    }
}

/// Appends in one transaction, and shows readers what it brought when that is durable.
pub(super) fn append(engine: &Engine, blocks: &[BlockRows]) -> Result<Vec<Appended>, StoreError> {
    engine.wait_for_room()?;
    let shares = prepare(blocks);
    let prepared: Vec<Prepared<'_>> = shares.iter().flat_map(Share::prepared).collect();
    let mut writer = engine.head.writer();
    let known = std::mem::take(&mut writer.memory.known);
    let number = writer.memory.last_entry + 1;
    let mut next_circumstance = writer.memory.next_circumstance;
    let written = writer.write_or(|sql| {
        let mut batch = Batch::new(engine, sql, known, &mut next_circumstance);
        batch.outcome.make_room(&prepared);
        let mut rest = prepared.as_slice();
        let appended = blocks.iter().map(|block| {
            let (of_block, behind) = rest.split_at(block.windows.len().min(rest.len()));
            rest = behind;
            batch.block(block, of_block)
        });
        let appended = appended.collect::<Result<Vec<_>, Trouble>>()?;
        batch.finish(number)?;
        Ok((appended, batch.into_outcome()))
    });
    // Not used again, whatever became of it.
    writer.memory.next_circumstance = next_circumstance;
    let (appended, mut outcome) = written.map_err(|trouble: Trouble| trouble.during(OPERATION))?;
    if !outcome.entry.is_empty() {
        writer.memory.last_entry = number;
    }
    // The writer is still held, so that no fold begins between the commit and this.
    publish(engine, &mut outcome);
    let Known { schedules, circumstances, newest_slots } = &outcome.known;
    let remembered = schedules.len().max(circumstances.len()).max(newest_slots.paths());
    if remembered <= MAX_REMEMBERED {
        writer.memory.known = outcome.known;
    }
    drop(writer);
    engine.fold_if_due();
    Ok(appended)
}

/// A window as it is stored, whatever there is already.
#[derive(Clone, Copy)]
struct Prepared<'p> {
    body: &'p [u8],
    circumstance: &'p [u8],
    /// Of a valid window.
    figures: WindowFigures,
}

/// Windows of some blocks, prepared in a row.
#[derive(Default)]
struct Share {
    /// All encodings, one after the other.
    bytes: Vec<u8>,
    /// Where in the bytes the window and its circumstance lie.
    windows: Vec<(Range<usize>, Range<usize>, WindowFigures)>,
}

impl Share {
    fn of(blocks: &[BlockRows]) -> Self {
        let mut out = Encoder::default();
        let mut windows = Vec::with_capacity(blocks.iter().map(|block| block.windows.len()).sum());
        for block in blocks {
            let received = to_the_millisecond(block.received);
            for judged in &block.windows {
                let from = out.written();
                put_coarsened(&mut out, judged, received);
                let between = out.written();
                put_circumstance(&mut out, judged);
                let valid = judged.verdict.valid.then(|| WindowFigures::of(&judged.window));
                let ranges = (from..between, between..out.written());
                windows.push((ranges.0, ranges.1, valid.unwrap_or_default()));
            }
        }
        Self { bytes: out.into_bytes(), windows }
    }

    fn prepared(&self) -> impl Iterator<Item = Prepared<'_>> {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.windows.iter().map(move |(body, circumstance, figures)| Prepared {
            body: bytes(body),
            circumstance: bytes(circumstance),
            figures: *figures,
        })
    }
}

/// Prepares the windows of blocks; many of them on two threads, as that is most of the work of a large
/// transaction and needs nothing but the windows.
fn prepare(blocks: &[BlockRows]) -> Vec<Share> {
    let all: usize = blocks.iter().map(|block| block.windows.len()).sum();
    if all < MANY_WINDOWS {
        return vec![Share::of(blocks)];
    }
    let mut seen = 0;
    let first = blocks.iter().take_while(|block| {
        let before = seen;
        seen += block.windows.len();
        before < all / 2
    });
    let (first, second) = blocks.split_at(first.count());
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| Share::of(second));
        let first = Share::of(first);
        vec![first, beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
    })
}

/// A window that was accepted.
struct Accepted<'b> {
    judged: &'b JudgedWindow,
    figures: WindowFigures,
    circumstance: Arc<[u8]>,
}

/// What a transaction brought.
struct Outcome<'b> {
    entry: Entry,
    /// In the order of the entry's windows.
    accepted: Vec<Accepted<'b>>,
    new_paths: Vec<PathRow>,
    known: Known,
}

impl Outcome<'_> {
    /// Makes room for all windows at once.
    fn make_room(&mut self, prepared: &[Prepared<'_>]) {
        self.entry.bodies.reserve_exact(prepared.iter().map(|window| window.body.len()).sum());
        self.entry.windows.reserve_exact(prepared.len());
        self.accepted.reserve_exact(prepared.len());
    }
}

fn publish(engine: &Engine, outcome: &mut Outcome<'_>) {
    let bodies = Arc::new(std::mem::take(&mut outcome.entry.bodies));
    let entry = &outcome.entry;
    engine.registry(|registry| {
        for row in &outcome.new_paths {
            registry.insert(row.clone());
        }
        for (window, accepted) in entry.windows.iter().zip(&outcome.accepted) {
            let judged = accepted.judged;
            registry.tell(
                window.path,
                &PathNews {
                    placed: window.placed,
                    requirement: judged.requirement,
                    windows_per_slot: window.windows_per_slot,
                    context: &judged.context,
                },
            );
        }
    });
    let windows: Vec<NewWindow<'_>> = entry
        .windows
        .iter()
        .zip(&outcome.accepted)
        .map(|(window, accepted)| NewWindow {
            path: window.path,
            placed: window.placed,
            nth: window.nth,
            raw: window.raw,
            windows_per_slot: window.windows_per_slot,
            circumstance: (window.circumstance, &accepted.circumstance),
            body: window.body.clone(),
            limits: accepted.judged.limits,
            window: &accepted.judged.window,
            figures: &accepted.figures,
            verdict: &accepted.judged.verdict,
        })
        .collect();
    engine.memory.add_windows(&bodies, &windows);
    engine.take_entry(entry);
}

/// The beginnings of a path's windows on a day, each with how many there are.
///
/// Agents choose them: no [`NumberMap`].
type Moments = HashMap<UtcMicros, u32>;

/// One transaction's work.
struct Batch<'t, 'b> {
    engine: &'t Engine,
    sql: &'t Connection,
    outcome: Outcome<'b>,
    next_circumstance: &'t mut u64,
    /// Paths that are new, by name; their rows are durable with this transaction.
    new_paths: HashMap<(AgentId, &'b busyhour_model::PathKey), PathId>,
    /// Each path's newest window, those of this transaction included.
    newest: NumberMap<PathId, UtcMicros>,
    /// The raw windows of this transaction, by path, as numbers among the accepted.
    staged: NumberMap<PathId, Vec<usize>>,
    moments: NumberMap<(PathId, i64), Moments>,
    late_slots: LateSlots,
    candidates: Candidates,
    /// The blocks of this transaction.
    receipts: HashSet<(AgentId, Epoch, BlockNo)>,
}

impl<'t, 'b> Batch<'t, 'b> {
    fn new(
        engine: &'t Engine,
        sql: &'t Connection,
        known: Known,
        next_circumstance: &'t mut u64,
    ) -> Self {
        let outcome =
            Outcome { entry: Entry::default(), accepted: Vec::new(), new_paths: Vec::new(), known };
        Self {
            engine,
            sql,
            outcome,
            next_circumstance,
            new_paths: HashMap::new(),
            newest: NumberMap::default(),
            staged: NumberMap::default(),
            moments: NumberMap::default(),
            late_slots: LateSlots::default(),
            candidates: Candidates::default(),
            receipts: HashSet::new(),
        }
    }

    fn into_outcome(self) -> Outcome<'b> {
        self.outcome
    }

    fn block(
        &mut self,
        block: &'b BlockRows,
        prepared: &[Prepared<'_>],
    ) -> Result<Appended, Trouble> {
        if self.engine.forgotten(|forgotten| forgotten.contains(&block.agent)) {
            return Ok(Appended::Refused);
        }
        let spool = (block.agent, block.epoch);
        let receipt = (block.agent, block.epoch, block.block);
        if self.engine.receipts(|receipts| receipts.has(spool, block.block))
            || !self.receipts.insert(receipt)
        {
            return Ok(Appended::Duplicate);
        }
        self.outcome.entry.receipts.push(receipt);
        self.schedules(block)?;
        let retention = self.engine.retention;
        let raw_from = days_before(block.received, retention.windows_days);
        let kept_days = retention.slots_days.max(retention.windows_days);
        let kept_from = days_before(block.received, kept_days);
        let mut excess = Vec::new();
        for (judged, &prepared) in block.windows.iter().zip(prepared) {
            let reason = if judged.placed < kept_from {
                Some("is older than what is kept".to_owned())
            } else {
                self.window(block.agent, (judged, prepared), raw_from)?
            };
            if let Some(reason) = reason {
                excess.push(Quarantined { started: Some(judged.placed), reason });
            }
        }
        for record in &block.others {
            let placed = record.stamp.started;
            match &record.body {
                Body::SessionReport(_) if placed < raw_from => {}
                Body::SessionReport(report) => {
                    self.candidates.report(self.sql, block.agent, placed, report)?;
                }
                _ => self.other(block, record)?,
            }
        }
        excess.extend_from_slice(&block.quarantined);
        self.quarantine(block, &excess)?;
        Ok(Appended::Stored)
    }

    fn schedules(&mut self, block: &BlockRows) -> rusqlite::Result<()> {
        let agent = block.agent.to_bytes();
        let mut is_new = false;
        for schedule in &block.schedules {
            let key = (block.agent, schedule.revision);
            if self.outcome.known.schedules.get(&key) == Some(&Some(*schedule)) {
                continue;
            }
            self.sql
                .prepare_cached("INSERT OR REPLACE INTO schedules VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    agent,
                    schedule.revision.0.cast_signed(),
                    schedule.period_us.cast_signed(),
                    block.received.0,
                ])?;
            self.outcome.known.schedules.insert(key, Some(*schedule));
            is_new = true;
        }
        if is_new {
            self.sql
                .prepare_cached(
                    "DELETE FROM schedules WHERE agent = ?1 AND revision NOT IN (SELECT revision \
                     FROM schedules WHERE agent = ?1 ORDER BY told_us DESC, revision LIMIT ?2)",
                )?
                .execute(params![agent, MAX_SCHEDULES])?;
        }
        Ok(())
    }

    /// Why the window cannot be kept, when it cannot.
    fn window(
        &mut self,
        agent: AgentId,
        (judged, prepared): (&'b JudgedWindow, Prepared<'_>),
        raw_from: UtcMicros,
    ) -> Result<Option<String>, Trouble> {
        if PartitionId::holding(Family::Windows, utc_day(judged.placed)).is_none() {
            return Ok(Some("lies outside the calendar".to_owned()));
        }
        let windows_per_slot = self.windows_per_slot(agent, judged.schedule)?;
        let Some(path) = self.path(agent, judged, windows_per_slot)? else {
            return Ok(Some(format!("is of a path beyond the {MAX_PATHS} of an agent")));
        };
        let raw = judged.placed >= raw_from;
        if *self.in_slot(path, judged.placed, raw)? >= MAX_WINDOWS_A_SLOT {
            let most = MAX_WINDOWS_A_SLOT;
            return Ok(Some(format!("is beyond the {most} windows of a path in a quarter-hour")));
        }
        let Prepared { body, circumstance, figures } = prepared;
        let (circumstance, shared) = self.circumstance(circumstance);
        let nth = if raw {
            self.place_for(path, judged.placed, (circumstance, &shared), body)?
        } else {
            Some(0)
        };
        // A spool that was rolled back seals the same records into other blocks.
        let Some(nth) = nth else { return Ok(None) };
        *self.in_slot(path, judged.placed, raw)? += 1;
        let entry = &mut self.outcome.entry;
        let start = entry.bodies.len();
        entry.bodies.extend_from_slice(body);
        entry.windows.push(EntryWindow {
            path,
            placed: judged.placed,
            nth,
            circumstance,
            body: start..start + body.len(),
            windows_per_slot,
            raw,
        });
        if raw {
            let key = (path, judged.placed, nth);
            self.candidates.window(self.sql, key, judged, (&shared, body))?;
            self.staged.entry(path).or_default().push(self.outcome.accepted.len());
        }
        self.outcome.accepted.push(Accepted { judged, figures, circumstance: shared });
        Ok(None)
    }

    fn windows_per_slot(
        &mut self,
        agent: AgentId,
        revision: ScheduleRevision,
    ) -> rusqlite::Result<u32> {
        let key = (agent, revision);
        let known = match self.outcome.known.schedules.get(&key) {
            Some(&known) => known,
            None => {
                let found = find_schedule(self.sql, agent, revision)?;
                self.outcome.known.schedules.insert(key, found);
                found
            }
        };
        Ok(known.map_or(0, |schedule| schedule.windows_per_slot()))
    }

    /// The path's number, unless the agent has too many.
    fn path(
        &mut self,
        agent: AgentId,
        judged: &'b JudgedWindow,
        windows_per_slot: u32,
    ) -> rusqlite::Result<Option<PathId>> {
        let key = &judged.window.path;
        if let Some(known) = self.engine.look_registry(|registry| registry.find(agent, key)) {
            return Ok(Some(known));
        }
        if let Some(&known) = self.new_paths.get(&(agent, key)) {
            return Ok(Some(known));
        }
        let known = self.engine.look_registry(|registry| registry.paths_of(agent));
        let new = self.new_paths.keys().filter(|(of, _)| *of == agent).count();
        if known + new >= MAX_PATHS {
            return Ok(None);
        }
        let news = PathNews {
            placed: judged.placed,
            requirement: judged.requirement,
            windows_per_slot,
            context: &judged.context,
        };
        let row = insert_path(self.sql, agent, key, &news)?;
        let id = row.id;
        self.new_paths.insert((agent, key), id);
        self.newest.insert(id, UtcMicros(i64::MIN));
        self.outcome.new_paths.push(row);
        Ok(Some(id))
    }

    fn circumstance(&mut self, encoded: &[u8]) -> (u64, Arc<[u8]>) {
        let known = &mut self.outcome.known.circumstances;
        if let Some((shared, &number)) = known.get_key_value(encoded) {
            return (number, Arc::clone(shared));
        }
        let (number, shared) = (*self.next_circumstance, Arc::<[u8]>::from(encoded));
        *self.next_circumstance += 1;
        known.insert(Arc::clone(&shared), number);
        self.outcome.entry.circumstances.push((number, Arc::clone(&shared)));
        (number, shared)
    }

    /// Where among the windows of its microsecond a window belongs; `None` when it is there already.
    fn place_for(
        &mut self,
        path: PathId,
        placed: UtcMicros,
        circumstance: (u64, &[u8]),
        body: &[u8],
    ) -> Result<Option<u32>, Trouble> {
        let newest = self.newest(path);
        if placed > *newest {
            *newest = placed;
            if let Some(moments) = self.moments.get_mut(&(path, utc_day(placed))) {
                moments.insert(placed, 1);
            }
            return Ok(Some(0));
        }
        let key = (path, utc_day(placed));
        let moments = self.moments(path, key.1)?;
        let there = moments.get(&placed).copied().unwrap_or(0);
        if there > 0 && self.is_there(path, placed, circumstance, body)? {
            return Ok(None);
        }
        self.moments.entry(key).or_default().insert(placed, there + 1);
        Ok(Some(there))
    }

    /// A path's newest window.
    fn newest(&mut self, path: PathId) -> &mut UtcMicros {
        self.newest.entry(path).or_insert_with(|| {
            self.engine
                .look_registry(|all| all.get(path).map_or(UtcMicros(i64::MIN), |row| row.newest))
        })
    }

    /// How many windows there are in the slot of a window that comes: exactly in earlier slots than a
    /// path's newest, and in that since the store was opened; without raw windows the valid ones.
    fn in_slot(&mut self, path: PathId, placed: UtcMicros, raw: bool) -> Result<&mut u32, Trouble> {
        let slot = SlotStart::containing(placed);
        if slot >= SlotStart::containing(*self.newest(path)) {
            return Ok(self.outcome.known.newest_slots.count(path, slot));
        }
        let key = (path, slot);
        if !self.late_slots.contains_key(&key) {
            let count = if raw {
                let moments = self.moments(path, utc_day(placed))?.iter();
                let within = moments.filter(|(moment, _)| SlotStart::containing(**moment) == slot);
                within.map(|(_, count)| count).sum()
            } else {
                room::valid_windows(self.engine, path, slot)?
            };
            self.late_slots.insert(key, count);
        }
        Ok(self.late_slots.entry(key).or_default())
    }

    fn moments(&mut self, path: PathId, day: i64) -> Result<&mut Moments, Trouble> {
        let key = (path, day);
        if !self.moments.contains_key(&key) {
            let moments = self.read_moments(path, day)?;
            self.moments.insert(key, moments);
        }
        Ok(self.moments.entry(key).or_default())
    }

    fn read_moments(&self, path: PathId, day: i64) -> Result<Moments, Trouble> {
        let mut moments = Moments::default();
        let stored = windows::moments(self.engine, path, day)?;
        let staged = self.staged.get(&path).into_iter().flatten();
        let staged = staged.filter_map(|&at| self.outcome.entry.windows.get(at));
        let staged = staged.filter(|window| utc_day(window.placed) == day);
        for placed in stored.into_iter().chain(staged.map(|window| window.placed)) {
            *moments.entry(placed).or_default() += 1;
        }
        Ok(moments)
    }

    fn is_there(
        &self,
        path: PathId,
        placed: UtcMicros,
        (circumstance, shared): (u64, &[u8]),
        body: &[u8],
    ) -> Result<bool, Trouble> {
        let entry = &self.outcome.entry;
        let staged = self.staged.get(&path).into_iter().flatten();
        let mut staged = staged.filter_map(|&at| entry.windows.get(at));
        let same = |window: &EntryWindow| {
            window.placed == placed
                && window.circumstance == circumstance
                && same_window(entry.body(window), body)
        };
        if staged.any(same) {
            return Ok(true);
        }
        let stored =
            windows::rows(self.engine, path, (placed, UtcMicros(placed.0.saturating_add(1))))?;
        Ok(stored.iter().any(|row| *row.circumstance == *shared && same_window(&row.body, body)))
    }

    fn other(&mut self, block: &BlockRows, record: &Record) -> Result<(), Trouble> {
        let Some((kind, body)) = encode_other(record) else {
            return Err(unreadable(bad("window among other records")).into());
        };
        let kept = days_before(block.received, self.engine.days_kept(kind));
        if record.stamp.started >= kept {
            let (agent, started) = (block.agent, record.stamp.started);
            self.outcome.entry.others.push(EntryOther { agent, kind, started, body });
        }
        Ok(())
    }

    fn quarantine(
        &mut self,
        block: &BlockRows,
        quarantined: &[Quarantined],
    ) -> Result<(), Trouble> {
        if quarantined.is_empty() {
            return Ok(());
        }
        self.outcome.entry.quarantined += quarantined.len() as u64;
        quarantine::put(self.sql, block, quarantined)?;
        let oldest = days_before(block.received, self.engine.days_kept(RecordKind::Gap));
        self.other(block, &quarantine::gap(block, quarantined, oldest)?)
    }

    /// Settles, and writes the entry.
    fn finish(&mut self, number: i64) -> Result<(), Trouble> {
        let candidates = std::mem::take(&mut self.candidates);
        let new: HashMap<PathId, &busyhour_model::PathKey> =
            self.new_paths.iter().map(|(&(_, key), &id)| (id, key)).collect();
        let engine = self.engine;
        let key_of = |path: PathId| {
            let known = || engine.look_registry(|all| all.get(path).map(|row| row.key.clone()));
            new.get(&path).map(|key| (*key).clone()).or_else(known)
        };
        self.outcome.entry.settlements = candidates.settle(self.sql, key_of)?;
        if self.outcome.entry.is_empty() {
            return Ok(());
        }
        self.sql
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?
            .execute(params![number, self.outcome.entry.encode(number)])?;
        Ok(())
    }
}

/// The days of paths that an entry changes.
pub(super) fn days_of(entry: &Entry) -> NumberSet<(i64, PathId)> {
    let windows = entry.windows.iter().map(|window| (utc_day(window.placed), window.path));
    let settled = entry.settlements.iter().map(|one| (utc_day(one.placed), one.path));
    windows.chain(settled).collect()
}

fn find_schedule(
    sql: &Connection,
    agent: AgentId,
    revision: ScheduleRevision,
) -> rusqlite::Result<Option<Schedule>> {
    let period: Option<i64> = sql
        .prepare_cached("SELECT period_us FROM schedules WHERE agent = ?1 AND revision = ?2")?
        .query_row(params![agent.to_bytes(), revision.0.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(period.map(|period| Schedule { revision, period_us: period.cast_unsigned() }))
}
