//! The counts of a slot: what most questions need, apart from the distributions.

use crate::{
    Breach, BurstLoss, LimitsVersion, MIN_JUDGED_RATE_PPS, Settlement, UtcMicros, Window,
    WindowVerdict,
};

/// The worst loss of a slot within some time, and the window that held it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstLoss {
    /// The loss, of at least one packet.
    pub loss: BurstLoss,
    /// The beginning of the window.
    pub window: UtcMicros,
}

impl WorstLoss {
    /// `None` where nothing was lost.
    fn of(loss: Option<BurstLoss>, window: UtcMicros) -> Option<Self> {
        loss.filter(|loss| loss.lost() > 0).map(|loss| Self { loss, window })
    }

    /// The worse of two: the higher share, then the more packets, then the earlier one.
    fn worse(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (Some(left), Some(right)) = (a, b) else { return a.or(b) };
        let share = |w: &Self, other: &Self| u64::from(w.loss.lost()) * u64::from(other.loss.of());
        let ordering = share(&left, &right)
            .cmp(&share(&right, &left))
            .then(left.loss.lost().cmp(&right.loss.lost()))
            .then(right.window.cmp(&left.window));
        Some(if ordering.is_ge() { left } else { right })
    }
}

/// Exact counts and extremes of windows of one path over one quarter-hour of UTC, or of several merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotCounts {
    /// The version of the limit tables that the bad windows were counted with.
    pub limits: LimitsVersion,
    /// Windows that should exist, by the schedule.
    pub expected: u32,
    /// Windows that count.
    pub valid: u32,
    /// Windows that came but do not count (too little was sent).
    pub invalid: u32,
    /// Valid windows of [`MIN_JUDGED_RATE_PPS`] and more: others say nothing of loss, bursts, jitter
    /// and order.
    pub dense: u32,
    /// Valid windows bad in any way.
    pub bad: u32,
    /// Valid windows bad by loss, burst, delay, jitter, failed: in the order of [`Breach::ALL`].
    pub bad_by: [u32; 5],
    /// Packets sent in valid windows, and so on.
    pub sent: u64,
    /// Packets lost up.
    pub lost_up: u64,
    /// Packets lost down.
    pub lost_down: u64,
    /// Packets lost with direction unknown.
    pub lost_unknown: u64,
    /// Replies out of order.
    pub reordered: u64,
    /// Duplicate replies.
    pub duplicated: u64,
    /// Requests whose code point was changed on the way up.
    pub dscp_up_changed: u64,
    /// Replies whose code point was changed on the way down.
    pub dscp_down_changed: u64,
    /// The worst 200 ms of dense windows; `None` where nothing was lost or no window could tell.
    pub worst_burst: Option<WorstLoss>,
    /// The worst 15 s of dense windows, a window or sliding ones; `None` where nothing was lost.
    pub worst_15s: Option<WorstLoss>,
}

impl SlotCounts {
    /// Counts of nothing.
    #[must_use]
    pub const fn new(limits: LimitsVersion) -> Self {
        Self {
            limits,
            expected: 0,
            valid: 0,
            invalid: 0,
            dense: 0,
            bad: 0,
            bad_by: [0; 5],
            sent: 0,
            lost_up: 0,
            lost_down: 0,
            lost_unknown: 0,
            reordered: 0,
            duplicated: 0,
            dscp_up_changed: 0,
            dscp_down_changed: 0,
            worst_burst: None,
            worst_15s: None,
        }
    }

    /// Adds a window that began at `started` with the verdict on it.
    pub fn add(&mut self, started: UtcMicros, window: &Window, verdict: &WindowVerdict) {
        if !verdict.valid {
            self.invalid = self.invalid.saturating_add(1);
            return;
        }
        let counts = &window.counts;
        self.valid = self.valid.saturating_add(1);
        self.bad = self.bad.saturating_add(u32::from(verdict.bad()));
        for (count, &breach) in self.bad_by.iter_mut().zip(Breach::ALL) {
            *count = count.saturating_add(u32::from(verdict.breaks(breach)));
        }
        let add = |total: &mut u64, more: u32| *total = total.saturating_add(u64::from(more));
        add(&mut self.sent, counts.sent());
        add(&mut self.lost_up, counts.lost_up());
        add(&mut self.lost_down, counts.lost_down());
        add(&mut self.lost_unknown, counts.lost_unknown());
        add(&mut self.reordered, counts.reordered());
        add(&mut self.duplicated, counts.duplicated());
        add(&mut self.dscp_up_changed, window.dscp.up_changed);
        add(&mut self.dscp_down_changed, window.dscp.down_changed);
        if window.rate_pps < MIN_JUDGED_RATE_PPS {
            return;
        }
        self.dense = self.dense.saturating_add(1);
        let burst = WorstLoss::of(window.burst, started);
        self.worst_burst = WorstLoss::worse(self.worst_burst, burst);
        let whole = BurstLoss::new(counts.lost(), counts.sent()).ok();
        for loss in [whole, window.worst_15s] {
            self.worst_15s = WorstLoss::worse(self.worst_15s, WorstLoss::of(loss, started));
        }
    }

    /// Gives a direction to lost packets of a valid window that was added before. Its figures change as
    /// well: see [`Figures::replace`](crate::Figures::replace).
    pub const fn settle(&mut self, settlement: Settlement) {
        let Settlement { up, down } = settlement;
        self.lost_unknown = self.lost_unknown.saturating_sub(up as u64 + down as u64);
        self.lost_up = self.lost_up.saturating_add(up as u64);
        self.lost_down = self.lost_down.saturating_add(down as u64);
    }

    /// Adds all of `other` (another path, or another quarter-hour).
    pub fn merge(&mut self, other: &Self) {
        self.limits = self.limits.max(other.limits);
        let add = |total: &mut u32, more: u32| *total = total.saturating_add(more);
        add(&mut self.expected, other.expected);
        add(&mut self.valid, other.valid);
        add(&mut self.invalid, other.invalid);
        add(&mut self.dense, other.dense);
        add(&mut self.bad, other.bad);
        for (count, more) in self.bad_by.iter_mut().zip(other.bad_by) {
            add(count, more);
        }
        let add = |total: &mut u64, more: u64| *total = total.saturating_add(more);
        add(&mut self.sent, other.sent);
        add(&mut self.lost_up, other.lost_up);
        add(&mut self.lost_down, other.lost_down);
        add(&mut self.lost_unknown, other.lost_unknown);
        add(&mut self.reordered, other.reordered);
        add(&mut self.duplicated, other.duplicated);
        add(&mut self.dscp_up_changed, other.dscp_up_changed);
        add(&mut self.dscp_down_changed, other.dscp_down_changed);
        self.worst_burst = WorstLoss::worse(self.worst_burst, other.worst_burst);
        self.worst_15s = WorstLoss::worse(self.worst_15s, other.worst_15s);
    }

    /// Packets lost in any direction.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_up.saturating_add(self.lost_down).saturating_add(self.lost_unknown)
    }

    /// True when some of its valid windows had [`MIN_JUDGED_RATE_PPS`] or more. Others say nothing of
    /// loss, jitter and order.
    #[must_use]
    pub const fn is_dense(&self) -> bool {
        self.dense > 0
    }

    /// Lost and sent packets, as far as they tell anything of loss: of sparse windows only those of
    /// outages are lost, which are taken to have sent as much as the others.
    #[must_use]
    pub fn loss_told(&self) -> (u64, u64) {
        if self.is_dense() {
            return (self.lost(), self.sent);
        }
        let failed = u128::from(self.sent) * u128::from(self.bad_by(Breach::Failed));
        let lost = failed / u128::from(self.valid.max(1));
        (u64::try_from(lost).unwrap_or(u64::MAX), self.sent)
    }

    /// All lost over all sent; `None` when nothing was sent, or too sparsely to say.
    #[must_use]
    pub fn loss_ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio is an approximation anyway")]
        (self.sent > 0 && self.is_dense()).then(|| self.lost() as f64 / self.sent as f64)
    }

    /// Bad windows over valid ones; `None` when none is valid.
    #[must_use]
    pub fn bad_ratio(&self) -> Option<f64> {
        (self.valid > 0).then(|| f64::from(self.bad) / f64::from(self.valid))
    }

    /// The observed share of the windows that should exist, at most 1; `None` when none should.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        (self.expected > 0).then(|| (f64::from(self.valid) / f64::from(self.expected)).min(1.0))
    }

    /// How many valid windows are bad in this way.
    #[must_use]
    pub fn bad_by(&self, breach: Breach) -> u32 {
        Breach::ALL.iter().zip(self.bad_by).find(|(b, _)| **b == breach).map_or(0, |(_, n)| n)
    }
}
