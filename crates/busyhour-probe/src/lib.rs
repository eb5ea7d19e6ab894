//! Probe engines without input or output: the session sender, the session reflector, and the
//! arithmetic of their observations.
//!
//! This crate refuses to open sockets, read clocks or draw random numbers: whoever drives an engine
//! hands it datagrams and [`busyhour_model::ClockPair`]s, and polls what to send, until when to
//! wait, and what was observed.
//!
//! Invariants: `sent = received + lost up + lost down + lost with direction unknown` in every
//! observation; a direction is only named where a later answer proves it; no datagram, however
//! broken, makes an engine panic or grow without bound.

mod datagram;
mod delay;
pub mod fuzz;
mod loss;
mod observation;
mod profile;
mod reflector;
mod sender;

pub use datagram::Datagram;
pub use observation::Observation;
pub use profile::{InvalidProfile, Profile};
pub use reflector::{MAX_REQUEST, Reflector, ReflectorConfig, ReflectorStats, Reply};
pub use sender::{Rejection, ReplyOutcome, Sender, SenderConfig, SenderStats, Transmit};
