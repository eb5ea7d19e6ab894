//! What holds for every input.

use busyhour_detect::{Bin, Params, Recurrence, Rule, Rules, SeriesDay, Site, recurrence};
use busyhour_model::{Breach, DayVerdict};
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use crate::made::{FINE, Is, after, cells, frame_of, missing, monday, row_of, site, site_in};

/// What each quarter-hour of a day holds.
type Day = Vec<Option<Is>>;

fn quarter() -> impl Strategy<Value = Option<Is>> {
    let breach = prop_oneof![
        Just(Breach::Loss),
        Just(Breach::Burst),
        Just(Breach::Delay),
        Just(Breach::Jitter),
        Just(Breach::Failed),
    ];
    let bad = (1u32..=15, breach, 5_000u32..60_000).prop_flat_map(|(valid, breach, rtt_us)| {
        (0..=valid).prop_map(move |bad| Some(Is { valid, bad, breach, rtt_us }))
    });
    let fine = (1u32..=15).prop_map(|valid| Some(Is { valid, ..FINE }));
    prop_oneof![1 => Just(None), 5 => fine, 3 => bad]
}

fn day() -> impl Strategy<Value = Day> {
    proptest::collection::vec(quarter(), 96)
}

/// Some days, each bad at hours of its own or not at all.
fn days() -> impl Strategy<Value = Vec<Day>> {
    let day = prop_oneof![
        1 => Just(vec![None; 96]),
        2 => Just(vec![Some(FINE); 96]),
        4 => (30usize..60, 4usize..14, 2u32..15).prop_map(|(from, long, bad)| {
            let is = |at| Some(if (from..from + long).contains(&at) { Is { bad, ..FINE } } else { FINE });
            (0..96).map(is).collect()
        }),
        1 => day(),
    ];
    proptest::collection::vec(day, 1..16)
}

fn at(day: &Day, minute: u16) -> Option<Is> {
    day.get(usize::from(minute) / 15).copied().flatten()
}

fn row_at(site: &Site, date: Date, day: &Day) -> SeriesDay {
    let frame = frame_of(site, date, Bin::Quarter);
    row_of(&frame, &cells(&frame, |minute| at(day, minute)))
}

fn rows(days: &[Day]) -> Vec<SeriesDay> {
    (0..).zip(days).map(|(number, day)| row_at(&site(), after(number), day)).collect()
}

/// What is found on each day.
fn found(rows: &[SeriesDay]) -> Vec<Option<Recurrence>> {
    found_by(rows, &Params::default())
}

fn found_by(rows: &[SeriesDay], params: &Params) -> Vec<Option<Recurrence>> {
    let rows: Vec<&SeriesDay> = rows.iter().collect();
    rows.iter().map(|row| recurrence(&rows, row.date, params)).collect()
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn neither_order_nor_duplicates_change_a_row(day in day(), seed in any::<u64>()) {
        let frame = frame_of(&site(), monday(), Bin::Quarter);
        let cells = cells(&frame, |minute| at(&day, minute));
        let row = row_of(&frame, &cells);
        let mut shuffled = cells.clone();
        shuffled.extend(cells.iter().filter(|cell| cell.valid % 2 == 0));
        shuffled.sort_by_key(|cell| (cell.start.number() as u64).wrapping_mul(seed | 1));
        prop_assert_eq!(&row_of(&frame, &shuffled), &row);
        let other_day = frame_of(&site(), after(1), Bin::Quarter);
        shuffled.extend(crate::made::cells(&other_day, |_| Some(Is { bad: 15, ..FINE })));
        prop_assert_eq!(&row_of(&frame, &shuffled), &row);
    }

    #[test]
    fn a_zone_shifted_by_whole_hours_shifts_labels_only(day in day(), hours in -12i8..=14) {
        let zone = TimeZone::fixed(Offset::constant(hours));
        let there = site_in(zone, "Mo-Fr 08:00-18:00");
        let here = row_at(&site(), monday(), &day);
        let mut row = row_at(&there, monday(), &day);
        prop_assert_eq!(row.first.number(), here.first.number() - i64::from(hours) * 4);
        row.first = here.first;
        prop_assert_eq!(row, here);
    }

    #[test]
    fn a_longer_way_within_the_limit_changes_figures_only(day in day(), longer_us in 0u32..40_000) {
        let here = row_at(&site(), monday(), &day);
        let longer: Day = day
            .iter()
            .map(|is| is.map(|is| Is { rtt_us: is.rtt_us + longer_us, ..is }))
            .collect();
        let there = row_at(&site(), monday(), &longer);
        prop_assert_eq!(there.verdict, here.verdict);
        prop_assert_eq!(there.bad_quarters(), here.bad_quarters());
        prop_assert_eq!(there.worst(), here.worst());
        prop_assert_eq!(
            (0..96).map(|bin| there.elevation(bin)).collect::<Vec<_>>(),
            (0..96).map(|bin| here.elevation(bin)).collect::<Vec<_>>()
        );
        prop_assert_eq!(there.rise_us, here.rise_us);
        prop_assert_eq!(there.delay_with_loss(), here.delay_with_loss());
        prop_assert_eq!(there.base_rtt_us, here.base_rtt_us.map(|us| us + longer_us));
    }

    #[test]
    fn bad_days_are_observed_and_their_hours_were_seen(day in day()) {
        let row = row_at(&site(), monday(), &day);
        prop_assert_eq!(row.verdict.is_bad(), !row.bad_quarters().is_empty());
        prop_assert_eq!(row.peak().is_some_and(|peak| peak.part.bad > 0), row.verdict.is_bad());
        prop_assert_eq!(row.busy.valid + row.quiet.valid, day.iter().flatten().map(|is| is.valid).sum::<u32>());
        if let Some(worst) = row.worst() {
            prop_assert!(worst.bad <= worst.valid);
            prop_assert!(row.verdict != DayVerdict::Missing || !row.working || !row.verdict.is_bad());
        }
        if row.verdict.is_bad() {
            prop_assert!(row.worst().is_some_and(|worst| worst.bad >= 6));
        }
    }

    #[test]
    fn missing_days_neither_open_nor_close(days in days(), at in 0usize..16) {
        let usual = found(&rows(&days));
        // All days from there on a day later, and nothing known of that day: of a week without
        // weekends, so that no day becomes one.
        let site = site_in(TimeZone::UTC, "Mo-Su 08:00-18:00");
        let row = |number: i32, day: &Day| row_at(&site, after(number), day);
        let together: Vec<SeriesDay> = (0..).zip(&days).map(|(number, day)| row(number, day)).collect();
        let apart: Vec<SeriesDay> = (0..)
            .zip(&days)
            .map(|(number, day)| row(number + i32::from(number as usize >= at), day))
            .collect();
        let opened = |rows: &[SeriesDay]| -> Vec<Option<_>> {
            // Weekly patterns go by the date; so does how long a fault has lasted, and how near to
            // each other two days are that are much alike.
            let params = Params { rules: Rules::all().without(Rule::Quick), ..Params::default() };
            let peak = |found: &Option<Recurrence>| found.as_ref().filter(|found| {
                found.kind == busyhour_detect::FindingKind::RecurringPeak
            }).map(|found| found.hours);
            found_by(rows, &params).iter().map(peak).collect()
        };
        prop_assert_eq!(opened(&together), opened(&apart));

        let mut with_missing: Vec<SeriesDay> = rows(&days);
        with_missing.push(missing(after(days.len() as i32)));
        let mut expected = usual;
        expected.push(None);
        prop_assert_eq!(found(&with_missing), expected, "a missing day is never the day");
    }

    #[test]
    fn what_happens_outside_busy_hours_at_most_makes_it_a_fault_of_all_day(
        day in day(),
        nights in proptest::collection::vec(quarter(), 96),
    ) {
        let night = |at: usize| !(32..72).contains(&at);
        let other: Day = (0..96).map(|at| if night(at) { nights[at] } else { day[at] }).collect();
        let here = row_at(&site(), monday(), &day);
        let there = row_at(&site(), monday(), &other);
        prop_assert_eq!(there.verdict.is_bad(), here.verdict.is_bad());
        prop_assert_eq!(there.bad_quarters(), here.bad_quarters());
        let told = |row: &SeriesDay| row.worst().filter(|_| row.verdict.is_bad());
        prop_assert_eq!(told(&there), told(&here));
    }

    #[test]
    fn days_off_may_be_what_they_like(days in days(), weekend in day()) {
        let usual = rows(&days);
        let other: Vec<Day> = days
            .iter()
            .enumerate()
            .map(|(number, day)| if number % 7 >= 5 { weekend.clone() } else { day.clone() })
            .collect();
        let verdicts = |rows: &[SeriesDay]| {
            rows.iter().map(|row| (row.verdict, row.bad_quarters())).collect::<Vec<_>>()
        };
        prop_assert_eq!(verdicts(&rows(&other)), verdicts(&usual));
    }
}
