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
}

/// What the collector answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Blocks of the epoch, not below [`Hello::oldest`], that are durable already.
    pub stored: BlockRanges,
    /// Blocks that may be in flight.
    pub credit: u32,
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
