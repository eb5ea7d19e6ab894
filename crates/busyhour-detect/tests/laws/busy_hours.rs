//! Busy hours, learned from load.

use busyhour_detect::{BusyHours, LoadDay, Params, Quarters, Rule, Rules, Site, learn_busy_hours};
use busyhour_model::{BuildingId, LoadSource};
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday, date};

use crate::made::{hours, site};

/// Nine machines told.
const TOLD: (LoadSource, u32) = (LoadSource::Agents, 9);

/// Loads of the four weeks before a Monday, of the days that `load` knows.
fn four_weeks(load: impl Fn(Date, u16) -> Option<f32>) -> Vec<LoadDay> {
    let day = |at: i32| {
        let mut day = LoadDay::new(today().checked_sub(at.days()).unwrap());
        for (quarter, place) in day.load.iter_mut().enumerate() {
            *place = load(day.date, quarter as u16 * 15);
        }
        day
    };
    (1..=28).map(day).collect()
}

fn today() -> Date {
    date(2026, 3, 30)
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// A hundred people from 9:30 to 17:00 on working days, and five else.
fn office(date: Date, minute: u16) -> Option<f32> {
    let at_work = !is_weekend(date) && (570..1020).contains(&minute);
    Some(if at_work { 100.0 } else { 5.0 })
}

fn learn(loads: &[LoadDay], before: Option<&BusyHours>, frozen: bool) -> BusyHours {
    learn_busy_hours(&site(), today(), loads, before, frozen, &Params::default())
}

/// What two learnings one after the other give.
fn learn_twice(loads: &[LoadDay]) -> BusyHours {
    learn(loads, Some(&learn(loads, None, false)), false)
}

#[test]
fn two_learnings_that_agree_move_the_frame() {
    let loads = four_weeks(office);
    let once = learn(&loads, None, false);
    assert!(!once.learned);
    assert_eq!(once.quarters[0], hours(480, 1080), "configured");
    let twice = learn(&loads, Some(&once), false);
    assert!(twice.learned);
    assert_eq!(twice.quarters[0], hours(570, 1020));
    assert_eq!(twice.working, [true, true, true, true, true, false, false]);
    assert!(twice.quarters[6].is_empty());

    let earlier = four_weeks(|date, minute| office(date, minute + 120));
    let unsure = learn(&earlier, Some(&twice), false);
    assert_eq!(unsure.quarters, twice.quarters, "one learning does not move it");
    let back = learn(&loads, Some(&unsure), false);
    let again = learn(&earlier, Some(&back), false);
    assert_eq!(again.quarters, twice.quarters, "nor do two that do not follow each other");
    assert_eq!(learn(&earlier, Some(&again), false).quarters[0], hours(450, 900));
}

#[test]
fn busy_hours_that_were_kept_go_on_as_if_they_had_not_been() {
    let kept = |hours: &BusyHours| {
        BusyHours::of_week(&hours.week(BuildingId::from_u128(7), today(), TOLD))
    };
    let siesta = |date, minute| {
        let at_work = !is_weekend(date) && matches!(minute, 480..720 | 900..1140);
        Some(if at_work { 100.0 } else { 5.0 })
    };
    let once = learn(&four_weeks(siesta), None, false);
    assert_eq!(kept(&once), once, "with what is not sure yet");
    let twice = learn(&four_weeks(siesta), Some(&kept(&once)), false);
    assert!(twice.learned);
    assert_eq!(twice.quarters[0], hours(480, 720).or(hours(900, 1140)));
    assert_eq!(kept(&twice), twice);
    assert_eq!(kept(&BusyHours::configured(&site())), BusyHours::configured(&site()));
}

#[test]
fn kept_hours_that_cannot_be_are_survived() {
    let mut week = BusyHours::configured(&site()).week(BuildingId::from_u128(7), today(), TOLD);
    week.hours[0] = vec![(50, 40), (1_430, u16::MAX), (u16::MAX, u16::MAX), (607, 613)];
    week.typical[0] = Some(f32::NAN);
    let hours = BusyHours::of_week(&week);
    assert_eq!(hours.quarters[0], self::hours(600, 615).or(self::hours(1_425, 1_440)));
    assert_eq!(hours.typical[0], None);
}

#[test]
fn nothing_moves_while_an_incident_is_open() {
    let loads = four_weeks(office);
    let mut hours = BusyHours::configured(&site());
    for _ in 0..5 {
        hours = learn(&loads, Some(&hours), true);
    }
    assert!(!hours.learned);
    assert_eq!(hours.typical[0], Some(76.25), "what is usual is known all the same");
}

#[test]
fn too_few_typical_days_teach_nothing() {
    let known = |days: i32| {
        let from = today().checked_sub(days.days()).unwrap();
        four_weeks(|date, minute| (date >= from).then(|| office(date, minute)).flatten())
    };
    assert!(!learn_twice(&known(5)).learned, "three working days");
    assert!(learn_twice(&known(6)).learned);
    assert!(!learn_twice(&[]).learned);
    let params = Params { rules: Rules::all().without(Rule::LearnedHours), ..Params::default() };
    let loads = four_weeks(office);
    let of = |before| learn_busy_hours(&site(), today(), &loads, before, false, &params);
    assert!(!of(Some(&of(None))).learned);
}

#[test]
fn closures_holidays_and_holes_are_not_typical() {
    let loads = four_weeks(|date, minute| {
        let is_closed = [9, 10, 17].contains(&date.day());
        let hole = date.day() == 12 && minute < 900;
        if is_closed { Some(5.0) } else { office(date, minute).filter(|_| !hole) }
    });
    let learned = learn_twice(&loads);
    assert_eq!(learned.quarters[0], hours(570, 1020));
    assert!(learned.working[0] && learned.working[1]);
}

#[test]
fn other_weeks_are_found_whatever_is_configured() {
    let israel = four_weeks(|date, minute| {
        let off = matches!(date.weekday(), Weekday::Friday | Weekday::Saturday);
        Some(if !off && (540..1080).contains(&minute) { 80.0 } else { 30.0 })
    });
    let learned = learn_twice(&israel);
    assert_eq!(
        learned.working,
        [true, true, true, true, false, false, true],
        "servers do not work"
    );
    assert_eq!(learned.quarters[6], hours(540, 1080));

    let short_fridays = four_weeks(|date, minute| {
        let until = if date.weekday() == Weekday::Friday { 720 } else { 1020 };
        Some(if !is_weekend(date) && (480..until).contains(&minute) { 50.0 } else { 0.0 })
    });
    let learned = learn_twice(&short_fridays);
    assert_eq!(learned.quarters[3], hours(480, 1020));
    assert_eq!(learned.quarters[4], hours(480, 720));
}

#[test]
fn lunch_is_closed_over_and_long_days_are_cut() {
    let of = |load: fn(u16) -> f32| {
        let loads =
            four_weeks(|date, minute| Some(if is_weekend(date) { 0.0 } else { load(minute) }));
        learn_twice(&loads).quarters[0]
    };
    let lunch = |minute| if matches!(minute, 480..720 | 795..1020) { 40.0 } else { 0.0 };
    assert_eq!(of(lunch), hours(480, 1020));
    let siesta = |minute| if matches!(minute, 480..720 | 900..1140) { 40.0 } else { 0.0 };
    assert_eq!(of(siesta), hours(480, 720).or(hours(900, 1140)));
    let bell = |minute| if matches!(minute, 480..720 | 1080..1095) { 40.0 } else { 0.0 };
    assert_eq!(of(bell), hours(480, 720), "a quarter-hour is no busy hour");
    let late = |minute| match minute {
        300..660 => 60.0,
        660..1320 => 90.0,
        _ => 0.0,
    };
    assert_eq!(of(late), hours(585, 1305), "the busiest twelve hours");
}

#[test]
fn a_load_that_never_rests_teaches_no_night() {
    let flat = four_weeks(|_, minute| Some(100.0 + f32::from(minute % 60)));
    let learned = learn_twice(&flat);
    assert_eq!(learned.quarters[0].count(), 48, "twelve hours at most");
    let nothing = four_weeks(|_, _| Some(0.0));
    assert!(!learn_twice(&nothing).learned);
}

#[test]
fn the_load_of_a_day_is_that_of_its_busy_hours() {
    let site: Site = site();
    let configured = BusyHours::configured(&site);
    let mut monday = LoadDay::new(today());
    assert_eq!(configured.load_on(&monday), None);
    for (quarter, load) in monday.load.iter_mut().enumerate() {
        *load = (quarter >= 40).then_some(if quarter < 72 { 12.0 } else { 900.0 });
    }
    assert_eq!(configured.load_on(&monday), Some(12.0));
    for load in &mut monday.load[40..60] {
        *load = None;
    }
    assert_eq!(configured.load_on(&monday), None, "less than half is known");
    assert_eq!(configured.quarters[5], Quarters::default());
}

#[test]
fn wild_loads_are_survived() {
    let loads = four_weeks(|date, minute| {
        Some(match (date.day(), minute) {
            (3, _) => f32::NAN,
            (4, _) => f32::INFINITY,
            (5, _) => -50.0,
            _ => office(date, minute)?,
        })
    });
    assert_eq!(learn_twice(&loads).quarters[0], hours(570, 1020));
}
