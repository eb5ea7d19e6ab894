//! A collector that issues certificates and wants to see them again.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Said;
use busyhour_proto::v1::collector_message::Message as Heard;
use busyhour_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use busyhour_proto::v1::identity_server::{Identity, IdentityServer};
use busyhour_proto::v1::ingest_server::{Ingest, IngestServer};
use rcgen::ExtendedKeyUsagePurpose;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use crate::authority::{Authority, HERE};

pub(crate) const AGENT: [u8; 16] = [7; 16];

/// A session that an agent began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The agent's certificate.
    pub(crate) certificate: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    /// It was let in.
    pub(crate) welcomed: bool,
}

/// What the collector saw, and how it is to behave.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) enrolments: Vec<v1::EnrolRequest>,
    /// Requests for renewal, with the certificate that they were made with.
    pub(crate) renewals: Vec<(Vec<u8>, Vec<u8>)>,
    /// Certificates in the order in which they were issued.
    pub(crate) issued: Vec<Vec<u8>>,
    pub(crate) sessions: Vec<Seen>,
    /// Answers to enrolments that are lost on the way.
    pub(crate) lose: u32,
    /// How long certificates live.
    pub(crate) life: Duration,
    /// The word that sessions are refused with.
    pub(crate) refusal: Option<&'static str>,
    /// Sessions with these certificates are refused.
    pub(crate) unknown: Vec<Vec<u8>>,
    /// Certificates issued from now on are refused.
    pub(crate) issues_unknown: bool,
    /// Live sessions are ended when this changes.
    pub(crate) cut: CancellationToken,
    standing: Option<v1::Standing>,
}

pub(crate) type Shared = Arc<Mutex<State>>;

#[derive(Clone)]
struct Service {
    authority: Arc<Authority>,
    state: Shared,
}

impl Service {
    fn issue(&self, request: &[u8]) -> v1::Credential {
        let mut state = self.state.lock().unwrap();
        let (certificate, until) = self.authority.certify(request, state.life);
        let certificate = certificate.der().to_vec();
        state.issued.push(certificate.clone());
        if state.issues_unknown {
            state.unknown.push(certificate.clone());
        }
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap();
        v1::Credential {
            agent: AGENT.to_vec(),
            certificates: vec![certificate],
            authorities: vec![self.authority.certificate.to_vec()],
            not_before_us: 0,
            not_after_us: micros(until.duration_since(UNIX_EPOCH).unwrap()),
            standing: state.standing.unwrap_or(v1::Standing::Active).into(),
            building: "Berlin HQ".to_owned(),
            subnet: "10.0.0.0/24".to_owned(),
        }
    }
}

fn refuse(word: &'static str) -> Status {
    let mut status = Status::permission_denied(format!("this agent is {word}"));
    status.metadata_mut().insert("busyhour-refusal", word.parse().unwrap());
    status
}

/// The certificate that the connection showed.
fn shown<T>(request: &Request<T>) -> Result<Vec<u8>, Status> {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
    peer.ok_or_else(|| refuse("certificate"))
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolReply>, Status> {
        let request = request.into_inner();
        let lost = {
            let mut state = self.state.lock().unwrap();
            state.enrolments.push(request.clone());
            std::mem::replace(&mut state.lose, 0) > 0
        };
        if lost {
            return Err(Status::unavailable("lost on the way"));
        }
        Ok(Response::new(v1::EnrolReply { credential: Some(self.issue(&request.request)) }))
    }
}

#[tonic::async_trait]
impl Identity for Service {
    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewReply>, Status> {
        let certificate = shown(&request)?;
        let asked = request.into_inner().request;
        self.state.lock().unwrap().renewals.push((certificate, asked.clone()));
        Ok(Response::new(v1::RenewReply { credential: Some(self.issue(&asked)) }))
    }
}

#[tonic::async_trait]
impl Ingest for Service {
    type SessionStream = ReceiverStream<Result<v1::CollectorMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let certificate = shown(&request)?;
        let mut inbox = request.into_inner();
        let Some(Said::Hello(hello)) = inbox.message().await?.and_then(|said| said.message) else {
            return Err(Status::invalid_argument("no hello"));
        };
        let (cut, nonce) = {
            let mut state = self.state.lock().unwrap();
            let refusal = state
                .refusal
                .or_else(|| state.unknown.contains(&certificate).then_some("superseded"));
            let nonce = hello.nonce.clone();
            state.sessions.push(Seen { certificate, nonce, welcomed: refusal.is_none() });
            if let Some(word) = refusal {
                return Err(refuse(word));
            }
            (state.cut.clone(), vec![u8::try_from(state.sessions.len()).unwrap()])
        };
        let (replies, stream) = mpsc::channel(8);
        tokio::spawn(async move {
            let welcome = v1::Welcome { nonce, ..v1::Welcome::default() };
            let _ = replies.send(Ok(say(Heard::Welcome(welcome)))).await;
            loop {
                let said = tokio::select! {
                    () = cut.cancelled() => return,
                    said = inbox.message() => said,
                };
                let Ok(Some(said)) = said else { return };
                if let Some(Said::Clock(clock)) = said.message {
                    let sent = clock.agent_sent_us;
                    let reply = v1::ClockReply {
                        agent_sent_us: sent,
                        collector_received_us: sent,
                        collector_sent_us: sent,
                    };
                    let _ = replies.send(Ok(say(Heard::Clock(reply)))).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn say(message: Heard) -> v1::CollectorMessage {
    v1::CollectorMessage { message: Some(message) }
}

/// A running collector; it ends when this is dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Arc<Authority>,
    pub(crate) state: Shared,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Issues certificates of this life.
    pub(crate) fn start(life: Duration) -> Self {
        let authority = Arc::new(Authority::new());
        let state = Shared::new(Mutex::new(State { life, ..State::default() }));
        let listener = std::net::TcpListener::bind((HERE, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let service = Service { authority: Arc::clone(&authority), state: Arc::clone(&state) };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, service, stopped));
        });
        Self { address, authority, state, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A token of it, with this secret.
    pub(crate) fn token(&self, secret: &str) -> String {
        format!("bh1.0123456789.{secret}.{}", self.authority.pin())
    }

    /// Changes how it behaves from now on, and ends the sessions that there are.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        change(&mut state);
        std::mem::take(&mut state.cut).cancel();
    }

    pub(crate) fn sessions(&self) -> Vec<Seen> {
        self.state.lock().unwrap().sessions.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, service: Service, stop: CancellationToken) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let authority = &service.authority;
    let shown = authority.serve(HERE, ExtendedKeyUsagePurpose::ServerAuth);
    let config = shown.then(&authority.certificate).config(authority);
    let acceptor = TlsAcceptor::from(config);
    let (accepted, incoming) = mpsc::channel::<io::Result<Connection>>(8);
    tokio::spawn(async move {
        while let Ok((plain, _)) = listener.accept().await {
            let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(plain).await {
                    let _ = accepted.send(Ok(Connection(stream))).await;
                }
            });
        }
    });
    tonic::transport::Server::builder()
        .add_service(EnrolmentServer::new(service.clone()))
        .add_service(IdentityServer::new(service.clone()))
        .add_service(IngestServer::new(service))
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async move {
            stop.cancelled().await;
        })
        .await
        .unwrap();
}

/// A connection that says which certificate it showed.
struct Connection(TlsStream<TcpStream>);

/// That certificate.
#[derive(Clone)]
struct Peer(Option<Vec<u8>>);

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        let shown = self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        Peer(shown.map(|certificate| certificate.to_vec()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
