//! What the two ends tell each other, as plain types.

use busyhour_model::{BlockNo, Epoch};

use crate::BlockRanges;

/// What the agent says first in a session: what its spool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The spool's epoch.
    pub epoch: Epoch,
    /// The lowest block that is still held; `None` when none is.
    pub oldest: Option<BlockNo>,
    /// The highest block that was ever sealed; `None` when none was.
    pub newest: Option<BlockNo>,
    /// How many blocks are held; `None` when the agent does not say.
    pub held: Option<u64>,
}

/// How many blocks an agent may have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Of all kinds.
    pub blocks: u32,
    /// Of them backlog: blocks that were sealed before the session began. More than half of all
    /// (but one) counts as half.
    pub backlog: u32,
}

impl Credit {
    /// This many blocks, and as many of them backlog as may be.
    #[must_use]
    pub const fn of(blocks: u32) -> Self {
        Self { blocks, backlog: most_backlog(blocks) }
    }

    /// This many blocks, and no backlog for now.
    #[must_use]
    pub const fn live_only(blocks: u32) -> Self {
        Self { blocks, backlog: 0 }
    }

    /// The same, but not more than `blocks`.
    #[must_use]
    pub fn at_most(self, blocks: u32) -> Self {
        Self { blocks: self.blocks.min(blocks), backlog: self.backlog }
    }

    /// Backlog that may be in flight: never more than half of all, so that there is room for what
    /// comes in; but a credit of one moves backlog, too.
    #[must_use]
    pub fn backlog_in_flight(self) -> u32 {
        self.backlog.min(most_backlog(self.blocks))
    }
}

const fn most_backlog(blocks: u32) -> u32 {
    if blocks == 1 { 1 } else { blocks / 2 }
}

/// What the collector answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Blocks of the epoch, not below [`Hello::oldest`], that are durable already.
    pub stored: BlockRanges,
    /// Blocks that may be in flight.
    pub credit: Credit,
}

/// Blocks that are durable at the collector. Made after their commit, never before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The spool's epoch.
    pub epoch: Epoch,
    /// The blocks.
    pub blocks: BlockRanges,
}

/// A sealed block as it travels and as it lies in the spool: immutable, never cut again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its number within the epoch.
    pub number: BlockNo,
    /// CRC-32C (RFC 3720 appendix B.4) of the payload.
    pub crc32c: u32,
    /// The records, encoded.
    pub payload: Vec<u8>,
}

impl Block {
    /// Seals a payload under a number.
    #[must_use]
    pub fn seal(number: BlockNo, payload: Vec<u8>) -> Self {
        Self { number, crc32c: crc32c::crc32c(&payload), payload }
    }

    /// True when the payload is the one that was sealed.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        crc32c::crc32c(&self.payload) == self.crc32c
    }
}
