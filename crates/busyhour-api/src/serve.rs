//! Connections of the API and the page, HTTP/1.1 and HTTP/2: there are only so many of them, and each has
//! a bounded time to say what it wants.
//!
//! Which of the two it is, the first bytes tell, over TLS as without it; so a connection that says nothing
//! is neither, and who proves nothing may have many of them. Whatever a connection is, it is given up when
//! it asked for nothing in time, and when it has not asked for long.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderValue;
use axum::http::header::HOST;
use axum::response::{IntoResponse as _, Response};
use axum::serve::Listener;
use busyhour_fleet::{Place, Places, neighbourhood};
use http_body::{Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tower::Service;

use crate::app::Figure;
use crate::events::Closing;
use crate::guard::Peer;
use crate::problem::Problem;
use crate::query::{is_grpc, refused};

/// Connections at once, of all kinds: each costs some 40 kB over TLS, and HTTP/2 at most what
/// [`MAX_UNREAD_BYTES`] says beside. People open a few each.
pub(crate) const MAX_CONNECTIONS: usize = 512;
/// How long a request's head may take to come, from when the connection began or the answer before was
/// given: who holds a connection without asking for anything loses it.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The same between two requests of HTTP/2, whose connections are kept for long: programs ask again and again.
const IDLE: Duration = Duration::from_secs(300);
/// How long the other end of HTTP/2 may be silent before it is asked whether it is there, and may then take to
/// say so.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// Requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 32;
/// How long the head of one of them may be.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// What may come of bodies on one stream, and on all of a connection, before somebody reads it.
const MAX_STREAM_UNREAD_BYTES: u32 = 128 * 1024;
const MAX_UNREAD_BYTES: u32 = 256 * 1024;

/// Requests under way at once, on all connections, shared out by address: an answer that is compressed keeps
/// some 280 kB until it is taken.
const MAX_UNDER_WAY: usize = 1_024;
/// How long an answer may wait to be taken on.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOKS: Duration = Duration::from_secs(10);
/// What is handed out of an answer at once, so that it is known how far it was taken.
const PIECE_BYTES: usize = 32 * 1024;

/// The connections of one server.
#[derive(Debug)]
pub(crate) struct Connections {
    open: AtomicUsize,
    refused: AtomicU64,
    under_way: Arc<Places<IpAddr>>,
}

impl Default for Connections {
    fn default() -> Self {
        let under_way = Places::new(MAX_UNDER_WAY, usize::MAX);
        Self { open: AtomicUsize::new(0), refused: AtomicU64::new(0), under_way }
    }
}

impl Connections {
    /// One more was hung up on, as there are too many.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn take(self: &Arc<Self>) -> Option<Open> {
        let more = |open: usize| (open < MAX_CONNECTIONS).then_some(open + 1);
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Open(Arc::clone(self)))
    }

    /// What there is to tell of them.
    pub(crate) fn figures(&self) -> [Figure; 2] {
        let figure = |name: &str, value: u64, help| Figure {
            name: name.to_owned(),
            value: i64::try_from(value).unwrap_or(i64::MAX),
            help,
        };
        let open = self.open.load(Ordering::Relaxed) as u64;
        let refused = self.refused.load(Ordering::Relaxed);
        [
            figure("api_connections", open, "connections of the API and the page now"),
            figure(
                "api_connections_refused_total",
                refused,
                "connections that were hung up on, as there were too many",
            ),
        ]
    }
}

/// One of them, as long as it lives.
struct Open(Arc<Connections>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn protocols() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING_AFTER))
        .keep_alive_timeout(PONG_WITHIN)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .initial_stream_window_size(MAX_STREAM_UNREAD_BYTES)
        .initial_connection_window_size(MAX_UNREAD_BYTES);
    http
}

/// Serves until `shutdown` is over, then finishes what is under way.
pub(crate) async fn run<L>(
    mut listener: L,
    router: Router,
    connections: Arc<Connections>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    let http = protocols();
    let (closes, closing) = watch::channel(false);
    // Nothing is ever sent: it is closed when the last connection is over.
    let (alive, mut all_over) = mpsc::channel::<Infallible>(1);
    tokio::pin!(shutdown);
    loop {
        // Both branches are cancel-safe.
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let Some(open) = connections.take() else {
            connections.refuse();
            tracing::debug!(%peer, "too many connections to the API");
            continue;
        };
        let told = Told { peer, closing: closing.clone(), connections: Arc::clone(&connections) };
        let (uses, owed) = (watch::Sender::default(), Owed::default());
        let silence = silence(uses.subscribe(), Arc::clone(&owed));
        let service =
            TowerToHyperService::new(Answers { router: router.clone(), told, uses, owed });
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let (closing, alive) = (closing.clone(), alive.clone());
        tokio::spawn(async move {
            let _held = (open, alive);
            if let Err(error) = hold(connection, silence, closing).await {
                tracing::debug!(%peer, %error, "a connection to the API broke");
            }
        });
    }
    drop((listener, alive));
    closes.send_replace(true);
    all_over.recv().await;
    Ok(())
}

/// Keeps a connection until it ends, has been silent for too long, or the server stops and what it asked
/// for is answered.
async fn hold<C: GracefulConnection>(
    connection: C,
    silence: impl Future<Output = ()>,
    mut closing: watch::Receiver<bool>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let stops = async { drop(closing.wait_for(|closing| *closing).await) };
    // All branches are cancel-safe: the connection goes on where it was.
    let is_silent = tokio::select! {
        biased;
        () = stops => false,
        ended = connection.as_mut() => return ended,
        () = silence => true,
    };
    connection.as_mut().graceful_shutdown();
    if is_silent {
        // It is told so, and may say that it heard it.
        return timeout(PONG_WITHIN, connection).await.unwrap_or(Ok(()));
    }
    connection.await
}

/// What was asked for on a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// Requests ever.
    asked: u64,
    /// Those that are not answered to the end.
    under_way: usize,
}

/// The answers of a connection that wait to be taken on, each with since when. A short section without waiting.
type Owed = Arc<Mutex<HashMap<u64, Instant>>>;

fn waiting(owed: &Owed) -> MutexGuard<'_, HashMap<u64, Instant>> {
    owed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is over when an answer is not taken on in time.
async fn stalls(owed: &Owed) {
    loop {
        sleep(LOOKS).await;
        if waiting(owed).values().any(|since| since.elapsed() >= TAKEN_WITHIN) {
            return;
        }
    }
}

/// Is over when a connection asks for nothing in time, its first request or one more, or does not take what it
/// asked for.
async fn silence(mut uses: watch::Receiver<Use>, owed: Owed) {
    let (mut answered, mut within) = (0, HEAD_WITHIN);
    loop {
        let asks = async { uses.wait_for(|uses| uses.asked > answered).await.is_ok() };
        let Ok(is_alive) = timeout(within, asks).await else { return };
        let done = async {
            let done = uses.wait_for(|uses| uses.under_way == 0).await;
            done.map(|uses| uses.asked)
        };
        // Both branches are cancel-safe.
        let done = tokio::select! {
            biased;
            done = done => done,
            () = stalls(&owed) => return,
        };
        match done {
            Ok(asked) if is_alive => answered = asked,
            // The connection is over.
            Ok(_) | Err(_) => std::future::pending().await,
        }
        within = IDLE;
    }
}

/// What handlers are told beside the request: where it comes from, and when the server stops.
#[derive(Clone)]
struct Told {
    peer: SocketAddr,
    closing: watch::Receiver<bool>,
    connections: Arc<Connections>,
}

impl Told {
    fn tell<B>(&self, request: &mut Request<B>) {
        // HTTP/2 says in the address what HTTP/1.1 says in a header of its own.
        if !request.headers().contains_key(HOST)
            && let Some(named) = request.uri().authority()
            && let Ok(host) = HeaderValue::from_str(named.as_str())
        {
            request.headers_mut().insert(HOST, host);
        }
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(Peer(self.peer)));
        extensions.insert(Closing(self.closing.clone()));
        extensions.insert(Arc::clone(&self.connections));
    }
}

/// The routes, for one connection.
#[derive(Clone)]
struct Answers {
    router: Router,
    told: Told,
    uses: watch::Sender<Use>,
    owed: Owed,
}

impl<B> Service<Request<B>> for Answers
where
    Router: Service<Request<B>, Response = Response, Error = Infallible>,
    <Router as Service<Request<B>>>::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.told.tell(&mut request);
        let places = &self.told.connections.under_way;
        let Some(place) = places.take(neighbourhood(self.told.peer.ip())) else {
            let answer = too_many(is_grpc(request.headers()));
            return Box::pin(async move { Ok(answer) });
        };
        let under_way = UnderWay::new(&self.uses, &self.owed, place);
        let answer = self.router.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            under_way.owes();
            Ok(answer.map(|body| Body::new(Held { body, rest: Bytes::new(), under_way })))
        })
    }
}

fn too_many(is_grpc: bool) -> Response {
    let problem = Problem::busy("too many requests are under way", Duration::from_secs(1));
    if is_grpc { refused(&problem) } else { problem.into_response() }
}

/// A request that is not answered to the end.
struct UnderWay {
    uses: watch::Sender<Use>,
    owed: Owed,
    number: u64,
    _place: Place<IpAddr>,
}

impl UnderWay {
    fn new(uses: &watch::Sender<Use>, owed: &Owed, place: Place<IpAddr>) -> Self {
        let mut number = 0;
        uses.send_modify(|uses| {
            uses.asked += 1;
            uses.under_way += 1;
            number = uses.asked;
        });
        Self { uses: uses.clone(), owed: Arc::clone(owed), number, _place: place }
    }

    /// Something of the answer is there to be taken.
    fn owes(&self) {
        waiting(&self.owed).insert(self.number, Instant::now());
    }

    /// There is nothing of it now.
    fn owes_nothing(&self) {
        waiting(&self.owed).remove(&self.number);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.owes_nothing();
        self.uses.send_modify(|uses| uses.under_way = uses.under_way.saturating_sub(1));
    }
}

/// An answer's body, which is under way as long as it lives, in pieces.
struct Held {
    body: Body,
    /// What is still to be handed out of the last frame.
    rest: Bytes,
    under_way: UnderWay,
}

impl Held {
    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE_BYTES);
        Frame::data(self.rest.split_to(length))
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => {
                    self.under_way.owes_nothing();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => return ended,
            }
        }
        self.under_way.owes();
        Poll::Ready(Some(Ok(self.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        // In this order, as no bound may pass the other.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests;
