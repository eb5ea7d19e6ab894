//! What the judge says of itself, for the status page.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use busyhour_model::{TargetName, UtcMicros};
use jiff::civil::Date;

/// A target that was at fault: no building is blamed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault {
    /// The target.
    pub target: TargetName,
    /// The beginning of its first quarter-hour at fault on the day judged last.
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
    /// Held only while a small list is copied.
    target_faults: Mutex<(Option<Date>, Vec<TargetFault>)>,
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

    /// The targets at fault on the newest date that was judged.
    #[must_use]
    pub fn target_faults(&self) -> Vec<TargetFault> {
        self.target_faults.lock().map(|held| held.1.clone()).unwrap_or_default()
    }

    pub(crate) fn succeeded(&self, at: UtcMicros, waiting: u64, judged: u64, written: u64) {
        self.last_judged.store(at.0, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
        self.judged_days.fetch_add(judged, Ordering::Relaxed);
        self.written_days.fetch_add(written, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the faults of the newest date; those of older dates are history. True when they are
    /// news.
    pub(crate) fn keep_faults(&self, date: Date, faults: Vec<TargetFault>) -> bool {
        let Ok(mut held) = self.target_faults.lock() else { return false };
        let newest = held.0.is_none_or(|newest| newest <= date);
        let news = newest && held.1 != faults && !faults.is_empty();
        if newest {
            *held = (Some(date), faults);
        }
        news
    }
}
