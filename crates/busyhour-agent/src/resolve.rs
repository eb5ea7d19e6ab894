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

impl Found {
    /// Leaves out what is no machine's address, whoever said it.
    fn of_machines(mut self) -> Result<Self, ResolveError> {
        self.addresses.retain(|address| is_of_a_machine(address.ip()));
        if self.addresses.is_empty() { Err(ResolveError::Empty) } else { Ok(self) }
    }
}

/// False for addresses that stand for nobody or for many: no reflector has one, and what is sent
/// there disturbs others.
pub(crate) fn is_of_a_machine(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_multicast() && !ip.is_unspecified() && !broadcast
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
            let addresses = vec![(ip, 0).into()];
            return Found { addresses, holds: Some(FOR_EVER) }.of_machines();
        }
        match dns::ask(&self.servers, host).await {
            Ok((mut addresses, ttl)) => {
                addresses.retain(|&ip| is_of_a_machine(ip));
                order::sort(&mut addresses);
                addresses.truncate(MAX_ADDRESSES);
                let addresses = addresses.into_iter().map(|ip| (ip, 0).into()).collect();
                return Found { addresses, holds: Some(ttl) }.of_machines();
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
        let addresses = addresses.take(MAX_ADDRESSES).collect();
        Found { addresses, holds: None }.of_machines()
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
