//! The one thread that writes, and one that reads ahead for it: whatever waits is placed and judged as
//! a group while the one before is committed; so a slow commit makes the next group larger, and no
//! block waits for a timer.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use busyhour_model::{BlockNo, UtcMicros};
use busyhour_store::{Appended, BlockRows, ErrorKind, Quarantined, StoreError, Telemetry};
use ipnet::IpNet;
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::Counters;
use crate::place::{Arrived, Placer};

/// Blocks that wait for the committer, of all sessions together. A session whose block finds no
/// place keeps it, within its credit.
const MAX_QUEUE: usize = 1_024;
/// Blocks in one transaction.
const MAX_GROUP: usize = 1_024;
/// Bytes of payload in one transaction, the last block's not counted: what a commit holds in memory
/// decoded is some ten times that, and as much is read ahead.
const MAX_GROUP_BYTES: usize = 4 * 1024 * 1024;
/// The first pause after the store could not write; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: how late a full disk that was cleared is noticed.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often a pause looks whether the process is to end.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// The thread that writes ended, though nobody asked for it: nothing is stored any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the thread that stores blocks ended early")]
pub struct CommitterEnded;

/// A block to be stored, and who waits for that.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) arrived: Arrived,
    /// Its share of what may wait, given back when the block is done with.
    pub(crate) _share: OwnedSemaphorePermit,
    /// Has room for all blocks that the session may have in flight.
    pub(crate) reply: Sender<Committed>,
}

/// A block is durable, or refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) block: BlockNo,
    pub(crate) outcome: Appended,
    /// The newest window's time and the prefix it was measured from.
    pub(crate) seen: Option<(UtcMicros, IpNet)>,
}

/// Blocks that are stored together, and what they bring.
type Group = (Vec<Job>, Vec<BlockRows>);

pub(crate) struct Committer {
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) placer: Placer,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shutdown: CancellationToken,
}

impl Committer {
    /// Starts the thread. It ends when all senders are gone, or at shutdown when the store cannot
    /// write. However it ends, even by a panic, it cancels `ended`.
    pub(crate) fn spawn(
        self,
        ended: CancellationToken,
    ) -> std::io::Result<(Sender<Job>, JoinHandle<()>)> {
        let (sender, receiver) = mpsc::channel(MAX_QUEUE);
        let thread =
            thread::Builder::new().name("ingest-committer".to_owned()).spawn(move || {
                self.run(receiver, ended);
            })?;
        Ok((sender, thread))
    }

    /// Reads blocks on one thread while the one before them is stored on this.
    fn run(self, jobs: Receiver<Job>, ended: CancellationToken) {
        // Nothing lies between the threads: a group is stored, and the next one is read meanwhile.
        let (give, take) = sync_channel(0);
        let committer = &self;
        thread::scope(|scope| {
            scope.spawn(move || committer.read(jobs, &give));
            // Before the other thread is waited for: it ends when the sessions do.
            let _ended = ended.drop_guard();
            committer.store(take);
        });
    }

    fn read(&self, mut jobs: Receiver<Job>, give: &SyncSender<Group>) {
        while let Some(first) = jobs.blocking_recv() {
            let group = gather(first, &mut jobs);
            let rows = group.iter().map(|job| self.placer.rows(&job.arrived)).collect();
            if give.send((group, rows)).is_err() {
                return;
            }
        }
    }

    fn store(&self, groups: std::sync::mpsc::Receiver<Group>) {
        for (group, mut rows) in groups {
            let Some(outcomes) = self.commit(&mut rows) else { return };
            for ((job, rows), outcome) in group.iter().zip(&rows).zip(outcomes) {
                self.count(rows, outcome);
                let seen = newest_prefix(rows);
                let committed = Committed { block: rows.block, outcome, seen };
                // A session that ended meanwhile hears of it in its next welcome.
                let _ = job.reply.try_send(committed);
            }
        }
    }

    /// Stores the group, however long it takes: `None` at shutdown. A block that the store cannot
    /// take for what is in it must not hold up the others: then each is stored by itself, and the
    /// content of that one is set aside.
    fn commit(&self, rows: &mut [BlockRows]) -> Option<Vec<Appended>> {
        let mut pause = FIRST_PAUSE;
        let mut failures: u32 = 0;
        loop {
            let error = match self.telemetry.append(rows) {
                Ok(outcomes) => {
                    if failures > 0 {
                        tracing::info!(failures, "blocks are stored again");
                    }
                    return Some(outcomes);
                }
                Err(error) => error,
            };
            self.counters.store_failures(1);
            if failures == 0 {
                log_failure(&error);
            }
            failures = failures.saturating_add(1);
            // Corrupt is also what one row is that a block needs and nobody can read.
            let for_content = matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Corrupt);
            match rows {
                [alone] if for_content => set_aside(alone),
                several if for_content => {
                    let each = several.iter_mut().map(|one| self.commit(std::slice::from_mut(one)));
                    return each.collect::<Option<Vec<_>>>().map(|outcomes| outcomes.concat());
                }
                _ => {}
            }
            if !self.pause(pause) {
                return None;
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Waits; false when the process is to end.
    fn pause(&self, mut left: Duration) -> bool {
        while !left.is_zero() && !self.shutdown.is_cancelled() {
            let step = left.min(PAUSE_STEP);
            thread::sleep(step);
            left -= step;
        }
        !self.shutdown.is_cancelled()
    }

    fn count(&self, rows: &BlockRows, outcome: Appended) {
        match outcome {
            Appended::Duplicate => self.counters.duplicates(1),
            // The session ends and is counted.
            Appended::Refused => {}
            Appended::Stored => {
                self.counters.blocks(1);
                self.counters.windows(rows.windows.len());
                self.counters.records(rows.windows.len() + rows.others.len());
                self.counters.quarantined(rows.quarantined.len());
                if let Some(first) = rows.quarantined.first() {
                    tracing::debug!(
                        agent = %rows.agent,
                        block = rows.block.0,
                        records = rows.quarantined.len(),
                        reason = first.reason,
                        "records were quarantined"
                    );
                }
            }
        }
    }
}

fn gather(first: Job, jobs: &mut Receiver<Job>) -> Vec<Job> {
    let mut size_bytes = first.arrived.payload.len();
    let mut group = vec![first];
    while group.len() < MAX_GROUP && size_bytes < MAX_GROUP_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        size_bytes += job.arrived.payload.len();
        group.push(job);
    }
    group
}

fn log_failure(error: &StoreError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(
        kind = ?error.kind(), %error, source,
        "blocks cannot be stored; agents keep them until they can"
    );
}

/// Leaves of a block only that it came.
fn set_aside(rows: &mut BlockRows) {
    let reason = "the store refuses what is in the block".to_owned();
    let windows = rows.windows.drain(..).map(|window| Some(window.placed));
    let others = rows.others.drain(..).map(|record| Some(record.stamp.started));
    let earlier = rows.quarantined.drain(..).map(|one| one.started);
    let mut starts: Vec<_> = windows.chain(others).chain(earlier).collect();
    if starts.is_empty() {
        starts.push(None);
    }
    rows.schedules.clear();
    rows.quarantined =
        starts.into_iter().map(|started| Quarantined { started, reason: reason.clone() }).collect();
}

fn newest_prefix(rows: &BlockRows) -> Option<(UtcMicros, IpNet)> {
    let prefixes = rows
        .windows
        .iter()
        .filter_map(|window| Some((window.placed, window.context.local_prefix?)));
    prefixes.max_by_key(|&(placed, _)| placed)
}
