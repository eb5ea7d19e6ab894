//! Agent and collector as a pair, in virtual time, over a network that breaks and with disks that
//! forget what was not synced. Every seed is another history; the laws hold in all of them.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use busyhour_delivery::{
    Acknowledgement, Block, BlockMeta, BlockRanges, Credit, Dropped, Hello, Receiver, SpoolCaps,
    SpoolIndex, Uplink, Verdict, Welcome,
};
use busyhour_model::{BlockNo, Epoch, UtcMicros};
use fastrand::Rng;

const EPOCH: Epoch = Epoch(7);
const BLOCK_BYTES: u64 = 1_000;
const RECORDS: u32 = 10;

/// What is written, and what of it would survive a crash.
#[derive(Clone, Default)]
struct Disk<T: Clone> {
    cached: T,
    durable: T,
}

impl<T: Clone> Disk<T> {
    fn sync(&mut self) {
        self.durable = self.cached.clone();
    }

    fn crash(&mut self) {
        self.cached = self.durable.clone();
    }
}

#[derive(Clone, Default)]
struct SpoolFile {
    blocks: BTreeMap<BlockNo, (BlockMeta, Block)>,
    newest: Option<BlockNo>,
}

enum Up {
    Hello(Hello),
    Block(Block),
}

enum Down {
    Welcome(Welcome),
    Acknowledgement(Acknowledgement),
    Credit(Credit),
}

/// One connection. Once cut, nothing arrives any more, and either side notices in its own time.
struct Connection {
    id: u64,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    cut: bool,
}

/// What the laws are checked against.
#[derive(Default)]
struct Truth {
    sealed: BTreeMap<BlockNo, Block>,
    ever_sent: BTreeSet<BlockNo>,
    sent_in_session: Vec<BlockNo>,
    live_from: u64,
    reported: BTreeSet<BlockNo>,
    reported_records: u64,
}

struct World {
    rng: Rng,
    now: UtcMicros,
    caps: SpoolCaps,
    spool: Disk<SpoolFile>,
    uplink: Uplink,
    agent_connection: Option<u64>,
    connections: u64,
    network: Option<Connection>,
    session: Option<(u64, Receiver)>,
    queue: Vec<Block>,
    store: BTreeMap<BlockNo, Block>,
    truth: Truth,
    duplicates: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let max_bytes = if rng.bool() { u64::MAX } else { rng.u64(5..30) * BLOCK_BYTES };
        let caps = SpoolCaps { max_bytes, max_age: Duration::from_secs(7 * 24 * 3600) };
        Self {
            rng,
            now: UtcMicros::from_secs(1_760_000_000),
            caps,
            spool: Disk::default(),
            uplink: Uplink::new(EPOCH, SpoolIndex::new(caps, [], None)),
            agent_connection: None,
            connections: 0,
            network: None,
            session: None,
            queue: Vec::new(),
            store: BTreeMap::new(),
            truth: Truth::default(),
            duplicates: 0,
        }
    }

    fn step_with_faults(&mut self) {
        self.now = self.now.plus(Duration::from_millis(self.rng.u64(1..1_000)));
        match self.rng.u32(0..100) {
            0..20 => self.seal(),
            20..22 => self.agent_crashes(),
            22..24 => self.collector_crashes(),
            24..28 => self.cut(),
            28..40 => self.connect(),
            40..60 => self.deliver_up(),
            60..80 => self.deliver_down(),
            80..90 => self.commit(),
            90..93 => self.notice_cut_at_agent(),
            93..96 => self.notice_cut_at_collector(),
            96..98 => self.change_credit(),
            _ => self.lose_a_block_on_disk(),
        }
        self.send();
    }

    fn step_without_faults(&mut self) {
        self.notice_cut_at_agent();
        self.notice_cut_at_collector();
        self.connect();
        self.deliver_up();
        self.commit();
        self.deliver_down();
        self.send();
    }

    fn seal(&mut self) {
        let number = self.uplink.spool().next_number();
        let payload = self.rng.u64(..).to_be_bytes().to_vec();
        let block = Block::seal(number, payload);
        let last = self.now;
        let first = last.minus(Duration::from_secs(10));
        let meta = BlockMeta { number, size_bytes: BLOCK_BYTES, records: RECORDS, first, last };
        self.spool.cached.blocks.insert(number, (meta, block.clone()));
        self.spool.cached.newest = Some(number);
        if self.rng.u32(0..10) == 0 {
            // Down before the sync returned: nobody was told of the block, its number is free.
            return self.agent_crashes();
        }
        self.spool.sync();
        self.truth.sealed.insert(number, block);
        let dropped = self.uplink.sealed(meta, self.now);
        self.report(dropped);
    }

    fn report(&mut self, dropped: Option<Dropped>) {
        let Some(dropped) = dropped else { return };
        assert_eq!(dropped.records, dropped.blocks.len() as u64 * u64::from(RECORDS));
        for block in &dropped.blocks {
            assert!(self.truth.reported.insert(*block), "{block:?} was reported twice");
            self.spool.cached.blocks.remove(block);
        }
        self.truth.reported_records += dropped.records;
        // The gap record and the deletion are one transaction of the spool.
        self.spool.sync();
    }

    fn agent_crashes(&mut self) {
        self.spool.crash();
        let SpoolFile { blocks, newest } = self.spool.cached.clone();
        let index = SpoolIndex::new(self.caps, blocks.values().map(|(meta, _)| *meta), newest);
        self.uplink = Uplink::new(EPOCH, index);
        self.agent_connection = None;
        self.cut();
    }

    fn collector_crashes(&mut self) {
        self.session = None;
        self.queue.clear();
        self.cut();
    }

    /// Some of what is on its way still arrives, the rest is lost.
    fn cut(&mut self) {
        let Some(network) = &mut self.network else { return };
        network.cut = true;
        let (up, down) =
            (self.rng.usize(0..=network.up.len()), self.rng.usize(0..=network.down.len()));
        network.up.truncate(up);
        network.down.truncate(down);
    }

    fn notice_cut_at_agent(&mut self) {
        let broken =
            self.network.as_ref().is_none_or(|network| network.cut && network.down.is_empty());
        if self.agent_connection.is_some() && broken {
            self.agent_connection = None;
            self.uplink.disconnected();
        }
    }

    fn notice_cut_at_collector(&mut self) {
        let broken =
            self.network.as_ref().is_none_or(|network| network.cut && network.up.is_empty());
        if broken {
            self.session = None;
        }
    }

    fn connect(&mut self) {
        if self.agent_connection.is_some() {
            return;
        }
        self.connections += 1;
        self.truth.sent_in_session.clear();
        self.truth.live_from = self.uplink.spool().next_number().0;
        let hello = self.uplink.connected();
        self.agent_connection = Some(self.connections);
        self.network = Some(Connection {
            id: self.connections,
            up: VecDeque::from([Up::Hello(hello)]),
            down: VecDeque::new(),
            cut: false,
        });
    }

    fn deliver_up(&mut self) {
        let Some(network) = &mut self.network else { return };
        let id = network.id;
        let Some(message) = network.up.pop_front() else { return };
        match message {
            // A newer session replaces the older one, even if nobody noticed that it is gone.
            Up::Hello(hello) => {
                let mut receiver = Receiver::new(Credit::of(self.rng.u32(1..10)));
                let stored: BlockRanges = self.store.keys().copied().collect();
                let welcome = receiver.hello(&hello, stored).unwrap();
                self.session = Some((id, receiver));
                self.answer(id, Down::Welcome(welcome));
            }
            Up::Block(block) => {
                let Some((session, receiver)) = &mut self.session else { return };
                assert_eq!(*session, id);
                match receiver.block(&block) {
                    Verdict::Store(_) => self.queue.push(block),
                    Verdict::AlreadyStored(ack) => self.answer(id, Down::Acknowledgement(ack)),
                    verdict => panic!("{verdict:?} for {:?}", block.number),
                }
            }
        }
    }

    fn answer(&mut self, id: u64, message: Down) {
        if let Some(network) =
            self.network.as_mut().filter(|network| network.id == id && !network.cut)
        {
            network.down.push_back(message);
        }
    }

    /// One transaction of the store: rows and receipts together, each block once.
    fn commit(&mut self) {
        let blocks: Vec<Block> = self.queue.drain(..).collect();
        let numbers: Vec<BlockNo> = blocks.iter().map(|block| block.number).collect();
        for block in blocks {
            if let Some(stored) = self.store.get(&block.number) {
                assert_eq!(*stored, block, "a number stands for one content");
                self.duplicates += 1;
            } else {
                assert!(self.truth.ever_sent.contains(&block.number));
                assert_eq!(self.truth.sealed.get(&block.number), Some(&block));
                self.store.insert(block.number, block);
            }
        }
        let Some((id, receiver)) = &mut self.session else { return };
        let id = *id;
        if let Some(ack) = receiver.committed(numbers) {
            self.answer(id, Down::Acknowledgement(ack));
        }
    }

    fn deliver_down(&mut self) {
        let Some(network) = &mut self.network else { return };
        if self.agent_connection != Some(network.id) {
            return;
        }
        let Some(message) = network.down.pop_front() else { return };
        let deleted = match message {
            Down::Welcome(welcome) => self.uplink.welcomed(&welcome).unwrap(),
            Down::Acknowledgement(ack) => self.uplink.acknowledged(&ack).unwrap(),
            Down::Credit(credit) => {
                self.uplink.credited(credit).unwrap();
                Vec::new()
            }
        };
        for block in deleted {
            assert!(self.store.contains_key(&block), "{block:?} was deleted and is not stored");
            // Not synced: after a crash the block is back, and the next welcome deletes it again.
            self.spool.cached.blocks.remove(&block);
        }
    }

    fn send(&mut self) {
        let Some(network) = &mut self.network else { return };
        if self.agent_connection != Some(network.id) {
            return;
        }
        while let Some(number) = self.uplink.next_block() {
            let (_, block) = &self.spool.cached.blocks[&number];
            let earlier = &self.truth.sent_in_session;
            assert!(!earlier.contains(&number), "{number:?} was sent twice in a session");
            let live_from = BlockNo(self.truth.live_from);
            let held = self.uplink.spool();
            if number < live_from {
                let unsent_live = (live_from.0..held.next_number().0)
                    .map(BlockNo)
                    .find(|live| held.contains(*live) && !earlier.contains(live));
                assert_eq!(unsent_live, None, "backlog went before a live block");
                let newest_first = earlier.iter().all(|&sent| sent >= live_from || sent > number);
                assert!(newest_first, "{number:?} was not the newest of the backlog");
            }
            self.truth.sent_in_session.push(number);
            self.truth.ever_sent.insert(number);
            if !network.cut {
                network.up.push_back(Up::Block(block.clone()));
            }
        }
    }

    fn change_credit(&mut self) {
        let credit = Credit::of(self.rng.u32(1..20));
        let Some((id, receiver)) = &mut self.session else { return };
        let id = *id;
        if let Some(credit) = receiver.set_credit(credit) {
            self.answer(id, Down::Credit(credit));
        }
    }

    fn lose_a_block_on_disk(&mut self) {
        if self.rng.u32(0..10) != 0 {
            return;
        }
        let Some(oldest) = self.uplink.spool().oldest() else { return };
        let dropped = self.uplink.unreadable(oldest);
        self.report(dropped);
    }

    fn quiet(&self) -> bool {
        self.uplink.spool().blocks() == 0 && self.queue.is_empty()
    }
}

fn history(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..world.rng.usize(100..600) {
        world.step_with_faults();
    }
    for _ in 0..2_000 {
        if world.quiet() {
            return world;
        }
        world.step_without_faults();
    }
    panic!("seed {seed}: {} blocks are left", world.uplink.spool().blocks());
}

#[test]
fn whatever_breaks_each_block_is_stored_once_or_its_loss_is_told() {
    let (mut stored, mut reported, mut redelivered) = (0, 0, 0);
    for seed in 0..300 {
        let world = history(seed);
        for number in world.truth.sealed.keys() {
            let known = world.store.contains_key(number) || world.truth.reported.contains(number);
            assert!(known, "seed {seed}: {number:?} is gone without a word");
        }
        let missing = world.truth.sealed.keys().filter(|n| !world.store.contains_key(n)).count();
        assert!(missing as u64 * u64::from(RECORDS) <= world.truth.reported_records);
        stored += world.store.len();
        reported += world.truth.reported.len();
        redelivered += world.duplicates;
    }
    // The histories were worth the name.
    assert!(stored > 10_000, "{stored}");
    assert!(reported > 100, "{reported}");
    assert!(redelivered > 50, "{redelivered}");
}

#[test]
fn with_room_enough_nothing_is_dropped() {
    let world = (0..50).map(history).filter(|world| world.caps.max_bytes == u64::MAX);
    for world in world {
        let lost_on_disk = world.truth.reported.len();
        assert!(world.store.len() + lost_on_disk >= world.truth.sealed.len());
        assert!(lost_on_disk < 10);
    }
}
