//! The contract of telemetry in memory, as plainly as can be: what engines are compared with.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{
    AgentId, BlockNo, Body, BootId, BootMicros, Context, Epoch, Gap, GapReason, LimitsVersion,
    PathKey, Record, RequirementProfile, Schedule, ScheduleRevision, SessionReport, Settlement,
    Slot, SlotStart, Stamp, UtcMicros, settle,
};
use busyhour_store::{
    Appended, BlockRows, JudgedWindow, PathRow, RecordKind, StoredWindow, Telemetry,
};

use crate::fixtures::{ALWAYS, DAY, RETENTION, as_stored, at, slot_of};

/// A path by name: numbers are the engine's affair.
pub(crate) type Name = (AgentId, PathKey);

const KINDS: [RecordKind; 4] =
    [RecordKind::Check, RecordKind::Fact, RecordKind::Load, RecordKind::Gap];

/// What is told of a path.
#[derive(Debug, PartialEq)]
pub(crate) struct PathTold {
    requirement: RequirementProfile,
    windows_per_slot: u32,
    oldest: UtcMicros,
    newest: UtcMicros,
    context: Context,
    windows: Vec<StoredWindow>,
    slots: Vec<Slot>,
}

/// All that is told of some agents.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    paths: BTreeMap<Name, PathTold>,
    others: Vec<Vec<Record>>,
    receipts: Vec<Vec<(u64, u64)>>,
    dirty: BTreeSet<(i64, Name)>,
    windows: u64,
    blocks: u64,
    quarantined: u64,
}

impl Told {
    /// Panics at the first thing that differs from what was expected, and names it.
    pub(crate) fn assert_is(&self, expected: &Self) {
        assert_eq!(
            self.paths.keys().collect::<Vec<_>>(),
            expected.paths.keys().collect::<Vec<_>>()
        );
        for (name, path) in &self.paths {
            let wanted = &expected.paths[name];
            let count = (path.windows.len(), path.slots.len());
            assert_eq!(count, (wanted.windows.len(), wanted.slots.len()), "{name:?}");
            for (found, wanted) in path.windows.iter().zip(&wanted.windows) {
                assert_eq!(found, wanted, "a window");
            }
            for (found, wanted) in path.slots.iter().zip(&wanted.slots) {
                assert_eq!(found, wanted, "a slot of {name:?}");
            }
        }
        for (found, wanted) in self.others.iter().zip(&expected.others) {
            assert_eq!(found, wanted, "records of an agent and a kind");
        }
        assert_eq!(self, expected);
    }
}

/// Asks a store for everything.
pub(crate) fn told(store: &dyn Telemetry, agents: &[AgentId], epochs: &[Epoch]) -> Told {
    let rows = store.paths(None).unwrap();
    let names: BTreeMap<_, Name> =
        rows.iter().map(|row| (row.id, (row.agent, row.key.clone()))).collect();
    assert_eq!(names.len(), rows.len(), "each number once");
    let ids: Vec<_> = names.keys().copied().collect();
    let (first, last) = crate::fixtures::EVER;
    let mut slots: BTreeMap<_, Vec<Slot>> = BTreeMap::new();
    for (path, slot) in store.slots(&ids, first, last).unwrap() {
        slots.entry(path).or_default().push(slot);
    }
    let path = |row: PathRow| {
        let told = PathTold {
            requirement: row.requirement,
            windows_per_slot: row.windows_per_slot,
            oldest: row.oldest,
            newest: row.newest,
            context: row.context,
            windows: store.windows(row.id, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap(),
            slots: slots.get(&row.id).cloned().unwrap_or_default(),
        };
        ((row.agent, row.key), told)
    };
    let others = |agent, kind| store.others(agent, kind, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
    let receipts = |agent, epoch| {
        let ranges = store.received(agent, epoch).unwrap();
        ranges.into_iter().map(|(first, last)| (first.0, last.0)).collect()
    };
    let dirty = store.dirty_days(usize::MAX).unwrap().into_iter();
    let totals = store.totals().unwrap();
    Told {
        paths: rows.into_iter().map(path).collect(),
        others: agents.iter().flat_map(|&a| KINDS.map(|kind| others(a, kind))).collect(),
        receipts: agents
            .iter()
            .flat_map(|&a| epochs.iter().map(move |&e| receipts(a, e)))
            .collect(),
        dirty: dirty.map(|day| (day.utc_day, names[&day.path].clone())).collect(),
        windows: totals.windows,
        blocks: totals.blocks,
        quarantined: totals.quarantined,
    }
}

/// A window that was accepted.
#[derive(Debug, Clone)]
struct Kept {
    /// As it was observed.
    stored: StoredWindow,
    raw: bool,
    windows_per_slot: u32,
    settled: Option<Settlement>,
}

#[derive(Debug)]
struct Path {
    requirement: RequirementProfile,
    windows_per_slot: u32,
    oldest: UtcMicros,
    newest: UtcMicros,
    context: Context,
    /// In the order in which they came.
    kept: Vec<Kept>,
}

/// The contract.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    receipts: BTreeMap<(AgentId, Epoch), BTreeSet<BlockNo>>,
    schedules: BTreeMap<(AgentId, u64), Schedule>,
    paths: BTreeMap<Name, Path>,
    others: BTreeMap<AgentId, Vec<(RecordKind, Record)>>,
    reports: Vec<(AgentId, SessionReport)>,
    dirty: BTreeSet<(i64, Name)>,
    cleared: BTreeSet<(i64, Name)>,
    forgotten: BTreeSet<AgentId>,
    windows: u64,
    blocks: u64,
    quarantined: u64,
}

fn day_of(moment: UtcMicros) -> i64 {
    moment.0.div_euclid(DAY)
}

impl Kept {
    fn told(&self) -> StoredWindow {
        let mut told = self.stored.clone();
        if let Some(settlement) = self.settled {
            told.judged.window = told.judged.window.settle(settlement).unwrap();
        }
        told
    }
}

impl Path {
    fn slots(&self) -> Vec<Slot> {
        let mut slots: BTreeMap<SlotStart, Slot> = BTreeMap::new();
        for kept in &self.kept {
            let judged = kept.told().judged;
            let start = slot_of(judged.placed);
            let slot = slots.entry(start).or_insert_with(|| Slot::new(start, LimitsVersion(0)));
            slot.limits = slot.limits.max(judged.limits);
            slot.expected = slot.expected.max(kept.windows_per_slot);
            slot.add(judged.placed, &judged.window, &judged.verdict);
        }
        slots.into_values().collect()
    }

    fn windows(&self) -> Vec<StoredWindow> {
        let mut windows: Vec<_> =
            self.kept.iter().filter(|kept| kept.raw).map(Kept::told).collect();
        windows.sort_by_key(|window| window.judged.placed);
        windows
    }
}

impl Reference {
    pub(crate) fn append(&mut self, blocks: &[BlockRows]) -> Vec<Appended> {
        let answers = blocks.iter().map(|block| self.block(block)).collect();
        self.settle();
        answers
    }

    fn block(&mut self, block: &BlockRows) -> Appended {
        if self.forgotten.contains(&block.agent) {
            return Appended::Refused;
        }
        if !self.receipts.entry((block.agent, block.epoch)).or_default().insert(block.block) {
            return Appended::Duplicate;
        }
        self.blocks += 1;
        for schedule in &block.schedules {
            self.schedules.insert((block.agent, schedule.revision.0), *schedule);
        }
        for judged in &block.windows {
            self.window(block, judged);
        }
        for record in &block.others {
            self.other(block, record);
        }
        if !block.quarantined.is_empty() {
            self.quarantined += block.quarantined.len() as u64;
            self.gap(block);
        }
        Appended::Stored
    }

    fn window(&mut self, block: &BlockRows, judged: &JudgedWindow) {
        let name = (block.agent, judged.window.path.clone());
        let schedule = self.schedules.get(&(block.agent, judged.schedule.0));
        let windows_per_slot = schedule.map_or(0, Schedule::windows_per_slot);
        let path = self.paths.entry(name.clone()).or_insert_with(|| Path {
            requirement: judged.requirement,
            windows_per_slot,
            oldest: judged.placed,
            newest: judged.placed,
            context: judged.context.clone(),
            kept: Vec::new(),
        });
        let raw = judged.placed >= at(block.received, -i64::from(RETENTION.windows_days) * DAY);
        let stored = as_stored(judged, block.received);
        if raw && path.kept.iter().any(|kept| kept.raw && kept.stored.judged == stored.judged) {
            return;
        }
        path.kept.push(Kept { stored, raw, windows_per_slot, settled: None });
        path.oldest = path.oldest.min(judged.placed);
        if judged.placed >= path.newest {
            path.newest = judged.placed;
            path.requirement = judged.requirement;
            path.windows_per_slot = windows_per_slot;
            path.context = judged.context.clone();
        }
        self.windows += 1;
        self.dirty.insert((day_of(judged.placed), name));
    }

    fn other(&mut self, block: &BlockRows, record: &Record) {
        let (kind, days) = match &record.body {
            Body::SessionReport(report) => {
                let oldest = at(block.received, -i64::from(RETENTION.windows_days) * DAY);
                // A reflector reports once of a session and a time: its first word counts.
                let told = |(of, known): &(AgentId, SessionReport)| {
                    let key = |report: &SessionReport| {
                        (report.listen, report.ssid, report.first_sent_ns, report.last_sent_ns)
                    };
                    *of == block.agent && key(known) == key(report)
                };
                if record.stamp.started >= oldest && !self.reports.iter().any(told) {
                    self.reports.push((block.agent, (**report).clone()));
                }
                return;
            }
            Body::Check(_) => (RecordKind::Check, RETENTION.checks_days),
            Body::Fact(_) => (RecordKind::Fact, RETENTION.facts_days),
            Body::Load(_) => (RecordKind::Load, RETENTION.loads_days),
            Body::Gap(_) => (RecordKind::Gap, RETENTION.gaps_days),
            Body::Window(_) => panic!("a window among other records"),
        };
        if record.stamp.started >= at(block.received, -i64::from(days) * DAY) {
            self.others.entry(block.agent).or_default().push((kind, record.clone()));
        }
    }

    /// Quarantined records whose times nobody knows leave a gap where their block came.
    fn gap(&mut self, block: &BlockRows) {
        assert!(block.quarantined.iter().all(|one| one.started.is_none()));
        let records = Some(block.quarantined.len() as u64);
        let body = Body::Gap(Gap { reason: GapReason::Quarantined, path: None, records });
        let stamp = Stamp::new(block.received, BootMicros(0), BootId::from_u128(0), 0).unwrap();
        let (schedule, context) = (ScheduleRevision(0), Context::default());
        self.other(block, &Record { stamp, schedule, context, body });
    }

    /// Every window with every report.
    fn settle(&mut self) {
        let reports: Vec<_> = self.reports.iter().map(|(_, report)| report.clone()).collect();
        for (name, path) in &mut self.paths {
            for kept in path.kept.iter_mut().filter(|kept| kept.raw && kept.settled.is_none()) {
                let judged = &kept.stored.judged;
                kept.settled = settle(&judged.window, &judged.stamp, &judged.context, &reports);
                if kept.settled.is_some() {
                    self.dirty.insert((day_of(judged.placed), name.clone()));
                }
            }
        }
    }

    /// Clears the marks of days that `choose` takes.
    pub(crate) fn clear_dirty(&mut self, choose: impl Fn(i64, &Name) -> bool) {
        let gone: Vec<_> =
            self.dirty.iter().filter(|(day, name)| choose(*day, name)).cloned().collect();
        for mark in gone {
            self.dirty.remove(&mark);
            self.cleared.insert(mark);
        }
    }

    /// After opening again marks that were cleared may be back, and no mark is lost.
    pub(crate) fn reopened(&mut self, told: &Told) {
        assert!(self.dirty.is_subset(&told.dirty), "a mark was lost");
        assert!(
            told.dirty.iter().all(|mark| self.dirty.contains(mark) || self.cleared.contains(mark))
        );
        self.dirty.clone_from(&told.dirty);
    }

    pub(crate) fn forget(&mut self, agent: AgentId) {
        self.forgotten.insert(agent);
        self.receipts.retain(|(of, _), _| *of != agent);
        self.schedules.retain(|(of, _), _| *of != agent);
        self.paths.retain(|(of, _), _| *of != agent);
        self.others.remove(&agent);
        self.reports.retain(|(of, _)| *of != agent);
        self.dirty.retain(|(_, (of, _))| *of != agent);
        self.cleared.retain(|(_, (of, _))| *of != agent);
    }

    pub(crate) fn told(&self, agents: &[AgentId], epochs: &[Epoch]) -> Told {
        let path = |path: &Path| PathTold {
            requirement: path.requirement,
            windows_per_slot: path.windows_per_slot,
            oldest: path.oldest,
            newest: path.newest,
            context: path.context.clone(),
            windows: path.windows(),
            slots: path.slots(),
        };
        let others = |agent: &AgentId, kind: RecordKind| {
            let of_agent = self.others.get(agent).into_iter().flatten();
            let of_kind = of_agent.filter(|(of, _)| *of == kind);
            let mut records: Vec<_> = of_kind.map(|(_, record)| record.clone()).collect();
            records.sort_by_key(|record| record.stamp.started);
            records
        };
        let receipts = |agent, epoch| {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for number in self.receipts.get(&(agent, epoch)).into_iter().flatten() {
                match ranges.last_mut() {
                    Some(last) if last.1 + 1 == number.0 => last.1 = number.0,
                    _ => ranges.push((number.0, number.0)),
                }
            }
            ranges
        };
        Told {
            paths: self.paths.iter().map(|(name, of)| (name.clone(), path(of))).collect(),
            others: agents.iter().flat_map(|a| KINDS.map(|kind| others(a, kind))).collect(),
            receipts: agents
                .iter()
                .flat_map(|&a| epochs.iter().map(move |&e| receipts(a, e)))
                .collect(),
            dirty: self.dirty.clone(),
            windows: self.windows,
            blocks: self.blocks,
            quarantined: self.quarantined,
        }
    }
}
