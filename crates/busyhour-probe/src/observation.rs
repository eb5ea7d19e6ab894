//! What a sender observed in one window.

use std::time::Duration;

use busyhour_model::{
    BurstLoss, ClockPair, ClockQuality, DscpSeen, EcnSeen, Histogram, Jitter, LossPattern,
    OneWayDelay, PacketCounts, PathKey, Playout, Reorder, TimestampMethod, TtlSeen, WindowParts,
};

/// One window, without the path that the agent joins it with. What its fields mean is said at those
/// of the same name in [`WindowParts`].
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The window's beginning, as the schedule has it, on all clocks.
    pub started: ClockPair,
    /// How long it lasted.
    pub duration: Duration,
    /// Packets a second while the profile sends.
    pub rate_pps: u32,
    /// The session's identifier.
    pub ssid: u16,
    /// The first sequence number of the window's packets.
    pub first_sequence: u32,
    /// How many sequence numbers they used, also those of packets that do not count.
    pub sequences: u32,
    /// The packet counts; what this machine itself dropped from its receive queue, and what the
    /// reflector refused or could not send, is in none of them.
    pub counts: PacketCounts,
    /// The worst sliding 200 ms; `None` below 50 packets a second, where the sender was too late, and
    /// where a machine dropped packets, as nobody knows which.
    pub burst: Option<BurstLoss>,
    /// The worst sliding 15 s that end in this window, also of the window before where there is no
    /// pause in between; `None` until 15 s are covered and where a machine dropped packets.
    pub worst_15s: Option<BurstLoss>,
    /// Round-trip times without the reflector's dwell time, in microseconds.
    pub rtt: Histogram,
    /// Their exact median (the lower one of two).
    pub rtt_median_us: Option<u32>,
    /// One-way delays, where both clocks claim to be synchronised.
    pub one_way: Option<OneWayDelay>,
    /// Delay variation up, drift removed, above the window's lowest, in microseconds.
    pub up_variation: Histogram,
    /// Delay variation down, the same way.
    pub down_variation: Histogram,
    /// Interarrival jitter up.
    pub up_jitter: Option<Jitter>,
    /// Interarrival jitter down.
    pub down_jitter: Option<Jitter>,
    /// Packets out of order in each direction.
    pub reorder: Reorder,
    /// How losses lie; all zero, too, where a machine dropped packets, as nobody knows which.
    pub loss_pattern: LossPattern,
    /// What a fixed jitter buffer would have made of it; `None` where the reflector tells no times.
    pub playout: Option<Playout>,
    /// Code points.
    pub dscp: DscpSeen,
    /// Congestion notification.
    pub ecn: EcnSeen,
    /// Hop limits.
    pub ttl: TtlSeen,
    /// How most requests were timed when sent.
    pub sent_by: TimestampMethod,
    /// How most answers were timed when received.
    pub received_by: TimestampMethod,
    /// The worst that this machine's clock was worth.
    pub clock: ClockQuality,
    /// The worst that the reflector claimed of its own.
    pub far_clock: Option<ClockQuality>,
    /// The UDP source port of requests where they arrived.
    pub seen_source_port: Option<u16>,
    /// Whether the reflector reads TLVs.
    pub peer_tlvs: Option<bool>,
    /// Samples left out because this machine's wall clock stepped under them.
    pub clock_step_samples: u32,
    /// Samples left out because their moments contradict each other.
    pub implausible_samples: u32,
    /// Answers that this machine dropped from its receive queue.
    pub receive_queue_drops: u32,
    /// Requests that the reflector refused and answers that it could not send.
    pub reflector_drops: u32,
    /// How late the sender was at worst, in microseconds.
    pub send_lateness_max_us: u32,
}

impl Observation {
    /// Joins the observation with its path and the UDP source port that was used.
    #[must_use]
    pub fn into_parts(self, path: PathKey, source_port: u16) -> WindowParts {
        WindowParts {
            path,
            rate_pps: self.rate_pps,
            counts: self.counts,
            burst: self.burst,
            worst_15s: self.worst_15s,
            rtt: self.rtt,
            rtt_median_us: self.rtt_median_us,
            one_way: self.one_way,
            up_variation: self.up_variation,
            down_variation: self.down_variation,
            up_jitter: self.up_jitter,
            down_jitter: self.down_jitter,
            reorder: self.reorder,
            loss_pattern: self.loss_pattern,
            playout: self.playout,
            dscp: self.dscp,
            ecn: self.ecn,
            ttl: self.ttl,
            sent_by: self.sent_by,
            received_by: self.received_by,
            clock: self.clock,
            far_clock: self.far_clock,
            source_port,
            seen_source_port: self.seen_source_port,
            ssid: self.ssid,
            first_sequence: self.first_sequence,
            sequences: self.sequences,
            peer_tlvs: self.peer_tlvs,
            clock_step_samples: self.clock_step_samples,
            implausible_samples: self.implausible_samples,
            receive_queue_drops: self.receive_queue_drops,
            reflector_drops: self.reflector_drops,
            send_lateness_max_us: self.send_lateness_max_us,
            // Only the collector settles.
            settled: false,
        }
    }
}
