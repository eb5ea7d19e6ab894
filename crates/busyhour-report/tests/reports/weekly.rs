//! The weekly review against figures that are counted by hand.

use busyhour_model::{BuildingId, DayVerdict, IncidentState, Scope, UtcMicros};
use busyhour_report::{Cell, Period, ReportKind, Trend, WeeklyReview, World, document};
use jiff::civil::{Date, date};

use crate::world::{BERLIN, Fleet, HOSTILE, NOW, QUIET, SILENT, incident};
use crate::{cell, report, table, words};

const WEEK: &str = "2026-W34";

#[test]
fn the_four_questions_are_answered_for_each_building() {
    let mut fleet = Fleet::small();
    fleet.incidents.push(incident(7));
    let review = report(&fleet, ReportKind::Weekly, WEEK);
    let buildings = table(&review, "buildings");
    // Five bad days of five, none of twenty before: 5 × 60 minutes, 450 bad of 4,500 windows, 4,500 of
    // 5,000 observed. Newcombe's interval at 99 %: 37.77 to 100 points.
    for (column, expected) in [
        ("Bad days", "5 of 5"),
        ("target", "missed"),
        ("Against the four weeks before", "worse by 100 points (38 to 100)"),
        ("bad_days_before", "0"),
        ("observed_days_before", "20"),
        ("trend", "increasing"),
        ("degraded_min", "5 h"),
        ("bad_windows_ratio", "10 %"),
        ("Worst busy hour", "40 % bad, Mon 17 Aug 10:00–11:00"),
        ("masked_days", "2"),
        ("coverage_ratio", "90 %"),
        ("incidents", "#7"),
    ] {
        assert_eq!(words(buildings, "Berlin HQ", column), expected, "{column}");
    }
    for (column, expected) in [
        ("Bad days", "0 of 5"),
        ("target", "met"),
        ("Against the four weeks before", "no clear difference (+0 points, -25 to +57)"),
        ("trend", "steady"),
        ("degraded_min", "0 min"),
        ("Worst busy hour", "2.0 % bad, Mon 17 Aug 10:00–11:00"),
        ("incidents", "–"),
        ("Building", "Quiet Hall (simulated data)"),
        ("simulated", "true"),
    ] {
        assert_eq!(words(buildings, "Quiet Hall", column), expected, "{column}");
    }
    assert!(review.simulated);
}

#[test]
fn what_was_not_observed_is_unknown_and_never_good() {
    let review = report(&Fleet::small(), ReportKind::Weekly, WEEK);
    let buildings = table(&review, "buildings");
    for column in [
        "Bad days",
        "target",
        "Against the four weeks before",
        "shift",
        "trend",
        "degraded_min",
        "bad_windows_ratio",
        "Worst busy hour",
        "coverage_ratio",
    ] {
        assert_eq!(words(buildings, HOSTILE, column), "unknown", "{column}");
    }
    let mut fleet = Fleet::small();
    let observed = |on: Date| !(date(2026, 8, 17)..=date(2026, 8, 19)).contains(&on);
    fleet.days.retain(|day| observed(day.date));
    let review = report(&fleet, ReportKind::Weekly, WEEK);
    let buildings = table(&review, "buildings");
    assert_eq!(words(buildings, "Quiet Hall", "target"), "unknown", "two good days are too few");
    assert_eq!(words(buildings, "Quiet Hall", "shift"), "unknown");
    assert_eq!(words(buildings, "Berlin HQ", "target"), "missed", "one bad day is enough");
}

#[test]
fn missing_days_are_not_observed_ones() {
    let mut fleet = Fleet::small();
    for day in &mut fleet.days {
        if day.building == BuildingId::from_u128(QUIET) {
            day.verdict = DayVerdict::Missing;
        }
    }
    let review = report(&fleet, ReportKind::Weekly, WEEK);
    let buildings = table(&review, "buildings");
    assert_eq!(words(buildings, "Quiet Hall", "target"), "unknown");
    assert_eq!(words(buildings, "Quiet Hall", "working_days"), "5");
    assert_eq!(words(buildings, "Quiet Hall", "observed_days"), "0");
    assert_eq!(words(buildings, "Quiet Hall", "bad_windows_ratio"), "unknown");
    assert_eq!(words(buildings, "Quiet Hall", "trend"), Trend::Unknown.as_str());
}

#[test]
fn a_week_that_runs_can_miss_its_target_and_not_meet_it() {
    let fleet = Fleet::small();
    let period = Period::parse(ReportKind::Weekly, WEEK).unwrap();
    // Sunday 2026-08-23, 21:59:59 and 22:00 UTC: midnight in Berlin.
    for (seconds, target) in [(1_787_522_399, "unknown"), (1_787_522_400, "met")] {
        let review = document(&fleet, period, None, UtcMicros::from_secs(seconds)).unwrap();
        let buildings = table(&review, "buildings");
        assert_eq!(words(buildings, "Quiet Hall", "target"), target);
        assert_eq!(words(buildings, "Berlin HQ", "target"), "missed");
    }
}

#[test]
fn how_many_differ_by_chance_is_told_when_any_does() {
    let review = report(&Fleet::small(), ReportKind::Weekly, WEEK);
    let chance = "Of 2 buildings compared with the four weeks before, up to one would be called better or \
                  worse by chance alone.";
    assert!(review.lead.iter().any(|line| line == chance), "{:?}", review.lead);
    let before = report(&Fleet::small(), ReportKind::Weekly, "2026-W33");
    assert!(!before.lead.iter().any(|line| line.contains("chance")), "{:?}", before.lead);
}

#[test]
fn subnets_that_exceed_are_told_even_where_the_building_is_fine() {
    let mut fleet = Fleet::small();
    // The judge calls a building bad by its worst subnet; whoever sees it otherwise still sees the subnet.
    for day in &mut fleet.days {
        if matches!(day.scope, Scope::Building(_)) {
            (day.verdict, day.bad_quarters) = (DayVerdict::Good, Vec::new());
        }
    }
    let review = report(&fleet, ReportKind::Weekly, WEEK);
    assert_eq!(words(table(&review, "buildings"), "Berlin HQ", "target"), "met");
    let subnets = table(&review, "subnets");
    assert_eq!(subnets.rows.len(), 1);
    let found = |wanted| cell(subnets, ("building", "Berlin HQ"), wanted).words();
    assert_eq!(found("subnet"), "Floor 2 (10.1.2.0/24)");
    assert_eq!(found("Bad days"), "5 of 5");
    assert_eq!(found("bad_days_alone"), "5");
    assert_eq!(found("degraded_min"), "5 h");
}

#[test]
fn buildings_with_the_most_agents_come_first() {
    let review = report(&Fleet::small(), ReportKind::Weekly, WEEK);
    let names: Vec<String> =
        table(&review, "buildings").rows.iter().map(|row| row[1].words()).collect();
    assert_eq!(names, ["Berlin HQ", "Quiet Hall", HOSTILE]);
}

#[test]
fn a_report_on_one_building_names_no_other() {
    let mut fleet = Fleet::small();
    let mut elsewhere = incident(8);
    elsewhere.building = BuildingId::from_u128(SILENT);
    fleet.incidents = vec![incident(7), elsewhere];
    let period = Period::parse(ReportKind::Weekly, WEEK).unwrap();
    let only = Some(BuildingId::from_u128(BERLIN));
    let found = document(&fleet, period, only, NOW).unwrap();
    assert_eq!(table(&found, "buildings").rows.len(), 1);
    assert!(found.title().ends_with(": Berlin HQ"), "{}", found.title());
    let all = format!("{found:?}");
    assert!(!all.contains("Quiet Hall") && !all.contains("script"), "{all}");
    assert!(!found.simulated, "the simulated agent is elsewhere");
}

#[test]
fn incidents_count_for_the_weeks_they_were_open_in() {
    let mut fleet = Fleet::small();
    let mut closed = incident(5);
    (closed.state, closed.closed_on) = (IncidentState::Closed, Some(date(2026, 8, 16)));
    (closed.opened_on, closed.closed) = (Some(date(2026, 8, 3)), Some(NOW));
    let mut later = incident(6);
    later.opened_on = Some(date(2026, 8, 24));
    let mut other_kind = incident(9);
    other_kind.kind = busyhour_model::FindingKind::Drift;
    fleet.incidents = vec![closed, later, other_kind, incident(7)];
    let review = report(&fleet, ReportKind::Weekly, WEEK);
    assert_eq!(words(table(&review, "buildings"), "Berlin HQ", "incidents"), "#7");
    let before = report(&fleet, ReportKind::Weekly, "2026-W33");
    assert_eq!(words(table(&before, "buildings"), "Berlin HQ", "incidents"), "#5");
}

#[test]
fn the_picture_shows_five_weeks_of_days() {
    let fleet = Fleet::small();
    let period = Period::parse(ReportKind::Weekly, WEEK).unwrap();
    let world = World::read(&fleet, period, date(2026, 6, 1), None, NOW).unwrap();
    let review = WeeklyReview::new(&world, period);
    let strip = &review.buildings[0].strip;
    assert_eq!(
        (strip[0].date, strip[34].date, strip.len()),
        (date(2026, 7, 20), date(2026, 8, 23), 35)
    );
    assert_eq!(strip[28].note, "hidden by the daily average");
    let document = report(&fleet, ReportKind::Weekly, WEEK);
    let buildings = table(&document, "buildings");
    let picture = buildings.rows[0].last().unwrap();
    assert!(matches!(picture, Cell::Picture(_)));
}
