//! The collector's side of the fleet. Identity: tokens that let agents in, the certificate authority,
//! renewal, revocation, and the TLS of the agents' port. Configuration: what agents are to measure, who of
//! them and when. `docs/FLEET.md` says why it is as it is.
//!
//! Refuses: to sign anything that an agent asks for but its public key, to take an agent's word for
//! where or who it is, to resume a TLS session, and to keep a secret (only its SHA-256 is kept).
//!
//! Invariants: whether an agent may act is decided in the store's transactions, never in memory; a
//! certificate says who, the store says whether; after [`Fleet::revoke`] returned nothing of the agent
//! is acknowledged; of the agents of a building that do what they were told one at a time sends
//! expedited traffic.

mod authority;
mod bundle;
mod certificate;
pub mod desired;
mod draw;
mod fleet;
mod handover;
mod places;
pub mod plan;
mod planner;
mod request;
mod service;
pub mod timetable;
mod tls;
mod token;

pub use authority::{Authority, AuthorityError, Validity};
pub use bundle::{BundleError, CompanyAuthority};
pub use certificate::{BadCertificate, ShownCertificate};
pub use draw::NoRandomness;
pub use fleet::{
    AdmitError, Clock, Fleet, FleetConfig, FleetError, IssuedToken, LiveSessions, NewTokenRequest,
    TokenLimit,
};
pub use places::{Place, Places, neighbourhood};
pub use planner::{Planner, Told};
pub use request::{BadRequest, RequestedKey};
pub use service::{
    EnrolmentService, IdentityService, REFUSAL_KEY, admit_status, identity_status, refusal_status,
};
pub use tls::{ServerName, ServerTls};
pub use token::TokenText;
