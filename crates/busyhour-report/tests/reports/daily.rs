//! The daily digest against figures that are counted by hand.

use busyhour_model::{Change, IncidentState, UtcMicros};
use busyhour_report::ReportKind;
use jiff::civil::date;

use crate::world::{Fleet, HOSTILE, NOW, incident};
use crate::{report, table, words};

#[test]
fn what_happened_to_incidents_is_told_on_its_day() {
    let mut fleet = Fleet::small();
    let mut closed = incident(2);
    (closed.state, closed.change) = (IncidentState::Closed, Change::Closed);
    (closed.closed_on, closed.closed) = (Some(date(2026, 8, 18)), Some(NOW));
    closed.opened_on = Some(date(2026, 8, 1));
    let mut recovering = incident(3);
    (recovering.state, recovering.change) = (IncidentState::Recovering, Change::Recovering);
    recovering.opened_on = Some(date(2026, 8, 1));
    let mut stale = incident(4);
    (stale.change, stale.opened_on) = (Change::Stale, Some(date(2026, 8, 1)));
    fleet.incidents = vec![stale, recovering, closed, incident(7)];
    let digest = report(&fleet, ReportKind::Daily, "2026-08-18");
    let events: Vec<(String, String)> =
        table(&digest, "events").rows.iter().map(|row| (row[0].words(), row[1].words())).collect();
    let expected =
        [("#7", "opened"), ("#3", "recovering"), ("#2", "closed"), ("#4", "not observed lately")];
    assert_eq!(events, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(
        digest.lead[0],
        "1 incident opened, 1 recovering, 1 closed, 1 not observed lately; 0 more open from before."
    );
    let next = report(&fleet, ReportKind::Daily, "2026-08-19");
    assert!(table(&next, "events").rows.is_empty());
    assert!(next.lead[0].ends_with("; 3 more open from before."), "{}", next.lead[0]);
}

#[test]
fn the_worst_buildings_of_the_day_are_told_with_the_average() {
    let digest = report(&Fleet::small(), ReportKind::Daily, "2026-08-18");
    let bad = table(&digest, "bad");
    assert_eq!(bad.rows.len(), 1);
    for (column, expected) in [
        ("masked", "yes"),
        ("degraded_min", "1 h"),
        ("bad_windows_ratio", "10 %"),
        ("hour_says", "2.4 % loss"),
        ("average_says", "0.3 % loss"),
        ("coverage_ratio", "90 %"),
    ] {
        assert_eq!(words(bad, "Berlin HQ", column), expected, "{column}");
    }
    assert_eq!(
        digest.lead[1],
        "Of 3 buildings 1 had a good day, 1 a bad busy hour (1 of them hidden by the daily average), \
         and of 1 too little is known; 1 h of degraded business time."
    );
}

#[test]
fn who_is_silent_is_told_and_why() {
    let mut fleet = Fleet::small();
    fleet.paths[0].newest = UtcMicros(NOW.0 - 25 * 3_600_000_000);
    fleet.paths[2].newest = UtcMicros(NOW.0 - 25 * 3_600_000_000);
    let digest = report(&fleet, ReportKind::Daily, "2026-08-18");
    let unknown = table(&digest, "unknown");
    for (building, because) in [
        ("Berlin HQ", "some agents do not deliver"),
        ("Quiet Hall", "no agent delivers"),
        (HOSTILE, "no agent lives here"),
    ] {
        assert_eq!(words(unknown, building, "because"), because);
    }
    assert_eq!(words(unknown, "Berlin HQ", "silent_agents"), "1");
    let digest = report(&Fleet::small(), ReportKind::Daily, "2026-08-25");
    let unknown = table(&digest, "unknown");
    assert_eq!(words(unknown, "Berlin HQ", "because"), "too little was observed");
    let sunday = report(&Fleet::small(), ReportKind::Daily, "2026-08-30");
    assert_eq!(table(&sunday, "unknown").rows.len(), 1, "nobody works on a Sunday");
    assert!(sunday.lead[1].contains("3 did not work, and of 0 too little is known"));
    let mut fleet = Fleet::small();
    fleet.buildings[0].holidays.insert(date(2026, 8, 25));
    let holiday = report(&fleet, ReportKind::Daily, "2026-08-25");
    assert!(holiday.lead[1].contains("1 did not work, and of 2 too little is known"));
}
