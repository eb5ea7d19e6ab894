//! A collector: sessions by the engine, a queue that a crash forgets, and a store that it does not.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use busyhour_delivery::{Block, BlockRanges, Credit, Receiver, Verdict};
use busyhour_model::{BlockNo, Epoch};
use fastrand::Rng;

use crate::history::Key;
use crate::network::{Down, Up};

/// One live session.
struct Session {
    connection: u64,
    receiver: Receiver,
}

/// What a transaction brought.
#[derive(Default)]
pub(crate) struct Committed {
    pub(crate) new: Vec<(Key, Block)>,
    /// By agent and connection.
    pub(crate) told: Vec<(usize, u64, Down)>,
}

/// See the module.
pub(crate) struct Collector {
    pub(crate) running: bool,
    /// The store takes nothing.
    pub(crate) full: bool,
    /// Nobody is kept from delivering backlog.
    pub(crate) generous: bool,
    sessions: BTreeMap<usize, Session>,
    /// Blocks that wait, by the connection that they came over.
    queue: Vec<(u64, Key, Block)>,
    store: BTreeMap<Key, Block>,
}

impl Collector {
    pub(crate) const fn new() -> Self {
        Self {
            running: true,
            full: false,
            generous: false,
            sessions: BTreeMap::new(),
            queue: Vec::new(),
            store: BTreeMap::new(),
        }
    }

    /// The process is gone.
    pub(crate) fn crash(&mut self) {
        self.running = false;
        self.sessions.clear();
        self.queue.clear();
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&mut self, agent: usize, connection: u64) {
        if self.sessions.get(&agent).is_some_and(|session| session.connection == connection) {
            self.sessions.remove(&agent);
        }
    }

    /// The agents that are connected, and by which connection.
    pub(crate) fn connected(&self) -> Vec<(usize, u64)> {
        self.sessions.iter().map(|(agent, session)| (*agent, session.connection)).collect()
    }

    /// Something came over a connection; the answer.
    pub(crate) fn hear(
        &mut self,
        agent: usize,
        connection: u64,
        said: Up,
        rng: &mut Rng,
    ) -> Option<Down> {
        match said {
            Up::Hello(hello) => {
                // A connection from before is no news any more.
                let newer = |session: &Session| session.connection > connection;
                if self.sessions.get(&agent).is_some_and(newer) {
                    return None;
                }
                let credit = match rng.u32(0..3) {
                    0 if !self.generous => Credit::live_only(rng.u32(1..9)),
                    _ => Credit::of(rng.u32(1..9)),
                };
                let mut receiver = Receiver::new(credit);
                let stored = self.stored(agent, hello.epoch);
                let welcome = receiver.hello(&hello, stored).unwrap();
                self.sessions.insert(agent, Session { connection, receiver });
                Some(Down::Welcome(welcome))
            }
            Up::Block(block) => {
                let session = self.sessions.get_mut(&agent)?;
                if session.connection != connection {
                    return None;
                }
                let epoch = session.receiver.epoch().unwrap();
                match session.receiver.block(&block) {
                    Verdict::Store(_) => {
                        self.queue.push((connection, (agent, epoch, block.number), block));
                        None
                    }
                    Verdict::AlreadyStored(ack) => Some(Down::Acknowledgement(ack)),
                    Verdict::Waiting => None,
                    Verdict::Refuse(refusal) => panic!("{refusal}"),
                }
            }
        }
    }

    fn stored(&self, agent: usize, epoch: Epoch) -> BlockRanges {
        let numbers = (agent, epoch, BlockNo(0))..=(agent, epoch, BlockNo(u64::MAX));
        self.store.range(numbers).map(|((_, _, number), _)| *number).collect()
    }

    /// Stores some of what waits, in whatever order.
    pub(crate) fn commit(&mut self, rng: &mut Rng) -> Committed {
        let mut committed = Committed::default();
        if self.full || self.queue.is_empty() {
            return committed;
        }
        rng.shuffle(&mut self.queue);
        let group: Vec<_> = self.queue.drain(..rng.usize(1..=self.queue.len())).collect();
        let mut done: BTreeMap<(usize, u64), Vec<BlockNo>> = BTreeMap::new();
        for (connection, key, block) in group {
            done.entry((key.0, connection)).or_default().push(key.2);
            if let Entry::Vacant(free) = self.store.entry(key) {
                free.insert(block.clone());
                committed.new.push((key, block));
            }
        }
        for ((agent, connection), blocks) in done {
            let Some(session) = self.sessions.get_mut(&agent) else { continue };
            if session.connection == connection
                && let Some(ack) = session.receiver.committed(blocks)
            {
                committed.told.push((agent, connection, Down::Acknowledgement(ack)));
            }
        }
        committed
    }

    /// True while something is to be stored.
    pub(crate) const fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Gives a session other credit.
    pub(crate) fn change_credit(&mut self, agent: usize, credit: Credit) -> Option<(u64, Down)> {
        let session = self.sessions.get_mut(&agent)?;
        let credit = session.receiver.set_credit(credit)?;
        Some((session.connection, Down::Credit(credit)))
    }
}
