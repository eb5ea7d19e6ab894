//! Records: what an agent observed. There are six kinds: window, check, fact, load, gap and session
//! report.
//! All share identity, schedule, spool, uplink, store and history.

mod evidence;
mod other;
mod report;
mod window;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;

use crate::{BootId, BootMicros, InvalidPath, Micros, ScheduleRevision, UtcMicros};

pub use evidence::{
    ClockQuality, Ecn, EcnSeen, LossPattern, OneWayDelay, Playout, Reorder, TtlSeen,
};
pub use other::{Check, CheckOutcome, Fact, Gap, GapReason, Load};
pub use report::{MAX_MISSING_RANGES, SessionReport, SessionReportParts};
pub use window::{BurstLoss, DscpSeen, Jitter, PacketCounts, TimestampMethod, Window, WindowParts};

/// A record that contradicts itself, or holds what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRecord {
    /// The packet counts do not add up.
    #[error("packet counts contradict each other: {0}")]
    Counts(&'static str),
    /// A field is outside the range that its definition allows.
    #[error("{field} is out of range: {found}")]
    Range {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
    },
}

/// The share of wall-clock microseconds that any record may last: one day.
const MAX_DURATION: Micros = 24 * 3600 * 1_000_000;
/// No window lasts longer than this: a minute, and what a held-up timer adds.
const MAX_WINDOW: Micros = 65 * 1_000_000;
/// No probe sends more than a packet each millisecond; a second of slack, as windows are cut short.
const MIN_INTERVAL: Micros = 1_000;
const WINDOW_SLACK: Micros = 1_000_000;
/// No probe sends more packets in one window than this.
const MAX_PACKETS: u32 = ((MAX_WINDOW + WINDOW_SLACK) / MIN_INTERVAL) as u32;

/// When a record was observed: wall time for labels, boot-relative time for truth. The collector
/// corrects the wall time by the offset that it exchanged with the agent; the boot-relative time is
/// never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The agent's wall clock at the beginning.
    pub started: UtcMicros,
    /// The same moment, since boot.
    pub started_boot: BootMicros,
    /// The boot that `started_boot` counts from.
    pub boot: BootId,
    duration_us: Micros,
}

impl Stamp {
    /// Checks the duration (at most a day).
    ///
    /// # Errors
    /// When it is longer.
    pub fn new(
        started: UtcMicros,
        started_boot: BootMicros,
        boot: BootId,
        duration_us: Micros,
    ) -> Result<Self, InvalidRecord> {
        if duration_us > MAX_DURATION {
            return Err(InvalidRecord::Range {
                field: "duration_us",
                found: duration_us.to_string(),
            });
        }
        Ok(Self { started, started_boot, boot, duration_us })
    }

    /// How long the record lasted, in microseconds.
    #[must_use]
    pub const fn duration_us(&self) -> Micros {
        self.duration_us
    }

    /// The agent's wall clock at the end.
    #[must_use]
    pub const fn ended(&self) -> UtcMicros {
        UtcMicros(self.started.0.saturating_add(self.duration_us as i64))
    }
}

/// The circumstances a record was made under: evidence, never identity. A change of context closes
/// the window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The prefix of the interface that was used.
    pub local_prefix: Option<IpNet>,
    /// The address that the target's name stood for.
    pub resolved: Option<SocketAddr>,
    /// The agent's address as the far side saw it.
    pub reflexive: Option<IpAddr>,
}

/// A schedule, so that windows that should exist can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The revision that records name.
    pub revision: ScheduleRevision,
    /// A window begins every so many microseconds (60 000 000 by default, 15 000 000 continuous).
    pub period_us: Micros,
}

impl Schedule {
    /// Windows that should exist in one 15-minute slot.
    #[must_use]
    pub const fn windows_per_slot(&self) -> u32 {
        match (15u64 * 60 * 1_000_000).checked_div(self.period_us) {
            Some(windows) => windows as u32,
            None => 0,
        }
    }
}

/// One observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When.
    pub stamp: Stamp,
    /// Under which schedule.
    pub schedule: ScheduleRevision,
    /// Under which circumstances.
    pub context: Context,
    /// What.
    pub body: Body,
}

impl Record {
    /// Checks what only record and body together tell: a window lasts, at most a minute, and its
    /// schedule asks for no more packets than any probe sends in that time.
    ///
    /// # Errors
    /// When a window is too long, lasts no time, or asks for too many packets.
    pub fn validated(self) -> Result<Self, InvalidRecord> {
        let Body::Window(window) = &self.body else { return Ok(self) };
        let duration_us = self.stamp.duration_us;
        if !(1..=MAX_WINDOW).contains(&duration_us) {
            return Err(InvalidRecord::Range {
                field: "duration_us of a window",
                found: duration_us.to_string(),
            });
        }
        let scheduled = window.counts.scheduled();
        if u64::from(scheduled) > (duration_us + WINDOW_SLACK) / MIN_INTERVAL {
            return Err(InvalidRecord::Counts("more packets than any probe sends in the time"));
        }
        Ok(self)
    }
}

/// What was observed.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Fifteen seconds of one path.
    Window(Box<Window>),
    /// One condition looked at: firewall, proxy, relay, resolver, route.
    Check(Check),
    /// Something that holds for a while: adapter, driver, Wi-Fi.
    Fact(Fact),
    /// A minute of the machine's own traffic.
    Load(Load),
    /// A time for which there is nothing, and why.
    Gap(Gap),
    /// What this machine's reflector received of somebody's session. The record lasts from when the
    /// first of it was received at the earliest to when nothing more of it was to come.
    SessionReport(Box<SessionReport>),
}

impl From<InvalidPath> for InvalidRecord {
    fn from(error: InvalidPath) -> Self {
        Self::Range { field: error.what, found: error.found }
    }
}
