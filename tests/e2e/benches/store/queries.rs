//! How fast questions are answered with months loaded, alone and while windows come in.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use busyhour_model::PathId;
use busyhour_store::{SqliteTelemetry, Telemetry as _};
use fastrand::Rng;

use crate::cost::{Watch, folder_bytes, grouped, quantile, thread_cpu};
use crate::fleet::{Fleet, MIX};
use crate::import::BUILDING_PATHS;
use crate::ingest::{Feed, Shape, Until, run};
use crate::promql;
use crate::questions::{Calendar, ids, map, raw, worst};
use crate::slots::{DAY, SlotPool};
use crate::{Effort, store};

/// Where the buildings are; the map is asked of those in the first.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "Europe/London",
    "Asia/Tokyo",
    "America/Los_Angeles",
];
/// How many buildings the ranking shows.
const MOST: usize = 100;
/// Minutes of a day.
const MINUTES: i64 = 1_440;
/// Windows of a slot.
const WINDOWS: i64 = 15;
/// Paths whose slots are handed over at once: some 10 MB each in memory.
const LOADED_AT_ONCE: usize = 50;

/// What was loaded, and what is asked of it.
struct Loaded {
    fleet: Fleet,
    ids: Vec<PathId>,
    pool: SlotPool,
    /// The first minute of the day whose raw windows are there: the last.
    raw_from: i64,
    week: Vec<Calendar>,
    berlin: Calendar,
}

/// Loads, asks, and prints how long each took.
pub(crate) fn measure(effort: &Effort) {
    let (buildings, weeks) = effort.loaded;
    println!(
        "\nQueries, {} paths in {} buildings: {weeks} weeks of slots, a day of raw windows",
        grouped((buildings * BUILDING_PATHS) as f64),
        grouped(buildings as f64)
    );
    let folder = store::folder();
    let telemetry = store::open(folder.path());
    let loaded = load(effort, &telemetry);
    println!(
        "  on disk               {:>12} MB",
        grouped(folder_bytes(folder.path()) as f64 / 1e6)
    );
    println!("  alone");
    ask(effort, &telemetry, &loaded);
    under_load(effort, &telemetry, &loaded);
    drop(telemetry);
    promql::measure(effort, &loaded.fleet, &loaded.pool, weeks);
}

/// Series in the pool.
fn series() -> usize {
    MIX.iter().map(|(_, count)| count).sum()
}

fn load(effort: &Effort, telemetry: &SqliteTelemetry) -> Loaded {
    let (buildings, weeks) = effort.loaded;
    let fleet = store::fleet(effort, BUILDING_PATHS, buildings * BUILDING_PATHS);
    let days = weeks * 7;
    let raw_from = (days - 1) * MINUTES;
    let watch = Watch::start();
    let minutes = effort.raw_minutes;
    let mut feed = Feed::with_runs(&fleet, Shape::Backlog, raw_from, 0, minutes / 3);
    let windows = fleet.paths() as u64 * minutes as u64;
    let found = run(telemetry, &mut feed, Until::Windows(windows));
    assert_eq!(found.windows, windows, "the day is whole");
    store::settle(telemetry);
    println!(
        "  raw windows           {:>12} loaded in {:.1} s, the last day",
        grouped(windows as f64),
        watch.wall()
    );
    let ids = ids(telemetry, &fleet);
    let pool = SlotPool::new(&fleet, series(), effort.slot_days);
    let watch = Watch::start();
    let numbered: Vec<(usize, PathId)> = ids.iter().copied().enumerate().collect();
    for some in numbered.chunks(LOADED_AT_ONCE) {
        let slots: Vec<_> = some.iter().map(|&(path, id)| pool.weeks(path, id, days - 1)).collect();
        store::load_slots(telemetry, &slots);
    }
    store::settle(telemetry);
    let slots = telemetry.totals().expect("totals").slots;
    let each = (days - 1) * DAY + minutes / WINDOWS;
    assert_eq!(slots, fleet.paths() as u64 * each as u64, "every slot is there");
    println!(
        "  slots                 {:>12} loaded in {:.1} s",
        grouped(slots as f64),
        watch.wall()
    );
    let all = days * DAY;
    let last_week = pool.from().offset(all - 7 * DAY);
    let week = ZONES.map(|zone| Calendar::new(zone, last_week, 7 * DAY)).into();
    let berlin = Calendar::new(ZONES[0], pool.from(), all);
    Loaded { fleet, ids, pool, raw_from, week, berlin }
}

/// Asks every question often enough, and prints the times.
fn ask(effort: &Effort, telemetry: &SqliteTelemetry, loaded: &Loaded) {
    let mut rng = Rng::with_seed(5);
    let buildings = loaded.ids.len() / BUILDING_PATHS;
    time("map of a building, all weeks", effort.requests, || {
        let building = rng.usize(..buildings);
        let paths = &loaded.ids[building * BUILDING_PATHS..][..BUILDING_PATHS];
        let found = black_box(map(telemetry, paths, &loaded.berlin));
        let known = found.iter().flatten().filter(|share| share.is_some()).count();
        assert!(known >= 3 * 6 * 23, "the hours of six days have packets, {known}");
    });
    let calendars: Vec<&Calendar> =
        (0..buildings).map(|building| &loaded.week[building % ZONES.len()]).collect();
    let mut building_of = std::collections::HashMap::new();
    for (path, id) in loaded.ids.iter().enumerate() {
        building_of.insert(*id, path / BUILDING_PATHS);
    }
    let building_of = |id: PathId| building_of.get(&id).copied().unwrap_or(0);
    time("worst 100 buildings, a week", effort.requests.div_ceil(4), || {
        let found = worst(telemetry, &loaded.ids, &building_of, &calendars, MOST);
        assert!(found.first().is_some_and(|(share, _)| *share > 0.0), "something is bad");
        black_box(found);
    });
    let from = loaded.fleet.minute(loaded.raw_from);
    time("raw windows of a path, a day", effort.requests, || {
        let found = black_box(raw(telemetry, loaded.ids[rng.usize(..loaded.ids.len())], from));
        assert!(
            found + 1 >= effort.raw_minutes as usize,
            "a day of windows, give or take the clock's slewing"
        );
    });
}

/// Prints how long something takes that is done so often, and what the asking thread works for it.
pub(crate) fn time(what: &str, requests: usize, mut request: impl FnMut()) {
    let (mut times, mut worked) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        let (started, before) = (Instant::now(), thread_cpu());
        request();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        worked.push((thread_cpu() - before) * 1e3);
    }
    println!(
        "    {what:<34} {:>8.1} ms median, {:>8.1} ms p99 of {requests} ({:.1} ms of a processor)",
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        quantile(&worked, 0.5)
    );
}

/// The same while windows come in at a third of the pace at which they can.
fn under_load(effort: &Effort, telemetry: &SqliteTelemetry, loaded: &Loaded) {
    // Blocks were numbered below this when the day was loaded.
    let first_block = 1_000_000;
    let minute = loaded.raw_from + MINUTES;
    let mut feed = Feed::new(&loaded.fleet, Shape::Live, minute, first_block);
    let limit = run(telemetry, &mut feed, Until::Seconds(effort.trial.as_secs_f64()));
    let pace = limit.rate() / 3.0;
    let stop = AtomicBool::new(false);
    println!("  while {} windows/s come in, a third of {}", grouped(pace), grouped(limit.rate()));
    let taken = thread::scope(|scope| {
        let stop = &stop;
        let ingest = scope.spawn(move || {
            let watch = Watch::start();
            let mut windows = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let group = feed.group(1_000);
                windows += group.iter().map(|block| block.windows.len() as u64).sum::<u64>();
                telemetry.append(&group).expect("the store takes it");
                let ahead = windows as f64 / pace - watch.wall();
                thread::sleep(Duration::from_secs_f64(ahead.max(0.0)));
            }
            windows as f64 / watch.wall()
        });
        ask(effort, telemetry, loaded);
        stop.store(true, Ordering::Relaxed);
        ingest.join().expect("ingest goes on")
    });
    println!("    taken meanwhile                  {:>8} windows/s", grouped(taken));
}
