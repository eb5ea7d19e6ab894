//! The way to a target, and what changes it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use busyhour_host::{HostError, Route, route_to};
use busyhour_model::{AddressFamily, Context, GapReason, InvalidPath, PathKey};
use busyhour_net::SocketError;
use busyhour_probe::InvalidSession;
use thiserror::Error;

/// Why a window could not begin.
#[derive(Debug, Error)]
pub(super) enum ProbeError {
    #[error("the target's name has not resolved so far")]
    Unresolved,
    #[error("no address of the target can be reached")]
    Route(#[source] HostError),
    #[error("the probe's socket cannot be opened")]
    Socket(#[source] Arc<SocketError>),
    #[error("the way to the target cannot be named")]
    Path(#[source] InvalidPath),
    #[error("the session cannot be")]
    Session(#[source] InvalidSession),
    #[error("the session cannot begin: {0}")]
    Prober(&'static str),
}

impl ProbeError {
    /// True when this machine has no way to the target: an outage wherever there was one before.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Route(HostError::NoRoute { .. }) => true,
            Self::Socket(error) => error.is_address_gone(),
            Self::Route(_)
            | Self::Unresolved
            | Self::Path(_)
            | Self::Session(_)
            | Self::Prober(_) => false,
        }
    }

    /// What a window that could not begin is missing for.
    pub(super) const fn reason(&self) -> GapReason {
        match self {
            Self::Unresolved => GapReason::Unresolved,
            Self::Route(_)
            | Self::Socket(_)
            | Self::Path(_)
            | Self::Session(_)
            | Self::Prober(_) => GapReason::NotRunning,
        }
    }
}

/// The way to the target for as long as it stays the same.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) peer: SocketAddr,
    pub(super) route: Route,
    pub(super) path: PathKey,
    pub(super) context: Context,
}

pub(super) const fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 }
}

/// Which way packets leave now, if it is not by `local` to `peer`. A machine that has no way at all
/// has no other way either: what it sends is lost, and that is what there is to record. `local` is
/// `None` for a session that has no socket, because its address was gone.
pub(super) fn changed(
    peer: SocketAddr,
    local: Option<IpAddr>,
    peers: &[SocketAddr],
    local_address: impl Fn(SocketAddr) -> Option<IpAddr>,
) -> Option<&'static str> {
    let stays = peers.contains(&peer);
    let leaves = if stays { local_address(peer) } else { None };
    if leaves.is_none() && !peers.iter().any(|&peer| local_address(peer).is_some()) {
        return None;
    }
    if !stays {
        return Some("the target's address");
    }
    (local.is_none() || leaves != local).then_some("the route")
}

/// The first address that there is a route to.
pub(crate) fn first_route(candidates: &[SocketAddr]) -> Result<(SocketAddr, Route), HostError> {
    let mut failed = None;
    for &peer in candidates {
        match route_to(peer) {
            Ok(route) => return Ok((peer, route)),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or(HostError::Interfaces(std::io::ErrorKind::NotFound.into())))
}
