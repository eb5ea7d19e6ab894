//! Packs: how a partition holds the records of a subject, be they windows of a path or other records of
//! an agent.
//!
//! A fold writes what is new as a pack of its own, so that late records cost no more than others. When
//! a subject has many small packs they become full ones; so each record is written twice at most.

use rusqlite::{Connection, ToSql, params};

/// Records of a full pack.
const PACK_RECORDS: usize = 480;
/// Below this a pack is small.
const SMALL: usize = PACK_RECORDS / 2;
/// Small packs of a subject that become full ones.
const MAX_SMALL: usize = 8;

pub(super) const SMALL_PACKS: &str =
    "SELECT id, body FROM packs WHERE subject = ?1 AND records < ?2 ORDER BY id";
pub(super) const PACKS: &str = "SELECT body FROM packs \
     WHERE subject = ?1 AND last_us >= ?2 AND first_us < ?3 ORDER BY id";
pub(super) const PACKS_AT: &str =
    "SELECT id, body FROM packs WHERE subject = ?1 AND first_us <= ?2 AND last_us >= ?2";
pub(super) const SMALL_TOTALS: &str = "SELECT count(*), coalesce(sum(records), 0) FROM packs \
     WHERE subject = ?1 AND records < ?2";
pub(super) const DELETE: &str = "DELETE FROM packs WHERE id = ?1";

/// A pack to be stored.
pub(super) struct Pack {
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    pub(super) records: usize,
    pub(super) body: Vec<u8>,
}

/// Records of one kind and subject that are to be added, in the order of time.
pub(super) trait Records {
    fn count(&self) -> usize;

    /// Packs of at most `most` records each, of these and of those in the bodies of earlier packs, which
    /// come first where they begin in the same microsecond.
    fn packs(&self, earlier: &[Vec<u8>], most: usize) -> rusqlite::Result<Vec<Pack>>;
}

/// Adds records.
pub(super) fn add(
    sql: &Connection,
    subject: &dyn ToSql,
    records: &impl Records,
) -> rusqlite::Result<()> {
    if records.count() == 0 {
        return Ok(());
    }
    let mut earlier = Vec::new();
    if records.count() < SMALL {
        let mut delete = sql.prepare_cached(DELETE)?;
        for (id, body) in small_packs(sql, subject, records.count())? {
            delete.execute([id])?;
            earlier.push(body);
        }
    }
    let mut put = sql.prepare_cached(
        "INSERT INTO packs (subject, first_us, last_us, records, body) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Pack { first_us, last_us, records, body } in records.packs(&earlier, PACK_RECORDS)? {
        put.execute(params![subject, first_us, last_us, records as i64, body])?;
    }
    Ok(())
}

/// The small packs, when with another one of `more` records there are enough to be merged; else none.
fn small_packs(
    sql: &Connection,
    subject: &dyn ToSql,
    more: usize,
) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    let (count, records): (i64, i64) = sql
        .prepare_cached(SMALL_TOTALS)?
        .query_row(params![subject, SMALL as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if count == 0 || (count < MAX_SMALL as i64 - 1 && records + (more as i64) < PACK_RECORDS as i64)
    {
        return Ok(Vec::new());
    }
    let mut statement = sql.prepare_cached(SMALL_PACKS)?;
    let found = statement
        .query_map(params![subject, SMALL as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}

/// Hands out the packs with records in `from..until`, each whole.
pub(super) fn each(
    sql: &Connection,
    subject: &dyn ToSql,
    (from, until): (i64, i64),
    mut take: impl FnMut(&[u8]) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = sql.prepare_cached(PACKS)?;
    let mut rows = statement.query(params![subject, from, until])?;
    while let Some(row) = rows.next()? {
        take(row.get_ref(0)?.as_blob()?)?;
    }
    Ok(())
}

/// Changes the pack that holds a record of a moment: `change` gives the pack with the record changed, or
/// nothing when it is not in there.
pub(super) fn change(
    sql: &Connection,
    subject: &dyn ToSql,
    at: i64,
    mut change: impl FnMut(&[u8]) -> rusqlite::Result<Option<Vec<u8>>>,
) -> rusqlite::Result<()> {
    let found = sql
        .prepare_cached(PACKS_AT)?
        .query_map(params![subject, at], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, Vec<u8>)>>>()?;
    for (id, body) in found {
        if let Some(changed) = change(&body)? {
            sql.prepare_cached("UPDATE packs SET body = ?2 WHERE id = ?1")?
                .execute(params![id, changed])?;
            return Ok(());
        }
    }
    Ok(())
}
