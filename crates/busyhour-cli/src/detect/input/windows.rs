//! `windows.csv`: windows, judged by the published limits; and plain `series,time,rtt`, of which
//! windows are made first.

use busyhour_model::{
    Figure, Figures, LimitTable, MIN_JUDGED_RATE_PPS, RequirementProfile, UtcMicros, WindowFigures,
    limits_in_force,
};

use super::super::cells::{Cells, Kept};
use super::columns::{Column, STARTS};
use super::data::{self, Data, Kind, Pending, Period, Put, Timed, nearest_rank};
use super::fleet::Draft;
use super::notes::Notes;
use super::slots::micros;
use super::table::{Fault, Table};
use super::value;

const WINDOW_SECS: u32 = 15;
const WINDOW_MICROS: i64 = WINDOW_SECS as i64 * 1_000_000;
/// With so many samples in 15 s, all unanswered, nothing came back; one says nothing.
const FAILED_SAMPLES: usize = 2;
/// A round trip that there is none of.
const NONE: u32 = u32::MAX;

const SERIES: usize = 0;
const START: usize = 1;
const SENT: usize = 2;
const LOST: usize = 3;
const BURST_LOST: usize = 4;
const BURST_OF: usize = 5;
const RTT: usize = 6;
const JITTER: usize = 7;

pub(super) const WINDOWS: &[Column] = &[
    Column::required("series", &["path", "series_id", "series_name", "id"]),
    Column::required("start", STARTS),
    Column::required("sent", &["tx"]),
    Column::required("lost", &[]),
    Column::optional("burst_lost", &["lost_burst"]),
    Column::optional("burst_of", &["burst_sent"]),
    Column::optional("rtt", &["rtt_p50", "rtt_median", "median_rtt", "delay"]),
    Column::optional("jitter", &["jitter_mean", "mean_jitter"]),
];

const SAMPLE_TIMES: &[&str] =
    &["start", "timestamp", "ts", "t", "utc", "date", "datetime", "date_time", "at", "epoch"];
const SAMPLE_TIME: usize = 1;
const SAMPLE_RTT: usize = 2;

pub(super) const SAMPLES: &[Column] = &[
    Column::required("series", &["path", "series_id", "series_name", "id", "host", "target"]),
    Column::required("time", SAMPLE_TIMES),
    Column::required("rtt", &["round_trip", "latency", "delay", "ping"]),
];

/// A window as it waits.
#[derive(Debug, Clone, Copy)]
struct WindowRow {
    at: i64,
    sent: u32,
    lost: u32,
    burst: Option<(u16, u16)>,
    rtt_us: Option<u32>,
    jitter_us: Option<u32>,
}

impl Timed for WindowRow {
    fn at(&self) -> i64 {
        self.at
    }
}

/// Reads windows.
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
    let (mut pending, mut cells) = (Pending::default(), Cells::default());
    let (mut put, mut again, mut sparse) = (Put::new(period), 0, 0u64);
    let mut keep = |series: u32, minute: u32, rows: &[WindowRow]| {
        let (cell, told_again) = judged(minute, rows);
        again += told_again;
        cells.push(series, cell)
    };
    while table.next(notes)? {
        let row = put.row(&table, SERIES, START).and_then(|at| window(&table, at));
        match row {
            Err(fault) => table.refuse(&fault, notes)?,
            Ok(row) => {
                let Some(series) = put.series(&table, SERIES, row.at, draft)? else { continue };
                sparse += u64::from(!is_dense(row.sent));
                if pending.push(series, row) && !pending.fold(&mut keep) {
                    return Err(data::too_much(&table));
                }
            }
        }
    }
    if !pending.finish(&mut keep) {
        return Err(data::too_much(&table));
    }
    table.finish(notes)?;
    put.finish(&table, notes);
    if sparse > 0 {
        let (name, rows) = (table.name(), table.rows());
        notes.add(&format!(
            "{name}: {sparse} of {rows} windows hold fewer than {} packets: loss, bursts and jitter \
             say nothing of them, as windows of {WINDOW_SECS} s with fewer than \
             {MIN_JUDGED_RATE_PPS} packets a second are not judged by them",
            MIN_JUDGED_RATE_PPS * WINDOW_SECS
        ));
    }
    Ok(Data { cells, kind: Kind::Windows, again, name: table.name() })
}

fn say_what_is_lost(table: &Table, notes: &mut Notes) {
    for (column, loss) in [
        (BURST_OF, "bursts are not judged"),
        (RTT, "delay is not judged, and without round trips no queue is told from drops"),
        (JITTER, "jitter is not judged"),
    ] {
        if !table.has(column) {
            let name = WINDOWS.get(column).map_or("", |column| column.name);
            notes.add(&format!("{} has no {name}: {loss}", table.name()));
        }
    }
}

fn window(table: &Table, at: i64) -> Result<WindowRow, Fault> {
    let packets = |column: usize| {
        let count = value::count(table.text(column)).and_then(|count| u32::try_from(count).ok());
        count.ok_or_else(|| table.fault(column, "a count of packets", "write a whole number"))
    };
    let (sent, lost) = (packets(SENT)?, packets(LOST)?);
    if lost > sent {
        return Err(table.fault(LOST, "at most sent", "count packets in both columns"));
    }
    let burst = match value::is_missing(table.text(BURST_OF)) {
        true => None,
        false => {
            let [lost, of] = [packets(BURST_LOST)?, packets(BURST_OF)?]
                .map(|count| u16::try_from(count).unwrap_or(u16::MAX));
            if lost > of {
                let remedy = "count the packets of the worst 200 ms in both columns";
                return Err(table.fault(BURST_LOST, "at most burst_of", remedy));
            }
            (of > 0).then_some((lost, of))
        }
    };
    let (rtt_us, jitter_us) = (micros(table, RTT)?, micros(table, JITTER)?);
    Ok(WindowRow { at, sent, lost, burst, rtt_us, jitter_us })
}

fn is_dense(sent: u32) -> bool {
    sent >= MIN_JUDGED_RATE_PPS * WINDOW_SECS
}

/// The windows of a quarter-hour, judged; and how many were told again (the later one counts).
fn judged(minute: u32, rows: &[WindowRow]) -> (Kept, u64) {
    let mut cell = Kept::new(minute);
    let (mut figures, mut valid, mut again) = (Figures::new(), 0u32, 0);
    let (mut rtts, mut jitters) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter().enumerate() {
        if rows.get(place + 1).is_some_and(|next| next.at == row.at) {
            again += 1;
            continue;
        }
        if row.sent == 0 {
            continue;
        }
        valid += 1;
        cell.sent = cell.sent.saturating_add(row.sent);
        cell.lost = cell.lost.saturating_add(row.lost);
        rtts.extend(row.rtt_us);
        jitters.extend(row.jitter_us);
        figures.record_n(&row.figures(), 1);
    }
    rtts.sort_unstable();
    jitters.sort_unstable();
    let cell = with_verdicts(cell, valid, &figures)
        .with_rtt([0.0, 0.5, 0.95].map(|q| nearest_rank(&rtts, q)))
        .with_jitter(nearest_rank(&jitters, 0.5));
    (cell, again)
}

impl WindowRow {
    fn figures(&self) -> WindowFigures {
        let dense = is_dense(self.sent);
        let figures = WindowFigures {
            failed: self.lost == self.sent,
            lone_loss: dense && self.lost == 1,
            lone_burst: dense && self.burst.is_some_and(|(lost, _)| lost == 1),
            ..WindowFigures::default()
        };
        let with = |figures: WindowFigures, figure: Figure, value: Option<u32>| {
            value.map_or(figures, |value| figures.with(figure, value))
        };
        let share = |(part, whole): (u64, u64)| {
            u32::try_from((part * 1_000_000).div_ceil(whole.max(1))).unwrap_or(u32::MAX)
        };
        let loss = dense.then(|| share((self.lost.into(), self.sent.into())));
        let burst = self.burst.filter(|_| dense).map(|(lost, of)| share((lost.into(), of.into())));
        let figures = with(figures, Figure::Loss, loss);
        let figures = with(figures, Figure::Burst, burst);
        let figures = with(figures, Figure::Delay, self.rtt_us);
        with(figures, Figure::Jitter, self.jitter_us.filter(|_| dense))
    }
}

/// What the limits say of the windows.
fn with_verdicts(mut cell: Kept, valid: u32, figures: &Figures) -> Kept {
    let at = UtcMicros::from_secs(i64::from(cell.minute) * 60);
    let limits: Option<&LimitTable> =
        limits_in_force(RequirementProfile::ClientToMicrosoftEdge, at);
    let count = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
    cell.valid = count(valid);
    if let Some((bad, bad_by)) = limits.and_then(|limits| figures.judge(limits)) {
        cell.bad = count(bad);
        cell.bad_by = bad_by.map(count);
    }
    cell
}

/// A sample as it waits.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: i64,
    rtt_us: u32,
}

impl Timed for Sample {
    fn at(&self) -> i64 {
        self.at
    }
}

/// Reads single round trips.
///
/// # Errors
/// When the file cannot be read as such a one, or holds more than fits into memory.
pub(super) fn read_samples(
    mut table: Table,
    period: Period,
    draft: &mut Draft,
    notes: &mut Notes,
) -> anyhow::Result<Data> {
    let (mut pending, mut cells) = (Pending::default(), Cells::default());
    let (mut put, mut again, mut unanswered) = (Put::new(period), 0, 0u64);
    let mut keep = |series: u32, minute: u32, samples: &[Sample]| {
        let (cell, told_again) = judged_samples(minute, samples);
        again += told_again;
        cells.push(series, cell)
    };
    while table.next(notes)? {
        let row = put.row(&table, SERIES, SAMPLE_TIME).and_then(|at| sample(&table, at));
        match row {
            Err(fault) => table.refuse(&fault, notes)?,
            Ok(row) => {
                let Some(series) = put.series(&table, SERIES, row.at, draft)? else { continue };
                unanswered += u64::from(row.rtt_us == NONE);
                if pending.push(series, row) && !pending.fold(&mut keep) {
                    return Err(data::too_much(&table));
                }
            }
        }
    }
    if !pending.finish(&mut keep) {
        return Err(data::too_much(&table));
    }
    table.finish(notes)?;
    put.finish(&table, notes);
    let (name, rows) = (table.name(), table.rows());
    notes.add(&format!(
        "{name} tells delay alone: windows of {WINDOW_SECS} s are judged by the limit for the median \
         round trip; loss, bursts and jitter are not judged, and where no round trip comes near the \
         limit, early warnings and level shifts are what can be told"
    ));
    if unanswered > 0 {
        notes.add(&format!(
            "{name}: {unanswered} of {rows} samples have no round trip: they count as lost, and make \
             a window bad where nothing else came back"
        ));
    }
    Ok(Data { cells, kind: Kind::Samples, again, name })
}

fn sample(table: &Table, at: i64) -> Result<Sample, Fault> {
    let text = table.text(SAMPLE_RTT);
    if value::is_unanswered(text) {
        return Ok(Sample { at, rtt_us: NONE });
    }
    let rtt_us = micros(table, SAMPLE_RTT)?.unwrap_or(NONE);
    Ok(Sample { at, rtt_us })
}

/// The samples of a quarter-hour as windows, judged; and how many were told again.
fn judged_samples(minute: u32, samples: &[Sample]) -> (Kept, u64) {
    let mut samples = samples.to_vec();
    samples.sort_unstable_by_key(|sample| (sample.at, sample.rtt_us));
    let told = samples.len();
    samples.dedup_by_key(|sample| (sample.at, sample.rtt_us));
    let again = (told - samples.len()) as u64;
    let (mut figures, mut valid) = (Figures::new(), 0);
    let mut answered = Vec::with_capacity(samples.len());
    let same =
        |a: &Sample, b: &Sample| a.at.div_euclid(WINDOW_MICROS) == b.at.div_euclid(WINDOW_MICROS);
    for window in samples.chunk_by(same) {
        let from = answered.len();
        answered.extend(window.iter().map(|sample| sample.rtt_us).filter(|&rtt| rtt != NONE));
        let rtts = &mut answered[from..];
        rtts.sort_unstable();
        let figure = match nearest_rank(rtts, 0.5) {
            Some(rtt) => WindowFigures::default().with(Figure::Delay, rtt),
            None if window.len() >= FAILED_SAMPLES => {
                WindowFigures { failed: true, ..WindowFigures::default() }
            }
            None => continue,
        };
        valid += 1;
        figures.record_n(&figure, 1);
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut cell = with_verdicts(Kept::new(minute), valid, &figures);
    cell.sent = count(samples.len());
    cell.lost = count(samples.len() - answered.len());
    answered.sort_unstable();
    (cell.with_rtt([0.0, 0.5, 0.95].map(|q| nearest_rank(&answered, q))), again)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u32 = 28_984_320;
    const AT: i64 = MINUTE as i64 * 60_000_000;

    fn clean(second: i64) -> WindowRow {
        WindowRow {
            at: AT + second * 1_000_000,
            sent: 750,
            lost: 0,
            burst: Some((0, 10)),
            rtt_us: Some(20_000),
            jitter_us: Some(3_000),
        }
    }

    #[test]
    fn windows_are_judged_by_the_published_limits() {
        let check = |name: &str, row: WindowRow, bad_by: [u16; 5]| {
            let (cell, _) = judged(MINUTE, &[row]);
            let bad = u16::from(bad_by.contains(&1));
            assert_eq!((cell.valid, cell.bad, cell.bad_by), (1, bad, bad_by), "{name}");
        };
        check("clean", clean(0), [0; 5]);
        check(
            "at the limits",
            WindowRow {
                lost: 7,
                burst: Some((1, 10)),
                rtt_us: Some(100_000),
                jitter_us: Some(30_000),
                ..clean(0)
            },
            [0; 5],
        );
        check("loss", WindowRow { lost: 8, ..clean(0) }, [1, 0, 0, 0, 0]);
        check("burst", WindowRow { burst: Some((2, 10)), ..clean(0) }, [0, 1, 0, 0, 0]);
        check("delay", WindowRow { rtt_us: Some(100_001), ..clean(0) }, [0, 0, 1, 0, 0]);
        check("jitter", WindowRow { jitter_us: Some(30_001), ..clean(0) }, [0, 0, 0, 1, 0]);
        check("failed", WindowRow { lost: 750, rtt_us: None, ..clean(0) }, [1, 0, 0, 0, 1]);
        let sparse = WindowRow { sent: 100, lost: 50, jitter_us: Some(90_000), ..clean(0) };
        check("sparse", sparse, [0; 5]);
        let nothing_sent = judged(MINUTE, &[WindowRow { sent: 0, lost: 0, ..clean(0) }]).0;
        assert_eq!(nothing_sent.valid, 0);
    }

    #[test]
    fn of_two_windows_of_one_moment_the_later_counts() {
        let rows = [clean(0), WindowRow { lost: 20, ..clean(0) }, clean(15)];
        let (cell, again) = judged(MINUTE, &rows);
        assert_eq!((cell.valid, cell.bad, cell.lost, again), (2, 1, 20, 1));
    }

    #[test]
    fn samples_are_judged_by_the_median_of_fifteen_seconds() {
        let sample = |second: i64, rtt_us: u32| Sample { at: AT + second * 1_000_000, rtt_us };
        let samples = [
            // One slow answer of three is no slow window.
            sample(0, 20_000),
            sample(5, 21_000),
            sample(10, 900_000),
            sample(15, 150_000),
            sample(16, 120_000),
            // Nothing came back, twice; once says nothing.
            sample(30, NONE),
            sample(31, NONE),
            sample(45, NONE),
            sample(60, 22_000),
            sample(60, 22_000),
        ];
        let (cell, again) = judged_samples(MINUTE, &samples);
        assert_eq!((cell.valid, cell.bad, cell.bad_by), (4, 2, [0, 0, 1, 0, 1]));
        assert_eq!((cell.sent, cell.lost, again), (9, 3, 1));
    }
}
