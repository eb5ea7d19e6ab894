//! From a target's name to its addresses, and for how long they hold.
//!
//! DNS is asked directly, because only it tells for how long an answer holds; what it does not know
//! (names of other directories, of the local network, of this machine) the system's resolver is asked,
//! which tells no such thing.

mod dns;
mod order;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;

use crate::blocking::blocking;
use dns::Servers;

/// A name that gave no address.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error("the target's name did not resolve")]
    Failed(#[source] io::Error),
    #[error("the target's name has no address")]
    Empty,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its addresses (with port 0), best first (RFC 6724).
    pub(crate) addresses: Vec<SocketAddr>,
    /// How long that holds, as far as anybody says.
    pub(crate) holds: Option<Duration>,
}

/// More addresses than this of one name are not looked at.
const MAX_ADDRESSES: usize = 16;
/// Look-ups by the system at a time. A resolver that does not answer holds a thread for some 30 s; the
/// other threads are for those who look at the machine and for the spool.
pub(crate) const MAX_LOOKUPS: usize = 2;
/// What holds for as long as anything does.
const FOR_EVER: Duration = Duration::MAX;

/// Asks what names stand for, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    servers: Servers,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Self::with(Servers::OfSystem)
    }

    fn with(servers: Servers) -> Self {
        Self { servers, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// The host's addresses. A host that is an address needs nobody to be asked. What the system is
    /// asked runs on a thread of its own for as long as that takes.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Found, ResolveError> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Found { addresses: vec![(ip, 0).into()], holds: Some(FOR_EVER) });
        }
        match dns::ask(&self.servers, host).await {
            Ok((mut addresses, ttl)) => {
                order::sort(&mut addresses);
                addresses.truncate(MAX_ADDRESSES);
                let addresses = addresses.into_iter().map(|ip| (ip, 0).into()).collect();
                return Ok(Found { addresses, holds: Some(ttl) });
            }
            Err(error) => {
                tracing::debug!(host, %error, "DNS does not tell a name's addresses; asking the system");
            }
        }
        let host = host.to_owned();
        let addresses = self
            .one_of_few(move || (host.as_str(), 0).to_socket_addrs())
            .await
            .map_err(ResolveError::Failed)?;
        let addresses: Vec<SocketAddr> = addresses.take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(ResolveError::Empty);
        }
        Ok(Found { addresses, holds: None })
    }

    /// The permit is the question's, not the asker's, who may be gone before it is answered.
    async fn one_of_few<T: Send + 'static>(&self, ask: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.lookups).acquire_owned().await;
        blocking(move || {
            let answer = ask();
            drop(permit);
            answer
        })
        .await
    }
}

#[cfg(test)]
pub(crate) mod tests;
