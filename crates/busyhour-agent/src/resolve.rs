//! From a target's name to an address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

/// Resolvers give up after some 30 s; a window should not wait that long for one.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A name that gave no address.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error("the target's name did not resolve")]
    Failed(#[source] io::Error),
    #[error("the target's name has no address")]
    Empty,
    #[error("the target's name did not resolve within {TIMEOUT:?}")]
    Timeout,
}

/// More addresses than this of one name are not looked at.
const MAX_ADDRESSES: usize = 16;

/// The target's addresses, in the resolver's order of preference (RFC 6724). The question runs on a
/// thread of its own; a target that is an address needs none.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let answer = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = match answer {
        Ok(Ok(addresses)) => addresses.take(MAX_ADDRESSES).collect(),
        Ok(Err(error)) => return Err(ResolveError::Failed(error)),
        Err(_) => return Err(ResolveError::Timeout),
    };
    if addresses.is_empty() { Err(ResolveError::Empty) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_stand_for_themselves() {
        let resolved = async |host| resolve(host, 862).await.unwrap();
        assert_eq!(resolved("192.0.2.1").await, ["192.0.2.1:862".parse().unwrap()]);
        assert_eq!(resolved("2001:db8::1").await, ["[2001:db8::1]:862".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_an_error() {
        assert!(resolve("..", 862).await.is_err());
    }
}
