//! An agent: it measures a minute after the other, keeps what it measured on a disk, and delivers it
//! by the engine.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use busyhour_delivery::{
    Block, BlockMeta, BlockRanges, Dropped, SealPolicy, Sealer, SpoolCaps, SpoolIndex, Uplink,
};
use busyhour_model::{BlockNo, Epoch, UtcMicros};

use crate::network::Moment;

const MINUTE: Duration = Duration::from_secs(60);
const NOTE_BYTES: usize = 17;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    Window {
        minute: u64,
    },
    /// Nothing is known of these minutes, whatever else says.
    Gap {
        from: u64,
        until: u64,
    },
}

fn encode(notes: &[Note]) -> Vec<u8> {
    let one = |note: &Note| {
        let (kind, from, until) = match *note {
            Note::Window { minute } => (0_u8, minute, minute),
            Note::Gap { from, until } => (1, from, until),
        };
        [&[kind][..], &from.to_be_bytes(), &until.to_be_bytes()].concat()
    };
    notes.iter().flat_map(one).collect()
}

/// What a block holds.
pub(crate) fn decode(block: &Block) -> Vec<Note> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let one = |note: &[u8]| match (note[0], number(&note[1..9]), number(&note[9..])) {
        (0, minute, _) => Note::Window { minute },
        (_, from, until) => Note::Gap { from, until },
    };
    block.payload.chunks_exact(NOTE_BYTES).map(one).collect()
}

/// True when a block tells of missing minutes.
pub(crate) fn has_gap(block: &Block) -> bool {
    decode(block).iter().any(|note| matches!(note, Note::Gap { .. }))
}

/// What lies on the disk.
#[derive(Debug, Default)]
struct File {
    open: Vec<Note>,
    blocks: BTreeMap<BlockNo, (BlockMeta, Block)>,
    newest: Option<BlockNo>,
    /// The first minute of which nothing is written.
    next_minute: u64,
}

/// See the module.
pub(crate) struct Agent {
    pub(crate) epoch: Epoch,
    pub(crate) uplink: Uplink,
    /// Its process runs.
    pub(crate) running: bool,
    /// The connection that it believes in.
    pub(crate) connection: Option<u64>,
    pub(crate) tries: u32,
    caps: SpoolCaps,
    sealer: Sealer,
    begun: Instant,
    file: File,
    /// Blocks that were deleted, which is not synced: a crash brings them back.
    deleted: Vec<(BlockMeta, Block)>,
}

fn policy() -> SealPolicy {
    SealPolicy { max_records: 6, max_bytes: 4_096, max_age: MINUTE * 3 }
}

/// The middle of a minute on the wall clock.
fn wall(minute: u64) -> UtcMicros {
    UtcMicros::from_secs(1_760_000_010).plus(MINUTE * u32::try_from(minute).unwrap())
}

/// The minute of a moment on the wall clock.
fn minute_of(at: UtcMicros) -> u64 {
    u64::try_from(at.since(UtcMicros::from_secs(1_760_000_000)) / 60_000_000).unwrap()
}

/// The minute that a moment lies in.
pub(crate) fn minute(now: Moment) -> u64 {
    now.as_secs() / 60
}

impl Agent {
    pub(crate) fn new(epoch: Epoch, caps: SpoolCaps) -> Self {
        Self {
            epoch,
            uplink: Uplink::new(epoch, SpoolIndex::new(caps, [], None)),
            running: true,
            connection: None,
            tries: 0,
            caps,
            sealer: Sealer::new(policy()),
            begun: Instant::now(),
            file: File::default(),
            deleted: Vec::new(),
        }
    }

    fn sync(&mut self) {
        self.deleted.clear();
    }

    /// A minute is over: what was measured is committed.
    pub(crate) fn measure(&mut self, now: Moment) {
        let over = minute(now);
        let measured = self.file.next_minute..over;
        for minute in measured {
            self.note(Note::Window { minute }, now);
        }
        self.file.next_minute = over;
        self.sync();
        self.seal(now);
        if let Some(dropped) = self.uplink.enforce(wall(over)) {
            self.give_up(&dropped, now);
        }
    }

    fn note(&mut self, note: Note, now: Moment) {
        self.file.open.push(note);
        self.sealer.added(NOTE_BYTES, self.begun + now);
    }

    /// Makes a block of what is open, when it is time.
    fn seal(&mut self, now: Moment) {
        while self.sealer.is_due(self.begun + now) {
            let number = self.uplink.spool().next_number();
            let notes = std::mem::take(&mut self.file.open);
            let block = Block::seal(number, encode(&notes));
            let ends = notes.iter().map(|note| match *note {
                Note::Window { minute } => (minute, minute),
                Note::Gap { from, until } => (from, until),
            });
            let meta = BlockMeta {
                number,
                size_bytes: block.payload.len() as u64,
                records: u32::try_from(notes.len()).unwrap(),
                first: wall(ends.clone().map(|(from, _)| from).min().unwrap()),
                last: wall(ends.map(|(_, until)| until).max().unwrap()),
            };
            self.file.blocks.insert(number, (meta, block));
            self.file.newest = Some(number);
            self.sealer.sealed();
            self.sync();
            if let Some(dropped) = self.uplink.sealed(meta, wall(minute(now))) {
                self.give_up(&dropped, now);
            }
        }
    }

    /// What tells of the loss is committed with the loss.
    fn give_up(&mut self, dropped: &Dropped, now: Moment) {
        let gap = Note::Gap { from: minute_of(dropped.from), until: minute_of(dropped.until) };
        self.note(gap, now);
        for block in &dropped.blocks {
            self.file.blocks.remove(block);
        }
        self.sync();
    }

    /// The collector has these.
    pub(crate) fn delete(&mut self, blocks: &[BlockNo]) {
        // After a crash they are back, and the next welcome deletes them again.
        let deleted = blocks.iter().filter_map(|block| self.file.blocks.remove(block));
        self.deleted.extend(deleted);
    }

    pub(crate) fn block(&self, number: BlockNo) -> Block {
        self.file.blocks[&number].1.clone()
    }

    /// The process is gone, and with it what was not synced.
    pub(crate) fn crash(&mut self) {
        self.running = false;
        self.connection = None;
        let back = self.deleted.drain(..).map(|block| (block.0.number, block));
        self.file.blocks.extend(back);
    }

    /// The process is there again, and tells of the time without it.
    pub(crate) fn start(&mut self, now: Moment) {
        self.running = true;
        self.tries = 0;
        let metas = self.file.blocks.values().map(|(meta, _)| *meta);
        let index = SpoolIndex::new(self.caps, metas, self.file.newest);
        self.uplink = Uplink::new(self.epoch, index);
        self.sealer = Sealer::new(policy());
        for _ in 0..self.file.open.len() {
            self.sealer.added(NOTE_BYTES, self.begun + now);
        }
        let (from, current) = (self.file.next_minute, minute(now));
        if from <= current {
            // The minute that it starts in is not measured whole.
            self.note(Note::Gap { from, until: current }, now);
            self.file.next_minute = current + 1;
        }
        self.sync();
    }

    /// What a failed test is told with.
    pub(crate) fn state(&self) -> String {
        let (up, spool) = (self.uplink.is_up(), self.uplink.spool().blocks());
        let (connection, running, open) = (self.connection, self.running, self.file.open.len());
        let in_flight = self.uplink.in_flight();
        format!("{running} {connection:?} {up} spool {spool} flight {in_flight} open {open}")
    }

    /// Everything is delivered.
    pub(crate) fn is_empty(&self) -> bool {
        self.file.open.is_empty() && self.uplink.spool().blocks() == 0
    }

    /// Seals what is open, whatever its age.
    pub(crate) fn flush(&mut self, now: Moment) {
        if !self.file.open.is_empty() {
            self.seal(now + MINUTE * 4);
        }
    }

    /// The blocks in a set, as somebody else lists them.
    pub(crate) fn listed(blocks: &BlockRanges) -> Vec<BlockNo> {
        blocks.iter().flat_map(|(first, last)| (first.0..=last.0).map(BlockNo)).collect()
    }
}
