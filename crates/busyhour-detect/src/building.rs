//! The verdicts of one building's day: paths, agents, subnets, the building.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use busyhour_model::{
    AgentId, BuildingId, DaySummary, DayVerdict, LinkKind, RequirementProfile, Scope, SubnetId,
    UtcMicros, WorstHour,
};

use crate::day::{Frame, PathDay, Series};
use crate::day_frame::BuildingDay;
use crate::quarters::Quarters;
use crate::target_day::TargetBins;

/// A subnet is bad when this share of its observed agents is.
const SHARE_PERCENT: usize = 80;
/// A building without a bad subnet is good when this share of its subnets was observed.
const OBSERVED_PERCENT: usize = 40;

/// Judges a building's local day: `frame` says which of its quarter-hours are busy, and whether people
/// work at all. `paths` are those of the building on that day (those that begin later are ignored),
/// silent ones included: what is silent is unknown. `faults` are the quarter-hours in which targets
/// were at fault. `now` tells what of a day still running is to come.
///
/// Gives one summary for each path, each agent on each kind of link, each subnet on each kind of
/// link, and the building, in the order of their scopes. Agents come first: a subnet is bad when at
/// least 80 % of its observed agents on that kind of link are bad at the same hours, and a single
/// observed agent stands for its subnet. The building's row is that of its worst subnet, so that one
/// bad subnet is never averaged away; whether the whole building shares it is for the incident to
/// say. Empty when the building has no paths, and for a frame that is not in quarter-hours.
#[must_use]
pub fn judge_day(
    building: BuildingId,
    frame: &BuildingDay,
    now: UtcMicros,
    paths: &[PathDay<'_>],
    faults: &TargetBins,
) -> Vec<DaySummary> {
    let Some(frame) = Frame::new(building, frame, now, faults) else { return Vec::new() };
    let mut summaries = Vec::new();
    let mut subnets: BTreeMap<(SubnetId, LinkKind), BTreeMap<AgentId, Taken<'_>>> = BTreeMap::new();
    for path in paths.iter().filter(|path| frame.reaches(path.since)) {
        let series = Series::of(&frame, path);
        let day = series.judge(&frame, Scope::Path(path.path));
        if path.requirement != RequirementProfile::None {
            let agents = subnets.entry((path.subnet, path.link)).or_default();
            match agents.entry(path.agent) {
                Entry::Occupied(mut agent) => agent.get_mut().join(&series),
                Entry::Vacant(agent) => {
                    agent.insert(Taken::new(series, &day));
                }
            }
        }
        summaries.push(day);
    }
    let mut units = Vec::new();
    for ((subnet, link), agents) in subnets {
        let judged: Vec<Judged<'_>> = agents
            .into_iter()
            .map(|(agent, taken)| taken.judge(&frame, Scope::Agent(agent, link)))
            .collect();
        units.push(judge_subnet(&frame, Scope::Subnet(subnet, link), &judged));
        summaries.extend(judged.into_iter().map(|agent| agent.day));
    }
    summaries.extend(judge_building(building, &units));
    summaries.extend(units);
    summaries.sort_by_key(|summary| summary.scope);
    summaries
}

/// The paths of an agent on one kind of link, taken together.
struct Taken<'a> {
    series: Series<'a>,
    /// The verdict on it, while it is one path: the same one.
    alone: Option<DaySummary>,
}

impl<'a> Taken<'a> {
    fn new(series: Series<'a>, day: &DaySummary) -> Self {
        Self { series, alone: Some(day.clone()) }
    }

    fn join(&mut self, series: &Series<'a>) {
        self.series.join(series);
        self.alone = None;
    }

    fn judge(self, frame: &Frame<'_>, scope: Scope) -> Judged<'a> {
        let day = match self.alone {
            Some(path) => DaySummary { scope, ..path },
            None => self.series.judge(frame, scope),
        };
        Judged { day, series: self.series }
    }
}

/// An agent's day, and what it rests on.
struct Judged<'a> {
    day: DaySummary,
    series: Series<'a>,
}

/// The day of a subnet's agents on one kind of link. Its figures are those of the bad agents taken
/// together when it is bad, else of all observed ones; its coverage is that of all agents.
fn judge_subnet(frame: &Frame<'_>, scope: Scope, agents: &[Judged<'_>]) -> DaySummary {
    let observed = agents.iter().filter(|agent| agent.day.verdict.is_observed()).count();
    let (verdict, shared) = share_among(agents, observed);
    let counts = |agent: &&Judged<'_>| match verdict {
        DayVerdict::Missing => true,
        DayVerdict::Good => agent.day.verdict.is_observed(),
        DayVerdict::PeakBad | DayVerdict::AllDayBad => agent.day.verdict.is_bad(),
    };
    let mut together = Series::empty(frame);
    for agent in agents.iter().filter(counts) {
        together.join(&agent.series);
    }
    let mut summary = together.summary(frame, scope, verdict, shared);
    let total = |of: fn(&DaySummary) -> u32| {
        agents.iter().fold(0u32, |sum, agent| sum.saturating_add(of(&agent.day)))
    };
    summary.expected = total(|day| day.expected);
    summary.valid = total(|day| day.valid);
    summary.bad = total(|day| day.bad);
    summary
}

/// The verdict that enough of the observed agents share, and the quarter-hours they share.
fn share_among(agents: &[Judged<'_>], observed: usize) -> (DayVerdict, Quarters) {
    if observed == 0 {
        return (DayVerdict::Missing, Quarters::default());
    }
    let bad: Vec<&DaySummary> =
        agents.iter().map(|agent| &agent.day).filter(|day| day.verdict.is_bad()).collect();
    let hours: Vec<Quarters> =
        bad.iter().map(|day| Quarters::from_minutes(&day.bad_quarters)).collect();
    let near: Vec<Quarters> = hours.iter().map(|hours| hours.dilated()).collect();
    let needed = (observed * SHARE_PERCENT).div_ceil(100);
    let own = hours.into_iter().fold(Quarters::default(), Quarters::or);
    let shared = Quarters::in_at_least(&near, needed).and(own);
    if shared.is_empty() {
        return (DayVerdict::Good, shared);
    }
    let throughout = bad.iter().filter(|day| day.verdict == DayVerdict::AllDayBad).count();
    let verdict =
        if throughout * 2 >= bad.len() { DayVerdict::AllDayBad } else { DayVerdict::PeakBad };
    (verdict, shared)
}

/// The building's row: its worst subnet's, with the coverage of all. Subnets are not weighted.
fn judge_building(building: BuildingId, units: &[DaySummary]) -> Option<DaySummary> {
    let worst = units.iter().max_by(|a, b| {
        let rank = |day: &DaySummary| (day.verdict.is_bad(), day.verdict.is_observed());
        rank(a)
            .cmp(&rank(b))
            .then(compare_hours(a.worst_hour.as_ref(), b.worst_hour.as_ref()))
            .then(b.scope.cmp(&a.scope))
    })?;
    let observed = units.iter().filter(|unit| unit.verdict.is_observed()).count();
    let enough = observed * 100 >= units.len() * OBSERVED_PERCENT;
    let known = worst.verdict.is_bad() || enough;
    let total = |of: fn(&DaySummary) -> u32| {
        units.iter().fold(0u32, |sum, unit| sum.saturating_add(of(unit)))
    };
    let bad = units
        .iter()
        .filter(|unit| unit.verdict.is_bad())
        .map(|unit| Quarters::from_minutes(&unit.bad_quarters))
        .fold(Quarters::default(), Quarters::or);
    Some(DaySummary {
        scope: Scope::Building(building),
        verdict: if known { worst.verdict } else { DayVerdict::Missing },
        expected: total(|unit| unit.expected),
        valid: total(|unit| unit.valid),
        bad: total(|unit| unit.bad),
        bad_quarters: bad.minutes(),
        ..worst.clone()
    })
}

/// Compares by the share of bad windows; no hour is the least.
fn compare_hours(a: Option<&WorstHour>, b: Option<&WorstHour>) -> std::cmp::Ordering {
    let share = |of: &WorstHour, other: &WorstHour| u64::from(of.bad) * u64::from(other.valid);
    match (a, b) {
        (Some(a), Some(b)) => share(a, b).cmp(&share(b, a)).then(a.bad.cmp(&b.bad)),
        _ => a.is_some().cmp(&b.is_some()),
    }
}
