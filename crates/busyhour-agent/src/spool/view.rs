//! What the spool says of itself, for the machine's owner.

use std::time::Duration;

use busyhour_model::UtcMicros;

/// How the spool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpoolView {
    /// Since when the disk takes nothing and why; `None` while it does.
    pub(crate) failing: Option<Failing>,
    /// Sealed blocks that the collector does not have yet, and their size in bytes.
    pub(crate) blocks: usize,
    pub(crate) size_bytes: u64,
    /// The caps.
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Duration,
    /// Records that wait in memory for the disk.
    pub(crate) waiting: usize,
    /// Records that were lost since the agent began, as far as they could be counted; gaps tell of
    /// them.
    pub(crate) given_up: u64,
    /// Bytes of blocks that were handed to the collector's stream since the agent began, repetitions
    /// included.
    pub(crate) sent_bytes: u64,
}

/// A disk that takes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failing {
    pub(crate) since: UtcMicros,
    pub(crate) why: String,
}
