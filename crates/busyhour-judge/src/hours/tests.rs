use std::collections::BTreeMap;

use jiff::civil::date;
use jiff::tz::TimeZone;

use super::*;

const BUILDING: BuildingId = BuildingId::from_u128(1);
const FIRST: Date = date(2026, 3, 2);

fn site() -> Site {
    Site {
        name: "Quay".to_owned(),
        zone: TimeZone::UTC,
        hours: "Mo-Fr 08:00-18:00".parse().unwrap(),
        holidays: BTreeSet::new(),
    }
}

/// Days of load from a Monday on: much of it, or little, all day long.
fn loads(source: LoadSource, days: i32, load: f32) -> BTreeMap<Date, BuildingLoad> {
    let day = |at: i32| {
        let date = FIRST.saturating_add(at.days());
        let quarters = [Some(load); 96];
        (date, BuildingLoad { building: BUILDING, date, source, machines: 3, quarters })
    };
    (0..days).map(day).collect()
}

/// Looks at each of so many days, as the judge does.
fn look(hours: &mut Hours, days: std::ops::Range<i32>) {
    hours.followed.insert(BUILDING);
    for at in days {
        let date = FIRST.saturating_add(at.days());
        hours.look_at(BUILDING, &site(), date, false, &Params::default());
    }
}

/// The load of a day over what is usual then, where both are known.
fn share(hours: &Hours, at: i32) -> Option<f32> {
    let date = FIRST.saturating_add(at.days());
    let held = hours.on(BUILDING, &site(), date);
    let load = held.load_on(&hours.load_on(BUILDING, date)?)?;
    Some(load / held.typical[(at % 7) as usize]?)
}

#[test]
fn load_is_only_held_against_load_of_the_same_source() {
    let mut hours = Hours::default();
    hours.loads.insert(BUILDING, loads(LoadSource::Agents, 70, 40_000.0));
    look(&mut hours, 0..30);
    // Somebody imports four weeks of calls at once, and goes on for two more.
    hours.imported.insert(BUILDING, loads(LoadSource::Imported, 42, 12.0));
    look(&mut hours, 30..70);
    let source = |at: i32| {
        let week = hours.week_on(BUILDING, FIRST.saturating_add(at.days())).unwrap();
        week.source
    };
    assert_eq!((source(29), source(30)), (LoadSource::Agents, LoadSource::Imported));
    assert_eq!(source(69), LoadSource::Agents, "when few of the last days have any");
    let workdays = (7..70).filter(|at| at % 7 < 5);
    let shares: Vec<Option<f32>> = workdays.map(|at| share(&hours, at)).collect();
    assert!(shares.iter().flatten().all(|share| (share - 1.0).abs() < 1e-3), "{shares:?}");
    assert!(shares.iter().flatten().count() >= 25, "{shares:?}");
}

/// A load that is high in the morning only.
fn mornings(days: std::ops::Range<i32>) -> impl DoubleEndedIterator<Item = BuildingLoad> {
    days.map(|at| {
        let date = FIRST.saturating_add(at.days());
        let works = at % 7 < 5;
        let load = |quarter: usize| if works && (32..48).contains(&quarter) { 9e5 } else { 1e3 };
        let quarters = std::array::from_fn(|quarter| Some(load(quarter)));
        let source = LoadSource::Agents;
        BuildingLoad { building: BUILDING, date, source, machines: 3, quarters }
    })
}

#[test]
fn hours_of_weeks_that_come_late_are_those_of_weeks_that_came_in_time() {
    let mut in_time = Hours::default();
    mornings(0..40).for_each(|load| assert!(in_time.take(load)));
    look(&mut in_time, 0..40);
    // It begins with the last days; the others come later, newest first.
    let mut late = Hours::default();
    mornings(33..40).for_each(|load| assert!(late.take(load)));
    look(&mut late, 33..40);
    let on = |hours: &Hours, at: i32| {
        hours.on(BUILDING, &site(), FIRST.saturating_add(at.days())).quarters
    };
    assert_ne!(on(&late, 30), on(&in_time, 30), "configured ones");
    let before: Vec<Date> = late.weeks[&BUILDING].keys().copied().collect();
    mornings(0..33).rev().for_each(|load| assert!(late.take(load)));
    assert_eq!(late.late.get(&BUILDING), Some(&FIRST));
    let front = FIRST.saturating_add(39.days());
    let days = late.look_again(BUILDING, &site(), (FIRST, front), &|_| false, &Params::default());
    assert_eq!(days.count(), 39);
    for at in [10, 20, 30, 39] {
        assert_eq!(on(&late, at), on(&in_time, at), "day {at}");
    }
    let unsaved = late.unsaved().1;
    assert!(before.iter().all(|date| unsaved.iter().any(|week| week.looked_on == *date)));
    // What was there already and is told once more is not late.
    let mut again = Hours::default();
    mornings(0..40).for_each(|load| assert!(again.take(load)));
    look(&mut again, 0..40);
    mornings(0..40).for_each(|load| assert!(!again.take(load)));
    assert!(again.late.is_empty());
}

#[test]
fn hours_are_of_as_many_machines_as_tell_on_most_days() {
    assert_eq!(machines_of([1, 9, 2, 5].into_iter()), 2);
    assert_eq!(machines_of([1, 9, 5].into_iter()), 5);
    assert_eq!(machines_of(std::iter::empty()), 0);
}

#[test]
fn hours_that_an_incident_held_are_held_when_late_loads_are_learned_from() {
    let front = FIRST.saturating_add(39.days());
    let learned = |held: &dyn Fn(Date) -> bool| -> Vec<bool> {
        let mut hours = Hours::default();
        mornings(33..40).for_each(|load| assert!(hours.take(load)));
        look(&mut hours, 33..40);
        mornings(0..33).for_each(|load| assert!(hours.take(load)));
        let days = hours.look_again(BUILDING, &site(), (FIRST, front), held, &Params::default());
        let on = |date| hours.week_on(BUILDING, date).is_some_and(|week| week.learned);
        days.map(on).collect()
    };
    let free = learned(&|_| false);
    let first = free.iter().position(|learned| *learned).unwrap();
    assert!(first + 14 < free.len() && free[first..].iter().all(|learned| *learned));
    // An incident was open when they would have been learned, and for a week more.
    let until = FIRST.saturating_add(i32::try_from(first + 8).unwrap().days());
    let held = learned(&|date| date <= until);
    assert!(!held[first..first + 7].iter().any(|learned| *learned), "{held:?}");
    assert_eq!(held.last(), Some(&true), "and afterwards they move");
}

#[test]
fn the_first_late_load_is_not_durable_before_hours_were_learned_with_it() {
    let mut hours = Hours::default();
    mornings(33..40).for_each(|load| assert!(hours.take(load)));
    look(&mut hours, 33..40);
    hours.saved();
    mornings(0..33).for_each(|load| assert!(hours.take(load)));
    let dates = |hours: &Hours| hours.unsaved().0.iter().map(|load| load.date).collect();
    let unsaved: Vec<Date> = dates(&hours);
    assert!(unsaved.len() == 32 && !unsaved.contains(&FIRST), "whoever starts now reads it again");
    hours.saved();
    // Those that come in time are not held up, nor those that come late after it.
    mornings(40..41).for_each(|load| assert!(hours.take(load)));
    let unsaved: Vec<Date> = dates(&hours);
    assert_eq!(unsaved, [FIRST.saturating_add(40.days())]);
    hours.saved();
    // Waiting ends when it was looked at.
    hours.late.clear();
    let unsaved: Vec<Date> = dates(&hours);
    assert_eq!(unsaved, [FIRST]);
    hours.saved();
    assert!(hours.unsaved().0.is_empty());
}

#[test]
fn where_not_all_can_be_read_everybody_has_a_turn() {
    let day = |back: i32, number: u128| {
        (FIRST.saturating_sub(back.days()), BuildingId::from_u128(number))
    };
    let all = || (0..2).flat_map(|back| (1..=10).map(move |number| day(back, number)));
    let mut read: BTreeMap<(Date, BuildingId), UtcMicros> = BTreeMap::new();
    let mut order = Vec::new();
    for round in 0..5_i64 {
        // Only three of the newest date can be read before all are due again.
        let turn: Vec<_> = in_turn(all().collect(), &read).into_iter().take(3).collect();
        assert!(turn.iter().all(|(date, _)| *date == FIRST), "newest first");
        read.extend(turn.iter().map(|&day| (day, UtcMicros::from_secs(round))));
        order.extend(turn);
    }
    let first: BTreeSet<_> = order[..10].iter().copied().collect();
    assert_eq!(first.len(), 10, "nobody twice before everybody once: {order:?}");
    assert_eq!(order[10..13], order[..3], "and then who was first");
    // What nobody ever read goes before what was.
    read.remove(&day(0, 7));
    assert_eq!(in_turn(all().collect(), &read)[0], day(0, 7));
}
