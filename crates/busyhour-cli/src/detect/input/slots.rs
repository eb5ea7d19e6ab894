//! `slots.csv`: counts of windows by series and slot.

use super::super::cells::{Cells, Kept};
use super::columns::{Column, STARTS};
use super::data::{self, Data, Kind, Period, Put};
use super::fleet::Draft;
use super::notes::Notes;
use super::table::{Fault, Table};
use super::value;

const SERIES: usize = 0;
const START: usize = 1;
const VALID: usize = 2;
const BAD: usize = 3;
/// Loss, jitter, delay, burst, as the columns are documented.
const BAD_BY: [usize; 4] = [4, 5, 6, 7];
const SENT: usize = 8;
const LOST: usize = 9;
const RTT: [usize; 3] = [10, 11, 12];
const BAD_FAILED: usize = 13;
const EXPECTED: usize = 14;
const JITTER: usize = 15;

pub(super) const COLUMNS: &[Column] = &[
    Column::required("series", &["path", "series_id", "series_name", "id"]),
    Column::required("start", STARTS),
    Column::required("valid", &["windows"]),
    Column::required("bad", &["bad_in_way"]),
    Column::optional("bad_loss", &["loss_bad"]),
    Column::optional("bad_jitter", &["jitter_bad", "bad_jit"]),
    Column::optional("bad_delay", &["delay_bad", "bad_rtt", "rtt_bad"]),
    Column::optional("bad_burst", &["burst_bad"]),
    Column::optional("sent", &["tx"]),
    Column::optional("lost", &[]),
    Column::optional("rtt_min", &["min_rtt", "rtt_lowest", "lowest_rtt"]),
    Column::optional("rtt_p50", &["rtt_median", "median_rtt", "rtt_med", "p50_rtt", "rtt50"]),
    Column::optional("rtt_p95", &["p95_rtt", "rtt_95", "rtt95", "rtt_95th"]),
    Column::optional("bad_failed", &["failed", "failed_bad", "outage"]),
    Column::optional("expected", &["scheduled"]),
    Column::optional("jitter_p50", &["jitter_median", "median_jitter"]),
];

/// Reads all rows.
///
/// # Errors
/// When the file cannot be read as such a one, or holds more than fits into memory.
pub(super) fn read(
    mut table: Table,
    period: Period,
    draft: &mut Draft,
    notes: &mut Notes,
) -> anyhow::Result<Data> {
    say_what_is_lost(&table, notes);
    let mut cells = Cells::default();
    let mut put = Put::new(period);
    while table.next(notes)? {
        let row = put.row(&table, SERIES, START).and_then(|at| Ok((slot(&table, at)?, at)));
        match row {
            Err(fault) => table.refuse(&fault, notes)?,
            Ok((cell, at)) => {
                let Some(series) = put.series(&table, SERIES, at, draft)? else { continue };
                if !cells.push(series, cell) {
                    return Err(data::too_much(&table));
                }
                if let Some(expected) = value::count(table.text(EXPECTED)) {
                    cells.expect(series, u32::try_from(expected).unwrap_or(u32::MAX).min(65_535));
                }
            }
        }
    }
    table.finish(notes)?;
    put.finish(&table, notes);
    Ok(Data { cells, kind: Kind::Slots, again: 0, name: table.name() })
}

fn say_what_is_lost(table: &Table, notes: &mut Notes) {
    let mut missing = |columns: &[usize], loss: &str| {
        let gone: Vec<&str> = columns
            .iter()
            .filter(|&&column| !table.has(column))
            .map(|&column| COLUMNS.get(column).map_or("", |column| column.name))
            .collect();
        if !gone.is_empty() {
            notes.add(&format!("{} has no {}: {loss}", table.name(), gone.join(", ")));
        }
    };
    missing(&BAD_BY, "which limit is broken is not told there, and causes are named less often");
    missing(&[SENT, LOST], "loss is not told, and no cause is told from it");
    missing(
        &RTT,
        "without round trips no queue is told from drops, no level shift, no early warning and no \
         drift",
    );
}

/// Reads a row's slot.
fn slot(table: &Table, at: i64) -> Result<Kept, Fault> {
    let valid = windows(table, VALID)?.ok_or_else(|| empty(table, VALID))?;
    let bad = windows(table, BAD)?.ok_or_else(|| empty(table, BAD))?;
    let counts = |column: usize| Ok(windows(table, column)?.unwrap_or(0));
    let [loss, jitter, delay, burst] = BAD_BY;
    let bad_by =
        [counts(loss)?, counts(burst)?, counts(delay)?, counts(jitter)?, counts(BAD_FAILED)?];
    if bad > valid {
        return Err(table.fault(BAD, "at most valid", "count bad windows among the valid ones"));
    }
    if let Some(column) = [loss, burst, delay, jitter, BAD_FAILED]
        .into_iter()
        .zip(bad_by)
        .find_map(|(column, count)| (count > bad).then_some(column))
    {
        let remedy = "a window that is bad in one way is bad: count it there too";
        return Err(table.fault(column, "at most bad", remedy));
    }
    let (sent, lost) = (packets(table, SENT)?, packets(table, LOST)?);
    if lost > sent && table.has(SENT) {
        return Err(table.fault(LOST, "at most sent", "count packets in both columns"));
    }
    let [lowest, median, high] = RTT.map(|column| micros(table, column));
    let mut cell = Kept::new(minute(at));
    (cell.valid, cell.bad, cell.bad_by, cell.sent, cell.lost) = (valid, bad, bad_by, sent, lost);
    Ok(cell.with_rtt([lowest?, median?, high?]).with_jitter(micros(table, JITTER)?))
}

/// Minutes since 1970 of a moment that is in bounds.
fn minute(at: i64) -> u32 {
    u32::try_from(at.div_euclid(60_000_000)).unwrap_or(0)
}

fn empty(table: &Table, column: usize) -> Fault {
    table.fault(column, "a count", "leave out the row of a slot that nothing is known of")
}

fn windows(table: &Table, column: usize) -> Result<Option<u16>, Fault> {
    let text = table.text(column);
    if value::is_missing(text) {
        return Ok(None);
    }
    let count = value::count(text).and_then(|count| u16::try_from(count).ok());
    let remedy = "write how many windows, a number from 0 to 65535";
    count.map(Some).ok_or_else(|| table.fault(column, "a count of windows", remedy))
}

fn packets(table: &Table, column: usize) -> Result<u32, Fault> {
    let text = table.text(column);
    if value::is_missing(text) {
        return Ok(0);
    }
    let count = value::packets(text);
    let remedy = "write how many packets, a number below four billion";
    count.ok_or_else(|| table.fault(column, "a count of packets", remedy))
}

/// A duration that may be missing.
pub(super) fn micros(table: &Table, column: usize) -> Result<Option<u32>, Fault> {
    let text = table.text(column);
    if value::is_missing(text) {
        return Ok(None);
    }
    let micros = value::micros(text, table.unit(column));
    let remedy = "write milliseconds from 0 to ten minutes, or leave the field empty";
    micros.map(Some).ok_or_else(|| table.fault(column, "a duration", remedy))
}
