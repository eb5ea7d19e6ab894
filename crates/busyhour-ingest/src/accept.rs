//! Connections of agents, once their TLS handshake is done.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use busyhour_fleet::Fleet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Counters;

/// Handshakes at the same time. Each costs a signature; beyond, connections wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 256;
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Connections that wait for the server to take them.
const MAX_ACCEPTED: usize = 64;
/// After an error of the listener, such as no file descriptor left.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Accepts until `shutdown` is cancelled. Whose handshake fails is dropped and counted.
pub(crate) fn accept(
    listener: TcpListener,
    fleet: Arc<Fleet>,
    counters: Arc<Counters>,
    tracker: &TaskTracker,
    shutdown: CancellationToken,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (accepted, stream) = mpsc::channel(MAX_ACCEPTED);
    let handshakes = tracker.clone();
    tracker.spawn(async move {
        let room = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        loop {
            // All branches are cancel-safe.
            let (tcp, place) = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = next(&listener, &room) => match next {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(AFTER_ERROR).await;
                        continue;
                    }
                },
            };
            let acceptor = TlsAcceptor::from(fleet.tls().config());
            let (accepted, counters) = (accepted.clone(), Arc::clone(&counters));
            let shutdown = shutdown.clone();
            handshakes.spawn(async move {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => {}
                    () = shake(acceptor, tcp, accepted, &counters) => {}
                }
                drop(place);
            });
        }
    });
    ReceiverStream::new(stream)
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (tcp, _) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    Ok((tcp, place))
}

async fn shake(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    accepted: Sender<io::Result<TlsStream<TcpStream>>>,
    counters: &Counters,
) {
    match timeout(HANDSHAKE_WITHIN, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => {
            // The server is gone when nobody takes it.
            let _ = accepted.send(Ok(stream)).await;
        }
        Ok(Err(error)) => {
            counters.handshakes_failed(1);
            tracing::debug!(%error, "a handshake failed");
        }
        Err(_) => counters.handshakes_failed(1),
    }
}
