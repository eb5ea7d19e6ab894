//! The one thread that writes, and one that reads ahead for it: whatever waits is placed and judged as
//! a group while the one before is committed; so a slow commit makes the next group larger, and no
//! block waits for a timer. Live blocks go first; backlog has a quarter of each group at least.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use busyhour_delivery::Lane;
use busyhour_model::{BlockNo, UtcMicros};
use busyhour_proto::PayloadReader;
use busyhour_store::{Appended, BlockRows, ErrorKind, Quarantined, StoreError, Telemetry};
use ipnet::IpNet;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, Permit, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::Counters;
use crate::live::Ending;
use crate::place::{Arrived, Placer};

/// Blocks that wait for the committer in each lane, of all sessions together; their payload has a
/// bound of its own, which most often is met first. A session whose block finds no place keeps it,
/// within its credit.
const MAX_QUEUE: usize = 16_384;
/// Blocks in one transaction.
const MAX_GROUP: usize = 1_024;
/// Bytes of payload in one transaction, the last block's not counted: what a commit holds in memory
/// decoded is some ten times that, and as much is read ahead.
const MAX_GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Of both, what live blocks may take while there is backlog.
const LIVE_PARTS: (usize, usize) = (3, 4);
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
    /// Of the session that it came by.
    pub(crate) ending: Ending,
    /// Its share of what may wait, given back when the block is done with.
    pub(crate) _share: OwnedSemaphorePermit,
    /// Has room for all blocks that the session may have in flight.
    pub(crate) reply: Sender<Box<Committed>>,
}

/// A block is durable, or refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) block: BlockNo,
    pub(crate) outcome: Appended,
    /// The newest window's time and the prefix it was measured from.
    pub(crate) seen: Option<(UtcMicros, IpNet)>,
}

/// Where blocks to be stored are handed over.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    live: Sender<Job>,
    backlog: Sender<Job>,
}

impl Jobs {
    /// Waits for a place in a lane. Safe to drop.
    pub(crate) async fn place(&self, lane: Lane) -> Result<Permit<'_, Job>, SendError<()>> {
        match lane {
            Lane::Live => self.live.reserve().await,
            Lane::Backlog => self.backlog.reserve().await,
        }
    }
}

/// The other end of [`Jobs`].
struct Lanes {
    live: Receiver<Job>,
    backlog: Receiver<Job>,
    /// What this thread waits with: there is no input or output in it.
    waiting: Runtime,
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
    pub(crate) fn spawn(self, ended: CancellationToken) -> std::io::Result<(Jobs, JoinHandle<()>)> {
        let (live, from_live) = mpsc::channel(MAX_QUEUE);
        let (backlog, from_backlog) = mpsc::channel(MAX_QUEUE);
        let waiting = tokio::runtime::Builder::new_current_thread().build()?;
        let lanes = Lanes { live: from_live, backlog: from_backlog, waiting };
        let thread =
            thread::Builder::new().name("ingest-committer".to_owned()).spawn(move || {
                self.run(lanes, ended);
            })?;
        Ok((Jobs { live, backlog }, thread))
    }

    /// Reads blocks on one thread while the one before them is stored on this.
    fn run(self, lanes: Lanes, ended: CancellationToken) {
        // Nothing lies between the threads: a group is stored, and the next one is read meanwhile.
        let (give, take) = sync_channel(0);
        let committer = &self;
        thread::scope(|scope| {
            scope.spawn(move || committer.read(lanes, &give));
            // Before the other thread is waited for: it ends when the sessions do.
            let _ended = ended.drop_guard();
            committer.store(take);
        });
    }

    fn read(&self, mut lanes: Lanes, give: &SyncSender<Group>) {
        let mut reader = PayloadReader::default();
        while let Some(group) = lanes.gather() {
            let rows = |job: &Job| self.placer.rows(&job.arrived, &mut reader);
            let rows = group.iter().map(rows).collect();
            if give.send((group, rows)).is_err() {
                return;
            }
        }
    }

    fn store(&self, groups: std::sync::mpsc::Receiver<Group>) {
        for (group, rows) in groups {
            let (group, mut rows) = without_refused(group, rows, &self.counters);
            if rows.is_empty() {
                continue;
            }
            let Some(outcomes) = self.commit(&mut rows) else { return };
            for ((job, rows), outcome) in group.iter().zip(&rows).zip(outcomes) {
                self.count(rows, outcome);
                let seen = newest_prefix(rows);
                let committed = Box::new(Committed { block: rows.block, outcome, seen });
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

impl Lanes {
    /// Waits for a block, and takes what else waits, live blocks first; `None` when nobody will hand
    /// over any more.
    fn gather(&mut self) -> Option<Vec<Job>> {
        let Self { live, backlog, waiting } = self;
        // Both branches are cancel-safe.
        let first = waiting.block_on(async {
            tokio::select! {
                biased;
                Some(job) = live.recv() => Some(job),
                Some(job) = backlog.recv() => Some(job),
                else => None,
            }
        })?;
        let mut group = Gathered::default();
        group.add(first);
        let (parts, of) = if backlog.is_empty() { (1, 1) } else { LIVE_PARTS };
        group.fill(live, MAX_GROUP / of * parts, MAX_GROUP_BYTES / of * parts);
        group.fill(backlog, MAX_GROUP, MAX_GROUP_BYTES);
        Some(group.jobs)
    }
}

#[derive(Default)]
struct Gathered {
    jobs: Vec<Job>,
    size_bytes: usize,
}

impl Gathered {
    fn add(&mut self, job: Job) {
        self.size_bytes += job.arrived.payload.len();
        self.jobs.push(job);
    }

    /// Takes what waits until there are so many blocks or bytes.
    fn fill(&mut self, from: &mut Receiver<Job>, blocks: usize, size_bytes: usize) {
        while self.jobs.len() < blocks && self.size_bytes < size_bytes {
            let Ok(job) = from.try_recv() else { return };
            self.add(job);
        }
    }
}

/// Drops what agents sent that were refused while it waited.
fn without_refused(group: Vec<Job>, rows: Vec<BlockRows>, counters: &Counters) -> Group {
    let waited = group.len();
    let wanted: Group =
        group.into_iter().zip(rows).filter(|(job, _)| !job.ending.is_refused()).unzip();
    counters.dropped(waited - wanted.0.len());
    wanted
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

#[cfg(test)]
mod tests {
    use busyhour_model::{AgentId, Epoch};
    use busyhour_store::IdentityRefusal;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::live::Live;

    fn lanes() -> (Jobs, Lanes) {
        let (live, from_live) = mpsc::channel(MAX_QUEUE);
        let (backlog, from_backlog) = mpsc::channel(MAX_QUEUE);
        let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (Jobs { live, backlog }, Lanes { live: from_live, backlog: from_backlog, waiting })
    }

    fn job(number: u64, size_bytes: usize) -> Job {
        let arrived = Arrived {
            agent: AgentId::from_u128(1),
            epoch: Epoch(1),
            block: BlockNo(number),
            payload: vec![0; size_bytes],
            received: UtcMicros(0),
            clock: None,
        };
        let share = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let ending = Ending::default();
        Job { arrived, ending, _share: share, reply: mpsc::channel(1).0 }
    }

    fn numbers(group: &[Job]) -> Vec<u64> {
        group.iter().map(|job| job.arrived.block.0).collect()
    }

    #[test]
    fn what_waits_of_an_agent_that_was_refused_is_not_stored() {
        let live = Live::default();
        let [good, revoked, moved] = [1, 2, 3].map(AgentId::from_u128);
        let endings = [good, revoked, moved].map(|agent| live.enter(agent).1);
        live.refuse(revoked, IdentityRefusal::Revoked);
        let (_, _, replaced) = live.enter(moved);
        assert!(replaced);
        let waiting =
            |number: u64, ending: &Ending| Job { ending: ending.clone(), ..job(number, 1) };
        let group = vec![
            waiting(11, &endings[0]),
            waiting(21, &endings[1]),
            waiting(31, &endings[2]),
            waiting(22, &endings[1]),
        ];
        let rows = group.iter().map(|job| BlockRows {
            agent: job.arrived.agent,
            epoch: job.arrived.epoch,
            block: job.arrived.block,
            received: job.arrived.received,
            schedules: Vec::new(),
            windows: Vec::new(),
            others: Vec::new(),
            quarantined: Vec::new(),
        });
        let (rows, counters) = (rows.collect(), Counters::default());
        let (group, rows) = without_refused(group, rows, &counters);
        assert_eq!(numbers(&group), [11, 31], "what came before a newer session is good");
        assert!(group.iter().zip(&rows).all(|(job, rows)| job.arrived.block == rows.block));
        assert_eq!(counters.snapshot().dropped, 2);
    }

    #[test]
    fn live_blocks_are_stored_before_backlog_that_came_earlier() {
        let (jobs, mut lanes) = lanes();
        for number in 1..=3 {
            jobs.backlog.try_send(job(number, 10)).unwrap();
        }
        jobs.live.try_send(job(4, 10)).unwrap();
        jobs.live.try_send(job(5, 10)).unwrap();
        assert_eq!(numbers(&lanes.gather().unwrap()), [4, 5, 1, 2, 3]);
        drop(jobs);
        assert!(lanes.gather().is_none());
    }

    #[test]
    fn backlog_has_its_part_of_a_group_whatever_live_data_there_is() {
        let (jobs, mut lanes) = lanes();
        let quarter = MAX_GROUP_BYTES / 4;
        for number in 1..=9 {
            jobs.live.try_send(job(number, quarter)).unwrap();
        }
        assert_eq!(numbers(&lanes.gather().unwrap()), [1, 2, 3, 4], "alone it takes all");
        for number in 101..=109 {
            jobs.backlog.try_send(job(number, quarter)).unwrap();
        }
        assert_eq!(numbers(&lanes.gather().unwrap()), [5, 6, 7, 101]);
        assert_eq!(numbers(&lanes.gather().unwrap()), [8, 9, 102, 103]);
        for number in 1..=2_000 {
            jobs.live.try_send(job(number, 1)).unwrap();
        }
        assert_eq!(lanes.gather().unwrap().len(), 768 + 4, "the same by number");
    }
}
