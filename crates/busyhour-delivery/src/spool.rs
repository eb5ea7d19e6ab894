//! What an agent's spool holds, and what goes when there is no room.

use std::collections::BTreeMap;
use std::time::Duration;

use busyhour_model::{
    BlockNo, Body, BootId, BootMicros, Context, Gap, GapReason, Micros, Record, ScheduleRevision,
    Stamp, UtcMicros,
};

use crate::BlockRanges;

/// What is known of a sealed block without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockMeta {
    /// Its number.
    pub number: BlockNo,
    /// Its size in the spool, in bytes.
    pub size_bytes: u64,
    /// How many records it holds.
    pub records: u32,
    /// The earliest beginning of its records, by the agent's wall clock.
    pub first: UtcMicros,
    /// The latest end of its records.
    pub last: UtcMicros,
}

/// How much a spool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolCaps {
    /// Bytes of all blocks together.
    pub max_bytes: u64,
    /// Age of a block, from the end of its last record.
    pub max_age: Duration,
}

impl Default for SpoolCaps {
    /// 64 MB or seven days: what a branch machine does not notice, and longer than any outage of a
    /// collector that somebody looks after.
    fn default() -> Self {
        Self { max_bytes: 64_000_000, max_age: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// Blocks that went without being acknowledged, and what they held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The blocks, to be deleted.
    pub blocks: Vec<BlockNo>,
    /// Their records.
    pub records: u64,
    /// The earliest beginning of their records.
    pub from: UtcMicros,
    /// The latest end of their records.
    pub until: UtcMicros,
}

/// A record lasts a day at most; a gap of more days is as many records.
const DAY_US: Micros = 24 * 3600 * 1_000_000;
/// The most records that one drop is told with. A longer time can only come from a clock that was
/// set wrong in between; then its last days are told.
const MAX_GAP_RECORDS: u32 = 40;

impl Dropped {
    /// The gap records that tell of it, ascending, none longer than a day. The number of lost
    /// records is on the last. They are stamped with the boot in which they are written, at its
    /// beginning: the time they are about may lie in an earlier one.
    #[must_use]
    pub fn gaps(&self, reason: GapReason, boot: BootId, schedule: ScheduleRevision) -> Vec<Record> {
        let mut gaps = Vec::new();
        let mut until = self.until;
        for n in 0..MAX_GAP_RECORDS {
            let length = u64::try_from(until.since(self.from)).unwrap_or(0).min(DAY_US);
            let started = until.minus(Duration::from_micros(length));
            let Ok(stamp) = Stamp::new(started, BootMicros(0), boot, length) else { break };
            gaps.push(Record {
                stamp,
                schedule,
                context: Context::default(),
                body: Body::Gap(Gap {
                    reason,
                    path: None,
                    records: (n == 0).then_some(self.records),
                }),
            });
            if started <= self.from {
                break;
            }
            until = started;
        }
        gaps.reverse();
        gaps
    }
}

/// The sealed blocks of a spool by number. It mirrors what is durable: a block enters after it was
/// written, and leaves when it may be deleted.
#[derive(Debug, Clone)]
pub struct SpoolIndex {
    caps: SpoolCaps,
    blocks: BTreeMap<BlockNo, BlockMeta>,
    size_bytes: u64,
    newest: Option<BlockNo>,
}

impl SpoolIndex {
    /// The index of a spool with these blocks, in which `newest` is the highest number that was
    /// ever given (higher than all of `blocks` when the last ones were delivered and deleted).
    #[must_use]
    pub fn new(
        caps: SpoolCaps,
        blocks: impl IntoIterator<Item = BlockMeta>,
        newest: Option<BlockNo>,
    ) -> Self {
        let mut index = Self { caps, blocks: BTreeMap::new(), size_bytes: 0, newest };
        blocks.into_iter().for_each(|block| index.insert(block));
        index
    }

    /// Adds a block that is durable now.
    pub fn insert(&mut self, block: BlockMeta) {
        if let Some(replaced) = self.blocks.insert(block.number, block) {
            self.size_bytes = self.size_bytes.saturating_sub(replaced.size_bytes);
        }
        self.size_bytes = self.size_bytes.saturating_add(block.size_bytes);
        self.newest = self.newest.max(Some(block.number));
    }

    /// Takes out one block.
    pub fn remove(&mut self, number: BlockNo) -> Option<BlockMeta> {
        let block = self.blocks.remove(&number)?;
        self.size_bytes = self.size_bytes.saturating_sub(block.size_bytes);
        Some(block)
    }

    /// Takes out all blocks of a set, and says which were there.
    pub fn remove_all(&mut self, blocks: &BlockRanges) -> Vec<BlockNo> {
        let mut removed = Vec::new();
        for (first, last) in blocks.iter() {
            removed.extend(self.blocks.range(first..=last).map(|(&number, _)| number));
        }
        for &number in &removed {
            self.remove(number);
        }
        removed
    }

    /// Takes out the oldest blocks, whole, until the caps are kept at `now`. Blocks that `keep`
    /// names stay: they are on their way and may be stored any moment.
    ///
    /// The newest block does not go for its age. It may tell of nothing but blocks that went for
    /// theirs: then what tells of it would be as old, and so on.
    pub fn enforce(&mut self, now: UtcMicros, keep: impl Fn(BlockNo) -> bool) -> Option<Dropped> {
        let mut excess = self.size_bytes.saturating_sub(self.caps.max_bytes);
        let oldest_kept = now.minus(self.caps.max_age);
        let mut going: Vec<BlockMeta> = Vec::new();
        for block in self.blocks.values() {
            let old = block.last < oldest_kept && Some(block.number) != self.newest;
            if excess == 0 && !old {
                break;
            }
            if !keep(block.number) {
                excess = excess.saturating_sub(block.size_bytes);
                going.push(*block);
            }
        }
        for block in &going {
            self.remove(block.number);
        }
        dropped(&going)
    }

    /// Takes out all blocks: their file is given up.
    pub fn abandon(&mut self) -> Option<Dropped> {
        let going: Vec<BlockMeta> = std::mem::take(&mut self.blocks).into_values().collect();
        self.size_bytes = 0;
        dropped(&going)
    }

    /// The number of the next block.
    #[must_use]
    pub fn next_number(&self) -> BlockNo {
        BlockNo(self.newest.map_or(0, |newest| newest.0).saturating_add(1))
    }

    /// The lowest number that is held.
    #[must_use]
    pub fn oldest(&self) -> Option<BlockNo> {
        self.blocks.keys().next().copied()
    }

    /// The highest number that was ever given.
    #[must_use]
    pub const fn newest(&self) -> Option<BlockNo> {
        self.newest
    }

    /// How many blocks are held.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Their size together, in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The records in them.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.blocks.values().map(|block| u64::from(block.records)).sum()
    }

    /// True when the block is held.
    #[must_use]
    pub fn contains(&self, number: BlockNo) -> bool {
        self.blocks.contains_key(&number)
    }

    /// The first held block at or above `number`.
    pub(crate) fn at_or_above(&self, number: BlockNo) -> Option<BlockNo> {
        self.blocks.range(number..).next().map(|(&number, _)| number)
    }

    /// The last held block below `number`.
    pub(crate) fn below(&self, number: BlockNo) -> Option<BlockNo> {
        self.blocks.range(..number).next_back().map(|(&number, _)| number)
    }
}

/// What is to be told of blocks that went.
pub(crate) fn dropped(blocks: &[BlockMeta]) -> Option<Dropped> {
    Some(Dropped {
        from: blocks.iter().map(|block| block.first).min()?,
        until: blocks.iter().map(|block| block.last).max()?,
        records: blocks.iter().map(|block| u64::from(block.records)).sum(),
        blocks: blocks.iter().map(|block| block.number).collect(),
    })
}
