//! What stays of a date that is judged again, and what does not.

use jiff::ToSpan as _;
use jiff::civil::date;

use super::*;
use crate::busy::BusyHours;
use crate::day_frame::lay_out;
use crate::finding::Place;
use crate::fleet::{Bin, BuildingNo, SeriesNo};
use crate::replay::Recorded as _;
use crate::rows::rows_of_building;
use crate::stage::{FIRST, Stage, working_days};

struct Live {
    stage: Stage,
    history: History,
    ledger: Ledger,
}

impl Live {
    fn of(stage: Stage) -> Self {
        Self { stage, history: History::default(), ledger: Ledger::default() }
    }

    /// Takes in what is there of a date until an hour of it.
    fn observe(&mut self, date: Date, hour: i64) {
        let params = crate::stage::params();
        for no in (0..self.stage.fleet.buildings.len() as u32).map(BuildingNo) {
            let site = self.stage.fleet.site(no).unwrap();
            let hours = BusyHours::configured(site);
            let far = &mut |_: &_| Vec::new();
            let day = lay_out(site, date, &hours, None, far, Bin::Quarter, &params).unwrap();
            let (from, _) = day.span();
            let now = from.offset(hour * 4);
            let all = (0..).zip(&self.stage.fleet.series);
            let own = all.filter(|(_, info)| info.building == no).map(|(at, _)| SeriesNo(at));
            let cells: Vec<_> = own.map(|no| (no, self.stage.cells(no, from, now, date))).collect();
            let day = day.as_of(now);
            let never = |_, _| false;
            let rows = rows_of_building(&self.stage.fleet, no, &day, &cells, &never, &params);
            self.history.insert_rows(rows);
        }
    }

    fn judge(&mut self, front: Date) -> Vec<Finding> {
        let beside = |_| Beside::default();
        let params = crate::stage::params();
        self.ledger.judge(&self.stage.fleet, &mut self.history, front, &params, &beside)
    }

    fn day(&mut self, date: Date, hour: i64) -> Vec<Finding> {
        self.observe(date, hour);
        self.judge(date)
    }

    /// The alerting findings that are open, with their numbers.
    fn open(&self) -> Vec<(u64, Place)> {
        let open = self.ledger.findings().filter(|one| one.kind.alerts() && is_open(one));
        open.map(|one| (one.id, one.place)).collect()
    }
}

/// The first building suffers on some days.
fn suffers(days: &[Date]) -> Stage {
    let mut stage = Stage::street(2, 60);
    stage.trouble(&[0, 1, 2, 3], days);
    stage
}

fn house_a() -> Place {
    Place::Building(BuildingNo(0))
}

#[test]
fn a_day_that_has_just_begun_is_missing_and_not_good() {
    let days = working_days(FIRST, 3);
    let mut live = Live::of(suffers(&days));
    for hour in [0, 6, 10, 12, 17] {
        live.observe(FIRST, hour);
        for no in [0, 4] {
            let row = live.history.day(SeriesNo(no), FIRST);
            assert!(row.is_none_or(|row| !row.verdict.is_observed()), "{no} at {hour}");
        }
        assert!(live.judge(FIRST).is_empty(), "at {hour}");
    }
    live.observe(FIRST, 18);
    let row = |no| live.history.day(SeriesNo(no), FIRST).unwrap().verdict;
    assert!(row(0).is_bad() && !row(4).is_bad() && row(4).is_observed());
}

#[test]
fn what_breaks_in_the_afternoon_is_not_over_after_five_mornings() {
    let days = working_days(FIRST, 8);
    let mut stage = Stage::street(2, 60);
    stage.trouble(&[0, 1, 2, 3], &days).hours = (840, 960);
    let mut live = Live::of(stage);
    for &day in &days[..3] {
        live.day(day, 24);
    }
    assert_eq!(live.open(), [(1, house_a())]);
    for &day in &days[3..] {
        for hour in [9, 12, 14] {
            live.day(day, hour);
        }
    }
    assert_eq!(live.open(), [(1, house_a())]);
    let finding = live.ledger.finding(1).unwrap();
    assert_eq!((finding.state, finding.openings), (IncidentState::Open, 1));
}

#[test]
fn what_was_opened_stays_open_when_its_data_turn_out_otherwise() {
    let days = working_days(FIRST, 3);
    let mut live = Live::of(suffers(&days));
    for &day in &days {
        live.day(day, 18);
    }
    assert_eq!(live.open(), [(1, house_a())]);
    // Of the third day it turns out that nothing was bad.
    live.stage.troubles[0].days.truncate(2);
    assert!(live.day(days[2], 24).is_empty(), "people were told");
    assert_eq!(live.open(), [(1, house_a())]);
    // It goes on as what is open does: five good days end it.
    let mut ended = Vec::new();
    for day in working_days(days[2].saturating_add(1.day()), 8) {
        let closed = live.day(day, 24).into_iter().filter(|one| one.state == IncidentState::Closed);
        ended.extend(closed.map(|one| (one.id, one.change, day)));
    }
    assert_eq!(ended, [(1, Change::Closed, date(2025, 3, 10))]);
}

#[test]
fn what_was_closed_stays_closed_when_its_data_turn_out_otherwise() {
    let days = working_days(FIRST, 20);
    let mut live = Live::of(suffers(&days[..3]));
    let closing = days.iter().copied().find(|&day| {
        live.day(day, 18);
        live.ledger.finding(1).is_some_and(|one| one.state == IncidentState::Closed)
    });
    let closing = closing.unwrap();
    live.stage.troubles[0].days.push(closing);
    let written = live.day(closing, 24);
    assert!(written.iter().all(|one| one.id != 1 || one.state == IncidentState::Closed));
    assert!(live.open().is_empty());
    assert_eq!(live.ledger.finding(1).map(|one| one.change), Some(Change::Closed));
}

#[test]
fn a_suspicion_that_comes_to_nothing_is_closed_and_its_number_not_given_again() {
    let days = working_days(FIRST, 2);
    let mut live = Live::of(suffers(&days[..1]));
    let written = live.day(FIRST, 18);
    let begun: Vec<_> = written.iter().map(|one| (one.id, one.state)).collect();
    assert_eq!(begun, [(1, IncidentState::Suspected)]);
    live.stage.troubles.clear();
    let written = live.day(FIRST, 24);
    let ended: Vec<_> = written.iter().map(|one| (one.id, one.state, one.openings)).collect();
    assert_eq!(ended, [(1, IncidentState::Closed, 0)]);
    assert!(live.day(FIRST, 24).is_empty(), "said once");
    live.stage.trouble(&[6], &days[1..]);
    let begun: Vec<u64> = live.day(days[1], 24).iter().map(|one| one.id).collect();
    assert_eq!(begun, [2]);
}

#[test]
fn what_began_on_a_date_keeps_its_number_whatever_else_turns_up() {
    let mut stage = Stage::street(3, 30);
    stage.trouble(&[8, 9, 10, 11], &[FIRST]);
    let mut live = Live::of(stage);
    live.day(FIRST, 18);
    let third = Place::Building(BuildingNo(2));
    assert_eq!(live.ledger.finding(1).map(|one| one.place), Some(third));
    // What is worse, and so comes first, is seen later.
    live.stage.trouble(&[0, 1, 2, 3], &[FIRST]).bad = 7;
    live.day(FIRST, 24);
    let places: Vec<_> = live.ledger.findings().map(|one| (one.id, one.place)).collect();
    assert_eq!(places, [(1, third), (2, house_a())]);
}

#[test]
fn on_a_weekend_what_came_late_of_friday_counts() {
    let days = working_days(date(2025, 3, 5), 3);
    let mut live = Live::of(suffers(&days));
    for &day in &days[..2] {
        live.day(day, 24);
    }
    let saturday = days[2].saturating_add(1.day());
    live.day(saturday, 9);
    assert!(live.open().is_empty());
    live.observe(days[2], 24);
    live.judge(saturday);
    assert_eq!(live.open(), [(1, house_a())]);
    assert_eq!(live.ledger.finding(1).and_then(|one| one.opened), Some(days[2]));
}

#[test]
fn a_first_start_goes_through_the_whole_history() {
    let days = working_days(FIRST, 3);
    let mut live = Live::of(suffers(&days));
    let last = FIRST.saturating_add(25.days());
    for day in FIRST.series(1.day()).take_while(|day| *day <= last) {
        live.observe(day, 24);
    }
    live.judge(last);
    let finding = live.ledger.finding(1).unwrap();
    assert_eq!((finding.state, finding.openings), (IncidentState::Closed, 1));
    assert_eq!(finding.opened, Some(days[2]));
    assert!(live.judge(last).is_empty());
}

#[test]
fn a_later_start_judges_no_past_date() {
    let days = working_days(FIRST, 3);
    let mut live = Live::of(suffers(&days));
    let last = FIRST.saturating_add(36.days());
    for day in FIRST.series(1.day()).take_while(|day| *day <= last) {
        live.day(day, 24);
    }
    assert_eq!(live.ledger.findings().count(), 0, "it is long over");
    live.ledger = Ledger::of(Vec::new(), 1);
    live.ledger.were_judged(&live.history, last);
    assert!(live.judge(last).is_empty());
}

#[test]
fn what_is_retired_does_not_come_back() {
    let days = working_days(FIRST, 5);
    let mut live = Live::of(suffers(&days));
    for &day in &days[..3] {
        live.day(day, 24);
    }
    let gone = live.ledger.retire(1, days[2]).unwrap();
    assert_eq!((gone.state, gone.change), (IncidentState::Closed, Change::Gone));
    assert_eq!(live.ledger.retire(1, days[2]), None, "once");
    // Its building is no more, and neither are its rows.
    let own: Vec<SeriesNo> = (0..4).map(SeriesNo).collect();
    for &day in &days[..3] {
        live.history.forget_day(BuildingNo(0), &own, day);
    }
    assert!(live.judge(days[2]).is_empty());
    assert!(live.open().is_empty());
}

#[test]
fn numbers_go_on_after_the_last_one_that_was_given() {
    let mut live = Live::of(suffers(&[FIRST]));
    live.ledger = Ledger::of(Vec::new(), 41);
    let begun: Vec<u64> = live.day(FIRST, 24).iter().map(|one| one.id).collect();
    assert_eq!(begun, [42]);
}

#[test]
fn what_was_worked_out_before_changes_nothing_that_is_found() {
    let days = working_days(FIRST, 12);
    let mut stage = Stage::street(4, 60);
    stage.trouble(&[0, 1, 2, 3], &days[..7]);
    stage.trouble(&[5], &days).hours = (840, 960);
    stage.trouble(&(0..16).collect::<Vec<_>>(), &days[8..11]).bad = 9;
    let rise = stage.trouble(&[8], &days[4..]);
    (rise.bad, rise.rise_us, rise.hours) = (0, 40_000, (0, 1_440));
    let mut live = Live::of(stage);
    let mut found = 0;
    for &day in &days {
        for hour in [9, 13, 19, 24] {
            live.observe(day, hour);
            let mut anew = Live {
                stage: Stage::street(0, 0),
                history: live.history.clone(),
                ledger: Ledger { remembered: Remembered::default(), ..live.ledger.clone() },
            };
            std::mem::swap(&mut anew.stage, &mut live.stage);
            let expected = anew.judge(day);
            std::mem::swap(&mut anew.stage, &mut live.stage);
            let all = live.judge(day);
            assert_eq!(all, expected, "{day} at {hour}");
            found += all.len();
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn days_that_rows_are_no_longer_kept_of_stay_with_a_finding_that_is_judged_again() {
    let all = working_days(FIRST, 60);
    let bad: Vec<Date> =
        all.iter().copied().filter(|day| day.weekday() == FIRST.weekday()).collect();
    let mut stage = Stage::street(2, 90);
    stage.trouble(&[0, 1, 2, 3], &bad);
    // The other house is silent for the last weeks, and delivers them late.
    let late: Vec<Date> = all[40..].to_vec();
    let silent = (4..8).map(|no| (no, late.clone())).collect();
    stage.silent = silent;
    let mut live = Live::of(stage);
    for &day in &all {
        live.day(day, 24);
    }
    let (id, _) = live.open()[0];
    let before = live.ledger.finding(id).unwrap().bad_days.clone();
    assert_eq!(before.first(), bad.first());
    live.stage.silent.clear();
    for &day in &late {
        live.observe(day, 24);
    }
    live.judge(all[59]);
    assert_eq!(live.ledger.finding(id).unwrap().bad_days, before);
}
