//! How long a row takes, and how long what is asked of rows.
//!
//! `cargo run --release -p detection --example rows`

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use busyhour_detect::{
    Bin, BuildingDay, BusyHours, Cell, Params, SeriesDay, Site, early_warning, level_shift,
    recurrence, series_day,
};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

/// Series whose days are made.
const SERIES: u32 = 2_000;
/// Days of each that are looked back at.
const DAYS: i32 = 36;

fn main() -> ExitCode {
    let Ok(hours) = "Mo-Fr 08:00-18:00".parse() else { return ExitCode::FAILURE };
    let site = Site {
        name: "Hamburg".to_owned(),
        zone: TimeZone::UTC,
        hours,
        holidays: std::collections::BTreeSet::new(),
    };
    let params = Params::default();
    let today = date(2026, 3, 31);
    let lay_out = |date: Date| {
        let hours = BusyHours::configured(&site);
        BuildingDay::new(&site, date, &hours, None, Bin::Quarter, &params)
    };
    let Some(frame) = lay_out(today) else { return ExitCode::FAILURE };
    for (name, bad) in [("a good day", 0), ("a bad day", 6)] {
        let days: Vec<Vec<Cell>> = (0..SERIES).map(|seed| cells(&frame, seed, bad)).collect();
        timed(name, SERIES, || {
            for cells in &days {
                black_box(series_day(&frame, black_box(cells), &|_| false, &params));
            }
        });
    }
    let past: Vec<SeriesDay> = (0..DAYS)
        .filter_map(|back| lay_out(today.saturating_sub((DAYS - 1 - back).days())))
        .zip(0u32..)
        .map(|(frame, seed)| {
            let bad = if seed % 3 == 2 { 6 } else { 0 };
            series_day(&frame, &cells(&frame, seed, bad), &|_| false, &params)
        })
        .collect();
    let rows: Vec<&SeriesDay> = past.iter().collect();
    timed("what recurs", 10_000, || {
        for _ in 0..10_000 {
            black_box(recurrence(black_box(&rows), today, &params));
        }
    });
    timed("a level shift", 10_000, || {
        for _ in 0..10_000 {
            black_box(level_shift(black_box(&rows), today, &params));
        }
    });
    timed("an early warning", 10_000, || {
        for _ in 0..10_000 {
            black_box(early_warning(black_box(&rows), today, &params));
        }
    });
    ExitCode::SUCCESS
}

/// A day of one window a minute, with so many bad ones in each quarter-hour from 10 to 12.
fn cells(frame: &BuildingDay, seed: u32, bad: u32) -> Vec<Cell> {
    let mut random = fastrand::Rng::with_seed(u64::from(seed));
    let bins = frame.minutes.iter().zip(0i64..);
    bins.map(|(&minute, at)| {
        let mut cell = Cell::new(frame.first.offset(at));
        let busy = (600..720).contains(&minute);
        cell.expected = 15;
        cell.valid = 15;
        cell.bad = if busy { bad } else { u32::from(random.u8(..) == 0) };
        cell.bad_by[0] = cell.bad;
        cell.sent = 15 * 750;
        cell.lost = u64::from(cell.bad) * 15;
        let wait = random.u32(..4_000) + if busy { bad * 2_000 } else { 0 };
        cell.rtt_min_us = Some(20_000 + wait / 4);
        cell.rtt_p50_us = Some(21_000 + wait);
        cell.rtt_p95_us = Some(24_000 + 2 * wait);
        cell.jitter_p50_us = Some(1_000 + wait / 2);
        cell
    })
    .collect()
}

/// Does it three times and prints the quickest.
fn timed(name: &str, count: u32, mut work: impl FnMut()) {
    let quickest = (0..3)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{name}: {:.2} µs", quickest.as_secs_f64() * 1e6 / f64::from(count));
}
