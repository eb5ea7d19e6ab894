//! Losses of unknown direction get one from reflectors' reports, whichever of both comes first, in the
//! transaction that brings the later one.

use std::collections::{BTreeSet, HashMap};

use busyhour_model::{
    AgentId, Context, PathId, PathKey, SessionReport, Settlement, Stamp, UtcMicros, Window,
    is_unsettled, settle,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::read::{path_row, read_circumstance};
use crate::StoredWindow;
use crate::codec::{decode_report, decode_window, encode_endpoint, encode_report, encode_settled};
use crate::sqlite::unreadable;

/// The most reports that one window is compared with: a minute's of 64 sessions that share an
/// identifier. Beyond that the earliest count.
const MAX_REPORTS: i64 = 64;
/// The most windows that one report is compared with: an outage of two hours. Beyond that the
/// earliest count.
const MAX_WINDOWS: i64 = 512;

pub(super) const REPORTS: &str = "SELECT body FROM (SELECT first_sent_us, body FROM session_reports \
     WHERE listen = ?1 AND ssid = ?2 AND last_sent_us >= ?3 ORDER BY last_sent_us LIMIT ?5) \
     WHERE first_sent_us <= ?4";
pub(super) const UNSETTLED: &str = "SELECT path, placed_us, nth FROM (SELECT started_us, path, placed_us, nth FROM unsettled \
     WHERE listen = ?1 AND ssid = ?2 AND ended_us >= ?3 ORDER BY ended_us LIMIT ?5) \
     WHERE started_us <= ?4";

/// A raw window's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WindowKey {
    pub(super) path: PathId,
    pub(super) placed: UtcMicros,
    pub(super) nth: i64,
}

/// A window that was settled, as it was before.
pub(super) struct Settled {
    pub(super) key: WindowKey,
    pub(super) before: StoredWindow,
    pub(super) settlement: Settlement,
}

/// What came in a transaction and may settle something.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    windows: BTreeSet<WindowKey>,
}

impl Candidates {
    /// A raw window was stored.
    pub(super) fn window(
        &mut self,
        sql: &Connection,
        key: WindowKey,
        (window, stamp, context): (&Window, &Stamp, &Context),
    ) -> rusqlite::Result<()> {
        let Some(listen) = context.resolved.filter(|_| is_unsettled(window, context)) else {
            return Ok(());
        };
        sql.prepare_cached("INSERT OR IGNORE INTO unsettled VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                encode_endpoint(listen),
                window.ssid,
                stamp.ended().0,
                stamp.started.0,
                key.path.0,
                key.placed.0,
                key.nth,
            ])?;
        self.windows.insert(key);
        Ok(())
    }

    /// A reflector reported. The same report again changes nothing.
    pub(super) fn report(
        &mut self,
        sql: &Connection,
        agent: AgentId,
        placed: UtcMicros,
        report: &SessionReport,
    ) -> rusqlite::Result<()> {
        let listen = encode_endpoint(report.listen);
        let first_us = report.first_sent_ns.div_euclid(1_000);
        let last_us = report.last_sent_ns.div_euclid(1_000);
        let inserted = sql
            .prepare_cached(
                "INSERT OR IGNORE INTO session_reports VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                listen,
                report.ssid,
                last_us,
                first_us,
                agent.to_bytes(),
                placed.0,
                encode_report(report),
            ])?;
        if inserted == 0 {
            return Ok(());
        }
        let mut statement = sql.prepare_cached(UNSETTLED)?;
        let mut rows =
            statement.query(params![listen, report.ssid, first_us - 1, last_us, MAX_WINDOWS])?;
        while let Some(row) = rows.next()? {
            self.windows.insert(WindowKey {
                path: PathId(row.get(0)?),
                placed: UtcMicros(row.get(1)?),
                nth: row.get(2)?,
            });
        }
        Ok(())
    }

    /// Settles what can be settled: the windows' rows, and what they were before.
    pub(super) fn settle(self, sql: &Connection) -> rusqlite::Result<Vec<Settled>> {
        let mut settled = Vec::new();
        let mut paths = HashMap::new();
        for key in self.windows {
            let path = match paths.entry(key.path) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(path_key(sql, key.path)?)
                }
            };
            let Some((before, body)) = window(sql, key, path)? else { continue };
            let judged = &before.judged;
            let reports = reports(sql, judged.window.ssid, &judged.stamp, &judged.context)?;
            let found = settle(&judged.window, &judged.stamp, &judged.context, &reports);
            let Some(settlement) = found else { continue };
            mark(sql, key, &encode_settled(&body, settlement).map_err(unreadable)?)?;
            settled.push(Settled { key, before, settlement });
        }
        Ok(settled)
    }
}

fn path_key(sql: &Connection, path: PathId) -> rusqlite::Result<PathKey> {
    sql.prepare_cached(super::read::PATH)?.query_row([path.0], path_row).map(|row| row.key)
}

fn window(
    sql: &Connection,
    key: WindowKey,
    path: &PathKey,
) -> rusqlite::Result<Option<(StoredWindow, Vec<u8>)>> {
    let found: Option<(i64, Vec<u8>)> = sql
        .prepare_cached(
            "SELECT circumstance, body FROM windows WHERE path = ?1 AND placed_us = ?2 AND nth = ?3",
        )?
        .query_row(params![key.path.0, key.placed.0, key.nth], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((circumstance, body)) = found else { return Ok(None) };
    let circumstance = read_circumstance(sql, circumstance)?;
    let window = decode_window(&body, key.placed, path, &circumstance).map_err(unreadable)?;
    Ok(Some((window, body)))
}

fn reports(
    sql: &Connection,
    ssid: u16,
    stamp: &Stamp,
    context: &Context,
) -> rusqlite::Result<Vec<SessionReport>> {
    let Some(listen) = context.resolved else { return Ok(Vec::new()) };
    let (from, until) = (stamp.started.0, stamp.ended().0.saturating_add(1));
    sql.prepare_cached(REPORTS)?
        .query_map(params![encode_endpoint(listen), ssid, from, until, MAX_REPORTS], |row| {
            decode_report(row.get_ref(0)?.as_blob()?).map_err(unreadable)
        })?
        .collect()
}

fn mark(sql: &Connection, key: WindowKey, body: &[u8]) -> rusqlite::Result<()> {
    let of_window = params![key.path.0, key.placed.0, key.nth];
    sql.prepare_cached("DELETE FROM unsettled WHERE path = ?1 AND placed_us = ?2 AND nth = ?3")?
        .execute(of_window)?;
    sql.prepare_cached(
        "UPDATE windows SET body = ?4 WHERE path = ?1 AND placed_us = ?2 AND nth = ?3",
    )?
    .execute(params![key.path.0, key.placed.0, key.nth, body])?;
    Ok(())
}
