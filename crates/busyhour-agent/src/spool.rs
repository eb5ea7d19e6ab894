//! The spool: what was observed stays on disk until the collector has it.
//!
//! A record is committed at once, as a payload of its own; [`Sealer`] says when the open records
//! become an immutable block; [`Uplink`] says which block to send and which may go. All of it is
//! driven by [`Spool::work`] on the spool's thread.
//!
//! A disk that fails stops nothing: records wait in memory, bounded, and what had to be given up is
//! told by a gap record once the disk works again.

mod aside;
mod database;
mod store;
mod thread;
mod view;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use busyhour_daemon::chain;
use busyhour_delivery::{
    Acknowledgement, Block, BlockRanges, Credit, Dropped, Hello, SealPolicy, SpoolCaps, SpoolIndex,
    Uplink, UplinkError, Welcome,
};
use busyhour_model::{BlockNo, Epoch, GapReason, Record, Schedule, UtcMicros};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::clock::{Clock, Moment};
use crate::gap::Span;
use aside::move_aside;
use database::{Database, DatabaseError, Trouble};
use store::{Store, encode_one};

pub(crate) use thread::{Busy, Recorder, SpoolThread};
pub(crate) use view::{Failing, SpoolView};

/// Records that wait in memory while the disk fails: an hour of a busy agent, some 8 MB at most.
const MAX_PENDING: usize = 4096;
/// Records in one transaction.
const MAX_BATCH: usize = 500;
/// How long a failing disk is left alone.
const RETRY: Duration = Duration::from_secs(30);
/// How often the age of blocks is looked at.
const ENFORCE: Duration = Duration::from_secs(600);
/// Blocks on their way to the collector, whatever credit it gives: what they take in memory.
pub(crate) const MAX_IN_FLIGHT: u32 = 8;

/// A spool that this agent must not use.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Two agents on one spool would give different blocks the same name.
    #[error("another agent is using {path:?}")]
    InUse {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An older agent cannot read it.
    #[error("the spool in {path:?} belongs to a newer version of the agent")]
    Newer {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The spool's thread could not be started.
    #[error("the spool's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// A record with the schedule that it ran under.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    pub(crate) record: Record,
    pub(crate) schedule: Schedule,
}

/// What does not change while the spool is open.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) caps: SpoolCaps,
    pub(crate) policy: SealPolicy,
    /// What gap records of the spool itself run under.
    pub(crate) schedule: Schedule,
    pub(crate) clock: Clock,
}

/// Records that were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost {
    records: u64,
    from: UtcMicros,
    until: UtcMicros,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Spool {
    settings: Settings,
    store: Option<Store>,
    pending: VecDeque<Observed>,
    lost: Option<Lost>,
    retry_at: Option<Instant>,
    outgoing: Option<mpsc::Sender<Block>>,
    put_aside_at: Option<Instant>,
    failing: Option<Failing>,
    given_up: u64,
    sent_bytes: u64,
}

impl Spool {
    /// Opens the spool. A damaged one is put aside; one that cannot be opened now is tried again
    /// later.
    ///
    /// # Errors
    /// When another agent has it, or a newer one wrote it.
    pub(crate) fn open(settings: Settings, now: &Moment) -> Result<Self, SpoolError> {
        let mut spool = Self {
            settings,
            store: None,
            pending: VecDeque::new(),
            lost: None,
            retry_at: None,
            outgoing: None,
            put_aside_at: None,
            failing: None,
            given_up: 0,
            sent_bytes: 0,
        };
        if let Err(error) = spool.reopen(now) {
            let path = spool.settings.path.clone();
            match error.trouble() {
                Trouble::InUse => return Err(SpoolError::InUse { path, source: error.into() }),
                Trouble::Newer => return Err(SpoolError::Newer { path, source: error.into() }),
                Trouble::Corrupt | Trouble::Passing => spool.failed(&error, now),
            }
        }
        Ok(spool)
    }

    /// Takes a record. It is committed by the next [`Self::work`].
    pub(crate) fn record(&mut self, observed: Observed) {
        self.pending.push_back(observed);
        while self.pending.len() > MAX_PENDING {
            let Some(oldest) = self.pending.pop_front() else { break };
            let stamp = oldest.record.stamp;
            self.give_up(1, stamp.started, stamp.ended());
        }
    }

    /// Counts records that had to be given up.
    pub(crate) fn give_up(&mut self, records: u64, from: UtcMicros, until: UtcMicros) {
        self.given_up = self.given_up.saturating_add(records);
        let lost = self.lost.get_or_insert(Lost { records: 0, from, until });
        lost.records = lost.records.saturating_add(records);
        lost.from = lost.from.min(from);
        lost.until = lost.until.max(until);
    }

    /// Does whatever is due: opens, commits, seals, makes room, deletes, sends.
    pub(crate) fn work(&mut self, now: &Moment) {
        if self.retry_at.is_some_and(|at| at > now.monotonic) {
            return self.send(now);
        }
        self.retry_at = None;
        let mut done = if self.store.is_none() { self.reopen(now) } else { Ok(()) };
        if done.is_ok() {
            done = self.write(now, Seal::WhenDue);
        }
        match done {
            Ok(()) => self.worked(),
            Err(error) => self.failed(&error, now),
        }
        self.send(now);
    }

    /// Commits and seals everything.
    pub(crate) fn flush(&mut self, now: &Moment) {
        self.retry_at = None;
        if self.store.is_some()
            && let Err(error) = self.write(now, Seal::Now)
        {
            self.failed(&error, now);
        }
        self.send(now);
    }

    /// When [`Self::work`] has something to do again, unless something happens before.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let Some(store) = &self.store else { return self.retry_at };
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let waiting = !self.pending.is_empty() || self.lost.is_some();
        if waiting || !store.deletions.is_empty() || !store.delivered.is_empty() {
            return Some(store.enforce_at.min(now));
        }
        Some(store.sealer.deadline().map_or(store.enforce_at, |seal| seal.min(store.enforce_at)))
    }

    /// A stream to the collector is open; blocks go into `outgoing`, which takes
    /// [`MAX_IN_FLIGHT`]. `None` while the spool is not open.
    pub(crate) fn connected(&mut self, outgoing: mpsc::Sender<Block>) -> Option<Hello> {
        let store = self.store.as_mut()?;
        self.outgoing = Some(outgoing);
        Some(store.uplink.connected())
    }

    /// The stream is gone.
    pub(crate) fn disconnected(&mut self) {
        self.outgoing = None;
        if let Some(store) = &mut self.store {
            store.uplink.disconnected();
        }
    }

    /// The collector said what it has.
    pub(crate) fn welcomed(&mut self, welcome: &Welcome, now: &Moment) {
        let credit = welcome.credit.at_most(MAX_IN_FLIGHT);
        let welcome = Welcome { stored: welcome.stored.clone(), credit };
        self.told(now, |uplink| uplink.welcomed(&welcome));
    }

    /// The collector has more.
    pub(crate) fn acknowledged(&mut self, acknowledgement: &Acknowledgement, now: &Moment) {
        self.told(now, |uplink| uplink.acknowledged(acknowledgement));
    }

    /// The collector gave other credit.
    pub(crate) fn credited(&mut self, credit: Credit, now: &Moment) {
        let credit = credit.at_most(MAX_IN_FLIGHT);
        self.told(now, |uplink| uplink.credited(credit).map(|()| Vec::new()));
    }

    /// How the spool stands.
    pub(crate) fn view(&self) -> SpoolView {
        let held = self.store.as_ref().map(|store| store.uplink.spool());
        let caps = self.settings.caps;
        SpoolView {
            failing: self.failing.clone(),
            blocks: held.map_or(0, SpoolIndex::blocks),
            size_bytes: held.map_or(0, SpoolIndex::size_bytes),
            max_bytes: caps.max_bytes,
            max_age: caps.max_age,
            waiting: self.pending.len(),
            given_up: self.given_up,
            sent_bytes: self.sent_bytes,
        }
    }

    /// True when everything recorded is at the collector.
    pub(crate) fn is_delivered(&self) -> bool {
        let empty = |store: &Store| store.open.is_empty() && store.uplink.spool().blocks() == 0;
        self.pending.is_empty() && self.lost.is_none() && self.store.as_ref().is_none_or(empty)
    }

    fn told(
        &mut self,
        now: &Moment,
        tell: impl FnOnce(&mut Uplink) -> Result<Vec<BlockNo>, UplinkError>,
    ) {
        let Some(store) = &mut self.store else { return };
        match tell(&mut store.uplink) {
            Ok(delivered) => delivered.into_iter().for_each(|block| store.delivered.insert(block)),
            Err(error @ UplinkError::RolledBack { .. }) => {
                tracing::error!(error = %chain(&error), "the spool went back in time; beginning a new one");
                self.put_aside("rolled-back", now);
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the collector made no sense; reconnecting");
                self.disconnected();
            }
        }
    }

    fn reopen(&mut self, now: &Moment) -> Result<(), DatabaseError> {
        let epoch = random_epoch(now);
        let (database, contents) = match Database::open(&self.settings.path, epoch) {
            Err(error) if error.trouble() == Trouble::Corrupt => {
                tracing::error!(error = %chain(&error), "the spool is damaged; beginning a new one");
                move_aside(&self.settings.path, "corrupt", now.wall);
                self.give_up(0, now.wall, now.wall);
                Database::open(&self.settings.path, epoch)?
            }
            other => other?,
        };
        let since = contents.last_committed;
        let (store, damaged) = Store::load(&self.settings, database, contents, now);
        self.store = Some(store);
        if damaged > 0 {
            let at = since.unwrap_or(now.wall);
            self.give_up(damaged, at, at);
        }
        // Nothing was recorded since then, or what was recorded is pending and says so itself.
        let until = self.pending.front().map_or(now.wall, |first| first.record.stamp.started);
        if let Some(since) = since.filter(|&since| since < until) {
            let span = Span {
                length: length(since, until),
                ..Span::since(GapReason::NotRunning, since, now)
            };
            for gap in self.gap(&span, None).into_iter().rev() {
                self.pending.push_front(gap);
            }
        }
        Ok(())
    }

    /// Everything that changes the file, in the order that loses nothing: what tells of a loss is
    /// committed before the loss. What the collector has goes first, to make room on a full disk.
    fn write(&mut self, now: &Moment, seal: Seal) -> Result<(), DatabaseError> {
        if let Some(store) = &mut self.store {
            store.forget_delivered()?;
        }
        loop {
            self.commit(now)?;
            let Some(store) = &mut self.store else { return Ok(()) };
            let due = match seal {
                Seal::Now => store.sealer.records() > 0,
                Seal::WhenDue => store.sealer.is_due(now.monotonic),
            };
            let mut dropped = if due { store.seal(self.settings.policy, now)? } else { None };
            if dropped.is_none() && store.enforce_at <= now.monotonic {
                store.enforce_at = now.monotonic + ENFORCE;
                dropped = store.uplink.enforce(store.age.now(now));
            }
            match dropped {
                Some(dropped) => self.dropped(&dropped, GapReason::SpoolFull),
                None if self.pending.is_empty() && !due => break,
                None => {}
            }
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        if !store.deletions.is_empty() {
            store.database.delete(&store.deletions)?;
            store.deletions = BlockRanges::new();
        }
        Ok(())
    }

    /// Commits one batch of what is pending, together with what tells of given up records.
    fn commit(&mut self, now: &Moment) -> Result<(), DatabaseError> {
        let told = self.lost.map(|lost| self.tell(&lost, now)).unwrap_or_default();
        let Some(store) = &mut self.store else { return Ok(()) };
        let taken = self.pending.len().min(MAX_BATCH);
        let batch = || told.iter().chain(self.pending.iter().take(taken));
        let payloads: Vec<Vec<u8>> = batch().map(encode_one).collect();
        if payloads.is_empty() {
            return Ok(());
        }
        let ids = store.database.append(&payloads, now.wall)?;
        tracing::debug!(records = payloads.len(), "committed");
        self.lost = None;
        let committed = told.into_iter().chain(self.pending.drain(..taken));
        for (id, observed) in ids.into_iter().zip(committed) {
            store.committed(id, observed, now);
        }
        Ok(())
    }

    /// The gap records that tell of given up records.
    fn tell(&self, lost: &Lost, now: &Moment) -> Vec<Observed> {
        let since = Span::since(GapReason::SpoolFailed, lost.from, now);
        let span = Span { length: length(lost.from, lost.until), ..since };
        self.gap(&span, (lost.records > 0).then_some(lost.records))
    }

    fn gap(&self, span: &Span, missing: Option<u64>) -> Vec<Observed> {
        let schedule = self.settings.schedule;
        let records = span.records(&self.settings.clock, schedule, None, missing);
        records.into_iter().map(|record| Observed { record, schedule }).collect()
    }

    fn dropped(&mut self, dropped: &Dropped, reason: GapReason) {
        tracing::warn!(
            blocks = dropped.blocks.len(),
            records = dropped.records,
            reason = reason.as_str(),
            "blocks had to go before the collector had them"
        );
        self.given_up = self.given_up.saturating_add(dropped.records);
        let schedule = self.settings.schedule;
        for record in dropped.gaps(reason, self.settings.clock.boot_id(), schedule.revision) {
            self.pending.push_back(Observed { record, schedule });
        }
        if let Some(store) = &mut self.store {
            dropped.blocks.iter().for_each(|&block| store.deletions.insert(block));
        }
    }

    /// Hands blocks to the stream until there is nothing to send or no credit.
    fn send(&mut self, now: &Moment) {
        while let (Some(store), Some(outgoing)) = (&mut self.store, &self.outgoing) {
            let Some(number) = store.uplink.next_block() else { return };
            match store.database.read(number) {
                Ok(Some(block)) if block.is_intact() => {
                    let size_bytes = block.payload.len() as u64;
                    // In flight never exceeds the channel, so it only refuses when it is closed.
                    if outgoing.try_send(block).is_err() {
                        self.disconnected();
                    } else {
                        self.sent_bytes = self.sent_bytes.saturating_add(size_bytes);
                    }
                }
                Ok(_) => {
                    tracing::error!(block = number.0, "a sealed block is damaged");
                    if let Some(dropped) = store.uplink.unreadable(number) {
                        self.dropped(&dropped, GapReason::SpoolFailed);
                    }
                }
                Err(error) => {
                    self.disconnected();
                    return self.failed(&error, now);
                }
            }
        }
    }

    fn failed(&mut self, error: &DatabaseError, now: &Moment) {
        if error.trouble() == Trouble::Corrupt && self.store.is_some() {
            tracing::error!(error = %chain(error), "the spool is damaged; beginning a new one");
            return self.put_aside("corrupt", now);
        }
        tracing::error!(
            error = %chain(error),
            waiting = self.pending.len(),
            "the spool cannot be written; records wait in memory"
        );
        self.retry_at = Some(now.monotonic + RETRY);
        let since = self.failing.as_ref().map_or(now.wall, |failing| failing.since);
        self.failing = Some(Failing { since, why: chain(error).to_string() });
    }

    /// The disk takes what it is given.
    fn worked(&mut self) {
        if self.store.is_some() && self.failing.take().is_some() {
            tracing::info!("the spool can be written again");
        }
    }

    /// Goes on with a new file under a new epoch. What the old one held is told by a gap.
    fn put_aside(&mut self, why: &str, now: &Moment) {
        self.disconnected();
        let Some(mut store) = self.store.take() else { return };
        for one in store.open.into_iter().rev() {
            self.pending.push_front(one.observed);
        }
        if let Some(all) = store.uplink.abandon() {
            self.give_up(all.records, all.from, all.until);
        }
        drop(store.database);
        move_aside(&self.settings.path, why, now.wall);
        // A disk that damages one file after the other is left alone for a while.
        let again = self.put_aside_at.is_some_and(|at| now.monotonic < at + RETRY);
        self.retry_at = again.then(|| now.monotonic + RETRY);
        self.put_aside_at = Some(now.monotonic);
        if let Err(error) = self.reopen(now) {
            self.failed(&error, now);
        }
    }
}

/// When open records become a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seal {
    WhenDue,
    Now,
}

fn length(from: UtcMicros, until: UtcMicros) -> Duration {
    Duration::from_micros(u64::try_from(until.since(from)).unwrap_or(0))
}

/// Random, so that a spool that was deleted and made again never gives an old block's name to a
/// new block. Without a source of randomness the time of creation has to do.
fn random_epoch(now: &Moment) -> Epoch {
    Epoch(getrandom::u64().unwrap_or_else(|_| now.wall.0.cast_unsigned()))
}

#[cfg(test)]
mod tests;
