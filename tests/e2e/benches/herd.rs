//! Fleets that come back together, and fleets that are merely there:
//!
//!     cargo bench --package e2e --bench herd
//!     cargo bench --package e2e --bench herd -- --smoke
//!     cargo bench --package e2e --bench herd -- return
//!
//! `return`: 2,000 agents with an hour in their spools connect to a collector within a second, deliver
//! what they kept, and go on measuring meanwhile. `idle`: 10,000 agents that have nothing to say, and
//! some of them that are revoked. Both let the agents in by tokens first, and say how fast.
//! Collector and fleet are processes of their own on one machine, over loopback, with TLS 1.3 and
//! certificates on both sides. The fleet's agents decide by the product's own delivery engine.
//!
//! `idle` needs some 10,100 file descriptors in each process: the collector is started with as many as
//! the system allows (65,536 at most); the fleet has what this shell has (`ulimit -n`), and takes fewer
//! agents where that is less. Memory: some 2 GB.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

#[path = "herd/agent.rs"]
mod agent;
#[path = "herd/collector.rs"]
mod collector;
#[path = "store/cost.rs"]
#[allow(dead_code, reason = "shared with the benchmark of the store")]
mod cost;
#[path = "store/fleet.rs"]
#[allow(dead_code, reason = "shared with the benchmark of the store")]
mod fleet;
#[path = "herd/idle.rs"]
mod idle;
#[path = "herd/member.rs"]
mod member;
#[path = "store/paths.rs"]
#[allow(dead_code, reason = "shared with the benchmark of the store")]
mod paths;
#[path = "herd/returning.rs"]
mod returning;
#[path = "store/series.rs"]
#[allow(dead_code, reason = "shared with the benchmark of the store")]
mod series;

use std::path::Path;
use std::time::Duration;

use collector::Papers;

/// How much is measured.
pub(crate) struct Effort {
    /// Agents that come back.
    pub(crate) returning: usize,
    /// Minutes that they were away.
    pub(crate) away_minutes: u64,
    /// Within this time they connect.
    pub(crate) within: Duration,
    /// They go on measuring for so long at least.
    pub(crate) at_least: Duration,
    /// Windows in each series of the pool that windows are restamped from.
    pub(crate) series: usize,
    /// Agents that are merely there.
    pub(crate) idle: usize,
    /// Of these, those that are revoked.
    pub(crate) revoked: usize,
}

const FULL: Effort = Effort {
    returning: 2_000,
    away_minutes: 60,
    within: Duration::from_secs(1),
    at_least: Duration::from_secs(60),
    series: 127,
    idle: 10_000,
    revoked: 20,
};
const SMOKE: Effort = Effort {
    returning: 20,
    away_minutes: 2,
    within: Duration::from_millis(100),
    at_least: Duration::from_secs(2),
    series: 5,
    idle: 50,
    revoked: 3,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let smoke = words.contains(&"--smoke");
    let effort = if smoke { SMOKE } else { FULL };
    match &words[..] {
        ["--returning", ingest, folder, ..] => {
            return returning::load(&effort, ingest, Papers::read(Path::new(folder)));
        }
        ["--idle", ingest, folder, ..] => {
            return idle::load(&effort, ingest, Papers::read(Path::new(folder)));
        }
        _ => {}
    }
    if smoke {
        println!("A smoke run: the figures mean nothing.");
    }
    let named: Vec<&&str> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|word| **word == name);
    if wanted("return") {
        returning::measure(&effort, smoke);
    }
    if wanted("idle") {
        idle::measure(&effort, smoke);
    }
}
