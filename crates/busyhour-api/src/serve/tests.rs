//! Nothing waits in real time here: when everybody waits, time goes on by itself.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// What HTTP/2 begins with (RFC 9113, section 3.4), and settings that say nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GET, http, the host localhost (RFC 7541, appendix A); then the path.
const HEAD: &[u8] = b"\x82\x86\x41\x09localhost";
const ROOT: &[u8] = b"\x84";
const ENDLESS: &[u8] = b"\x04\x08/endless";
/// Megabytes in one frame.
const LARGE: usize = 2 << 20;
const LARGE_PATH: &[u8] = b"\x04\x06/large";
/// That nothing of any answer is taken (RFC 9113, section 6.5.2).
const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// Connections within the process: a paused clock does not know of a kernel that still carries bytes.
struct Within(mpsc::Receiver<DuplexStream>);

impl Listener for Within {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        match self.0.recv().await {
            Some(stream) => (stream, SocketAddr::from(([127, 0, 0, 1], 1))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 2)))
    }
}

struct Server {
    door: mpsc::Sender<DuplexStream>,
    connections: Arc<Connections>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start() -> Self {
        let (door, connecting) = mpsc::channel(2);
        let host = async |ConnectInfo(Peer(peer)): ConnectInfo<Peer>, headers: HeaderMap| {
            format!("{} {}", headers[HOST].to_str().unwrap(), peer.ip())
        };
        let endless =
            async || Body::from_stream(tokio_stream::pending::<Result<Bytes, io::Error>>());
        let large = async || vec![7_u8; LARGE];
        let router = Router::new()
            .route("/", get(host))
            .route("/endless", get(endless))
            .route("/large", get(large));
        let (stop, stopped) = oneshot::channel::<()>();
        let connections = Arc::<Connections>::default();
        let until = async {
            let _ = stopped.await;
        };
        let task = run(Within(connecting), router, Arc::clone(&connections), until);
        Self { door, connections, stop, task: tokio::spawn(task) }
    }

    async fn connect(&self) -> DuplexStream {
        let (ours, theirs) = duplex(64 * 1024);
        self.door.send(theirs).await.unwrap();
        ours
    }

    /// What was counted: connections now, and those that were refused.
    fn counted(&self) -> [i64; 2] {
        self.connections.figures().map(|figure| figure.value)
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

async fn answer(stream: &mut DuplexStream) -> String {
    let mut bytes = [0; 2_000];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// How long it takes until the other end hangs up.
async fn held(stream: &mut DuplexStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    // It may hang up in the midst of something.
    let _ = stream.read_to_end(&mut rest).await;
    begun.elapsed()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// One request of HTTP/2, which is all there is to say.
fn request(stream: u8, path: &[u8]) -> Vec<u8> {
    frame(1, 0b101, stream, &[HEAD, path].concat())
}

/// The next frame: its kind, its flags, what it holds; `None` when the other end hung up.
async fn next(stream: &mut DuplexStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}

/// Begins HTTP/2 and asks for something.
async fn begin(server: &Server, path: &[u8]) -> DuplexStream {
    let mut stream = server.connect().await;
    stream.write_all(&[PREFACE, SETTINGS, &request(1, path)].concat()).await.unwrap();
    stream
}

/// Says that it is there whenever it is asked, for so long, or until the other end says goodbye.
async fn stays(stream: &mut DuplexStream, within: Duration) -> bool {
    let pongs = async {
        while let Some((kind, flags, payload)) = next(stream).await {
            match (kind, flags) {
                (6, 0) => stream.write_all(&frame(6, 1, 0, &payload)).await.unwrap(),
                (7, _) => return,
                _ => {}
            }
        }
    };
    timeout(within, pongs).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn who_never_finishes_a_request_loses_the_connection_and_others_are_served() {
    let server = Server::start();
    let mut slow = server.connect().await;
    slow.write_all(&WHOLE[..20]).await.unwrap();
    let mut other = server.connect().await;
    for _ in 0..2 {
        other.write_all(WHOLE).await.unwrap();
        let said = answer(&mut other).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert!(said.ends_with("localhost 127.0.0.1"), "{said}");
    }
    let said = answer(&mut slow).await;
    assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
    if !said.is_empty() {
        assert_eq!(answer(&mut slow).await, "", "the connection is over");
    }
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_only_begins_loses_the_connection() {
    let server = Server::start();
    let begun = [PREFACE, SETTINGS].concat();
    let half = [&begun, &frame(1, 0, 1, HEAD)[..]].concat();
    let cut = [&begun, &request(1, ROOT)[..12]].concat();
    for said in [&b""[..], b"P", &PREFACE[..9], PREFACE, &begun, &half, &cut, b"GET / HTTP/1.1\r\n"]
    {
        let mut stream = server.connect().await;
        stream.write_all(said).await.unwrap();
        let held = held(&mut stream).await;
        assert!(held >= HEAD_WITHIN && held <= HEAD_WITHIN + PONG_WITHIN, "{held:?} {said:?}");
    }
    tokio::task::yield_now().await;
    assert_eq!(server.counted(), [0, 0]);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_one_connection_may_hold_is_told_when_it_begins() {
    let server = Server::start();
    let mut stream = server.connect().await;
    stream.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let (kind, _, payload) = next(&mut stream).await.unwrap();
    assert_eq!(kind, 4);
    let told: BTreeMap<u16, u32> = payload
        .chunks_exact(6)
        .map(|pair| {
            let value = u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
            (u16::from_be_bytes([pair[0], pair[1]]), value)
        })
        .collect();
    // Streams at once, what comes unread on one, the list of headers (RFC 9113, section 6.5.2).
    assert_eq!(told.get(&3), Some(&MAX_STREAMS));
    assert_eq!(told.get(&4), Some(&MAX_STREAM_UNREAD_BYTES));
    assert_eq!(told.get(&6), Some(&MAX_HEAD_BYTES));
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn http_2_is_served_and_its_host_is_known() {
    let server = Server::start();
    let mut stream = begin(&server, ROOT).await;
    let mut text = String::new();
    while let Some((kind, flags, payload)) = next(&mut stream).await {
        if kind == 0 {
            text.push_str(std::str::from_utf8(&payload).unwrap());
            if flags & 1 == 1 {
                break;
            }
        }
    }
    assert_eq!(text, "localhost 127.0.0.1");
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_asked_once_and_never_again_is_said_goodbye_to() {
    let server = Server::start();
    let mut stream = begin(&server, ROOT).await;
    let begun = Instant::now();
    assert!(!stays(&mut stream, IDLE * 10).await, "it is over");
    assert!(begun.elapsed() >= IDLE && begun.elapsed() <= IDLE + PONG_WITHIN);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_is_not_idle() {
    let server = Server::start();
    let mut stream = begin(&server, ENDLESS).await;
    assert!(stays(&mut stream, IDLE * 3).await);
    drop(stream);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_that_it_is_there_is_gone_whatever_it_waits_for() {
    let server = Server::start();
    let mut stream = begin(&server, ENDLESS).await;
    assert!(held(&mut stream).await <= PING_AFTER + PONG_WITHIN * 2);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn there_are_only_so_many_connections_and_the_others_are_counted() {
    let server = Server::start();
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        held.push(server.connect().await);
    }
    let mut more = server.connect().await;
    assert_eq!(answer(&mut more).await, "", "it is hung up on");
    let most = i64::try_from(MAX_CONNECTIONS).unwrap();
    assert_eq!(server.counted(), [most, 1]);
    held.pop();
    while server.counted()[0] == most {
        tokio::task::yield_now().await;
    }
    let mut more = server.connect().await;
    more.write_all(WHOLE).await.unwrap();
    let said = answer(&mut more).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!(server.counted(), [most, 1]);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_an_answer_loses_the_connection() {
    for path in [ROOT, LARGE_PATH] {
        let server = Server::start();
        let mut stream = server.connect().await;
        let said = [PREFACE, NO_WINDOW, &request(1, path)].concat();
        stream.write_all(&said).await.unwrap();
        let begun = Instant::now();
        assert!(!stays(&mut stream, IDLE * 10).await, "it is over");
        let held = begun.elapsed();
        assert!(held >= TAKEN_WITHIN && held <= TAKEN_WITHIN + LOOKS * 2, "{held:?}");
        drop(stream);
        while server.counted()[0] > 0 {
            tokio::task::yield_now().await;
        }
        assert!(server.connections.under_way.take(neighbourhood([127, 0, 0, 1].into())).is_some());
        server.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_gets_all_of_a_large_answer_however_long_it_takes() {
    let server = Server::start();
    let (mut stream, theirs) = duplex(4_096);
    server.door.send(theirs).await.unwrap();
    let asked = b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).await.unwrap();
    let (begun, mut all, mut bytes) = (Instant::now(), 0, [0; 4_096]);
    loop {
        sleep(Duration::from_secs(2)).await;
        match stream.read(&mut bytes).await.unwrap() {
            0 => break,
            length => all += length,
        }
    }
    assert!(begun.elapsed() > IDLE * 3);
    assert!(all > LARGE, "{all} of {LARGE} and the head");
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn there_are_only_so_many_requests_under_way() {
    let server = Server::start();
    let from = neighbourhood([127, 0, 0, 1].into());
    let mut taken = Vec::new();
    while let Some(place) = server.connections.under_way.take(from) {
        taken.push(place);
    }
    assert_eq!(taken.len(), MAX_UNDER_WAY / 2);
    let mut stream = server.connect().await;
    stream.write_all(WHOLE).await.unwrap();
    let said = answer(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    taken.pop();
    stream.write_all(WHOLE).await.unwrap();
    let said = answer(&mut stream).await;
    assert!(said.contains("HTTP/1.1 200"), "{said}");
    server.stop().await;
}
