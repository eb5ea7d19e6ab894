//! Records: what an agent observed. There are five kinds: window, check, fact, load and gap.
//! All share identity, schedule, spool, uplink, store and history.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;

use crate::path::word_enum;
use crate::{
    BootId, BootMicros, Dscp, Histogram, InvalidPath, Micros, PathKey, ScheduleRevision, UtcMicros,
};

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
        let scheduled = window.counts.scheduled;
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
}

/// The packet counts of a window. They always add up:
/// `sent = received + lost up + lost down + lost with direction unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketCounts {
    scheduled: u32,
    sent: u32,
    received: u32,
    lost_up: u32,
    lost_down: u32,
    lost_unknown: u32,
    reordered: u32,
    duplicated: u32,
}

impl PacketCounts {
    /// Counts without loss: everything sent came back once, in order.
    #[must_use]
    pub const fn clean(scheduled: u32, sent: u32) -> Self {
        Self {
            scheduled,
            sent,
            received: sent,
            lost_up: 0,
            lost_down: 0,
            lost_unknown: 0,
            reordered: 0,
            duplicated: 0,
        }
    }

    /// Builds counts; what was received follows from what was sent and lost.
    ///
    /// `lost` is up, down, and with direction unknown. `reordered` are replies that arrived after a
    /// later one (RFC 4737 section 3), `duplicated` replies beyond the first for one request.
    ///
    /// # Errors
    /// When more was sent than scheduled, more lost than sent, more reordered than received, or a
    /// count is beyond any probe.
    pub fn new(
        scheduled: u32,
        sent: u32,
        lost: [u32; 3],
        reordered: u32,
        duplicated: u32,
    ) -> Result<Self, InvalidRecord> {
        let [lost_up, lost_down, lost_unknown] = lost;
        if scheduled.max(sent).max(duplicated) > MAX_PACKETS {
            return Err(InvalidRecord::Counts("more packets than any probe sends"));
        }
        if sent > scheduled {
            return Err(InvalidRecord::Counts("more sent than scheduled"));
        }
        let lost = u64::from(lost_up) + u64::from(lost_down) + u64::from(lost_unknown);
        if lost > u64::from(sent) {
            return Err(InvalidRecord::Counts("more lost than sent"));
        }
        let received = sent - lost as u32;
        if reordered > received {
            return Err(InvalidRecord::Counts("more reordered than received"));
        }
        Ok(Self {
            scheduled,
            sent,
            received,
            lost_up,
            lost_down,
            lost_unknown,
            reordered,
            duplicated,
        })
    }

    /// Packets that the schedule asked for.
    #[must_use]
    pub const fn scheduled(&self) -> u32 {
        self.scheduled
    }
    /// Packets sent.
    #[must_use]
    pub const fn sent(&self) -> u32 {
        self.sent
    }
    /// Requests answered at least once.
    #[must_use]
    pub const fn received(&self) -> u32 {
        self.received
    }
    /// Requests that never reached the target.
    #[must_use]
    pub const fn lost_up(&self) -> u32 {
        self.lost_up
    }
    /// Replies that never came back.
    #[must_use]
    pub const fn lost_down(&self) -> u32 {
        self.lost_down
    }
    /// Lost, and no later reply tells in which direction.
    #[must_use]
    pub const fn lost_unknown(&self) -> u32 {
        self.lost_unknown
    }
    /// All lost packets.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        self.sent - self.received
    }
    /// Replies that arrived after a later one.
    #[must_use]
    pub const fn reordered(&self) -> u32 {
        self.reordered
    }
    /// Replies beyond the first to one request.
    #[must_use]
    pub const fn duplicated(&self) -> u32 {
        self.duplicated
    }
}

/// The worst sliding 200 ms of a window, by the time of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstLoss {
    lost: u32,
    of: u32,
}

impl BurstLoss {
    /// `lost` of `of` packets that were sent within 200 ms.
    ///
    /// # Errors
    /// When more was lost than sent, or nothing was sent.
    pub fn new(lost: u32, of: u32) -> Result<Self, InvalidRecord> {
        if of == 0 || lost > of {
            return Err(InvalidRecord::Counts("burst: more lost than sent"));
        }
        Ok(Self { lost, of })
    }
    /// Packets lost in the worst 200 ms.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        self.lost
    }
    /// Packets sent in the worst 200 ms: its resolution.
    #[must_use]
    pub const fn of(&self) -> u32 {
        self.of
    }
}

/// Interarrival jitter (RFC 3550 section 6.4.1) over a window, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// The mean of the running estimate; what the limits are applied to.
    pub mean_us: u32,
    /// Its highest value.
    pub max_us: u32,
}

/// The code points seen at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DscpSeen {
    /// What the agent marked its packets with, and asked for on replies.
    pub sent: Dscp,
    /// What most requests carried when the target received them; `None` when it did not say.
    pub up: Option<Dscp>,
    /// What most replies carried when the agent received them; `None` when unreadable.
    pub down: Option<Dscp>,
    /// Requests that arrived with another code point than was sent.
    pub up_changed: u32,
    /// Replies that arrived with another code point than was asked for.
    pub down_changed: u32,
}

word_enum!(
    /// How a moment on a packet was read.
    TimestampMethod, "timestamp method", {
        /// By the process, before sending or after receiving.
        User = "user",
        /// By the kernel's network stack.
        Kernel = "kernel",
        /// By the network card.
        Hardware = "hardware",
    }
);

/// The parts of a window, to build one from.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowParts {
    /// The path.
    pub path: PathKey,
    /// The packet counts.
    pub counts: PacketCounts,
    /// The worst sliding 200 ms; `None` below 50 packets a second, where it cannot be measured.
    pub burst: Option<BurstLoss>,
    /// Round-trip times without the target's dwell time, in microseconds.
    pub rtt: Histogram,
    /// Their exact median; `None` when nothing came back.
    pub rtt_median_us: Option<u32>,
    /// Delay variation up, above the window's lowest (RFC 5481 section 4.2), in microseconds.
    pub up_variation: Histogram,
    /// Delay variation down, above the window's lowest, in microseconds.
    pub down_variation: Histogram,
    /// Interarrival jitter up.
    pub up_jitter: Option<Jitter>,
    /// Interarrival jitter down.
    pub down_jitter: Option<Jitter>,
    /// Code points.
    pub dscp: DscpSeen,
    /// How sending was timed.
    pub sent_by: TimestampMethod,
    /// How receiving was timed.
    pub received_by: TimestampMethod,
    /// The UDP source port that was used.
    pub source_port: u16,
    /// Samples left out because a clock stepped between sending and receiving.
    pub clock_step_samples: u32,
    /// Replies that reached the machine but found the socket's queue full: not path loss.
    pub receive_queue_drops: u32,
    /// How late the sender's own timer was at worst, in microseconds.
    pub send_lateness_max_us: u32,
}

/// Fifteen seconds of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Window(WindowParts);

impl Window {
    /// Checks the parts against each other.
    ///
    /// # Errors
    /// When samples, median or code points contradict the counts.
    pub fn new(parts: WindowParts) -> Result<Self, InvalidRecord> {
        let received = u64::from(parts.counts.received());
        let samples =
            parts.rtt.count().max(parts.up_variation.count()).max(parts.down_variation.count());
        if samples > received {
            return Err(InvalidRecord::Counts("more delay samples than replies"));
        }
        if parts.rtt_median_us.is_some() == parts.rtt.is_empty() {
            return Err(InvalidRecord::Counts("a median without samples, or samples without one"));
        }
        if let Some(median) = parts.rtt_median_us
            && !(parts.rtt.min()..=parts.rtt.max()).contains(&median)
        {
            return Err(InvalidRecord::Range { field: "rtt_median_us", found: median.to_string() });
        }
        if parts.burst.is_some_and(|burst| burst.lost() > parts.counts.lost()) {
            return Err(InvalidRecord::Counts("burst: more lost than in the whole window"));
        }
        if parts.dscp.up_changed > parts.counts.sent()
            || u64::from(parts.dscp.down_changed) > received
        {
            return Err(InvalidRecord::Counts("more code points changed than packets seen"));
        }
        Ok(Self(parts))
    }

    /// True when packets were sent and nothing came back: an outage, never missing.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.0.counts.sent > 0 && self.0.counts.received == 0
    }

    /// The higher of both directions' mean jitter, in microseconds.
    #[must_use]
    pub fn jitter_us(&self) -> Option<u32> {
        self.0.up_jitter.map(|j| j.mean_us).max(self.0.down_jitter.map(|j| j.mean_us))
    }

    /// Takes the window apart.
    #[must_use]
    pub fn into_parts(self) -> WindowParts {
        self.0
    }
}

impl std::ops::Deref for Window {
    type Target = WindowParts;

    fn deref(&self) -> &WindowParts {
        &self.0
    }
}

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

impl From<InvalidPath> for InvalidRecord {
    fn from(error: InvalidPath) -> Self {
        Self::Range { field: error.what, found: error.found }
    }
}
