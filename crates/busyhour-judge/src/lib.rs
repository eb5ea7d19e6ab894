//! Reads slots, runs detection, writes verdicts, incidents and what to tell in one transaction.
//!
//! The store's dirty marks drive it: a path and UTC day that got windows is judged again, newest
//! first, however late the data. Rules live in `busyhour-detect`; this crate only brings together
//! what they need. It refuses to measure, to send messages, and to touch raw windows.
//!
//! Invariants: judging again without new data writes nothing; marks are cleared only after what was
//! judged from them is durable, so a crash costs work and never a verdict.

mod inputs;
mod judge;
mod status;

pub use judge::{Judge, JudgeError, Summary};
pub use status::{JudgeStatus, TargetFault};
