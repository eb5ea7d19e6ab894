//! What a window takes on disk, with delays as a quiet path has them: a codec that got worse fails here, and
//! not in the next long benchmark only.

#[expect(dead_code, reason = "the benchmark needs more of it")]
#[path = "../benches/store/fleet.rs"]
mod fleet;
#[expect(dead_code, reason = "the benchmark needs more of it")]
#[path = "../benches/store/paths.rs"]
mod paths;
#[expect(dead_code, reason = "the benchmark needs more of it")]
#[path = "../benches/store/series.rs"]
mod series;

use busyhour_model::UtcMicros;
use busyhour_store::{Retention, Telemetry as _, open};
use rusqlite::Connection;

use crate::fleet::Fleet;
use crate::paths::Kind;
use crate::series::Keep;

const RETENTION: Retention = Retention {
    windows_days: 100,
    slots_days: 400,
    hours_days: 400,
    checks_days: 100,
    facts_days: 100,
    loads_days: 100,
    gaps_days: 100,
};
/// 2026-09-21 00:00 UTC.
const MONDAY: UtcMicros = UtcMicros::from_secs(1_789_948_800);
/// A full pack of each path: eight hours, a window a minute.
const WINDOWS: usize = 480;
const PATHS: usize = 3;
/// Bytes of a window in a pack, all fields and histograms. The goal is 40 as the median of quiet paths; these
/// are found to take 26, and a fifth more is no accident.
const MOST: f64 = 31.0;

#[test]
fn a_window_of_a_quiet_path_takes_few_bytes() {
    let pool = series::make(&[(Kind::Quiet, PATHS)], WINDOWS, 11, Keep::Windows);
    let fleet = Fleet::new(pool, PATHS, 1, MONDAY);
    let directory = tempfile::tempdir().unwrap();
    let (telemetry, control) = open(directory.path(), RETENTION).unwrap();
    for path in 0..PATHS {
        let windows = (0..WINDOWS as i64).map(|minute| fleet.window(path, minute)).collect();
        telemetry.append(&[fleet.block(path, 1, WINDOWS as i64, windows)]).unwrap();
    }
    telemetry.fold().unwrap();
    drop((telemetry, control));
    let file = Connection::open(directory.path().join("windows/2026-09-21.db")).unwrap();
    let mut packs = file.prepare("SELECT records, length(body) FROM packs").unwrap();
    let packs = packs.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let packs: Vec<(u32, u32)> = packs.map(Result::unwrap).collect();
    assert_eq!(packs.iter().map(|(records, _)| records).sum::<u32>() as usize, PATHS * WINDOWS);
    let mut each: Vec<f64> =
        packs.iter().map(|&(records, bytes)| f64::from(bytes) / f64::from(records)).collect();
    each.sort_by(f64::total_cmp);
    assert!(each[each.len() / 2] <= MOST, "{each:?} bytes for a window");
    // Nothing that small holds what a window has.
    assert!(each[0] > 10.0, "{each:?} bytes for a window");
}
