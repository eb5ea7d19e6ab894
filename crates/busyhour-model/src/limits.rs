//! The published limits, as dated tables, and the verdict on a window.

use std::fmt;

use crate::path::word_enum;
use crate::{BurstLoss, UtcMicros, Window};

word_enum!(
    /// What a target's path is judged by.
    RequirementProfile, "requirement profile", {
        /// Client to Microsoft edge.
        ClientToMicrosoftEdge = "client-to-microsoft-edge",
        /// Site edge to Microsoft edge.
        SiteEdgeToMicrosoftEdge = "site-edge-to-microsoft-edge",
        /// Figures without a verdict.
        None = "none",
    }
);

/// The version of the limit tables; kept beside every count that was made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitsVersion(pub u32);

impl fmt::Display for LimitsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The limits of one requirement profile. A window fails when it is above one of them.
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
    /// Interarrival jitter in any 15 s, in microseconds.
    pub jitter_us: u32,
}

/// Microsoft's requirements (OfficeDocs-SkypeForBusiness, `Teams/prepare-network.md`, edition of
/// 2019-03; `media-quality-and-network-connectivity-performance.md`, 2018), as applied here:
/// round-trip time to the window's median, jitter to the mean RFC 3550 estimate of the worse
/// direction, burst with at least two packets lost.
pub const LIMITS: &[LimitTable] = &[
    LimitTable {
        version: LimitsVersion(1),
        in_force_from: UtcMicros(i64::MIN),
        requirement: RequirementProfile::ClientToMicrosoftEdge,
        loss_ppm: 10_000,
        burst_ppm: 100_000,
        rtt_us: 100_000,
        jitter_us: 30_000,
    },
    LimitTable {
        version: LimitsVersion(1),
        in_force_from: UtcMicros(i64::MIN),
        requirement: RequirementProfile::SiteEdgeToMicrosoftEdge,
        loss_ppm: 1_000,
        burst_ppm: 10_000,
        rtt_us: 60_000,
        jitter_us: 15_000,
    },
];

/// The table of `requirement` that was in force at `at`; `None` for a profile without limits.
#[must_use]
pub fn limits_in_force(
    requirement: RequirementProfile,
    at: UtcMicros,
) -> Option<&'static LimitTable> {
    LIMITS
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
    /// finer than one packet of what was sent, up to one lost packet is unknown, not failed.
    #[must_use]
    pub fn judge(&self, window: &Window) -> WindowVerdict {
        let counts = &window.counts;
        let valid =
            counts.sent() > 0 && u64::from(counts.sent()) * 10 >= u64::from(counts.scheduled()) * 8;
        if window.failed() {
            let unknown = Judgement::Unknown;
            return WindowVerdict {
                valid,
                failed: true,
                loss: Judgement::Fail,
                burst: unknown,
                delay: unknown,
                jitter: unknown,
            };
        }
        WindowVerdict {
            valid,
            failed: false,
            loss: ratio_above(counts.lost(), counts.sent(), self.loss_ppm),
            burst: window.burst.map_or(Judgement::Unknown, |burst| self.judge_burst(burst)),
            delay: above(window.rtt_median_us, self.rtt_us),
            jitter: above(window.jitter_us(), self.jitter_us),
        }
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
