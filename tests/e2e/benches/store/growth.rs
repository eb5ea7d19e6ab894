//! What it costs as it grows: by windows, and by paths.

use std::path::Path;
use std::time::Instant;

use busyhour_model::{SLOT_MICROS, SlotStart};

use crate::cost::{folder_bytes, grouped, quantile};
use crate::ingest::{Feed, Run, Shape, Until, run};
use crate::picture::{self, Line};
use crate::questions::{Calendar, ids, map, raw};
use crate::{Effort, store};

/// Windows of a path in a block: everybody has as many at every size.
const RUN: i64 = 100;
/// Paths of an agent, and of a building that is asked for.
const PER_AGENT: usize = 10;
/// How often each question is asked.
const ASKED: usize = 40;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    windows: u64,
    paths: usize,
    bytes: f64,
    rate: f64,
    map_ms: f64,
    raw_ms: f64,
}

/// Measures both tables, and draws them when this is no smoke run.
pub(crate) fn measure(effort: &Effort) {
    println!("\nGrowth, runs of {RUN} windows; questions are the p99 of {ASKED}");
    let by_windows = grow(effort, effort.growth_paths[1], &effort.growth_windows);
    print("by windows", &by_windows);
    let windows = effort.growth_windows[1];
    let mut by_paths = Vec::new();
    for paths in effort.growth_paths {
        by_paths.extend(grow(effort, paths, &[windows]));
    }
    print("by paths", &by_paths);
    if effort.drawn {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pictures/store-growth.svg");
        draw(Path::new(file), &by_windows, &by_paths);
        println!("  drawn to docs/pictures/store-growth.svg");
    }
}

fn print(name: &str, rows: &[Row]) {
    println!(
        "  {name:<12}  {:>12} {:>9} {:>16} {:>12} {:>11} {:>11}",
        "windows", "paths", "bytes a window", "windows/s", "map", "raw day"
    );
    for row in rows {
        println!(
            "  {:<12}  {:>12} {:>9} {:>16.1} {:>12} {:>8.1} ms {:>8.1} ms",
            "",
            grouped(row.windows as f64),
            grouped(row.paths as f64),
            row.bytes,
            grouped(row.rate),
            row.map_ms,
            row.raw_ms
        );
    }
}

/// Fills one store, and looks at it each time that so many windows are there.
fn grow(effort: &Effort, paths: usize, marks: &[u64]) -> Vec<Row> {
    let folder = store::folder();
    let telemetry = store::open(folder.path());
    let fleet = store::fleet(effort, PER_AGENT, paths);
    let mut feed = Feed::with_runs(&fleet, Shape::Backlog, 0, 0, RUN);
    let mut sum = Run::default();
    let mut rows = Vec::new();
    for &mark in marks {
        let started = Instant::now();
        let found = run(&telemetry, &mut feed, Until::Windows(mark - sum.windows));
        // What was taken must also be put where it stays: that is part of the pace.
        store::settle(&telemetry);
        sum.windows += found.windows;
        let seconds = started.elapsed().as_secs_f64();
        let ids = ids(&telemetry, &fleet);
        let from = SlotStart::containing(fleet.minute(0));
        let minutes = sum.windows as i64 / paths as i64;
        let slots = (minutes * 60_000_000).div_euclid(SLOT_MICROS) + 2;
        let calendar = Calendar::new("Europe/Berlin", from, slots);
        let mut building = 0;
        let map_ms = p99(|| {
            building = (building + 7) % fleet.agents();
            let paths = &ids[building * PER_AGENT..][..PER_AGENT];
            std::hint::black_box(map(&telemetry, paths, &calendar));
        });
        let mut path = 0;
        let raw_ms = p99(|| {
            path = (path + 61) % ids.len();
            assert!(raw(&telemetry, ids[path], fleet.minute(0)) > 0, "there are windows");
        });
        let bytes = folder_bytes(folder.path()) as f64 / sum.windows as f64;
        let rate = found.windows as f64 / seconds;
        rows.push(Row { windows: sum.windows, paths, bytes, rate, map_ms, raw_ms });
    }
    rows
}

fn p99(mut request: impl FnMut()) -> f64 {
    let times: Vec<f64> = (0..ASKED)
        .map(|_| {
            let started = Instant::now();
            request();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    quantile(&times, 0.99)
}

fn draw(file: &Path, by_windows: &[Row], by_paths: &[Row]) {
    type Of = fn(&Row) -> f64;
    let lines = |rows: &[Row], x: Of| {
        let measures: [(&'static str, Of); 4] = [
            ("windows a second, durable", |row| row.rate),
            ("bytes a window on disk", |row| row.bytes),
            ("building's map, ms", |row| row.map_ms),
            ("a path's raw day, ms", |row| row.raw_ms),
        ];
        measures.map(|(name, y)| Line {
            name,
            points: rows.iter().map(|row| (x(row), y(row))).collect(),
        })
    };
    let panels = [
        ("windows in the store", lines(by_windows, |row| row.windows as f64)),
        ("paths", lines(by_paths, |row| row.paths as f64)),
    ];
    std::fs::write(file, picture::drawn(&panels)).expect("the picture");
}
