//! Serving over TLS: handshakes beside the server, so that a slow one keeps nobody waiting.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use busyhour_fleet::{Place, Places, neighbourhood};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::serve::{Connections, MAX_CONNECTIONS};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more files to give.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A certificate or key that cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file does not have what it should.
    #[error("read {what} from {}", file.display())]
    File {
        /// What it should have.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// The file has no certificate.
    #[error("there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// The key does not belong to the certificate, or is of a kind that cannot be used.
    #[error("the key and the certificate cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// Reads a chain of certificates, the server's own first, and its private key, both PEM.
///
/// # Errors
/// When one cannot be read or used.
pub fn server_tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let file = |what, file: &Path| {
        let file = file.to_owned();
        move |source| TlsError::File { what, file, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(file("a chain of certificates", certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(file("a private key", key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A listener whose connections are TLS. It listens as long as it lives.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsConnection, SocketAddr)>>,
    /// Connections at once, handshakes among them, shared out by address.
    places: Arc<Places<IpAddr>>,
    connections: Arc<Connections>,
}

impl TlsListener {
    /// Takes connections from a listener.
    #[must_use]
    pub fn new(listener: TcpListener, tls: Arc<ServerConfig>) -> Self {
        Self {
            listener,
            acceptor: TlsAcceptor::from(tls),
            handshakes: JoinSet::new(),
            places: Places::new(MAX_CONNECTIONS, usize::MAX),
            connections: Arc::default(),
        }
    }

    /// What is counted of its connections.
    pub(crate) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
    }

    /// The next connection that there is room for; others are hung up on.
    async fn next(
        listener: &TcpListener,
        (places, connections): (&Arc<Places<IpAddr>>, &Connections),
    ) -> (TcpStream, SocketAddr, Place<IpAddr>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match places.take(neighbourhood(peer.ip())) {
                    Some(place) => return (stream, peer, place),
                    None => {
                        connections.refuse();
                        tracing::debug!(%peer, "too many connections to the API from there");
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection to the API was not accepted");
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    (stream, peer, place): (TcpStream, SocketAddr, Place<IpAddr>),
) -> Option<(TlsConnection, SocketAddr)> {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some((TlsConnection { stream: Box::new(stream), _place: place }, peer)),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "no TLS with a client of the API");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a client of the API was too slow with TLS");
            None
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // Both are cancel-safe: a handshake goes on in its task, and nothing was accepted yet.
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(ready)) = done {
                        return ready;
                    }
                }
                accepted = Self::next(&self.listener, (&self.places, &self.connections)) => {
                    self.handshakes.spawn(handshake(self.acceptor.clone(), accepted));
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection, counted as long as it lives.
pub struct TlsConnection {
    stream: Box<TlsStream<TcpStream>>,
    _place: Place<IpAddr>,
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
