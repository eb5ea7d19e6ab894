//! What happened at the door, in numbers since the start.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counts what happens. Each number only grows.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($name: AtomicU64,)+
        }

        /// The counts at one moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct CountersSnapshot {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            $(pub(crate) fn $name(&self, more: usize) {
                self.$name.fetch_add(more as u64, Ordering::Relaxed);
            })+

            /// The counts now. They are read one after the other, not all at once.
            #[must_use]
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)+
                }
            }
        }
    };
}

counters!(
    /// Sessions that an authenticated agent opened.
    sessions,
    /// Sessions that a newer one of the same agent replaced.
    replaced,
    /// Calls refused because nobody known made them.
    unauthenticated,
    /// Connections whose TLS handshake failed or took too long.
    handshakes_failed,
    /// Connections that were hung up on, because their address or their agent had too many.
    connections_refused,
    /// Sessions closed because the agent broke the protocol.
    refused,
    /// Sessions whose agent was asked to come back later.
    sent_away,
    /// Turns at delivering backlog.
    turns,
    /// Sightings that were not noted because too many waited.
    sightings_dropped,
    /// Blocks stored.
    blocks,
    /// Blocks that were stored already.
    duplicates,
    /// Blocks that were not stored, because their agent was refused while they waited.
    dropped,
    /// Records stored, windows included.
    records,
    /// Windows stored.
    windows,
    /// Records that could not be placed or read; a block that is unreadable as a whole counts once.
    quarantined,
    /// Attempts to store that failed and were tried again.
    store_failures,
);
