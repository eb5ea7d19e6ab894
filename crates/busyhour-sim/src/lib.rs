//! Simulated fleets with their truth: what the demonstration loads and what detection is tested
//! against.
//!
//! Everything follows from a seed and the moment given: the same arguments give the same records,
//! in whatever order the days are asked for. This crate reads no clock, opens nothing, and knows
//! nothing of detection: it names only the model.
//!
//! Invariants: every record is valid by the model's own constructors; no record ends after the
//! moment that the fleet was built for; a path has one window a minute while its agent is on.

mod agent;
mod fleet;
mod traffic;
mod truth;

pub use agent::SimAgent;
pub use fleet::{Fleet, HISTORY_DAYS, SimBuilding, demo_fleet};
pub use truth::{Condition, Truth};
