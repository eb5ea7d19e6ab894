use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::plan::Planned;

const HERE: BuildingId = BuildingId::from_u128(1);
const AGENTS: u128 = 4;
const SLOTS: [u32; 3] = [0, 20_000, 40_000];

fn call(phase_ms: u32) -> v1::ConfiguredTarget {
    v1::ConfiguredTarget {
        name: "reflector:862".to_owned(),
        profile: "audio-50".to_owned(),
        window_ms: 15_000,
        period_ms: 60_000,
        phase_ms: Some(phase_ms),
    }
}

/// Gives each slot to an agent, by number from 0.
fn planned(slots: [u128; 3]) -> Plan {
    let mut plan = Plan::default();
    for agent in 0..AGENTS {
        let own = SLOTS.iter().zip(slots).filter(|(_, holder)| *holder == agent);
        let planned = Planned {
            assigned: None,
            revision: 1,
            presence: Presence::In(HERE),
            targets: own.map(|(phase, _)| call(*phase)).collect(),
            tries: 0,
            untouched: false,
        };
        plan.agents.insert(AgentId::from_u128(agent), planned);
    }
    plan
}

/// An agent at the other end of a slow line.
#[derive(Debug, Default)]
struct Agent {
    inbox: VecDeque<v1::Configuration>,
    told: u64,
    good: Option<v1::Configuration>,
    trial: Option<v1::Configuration>,
    outbox: VecDeque<ConfigurationReport>,
}

impl Agent {
    fn runs(&self) -> Option<&v1::Configuration> {
        self.trial.as_ref().or(self.good.as_ref())
    }

    fn tell(&mut self, configuration: &v1::Configuration) {
        if self.told != configuration.edition {
            self.told = configuration.edition;
            self.inbox.push_back(configuration.clone());
        }
    }

    fn say(&mut self, told: &v1::Configuration, state: ConfigurationState) {
        let runs = self.runs().map(|runs| (runs.revision, runs.edition)).unwrap_or_default();
        self.outbox.push_back(ConfigurationReport {
            revision: runs.0,
            edition: runs.1,
            told_revision: told.revision,
            told_edition: told.edition,
            state,
            reason: String::new(),
        });
    }

    fn hear(&mut self) {
        let Some(told) = self.inbox.pop_front() else { return };
        let is_told = |known: &Option<v1::Configuration>| {
            known.as_ref().map(|known| known.edition) == Some(told.edition)
        };
        if is_told(&self.good) {
            self.trial = None;
            return self.say(&told, ConfigurationState::Committed);
        }
        if !is_told(&self.trial) {
            self.trial = Some(told.clone());
        }
        self.say(&told, ConfigurationState::Trial);
    }

    fn end_trial(&mut self, well: bool) {
        let Some(trial) = self.trial.take() else { return };
        if well {
            self.good = Some(trial.clone());
            self.say(&trial, ConfigurationState::Committed);
        } else {
            self.say(&trial, ConfigurationState::RolledBack);
        }
    }
}

#[derive(Debug, Default)]
struct World {
    handover: Handover,
    agents: Vec<Agent>,
}

impl World {
    fn new() -> Self {
        Self { agents: (0..AGENTS).map(|_| Agent::default()).collect(), ..Self::default() }
    }

    fn grant(&mut self, plan: &Plan) {
        let granted = self.handover.grant(plan);
        for (number, agent) in (0..).zip(&mut self.agents) {
            if let Some(told) = granted.get(&AgentId::from_u128(number)) {
                agent.tell(told);
            }
        }
    }

    fn deliver_report(&mut self, agent: usize) {
        if let Some(report) = self.agents[agent].outbox.pop_front() {
            self.handover.reported(AgentId::from_u128(agent as u128), &report);
        }
    }

    /// Two agents whose expedited windows overlap now.
    fn clash(&self) -> Option<(usize, usize)> {
        let windows = |agent: &Agent| -> Vec<Recurring> {
            let runs = agent.runs().into_iter();
            runs.flat_map(expedited).map(|(_, windows)| windows).collect()
        };
        let all: Vec<Vec<Recurring>> = self.agents.iter().map(windows).collect();
        let overlap = |a: &[Recurring], b: &[Recurring]| {
            a.iter().any(|one| b.iter().any(|other| one.overlaps(other)))
        };
        let pairs = (0..all.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs.into_iter().find(|&(a, b)| overlap(&all[a], &all[b]))
    }

    /// Lets everybody hear, say and commit everything, again and again, each time in a session of its own,
    /// which begins with what there is to tell.
    fn settle(&mut self, plan: &Plan) {
        for _ in 0..40 {
            for agent in 0..self.agents.len() {
                self.agents[agent].hear();
                self.agents[agent].end_trial(true);
                while !self.agents[agent].outbox.is_empty() {
                    self.deliver_report(agent);
                }
            }
            self.agents.iter_mut().for_each(|agent| agent.told = 0);
            self.grant(plan);
            assert_eq!(self.clash(), None);
        }
    }
}

proptest! {
    #[test]
    fn however_roles_move_and_messages_tarry_one_agent_at_a_time_has_a_call(
        steps in prop::collection::vec((0_u8..6, 0..AGENTS, 0..AGENTS, 0..AGENTS), 1..120),
    ) {
        let mut world = World::new();
        let mut plan = planned([0, 1, 2]);
        for (what, a, b, c) in steps {
            let agent = usize::try_from(a).unwrap();
            match what {
                0 => plan = planned([a, b, c]),
                1 => world.agents[agent].hear(),
                2 => world.agents[agent].end_trial(b > 0),
                3 => world.deliver_report(agent),
                _ => world.grant(&plan),
            }
            prop_assert_eq!(world.clash(), None);
        }
        // And nobody waits for ever.
        world.settle(&plan);
        for (number, agent) in (0..).zip(&world.agents) {
            let wanted = &plan.agents[&AgentId::from_u128(number)].targets;
            let runs = agent.runs().map(|runs| &runs.targets);
            prop_assert_eq!(runs, Some(wanted), "agent {}", number);
        }
    }
}

#[test]
fn a_role_is_given_on_when_the_one_before_committed_to_something_else() {
    let mut world = World::new();
    let deliver_all = |world: &mut World, agent: usize| {
        while !world.agents[agent].outbox.is_empty() {
            world.deliver_report(agent);
        }
    };
    world.grant(&planned([0, 0, 0]));
    world.agents[0].hear();
    world.agents[0].end_trial(true);
    world.agents[1].hear();
    (0..2).for_each(|agent| deliver_all(&mut world, agent));

    let moved = planned([1, 0, 0]);
    world.grant(&moved);
    assert!(world.agents[1].inbox.is_empty(), "the one before was only told");
    world.agents[0].hear();
    deliver_all(&mut world, 0);
    world.grant(&moved);
    assert!(world.agents[1].inbox.is_empty(), "it is on trial without it, and may go back");
    world.agents[0].end_trial(true);
    deliver_all(&mut world, 0);
    world.grant(&moved);
    world.agents[1].hear();
    assert_eq!(world.agents[1].runs().unwrap().targets, [call(0)]);
}

#[test]
fn what_somebody_runs_that_nobody_knows_is_waited_for_until_it_is_gone() {
    let mut handover = Handover::default();
    let mut plan = planned([1, 1, 1]);
    let report = ConfigurationReport {
        revision: 9,
        edition: 99,
        told_revision: 9,
        told_edition: 99,
        state: ConfigurationState::Committed,
        reason: String::new(),
    };
    let stranger = AgentId::from_u128(0);
    let row =
        ReportRow { agent: stranger, at: busyhour_model::UtcMicros(0), report: report.clone() };
    handover.begin(&plan, &[row]);
    let one = AgentId::from_u128(1);
    let told = handover.grant(&plan)[&one].clone();
    assert_eq!(told.targets, []);
    let answer = ConfigurationReport {
        revision: told.revision,
        edition: told.edition,
        told_revision: told.revision,
        told_edition: told.edition,
        ..report.clone()
    };
    handover.reported(one, &answer);
    assert_eq!(handover.grant(&plan)[&one].targets, []);
    plan.agents.get_mut(&stranger).unwrap().presence = Presence::Gone;
    assert_eq!(handover.grant(&plan)[&one].targets.len(), 3);
}

#[test]
fn after_a_restart_what_runs_as_planned_goes_on() {
    let plan = planned([0, 1, 2]);
    let rows: Vec<ReportRow> = plan
        .agents
        .iter()
        .map(|(agent, planned)| {
            let told = planned.told().unwrap();
            let report = ConfigurationReport {
                revision: told.revision,
                edition: told.edition,
                told_revision: told.revision,
                told_edition: told.edition,
                state: ConfigurationState::Committed,
                reason: String::new(),
            };
            ReportRow { agent: *agent, at: busyhour_model::UtcMicros(0), report }
        })
        .collect();
    let mut handover = Handover::default();
    handover.begin(&plan, &rows);
    for (agent, told) in handover.grant(&plan) {
        assert_eq!(Some(told), plan.agents[&agent].told());
    }
}
