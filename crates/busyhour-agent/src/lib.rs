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
mod allow;
mod args;
mod blocking;
mod clock;
mod config;
mod discipline;
mod enrol;
mod gap;
mod identity;
mod load;
mod once;
mod pause;
mod presence;
mod print;
mod prober;
mod process;
mod reflector;
mod remote;
mod resolve;
mod session;
mod spool;
mod status;
mod uplink;

pub use agent::{Agent, AgentError, run};
pub use args::{
    AgentArgs, AgentCli, AgentCommand, ConfigArgs, EnrolArgs, OnceArgs, Output, PauseArgs,
    ResumeArgs, StatusArgs, Whose,
};
pub use config::{
    Accepts, Access, Admission, Collector, InvalidConfig, KeyFile, Provisioned, RawConfig,
    ReflectorSettings, RemoteSettings, Resolved, Security, SpoolLimits, Target, Timestamps,
};
pub use identity::{
    Credential, CredentialError, IdentityError, IssueError, KeyError, Stored, TlsError, TokenError,
};
pub use process::{Outcome, execute, main_with};
pub use reflector::ReflectorError;
pub use spool::SpoolError;
pub use uplink::InvalidHost;
