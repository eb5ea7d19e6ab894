//! The rows that findings look at, by themselves: how long one takes to make, and how large it is.

use std::collections::BTreeSet;

use busyhour_detect::{
    Bin, BuildingDay, BuildingNo, BusyHours, Cell, Fleet, History, Params, Reach, SeriesInfo,
    SeriesNo, Site, rows_of_building, series_day,
};
use busyhour_model::{LinkKind, RequirementProfile, Slot};
use jiff::tz::TimeZone;

use crate::Effort;
use crate::cost::{Watch, grouped, resident_mb};
use crate::fleet::{FleetPath, PATHS, TARGETS, date_of};
use crate::slots::{DAY, SlotPool};

/// Buildings whose rows are made.
const BUILDINGS: usize = 100;
/// Days of which rows are kept.
const DAYS: i64 = History::DAYS as i64;

/// Makes the rows of some buildings as the judge does, and remembers them.
pub(crate) fn measure(effort: &Effort) {
    let buildings = effort.buildings.min(BUILDINGS);
    let params = Params::default();
    let (fleet, site) = (fleet(buildings), site());
    let pool = SlotPool::new();
    let mut history = History::default();
    let (mut cells_s, mut rows_s, mut alone_s, mut cells_made, mut rows_made) =
        (0.0, 0.0, 0.0, 0, 0);
    let before = resident_mb(std::process::id());
    // A smoke run is not to take long.
    let days = if buildings < BUILDINGS { effort.days } else { DAYS };
    for day in 1..days {
        let hours = BusyHours::configured(&site);
        let frame = BuildingDay::new(&site, date_of(day), &hours, None, Bin::Quarter, &params);
        let frame = frame.expect("a date of this year");
        for building in 0..buildings {
            let slots: Vec<(SeriesNo, Vec<Slot>)> = (0..PATHS)
                .map(|at| building * PATHS + at)
                .map(|at| (SeriesNo(at as u32), pool.slots(FleetPath(at), day - 1..day + 1, DAY)))
                .collect();
            let watch = Watch::start();
            let cells: Vec<(SeriesNo, Vec<Cell>)> = slots
                .iter()
                .map(|(no, slots)| (*no, slots.iter().map(Cell::of).collect()))
                .collect();
            cells_s += watch.cpu();
            cells_made += cells.iter().map(|(_, cells)| cells.len()).sum::<usize>();
            let watch = Watch::start();
            for (_, cells) in &cells {
                std::hint::black_box(series_day(&frame, cells, &|_| false, &params));
            }
            alone_s += watch.cpu();
            let (no, watch) = (BuildingNo(building as u32), Watch::start());
            let rows = rows_of_building(&fleet, no, &frame, &cells, &|_, _| false, &params);
            rows_s += watch.cpu();
            rows_made += cells.len();
            history.insert_rows(rows);
        }
    }
    let bytes = (resident_mb(std::process::id()) - before) * 1024.0 * 1024.0;
    println!(
        "\nRows of {} paths and days: {:.2} us for a cell, {:.1} us for a row, {:.1} us with those of \
         several paths taken as one; some {:.0} bytes each, of {} rows",
        grouped(rows_made as f64),
        cells_s * 1e6 / cells_made as f64,
        alone_s * 1e6 / rows_made as f64,
        rows_s * 1e6 / rows_made as f64,
        bytes / history.rows() as f64,
        grouped(history.rows() as f64)
    );
}

fn site() -> Site {
    Site {
        name: "Building".to_owned(),
        zone: TimeZone::get("Europe/Berlin").expect("a zone"),
        hours: "Mo-Fr 08:00-18:00".parse().expect("hours"),
        holidays: BTreeSet::new(),
    }
}

/// The series as the judge would number them.
fn fleet(buildings: usize) -> Fleet {
    use busyhour_detect::{AgentNo, SubnetNo, TargetNo};
    let mut fleet = Fleet { bin: Bin::Quarter, ..Fleet::default() };
    fleet.buildings = (0..buildings).map(|_| site()).collect();
    fleet.targets = TARGETS.iter().map(|&name| name.to_owned()).collect();
    for at in 0..buildings * PATHS {
        let path = FleetPath(at);
        let wifi = path.key().link.kind() == LinkKind::Wifi;
        let near = path.target() == 0;
        fleet.series.push(SeriesInfo {
            name: String::new(),
            building: BuildingNo(path.building() as u32),
            subnet: SubnetNo((path.building() * 2 + usize::from(wifi)) as u32),
            agent: AgentNo(path.agent() as u32),
            link: path.key().link.kind(),
            target: (!near).then_some(TargetNo(path.target() as u32)),
            upstream: None,
            reach: if near { Reach::Near } else { Reach::Far },
            requirement: RequirementProfile::ClientToMicrosoftEdge,
            near: None,
            simulated: true,
        });
    }
    fleet
}
