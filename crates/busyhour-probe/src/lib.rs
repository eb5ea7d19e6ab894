//! Probe engines without input or output: the session sender, the session reflector, and the
//! arithmetic of their observations.
//!
//! This crate refuses to open sockets, read clocks or draw random numbers: whoever drives an engine
//! hands it datagrams and [`busyhour_model::ClockPair`]s, and polls what to send, until when to
//! wait, and what was observed.
//!
//! Invariants: `sent = received + lost up + lost down + lost with direction unknown` in every
//! observation, and what this machine or the reflector dropped is in none of them; a direction is only
//! named where a later answer proves it; no datagram, however broken, makes an engine panic or grow
//! without bound.

mod datagram;
mod delay;
pub mod fuzz;
mod loss;
mod observation;
mod pattern;
mod profile;
mod reflector;
mod reorder;
mod sender;
mod tally;

pub use datagram::Datagram;
pub use observation::Observation;
pub use profile::{Frames, InvalidProfile, PROFILES, Pacing, Profile};
pub use reflector::{
    Admission, ClockSource, DscpSet, MAX_REQUEST, PaddingFill, ProvisionedSession, Rates,
    Reflector, ReflectorConfig, ReflectorStats, Reply, Ticket,
};
pub use sender::{
    FarFormat, InvalidSession, PEER_PROFILES, PeerProfile, Rejection, ReplyOutcome, Security,
    Sender, SenderConfig, SenderStats, Telemetry, Transmit,
};
