//! Nobody begins what another may still be doing. Pure.
//!
//! When a role goes from one agent to another, both are told at the same time and neither knows of the
//! other. So the new one is told only when the old one said that it runs something else for good, or is
//! gone and its lease is over (it lets go of expedited traffic by itself then): of expedited traffic there is one call in a building at a time, and what all send together fits
//! the budgets of subnet and building, also in between.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use busyhour_model::{AgentId, BuildingId, SubnetId, UtcMicros};
use busyhour_proto::v1;
use busyhour_store::{ConfigurationReport, ReportRow};

use crate::desired::KnownProfile;
use crate::plan::{Plan, Planned, Presence, Unfit};
use crate::timetable::{Recurring, Room};

/// Who is there and did not say for so long what became of what it was told is not waited for any more.
/// Twice what an agent may be away without being gone.
const SILENT_AFTER: Duration = Duration::from_secs(10 * 60);

/// What one agent may be running. It is told one thing at a time: the next when it said what became of the
/// last.
#[derive(Debug, Clone, Default)]
struct Held {
    place: Place,
    /// Where it was when it was told what it was told last.
    told_in: Place,
    /// What it runs, and what it goes back to where that is on trial.
    runs: Vec<v1::Configuration>,
    /// What it was told and did not answer yet, and since when.
    told: Option<(v1::Configuration, UtcMicros)>,
    /// It may be running something that nobody here knows.
    unknown: bool,
    /// It is not there; only its expedited traffic is waited for.
    gone: bool,
}

/// Where an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    building: Option<BuildingId>,
    subnet: Option<SubnetId>,
}

impl Place {
    const fn of(planned: &Planned) -> Self {
        match planned.presence {
            Presence::In(building) => Self { building: Some(building), subnet: planned.subnet },
            Presence::Gone => Self { building: planned.sends_in, subnet: planned.subnet },
            Presence::Nowhere => Self { building: None, subnet: None },
        }
    }
}

impl Held {
    fn all(&self) -> impl Iterator<Item = &v1::Configuration> {
        self.told.as_ref().map(|(told, _)| told).into_iter().chain(&self.runs)
    }

    /// What it runs as soon as it hears of it.
    fn granted(&self) -> Option<&v1::Configuration> {
        self.all().next()
    }

    /// Takes what it says: what it runs, what it may go back to, and what it was told last.
    fn reported(&mut self, report: &ConfigurationReport) {
        let known: Vec<v1::Configuration> = self.all().cloned().collect();
        self.told.take_if(|(told, _)| told.edition == report.told_edition);
        let mut editions = vec![report.edition, report.good_edition];
        editions.retain(|edition| *edition > 0);
        editions.dedup();
        let find = |edition| known.iter().find(|known| known.edition == edition).cloned();
        self.runs = editions.iter().filter_map(|edition| find(*edition)).collect();
        self.unknown = self.runs.len() < editions.len();
    }

    /// Whether it may be sending expedited traffic during these windows.
    fn may_send_in(&self, windows: &Recurring) -> bool {
        self.unknown || self.is_told_in(windows)
    }

    /// Whether it was told to send expedited traffic during these windows.
    fn is_told_in(&self, windows: &Recurring) -> bool {
        self.all().flat_map(expedited).any(|other| other.overlaps(windows))
    }

    /// What it sends on average, at most, in bits a second; of who is gone what is waited for.
    fn most(&self) -> u64 {
        let counts = |target: &&v1::ConfiguredTarget| !self.gone || windows(target).is_some();
        let mean = |of: &v1::Configuration| of.targets.iter().filter(counts).map(mean_of).sum();
        self.all().map(mean).max().unwrap_or_default()
    }
}

/// What agents may be running, of all that they were told.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    held: HashMap<AgentId, Held>,
    /// Those that are not waited for any more, until they speak.
    silent: BTreeSet<AgentId>,
}

impl Handover {
    /// Takes up agents that it knows nothing of from what they said last, before this process began, or
    /// they were gone: most of them run what they would be told now. What else they were told meanwhile
    /// nobody knows before they speak.
    pub(crate) fn begin(&mut self, plan: &Plan, reports: &[ReportRow]) {
        for ReportRow { agent, report, .. } in reports {
            let planned = plan.agents.get(agent).filter(|planned| is_waited_for(planned));
            let Some(planned) = planned.filter(|_| !self.held.contains_key(agent)) else {
                continue;
            };
            let runs = planned.told().filter(|told| told.edition == report.edition);
            let place = Place::of(planned);
            let runs = runs.into_iter().collect();
            let held = Held { place, told_in: place, runs, told: None, unknown: true, gone: false };
            self.held.insert(*agent, held);
        }
    }

    /// Takes what an agent says that it runs.
    pub(crate) fn reported(&mut self, agent: AgentId, report: &ConfigurationReport) {
        self.held.entry(agent).or_default().reported(report);
    }

    /// Those that do not say what became of what they were told, these aside: they speak now.
    pub(crate) fn silent(&self, now: UtcMicros, speaking: &[ReportRow]) -> BTreeSet<AgentId> {
        let is_silent = |held: &Held| {
            // Who was away could not say anything.
            let since = held.told.as_ref().map(|(_, since)| *since).filter(|_| !held.gone);
            since.is_some_and(|since| since.plus(SILENT_AFTER) < now)
        };
        let silent = self.held.iter().filter(|(_, held)| is_silent(held)).map(|(agent, _)| *agent);
        let mut silent: BTreeSet<AgentId> = silent.chain(self.silent.iter().copied()).collect();
        for row in speaking {
            silent.remove(&row.agent);
        }
        silent
    }

    /// What of a plan agents are told now. What is left out is told when whoever has it has let go.
    pub(crate) fn grant(
        &mut self,
        plan: &Plan,
        now: UtcMicros,
    ) -> HashMap<AgentId, v1::Configuration> {
        let is_silent = |planned: &Planned| planned.unfit == Some(Unfit::Silent);
        let silent = plan.agents.iter().filter(|(_, planned)| is_silent(planned));
        self.silent = silent.map(|(agent, _)| *agent).collect();
        self.held.retain(|agent, held| {
            let planned = plan.agents.get(agent).filter(|planned| is_waited_for(planned));
            let gone = planned.is_some_and(|planned| planned.presence == Presence::Gone);
            if held.gone && !gone {
                held.told.iter_mut().for_each(|(_, since)| *since = now);
            }
            held.gone = gone;
            planned.is_some()
        });
        let mut wanted = Vec::new();
        for (agent, planned) in &plan.agents {
            let Some(told) = planned.told() else { continue };
            self.held.entry(*agent).or_default().place = Place::of(planned);
            wanted.push((*agent, planned, told));
        }
        let mut sent = Sent::of(&self.held);
        let mut granted = HashMap::new();
        for (agent, planned, wanted) in wanted {
            let next = self.fitting(agent, planned, wanted, &plan.room, &sent);
            let Some(held) = self.held.get_mut(&agent) else { continue };
            let told = match (&held.told, held.granted()) {
                // It did not answer yet.
                (Some((told, _)), _) => told.clone(),
                (None, Some(last)) if last.edition == next.edition => last.clone(),
                (None, _) => {
                    let before = held.most();
                    (held.told, held.told_in) = (Some((next.clone(), now)), held.place);
                    sent.add(held.place, held.most() - before);
                    next
                }
            };
            granted.insert(agent, told);
        }
        granted
    }

    /// What of its wishes nobody else may be doing, and there is room for.
    fn fitting(
        &self,
        agent: AgentId,
        planned: &Planned,
        wanted: v1::Configuration,
        room: &Room,
        sent: &Sent,
    ) -> v1::Configuration {
        let Some(held) = self.held.get(&agent) else { return wanted };
        let last = held.granted().filter(|_| held.told_in == held.place);
        let others = || {
            let others = sent.agents.get(&held.place.building).into_iter().flatten();
            others.filter(|other| **other != agent).filter_map(|other| self.held.get(other))
        };
        let is_taken = |windows: &Recurring| others().any(|held| held.is_told_in(windows));
        // What runs already may go on, whoever else is not known; but who was away has let go of calls that
        // another has now.
        let has = |target: &v1::ConfiguredTarget| {
            last.is_some_and(|last| last.targets.contains(target))
                && windows(target).is_none_or(|windows| !is_taken(&windows))
        };
        let alone = |target: &v1::ConfiguredTarget| match windows(target) {
            Some(windows) => !others().any(|held| held.may_send_in(&windows)),
            None => true,
        };
        let mine = held.most();
        let known = sent.unknown(held.place) == usize::from(held.unknown && !held.gone);
        let mut bits: u64 = wanted.targets.iter().filter(|target| has(target)).map(mean_of).sum();
        let mut targets = wanted.targets;
        targets.retain(|target| {
            if has(target) {
                return true;
            }
            let with = bits + mean_of(target);
            let fits = with <= mine || (known && sent.fits(held.place, with - mine, room));
            let taken = fits && alone(target);
            if taken {
                bits = with;
            }
            taken
        });
        planned.sealed(targets)
    }
}

/// Whether others wait for what it may be doing. Who is gone cannot say anything, and is not silent for that.
fn is_waited_for(planned: &Planned) -> bool {
    match planned.presence {
        Presence::Gone => planned.sends_in.is_some(),
        Presence::In(_) | Presence::Nowhere => planned.unfit != Some(Unfit::Silent),
    }
}

/// What agents send on average, at most, in bits a second, and who is where.
#[derive(Debug, Default)]
struct Sent {
    agents: HashMap<Option<BuildingId>, Vec<AgentId>>,
    /// How many of whom it is not known.
    unknown: HashMap<Option<BuildingId>, usize>,
    buildings: BTreeMap<BuildingId, u64>,
    subnets: BTreeMap<SubnetId, u64>,
}

impl Sent {
    fn of(held: &HashMap<AgentId, Held>) -> Self {
        let mut sent = Self::default();
        for (agent, held) in held {
            sent.agents.entry(held.place.building).or_default().push(*agent);
            let unknown = held.unknown && !held.gone;
            *sent.unknown.entry(held.place.building).or_default() += usize::from(unknown);
            sent.add(held.place, held.most());
        }
        sent
    }

    fn add(&mut self, place: Place, bits: u64) {
        if let Some(building) = place.building {
            *self.buildings.entry(building).or_default() += bits;
        }
        if let Some(subnet) = place.subnet {
            *self.subnets.entry(subnet).or_default() += bits;
        }
    }

    fn unknown(&self, place: Place) -> usize {
        self.unknown.get(&place.building).copied().unwrap_or_default()
    }

    /// Whether there is room for so much more.
    fn fits(&self, place: Place, more: u64, room: &Room) -> bool {
        let (Some(building), Some(subnet)) = (place.building, place.subnet) else { return true };
        let in_building = self.buildings.get(&building).copied().unwrap_or_default();
        let in_subnet = self.subnets.get(&subnet).copied().unwrap_or_default();
        let most = |room: Option<&u64>| room.copied().unwrap_or_default();
        in_building + more <= most(room.buildings.get(&building))
            && in_subnet + more <= most(room.subnets.get(&subnet))
    }
}

/// When a configuration's expedited traffic is sent.
fn expedited(configuration: &v1::Configuration) -> impl Iterator<Item = Recurring> {
    configuration.targets.iter().filter_map(windows)
}

/// When a target's expedited traffic is sent; `None` of other traffic.
fn windows(target: &v1::ConfiguredTarget) -> Option<Recurring> {
    KnownProfile::named(&target.profile).filter(|profile| profile.is_expedited())?;
    Some(Recurring::new(target.phase_ms.unwrap_or_default(), target.window_ms, target.period_ms))
}

fn mean_of(target: &v1::ConfiguredTarget) -> u64 {
    let profile = KnownProfile::named(&target.profile);
    profile.map_or(0, |profile| profile.mean_bits_per_second(target.window_ms, target.period_ms))
}

#[cfg(test)]
mod tests;
