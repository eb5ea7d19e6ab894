use std::collections::VecDeque;

use proptest::prelude::*;

use busyhour_model::EXPEDITED_LEASE;
use busyhour_store::ConfigurationState;

use super::*;
use crate::plan::{GONE_AFTER, LET_GO_AFTER};

const NOW: UtcMicros = UtcMicros(0);
const HERE: BuildingId = BuildingId::from_u128(1);
const FLOOR: SubnetId = SubnetId::from_u128(11);
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

/// Traffic that is not expedited.
fn data(name: u32) -> v1::ConfiguredTarget {
    v1::ConfiguredTarget {
        name: format!("server-{name}:862"),
        profile: "best-effort-50".to_owned(),
        window_ms: 15_000,
        period_ms: 60_000,
        phase_ms: None,
    }
}

/// Gives each slot and a piece of other traffic to an agent, by number from 0; there is room for no more than
/// that.
fn planned(slots: [u128; 3]) -> Plan {
    let mut plan = Plan::default();
    let mut all = 0;
    for agent in 0..AGENTS {
        let own = (0..).zip(SLOTS).zip(slots).filter(|(_, holder)| *holder == agent);
        let targets = own.flat_map(|((number, phase), _)| [call(phase), data(number)]);
        let targets: Vec<_> = targets.collect();
        all += targets.iter().map(mean_of).sum::<u64>();
        let planned = Planned {
            assigned: None,
            revision: 1,
            presence: Presence::In(HERE),
            subnet: Some(FLOOR),
            sends_in: None,
            unfit: None,
            targets,
            tries: 0,
            untouched: false,
        };
        plan.agents.insert(AgentId::from_u128(agent), planned);
    }
    plan.room.buildings.insert(HERE, all);
    plan.room.subnets.insert(FLOOR, all);
    plan
}

/// What is said by who was told nothing so far.
fn nothing() -> ConfigurationReport {
    ConfigurationReport {
        revision: 0,
        edition: 0,
        told_revision: 0,
        told_edition: 0,
        state: ConfigurationState::Nothing,
        reason: String::new(),
        good_edition: 0,
        paused: false,
    }
}

/// What is said by who keeps what it was told.
fn kept(told: &v1::Configuration) -> ConfigurationReport {
    ConfigurationReport {
        revision: told.revision,
        edition: told.edition,
        told_revision: told.revision,
        told_edition: told.edition,
        state: ConfigurationState::Committed,
        reason: String::new(),
        good_edition: told.edition,
        paused: false,
    }
}

/// An agent at the other end of a slow line. Of what it has to say the newest is said.
#[derive(Debug, Default)]
struct Agent {
    inbox: VecDeque<v1::Configuration>,
    told: u64,
    good: Option<v1::Configuration>,
    trial: Option<v1::Configuration>,
    report: Option<ConfigurationReport>,
    /// It was not sent yet.
    unsent: bool,
    /// There is no way to the collector.
    cut: bool,
    /// When the collector saw it last.
    seen: UtcMicros,
    /// When that was sent which the collector answered last.
    heard: UtcMicros,
    /// What it was told since it was heard again.
    granted: BTreeSet<u64>,
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
        self.unsent = true;
        self.report = Some(ConfigurationReport {
            revision: runs.0,
            edition: runs.1,
            told_revision: told.revision,
            told_edition: told.edition,
            state,
            reason: String::new(),
            good_edition: self.good.as_ref().map_or(0, |good| good.edition),
            paused: false,
        });
    }

    fn hear(&mut self) {
        let Some(told) = self.inbox.pop_front() else { return };
        self.granted.insert(told.edition);
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

impl Agent {
    /// Whether its lease runs.
    fn is_heard(&self, now: UtcMicros) -> bool {
        now < self.heard.plus(EXPEDITED_LEASE)
    }

    /// The expedited traffic that it sends.
    fn calls(&self, now: UtcMicros) -> Vec<Recurring> {
        let may = |runs: &&v1::Configuration| self.granted.contains(&runs.edition);
        let runs = self.runs().filter(may).filter(|_| self.is_heard(now));
        runs.into_iter().flat_map(expedited).collect()
    }

    /// It is seen, and answered.
    fn ask(&mut self, now: UtcMicros) {
        if !self.is_heard(now) {
            self.granted.clear();
        }
        (self.seen, self.heard) = (now, now);
    }
}

#[derive(Debug, Default)]
struct World {
    handover: Handover,
    now: UtcMicros,
    agents: Vec<Agent>,
    /// What was planned last for each: what a session begins with.
    granted: HashMap<AgentId, v1::Configuration>,
    /// What was said last, as the store keeps it.
    reports: BTreeMap<AgentId, ReportRow>,
}

impl World {
    /// Everybody said that it was told nothing so far: who says nothing is told nothing.
    fn new() -> Self {
        let report = Some(nothing());
        let agents = (0..AGENTS).map(|_| Agent { report: report.clone(), ..Agent::default() });
        let mut world = Self { agents: agents.collect(), ..Self::default() };
        for agent in (0..AGENTS).map(AgentId::from_u128) {
            let row = ReportRow { agent, at: NOW, report: nothing(), clock: None };
            world.reports.insert(agent, row);
            world.handover.reported(agent, &nothing());
        }
        world
    }

    fn grant(&mut self, plan: &Plan) {
        // As each round of planning does.
        let reports: Vec<ReportRow> = self.reports.values().cloned().collect();
        self.handover.begin(plan, &reports);
        self.granted = self.handover.grant(plan, self.now);
        for (number, agent) in (0..).zip(&mut self.agents).filter(|(_, agent)| !agent.cut) {
            if let Some(told) = self.granted.get(&AgentId::from_u128(number)) {
                agent.tell(told);
            }
        }
    }

    /// A plan in which who is gone has no role, and the next who is there has it.
    fn plan_at(&self, slots: [u128; 3]) -> Plan {
        let age = |number: u128| {
            let seen = self.agents[usize::try_from(number).unwrap()].seen;
            Duration::from_micros(self.now.since(seen).unsigned_abs())
        };
        let is_gone = |number: u128| age(number) > GONE_AFTER;
        let stands_in = |number: u128| {
            let others = (number..number + AGENTS).map(|other| other % AGENTS);
            others.clone().find(|other| !is_gone(*other)).unwrap_or(number)
        };
        let mut plan = planned(slots.map(stands_in));
        for number in (0..AGENTS).filter(|number| is_gone(*number)) {
            let planned = plan.agents.get_mut(&AgentId::from_u128(number)).unwrap();
            planned.presence = Presence::Gone;
            planned.targets.clear();
            planned.sends_in = (age(number) <= LET_GO_AFTER).then_some(HERE);
        }
        plan
    }

    /// A minute goes by; who has a way to the collector is there.
    fn pass(&mut self) {
        self.now = self.now.plus(Duration::from_secs(60));
        let now = self.now;
        self.agents.iter_mut().filter(|agent| !agent.cut).for_each(|agent| agent.ask(now));
    }

    /// Cuts an agent off, or lets it come back: its session begins with what was planned last.
    fn cut(&mut self, number: usize, cut: bool) {
        let agent = &mut self.agents[number];
        (agent.cut, agent.told) = (cut, 0);
        agent.inbox.clear();
        if !cut {
            agent.ask(self.now);
            agent.unsent = true;
            if let Some(told) = self.granted.get(&AgentId::from_u128(number as u128)) {
                agent.tell(told);
            }
        }
    }

    fn deliver_report(&mut self, agent: usize) {
        let one = &mut self.agents[agent];
        let Some(report) = one.report.clone().filter(|_| one.unsent && !one.cut) else { return };
        one.unsent = false;
        let agent = AgentId::from_u128(agent as u128);
        self.handover.reported(agent, &report);
        self.reports.insert(agent, ReportRow { agent, at: NOW, report, clock: None });
    }

    /// The collector begins anew: what was under way is lost, and every session begins with what there is
    /// to tell and to say.
    fn restart(&mut self, plan: &Plan) {
        self.handover = Handover::default();
        for agent in &mut self.agents {
            agent.inbox.clear();
            agent.told = 0;
            agent.unsent = agent.report.is_some();
            // While nobody looked nobody went.
            agent.seen = self.now;
        }
        let reports: Vec<ReportRow> = self.reports.values().cloned().collect();
        self.handover.begin(plan, &reports);
    }

    /// Two agents whose expedited windows overlap now.
    fn clash(&self) -> Option<(usize, usize)> {
        let calls = |agent: &Agent| agent.calls(self.now);
        let all: Vec<Vec<Recurring>> = self.agents.iter().map(calls).collect();
        let overlap = |a: &[Recurring], b: &[Recurring]| {
            a.iter().any(|one| b.iter().any(|other| one.overlaps(other)))
        };
        let pairs = (0..all.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs.into_iter().find(|&(a, b)| overlap(&all[a], &all[b]))
    }

    /// What all agents together send on average.
    fn sent(&self) -> u64 {
        let targets = self.agents.iter().filter_map(Agent::runs).flat_map(|runs| &runs.targets);
        targets.map(mean_of).sum()
    }

    /// Lets everybody hear, say and commit everything, again and again, each time in a session of its own,
    /// which begins with what there is to tell.
    fn settle(&mut self, plan: &Plan) {
        for _ in 0..40 {
            for agent in 0..self.agents.len() {
                self.agents[agent].hear();
                self.agents[agent].end_trial(true);
                self.deliver_report(agent);
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
        steps in prop::collection::vec((0_u8..16, 0..AGENTS, 0..AGENTS, 0..AGENTS), 1..120),
    ) {
        let mut world = World::new();
        let mut plan = planned([0, 1, 2]);
        let most = plan.room.buildings[&HERE];
        for (what, a, b, c) in steps {
            let agent = usize::try_from(a).unwrap();
            match what {
                0 | 1 => plan = planned([a, b, c]),
                2..=4 => world.agents[agent].hear(),
                5 | 6 => world.agents[agent].end_trial(b > 0),
                7..=9 => world.deliver_report(agent),
                10 => world.restart(&plan),
                _ => world.grant(&plan),
            }
            prop_assert_eq!(world.clash(), None);
            prop_assert!(world.sent() <= most, "{} bits a second", world.sent());
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

proptest! {
    #[test]
    fn whoever_is_cut_off_and_comes_back_one_agent_at_a_time_has_a_call(
        steps in prop::collection::vec((0_u8..20, 0..AGENTS, 0..AGENTS, 0..AGENTS), 1..160),
    ) {
        let mut world = World::new();
        let mut slots = [0, 1, 2];
        for (what, a, b, c) in steps {
            let agent = usize::try_from(a).unwrap();
            match what {
                0 => slots = [a, b, c],
                1..=3 => world.agents[agent].hear(),
                4 | 5 => world.agents[agent].end_trial(b > 0),
                6 | 7 => world.deliver_report(agent),
                8 => {
                    let plan = world.plan_at(slots);
                    world.restart(&plan);
                }
                9 | 10 => world.cut(agent, !world.agents[agent].cut),
                11..=14 => {
                    for _ in 0..b * 3 + c {
                        world.pass();
                        prop_assert_eq!(world.clash(), None);
                    }
                }
                _ => {
                    let plan = world.plan_at(slots);
                    world.grant(&plan);
                }
            }
            prop_assert_eq!(world.clash(), None);
        }
        // And when all are back nobody waits for ever.
        (0..4).for_each(|agent| world.cut(agent, false));
        world.pass();
        let plan = world.plan_at(slots);
        world.settle(&plan);
        for (number, agent) in (0..).zip(&world.agents) {
            let wanted = &plan.agents[&AgentId::from_u128(number)].targets;
            let calls = wanted.iter().filter_map(windows).count();
            prop_assert_eq!(agent.runs().map(|runs| &runs.targets), Some(wanted), "{}", number);
            prop_assert_eq!(agent.calls(world.now).len(), calls, "agent {}", number);
        }
    }
}

#[test]
fn who_comes_back_after_a_while_is_not_silent_for_what_it_was_told_before() {
    let mut world = World::new();
    let slots = [0, 0, 0];
    let plan = world.plan_at(slots);
    world.grant(&plan);
    world.cut(0, true);
    (0..12).for_each(|_| {
        world.pass();
        let plan = world.plan_at(slots);
        world.grant(&plan);
    });
    let is_silent = |world: &World, at: UtcMicros| {
        world.handover.silent(at, &[]).contains(&AgentId::from_u128(0))
    };
    assert!(!is_silent(&world, world.now), "it is gone");
    world.cut(0, false);
    let plan = world.plan_at(slots);
    assert!(!is_silent(&world, world.now), "it is back and said nothing yet");
    world.grant(&plan);
    assert!(!is_silent(&world, world.now));
    let later = world.now.plus(SILENT_AFTER).plus(Duration::from_secs(1));
    assert!(is_silent(&world, later));
}

#[test]
fn a_stand_in_begins_when_the_lease_of_who_is_cut_off_is_over() {
    let mut world = World::new();
    let slots = [0, 0, 0];
    let plan = world.plan_at(slots);
    world.grant(&plan);
    world.settle(&plan);
    assert_eq!(world.agents[0].calls(world.now).len(), 3);
    world.cut(0, true);
    let (mut let_go, mut taken) = (None, None);
    for minute in 1..30_u64 {
        world.pass();
        let plan = world.plan_at(slots);
        world.settle(&plan);
        if world.agents[0].calls(world.now).is_empty() {
            let_go.get_or_insert(minute);
        }
        if !world.agents[1].calls(world.now).is_empty() {
            taken.get_or_insert(minute);
        }
        let others = &world.agents[1].runs().unwrap().targets;
        let others = others.iter().filter(|target| windows(target).is_none()).count();
        assert_eq!(others, if minute > 5 { 3 } else { 0 }, "what is not expedited moves at once");
    }
    let lease_min = EXPEDITED_LEASE.as_secs() / 60;
    assert_eq!((let_go, taken), (Some(lease_min), Some(LET_GO_AFTER.as_secs() / 60 + 1)));
    // It comes back, and gets them when the stand-in has let go.
    world.cut(0, false);
    assert_eq!(world.agents[0].calls(world.now), []);
    let plan = world.plan_at(slots);
    // Before it says anything, what it said last looks like what it is to run now.
    world.grant(&plan);
    world.agents[0].hear();
    assert_eq!(world.clash(), None);
    world.settle(&plan);
    assert_eq!(world.agents[0].calls(world.now).len(), 3);
    assert_eq!(world.agents[1].calls(world.now), []);
}

#[test]
fn a_role_is_given_on_when_the_one_before_committed_to_something_else() {
    let mut world = World::new();
    world.grant(&planned([0, 0, 0]));
    world.agents[0].hear();
    world.agents[0].end_trial(true);
    world.agents[1].hear();
    (0..2).for_each(|agent| world.deliver_report(agent));

    let moved = planned([1, 0, 0]);
    world.grant(&moved);
    assert!(world.agents[1].inbox.is_empty(), "the one before was only told");
    world.agents[0].hear();
    world.deliver_report(0);
    world.grant(&moved);
    assert!(world.agents[1].inbox.is_empty(), "it is on trial without it, and may go back");
    world.agents[0].end_trial(true);
    world.deliver_report(0);
    world.grant(&moved);
    world.agents[1].hear();
    assert_eq!(
        world.agents[1].runs().unwrap().targets,
        moved.agents[&AgentId::from_u128(1)].targets
    );
}

#[test]
fn what_somebody_runs_that_nobody_knows_is_waited_for_until_it_is_gone() {
    let mut handover = Handover::default();
    let mut plan = planned([1, 1, 1]);
    let report = ConfigurationReport { edition: 99, ..kept(&v1::Configuration::default()) };
    let stranger = AgentId::from_u128(0);
    let row = ReportRow { agent: stranger, at: NOW, report, clock: None };
    handover.begin(&plan, &[row]);
    let one = AgentId::from_u128(1);
    let calls = |told: &v1::Configuration| expedited(told).count();
    let told = handover.grant(&plan, NOW)[&one].clone();
    assert_eq!(calls(&told), 0);
    handover.reported(one, &kept(&told));
    assert_eq!(calls(&handover.grant(&plan, NOW)[&one]), 0);
    plan.agents.get_mut(&stranger).unwrap().presence = Presence::Gone;
    assert_eq!(calls(&handover.grant(&plan, NOW)[&one]), 3);
}

#[test]
fn who_does_not_say_what_became_of_what_it_was_told_is_not_waited_for_for_ever() {
    let mut world = World::new();
    let mut plan = planned([0, 0, 0]);
    world.grant(&plan);
    let later = NOW.plus(SILENT_AFTER).plus(Duration::from_secs(1));
    let silent = AgentId::from_u128(0);
    assert!(world.handover.silent(NOW, &[]).is_empty());
    assert!(world.handover.silent(later, &[]).contains(&silent));
    // Who speaks in this very moment is not.
    let row = ReportRow { agent: silent, at: later, report: nothing(), clock: None };
    assert!(!world.handover.silent(later, &[row]).contains(&silent));

    plan = planned([1, 1, 1]);
    let calls = |handover: &mut Handover, plan: &Plan| {
        handover
            .grant(plan, later)
            .get(&AgentId::from_u128(1))
            .map_or(0, |told| expedited(told).count())
    };
    let one = AgentId::from_u128(1);
    let answer = ConfigurationReport { told_edition: world.agents[1].told, ..nothing() };
    world.handover.reported(one, &answer);
    assert_eq!(calls(&mut world.handover, &plan), 0, "it is waited for");
    plan.agents.get_mut(&silent).unwrap().unfit = Some(Unfit::Silent);
    // What it was told before, without a call, it is told until it answers.
    let told = world.handover.grant(&plan, later)[&one].clone();
    world.handover.reported(one, &kept(&told));
    assert_eq!(calls(&mut world.handover, &plan), 3);
}

#[test]
fn after_a_restart_what_runs_as_planned_goes_on() {
    let mut world = World::new();
    let plan = planned([0, 1, 2]);
    world.grant(&plan);
    world.settle(&plan);
    world.restart(&plan);
    for (agent, told) in world.handover.grant(&plan, NOW) {
        assert_eq!(Some(told), plan.agents[&agent].told());
    }
}

#[test]
fn what_a_trial_that_ended_unsaid_left_behind_is_waited_for() {
    let mut world = World::new();
    let first = planned([0, 1, 2]);
    world.grant(&first);
    world.agents[0].hear();
    world.deliver_report(0);
    // The trial ends well while there is no way to say so; meanwhile the slot is another's.
    let moved = planned([1, 1, 2]);
    world.grant(&moved);
    world.agents[0].end_trial(true);
    world.agents[0].hear();
    world.deliver_report(0);
    for _ in 0..3 {
        world.grant(&moved);
        for agent in 1..4 {
            world.agents[agent].hear();
            world.agents[agent].end_trial(true);
            world.deliver_report(agent);
        }
    }
    // It goes back to what it never said that it kept.
    world.agents[0].end_trial(false);
    assert_eq!(
        world.agents[0].runs().unwrap().targets,
        first.agents[&AgentId::from_u128(0)].targets
    );
    assert_eq!(world.clash(), None);
}

#[test]
fn who_moved_to_another_building_begins_there_when_nobody_is_in_the_way() {
    let mut world = World::new();
    let mut plan = planned([0, 1, 2]);
    let there = BuildingId::from_u128(2);
    let mover = plan.agents.get_mut(&AgentId::from_u128(0)).unwrap();
    (mover.presence, mover.targets) = (Presence::In(there), vec![call(20_000)]);
    plan.room.buildings.insert(there, 1_000_000);
    plan.room.subnets.insert(FLOOR, 1_000_000);
    world.grant(&plan);
    world.agents[0].hear();
    world.agents[0].end_trial(true);
    world.deliver_report(0);
    // That one is agent 1's here.
    plan.agents.get_mut(&AgentId::from_u128(0)).unwrap().presence = Presence::In(HERE);
    let granted = world.handover.grant(&plan, NOW);
    assert_eq!(granted[&AgentId::from_u128(0)].targets, []);
}
