//! Session reports: what a reflector received of a session, so that whoever knows what was sent can tell
//! the direction of a loss.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use busyhour_model::{SessionReport, SessionReportParts};

use super::ReflectorStats;
use super::pace::Pace;
use super::session::Session;
use super::span::Span;

/// Spans that ended are looked for no more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Reports that nobody took yet.
const MAX_WAITING: usize = 1_024;
/// Reports a second, so that strangers' sessions do not fill anybody's disk: three thousand sessions
/// that never pause.
const PER_SECOND: u32 = 50;

/// Reports that wait to be taken.
#[derive(Debug)]
pub(super) struct Reports {
    waiting: VecDeque<SessionReport>,
    pace: Pace,
    next_look: Option<Instant>,
    last_push: Option<Instant>,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            pace: Pace::new(PER_SECOND),
            next_look: None,
            last_push: None,
        }
    }
}

impl Reports {
    /// A span of a session ended. Sessions of a single packet are not worth a report, and one that was
    /// asked at nobody knows which address cannot be told from others.
    pub(super) fn push(
        &mut self,
        session: &Session,
        span: Span,
        now: Instant,
        stats: &mut ReflectorStats,
    ) {
        let Some(listen) = session.listen.filter(|_| session.is_proven) else { return };
        let has_room = self.waiting.len() < MAX_WAITING && self.pace.admits(now);
        let report = SessionReport::new(SessionReportParts {
            listen,
            peer: SocketAddr::new(session.name.ip, session.name.port),
            ssid: session.name.ssid,
            first_sequence: span.first_sequence,
            last_sequence: span.last_sequence,
            received: span.received,
            missing: span.missing,
            missing_cut: span.missing_cut,
            first_sent_ns: span.first_sent_ns,
            last_sent_ns: span.last_sent_ns,
            dropped: span.dropped,
        });
        // A span of more numbers than a report may tell is left out, too.
        match report {
            Ok(report) if has_room => {
                stats.reports += 1;
                self.last_push = Some(now);
                self.waiting.push_back(report);
            }
            _ => stats.reports_dropped += 1,
        }
    }

    pub(super) fn pop(&mut self) -> Option<SessionReport> {
        self.waiting.pop_front()
    }

    /// A session was heard of: its span will end.
    pub(super) fn expect(&mut self, now: Instant) {
        self.next_look.get_or_insert(now + LOOK_EVERY);
    }

    pub(super) fn is_time_to_look(&self, now: Instant) -> bool {
        self.next_look.is_some_and(|next| now >= next)
    }

    /// Looked at all sessions; `more` of them have spans that did not end yet.
    pub(super) fn looked(&mut self, now: Instant, more: bool) {
        self.next_look = more.then_some(now + LOOK_EVERY);
    }

    /// When there is something to take or to look for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.waiting.is_empty() { self.next_look } else { self.last_push }
    }
}
