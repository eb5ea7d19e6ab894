//! What recurs, and what only looks like it.

use busyhour_detect::{FindingKind, Params, Recurrence, Rule, Rules, SeriesDay, recurrence};
use busyhour_model::Breach;
use jiff::civil::Date;

use crate::made::{FINE, Is, after, bad, bad_at_ten, good, hours, missing, row, slow, within};

fn recurs_with(days: &[SeriesDay], params: &Params) -> Option<Recurrence> {
    let days: Vec<&SeriesDay> = days.iter().collect();
    recurrence(&days, days.last()?.date, params)
}

fn recurs(days: &[SeriesDay]) -> Option<Recurrence> {
    recurs_with(days, &Params::default())
}

fn kind(days: &[SeriesDay]) -> Option<FindingKind> {
    recurs(days).map(|recurrence| recurrence.kind)
}

fn kind_without(rule: Rule, days: &[SeriesDay]) -> Option<FindingKind> {
    let params = Params { rules: Rules::all().without(rule), ..Params::default() };
    recurs_with(days, &params).map(|recurrence| recurrence.kind)
}

/// Days from a Monday on: `x` bad at ten, `.` good, `-` missing, `w` a day off.
fn days(text: &str) -> Vec<SeriesDay> {
    let day = |(at, sign): (usize, char)| {
        let date = after(at as i32);
        match sign {
            'x' => bad_at_ten(date),
            '.' => good(date),
            _ => missing(date),
        }
    };
    text.chars().enumerate().map(day).collect()
}

const PEAK: Option<FindingKind> = Some(FindingKind::RecurringPeak);
const WEEKLY: Option<FindingKind> = Some(FindingKind::WeeklyPattern);
const CONSTANT: Option<FindingKind> = Some(FindingKind::ConstantFault);

#[test]
fn three_bad_days_of_the_last_five_recur() {
    for (text, expected) in [
        ("xx", None),
        ("xxx", PEAK),
        ("x.x.x", PEAK),
        ("x..xx", PEAK),
        ("xxx.", None),
        ("xx..w--.x", None),
        ("xx...--x", None),
        ("xxw-w--x", PEAK),
        ("x.x---------------x", PEAK),
        ("xx-----------------------x", None),
    ] {
        assert_eq!(kind_without(Rule::Quick, &days(text)), expected, "{text}");
    }
}

#[test]
fn it_names_its_hours_and_days() {
    let found = recurs(&days("x.xx")).unwrap();
    assert_eq!(found.hours, hours(600, 720));
    assert_eq!(found.bad_days, [after(0), after(2), after(3)]);
    assert_eq!(found.observed_days, [after(0), after(1), after(2), after(3)]);
    assert!(!found.delay_alone);
}

#[test]
fn bad_days_at_other_hours_do_not_count_together() {
    let at = |day: i32, from: u16| row(after(day), within((from, from + 60), bad(5)));
    assert_eq!(kind(&[at(0, 540), at(1, 720), at(2, 900)]), None);
    assert_eq!(kind(&[at(0, 540), at(1, 540), at(2, 900)]), None);
    assert_eq!(kind(&[at(0, 540), at(1, 585), at(2, 630)]), PEAK, "45 minutes are near");
    assert_eq!(kind(&[at(0, 540), at(1, 540), at(2, 540), at(3, 900)]), None, "not today's hours");
    assert_eq!(kind_without(Rule::SameHours, &[at(0, 540), at(1, 720), at(2, 900)]), PEAK);
}

#[test]
fn three_of_four_same_weekdays_are_a_weekly_pattern() {
    let mondays = |text: &str| {
        let weeks: Vec<String> = text.chars().map(|sign| format!("{sign}....--")).collect();
        let text = weeks.concat();
        days(text.trim_end_matches(['.', '-']))
    };
    assert_eq!(kind(&mondays("x.xx")), WEEKLY);
    assert_eq!(kind(&mondays("xxx")), WEEKLY);
    assert_eq!(kind(&mondays("xx-x")), WEEKLY, "a holiday is skipped");
    assert_eq!(kind(&mondays("x..x")), None);
    assert_eq!(kind_without(Rule::Weekly, &mondays("xxx")), None);
    let found = recurs(&mondays("x.xx")).unwrap();
    assert_eq!(found.bad_days, [after(0), after(14), after(21)]);
}

/// Bad from `from` on until `until`, in hours after the first midnight.
fn incident(from: u16, until: u16, last: i32) -> Vec<SeriesDay> {
    let day = |day: i32| {
        row(after(day), move |minute| {
            let hour = day as u16 * 24 + minute / 60;
            Some(if (from..until).contains(&hour) { bad(6) } else { FINE })
        })
    };
    (0..=last).map(day).collect()
}

#[test]
fn an_incident_of_some_days_is_one_and_not_recurring() {
    for (from, until) in [(10, 50 + 10), (9, 75), (17, 90), (13, 88), (9, 60)] {
        for today in 0..=4 {
            assert_eq!(kind(&incident(from, until, today)), None, "{from} to {until} on {today}");
        }
    }
}

#[test]
fn what_goes_on_through_all_nights_for_longer_is_a_constant_fault() {
    for today in 0..=3 {
        assert_eq!(kind(&incident(9, 1_000, today)), None, "on {today}");
    }
    assert_eq!(kind(&incident(9, 1_000, 4)), None, "on all of Tuesday to Friday");
    assert_eq!(kind(&incident(9, 1_000, 7)), CONSTANT);
    assert_eq!(kind_without(Rule::ConstantSpan, &incident(0, 75, 2)), CONSTANT);
}

#[test]
fn a_fault_that_ends_each_evening_recurs_however_bad_it_is() {
    let all_day = |day: i32| row(after(day), within((480, 1080), bad(15)));
    assert_eq!(kind(&[all_day(0), all_day(1), all_day(2)]), PEAK);
}

#[test]
fn without_quiet_hours_in_between_nobody_knows_that_it_went_away() {
    let partly = |until: u16| {
        move |day: i32| {
            row(after(day), move |minute| match minute {
                480.. if minute < until => Some(bad(15)),
                480..1080 => Some(FINE),
                _ => None,
            })
        }
    };
    let hardly = partly(1005);
    let rows: Vec<SeriesDay> = (0..3).map(hardly).collect();
    assert_eq!(kind(&rows), PEAK, "the late afternoons were fine");
    let mornings =
        |day: i32| row(after(day), |minute| (480..660).contains(&minute).then_some(bad(15)));
    let rows: Vec<SeriesDay> = (0..3).map(mornings).collect();
    assert_eq!(kind(&rows), None);
    assert_eq!(kind_without(Rule::NightGuard, &rows), PEAK);
}

#[test]
fn a_good_day_counts_only_where_the_hours_were_seen() {
    let afternoon =
        |day: i32| row(after(day), |minute| (720..1440).contains(&minute).then_some(FINE));
    let mut rows = days("xx");
    rows.extend([afternoon(2), afternoon(3), afternoon(4), missing(after(5)), missing(after(6))]);
    rows.push(bad_at_ten(after(7)));
    assert_eq!(kind(&rows), PEAK);
    assert_eq!(kind_without(Rule::SeenHours, &rows), None);
}

#[test]
fn outages_and_congestion_do_not_recur_together() {
    let outage =
        |day: i32| row(after(day), within((600, 660), Is { breach: Breach::Failed, ..bad(15) }));
    let mixed = [bad_at_ten(after(0)), outage(1), bad_at_ten(after(2))];
    assert_eq!(kind_without(Rule::Quick, &mixed), None);
    let rules = Rules::all().without(Rule::Quick).without(Rule::AlikeGuard);
    let params = Params { rules, ..Params::default() };
    assert_eq!(recurs_with(&mixed, &params).map(|found| found.kind), PEAK);
    assert_eq!(kind(&[outage(0), outage(1), outage(2)]), PEAK, "each day at the same hour");
}

/// A day whose quiet hours take `quiet_us` and whose hours from 10 to 12 take `busy_us`: above the
/// limit four of 15 windows a quarter-hour are bad.
fn of_delay(date: Date, quiet_us: u32, busy_us: u32) -> SeriesDay {
    let bads = if busy_us > 100_000 { 4 } else { 0 };
    row(date, move |minute| {
        Some(if (600..720).contains(&minute) { slow(busy_us, bads) } else { slow(quiet_us, 0) })
    })
}

/// Five days of one kind and then three of another.
fn then(before: (u32, u32), since: (u32, u32)) -> Vec<SeriesDay> {
    let of = |at: i32| if at < 7 { before } else { since };
    (0..10).map(|at| of_delay(after(at), of(at).0, of(at).1)).collect()
}

#[test]
fn a_moved_route_does_not_recur() {
    let moved = then((75_000, 85_000), (95_000, 106_000));
    assert_eq!(kind(&moved), None);
    assert_eq!(kind_without(Rule::LevelShiftGuard, &moved), PEAK);
    assert_eq!(kind(&then((75_000, 85_000), (95_000, 125_000))), PEAK, "busy hours grew as well");
    assert_eq!(kind(&then((75_000, 85_000), (76_000, 106_000))), PEAK, "nothing moved");
    let only_delay = recurs(&then((75_000, 85_000), (75_000, 106_000))).unwrap();
    assert!(only_delay.delay_alone);
}

#[test]
fn a_long_way_is_not_congestion() {
    let long: Vec<SeriesDay> = (0..3).map(|at| of_delay(after(at), 98_000, 101_000)).collect();
    assert_eq!(kind(&long), None, "no slower than at night");
    let queue: Vec<SeriesDay> = (0..3).map(|at| of_delay(after(at), 94_000, 101_000)).collect();
    assert_eq!(kind(&queue), PEAK);
}

#[test]
fn loss_on_a_moved_route_recurs() {
    let mut rows: Vec<SeriesDay> = (0..7).map(|at| of_delay(after(at), 75_000, 85_000)).collect();
    let lossy = |minute| {
        let is = Is { rtt_us: 95_000, ..FINE };
        Some(if (600..720).contains(&minute) { Is { bad: 5, ..is } } else { is })
    };
    rows.extend((7..10).map(|at| row(after(at), lossy)));
    assert_eq!(kind(&rows), PEAK);
}

#[test]
fn two_days_that_are_much_alike_are_enough() {
    let at = |day: i32, from: u16, until: u16, bads: u32| {
        row(after(day), within((from, until), bad(bads)))
    };
    let ten = |day| at(day, 600, 720, 10);
    assert_eq!(kind(&[ten(0), ten(1)]), PEAK);
    assert_eq!(kind(&[ten(0), good(after(1)), ten(2)]), PEAK);
    assert_eq!(kind(&[ten(0), good(after(1)), good(after(2)), ten(3)]), None, "too far apart");
    let with_missing: Vec<SeriesDay> =
        [ten(0)].into_iter().chain((1..7).map(|day| missing(after(day)))).chain([ten(7)]).collect();
    assert_eq!(kind(&with_missing), None, "a week apart");
    assert_eq!(kind_without(Rule::Quick, &[ten(0), ten(1)]), None);
    let found = recurs(&[ten(0), ten(1)]).unwrap();
    assert_eq!((found.hours, found.bad_days), (hours(600, 720), vec![after(0), after(1)]));
    for (other, why) in [
        (at(0, 660, 810, 10), "two of eight quarter-hours in common"),
        (at(0, 600, 720, 2), "hardly bad"),
        (row(after(0), within((600, 720), Is { breach: Breach::Failed, ..bad(10) })), "an outage"),
    ] {
        assert_eq!(kind(&[other, ten(1)]), None, "{why}");
    }
    let long = |day| at(day, 480, 840, 10);
    assert_eq!(kind(&[long(0), long(1)]), None, "six hours are rather an incident");
    let night = |day: i32| {
        row(after(day), move |minute| {
            let is = (600..720).contains(&minute);
            Some(if is { bad(10) } else { bad(if (day, minute) < (1, 600) { 4 } else { 0 }) })
        })
    };
    assert_eq!(kind(&[night(0), night(1)]), None, "it never went away");
}
