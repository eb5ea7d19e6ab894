//! The collector's door for agents: a gRPC service that authenticates, deduplicates, places in
//! time, judges and stores what they deliver, and acknowledges what is durable.
//!
//! Refuses: to take an identity from a message (it comes from the [`Authenticator`] alone), to
//! acknowledge before the store's commit, to correct a time by anything but a measured offset, and to turn a bad record into a
//! block that is offered forever: such records are quarantined, counted and shown.
//!
//! Invariants: an agent has one live session, the newest; what waits is bounded by the credit of
//! each session, the commit queue and a number of bytes; while the store cannot write, sessions stay, nothing is
//! acknowledged, and everything goes on by itself when it can again.

mod accept;
mod auth;
mod committer;
mod configure;
mod counters;
mod listen;
mod live;
mod place;
mod service;
mod session;
mod together;
mod turn;
mod wire;

pub use auth::{
    AgentPrincipal, AuthError, Authenticator, Caller, CertificateAuthenticator,
    SecretAuthenticator, secret_sha256,
};
pub use committer::CommitterEnded;
pub use counters::{Counters, CountersSnapshot};
pub use listen::{PlaintextBeyondLoopback, check_listen};
pub use place::{MAX_AHEAD, Requirements};
pub use service::{Ingest, IngestParts, IngestService, ServeError};
pub use session::RECEIVE_WINDOW_BYTES;
