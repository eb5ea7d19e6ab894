//! The control contract: verdicts.

use busyhour_model::{
    Breach, BuildingId, DailyAverage, DaySummary, DayVerdict, Judgement, LimitsVersion, LinkKind,
    PathId, Scope, SubnetId, WorstHour,
};
use busyhour_store::{Control, JudgeWrite};
use jiff::civil::{Date, date};

use crate::fixtures::{AGENT, Engine, NOW};

pub(crate) fn worst_hour() -> WorstHour {
    WorstHour {
        start_minute: 600,
        valid: 60,
        bad: 9,
        dominant: Some(Breach::Burst),
        loss_ppm: 12_000,
        loss_ppm_p90: 20_000,
        rtt_us_p90: 45_000,
        jitter_us_p90: 9_000,
        bad_by: [2, 8, 0, 1, 0],
        reordered: 31,
        replies: 44_460,
        order: Judgement::Unknown,
        rating_p10_hundredths: Some(6_150),
    }
}

pub(crate) fn average() -> DailyAverage {
    DailyAverage { loss_ppm: 900, rtt_us: 21_000, jitter_us: 3_000, passes: true }
}

pub(crate) const HOME: BuildingId = BuildingId::from_u128(0xb1);

pub(crate) fn day(scope: Scope, date: Date) -> DaySummary {
    DaySummary {
        scope,
        building: HOME,
        date,
        verdict: DayVerdict::PeakBad,
        limits: Some(LimitsVersion(3)),
        expected: 600,
        valid: 580,
        bad: 9,
        worst_hour: Some(worst_hour()),
        bad_quarters: vec![600, 615, 645],
        average: Some(average()),
        masked: true,
        masking_factor: Some(22.2),
    }
}

#[test]
fn verdicts_are_read_back_by_date_and_scope() {
    let engine = Engine::new();
    let store = &engine.control;
    let scopes = [
        Scope::Path(PathId(-1)),
        Scope::Path(PathId(3)),
        Scope::Agent(AGENT, LinkKind::Wired),
        Scope::Agent(AGENT, LinkKind::Wifi),
        Scope::Subnet(SubnetId::from_u128(4), LinkKind::Wifi),
        Scope::Building(HOME),
    ];
    let dates = [date(2026, 9, 20), date(2026, 9, 21), date(2026, 9, 22)];
    let mut days: Vec<_> =
        dates.iter().flat_map(|&d| scopes.iter().map(move |&s| day(s, d))).collect();
    days.sort_by_key(|day| (day.date, day.scope));
    days[3] = DaySummary {
        verdict: DayVerdict::Missing,
        worst_hour: None,
        average: None,
        masked: false,
        masking_factor: None,
        bad_quarters: vec![],
        ..days[3].clone()
    };
    let foreign = DaySummary { building: BuildingId::from_u128(0xb2), ..days[17].clone() };
    days[17] = foreign.clone();
    let write = JudgeWrite { days: days.clone(), ..JudgeWrite::default() };
    store.write_judgement(&write, NOW).unwrap();
    let read = |building, from, until| store.days(building, from, until).unwrap();
    assert_eq!(read(None, dates[0], dates[2]), days);
    assert_eq!(read(None, dates[1], dates[1]), &days[6..12]);
    assert_eq!(read(Some(HOME), dates[1], dates[2]), &days[6..17]);
    assert_eq!(read(Some(foreign.building), dates[0], dates[2]), [foreign]);
    assert_eq!(read(None, date(2026, 9, 23), date(2027, 1, 1)), []);
}

#[test]
fn a_new_verdict_replaces_that_of_the_same_scope_and_date() {
    let engine = Engine::new();
    let store = &engine.control;
    let first = day(Scope::Path(PathId(1)), date(2026, 9, 21));
    let other_building = BuildingId::from_u128(0xb9);
    let second = DaySummary { valid: 1, building: other_building, ..first.clone() };
    for verdict in [&first, &second] {
        let write = JudgeWrite { days: vec![verdict.clone()], ..JudgeWrite::default() };
        store.write_judgement(&write, NOW).unwrap();
    }
    assert_eq!(store.days(None, first.date, first.date).unwrap(), [second]);
    assert_eq!(store.days(Some(HOME), first.date, first.date).unwrap(), []);
}
