//! Agents, a collector and what lies between them, over days, event by event.

use std::collections::BTreeMap;
use std::time::Duration;

use busyhour_delivery::{Credit, GoAway, SpoolCaps};
use busyhour_model::{AgentId, BlockNo, Epoch};
use fastrand::Rng;

use crate::agent::{Agent, minute};
use crate::collector::{Collector, Committed};
use crate::history::{Event, History, Key};
use crate::network::{Down, Moment, Path, SILENCE, Up, Way};

const AGENTS: usize = 3;
/// How long faults happen.
const DAYS: Moment = Duration::from_secs(2 * 86_400);
/// How long everything may take to be delivered once they do not.
const PEACE: Moment = Duration::from_secs(6 * 3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// The longest pause between two tries to connect.
const LONGEST_PAUSE: u64 = 120;

/// What is going to happen.
enum Happening {
    Minute,
    Weather(usize),
    Crash(usize),
    Start(usize),
    Connect(usize),
    /// The agent, or the collector, gives a connection up.
    AgentNotices(usize, u64),
    CollectorNotices(usize, u64),
    Up(usize, u64, Up),
    Down(usize, u64, Down),
    Commit,
    CollectorCrash,
    CollectorDrain,
    CollectorStart,
    Full,
    Credit,
}

/// See the module.
pub(crate) struct World {
    rng: Rng,
    now: Moment,
    agenda: BTreeMap<(Moment, u64), Happening>,
    scheduled: u64,
    agents: Vec<Agent>,
    paths: Vec<Path>,
    collector: Collector,
    connections: u64,
    /// Connections below were open when the collector crashed last.
    dead_below: u64,
    committing: bool,
    history: History,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        let agents = (0..AGENTS).map(|number| {
            // A spool that holds everything, one for an hour or so, one whose blocks grow old.
            let caps = match number {
                0 => SpoolCaps { max_bytes: u64::MAX, max_age: hours(24 * 7) },
                1 => SpoolCaps { max_bytes: rng.u64(500..4_000), max_age: hours(24 * 7) },
                _ => SpoolCaps { max_bytes: u64::MAX, max_age: hours(rng.u64(1..5)) },
            };
            Agent::new(Epoch(rng.u64(..)), caps)
        });
        let agents: Vec<Agent> = agents.collect();
        let history = History { events: Vec::new(), minutes: minute(DAYS), agents: agents.len() };
        let mut world = Self {
            rng,
            now: Moment::ZERO,
            agenda: BTreeMap::new(),
            scheduled: 0,
            paths: agents.iter().map(|_| Path::new()).collect(),
            agents,
            collector: Collector::new(),
            connections: 0,
            dead_below: 0,
            committing: false,
            history,
        };
        world.after(MINUTE, Happening::Minute);
        for agent in 0..AGENTS {
            world.after_some(1..60, Happening::Connect(agent));
            world.after_some(600..14_400, Happening::Weather(agent));
            world.after_some(3_600..43_200, Happening::Crash(agent));
        }
        world.after_some(3_600..36_000, Happening::CollectorCrash);
        world.after_some(3_600..36_000, Happening::CollectorDrain);
        world.after_some(7_200..72_000, Happening::Full);
        world.after_some(60..3_600, Happening::Credit);
        world
    }

    /// Two days of faults, then peace until everything is delivered.
    pub(crate) fn live(mut self) -> History {
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            let peaceful = at > DAYS;
            if peaceful && self.now <= DAYS {
                self.make_peace();
            }
            self.now = at;
            self.happens(happening, peaceful);
            if peaceful && self.agents.iter().all(Agent::is_empty) {
                return self.history;
            }
            assert!(
                at < DAYS + PEACE,
                "not everything was delivered: {:?}",
                self.agents.iter().map(Agent::state).collect::<Vec<_>>()
            );
        }
        panic!("nothing happens any more");
    }

    fn make_peace(&mut self) {
        self.now = DAYS;
        self.collector.full = false;
        self.collector.generous = true;
        self.collector.running = true;
        for number in 0..AGENTS {
            self.paths[number] = Path::new();
            self.disconnect(number);
            if !self.agents[number].running {
                self.agents[number].start(DAYS);
            }
            self.after_some(1..60, Happening::Connect(number));
        }
    }

    fn after(&mut self, time: Duration, happening: Happening) {
        self.scheduled += 1;
        self.agenda.insert((self.now + time, self.scheduled), happening);
    }

    fn after_some(&mut self, seconds: std::ops::Range<u64>, happening: Happening) {
        let time = Duration::from_millis(self.rng.u64(seconds.start * 1_000..seconds.end * 1_000));
        self.after(time, happening);
    }

    fn happens(&mut self, happening: Happening, peaceful: bool) {
        match happening {
            Happening::Minute => self.minute(peaceful),
            Happening::Connect(agent) => self.connect(agent),
            Happening::Up(agent, connection, said) => self.arrives(agent, connection, said),
            Happening::Down(agent, connection, said) => self.returns(agent, connection, said),
            Happening::Commit => self.commit(),
            Happening::AgentNotices(agent, connection) => {
                if self.agents[agent].connection == Some(connection) {
                    self.disconnect(agent);
                    self.after_some(1..LONGEST_PAUSE, Happening::Connect(agent));
                }
            }
            Happening::CollectorNotices(agent, connection) => {
                self.collector.disconnected(agent, connection);
            }
            // No new faults in peace.
            _ if peaceful => {}
            Happening::Weather(agent) => self.weather(agent),
            Happening::Crash(agent) => {
                self.agents[agent].crash();
                self.after_some(1..7_200, Happening::Start(agent));
            }
            Happening::Start(agent) => {
                self.agents[agent].start(self.now);
                self.after_some(1..3, Happening::Connect(agent));
                self.after_some(3_600..43_200, Happening::Crash(agent));
            }
            Happening::CollectorCrash => {
                self.stop_collector();
                self.after_some(3_600..36_000, Happening::CollectorCrash);
            }
            Happening::CollectorDrain => {
                self.drain();
                self.after_some(3_600..36_000, Happening::CollectorDrain);
            }
            Happening::CollectorStart => self.collector.running = true,
            Happening::Full => {
                self.collector.full = !self.collector.full;
                let lasts = if self.collector.full { 60..3_600 } else { 7_200..72_000 };
                self.after_some(lasts, Happening::Full);
            }
            Happening::Credit => self.change_credit(),
        }
    }

    fn minute(&mut self, peaceful: bool) {
        for agent in 0..AGENTS {
            if self.agents[agent].running {
                if !peaceful {
                    self.agents[agent].measure(self.now);
                } else {
                    self.agents[agent].flush(self.now);
                }
                self.send(agent);
            }
        }
        self.after(MINUTE, Happening::Minute);
    }

    fn weather(&mut self, agent: usize) {
        let now = self.now;
        self.paths[agent].change(now, &mut self.rng);
        let lasts = self.paths[agent].until - now;
        self.after(lasts, Happening::Weather(agent));
        // Who hears nothing for too long gives up; each side by itself.
        if self.paths[agent].silent_since.is_some() && lasts > SILENCE {
            if let Some(connection) = self.agents[agent].connection {
                self.after(SILENCE, Happening::AgentNotices(agent, connection));
            }
            for (connected, connection) in self.collector.connected() {
                if connected == agent {
                    let later = SILENCE + Duration::from_secs(self.rng.u64(0..20));
                    self.after(later, Happening::CollectorNotices(agent, connection));
                }
            }
        }
    }

    fn connect(&mut self, agent: usize) {
        if !self.agents[agent].running || self.agents[agent].connection.is_some() {
            return;
        }
        let path = &mut self.paths[agent];
        if path.silent_since.is_some() || !self.collector.running {
            let tries = self.agents[agent].tries.min(6);
            self.agents[agent].tries += 1;
            let ceiling = (1 << tries).min(LONGEST_PAUSE) + 1;
            return self.after_some(0..ceiling, Happening::Connect(agent));
        }
        path.reconnected();
        self.connections += 1;
        let connection = self.connections;
        let agent_state = &mut self.agents[agent];
        agent_state.tries = 0;
        agent_state.connection = Some(connection);
        let hello = agent_state.uplink.connected();
        self.say(agent, connection, Up::Hello(hello));
    }

    fn disconnect(&mut self, agent: usize) {
        self.agents[agent].connection = None;
        self.agents[agent].uplink.disconnected();
    }

    fn say(&mut self, agent: usize, connection: u64, said: Up) {
        let at = self.paths[agent].arrival(Way::Up, self.now, &mut self.rng);
        self.after(at - self.now, Happening::Up(agent, connection, said));
    }

    fn answer(&mut self, agent: usize, connection: u64, said: Down) {
        let at = self.paths[agent].arrival(Way::Down, self.now, &mut self.rng);
        self.after(at - self.now, Happening::Down(agent, connection, said));
    }

    /// Sends what the engine names.
    fn send(&mut self, agent: usize) {
        let Some(connection) = self.agents[agent].connection else { return };
        while let Some(number) = self.agents[agent].uplink.next_block() {
            let block = self.agents[agent].block(number);
            let key = self.key(agent, number);
            self.history.events.push(Event::Sent { key, block: block.clone() });
            self.say(agent, connection, Up::Block(block));
        }
    }

    fn key(&self, agent: usize, number: BlockNo) -> Key {
        (agent, self.agents[agent].epoch, number)
    }

    /// Something reaches the collector.
    fn arrives(&mut self, agent: usize, connection: u64, said: Up) {
        if !self.collector.running || connection < self.dead_below {
            return;
        }
        if let Some(answer) = self.collector.hear(agent, connection, said, &mut self.rng) {
            self.answer(agent, connection, answer);
        }
        if !self.committing {
            self.committing = true;
            let millis = self.rng.u64(5..1_000);
            self.after(Duration::from_millis(millis), Happening::Commit);
        }
    }

    fn commit(&mut self) {
        let Committed { new, told } = self.collector.commit(&mut self.rng);
        let stored = |(key, block)| Event::Stored { key, block };
        self.history.events.extend(new.into_iter().map(stored));
        // What is stored and not told any more is told in the next welcome.
        for (agent, connection, ack) in told {
            self.answer(agent, connection, ack);
        }
        self.committing = self.collector.waits();
        if self.committing {
            self.after_some(0..3, Happening::Commit);
        }
    }

    /// Something reaches an agent.
    fn returns(&mut self, agent: usize, connection: u64, said: Down) {
        if !self.agents[agent].running || self.agents[agent].connection != Some(connection) {
            return;
        }
        let uplink = &mut self.agents[agent].uplink;
        let (known, deleted) = match said {
            Down::Welcome(welcome) => {
                let deleted = uplink.welcomed(&welcome).unwrap();
                (deleted.clone(), deleted)
            }
            Down::Acknowledgement(ack) => {
                (Agent::listed(&ack.blocks), uplink.acknowledged(&ack).unwrap())
            }
            Down::Credit(credit) => {
                uplink.credited(credit).unwrap();
                (Vec::new(), Vec::new())
            }
            Down::GoAway(away) => {
                self.disconnect(agent);
                let wait = away.wait(self.rng.u64(..));
                return self.after(wait, Happening::Connect(agent));
            }
        };
        for number in known {
            let key = self.key(agent, number);
            self.history.events.push(Event::Acknowledged { key });
        }
        self.agents[agent].delete(&deleted);
        self.send(agent);
    }

    fn stop_collector(&mut self) {
        if !self.collector.running {
            return;
        }
        // Also who has not even been heard yet.
        let open = self.agents.iter().enumerate();
        let open = open.filter_map(|(agent, state)| Some((agent, state.connection?)));
        for (agent, connection) in open.collect::<Vec<_>>() {
            let silent = self.paths[agent].silent_since.is_some();
            let notices = if silent { SILENCE } else { Duration::from_secs(1) };
            self.after(notices, Happening::AgentNotices(agent, connection));
        }
        self.collector.crash();
        self.dead_below = self.connections + 1;
        self.after_some(1..1_800, Happening::CollectorStart);
    }

    fn drain(&mut self) {
        for (agent, connection) in self.collector.connected() {
            let away = GoAway::draining(AgentId::from_u128(agent as u128), AGENTS);
            self.answer(agent, connection, Down::GoAway(away));
        }
        self.stop_collector();
    }

    fn change_credit(&mut self) {
        let (agent, blocks) = (self.rng.usize(..AGENTS), self.rng.u32(0..12));
        let credit =
            if self.rng.bool() { Credit::of(blocks) } else { Credit { blocks, backlog: 0 } };
        if let Some((connection, credit)) = self.collector.change_credit(agent, credit) {
            self.answer(agent, connection, credit);
        }
        self.after_some(60..3_600, Happening::Credit);
    }
}
