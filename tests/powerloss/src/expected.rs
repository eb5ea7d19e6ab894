//! What a store has to hold, counted apart from it, and everything that it can be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use busyhour_model::{
    AgentId, Body, Building, BuildingId, PathId, Record, Slot, SlotStart, Subnet, SubnetId,
    UtcMicros,
};
use busyhour_store::{
    AgentRow, Appended, AuditEntry, BlockRows, Control, Grain, PathRow, RecordKind, SlotDetail,
    StoreError, StoredWindow, Telemetry,
};

use crate::inventory;
use crate::load::{EPOCH, RETENTION, Step, agents, is_raw};

const ALWAYS: (UtcMicros, UtcMicros) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
const DAY: i64 = 24 * 3_600 * 1_000_000;
const KINDS: [RecordKind; 4] =
    [RecordKind::Check, RecordKind::Fact, RecordKind::Load, RecordKind::Gap];

/// A path, as nobody numbered it.
type Path = (AgentId, String);
/// What of a window neither settling nor coarsening changes: where it lies, when its block came,
/// packets sent and lost.
type WindowFacts = (i64, u32, u32);

/// What was acknowledged, counted without a database.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    received: BTreeMap<AgentId, BTreeSet<u64>>,
    windows: BTreeMap<Path, BTreeSet<WindowFacts>>,
    /// Windows in each quarter-hour.
    slots: BTreeMap<(Path, SlotStart), u64>,
    others: BTreeMap<(AgentId, u8), Vec<i64>>,
    /// Days that changed since they were judged.
    marks: BTreeSet<(Path, i64)>,
    agents: BTreeSet<String>,
    /// Of the building file in force.
    buildings: Vec<String>,
    /// Acts that the audit tells of.
    acts: usize,
    forgotten: BTreeSet<AgentId>,
}

impl Expected {
    /// Blocks were appended; those that came before, or from who was forgotten, change nothing.
    pub fn append(&mut self, blocks: &[BlockRows]) {
        for block in blocks {
            if self.forgotten.contains(&block.agent) {
                continue;
            }
            if !self.received.entry(block.agent).or_default().insert(block.block.0) {
                continue;
            }
            for judged in &block.windows {
                let path = (block.agent, judged.window.path.target.as_str().to_owned());
                let counts = &judged.window.counts;
                let facts = (judged.placed.0, counts.sent(), counts.lost());
                let is_new = !is_raw(block, judged)
                    || self.windows.entry(path.clone()).or_default().insert(facts);
                if is_new {
                    let slot = SlotStart::containing(judged.placed);
                    *self.slots.entry((path.clone(), slot)).or_default() += 1;
                    self.marks.insert((path, judged.placed.0.div_euclid(DAY)));
                }
            }
            let mut note = |kind: RecordKind, started: i64| {
                self.others.entry((block.agent, kind as u8)).or_default().push(started);
            };
            for record in &block.others {
                if let Some(kind) = kind_of(record) {
                    note(kind, record.stamp.started.0);
                }
            }
            if let Some(first) = block.quarantined.first() {
                note(RecordKind::Gap, first.started.map_or(0, |started| started.0));
            }
        }
    }

    /// What the store is to answer to the block.
    #[must_use]
    pub fn answer(&self, block: &BlockRows) -> Appended {
        let of_agent = self.received.get(&block.agent);
        if self.forgotten.contains(&block.agent) {
            Appended::Refused
        } else if of_agent.is_some_and(|blocks| blocks.contains(&block.block.0)) {
            Appended::Duplicate
        } else {
            Appended::Stored
        }
    }

    /// A step was taken; or begun, where that makes what is expected less.
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Append(blocks) => self.append(blocks),
            Step::AddAgent(number) => {
                self.agents.insert(inventory::agent(*number).name);
                self.acts += 1;
            }
            Step::Import(number) => {
                let file = inventory::file(*number);
                self.buildings = file.into_iter().map(|building| building.name).collect();
                self.acts += 1;
            }
            Step::Judge => self.marks.clear(),
            Step::Prune(now) => self.prune(*now),
            Step::Forget(agent) => self.forget(*agent),
            Step::Reopen | Step::Fold | Step::Rejudge => {}
        }
    }

    /// Raw windows lie in files of a day, slots in files of a week from Monday; files go whole.
    fn prune(&mut self, now: UtcMicros) {
        let first_day = |days: u32| (now.0 - i64::from(days) * DAY).div_euclid(DAY);
        let windows_from = first_day(RETENTION.windows_days);
        for windows in self.windows.values_mut() {
            windows.retain(|facts| facts.0.div_euclid(DAY) >= windows_from);
        }
        self.windows.retain(|_, windows| !windows.is_empty());
        let slots_from = first_day(RETENTION.slots_days);
        self.slots.retain(|(_, slot), _| {
            // 1970-01-01 was a Thursday.
            let week = (slot.start().0.div_euclid(DAY) + 3).div_euclid(7);
            week * 7 - 3 + 7 > slots_from
        });
        self.marks.retain(|(_, day)| *day >= slots_from);
    }

    fn forget(&mut self, agent: AgentId) {
        self.forgotten.insert(agent);
        self.received.remove(&agent);
        self.windows.retain(|path, _| path.0 != agent);
        self.slots.retain(|(path, _), _| path.0 != agent);
        self.others.retain(|(of, _), _| *of != agent);
        self.marks.retain(|(path, _)| path.0 != agent);
    }

    /// Blocks received.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.received.values().map(BTreeSet::len).sum()
    }

    /// What the store holds that it should not, or does not hold that it should; `None` when all is
    /// well.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn differs(
        &self,
        telemetry: &dyn Telemetry,
        control: &dyn Control,
    ) -> Result<Option<String>, StoreError> {
        let found = Contents::of(telemetry, control)?;
        let mut holds = Self { marks: self.marks.clone(), ..Self::default() };
        for (agent, ranges) in &found.received {
            let blocks = ranges.iter().flat_map(|(first, last)| *first..=*last).collect();
            holds.received.insert(*agent, blocks);
        }
        holds.received.retain(|_, blocks| !blocks.is_empty());
        let name = |path: &PathRow| (path.agent, path.key.target.as_str().to_owned());
        let named: BTreeMap<_, _> = found.paths.iter().map(|path| (path.id, name(path))).collect();
        for (path, windows) in &found.windows {
            let facts = windows.iter().map(|stored| {
                let counts = &stored.judged.window.counts;
                (stored.judged.placed.0, counts.sent(), counts.lost())
            });
            let set: BTreeSet<_> = facts.collect();
            if set.len() != windows.len() {
                return Ok(Some(format!("windows are there twice on {path:?}")));
            }
            if !set.is_empty() {
                holds.windows.insert(named[path].clone(), set);
            }
        }
        for (path, slot) in &found.slots {
            let windows = u64::from(slot.valid) + u64::from(slot.invalid);
            holds.slots.insert((named[path].clone(), slot.start), windows);
        }
        for ((agent, kind), records) in &found.others {
            let started = records.iter().map(|record| record.stamp.started.0).collect();
            holds.others.insert((*agent, *kind), started);
        }
        holds.agents = found.agents.iter().map(|agent| agent.name.clone()).collect();
        holds.buildings = found.buildings.iter().map(|building| building.name.clone()).collect();
        holds.acts = found.audit.len();
        let marked: BTreeSet<_> =
            found.marks.iter().map(|(path, day)| (named[path].clone(), *day)).collect();
        if let Some(missing) = self.marks.difference(&marked).next() {
            return Ok(Some(format!("the day of {missing:?} is not marked")));
        }
        Ok(self.compare(&mut holds))
    }

    fn compare(&self, holds: &mut Self) -> Option<String> {
        let mut others = self.others.clone();
        for starts in others.values_mut().chain(holds.others.values_mut()) {
            starts.sort_unstable();
        }
        others.retain(|_, starts| !starts.is_empty());
        holds.others.retain(|_, starts| !starts.is_empty());
        differing("blocks received", &self.received, &holds.received)
            .or_else(|| differing("windows", &self.windows, &holds.windows))
            .or_else(|| differing("windows in slots", &self.slots, &holds.slots))
            .or_else(|| differing("other records", &others, &holds.others))
            .or_else(|| differing("agents", &self.agents, &holds.agents))
            .or_else(|| differing("buildings", &self.buildings, &holds.buildings))
            .or_else(|| differing("acts audited", [self.acts], [holds.acts]))
    }
}

fn kind_of(record: &Record) -> Option<RecordKind> {
    match &record.body {
        Body::Check(_) => Some(RecordKind::Check),
        Body::Fact(_) => Some(RecordKind::Fact),
        Body::Load(_) => Some(RecordKind::Load),
        Body::Gap(_) => Some(RecordKind::Gap),
        Body::Window(_) | Body::SessionReport(_) => None,
    }
}

/// The first thing that is there and should not be, or the other way round.
fn differing<T: PartialEq + Debug>(
    what: &str,
    expected: impl IntoIterator<Item = T>,
    found: impl IntoIterator<Item = T>,
) -> Option<String> {
    let (mut expected, mut found) = (expected.into_iter(), found.into_iter());
    loop {
        let (expected, found) = (expected.next(), found.next());
        if expected != found {
            return Some(format!("{what}: expected {expected:?}, found {found:?}"));
        }
        expected.as_ref()?;
    }
}

fn each<K, T>(all: &[(K, Vec<T>)]) -> impl Iterator<Item = (&K, &T)> {
    all.iter().flat_map(|(key, some)| some.iter().map(move |one| (key, one)))
}

/// Everything that a store can be asked.
#[derive(Debug, PartialEq)]
pub struct Contents {
    paths: Vec<PathRow>,
    windows: Vec<(PathId, Vec<StoredWindow>)>,
    slots: Vec<(PathId, Slot)>,
    /// What slots that went were made into.
    hours: Vec<(PathId, Slot)>,
    others: Vec<((AgentId, u8), Vec<Record>)>,
    received: Vec<(AgentId, Vec<(u64, u64)>)>,
    marks: BTreeSet<(PathId, i64)>,
    agents: Vec<AgentRow>,
    buildings: Vec<Building>,
    subnets: Vec<Subnet>,
    audit: Vec<AuditEntry>,
    /// Windows, blocks and quarantined records ever.
    totals: (u64, u64, u64),
}

impl Contents {
    /// Asks for it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn of(telemetry: &dyn Telemetry, control: &dyn Control) -> Result<Self, StoreError> {
        let paths = telemetry.paths(None)?;
        let ids: Vec<_> = paths.iter().map(|path| path.id).collect();
        let mut windows = Vec::new();
        for &path in &ids {
            windows.push((path, telemetry.windows(path, ALWAYS.0, ALWAYS.1, usize::MAX)?));
        }
        let (mut others, mut received) = (Vec::new(), Vec::new());
        for agent in agents() {
            for kind in KINDS {
                let found = telemetry.others(agent, kind, ALWAYS.0, ALWAYS.1, usize::MAX)?;
                others.push(((agent, kind as u8), found));
            }
            let ranges = telemetry.received(agent, EPOCH)?;
            received.push((agent, ranges.iter().map(|range| (range.0.0, range.1.0)).collect()));
        }
        let every =
            (SlotStart::containing(UtcMicros(0)), SlotStart::containing(UtcMicros(1 << 52)));
        let slots = telemetry.slots(&ids, every.0, every.1)?;
        let mut hours = Vec::new();
        telemetry.visit_slots(&ids, every, Grain::Hour, SlotDetail::All, &mut |path, slot| {
            hours.push((path, slot.clone()));
        })?;
        let marks = telemetry.dirty_days(usize::MAX)?;
        let totals = telemetry.totals()?;
        Ok(Self {
            paths,
            windows,
            slots,
            hours,
            others,
            received,
            marks: marks.iter().map(|mark| (mark.path, mark.utc_day)).collect(),
            agents: control.agents()?,
            buildings: control.buildings()?,
            subnets: control.subnets()?,
            audit: control.audit(ALWAYS.0, ALWAYS.1, usize::MAX)?,
            totals: (totals.windows, totals.blocks, totals.quarantined),
        })
    }

    /// The first thing in which another store holds something else; `None` when nothing.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<String> {
        differing("paths", &self.paths, &other.paths)
            .or_else(|| differing("windows", each(&self.windows), each(&other.windows)))
            .or_else(|| differing("slots", &self.slots, &other.slots))
            .or_else(|| differing("hours", &self.hours, &other.hours))
            .or_else(|| differing("other records", each(&self.others), each(&other.others)))
            .or_else(|| differing("receipts", &self.received, &other.received))
            .or_else(|| differing("agents", &self.agents, &other.agents))
            .or_else(|| differing("buildings", &self.buildings, &other.buildings))
            .or_else(|| differing("subnets", &self.subnets, &other.subnets))
            .or_else(|| differing("audit", &self.audit, &other.audit))
            .or_else(|| differing("totals", [self.totals], [other.totals]))
    }

    /// Without the identities that are drawn when a building file is imported: every store has its own.
    #[must_use]
    pub fn without_drawn(mut self) -> Self {
        for building in &mut self.buildings {
            building.id = BuildingId::from_u128(0);
        }
        for subnet in &mut self.subnets {
            (subnet.id, subnet.building) = (SubnetId::from_u128(0), BuildingId::from_u128(0));
        }
        self
    }

    /// Windows kept.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.windows.iter().map(|(_, windows)| windows.len()).sum()
    }
}
