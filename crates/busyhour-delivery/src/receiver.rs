//! The collector's end of one session: what to store, and what to acknowledge.

use std::collections::BTreeSet;

use busyhour_model::{BlockNo, Epoch};
use thiserror::Error;

use crate::{Acknowledgement, Block, BlockRanges, Credit, Hello, Welcome};

/// Blocks that an agent may have in flight at first.
pub const INITIAL_CREDIT: u32 = 8;
/// Blocks that an agent may ever have in flight: what a session holds in memory at the collector,
/// at half a megabyte each.
pub const MAX_CREDIT: u32 = 64;
/// Ranges of stored blocks that a session remembers and tells. A spool of seven days in which every
/// second block is missing has fewer. Forgotten ones are stored again, which the store notices.
const MAX_STORED_RANGES: usize = 8_192;

/// Why a session cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A second hello.
    #[error("hello was said already")]
    SecondHello,
    /// A block before hello.
    #[error("a block came before hello")]
    BeforeHello,
    /// The payload is not the one that was sealed.
    #[error("the checksum of block {0:?} does not match")]
    Checksum(BlockNo),
    /// A block that the agent said it does not hold, or that cannot be.
    #[error("block {0:?} is none of those that hello announced")]
    Foreign(BlockNo),
    /// More in flight than was allowed.
    #[error("block {0:?} exceeds the credit")]
    Credit(BlockNo),
}

/// How urgent a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Sealed in this session: somebody may be waiting for what is in it.
    Live,
    /// Sealed before this session.
    Backlog,
}

/// What to do with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Store it, then tell [`Receiver::committed`].
    Store(Lane),
    /// It is durable already: send this.
    AlreadyStored(Acknowledgement),
    /// It came before in this session and is not committed yet: nothing.
    Waiting,
    /// Close the session.
    Refuse(Refusal),
}

/// One session of one agent. What it knows of earlier ones comes from the store.
#[derive(Debug, Clone)]
pub struct Receiver {
    credit: Credit,
    /// The highest credit of this session: what is on its way when it is lowered is no offence.
    highest_credit: u32,
    spool: Option<Spool>,
}

#[derive(Debug, Clone)]
struct Spool {
    epoch: Epoch,
    /// Lower numbers were not announced.
    oldest: BlockNo,
    /// From here on blocks are live.
    live_from: BlockNo,
    stored: BlockRanges,
    waiting: BTreeSet<BlockNo>,
    /// Blocks that the agent held when it said hello, that are not stored and did not come yet: at
    /// most, as far as can be told.
    backlog_left: u64,
}

impl Receiver {
    /// A session in which nothing was said yet, with this credit (held to 1..=[`MAX_CREDIT`]).
    #[must_use]
    pub fn new(credit: Credit) -> Self {
        let credit = bounded(credit);
        Self { credit, highest_credit: credit.blocks, spool: None }
    }

    /// The agent said what its spool holds; `stored` are the blocks of that epoch that the store
    /// holds. Returns the answer.
    ///
    /// # Errors
    /// When hello was said already.
    pub fn hello(&mut self, hello: &Hello, mut stored: BlockRanges) -> Result<Welcome, Refusal> {
        if self.spool.is_some() {
            return Err(Refusal::SecondHello);
        }
        let next = BlockNo(hello.newest.map_or(0, |newest| newest.0).saturating_add(1));
        let oldest = hello.oldest.unwrap_or(next).max(BlockNo(1));
        stored.forget_below(oldest);
        stored.keep_newest(MAX_STORED_RANGES);
        let welcome = Welcome { stored: stored.clone(), credit: self.credit };
        let announced = next.0.saturating_sub(oldest.0);
        // What is stored may be held still or be deleted long since.
        let missing = announced.saturating_sub(stored.count());
        self.spool = Some(Spool {
            epoch: hello.epoch,
            oldest,
            live_from: next,
            backlog_left: hello.held.map_or(missing, |held| held.min(missing)),
            stored,
            waiting: BTreeSet::new(),
        });
        Ok(welcome)
    }

    /// A block came.
    pub fn block(&mut self, block: &Block) -> Verdict {
        let number = block.number;
        let Some(spool) = &mut self.spool else { return Verdict::Refuse(Refusal::BeforeHello) };
        if number < spool.oldest {
            return Verdict::Refuse(Refusal::Foreign(number));
        }
        if !block.is_intact() {
            return Verdict::Refuse(Refusal::Checksum(number));
        }
        if spool.stored.contains(number) {
            return Verdict::AlreadyStored(spool.acknowledge([number].into_iter().collect()));
        }
        if spool.waiting.contains(&number) {
            return Verdict::Waiting;
        }
        if spool.waiting.len() >= self.highest_credit as usize {
            return Verdict::Refuse(Refusal::Credit(number));
        }
        spool.waiting.insert(number);
        if number >= spool.live_from {
            return Verdict::Store(Lane::Live);
        }
        spool.backlog_left = spool.backlog_left.saturating_sub(1);
        Verdict::Store(Lane::Backlog)
    }

    /// Blocks became durable. Returns what to send; `None` when none of them came in this session.
    pub fn committed(
        &mut self,
        blocks: impl IntoIterator<Item = BlockNo>,
    ) -> Option<Acknowledgement> {
        let spool = self.spool.as_mut()?;
        let blocks: BlockRanges =
            blocks.into_iter().filter(|block| spool.waiting.remove(block)).collect();
        if blocks.is_empty() {
            return None;
        }
        spool.stored.merge(&blocks);
        spool.stored.keep_newest(MAX_STORED_RANGES);
        Some(spool.acknowledge(blocks))
    }

    /// Changes the credit (held to 1..=[`MAX_CREDIT`]). Returns what to tell the agent; `None` when
    /// it is the same.
    pub fn set_credit(&mut self, credit: Credit) -> Option<Credit> {
        let credit = bounded(credit);
        if credit == self.credit {
            return None;
        }
        self.credit = credit;
        self.highest_credit = self.highest_credit.max(credit.blocks);
        Some(credit)
    }

    /// The spool's epoch; `None` before hello.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.spool.as_ref().map(|spool| spool.epoch)
    }

    /// How many blocks, at most, the agent has that were sealed before this session and did not come
    /// yet.
    #[must_use]
    pub fn backlog_left(&self) -> u64 {
        self.spool.as_ref().map_or(0, |spool| spool.backlog_left)
    }

    /// Blocks of backlog that came and are not committed.
    #[must_use]
    pub fn backlog_waiting(&self) -> usize {
        self.spool.as_ref().map_or(0, |spool| spool.waiting.range(..spool.live_from).count())
    }

    /// Blocks that came and are not committed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.spool.as_ref().map_or(0, |spool| spool.waiting.len())
    }
}

fn bounded(credit: Credit) -> Credit {
    Credit { blocks: credit.blocks.clamp(1, MAX_CREDIT), ..credit }
}

impl Spool {
    const fn acknowledge(&self, blocks: BlockRanges) -> Acknowledgement {
        Acknowledgement { epoch: self.epoch, blocks }
    }
}
