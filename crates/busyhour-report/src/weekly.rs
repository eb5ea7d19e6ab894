//! The weekly Quality Experience Review: its four questions, building by building.

mod sheet;

use std::collections::{BTreeMap, HashMap};

use busyhour_chart::{DayMark, DayShape};
use busyhour_model::{AgentId, Building, BuildingId, DaySummary, DayVerdict, LinkKind, SubnetId};
use busyhour_store::AgentRow;
use jiff::civil::Date;

use crate::period::Period;
use crate::shift::{Days, Shift, Trend, shift, trend};
use crate::tally::{LEAST_OF_WEEK, Tally, Target, WorstOf};
use crate::world::{World, add_days, concerns, dates};

pub(crate) use self::sheet::notes;

/// Days before the week that it is compared with: four weeks, which is what a month of weeks is.
const MONTH_DAYS: i64 = 28;
/// Weeks that a trend is looked for in, the week itself among them.
const TREND_WEEKS: i64 = 8;
/// Observed days that a comparison takes: before, and in the week.
const LEAST_DAYS: (u32, u32) = (10, 3);

/// What was asked of a week, answered.
#[derive(Debug, Clone, PartialEq)]
pub struct WeeklyReview {
    /// The week.
    pub period: Period,
    /// Buildings, those with the most agents first, then the most paths, then by name.
    pub buildings: Vec<BuildingWeek>,
    /// Subnets with a bad day, in the order of their buildings; those with the most bad days first.
    pub subnets: Vec<SubnetWeek>,
}

/// One building's week.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildingWeek {
    /// The building.
    pub building: BuildingId,
    /// Its name.
    pub name: String,
    /// Agents that live in it now.
    pub agents: usize,
    /// Paths that these measure.
    pub paths: u32,
    /// One of the agents is simulated.
    pub simulated: bool,
    /// The days of the week.
    pub week: Tally,
    /// Those of the four weeks before.
    pub before: Tally,
    /// Whether the target was met.
    pub target: Target,
    /// The week against the four weeks before; `None` when too few days were observed.
    pub shift: Option<Shift>,
    /// Over eight weeks up to this one.
    pub trend: Trend,
    /// The worst busy hour of the week.
    pub worst: Option<WorstOf>,
    /// Numbers of the incidents that people are told of and that were open in the week.
    pub incidents: Vec<u64>,
    /// The days from four weeks before up to the week's last, for the picture.
    pub strip: Vec<DayMark>,
}

/// One subnet's week, on one kind of link.
#[derive(Debug, Clone, PartialEq)]
pub struct SubnetWeek {
    /// The building.
    pub building: BuildingId,
    /// Its name.
    pub building_name: String,
    /// The subnet.
    pub subnet: SubnetId,
    /// Its name and prefix.
    pub name: String,
    /// The kind of link.
    pub link: LinkKind,
    /// Agents that live in it now.
    pub agents: usize,
    /// One of them is simulated.
    pub simulated: bool,
    /// The days of the week.
    pub week: Tally,
    /// The worst busy hour.
    pub worst: Option<WorstOf>,
    /// Bad days on which no other subnet of the building was bad, on whatever link: taken together the
    /// building was fine.
    pub alone: u32,
}

impl WeeklyReview {
    /// The first date whose verdicts are needed.
    pub(crate) fn needs_from(period: Period) -> Date {
        add_days(period.first(), -7 * (TREND_WEEKS - 1))
    }

    /// Answers the questions.
    #[must_use]
    pub fn new(world: &World, period: Period) -> Self {
        let (residents, paths) = (world.residents(), world.path_counts());
        let mut buildings: Vec<BuildingWeek> = world
            .buildings
            .iter()
            .map(|building| {
                let agents = residents.get(&building.id).map_or(&[][..], Vec::as_slice);
                BuildingWeek::new(world, period, building, agents, &paths)
            })
            .collect();
        buildings.sort_by(|a, b| {
            b.agents.cmp(&a.agents).then(b.paths.cmp(&a.paths)).then_with(|| a.name.cmp(&b.name))
        });
        let subnets = buildings.iter().flat_map(|building| {
            let agents = residents.get(&building.building).map_or(&[][..], Vec::as_slice);
            subnets(world, period, building, agents)
        });
        Self { period, subnets: subnets.collect(), buildings }
    }
}

impl BuildingWeek {
    fn new(
        world: &World,
        period: Period,
        building: &Building,
        agents: &[&AgentRow],
        paths: &HashMap<AgentId, u32>,
    ) -> Self {
        let days = |from, until| world.building_days(building.id, from, until);
        let (first, last) = (period.first(), period.last());
        let month = add_days(first, -MONTH_DAYS);
        let week = Tally::of(days(first, last));
        let before = Tally::of(days(month, add_days(first, -1)));
        let weeks: Vec<Days> = (0..TREND_WEEKS)
            .rev()
            .map(|back| {
                Tally::of(days(add_days(first, -7 * back), add_days(last, -7 * back))).days()
            })
            .collect();
        let open = world.told().filter(|incident| {
            concerns(incident, building.id)
                && incident.opened_on.is_some_and(|opened| opened <= last)
                && incident.closed_on.is_none_or(|closed| closed >= first)
        });
        Self {
            building: building.id,
            name: building.name.clone(),
            agents: agents.len(),
            paths: agents.iter().filter_map(|agent| paths.get(&agent.id)).sum(),
            simulated: agents.iter().any(|agent| agent.simulated),
            week,
            before,
            target: week.target(LEAST_OF_WEEK, world.is_over(period, building)),
            shift: shift(before.days(), week.days(), LEAST_DAYS),
            trend: trend(&weeks),
            worst: WorstOf::of(days(first, last)),
            incidents: open.map(|incident| incident.number).collect(),
            strip: strip(days(month, last), month, last),
        }
    }
}

/// The subnets of a building with a bad day.
fn subnets(
    world: &World,
    period: Period,
    building: &BuildingWeek,
    agents: &[&AgentRow],
) -> Vec<SubnetWeek> {
    let days = world.subnet_days(building.building, period.first(), period.last());
    let mut bad_on: BTreeMap<Date, Vec<SubnetId>> = BTreeMap::new();
    for ((subnet, _), days) in &days {
        for day in days.iter().filter(|day| day.verdict.is_bad()) {
            let subnets = bad_on.entry(day.date).or_default();
            if !subnets.contains(subnet) {
                subnets.push(*subnet);
            }
        }
    }
    let mut found = Vec::new();
    for ((subnet, link), days) in days {
        let week = Tally::of(days.iter().copied());
        if week.bad == 0 {
            continue;
        }
        let bad = days.iter().filter(|day| day.verdict.is_bad());
        let lives = |agent: &&&AgentRow| agent.placement.is_some_and(|at| at.subnet == subnet);
        found.push(SubnetWeek {
            building: building.building,
            building_name: building.name.clone(),
            subnet,
            name: world.subnet_name(subnet),
            link,
            agents: agents.iter().filter(lives).count(),
            simulated: agents.iter().filter(lives).any(|agent| agent.simulated),
            week,
            worst: WorstOf::of(days.iter().copied()),
            alone: bad.filter(|day| bad_on.get(&day.date).is_some_and(|all| all.len() == 1)).count()
                as u32,
        });
    }
    found.sort_by(|a, b| {
        b.week.bad.cmp(&a.week.bad).then(b.agents.cmp(&a.agents)).then_with(|| a.name.cmp(&b.name))
    });
    found
}

/// How each day is drawn; a day without a verdict is unknown.
pub(crate) fn strip<'a>(
    days: impl Iterator<Item = &'a DaySummary>,
    from: Date,
    until: Date,
) -> Vec<DayMark> {
    let days: BTreeMap<Date, &DaySummary> = days.map(|day| (day.date, day)).collect();
    let mark = |date: Date| {
        let day = days.get(&date);
        let shape = match day.map(|day| (day.verdict, day.expected)) {
            Some((DayVerdict::Good, _)) => DayShape::Good,
            Some((DayVerdict::PeakBad, _)) => DayShape::PeakBad,
            Some((DayVerdict::AllDayBad, _)) => DayShape::AllDayBad,
            Some((DayVerdict::Missing, 0)) => DayShape::Closed,
            Some((DayVerdict::Missing, _)) | None => DayShape::Unknown,
        };
        let masked = day.is_some_and(|day| day.verdict.is_bad() && day.masked);
        let note = if masked { "hidden by the daily average" } else { "" };
        DayMark { date, shape, note: note.to_owned() }
    };
    dates(from, until).map(mark).collect()
}
