//! What measuring costs and how exact it is, on the real programs and beside their peers:
//!
//!     cargo bench --package e2e --bench probes
//!     cargo bench --package e2e --bench probes -- --smoke
//!     cargo bench --package e2e --bench probes -- reflector agent artefact
//!
//! Peers are measured in the same run. One that is not installed is named and left out. The smoke
//! run measures for seconds only: it shows that the benchmark works, not what is true.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

#[path = "probes/agent.rs"]
mod agent;
#[path = "probes/artefact.rs"]
mod artefact;
#[path = "probes/bare.rs"]
mod bare;
#[path = "probes/batch.rs"]
mod batch;
#[path = "probes/load.rs"]
mod load;
#[path = "probes/processes.rs"]
mod processes;
#[path = "probes/reflector.rs"]
mod reflector;
#[path = "probes/requests.rs"]
mod requests;

use std::time::Duration;

/// How much is measured.
pub(crate) struct Effort {
    /// Interleaved runs; their median is shown.
    pub(crate) runs: usize,
    /// Requests that each reflector answers in a run.
    pub(crate) packets: u64,
    /// How long agents are watched in a run.
    pub(crate) slice: Duration,
    /// How long agents run before they are watched, so that all their sessions have begun.
    pub(crate) warm_up: Duration,
    /// How long round trips are measured in a run.
    pub(crate) trips: Duration,
}

const FULL: Effort = Effort {
    runs: 7,
    packets: 200_000,
    slice: Duration::from_secs(15),
    warm_up: Duration::from_secs(20),
    trips: Duration::from_secs(5),
};
const SMOKE: Effort = Effort {
    runs: 1,
    packets: 20_000,
    slice: Duration::from_secs(2),
    warm_up: Duration::from_secs(1),
    trips: Duration::from_secs(1),
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--bare-reflector", keyed, stamped] => {
            let (keyed, follow_up) = (keyed == "keyed", stamped == "stamped");
            return bare::reflector(requests::Form { keyed, follow_up });
        }
        ["--bare-agent", rate, ref targets @ ..] => return bare::agent(rate, targets),
        ["--busy"] => return processes::busy(),
        _ => {}
    }
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let named: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| named.is_empty() || named.contains(&name);
    if smoke {
        println!("A smoke run: the figures mean nothing.");
    }
    let effort = if smoke { SMOKE } else { FULL };
    if wanted("reflector") {
        reflector::measure(&effort);
    }
    if wanted("agent") {
        agent::measure(&effort);
    }
    if wanted("artefact") {
        artefact::measure(&effort);
    }
}

/// The median of figures, the lower one of two.
#[must_use]
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
