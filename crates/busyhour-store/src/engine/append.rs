//! Blocks into the journal: each exactly once, in one transaction with its receipt.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use busyhour_model::{
    AgentId, BlockNo, Body, Epoch, PathId, Record, Schedule, ScheduleRevision, UtcMicros, Window,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::journal::{Entry, EntryOther, EntryWindow};
use super::memory::NewWindow;
use super::registry::{PathNews, insert_path};
use super::settle::Candidates;
use super::{Engine, Trouble, quarantine, windows};
use crate::codec::{
    bad, encode_as, encode_circumstance, encode_other, same_window, to_the_millisecond,
};
use crate::sqlite::{Family, PartitionId, days_before, unreadable, utc_day};
use crate::{Appended, BlockRows, JudgedWindow, PathRow, Quarantined, RecordKind, StoreError};

/// Paths of one agent: 32 targets over some links and both families. More is no agent of ours.
const MAX_PATHS: usize = 256;
/// Schedules kept of one agent. Each block tells those that it names, so the oldest may go.
const MAX_SCHEDULES: i64 = 64;
/// Schedules and circumstances remembered; beyond that all are forgotten and told again.
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
    let prepared = prepare(blocks);
    let mut writer = engine.head.writer();
    let known = std::mem::take(&mut writer.memory.known);
    let number = writer.memory.last_entry + 1;
    let mut next_circumstance = writer.memory.next_circumstance;
    let written = writer.write_or(|sql| {
        let mut batch = Batch::new(engine, sql, known, &mut next_circumstance);
        let appended =
            blocks.iter().zip(prepared).map(|(block, prepared)| batch.block(block, prepared));
        let appended = appended.collect::<Result<Vec<_>, Trouble>>()?;
        batch.finish(number)?;
        Ok((appended, batch.into_outcome()))
    });
    // Not used again, whatever became of it.
    writer.memory.next_circumstance = next_circumstance;
    let (appended, outcome) = written.map_err(|trouble: Trouble| trouble.during(OPERATION))?;
    if !outcome.entry.is_empty() {
        writer.memory.last_entry = number;
    }
    // The writer is still held, so that no fold begins between the commit and this.
    publish(engine, &outcome);
    let Known { schedules, circumstances } = &outcome.known;
    if schedules.len().max(circumstances.len()) <= MAX_REMEMBERED {
        writer.memory.known = outcome.known;
    }
    drop(writer);
    engine.fold_if_due();
    Ok(appended)
}

/// A window as it is stored, whatever there is already.
struct Prepared {
    /// With histograms as coarse as they are stored.
    window: Window,
    body: Vec<u8>,
    circumstance: Vec<u8>,
}

/// Prepares the windows of blocks; many of them on two threads, as that is most of the work of a large
/// transaction and needs nothing but the windows.
fn prepare(blocks: &[BlockRows]) -> Vec<Vec<Prepared>> {
    let all: usize = blocks.iter().map(|block| block.windows.len()).sum();
    if all < MANY_WINDOWS {
        return blocks.iter().map(prepare_block).collect();
    }
    let mut seen = 0;
    let first = blocks.iter().take_while(|block| {
        let before = seen;
        seen += block.windows.len();
        before < all / 2
    });
    let (first, second) = blocks.split_at(first.count());
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| second.iter().map(prepare_block).collect::<Vec<_>>());
        let mut prepared: Vec<_> = first.iter().map(prepare_block).collect();
        prepared.extend(beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        prepared
    })
}

fn prepare_block(block: &BlockRows) -> Vec<Prepared> {
    let received = to_the_millisecond(block.received);
    let prepare = |judged: &JudgedWindow| {
        let window = judged.window.coarsened();
        let body = encode_as(judged, &window, received);
        Prepared { window, body, circumstance: encode_circumstance(judged) }
    };
    block.windows.iter().map(prepare).collect()
}

/// A window that was accepted.
struct Accepted<'b> {
    judged: &'b JudgedWindow,
    /// With histograms as coarse as they are stored.
    window: Window,
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

fn publish(engine: &Engine, outcome: &Outcome<'_>) {
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
            circumstance: &accepted.circumstance,
            body: entry.body(window),
            limits: accepted.judged.limits,
            window: &accepted.window,
            verdict: &accepted.judged.verdict,
        })
        .collect();
    engine.memory.add_windows(&windows);
    engine.take_entry(entry);
}

/// The beginnings of a path's windows on a day, each with how many there are.
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
    newest: HashMap<PathId, UtcMicros>,
    /// The raw windows of this transaction, by path, as numbers among the accepted.
    staged: HashMap<PathId, Vec<usize>>,
    moments: HashMap<(PathId, i64), Moments>,
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
            newest: HashMap::new(),
            staged: HashMap::new(),
            moments: HashMap::new(),
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
        prepared: Vec<Prepared>,
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
        let mut excess = Vec::new();
        for (judged, prepared) in block.windows.iter().zip(prepared) {
            if let Some(reason) = self.window(block.agent, (judged, prepared), raw_from)? {
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
        (judged, prepared): (&'b JudgedWindow, Prepared),
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
        let Prepared { window, body, circumstance } = prepared;
        let (circumstance, shared) = self.circumstance(circumstance);
        let nth = if raw {
            self.place_for(path, judged.placed, (circumstance, &shared), &body)?
        } else {
            Some(0)
        };
        // A spool that was rolled back seals the same records into other blocks.
        let Some(nth) = nth else { return Ok(None) };
        let entry = &mut self.outcome.entry;
        let start = entry.bodies.len();
        entry.bodies.extend_from_slice(&body);
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
            self.candidates.window(self.sql, key, judged, (&shared, &body))?;
            self.staged.entry(path).or_default().push(self.outcome.accepted.len());
        }
        self.outcome.accepted.push(Accepted { judged, window, circumstance: shared });
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

    fn circumstance(&mut self, encoded: Vec<u8>) -> (u64, Arc<[u8]>) {
        let known = &mut self.outcome.known.circumstances;
        if let Some((shared, &number)) = known.get_key_value(encoded.as_slice()) {
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
        let newest = self.newest.entry(path).or_insert_with(|| {
            self.engine
                .look_registry(|all| all.get(path).map_or(UtcMicros(i64::MIN), |row| row.newest))
        });
        if placed > *newest {
            *newest = placed;
            if let Some(moments) = self.moments.get_mut(&(path, utc_day(placed))) {
                moments.insert(placed, 1);
            }
            return Ok(Some(0));
        }
        let key = (path, utc_day(placed));
        if !self.moments.contains_key(&key) {
            let moments = self.read_moments(path, key.1)?;
            self.moments.insert(key, moments);
        }
        let moments = self.moments.entry(key).or_default();
        let there = moments.get(&placed).copied().unwrap_or(0);
        if there > 0 && self.is_there(path, placed, circumstance, body)? {
            return Ok(None);
        }
        self.moments.entry(key).or_default().insert(placed, there + 1);
        Ok(Some(there))
    }

    fn read_moments(&self, path: PathId, day: i64) -> Result<Moments, Trouble> {
        let mut moments = Moments::new();
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
pub(super) fn days_of(entry: &Entry) -> HashSet<(i64, PathId)> {
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
