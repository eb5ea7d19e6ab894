//! Requests that a socket dropped from its full queue.

use std::time::{Duration, Instant};

/// How long nothing is said of drops after the first warning.
const FIRST_QUIET: Duration = Duration::from_secs(60);
/// The longest time that nothing is said of them.
const LONGEST_QUIET: Duration = Duration::from_secs(3600);

/// Requests that the socket dropped from its full queue, and when to warn of them.
#[derive(Debug, Default)]
pub(super) struct QueueDrops {
    /// The socket's own count, which wraps.
    seen: u32,
    pub(super) count: u64,
    warned: u64,
    /// The last warning, and how long there is none after it.
    quiet: Option<(Instant, Duration)>,
}

impl QueueDrops {
    /// Takes the socket's count. Returns the drops to warn of: at once, then after pauses that double
    /// up to the longest; after one without drops at once again.
    pub(super) fn take(&mut self, total: u32, now: Instant) -> Option<u64> {
        let new = total.wrapping_sub(self.seen);
        if new == 0 {
            return None;
        }
        self.seen = total;
        self.count += u64::from(new);
        let pause = match self.quiet {
            Some((since, pause)) if now < since + pause => return None,
            Some((since, pause)) if now < since + pause + LONGEST_QUIET => {
                (pause * 2).min(LONGEST_QUIET)
            }
            _ => FIRST_QUIET,
        };
        self.quiet = Some((now, pause));
        Some(self.count - std::mem::replace(&mut self.warned, self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_drops_are_counted_and_warned_of_ever_more_seldom() {
        let mut drops = QueueDrops::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(drops.take(0, at(0)), None);
        assert_eq!(drops.take(3, at(1)), Some(3));
        assert_eq!(drops.take(3, at(2)), None);
        assert_eq!(drops.take(5, at(60)), None, "quiet for a minute");
        assert_eq!(drops.take(6, at(61)), Some(3));
        let warnings = (62..100_000).filter(|&s| drops.take(s as u32, at(s)).is_some()).count();
        assert!((25..40).contains(&warnings), "{warnings} warnings in a bad day");
        assert_eq!(drops.count, 99_999);
        assert_eq!(drops.take(100_000, at(120_000)).map(|new| new > 0), Some(true));
        assert_eq!(drops.take(100_001, at(120_060)), Some(1), "the pauses are short again");
        assert_eq!(drops.take(2, at(200_000)), Some((1 << 32) - 99_999), "the count wraps");
    }
}
