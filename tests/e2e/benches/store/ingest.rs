//! Durable ingest through the store, in the two shapes it meets.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use busyhour_store::{Appended, BlockRows, SqliteTelemetry, Telemetry as _};
use fastrand::Rng;

use crate::cost::{
    Watch, folder_bytes, forget_peak, grouped, peak_mb, resident_mb, thread_cpu, written_bytes,
};
use crate::fleet::Fleet;
use crate::{Effort, store};

/// Windows that one transaction takes: what comes at 50 000 a second within 20 ms.
const GROUP_WINDOWS: usize = 1_000;
/// Blocks of the backlog in one transaction.
const BACKLOG_GROUP: usize = 8;
/// Windows of one path in a block of the backlog.
pub(crate) const RUN: i64 = 500;
/// Groups that wait for the writer.
const AHEAD: usize = 4;
/// One window in a hundred is late, by one to eight hours.
const LATE_ONE_IN: usize = 100;
const LATE_MINUTES: std::ops::Range<usize> = 60..480;

/// The order in which windows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Round after round over all paths, one window of each, and some late.
    Live,
    /// Long runs of one path after another.
    Backlog,
}

/// Gives groups of blocks, without end.
pub(crate) struct Feed<'a> {
    fleet: &'a Fleet,
    shape: Shape,
    /// Live: the minute of the round. Backlog: the first minute of the runs.
    minute: i64,
    next_agent: usize,
    /// Within an agent, the next path of the backlog.
    next_path: usize,
    /// Windows of a path in a run of the backlog.
    run: i64,
    /// The next block of each agent.
    blocks: Vec<u64>,
    /// Late windows (path, minute), by the minute they come in, wrapping.
    late: Vec<Vec<(usize, i64)>>,
    /// Those of this minute.
    held: Vec<(usize, i64)>,
    rng: Rng,
}

impl<'a> Feed<'a> {
    /// Begins at `minute` and block `block`.
    pub(crate) fn new(fleet: &'a Fleet, shape: Shape, minute: i64, block: u64) -> Self {
        Self::with_runs(fleet, shape, minute, block, RUN)
    }

    /// The same with runs of another length.
    pub(crate) fn with_runs(
        fleet: &'a Fleet,
        shape: Shape,
        minute: i64,
        block: u64,
        run: i64,
    ) -> Self {
        Self {
            fleet,
            shape,
            minute,
            next_agent: 0,
            next_path: 0,
            run,
            blocks: vec![block; fleet.agents()],
            late: vec![Vec::new(); LATE_MINUTES.end],
            held: Vec::new(),
            rng: Rng::with_seed(4),
        }
    }

    /// The next group, of at most `most` windows or so.
    pub(crate) fn group(&mut self, most: usize) -> Vec<BlockRows> {
        let (mut blocks, mut windows) = (Vec::new(), 0);
        while windows < most {
            let block = match self.shape {
                Shape::Live => self.live(),
                Shape::Backlog => self.backlog(),
            };
            windows += block.windows.len();
            blocks.push(block);
            if self.shape == Shape::Backlog && blocks.len() >= BACKLOG_GROUP {
                break;
            }
        }
        blocks
    }

    fn number(&mut self, agent: usize) -> u64 {
        self.blocks[agent] += 1;
        self.blocks[agent]
    }

    fn live(&mut self) -> BlockRows {
        let (agent, minute) = (self.next_agent, self.minute);
        if agent == 0 && self.held.is_empty() {
            let due = minute as usize % LATE_MINUTES.end;
            self.held = std::mem::take(&mut self.late[due]);
        }
        // What was held up comes in a block of its own.
        if let Some((path, then)) = self.held.pop() {
            let owner = self.fleet.agent_of(path);
            let block = self.number(owner);
            return self.fleet.block(owner, block, minute, vec![self.fleet.window(path, then)]);
        }
        let mut windows = Vec::with_capacity(self.fleet.paths_of(agent).len());
        for path in self.fleet.paths_of(agent) {
            if self.rng.usize(..LATE_ONE_IN) == 0 {
                let due = (minute as usize + self.rng.usize(LATE_MINUTES)) % LATE_MINUTES.end;
                self.late[due].push((path, minute));
            } else {
                windows.push(self.fleet.window(path, minute));
            }
        }
        self.next_agent += 1;
        if self.next_agent == self.fleet.agents() {
            self.next_agent = 0;
            self.minute += 1;
        }
        let block = self.number(agent);
        self.fleet.block(agent, block, minute, windows)
    }

    fn backlog(&mut self) -> BlockRows {
        let (agent, first) = (self.next_agent, self.minute);
        let path = self.fleet.paths_of(agent).start + self.next_path;
        let windows = (first..first + self.run).map(|minute| self.fleet.window(path, minute));
        let windows = windows.collect();
        self.next_path += 1;
        if self.next_path == self.fleet.paths_of(agent).len() {
            (self.next_path, self.next_agent) = (0, agent + 1);
        }
        if self.next_agent == self.fleet.agents() {
            self.next_agent = 0;
            self.minute += self.run;
        }
        let block = self.number(agent);
        // All of the history comes now.
        self.fleet.block(agent, block, first + self.run, windows)
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    pub(crate) windows: u64,
    pub(crate) groups: u64,
    pub(crate) seconds: f64,
    /// Of the store: of the threads that write and of those that it started itself.
    pub(crate) cpu: f64,
    /// Of that, the thread that appends.
    pub(crate) appending_cpu: f64,
    pub(crate) generator_cpu: f64,
}

impl Run {
    pub(crate) fn rate(&self) -> f64 {
        self.windows as f64 / self.seconds
    }
}

/// When a run is over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Seconds(f64),
    Windows(u64),
}

/// Appends what the feed gives until it is enough. The feed runs in a thread of its own, on the same
/// processors.
pub(crate) fn run(telemetry: &SqliteTelemetry, feed: &mut Feed<'_>, until: Until) -> Run {
    let watch = Watch::start();
    let (send, groups) = sync_channel(AHEAD);
    let (mut run, generator_cpu) = thread::scope(|scope| {
        // Named, so that a profile tells it from the store.
        let named = thread::Builder::new().name("generator".to_owned());
        let generator = named.spawn_scoped(scope, move || {
            let before = thread_cpu();
            let most = if feed.shape == Shape::Live { GROUP_WINDOWS } else { usize::MAX };
            // It ends when the writer has had enough and lets go of its end.
            while send.send(feed.group(most)).is_ok() {}
            thread_cpu() - before
        });
        let generator = generator.expect("a thread");
        let run = write(telemetry, groups, until, &watch);
        (run, generator.join().expect("the generator ends"))
    });
    run.generator_cpu = generator_cpu;
    run.cpu = watch.cpu() - generator_cpu;
    run
}

fn write(
    telemetry: &SqliteTelemetry,
    groups: Receiver<Vec<BlockRows>>,
    until: Until,
    watch: &Watch,
) -> Run {
    let mut run = Run::default();
    let before = thread_cpu();
    for group in &groups {
        let answers = telemetry.append(&group).expect("the store takes it");
        assert!(answers.iter().all(|answer| *answer == Appended::Stored), "each is new");
        run.groups += 1;
        run.windows += group.iter().map(|block| block.windows.len() as u64).sum::<u64>();
        run.seconds = watch.wall();
        let enough = match until {
            Until::Seconds(seconds) => run.seconds >= seconds,
            Until::Windows(windows) => run.windows >= windows,
        };
        if enough {
            break;
        }
    }
    run.appending_cpu = thread_cpu() - before;
    drop(groups);
    run
}

/// Measures one shape and prints what it found.
pub(crate) fn measure(effort: &Effort, shape: Shape) {
    let (name, per_agent) = match shape {
        Shape::Live => ("live: one window of each path, round after round, 1 % late by hours", 2),
        Shape::Backlog => ("backlog: runs of 500 windows of a path, one after another", 2),
    };
    println!("\nIngest, {name}; {} paths", grouped(effort.paths as f64));
    let folder = store::folder();
    let fleet = store::fleet(effort, per_agent, effort.paths);
    forget_peak();
    let before = resident_mb(std::process::id());
    let telemetry = store::open(folder.path());
    let mut feed = Feed::new(&fleet, shape, 0, 0);
    let written = written_bytes();
    let found = run(&telemetry, &mut feed, Until::Seconds(effort.ingest.as_secs_f64()));
    let peak = peak_mb(std::process::id());
    // As after a crash: what is not folded yet comes back from the journal.
    drop(telemetry);
    let opening = Watch::start();
    let telemetry = store::open(folder.path());
    let opened = opening.wall();
    let settling = Watch::start();
    store::settle(&telemetry);
    let settled = settling.wall();
    print(&found, &telemetry);
    let written = (written_bytes() - written) as f64 / found.windows as f64;
    println!(
        "  memory                {:>12.0} MB at most, {before:.0} MB of it the generator's before",
        peak
    );
    println!("  opened again in       {opened:>12.1} s");
    println!("  the rest folded in    {settled:>12.1} s");
    drop(telemetry);
    println!("  written               {written:>12.0} bytes to disk for a window, all files");
    print_folders(folder.path(), found.windows);
}

fn print(found: &Run, telemetry: &SqliteTelemetry) {
    let windows = found.windows as f64;
    println!(
        "  windows               {:>12} in {:.1} s, {} transactions",
        grouped(windows),
        found.seconds,
        grouped(found.groups as f64)
    );
    println!("  durable               {:>12} windows/s", grouped(found.rate()));
    println!(
        "  processor             {:>12.2} cores for the store, {:.2} for the generator",
        found.cpu / found.seconds,
        found.generator_cpu / found.seconds
    );
    println!(
        "                        {:>12} windows per processor second of the store",
        grouped(windows / found.cpu)
    );
    let of_window = |seconds: f64| seconds * 1e6 / windows;
    println!(
        "                        {:>12.1} µs for a window, {:.1} of them of the thread that appends",
        of_window(found.cpu),
        of_window(found.appending_cpu)
    );
    let totals = telemetry.totals().expect("totals");
    assert_eq!(totals.windows, found.windows, "every window is in a slot");
    assert_eq!(totals.quarantined, 0, "nothing is out of place");
}

/// Bytes for a window, folder by folder.
pub(crate) fn print_folders(folder: &Path, windows: u64) {
    let mut shown = vec![("all", folder_bytes(folder))];
    for name in ["windows", "slots"] {
        let bytes = folder_bytes(&folder.join(name));
        if bytes > 0 {
            shown.push((name, bytes));
        }
    }
    for (name, bytes) in shown {
        let each = bytes as f64 / windows as f64;
        println!("  on disk, {name:<12} {each:>12.1} bytes for a window");
    }
}
