//! Questions to name servers.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use thiserror::Error;

use crate::blocking::blocking;

/// How long all servers together may take, before the system is asked instead.
const PATIENCE: Duration = Duration::from_secs(12);

/// Why DNS did not tell.
#[derive(Debug, Error)]
pub(super) enum DnsError {
    #[error("no name server answered properly: {0}")]
    Failed(#[from] NetError),
    #[error("no name server answered in time")]
    Late,
    #[error("the name has no address in DNS")]
    Empty,
}

/// Which name servers are asked.
#[derive(Debug, Clone)]
pub(super) enum Servers {
    /// Those that the system is configured with at the moment.
    OfSystem,
    /// These.
    #[cfg(test)]
    Given(Box<ResolverConfig>),
}

impl Servers {
    fn read(self) -> Result<(ResolverConfig, ResolverOpts), NetError> {
        match self {
            Self::OfSystem => read_system_conf(),
            #[cfg(test)]
            Self::Given(config) => Ok((*config, ResolverOpts::default())),
        }
    }
}

/// The host's addresses and for how long they hold: for as long as the shortest-lived record of the
/// answers does, aliases included. When one address family is not told properly nothing is, so that a
/// server's hiccup is never taken for an address that is gone.
pub(super) async fn ask(
    servers: &Servers,
    host: &str,
) -> Result<(Vec<IpAddr>, Duration), DnsError> {
    let servers = servers.clone();
    // It reads files, each time anew: a machine that moves to another network gets other servers.
    let resolver = blocking(move || resolver(servers)).await?;
    let both = async {
        tokio::join!(resolver.lookup(host, RecordType::AAAA), resolver.lookup(host, RecordType::A))
    };
    let (ipv6, ipv4) = tokio::time::timeout(PATIENCE, both).await.map_err(|_| DnsError::Late)?;
    let mut addresses = Vec::new();
    let mut ttl = u32::MAX;
    for lookup in [told(ipv6)?, told(ipv4)?].into_iter().flatten() {
        for record in lookup.answers() {
            ttl = ttl.min(record.ttl);
            addresses.extend(record.data.ip_addr());
        }
    }
    addresses.dedup();
    if addresses.is_empty() {
        return Err(DnsError::Empty);
    }
    Ok((addresses, Duration::from_secs(ttl.into())))
}

fn resolver(servers: Servers) -> Result<TokioResolver, NetError> {
    let (config, mut options) = servers.read()?;
    // Answers are kept by whoever asked, for as long as they hold.
    options.cache_size = 0;
    Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

/// An answer; `None` when there is nothing, for sure.
fn told(answer: Result<Lookup, NetError>) -> Result<Option<Lookup>, DnsError> {
    match answer {
        Ok(lookup) => Ok(Some(lookup)),
        Err(error) if error.is_no_records_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
