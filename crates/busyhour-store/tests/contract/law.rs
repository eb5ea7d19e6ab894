//! One law: whatever comes, in whatever order and groups, how often, and whatever happens to the engine in
//! between, it tells what the contract says.

use busyhour_model::{AgentId, BlockNo, BootId, Epoch, Schedule, ScheduleRevision, UtcMicros};
use busyhour_store::{BlockRows, JudgedWindow, Quarantined, Telemetry};
use proptest::prelude::*;

use crate::fixtures::{
    AGENT, DAY, EPOCH, MINUTE, NOW, at, block, cases, every_kind, judged, load, window,
};
use crate::reference::{Reference, told};
use crate::settlement::{REFLECTOR, lossy, report};
use crate::stores::Store;

on_every_store! {
    a_store_tells_what_the_contract_says_of_all_that_it_was_given
}

const AGENTS: [AgentId; 3] = [AGENT, AgentId::from_u128(0xa2), REFLECTOR];
const EPOCHS: [Epoch; 2] = [EPOCH, Epoch(1)];
const STEPS: usize = 24;

fn a_store_tells_what_the_contract_says_of_all_that_it_was_given<S: Store>() {
    // What it found once.
    check::<S>(5_278_738_309_589_948_565);
    proptest!(cases(10), |(seed: u64)| check::<S>(seed));
}

fn check<S: Store>(seed: u64) {
    let mut world = World::new(seed);
    let mut reference = Reference::default();
    let mut engine = S::new();
    for step in 0..STEPS {
        match world.random.u8(0..20) {
            0..12 => {
                let blocks = world.blocks();
                let answers = engine.telemetry().append(&blocks).unwrap();
                assert_eq!(answers, reference.append(&blocks));
            }
            12..15 => {
                engine = engine.reopen();
                reference.reopened(&told(engine.telemetry(), &AGENTS, &EPOCHS));
            }
            15..17 => clear_some(world.random.u8(..3), engine.telemetry(), &mut reference),
            17 if step > STEPS / 2 => {
                let agent = AGENTS[world.random.usize(..AGENTS.len())];
                engine.telemetry().forget(agent).unwrap();
                reference.forget(agent);
            }
            _ => compare(engine.telemetry(), &reference),
        }
    }
    compare(engine.telemetry(), &reference);
    let engine = engine.reopen();
    reference.reopened(&told(engine.telemetry(), &AGENTS, &EPOCHS));
    compare(engine.telemetry(), &reference);
}

fn compare(store: &dyn Telemetry, reference: &Reference) {
    told(store, &AGENTS, &EPOCHS).assert_is(&reference.told(&AGENTS, &EPOCHS));
}

/// The days are judged of one agent, or but for one.
fn clear_some(which: u8, store: &dyn Telemetry, reference: &mut Reference) {
    let rows = store.paths(None).unwrap();
    let chosen = |agent: AgentId| (agent == AGENTS[0]) == (which > 0);
    let agent = |path| rows.iter().find(|row| row.id == path).unwrap().agent;
    let mut days = store.dirty_days(usize::MAX).unwrap();
    days.retain(|day| chosen(agent(day.path)));
    store.clear_dirty(&days).unwrap();
    reference.clear_dirty(|_, (agent, _)| chosen(*agent));
}

/// Agents that deliver late, twice, and in any order.
struct World {
    random: fastrand::Rng,
    sealed: Vec<BlockRows>,
    next: u64,
    /// Which minutes of the session that reports settle were measured.
    minutes: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { random, sealed: Vec::new(), next: 1, minutes: 0 }
    }

    fn blocks(&mut self) -> Vec<BlockRows> {
        (0..self.random.usize(1..4)).map(|_| self.one_block()).collect()
    }

    fn one_block(&mut self) -> BlockRows {
        if !self.sealed.is_empty() && self.random.u8(..6) == 0 {
            return self.random.choice(&self.sealed).unwrap().clone();
        }
        let agent = AGENTS[self.random.usize(..2)];
        let mut sealed = match self.random.u8(..6) {
            0 => self.sealed_again(agent),
            1 => self.of_a_session(),
            _ => self.of_windows(agent),
        };
        sealed.epoch = EPOCHS[self.random.usize(..2)];
        // Blocks come out of order, too.
        self.next += 1;
        sealed.block = BlockNo(self.next ^ (self.random.u64(..2) * 64));
        sealed.received = at(NOW, self.next as i64 * 1_234_567);
        self.sealed.push(sealed.clone());
        sealed
    }

    /// A spool that was rolled back seals the same records into another block, and more.
    fn sealed_again(&mut self, agent: AgentId) -> BlockRows {
        let mut sealed = self.of_windows(agent);
        let before = self.sealed.iter().filter(|block| block.agent == agent);
        let before: Vec<_> = before.flat_map(|block| block.windows.clone()).collect();
        for _ in 0..self.random.usize(..4) {
            sealed.windows.extend(self.random.choice(&before).cloned());
        }
        sealed
    }

    /// A window with losses of unknown direction, a report of it, or both.
    fn of_a_session(&mut self) -> BlockRows {
        let minute = match self.random.bool() {
            true => self.minutes,
            false => self.random.u32(..=self.minutes),
        };
        self.minutes += 1;
        if self.random.bool() {
            return BlockRows { windows: vec![lossy(minute, 10)], ..block(0) };
        }
        let lost = self.random.u32(2..=12);
        let missing: Vec<_> = (0..lost).map(|n| (n * 30, n * 30)).collect();
        BlockRows { agent: REFLECTOR, others: vec![report(minute, &missing)], ..block(0) }
    }

    fn of_windows(&mut self, agent: AgentId) -> BlockRows {
        let windows = (0..self.random.usize(..8)).map(|_| self.window()).collect();
        let mut others = Vec::new();
        if self.random.u8(..3) == 0 {
            let moment = self.moment();
            let some = self.random.usize(..=4);
            others.extend(every_kind(moment).into_iter().take(some).map(|(_, record)| record));
            others.push(load(moment, self.random.u64(..9)));
        }
        let unreadable = Quarantined { started: None, reason: "unreadable".to_owned() };
        let quarantined = if self.random.u8(..5) == 0 { vec![unreadable; 2] } else { Vec::new() };
        let revision = self.random.u64(3..=5);
        let schedules = match self.random.u8(..3) {
            0 => Vec::new(),
            _ => vec![Schedule {
                revision: ScheduleRevision(revision),
                period_us: 15_000_000 * (revision - 2),
            }],
        };
        BlockRows { agent, schedules, windows, others, quarantined, ..block(0) }
    }

    fn window(&mut self) -> JudgedWindow {
        let target = ["edge:862", "far:862", "relay:3478"][self.random.usize(..3)];
        let lost = if self.random.bool() { 0 } else { self.random.u32(..40) };
        let lost = if self.random.u8(..20) == 0 { 750 } else { lost };
        let mut one = judged(window(target, self.random.u64(..1_000), lost), self.moment());
        one.schedule = ScheduleRevision(self.random.u64(3..=5));
        one.stamp.boot = BootId::from_u128(self.random.u128(7..9));
        one.verdict.valid = self.random.u8(..10) > 0;
        one
    }

    /// Today, yesterday, or beyond the retention of raw windows; some moments are popular.
    fn moment(&mut self) -> UtcMicros {
        let day = [0, 0, 0, -1, -1, -3, -20][self.random.usize(..7)];
        let within = if self.random.u8(..3) == 0 { 0 } else { self.random.i64(0..16 * 60) };
        at(NOW, day * DAY + within * MINUTE)
    }
}
