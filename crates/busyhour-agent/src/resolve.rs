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

use crate::allow::{Allow, Refused, Special};
use crate::blocking::blocking;
use dns::Servers;

/// A name that gave no address.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error("the target's name did not resolve")]
    Failed(#[source] io::Error),
    #[error("the target's name has no address")]
    Empty,
    #[error("the target's name has no address that may be probed")]
    Refused(#[source] Refused),
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
    /// Leaves out what may not be probed, whoever said it.
    fn allowed(mut self, allow: &Allow, host: &str) -> Result<Self, ResolveError> {
        let mut refused = None;
        self.addresses.retain(|address| {
            let checked = allow.check(host, address.ip());
            if let Err(why) = checked {
                tracing::debug!(host, %why, "an address of a target is not probed");
                refused = Some(why);
            }
            checked.is_ok()
        });
        match (self.addresses.is_empty(), refused) {
            (false, _) => Ok(self),
            (true, Some(why)) => Err(ResolveError::Refused(why)),
            (true, None) => Err(ResolveError::Empty),
        }
    }
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
    allow: Arc<Allow>,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    /// Gives only addresses that may be probed.
    pub(crate) fn new(allow: Allow) -> Self {
        Self::with(Servers::OfSystem, allow)
    }

    fn with(servers: Servers, allow: Allow) -> Self {
        let lookups = Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self { servers, allow: Arc::new(allow), lookups }
    }

    /// The host's addresses. A host that is an address needs nobody to be asked. What the system is
    /// asked runs on a thread of its own for as long as that takes.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Found, ResolveError> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            let addresses = vec![(ip, 0).into()];
            let found = Found { addresses, holds: Some(FOR_EVER) };
            return found.allowed(&self.allow, host);
        }
        match dns::ask(&self.servers, host).await {
            Ok((mut addresses, ttl)) => {
                addresses.retain(|&ip| Special::of(ip).is_none_or(Special::may_be_excepted));
                order::sort(&mut addresses);
                addresses.truncate(MAX_ADDRESSES);
                let addresses = addresses.into_iter().map(|ip| (ip, 0).into()).collect();
                let found = Found { addresses, holds: Some(ttl) };
                return found.allowed(&self.allow, host);
            }
            Err(error) => {
                tracing::debug!(host, %error, "DNS does not tell a name's addresses; asking the system");
            }
        }
        let asked = host.to_owned();
        let addresses = self
            .one_of_few(move || (asked.as_str(), 0).to_socket_addrs())
            .await
            .map_err(ResolveError::Failed)?;
        let addresses = addresses.take(MAX_ADDRESSES).collect();
        Found { addresses, holds: None }.allowed(&self.allow, host)
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
