//! Who measures what, and when in each period: so that budgets of subnets and buildings hold, whatever
//! the number of agents. Pure.
//!
//! Of the agents of a subnet that could measure a target, those with the highest scores do (rendezvous
//! hashing by agent and target): when one goes, the next takes its place, and nobody else changes.
//! First every target is measured by one agent of each subnet, then by a second one, and so on, for as
//! long as budgets allow.
//!
//! Invariant: of the agents of one building at most one at a time sends expedited traffic.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{AgentId, BuildingId, SubnetId};

use crate::desired::{Desired, DesiredTarget};

/// What clocks of agents may differ by: windows of expedited traffic that follow each other are so far
/// apart. Each of them is half of that from the collector's at most.
pub(crate) const GUARD_MS: u32 = 2_000;
/// Where phases are looked for when those that fill the period evenly are taken: a hundred of them.
const FINE_STEPS: u32 = 100;

/// An agent that can measure: it is there, and in a building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Where it is.
    pub building: BuildingId,
    /// Where in it.
    pub subnet: SubnetId,
    /// Who it is.
    pub agent: AgentId,
    /// The revision that it is told.
    pub revision: u32,
    /// The revision that is assigned to it, whose budgets hold; another one while it refuses that.
    pub assigned: u32,
    /// Whether its clock is close enough to others' to send expedited traffic in turn with them.
    pub keeps_time: bool,
}

/// A target that an agent measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// The target's place in the agent's configuration.
    pub target: usize,
    /// How far its windows begin behind the multiples of the period; `None` wherever the agent likes.
    pub phase_ms: Option<u32>,
}

/// Who measures what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timetable {
    /// By agent, in the order of its configuration. Agents without any are not in it.
    pub roles: BTreeMap<AgentId, Vec<Role>>,
    /// By building, how many roles are desired that budgets have no room for.
    pub left_out: BTreeMap<BuildingId, u32>,
    /// What may be sent together.
    pub room: Room,
}

/// What all agents of one place may send together on average, in bits a second of IP packets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// By building.
    pub buildings: BTreeMap<BuildingId, u64>,
    /// By subnet.
    pub subnets: BTreeMap<SubnetId, u64>,
}

/// Elects who measures what. `desired` are the configurations by revision; a candidate whose revision is
/// not among them measures nothing.
#[must_use]
pub fn timetable(candidates: &[Candidate], desired: &BTreeMap<u32, Desired>) -> Timetable {
    let mut candidates = candidates.to_vec();
    candidates.sort_unstable();
    candidates.dedup_by_key(|candidate| candidate.agent);
    let mut timetable = Timetable::default();
    for of_building in candidates.chunk_by(|a, b| a.building == b.building) {
        elect(of_building, desired, &mut timetable);
    }
    for roles in timetable.roles.values_mut() {
        roles.sort_unstable_by_key(|role| role.target);
    }
    timetable
}

/// An agent that wants to measure a target.
struct Wish<'d> {
    /// How many of its subnet come before it.
    rank: u32,
    /// Spreads targets and subnets that are equals otherwise.
    spread: u64,
    candidate: Candidate,
    target: usize,
    desired: &'d DesiredTarget,
}

/// Elects in one building.
fn elect(candidates: &[Candidate], desired: &BTreeMap<u32, Desired>, timetable: &mut Timetable) {
    let Some(building) = candidates.first().map(|candidate| candidate.building) else { return };
    let budgets = || {
        let of = |candidate: &Candidate| desired.get(&candidate.assigned).map(Desired::budget);
        candidates.iter().filter_map(move |candidate| Some((candidate, of(candidate)?)))
    };
    // Of several configurations in a building the one that allows least holds.
    let of_building = budgets().map(|(_, budget)| budget.building_bits_per_second()).min();
    let mut building_left = u64::from(of_building.unwrap_or_default());
    timetable.room.buildings.insert(building, building_left);
    let mut subnets_left: BTreeMap<SubnetId, u64> = BTreeMap::new();
    for (candidate, budget) in budgets() {
        let bits = u64::from(budget.subnet_bits_per_second());
        let left = subnets_left.entry(candidate.subnet).or_insert(bits);
        *left = (*left).min(bits);
    }
    timetable.room.subnets.extend(&subnets_left);
    let mut calls = Calls::default();
    for wish in wishes(candidates, desired) {
        let bits = wish.desired.mean_bits_per_second();
        let subnet_left = subnets_left.entry(wish.candidate.subnet).or_default();
        let fits = bits <= building_left && bits <= *subnet_left;
        let phase_ms = match (fits, wish.desired.profile().is_expedited()) {
            (false, _) => Err(()),
            (true, false) => Ok(None),
            (true, true) => calls.reserve(wish.desired, wish.spread).map(Some).ok_or(()),
        };
        let Ok(phase_ms) = phase_ms else {
            *timetable.left_out.entry(building).or_default() += 1;
            continue;
        };
        building_left -= bits;
        *subnet_left -= bits;
        let role = Role { target: wish.target, phase_ms };
        timetable.roles.entry(wish.candidate.agent).or_default().push(role);
    }
}

/// Everything that is wanted in a building, in the order in which it gets room.
fn wishes<'d>(candidates: &[Candidate], desired: &'d BTreeMap<u32, Desired>) -> Vec<Wish<'d>> {
    let mut by_target: BTreeMap<(SubnetId, &str, &str), Vec<Wish<'d>>> = BTreeMap::new();
    for candidate in candidates {
        let Some(wanted) = desired.get(&candidate.revision) else { continue };
        for (target, desired) in wanted.targets().iter().enumerate() {
            if desired.profile().is_expedited() && !candidate.keeps_time {
                continue;
            }
            let (name, profile) = (desired.name().as_str(), desired.profile().name);
            let wish = Wish { rank: 0, spread: 0, candidate: *candidate, target, desired };
            by_target.entry((candidate.subnet, name, profile)).or_default().push(wish);
        }
    }
    let mut wishes = Vec::new();
    for ((subnet, name, profile), mut of_target) in by_target {
        let score =
            |agent: AgentId| score([&agent.to_bytes(), name.as_bytes(), profile.as_bytes()]);
        of_target.sort_by_cached_key(|wish| {
            (std::cmp::Reverse(score(wish.candidate.agent)), wish.candidate.agent)
        });
        let spread = self::score([&subnet.to_bytes(), name.as_bytes(), profile.as_bytes()]);
        for (rank, wish) in (0..).zip(of_target) {
            if wish.desired.agents_per_subnet().is_none_or(|most| rank < most) {
                wishes.push(Wish { rank, spread, ..wish });
            }
        }
    }
    wishes.sort_by_key(|wish| (wish.rank, wish.spread, wish.candidate.agent, wish.target));
    wishes
}

/// The windows of expedited traffic in one building: none of them overlap.
#[derive(Debug, Default)]
struct Calls {
    windows: Vec<Recurring>,
    /// Lengths and periods of windows that no room was found for: there is none for others like them.
    full: BTreeSet<(u32, u32)>,
}

impl Calls {
    /// Finds a phase at which the target's windows are alone, beginning at one that the spread tells. With
    /// what is left free behind each, a period of four minutes has room for 114 windows at most.
    fn reserve(&mut self, target: &DesiredTarget, spread: u64) -> Option<u32> {
        let of = Recurring::of(target);
        if self.full.contains(&(of.length_ms, of.period_ms)) {
            return None;
        }
        let even = (of.period_ms / of.length_ms.max(1)).max(1);
        let fine = (of.period_ms / FINE_STEPS).max(1);
        let evenly = (0..even).map(|step| step * (of.period_ms / even));
        let mut phases: Vec<u32> = evenly.collect();
        // A phase is below the number of steps, which is far below 2^32.
        let first = usize::try_from(spread % u64::from(even)).unwrap_or_default();
        phases.rotate_left(first);
        phases.extend((0..of.period_ms / fine).map(|step| step * fine));
        let free = phases.into_iter().find(|&phase_ms| {
            let window = Recurring { phase_ms, ..of };
            !self.windows.iter().any(|other| other.overlaps(&window))
        });
        let Some(free) = free else {
            self.full.insert((of.length_ms, of.period_ms));
            return None;
        };
        self.windows.push(Recurring { phase_ms: free, ..of });
        Some(free)
    }
}

/// A span of time in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recurring {
    pub(crate) phase_ms: u32,
    pub(crate) length_ms: u32,
    pub(crate) period_ms: u32,
}

impl Recurring {
    /// The windows of a target with what is left free behind them, without a phase yet.
    fn of(target: &DesiredTarget) -> Self {
        let millis =
            |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Self::new(0, millis(target.window()), millis(target.period()))
    }

    pub(crate) fn new(phase_ms: u32, window_ms: u32, period_ms: u32) -> Self {
        let length_ms = window_ms.saturating_add(GUARD_MS).min(period_ms);
        Self { phase_ms, length_ms, period_ms }
    }

    /// Whether two ever overlap. Their beginnings differ by all that is congruent to the difference of
    /// their phases modulo the greatest common divisor of their periods.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let common = gcd(self.period_ms, other.period_ms);
        if common == 0 {
            return true;
        }
        let behind = |one: u32, two: u32| {
            let (one, two, common) = (u64::from(one), u64::from(two), u64::from(common));
            (one + common - two % common) % common
        };
        behind(other.phase_ms, self.phase_ms) < u64::from(self.length_ms)
            || behind(self.phase_ms, other.phase_ms) < u64::from(other.length_ms)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// FNV-1a over the parts, each behind its length, with a final mix, because its low bits alone are poor.
fn score<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        hash = part.len().to_be_bytes().iter().chain(part).fold(hash, step);
    }
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests;
