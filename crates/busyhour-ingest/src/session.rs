//! One session of one agent: its loop, which owns the delivery engine's receiver.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use busyhour_delivery::{BlockRanges, MAX_CREDIT, Receiver, Verdict};
use busyhour_model::UtcMicros;
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message;
use busyhour_store::{Appended, Control, ErrorKind, Sighting, Telemetry};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::committer::{Committed, Job};
use crate::place::{Arrived, ClockOffset};
use crate::wire::{self, Introduction};
use crate::{AgentPrincipal, Counters};

/// How long an agent may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often it is noted that an agent is still there, in microseconds.
const SIGHTING_EVERY_US: i64 = 60 * 1_000_000;

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) counters: Arc<Counters>,
    /// Bytes of payload that may wait for the committer.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) shutdown: CancellationToken,
    /// Cancelled when the thread that writes has ended.
    pub(crate) committer_ended: CancellationToken,
}

pub(crate) struct Session {
    shared: Arc<Shared>,
    principal: AgentPrincipal,
    peer: Option<SocketAddr>,
    jobs: Sender<Job>,
    answers: Sender<Result<v1::CollectorMessage, Status>>,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        principal: AgentPrincipal,
        peer: Option<SocketAddr>,
        jobs: Sender<Job>,
        answers: Sender<Result<v1::CollectorMessage, Status>>,
    ) -> Self {
        Self { shared, principal, peer, jobs, answers }
    }

    /// Serves until either side has enough, and tells the agent why.
    pub(crate) async fn run(
        self,
        inbound: Streaming<v1::AgentMessage>,
        replaced: CancellationToken,
        credit: u32,
    ) {
        let agent = self.principal.agent;
        let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
        tracing::info!(%agent, simulated = self.principal.simulated, "agent connected");
        let end = tokio::select! {
            biased;
            () = shared.shutdown.cancelled() => {
                Err(Status::unavailable("the collector is shutting down"))
            }
            () = replaced.cancelled() => {
                Err(Status::aborted("a newer session of this agent took over"))
            }
            () = shared.committer_ended.cancelled() => {
                Err(Status::internal("nothing is stored any more"))
            }
            end = self.serve(inbound, credit) => end,
        };
        if let Err(status) = &end {
            if status.code() == tonic::Code::InvalidArgument
                || status.code() == tonic::Code::DataLoss
            {
                shared.counters.refused(1);
            }
            if status.code() == tonic::Code::Unauthenticated {
                shared.counters.unauthenticated(1);
            }
            // An agent that left or does not read will not miss it.
            let _ = answers.try_send(Err(status.clone()));
        }
        let reason = end.err().map(|status| status.message().to_owned());
        tracing::info!(%agent, reason, "agent disconnected");
    }

    async fn serve(
        self,
        mut inbound: Streaming<v1::AgentMessage>,
        credit: u32,
    ) -> Result<(), Status> {
        let hello = tokio::time::timeout(HELLO_WITHIN, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello in time"))??;
        let introduction = match hello.and_then(|message| message.message) {
            Some(Message::Hello(hello)) => wire::introduction(&hello)?,
            _ => return Err(Status::invalid_argument("the first message must be hello")),
        };
        let (jobs, room) = (self.jobs.clone(), Arc::clone(&self.shared.room));
        let mut greeted = self.greet(introduction, credit).await?;
        let (reply, mut committed) = mpsc::channel(MAX_CREDIT as usize);
        loop {
            // Every branch is safe to drop: a message or permit that was not taken stays there.
            tokio::select! {
                biased;
                Some(first) = committed.recv() => {
                    let mut blocks = vec![first];
                    while let Ok(more) = committed.try_recv() {
                        blocks.push(more);
                    }
                    greeted.committed(&blocks).await?;
                }
                permit = jobs.reserve(), if !greeted.waiting.is_empty() => {
                    let permit = permit.map_err(|_| Status::internal("nothing is stored any more"))?;
                    if let Some((arrived, share)) = greeted.waiting.pop_front() {
                        permit.send(Job { arrived, _share: share, reply: reply.clone() });
                    }
                }
                share = Arc::clone(&room).acquire_many_owned(greeted.bytes_outside()),
                    if greeted.outside.is_some() =>
                {
                    let share = share.map_err(|_| Status::internal("nothing is stored any more"))?;
                    greeted.waiting.extend(greeted.outside.take().map(|arrived| (arrived, share)));
                }
                message = inbound.message(), if greeted.outside.is_none() => match message? {
                    None => return Ok(()),
                    Some(message) => greeted.heard(message).await?,
                },
            }
        }
    }

    /// Answers hello with what is stored already.
    async fn greet(self, introduction: Introduction, credit: u32) -> Result<Greeted, Status> {
        let (telemetry, agent) = (Arc::clone(&self.shared.telemetry), self.principal.agent);
        let epoch = introduction.hello.epoch;
        let stored = tokio::task::spawn_blocking(move || telemetry.received(agent, epoch))
            .await
            .map_err(|_| Status::internal("the look-up of stored blocks ended early"))?
            .map_err(|error| {
                tracing::warn!(%agent, %error, "stored blocks cannot be looked up");
                Status::unavailable("stored blocks cannot be looked up now")
            })?;
        let mut receiver = Receiver::new(credit);
        let stored: BlockRanges = stored.into_iter().collect();
        let welcome = receiver.hello(&introduction.hello, stored).map_err(refusal)?;
        self.answer(wire::welcome(&welcome)).await?;
        let sighting = Sighting {
            at: now(),
            version: introduction.version,
            os: introduction.os,
            local_prefix: None,
            peer: self.peer.map(|peer| peer.ip()),
        };
        let mut greeted = Greeted {
            session: self,
            receiver,
            outside: None,
            waiting: VecDeque::new(),
            clock: None,
            sighting,
            newest: UtcMicros(i64::MIN),
        };
        greeted.note_sighting().await?;
        Ok(greeted)
    }

    async fn answer(&self, message: v1::CollectorMessage) -> Result<(), Status> {
        let gone = |_| Status::cancelled("the agent is gone");
        self.answers.send(Ok(message)).await.map_err(gone)
    }
}

/// A session after hello.
struct Greeted {
    session: Session,
    receiver: Receiver,
    /// A block that found no room yet. Nothing is read after it.
    outside: Option<Arrived>,
    /// Blocks with their share of the room that found no place in the commit queue yet; at most the
    /// credit.
    waiting: VecDeque<(Arrived, OwnedSemaphorePermit)>,
    /// By the newest exchange that was quick enough to say something.
    clock: Option<ClockOffset>,
    sighting: Sighting,
    /// The newest window that told where the agent is: older ones are history.
    newest: UtcMicros,
}

impl Greeted {
    fn bytes_outside(&self) -> u32 {
        // A message is far smaller than 4 GiB.
        let bytes = self.outside.as_ref().map_or(0, |arrived| arrived.payload.len());
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    async fn heard(&mut self, message: v1::AgentMessage) -> Result<(), Status> {
        match message.message {
            Some(Message::Block(block)) => self.block(block).await,
            Some(Message::Clock(request)) => {
                let received = now();
                self.clock = wire::clock_offset(&request).or(self.clock);
                self.session.answer(wire::clock_reply(&request, received, now())).await
            }
            Some(Message::Hello(_)) => Err(Status::invalid_argument("hello was said already")),
            // A newer agent may say what this collector does not know.
            None => Ok(()),
        }
    }

    async fn block(&mut self, block: v1::Block) -> Result<(), Status> {
        let block = wire::block(block);
        match self.receiver.block(&block) {
            Verdict::Store => {
                let Some(epoch) = self.receiver.epoch() else { return Ok(()) };
                self.outside = Some(Arrived {
                    agent: self.session.principal.agent,
                    epoch,
                    block: block.number,
                    payload: block.payload,
                    received: now(),
                    clock: self.clock,
                });
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

    async fn committed(&mut self, committed: &[Committed]) -> Result<(), Status> {
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
            self.note_sighting().await?;
        }
        Ok(())
    }

    /// Notes that the agent is there. It is for people to see: when it fails, delivery goes on;
    /// unless the agent was removed meanwhile.
    async fn note_sighting(&mut self) -> Result<(), Status> {
        self.sighting.at = now();
        let (control, sighting) = (Arc::clone(&self.session.shared.control), self.sighting.clone());
        let agent = self.session.principal.agent;
        let noted = tokio::task::spawn_blocking(move || control.saw_agent(agent, &sighting)).await;
        if let Ok(Err(error)) = noted {
            if error.kind() == ErrorKind::NotFound {
                return Err(Status::unauthenticated("this agent is not let in any more"));
            }
            tracing::warn!(%agent, %error, "what was seen of the agent cannot be noted");
        }
        Ok(())
    }
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
