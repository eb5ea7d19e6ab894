//! Facts of the machine: its interfaces with their prefixes, kinds, speeds and counters, and the
//! interface a destination is routed through.
//!
//! It refuses to send anything and to know why somebody asks. What it reads is parsed by pure
//! functions that are tested on texts; only Linux is supported so far, and this crate is one of the
//! few that may say so.
//!
//! Everything here takes well under a millisecond, but reads files: callers on an asynchronous
//! runtime use a blocking thread.

mod counters;
mod interface;
mod kind;
mod power;
mod route;
mod usage;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use counters::{Counters, counters};
pub use interface::{Interface, interfaces, link_speed};
pub use power::on_battery;
pub use route::{Route, carriers, default_route, local_address, route_to};
pub use usage::{Usage, own_usage};

/// A fact that could not be learned.
#[derive(Debug, Error)]
pub enum HostError {
    /// A file of the operating system could not be read.
    #[error("{path:?} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The interfaces could not be listed.
    #[error("interfaces cannot be listed")]
    Interfaces(#[source] io::Error),
    /// There is no way to the destination.
    #[error("no route to {destination}")]
    NoRoute {
        /// The destination.
        destination: std::net::SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system routes from an address that no interface has.
    #[error("no interface has the address {0}")]
    Unowned(std::net::IpAddr),
}

/// Reads a file of `/proc` or `/sys`.
fn read(path: &str) -> Result<String, HostError> {
    std::fs::read_to_string(path).map_err(|source| HostError::Read { path: path.into(), source })
}
