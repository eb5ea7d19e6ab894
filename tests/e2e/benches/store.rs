//! What the store can take, how small it keeps it, and how fast it answers, beside a peer that is
//! given the same:
//!
//!     cargo bench --package e2e --bench store
//!     cargo bench --package e2e --bench store -- --smoke
//!     cargo bench --package e2e --bench store -- --brief live size queries
//!
//! The parts are `live`, `backlog`, `grpc`, `peer`, `size`, `queries` and `growth`. The peer
//! (VictoriaMetrics) and the compressors (`xz`, `zstd`) are measured in the same run; one that is not
//! installed is named and left out. The smoke run measures for a second or so: it shows that the
//! benchmark works, not what is true. `--brief` takes minutes and tells what to expect.
//!
//! `grpc --mtls` measures over TLS with certificates on both sides, too.
//!
//! `--seconds 60` feeds the store for so long in `live` and `backlog`.
//!
//! `BUSYHOUR_BENCH_DIR` names a folder for the data, if the system's own for temporary files is no
//! disk.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

#[path = "store/beside.rs"]
mod beside;
#[path = "herd/collector.rs"]
#[allow(dead_code, reason = "shared with the benchmark of fleets")]
mod collector;
#[path = "store/cost.rs"]
mod cost;
#[path = "store/fields.rs"]
mod fields;
#[path = "store/fleet.rs"]
mod fleet;
#[path = "store/growth.rs"]
mod growth;
#[path = "store/grpc.rs"]
mod grpc;
#[path = "store/import.rs"]
mod import;
#[path = "store/ingest.rs"]
mod ingest;
#[path = "herd/member.rs"]
#[allow(dead_code, reason = "shared with the benchmark of fleets")]
mod member;
#[path = "store/paths.rs"]
mod paths;
#[path = "store/picture.rs"]
mod picture;
#[path = "store/plain.rs"]
mod plain;
#[path = "store/promql.rs"]
mod promql;
#[path = "store/queries.rs"]
mod queries;
#[path = "store/questions.rs"]
mod questions;
#[path = "store/sealed.rs"]
mod sealed;
#[path = "store/series.rs"]
mod series;
#[path = "store/size.rs"]
mod size;
#[path = "store/sketch.rs"]
mod sketch;
#[path = "store/slots.rs"]
mod slots;
#[path = "store/store.rs"]
mod store;
#[path = "store/victoria.rs"]
mod victoria;

use std::path::Path;
use std::time::Duration;

/// How much is measured.
pub(crate) struct Effort {
    /// Paths that ingest goes round.
    pub(crate) paths: usize,
    /// Windows in each series of the pool that windows are restamped from.
    pub(crate) series: usize,
    /// How long the store is fed.
    pub(crate) ingest: Duration,
    /// How long the peer is fed with each form of import to find the fastest.
    pub(crate) trial: Duration,
    /// How many of the shapes the peer is fed with.
    pub(crate) peer_shapes: usize,
    /// How long the peer is fed with that.
    pub(crate) peer: Duration,
    /// How long a collector is fed.
    pub(crate) grpc: Duration,
    /// Paths of each kind, and windows of each, whose size is looked at.
    pub(crate) days: (usize, usize),
    /// Of these, so many are compressed by themselves.
    pub(crate) compressed: usize,
    /// Buildings of ten paths, and weeks of slots.
    pub(crate) loaded: (usize, i64),
    /// Minutes of the last day whose raw windows are there.
    pub(crate) raw_minutes: i64,
    /// Different days of slots in the pool.
    pub(crate) slot_days: usize,
    /// How often a question is asked.
    pub(crate) requests: usize,
    /// Growth by windows, at the middle of the paths.
    pub(crate) growth_windows: [u64; 3],
    /// Growth by paths, at the middle of the windows.
    pub(crate) growth_paths: [usize; 3],
    /// Whether growth is drawn.
    pub(crate) drawn: bool,
}

const FULL: Effort = Effort {
    paths: 15_000,
    // A prime, so that what repeats does so nowhere at the same time.
    series: 127,
    ingest: Duration::from_secs(300),
    trial: Duration::from_secs(20),
    peer_shapes: 3,
    peer: Duration::from_secs(120),
    grpc: Duration::from_secs(120),
    days: (48, 1_440),
    compressed: 12,
    loaded: (1_000, 8),
    raw_minutes: 1_440,
    slot_days: 4,
    requests: 400,
    growth_windows: [1_000_000, 10_000_000, 100_000_000],
    growth_paths: [1_000, 10_000, 100_000],
    drawn: true,
};
const BRIEF: Effort = Effort {
    ingest: Duration::from_secs(20),
    trial: Duration::from_secs(4),
    peer: Duration::from_secs(20),
    grpc: Duration::from_secs(20),
    days: (12, 1_440),
    compressed: 3,
    loaded: (100, 8),
    requests: 200,
    growth_windows: [100_000, 1_000_000, 10_000_000],
    growth_paths: [100, 1_000, 10_000],
    drawn: false,
    ..FULL
};
const SMOKE: Effort = Effort {
    paths: 320,
    series: 5,
    ingest: Duration::from_secs(1),
    trial: Duration::from_millis(200),
    peer_shapes: 1,
    peer: Duration::from_millis(300),
    grpc: Duration::from_secs(1),
    days: (2, 48),
    compressed: 1,
    loaded: (8, 1),
    raw_minutes: 120,
    slot_days: 1,
    requests: 8,
    growth_windows: [2_000, 4_000, 6_000],
    growth_paths: [10, 20, 40],
    drawn: false,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["--load", of @ ..] => return grpc::load(None, of),
        ["--load-mtls", folder, of @ ..] => {
            return grpc::load(Some(collector::Papers::read(Path::new(folder))), of);
        }
        _ => {}
    }
    let smoke = words.contains(&"--smoke");
    let seconds = words.iter().position(|word| *word == "--seconds").map(|at| at + 1);
    let named = words.iter().enumerate();
    let named = named.filter(|(at, word)| !word.starts_with("--") && Some(*at) != seconds);
    let named: Vec<&str> = named.map(|(_, word)| *word).collect();
    let wanted = |name: &str| named.is_empty() || named.contains(&name);
    if smoke {
        println!("A smoke run: the figures mean nothing.");
    }
    let brief = words.contains(&"--brief");
    let mut effort = match (smoke, brief) {
        (true, _) => SMOKE,
        (false, true) => BRIEF,
        (false, false) => FULL,
    };
    if let Some(at) = seconds {
        let number = words.get(at).and_then(|word| word.parse().ok());
        effort.ingest = Duration::from_secs(number.expect("a number behind --seconds"));
    }
    if wanted("live") {
        ingest::measure(&effort, ingest::Shape::Live);
    }
    if wanted("backlog") {
        ingest::measure(&effort, ingest::Shape::Backlog);
    }
    if wanted("grpc") {
        grpc::measure(&effort, words.contains(&"--mtls"));
    }
    if wanted("peer") {
        beside::measure(&effort);
    }
    if wanted("size") {
        size::measure(&effort);
    }
    if wanted("queries") {
        queries::measure(&effort);
    }
    if wanted("growth") {
        growth::measure(&effort);
    }
}
