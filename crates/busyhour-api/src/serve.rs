//! Connections of the API and the page: each has a bounded time to say what it wants.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::events::Closing;
use crate::guard::Peer;

/// How long a request's head may take to come, from when the connection began or the answer before was
/// given: who holds a connection without asking for anything loses it.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Serves until `shutdown` is over, then finishes what is under way.
pub(crate) async fn run<L>(
    mut listener: L,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let connections = GracefulShutdown::new();
    let (closes, closing) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        // Both branches are cancel-safe.
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let service = router.clone().map_request(tells(peer, Closing(closing.clone())));
        let service = TowerToHyperService::new(service);
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection to the API broke");
            }
        });
    }
    drop(listener);
    closes.send_replace(true);
    connections.shutdown().await;
    Ok(())
}

/// Tells handlers where a request comes from, and when the server stops.
fn tells<B>(peer: SocketAddr, closing: Closing) -> impl FnMut(Request<B>) -> Request<B> + Clone {
    move |mut request| {
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        request.extensions_mut().insert(closing.clone());
        request
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

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

    async fn connect(door: &mpsc::Sender<DuplexStream>) -> DuplexStream {
        let (ours, theirs) = duplex(4_096);
        door.send(theirs).await.unwrap();
        ours
    }

    async fn answer(stream: &mut DuplexStream) -> String {
        let mut bytes = [0; 2_000];
        let length = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Nothing waits in real time here: when everybody waits, time goes on by itself.
    #[tokio::test(start_paused = true)]
    async fn who_never_finishes_a_request_loses_the_connection_and_others_are_served() {
        let (door, connections) = mpsc::channel(2);
        let peer = async |ConnectInfo(Peer(peer)): ConnectInfo<Peer>| peer.ip().to_string();
        let router = Router::new().route("/", get(peer));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(run(Within(connections), router, async {
            let _ = stopped.await;
        }));

        let mut slow = connect(&door).await;
        slow.write_all(&WHOLE[..20]).await.unwrap();
        let mut other = connect(&door).await;
        for _ in 0..2 {
            other.write_all(WHOLE).await.unwrap();
            let said = answer(&mut other).await;
            assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("127.0.0.1"), "{said}");
        }
        let said = answer(&mut slow).await;
        assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
        if !said.is_empty() {
            assert_eq!(answer(&mut slow).await, "", "the connection is over");
        }

        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
