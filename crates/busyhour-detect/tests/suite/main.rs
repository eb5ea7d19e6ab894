//! What detection promises, at the crate's boundary.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod days;
mod laws;
mod subnets;
mod support;
mod targets;
