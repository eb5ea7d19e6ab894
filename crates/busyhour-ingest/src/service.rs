//! The gRPC service: lets agents in and keeps one session of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use busyhour_model::AgentId;
use busyhour_proto::v1;
use busyhour_proto::v1::ingest_server::{Ingest as IngestRpc, IngestServer};
use busyhour_store::{Control, Telemetry};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::committer::{Committer, CommitterEnded, Jobs};
use crate::place::Placer;
use crate::session::{Limits, RECEIVE_WINDOW_BYTES, Session, Shared};
use crate::sightings::{self, MAX_WAITING};
use crate::{
    AgentPrincipal, AuthError, Authenticator, Counters, PlaintextBeyondLoopback, Requirements,
    check_listen,
};

/// The largest message that is read: twice the largest payload of a block.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Answers that wait for an agent that does not read. Then its session waits, too.
const MAX_ANSWERS: usize = 16;

/// How often a silent connection is asked whether it is alive, and how long it may take to answer:
/// an agent that lost its network is noticed within a minute.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Why agents cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Other machines could reach the listener.
    #[error(transparent)]
    Plaintext(#[from] PlaintextBeyondLoopback),
    /// The listener does not say where it listens.
    #[error("read the listener's address")]
    Address(#[source] std::io::Error),
    /// The transport gave up.
    #[error("serve agents")]
    Transport(#[source] tonic::transport::Error),
}

/// What the service works with.
pub struct IngestParts {
    /// Where observations go.
    pub telemetry: Arc<dyn Telemetry>,
    /// Where agents are known.
    pub control: Arc<dyn Control>,
    /// Who tells agents apart.
    pub authenticator: Arc<dyn Authenticator>,
    /// What targets' paths are judged by.
    pub requirements: Requirements,
    /// Records older than this are quarantined.
    pub retention: Duration,
}

/// The running service. It ends some time after `shutdown` is cancelled: sessions are closed, what
/// waits is committed, then the thread that writes ends. [`Self::join`] waits for that.
pub struct Ingest {
    service: IngestService,
    counters: Arc<Counters>,
    tracker: TaskTracker,
    committer: JoinHandle<()>,
}

impl Ingest {
    /// Starts the thread that writes. To be called on a runtime.
    ///
    /// # Errors
    /// When the operating system has no thread left.
    pub fn start(parts: IngestParts, shutdown: CancellationToken) -> std::io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let committer = Committer {
            telemetry: Arc::clone(&parts.telemetry),
            placer: Placer { requirements: parts.requirements, retention: parts.retention },
            counters: Arc::clone(&counters),
            shutdown: shutdown.clone(),
        };
        let committer_ended = CancellationToken::new();
        let (jobs, committer) = committer.spawn(committer_ended.clone())?;
        let tracker = TaskTracker::new();
        let (sightings, seen) = mpsc::channel(MAX_WAITING);
        tracker.spawn(sightings::note(Arc::clone(&parts.control), seen, shutdown.clone()));
        let service = IngestService {
            shared: Arc::new(Shared {
                telemetry: parts.telemetry,
                counters: Arc::clone(&counters),
                limits: Limits::default(),
                sightings,
                shutdown,
                committer_ended,
            }),
            authenticator: parts.authenticator,
            jobs,
            live: Arc::default(),
            tracker: tracker.clone(),
        };
        Ok(Self { service, counters, tracker, committer })
    }

    /// The service, for a tonic server.
    #[must_use]
    pub fn server(&self) -> IngestServer<IngestService> {
        IngestServer::new(self.service.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Serves agents in plaintext until `shutdown` is cancelled and their streams have ended.
    ///
    /// # Errors
    /// When the listener is not on a loopback address, or cannot be asked for it; when the
    /// transport gives up.
    pub async fn serve_plaintext(&self, listener: TcpListener) -> Result<(), ServeError> {
        check_listen(listener.local_addr().map_err(ServeError::Address)?)?;
        Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
            .initial_stream_window_size(RECEIVE_WINDOW_BYTES)
            .serve_with_incoming_shutdown(
                self.server(),
                TcpListenerStream::new(listener),
                self.service.shared.shutdown.clone().cancelled_owned(),
            )
            .await
            .map_err(ServeError::Transport)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Ends with an error when the thread that writes ends before `shutdown` is cancelled, and
    /// without one then. Nothing is stored after that: whoever runs the service should end.
    pub fn failed(&self) -> impl Future<Output = Result<(), CommitterEnded>> + Send + use<> {
        let shutdown = self.service.shared.shutdown.clone();
        let ended = self.service.shared.committer_ended.clone();
        async move {
            // Both branches are cancel-safe.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => Ok(()),
                () = ended.cancelled() => Err(CommitterEnded),
            }
        }
    }

    /// Waits until everything that was taken is stored or, where the store cannot write, given
    /// back. Call it after `shutdown` was cancelled and every server made by [`Self::server`] is
    /// gone.
    pub async fn join(self) {
        let Self { service, tracker, committer, .. } = self;
        tracker.close();
        tracker.wait().await;
        drop(service);
        // A panic of the thread was reported when it happened.
        let _ = tokio::task::spawn_blocking(move || committer.join()).await;
    }
}

/// The live session of each agent: a number that tells it from others, and what ends it. There are
/// as many as agents that were let in. The lock is held for a look-up, never across an await.
type Live = Arc<Mutex<HashMap<AgentId, (u64, CancellationToken)>>>;

/// Handles the calls of `busyhour.v1.Ingest`.
#[derive(Clone)]
pub struct IngestService {
    shared: Arc<Shared>,
    authenticator: Arc<dyn Authenticator>,
    jobs: Jobs,
    live: Live,
    tracker: TaskTracker,
}

#[tonic::async_trait]
impl IngestRpc for IngestService {
    type SessionStream = ReceiverStream<Result<v1::CollectorMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if self.shared.shutdown.is_cancelled() {
            return Err(Status::unavailable("the collector is shutting down"));
        }
        let peer = request.remote_addr();
        let principal = self.principal(&request).await?;
        let (answers, stream) = mpsc::channel(MAX_ANSWERS);
        let (number, replaced) = self.enter(principal.agent);
        let session =
            Session::new(Arc::clone(&self.shared), principal, peer, self.jobs.clone(), answers);
        let live = Arc::clone(&self.live);
        let inbound = request.into_inner();
        self.tracker.spawn(async move {
            session.run(inbound, replaced).await;
            leave(&live, principal.agent, number);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl IngestService {
    async fn principal(
        &self,
        request: &Request<Streaming<v1::AgentMessage>>,
    ) -> Result<AgentPrincipal, Status> {
        let authenticator = Arc::clone(&self.authenticator);
        let metadata = request.metadata().clone();
        let peer = request.remote_addr();
        let check = move || authenticator.authenticate(&metadata, peer);
        let answer = tokio::task::spawn_blocking(check)
            .await
            .map_err(|_| Status::internal("the check of the identity ended early"))?;
        answer.map_err(|error| self.turn_away(&error))
    }

    fn turn_away(&self, error: &AuthError) -> Status {
        let source = std::error::Error::source(error).map(ToString::to_string);
        if let AuthError::Unavailable { .. } = error {
            tracing::warn!(%error, source, "an agent waits");
            return Status::unavailable(error.to_string());
        }
        self.shared.counters.unauthenticated(1);
        tracing::warn!(%error, "a caller was turned away");
        Status::unauthenticated(error.to_string())
    }

    /// Makes the new session the agent's live one and ends the one before.
    fn enter(&self, agent: AgentId) -> (u64, CancellationToken) {
        self.shared.counters.sessions(1);
        let replaced = CancellationToken::new();
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let number = live.get(&agent).map_or(0, |(number, _)| number + 1);
        if let Some((_, older)) = live.insert(agent, (number, replaced.clone())) {
            self.shared.counters.replaced(1);
            older.cancel();
        }
        (number, replaced)
    }
}

fn leave(live: &Live, agent: AgentId, number: u64) {
    let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
    if live.get(&agent).is_some_and(|(current, _)| *current == number) {
        live.remove(&agent);
    }
}
