//! How fast somebody is answered.

use std::time::{Duration, Instant};

/// How far ahead of its rate somebody may be: a reflector that was held up finds about a thousand
/// datagrams waiting, all at once.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket, kept as the moment until which its tokens are used up (the generic cell rate
/// algorithm of ITU-T I.371).
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    interval: Duration,
    used_until: Option<Instant>,
}

impl Pace {
    /// So many a second, and one second's worth at once; 0 admits nothing.
    pub(super) fn new(per_second: u32) -> Self {
        // Rounded up, so that a second's worth is not one more.
        let nanos = |per_second: u32| 1_000_000_000_u64.div_ceil(per_second.into());
        let interval = match per_second {
            0 => Duration::MAX,
            some => Duration::from_nanos(nanos(some)),
        };
        Self { interval, used_until: None }
    }

    /// Takes a token, if there is one.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let used_until = self.used_until.map_or(now, |until| until.max(now));
        let Some(next) = used_until.checked_add(self.interval) else { return false };
        let admitted = used_until.duration_since(now) < BURST && self.interval != Duration::MAX;
        if admitted {
            self.used_until = Some(next);
        }
        admitted
    }
}
