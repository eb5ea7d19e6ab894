//! When pending records become a block.

use std::time::{Duration, Instant};

/// The limits of a block that is being filled. Whichever is met first seals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealPolicy {
    /// Records.
    pub max_records: u32,
    /// Bytes of the encoded records.
    pub max_bytes: usize,
    /// Time since the first record: how old live data is at most when it leaves.
    pub max_age: Duration,
}

impl Default for SealPolicy {
    /// A block of an ordinary agent is sealed by age. The rest bounds a busy one: a block is a
    /// quarter of a megabyte at most, far below what the collector takes.
    fn default() -> Self {
        Self { max_records: 500, max_bytes: 256 * 1024, max_age: Duration::from_secs(10) }
    }
}

/// Watches a block being filled.
///
/// Ask [`Self::fits`] before adding a record (seal first when it does not), tell [`Self::added`],
/// seal when [`Self::is_due`], and tell [`Self::sealed`].
#[derive(Debug, Clone)]
pub struct Sealer {
    policy: SealPolicy,
    records: u32,
    bytes: usize,
    since: Option<Instant>,
}

impl Sealer {
    /// Watches an empty block.
    #[must_use]
    pub const fn new(policy: SealPolicy) -> Self {
        Self { policy, records: 0, bytes: 0, since: None }
    }

    /// Counts a record of `bytes` that was added at `now`.
    pub fn added(&mut self, bytes: usize, now: Instant) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.since.get_or_insert(now);
    }

    /// The block was sealed; the next one is empty.
    pub const fn sealed(&mut self) {
        *self = Self::new(self.policy);
    }

    /// True when a record of `bytes` may be added without breaking a limit. An empty block takes
    /// any record.
    #[must_use]
    pub const fn fits(&self, bytes: usize) -> bool {
        self.records == 0
            || (self.records < self.policy.max_records
                && self.bytes.saturating_add(bytes) <= self.policy.max_bytes)
    }

    /// True when the block is to be sealed now. An empty one never is.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        let full = self.records > 0
            && (self.records >= self.policy.max_records || self.bytes >= self.policy.max_bytes);
        full || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When the block is to be sealed at the latest; `None` while it is empty.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.policy.max_age)
    }

    /// Records in the block.
    #[must_use]
    pub const fn records(&self) -> u32 {
        self.records
    }
}
