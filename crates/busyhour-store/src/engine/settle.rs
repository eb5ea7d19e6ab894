//! Losses of unknown direction get one from reflectors' reports, whichever of both comes first, in the
//! transaction that brings the later one.

use std::collections::BTreeSet;

use busyhour_model::{
    AgentId, Context, PathId, PathKey, SessionReport, Stamp, UtcMicros, WindowFigures,
    is_unsettled, settle,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::journal::EntrySettlement;
use crate::codec::{
    decode_circumstance, decode_report, decode_window, encode_endpoint, encode_report,
};
use crate::sqlite::unreadable;
use crate::{JudgedWindow, StoredWindow};

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
pub(super) const WINDOW: &str =
    "SELECT circumstance, body FROM unsettled WHERE path = ?1 AND placed_us = ?2 AND nth = ?3";

type WindowKey = (PathId, UtcMicros, u32);

/// What came in a transaction and may settle something.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    windows: BTreeSet<WindowKey>,
}

impl Candidates {
    /// A raw window was stored, with this encoding.
    pub(super) fn window(
        &mut self,
        sql: &Connection,
        (path, placed, nth): WindowKey,
        judged: &JudgedWindow,
        (circumstance, body): (&[u8], &[u8]),
    ) -> rusqlite::Result<()> {
        let (window, stamp, context) = (&judged.window, &judged.stamp, &judged.context);
        let Some(listen) = context.resolved.filter(|_| is_unsettled(window, context)) else {
            return Ok(());
        };
        sql.prepare_cached(
            "INSERT OR IGNORE INTO unsettled VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            encode_endpoint(listen),
            window.ssid,
            stamp.ended().0,
            stamp.started.0,
            path.0,
            placed.0,
            nth,
            circumstance,
            body,
        ])?;
        self.windows.insert((path, placed, nth));
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
            self.windows.insert((PathId(row.get(0)?), UtcMicros(row.get(1)?), row.get(2)?));
        }
        Ok(())
    }

    /// Settles what can be settled; it is not among the unsettled any more.
    pub(super) fn settle(
        self,
        sql: &Connection,
        key_of: impl Fn(PathId) -> Option<PathKey>,
    ) -> rusqlite::Result<Vec<EntrySettlement>> {
        let mut settled = Vec::new();
        for (path, placed, nth) in self.windows {
            let Some(key) = key_of(path) else { continue };
            let Some(StoredWindow { judged, .. }) = window(sql, (path, placed, nth), &key)? else {
                continue;
            };
            let reports = reports(sql, judged.window.ssid, &judged.stamp, &judged.context)?;
            let found = settle(&judged.window, &judged.stamp, &judged.context, &reports);
            let Some(settlement) = found else { continue };
            sql.prepare_cached(
                "DELETE FROM unsettled WHERE path = ?1 AND placed_us = ?2 AND nth = ?3",
            )?
            .execute(params![path.0, placed.0, nth])?;
            let observed = &judged.window;
            let after = observed.clone().settle(settlement).ok();
            let after = after.filter(|_| judged.verdict.valid);
            let figures =
                after.map(|after| (WindowFigures::of(observed), WindowFigures::of(&after)));
            settled.push(EntrySettlement { path, placed, nth, settlement, figures });
        }
        Ok(settled)
    }
}

fn window(
    sql: &Connection,
    (path, placed, nth): WindowKey,
    key: &PathKey,
) -> rusqlite::Result<Option<StoredWindow>> {
    sql.prepare_cached(WINDOW)?
        .query_row(params![path.0, placed.0, nth], |row| {
            let shared = decode_circumstance(row.get_ref(0)?.as_blob()?).map_err(unreadable)?;
            decode_window(row.get_ref(1)?.as_blob()?, placed, key, &shared).map_err(unreadable)
        })
        .optional()
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
