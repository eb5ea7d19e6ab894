//! Judging again, late rows, findings that turn out to be one.

use busyhour_model::IncidentState;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::beside::Beside;
use crate::finding::{Change, Finding, Place};
use crate::fleet::{BuildingNo, SeriesNo, UpstreamNo};
use crate::history::History;
use crate::judge::judge_fleet;
use crate::stage::{FIRST, Stage, params, working_days};

/// What is known, moved on by one judgement; gives what was told.
fn judge(
    stage: &Stage,
    history: &History,
    known: &mut Vec<Finding>,
    today: Date,
) -> Vec<(u64, Change)> {
    let params = params();
    let found = judge_fleet(&stage.fleet, history, known, 0, today, &params, &Beside::default());
    let mut told = Vec::new();
    for finding in found {
        if finding.changed == today {
            told.push((finding.id, finding.change));
        }
        match known.iter_mut().find(|one| one.id == finding.id) {
            Some(place) => *place = finding,
            None => known.push(finding),
        }
    }
    told
}

fn dates(until: Date) -> impl Iterator<Item = Date> {
    FIRST.series(1.day()).take_while(move |date| *date <= until)
}

#[test]
fn judging_a_day_again_tells_nothing_again() {
    let mut stage = Stage::street(3, 26);
    let first = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0, 1, 2, 3], &first);
    stage.trouble(&[4], &working_days(date(2025, 3, 12), 5)).hours = (840, 960);
    stage.trouble(&[8, 9, 10, 11], &[date(2025, 3, 13)]).bad = 14;
    let mut known = Vec::new();
    for today in dates(stage.last) {
        let history = stage.history(today);
        judge(&stage, &history, &mut known, today);
        let before = known.clone();
        let again = judge(&stage, &history, &mut known, today);
        let news: Vec<_> = again
            .iter()
            .filter(|(id, change)| !before.iter().any(|one| one.id == *id && one.change == *change))
            .collect();
        assert!(news.is_empty(), "{today}: {news:?}");
        assert_eq!(known, before, "{today}");
    }
    assert!(known.iter().any(|one| one.state == IncidentState::Closed));
}

#[test]
fn the_order_of_what_is_known_is_nobodys_business() {
    let mut stage = Stage::street(3, 26);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 3));
    stage.trouble(&[4], &working_days(date(2025, 3, 12), 5)).hours = (840, 960);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for today in dates(stage.last) {
        let history = stage.history(today);
        judge(&stage, &history, &mut forward, today);
        backward.reverse();
        judge(&stage, &history, &mut backward, today);
        backward.sort_by_key(|one: &Finding| one.id);
    }
    assert_eq!(forward, backward);
}

#[test]
fn late_rows_of_a_bad_day_open_what_they_would_have_opened() {
    let mut stage = Stage::street(3, 12);
    let bad = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0, 1, 2, 3], &bad);
    let mut late = Stage::street(3, 12);
    late.troubles = stage.troubles.clone();
    // Of the second bad day nothing arrived in time.
    late.silent = (0..12).map(|no| (no, vec![bad[1]])).collect();
    let mut known = Vec::new();
    for today in dates(bad[2]) {
        judge(&late, &late.history(today), &mut known, today);
    }
    assert_eq!(known[0].state, IncidentState::Suspected);
    // It arrives on the day after, and the last day that is there is judged again.
    let told = judge(&stage, &stage.history(bad[2]), &mut known, bad[2]);
    assert_eq!(told, [(1, Change::Opened)]);
    assert_eq!(known[0].bad_days, bad);
}

#[test]
fn late_rows_that_are_good_close_nothing_before_their_time() {
    let mut stage = Stage::street(3, 26);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 3));
    let mut known = Vec::new();
    for today in dates(date(2025, 3, 14)) {
        judge(&stage, &stage.history(today), &mut known, today);
    }
    assert_eq!(known[0].state, IncidentState::Open);
    // The rows of a bad day turn out to have been another series': now two days are bad.
    let mut other = Stage::street(3, 26);
    other.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 2));
    let told = judge(&other, &other.history(date(2025, 3, 14)), &mut known, date(2025, 3, 14));
    assert!(told.iter().all(|(_, change)| *change != Change::Opened), "{told:?}");
    assert_eq!(known.len(), 1);
}

#[test]
fn what_turns_out_to_be_the_upstreams_is_one_finding_from_then_on() {
    let mut stage = Stage::street(5, 26);
    let days = working_days(date(2025, 3, 10), 8);
    stage.trouble(&[0, 1, 2, 3], &days);
    stage.trouble(&[4, 5, 6, 7], &days);
    let later: Vec<u32> = (8..20).collect();
    stage.trouble(&later, &days[3..]);
    let mut known = Vec::new();
    for today in dates(days[7]) {
        judge(&stage, &stage.history(today), &mut known, today);
    }
    let open: Vec<&Finding> = known.iter().filter(|one| one.state == IncidentState::Open).collect();
    assert_eq!(open.len(), 1, "{:#?}", known.iter().map(|one| &one.sentence).collect::<Vec<_>>());
    assert_eq!(open[0].place, Place::Upstream(UpstreamNo(0)));
    assert_eq!(open[0].id, 1, "the oldest keeps its identity");
    let merged: Vec<Option<u64>> = known
        .iter()
        .filter(|one| one.change == Change::Merged)
        .map(|one| one.merged_into)
        .collect();
    assert!(merged.contains(&Some(1)), "{merged:?}");
    let openings: u32 = known.iter().map(|one| one.openings).sum();
    assert_eq!(openings, 2, "the two buildings, and nothing after");
}

#[test]
fn two_faults_of_a_building_at_other_hours_are_two() {
    let mut stage = Stage::street(2, 26);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 3));
    stage.trouble(&[2], &working_days(date(2025, 3, 17), 4)).hours = (900, 1020);
    let told = stage.told();
    let opened: Vec<(u64, Place)> = told
        .iter()
        .filter(|(_, one)| one.change == Change::Opened)
        .map(|(_, one)| (one.id, one.place))
        .collect();
    assert_eq!(opened.len(), 2, "{opened:?}");
    assert_eq!(opened[0].1, Place::Building(BuildingNo(0)));
    assert!(opened[1].1.kind() == "subnet" && opened[1].0 != opened[0].0, "{opened:?}");
}

#[test]
fn two_stretches_of_one_fault_are_one() {
    let mut stage = Stage::street(2, 26);
    let days = working_days(date(2025, 3, 10), 4);
    stage.trouble(&[0, 1, 2, 3], &days);
    stage.trouble(&[0, 1, 2, 3], &days).hours = (900, 960);
    let told = stage.told();
    let opened = told.iter().filter(|(_, one)| one.change == Change::Opened).count();
    assert_eq!(opened, 1);
}

#[test]
fn a_suspicion_ends_by_itself_and_alerts_nobody() {
    let mut stage = Stage::street(2, 20);
    stage.trouble(&[0, 1, 2, 3], &[date(2025, 3, 10)]);
    let told = stage.told();
    let words: Vec<Change> = told.iter().map(|(_, one)| one.change).collect();
    assert_eq!(words, [Change::Suspected, Change::Closed]);
    assert_eq!(told[1].1.openings, 0);
}

#[test]
fn days_without_observation_neither_open_nor_close() {
    let mut stage = Stage::street(3, 30);
    let bad = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0, 1, 2, 3], &bad);
    let plain = stage.words();
    // A week in which nobody measured, right after the last bad day.
    let silent = working_days(date(2025, 3, 13), 5);
    stage.silent = (0..12).map(|no| (no, silent.clone())).collect();
    let later = stage.words();
    assert_eq!(plain.len(), later.len());
    assert_eq!(plain[..2], later[..2]);
    assert!(plain[3] < later[3], "{later:#?}");
}

#[test]
fn a_week_that_stays_open_is_told_of_again() {
    let mut stage = Stage::street(2, 26);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 12));
    let words = stage.words();
    assert!(words.contains(&"03-19 updated building House A".to_owned()), "{words:#?}");
    assert_eq!(words.iter().filter(|one| one.contains("opened")).count(), 1);
}

#[test]
fn upstream_hours_are_local_where_each_building_is() {
    let mut stage = Stage::street(4, 19);
    // Two buildings live two hours further east; the fault has one hour for all.
    for building in 2..4 {
        stage.fleet.buildings[building].zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
    }
    let all: Vec<u32> = (0..16).collect();
    stage.trouble(&all, &working_days(date(2025, 3, 10), 3));
    let words = stage.words();
    assert!(words.contains(&"03-12 opened upstream ISP".to_owned()), "{words:#?}");
    assert!(words.contains(&"03-18 closed upstream ISP".to_owned()), "{words:#?}");
    let told = stage.told();
    let named = told.iter().any(|(_, one)| one.sentence.contains("local time of House"));
    assert!(named, "{}", told[0].1.sentence);
    assert_eq!(words.iter().filter(|one| one.contains("opened")).count(), 1, "{words:#?}");
}

#[test]
fn an_early_warning_holds_while_busy_hours_are_slower_within_the_limits() {
    let mut stage = Stage::street(2, 40);
    let trouble = stage.trouble(&[0, 1, 2, 3], &working_days(FIRST, 15));
    trouble.hours = (480, 1080);
    trouble.bad = 0;
    trouble.rise_us = 12_000;
    let told = stage.told();
    let words: Vec<(&str, Change)> =
        told.iter().map(|(_, one)| (one.kind.as_str(), one.change)).collect();
    assert_eq!(words.first(), Some(&("early-warning", Change::Opened)), "{words:?}");
    assert_eq!(words.last(), Some(&("early-warning", Change::Closed)), "{words:?}");
    assert!(told[0].1.sentence.contains("12 ms longer"), "{}", told[0].1.sentence);
    assert!(told[0].1.members.contains(&SeriesNo(0)));
}
