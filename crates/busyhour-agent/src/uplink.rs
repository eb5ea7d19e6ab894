//! The stream to the collector: opened by the agent, kept alive, opened again when it breaks.
//!
//! What to send and what to forget is decided by the spool; here are only the network and the
//! conversion of messages. Nothing of this ever holds up probing.

mod convert;

use std::time::Duration;

use busyhour_daemon::{Backoff, InvalidBackoff, chain};
use busyhour_delivery::{Block, Hello};
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Said;
use busyhour_proto::v1::collector_message::Message as Heard;
use busyhour_proto::v1::ingest_client::IngestClient;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};

use crate::clock::Clock;
use crate::config::Collector;
use crate::spool::{Busy, Recorder};

/// Between two tries: gRPC's connection backoff allows up to two minutes.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(120);
/// For the connection, and again for the answer to the first message.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A path that is silently dead is noticed within this time plus the timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How often the clocks are compared.
const CLOCK: Duration = Duration::from_secs(60);
/// An offset beyond this is worth somebody's attention.
const SKEW_US: u64 = 2_000_000;
/// Messages between us and the transport, which has its own flow control.
const OUTBOX: usize = 2;

/// Why a session ended.
#[derive(Debug, Error)]
enum SessionError {
    #[error("the collector cannot be reached")]
    Connect(#[source] tonic::transport::Error),
    #[error("the collector refused")]
    Refused(#[source] Status),
    #[error("the collector does not answer")]
    Timeout,
    #[error("the collector ended the session")]
    Ended,
    #[error("the collector began with something else than a welcome")]
    NoWelcome,
    #[error("the spool is not open")]
    NoSpool,
    #[error("the spool ended the session")]
    SpoolEnded,
    #[error("the session was interrupted")]
    Busy(#[from] Busy),
}

/// What an exchange of clocks gave.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// How far the collector's clock is ahead of ours.
    offset_us: i64,
    round_trip_us: u64,
}

/// Delivers until `stop`.
pub(crate) struct Uplink {
    endpoint: Endpoint,
    authorization: MetadataValue<Ascii>,
    clock: Clock,
    recorder: Recorder,
    backoff: Backoff,
}

/// A collector that cannot even be tried.
#[derive(Debug, Error)]
pub enum UplinkError {
    /// The secret holds what no header can.
    #[error("the secret cannot be sent")]
    Secret(#[source] tonic::metadata::errors::InvalidMetadataValue),
    /// The delays are constants; this cannot happen.
    #[error("the delays between tries are wrong")]
    Backoff(#[from] InvalidBackoff),
}

impl Uplink {
    pub(crate) fn new(
        collector: &Collector,
        clock: Clock,
        recorder: Recorder,
    ) -> Result<Self, UplinkError> {
        let bearer = format!("Bearer {}", collector.credential.expose());
        let mut authorization: MetadataValue<Ascii> =
            bearer.parse().map_err(UplinkError::Secret)?;
        authorization.set_sensitive(true);
        let endpoint = Endpoint::from(collector.url.clone())
            .connect_timeout(TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(TIMEOUT)
            .keep_alive_while_idle(true);
        let backoff = Backoff::new(SHORTEST, LONGEST, fastrand::u64(..))?;
        Ok(Self { endpoint, authorization, clock, recorder, backoff })
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            // Dropping the session at any point is safe: the spool sends again what was in flight.
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = self.session() => ended,
            };
            self.recorder.disconnected();
            let delay = self.backoff.next_delay();
            if let Err(error) = ended {
                report(&error, delay);
            }
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// One stream, from the connection to its end.
    async fn session(&mut self) -> Result<(), SessionError> {
        let channel = self.endpoint.connect().await.map_err(SessionError::Connect)?;
        let (hello, mut blocks) = self.recorder.connected().await?;
        let hello = hello.ok_or(SessionError::NoSpool)?;
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let _ = outbox.try_send(say(Said::Hello(self.hello(&hello))));
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let mut client = IngestClient::new(channel);
        let mut inbox = timeout(TIMEOUT, client.session(request))
            .await
            .map_err(|_| SessionError::Timeout)?
            .map_err(SessionError::Refused)?
            .into_inner();
        match timeout(TIMEOUT, hear(&mut inbox)).await.map_err(|_| SessionError::Timeout)?? {
            Heard::Welcome(welcome) => self.recorder.welcomed(convert::welcome(&welcome))?,
            _ => return Err(SessionError::NoWelcome),
        }
        let measured = timeout(TIMEOUT, self.compare_first(&outbox, &mut inbox))
            .await
            .map_err(|_| SessionError::Timeout)??;
        self.backoff.reset();
        tracing::info!("delivering to the collector");
        self.converse(&outbox, &mut inbox, &mut blocks, measured).await
    }

    /// Compares the clocks before any block is sent, so that the collector can place the first.
    async fn compare_first(
        &self,
        outbox: &mpsc::Sender<v1::AgentMessage>,
        inbox: &mut Streaming<v1::CollectorMessage>,
    ) -> Result<Measured, SessionError> {
        let ended = |_| SessionError::Ended;
        outbox.send(say(Said::Clock(self.clock_request(None)))).await.map_err(ended)?;
        loop {
            if let Some(measured) = self.heard(hear(inbox).await?)? {
                return Ok(measured);
            }
        }
    }

    async fn converse(
        &self,
        outbox: &mpsc::Sender<v1::AgentMessage>,
        inbox: &mut Streaming<v1::CollectorMessage>,
        blocks: &mut mpsc::Receiver<Block>,
        mut measured: Measured,
    ) -> Result<(), SessionError> {
        // What was measured is told before the first block.
        let mut next = Some(say(Said::Clock(self.clock_request(Some(measured)))));
        let mut compare = tokio::time::interval_at(Instant::now() + CLOCK, CLOCK);
        compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All branches are cancel-safe: what was taken and not sent yet is in `next`.
            tokio::select! {
                heard = hear(inbox) => measured = self.heard(heard?)?.unwrap_or(measured),
                room = outbox.reserve(), if next.is_some() => {
                    let room = room.map_err(|_| SessionError::Ended)?;
                    if let Some(message) = next.take() {
                        room.send(message);
                    }
                }
                block = blocks.recv(), if next.is_none() => {
                    let block = block.ok_or(SessionError::SpoolEnded)?;
                    next = Some(say(Said::Block(convert::block(block))));
                }
                _ = compare.tick(), if next.is_none() => {
                    next = Some(say(Said::Clock(self.clock_request(Some(measured)))));
                }
            }
        }
    }

    fn heard(&self, message: Heard) -> Result<Option<Measured>, SessionError> {
        match message {
            Heard::Acknowledgement(more) => {
                self.recorder.acknowledged(convert::acknowledgement(&more))?;
            }
            Heard::Credit(credit) => self.recorder.credited(credit.blocks)?,
            Heard::Clock(reply) => return Ok(Some(self.compare(&reply))),
            Heard::Welcome(_) => return Err(SessionError::NoWelcome),
        }
        Ok(None)
    }

    fn clock_request(&self, measured: Option<Measured>) -> v1::ClockRequest {
        v1::ClockRequest {
            agent_sent_us: self.clock.now().wall.0,
            offset_us: measured.map(|measured| measured.offset_us),
            round_trip_us: measured.map(|measured| measured.round_trip_us),
            boot: self.clock.boot_id().to_bytes().to_vec(),
        }
    }

    /// The four moments of an exchange give offset and round trip (RFC 5905 section 8).
    fn compare(&self, reply: &v1::ClockReply) -> Measured {
        let received = self.clock.now().wall.0;
        let up = reply.collector_received_us.saturating_sub(reply.agent_sent_us);
        let down = received.saturating_sub(reply.collector_sent_us);
        let offset_us = up.saturating_sub(down) / 2;
        // Negative only when a clock stepped meanwhile: then nothing was measured.
        let round_trip_us = u64::try_from(up.saturating_add(down)).unwrap_or(u64::MAX);
        if offset_us.unsigned_abs() > SKEW_US {
            tracing::warn!(offset_us, "this machine's clock differs from the collector's");
        }
        tracing::debug!(offset_us, round_trip_us, "clocks compared");
        Measured { offset_us, round_trip_us }
    }

    fn hello(&self, hello: &Hello) -> v1::Hello {
        convert::hello(hello, self.clock.boot_id())
    }
}

fn say(message: Said) -> v1::AgentMessage {
    v1::AgentMessage { message: Some(message) }
}

/// The next message that this version understands.
async fn hear(inbox: &mut Streaming<v1::CollectorMessage>) -> Result<Heard, SessionError> {
    loop {
        match inbox.message().await.map_err(SessionError::Refused)? {
            Some(v1::CollectorMessage { message: Some(message) }) => return Ok(message),
            // From a newer collector.
            Some(v1::CollectorMessage { message: None }) => {}
            None => return Err(SessionError::Ended),
        }
    }
}

fn report(error: &SessionError, retry_in: Duration) {
    match error {
        SessionError::Refused(status) if status.code() == Code::Unauthenticated => {
            tracing::error!(
                said = status.message(),
                ?retry_in,
                "the collector does not know this agent or its secret; run `busyhour agent add` \
                 there and put the line it prints into agent.secret_file"
            );
        }
        SessionError::Refused(_)
        | SessionError::Connect(_)
        | SessionError::Timeout
        | SessionError::Ended
        | SessionError::NoWelcome
        | SessionError::NoSpool
        | SessionError::SpoolEnded
        | SessionError::Busy(_) => {
            tracing::warn!(error = %chain(error), ?retry_in, "no session with the collector");
        }
    }
}
