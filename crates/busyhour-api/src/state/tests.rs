use busyhour_model::{
    Breach, Cause, Change, FindingKind, IncidentId, IncidentMember, Judgement, LinkKind, Mechanism,
    Placement, Segment, Siblings, SubnetId,
};
use busyhour_store::Binding;
use jiff::civil::date;

use super::*;

pub(crate) const BUILDING: BuildingId = BuildingId::from_u128(1);
/// Friday 2026-03-06, noon in UTC.
const NOW: UtcMicros = UtcMicros::from_secs(1_772_798_400);

fn snapshot(days: Vec<DaySummary>, incidents: Vec<Incident>) -> Snapshot {
    let building = Building {
        id: BUILDING,
        name: "Quay".to_owned(),
        city: String::new(),
        country: String::new(),
        region: String::new(),
        time_zone: Some("UTC".to_owned()),
        business_hours: "Mo-Fr 08:00-18:00".parse().ok(),
        holidays: BTreeSet::new(),
    };
    let id = AgentId::from_u128(1);
    let placement = Placement {
        agent: id,
        subnet: SubnetId::from_u128(1),
        building: BUILDING,
        from: UtcMicros(0),
        until: None,
    };
    let agent = AgentRow {
        id,
        name: "quay-1".to_owned(),
        simulated: false,
        binding: Binding::Address,
        removed: None,
        added: UtcMicros(0),
        sighting: None,
        placement: Some(placement),
    };
    Snapshot {
        now: NOW,
        buildings: vec![building],
        subnets: Vec::new(),
        agents: vec![agent],
        paths: Vec::new(),
        incidents,
        parts: BTreeSet::new(),
        days,
    }
}

pub(crate) fn day(day: i8, verdict: DayVerdict, masked: bool) -> DaySummary {
    let worst = WorstHour {
        start_minute: 600,
        valid: 60,
        bad: 6,
        dominant: Some(Breach::Loss),
        loss_ppm: 0,
        loss_ppm_p90: 0,
        rtt_us_p90: 0,
        jitter_us_p90: 0,
        bad_by: [6, 0, 0, 0, 0],
        reordered: 0,
        replies: 0,
        order: Judgement::Unknown,
        rating_p10_hundredths: None,
    };
    DaySummary {
        scope: Scope::Building(BUILDING),
        building: BUILDING,
        date: date(2026, 3, day),
        verdict,
        limits: None,
        expected: 600,
        valid: 300,
        bad: 0,
        worst_hour: verdict.is_bad().then_some(worst),
        bad_quarters: Vec::new(),
        average: None,
        masked,
        masking_factor: None,
    }
}

/// Bad from Monday 2 March to Wednesday, good on Thursday.
pub(crate) fn incident(state: IncidentState, masked: bool) -> Incident {
    Incident {
        id: IncidentId::from_u128(1),
        number: 1,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(BUILDING),
        segment: Segment::Unknown,
        building: BUILDING,
        members: Vec::new(),
        siblings: Siblings::default(),
        hours: vec![(600, 660)],
        state,
        change: Change::Updated,
        changed: date(2026, 3, 4),
        merged_into: None,
        stale: false,
        first_bad: date(2026, 3, 2),
        last_bad: date(2026, 3, 4),
        bad_days: (2..=4).map(|day| date(2026, 3, day)).collect(),
        observed_days: (2..=5).map(|day| date(2026, 3, day)).collect(),
        opened_on: Some(date(2026, 3, 4)),
        closed_on: None,
        noted: NOW,
        opened: Some(NOW),
        closed: None,
        openings: 1,
        severity: 0.1,
        confidence: 0.9,
        cause: Cause::NotKnown,
        cause_confidence: 0.0,
        mechanism: Mechanism::NotKnown,
        evidence: Vec::new(),
        worst_hour: None,
        worst_on: None,
        average: None,
        masked,
        masking_factor: None,
        sentence: String::new(),
        paragraph: String::new(),
        simulated: false,
    }
}

fn state_of(days: Vec<DaySummary>, incidents: Vec<Incident>) -> BuildingState {
    snapshot(days, incidents).states().remove(0)
}

#[test]
fn a_building_stands_as_its_days_and_incidents_say() {
    use DayVerdict::{AllDayBad, Good, Missing, PeakBad};
    use IncidentState::{Open, Recovering, Suspected};
    let good = || day(5, Good, false);
    let cases = [
        (vec![], vec![], Standing::Unknown),
        (vec![day(5, Missing, false)], vec![], Standing::Unknown),
        (vec![good()], vec![], Standing::Good),
        (vec![good(), day(4, PeakBad, true)], vec![], Standing::Lately),
        (vec![good(), day(4, AllDayBad, false)], vec![], Standing::Lately),
        (vec![good()], vec![incident(Open, true)], Standing::Hidden),
        (vec![good()], vec![incident(Open, false)], Standing::Open),
        (vec![good()], vec![incident(Recovering, true)], Standing::Lately),
        // What is suspected is told by its days alone.
        (vec![good()], vec![incident(Suspected, true)], Standing::Good),
        (vec![good(), day(4, PeakBad, true)], vec![incident(Suspected, true)], Standing::Lately),
        (vec![good()], vec![incident(Suspected, true), incident(Open, false)], Standing::Open),
    ];
    for (n, (days, incidents, standing)) in cases.into_iter().enumerate() {
        assert_eq!(state_of(days, incidents).standing, standing, "case {n}");
    }
}

#[test]
fn what_nobody_is_told_of_does_not_make_a_building_bad() {
    for &kind in FindingKind::ALL {
        let incident = Incident { kind, ..incident(IncidentState::Open, false) };
        let state = state_of(vec![day(5, DayVerdict::Good, false)], vec![incident]);
        let expected = if kind.alerts() { Standing::Open } else { Standing::Good };
        assert_eq!(state.standing, expected, "{kind}");
    }
}

#[test]
fn a_building_suffers_by_an_incident_of_another_and_keeps_its_own_figures() {
    let elsewhere = BuildingId::from_u128(2);
    let member = |building| IncidentMember {
        path: busyhour_model::PathId(1),
        building,
        subnet: SubnetId::from_u128(1),
    };
    let upstream = |members| Incident {
        place: IncidentPlace::Upstream("west".to_owned()),
        building: elsewhere,
        members,
        worst_hour: day(4, DayVerdict::PeakBad, true).worst_hour,
        ..incident(IncidentState::Open, true)
    };
    let days = || vec![day(5, DayVerdict::Good, false), day(3, DayVerdict::PeakBad, false)];
    let state = state_of(days(), vec![upstream(vec![member(elsewhere), member(BUILDING)])]);
    assert_eq!(state.standing, Standing::Hidden);
    assert_eq!(state.evidence.as_ref().map(|evidence| evidence.date), Some(date(2026, 3, 3)));
    assert_eq!(state.incident_hours(), None, "they are by another clock");

    let state = state_of(days(), vec![upstream(vec![member(elsewhere)])]);
    assert_eq!((state.standing, state.incident.is_none()), (Standing::Lately, true));
}

#[test]
fn an_incident_tells_its_last_five_observed_days() {
    let mut long = incident(IncidentState::Open, false);
    long.observed_days = (1..=20).map(|day| date(2026, 2, day)).collect();
    long.bad_days = [3, 15, 17, 20].map(|day| date(2026, 2, day)).to_vec();
    let state = state_of(vec![], vec![long]);
    assert_eq!((state.bad_days, state.observed_days), (2, 5));
    assert_eq!(state.incident_hours(), Some(vec![(600, 660)]));
}

#[test]
fn a_holiday_does_not_make_a_building_unknown() {
    let mut holiday = day(5, DayVerdict::Missing, false);
    (holiday.expected, holiday.valid) = (0, 0);
    let state = state_of(vec![day(4, DayVerdict::Good, false), holiday], vec![]);
    assert_eq!((state.standing, state.unknown_because), (Standing::Good, None));
}

#[test]
fn a_building_that_was_good_long_ago_is_unknown_now() {
    let mut old = day(1, DayVerdict::Good, false);
    // Today is Friday, and Thursday may not be judged yet.
    for (day, standing) in [
        (date(2026, 2, 26), Standing::Unknown),
        (date(2026, 3, 3), Standing::Unknown),
        (date(2026, 3, 4), Standing::Good),
        (date(2026, 3, 5), Standing::Good),
        (date(2026, 3, 6), Standing::Good),
    ] {
        old.date = day;
        assert_eq!(state_of(vec![old.clone()], vec![]).standing, standing, "{day}");
    }
}

#[test]
fn a_building_whose_last_business_day_was_missed_is_unknown_and_says_so() {
    use DayVerdict::{Good, Missing, PeakBad};
    let of = |days: Vec<DaySummary>| state_of(days, vec![]);
    let missed = of(vec![day(4, Good, false), day(5, Missing, false)]);
    assert_eq!(missed.standing, Standing::Unknown);
    assert_eq!(missed.unknown_because, Some("its last business day was not observed"));
    // Today is not over, and an earlier loss is made up for.
    let today = of(vec![day(5, Good, false), day(6, Missing, false)]);
    assert_eq!((today.standing, today.unknown_because), (Standing::Good, None));
    let earlier = of(vec![day(4, Missing, false), day(5, Good, false)]);
    assert_eq!(earlier.standing, Standing::Good);
    // What was bad stays told.
    let bad = of(vec![day(4, PeakBad, false), day(5, Missing, false)]);
    assert_eq!(bad.standing, Standing::Lately);
}

#[test]
fn a_weekend_does_not_make_a_building_unknown() {
    for (now, standing) in [
        // Saturday, Monday and Tuesday after that Friday, at noon.
        (NOW.0 + 86_400_000_000, Standing::Good),
        (NOW.0 + 3 * 86_400_000_000, Standing::Good),
        (NOW.0 + 4 * 86_400_000_000, Standing::Good),
        (NOW.0 + 5 * 86_400_000_000, Standing::Unknown),
    ] {
        let mut days = vec![day(6, DayVerdict::Good, false)];
        for closed in [7, 8] {
            let mut closed = day(closed, DayVerdict::Missing, false);
            (closed.expected, closed.valid) = (0, 0);
            days.push(closed);
        }
        let mut snapshot = snapshot(days, vec![]);
        snapshot.now = UtcMicros(now);
        assert_eq!(snapshot.states()[0].standing, standing, "{now}");
    }
}

#[test]
fn only_the_last_five_observed_days_count_and_missing_ones_are_passed_over() {
    let verdicts = [DayVerdict::PeakBad, DayVerdict::PeakBad, DayVerdict::Missing]
        .into_iter()
        .chain([DayVerdict::Good; 3]);
    let mut days: Vec<DaySummary> =
        (1..).zip(verdicts).map(|(n, verdict)| day(n, verdict, false)).collect();
    let state = state_of(days.clone(), vec![]);
    assert_eq!((state.bad_days, state.observed_days), (2, 5));
    assert_eq!(state.evidence.map(|evidence| evidence.date), Some(date(2026, 3, 2)));
    let mut earlier = day(1, DayVerdict::PeakBad, false);
    earlier.date = date(2026, 2, 27);
    days.push(earlier);
    assert_eq!(state_of(days, vec![]).bad_days, 2);
}

#[test]
fn the_buildings_own_row_stands_for_it_and_agents_and_subnets_do_not() {
    let whole = day(5, DayVerdict::PeakBad, true);
    let mut agent = day(5, DayVerdict::AllDayBad, false);
    agent.scope = Scope::Agent(AgentId::from_u128(1), LinkKind::Wifi);
    let mut part = day(4, DayVerdict::AllDayBad, false);
    part.scope = Scope::Subnet(SubnetId::from_u128(1), LinkKind::Wifi);
    let state = state_of(vec![part, whole, agent], vec![]);
    assert_eq!(state.standing, Standing::Lately);
    let bad: Vec<_> = state.strip.iter().filter(|mark| mark.shape == DayShape::PeakBad).collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].note, "hidden by the daily average");
    assert!(state.strip.iter().all(|mark| mark.shape != DayShape::AllDayBad));
}

#[test]
fn the_strip_tells_closed_from_unknown_and_coverage_is_the_buildings_own() {
    let mut closed = day(1, DayVerdict::Missing, false);
    (closed.expected, closed.valid) = (0, 0);
    let mut part = day(5, DayVerdict::Good, false);
    part.scope = Scope::Subnet(SubnetId::from_u128(1), LinkKind::Wired);
    part.valid = 0;
    let mut begun = day(6, DayVerdict::Missing, false);
    (begun.expected, begun.valid) = (0, 0);
    let state = state_of(vec![closed, day(5, DayVerdict::Good, false), part, begun], vec![]);
    assert_eq!(state.strip.len(), 14);
    let shape = |day| {
        let mark = state.strip.iter().find(|mark| mark.date == date(2026, 3, day));
        mark.expect("a mark").shape
    };
    assert_eq!(shape(1), DayShape::Closed);
    assert_eq!(shape(5), DayShape::Good);
    assert_eq!(shape(6), DayShape::Unknown);
    assert_eq!(state.strip.last().map(|mark| mark.date), Some(date(2026, 3, 6)));
    assert_eq!(state.coverage, Some(0.5));
}
