//! Busy hours that are learned.

use busyhour_model::{BuildingId, BuildingLoad, LoadSource, LocalDay, Scope, WorkingWeek};
use busyhour_store::{Act, Control as _};
use jiff::civil::Date;

use crate::live::{Live, load_of, noon_after};

/// A world with buildings that nothing is wrong in.
const SEED: u64 = 4;

/// The week in force of each building.
fn weeks(live: &Live) -> Vec<WorkingWeek> {
    let mut weeks = live.control.working_weeks().unwrap();
    let all = weeks.clone();
    let newer = |week: &WorkingWeek| {
        all.iter().any(|one| one.building == week.building && one.looked_on > week.looked_on)
    };
    weeks.retain(|week| !newer(week));
    weeks
}

/// The buildings without an alert that ever was: where one is open their hours stay as they are.
fn quiet(live: &Live) -> Vec<BuildingId> {
    let all = live.control.buildings().unwrap().into_iter().map(|building| building.id);
    let incidents = live.incidents();
    let alerted = |id: &BuildingId| {
        let mut alerts = incidents.iter().filter(|one| one.kind.alerts() && one.openings > 0);
        alerts.any(|one| one.buildings().contains(id))
    };
    all.filter(|id| !alerted(id)).collect()
}

#[test]
fn load_teaches_when_people_work_once_a_week() {
    let live = Live::new(SEED).run();
    let (weeks, quiet) = (weeks(&live), quiet(&live));
    assert_eq!(weeks.len(), live.region.buildings.len());
    assert!(!quiet.is_empty());
    let buildings = live.control.buildings().unwrap();
    for week in weeks.iter().filter(|week| quiet.contains(&week.building)) {
        assert!(week.learned, "four weeks of load teach");
        let building = buildings.iter().find(|one| one.id == week.building).unwrap();
        let record = live.region.buildings.iter().find(|one| one.name == building.name).unwrap();
        assert_eq!(week.working, record.works, "{}", building.name);
        let worked: u16 = week.hours[1].iter().map(|(from, until)| until - from).sum();
        assert!((60..=720).contains(&worked), "{week:?}");
    }
    let all = live.control.working_weeks().unwrap();
    let own = all.iter().filter(|week| week.building == all[0].building);
    let days: Vec<_> = own.map(|week| (week.looked_on - live.first).get_days()).collect();
    assert_eq!(days, [0, 7, 14, 21, 28]);
}

#[test]
fn the_load_of_a_building_is_kept_by_its_own_clock() {
    let mut live = Live::new(SEED);
    for date in live.dates().take(3) {
        live.deliver(date);
        live.judge_after(date);
    }
    let dates: Vec<_> = live.dates().take(3).collect();
    let loads = live.control.building_loads(None, dates[0], dates[2]).unwrap();
    assert_eq!(loads.len(), 3 * live.region.buildings.len());
    for load in loads {
        assert_eq!(load.machines, 1);
        let name = live.control.buildings().unwrap();
        let name = name.into_iter().find(|one| one.id == load.building).unwrap().name;
        let record = live.region.buildings.iter().find(|one| one.name == name).unwrap();
        let mut told = [None; 96];
        for &(start, people) in &record.loads {
            let at = LocalDay::of(start, &record.zone);
            if at.date == load.date {
                told[usize::from(at.minute / 15)] = Some(load_of(people));
            }
        }
        assert!(told.iter().flatten().count() > 48, "{}", load.date);
        let close = |(a, b): (&Option<f32>, &Option<f32>)| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1.0 + b * 1e-3,
            (a, b) => a == b,
        };
        assert!(load.quarters.iter().zip(&told).all(close), "{} {told:?}", load.date);
    }
}

#[test]
fn imported_load_counts_alone_where_there_is_enough_of_it() {
    let mut live = Live::new(SEED);
    let building = live.control.buildings().unwrap()[0].id;
    let evening = |at: usize| if (72..88).contains(&at) { 100.0 } else { 1.0 };
    let day = |date| BuildingLoad {
        building,
        date,
        source: LoadSource::Imported,
        machines: 0,
        quarters: std::array::from_fn(|at| Some(evening(at))),
    };
    let loads: Vec<BuildingLoad> = live.dates().map(day).collect();
    let act = Act::by_operator(noon_after(live.first));
    live.control.import_loads(&loads, &act).unwrap();
    for date in live.dates() {
        live.deliver(date);
        live.judge_after(date);
    }
    let quiet = quiet(&live);
    assert!(quiet.len() > 1 && quiet.contains(&building));
    for week in weeks(&live).into_iter().filter(|week| quiet.contains(&week.building)) {
        let is_evening = week.hours.iter().flatten().all(|&(from, _)| from >= 17 * 60);
        assert!(week.learned);
        assert_eq!(is_evening, week.building == building, "{week:?}");
    }
}

/// The dates of a building on which anything was to be observed.
fn working(live: &Live, name: &str) -> Vec<Date> {
    let buildings = live.control.buildings().unwrap();
    let building = buildings.iter().find(|one| one.name == name).unwrap().id;
    let days = live.control.days(Some(building), live.first, live.last).unwrap();
    let own = days.into_iter().filter(|day| day.scope == Scope::Building(building));
    own.filter(|day| day.expected > 0).map(|day| day.date).collect()
}

#[test]
fn an_import_of_call_counts_closes_no_day() {
    let steady = Live::new(SEED).run();
    let mut live = Live::new(SEED);
    let building = live.control.buildings().unwrap().remove(0);
    let record = live.region.buildings.iter().find(|one| one.name == building.name).unwrap();
    let calls = |date| {
        let mut quarters = [None; 96];
        for &(start, people) in &record.loads {
            let at = LocalDay::of(start, &record.zone);
            if at.date == date {
                // Far fewer calls than bytes a second.
                quarters[usize::from(at.minute / 15)] = Some(people / 100.0);
            }
        }
        let source = LoadSource::Imported;
        BuildingLoad { building: building.id, date, source, machines: 0, quarters }
    };
    let loads: Vec<BuildingLoad> = live.dates().map(calls).collect();
    let mut told = 0;
    for (number, date) in (0..).zip(live.dates()) {
        if number == 22 {
            live.control.import_loads(&loads, &Act::by_operator(noon_after(date))).unwrap();
        }
        live.deliver(date);
        told += live.judge_after(date).told;
    }
    let sources = live.control.working_weeks().unwrap().into_iter();
    let sources = sources.filter(|week| week.building == building.id).map(|week| week.source);
    assert!(sources.collect::<Vec<_>>().contains(&LoadSource::Imported), "it counts from then on");
    assert_eq!(working(&live, &building.name), working(&steady, &building.name));
    assert_eq!(told, steady.told);
}
