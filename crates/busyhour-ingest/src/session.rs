//! One session of one agent: its loop, which owns the delivery engine's receiver.
//!
//! Live blocks have their own room and their own lane to the committer. Backlog comes by turns: an
//! agent is given credit for it while its session has one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use busyhour_delivery::{
    BlockRanges, Credit, GoAway, INITIAL_CREDIT, Lane, MAX_CREDIT, Receiver, Verdict, Welcome,
};
use busyhour_fleet::{AdmitError, Planner, admit_status};
use busyhour_model::{AgentId, UtcMicros};
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message;
use busyhour_store::{Appended, IdentityRefusal, Sighting, Telemetry};
use tokio::sync::mpsc::{self, Permit, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::committer::{Committed, Job, Jobs};
use crate::configure::{self, Reports, Telling};
use crate::live::{Answer, Ending};
use crate::place::{Arrived, ClockOffset};
use crate::together::Waiting;
use crate::turn::{Change, MAX_TURNS, Turn, Wish};
use crate::wire::{self, Introduction};
use crate::{AgentPrincipal, AuthError, Authenticator, Counters};

/// How long an agent may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often it is noted that an agent is still there, in microseconds.
const SIGHTING_EVERY_US: i64 = 60 * 1_000_000;
/// What an agent may send before its session reads it, on each connection and stream: what the
/// transport keeps in memory for a session that waits. It limits an agent to this much in a round
/// trip, which at a second is still a hundred times what it has to say.
pub const RECEIVE_WINDOW_BYTES: u32 = 64 * 1024;
/// Bytes of payload that wait for the committer in each lane, of all agents together. Beyond, each
/// session keeps the one block that it has read, and reads no more.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Look-ups of what is stored at the same time: agents that come back together wait for each other
/// rather than for a thread each.
const MAX_LOOK_UPS: usize = 4;
/// Sessions at the same time: twice the agents that a collector is meant for.
const MAX_SESSIONS: usize = 20_000;
/// When an agent that found no place may ask again.
const CROWDED: GoAway = GoAway { delay: Duration::from_secs(30), spread: Duration::from_secs(90) };

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
    /// Where agents were seen; told whether they are still let in.
    pub(crate) sightings: Sender<Waiting<(AgentId, Sighting), bool>>,
    /// Agents that kept the number of their next session.
    pub(crate) confirmations: Sender<Waiting<(AgentPrincipal, u64), ()>>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) planner: Option<Arc<Planner>>,
    pub(crate) shutdown: CancellationToken,
    /// Cancelled when the thread that writes has ended.
    pub(crate) committer_ended: CancellationToken,
}

/// What sessions take turns at.
pub(crate) struct Limits {
    /// Bytes of payload that may wait for the committer, live and backlog.
    room: [Arc<Semaphore>; 2],
    turns: Arc<Semaphore>,
    turn_idle: Duration,
    look_ups: Semaphore,
    sessions: AtomicUsize,
}

impl Limits {
    /// With turns at backlog that are over when nothing comes for as long as `turn_idle`.
    pub(crate) fn new(turn_idle: Duration) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            room: [semaphore(MAX_WAITING_BYTES), semaphore(MAX_WAITING_BYTES)],
            turns: semaphore(MAX_TURNS),
            turn_idle,
            look_ups: Semaphore::new(MAX_LOOK_UPS),
            sessions: AtomicUsize::new(0),
        }
    }

    const fn room(&self, lane: Lane) -> &Arc<Semaphore> {
        let [live, backlog] = &self.room;
        match lane {
            Lane::Live => live,
            Lane::Backlog => backlog,
        }
    }
}

/// Counts a session for as long as it lives.
struct Present<'a>(&'a AtomicUsize);

impl<'a> Present<'a> {
    /// `None` when there are too many.
    fn enter(sessions: &'a AtomicUsize) -> Option<Self> {
        let present = Self(sessions);
        (sessions.fetch_add(1, Ordering::Relaxed) < MAX_SESSIONS).then_some(present)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Asks an agent to come back later; one that does not read will not miss it.
    fn send_away(&self, away: GoAway, answers: &Answers) {
        self.counters.sent_away(1);
        let _ = answers.try_send(Box::new(Ok(wire::go_away(away))));
    }

    /// What somebody is told who is not let in. Logged and counted here.
    pub(crate) fn turn_away(&self, error: &AuthError) -> Status {
        let source = std::error::Error::source(error).map(ToString::to_string);
        let status = match error {
            AuthError::Certificate(refused) => admit_status(refused),
            AuthError::Unavailable { .. } => Status::unavailable(error.to_string()),
            AuthError::Missing
            | AuthError::Malformed
            | AuthError::UnknownAgent(_)
            | AuthError::WrongSecret(_) => Status::unauthenticated(error.to_string()),
        };
        if status.code() == tonic::Code::Unavailable {
            tracing::warn!(%error, source, "an agent waits");
        } else {
            self.counters.unauthenticated(1);
            tracing::warn!(%error, source, "a caller was turned away");
        }
        status
    }
}

/// What the agent is told.
type Answers = Sender<Answer>;

pub(crate) struct Session {
    shared: Arc<Shared>,
    principal: AgentPrincipal,
    peer: Option<SocketAddr>,
    jobs: Jobs,
    answers: Answers,
    /// Told from outside; what waits for the committer asks it, too.
    ending: Ending,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        principal: AgentPrincipal,
        peer: Option<SocketAddr>,
        jobs: Jobs,
        answers: Answers,
        ending: Ending,
    ) -> Self {
        Self { shared, principal, peer, jobs, answers, ending }
    }

    /// Serves until either side has enough, and tells the agent why. Gives the reason when it is that the
    /// agent may not deliver.
    pub(crate) async fn run(self, inbound: Streaming<v1::AgentMessage>) -> Option<IdentityRefusal> {
        let agent = self.principal.agent;
        let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
        let ending = self.ending.clone();
        let Some(_present) = Present::enter(&shared.limits.sessions) else {
            shared.send_away(CROWDED, &answers);
            return None;
        };
        tracing::info!(%agent, simulated = self.principal.simulated, "agent connected");
        let end = tokio::select! {
            biased;
            () = shared.shutdown.cancelled() => {
                let sessions = shared.limits.sessions.load(Ordering::Relaxed);
                shared.send_away(GoAway::draining(agent, sessions), &answers);
                Err(Status::unavailable("the collector is shutting down").into())
            }
            status = ending.ended() => Err(status.into()),
            () = shared.committer_ended.cancelled() => {
                Err(Status::internal("nothing is stored any more").into())
            }
            end = self.serve(inbound) => end,
        };
        let Err(Ended { status, refusal }) = end else {
            tracing::info!(%agent, "agent disconnected");
            return None;
        };
        if refusal.is_none() {
            if status.code() == tonic::Code::InvalidArgument
                || status.code() == tonic::Code::DataLoss
            {
                shared.counters.refused(1);
            }
            if status.code() == tonic::Code::Unauthenticated {
                shared.counters.unauthenticated(1);
            }
        }
        tracing::info!(%agent, reason = status.message(), "agent disconnected");
        // An agent that left or does not read will not miss it.
        let _ = answers.try_send(Box::new(Err(status)));
        refusal
    }

    async fn serve(self, mut inbound: Streaming<v1::AgentMessage>) -> Result<(), Ended> {
        let hello = tokio::time::timeout(HELLO_WITHIN, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello in time"))??;
        let introduction = match hello.and_then(|message| message.message) {
            Some(Message::Hello(hello)) => wire::introduction(&hello)?,
            _ => {
                return Err(Status::invalid_argument("the first message must be hello").into());
            }
        };
        let (jobs, shared) = (self.jobs.clone(), Arc::clone(&self.shared));
        let mut greeted = self.greet(introduction).await?;
        let mut turn = Turn::new(Arc::clone(&shared.limits.turns), shared.limits.turn_idle);
        greeted.welcome(&mut turn).await?;
        // Before it is told anything: what it is told holds while it is known to be there.
        shared.planner.iter().for_each(|planner| planner.heard_of(greeted.session.principal.agent));
        let mut telling = Telling::new(shared.planner.as_ref(), greeted.session.principal.agent);
        let (reply, mut committed) = mpsc::channel(MAX_CREDIT as usize);
        loop {
            let lanes = [Lane::Live, Lane::Backlog];
            let waits = lanes.map(|lane| !greeted.line(lane).is_empty());
            let (outside, size_bytes) = greeted.bytes_outside();
            let (room, wish) = (Arc::clone(shared.limits.room(outside)), greeted.wish());
            // Every branch is safe to drop: a message or permit that was not taken stays there.
            tokio::select! {
                biased;
                Some(first) = committed.recv() => {
                    let mut blocks = vec![first];
                    while let Ok(more) = committed.try_recv() {
                        blocks.push(more);
                    }
                    turn.stored();
                    greeted.committed(&blocks).await?;
                }
                permit = jobs.place(Lane::Live), if waits[0] => {
                    greeted.hand_over(Lane::Live, permit.map_err(nothing_stored)?, &reply);
                }
                permit = jobs.place(Lane::Backlog), if waits[1] => {
                    greeted.hand_over(Lane::Backlog, permit.map_err(nothing_stored)?, &reply);
                }
                share = room.acquire_many_owned(size_bytes), if greeted.outside.is_some() => {
                    greeted.let_in(share.map_err(nothing_stored)?);
                }
                let_in = noted(&mut greeted.noting) => greeted.noted(let_in)?,
                told = telling.next() => greeted.session.answer(told).await?,
                report = greeted.reports.next() => greeted.session.reported(&report),
                change = turn.changes(wish) => greeted.turned(change).await?,
                message = inbound.message(), if greeted.outside.is_none() => match message? {
                    None => return Ok(()),
                    Some(message) => greeted.heard(message, &mut turn).await?,
                },
            }
        }
    }

    /// Looks up what is stored already.
    async fn greet(self, introduction: Introduction) -> Result<Greeted, Ended> {
        let (telemetry, agent) = (Arc::clone(&self.shared.telemetry), self.principal.agent);
        let epoch = introduction.hello.epoch;
        let looking = self.shared.limits.look_ups.acquire().await.map_err(nothing_stored)?;
        let next = self.begin(introduction.session).await?;
        let stored = tokio::task::spawn_blocking(move || telemetry.received(agent, epoch))
            .await
            .map_err(|_| Status::internal("the look-up of stored blocks ended early"))?
            .map_err(|error| {
                tracing::warn!(%agent, %error, "stored blocks cannot be looked up");
                Status::unavailable("stored blocks cannot be looked up now")
            })?;
        drop(looking);
        let mut receiver = Receiver::new(Credit::live_only(INITIAL_CREDIT));
        let stored: BlockRanges = stored.into_iter().collect();
        let welcome = receiver.hello(&introduction.hello, stored).map_err(refusal)?;
        let sighting = Sighting {
            at: now(),
            version: introduction.version,
            os: introduction.os,
            local_prefix: None,
            peer: self.peer.map(|peer| peer.ip()),
        };
        Ok(Greeted {
            session: self,
            receiver,
            next,
            unconfirmed: next,
            welcome: Some(welcome),
            outside: None,
            live: VecDeque::new(),
            backlog: VecDeque::new(),
            clock: None,
            sighting,
            noting: None,
            unnoted: false,
            newest: UtcMicros(i64::MIN),
            reports: Reports::default(),
        })
    }

    /// Asks again whether the agent may deliver: now its session can be ended.
    async fn begin(&self, said: u64) -> Result<Option<u64>, Ended> {
        let (authenticator, principal) = (Arc::clone(&self.shared.authenticator), self.principal);
        let begun = tokio::task::spawn_blocking(move || authenticator.begin(&principal, said));
        let begun =
            begun.await.map_err(|_| Status::internal("the check of the identity ended early"))?;
        begun.map_err(|error| {
            let refusal = match &error {
                AuthError::Certificate(AdmitError::Refused { refusal, .. }) => Some(*refusal),
                _ => None,
            };
            Ended { status: self.shared.turn_away(&error), refusal }
        })
    }

    /// What an exchange of clocks came to, for who plans by them, and that the agent is there: it goes by the
    /// answer.
    fn compared(&self, request: &v1::ClockRequest) {
        let Some(planner) = &self.shared.planner else { return };
        planner.heard_of(self.principal.agent);
        if let (Some(offset_us), Some(round_trip_us)) = (request.offset_us, request.round_trip_us) {
            planner.compared(self.principal.agent, offset_us, round_trip_us);
        }
    }

    fn reported(&self, report: &v1::ConfigurationReport) {
        configure::reported(self.shared.planner.as_ref(), self.principal.agent, report);
    }

    async fn answer(&self, message: v1::CollectorMessage) -> Result<(), Status> {
        let gone = |_| Status::cancelled("the agent is gone");
        self.answers.send(Box::new(Ok(message))).await.map_err(gone)
    }
}

/// Why a session ended.
struct Ended {
    status: Status,
    /// That the agent may not deliver.
    refusal: Option<IdentityRefusal>,
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self { status, refusal: None }
    }
}

/// What waits with its share of the room for a place in the commit queue.
type Line = VecDeque<(Arrived, OwnedSemaphorePermit)>;

/// A session after hello.
struct Greeted {
    session: Session,
    receiver: Receiver,
    /// What the agent is to say next time, and the same until it kept that.
    next: Option<u64>,
    unconfirmed: Option<u64>,
    /// The answer to hello, until it was given.
    welcome: Option<Welcome>,
    /// A block that found no room yet. Nothing is read after it.
    outside: Option<(Lane, Arrived)>,
    /// Both together at most the credit.
    live: Line,
    backlog: Line,
    /// By the newest exchange that was quick enough to say something.
    clock: Option<ClockOffset>,
    sighting: Sighting,
    /// Whether the agent is let in, once its sighting is noted.
    noting: Option<oneshot::Receiver<bool>>,
    /// The sighting changed since.
    unnoted: bool,
    /// The newest window that told where the agent is: older ones are history.
    newest: UtcMicros,
    /// What the agent says that it runs.
    reports: Reports,
}

impl Greeted {
    /// Answers hello, with credit for backlog if there is some and nobody else waits for a turn.
    async fn welcome(&mut self, turn: &mut Turn) -> Result<(), Status> {
        let Some(mut welcome) = self.welcome.take() else { return Ok(()) };
        if self.receiver.backlog_left() > 0 && turn.begin_at_once() {
            self.session.shared.counters.turns(1);
            let credit = self.receiver.set_credit(Credit::of(INITIAL_CREDIT));
            welcome.credit = credit.unwrap_or(welcome.credit);
        }
        self.session.answer(wire::welcome(&welcome, self.next)).await?;
        self.note_sighting();
        Ok(())
    }

    /// The session's turn at delivering backlog began or is over.
    async fn turned(&mut self, change: Change) -> Result<(), Status> {
        let credit = match change {
            Change::Begun => {
                self.session.shared.counters.turns(1);
                Credit::of(INITIAL_CREDIT)
            }
            Change::Over => Credit::live_only(INITIAL_CREDIT),
        };
        match self.receiver.set_credit(credit) {
            Some(credit) => self.session.answer(wire::credit(credit)).await,
            None => Ok(()),
        }
    }

    fn wish(&self) -> Wish {
        match (self.receiver.backlog_left(), self.receiver.backlog_waiting()) {
            (0, _) => Wish::Nothing,
            (_, 0) => Wish::Backlog,
            _ => Wish::BacklogInFlight,
        }
    }

    const fn line(&self, lane: Lane) -> &Line {
        match lane {
            Lane::Live => &self.live,
            Lane::Backlog => &self.backlog,
        }
    }

    const fn line_mut(&mut self, lane: Lane) -> &mut Line {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }

    /// The lane and size of the block that found no room yet.
    fn bytes_outside(&self) -> (Lane, u32) {
        // A message is far smaller than 4 GiB.
        let size = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        let outside = self.outside.as_ref();
        outside.map_or((Lane::Live, 0), |(lane, arrived)| (*lane, size(arrived.payload.len())))
    }

    fn let_in(&mut self, share: OwnedSemaphorePermit) {
        if let Some((lane, arrived)) = self.outside.take() {
            self.line_mut(lane).push_back((arrived, share));
        }
    }

    fn hand_over(&mut self, lane: Lane, place: Permit<'_, Job>, reply: &Sender<Box<Committed>>) {
        if let Some((arrived, share)) = self.line_mut(lane).pop_front() {
            let ending = self.session.ending.clone();
            place.send(Job { arrived, ending, _share: share, reply: reply.clone() });
        }
    }

    async fn heard(&mut self, message: v1::AgentMessage, turn: &mut Turn) -> Result<(), Status> {
        self.confirm().await;
        match message.message {
            Some(Message::Block(block)) => self.block(block, turn).await,
            Some(Message::Clock(request)) => {
                let received = now();
                self.clock = wire::clock_offset(&request).or(self.clock);
                self.session.compared(&request);
                // Who says little is there all the same.
                if received.since(self.sighting.at) >= SIGHTING_EVERY_US {
                    self.note_sighting();
                }
                self.session.answer(wire::clock_reply(&request, received, now())).await
            }
            Some(Message::Configuration(report)) => {
                self.reports.said(report);
                Ok(())
            }
            Some(Message::Hello(_)) => Err(Status::invalid_argument("hello was said already")),
            // A newer agent may say what this collector does not know.
            None => Ok(()),
        }
    }

    /// The agent's first message after the welcome says that it kept what it is to say next time. When
    /// that cannot be noted it is by the next message.
    async fn confirm(&mut self) {
        let Some(next) = self.unconfirmed else { return };
        let (noted, done) = oneshot::channel();
        let kept = Waiting { item: (self.session.principal, next), done: noted };
        // What failed was logged where it did.
        if self.session.shared.confirmations.send(kept).await.is_ok() && done.await.is_ok() {
            self.unconfirmed = None;
        }
    }

    async fn block(&mut self, block: v1::Block, turn: &mut Turn) -> Result<(), Status> {
        let block = wire::block(block);
        match self.receiver.block(&block) {
            Verdict::Store(lane) => {
                let Some(epoch) = self.receiver.epoch() else { return Ok(()) };
                let arrived = Arrived {
                    agent: self.session.principal.agent,
                    epoch,
                    block: block.number,
                    payload: block.payload,
                    received: now(),
                    clock: self.clock,
                };
                self.outside = Some((lane, arrived));
                match lane {
                    Lane::Backlog if self.receiver.backlog_left() == 0 => turn.finish(),
                    Lane::Backlog if turn.came() => self.turned(Change::Over).await?,
                    Lane::Backlog | Lane::Live => {}
                }
                Ok(())
            }
            Verdict::AlreadyStored(ack) => {
                self.session.shared.counters.duplicates(1);
                self.session.answer(wire::acknowledgement(&ack)).await
            }
            Verdict::Waiting => Ok(()),
            Verdict::Refuse(reason) => Err(refusal(reason)),
        }
    }

    async fn committed(&mut self, committed: &[Box<Committed>]) -> Result<(), Status> {
        if committed.iter().any(|block| block.outcome == Appended::Refused) {
            return Err(Status::unauthenticated("this agent was forgotten"));
        }
        if let Some(ack) = self.receiver.committed(committed.iter().map(|c| c.block)) {
            self.session.answer(wire::acknowledgement(&ack)).await?;
        }
        let newest = committed.iter().filter_map(|c| c.seen).max_by_key(|&(placed, _)| placed);
        let mut moved = false;
        if let Some((placed, prefix)) = newest
            && placed >= self.newest
        {
            self.newest = placed;
            moved = self.sighting.local_prefix.replace(prefix) != Some(prefix);
        }
        if moved || now().since(self.sighting.at) >= SIGHTING_EVERY_US {
            self.note_sighting();
        }
        Ok(())
    }

    /// Has it noted that the agent is there, unless that is under way: then afterwards.
    fn note_sighting(&mut self) {
        self.unnoted = self.noting.is_some();
        if self.unnoted {
            return;
        }
        self.sighting.at = now();
        let (let_in, noting) = oneshot::channel();
        let agent = self.session.principal.agent;
        let seen = Waiting { item: (agent, self.sighting.clone()), done: let_in };
        match self.session.shared.sightings.try_send(seen) {
            Ok(()) => self.noting = Some(noting),
            Err(_) => self.session.shared.counters.sightings_dropped(1),
        }
    }

    /// The agent's sighting is noted, or cannot be, which is for people to see: delivery goes on,
    /// unless the agent was removed meanwhile.
    fn noted(&mut self, let_in: Option<bool>) -> Result<(), Status> {
        self.noting = None;
        if let_in == Some(false) {
            return Err(Status::unauthenticated("this agent is not let in any more"));
        }
        if self.unnoted {
            self.note_sighting();
        }
        Ok(())
    }
}

/// What became of a sighting; `None` when that is not known. Waits for ever when none is under way.
async fn noted(noting: &mut Option<oneshot::Receiver<bool>>) -> Option<bool> {
    match noting {
        Some(noting) => noting.await.ok(),
        None => std::future::pending().await,
    }
}

fn nothing_stored<E>(_: E) -> Status {
    Status::internal("nothing is stored any more")
}

fn refusal(reason: busyhour_delivery::Refusal) -> Status {
    match reason {
        busyhour_delivery::Refusal::Checksum(_) => Status::data_loss(reason.to_string()),
        other => Status::invalid_argument(other.to_string()),
    }
}

fn now() -> UtcMicros {
    // A clock before 1970 or beyond the year 294 000 is as good as any.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
