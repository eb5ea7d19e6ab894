//! Level shifts and drift.

use busyhour_detect::{LevelShift, Month, Params, SeriesDay, drift, level_shift};
use jiff::civil::{Date, date};

use crate::made::{FINE, Is, after, row, slow};

fn of(day: i32, quiet_us: u32, busy_us: u32) -> SeriesDay {
    row(after(day), move |minute| {
        Some(slow(if (480..1080).contains(&minute) { busy_us } else { quiet_us }, 0))
    })
}

fn shift(rows: &[SeriesDay]) -> Option<LevelShift> {
    let rows: Vec<&SeriesDay> = rows.iter().collect();
    level_shift(&rows, rows.last()?.date, &Params::default())
}

/// Ten days at 30 ms, then so many further on.
fn moved(by_us: u32, days: i32) -> Vec<SeriesDay> {
    let us = |day| if day < 10 { 30_000 } else { 30_000 + by_us };
    (0..10 + days).map(|day| of(day, us(day), us(day) + 4_000)).collect()
}

#[test]
fn three_days_apart_from_those_before_are_a_shift() {
    assert_eq!(shift(&moved(8_000, 2)), None, "not yet");
    let expected = LevelShift { on: after(10), before_us: 28_000, after_us: 36_000 };
    for days in 3..=5 {
        assert_eq!(shift(&moved(8_000, days)), Some(expected), "{days} days after");
    }
    assert_eq!(shift(&moved(8_000, 6)), None, "known by now");
    assert_eq!(shift(&moved(4_900, 3)), None, "little");
}

#[test]
fn a_shorter_way_is_a_shift_too() {
    let rows: Vec<SeriesDay> = moved(8_000, 3);
    let us = |day| if day < 10 { 38_000 } else { 30_000 };
    let back: Vec<SeriesDay> = (0..13).map(|day| of(day, us(day), us(day))).collect();
    assert_eq!(shift(&back).map(|shift| shift.by_us()), Some(-8_000));
    assert_eq!(shift(&rows).map(|shift| shift.by_us()), Some(8_000));
}

#[test]
fn congestion_and_passing_trouble_are_no_shift() {
    let busy = |day| if day < 10 { 34_000 } else { 60_000 };
    let congested: Vec<SeriesDay> = (0..13).map(|day| of(day, 30_000, busy(day))).collect();
    assert_eq!(shift(&congested), None, "only busy hours grew");
    let grown = |day| if day < 10 { 30_000 } else { 38_000 };
    let both: Vec<SeriesDay> = (0..13).map(|day| of(day, grown(day), busy(day))).collect();
    assert_eq!(shift(&both), None, "busy hours grew more");
    let mut passing = moved(8_000, 2);
    passing.push(of(12, 30_000, 34_000));
    assert_eq!(shift(&passing), None, "it did not stay");
}

#[test]
fn days_without_round_trips_say_nothing() {
    let mut rows = moved(8_000, 2);
    rows.push(row(after(12), |_| None));
    assert_eq!(shift(&rows), None);
    rows.push(of(13, 38_000, 42_000));
    assert_eq!(shift(&rows).map(|shift| shift.on), Some(after(10)));
}

fn months(quiet_us: &[u32]) -> Vec<Month> {
    let first = |at: usize| date(2026, at as i8 + 1, 1);
    quiet_us
        .iter()
        .enumerate()
        .map(|(at, &us)| Month { first: first(at), quiet_us: Some(us), busy_us: None })
        .collect()
}

#[test]
fn a_way_that_becomes_longer_month_by_month_drifts() {
    let found = drift(&months(&[30_000, 32_000, 33_000, 36_000, 37_000]), &Params::default());
    let quiet = found.unwrap().quiet.unwrap();
    assert!((1_500.0..2_000.0).contains(&quiet.us_a_month), "{quiet:?}");
    assert!((quiet.chance - 1.0 / 120.0).abs() < 1e-9);
    for still in [
        &[30_000, 32_000, 33_000, 36_000][..],
        &[30_000, 30_500, 31_000, 31_500, 32_000],
        &[30_000, 37_000, 31_000, 36_000, 32_000],
        &[37_000, 36_000, 33_000, 32_000, 30_000],
    ] {
        assert_eq!(drift(&months(still), &Params::default()), None, "{still:?}");
    }
}

#[test]
fn a_month_is_the_median_of_enough_days() {
    let rows: Vec<SeriesDay> = (0..12)
        .map(|day| row(after(day), move |_| Some(Is { rtt_us: 20_000 + day as u32, ..FINE })))
        .collect();
    let rows: Vec<&SeriesDay> = rows.iter().collect();
    let of = |first: Date, rows: &[&SeriesDay]| Month::of(first, rows).quiet_us;
    assert_eq!(of(after(3), &rows), Some(20_005));
    assert_eq!(of(after(3), &rows[..7]), None);
    assert_eq!(of(date(2026, 4, 1), &rows), None);
    assert_eq!(Month::of(after(0), &rows).first, date(2026, 3, 1));
}
