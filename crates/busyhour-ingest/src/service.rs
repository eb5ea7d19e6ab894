//! The gRPC service: lets agents in and keeps one session of each.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use busyhour_fleet::{AdmitError, EnrolmentService, Fleet, IdentityService, LiveSessions, Planner};
use busyhour_proto::v1;
use busyhour_proto::v1::ingest_server::{Ingest as IngestRpc, IngestServer};
use busyhour_store::{Control, IdentityRefusal, Telemetry};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::accept::accept;
use crate::committer::{Committer, CommitterEnded, Jobs};
use crate::live::{Answers, Live};
use crate::place::Placer;
use crate::session::{Limits, RECEIVE_WINDOW_BYTES, Session, Shared};
use crate::together::write_together;
use crate::turn;
use crate::{
    AgentPrincipal, AuthError, Authenticator, Caller, Counters, PlaintextBeyondLoopback,
    Requirements, check_listen,
};

/// The largest message that is read: twice the largest payload of a block.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Answers that wait for an agent that does not read. Then its session waits, too.
const MAX_ANSWERS: usize = 16;

/// Sightings that wait, of all agents: as many as there may be sessions.
const MAX_SIGHTINGS: usize = 20_000;
/// Confirmations that wait, of all agents; a session whose confirmation finds no place waits with it.
const MAX_CONFIRMATIONS: usize = 1_024;

/// Calls at the same time on one connection: an agent makes one or two.
const MAX_STREAMS: u32 = 8;
/// All headers of a call together: an agent's are some hundred bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Calls that were begun and given up at once before the connection is ended.
const MAX_RESETS: usize = 20;

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
        Self::start_with(parts, None, turn::IDLE, shutdown)
    }

    /// The same with somebody who says what agents are to measure, and what their targets are judged by.
    ///
    /// # Errors
    /// When the operating system has no thread left.
    pub fn start_planned(
        parts: IngestParts,
        planner: Arc<Planner>,
        shutdown: CancellationToken,
    ) -> std::io::Result<Self> {
        Self::start_patient(parts, planner, turn::IDLE, shutdown)
    }

    /// The same with other turns at delivering backlog: one in which nothing comes for so long is over.
    ///
    /// # Errors
    /// When the operating system has no thread left.
    pub fn start_patient(
        mut parts: IngestParts,
        planner: Arc<Planner>,
        turn_idle: Duration,
        shutdown: CancellationToken,
    ) -> std::io::Result<Self> {
        parts.requirements = parts.requirements.unless_told(planner.watch());
        Self::start_with(parts, Some(planner), turn_idle, shutdown)
    }

    fn start_with(
        parts: IngestParts,
        planner: Option<Arc<Planner>>,
        turn_idle: Duration,
        shutdown: CancellationToken,
    ) -> std::io::Result<Self> {
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
        let (sightings, seen) = mpsc::channel(MAX_SIGHTINGS);
        let control = Arc::clone(&parts.control);
        // They are for people to see: when one fails, delivery goes on.
        let note = move |seen: &[_]| control.saw_agents(seen);
        tracker.spawn(write_together("where agents were seen", seen, note, shutdown.clone()));
        let (confirmations, kept) = mpsc::channel(MAX_CONFIRMATIONS);
        let authenticator = Arc::clone(&parts.authenticator);
        let confirm = move |kept: &[_]| {
            authenticator.confirm(kept).map(|()| kept.iter().map(|_| ()).collect())
        };
        tracker.spawn(write_together("sessions' numbers", kept, confirm, shutdown.clone()));
        let service = IngestService {
            shared: Arc::new(Shared {
                telemetry: parts.telemetry,
                counters: Arc::clone(&counters),
                limits: Limits::new(turn_idle),
                sightings,
                confirmations,
                authenticator: parts.authenticator,
                planner,
                shutdown,
                committer_ended,
            }),
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

    /// Serves agents over TLS, with enrolment and renewal beside their sessions, until `shutdown` is
    /// cancelled and their streams have ended.
    ///
    /// # Errors
    /// When the transport gives up.
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        fleet: Arc<Fleet>,
    ) -> Result<(), ServeError> {
        let Shared { shutdown, counters, .. } = self.service.shared.as_ref();
        let (counters, closing) = (Arc::clone(counters), shutdown.clone());
        let tracker = &self.tracker;
        let incoming = accept(listener, Arc::clone(&fleet), counters, tracker, closing.clone());
        Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
            .initial_stream_window_size(RECEIVE_WINDOW_BYTES)
            .max_concurrent_streams(MAX_STREAMS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
            .add_service(self.server())
            .add_service(EnrolmentService::server(Arc::clone(&fleet)))
            .add_service(IdentityService::server(fleet))
            .serve_with_incoming_shutdown(incoming, closing.cancelled_owned())
            .await
            .map_err(ServeError::Transport)
    }

    /// What ends sessions of agents that are revoked.
    #[must_use]
    pub fn live_sessions(&self) -> Arc<dyn LiveSessions> {
        Arc::clone(&self.service.live) as Arc<dyn LiveSessions>
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

/// Handles the calls of `busyhour.v1.Ingest`.
#[derive(Clone)]
pub struct IngestService {
    shared: Arc<Shared>,
    jobs: Jobs,
    live: Arc<Live>,
    tracker: TaskTracker,
}

#[tonic::async_trait]
impl IngestRpc for IngestService {
    type SessionStream = Answers;

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
        let (number, ending, replaced) = self.live.enter(principal.agent);
        self.shared.counters.sessions(1);
        self.shared.counters.replaced(usize::from(replaced));
        let told = Answers::new(stream, ending.clone());
        let (shared, jobs) = (Arc::clone(&self.shared), self.jobs.clone());
        let session = Session::new(shared, principal, peer, jobs, answers, ending);
        let live = Arc::clone(&self.live);
        let inbound = request.into_inner();
        self.tracker.spawn(async move {
            let end = session.run(inbound).await;
            if end == Some(IdentityRefusal::Quarantined) {
                // Whoever else has this identity is refused, too.
                live.refuse(principal.agent, IdentityRefusal::Quarantined);
            }
            live.leave(principal.agent, number);
        });
        Ok(Response::new(told))
    }
}

impl IngestService {
    async fn principal(
        &self,
        request: &Request<Streaming<v1::AgentMessage>>,
    ) -> Result<AgentPrincipal, Status> {
        let authenticator = Arc::clone(&self.shared.authenticator);
        let caller = Caller {
            metadata: request.metadata().clone(),
            peer: request.remote_addr(),
            certificate: request.peer_certs().and_then(|shown| shown.first().cloned()),
        };
        let check = move || authenticator.authenticate(&caller);
        let answer = tokio::task::spawn_blocking(check)
            .await
            .map_err(|_| Status::internal("the check of the identity ended early"))?;
        answer.map_err(|error| self.turn_away(&error))
    }

    fn turn_away(&self, error: &AuthError) -> Status {
        if let AuthError::Certificate(AdmitError::Refused {
            agent,
            refusal: refusal @ IdentityRefusal::Quarantined,
        }) = error
        {
            self.live.refuse(*agent, *refusal);
        }
        self.shared.turn_away(error)
    }
}
