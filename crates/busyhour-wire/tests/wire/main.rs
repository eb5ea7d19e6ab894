//! Packet formats: captured packets, round trips, truncation at every length, any bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod authenticated;
mod base;
mod corpora;
mod explained;
mod messages;
mod tlvs;
mod vectors;
