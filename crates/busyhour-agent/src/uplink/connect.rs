//! A connection over TLS whose proofs are this agent's own business.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::http::uri::{PathAndQuery, Scheme};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// For the connection, TLS included, and again for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// A path that is silently dead is noticed within this time plus the timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Where agents are heard unless the URL says otherwise.
const PORT: u16 = 7443;

/// An address that no certificate can name.
#[derive(Debug, Error)]
#[error("{0:?} is neither a name nor an address")]
pub struct InvalidHost(String);

/// What tonic is told to connect to: it would do TLS by itself, or refuse to, for https.
fn dialled(url: &Uri) -> Result<Uri, InvalidHost> {
    let mut parts = url.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).map_err(|_| InvalidHost(url.to_string()))
}

/// How a collector is reached, whoever answers there.
pub(crate) fn endpoint(url: &Uri) -> Endpoint {
    Endpoint::from(url.clone())
        .connect_timeout(TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(TIMEOUT)
        .keep_alive_while_idle(true)
}

/// A collector that is reached over TLS.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    endpoint: Endpoint,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Secured {
    pub(crate) fn new(url: &Uri) -> Result<Self, InvalidHost> {
        let host = url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| InvalidHost(host.clone()))?;
        let port = url.port_u16().unwrap_or(PORT);
        Ok(Self { endpoint: endpoint(&dialled(url)?).origin(url.clone()), host, port, name })
    }

    /// Connects and proves both ends, or not.
    pub(crate) async fn connect(
        &self,
        tls: Arc<ClientConfig>,
    ) -> Result<Channel, tonic::transport::Error> {
        let connector = TlsConnector::from(tls);
        let secured = self.clone();
        let connect = service_fn(move |_: Uri| {
            let (connector, secured) = (connector.clone(), secured.clone());
            async move {
                let plain = TcpStream::connect((secured.host.as_str(), secured.port)).await?;
                plain.set_nodelay(true)?;
                let stream = connector.connect(secured.name, plain).await?;
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        self.endpoint.connect_with_connector(connect).await
    }
}
