//! Checks, facts, loads and gaps.

use crate::path::word_enum;
use crate::{PathKey, UtcMicros};

word_enum!(
    /// What became of a check.
    CheckOutcome, "check outcome", {
        /// The condition holds.
        Pass = "pass",
        /// The condition does not hold.
        Fail = "fail",
        /// No answer in time.
        Timeout = "timeout",
        /// It could not be run; the evidence says why.
        NotRun = "not-run",
    }
);

/// One condition looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked, such as `firewall-udp`.
    pub kind: String,
    /// What it was checked on, such as an address and port.
    pub subject: String,
    /// What came out.
    pub outcome: CheckOutcome,
    /// Named durations, in microseconds.
    pub timings_us: Vec<(String, u64)>,
    /// Named observations that explain the outcome.
    pub evidence: Vec<(String, String)>,
}

/// Something that holds for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, such as `wifi-band`.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// Since when it holds.
    pub valid_from: UtcMicros,
    /// Until when it held; `None` while it holds.
    pub valid_until: Option<UtcMicros>,
}

/// A minute of the machine's own traffic on one interface: what busy hours are learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The interface.
    pub interface: String,
    /// Bytes received in the minute.
    pub received_bytes: u64,
    /// Bytes sent in the minute.
    pub sent_bytes: u64,
    /// Packets received in the minute.
    pub received_packets: u64,
    /// Packets sent in the minute.
    pub sent_packets: u64,
    /// The link's speed, in bits per second, where the system tells.
    pub link_bits_per_second: Option<u64>,
}

word_enum!(
    /// Why there is nothing for a time.
    GapReason, "gap reason", {
        /// The machine slept.
        Asleep = "asleep",
        /// The agent was not running.
        NotRunning = "not-running",
        /// The spool was full and its oldest blocks were dropped.
        SpoolFull = "spool-full",
        /// The spool could not be written.
        SpoolFailed = "spool-failed",
        /// The wall clock stepped.
        ClockStep = "clock-step",
        /// The target's name did not resolve.
        Unresolved = "unresolved",
        /// The collector could not place the record in time.
        Quarantined = "quarantined",
        /// The machine's owner paused measuring.
        Paused = "paused",
        /// The machine ran on its battery, and rests then.
        OnBattery = "on-battery",
        /// The machine's way out was paid for by use, and the agent rests then.
        Metered = "metered",
    }
);

/// A time for which there is nothing, and why. It is the record's own span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The path it is about; `None` when it is the whole agent.
    pub path: Option<PathKey>,
    /// Records that are known to be missing, where they can be counted.
    pub records: Option<u64>,
}
