//! Simulated fleets with their truth: what the demonstration loads ([`demo_fleet`]), and what
//! detection is measured by: a [`world`], its files' rows ([`export`]), and what somebody told of it,
//! held against the truth ([`score`]).
//!
//! Everything follows from a seed and the moment given: the same arguments give the same records,
//! in whatever order the days or the regions are asked for. This crate reads no clock, opens nothing,
//! and knows nothing of detection: it names only the model, and what is told comes in its own words.
//!
//! Invariants: every record of the demonstration is valid by the model's own constructors, none ends
//! after the moment that its fleet was built for, and a path has one window a minute while its agent
//! is on. Those of a world stand there.

mod agent;
pub mod export;
mod fleet;
pub mod score;
mod traffic;
mod truth;
pub mod world;

pub use agent::SimAgent;
pub use fleet::{Fleet, HISTORY_DAYS, SimBuilding, demo_fleet};
pub use truth::{Condition, Truth};
