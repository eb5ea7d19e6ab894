//! The monthly pack against figures that are counted by hand.

use busyhour_model::{
    BuildingId, Change, DaySummary, DayVerdict, Incident, IncidentMember, IncidentPlace,
    IncidentState, PathId, Segment, SubnetId, UtcMicros,
};
use busyhour_report::{Document, Period, ReportKind, document};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use crate::world::{BERLIN, Fleet, HOSTILE, Like, NOW, QUIET, incident, slot, workdays};
use crate::{cell, report, table, words};

const MONTH: &str = "2026-08";

fn at(day: Date, hour: i8, minute: i8) -> UtcMicros {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let moment = day.at(hour, minute, 0, 0).to_zoned(zone).unwrap();
    UtcMicros(moment.timestamp().as_microsecond())
}

fn of(document: &Document, name: &str, (key, value): (&str, &str), wanted: &str) -> String {
    cell(table(document, name), (key, value), wanted).words()
}

#[test]
fn degraded_time_and_the_shift_against_the_month_before_are_counted() {
    let pack = report(&Fleet::small(), ReportKind::Monthly, MONTH);
    let buildings = table(&pack, "buildings");
    // August has days up to the 21st here: 15 working days, the last 5 bad; July has 23 good ones.
    for (column, expected) in [
        ("Bad days", "5 of 15"),
        ("degraded_min", "5 h"),
        ("degraded_before_min", "0 min"),
        ("target", "missed"),
        ("Against the month before", "worse by 33 points (2 to 65)"),
    ] {
        assert_eq!(words(buildings, "Berlin HQ", column), expected, "{column}");
    }
    assert_eq!(words(buildings, HOSTILE, "degraded_min"), "unknown");
    assert!(pack.lead[0].starts_with("Degraded business time: 5 h in 3 buildings (0 min in"));
    assert_eq!(
        pack.lead[1],
        "1 building met the target that no busy hour is bad, 1 missed it, and of 1 too little is known."
    );
    // 15 of Berlin's and 15 of the quiet one's: 900 of 1,000 each.
    assert_eq!(pack.lead.last().unwrap(), "Coverage of busy hours: 90 %.");
}

#[test]
fn masked_buildings_are_told_with_the_hour_beside_the_average() {
    let pack = report(&Fleet::small(), ReportKind::Monthly, MONTH);
    assert_eq!(table(&pack, "masked").rows.len(), 1);
    for (column, expected) in [
        ("masked_days", "2"),
        ("date", "2026-08-17"),
        ("hour_local", "10:00–11:00"),
        ("hour_says", "2.4 % loss"),
        ("average_says", "0.3 % loss"),
        ("masking_factor", "8.0 ×"),
    ] {
        assert_eq!(of(&pack, "masked", ("building", "Berlin HQ"), column), expected, "{column}");
    }
}

#[test]
fn poor_streams_of_business_hours_stand_beside_the_published_target() {
    let mut fleet = Fleet::small();
    let monday = date(2026, 8, 3);
    // Agent 1: a hundred quarter-hours of business hours, two days and a half from 08:00 to 18:00, every
    // fourth with 20 % lost on the way up; and what does not count: the night, a Saturday, the month before,
    // another class.
    for number in 0..100i8 {
        let (day, quarter) = (date(2026, 8, 3 + number / 40), number % 40);
        let lost = if quarter % 4 == 1 { 2_250 } else { 0 };
        let start = at(day, 8 + quarter / 4, quarter % 4 * 15);
        fleet.slots.push((PathId(1), slot(start, lost)));
    }
    for (day, hour) in [(monday, 7), (monday, 18), (date(2026, 8, 8), 10), (date(2026, 7, 31), 10)]
    {
        fleet.slots.push((PathId(1), slot(at(day, hour, 0), 2_250)));
    }
    fleet.paths[1].key.class = busyhour_model::TrafficClass::BestEffort;
    fleet.slots.push((PathId(2), slot(at(monday, 10, 0), 2_250)));
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    // 200 directions, 25 of them poor.
    for (column, expected) in [
        ("poor_streams_ratio", "12 %"),
        ("poor_streams_target_ratio", "2.0 %"),
        ("poor_streams_verdict", "above"),
        ("streams", "200"),
        ("streams_unclassified", "0"),
        // Five days with 90 bad windows and ten with 9, of 15 × 900.
        ("bad_windows_ratio", "4.0 %"),
        ("bad_windows_verdict", "within"),
    ] {
        assert_eq!(of(&pack, "targets", ("building", "Berlin HQ"), column), expected, "{column}");
    }
    assert_eq!(of(&pack, "targets", ("building", "Quiet Hall"), "poor_streams_verdict"), "unknown");
    assert!(
        pack.lead
            .iter()
            .any(|line| line.starts_with("Synthetic poor streams in business hours: 12 %"))
    );
    fleet.slots.remove(0);
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    let berlin = ("building", "Berlin HQ");
    assert_eq!(of(&pack, "targets", berlin, "streams"), "198");
    assert_eq!(of(&pack, "targets", berlin, "poor_streams_verdict"), "unknown", "too few to say");
    assert!(!pack.lead.iter().any(|line| line.starts_with("Synthetic")));
}

/// The quiet building's days of August.
fn quiet_days(fleet: &mut Fleet) -> impl Iterator<Item = &mut DaySummary> {
    let quiet = BuildingId::from_u128(QUIET);
    fleet.days.iter_mut().filter(move |day| day.building == quiet && day.date.month() == 8)
}

#[test]
fn windows_of_days_that_were_not_observed_are_within_nothing() {
    let mut fleet = Fleet::small();
    // 900 windows of each day count and 9 are bad, but no day was observed well enough to be good.
    for day in quiet_days(&mut fleet) {
        day.verdict = DayVerdict::Missing;
    }
    let quiet = ("building", "Quiet Hall");
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    assert_eq!(of(&pack, "targets", quiet, "bad_windows_ratio"), "unknown");
    assert_eq!(of(&pack, "targets", quiet, "bad_windows_verdict"), "unknown");
    // Of one observed day 9 of 900; those of the others, all of which are bad, do not count.
    let seen = date(2026, 8, 14);
    for day in quiet_days(&mut fleet) {
        (day.verdict, day.bad) = match day.date == seen {
            true => (DayVerdict::Good, 9),
            false => (DayVerdict::Missing, 900),
        };
    }
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    assert_eq!(of(&pack, "targets", quiet, "bad_windows_ratio"), "1.0 %");
    assert_eq!(of(&pack, "targets", quiet, "bad_windows_verdict"), "unknown", "of one day");
}

#[test]
fn a_month_meets_its_target_by_ten_observed_days() {
    let quiet = ("building", "Quiet Hall");
    // 15 working days up to the 21st; without those before the 10th there are ten.
    for (first, observed, target, windows) in
        [(date(2026, 8, 10), "10", "met", "within"), (date(2026, 8, 11), "9", "unknown", "unknown")]
    {
        let mut fleet = Fleet::small();
        for day in quiet_days(&mut fleet).filter(|day| day.date < first) {
            day.verdict = DayVerdict::Missing;
        }
        let pack = report(&fleet, ReportKind::Monthly, MONTH);
        assert_eq!(of(&pack, "buildings", quiet, "observed_days"), observed);
        assert_eq!(of(&pack, "buildings", quiet, "target"), target);
        assert_eq!(of(&pack, "targets", quiet, "bad_windows_verdict"), windows);
    }
}

#[test]
fn a_month_that_runs_can_miss_its_target_and_not_meet_it() {
    let fleet = Fleet::small();
    let period = Period::parse(ReportKind::Monthly, MONTH).unwrap();
    let quiet = ("building", "Quiet Hall");
    let last = date(2026, 8, 31);
    for (now, target, windows) in [
        (at(last, 23, 59), "unknown", "unknown"),
        (at(last.tomorrow().unwrap(), 0, 0), "met", "within"),
    ] {
        let pack = document(&fleet, period, None, now).unwrap();
        assert_eq!(of(&pack, "buildings", quiet, "target"), target);
        assert_eq!(of(&pack, "targets", quiet, "bad_windows_verdict"), windows);
        assert_eq!(of(&pack, "buildings", ("building", "Berlin HQ"), "target"), "missed");
        let told =
            pack.lead.last().unwrap().starts_with("In 3 of 3 buildings the month is not over");
        assert_eq!(told, target == "unknown");
    }
}

#[test]
fn how_many_differ_by_chance_is_told_beside_those_that_differ() {
    let pack = report(&Fleet::small(), ReportKind::Monthly, MONTH);
    assert_eq!(
        pack.lead[2],
        "Against the month before 0 buildings are better and 1 worse, of 2 compared; by chance alone it \
         would be up to one."
    );
    let mut fleet = Fleet::small();
    fleet.days.retain(|day| day.date.month() == 8);
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    assert!(pack.lead[2].starts_with("No building can be compared"), "{}", pack.lead[2]);
}

#[test]
fn open_problems_have_an_age_and_an_owner_or_none() {
    let mut fleet = Fleet::small();
    let mut old = incident(3);
    (old.opened_on, old.cause) = (Some(date(2026, 7, 30)), busyhour_model::Cause::Wifi);
    let mut later = incident(4);
    later.opened_on = Some(date(2026, 9, 1));
    fleet.incidents = vec![incident(7), later, old];
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    let open = table(&pack, "open");
    let numbers: Vec<String> = open.rows.iter().map(|row| row[0].words()).collect();
    assert_eq!(numbers, ["#3", "#7"], "the oldest first, and none of September");
    for (column, expected) in [
        ("place", "Berlin HQ, Floor 2 (10.1.2.0/24)"),
        ("age_days", "13"),
        ("owner", "nobody told"),
        ("severity_class", "major"),
        ("bad_days", "5"),
        ("cause", "the link is too small for its busy hours"),
    ] {
        assert_eq!(of(&pack, "open", ("incident", "#7"), column), expected, "{column}");
    }
    assert_eq!(of(&pack, "open", ("incident", "#3"), "age_days"), "32");
}

/// Closed on the 20th, with its last bad day before the tenth.
fn closed(number: u64) -> Incident {
    let days = |until| workdays(date(2026, 8, 3), until).collect::<Vec<_>>();
    Incident {
        state: IncidentState::Closed,
        change: Change::Closed,
        bad_days: days(date(2026, 8, 7)),
        observed_days: days(date(2026, 8, 7)),
        last_bad: date(2026, 8, 7),
        opened_on: Some(date(2026, 8, 4)),
        closed_on: Some(date(2026, 8, 20)),
        closed: Some(NOW),
        ..incident(number)
    }
}

#[test]
fn what_closed_is_told_with_the_days_before_and_after() {
    let mut fleet = Fleet::small();
    fleet.days.clear();
    for day in workdays(date(2026, 8, 3), date(2026, 8, 31)) {
        let like = if day <= date(2026, 8, 7) { Like::Bad } else { Like::Good };
        fleet.add_day(BERLIN, day, like);
    }
    let mut part = closed(10);
    part.merged_into = Some(9);
    let mut gone = closed(11);
    gone.change = Change::Gone;
    fleet.incidents = vec![closed(9), part, gone];
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    assert_eq!(table(&pack, "fixed").rows.len(), 1, "what merged or left is not fixed");
    // Five of five before; none of the 16 working days from the 10th to the 31st.
    for (column, expected) in [
        ("Bad days before", "5 of 5"),
        ("Bad days after", "0 of 16"),
        ("hour_before_bad_ratio", "40 %"),
        ("hour_after_bad_ratio", "2.0 %"),
        ("shift", "better"),
        ("closed_date", "2026-08-20"),
    ] {
        assert_eq!(of(&pack, "fixed", ("incident", "#9"), column), expected, "{column}");
    }
    fleet.days.retain(|day| day.date <= date(2026, 8, 12));
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    let shift = of(&pack, "fixed", ("incident", "#9"), "After against before");
    assert_eq!(shift, "unknown", "three days after are too few");
}

#[test]
fn the_hour_before_is_that_of_all_observed_days_as_is_the_hour_after() {
    let mut fleet = Fleet::small();
    fleet.days.clear();
    // Bad on Monday and Friday, with 40 % in the worst hour; 2 % on the three days between and after.
    let bad = [date(2026, 8, 3), date(2026, 8, 7)];
    for day in workdays(date(2026, 8, 3), date(2026, 8, 31)) {
        fleet.add_day(BERLIN, day, if bad.contains(&day) { Like::Bad } else { Like::Good });
    }
    fleet.incidents = vec![Incident { bad_days: bad.to_vec(), ..closed(9) }];
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    for (column, expected) in [
        ("Bad days before", "2 of 5"),
        ("hour_before_bad_ratio", "2.0 %"),
        ("hour_after_bad_ratio", "2.0 %"),
    ] {
        assert_eq!(of(&pack, "fixed", ("incident", "#9"), column), expected, "{column}");
    }
}

#[test]
fn a_provider_is_charged_with_what_lies_with_it() {
    let mut fleet = Fleet::small();
    let member = |building: u128| IncidentMember {
        path: PathId(1),
        building: BuildingId::from_u128(building),
        subnet: SubnetId::from_u128(building * 10 + 1),
    };
    let mut shared = incident(5);
    shared.place = IncidentPlace::Upstream("198.51.100.0/24".to_owned());
    shared.members = vec![member(BERLIN), member(QUIET)];
    let mut own = incident(6);
    (own.segment, own.opened_on) = (Segment::Provider, Some(date(2026, 7, 1)));
    fleet.incidents = vec![shared, own, incident(7)];
    let pack = report(&fleet, ReportKind::Monthly, MONTH);
    // Five days of Berlin, none of the quiet building, which was good on all; and five in Berlin, whose
    // subnets have one egress.
    for (provider, column, expected) in [
        ("198.51.100.0/24", "buildings", "2"),
        ("198.51.100.0/24", "bad_days", "5"),
        ("198.51.100.0/24", "observed_days", "30"),
        ("198.51.100.0/24", "opened", "1"),
        ("192.0.2.0/28", "buildings", "1"),
        ("192.0.2.0/28", "bad_days", "5"),
        ("192.0.2.0/28", "incidents", "1"),
        ("192.0.2.0/28", "opened", "0"),
    ] {
        assert_eq!(of(&pack, "providers", ("provider", provider), column), expected, "{column}");
    }
    assert_eq!(table(&pack, "providers").rows.len(), 2, "the own WAN's is nobody else's");
    // The quiet building bad on two of the five days: seven. Nobody observed one of them: six.
    let charged = |fleet: &Fleet| {
        let pack = report(fleet, ReportKind::Monthly, MONTH);
        of(&pack, "providers", ("provider", "198.51.100.0/24"), "bad_days")
    };
    let (one, other) = (date(2026, 8, 17), date(2026, 8, 18));
    for day in quiet_days(&mut fleet).filter(|day| [one, other].contains(&day.date)) {
        day.verdict = DayVerdict::PeakBad;
    }
    assert_eq!(charged(&fleet), "7");
    for day in quiet_days(&mut fleet).filter(|day| day.date == other) {
        day.verdict = DayVerdict::Missing;
    }
    assert_eq!(charged(&fleet), "6");
    // A building that left is charged to nobody.
    fleet.buildings.retain(|building| building.id != BuildingId::from_u128(QUIET));
    assert_eq!(charged(&fleet), "5");
}

#[test]
fn coverage_is_told_with_the_least_first() {
    let pack = report(&Fleet::small(), ReportKind::Monthly, MONTH);
    let coverage = table(&pack, "coverage");
    assert_eq!(coverage.rows[0][1].words(), HOSTILE);
    assert_eq!(words(coverage, HOSTILE, "coverage_ratio"), "unknown");
    assert_eq!(words(coverage, "Berlin HQ", "working_days"), "15");
}
