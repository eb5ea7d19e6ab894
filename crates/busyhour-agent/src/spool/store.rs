//! What there is while the spool's file is open: the file, and what is known of its content.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use busyhour_delivery::{
    Block, BlockMeta, BlockRanges, Dropped, SealPolicy, Sealer, SpoolIndex, Uplink,
};
use busyhour_model::{BlockNo, Body, BootMicros, GapReason, Record, Schedule, UtcMicros};
use busyhour_proto::{decode_payload, encode_payload, encoded_len};

use super::database::{Contents, Database, DatabaseError};
use super::{Observed, Settings};
use crate::clock::Moment;

/// What there is while the file is open.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) database: Database,
    pub(super) uplink: Uplink,
    pub(super) sealer: Sealer,
    /// Committed and not sealed.
    pub(super) open: VecDeque<Open>,
    /// Blocks that the collector has and that are still in the file.
    pub(super) delivered: BlockRanges,
    /// Blocks that were given up and are still in the file, until a gap tells of them.
    pub(super) deletions: BlockRanges,
    pub(super) age: AgeClock,
    pub(super) enforce_at: Instant,
}

/// What the age of blocks is told by. A wall clock that steps forward must not make them old, so
/// time only counts while the agent runs, from the oldest block on. Where that is too little the
/// spool's size still has a cap.
#[derive(Debug, Clone, Copy)]
pub(super) struct AgeClock {
    oldest: UtcMicros,
    opened: BootMicros,
}

impl AgeClock {
    fn new(blocks: &[BlockMeta], now: &Moment) -> Self {
        let oldest = blocks.iter().map(|block| block.last).min().unwrap_or(now.wall);
        Self { oldest: oldest.min(now.wall), opened: now.boot }
    }

    /// The wall time that blocks have reached at least.
    pub(super) fn now(&self, now: &Moment) -> UtcMicros {
        let running = Duration::from_micros(now.boot.0.saturating_sub(self.opened.0));
        self.oldest.plus(running).min(now.wall)
    }
}

/// A committed record that is not sealed.
#[derive(Debug)]
pub(super) struct Open {
    /// Its number in the file.
    id: i64,
    /// What it adds to a block.
    bytes: usize,
    pub(super) observed: Observed,
}

impl Store {
    /// Takes up what a file held. Also gives how many of its records cannot be read any more.
    pub(super) fn load(
        settings: &Settings,
        database: Database,
        contents: Contents,
        now: &Moment,
    ) -> (Self, u64) {
        let newest = (contents.newest_block > 0).then_some(BlockNo(contents.newest_block));
        let age = AgeClock::new(&contents.blocks, now);
        let index = SpoolIndex::new(settings.caps, contents.blocks, newest);
        let mut store = Self {
            database,
            uplink: Uplink::new(contents.epoch, index),
            sealer: Sealer::new(settings.policy),
            open: VecDeque::new(),
            delivered: BlockRanges::new(),
            deletions: BlockRanges::new(),
            age,
            enforce_at: now.monotonic,
        };
        let mut damaged = contents.damaged;
        for (id, payload) in contents.open {
            match decode_one(&payload) {
                Some(observed) => store.committed(id, observed, now),
                None => damaged += 1,
            }
        }
        (store, damaged)
    }

    /// A record is in the file under this number.
    pub(super) fn committed(&mut self, id: i64, observed: Observed, now: &Moment) {
        let bytes = encoded_len(&observed.record);
        self.sealer.added(bytes, now.monotonic);
        self.open.push_back(Open { id, bytes, observed });
    }

    /// Takes what the collector has out of the file.
    pub(super) fn forget_delivered(&mut self) -> Result<(), DatabaseError> {
        if !self.delivered.is_empty() {
            self.database.delete(&self.delivered)?;
            self.delivered = BlockRanges::new();
        }
        Ok(())
    }

    /// Makes the oldest open records a block, as many as fit. Gives what had to go for it.
    pub(super) fn seal(
        &mut self,
        policy: SealPolicy,
        now: &Moment,
    ) -> Result<Option<Dropped>, DatabaseError> {
        let mut filling = Sealer::new(policy);
        for one in &self.open {
            if !filling.fits(one.bytes) {
                break;
            }
            filling.added(one.bytes, now.monotonic);
        }
        let count = filling.records() as usize;
        let sealed = || self.open.iter().take(count);
        let Some(last_open) = sealed().map(|one| one.id).next_back() else { return Ok(None) };
        let records: Vec<Record> = sealed().map(|one| one.observed.record.clone()).collect();
        let mut schedules: Vec<Schedule> = sealed().map(|one| one.observed.schedule).collect();
        schedules.sort_unstable_by_key(|schedule| schedule.revision);
        schedules.dedup();
        let number = self.uplink.spool().next_number();
        let block = Block::seal(number, encode_payload(&records, &schedules));
        let starts = records.iter().map(|record| record.stamp.started);
        let ends = records.iter().map(|record| record.stamp.ended());
        // What tells of blocks that grew old is as young as it is written: it must not go for the age
        // of what it tells of, to be told of again, and so on.
        let tells = |record: &Record| matches!(&record.body, Body::Gap(gap) if gap.reason == GapReason::SpoolFull);
        let written = records.iter().any(tells).then_some(now.wall);
        let meta = BlockMeta {
            number,
            size_bytes: block.payload.len() as u64,
            records: filling.records(),
            first: starts.min().unwrap_or(now.wall),
            last: ends.max().max(written).unwrap_or(now.wall),
        };
        self.database.seal(&meta, &block, last_open)?;
        self.open.drain(..count);
        self.sealer.sealed();
        for one in &self.open {
            self.sealer.added(one.bytes, now.monotonic);
        }
        Ok(self.uplink.sealed(meta, self.age.now(now)))
    }
}

/// A record as a payload of its own.
pub(super) fn encode_one(observed: &Observed) -> Vec<u8> {
    encode_payload(std::slice::from_ref(&observed.record), &[observed.schedule])
}

fn decode_one(payload: &[u8]) -> Option<Observed> {
    let decoded = decode_payload(payload).ok()?;
    let record = decoded.records.into_iter().next()?.ok()?;
    let unknown = Schedule { revision: record.schedule, period_us: 0 };
    let schedule = decoded.schedules.first().copied().unwrap_or(unknown);
    Some(Observed { record, schedule })
}
