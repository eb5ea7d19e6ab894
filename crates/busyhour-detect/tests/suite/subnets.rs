//! Agents first, then subnets, then the building.

use busyhour_model::{AgentId, DaySummary, DayVerdict, LinkKind, PathId, Scope, Slot, SubnetId};
use jiff::tz::TimeZone;

use crate::support::{B, BUILDING, FINE, TestPath, bad, judged, local_day, of, path, tuesday};

fn good() -> Vec<Slot> {
    local_day(tuesday(), &TimeZone::UTC, |_| Some(FINE))
}

fn bad_at(hour: u16) -> Vec<Slot> {
    local_day(tuesday(), &TimeZone::UTC, |minute| {
        Some(if minute / 60 == hour { bad(10) } else { FINE })
    })
}

fn silent() -> Vec<Slot> {
    Vec::new()
}

/// One wired subnet with these agents.
fn subnet_of(agents: &[Vec<Slot>]) -> DayVerdict {
    let paths: Vec<TestPath> =
        (1..).zip(agents).map(|(agent, slots)| path(agent, 1, slots.clone())).collect();
    of(&judged(&paths), Scope::Subnet(SubnetId::from_u128(1), LinkKind::Wired)).verdict
}

#[test]
fn a_subnet_is_bad_when_four_in_five_of_its_agents_are() {
    let (b, g) = (|| bad_at(10), good);
    assert_eq!(subnet_of(&[b(), b(), b(), b(), g()]), DayVerdict::PeakBad);
    assert_eq!(subnet_of(&[b(), b(), b(), g(), g()]), DayVerdict::Good);
    assert_eq!(subnet_of(&[b(), g()]), DayVerdict::Good);
    assert_eq!(subnet_of(&[b(), b(), g(), g(), silent()]), DayVerdict::Good);
}

#[test]
fn only_observed_agents_have_a_say() {
    assert_eq!(subnet_of(&[bad_at(10)]), DayVerdict::PeakBad);
    assert_eq!(subnet_of(&[bad_at(10), silent(), silent()]), DayVerdict::PeakBad);
    assert_eq!(subnet_of(&[good(), silent(), silent()]), DayVerdict::Good);
    assert_eq!(subnet_of(&[silent(), silent()]), DayVerdict::Missing);
}

#[test]
fn agents_that_are_bad_at_different_hours_share_nothing() {
    assert_eq!(subnet_of(&[bad_at(9), bad_at(15)]), DayVerdict::Good);
    assert_eq!(subnet_of(&[bad_at(9), bad_at(10)]), DayVerdict::PeakBad);
}

#[test]
fn one_bad_agent_is_that_agents_fault() {
    let summaries = judged(&[path(1, 1, bad_at(10)), path(2, 1, good()), path(3, 1, good())]);
    let agent = |id| of(&summaries, Scope::Agent(AgentId::from_u128(id), LinkKind::Wired)).verdict;
    assert_eq!(agent(1), DayVerdict::PeakBad);
    assert_eq!(agent(2), DayVerdict::Good);
    assert_eq!(of(&summaries, Scope::Building(BUILDING)).verdict, DayVerdict::Good);
}

#[test]
fn kinds_of_link_are_judged_apart() {
    let wifi = TestPath { link: LinkKind::Wifi, ..path(2, 1, bad_at(14)) };
    let summaries = judged(&[path(1, 1, good()), wifi]);
    let unit = |link| of(&summaries, Scope::Subnet(SubnetId::from_u128(1), link)).verdict;
    assert_eq!(unit(LinkKind::Wired), DayVerdict::Good);
    assert_eq!(unit(LinkKind::Wifi), DayVerdict::PeakBad);
}

#[test]
fn one_bad_subnet_is_not_outvoted_by_many_agents_elsewhere() {
    let mut paths = vec![path(1, 1, bad_at(10))];
    paths.extend((2..10).map(|agent| path(agent, 2, good())));
    let building = of(&judged(&paths), Scope::Building(BUILDING));
    assert_eq!(building.verdict, DayVerdict::PeakBad);
    assert_eq!(building.bad_quarters, [600, 615, 630, 645]);
    assert_eq!(building.worst_hour.unwrap().bad, 40);
    assert_eq!(building.expected, 9 * 600, "coverage is that of all");
}

#[test]
fn a_building_of_which_little_is_observed_is_unknown() {
    let paths = [path(1, 1, good()), path(2, 2, silent()), path(3, 3, silent())];
    assert_eq!(of(&judged(&paths), Scope::Building(BUILDING)).verdict, DayVerdict::Missing);
    let paths = [path(1, 1, good()), path(2, 2, good()), path(3, 3, silent())];
    assert_eq!(of(&judged(&paths), Scope::Building(BUILDING)).verdict, DayVerdict::Good);
}

#[test]
fn an_agents_targets_are_taken_together() {
    let b = TestPath { target: B, ..path(1, 1, bad_at(10)) };
    let summaries = judged(&[path(1, 1, good()), b]);
    let agent = of(&summaries, Scope::Agent(AgentId::from_u128(1), LinkKind::Wired));
    assert_eq!(agent.verdict, DayVerdict::PeakBad);
    let worst = agent.worst_hour.unwrap();
    assert_eq!((worst.valid, worst.bad), (120, 40));
}

#[test]
fn an_agent_with_one_path_is_as_that_path() {
    let summaries = judged(&[path(1, 1, bad_at(10))]);
    let scopes = [
        Scope::Path(PathId(1)),
        Scope::Agent(AgentId::from_u128(1), LinkKind::Wired),
        Scope::Subnet(SubnetId::from_u128(1), LinkKind::Wired),
        Scope::Building(BUILDING),
    ];
    assert_eq!(summaries.iter().map(|day| day.scope).collect::<Vec<_>>(), scopes);
    for day in &summaries {
        assert_eq!(DaySummary { scope: scopes[0], ..day.clone() }, summaries[0]);
    }
}
