//! The behaviour that every engine of the store has, written against the contracts alone, and run on
//! each engine. What only one engine has is in `engine` and `partitions`.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[macro_use]
mod stores;

mod accounts;
mod audit;
mod configuration;
mod control;
mod desk;
mod engine;
mod fixtures;
mod forget;
mod golden;
mod history;
mod identity;
mod incidents;
mod law;
mod learned;
mod maintenance;
mod outbox;
mod partitions;
mod pruning;
mod reference;
mod retention;
mod settlement;
mod slots;
mod tasks;
mod telemetry;
mod together;
mod verdicts;
