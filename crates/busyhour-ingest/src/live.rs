//! The live session of each agent, and the end of it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use busyhour_fleet::{LiveSessions, identity_status};
use busyhour_model::AgentId;
use busyhour_proto::v1;
use busyhour_store::IdentityRefusal;
use tokio::sync::mpsc::Receiver;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long is waited for a session that was told to end: it does nothing that takes long.
const END_WITHIN: Duration = Duration::from_secs(5);

/// What ends a session from outside, and why it did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending {
    token: CancellationToken,
    status: Arc<OnceLock<(Status, Kind)>>,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A newer one took over: what this one sent is good.
    Replaced,
    /// Its agent may not deliver: what was not stored yet is not to be.
    Refused,
}

impl Ending {
    /// Ends the session; the first reason counts.
    fn end(&self, status: Status, kind: Kind) {
        let _ = self.status.set((status, kind));
        self.token.cancel();
    }

    /// True when the agent may not deliver any more.
    pub(crate) fn is_refused(&self) -> bool {
        self.status.get().is_some_and(|(_, kind)| *kind == Kind::Refused)
    }

    /// Waits for the end; safe to drop.
    pub(crate) async fn ended(&self) -> Status {
        self.token.cancelled().await;
        self.status().unwrap_or_else(|| Status::aborted("the session was ended"))
    }

    fn status(&self) -> Option<Status> {
        self.status.get().map(|(status, _)| status.clone())
    }
}

/// The sessions that live: of each agent one, the newest. There are as many as agents that were let in.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// By agent: a number that tells a session from others, and what ends it. The lock is held for a
    /// look-up, never across an await.
    sessions: Mutex<HashMap<AgentId, (u64, Ending)>>,
    left: Condvar,
}

impl Live {
    /// Makes a new session the agent's live one and ends the one before. Whether there was one.
    pub(crate) fn enter(&self, agent: AgentId) -> (u64, Ending, bool) {
        let ending = Ending::default();
        let mut sessions = self.lock();
        let number = sessions.get(&agent).map_or(0, |(number, _)| number + 1);
        let older = sessions.insert(agent, (number, ending.clone()));
        let replaced = older.is_some();
        if let Some((_, older)) = older {
            let status = Status::aborted("a newer session of this agent took over");
            older.end(status, Kind::Replaced);
        }
        (number, ending, replaced)
    }

    pub(crate) fn leave(&self, agent: AgentId, number: u64) {
        let mut sessions = self.lock();
        if sessions.get(&agent).is_some_and(|(current, _)| *current == number) {
            sessions.remove(&agent);
        }
        drop(sessions);
        self.left.notify_all();
    }

    /// Ends the agent's session, if there is one, and does not wait.
    pub(crate) fn refuse(&self, agent: AgentId, refusal: IdentityRefusal) -> Option<u64> {
        let sessions = self.lock();
        let (number, ending) = sessions.get(&agent)?;
        ending.end(identity_status(refusal), Kind::Refused);
        Some(*number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, (u64, Ending)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveSessions for Live {
    fn end(&self, agent: AgentId) {
        let Some(number) = self.refuse(agent, IdentityRefusal::Revoked) else { return };
        let there = |sessions: &mut HashMap<AgentId, (u64, Ending)>| {
            sessions.get(&agent).is_some_and(|(current, _)| *current == number)
        };
        let waited = self.left.wait_timeout_while(self.lock(), END_WITHIN, there);
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            tracing::error!(%agent, "a session that was ended goes on");
        }
    }
}

/// A message on its way to an agent, or the end. On the heap: a channel keeps room for 32 of its items,
/// however few there are, and ten thousand sessions have nothing to say.
pub(crate) type Answer = Box<Result<v1::CollectorMessage, Status>>;

/// What an agent is told. Of a session that was ended nothing more is told but why.
pub struct Answers {
    answers: Receiver<Answer>,
    ending: Ending,
    over: bool,
}

impl Answers {
    pub(crate) const fn new(answers: Receiver<Answer>, ending: Ending) -> Self {
        Self { answers, ending, over: false }
    }
}

impl Stream for Answers {
    type Item = Result<v1::CollectorMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        // Whoever waits here is woken by the session's end, which drops the other side.
        if let Some(status) = self.ending.status() {
            self.over = true;
            return Poll::Ready(Some(Err(status)));
        }
        let polled = self.answers.poll_recv(context).map(|answer| answer.map(|answer| *answer));
        match (&polled, self.ending.status()) {
            (Poll::Ready(_), Some(status)) => {
                self.over = true;
                Poll::Ready(Some(Err(status)))
            }
            _ => polled,
        }
    }
}
