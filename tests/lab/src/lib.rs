//! A network on one machine, in network namespaces, of two kinds:
//!
//! - [`Network`]: agent, router and reflector, with nftables and traffic control on the router;
//! - [`Wire`]: agent and reflector at the two ends of a wire that is a thread of the test. It delays,
//!   loses, duplicates and reorders packets by the test kit's seeded emulator, and keeps of each
//!   packet what it did: the ground truth.
//!
//! Addresses are of the ranges for documentation (RFC 5737, RFC 3849); nothing leaves the namespaces.

mod certified;
mod installation;
mod load;
mod namespace;
mod network;
mod probe_packet;
mod tap;
mod truth;
mod tun;
mod tunnel;
mod wire;

pub use certified::{Certified, Cut};
pub use installation::{Installation, Setup, number, sum};
pub use load::Load;
pub use namespace::Namespace;
pub use network::Network;
pub use truth::{Passage, Reordering, Truth, jitter, quantile, variation};
pub use wire::{Direction, Wire};

/// The agent's address.
pub const AGENT: &str = "192.0.2.2";
/// The reflector's address.
pub const REFLECTOR: &str = "198.51.100.2";
/// The agent's IPv6 address.
pub const AGENT_V6: &str = "2001:db8:1::2";
/// The reflector's IPv6 address.
pub const REFLECTOR_V6: &str = "2001:db8:2::2";

/// Runs the cases of a test at the same time: most of theirs is waiting.
///
/// # Panics
/// When one of them does.
pub fn side_by_side<C: Send>(cases: impl IntoIterator<Item = C>, run: impl Fn(C) + Sync) {
    let run = &run;
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || run(case));
        }
    });
}
