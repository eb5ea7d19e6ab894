//! Opening: what the journal holds comes back into memory, and a fold that was cut short is finished.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use busyhour_model::{AgentId, UtcMicros, WindowFigures};

use super::journal::Entry;
use super::memory::{Memory, NewWindow};
use super::receipts::Receipts;
use super::registry::{PathNews, Registry};
use super::{Counts, Engine, Frozen, marks::Marks};
use crate::codec::{Circumstance, bad, decode_circumstance, decode_window};
use crate::sqlite::{Family, unreadable};
use crate::{ErrorKind, StoreError, StoredWindow};

const OPERATION: &str = "replay the journal";

/// Circumstances by the numbers that entries gave them.
type Circumstances = HashMap<u64, (Arc<[u8]>, Circumstance)>;

/// Brings an engine that was just opened to where it was.
pub(super) fn replay(mut engine: Engine) -> Result<Engine, StoreError> {
    let (folded, counts, registry, marks, receipts) = engine.head.read(OPERATION, |sql| {
        let (folded, counts) =
            sql.query_row("SELECT folded, windows, blocks, quarantined FROM totals", [], |row| {
                let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                let counts =
                    Counts { windows: count(1)?, blocks: count(2)?, quarantined: count(3)? };
                Ok((row.get::<_, i64>(0)?, counts))
            })?;
        Ok((folded, counts, Registry::load(sql)?, Marks::load(sql)?, Receipts::load(sql)?))
    })?;
    engine.memory = Memory::new(folded);
    engine.folded_to(folded);
    engine.registry(|all| *all = registry);
    engine.marks(|all| *all = marks);
    engine.receipts(|all| *all = receipts);
    engine.counts(|all| *all = counts);
    engine.head.writer().memory.last_entry = folded;
    let unfinished = unfinished(&engine, folded)?;
    let forgotten = forgotten(&engine)?;
    engine.forgotten(|all| all.clone_from(&forgotten));
    let mut circumstances = Circumstances::new();
    let mut again = |number: i64, mut entry: Entry| {
        entry.others.retain(|other| !forgotten.contains(&other.agent));
        entry.receipts.retain(|(agent, ..)| !forgotten.contains(agent));
        take(&engine, number, entry, &mut circumstances)
    };
    each_entry(&engine, (folded, unfinished), &mut again)?;
    if unfinished > folded {
        let counts = engine.counts(|counts| *counts);
        let pieces = engine.memory.freeze(unfinished);
        let mut frozen = engine.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        *frozen = Some(Frozen { entry: unfinished, pieces, counts });
    }
    each_entry(&engine, (unfinished, i64::MAX), &mut again)?;
    Ok(engine)
}

/// The last entry of a fold that was cut short: the farthest that any partition has come. What
/// `folded` says when there was none.
fn unfinished(engine: &Engine, folded: i64) -> Result<i64, StoreError> {
    let newest = engine.head.read(OPERATION, |sql| {
        sql.query_row("SELECT coalesce(max(entry), ?1) FROM journal", [folded], |row| row.get(0))
    })?;
    let mut farthest = folded;
    for id in Family::ALL.into_iter().flat_map(|family| engine.partitions.list(family)) {
        let come = engine.partitions.folded_through(id, OPERATION)?;
        farthest = farthest.max(come.unwrap_or(folded));
        if farthest > newest {
            let what = format!(
                "{OPERATION}: telemetry.db is older than the partition {id}; both have to be of one \
                 backup"
            );
            return Err(StoreError::new(what, ErrorKind::Corrupt));
        }
    }
    Ok(farthest)
}

fn forgotten(engine: &Engine) -> Result<HashSet<AgentId>, StoreError> {
    engine.head.read(OPERATION, |sql| {
        let mut statement = sql.prepare("SELECT agent FROM forgotten")?;
        let agents = statement.query_map([], |row| {
            AgentId::from_slice(row.get_ref(0)?.as_blob()?).map_err(unreadable)
        })?;
        agents.collect()
    })
}

/// Hands out the entries after the first number and up to the second, one at a time.
fn each_entry(
    engine: &Engine,
    (after, last): (i64, i64),
    mut take: impl FnMut(i64, Entry) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut at = after;
    loop {
        let found = engine.head.read(OPERATION, |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT entry, body FROM journal WHERE entry > ?1 AND entry <= ?2 \
                 ORDER BY entry LIMIT 1",
            )?;
            let mut rows = statement.query([at, last])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let number: i64 = row.get(0)?;
            let entry = Entry::decode(number, row.get_ref(1)?.as_blob()?).map_err(unreadable)?;
            Ok(Some((number, entry)))
        })?;
        let Some((number, entry)) = found else { return Ok(()) };
        take(number, entry)?;
        at = number;
    }
}

/// Does again what an entry did to memory.
fn take(
    engine: &Engine,
    number: i64,
    mut entry: Entry,
    circumstances: &mut Circumstances,
) -> Result<(), StoreError> {
    let mut windows: Vec<(usize, StoredWindow, WindowFigures)> =
        Vec::with_capacity(entry.windows.len());
    for (number, encoded) in &entry.circumstances {
        let decoded = decode_circumstance(encoded).map_err(damaged)?;
        circumstances.insert(*number, (Arc::clone(encoded), decoded));
        let mut writer = engine.head.writer();
        writer.memory.next_circumstance = writer.memory.next_circumstance.max(number + 1);
    }
    for (at, window) in entry.windows.iter().enumerate() {
        let key = engine.look_registry(|all| all.get(window.path).map(|row| row.key.clone()));
        // Of an agent that was forgotten after the entry was written.
        let Some(key) = key else { continue };
        let shared = circumstances.get(&window.circumstance);
        let (_, shared) = shared.ok_or_else(|| damaged(bad("journal entry")))?;
        let stored = decode_window(entry.body(window), window.placed, &key, shared);
        let stored = stored.map_err(damaged)?;
        let valid = stored.judged.verdict.valid.then(|| WindowFigures::of(&stored.judged.window));
        windows.push((at, stored, valid.unwrap_or_default()));
    }
    engine.registry(|registry| {
        for (at, stored, _) in &windows {
            let window = &entry.windows[*at];
            registry.tell(window.path, &news(stored, window.placed, window.windows_per_slot));
        }
    });
    let bodies = Arc::new(std::mem::take(&mut entry.bodies));
    let new: Vec<NewWindow<'_>> = windows
        .iter()
        .filter_map(|(at, stored, figures)| {
            let window = &entry.windows[*at];
            let (circumstance, _) = circumstances.get(&window.circumstance)?;
            Some(NewWindow {
                path: window.path,
                placed: window.placed,
                nth: window.nth,
                raw: window.raw,
                windows_per_slot: window.windows_per_slot,
                circumstance: (window.circumstance, circumstance),
                body: window.body.clone(),
                limits: stored.judged.limits,
                window: &stored.judged.window,
                figures,
                verdict: &stored.judged.verdict,
            })
        })
        .collect();
    engine.memory.add_windows(&bodies, &new);
    engine.take_entry(&entry);
    engine.head.writer().memory.last_entry = number;
    Ok(())
}

fn news(stored: &StoredWindow, placed: UtcMicros, windows_per_slot: u32) -> PathNews<'_> {
    PathNews {
        placed,
        requirement: stored.judged.requirement,
        windows_per_slot,
        context: &stored.judged.context,
    }
}

fn damaged(error: crate::codec::DecodeError) -> StoreError {
    StoreError::new(OPERATION, ErrorKind::Corrupt).with_source(error)
}
