//! A fleet's inventory, its verdicts of the last weeks, and its incidents.

use std::path::Path;
use std::time::{Duration, SystemTime};

use busyhour_model::{
    Breach, BuildingId, Cause, Change, DailyAverage, DaySummary, DayVerdict, Evidence, FindingKind,
    Incident, IncidentId, IncidentMember, IncidentPlace, IncidentState, Judgement, LimitsVersion,
    LinkKind, Mechanism, PathId, Scope, Segment, Siblings, SubnetId, UtcMicros, WorstHour,
};
use busyhour_store::{Act, Control as _, JudgeWrite, Retention, Telemetry as _};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

use crate::fleet::{AGENTS, BEGIN, FleetPath, PATHS, agent_id, file, ids, new_agent, windows};
use crate::slots::Draw;

/// One building in so many has an open incident.
const INCIDENT_EACH: usize = 10;
/// Agents whose blocks go into one transaction.
const AT_ONCE: usize = 100;
pub(crate) const RETENTION: Retention = Retention {
    windows_days: 14,
    slots_days: 400,
    hours_days: 1_830,
    checks_days: 60,
    facts_days: 60,
    loads_days: 30,
    gaps_days: 60,
};

/// Puts it all into a store in `folder`; so many days have verdicts, today's included.
pub(crate) fn fill(folder: &Path, buildings: usize, days: i64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now = UtcMicros(0).plus(now);
    let (telemetry, control) = busyhour_store::open(folder, RETENTION).expect("the store opens");
    let by = Act::by_operator(BEGIN);
    control.import_buildings(&file(buildings), &by).expect("a building file");
    let agents = buildings * AGENTS;
    for agent in 0..agents {
        control.add_agent(&new_agent(agent), &by).expect("a new agent");
    }
    let minutes = now.since(BEGIN) / 60_000_000;
    let at = (minutes.div_euclid(1_440), minutes.rem_euclid(1_440) - 1);
    let mut draw = Draw::new(1);
    for from in (0..agents).step_by(AT_ONCE) {
        let some = from..(from + AT_ONCE).min(agents);
        telemetry.append(&windows(&mut draw, some, at, 1)).expect("the store takes windows");
    }
    telemetry.fold().expect("the journal is folded");
    let paths = ids(telemetry.paths(None).expect("paths"), buildings);
    let known = control.buildings().expect("buildings");
    let subnets = control.subnets().expect("subnets");
    let mut places: Vec<(BuildingId, Vec<SubnetId>)> = known
        .iter()
        .map(|building| {
            let own = subnets.iter().filter(|subnet| subnet.building == building.id);
            (building.id, own.map(|subnet| subnet.id).collect())
        })
        .collect();
    // The fleet numbers its buildings by name.
    places
        .sort_by_key(|(id, _)| known.iter().find(|one| one.id == *id).map(|one| one.name.clone()));
    let stamp = Timestamp::from_microsecond(now.0).expect("a moment");
    let today = stamp.to_zoned(jiff::tz::TimeZone::UTC).date();
    for back in 0..days {
        let date = today.saturating_sub(back.days());
        let mut write = JudgeWrite::default();
        for (number, (building, subnets)) in places.iter().enumerate() {
            let own = &paths[number * PATHS..(number + 1) * PATHS];
            let bad = number % INCIDENT_EACH == 0 && date.weekday().to_monday_zero_offset() < 5;
            let scopes = scopes(number, *building, subnets, own);
            write.days.extend(scopes.into_iter().map(|scope| day(scope, *building, date, bad)));
            if bad && back == 0 || number % INCIDENT_EACH == 0 && back == days - 1 {
                write.incidents.push(incident(number, *building, (subnets, own), (today, now)));
            }
        }
        control.write_judgement(&write, now).expect("verdicts are kept");
    }
}

fn scopes(
    number: usize,
    building: BuildingId,
    subnets: &[SubnetId],
    paths: &[PathId],
) -> Vec<Scope> {
    let link = |wifi: bool| if wifi { LinkKind::Wifi } else { LinkKind::Wired };
    let mut scopes = vec![Scope::Building(building)];
    scopes.extend(subnets.iter().enumerate().map(|(at, &id)| Scope::Subnet(id, link(at > 0))));
    let agents = (0..AGENTS).map(|at| Scope::Agent(agent_id(number * AGENTS + at), link(at > 2)));
    scopes.extend(agents);
    scopes.extend(paths.iter().map(|&path| Scope::Path(path)));
    scopes
}

fn day(scope: Scope, building: BuildingId, date: Date, bad: bool) -> DaySummary {
    DaySummary {
        scope,
        building,
        date,
        verdict: if bad { DayVerdict::PeakBad } else { DayVerdict::Good },
        limits: Some(LimitsVersion(1)),
        expected: 600,
        valid: 590,
        bad: if bad { 30 } else { 0 },
        worst_hour: Some(worst(bad)),
        bad_quarters: if bad { (40..44).map(|quarter| quarter * 15).collect() } else { Vec::new() },
        average: Some(average()),
        masked: bad,
        masking_factor: bad.then_some(8.0),
    }
}

const fn average() -> DailyAverage {
    DailyAverage { loss_ppm: 3_000, rtt_us: 30_000, jitter_us: 2_000, passes: true }
}

const fn worst(bad: bool) -> WorstHour {
    let count = if bad { 30 } else { 0 };
    WorstHour {
        start_minute: 600,
        valid: 60,
        bad: count,
        dominant: if bad { Some(Breach::Loss) } else { None },
        loss_ppm: 20_000,
        loss_ppm_p90: 24_000,
        rtt_us_p90: 40_000,
        jitter_us_p90: 4_000,
        bad_by: [count, 0, 0, 0, 0],
        reordered: 0,
        replies: 44_000,
        order: Judgement::Pass,
        rating_p10_hundredths: Some(7_150),
    }
}

fn incident(
    number: usize,
    building: BuildingId,
    (subnets, paths): (&[SubnetId], &[PathId]),
    (today, now): (Date, UtcMicros),
) -> Incident {
    let member = |(at, &path): (usize, &PathId)| {
        let wifi = FleetPath(at).agent() % AGENTS > 2;
        IncidentMember { path, building, subnet: subnets[usize::from(wifi)] }
    };
    let noted = now.minus(Duration::from_secs(10 * 86_400));
    Incident {
        id: IncidentId::from_u128(number as u128 + 1),
        number: number as u64 + 1,
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(building),
        segment: Segment::CustomerWan,
        building,
        members: paths.iter().enumerate().map(member).collect(),
        siblings: Siblings::default(),
        hours: vec![(600, 660)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: today,
        merged_into: None,
        stale: false,
        first_bad: today.saturating_sub(10.days()),
        last_bad: today,
        bad_days: (0..10).rev().map(|back: i64| today.saturating_sub(back.days())).collect(),
        observed_days: (0..10).rev().map(|back: i64| today.saturating_sub(back.days())).collect(),
        opened_on: Some(today.saturating_sub(8.days())),
        closed_on: None,
        noted,
        opened: Some(noted),
        closed: None,
        openings: 1,
        severity: 0.5,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.8,
        mechanism: Mechanism::Queue,
        evidence: vec![Evidence {
            cause: Cause::Bandwidth,
            weight: 1.0,
            text: "loss rises with load".to_owned(),
        }],
        worst_hour: Some(worst(true)),
        worst_on: Some(today),
        average: Some(average()),
        masked: true,
        masking_factor: Some(8.0),
        sentence: "Calls break between 10:00 and 11:00 on most working days since last week; the daily average looks fine.".to_owned(),
        paragraph: "Ten of ten working days had half of their windows bad between 10:00 and 11:00.".to_owned(),
        simulated: true,
    }
}
