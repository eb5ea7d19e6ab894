//! The control contract: loads of buildings, working weeks, months of paths.

use busyhour_model::{
    BuildingId, BuildingLoad, LoadSource, PathId, SeriesMonth, SubnetId, WorkingWeek,
};
use busyhour_store::{Act, AuditAction, AuditSubject, Control, JudgeWrite};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::fixtures::{Engine, NOW};
use crate::verdicts::HOME;

pub(crate) const OTHER: BuildingId = BuildingId::from_u128(0xb2);

/// A day of agents' load: of the night nobody told.
pub(crate) fn load(building: BuildingId, date: Date, machines: u32) -> BuildingLoad {
    let mut quarters = [None; 96];
    for (n, quarter) in (0u16..).zip(&mut quarters).skip(20) {
        *quarter = Some(f32::from(n) * 1_250.5 + machines as f32);
    }
    BuildingLoad { building, date, source: LoadSource::Agents, machines, quarters }
}

pub(crate) fn week(building: BuildingId, looked_on: Date) -> WorkingWeek {
    let working = [true, true, true, true, true, false, false];
    let hours = working.map(|works| if works { vec![(540, 720), (780, 1_020)] } else { vec![] });
    let mut friday = hours.clone();
    friday[4] = vec![(540, 720)];
    WorkingWeek {
        building,
        looked_on,
        hours,
        working,
        typical: working.map(|works| works.then_some(9_000.25)),
        learned: true,
        source: LoadSource::Agents,
        machines: 9,
        pending: Some((friday, working)),
    }
}

pub(crate) fn month(path: i64, first: Date) -> SeriesMonth {
    let path = PathId(path);
    let (building, subnet) = (HOME, SubnetId::from_u128(1));
    SeriesMonth { path, building, subnet, first, quiet_us: Some(21_000), busy_us: None }
}

fn write(store: &dyn Control, write: &JudgeWrite) {
    store.write_judgement(write, NOW).unwrap();
}

#[test]
fn loads_are_read_back_by_building_and_date() {
    let engine = Engine::new();
    let store = &engine.control;
    let dates = [date(2026, 9, 20), date(2026, 9, 21), date(2026, 9, 22)];
    let all: Vec<_> = [HOME, OTHER]
        .into_iter()
        .flat_map(|building| dates.map(|date| load(building, date, 9)))
        .collect();
    let loads = all.iter().rev().cloned().collect();
    write(store, &JudgeWrite { loads, ..JudgeWrite::default() });
    let read = |building, from, until| store.building_loads(building, from, until).unwrap();
    assert_eq!(read(None, dates[0], dates[2]), all);
    assert_eq!(read(Some(OTHER), dates[0], dates[2]), &all[3..]);
    assert_eq!(read(Some(HOME), dates[1], dates[1]), &all[1..2]);
    assert_eq!(read(None, dates[2], dates[2]), [all[2].clone(), all[5].clone()]);
    assert_eq!(read(None, date(2026, 9, 23), date(2027, 1, 1)), []);
    let later = load(HOME, dates[1], 12);
    let nothing = BuildingLoad { quarters: [None; 96], ..load(HOME, dates[2], 0) };
    let loads = vec![later.clone(), nothing.clone()];
    write(store, &JudgeWrite { loads, ..JudgeWrite::default() });
    assert_eq!(read(Some(HOME), dates[0], dates[2]), [all[0].clone(), later, nothing]);
}

#[test]
fn imported_loads_stand_beside_those_of_agents_and_are_audited() {
    let engine = Engine::new();
    let store = &engine.control;
    let today = date(2026, 9, 21);
    let measured = load(HOME, today, 9);
    write(store, &JudgeWrite { loads: vec![measured.clone()], ..JudgeWrite::default() });
    let counts = |calls: u32| BuildingLoad { machines: 0, ..load(HOME, today, calls) };
    let elsewhere = BuildingLoad { machines: 0, ..load(OTHER, today, 7) };
    let by = Act::by_operator(NOW);
    store.import_loads(&[counts(40), elsewhere.clone()], &by).unwrap();
    store.import_loads(&[counts(41)], &by).unwrap();
    let imported = |load| BuildingLoad { source: LoadSource::Imported, ..load };
    let expected = [measured, imported(counts(41)), imported(elsewhere)];
    assert_eq!(store.building_loads(None, today, today).unwrap(), expected);
    let told: Vec<_> = store
        .audit(NOW, busyhour_model::UtcMicros(NOW.0 + 1), 9)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.action, entry.subject, entry.detail))
        .collect();
    let entry = |detail: &str| (AuditAction::LoadsImported, AuditSubject::Store, detail.to_owned());
    assert_eq!(told, [entry("buildings=1 days=1"), entry("buildings=2 days=2")]);
}

#[test]
fn working_weeks_are_kept_as_long_as_days_are_looked_back_at() {
    let engine = Engine::new();
    let store = &engine.control;
    let first = date(2026, 6, 1);
    let dates: Vec<Date> = (0..16).map(|n| first + (n * 7).days()).collect();
    let configured =
        WorkingWeek { typical: [None; 7], learned: false, pending: None, ..week(OTHER, first) };
    let weeks = vec![configured.clone()];
    write(store, &JudgeWrite { weeks, ..JudgeWrite::default() });
    for &date in &dates {
        let weeks = vec![week(HOME, date)];
        write(store, &JudgeWrite { weeks, ..JudgeWrite::default() });
    }
    // The newest is of the 14th of September, 60 days after the 16th of July: then that of the 13th held.
    let kept = dates.iter().filter(|&&on| on >= date(2026, 7, 13)).map(|&on| week(HOME, on));
    let expected: Vec<_> = kept.chain([configured.clone()]).collect();
    assert_eq!((expected.len(), dates[15]), (11, date(2026, 9, 14)));
    assert_eq!(store.working_weeks().unwrap(), expected);
    // After a year without one the last of before still holds for what is looked back at.
    let (long_after, again) = (week(HOME, date(2027, 9, 14)), week(HOME, date(2027, 9, 14)));
    let again = WorkingWeek { learned: false, ..again };
    for week in [long_after, again.clone()] {
        write(store, &JudgeWrite { weeks: vec![week], ..JudgeWrite::default() });
    }
    assert_eq!(store.working_weeks().unwrap(), [week(HOME, dates[15]), again, configured]);
}

#[test]
fn months_are_read_back_by_path_and_time() {
    let engine = Engine::new();
    let store = &engine.control;
    let (august, september) = (date(2026, 8, 1), date(2026, 9, 1));
    let moved = SeriesMonth { subnet: SubnetId::from_u128(2), ..month(-3, september) };
    let all = [month(-3, august), month(-3, september), moved, month(5, september)];
    let months = all.iter().rev().copied().collect();
    write(store, &JudgeWrite { months, ..JudgeWrite::default() });
    assert_eq!(store.months().unwrap(), all);
    let slower = SeriesMonth { quiet_us: None, busy_us: Some(u32::MAX), ..all[1] };
    write(store, &JudgeWrite { months: vec![slower], ..JudgeWrite::default() });
    assert_eq!(store.months().unwrap(), [all[0], slower, all[2], all[3]]);
}
