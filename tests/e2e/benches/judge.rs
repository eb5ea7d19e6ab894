//! What judging a large fleet costs, through the real judge and the real store:
//!
//!     cargo bench --package e2e --bench judge
//!     cargo bench --package e2e --bench judge -- --brief
//!     cargo bench --package e2e --bench judge -- --smoke
//!
//! 15,000 paths of 1,000 buildings with 40 days of quarter-hours are put into a store. A process of its
//! own then judges them: for the first time, after a start, one more day, that day again as its data
//! come, one building of it, nothing, and the first round of the next day. `--brief` loads twelve days,
//! `--buildings 300` fewer paths. The smoke run shows that the benchmark works, not what is true. Before
//! all that the rows of series are made by themselves: how long one takes, and how large it is.
//!
//! `--fill FOLDER` only loads, and `--judge FOLDER`, with the same flags, judges what was loaded, for
//! looking at one of the two with a profiler.
//!
//! `BUSYHOUR_BENCH_DIR` names a folder for the data (6 GB), if the system's own for temporary files
//! is no disk.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

#[path = "store/cost.rs"]
#[allow(dead_code, reason = "not every benchmark looks at every cost")]
mod cost;
#[path = "judge/fleet.rs"]
mod fleet;
#[path = "judge/load.rs"]
mod load;
#[path = "judge/rounds.rs"]
mod rounds;
#[path = "judge/rows.rs"]
mod rows;
#[path = "judge/slots.rs"]
mod slots;

use std::process::Command;

use tempfile::TempDir;

/// How much is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Buildings of 15 paths.
    pub(crate) buildings: usize,
    /// Days of quarter-hours, the one that is judged last included. The first is a Monday, the last
    /// has to be a working day.
    pub(crate) days: i64,
    /// Minutes of the last day of which agents told their load.
    pub(crate) load_minutes: i64,
    /// Rounds of the last day, each after every path brought a window.
    pub(crate) again: usize,
    /// Rounds after the paths of one building brought a window.
    pub(crate) single: usize,
    /// Rounds in which there is nothing new.
    pub(crate) idle: usize,
}

const FULL: Effort =
    Effort { buildings: 1_000, days: 40, load_minutes: 1_440, again: 7, single: 100, idle: 20 };
const BRIEF: Effort = Effort { days: 12, ..FULL };
const SMOKE: Effort =
    Effort { buildings: 6, days: 11, load_minutes: 60, again: 2, single: 3, idle: 2 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let behind = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).expect("something behind the flag"))
    };
    let mut effort = match (flag("--smoke"), flag("--brief")) {
        (true, _) => SMOKE,
        (false, true) => BRIEF,
        (false, false) => FULL,
    };
    if let Some(buildings) = behind("--buildings") {
        effort.buildings = buildings.parse().expect("a number of buildings");
    }
    if let Some(folder) = behind("--judge") {
        return rounds::measure(&effort, folder.as_ref());
    }
    if flag("--smoke") {
        println!("A smoke run: the figures mean nothing.");
    }
    if let Some(folder) = behind("--fill") {
        return load::fill(&effort, folder.as_ref());
    }
    rows::measure(&effort);
    let folder = match std::env::var_os("BUSYHOUR_BENCH_DIR") {
        Some(place) => TempDir::new_in(place),
        None => TempDir::new(),
    };
    let folder = folder.expect("a folder");
    load::fill(&effort, folder.path());
    // What loading left in this process is none of the judge's memory.
    let program = std::env::current_exe().expect("this program");
    let mut judge = Command::new(program);
    judge.arg("--judge").arg(folder.path()).args(&arguments);
    assert!(judge.status().expect("it starts").success(), "the fleet is judged");
}
