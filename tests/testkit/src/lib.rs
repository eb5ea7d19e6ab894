//! What tests of several crates need: a virtual clock, a seeded network emulator, and waiting on a
//! condition with a bound.
//!
//! This crate names no crate of the product, so that all of them can use it. Everything but
//! [`wait_until`] runs in virtual time: the same seed gives the same run.

mod clock;
mod netem;
mod wait;

pub use clock::VirtualClock;
pub use netem::{Impairment, Loss, Netem, NetemStats, Order};
pub use wait::wait_until;
