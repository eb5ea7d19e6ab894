//! Connections of agents, once their TLS handshake is done.
//!
//! Nobody takes all: places for handshakes, and for connections without a certificate, are shared out
//! by address; an agent has a few connections, from wherever they come. Who finds no place is hung up
//! on and counted, and agents come back later by themselves.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use busyhour_fleet::{Fleet, Place, Places, ShownCertificate, neighbourhood};
use busyhour_model::AgentId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;

use crate::Counters;

/// Handshakes at the same time; each has some 20 kB and a signature.
const MAX_HANDSHAKES: usize = 512;
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Connections without a certificate at the same time: they can only enrol.
const MAX_STRANGERS: usize = 256;
/// How long they last: an enrolment takes a second.
const STRANGER_LASTS: Duration = Duration::from_secs(60);
/// How long a write may stand still: who does not read for so long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// Connections of agents at the same time: as many sessions as there may be, and some that renew.
const MAX_CONNECTIONS: usize = 25_000;
/// Connections of one agent: one or two, and what a broken network has not told of yet.
const MAX_OF_AN_AGENT: usize = 8;
/// Connections that wait for the server to take them.
const MAX_ACCEPTED: usize = 64;
/// After an error of the listener, such as no file descriptor left.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// What is shared out.
#[derive(Debug, Clone)]
struct Room {
    handshakes: Arc<Places<IpAddr>>,
    strangers: Arc<Places<IpAddr>>,
    agents: Arc<Places<AgentId>>,
}

/// Accepts until `shutdown` is cancelled. Whose handshake fails is dropped and counted.
pub(crate) fn accept(
    listener: TcpListener,
    fleet: Arc<Fleet>,
    counters: Arc<Counters>,
    tracker: &TaskTracker,
    shutdown: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, stream) = mpsc::channel(MAX_ACCEPTED);
    let handshakes = tracker.clone();
    tracker.spawn(async move {
        let room = Room {
            handshakes: Places::new(MAX_HANDSHAKES, usize::MAX),
            strangers: Places::new(MAX_STRANGERS, usize::MAX),
            agents: Places::new(MAX_CONNECTIONS, MAX_OF_AN_AGENT),
        };
        loop {
            // Both branches are cancel-safe.
            let (tcp, address) = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = next(&listener) => match next {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(AFTER_ERROR).await;
                        continue;
                    }
                },
            };
            let Some(place) = room.handshakes.take(address) else {
                counters.connections_refused(1);
                continue;
            };
            let acceptor = TlsAcceptor::from(fleet.tls().config());
            let (accepted, counters) = (accepted.clone(), Arc::clone(&counters));
            let (room, shutdown) = (room.clone(), shutdown.clone());
            handshakes.spawn(async move {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => {}
                    () = shake(acceptor, tcp, address, &room, accepted, &counters) => {}
                }
                drop(place);
            });
        }
    });
    ReceiverStream::new(stream)
}

async fn next(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (tcp, peer) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    Ok((tcp, neighbourhood(peer.ip())))
}

async fn shake(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    address: IpAddr,
    room: &Room,
    accepted: Sender<io::Result<Connection>>,
    counters: &Counters,
) {
    let stream = match timeout(HANDSHAKE_WITHIN, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            counters.handshakes_failed(1);
            tracing::debug!(%error, "a handshake failed");
            return;
        }
        Err(_) => return counters.handshakes_failed(1),
    };
    match Connection::new(stream, address, room) {
        // The server is gone when nobody takes it.
        Some(connection) => drop(accepted.send(Ok(connection)).await),
        None => counters.connections_refused(1),
    }
}

/// A connection with its place, given back when it ends.
pub(crate) struct Connection<S = TlsStream<TcpStream>> {
    stream: S,
    _of_stranger: Option<Place<IpAddr>>,
    _of_agent: Option<Place<AgentId>>,
    /// When it ends, of one without a certificate.
    ends: Option<Pin<Box<Sleep>>>,
    /// When it ends because a write stands still.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// `None` when there is no place for it.
    fn new(stream: TlsStream<TcpStream>, address: IpAddr, room: &Room) -> Option<Self> {
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let agent = shown.and_then(|leaf| ShownCertificate::read(leaf).ok()).map(|it| it.agent);
        let (stranger, agent) = match agent {
            Some(agent) => (None, Some(room.agents.take(agent)?)),
            None => (Some(room.strangers.take(address)?), None),
        };
        let ends = stranger.is_some().then(|| Box::pin(sleep(STRANGER_LASTS)));
        Some(Self { stream, _of_stranger: stranger, _of_agent: agent, ends, stuck: None })
    }
}

impl<S> Connection<S> {
    /// True when its time is over; otherwise the task is woken then.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(context).is_ready())
    }

    /// What a write comes to. Its end is asked for here, too: the transport reads nothing while it
    /// cannot write.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if polled.is_ready() {
            self.stuck = None;
            return polled;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(WRITE_WITHIN)));
        match stuck.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = <TlsStream<TcpStream> as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn connection<S>(stream: S, ends: Option<Duration>) -> Connection<S> {
        let ends = ends.map(|after| Box::pin(sleep(after)));
        Connection { stream, _of_stranger: None, _of_agent: None, ends, stuck: None }
    }

    /// Nothing waits in real time here: when everybody waits, time goes on by itself.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_loses_the_connection_whoever_it_is() {
        for ends in [Some(STRANGER_LASTS), None] {
            let (near, far) = duplex(8);
            let mut near = connection(near, ends);
            let ended = near.write_all(&[0; 100]).await;
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut, "{ends:?}");
            drop(far);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_goes_on_and_a_stranger_ends_all_the_same() {
        let (near, mut far) = duplex(8);
        let mut near = connection(near, None);
        let reading = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(WRITE_WITHIN / 2).await;
                far.read_exact(&mut [0; 8]).await.unwrap();
            }
            far
        });
        near.write_all(&[0; 80]).await.unwrap();
        drop(reading.await.unwrap());

        let (near, _far) = duplex(8);
        let mut near = connection(near, Some(STRANGER_LASTS));
        let ended = near.read(&mut [0; 8]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
