//! What detection promises, at the crate's boundary.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod days;
mod laws;
mod subnets;
mod support;
mod targets;

/// So many cases of a law on every change, or as many as somebody asks for (`.ci/long laws`).
fn cases(usual: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok());
    proptest::test_runner::Config::with_cases(asked.unwrap_or(usual))
}
