//! Busy hours that are learned.

use std::net::Ipv4Addr;

use busyhour_model::{
    BuildingId, BuildingLoad, Cause, Change, FindingKind, Incident, IncidentId, IncidentMember,
    IncidentPlace, IncidentState, LinkKind, LoadSource, LocalDay, Mechanism, Scope, Segment,
    Siblings, WorkingWeek,
};
use busyhour_store::{Act, Control as _, JudgeWrite};
use jiff::civil::Date;

use crate::live::{Live, load_of, noon_after};
use crate::street::{Machine, Street, dates, house};

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

#[test]
fn the_hours_of_a_building_stay_while_an_alert_is_open_and_seen() {
    let wired = |house| Machine {
        house,
        link: LinkKind::Wired,
        seen_from: None,
        targets: vec![Ipv4Addr::new(198, 51, 100, 7)],
    };
    let regions = ["North", "East", "South", "West"];
    let mut street = Street::new(&regions, (0..4).map(wired).collect());
    let days = dates(28);
    street.deliver(days[0], &|_, _, _| 0);
    let buildings = street.control.buildings().unwrap();
    let of = |number: usize| buildings.iter().find(|one| one.name == house(number)).unwrap().id;
    // People work in the evening, for all that load says.
    let evening = |at: usize| if (72..88).contains(&at) { 100.0 } else { 1.0 };
    let loads: Vec<BuildingLoad> = (0..4)
        .flat_map(|number| days.iter().map(move |&date| (number, date)))
        .map(|(number, date)| BuildingLoad {
            building: of(number),
            date,
            source: LoadSource::Imported,
            machines: 0,
            quarters: std::array::from_fn(|at| Some(evening(at))),
        })
        .collect();
    let act = Act::by_operator(noon_after(days[0]));
    street.control.import_loads(&loads, &act).unwrap();
    let subnets = street.control.subnets().unwrap();
    let incident = |number: usize, state, stale| {
        let building = of(number);
        let subnet = subnets.iter().find(|one| one.building == building).unwrap().id;
        let member = |path| IncidentMember { path, building, subnet };
        let members = street.paths_of(number).into_iter().map(member).collect();
        Incident { state, stale, members, ..alert(building, number as u64 + 1, days[0]) }
    };
    let open = [
        incident(0, IncidentState::Open, false),
        incident(1, IncidentState::Open, true),
        incident(2, IncidentState::Suspected, false),
    ];
    let write = JudgeWrite { incidents: open.to_vec(), ..JudgeWrite::default() };
    street.control.write_judgement(&write, noon_after(days[0])).unwrap();

    street.judge_after(days[27]);
    let weeks = street.control.working_weeks().unwrap();
    let learned = [0, 1, 2, 3].map(|number| {
        let own = weeks.iter().filter(|week| week.building == of(number));
        own.max_by_key(|week| week.looked_on).unwrap().learned
    });
    assert_eq!(learned, [false, true, true, true], "open, stale, suspected, none");
}

/// An alert on a building that nobody has closed.
fn alert(building: BuildingId, number: u64, day: Date) -> Incident {
    Incident {
        id: IncidentId::from_u128(u128::from(number)),
        number,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(building),
        segment: Segment::CustomerWan,
        building,
        members: Vec::new(),
        siblings: Siblings::default(),
        hours: vec![(600, 720)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: day,
        merged_into: None,
        stale: false,
        first_bad: day,
        last_bad: day,
        bad_days: vec![day],
        observed_days: vec![day],
        opened_on: Some(day),
        closed_on: None,
        noted: noon_after(day),
        opened: Some(noon_after(day)),
        closed: None,
        openings: 1,
        severity: 0.3,
        confidence: 0.9,
        cause: Cause::NotKnown,
        cause_confidence: 0.0,
        mechanism: Mechanism::NotKnown,
        evidence: Vec::new(),
        worst_hour: None,
        worst_on: None,
        average: None,
        masked: false,
        masking_factor: None,
        sentence: String::new(),
        paragraph: String::new(),
        simulated: true,
    }
}

#[test]
fn hours_that_are_learned_of_a_history_at_once_are_those_that_were_lived() {
    let lived = Live::new(SEED).run();
    let mut at_once = Live::new(SEED);
    for date in at_once.dates() {
        at_once.deliver(date);
    }
    at_once.judge_after(at_once.last);
    let quiet = quiet(&lived);
    let in_force = |live: &Live| -> Vec<_> {
        let names = live.control.buildings().unwrap();
        let name = |week: &WorkingWeek| {
            let building = names.iter().find(|one| one.id == week.building).unwrap();
            building.name.clone()
        };
        let weeks = weeks(live).into_iter();
        let mut all: Vec<_> =
            weeks.map(|week| (name(&week), week.learned, week.working, week.hours)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let names = lived.control.buildings().unwrap();
    let is_quiet = |name: &str| names.iter().any(|one| one.name == name && quiet.contains(&one.id));
    let of_quiet = |live: &Live| {
        in_force(live).into_iter().filter(|(name, ..)| is_quiet(name)).collect::<Vec<_>>()
    };
    assert!(!of_quiet(&lived).is_empty());
    assert_eq!(of_quiet(&at_once), of_quiet(&lived));
}

#[test]
fn while_loads_that_are_due_are_left_the_next_round_follows_soon() {
    // More houses than loads are read in a round.
    let houses = 70;
    let machine = Machine {
        house: 0,
        link: LinkKind::Wired,
        seen_from: None,
        targets: vec![Ipv4Addr::new(198, 51, 100, 7)],
    };
    let mut street = Street::new(&vec!["North"; houses], vec![machine]);
    let day = dates(1)[0];
    street.deliver(day, &|_, _, _| 0);
    let judge = street.judge();
    let more = |now| judge.judge_once(now).unwrap().more;
    assert!((0..50).any(|_| !more(noon_after(day))), "it never ends");
    // An hour later that day's loads are to be read again, and nothing else waits.
    let later = noon_after(day).plus(std::time::Duration::from_secs(3_700));
    let rounds: Vec<bool> = (0..3).map(|_| more(later)).collect();
    assert_eq!(rounds, [true, false, false]);
}
