//! The agent: measures the network paths from this machine to its targets, answers the probes of
//! others, notes the machine's own load, and delivers what it observed to the collector.
//!
//! It decides nothing about quality: it measures, the collector judges. It opens no TCP port, takes
//! no commands from the network, and probes nothing that its own configuration does not name.
//!
//! Invariants: what was committed to the spool is delivered or told of by a gap record, whatever
//! stops; probing never waits for the disk, a resolver or the collector; everything that can pile
//! up is bounded and counted.

mod agent;
mod args;
mod blocking;
mod clock;
mod config;
mod gap;
mod load;
mod presence;
mod process;
mod reflector;
mod resolve;
mod session;
mod spool;
mod uplink;

pub use agent::{Agent, AgentError, run};
pub use args::{AgentArgs, AgentCli, AgentCommand, ConfigArgs};
pub use config::{Collector, InvalidConfig, RawConfig, Resolved, SpoolLimits, Target};
pub use process::{execute, main_with};
pub use spool::SpoolError;
