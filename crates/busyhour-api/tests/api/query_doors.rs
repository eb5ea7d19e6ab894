//! The door that HTTP/1.1 and gRPC share: who gets in, as what, and over what.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use busyhour_api::{Door, Peer, Services, SetUp, TlsListener, Transport, router, server_tls};
use busyhour_proto::query::ListBuildingsRequest;
use busyhour_proto::query::query_client::QueryClient;
use hyper_util::rt::TokioIo;
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
    let mut request = request.body(empty()).expect("a request");
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
    for _ in 0..100 {
        let told = tokio::select! {
            biased;
            told = health(router.clone()) => told,
            () = turns(1_000) => panic!("it waits for the store"),
        };
        assert_eq!(told, SERVING);
    }
    gate.open();
    for list in lists {
        assert_eq!(list.await.expect("no panic").status(), StatusCode::OK);
    }
}

/// So often everything else had its turn.
async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
