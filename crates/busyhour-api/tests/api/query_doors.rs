//! The door that HTTP/1.1 and gRPC share: who gets in, as what, and over what.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use busyhour_api::{Door, Peer, Services, SetUp, TlsListener, Transport, router, server_tls};
use busyhour_proto::query::query_client::QueryClient;
use busyhour_proto::query::{ListBuildingsRequest, ListWindowsRequest};
use busyhour_store::Reach;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tower::ServiceExt as _;

use crate::events::token;
use crate::query::{BOUND, code, served};
use crate::sign_in::set_up;
use crate::support::{Bed, CODE};

const METHOD: &str = "/busyhour.query.v1.Query/ListBuildings";
/// A frame with the state 1.
const SERVING: [u8; 7] = [0, 0, 0, 0, 2, 8, 1];

/// A message without fields, in its frame.
fn empty() -> Body {
    Body::from(vec![0; 5])
}

fn grpc(method: &str) -> axum::http::request::Builder {
    Request::post(method)
        .header("host", "localhost:8080")
        .header("content-type", "application/grpc")
}

/// One request of HTTP/1.1, and what comes until the end.
async fn plainly(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    timeout(BOUND, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn one_port_speaks_both() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    assert_eq!(code(client.list_buildings(ListBuildingsRequest::default()).await), Code::Ok);
    let stream = TcpStream::connect(served.address).await.expect("connected");
    let answer = plainly(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-length: "), "its length is known: {answer}");
}

async fn over_tls(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
    protocol: &[u8],
) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.expect("connected");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

#[tokio::test]
async fn over_tls_the_client_chooses_which() {
    let bed = Bed::full().behind_tls();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let (certificate, key) = (bed.directory().join("tls.pem"), bed.directory().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let tls = server_tls(&certificate, &key).expect("usable");
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async move { drop(stopped.await) };
    let listener = TlsListener::new(listener, tls);
    let server = tokio::spawn(busyhour_api::serve_tls(listener, bed.router.clone(), until));

    let root = made.cert.der().clone();
    let answer = plainly(over_tls(address, &root, b"http/1.1").await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let connect = tower::service_fn(move |_| {
        let root = root.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(over_tls(address, &root, b"h2").await)) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connect).await.expect("connected");
    let mut client = QueryClient::new(channel);
    let told = client.list_buildings(ListBuildingsRequest::default()).await.expect("told");
    assert_eq!(told.into_inner().buildings.len(), 3);
    drop(client);
    stop.send(()).expect("it serves");
    timeout(BOUND, server).await.expect("in time").expect("no panic").expect("served");
}

#[tokio::test]
async fn a_cookie_authenticates_no_grpc() {
    let bed = Bed::full();
    let answer = bed.send(grpc(METHOD).header("cookie", "busyhour-loopback=bhs_1"), empty()).await;
    assert_eq!(answer.header("grpc-status"), "16", "who has a cookie is not the local operator");
    let answer = bed.send(grpc(METHOD), empty()).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (StatusCode::OK, ""), "a good one");

    let cookie = set_up(&bed).await;
    let (_, session) = cookie.split_once('=').expect("a cookie");
    let answer = bed.send(grpc(METHOD).header("cookie", &cookie), empty()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert_eq!((answer.header("grpc-status"), answer.body.as_str()), ("16", ""));
    let proven = grpc(METHOD).header("authorization", format!("Bearer {session}"));
    let answer = bed.send(proven, empty()).await;
    assert_eq!(answer.header("grpc-status"), "", "it is told in the end: {}", answer.body);
    assert!(answer.body.contains(crate::support::MASKED));
    let answer = bed.send(grpc(METHOD), empty()).await;
    assert_eq!(answer.header("grpc-status"), "16", "there is an administrator");
}

#[tokio::test]
async fn only_grpc_is_taken_where_grpc_is_asked_for_and_nowhere_else() {
    let bed = Bed::full();
    let kinds = [
        "application/json",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc+json",
        "application/x-www-form-urlencoded",
        "text/plain",
    ];
    for kind in kinds {
        let request =
            Request::post(METHOD).header("host", "localhost").header("content-type", kind);
        let answer = bed.send(request, empty()).await;
        answer.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let request = Request::post(METHOD)
        .header("host", "localhost")
        .header("content-type", "application/grpc+proto");
    assert_eq!(bed.send(request, empty()).await.header("grpc-status"), "");
    let get = Request::get(METHOD).header("host", "localhost");
    bed.send(get, Body::empty()).await.problem(StatusCode::METHOD_NOT_ALLOWED);

    for address in ["/api/v1/silences", "/busyhour.query.v1.Query/Drop", "/none"] {
        let answer = bed.send(grpc(address), empty()).await;
        assert_eq!(answer.header("grpc-status"), "12", "{address}");
    }
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = bed.send(grpc(METHOD).header(name, value), empty()).await;
        assert_eq!(answer.header("grpc-status"), "7", "a foreign page sent it");
    }
    let rebound = Request::post(METHOD)
        .header("host", "evil.example")
        .header("content-type", "application/grpc");
    assert_eq!(bed.send(rebound, empty()).await.header("grpc-status"), "7");
}

/// Store calls that wait until they are let go.
#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    waiting: Mutex<usize>,
    opens: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut waiting = self.waiting.lock().expect("nobody panicked");
        *waiting += 1;
        while self.closed.load(Ordering::Relaxed) {
            waiting = self.opens.wait(waiting).expect("nobody panicked");
        }
        *waiting -= 1;
    }

    fn waiting(&self) -> usize {
        *self.waiting.lock().expect("nobody panicked")
    }

    fn open(&self) {
        self.closed.store(false, Ordering::Relaxed);
        drop(self.waiting.lock().expect("nobody panicked"));
        self.opens.notify_all();
    }
}

/// The answer of the health service.
async fn health(router: Router) -> Vec<u8> {
    // With a token that nobody has: nobody is looked up for it.
    let request = grpc("/grpc.health.v1.Health/Check").header("authorization", "Bearer bh_nobody");
    let answer = asked(router, request).await;
    to_bytes(answer.into_body(), 1_024).await.expect("a body").to_vec()
}

async fn asked(router: Router, request: axum::http::request::Builder) -> Response {
    asked_with(router, request, empty()).await
}

async fn asked_with(router: Router, request: axum::http::request::Builder, body: Body) -> Response {
    let mut request = request.body(body).expect("a request");
    request.extensions_mut().insert(ConnectInfo(Peer(([127, 0, 0, 1], 40_000).into())));
    router.oneshot(request).await.expect("infallible")
}

/// Everybody who asks for the health waits for nothing and takes nothing, whatever the store does. The clock
/// stands still while calls of the store are under way.
#[tokio::test(start_paused = true)]
async fn the_health_is_told_while_the_store_is_busy_with_everything_else() {
    let bed = Bed::full();
    let gate = Arc::new(Gate::default());
    let (at, now) = (Arc::clone(&gate), Arc::clone(&bed.services.clock));
    // Lists ask for the time on the thread that reads the store.
    let clock: busyhour_api::Clock = Arc::new(move || {
        at.pass();
        now()
    });
    let services = Services { clock, ..bed.services.clone() };
    let router = router(services, Door::new(Transport::Loopback, SetUp::with_code(CODE)));
    assert_eq!(health(router.clone()).await, SERVING);

    gate.closed.store(true, Ordering::Relaxed);
    let list =
        || tokio::spawn(asked(router.clone(), grpc("/busyhour.query.v1.Query/ListIncidents")));
    let lists: Vec<_> = (0..8).map(|_| list()).collect();
    let begun = std::time::Instant::now();
    while gate.waiting() < 8 {
        assert!(begun.elapsed() < BOUND, "all eight wait");
        tokio::task::yield_now().await;
    }
    let gate = Opens(gate);
    for _ in 0..100 {
        assert_eq!(soon(health(router.clone())).await, SERVING);
    }
    // What was kept is too old now.
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(soon(health(router.clone())).await, SERVING, "the store works");
    drop(gate);
    for list in lists {
        assert_eq!(list.await.expect("no panic").status(), StatusCode::OK);
    }
}

/// Waits, but not for ever: the clock of the test stands still.
async fn soon<T>(told: impl Future<Output = T>) -> T {
    let begun = std::time::Instant::now();
    let too_late = async {
        while begun.elapsed() < BOUND {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        told = told => told,
        () = too_late => panic!("it waits for the store"),
    }
}

/// Lets everybody go when the test is over, however it ends.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[tokio::test]
async fn who_does_not_take_large_answers_gets_no_more_of_them_and_others_do() {
    let bed = Bed::full();
    let (one, other) = (token(&bed, "one", Reach::All), token(&bed, "other", Reach::All));
    let span = "from=2026-03-02T00:00:00Z&until=2026-03-04T00:00:00Z";
    let list = |token: &str| {
        let request = Request::get(format!("/api/v1/paths/1/windows?format=ndjson&{span}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"));
        asked(bed.router.clone(), request)
    };
    let mut held = Vec::new();
    for _ in 0..8 {
        let answer = list(&one).await;
        assert_eq!(answer.status(), StatusCode::OK);
        held.push(answer);
    }
    assert_eq!(list(&one).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(list(&other).await.status(), StatusCode::OK);
    // 1,000 windows are large, the buildings are not.
    let windows = |token: &str| {
        let request = grpc("/busyhour.query.v1.Query/ListWindows")
            .header("authorization", format!("Bearer {token}"));
        let wanted = ListWindowsRequest {
            path_id: 1,
            from: "2026-03-02T00:00:00Z".to_owned(),
            until: "2026-03-04T00:00:00Z".to_owned(),
            ..ListWindowsRequest::default()
        };
        let message = wanted.encode_to_vec();
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        let body = Body::from([&[0][..], &length, &message].concat());
        asked_with(bed.router.clone(), request, body)
    };
    let status = |answer: &Response| answer.headers().get("grpc-status").cloned();
    assert_eq!(status(&windows(&one).await).expect("refused"), "14");
    assert_eq!(status(&windows(&other).await), None, "it is told in the end");
    let small = grpc(METHOD).header("authorization", format!("Bearer {one}"));
    assert_eq!(status(&asked(bed.router.clone(), small).await), None);
    held.pop();
    assert_eq!(status(&windows(&one).await), None);
}
