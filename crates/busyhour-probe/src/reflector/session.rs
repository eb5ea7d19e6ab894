//! One session of a stateful reflector.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use busyhour_model::TimestampMethod;
use busyhour_wire::Mode;

use super::gate::KeyId;
use super::pace::Pace;
use super::replay::{Freshness, Replay, SentAt};
use super::span::{SILENCE, Span, Spans};

/// A session that moves to another address goes on as fast as its sender's clock and ours run, give or
/// take this.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// How far its numbers go on at most: as the fastest profile sends, and some that are under way.
const MAX_PER_MILLISECOND: u128 = 1;
const UNDER_WAY: u128 = 64;

/// What a session is found by: where it comes from, its identifier (RFC 8972 section 3), its mode, and
/// the key that its requests verify under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) ssid: u16,
    pub(super) mode: Mode,
    pub(super) key: KeyId,
}

impl Name {
    /// True when a key protects whole requests, not their TLVs alone: then nobody but its holders can
    /// begin such sessions, more than once each.
    pub(super) fn is_protected(&self) -> bool {
        self.key.is_key() && self.mode == Mode::Authenticated
    }

    /// Its key and mode as a number.
    pub(super) fn kind(&self) -> u32 {
        u32::from(self.key.number()) << 1 | u32::from(self.mode == Mode::Authenticated)
    }
}

/// A request on its way to its session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) name: Name,
    pub(super) listen: Option<SocketAddr>,
    pub(super) sequence: u32,
    pub(super) sent: SentAt,
    pub(super) now: Instant,
}

/// The previous answer of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Previous {
    pub(super) sequence: u32,
    pub(super) at_ns: i64,
    pub(super) method: TimestampMethod,
}

/// The request that went furthest.
#[derive(Debug, Clone, Copy)]
struct Newest {
    sequence: u32,
    sent_ns: Option<i64>,
    at: Instant,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: Name,
    pub(super) listen: Option<SocketAddr>,
    /// Tells it from those that had its place before.
    pub(super) generation: u32,
    /// Its address among the owners.
    pub(super) owner: usize,
    pub(super) pace: Pace,
    pub(super) last_seen: Instant,
    /// A second request came.
    pub(super) is_proven: bool,
    pub(super) previous: Option<Previous>,
    pub(super) spans: Spans,
    pub(super) counts: Counts,
    newest: Option<Newest>,
    /// Only of sessions under a key.
    replay: Option<Box<Replay>>,
}

/// Counters of a session. They wrap around.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// The number of the next answer.
    pub(super) next: u32,
    pub(super) received: u32,
    pub(super) sent: u32,
}

impl Session {
    pub(super) fn new(arrival: &Arrival, generation: u32, owner: usize, pace: Pace) -> Self {
        Self {
            name: arrival.name,
            listen: arrival.listen,
            generation,
            owner,
            pace,
            last_seen: arrival.now,
            is_proven: false,
            previous: None,
            spans: Spans::default(),
            counts: Counts::default(),
            newest: None,
            replay: None,
        }
    }

    /// Takes a request: false when it was seen before. The span that it ends, if any, is told.
    pub(super) fn take(&mut self, arrival: &Arrival, reports: bool) -> (bool, Option<Span>) {
        if self.name.key.is_key() && !self.is_fresh(arrival) {
            return (false, None);
        }
        self.last_seen = arrival.now;
        self.counts.received = self.counts.received.wrapping_add(1);
        let Arrival { sequence, sent, now: at, .. } = *arrival;
        let sent_ns = sent.any();
        let went_on = self.newest.is_none_or(|newest| {
            self.is_proven |= newest.sequence != sequence;
            is_ahead(newest.sequence, sequence) || sent_ns > newest.sent_ns
        });
        if went_on {
            self.newest = Some(Newest { sequence, sent_ns, at });
        }
        // Without the sender's time nobody could place a report.
        let over = match sent_ns {
            Some(sent_ns) if reports => self.spans.record(sequence, sent_ns, at),
            _ => None,
        };
        (true, over)
    }

    /// Whether a request under the session's key is new. Only in authenticated mode the key protects the
    /// sender's time; otherwise it is not looked at, and a sender began again after a silence alone.
    fn is_fresh(&mut self, arrival: &Arrival) -> bool {
        let Arrival { sequence, sent, now, .. } = *arrival;
        let Some(replay) = &mut self.replay else {
            self.replay = Some(Box::new(Replay::new(sequence, sent)));
            return true;
        };
        let silence = now.saturating_duration_since(self.last_seen);
        replay.judge(sequence, sent, silence >= SILENCE) != Freshness::Replayed
    }

    /// Whether a request from elsewhere, under the same key and with the same identifier, is one that
    /// this session saw. It is not when another sender has the same identifier: then it is none of those
    /// that this session remembers, and, where the key protects its time, was sent as this session's
    /// time goes on, or later.
    pub(super) fn has_seen(&self, arrival: &Arrival) -> bool {
        let (Some(replay), Some(newest)) = (&self.replay, self.newest) else { return false };
        let remembers = || replay.has_seen(arrival.sequence, arrival.sent);
        let Some((sent_ns, newest_ns)) = arrival.sent.protected().zip(newest.sent_ns) else {
            return remembers();
        };
        let elapsed = arrival.now.saturating_duration_since(newest.at).as_nanos();
        let went_on = i128::from(sent_ns) - i128::from(newest_ns);
        let behind = i128::try_from(elapsed).unwrap_or(i128::MAX).saturating_sub(went_on);
        let slack = CLOCK_SLACK.as_nanos() as i128;
        behind > slack || behind >= -slack && remembers()
    }

    /// Whether a request from elsewhere goes on where this session is: its number follows, and its
    /// sender's time went on as ours did.
    pub(super) fn goes_on_with(&self, arrival: &Arrival) -> bool {
        let Some(Newest { sequence, sent_ns: Some(sent_ns), at }) = self.newest else {
            return false;
        };
        let Some(later) = arrival.sent.any().and_then(|later| later.checked_sub(sent_ns)) else {
            return false;
        };
        let elapsed = arrival.now.saturating_duration_since(at);
        let ahead = u128::from(arrival.sequence.wrapping_sub(sequence));
        let fits = ahead <= elapsed.as_millis() * MAX_PER_MILLISECOND + UNDER_WAY;
        let difference = u128::from(later.unsigned_abs()).abs_diff(elapsed.as_nanos());
        ahead != 0 && fits && later > 0 && difference <= CLOCK_SLACK.as_nanos()
    }
}

/// Serial number arithmetic (RFC 1982).
fn is_ahead(of: u32, sequence: u32) -> bool {
    (1..=i32::MAX as u32).contains(&sequence.wrapping_sub(of))
}
