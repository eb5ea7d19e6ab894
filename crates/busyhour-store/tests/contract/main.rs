//! The behaviour that every engine of the store has, written against the contracts alone, and run on
//! each engine. What only one engine has is in `engine`.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod control;
mod engine;
mod fixtures;
mod settlement;
mod telemetry;
mod verdicts;
