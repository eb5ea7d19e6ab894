//! Windows: fifteen seconds of one path.

use super::evidence::{ClockQuality, EcnSeen, LossPattern, OneWayDelay, Playout, Reorder, TtlSeen};
use super::{InvalidRecord, MAX_PACKETS};
use crate::path::word_enum;
use crate::{Dscp, Histogram, PathKey, Settlement};

/// The highest rate of any profile, in packets a second.
const MAX_RATE_PPS: u32 = 1_000;

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
    /// The most that each count may be: more packets than any probe sends in a window.
    pub const MAX: u32 = MAX_PACKETS;

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

/// The worst sliding 200 ms of a window, or the worst sliding 15 s, by the time of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstLoss {
    lost: u32,
    of: u32,
}

impl BurstLoss {
    /// `lost` of `of` packets that were sent within the time.
    ///
    /// # Errors
    /// When more was lost than sent, or nothing was sent.
    pub fn new(lost: u32, of: u32) -> Result<Self, InvalidRecord> {
        if of == 0 || lost > of {
            return Err(InvalidRecord::Counts("burst: more lost than sent"));
        }
        Ok(Self { lost, of })
    }
    /// Packets lost in the worst stretch.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        self.lost
    }
    /// Packets sent in the worst stretch: its resolution.
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
    /// Packets a second while the profile sends, 1..=1000.
    pub rate_pps: u32,
    /// The packet counts.
    pub counts: PacketCounts,
    /// The worst sliding 200 ms; `None` below 50 packets a second, where it cannot be measured.
    pub burst: Option<BurstLoss>,
    /// The worst sliding 15 s that ends in this window: evidence, as the aligned window is what is
    /// judged. `None` until 15 s are covered.
    pub worst_15s: Option<BurstLoss>,
    /// Round-trip times without the target's dwell time, in microseconds.
    pub rtt: Histogram,
    /// Their exact median; `None` when nothing came back.
    pub rtt_median_us: Option<u32>,
    /// One-way delays; only when both clocks claim to be synchronised.
    pub one_way: Option<OneWayDelay>,
    /// Delay variation up, above the window's lowest (RFC 5481 section 4.2), in microseconds.
    pub up_variation: Histogram,
    /// Delay variation down, above the window's lowest, in microseconds.
    pub down_variation: Histogram,
    /// Interarrival jitter up.
    pub up_jitter: Option<Jitter>,
    /// Interarrival jitter down.
    pub down_jitter: Option<Jitter>,
    /// Packets out of order by direction.
    pub reorder: Reorder,
    /// How the lost packets lie.
    pub loss_pattern: LossPattern,
    /// What a jitter buffer would have made of it; `None` where none was emulated.
    pub playout: Option<Playout>,
    /// Code points.
    pub dscp: DscpSeen,
    /// Congestion notification.
    pub ecn: EcnSeen,
    /// Hop limits.
    pub ttl: TtlSeen,
    /// How sending was timed.
    pub sent_by: TimestampMethod,
    /// How receiving was timed.
    pub received_by: TimestampMethod,
    /// This machine's clock.
    pub clock: ClockQuality,
    /// The target's clock, as its replies claim; `None` when nothing came back.
    pub far_clock: Option<ClockQuality>,
    /// The UDP source port that was used.
    pub source_port: u16,
    /// The UDP source port that the target saw; `None` when it did not say.
    pub seen_source_port: Option<u16>,
    /// The session's identifier (RFC 8972 section 3); 0 when there was none.
    pub ssid: u16,
    /// The first sequence number that the window's packets used.
    pub first_sequence: u32,
    /// How many sequence numbers the window's packets used from there on, wrapping; 0 when unknown.
    /// More than were sent when some never left or do not count.
    pub sequences: u32,
    /// Whether the target answered the extensions of RFC 8972; `None` when nothing came back.
    pub peer_tlvs: Option<bool>,
    /// Samples left out because a clock stepped between sending and receiving.
    pub clock_step_samples: u32,
    /// Samples left out because their moments contradict each other.
    pub implausible_samples: u32,
    /// Replies that reached the machine but found the socket's queue full: not path loss.
    pub receive_queue_drops: u32,
    /// Requests that the reflector received and refused by its caps, or answers that it could not
    /// send: not path loss.
    pub reflector_drops: u32,
    /// How late the sender's own timer was at worst, in microseconds.
    pub send_lateness_max_us: u32,
    /// A direction was given to lost packets by the reflector's own report (see [`crate::settle`]).
    /// Only the collector does that: agents never say it.
    pub settled: bool,
}

impl WindowParts {
    /// Parts with these and nothing else seen: no delays, no evidence, nothing dropped; packets
    /// marked as the path's class is, and timed by the process.
    #[must_use]
    pub fn new(path: PathKey, rate_pps: u32, counts: PacketCounts) -> Self {
        let dscp = DscpSeen {
            sent: path.class.dscp(),
            up: None,
            down: None,
            up_changed: 0,
            down_changed: 0,
        };
        Self {
            path,
            rate_pps,
            counts,
            burst: None,
            worst_15s: None,
            rtt: Histogram::new(),
            rtt_median_us: None,
            one_way: None,
            up_variation: Histogram::new(),
            down_variation: Histogram::new(),
            up_jitter: None,
            down_jitter: None,
            reorder: Reorder::default(),
            loss_pattern: LossPattern::default(),
            playout: None,
            dscp,
            ecn: EcnSeen::default(),
            ttl: TtlSeen::default(),
            sent_by: TimestampMethod::User,
            received_by: TimestampMethod::User,
            clock: ClockQuality::default(),
            far_clock: None,
            source_port: 0,
            seen_source_port: None,
            ssid: 0,
            first_sequence: 0,
            sequences: 0,
            peer_tlvs: None,
            clock_step_samples: 0,
            implausible_samples: 0,
            receive_queue_drops: 0,
            reflector_drops: 0,
            send_lateness_max_us: 0,
            settled: false,
        }
    }

    /// Whether what is said besides counts and delays is possible with them.
    fn check_evidence(&self) -> Result<(), InvalidRecord> {
        let (sent, received, lost) =
            (self.counts.sent(), self.counts.received(), self.counts.lost());
        if !(1..=MAX_RATE_PPS).contains(&self.rate_pps) {
            let found = self.rate_pps.to_string();
            return Err(InvalidRecord::Range { field: "rate_pps", found });
        }
        if self.worst_15s.is_some_and(|worst| worst.of() > MAX_PACKETS) {
            return Err(InvalidRecord::Counts("worst 15 s: more packets than any probe sends"));
        }
        let far_synchronized = self.far_clock.is_some_and(|clock| clock.synchronized);
        if self.one_way.is_some() && !(self.clock.synchronized && far_synchronized) {
            return Err(InvalidRecord::Counts("one-way delay without two synchronised clocks"));
        }
        if received == 0 && self.one_way.is_some() {
            return Err(InvalidRecord::Counts("one-way delay without replies"));
        }
        let Reorder { up, down, extent_max } = self.reorder;
        if up > sent || down > received {
            return Err(InvalidRecord::Counts("more packets out of order than seen"));
        }
        if extent_max > MAX_PACKETS || (extent_max > 0 && up == 0 && down == 0) {
            return Err(InvalidRecord::Counts("an extent of reordering that cannot be"));
        }
        self.check_pattern(sent, lost)?;
        if let Some(playout) = self.playout {
            if playout.late_up > playout.discarded_up || playout.late_down > playout.discarded_down
            {
                return Err(InvalidRecord::Counts("more packets late than discarded"));
            }
            if playout.discarded_up.max(playout.discarded_down) > received {
                return Err(InvalidRecord::Counts("more packets discarded than received"));
            }
        }
        let (ecn, ttl) = (&self.ecn, &self.ttl);
        if ecn.up_changed.max(ecn.up_ce).max(ttl.up_changes) > sent
            || ecn.down_changed.max(ecn.down_ce).max(ttl.down_changes) > received
        {
            return Err(InvalidRecord::Counts(
                "more marks or hop limits changed than packets seen",
            ));
        }
        if self.sequences != 0 && !(sent..=MAX_PACKETS).contains(&self.sequences) {
            return Err(InvalidRecord::Counts("fewer or far more numbers used than packets sent"));
        }
        Ok(())
    }

    fn check_pattern(&self, sent: u32, lost: u32) -> Result<(), InvalidRecord> {
        let LossPattern { runs, bursts, burst_packets, burst_lost } = self.loss_pattern;
        if runs > lost || burst_lost > lost || burst_packets > sent {
            return Err(InvalidRecord::Counts("loss pattern: more than was lost or sent"));
        }
        if bursts > runs || bursts > burst_lost || burst_lost > burst_packets {
            return Err(InvalidRecord::Counts("loss pattern: more bursts than losses in them"));
        }
        if (bursts == 0) != (burst_packets == 0) {
            return Err(InvalidRecord::Counts("loss pattern: bursts without packets"));
        }
        Ok(())
    }
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
        parts.check_evidence()?;
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

    /// The window with its lost packets of unknown direction settled.
    ///
    /// # Errors
    /// When there are not exactly as many of them.
    pub fn settle(self, settlement: Settlement) -> Result<Self, InvalidRecord> {
        let Settlement { up, down } = settlement;
        let counts = self.0.counts;
        if up.checked_add(down) != Some(counts.lost_unknown) {
            return Err(InvalidRecord::Counts("settlement: not as many as are unknown"));
        }
        let counts = PacketCounts {
            lost_up: counts.lost_up + up,
            lost_down: counts.lost_down + down,
            lost_unknown: 0,
            ..counts
        };
        Ok(Self(WindowParts { counts, settled: true, ..self.0 }))
    }

    /// The window as it is stored: its three distributions coarsened (see
    /// [`Histogram::coarsened`]), all else as it is.
    #[must_use]
    pub fn coarsened(&self) -> Self {
        let mut parts = self.0.clone();
        for histogram in [&mut parts.rtt, &mut parts.up_variation, &mut parts.down_variation] {
            *histogram = histogram.coarsened();
        }
        Self(parts)
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
