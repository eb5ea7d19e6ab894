//! The stream to the collector: opened by the agent, kept alive, opened again when it breaks.
//!
//! What to send and what to forget is decided by the spool; here are only the network and the
//! conversion of messages. Nothing of this ever holds up probing.

mod certified;
mod connect;
mod convert;
mod standing;

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use busyhour_daemon::{Backoff, InvalidBackoff, chain};
use busyhour_delivery::{Block, GoAway, Hello};
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Said;
use busyhour_proto::v1::collector_message::Message as Heard;
use busyhour_proto::v1::ingest_client::IngestClient;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use self::certified::{Certified, RenewalError};
pub use self::connect::InvalidHost;
pub(crate) use self::connect::{Secured, TIMEOUT, endpoint};
use self::standing::Standing;
pub(crate) use self::standing::{View, is_said};
use crate::clock::{Clock, Moment};
use crate::config::{Access, Collector};
use crate::identity::{self, Folder, IdentityError, Slot, TlsError};
use crate::remote::Line;
use crate::spool::{Busy, Recorder};

/// Between two tries: gRPC's connection backoff allows up to two minutes.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(120);
/// How often the clocks are compared.
const CLOCK: Duration = Duration::from_secs(60);
/// An offset beyond this is worth somebody's attention.
const SKEW_US: u64 = 2_000_000;
/// Messages between us and the transport, which has its own flow control.
const OUTBOX: usize = 2;
/// How often it is looked whether the certificate is to be renewed. A look compares two numbers.
const LOOK: Duration = Duration::from_secs(2);

/// Why a session ended.
#[derive(Debug, Error)]
enum SessionError {
    #[error("the collector cannot be reached")]
    Connect(#[source] tonic::transport::Error),
    #[error("whoever answers there is not the collector that this agent was enrolled with")]
    Stranger(#[source] tonic::transport::Error),
    #[error("the certificate is over and not renewed")]
    Renewal(#[source] RenewalError),
    #[error("the certificate was renewed")]
    Renewed,
    #[error("the certificate is to be renewed")]
    RenewalDue,
    #[error("the collector refused")]
    Refused(#[source] Status),
    #[error("the collector does not answer")]
    Timeout,
    #[error("the collector ended the session")]
    Ended,
    #[error("the collector asks to come back later")]
    Away(GoAway),
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

impl SessionError {
    /// How things stand after it; `None` when nothing is wrong.
    fn standing(&self) -> Option<Standing> {
        match self {
            Self::Refused(status) | Self::Renewal(RenewalError::Refused(status)) => {
                Some(Standing::of_refusal(status))
            }
            Self::Renewal(_) => Some(Standing::Expired),
            Self::Connect(error) if identity::is_refusal(error) => Some(Standing::Refused),
            Self::Stranger(_) => Some(Standing::Stranger),
            Self::Away(_) => Some(Standing::Away),
            Self::Renewed | Self::RenewalDue => None,
            Self::Connect(_)
            | Self::Timeout
            | Self::Ended
            | Self::NoWelcome
            | Self::NoSpool
            | Self::SpoolEnded
            | Self::Busy(_) => Some(Standing::Unreachable),
        }
    }
}

/// Delivers until `stop`.
pub(crate) struct Uplink {
    way: Way,
    clock: Clock,
    recorder: Recorder,
    backoff: Backoff,
    publish: watch::Sender<View>,
    /// What the collector wants measured goes there, and what became of it comes from there.
    line: Line,
    /// The oldest moment of this session at which the clocks were to be compared and that was not answered,
    /// by the two clocks of this machine.
    asked: Option<Moment>,
}

/// How the collector knows this agent.
enum Way {
    /// By a secret, on this machine only.
    Plain { endpoint: Box<Endpoint>, authorization: MetadataValue<Ascii> },
    /// By a certificate.
    Certified(Box<Certified>),
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
    /// The collector's name is none.
    #[error("the collector's address cannot be used")]
    Host(#[from] InvalidHost),
    /// The agent's identity cannot be read.
    #[error("the agent's identity cannot be used")]
    Identity(#[from] IdentityError),
    /// Nor can anything be proved with it.
    #[error("nothing can be proved with the agent's identity")]
    Tls(#[from] TlsError),
}

impl Uplink {
    /// Reads what it needs; may block for a moment.
    pub(crate) fn new(
        collector: &Collector,
        data_dir: &Path,
        clock: Clock,
        recorder: Recorder,
        publish: watch::Sender<View>,
        line: Line,
    ) -> Result<Self, UplinkError> {
        let url = &collector.url;
        let way = match &collector.access {
            Access::Secret { credential, .. } => {
                let bearer = format!("Bearer {}", credential.expose());
                let mut authorization: MetadataValue<Ascii> =
                    bearer.parse().map_err(UplinkError::Secret)?;
                authorization.set_sensitive(true);
                Way::Plain { endpoint: Box::new(endpoint(url)), authorization }
            }
            Access::Certificate(stored) => {
                let certified = Certified::new(url, Folder::of(data_dir), (**stored).clone())?;
                Way::Certified(Box::new(certified))
            }
        };
        let backoff = Backoff::new(SHORTEST, LONGEST, fastrand::u64(..))?;
        Ok(Self { way, clock, recorder, backoff, publish, line, asked: None })
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut renewed = false;
        loop {
            // Dropping the session at any point is safe: the spool sends again what was in flight.
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = self.session() => ended,
            };
            self.recorder.disconnected();
            if ended.standing().is_some_and(Standing::is_refusal) {
                self.line.refused();
            }
            let again = std::mem::replace(&mut renewed, matches!(ended, SessionError::Renewed));
            let delay = match &ended {
                // What was issued is tried at once; but not over and over.
                SessionError::Renewed if !again => Duration::ZERO,
                SessionError::RenewalDue => Duration::ZERO,
                SessionError::Away(away) => away.wait(fastrand::u64(..)),
                ended if ended.standing().is_some_and(Standing::is_final) => {
                    LONGEST.mul_f64(0.5 + 0.5 * fastrand::f64())
                }
                _ => self.backoff.next_delay(),
            };
            self.tell(&ended, delay);
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// One stream, from the connection to its end.
    async fn session(&mut self) -> SessionError {
        let opened = match &mut self.way {
            Way::Plain { endpoint, .. } => endpoint
                .connect()
                .await
                .map(|channel| (channel, Slot::Current))
                .map_err(SessionError::Connect),
            Way::Certified(certified) => certified.open(self.clock.now().wall).await,
        };
        let (channel, slot) = match opened {
            Ok(opened) => opened,
            Err(error) => return error,
        };
        let Err(error) = self.deliver(channel, slot).await;
        if let (Way::Certified(certified), SessionError::Refused(status)) = (&mut self.way, &error)
        {
            certified.refused(slot, Standing::of_refusal(status));
        }
        error
    }

    /// Opens the stream and speaks on it for as long as it lasts.
    async fn deliver(&mut self, channel: Channel, slot: Slot) -> Result<Infallible, SessionError> {
        let (hello, mut blocks) = self.recorder.connected().await?;
        let hello = hello.ok_or(SessionError::NoSpool)?;
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let _ = outbox.try_send(say(Said::Hello(self.hello(&hello))));
        let mut request = Request::new(ReceiverStream::new(messages));
        if let Way::Plain { authorization, .. } = &self.way {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let mut client = IngestClient::new(channel);
        let mut inbox = timeout(TIMEOUT, client.session(request))
            .await
            .map_err(|_| SessionError::Timeout)?
            .map_err(SessionError::Refused)?
            .into_inner();
        match timeout(TIMEOUT, hear(&mut inbox)).await.map_err(|_| SessionError::Timeout)?? {
            Heard::Welcome(welcome) => {
                if let Way::Certified(certified) = &mut self.way {
                    certified.welcomed(slot, &welcome.nonce).await;
                }
                self.recorder.welcomed(convert::welcome(&welcome))?;
            }
            Heard::GoAway(away) => return Err(SessionError::Away(convert::go_away(&away))),
            _ => return Err(SessionError::NoWelcome),
        }
        let measured = timeout(TIMEOUT, self.compare_first(&outbox, &mut inbox))
            .await
            .map_err(|_| SessionError::Timeout)??;
        self.backoff.reset();
        self.publish(Standing::Delivering, None);
        tracing::info!("delivering to the collector");
        self.converse(&outbox, &mut inbox, &mut blocks, measured).await
    }

    /// Compares the clocks before any block is sent, so that the collector can place the first.
    async fn compare_first(
        &mut self,
        outbox: &mpsc::Sender<v1::AgentMessage>,
        inbox: &mut Streaming<v1::CollectorMessage>,
    ) -> Result<Measured, SessionError> {
        let ended = |_| SessionError::Ended;
        self.asked = None;
        let request = self.clock_request(None);
        outbox.send(say(Said::Clock(request))).await.map_err(ended)?;
        let mut aside = None;
        loop {
            // What is to be measured may be told before the answer by which the collector is heard again: it
            // holds from then on.
            match hear(inbox).await? {
                Heard::Configuration(told) => aside = Some(told),
                message => {
                    if let Some(measured) = self.heard(message)? {
                        aside.into_iter().for_each(|told| self.line.tell(told));
                        return Ok(measured);
                    }
                }
            }
        }
    }

    async fn converse(
        &mut self,
        outbox: &mpsc::Sender<v1::AgentMessage>,
        inbox: &mut Streaming<v1::CollectorMessage>,
        blocks: &mut mpsc::Receiver<Block>,
        mut measured: Measured,
    ) -> Result<Infallible, SessionError> {
        // What was measured is told before the first block.
        let mut next = Some(say(Said::Clock(self.clock_request(Some(measured)))));
        let mut compare = tokio::time::interval_at(Instant::now() + CLOCK, CLOCK);
        compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut report = self.line.report.clone();
        let term = self.line.term();
        // Each session begins with what there is to report.
        report.mark_changed();
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
                Ok(()) = report.changed(), if next.is_none() => {
                    let report = report.borrow_and_update().clone();
                    next = report.map(|report| say(Said::Configuration(report)));
                }
                _ = compare.tick(), if next.is_none() => {
                    next = Some(say(Said::Clock(self.clock_request(Some(measured)))));
                }
                _ = look.tick() => {
                    if self.renewal_is_due() {
                        return Err(SessionError::RenewalDue);
                    }
                    // The next session begins with what there is to be told.
                    if self.line.term() != term || !self.line.is_heard(self.clock.now().boot) {
                        return Err(SessionError::Timeout);
                    }
                }
            }
        }
    }

    fn heard(&mut self, message: Heard) -> Result<Option<Measured>, SessionError> {
        match message {
            Heard::Acknowledgement(more) => {
                self.recorder.acknowledged(convert::acknowledgement(&more))?;
            }
            Heard::Credit(credit) => self.recorder.credited(convert::credit(&credit))?,
            Heard::GoAway(away) => return Err(SessionError::Away(convert::go_away(&away))),
            Heard::Clock(reply) => return Ok(Some(self.compare(&reply))),
            Heard::Configuration(told) => self.line.tell(told),
            Heard::Welcome(_) => return Err(SessionError::NoWelcome),
        }
        Ok(None)
    }

    fn clock_request(&mut self, measured: Option<Measured>) -> v1::ClockRequest {
        let now = self.clock.now();
        self.asked.get_or_insert(now);
        v1::ClockRequest {
            agent_sent_us: now.wall.0,
            offset_us: measured.map(|measured| measured.offset_us),
            round_trip_us: measured.map(|measured| measured.round_trip_us),
            boot: self.clock.boot_id().to_bytes().to_vec(),
        }
    }

    /// The four moments of an exchange give offset and round trip (RFC 5905 section 8).
    fn compare(&mut self, reply: &v1::ClockReply) -> Measured {
        let now = self.clock.now();
        let is_it = |asked: &mut Moment| asked.wall.0 == reply.agent_sent_us;
        if let Some(asked) = self.asked.take_if(is_it) {
            self.line.renew(asked.boot, now.boot);
        }
        let received = now.wall.0;
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
        let nonce = match &self.way {
            Way::Plain { .. } => Vec::new(),
            Way::Certified(certified) => certified.nonce(),
        };
        convert::hello(hello, self.clock.boot_id(), nonce)
    }

    fn renewal_is_due(&self) -> bool {
        match &self.way {
            Way::Plain { .. } => false,
            Way::Certified(certified) => certified.renewal_is_due(self.clock.now().wall),
        }
    }

    fn publish(&self, standing: Standing, said: Option<String>) {
        let certificate = match &self.way {
            Way::Plain { .. } => None,
            Way::Certified(certified) => Some(certified.view()),
        };
        self.publish.send_replace(View { standing, said, certificate });
    }

    /// Says why there is no session now, here and in the status file.
    fn tell(&self, ended: &SessionError, retry_in: Duration) {
        let Some(standing) = ended.standing() else { return };
        let certified = matches!(self.way, Way::Certified(_));
        report(ended, standing, certified, retry_in);
        let said = match ended {
            SessionError::Refused(status) => status.message().to_owned(),
            SessionError::Renewal(RenewalError::Refused(status)) => status.message().to_owned(),
            ended => chain(ended).to_string(),
        };
        self.publish(standing, Some(said));
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

fn report(error: &SessionError, standing: Standing, certified: bool, retry_in: Duration) {
    let remedy = match (standing, certified) {
        (Standing::Refused, false) => {
            "the collector does not know this agent or its secret; run `busyhour agent add` there and \
             put the line it prints into agent.secret_file"
        }
        (Standing::Refused, true) => {
            "the collector does not know this agent; enrol it again with a token of \
             `busyhour token create`"
        }
        (Standing::Revoked, _) => {
            "the collector has revoked this agent; it takes nothing from it any more"
        }
        (Standing::Quarantined, _) => {
            "the collector saw this agent's identity in two places; enrol the copies each by itself, \
             then `busyhour agent approve` lets this one in again"
        }
        (Standing::Waiting, _) => {
            "the collector waits for somebody to approve this agent: `busyhour agent approve`"
        }
        (Standing::Stranger, _) => {
            "whoever answers at collector.url is not the collector that this agent was enrolled with"
        }
        (Standing::Expired, _) => "the agent's certificate is over and could not be renewed",
        (
            Standing::Connecting | Standing::Delivering | Standing::Away | Standing::Unreachable,
            _,
        ) => {
            tracing::warn!(error = %chain(error), ?retry_in, "no session with the collector");
            return;
        }
    };
    tracing::error!(error = %chain(error), ?retry_in, "{remedy}");
}
