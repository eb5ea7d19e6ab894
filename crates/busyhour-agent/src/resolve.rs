//! From a target's name to an address.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

use crate::blocking::blocking;

/// A name that gave no address.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error("the target's name did not resolve")]
    Failed(#[source] io::Error),
    #[error("the target's name has no address")]
    Empty,
}

/// More addresses than this of one name are not looked at.
const MAX_ADDRESSES: usize = 16;
/// Look-ups at a time. A resolver that does not answer holds a thread for some 30 s; the other
/// threads are for those who look at the machine and for the spool.
pub(crate) const MAX_LOOKUPS: usize = 2;

/// Asks what names stand for, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct Resolver(Arc<Semaphore>);

impl Resolver {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKUPS)))
    }

    /// The host's addresses (with port 0), in the resolver's order of preference (RFC 6724). The
    /// question runs on a thread of its own for as long as the resolver takes; a host that is an
    /// address needs none.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, 0)]);
        }
        let host = host.to_owned();
        let addresses = self
            .one_of_few(move || (host.as_str(), 0).to_socket_addrs())
            .await
            .map_err(ResolveError::Failed)?;
        let addresses: Vec<SocketAddr> = addresses.take(MAX_ADDRESSES).collect();
        if addresses.is_empty() { Err(ResolveError::Empty) } else { Ok(addresses) }
    }

    /// The permit is the question's, not the asker's, who may be gone before it is answered.
    async fn one_of_few<T: Send + 'static>(&self, ask: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        blocking(move || {
            let answer = ask();
            drop(permit);
            answer
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn addresses_stand_for_themselves() {
        let resolver = Resolver::new();
        let resolved = async |host| resolver.resolve(host).await.unwrap();
        assert_eq!(resolved("192.0.2.1").await, ["192.0.2.1:0".parse().unwrap()]);
        assert_eq!(resolved("2001:db8::1").await, ["[2001:db8::1]:0".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_an_error() {
        assert!(Resolver::new().resolve("..").await.is_err());
    }

    #[tokio::test]
    async fn a_resolver_that_hangs_is_asked_no_third_question_even_if_nobody_waits() {
        let resolver = Resolver::new();
        let mut answers = Vec::new();
        for _ in 0..MAX_LOOKUPS {
            let (answer, hanging) = channel::<()>();
            let mut asked = Box::pin(resolver.one_of_few(move || hanging.recv().is_ok()));
            assert_eq!(futures_poll(asked.as_mut()), Poll::Pending);
            answers.push(answer);
        }
        let mut third = Box::pin(resolver.one_of_few(|| true));
        assert_eq!(futures_poll(third.as_mut()), Poll::Pending);
        assert_eq!(resolver.0.available_permits(), 0);
        answers.pop().unwrap().send(()).unwrap();
        assert!(third.await);
        drop(answers);
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
