//! What is known of every session at the moment, for whoever wants to see.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use busyhour_model::{GapReason, Link, UtcMicros, Window};

use crate::config::Target;
use crate::prober::{Began, SocketFacts};

/// One session.
#[derive(Debug, Clone)]
pub(crate) struct SessionView {
    /// What it probes, with what, and when.
    pub(crate) target: Target,
    pub(crate) state: SessionState,
    /// The way it took last.
    pub(crate) way: Option<WayView>,
    /// The last window that was closed.
    pub(crate) last: Option<LastWindow>,
    /// Windows since the agent began.
    pub(crate) windows: u64,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// Nothing yet: windows are missing for this reason.
    Waiting(GapReason),
    /// It probes.
    Probing,
    /// It has no way to the target, and everything counts as lost.
    Outage,
}

/// The way of a session.
#[derive(Debug, Clone)]
pub(crate) struct WayView {
    /// The address that the target's name stands for.
    pub(crate) peer: SocketAddr,
    pub(crate) link: Link,
    /// The session's identifier on the wire.
    pub(crate) ssid: u16,
    /// Its socket, which others may share; `None` during an outage.
    pub(crate) socket: Option<SocketFacts>,
}

/// The figures of a window that a person looks for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastWindow {
    pub(crate) started: UtcMicros,
    pub(crate) sent: u32,
    pub(crate) received: u32,
    pub(crate) lost_up: u32,
    pub(crate) lost_down: u32,
    pub(crate) lost_unknown: u32,
    pub(crate) rtt_median_us: Option<u32>,
    pub(crate) send_lateness_max_us: u32,
    pub(crate) receive_queue_drops: u32,
}

impl LastWindow {
    fn of(started: UtcMicros, window: &Window) -> Self {
        Self {
            started,
            sent: window.counts.sent(),
            received: window.counts.received(),
            lost_up: window.counts.lost_up(),
            lost_down: window.counts.lost_down(),
            lost_unknown: window.counts.lost_unknown(),
            rtt_median_us: window.rtt_median_us,
            send_lateness_max_us: window.send_lateness_max_us,
            receive_queue_drops: window.receive_queue_drops,
        }
    }
}

/// All sessions by their place in the configuration; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    // Short sections without waiting: sessions write once per window, a reader copies now and then.
    sessions: Arc<Mutex<BTreeMap<usize, SessionView>>>,
    withheld: Arc<AtomicUsize>,
}

impl Board {
    /// A session that has done nothing yet.
    pub(crate) fn enter(&self, session: usize, target: &Target) {
        let state = SessionState::Waiting(GapReason::Unresolved);
        let target = target.clone();
        let view = SessionView { target, state, way: None, last: None, windows: 0 };
        self.sessions().insert(session, view);
    }

    pub(super) fn wait(&self, session: usize, reason: GapReason) {
        self.change(session, |view| view.state = SessionState::Waiting(reason));
    }

    pub(super) fn probe(&self, session: usize, peer: SocketAddr, link: &Link, began: &Began) {
        let (ssid, socket) = (began.ssid, began.socket);
        self.change(session, |view| {
            let out = socket.is_none();
            view.state = if out { SessionState::Outage } else { SessionState::Probing };
            view.way = Some(WayView { peer, link: link.clone(), ssid, socket });
        });
    }

    pub(super) fn window(&self, session: usize, started: UtcMicros, window: &Window) {
        self.change(session, |view| {
            view.windows += 1;
            view.last = Some(LastWindow::of(started, window));
        });
    }

    /// Whether a session probes, or did since it began.
    pub(crate) fn has_probed(&self, session: usize) -> bool {
        self.sessions().get(&session).is_some_and(|view| match view.state {
            SessionState::Probing | SessionState::Outage => true,
            SessionState::Waiting(_) => view.windows > 0,
        })
    }

    /// Whether nothing came back of a session's last window.
    pub(crate) fn is_unanswered(&self, session: usize) -> bool {
        let is_lost =
            |view: &SessionView| view.last.as_ref().is_some_and(|last| last.received == 0);
        self.sessions().get(&session).is_some_and(is_lost)
    }

    /// A session that is over for good.
    pub(crate) fn leave(&self, session: usize) {
        self.sessions().remove(&session);
    }

    /// All sessions, as they are now.
    pub(crate) fn views(&self) -> Vec<SessionView> {
        self.sessions().values().cloned().collect()
    }

    /// So many targets have no session before the collector tells whose turn it is.
    pub(crate) fn withhold(&self, targets: usize) {
        self.withheld.store(targets, Ordering::Relaxed);
    }

    pub(crate) fn withheld(&self) -> usize {
        self.withheld.load(Ordering::Relaxed)
    }

    fn change(&self, session: usize, change: impl FnOnce(&mut SessionView)) {
        if let Some(view) = self.sessions().get_mut(&session) {
            change(view);
        }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, SessionView>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
