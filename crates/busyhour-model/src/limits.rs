//! The published limits, as dated tables, and the verdict on a window or an hour.

use std::fmt;

mod order;
mod tables;

pub use order::{REORDER_FAIL_LEVEL, REORDER_PASS_LEVEL};
pub use tables::{AzureRegion, LIMITS, LimitSource, RequirementProfile};

use crate::path::word_enum;
use crate::{BurstLoss, OneWayDelay, SlotCounts, UtcMicros, Window};

/// Below this rate (packets a second) a window never says anything of loss, bursts or jitter: relay
/// checks and the like measure delay and reachability.
pub const MIN_JUDGED_RATE_PPS: u32 = 10;

/// The version of the limit tables; kept beside every count that was made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitsVersion(pub u32);

impl fmt::Display for LimitsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The limits of one requirement profile, in one edition. A window fails when it is above one of
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitTable {
    /// The version.
    pub version: LimitsVersion,
    /// Since when it is in force.
    pub in_force_from: UtcMicros,
    /// The requirement profile.
    pub requirement: RequirementProfile,
    /// Packet loss in any 15 s, in parts per million.
    pub loss_ppm: u32,
    /// Packet loss in any 200 ms, in parts per million.
    pub burst_ppm: u32,
    /// Round-trip time, in microseconds.
    pub rtt_us: u32,
    /// One-way delay, in microseconds; applied only between synchronised clocks.
    pub one_way_us: u32,
    /// Interarrival jitter in any 15 s, in microseconds.
    pub jitter_us: u32,
    /// Packets out of order, in parts per million, applied to an hour; `None` where the source gives
    /// no limit.
    pub reorder_ppm: Option<u32>,
    /// Where the figures were published.
    pub source: LimitSource,
}

/// The table of `requirement` that was in force at `at`; `None` for a profile without limits.
#[must_use]
pub fn limits_in_force(
    requirement: RequirementProfile,
    at: UtcMicros,
) -> Option<&'static LimitTable> {
    in_force(LIMITS, requirement, at)
}

/// Of several editions the newest that was in force already.
fn in_force(
    tables: &[LimitTable],
    requirement: RequirementProfile,
    at: UtcMicros,
) -> Option<&LimitTable> {
    tables
        .iter()
        .filter(|table| table.requirement == requirement && table.in_force_from <= at)
        .max_by_key(|table| (table.in_force_from, table.version))
}

/// What one limit says of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Within the limit.
    Pass,
    /// Beyond the limit.
    Fail,
    /// Not measured, or the limit is finer than the measurement. Never good.
    Unknown,
}

impl Judgement {
    /// The word used in JSON, the command line and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

word_enum!(
    /// In which way a window is bad.
    Breach, "breach", {
        /// Too much lost in 15 s.
        Loss = "loss",
        /// Too much lost in 200 ms.
        Burst = "burst",
        /// Too long a round trip.
        Delay = "delay",
        /// Too much jitter.
        Jitter = "jitter",
        /// Nothing came back.
        Failed = "failed",
    }
);

/// The verdict on one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowVerdict {
    /// Enough was sent to judge at all. Nothing else counts otherwise.
    pub valid: bool,
    /// Nothing came back.
    pub failed: bool,
    /// Loss in 15 s.
    pub loss: Judgement,
    /// Loss in 200 ms.
    pub burst: Judgement,
    /// Round-trip time.
    pub delay: Judgement,
    /// Jitter.
    pub jitter: Judgement,
}

impl WindowVerdict {
    /// True when the window counts and breaks a limit or failed.
    #[must_use]
    pub fn bad(&self) -> bool {
        self.valid && Breach::ALL.iter().any(|&breach| self.breaks(breach))
    }

    /// True when the window counts and is bad in this way.
    #[must_use]
    pub fn breaks(&self, breach: Breach) -> bool {
        let judgement = match breach {
            Breach::Loss => self.loss,
            Breach::Burst => self.burst,
            Breach::Delay => self.delay,
            Breach::Jitter => self.jitter,
            Breach::Failed => return self.valid && self.failed,
        };
        self.valid && judgement == Judgement::Fail
    }
}

impl LimitTable {
    /// Judges a window. It is valid when at least 80 % of its schedule was sent. Where a limit is
    /// finer than one packet of what was sent, up to one lost packet is unknown, not failed. Below
    /// [`MIN_JUDGED_RATE_PPS`] loss, burst and jitter are unknown. Delay fails by the round trip or,
    /// between synchronised clocks, by either direction.
    #[must_use]
    pub fn judge(&self, window: &Window) -> WindowVerdict {
        let counts = &window.counts;
        let valid =
            counts.sent() > 0 && u64::from(counts.sent()) * 10 >= u64::from(counts.scheduled()) * 8;
        let dense = window.rate_pps >= MIN_JUDGED_RATE_PPS;
        let unknown = Judgement::Unknown;
        if window.failed() {
            return WindowVerdict {
                valid,
                failed: true,
                loss: if dense { Judgement::Fail } else { unknown },
                burst: unknown,
                delay: unknown,
                jitter: unknown,
            };
        }
        let delay = match self.judge_one_way(window) {
            Judgement::Fail => Judgement::Fail,
            Judgement::Pass | Judgement::Unknown => above(window.rtt_median_us, self.rtt_us),
        };
        if !dense {
            let (loss, burst, jitter) = (unknown, unknown, unknown);
            return WindowVerdict { valid, failed: false, loss, burst, delay, jitter };
        }
        WindowVerdict {
            valid,
            failed: false,
            loss: ratio_above(counts.lost(), counts.sent(), self.loss_ppm),
            burst: window.burst.map_or(unknown, |burst| self.judge_burst(burst)),
            delay,
            jitter: above(window.jitter_us(), self.jitter_us),
        }
    }

    /// Judges the medians of the one-way delays, the worse of both directions. Unknown unless both
    /// clocks claim to be synchronised, as no window has such delays else, where the delays refute
    /// that claim ([`OneWayDelay::is_credible`]), and where the limit lies within what the clocks may
    /// err.
    #[must_use]
    pub fn judge_one_way(&self, window: &Window) -> Judgement {
        let Some(one_way) = window.one_way.filter(OneWayDelay::is_credible) else {
            return Judgement::Unknown;
        };
        let (limit, error) = (i64::from(self.one_way_us), i64::from(one_way.error_us));
        let worse = i64::from(one_way.up_median_us.max(one_way.down_median_us));
        if worse - error > limit {
            Judgement::Fail
        } else if worse + error > limit {
            Judgement::Unknown
        } else {
            Judgement::Pass
        }
    }

    /// Judges the packets out of order of an hour (of slots, merged): never those of a window, which
    /// holds too few. An exact test at [`REORDER_FAIL_LEVEL`] and [`REORDER_PASS_LEVEL`]; unknown where chance explains either, and of
    /// sparse windows: what is sent far apart cannot overtake.
    ///
    /// The replies of the round trip are counted: what either direction did shows in them.
    #[must_use]
    pub fn judge_reorder(&self, hour: &SlotCounts) -> Judgement {
        let received = hour.sent.saturating_sub(hour.lost());
        self.reorder_ppm
            .filter(|_| hour.is_dense())
            .map_or(Judgement::Unknown, |limit| order::judge_rare(hour.reordered, received, limit))
    }

    /// At 50 packets a second 200 ms hold about ten, so that a single loss is 10 % already: two are
    /// needed to call it a burst, and without them nothing is said where one packet is more than
    /// twice the limit.
    fn judge_burst(&self, burst: BurstLoss) -> Judgement {
        let allowed = u64::from(self.burst_ppm) * u64::from(burst.of());
        if burst.lost() >= 2 && u64::from(burst.lost()) * 1_000_000 > allowed {
            return Judgement::Fail;
        }
        if 2 * allowed < 1_000_000 { Judgement::Unknown } else { Judgement::Pass }
    }
}

/// Where the limit is finer than one packet of `whole`, one lost packet proves nothing, and neither
/// does none; two are beyond it whatever the resolution.
fn ratio_above(part: u32, whole: u32, limit_ppm: u32) -> Judgement {
    let allowed = u64::from(limit_ppm) * u64::from(whole);
    if part < 2 && allowed < 1_000_000 {
        return Judgement::Unknown;
    }
    if u64::from(part) * 1_000_000 > allowed { Judgement::Fail } else { Judgement::Pass }
}

fn above(value: Option<u32>, limit: u32) -> Judgement {
    match value {
        None => Judgement::Unknown,
        Some(value) if value > limit => Judgement::Fail,
        Some(_) => Judgement::Pass,
    }
}

#[cfg(test)]
mod tests;
