//! Checks, facts, loads and gaps: read from partitions and memory together, and folded.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{AgentId, Record, UtcMicros};
use rusqlite::{Connection, Transaction};

use super::Engine;
use super::memory::OtherRow;
use super::packs::{self, Pack, Records};
use crate::codec::{decode_other, decode_records, encode_records};
use crate::sqlite::{DAY_MICROS, Family, PartitionId, folded_through, unreadable, utc_day};
use crate::{ErrorKind, RecordKind, StoreError};

pub(super) const OPERATION: &str = "read records";

/// Where records of a kind lie.
pub(super) const fn family(kind: RecordKind) -> Family {
    match kind {
        RecordKind::Check => Family::Checks,
        RecordKind::Fact => Family::Facts,
        RecordKind::Load => Family::Loads,
        RecordKind::Gap => Family::Gaps,
    }
}

/// An agent's records of a kind that began in `from..until`, oldest first, at most `limit`.
pub(super) fn read(
    engine: &Engine,
    (agent, kind): (AgentId, RecordKind),
    (from, until): (UtcMicros, UtcMicros),
    limit: usize,
) -> Result<Vec<Record>, StoreError> {
    let pieces = engine.memory.others((agent, kind), (from, until));
    let (first, last) = (utc_day(from), utc_day(UtcMicros(until.0.saturating_sub(1))));
    let stored = engine.partitions.list(family(kind)).into_iter().map(PartitionId::first_day);
    let in_memory = pieces.iter().flat_map(|(_, rows)| rows.iter().map(|row| utc_day(row.started)));
    let days: BTreeSet<i64> =
        stored.filter(|day| (first..=last).contains(day)).chain(in_memory).collect();
    let mut records = Vec::new();
    for day in days {
        let begin = day.saturating_mul(DAY_MICROS);
        let from = UtcMicros(from.0.max(begin));
        let until = UtcMicros(until.0.min(begin.saturating_add(DAY_MICROS)));
        for row in rows_of_day(engine, (agent, kind), (from, until), &pieces)? {
            if records.len() == limit {
                return Ok(records);
            }
            let record = decode_other(&row.body, kind, row.started).map_err(|error| {
                StoreError::new(OPERATION, ErrorKind::Corrupt).with_source(error)
            })?;
            records.push(record);
        }
    }
    Ok(records)
}

fn rows_of_day(
    engine: &Engine,
    (agent, kind): (AgentId, RecordKind),
    (from, until): (UtcMicros, UtcMicros),
    pieces: &[(i64, Vec<OtherRow>)],
) -> Result<Vec<OtherRow>, StoreError> {
    let within = |row: &OtherRow| from <= row.started && row.started < until;
    let stored = match PartitionId::holding(family(kind), utc_day(from)) {
        None => None,
        Some(id) => engine.partitions.read(id, OPERATION, |sql| {
            let mut rows = Vec::new();
            packs::each(sql, &agent.to_bytes(), (from.0, until.0), |body| {
                rows.extend(unpack(body, agent)?.into_iter().filter(within));
                Ok(())
            })?;
            Ok((folded_through(sql)?, rows))
        })?,
    };
    let (folded, mut rows) = stored.unwrap_or((i64::MIN, Vec::new()));
    for (after, more) in pieces {
        if folded <= *after {
            rows.extend(more.iter().filter(|row| within(row)).cloned());
        }
    }
    // Stable: what began in the same microsecond stays in the order in which it came.
    rows.sort_by_key(|row| row.started);
    Ok(rows)
}

fn unpack(body: &[u8], agent: AgentId) -> rusqlite::Result<Vec<OtherRow>> {
    let records = decode_records(body, agent).map_err(unreadable)?;
    Ok(records.into_iter().map(|(started, body)| OtherRow { started, body }).collect())
}

/// Records of one agent to be packed.
struct OfAgent<'r> {
    agent: AgentId,
    rows: &'r [OtherRow],
}

impl Records for OfAgent<'_> {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn packs(&self, earlier: &[Vec<u8>], most: usize) -> rusqlite::Result<Vec<Pack>> {
        let earlier = earlier.iter().map(|body| unpack(body, self.agent));
        let earlier = earlier.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut rows: Vec<&OtherRow> = earlier.iter().flatten().chain(self.rows).collect();
        // Stable: what began in the same microsecond stays in the order in which it came.
        rows.sort_by_key(|row| row.started);
        let pack = |some: &[&OtherRow]| {
            let records = some.iter().map(|row| (row.started, row.body.as_slice()));
            Pack {
                first_us: some.first().map_or(0, |row| row.started.0),
                last_us: some.last().map_or(0, |row| row.started.0),
                records: some.len(),
                body: encode_records(self.agent, records),
            }
        };
        Ok(rows.chunks(most).map(pack).collect())
    }
}

/// Sorts records by day, each day's in the order of time.
pub(super) fn by_day(records: &[OtherRow]) -> BTreeMap<i64, Vec<OtherRow>> {
    let mut days: BTreeMap<i64, Vec<OtherRow>> = BTreeMap::new();
    for record in records {
        days.entry(utc_day(record.started)).or_default().push(record.clone());
    }
    for records in days.values_mut() {
        records.sort_by_key(|record| record.started);
    }
    days
}

/// Folds an agent's day into its partition.
pub(super) fn fold(
    sql: &Transaction<'_>,
    agent: AgentId,
    records: &[OtherRow],
) -> rusqlite::Result<()> {
    packs::add(sql, &agent.to_bytes(), &OfAgent { agent, rows: records })
}

/// Checks that every record of a partition can be read.
pub(super) fn check(sql: &Connection, kind: RecordKind) -> rusqlite::Result<u64> {
    let mut statement = sql.prepare("SELECT subject, records, body FROM packs")?;
    let mut rows = statement.query([])?;
    let mut records = 0;
    while let Some(row) = rows.next()? {
        let agent = AgentId::from_slice(row.get_ref(0)?.as_blob()?).map_err(unreadable)?;
        let found = unpack(row.get_ref(2)?.as_blob()?, agent)?;
        if found.len() as i64 != row.get::<_, i64>(1)? {
            return Err(unreadable(crate::codec::bad("pack with another number of records")));
        }
        for one in &found {
            decode_other(&one.body, kind, one.started).map_err(unreadable)?;
        }
        records += found.len() as u64;
    }
    Ok(records)
}
