//! Reads slots, runs detection, writes verdicts, incidents and what to tell in one transaction.
//!
//! The store's dirty marks drive it: a path and UTC day that got windows is judged again, newest
//! first, however late the data. Rules live in `busyhour-detect`; this crate only brings together
//! what they need. It refuses to measure, to send messages, and to touch raw windows.
//!
//! What findings look at ([`busyhour_detect::History`]) is kept in memory and is a pure function of
//! slots and of the busy hours of their dates: after a start it is read again, and no finding is judged
//! before all of it was. Findings, busy hours and loads of buildings are in the store.
//!
//! Invariants: judging again without new data writes nothing; marks are cleared only after what was
//! judged from them is durable, so a crash costs work and never a verdict; of slots no more than one
//! building's local day is in memory at a time.

mod day;
mod directory;
mod figures;
mod hours;
mod incidents;
mod inventory;
mod judge;
mod load;
mod state;
mod status;
mod targets;

pub use judge::{Judge, JudgeError, Summary};
pub use status::{JudgeStatus, TargetFault};
