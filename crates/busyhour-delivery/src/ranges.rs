//! Sets of block numbers as ranges.

use busyhour_model::BlockNo;

/// A set of block numbers, kept as ascending inclusive ranges that neither overlap nor touch.
///
/// It grows with its holes, not with its blocks. Who keeps one that a peer can punch holes into
/// bounds it with [`Self::keep_newest`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockRanges {
    ranges: Vec<(u64, u64)>,
}

impl BlockRanges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds a block.
    pub fn insert(&mut self, block: BlockNo) {
        self.insert_range(block, block);
    }

    /// Adds `first..=last`; nothing when they are the wrong way round.
    pub fn insert_range(&mut self, first: BlockNo, last: BlockNo) {
        let (BlockNo(first), BlockNo(last)) = (first, last);
        if first > last {
            return;
        }
        // The ranges that overlap or touch the new one melt into it.
        let from = self.ranges.partition_point(|&(_, end)| end.saturating_add(1) < first);
        let until = self.ranges.partition_point(|&(start, _)| start <= last.saturating_add(1));
        let melted = self.ranges[from..until]
            .iter()
            .fold((first, last), |(low, high), &(start, end)| (low.min(start), high.max(end)));
        self.ranges.splice(from..until, [melted]);
    }

    /// Adds all blocks of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (first, last) in other.iter() {
            self.insert_range(first, last);
        }
    }

    /// Forgets everything below `first`.
    pub fn forget_below(&mut self, first: BlockNo) {
        self.ranges.retain(|&(_, last)| last >= first.0);
        if let Some(range) = self.ranges.first_mut() {
            range.0 = range.0.max(first.0);
        }
    }

    /// Forgets the lowest ranges until at most `ranges` are left.
    pub fn keep_newest(&mut self, ranges: usize) {
        let excess = self.ranges.len().saturating_sub(ranges);
        self.ranges.drain(..excess);
    }

    /// True when the block is in the set.
    #[must_use]
    pub fn contains(&self, block: BlockNo) -> bool {
        let at = self.ranges.partition_point(|&(_, last)| last < block.0);
        self.ranges.get(at).is_some_and(|&(first, _)| first <= block.0)
    }

    /// True when no block is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many blocks are in the set, held at the largest number.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges
            .iter()
            .map(|&(first, last)| (last - first).saturating_add(1))
            .fold(0, u64::saturating_add)
    }

    /// The highest block.
    #[must_use]
    pub fn last(&self) -> Option<BlockNo> {
        self.ranges.last().map(|&(_, last)| BlockNo(last))
    }

    /// The ranges, first and last block of each, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (BlockNo, BlockNo)> + '_ {
        self.ranges.iter().map(|&(first, last)| (BlockNo(first), BlockNo(last)))
    }
}

impl FromIterator<(BlockNo, BlockNo)> for BlockRanges {
    fn from_iter<I: IntoIterator<Item = (BlockNo, BlockNo)>>(ranges: I) -> Self {
        let mut set = Self::new();
        for (first, last) in ranges {
            set.insert_range(first, last);
        }
        set
    }
}

impl FromIterator<BlockNo> for BlockRanges {
    fn from_iter<I: IntoIterator<Item = BlockNo>>(blocks: I) -> Self {
        blocks.into_iter().map(|block| (block, block)).collect()
    }
}
