//! What becomes of an alert that nobody can watch any more, and of what it rests on.

use std::time::Duration;

use busyhour_model::{
    AgentId, Change, FileBuilding, Incident, IncidentState, RequirementProfile, UtcMicros,
};
use busyhour_sim::{Condition, demo_fleet};
use busyhour_store::{Act, Binding, Control as _, JudgedWindow, Sighting};

use crate::{Bench, DAYS, NOW, file_of, judged};

const CONDITION: Condition = Condition::OneSubnet;
const LATER: UtcMicros = UtcMicros(NOW.0 + 60_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A bench with an alert about one subnet.
fn alerted() -> Bench {
    let bench = Bench::new();
    bench.load(CONDITION);
    assert_eq!(bench.judge().told, 1);
    bench
}

/// The agents of the subnet that suffers.
fn suffering(bench: &Bench) -> Vec<AgentId> {
    let bad = bench.simulated(CONDITION).truth.subnet.unwrap();
    let agents = bench.agents(CONDITION).into_iter();
    agents.filter(|(_, agent)| agent.subnet_prefix == bad).map(|(id, _)| id).collect()
}

/// Imports a changed building file.
fn import(bench: &Bench, change: impl Fn(&mut FileBuilding)) {
    let mut file = file_of(&bench.fleet);
    file.iter_mut().for_each(change);
    bench.control.import_buildings(&file, &Act::by_operator(LATER)).unwrap();
}

/// The alert after it was closed, which was told once and for the reason given.
fn closed_because(bench: &Bench, at: UtcMicros, why: &str) -> Incident {
    assert_eq!(bench.judge_at(at).told, 1);
    let incident = bench.incident(CONDITION).unwrap();
    assert_eq!((incident.state, incident.change), (IncidentState::Closed, Change::Gone));
    assert!(incident.sentence.ends_with(why), "{}", incident.sentence);
    assert_eq!(bench.judge_at(at).told, 0);
    incident
}

#[test]
fn an_alert_whose_agents_were_removed_is_closed_and_says_so() {
    let bench = alerted();
    let (last, others) = suffering(&bench).split_last().map(|(a, b)| (*a, b.to_vec())).unwrap();
    for id in others {
        bench.control.remove_agent(id, &Act::by_operator(LATER)).unwrap();
    }
    assert_eq!(bench.judge_at(LATER).told, 0, "one of them goes on");
    bench.control.remove_agent(last, &Act::by_operator(LATER)).unwrap();
    let incident =
        closed_because(&bench, LATER, "Its agents were removed: it is no longer watched.");
    let zone = &bench.simulated(CONDITION).time_zone;
    let today = jiff::Timestamp::from_microsecond(LATER.0).unwrap().to_zoned(zone.clone()).date();
    assert_eq!(incident.closed_on, Some(today), "a local date");
}

#[test]
fn an_alert_whose_subnet_is_another_buildings_does_not_say_that_it_left_the_file() {
    let bench = alerted();
    let bad = bench.simulated(CONDITION).truth.subnet.unwrap();
    let mut moved = None;
    let mut file = file_of(&bench.fleet);
    for building in &mut file {
        let at = building.subnets.iter().position(|subnet| subnet.prefix == bad);
        moved = moved.or(at.map(|at| building.subnets.remove(at)));
    }
    let home = bench.simulated(CONDITION).name.clone();
    let other = file.iter_mut().find(|building| building.name != home).unwrap();
    other.subnets.push(moved.unwrap());
    bench.control.import_buildings(&file, &Act::by_operator(LATER)).unwrap();
    closed_because(&bench, LATER, "Its subnet is another building's now: it is no longer watched.");
}

#[test]
fn an_alert_in_a_building_without_a_clock_is_closed() {
    let bench = alerted();
    let name = bench.simulated(CONDITION).name.clone();
    import(&bench, |building| {
        if building.name == name {
            building.time_zone = Some("Nowhere/City".to_owned());
        }
    });
    let why = "Its time zone or business hours are not known: it is no longer watched.";
    closed_because(&bench, LATER, why);
}

#[test]
fn an_alert_of_paths_that_are_judged_by_nothing_any_more_is_closed() {
    let bench = alerted();
    for (id, agent) in bench.agents(CONDITION) {
        let day = bench.fleet.days_newest_first().next().unwrap();
        let last = agent.day(day).into_iter().filter_map(|record| judged(record, agent)).last();
        let window = last.map(|judged| {
            let mut stamp = judged.stamp;
            stamp.started = NOW;
            let requirement = RequirementProfile::None;
            JudgedWindow { requirement, placed: NOW, stamp, ..judged }
        });
        bench.append(id, DAYS + 1, window.into_iter().collect());
    }
    let why = "Its paths are no longer measured or judged: it is no longer watched.";
    closed_because(&bench, LATER, why);
}

#[test]
fn an_alert_waits_for_agents_that_are_elsewhere_until_it_is_stale() {
    let bench = Bench::with(file_of, |_| Binding::Address);
    let saw = |id, prefix, at| {
        let sighting = Sighting {
            at,
            version: String::new(),
            os: String::new(),
            local_prefix: Some(prefix),
            peer: None,
        };
        bench.control.saw_agent(id, &sighting).unwrap();
    };
    let agents = bench.agents(CONDITION);
    agents.iter().for_each(|(id, agent)| saw(*id, agent.subnet_prefix, NOW.minus(DAY * 20)));
    bench.load(CONDITION);
    assert_eq!(bench.judge().told, 1);
    let bad = bench.simulated(CONDITION).truth.subnet.unwrap();
    let elsewhere = agents.iter().find(|(_, agent)| agent.subnet_prefix != bad).unwrap().1;
    suffering(&bench).into_iter().for_each(|id| saw(id, elsewhere.subnet_prefix, LATER));
    let mut told = 0;
    let mut days = 0;
    while told == 0 {
        days += 1;
        assert!(days < 40, "it never ends");
        told = bench.judge_at(NOW.plus(DAY * days)).told;
    }
    assert!(days > 10, "ten working days are waited for, not {days}");
    let incident = bench.incident(CONDITION).unwrap();
    assert_eq!(incident.change, Change::Gone);
    assert!(
        incident.sentence.ends_with("Its agents are in other places now: it is no longer watched.")
    );
}

#[test]
fn an_alert_is_simulated_unless_enough_of_it_is_real() {
    let fleet = demo_fleet(11, NOW);
    let truth = fleet.buildings.iter().find(|one| one.truth.condition == CONDITION).unwrap();
    let bad = truth.truth.subnet.unwrap();
    let all = (1u128..).map(AgentId::from_u128).zip(&fleet.agents);
    let bad: Vec<AgentId> =
        all.filter(|(_, agent)| agent.subnet_prefix == bad).map(|(id, _)| id).collect();
    let is_simulated = |simulated: usize| {
        let binding = |agent: &busyhour_sim::SimAgent| Binding::Subnet {
            prefix: agent.subnet_prefix,
            egress: None,
        };
        let few = &bad[..simulated];
        let bench = Bench::of(file_of, binding, &|id| few.contains(&id));
        bench.load(CONDITION);
        bench.judge();
        bench.incident(CONDITION).unwrap().simulated
    };
    let most = bad.len() / 5;
    assert!(!is_simulated(most), "{most} of {}", bad.len());
    assert!(is_simulated(most + 1), "{} of {}", most + 1, bad.len());
    assert!(is_simulated(bad.len()));
}

#[test]
fn nobody_works_on_dates_that_the_building_file_calls_holidays() {
    let bench = Bench::new();
    let condition = Condition::Healthy;
    bench.load(condition);
    bench.judge();
    let date = jiff::civil::date(2026, 10, 27);
    let building = bench.building(condition);
    let judged = || {
        let days = bench.control.days(Some(building.id), date, date).unwrap();
        days.iter().any(|day| day.verdict.is_observed() || day.expected > 0)
    };
    assert!(judged(), "a Tuesday");
    import(&bench, |one| {
        if one.name == building.name {
            one.holidays.insert(date);
        }
    });
    bench.judge_at(LATER);
    assert!(!judged(), "a holiday");
}
