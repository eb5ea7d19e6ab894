//! The benchmark of detection: generated fleets, the detector and the rules that users have today, and
//! their scores side by side. `docs/DETECT.md` has the tables that it makes.
//!
//! It makes worlds in memory, region by region, and hands each to every method: no files, no collector.

pub mod aims;
pub mod baseline;
pub mod harness;
pub mod lanes;
pub mod recorded;
pub mod tables;
pub mod variants;
