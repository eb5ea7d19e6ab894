//! The door of the API and the page: where it is, over what, and how the first administrator comes to
//! be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use busyhour_api::{
    Door, Services, SetUp, TlsListener, Transport, router, serve, serve_tls, server_tls,
};
use busyhour_daemon::chain;
use busyhour_notify::BaseUrl;
use busyhour_store::Accounts;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Oidc;

/// The files of a certificate and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTls {
    /// The chain, the collector's own certificate first.
    pub certificate: PathBuf,
    /// Its key; nobody but the collector should be able to read it.
    pub key: PathBuf,
}

/// Where the API is to be reached.
pub(crate) struct ApiDoor {
    door: Door,
    tls: Option<Arc<rustls::ServerConfig>>,
    configured: SocketAddr,
    set_up: SetUp,
    /// What the first administrator is made with; `None` when there is one.
    code: Option<String>,
}

impl ApiDoor {
    /// Reads certificate and key, and draws a code when there is no administrator.
    pub(crate) fn new(
        configured: SocketAddr,
        tls: Option<&ApiTls>,
        accounts: &dyn Accounts,
    ) -> anyhow::Result<Self> {
        let server = tls.map(|files| server_tls(&files.certificate, &files.key)).transpose();
        let server = server.context("use api.tls")?;
        let transport = if server.is_some() { Transport::Tls } else { Transport::Loopback };
        let (set_up, code) = if accounts.has_administrator().context("look for an administrator")? {
            (SetUp::closed(), None)
        } else {
            let (set_up, code) = SetUp::draw().context("draw the code for the set-up")?;
            (set_up, Some(code))
        };
        // What claims are worth may have changed while nobody was here. A disk that is full at the start is
        // no reason not to answer questions.
        if let Err(error) = accounts.end_proven_sessions() {
            tracing::warn!(error = %chain(&error), "sessions that a provider vouched for go on");
        }
        let door = Door::new(transport, set_up.clone());
        Ok(Self { door, tls: server, configured, set_up, code })
    }

    /// The same, with the identity provider that people come back from to the page's address.
    pub(crate) fn with_provider(
        self,
        oidc: Option<&Oidc>,
        base_url: &BaseUrl,
    ) -> anyhow::Result<Self> {
        let Some(oidc) = oidc else { return Ok(self) };
        let provider = oidc.provider(&base_url.to_string()).context("use api.oidc")?;
        Ok(Self { door: self.door.with_provider(provider), ..self })
    }

    /// Where to listen now: on loopback alone, until there is an administrator.
    pub(crate) fn listen(&self) -> SocketAddr {
        let loopback: IpAddr = match self.configured {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        if self.code.is_none() || self.is_local() {
            return self.configured;
        }
        SocketAddr::new(loopback, self.configured.port())
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn is_local(&self) -> bool {
        self.configured.ip().to_canonical().is_loopback()
    }

    /// Says how the first administrator is made, to whoever started the collector and nobody else: the
    /// code is in no log.
    pub(crate) fn tell(&self, address: SocketAddr, console: impl FnOnce(&str)) {
        let Some(code) = &self.code else { return };
        let (scheme, configured) = (self.scheme(), self.configured);
        let elsewhere = match self.is_local() {
            true => String::new(),
            false => format!(" It listens on {configured} as soon as there is one."),
        };
        console(&format!(
            "There is no administrator yet, and programs on this machine are let in.{elsewhere}\n\
             To make the first one open {scheme}://{address}/set-up; the code is {code}\n"
        ));
    }

    /// Serves until `closing`; moves to the configured address when the first administrator was made.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        services: Services,
        closing: CancellationToken,
    ) -> anyhow::Result<()> {
        let pages = router(services, self.door.clone());
        let address = listener.local_addr().context("ask for the port of api.listen")?;
        let moves = self.code.is_some() && !self.is_local();
        let (ends, set_up) = (closing.clone(), self.set_up.clone());
        let until = async move {
            // Both are cancel-safe.
            tokio::select! {
                biased;
                () = ends.cancelled() => {}
                () = set_up.done(), if moves => {}
            }
        };
        serve_on(listener, self.tls.clone(), pages.clone(), until).await?;
        if !moves || closing.is_cancelled() {
            return Ok(());
        }
        let elsewhere = SocketAddr::new(self.configured.ip(), address.port());
        let listener = TcpListener::bind(elsewhere)
            .await
            .with_context(|| format!("listen on api.listen = {elsewhere}"))?;
        tracing::info!(api = %elsewhere, "there is an administrator: the API is reached from elsewhere");
        serve_on(listener, self.tls, pages, closing.cancelled_owned()).await
    }
}

async fn serve_on(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    pages: axum::Router,
    until: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let served = match tls {
        None => serve(listener, pages, until).await,
        Some(tls) => serve_tls(TlsListener::new(listener, tls), pages, until).await,
    };
    served.context("serve the API and the page")
}
