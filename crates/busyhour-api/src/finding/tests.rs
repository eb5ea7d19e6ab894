use busyhour_chart::BusySource;
use busyhour_model::desk::{Remark, ShortRemark};
use busyhour_model::{Building, BuildingId, IncidentMember, IncidentState, SubnetId, WorkingWeek};
use jiff::civil::date;

use super::*;
use crate::state::tests::{BUILDING, day, incident};

fn building(hours: &str) -> Building {
    Building {
        id: BUILDING,
        name: "Quay".to_owned(),
        city: String::new(),
        country: String::new(),
        region: String::new(),
        time_zone: Some("Europe/Berlin".to_owned()),
        business_hours: hours.parse().ok(),
        holidays: std::collections::BTreeSet::new(),
    }
}

fn week(looked_on: Date, from: u16, learned: bool) -> WorkingWeek {
    WorkingWeek {
        building: BUILDING,
        looked_on,
        hours: std::array::from_fn(|_| vec![(from, from + 120)]),
        working: [true, true, true, true, false, false, true],
        typical: [None; 7],
        learned,
        source: busyhour_model::LoadSource::Agents,
        machines: 9,
        pending: None,
    }
}

/// The day of path `path`: with `bad` of 60 windows bad in its worst hour, or not observed.
fn path_day(number: i8, path: i64, bad: Option<u32>) -> DaySummary {
    let verdict = match bad {
        None => DayVerdict::Missing,
        Some(0..6) => DayVerdict::Good,
        Some(_) => DayVerdict::PeakBad,
    };
    let mut summary = day(number, verdict, false);
    summary.scope = Scope::Path(PathId(path));
    summary.worst_hour = bad.and_then(|bad| {
        let hour = day(number, DayVerdict::PeakBad, false).worst_hour?;
        Some(busyhour_model::WorstHour { bad, ..hour })
    });
    summary
}

fn with_members(paths: &[i64]) -> Incident {
    let member = |&path: &i64| IncidentMember {
        path: PathId(path),
        building: BUILDING,
        subnet: SubnetId::from_u128(1),
    };
    let members = paths.iter().map(member).collect();
    Incident { members, ..incident(IncidentState::Open, false) }
}

#[test]
fn the_days_are_the_last_fifteen_working_days_and_what_the_incident_names() {
    let building = building("Mo-Fr 08:00-18:00");
    let configured = Weeks::new(&building, Vec::new());
    let mut found = incident(IncidentState::Open, false);
    let all = dates(&found, &configured);
    assert_eq!(all.len(), MAX_DAYS);
    assert_eq!(all.first(), Some(&date(2026, 2, 13)), "three weeks of five days");
    assert_eq!(all.last(), Some(&date(2026, 3, 5)), "the last observed day");
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(!all.contains(&date(2026, 2, 28)), "a Saturday");
    found.bad_days.insert(0, date(2026, 2, 28));
    assert!(dates(&found, &configured).contains(&date(2026, 2, 28)), "it was bad");

    // From Sunday to Thursday, since it was learned.
    let learned = Weeks::new(&building, vec![week(date(2026, 2, 20), 600, true)]);
    let all = dates(&incident(IncidentState::Open, false), &learned);
    assert!(all.contains(&date(2026, 3, 1)) && !all.contains(&date(2026, 2, 27)));
    assert!(all.contains(&date(2026, 2, 13)), "it was not known then");
}

#[test]
fn busy_hours_are_those_that_were_in_force_on_the_day() {
    let building = building("Mo-Fr 08:00-18:00");
    let other =
        WorkingWeek { building: BuildingId::from_u128(2), ..week(date(2026, 3, 3), 0, true) };
    let few = WorkingWeek { machines: 4, ..week(date(2026, 3, 5), 720, true) };
    let calls = WorkingWeek {
        source: busyhour_model::LoadSource::Imported,
        machines: 0,
        ..week(date(2026, 3, 6), 780, true)
    };
    let looked_at = week(date(2026, 3, 2), 600, false);
    let kept = vec![week(date(2026, 3, 3), 660, true), other, looked_at, few, calls];
    let weeks = Weeks::new(&building, kept);
    let busy = |day| weeks.busy(date(2026, 3, day));
    let configured = (&[(480, 1080)][..], BusySource::Configured);
    assert_eq!(busy(1).1, BusySource::Configured);
    assert_eq!(busy(2), configured, "those of the file, whatever they were when it was looked at");
    assert_eq!(busy(3), (&[(660, 780)][..], BusySource::Learned));
    assert_eq!(busy(5), configured, "four machines' hours are those of four people");
    assert_eq!(busy(6), (&[(780, 900)][..], BusySource::Learned));
}

#[test]
fn each_day_is_told_by_the_path_that_was_worst_on_it() {
    let incident = with_members(&[1, 2]);
    let days = [
        path_day(2, 1, Some(30)),
        path_day(2, 2, Some(12)),
        path_day(2, 3, Some(60)),
        path_day(3, 2, Some(30)),
        path_day(3, 1, Some(30)),
        path_day(4, 1, None),
        path_day(4, 2, Some(0)),
        path_day(5, 2, None),
    ];
    let judged = Judged::new(&incident, &days);
    let worst = |day| judged.worst.get(&date(2026, 3, day)).map(|(path, _)| path.0);
    assert_eq!(worst(2), Some(1), "path 3 is not among those that suffer");
    assert_eq!(worst(3), Some(1), "the lower number where both are alike");
    assert_eq!(worst(4), Some(2), "what was not observed is not worse");
    assert_eq!(worst(5), Some(2));
    assert_eq!(worst(6), None);
}

#[test]
fn a_day_counts_as_the_incident_says_and_before_its_spell_as_its_paths_do() {
    use DayVerdict::{AllDayBad, Good, Missing, PeakBad};
    let mut incident = with_members(&[1]);
    let day_of = |year_month: (i16, i8), number: i8, verdict| {
        let mut summary = path_day(number, 1, Some(0));
        (summary.date, summary.verdict) = (date(year_month.0, year_month.1, number), verdict);
        summary
    };
    let mut holiday = day(9, Missing, false);
    (holiday.expected, holiday.valid) = (0, 0);
    let days = [
        day_of((2026, 2), 26, PeakBad),
        day_of((2026, 2), 27, Good),
        day_of((2026, 3), 2, AllDayBad),
        day_of((2026, 3), 3, Good),
        day_of((2026, 3), 6, Good),
        holiday,
    ];
    let verdicts = |incident: &Incident| {
        let judged = Judged::new(incident, &days);
        let of = |month, day| judged.verdict(incident, date(2026, month, day));
        [of(2, 25), of(2, 26), of(2, 27), of(3, 2), of(3, 3), of(3, 5), of(3, 6), of(3, 9)]
    };
    let judged = FindingVerdict::Judged;
    let expected = [
        judged(Missing),
        judged(PeakBad),
        judged(Good),
        judged(AllDayBad),
        judged(PeakBad),
        judged(Good),
        // In its spell the incident names what was observed.
        judged(Missing),
        FindingVerdict::Closed,
    ];
    assert_eq!(verdicts(&incident), expected);
    incident.kind = FindingKind::WeeklyPattern;
    assert_eq!(verdicts(&incident)[6], judged(Good), "it looks at its own weekday only");
}

#[test]
fn rows_have_the_quarter_hours_of_their_day_and_slots_find_them() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let row = |month, day| Row::new(date(2026, month, day), &zone).unwrap();
    assert_eq!(row(3, 29).quarters.len(), 92, "clocks go forward");
    assert_eq!(row(10, 25).quarters.len(), 100, "clocks go back");
    let rows = [row(3, 2), row(3, 3), row(3, 5)];
    let at = |date: usize, n: i64| place_of(&rows, rows[date].first.offset(n));
    assert_eq!((at(0, 0), at(0, 95), at(1, 0)), (Some((0, 0)), Some((0, 95)), Some((1, 0))));
    assert_eq!(at(0, 96), Some((1, 0)), "days that follow each other touch");
    assert_eq!((at(0, -1), at(1, 96), at(2, 96)), (None, None, None));
    assert_eq!(at(2, 3), Some((2, 3)));
}

#[test]
fn quarter_hours_that_are_still_to_come_are_not_shown() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let row = Row::new(date(2026, 3, 2), &zone).unwrap();
    let cells = |after: i64| row.cells(row.first.offset(after).start()).len();
    assert_eq!((cells(-5), cells(0), cells(40), cells(200)), (0, 0, 40, 96));
}

/// A quiet time of a kind over something, on a day from an hour (UTC) until another.
fn quiet(kind: QuietKind, scopes: Vec<QuietScope>, hours: (i64, i64)) -> Quiet {
    let (midnight, _) = local_day_span(date(2026, 3, 3), &TimeZone::UTC).unwrap();
    let hour = |hours: i64| SlotStart::containing(midnight).offset(hours * 4).start();
    Quiet {
        number: 1,
        kind,
        scopes,
        from: hour(hours.0),
        until: hour(hours.1),
        reason: Remark::new("the switch is replaced").unwrap(),
        by: "ops".to_owned(),
        made: midnight,
        ended: None,
    }
}

#[test]
fn maintenance_of_what_suffers_is_a_band_and_a_silence_is_none() {
    use QuietKind::{Maintenance, Silence};
    let incident = with_members(&[1]);
    let region = |name| QuietScope::Region(ShortRemark::new(name).unwrap());
    let is_band = |kind, scopes| is_work(&quiet(kind, scopes, (8, 10)), &incident, "EMEA");
    let (other, other_net) = (BuildingId::from_u128(77), SubnetId::from_u128(77));
    for (scope, expected) in [
        (QuietScope::Everything, true),
        (QuietScope::Building(BUILDING), true),
        (QuietScope::Building(other), false),
        (QuietScope::Subnet(SubnetId::from_u128(1)), true),
        (QuietScope::Subnet(other_net), false),
        (region("EMEA"), true),
        (region("APAC"), false),
    ] {
        assert_eq!(is_band(Maintenance, vec![scope.clone()]), expected, "{scope:?}");
        // Who is not told of it changed nothing in the network.
        assert!(!is_band(Silence, vec![scope.clone()]), "{scope:?}");
    }
    assert!(is_band(Maintenance, vec![QuietScope::Building(other), region("EMEA")]), "one of them");
    assert!(!is_band(Silence, vec![QuietScope::Incident(incident.id)]));
}

#[test]
fn bands_are_the_quarter_hours_of_the_day_on_which_somebody_worked() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let bands = |day, hours: &[(i64, i64)]| {
        let of = |&hours: &(i64, i64)| {
            quiet(QuietKind::Maintenance, vec![QuietScope::Everything], hours)
        };
        let quiets: Vec<Quiet> = hours.iter().map(of).collect();
        Row::new(date(2026, 3, day), &zone).unwrap().maintenance(&quiets)
    };
    assert_eq!(bands(3, &[]), []);
    assert_eq!(bands(3, &[(8, 10)]), [(540, 660)], "local hours");
    assert_eq!(bands(3, &[(8, 10), (9, 12)]), [(540, 780)], "those that overlap are one");
    assert_eq!(bands(3, &[(12, 13), (8, 10)]), [(540, 660), (780, 840)]);
    // Over midnight it is a band on both days.
    assert_eq!(bands(3, &[(20, 26)]), [(1260, 1440)]);
    assert_eq!(bands(4, &[(20, 26)]), [(0, 180)]);
    assert_eq!(bands(5, &[(20, 26)]), []);
    let mut ended = quiet(QuietKind::Maintenance, vec![QuietScope::Everything], (8, 10));
    ended.ended = Some((ended.from.plus(std::time::Duration::from_secs(1800)), "ops".to_owned()));
    let row = Row::new(date(2026, 3, 3), &zone).unwrap();
    assert_eq!(row.maintenance(&[ended]), [(540, 570)], "ended by hand");
}
