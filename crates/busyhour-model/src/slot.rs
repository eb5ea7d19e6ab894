//! Slots: mergeable aggregates of a path's windows over a quarter-hour of UTC.

use crate::{
    Breach, BurstLoss, Histogram, LimitsVersion, MIN_JUDGED_RATE_PPS, Settlement, SlotStart,
    UtcMicros, Window, WindowVerdict,
};

/// The worst 200 ms of a slot, and the window that held it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstBurst {
    /// The loss.
    pub burst: BurstLoss,
    /// The beginning of the window.
    pub window: UtcMicros,
}

/// Windows of one path over one quarter-hour of UTC: exact counts, small histograms, the worst
/// window. Slots of several paths or hours merge; a mean is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The quarter-hour (the first one, once merged).
    pub start: SlotStart,
    /// The version of the limit tables that the bad windows were counted with.
    pub limits: LimitsVersion,
    /// Windows that should exist, by the schedule.
    pub expected: u32,
    /// Windows that count.
    pub valid: u32,
    /// Windows that came but do not count (too little was sent).
    pub invalid: u32,
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
    /// Round-trip times of packets, in microseconds.
    pub rtt_us: Histogram,
    /// Delay variation up of packets, in microseconds.
    pub up_variation_us: Histogram,
    /// Delay variation down of packets, in microseconds.
    pub down_variation_us: Histogram,
    /// Loss of windows of [`MIN_JUDGED_RATE_PPS`] and more, in parts per million.
    pub loss_ppm: Histogram,
    /// Mean jitter of such windows (worse direction), in microseconds.
    pub jitter_us: Histogram,
    /// The worst 200 ms of such windows.
    pub worst_burst: Option<WorstBurst>,
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub const fn new(start: SlotStart, limits: LimitsVersion) -> Self {
        Self {
            start,
            limits,
            expected: 0,
            valid: 0,
            invalid: 0,
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
            rtt_us: Histogram::new(),
            up_variation_us: Histogram::new(),
            down_variation_us: Histogram::new(),
            loss_ppm: Histogram::new(),
            jitter_us: Histogram::new(),
            worst_burst: None,
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
        self.sent += u64::from(counts.sent());
        self.lost_up += u64::from(counts.lost_up());
        self.lost_down += u64::from(counts.lost_down());
        self.lost_unknown += u64::from(counts.lost_unknown());
        self.reordered += u64::from(counts.reordered());
        self.duplicated += u64::from(counts.duplicated());
        self.dscp_up_changed += u64::from(window.dscp.up_changed);
        self.dscp_down_changed += u64::from(window.dscp.down_changed);
        self.rtt_us.merge(&window.rtt);
        self.up_variation_us.merge(&window.up_variation);
        self.down_variation_us.merge(&window.down_variation);
        if window.rate_pps < MIN_JUDGED_RATE_PPS {
            return;
        }
        let loss_ppm = u64::from(counts.lost()) * 1_000_000 / u64::from(counts.sent().max(1));
        self.loss_ppm.record(loss_ppm as u32);
        if let Some(jitter) = window.jitter_us() {
            self.jitter_us.record(jitter);
        }
        let worst = window.burst.map(|burst| WorstBurst { burst, window: started });
        self.worst_burst = worse(self.worst_burst, worst);
    }

    /// Gives a direction to lost packets of a valid window that was added before.
    pub const fn settle(&mut self, settlement: Settlement) {
        let Settlement { up, down } = settlement;
        self.lost_unknown = self.lost_unknown.saturating_sub(up as u64 + down as u64);
        self.lost_up = self.lost_up.saturating_add(up as u64);
        self.lost_down = self.lost_down.saturating_add(down as u64);
    }

    /// Adds all of `other` (another path, or another quarter-hour).
    pub fn merge(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.limits = self.limits.max(other.limits);
        self.expected = self.expected.saturating_add(other.expected);
        self.valid = self.valid.saturating_add(other.valid);
        self.invalid = self.invalid.saturating_add(other.invalid);
        self.bad = self.bad.saturating_add(other.bad);
        for (count, more) in self.bad_by.iter_mut().zip(other.bad_by) {
            *count = count.saturating_add(more);
        }
        self.sent = self.sent.saturating_add(other.sent);
        self.lost_up = self.lost_up.saturating_add(other.lost_up);
        self.lost_down = self.lost_down.saturating_add(other.lost_down);
        self.lost_unknown = self.lost_unknown.saturating_add(other.lost_unknown);
        self.reordered = self.reordered.saturating_add(other.reordered);
        self.duplicated = self.duplicated.saturating_add(other.duplicated);
        self.dscp_up_changed = self.dscp_up_changed.saturating_add(other.dscp_up_changed);
        self.dscp_down_changed = self.dscp_down_changed.saturating_add(other.dscp_down_changed);
        self.rtt_us.merge(&other.rtt_us);
        self.up_variation_us.merge(&other.up_variation_us);
        self.down_variation_us.merge(&other.down_variation_us);
        self.loss_ppm.merge(&other.loss_ppm);
        self.jitter_us.merge(&other.jitter_us);
        self.worst_burst = worse(self.worst_burst, other.worst_burst);
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
        !self.loss_ppm.is_empty()
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

/// The worse of two bursts: the higher share, then the more packets, then the earlier one.
fn worse(a: Option<WorstBurst>, b: Option<WorstBurst>) -> Option<WorstBurst> {
    let (Some(left), Some(right)) = (a, b) else { return a.or(b) };
    let share = |w: &WorstBurst, other: &WorstBurst| {
        u64::from(w.burst.lost()) * u64::from(other.burst.of())
    };
    let ordering = share(&left, &right)
        .cmp(&share(&right, &left))
        .then(left.burst.lost().cmp(&right.burst.lost()))
        .then(right.window.cmp(&left.window));
    Some(if ordering.is_ge() { left } else { right })
}
