//! Sockets for probes and the operating system's clocks.
//!
//! This crate hides what differs between operating systems: marking, receive metadata, kernel
//! timestamps and clock readings. It refuses to know any packet format. On Linux every packet is
//! timed by the kernel; elsewhere by the process, and each reading says which.
//!
//! Invariants: sending never blocks; receiving is safe to cancel; every timestamp comes with the
//! method it was read by.

#![allow(unsafe_code, reason = "registering a descriptor with the runtime is unsafe by contract")]

mod clock;
mod error;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;
mod ports;
mod received;

pub use clock::{boot_id, paired_now, wall_ns};
pub use error::SocketError;
#[cfg(target_os = "linux")]
pub use linux::ProbeSocket;
#[cfg(not(target_os = "linux"))]
pub use portable::ProbeSocket;
// Built and tested here, too, so that it does not rot.
#[cfg(all(target_os = "linux", test))]
pub use portable::ProbeSocket as PortableSocket;
pub use received::{Methods, Received, Sent};
