//! What is remembered of days, and which series are taken together.

use busyhour_detect::{BuildingNo, History, Month, Params, SeriesNo, Union, drift};
use busyhour_model::{DayVerdict, LinkKind};
use jiff::civil::{Date, date};

use crate::made::{FINE, Is, after, bad_at_ten, good, missing, monday, row};
use crate::world::{World, fleet, midnight};

fn quiet_world() -> World {
    World { fleet: fleet(2), days: 7, troubles: Vec::new(), absent: [(1, 2)].into() }
}

#[test]
fn a_row_that_comes_again_stands_in_place_of_the_one_before() {
    let mut history = History::default();
    for day in [2, 0, 1, 2] {
        history.insert(SeriesNo(3), good(after(day)));
    }
    history.insert(SeriesNo(3), bad_at_ten(after(1)));
    let dates: Vec<(Date, bool)> =
        history.all(SeriesNo(3)).iter().map(|row| (row.date, row.verdict.is_bad())).collect();
    assert_eq!(dates, [(after(0), false), (after(1), true), (after(2), false)]);
    assert_eq!(history.rows(), 3);
    assert!(history.all(SeriesNo(0)).is_empty() && history.all(SeriesNo(9)).is_empty());
    history.forget_before(after(2));
    assert_eq!(history.rows(), 1);
}

#[test]
fn a_day_of_a_building_is_forgotten_with_its_sums_and_no_other() {
    let world = quiet_world();
    let mut history = History::default();
    for day in 0..2 {
        world.observe(&mut history, day, midnight(7));
    }
    // Three series and two sums (all, and the wired ones) in each of two buildings, on two days.
    assert_eq!(history.rows(), 20);
    history.forget_day(BuildingNo(0), &[SeriesNo(0), SeriesNo(1), SeriesNo(2)], after(0));
    assert_eq!(history.rows(), 15);
    assert!(history.day(SeriesNo(0), after(0)).is_none());
    assert!(history.day(SeriesNo(0), after(1)).is_some());
    assert!(history.day(SeriesNo(3), after(0)).is_some());
    let all = Union { building: BuildingNo(0), unit: None };
    assert_eq!(history.union_days(all, after(0), after(1)).len(), 1);
}

#[test]
fn who_is_silent_does_not_change_which_series_are_taken_together() {
    let world = quiet_world();
    let unions = |is_known: &dyn Fn(SeriesNo) -> bool| {
        let rows = world.rows(BuildingNo(0), after(2), midnight(3), is_known);
        let series: Vec<u32> = rows.series.iter().map(|(no, _)| no.0).collect();
        let units: Vec<_> = rows.unions.iter().map(|(union, _)| union.unit).collect();
        (series, units)
    };
    let (series, units) = unions(&|_| true);
    assert_eq!(series, [0, 2], "one of the wired ones was not there");
    assert_eq!(units.len(), 2);
    assert!(units[1].is_some_and(|(link, _)| link == LinkKind::Wired));
    let (series, units) = unions(&|no| no.0 == 2);
    assert_eq!((series, units.len()), (vec![2], 1), "nobody of the other is left");
    let (series, units) = unions(&|_| false);
    assert!(series.is_empty() && units.is_empty());
}

#[test]
fn a_day_that_is_not_over_is_missing_whatever_it_showed() {
    let world = quiet_world();
    for (at, verdict) in
        [(40, DayVerdict::Missing), (71, DayVerdict::Missing), (72, DayVerdict::Good)]
    {
        let rows = world.rows(BuildingNo(0), monday(), midnight(0).offset(at), &|_| true);
        assert!(rows.series.iter().all(|(_, row)| row.verdict == verdict && row.is_seen()), "{at}");
        assert!(rows.unions.iter().all(|(_, row)| row.verdict == verdict), "{at}");
    }
}

#[test]
fn drift_is_asked_on_the_first_date_of_a_month_on_which_anything_was_seen() {
    let mut history = History::default();
    let (last, silent, first) = (date(2026, 5, 29), date(2026, 6, 1), date(2026, 6, 3));
    history.insert(SeriesNo(0), good(last));
    history.insert(SeriesNo(0), missing(silent));
    assert!(!history.asks_drift(silent) && !history.asks_drift(first));
    history.insert(SeriesNo(0), good(first));
    history.insert(SeriesNo(1), good(date(2026, 6, 4)));
    assert!(history.asks_drift(first) && history.asks_drift(last));
    assert!(!history.asks_drift(silent) && !history.asks_drift(date(2026, 6, 4)));
}

#[test]
fn a_month_is_kept_once_and_not_made_of_what_is_left_of_it() {
    let mut history = History::default();
    let slow = |day: Date, us: u32| row(day, move |_| Some(Is { rtt_us: us, ..FINE }));
    for day in 1..=20 {
        history.insert(SeriesNo(0), slow(date(2026, 6, day), 20_000 + u32::from(day as u8)));
    }
    history.keep_months(date(2026, 6, 17));
    let month = |history: &History| history.months(SeriesNo(0)).to_vec();
    let kept = month(&history);
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].first, kept[0].quiet_us), (date(2026, 6, 1), Some(20_010)));
    history.forget_before(date(2026, 6, 11));
    history.keep_months(date(2026, 6, 1));
    assert_eq!(month(&history), kept, "half of it is gone");
    history.keep_months(date(2026, 7, 1));
    assert_eq!(month(&history), kept, "nothing is known of July");
    for at in 1..=30i8 {
        let first = date(2027 + i16::from(at / 12), at % 12 + 1, 1);
        history.insert_month(SeriesNo(0), Month { first, quiet_us: None, busy_us: None });
    }
    assert_eq!(month(&history).len(), 24);
    assert_eq!(drift(&month(&history), &Params::default()), None);
}
