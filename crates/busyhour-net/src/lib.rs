//! Sockets for probes and the operating system's clocks.
//!
//! This crate hides what differs between operating systems: marking, receive metadata, kernel
//! timestamps, waiting and clock readings. It refuses to know any packet format. On Linux every packet
//! is timed by the kernel; elsewhere by the process, and each reading says which.
//!
//! Kernel stamps are software stamps of the system's clock. Stamps of a network card are of another
//! clock, and are neither asked for nor read, even where the interface gives them to others.
//!
//! Invariants: only [`wait`] blocks; every timestamp comes with the method it was read by.

#![allow(unsafe_code, reason = "system calls and registering a descriptor are unsafe by contract")]

mod batch;
mod clock;
mod error;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
/// Built and tested here, too, so that it does not rot.
#[cfg(all(target_os = "linux", test))]
pub mod portable;
mod ports;
mod ready;
mod received;
mod timing;

pub use batch::{PushError, SentBatch};
pub use clock::{ClockState, boot_id, clock_state, paired_now, wall_ns};
pub use error::SocketError;
#[cfg(target_os = "linux")]
pub use linux::{Inbox, Outbox, ProbeSocket, Stamps, Waker, wait};
#[cfg(not(target_os = "linux"))]
pub use portable::{Inbox, Outbox, ProbeSocket, Stamps, Waker, wait};
pub use ready::{MAX_WAITED, Ready};
pub use received::{Methods, Received, Sent};
pub use timing::{TimingReport, probe_timing};
