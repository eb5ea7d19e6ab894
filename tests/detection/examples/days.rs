//! The rows of a generated series, day by day: why the detector said what it said.
//!
//! `cargo run --release -p detection --example days -- normal tuning 1 b0021-f4`

use std::process::ExitCode;

use busyhour_detect::{
    BuildingDay, BusyHours, LoadDay, Params, Recorded as _, SeriesDay, SeriesNo, learn_busy_hours,
    recurrence, series_day,
};
use busyhour_sim::world::{Hardness, Mechanisms, Plan, World};
use detection::recorded::RecordedRegion;
use jiff::ToSpan as _;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [hardness, mechanisms, seed, series] = words.as_slice() else {
        eprintln!("usage: days normal|hard tuning|held-out SEED SUBNET|PART-OF-A-SERIES-NAME");
        return ExitCode::FAILURE;
    };
    let (hardness, mechanisms) = (hardness.parse::<Hardness>(), mechanisms.parse::<Mechanisms>());
    let (Ok(hardness), Ok(mechanisms), Ok(seed)) = (hardness, mechanisms, seed.parse()) else {
        eprintln!("no such fleet");
        return ExitCode::FAILURE;
    };
    let plan = Plan { hardness, mechanisms, ..Plan::new(seed) };
    let Ok(world) = World::new(&plan) else { return ExitCode::FAILURE };
    for number in 0..world.regions() {
        let region = world.region(number);
        let recorded = RecordedRegion::new(&region, &plan);
        for (no, info) in (0..).zip(&recorded.fleet().series) {
            let subnet = recorded.fleet().subnets.get(info.subnet.0 as usize);
            let subnet = subnet.map_or("", String::as_str);
            if info.name.contains(series) || subnet == series {
                println!("{} of {subnet} on {}", info.name, info.link.as_str());
                tell(&recorded, SeriesNo(no));
            }
        }
    }
    ExitCode::SUCCESS
}

/// Prints a line for each day.
fn tell(recorded: &RecordedRegion<'_>, no: SeriesNo) {
    let params = Params::default();
    let fleet = recorded.fleet();
    let Some(info) = fleet.series.get(no.0 as usize) else { return };
    let Some(site) = fleet.buildings.get(info.building.0 as usize) else { return };
    let (first, last) = recorded.dates();
    let mut hours = BusyHours::configured(site);
    let mut loads: Vec<LoadDay> = Vec::new();
    let mut rows: Vec<SeriesDay> = Vec::new();
    for (number, date) in (0..).zip(first.series(1.day()).take_while(|date| *date <= last)) {
        if number % 7 == 0 {
            hours = learn_busy_hours(site, date, &loads, Some(&hours), false, &params);
        }
        let lay_out = |load| BuildingDay::new(site, date, &hours, load, fleet.bin, &params);
        let Some(frame) = lay_out(None) else { continue };
        let (from, until) = frame.span();
        let mut load = LoadDay::new(date);
        for (start, value) in recorded.loads(info.building, from, until) {
            let minute = frame.bin_of(start).and_then(|at| frame.minutes.get(at));
            if let Some(at) = minute.map(|minute| usize::from(minute / 15)) {
                load.load[at] = Some(value);
            }
        }
        let Some(frame) = lay_out(hours.load_on(&load)) else { continue };
        loads.push(load);
        let cells = recorded.cells(no, from, until, last);
        let row = series_day(&frame, &cells, &|_| false, &params);
        rows.push(row);
        let past: Vec<&SeriesDay> = rows.iter().collect();
        let found = recurrence(&past, date, &params);
        let Some(row) = rows.last() else { continue };
        let worst = row.worst().map(|worst| (worst.minute, worst.bad, worst.valid, worst.bad_by));
        println!(
            "{date} {:?} {:?} worst {worst:?} bad {:?} busy {}/{} quiet {}/{} off-peak {:?} \
             base {:?} rise {:?} before {:?} after {:?} {}",
            date.weekday(),
            row.verdict,
            row.bad_quarters().spans(),
            row.busy.bad,
            row.busy.valid,
            row.quiet.bad,
            row.quiet.valid,
            row.off_peak_permille,
            row.base_rtt_us,
            row.rise_us,
            (row.before.bad, row.before.seen),
            (row.after.bad, row.after.seen),
            found.map_or("", |found| found.kind.as_str()),
        );
    }
}
