//! Which hours a recurrence is said to keep to.

use busyhour_detect::{Params, Quarters, Rule, Rules, SeriesDay, recurrence};
use proptest::prelude::*;

use crate::made::{FINE, after, bad, hours, row};

/// Days from a Monday on, each bad in the hours that begin at these minutes.
fn bad_in(starts: &[Vec<u16>]) -> Vec<SeriesDay> {
    let day = |(number, starts): (i32, &Vec<u16>)| {
        row(after(number), |minute| {
            let inside = starts.iter().any(|&start| (start..start + 60).contains(&minute));
            Some(if inside { bad(5) } else { FINE })
        })
    };
    (0..).zip(starts).map(day).collect()
}

fn found(days: &[SeriesDay], params: &Params) -> Option<Quarters> {
    let rows: Vec<&SeriesDay> = days.iter().collect();
    recurrence(&rows, days.last()?.date, params).map(|recurrence| recurrence.hours)
}

#[test]
fn hours_within_45_minutes_of_each_other_overlap_and_no_others() {
    let params = Params { rules: Rules::all().without(Rule::Quick), ..Params::default() };
    for (starts, expected) in [
        ([600, 600, 600], Some(hours(600, 660))),
        // Bad on two of the days.
        ([600, 615, 630], Some(hours(615, 675))),
        // Ends at ten, begins at half past eleven: nothing was bad between.
        ([540, 540, 690], None),
        // The gap between them is half an hour.
        ([540, 540, 630], Some(hours(585, 600))),
        ([540, 540, 645], None),
    ] {
        let days = bad_in(&starts.map(|start| vec![start]));
        assert_eq!(found(&days, &params), expected, "{starts:?}");
    }
}

#[test]
fn two_stretches_are_both_kept() {
    let days = bad_in(&[vec![600, 840], vec![600, 840], vec![600, 840]]);
    let both = hours(600, 660).or(hours(840, 900));
    assert_eq!(found(&days, &Params::default()), Some(both));
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn no_hour_is_named_at_which_nothing_was_bad(
        starts in prop::collection::vec(prop::collection::vec((32u16..68).prop_map(|at| at * 15), 1..3), 2..6),
    ) {
        let days = bad_in(&starts);
        if let Some(hours) = found(&days, &Params::default()) {
            for minute in (0..1440).step_by(15).filter(|minute| hours.contains(*minute)) {
                let was_bad = days.iter().any(|day| day.bad_quarters().contains(minute));
                prop_assert!(was_bad, "{} of {:?}", minute, starts);
            }
            prop_assert!(!hours.is_empty());
        }
    }
}
