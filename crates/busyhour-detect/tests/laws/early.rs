//! Early warning.

use busyhour_detect::{EarlyWarning, Params, SeriesDay, early_warning};

use crate::made::{Is, after, bad_at_ten, good, hours, missing, row, slow};

/// Days off are left out: the first five days of each week.
fn date(working_day: i32) -> jiff::civil::Date {
    after(working_day / 5 * 7 + working_day % 5)
}

fn warn(rows: &[SeriesDay]) -> Option<EarlyWarning> {
    let rows: Vec<&SeriesDay> = rows.iter().collect();
    early_warning(&rows, rows.last()?.date, &Params::default())
}

/// As slow as this over busy hours, with 30 ms else.
fn busy(working_day: i32, busy_us: u32) -> SeriesDay {
    row(date(working_day), move |minute| {
        Some(slow(if (480..1080).contains(&minute) { busy_us } else { 30_000 }, 0))
    })
}

#[test]
fn eight_slower_days_of_eight_warn() {
    let rows = |days: i32| (0..days).map(|day| busy(day, 38_000)).collect::<Vec<_>>();
    assert_eq!(warn(&rows(7)), None);
    let found = warn(&rows(8)).unwrap();
    assert_eq!((found.rtt_us, found.jitter_us), (Some(8_000), None));
    assert_eq!(found.hours, hours(480, 1080));
    assert_eq!(found.days.len(), 8);
    assert_eq!(warn(&rows(20)).unwrap().days.len(), 10);
}

#[test]
fn nine_of_ten_warn_and_eight_do_not() {
    let with_fast = |fast: i32| {
        let us = |day| if day < fast { 29_000 } else { 38_000 };
        warn(&(0..10).map(|day| busy(day, us(day))).collect::<Vec<_>>()).is_some()
    };
    assert!(with_fast(1));
    assert!(!with_fast(2));
}

#[test]
fn a_little_slower_is_no_warning() {
    let rows: Vec<SeriesDay> = (0..10).map(|day| busy(day, 34_900)).collect();
    assert_eq!(warn(&rows), None);
}

#[test]
fn jitter_warns_by_itself() {
    let restless = |day: i32| {
        row(date(day), |minute| {
            let breach = if (480..1080).contains(&minute) {
                busyhour_model::Breach::Jitter
            } else {
                busyhour_model::Breach::Loss
            };
            Some(Is { breach, ..slow(30_000, 0) })
        })
    };
    let restless: Vec<SeriesDay> = (0..8)
        .map(|day| {
            let mut row = restless(day);
            row.busy.jitter_p50_us = Some(12_000);
            row
        })
        .collect();
    let found = warn(&restless).unwrap();
    assert_eq!((found.rtt_us, found.jitter_us), (None, Some(10_000)));
    assert_eq!(found.hours, hours(480, 1080), "no round trip says at which");
}

#[test]
fn a_bad_day_is_more_than_a_warning_and_missing_ones_are_none() {
    let mut rows: Vec<SeriesDay> = (0..9).map(|day| busy(day, 38_000)).collect();
    rows.push(missing(date(9)));
    assert_eq!(warn(&rows), None, "not seen today");
    rows.push(busy(10, 38_000));
    assert!(warn(&rows).is_some());
    rows.push(bad_at_ten(date(11)));
    rows.push(busy(12, 38_000));
    assert_eq!(warn(&rows), None);
    let quiet: Vec<SeriesDay> = (0..10).map(|day| good(date(day))).collect();
    assert_eq!(warn(&quiet), None);
}
