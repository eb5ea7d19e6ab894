//! Blocks into rows: each exactly once, in one transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use busyhour_model::{
    AgentId, BlockNo, Body, Context, Epoch, LimitsVersion, PathId, PathKey, Record,
    RequirementProfile, ScheduleRevision, Slot, SlotStart, UtcMicros,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::quarantine;
use super::read::kind_code;
use super::settle::{Candidates, Settled, WindowKey};
use crate::codec::{
    decode_slot, encode_circumstance, encode_context, encode_other, encode_slot, encode_window,
    same_window,
};
use crate::sqlite::{Writer, days_before, unreadable, utc_day};
use crate::{Appended, BlockRows, DirtyDay, JudgedWindow, Quarantined, Retention, StoreError};

/// Entries of each kind remembered between transactions; some 100 MB at most. Beyond that all are
/// forgotten and read again, which costs one look-up each.
const MAX_REMEMBERED: usize = 200_000;
/// Slots held in memory within a transaction (some 2 kB each); beyond that they are written early.
const MAX_OPEN_SLOTS: usize = 20_000;

/// Paths of one agent: 32 targets over some links and both families. More is no agent of ours.
pub(super) const MAX_PATHS: i64 = 256;
/// Schedules kept of one agent. Each block tells those that it names, so the oldest may go.
const MAX_SCHEDULES: i64 = 64;

/// What the writer remembers of rows that are durable, so that it need not look them up.
#[derive(Debug, Default)]
pub(super) struct Memory {
    paths: HashMap<AgentId, HashMap<PathKey, KnownPath>>,
    path_count: usize,
    /// Windows that should exist in a slot; `None` when the schedule was never told.
    schedules: HashMap<(AgentId, ScheduleRevision), Option<u32>>,
    circumstances: HashMap<Vec<u8>, KnownCircumstance>,
}

impl Memory {
    /// Forgets everything when it has grown too large.
    fn bounded(self) -> Self {
        let largest = self.path_count.max(self.schedules.len()).max(self.circumstances.len());
        if largest > MAX_REMEMBERED { Self::default() } else { self }
    }
}

#[derive(Debug, Clone, Copy)]
struct KnownPath {
    id: PathId,
    oldest: UtcMicros,
    newest: UtcMicros,
}

#[derive(Debug, Clone, Copy)]
struct KnownCircumstance {
    id: i64,
    newest_day: i64,
}

/// Appends in one transaction. What is remembered comes back only when the transaction is durable.
pub(super) fn append(
    writer: &mut Writer<Memory>,
    blocks: &[BlockRows],
    retention: Retention,
) -> Result<Vec<Appended>, StoreError> {
    let memory = std::mem::take(&mut writer.memory).bounded();
    let (appended, memory) = writer.write("append blocks", |sql| {
        let mut batch = Batch::new(sql, memory, retention);
        let appended = blocks.iter().map(|block| batch.block(block)).collect::<Result<_, _>>()?;
        Ok((appended, batch.finish()?))
    })?;
    writer.memory = memory;
    Ok(appended)
}

/// A window's slot while the transaction lasts.
struct OpenSlot {
    slot: Slot,
    is_new: bool,
}

/// What a path's row is to say at the end.
struct PathNews<'b> {
    requirement: RequirementProfile,
    windows_per_slot: u32,
    newest: UtcMicros,
    context: &'b Context,
}

#[derive(Default)]
struct Counts {
    windows: i64,
    slots: i64,
    blocks: i64,
    quarantined: i64,
}

/// One transaction's work.
struct Batch<'t, 'b> {
    sql: &'t Connection,
    retention: Retention,
    memory: Memory,
    slots: HashMap<(PathId, SlotStart), OpenSlot>,
    news: HashMap<PathId, PathNews<'b>>,
    /// Paths that got a window older than any before.
    older: HashMap<PathId, UtcMicros>,
    dirty: HashSet<(i64, PathId)>,
    candidates: Candidates,
    counts: Counts,
}

impl<'t, 'b> Batch<'t, 'b> {
    fn new(sql: &'t Connection, memory: Memory, retention: Retention) -> Self {
        Self {
            sql,
            retention,
            memory,
            slots: HashMap::new(),
            news: HashMap::new(),
            older: HashMap::new(),
            dirty: HashSet::new(),
            candidates: Candidates::default(),
            counts: Counts::default(),
        }
    }

    fn block(&mut self, block: &'b BlockRows) -> rusqlite::Result<Appended> {
        if !add_receipt(self.sql, block.agent, block.epoch, block.block)? {
            return Ok(Appended::Duplicate);
        }
        self.counts.blocks += 1;
        self.schedules(block)?;
        let raw_from = days_before(block.received, self.retention.windows_days);
        let mut excess = Vec::new();
        for judged in &block.windows {
            if !self.window(block, judged, raw_from)? {
                let reason = format!("is of a path beyond the {MAX_PATHS} of an agent");
                excess.push(Quarantined { started: Some(judged.placed), reason });
            }
        }
        for record in &block.others {
            match &record.body {
                Body::SessionReport(_) if record.stamp.started < raw_from => {}
                Body::SessionReport(report) => {
                    let placed = record.stamp.started;
                    self.candidates.report(self.sql, block.agent, placed, report)?;
                }
                _ => self.other(block.agent, record)?,
            }
        }
        if excess.is_empty() {
            self.quarantine(block, &block.quarantined)?;
        } else {
            excess.extend_from_slice(&block.quarantined);
            self.quarantine(block, &excess)?;
        }
        Ok(Appended::Stored)
    }

    fn schedules(&mut self, block: &BlockRows) -> rusqlite::Result<()> {
        let agent = block.agent.to_bytes();
        let mut is_new = false;
        for schedule in &block.schedules {
            let expected = Some(schedule.windows_per_slot());
            self.sql
                .prepare_cached("INSERT OR REPLACE INTO schedules VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    agent,
                    schedule.revision.0.cast_signed(),
                    schedule.period_us.cast_signed(),
                    block.received.0,
                ])?;
            let key = (block.agent, schedule.revision);
            is_new |= self.memory.schedules.insert(key, expected) != Some(expected);
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

    /// False when the window is of a path too many.
    fn window(
        &mut self,
        block: &BlockRows,
        judged: &'b JudgedWindow,
        raw_from: UtcMicros,
    ) -> rusqlite::Result<bool> {
        let expected = self.expected(block.agent, judged.schedule)?;
        let Some(path) = self.path(block.agent, judged, expected)? else { return Ok(false) };
        if judged.placed >= raw_from {
            let circumstance = self.circumstance(judged)?;
            let body = encode_window(judged, block.received);
            let Some(key) = insert_window(self.sql, path, judged.placed, circumstance, &body)?
            else {
                // A spool that was rolled back seals the same records into other blocks.
                return Ok(true);
            };
            let observed = (&judged.window, &judged.stamp, &judged.context);
            self.candidates.window(self.sql, key, observed)?;
        }
        let slot = self.slot(path, judged.placed, judged.limits)?;
        slot.limits = slot.limits.max(judged.limits);
        slot.expected = slot.expected.max(expected);
        slot.add(judged.placed, &judged.window, &judged.verdict);
        self.dirty.insert((utc_day(judged.placed), path));
        self.counts.windows += 1;
        Ok(true)
    }

    fn expected(&mut self, agent: AgentId, revision: ScheduleRevision) -> rusqlite::Result<u32> {
        if let Some(&known) = self.memory.schedules.get(&(agent, revision)) {
            return Ok(known.unwrap_or(0));
        }
        let period: Option<i64> = self
            .sql
            .prepare_cached("SELECT period_us FROM schedules WHERE agent = ?1 AND revision = ?2")?
            .query_row(params![agent.to_bytes(), revision.0.cast_signed()], |row| row.get(0))
            .optional()?;
        let expected = period.map(|period| {
            let period_us = period.cast_unsigned();
            busyhour_model::Schedule { revision, period_us }.windows_per_slot()
        });
        self.memory.schedules.insert((agent, revision), expected);
        Ok(expected.unwrap_or(0))
    }

    /// The path's number, unless the agent has too many; notes what its row is to say when this is
    /// its newest window.
    fn path(
        &mut self,
        agent: AgentId,
        judged: &'b JudgedWindow,
        windows_per_slot: u32,
    ) -> rusqlite::Result<Option<PathId>> {
        let news = PathNews {
            requirement: judged.requirement,
            windows_per_slot,
            newest: judged.placed,
            context: &judged.context,
        };
        let of_agent = self.memory.paths.entry(agent).or_default();
        if let Some(known) = of_agent.get_mut(&judged.window.path) {
            if judged.placed >= known.newest {
                known.newest = judged.placed;
                self.news.insert(known.id, news);
            }
            if judged.placed < known.oldest {
                known.oldest = judged.placed;
                self.older.insert(known.id, judged.placed);
            }
            return Ok(Some(known.id));
        }
        let (known, is_new) = match find_path(self.sql, agent, &judged.window.path)? {
            Some(known) => (known, false),
            None if count_paths(self.sql, agent)? >= MAX_PATHS => return Ok(None),
            None => (insert_path(self.sql, agent, &judged.window.path, &news)?, true),
        };
        of_agent.insert(judged.window.path.clone(), known);
        self.memory.path_count += 1;
        if is_new {
            return Ok(Some(known.id));
        }
        self.path(agent, judged, windows_per_slot)
    }

    /// The number of the window's circumstance; its row knows the newest day it is needed for.
    fn circumstance(&mut self, judged: &JudgedWindow) -> rusqlite::Result<i64> {
        let body = encode_circumstance(judged);
        let day = utc_day(judged.placed);
        if let Some(known) = self.memory.circumstances.get(&body)
            && known.newest_day >= day
        {
            return Ok(known.id);
        }
        let known = self
            .sql
            .prepare_cached(
                "INSERT INTO circumstances (body, newest_day) VALUES (?1, ?2) \
                 ON CONFLICT (body) DO UPDATE SET newest_day = max(newest_day, excluded.newest_day) \
                 RETURNING id, newest_day",
            )?
            .query_row(params![body, day], |row| {
                Ok(KnownCircumstance { id: row.get(0)?, newest_day: row.get(1)? })
            })?;
        self.memory.circumstances.insert(body, known);
        Ok(known.id)
    }

    /// Moves the losses of windows that are settled now.
    fn settle(&mut self) -> rusqlite::Result<()> {
        for Settled { key, before, settlement } in
            std::mem::take(&mut self.candidates).settle(self.sql)?
        {
            self.dirty.insert((utc_day(key.placed), key.path));
            if before.judged.verdict.valid {
                self.slot(key.path, key.placed, before.judged.limits)?.settle(settlement);
            }
        }
        Ok(())
    }

    fn slot(
        &mut self,
        path: PathId,
        placed: UtcMicros,
        limits: LimitsVersion,
    ) -> rusqlite::Result<&mut Slot> {
        let start = SlotStart::containing(placed);
        if self.slots.len() >= MAX_OPEN_SLOTS && !self.slots.contains_key(&(path, start)) {
            self.write_slots()?;
        }
        let open = match self.slots.entry((path, start)) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let stored = read_slot(self.sql, path, start)?;
                let is_new = stored.is_none();
                let slot = stored.unwrap_or_else(|| Slot::new(start, limits));
                vacant.insert(OpenSlot { slot, is_new })
            }
        };
        Ok(&mut open.slot)
    }

    fn other(&self, agent: AgentId, record: &Record) -> rusqlite::Result<()> {
        let Some((kind, body)) = encode_other(record) else {
            return Err(unreadable(crate::codec::bad("window among other records")));
        };
        self.sql
            .prepare_cached(
                "INSERT INTO others VALUES (?1, ?2, ?3, (SELECT coalesce(max(nth) + 1, 0) \
                 FROM others WHERE agent = ?1 AND kind = ?2 AND started_us = ?3), ?4)",
            )?
            .execute(params![agent.to_bytes(), kind_code(kind), record.stamp.started.0, body])?;
        Ok(())
    }

    fn quarantine(
        &mut self,
        block: &BlockRows,
        quarantined: &[Quarantined],
    ) -> rusqlite::Result<()> {
        if quarantined.is_empty() {
            return Ok(());
        }
        self.counts.quarantined += quarantined.len() as i64;
        quarantine::put(self.sql, block, quarantined)?;
        let oldest = days_before(block.received, self.retention.others_days);
        self.other(block.agent, &quarantine::gap(block, quarantined, oldest)?)
    }

    /// Writes what was gathered: slots, paths, dirty marks, totals.
    fn finish(mut self) -> rusqlite::Result<Memory> {
        self.settle()?;
        self.write_slots()?;
        let mut update = self.sql.prepare_cached(
            "UPDATE paths SET requirement = ?2, windows_per_slot = ?3, newest_us = ?4, \
             context = ?5 WHERE id = ?1",
        )?;
        for (path, news) in &self.news {
            update.execute(params![
                path.0,
                news.requirement.as_str(),
                news.windows_per_slot,
                news.newest.0,
                encode_context(news.context),
            ])?;
        }
        let mut lengthen =
            self.sql.prepare_cached("UPDATE paths SET oldest_us = ?2 WHERE id = ?1")?;
        for (path, oldest) in &self.older {
            lengthen.execute(params![path.0, oldest.0])?;
        }
        let generation: i64 = self
            .sql
            .prepare_cached(
                "UPDATE totals SET windows = windows + ?1, slots = slots + ?2, \
                 blocks = blocks + ?3, quarantined = quarantined + ?4, \
                 generation = generation + 1 RETURNING generation",
            )?
            .query_row(
                params![
                    self.counts.windows,
                    self.counts.slots,
                    self.counts.blocks,
                    self.counts.quarantined
                ],
                |row| row.get(0),
            )?;
        let mut mark =
            self.sql.prepare_cached("INSERT OR REPLACE INTO dirty_days VALUES (?1, ?2, ?3)")?;
        for &(day, path) in &self.dirty {
            mark.execute(params![day, path.0, generation])?;
        }
        Ok(self.memory)
    }

    fn write_slots(&mut self) -> rusqlite::Result<()> {
        let mut put =
            self.sql.prepare_cached("INSERT OR REPLACE INTO slots VALUES (?1, ?2, ?3)")?;
        // In the order of the key, so that each page is visited once.
        let order: BTreeSet<_> = self.slots.keys().copied().collect();
        for key in order {
            let Some(open) = self.slots.remove(&key) else { continue };
            put.execute(params![key.0.0, key.1.number(), encode_slot(&open.slot)])?;
            self.counts.slots += i64::from(open.is_new);
        }
        Ok(())
    }
}

/// Notes that a block is durable (with this transaction); false when it was before.
fn add_receipt(
    sql: &Connection,
    agent: AgentId,
    epoch: Epoch,
    block: BlockNo,
) -> rusqlite::Result<bool> {
    let (agent, epoch, number) = (agent.to_bytes(), epoch.0.cast_signed(), block.0.cast_signed());
    let before: Option<(i64, i64)> = sql
        .prepare_cached(
            "SELECT first, last FROM receipts WHERE agent = ?1 AND epoch = ?2 AND first <= ?3 \
             ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![agent, epoch, number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if before.is_some_and(|(_, last)| last >= number) {
        return Ok(false);
    }
    // To SQLite the upper half of the numbers is negative: -1 is the highest and does not touch 0.
    let after = number.checked_add(1).filter(|&next| next != 0);
    let last: Option<i64> = sql
        .prepare_cached(
            "DELETE FROM receipts WHERE agent = ?1 AND epoch = ?2 AND first = ?3 RETURNING last",
        )?
        .query_row(params![agent, epoch, after], |row| row.get(0))
        .optional()?;
    let last = last.unwrap_or(number);
    let first = match before {
        Some((first, end)) if number != 0 && end.checked_add(1) == Some(number) => first,
        _ => number,
    };
    sql.prepare_cached("INSERT OR REPLACE INTO receipts VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![agent, epoch, first, last])?;
    Ok(true)
}

fn find_path(
    sql: &Connection,
    agent: AgentId,
    key: &PathKey,
) -> rusqlite::Result<Option<KnownPath>> {
    sql.prepare_cached(
        "SELECT id, oldest_us, newest_us FROM paths WHERE agent = ?1 AND link = ?2 AND interface = ?3 \
         AND family = ?4 AND target = ?5 AND class = ?6 AND profile = ?7 AND transport = ?8",
    )?
    .query_row(
        params![
            agent.to_bytes(),
            key.link.kind().as_str(),
            key.link.interface(),
            key.family.as_str(),
            key.target.as_str(),
            key.class.as_str(),
            key.profile.as_str(),
            key.transport.as_str(),
        ],
        |row| {
            Ok(KnownPath {
                id: PathId(row.get(0)?),
                oldest: UtcMicros(row.get(1)?),
                newest: UtcMicros(row.get(2)?),
            })
        },
    )
    .optional()
}

fn count_paths(sql: &Connection, agent: AgentId) -> rusqlite::Result<i64> {
    sql.prepare_cached("SELECT count(*) FROM paths WHERE agent = ?1")?
        .query_row([agent.to_bytes()], |row| row.get(0))
}

fn insert_path(
    sql: &Connection,
    agent: AgentId,
    key: &PathKey,
    news: &PathNews<'_>,
) -> rusqlite::Result<KnownPath> {
    sql.prepare_cached(
        "INSERT INTO paths (agent, link, interface, family, target, class, profile, transport, \
         requirement, windows_per_slot, oldest_us, newest_us, context) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)",
    )?
    .execute(params![
        agent.to_bytes(),
        key.link.kind().as_str(),
        key.link.interface(),
        key.family.as_str(),
        key.target.as_str(),
        key.class.as_str(),
        key.profile.as_str(),
        key.transport.as_str(),
        news.requirement.as_str(),
        news.windows_per_slot,
        news.newest.0,
        encode_context(news.context),
    ])?;
    let id = PathId(sql.last_insert_rowid());
    Ok(KnownPath { id, oldest: news.newest, newest: news.newest })
}

/// The new row's key; `None` when the same window is there already.
fn insert_window(
    sql: &Connection,
    path: PathId,
    placed: UtcMicros,
    circumstance: i64,
    body: &[u8],
) -> rusqlite::Result<Option<WindowKey>> {
    let inserted = sql
        .prepare_cached("INSERT OR IGNORE INTO windows VALUES (?1, ?2, 0, ?3, ?4)")?
        .execute(params![path.0, placed.0, circumstance, body])?;
    if inserted == 0 {
        let mut there = sql.prepare_cached(
            "SELECT body FROM windows WHERE path = ?1 AND placed_us = ?2 AND circumstance = ?3",
        )?;
        let mut rows = there.query(params![path.0, placed.0, circumstance])?;
        while let Some(row) = rows.next()? {
            if same_window(row.get_ref(0)?.as_blob()?, body) {
                return Ok(None);
            }
        }
        let nth = sql
            .prepare_cached(
                "INSERT INTO windows VALUES (?1, ?2, (SELECT max(nth) + 1 FROM windows \
                 WHERE path = ?1 AND placed_us = ?2), ?3, ?4) RETURNING nth",
            )?
            .query_row(params![path.0, placed.0, circumstance, body], |row| row.get(0))?;
        return Ok(Some(WindowKey { path, placed, nth }));
    }
    Ok(Some(WindowKey { path, placed, nth: 0 }))
}

fn read_slot(sql: &Connection, path: PathId, start: SlotStart) -> rusqlite::Result<Option<Slot>> {
    sql.prepare_cached("SELECT body FROM slots WHERE path = ?1 AND slot = ?2")?
        .query_row(params![path.0, start.number()], |row| {
            decode_slot(row.get_ref(0)?.as_blob()?, start).map_err(unreadable)
        })
        .optional()
}

pub(super) fn clear_dirty(sql: &Connection, days: &[DirtyDay]) -> rusqlite::Result<()> {
    let mut clear = sql.prepare_cached(
        "DELETE FROM dirty_days WHERE utc_day = ?1 AND path = ?2 AND generation = ?3",
    )?;
    for day in days {
        clear.execute(params![day.utc_day, day.path.0, day.generation])?;
    }
    Ok(())
}
