//! How many bytes a window takes, kind of path by kind of path, beside other ways to keep it.

use std::path::Path;

use busyhour_store::{JudgedWindow, Telemetry as _};
use rusqlite::{Connection, OpenFlags};

use crate::cost::{folder_bytes, quantile};
use crate::fleet::Fleet;
use crate::import::{Body, Form};
use crate::paths::Kind;
use crate::plain::{COMPRESSORS, columns, compressed, rows_bytes};
use crate::series::{self, Keep};
use crate::victoria::{Victoria, installed};
use crate::{Effort, sketch, store};

/// Windows of a path in one append.
const RUN: usize = 480;

/// Measures each kind of path by itself: a day of each path.
pub(crate) fn measure(effort: &Effort) {
    let (paths, windows) = effort.days;
    println!("\nSize, {paths} paths of each kind with {windows} windows each, a window a minute");
    for kind in Kind::ALL {
        println!("\n  {}", kind.name());
        let pool = series::make(&[(kind, paths)], windows, 11, Keep::RoundTripsToo);
        let sketched: Vec<_> = pool.iter().take(3).flat_map(|one| one.windows.clone()).collect();
        let fleet = Fleet::new(pool, paths, 1, store::MONDAY);
        let days: Vec<Vec<JudgedWindow>> = (0..paths)
            .map(|path| (0..windows as i64).map(|minute| fleet.window(path, minute)).collect())
            .collect();
        stored(&fleet, &days);
        peer("VictoriaMetrics, merged", &days);
        rows("a row for each window", &days);
        compressors("columns", &days, effort.compressed);
        let coarse: Vec<Vec<JudgedWindow>> =
            days.iter().map(|day| day.iter().map(coarsened).collect()).collect();
        peer("VictoriaMetrics, histograms as stored", &coarse);
        rows("a row, histograms as stored", &coarse);
        compressors("columns, histograms as stored", &coarse, effort.compressed);
        sketch::compare(kind.name(), &sketched);
    }
}

fn coarsened(window: &JudgedWindow) -> JudgedWindow {
    JudgedWindow { window: window.window.coarsened(), ..window.clone() }
}

fn line(name: &str, bytes: f64) {
    println!("    {name:<44} {bytes:>8.1} bytes for a window");
}

/// The store's own: packs, slots and all.
fn stored(fleet: &Fleet, days: &[Vec<JudgedWindow>]) {
    let folder = store::folder();
    let telemetry = store::open(folder.path());
    for (path, day) in days.iter().enumerate() {
        for (number, run) in day.chunks(RUN).enumerate() {
            let minute = day.len() as i64;
            let block = fleet.block(path, number as u64 + 1, minute, run.to_vec());
            telemetry.append(&[block]).expect("the store takes it");
        }
    }
    store::settle(&telemetry);
    drop(telemetry);
    let windows = days.iter().map(Vec::len).sum::<usize>() as f64;
    let packs = packs(&folder.path().join("windows"));
    let each: Vec<f64> = packs.iter().map(|&(records, bytes)| bytes / records).collect();
    line(&format!("the store, median of {} packs", packs.len()), quantile(&each, 0.5));
    line("the store, 99th percentile of packs", quantile(&each, 0.99));
    line("the store, worst pack", quantile(&each, 1.0));
    for (name, part) in [("windows/", "windows"), ("slots/", "slots")] {
        let bytes = folder_bytes(&folder.path().join(part)) as f64;
        line(&format!("the store, all of {name}"), bytes / windows);
    }
}

/// Records and bytes of each pack in a folder's databases.
fn packs(folder: &Path) -> Vec<(f64, f64)> {
    let files = std::fs::read_dir(folder).expect("the folder of windows");
    let files = files.filter_map(Result::ok).map(|entry| entry.path());
    let mut packs = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "db")) {
        let sql = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let sql = sql.expect("a partition");
        let mut ask = sql.prepare("SELECT records, length(body) FROM packs").expect("packs");
        let rows = ask.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let rows = rows.expect("packs").map(|row| row.expect("a pack"));
        packs.extend(rows.map(|(records, bytes)| (records as f64, bytes as f64)));
    }
    packs
}

fn peer(name: &str, days: &[Vec<JudgedWindow>]) {
    if !installed() {
        return;
    }
    let folder = store::folder();
    let victoria = Victoria::start(folder.path());
    let mut connection = victoria.connect();
    let (mut windows, mut samples) = (0, 0);
    for (path, day) in days.iter().enumerate() {
        let mut body = Body::new(Form::Native);
        body.add(path, day);
        connection.post(Form::Native.endpoint(), body.bytes());
        windows += body.windows;
        samples += body.samples;
    }
    drop(connection);
    assert_eq!(victoria.settle(), samples, "every sample is there");
    let bytes = victoria.stop() as f64;
    line(name, bytes / windows as f64);
    println!(
        "      {:.2} bytes for a sample, {:.0} samples a window",
        bytes / samples as f64,
        samples as f64 / windows as f64
    );
}

fn rows(name: &str, days: &[Vec<JudgedWindow>]) {
    let windows = days.iter().map(Vec::len).sum::<usize>();
    line(name, rows_bytes(days) as f64 / windows as f64);
}

/// Each path's day by itself, so that it could be read by itself.
fn compressors(name: &str, days: &[Vec<JudgedWindow>], most: usize) {
    let days = &days[..days.len().min(most)];
    let windows = days.iter().map(Vec::len).sum::<usize>() as f64;
    let plain: Vec<Vec<u8>> = days.iter().map(|day| columns(day)).collect();
    line(name, plain.iter().map(Vec::len).sum::<usize>() as f64 / windows);
    for (shown, program, arguments) in COMPRESSORS {
        let sizes: Option<Vec<usize>> =
            plain.iter().map(|bytes| compressed(program, arguments, bytes)).collect();
        match sizes {
            Some(sizes) => {
                line(&format!("{name}, {shown}"), sizes.iter().sum::<usize>() as f64 / windows);
            }
            None => println!("    {program} is not installed: not measured"),
        }
    }
}
