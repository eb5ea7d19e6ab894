//! Scoring by hand-made cases: one truth, what somebody told, and what that is worth.

use std::collections::BTreeSet;

use busyhour_model::LinkKind;
use jiff::civil::{Date, date};

use super::*;
use crate::world::{BadDay, NamedPlace, PlaceKind, Reach, Truth};

/// A Monday; the ground is watched for twelve weeks from it.
const FIRST: Date = date(2025, 3, 3);

fn day(number: i64) -> Date {
    later(FIRST, number)
}

/// Working days among these day numbers.
fn workdays(numbers: impl IntoIterator<Item = i64>) -> Vec<Date> {
    numbers.into_iter().filter(|number| number % 7 < 5).map(day).collect()
}

/// Three buildings behind one provider, each with a wired and a Wi-Fi series.
fn ground(truths: Vec<Truth>) -> Ground {
    let building = |name: &str| GroundBuilding {
        name: name.to_owned(),
        works: [true, true, true, true, true, false, false],
        closed: BTreeSet::new(),
    };
    let series = |building: u32, link: LinkKind| GroundSeries {
        name: format!("s{building}-{}", link.as_str()),
        building,
        subnet: format!("10.{building}.{}.0/24", link as u8),
        agent: format!("a{building}-{}", link.as_str()),
        link,
        upstream: Some("north".to_owned()),
        target: None,
        reach: Reach::Far,
    };
    let links = [LinkKind::Wired, LinkKind::Wifi];
    Ground {
        first: FIRST,
        days: 84,
        buildings: ["A", "B", "C"].map(building).into(),
        series: (0..3).flat_map(|number| links.map(|link| series(number, link))).collect(),
        truths,
    }
}

/// Building A's link is too full from ten to twelve on the working days of weeks three and four.
fn episode() -> Truth {
    let dates = workdays(14..28);
    Truth {
        id: 1,
        kind: TruthKind::Episode,
        class: Class::Must,
        place: NamedPlace::new(PlaceKind::Building, "A"),
        same_as: Vec::new(),
        mechanism: "fifo saturation".to_owned(),
        causes: vec!["bandwidth".to_owned(), "provider".to_owned()],
        series: vec![0, 1],
        buildings: vec![0],
        hours: vec![(600, 720)],
        from: day(14),
        until: day(27),
        active: dates.clone(),
        bad: dates.iter().map(|&date| BadDay { date, worst_share: 0.5 }).collect(),
        severity: 0.5,
    }
}

fn negative(kind: TruthKind, series: Vec<u32>, from: i64, until: i64) -> Truth {
    Truth {
        id: 2,
        kind,
        class: Class::Never,
        series,
        hours: Vec::new(),
        from: day(from),
        until: day(until),
        active: (from..=until).map(day).collect(),
        bad: Vec::new(),
        ..episode()
    }
}

/// What a good detector says of the episode on the day with this number.
fn word(event: ToldEvent, number: i64) -> ToldFinding {
    ToldFinding {
        id: 7,
        event,
        date: day(number),
        kind: ToldKind::RecurringPeak,
        place: NamedPlace::new(PlaceKind::Building, "A"),
        members: vec![0, 1],
        hours: vec![(600, 720)],
        days: workdays(14..=number),
        confidence: 0.95,
        cause: "bandwidth".to_owned(),
    }
}

fn found_and_closed() -> Vec<ToldFinding> {
    vec![
        word(ToldEvent::Suspected, 14),
        word(ToldEvent::Opened, 16),
        word(ToldEvent::Updated, 21),
        word(ToldEvent::Closed, 34),
    ]
}

fn score(truths: Vec<Truth>, told: &[ToldFinding]) -> Tally {
    Tally::of(&ground(truths), told)
}

#[test]
fn an_episode_told_in_time_and_closed_in_time_is_all_right() {
    let tally = score(vec![episode()], &found_and_closed());
    let report = Report::of(tally.clone());
    assert_eq!((tally.must, tally.must_found, tally.must_carried), (1, 1, 0));
    assert_eq!((tally.alerts, tally.explained, tally.false_total()), (1, 1, 0));
    assert_eq!(tally.days_to_detect, BTreeMap::from([(2, 1)]));
    assert_eq!((report.sure_right.hits, report.sure_right.of), (1, 1));
    assert_eq!((report.sure.hits, report.sure.of), (1, 1));
    assert_eq!(report.alerts_per_cause, Some(1.0));
    assert_eq!((report.stuck.hits, report.stuck.of), (0, 1));
    assert_eq!((report.cause_named.hits, report.cause_right.hits), (1, 1));
    assert_eq!(tally.building_days, 3 * 84);
    assert!((report.building_months - 8.4).abs() < 1e-9);
}

#[test]
fn silence_finds_nothing_and_alarms_nobody() {
    let tally = score(vec![episode()], &[]);
    assert_eq!((tally.must, tally.must_found, tally.alerts, tally.ended), (1, 0, 0, 0));
    let report = Report::of(tally);
    assert_eq!((report.recall.share, report.alerts_per_cause), (Some(0.0), None));
}

#[test]
fn an_alert_a_day_before_anything_was_active_is_false() {
    // Monday is the first active day; Sunday's alert knows nothing of it.
    let told = [ToldFinding { days: vec![day(13)], ..word(ToldEvent::Opened, 13) }];
    let tally = score(vec![episode()], &told);
    assert_eq!((tally.must_found, tally.explained, tally.false_total()), (0, 0, 1));
}

#[test]
fn an_alert_on_active_days_before_the_first_truly_bad_one_finds_it_at_once() {
    let mut weak_at_first = episode();
    weak_at_first.bad.drain(..3);
    let tally = score(vec![weak_at_first], &found_and_closed());
    assert_eq!((tally.must_found, tally.false_total()), (1, 0));
    assert_eq!(tally.days_to_detect, BTreeMap::from([(0, 1)]));
}

#[test]
fn an_alert_counts_until_five_working_days_after_the_last_bad_day() {
    // The last bad day is the Friday of week four (25); five working days later is the next Friday.
    for (number, found) in [(28, 1), (32, 1), (33, 0), (35, 0)] {
        let tally = score(vec![episode()], &[word(ToldEvent::Opened, number)]);
        assert_eq!((tally.must_found, tally.explained), (found, found), "day {number}");
        assert_eq!(tally.false_total(), 1 - found, "day {number}");
    }
}

#[test]
fn working_days_to_detect_skip_weekends_and_closures() {
    let tally = score(vec![episode()], &[word(ToldEvent::Opened, 21)]);
    assert_eq!(tally.days_to_detect, BTreeMap::from([(5, 1)]));
    let mut closed = ground(vec![episode()]);
    closed.buildings[0].closed.insert(day(16));
    let tally = Tally::of(&closed, &[word(ToldEvent::Opened, 21)]);
    assert_eq!(tally.days_to_detect, BTreeMap::from([(4, 1)]));
}

#[test]
fn a_day_is_a_working_day_where_half_of_the_buildings_work() {
    let both = Truth { series: vec![0, 2], buildings: vec![0, 1], ..episode() };
    let mut ground = ground(vec![both]);
    for (building, days) in [(0, 3), (1, 2)] {
        ground.buildings[building].closed.insert(day(16));
        let tally = Tally::of(&ground, &[word(ToldEvent::Opened, 17)]);
        assert_eq!(tally.days_to_detect, BTreeMap::from([(days, 1)]), "building {building} closed");
    }
}

#[test]
fn an_alert_on_a_sibling_building_is_false_and_finds_nothing() {
    let told = [ToldFinding { members: vec![2, 3], ..word(ToldEvent::Opened, 16) }];
    let tally = score(vec![episode()], &told);
    assert_eq!((tally.must_found, tally.false_total()), (0, 1));
    assert_eq!(tally.false_alerts, BTreeMap::from([(Reason::Nothing, 1)]));
}

#[test]
fn an_alert_on_another_series_of_the_same_building_is_false_and_says_so() {
    let wired_only = Truth { series: vec![0], ..episode() };
    let told = [ToldFinding { members: vec![1], ..word(ToldEvent::Opened, 16) }];
    let tally = score(vec![wired_only], &told);
    assert_eq!(tally.must_found, 0);
    assert_eq!(tally.false_alerts, BTreeMap::from([(Reason::EpisodeElsewhere, 1)]));
}

#[test]
fn an_alert_at_other_hours_of_the_day_is_false() {
    for (hours, found) in [
        (vec![(840, 900)], 0),
        (vec![(765, 825)], 0),
        (vec![(764, 825)], 1),
        (vec![(840, 900), (540, 600)], 1),
        (vec![], 1),
    ] {
        let told = [ToldFinding { hours: hours.clone(), ..word(ToldEvent::Opened, 16) }];
        let tally = score(vec![episode()], &told);
        assert_eq!((tally.must_found, tally.false_total()), (found, 1 - found), "{hours:?}");
    }
}

#[test]
fn two_alerts_of_one_cause_are_two_for_one() {
    let mut told = found_and_closed();
    told.push(ToldFinding {
        id: 8,
        place: NamedPlace::on(PlaceKind::Link, "A", LinkKind::Wifi),
        members: vec![1],
        ..word(ToldEvent::Opened, 17)
    });
    let tally = score(vec![episode()], &told);
    let report = Report::of(tally.clone());
    assert_eq!((tally.alerts, tally.reasons, tally.false_total()), (2, 1, 0));
    assert_eq!(report.alerts_per_cause, Some(2.0));
    assert_eq!((report.sure_right.hits, report.sure_right.of), (1, 2));
}

#[test]
fn what_comes_back_within_three_weeks_is_the_same_alert_and_later_another() {
    for (number, alerts) in [(40, 1), (55, 1), (56, 2)] {
        let mut told = found_and_closed();
        told.push(word(ToldEvent::Reopened, number));
        let tally = score(vec![episode()], &told);
        assert_eq!(tally.alerts, alerts, "day {number}");
        assert_eq!(tally.false_total(), alerts - 1, "day {number}");
    }
}

#[test]
fn an_incident_never_closed_is_stuck_thirty_days_after_its_cause_ended() {
    let tally = score(vec![episode()], &found_and_closed()[..3]);
    assert_eq!((tally.ended, tally.stuck, tally.stuck_stale), (1, 1, 0));
    let mut told = found_and_closed()[..3].to_vec();
    told.push(word(ToldEvent::Stale, 45));
    assert_eq!(score(vec![episode()], &told).stuck_stale, 1);
    // Closed a day late, and on the very day.
    told.push(word(ToldEvent::Closed, 56));
    assert_eq!(score(vec![episode()], &told).stuck, 1);
    told.push(word(ToldEvent::Closed, 55));
    assert_eq!(score(vec![episode()], &told).stuck, 0);
}

#[test]
fn what_another_truth_keeps_open_is_not_stuck() {
    let mut again = episode();
    again.id = 2;
    again.active = workdays(35..60);
    again.bad = again.active.iter().map(|&date| BadDay { date, worst_share: 0.4 }).collect();
    (again.from, again.until) = (day(35), day(59));
    let told = &found_and_closed()[..3];
    // 59 + 30 lies beyond the end: nobody can say.
    let tally = score(vec![episode(), again.clone()], told);
    assert_eq!((tally.ended, tally.stuck), (0, 0));
    // At other hours it keeps nothing open.
    again.hours = vec![(900, 960)];
    let tally = score(vec![episode(), again], told);
    assert_eq!((tally.ended, tally.stuck), (1, 1));
}

#[test]
fn an_episode_is_found_by_an_incident_that_is_open_already_when_it_counts_its_days() {
    let mut again = episode();
    again.id = 2;
    again.active = workdays(28..40);
    again.bad = again.active.iter().map(|&date| BadDay { date, worst_share: 0.4 }).collect();
    (again.from, again.until) = (day(28), day(39));
    let mut told = found_and_closed()[..3].to_vec();
    let silent = score(vec![episode(), again.clone()], &told);
    assert_eq!((silent.must, silent.must_found), (2, 1));
    told.push(ToldFinding { days: workdays(14..32), ..word(ToldEvent::Updated, 32) });
    let tally = score(vec![episode(), again], &told);
    assert_eq!((tally.must, tally.must_found, tally.must_carried), (2, 2, 1));
    assert_eq!(tally.days_to_detect, BTreeMap::from([(0, 1), (2, 1)]));
}

#[test]
fn an_alert_belongs_to_the_truth_that_agrees_best_with_its_days_hours_and_series() {
    let provider = Truth {
        id: 2,
        place: NamedPlace::new(PlaceKind::Upstream, "north"),
        series: vec![0, 1, 2, 3, 4, 5],
        buildings: vec![0, 1, 2],
        hours: vec![(630, 750)],
        ..episode()
    };
    let mut later = episode();
    later.id = 3;
    later.bad.drain(..5);
    let place_of = |told: &ToldFinding| {
        let truths = vec![episode(), provider.clone(), later.clone()];
        let mut all = vec![told.clone()];
        all[0].event = ToldEvent::Opened;
        let (tally, _) = Tally::with_details(&ground(truths), &all);
        tally.places.keys().map(|(truth, _)| *truth).collect::<Vec<_>>()
    };
    let own = word(ToldEvent::Opened, 18);
    assert_eq!(place_of(&own), ["building"]);
    let everywhere = ToldFinding { members: vec![0, 1, 2, 3, 4, 5], ..own.clone() };
    assert_eq!(place_of(&everywhere), ["upstream"]);
    // Two of three series and most of its hours against three of six and all of them.
    let members = vec![0, 1, 2];
    let at_its_hours = ToldFinding { members, hours: vec![(630, 750)], ..own };
    assert_eq!(place_of(&at_its_hours), ["upstream"]);
    let at_both = ToldFinding { hours: vec![(600, 750)], ..at_its_hours };
    assert_eq!(place_of(&at_both), ["building"]);
}

#[test]
fn a_place_is_right_by_its_name_or_by_one_that_means_the_same() {
    let mut truth = episode();
    truth.same_as = vec![NamedPlace::new(PlaceKind::Upstream, "south")];
    for (place, right, by_another_word) in [
        (NamedPlace::new(PlaceKind::Building, "A"), 1, 0),
        (NamedPlace::new(PlaceKind::Upstream, "south"), 1, 1),
        (NamedPlace::new(PlaceKind::Building, "B"), 0, 0),
        (NamedPlace::on(PlaceKind::Link, "A", LinkKind::Wired), 0, 0),
        (NamedPlace::new(PlaceKind::Unplaced, "A"), 0, 0),
    ] {
        let mut told = found_and_closed();
        told[2].place = place.clone();
        let placed = score(vec![truth.clone()], &told).placed[9];
        assert_eq!((placed.incidents, placed.right), (1, right), "{place}");
        assert_eq!(placed.by_another_word, by_another_word, "{place}");
    }
}

#[test]
fn the_last_word_before_it_closed_is_what_counts() {
    let mut told = found_and_closed();
    told[1].confidence = 0.3;
    told[1].cause = "wifi".to_owned();
    told[2].confidence = 0.72;
    told[3].confidence = 0.99;
    told[3].cause = "not-known".to_owned();
    let tally = score(vec![episode()], &told);
    assert_eq!(tally.placed[7].incidents, 1);
    assert_eq!((tally.cause_due, tally.cause_named, tally.cause_right), (1, 1, 1));
}

#[test]
fn a_cause_is_right_when_it_is_one_of_the_right_words_and_unnamed_when_not_known() {
    for (cause, named, right) in
        [("bandwidth", 1, 1), ("provider", 1, 1), ("wifi", 1, 0), ("not-known", 0, 0), ("", 0, 0)]
    {
        let mut told = found_and_closed();
        told[2].cause = cause.to_owned();
        let tally = score(vec![episode()], &told);
        assert_eq!((tally.cause_named, tally.cause_right), (named, right), "{cause:?}");
    }
}

#[test]
fn a_false_alert_is_put_down_to_what_has_most_of_its_days() {
    let told = [ToldFinding { days: workdays(50..=54), ..word(ToldEvent::Opened, 54) }];
    for (truths, reason) in [
        (vec![negative(TruthKind::Incident, vec![0], 52, 52)], "incident"),
        (
            vec![
                negative(TruthKind::Incident, vec![0], 52, 52),
                negative(TruthKind::LevelShift, vec![1], 40, 83),
            ],
            "level-shift",
        ),
        // A route that moved long ago is what is usual.
        (vec![negative(TruthKind::LevelShift, vec![1], 20, 83)], "nothing"),
        (
            vec![
                negative(TruthKind::Growth, vec![0], 0, 83),
                negative(TruthKind::Incident, vec![0], 52, 52),
            ],
            "incident",
        ),
        (vec![negative(TruthKind::Growth, vec![0], 0, 83)], "growth"),
        (vec![negative(TruthKind::Episode, vec![0], 50, 60)], "weak-episode"),
        (vec![negative(TruthKind::Backup, vec![2], 0, 83)], "nothing"),
        (vec![negative(TruthKind::Closure, vec![0], 20, 20)], "nothing"),
    ] {
        let mut with_episode = vec![episode()];
        with_episode.extend(truths);
        let tally = score(with_episode, &told);
        let reasons: Vec<&str> = tally.false_alerts.keys().map(|one| one.as_str()).collect();
        assert_eq!(reasons, [reason]);
    }
}

#[test]
fn a_constant_fault_explains_what_is_told_as_constant_and_no_peak() {
    let constant = Truth {
        class: Class::May,
        bad: Vec::new(),
        ..negative(TruthKind::Constant, vec![0], 0, 83)
    };
    for (kind, explained) in [
        (ToldKind::ConstantFault, 1),
        (ToldKind::Limit, 1),
        (ToldKind::RecurringPeak, 0),
        (ToldKind::WeeklyPattern, 0),
    ] {
        let told = [ToldFinding { kind, ..word(ToldEvent::Opened, 16) }];
        let tally = score(vec![constant.clone()], &told);
        assert_eq!((tally.explained, tally.constant_found), (explained, explained), "{kind:?}");
        assert_eq!((tally.constant, tally.must), (1, 0));
        assert_eq!(tally.false_total(), 1 - explained, "{kind:?}");
    }
}

#[test]
fn weaker_episodes_explain_alerts_but_need_not_be_found() {
    let may = Truth { class: Class::May, ..episode() };
    let tally = score(vec![may.clone()], &found_and_closed());
    assert_eq!((tally.must, tally.may, tally.may_found, tally.false_total()), (0, 1, 1, 0));
    let weak = Truth { class: Class::Never, bad: Vec::new(), ..episode() };
    let tally = score(vec![weak], &found_and_closed());
    assert_eq!((tally.may, tally.weak, tally.false_total()), (0, 1, 1));
}

#[test]
fn what_alerts_nobody_is_no_alert() {
    let quiet = found_and_closed().into_iter();
    let quiet: Vec<ToldFinding> =
        quiet.map(|word| ToldFinding { kind: ToldKind::Quiet, ..word }).collect();
    assert_eq!(score(vec![episode()], &quiet).alerts, 0);
    let suspected = [word(ToldEvent::Suspected, 16), word(ToldEvent::Closed, 30)];
    let tally = score(vec![episode()], &suspected);
    assert_eq!((tally.alerts, tally.must_found), (0, 0));
}

#[test]
fn regions_scored_one_by_one_and_together_give_the_same() {
    let other = |told: ToldFinding| ToldFinding {
        id: told.id + 100,
        members: told.members.iter().map(|member| member + 6).collect(),
        place: NamedPlace::new(PlaceKind::Building, "other A"),
        ..told
    };
    let mut second = ground(vec![Truth {
        id: 9,
        place: NamedPlace::new(PlaceKind::Building, "other A"),
        ..episode()
    }]);
    for building in &mut second.buildings {
        building.name = format!("other {}", building.name);
    }
    let mut together = ground(vec![episode()]);
    together.append(second.clone());
    let mut told = found_and_closed();
    told.extend(found_and_closed()[..2].iter().cloned().map(other));
    let whole = Tally::of(&together, &told);

    let alone = |told: &ToldFinding| ToldFinding {
        members: told.members.iter().map(|member| member % 6).collect(),
        ..told.clone()
    };
    let mut sum = score(vec![episode()], &found_and_closed());
    sum.add(&Tally::of(&second, &told[4..].iter().map(alone).collect::<Vec<_>>()));
    assert_eq!(sum, whole);
    assert_eq!((whole.must, whole.must_found, whole.stuck), (2, 2, 1));
}

#[test]
fn the_order_of_what_was_told_does_not_matter_across_days() {
    let forwards = score(vec![episode()], &found_and_closed());
    let mut backwards = found_and_closed();
    backwards.reverse();
    assert_eq!(score(vec![episode()], &backwards), forwards);
}

#[test]
fn every_mistake_is_told_one_by_one() {
    let mut told = vec![word(ToldEvent::Opened, 16)];
    told[0].place = NamedPlace::new(PlaceKind::Building, "B");
    told[0].cause = "wifi".to_owned();
    told.push(ToldFinding { id: 8, ..word(ToldEvent::Opened, 17) });
    told.push(ToldFinding { id: 9, members: vec![4], ..word(ToldEvent::Opened, 60) });
    let missed = Truth { id: 5, series: vec![2], ..episode() };
    let (_, details) = Tally::with_details(&ground(vec![episode(), missed]), &told);
    let mistakes: Vec<Mistake> = details.iter().map(|one| one.mistake).collect();
    let expected = [
        Mistake::Missed,
        Mistake::WrongPlace,
        Mistake::Stuck,
        Mistake::WrongCause,
        Mistake::Again,
        Mistake::Stuck,
        Mistake::FalseAlert,
    ];
    assert_eq!(mistakes, expected);
    assert_eq!(
        details[1].text,
        "incident 7 opened 2025-03-19, building B with 0.95, 2 members, 10:00-12:00, cause wifi, \
         bad on 2025-03-17 2025-03-18 2025-03-19; truly episode 1 at building A (fifo saturation), \
         2 series in 1 buildings, 10:00-12:00, 10 truly bad days from 2025-03-17 to 2025-03-28, \
         severity 0.50, cause bandwidth"
    );
    assert!(details[6].text.ends_with("perhaps nothing"), "{}", details[6].text);
}

#[test]
fn the_table_shows_each_figure_with_its_counts() {
    let rows = Report::of(score(vec![episode()], &found_and_closed())).rows();
    let row = |what: &str| rows.iter().find(|row| row.what == what).unwrap();
    let alarms = row("false alerts per building-month");
    assert_eq!(
        (alarms.figure().as_str(), alarms.counts.as_str()),
        ("0.0000", "0 in 8 building-months")
    );
    assert_eq!(alarms.bounds(), "at most 0.3566");
    assert_eq!(row("recall of episodes").figure(), "1.000");
    assert_eq!(row("recall of episodes").bounds(), "0.025 to 1.000");
    assert!(row("recall of episodes").counts.starts_with("1 of 1 ("));
    assert_eq!(row("working days to detect, median").figure(), "2");
    assert_eq!(row("alerts per true cause").counts, "1 alerts of 1 causes");
    let silent = Report::of(Tally::default()).rows();
    assert!(silent.iter().all(|row| row.figure() == "-"), "nothing was counted: {silent:?}");
}
