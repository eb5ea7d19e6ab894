//! Small fleets, replayed day by day.

use busyhour_model::{Breach, IncidentState};
use jiff::civil::date;

use super::Judge;
use crate::finding::{Cause, Change, FindingKind, Mechanism, Place};
use crate::fleet::{BuildingNo, Reach, SeriesNo, SubnetNo, UpstreamNo};
use crate::layout::Layout;
use crate::life::Book;
use crate::params::{Params, Rule};
use crate::stage::{FIRST, Stage, params, working_days};
use crate::trigger::Trigger;

/// The first working days from the first Monday on.
fn days(count: usize) -> Vec<jiff::civil::Date> {
    working_days(FIRST, count)
}

#[test]
fn what_a_building_shares_is_suspected_opened_and_closed_once() {
    let mut stage = Stage::street(3, 28);
    let all = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0, 1, 2, 3], &all).rise_us = 12_000;
    assert_eq!(
        stage.words(),
        [
            "03-10 suspected building House A",
            "03-12 opened building House A",
            "03-17 recovering building House A",
            "03-18 closed building House A",
        ],
    );
    let opened = stage.told().into_iter().find(|(_, one)| one.change == Change::Opened);
    let (_, finding) = opened.unwrap();
    assert_eq!(finding.kind, FindingKind::RecurringPeak);
    assert_eq!(finding.hours, crate::Quarters::between(600, 750));
    assert_eq!(finding.members.len(), 4);
    assert_eq!((finding.first_bad, finding.last_bad), (all[0], all[2]));
    assert!(finding.confidence >= 0.9, "{}", finding.confidence);
    assert!((finding.severity - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(finding.cause, Cause::Bandwidth, "{:?}", finding.evidence);
    assert_eq!(finding.mechanism, Mechanism::Queue);
}

#[test]
fn each_place_is_told_by_who_suffers_and_who_does_not() {
    let check = |series: &[u32], expected: &str| {
        let mut stage = Stage::street(5, 12);
        stage.trouble(series, &working_days(date(2025, 3, 10), 3));
        let words = stage.words();
        let opened: Vec<&String> = words.iter().filter(|one| one.contains("opened")).collect();
        assert_eq!(opened, [&format!("03-12 opened {expected}")], "{words:#?}");
    };
    check(&[0], "subnet 10.0.0.0/24");
    check(&[0, 1], "link House A on wired");
    check(&[2], "subnet 10.0.2.0/24");
    check(&[3], "subnet 10.0.3.0/24");
    check(&[3, 7, 11, 15, 19], "vpn concentrator");
    check(&[0, 1, 2, 3], "building House A");
    let behind: Vec<u32> = (0..20).collect();
    check(&behind, "upstream ISP");
    let four_of_five: Vec<u32> = (0..16).collect();
    check(&four_of_five, "upstream ISP");
}

#[test]
fn several_buildings_are_no_upstream_when_others_behind_it_are_fine() {
    let mut stage = Stage::street(5, 12);
    stage.trouble(&[0, 1, 2, 3, 4, 5, 6, 7], &working_days(date(2025, 3, 10), 3));
    let words = stage.words();
    assert!(words.contains(&"03-12 opened building House A".to_owned()), "{words:#?}");
    assert!(words.contains(&"03-12 opened building House B".to_owned()), "{words:#?}");
}

#[test]
fn one_bad_machine_among_several_is_the_machine() {
    let mut stage = Stage::street(2, 12);
    let agents = [stage.agent(), stage.agent()];
    for agent in agents {
        stage.add(0, |info| info.agent = agent);
    }
    stage.trouble(&[0], &working_days(date(2025, 3, 10), 3));
    assert!(
        stage.words().contains(&"03-12 opened agent agent-0".to_owned()),
        "{:#?}",
        stage.words()
    );
}

#[test]
fn one_series_alone_gets_no_guess() {
    let mut stage = Stage::street(1, 12);
    stage.fleet.series.truncate(1);
    stage.trouble(&[0], &working_days(date(2025, 3, 10), 3));
    assert_eq!(
        stage.words(),
        ["03-10 suspected unplaced House A", "03-12 opened unplaced House A"]
    );
}

#[test]
fn the_way_to_the_edge_tells_inside_from_outside() {
    for (near_suffers, expected) in [(true, "subnet 10.0.0.0/24"), (false, "building House A")] {
        let mut stage = Stage::street(1, 12);
        stage.fleet.series.truncate(1);
        let near = stage.add(0, |info| info.reach = Reach::Near);
        let suffering = if near_suffers { vec![0, near] } else { vec![0] };
        stage.trouble(&suffering, &working_days(date(2025, 3, 10), 3));
        let words = stage.words();
        assert_eq!(words.last(), Some(&format!("03-12 opened {expected}")), "{words:#?}");
    }
}

#[test]
fn a_finding_comes_back_under_its_identity() {
    let mut stage = Stage::street(2, 26);
    let bad = [working_days(date(2025, 3, 10), 3), working_days(date(2025, 3, 26), 3)].concat();
    stage.trouble(&[0, 1, 2, 3], &bad);
    let told = stage.told();
    let story: Vec<(u64, &str)> =
        told.iter().map(|(_, finding)| (finding.id, finding.change.as_str())).collect();
    assert_eq!(
        story,
        [(1, "suspected"), (1, "opened"), (1, "recovering"), (1, "closed"), (1, "reopened"),],
    );
    let again = &told.last().unwrap().1;
    assert_eq!((again.openings, again.first_bad), (2, bad[3]));
    assert_eq!(again.bad_days, bad[3..]);
}

#[test]
fn silence_makes_it_stale_and_closes_nothing() {
    let mut stage = Stage::street(2, 40);
    let bad = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0, 1, 2, 3], &bad);
    let silent = working_days(date(2025, 3, 13), 30);
    stage.silent = (0..4).map(|series| (series, silent.clone())).collect();
    let told = stage.told();
    let words: Vec<&str> = told.iter().map(|(_, one)| one.change.as_str()).collect();
    assert_eq!(words, ["suspected", "opened", "stale"]);
    let last = &told.last().unwrap().1;
    assert!(last.stale && last.state == IncidentState::Open);
    assert_eq!(told.last().unwrap().0, date(2025, 3, 26), "the tenth working day");
}

#[test]
fn a_weekly_pattern_does_not_close_between_its_days() {
    let mut stage = Stage::street(2, 49);
    let mondays = [date(2025, 3, 3), date(2025, 3, 10), date(2025, 3, 17), date(2025, 3, 24)];
    stage.trouble(&[0, 1, 2, 3], &mondays);
    let told = stage.told();
    let weekly: Vec<(String, &str)> = told
        .iter()
        .filter(|(_, one)| one.kind == FindingKind::WeeklyPattern)
        .map(|(date, one)| (date.to_string(), one.change.as_str()))
        .collect();
    assert_eq!(weekly[0], ("2025-03-17".to_owned(), "opened"), "{weekly:?}");
    let closed = weekly.iter().find(|(_, change)| *change == "closed").unwrap();
    assert_eq!(closed.0, "2025-04-07", "the second Monday that is fine: {weekly:?}");
    let opened = weekly.iter().filter(|(_, change)| change.contains("opened")).count();
    assert_eq!(opened, 1, "{weekly:?}");
    assert!(told.iter().any(|(_, one)| one.sentence.contains("on Mondays")));
}

#[test]
fn a_constant_fault_is_told_as_one() {
    let mut stage = Stage::street(2, 21);
    let trouble = stage.trouble(&[0], &days(15));
    trouble.hours = (0, 1440);
    let told = stage.told();
    let opened: Vec<_> = told.iter().filter(|(_, one)| one.change == Change::Opened).collect();
    assert_eq!(opened.len(), 1, "{:?}", stage.words());
    assert_eq!(opened[0].1.kind, FindingKind::ConstantFault);
    assert_eq!(opened[0].1.place, Place::Subnet(SubnetNo(0), None));
    assert!(opened[0].1.sentence.contains("all day, not only at busy hours"));
}

#[test]
fn a_queue_over_wifi_and_a_full_link_have_other_causes() {
    let cause = |series: &[u32], by: Breach, rise_us: u32| {
        let mut stage = Stage::street(3, 12);
        let trouble = stage.trouble(series, &working_days(date(2025, 3, 10), 3));
        trouble.by = by;
        trouble.rise_us = rise_us;
        let told = stage.told();
        let (_, finding) = told.iter().find(|(_, one)| one.change == Change::Opened).unwrap();
        (finding.cause, finding.mechanism)
    };
    assert_eq!(cause(&[2], Breach::Jitter, 0), (Cause::Wifi, Mechanism::Radio));
    assert_eq!(cause(&[0, 1, 2, 3], Breach::Delay, 90_000), (Cause::Bandwidth, Mechanism::Queue));
    assert_eq!(cause(&[3, 7, 11], Breach::Loss, 0), (Cause::Vpn, Mechanism::Drop));
    assert_eq!(cause(&[0, 1, 2, 3], Breach::Loss, 0), (Cause::NotKnown, Mechanism::Drop));
    let all: Vec<u32> = (0..12).collect();
    assert_eq!(cause(&all, Breach::Delay, 90_000), (Cause::Provider, Mechanism::Queue));
}

#[test]
fn the_target_is_blamed_for_what_it_does_and_no_building() {
    let mut stage = Stage::street(3, 12);
    let (bad, good) = (stage.target("bad"), stage.target("good"));
    let own = stage.fleet.series.len() as u32;
    for no in 0..own {
        stage.fleet.series[no as usize].target = Some(bad);
        stage.add(no, |info| info.target = Some(good));
    }
    let suffering: Vec<u32> = (0..own).collect();
    stage.trouble(&suffering, &working_days(date(2025, 3, 10), 3)).by = Breach::Failed;
    let told = stage.told();
    assert!(told.iter().all(|(_, one)| one.kind == FindingKind::TargetFault), "{told:#?}");
    let words: Vec<&str> = told.iter().map(|(_, one)| one.change.as_str()).collect();
    assert_eq!(words, ["opened", "closed"]);
    assert_eq!(told[0].1.place, Place::Target(bad));
    assert!(told[0].1.sentence.contains("No building is blamed for it."));
}

#[test]
fn one_bad_night_is_for_operations_and_alerts_nobody() {
    let mut stage = Stage::street(2, 12);
    let trouble = stage.trouble(&[0, 1, 2, 3], &[date(2025, 3, 11)]);
    trouble.hours = (120, 240);
    trouble.bad = 14;
    let told = stage.told();
    let words: Vec<(FindingKind, Change)> =
        told.iter().map(|(_, one)| (one.kind, one.change)).collect();
    assert_eq!(
        words,
        [(FindingKind::OneOff, Change::Opened), (FindingKind::OneOff, Change::Closed)]
    );
    assert_eq!(told[0].1.place, Place::Building(BuildingNo(0)));
}

#[test]
fn another_route_is_told_once_and_alerts_nobody() {
    let mut stage = Stage::street(2, 28);
    let trouble = stage.trouble(&[0, 1, 2, 3], &days(20)[10..]);
    trouble.hours = (0, 1440);
    trouble.bad = 0;
    trouble.rise_us = 30_000;
    let told = stage.told();
    let words: Vec<(FindingKind, Change)> =
        told.iter().map(|(_, one)| (one.kind, one.change)).collect();
    assert_eq!(words, [(FindingKind::LevelShift, Change::Opened)], "{told:#?}");
    assert_eq!(told[0].1.first_bad, days(20)[10]);
    assert_eq!(told[0].1.place, Place::Building(BuildingNo(0)));
}

#[test]
fn what_each_series_shows_too_little_of_is_found_in_their_sum() {
    let mut stage = Stage::street(2, 21);
    // Four bad windows of sixty an hour: below the floor of six.
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 3)).bad = 1;
    let told = stage.told();
    let words: Vec<(Change, Place)> = told.iter().map(|(_, one)| (one.change, one.place)).collect();
    let house = Place::Building(BuildingNo(0));
    assert_eq!(words.first(), Some(&(Change::Opened, house)), "{words:?}");
    assert_eq!(words.last(), Some(&(Change::Closed, house)), "{words:?}");
    assert!(told[0].1.sentence.contains("12 of 180 checks"), "{}", told[0].1.sentence);
    let rules = params().rules.without(Rule::Union);
    assert!(stage.told_by(&Params { rules, ..params() }).is_empty());
}

#[test]
fn what_is_open_for_one_of_them_is_not_told_again_of_their_sum() {
    let mut stage = Stage::street(2, 12);
    let days = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0], &days);
    let (_, known) = stage.told().pop().unwrap();
    assert_eq!(known.state, IncidentState::Open);
    let (layout, history, params) = (Layout::of(&stage.fleet), stage.history(days[2]), params());
    let judge = Judge {
        fleet: &stage.fleet,
        layout: &layout,
        history: &history,
        today: days[2],
        params: &params,
        remembered: &std::cell::RefCell::default(),
    };
    let known = [known];
    let book = Book::of(&stage.fleet, &history, &known, 0, days[2]);
    let told = |series: &[u32], hours, pooled| {
        let trigger = Trigger {
            series: series.iter().copied().map(SeriesNo).collect(),
            building: BuildingNo(0),
            kind: FindingKind::RecurringPeak,
            recurs: true,
            hours: crate::Quarters::between(hours, hours + 60),
            bad_days: days.clone(),
            pooled,
            delay_alone: false,
            share: 0.2,
        };
        judge.is_told(&book, &trigger)
    };
    assert!(told(&[1, 0, 2], 600, true));
    assert!(!told(&[1, 2], 600, true), "of these nothing is open");
    assert!(!told(&[1, 0, 2], 900, true), "nor at these hours");
    assert!(!told(&[0], 600, false), "what a series shows by itself goes on");
}

#[test]
fn days_that_point_elsewhere_make_a_place_less_sure() {
    let sure = |of_days: [&[u32]; 3]| {
        let mut stage = Stage::street(4, 21);
        for (series, day) in of_days.into_iter().zip(working_days(date(2025, 3, 10), 3)) {
            stage.trouble(series, &[day]);
        }
        let told = stage.told();
        let (_, finding) = told.iter().find(|(_, one)| one.change == Change::Opened).unwrap();
        finding.confidence
    };
    let alike = sure([&[0], &[0], &[0]]);
    let mixed = sure([&[0, 1, 2, 3], &[0, 1], &[0]]);
    assert!(alike >= 0.9 && mixed < 0.9, "{alike} {mixed}");
}

#[test]
fn what_keeps_to_half_an_hour_is_less_sure() {
    let sure = |hours| {
        let mut stage = Stage::street(4, 21);
        let trouble = stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 3));
        trouble.hours = hours;
        trouble.bad = 7;
        let told = stage.told();
        let (_, finding) = told.iter().find(|(_, one)| one.change == Change::Opened).unwrap();
        (finding.hours.count(), finding.confidence)
    };
    let (long, short) = (sure((600, 660)), sure((600, 630)));
    assert_eq!((long.0, short.0), (4, 2));
    assert!(long.1 >= 0.9 && short.1 < 0.9, "{long:?} {short:?}");
}

#[test]
fn agents_that_take_turns_are_judged_together() {
    let mut stage = Stage::street(2, 14);
    let days = working_days(date(2025, 3, 10), 3);
    stage.trouble(&[0, 1, 2, 3], &days);
    // Each day another one of the building's machines is there.
    stage.silent = (0..4u32)
        .map(|no| {
            (
                no,
                days.iter()
                    .copied()
                    .zip(0..)
                    .filter(|(_, at)| *at != no % 3)
                    .map(|d| d.0)
                    .collect(),
            )
        })
        .collect();
    let opened = stage.words().iter().filter(|one| one.contains("opened")).count();
    assert_eq!(opened, 1, "{:#?}", stage.words());
}

#[test]
fn two_strong_days_open_what_three_would() {
    let mut stage = Stage::street(2, 14);
    stage.trouble(&[0, 1, 2, 3], &working_days(date(2025, 3, 10), 3));
    let told = stage.told_by(&Params::default());
    let opened = told.iter().find(|(_, one)| one.change == Change::Opened).unwrap();
    assert_eq!(opened.0, date(2025, 3, 11));
    assert!(opened.1.confidence < 0.96, "two days are less sure than three");
}

#[test]
fn what_a_finding_points_to_is_asked_by_the_clock_of_who_is_asked() {
    let mut stage = Stage::street(5, 12);
    stage.fleet.buildings[1].zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(6));
    let days = working_days(date(2025, 3, 10), 3);
    stage.trouble(&(0..20).collect::<Vec<_>>(), &days);
    // House B, six hours ahead, named the hours; on the last day it was silent.
    stage.silent = (4..8).map(|no| (no, vec![days[2]])).collect();
    let (_, mut known) = stage.told().pop().unwrap();
    known.home = BuildingNo(1);
    known.hours = crate::Quarters::between(960, 1110);
    known.members = (0..20).map(SeriesNo).collect();
    (known.last_bad, known.bad_days) = (days[2], days.clone());
    let (layout, history, params) = (Layout::of(&stage.fleet), stage.history(days[2]), params());
    let judge = Judge {
        fleet: &stage.fleet,
        layout: &layout,
        history: &history,
        today: days[2],
        params: &params,
        remembered: &std::cell::RefCell::default(),
    };
    assert!(judge.points_to(&known, Place::Upstream(UpstreamNo(0))));
    assert!(!judge.points_to(&known, Place::Building(BuildingNo(0))));
}
