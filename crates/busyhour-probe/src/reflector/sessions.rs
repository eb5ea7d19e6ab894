//! The counters of a stateful reflector.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{ReflectorConfig, ReflectorStats};

/// A session that was silent for so long is over: longer than the longest period of any profile.
const IDLE: Duration = Duration::from_secs(300);
/// Idle sessions are looked for no more often, so that a flood of new ones costs no scans.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// A session gets at most 2000 answers a second: twice the fastest profile, and few enough that two
/// reflectors of any make that were set upon each other do no harm.
const SESSION_INTERVAL: Duration = Duration::from_micros(500);
/// All requests that are answered without a session get at most 20 000 answers a second together.
const STATELESS_INTERVAL: Duration = Duration::from_micros(50);
/// How far ahead of its rate somebody may be: a reflector that was held up finds about a thousand
/// datagrams waiting, all at once.
const BURST: Duration = Duration::from_secs(1);

/// A session: where it comes from, and its identifier (RFC 8972 section 3).
type Key = (IpAddr, u16, u16);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Answered with its session's counter, from 0.
    Counted(u32),
    /// Answered without a counter: there is no room for its session.
    Stateless,
    /// Not answered, and not counted by the session.
    TooFast,
}

/// A token bucket, kept as the moment until which its tokens are used up (the generic cell rate
/// algorithm of ITU-T I.371).
#[derive(Debug, Default)]
struct Pace(Option<Instant>);

impl Pace {
    fn admits(&mut self, interval: Duration, now: Instant) -> bool {
        let used_until = self.0.map_or(now, |until| until.max(now));
        let admitted = used_until.duration_since(now) < BURST;
        if admitted {
            self.0 = Some(used_until + interval);
        }
        admitted
    }
}

#[derive(Debug)]
struct Session {
    next: u32,
    last_seen: Instant,
    pace: Pace,
}

/// Sessions by key, never more than a fixed number, in all and from one address. An ordered map,
/// because keys are chosen by strangers and this crate has no random numbers to salt a hash with.
#[derive(Debug)]
pub(super) struct Sessions {
    table: BTreeMap<Key, Session>,
    max: usize,
    max_per_address: usize,
    stateless: Pace,
    next_sweep: Option<Instant>,
}

impl Sessions {
    pub(super) fn new(config: &ReflectorConfig) -> Self {
        Self {
            table: BTreeMap::new(),
            max: config.max_sessions,
            max_per_address: config.max_sessions_per_address,
            stateless: Pace::default(),
            next_sweep: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// What becomes of this request.
    pub(super) fn admit(
        &mut self,
        from: SocketAddr,
        ssid: u16,
        now: Instant,
        stats: &mut ReflectorStats,
    ) -> Admission {
        self.sweep(now, stats);
        let key = (from.ip(), from.port(), ssid);
        if !self.table.contains_key(&key) {
            self.make_room(from.ip(), stats);
            if self.table.len() >= self.max {
                let admitted = self.stateless.admits(STATELESS_INTERVAL, now);
                return if admitted { Admission::Stateless } else { Admission::TooFast };
            }
            stats.sessions_begun += 1;
        }
        let begin = || Session { next: 0, last_seen: now, pace: Pace::default() };
        let session = self.table.entry(key).or_insert_with(begin);
        session.last_seen = now;
        if !session.pace.admits(SESSION_INTERVAL, now) {
            return Admission::TooFast;
        }
        let counter = session.next;
        session.next = counter.wrapping_add(1);
        Admission::Counted(counter)
    }

    /// Forgets the longest idle session of an address that has as many as one may have.
    fn make_room(&mut self, address: IpAddr, stats: &mut ReflectorStats) {
        let own = || self.table.range((address, 0, 0)..=(address, u16::MAX, u16::MAX));
        if own().count() < self.max_per_address {
            return;
        }
        if let Some((&idlest, _)) = own().min_by_key(|(_, session)| session.last_seen) {
            self.table.remove(&idlest);
            stats.sessions_displaced += 1;
        }
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
