//! The counters of a stateful reflector.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::ReflectorStats;

/// A session that was silent for so long is over: longer than the longest period of any profile.
const IDLE: Duration = Duration::from_secs(300);
/// Idle sessions are looked for no more often, so that a flood of new ones costs no scans.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// A session: where it comes from, and its identifier (RFC 8972 section 3).
type Key = (IpAddr, u16, u16);

#[derive(Debug)]
struct Session {
    next: u32,
    last_seen: Instant,
}

/// Sessions by key, never more than a fixed number. An ordered map, because keys are chosen by
/// strangers and this crate has no random numbers to salt a hash with.
#[derive(Debug)]
pub(super) struct Sessions {
    table: BTreeMap<Key, Session>,
    max: usize,
    next_sweep: Option<Instant>,
}

impl Sessions {
    pub(super) const fn new(max: usize) -> Self {
        Self { table: BTreeMap::new(), max, next_sweep: None }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The session's counter for this request, from 0; `None` when there is no room for the session.
    pub(super) fn count(
        &mut self,
        from: SocketAddr,
        ssid: u16,
        now: Instant,
        stats: &mut ReflectorStats,
    ) -> Option<u32> {
        self.sweep(now, stats);
        let key = (from.ip(), from.port(), ssid);
        if let Some(session) = self.table.get_mut(&key) {
            let counter = session.next;
            session.next = counter.wrapping_add(1);
            session.last_seen = now;
            return Some(counter);
        }
        if self.table.len() >= self.max {
            return None;
        }
        self.table.insert(key, Session { next: 1, last_seen: now });
        stats.sessions_begun += 1;
        Some(0)
    }

    fn sweep(&mut self, now: Instant, stats: &mut ReflectorStats) {
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        self.next_sweep = Some(now + SWEEP_EVERY);
        let before = self.table.len();
        self.table.retain(|_, session| now.saturating_duration_since(session.last_seen) < IDLE);
        stats.sessions_evicted += (before - self.table.len()) as u64;
    }
}
