//! What the judge says of itself, for the status page.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use busyhour_model::{FindingKind, TargetName, UtcMicros};

/// A target that was at fault within the last day: no building is blamed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault {
    /// The target.
    pub target: TargetName,
    /// The beginning of its first quarter-hour at fault within that day.
    pub from: UtcMicros,
    /// The end of its last one.
    pub until: UtcMicros,
    /// How many quarter-hours.
    pub quarter_hours: u32,
}

/// Counters of the judge; cheap to read from any task.
#[derive(Debug, Default)]
pub struct JudgeStatus {
    last_judged: AtomicI64,
    waiting: AtomicU64,
    judged_days: AtomicU64,
    written_days: AtomicU64,
    failures: AtomicU64,
    rebuild_waiting: AtomicU64,
    rows: AtomicU64,
    learned_buildings: AtomicU64,
    last_round_us: AtomicU64,
    rounds: AtomicU64,
    /// Held only while small lists are copied.
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    target_faults: Vec<TargetFault>,
    findings: Vec<(FindingKind, u64)>,
}

/// What a round found out about the judge itself.
pub(crate) struct RoundFigures {
    pub(crate) at: UtcMicros,
    pub(crate) waiting: usize,
    pub(crate) judged: usize,
    pub(crate) written: usize,
    pub(crate) rebuild_waiting: usize,
    pub(crate) rows: usize,
    pub(crate) learned: usize,
    pub(crate) findings: Vec<(FindingKind, u64)>,
}

impl JudgeStatus {
    /// When judging last succeeded; `None` before the first time.
    #[must_use]
    pub fn last_judged(&self) -> Option<UtcMicros> {
        match self.last_judged.load(Ordering::Relaxed) {
            0 => None,
            at => Some(UtcMicros(at)),
        }
    }

    /// Days that wait to be judged, as far as the last round looked.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Local dates judged since the start.
    #[must_use]
    pub fn judged_days(&self) -> u64 {
        self.judged_days.load(Ordering::Relaxed)
    }

    /// Verdicts written since the start.
    #[must_use]
    pub fn written_days(&self) -> u64 {
        self.written_days.load(Ordering::Relaxed)
    }

    /// Rounds that failed since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Local dates that have to be read, since the start or since buildings changed, before findings
    /// are judged again.
    #[must_use]
    pub fn rebuild_waiting(&self) -> u64 {
        self.rebuild_waiting.load(Ordering::Relaxed)
    }

    /// Series days that findings are judged by.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Buildings whose busy hours were learned from load.
    #[must_use]
    pub fn learned_buildings(&self) -> u64 {
        self.learned_buildings.load(Ordering::Relaxed)
    }

    /// Rounds that ended since the start, those that failed, too.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// How long the last round took.
    #[must_use]
    pub fn last_round(&self) -> Duration {
        Duration::from_micros(self.last_round_us.load(Ordering::Relaxed))
    }

    /// The targets at fault within the day before the last round.
    #[must_use]
    pub fn target_faults(&self) -> Vec<TargetFault> {
        self.lists.lock().map(|lists| lists.target_faults.clone()).unwrap_or_default()
    }

    /// How many findings of each kind are open; empty before the first time.
    #[must_use]
    pub fn open_findings(&self) -> Vec<(FindingKind, u64)> {
        self.lists.lock().map(|lists| lists.findings.clone()).unwrap_or_default()
    }

    pub(crate) fn succeeded(&self, round: RoundFigures) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        self.waiting.store(count(round.waiting), Ordering::Relaxed);
        self.judged_days.fetch_add(count(round.judged), Ordering::Relaxed);
        self.written_days.fetch_add(count(round.written), Ordering::Relaxed);
        self.rebuild_waiting.store(count(round.rebuild_waiting), Ordering::Relaxed);
        self.rows.store(count(round.rows), Ordering::Relaxed);
        self.learned_buildings.store(count(round.learned), Ordering::Relaxed);
        if let Ok(mut lists) = self.lists.lock() {
            lists.findings = round.findings;
        }
        self.last_judged.store(round.at.0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn took(&self, round: Duration) {
        let us = u64::try_from(round.as_micros()).unwrap_or(u64::MAX);
        self.last_round_us.store(us, Ordering::Relaxed);
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the targets that are at fault. True when one of them was not before.
    pub(crate) fn keep_faults(&self, faults: Vec<TargetFault>) -> bool {
        let Ok(mut lists) = self.lists.lock() else { return false };
        let known = |fault: &TargetFault| {
            lists.target_faults.iter().any(|known| known.target == fault.target)
        };
        let news = faults.iter().any(|fault| !known(fault));
        lists.target_faults = faults;
        news
    }
}
