//! What a sender observed in one window.

use std::time::Duration;

use busyhour_model::{
    BurstLoss, ClockPair, Dscp, DscpSeen, Histogram, Jitter, PacketCounts, PathKey,
    TimestampMethod, WindowParts,
};

/// One window, without the path that the agent joins it with.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The window's beginning, as the schedule has it, on all clocks.
    pub started: ClockPair,
    /// How long it lasted.
    pub duration: Duration,
    /// The packet counts; what this machine itself dropped from its receive queue is in none of them.
    pub counts: PacketCounts,
    /// The worst sliding 200 ms; `None` below 50 packets a second, or where the sender was too late.
    pub burst: Option<BurstLoss>,
    /// Round-trip times without the reflector's dwell time, in microseconds.
    pub rtt: Histogram,
    /// Their exact median (the lower one of two).
    pub rtt_median_us: Option<u32>,
    /// Delay variation up, drift removed, above the window's lowest, in microseconds.
    pub up_variation: Histogram,
    /// Delay variation down, the same way.
    pub down_variation: Histogram,
    /// Interarrival jitter up.
    pub up_jitter: Option<Jitter>,
    /// Interarrival jitter down.
    pub down_jitter: Option<Jitter>,
    /// Code points.
    pub dscp: DscpSeen,
    /// How most requests were timed when sent.
    pub sent_by: TimestampMethod,
    /// How most answers were timed when received.
    pub received_by: TimestampMethod,
    /// Samples left out because this machine's wall clock stepped under them.
    pub clock_step_samples: u32,
    /// Samples left out because their moments contradict each other.
    pub implausible_samples: u32,
    /// Answers that this machine dropped from its receive queue.
    pub receive_queue_drops: u32,
    /// How late the sender was at worst, in microseconds.
    pub send_lateness_max_us: u32,
}

impl Observation {
    /// Joins the observation with its path and the UDP source port that was used.
    #[must_use]
    pub fn into_parts(self, path: PathKey, source_port: u16) -> WindowParts {
        WindowParts {
            path,
            counts: self.counts,
            burst: self.burst,
            rtt: self.rtt,
            rtt_median_us: self.rtt_median_us,
            up_variation: self.up_variation,
            down_variation: self.down_variation,
            up_jitter: self.up_jitter,
            down_jitter: self.down_jitter,
            dscp: self.dscp,
            sent_by: self.sent_by,
            received_by: self.received_by,
            source_port,
            clock_step_samples: self.clock_step_samples,
            receive_queue_drops: self.receive_queue_drops,
            send_lateness_max_us: self.send_lateness_max_us,
        }
    }
}

/// Counts code points and names the most frequent.
pub(crate) struct DscpTally([u32; 64]);

impl DscpTally {
    pub(crate) const fn new() -> Self {
        Self([0; 64])
    }

    pub(crate) fn add(&mut self, dscp: Dscp) {
        self.0[usize::from(dscp.value() & 63)] += 1;
    }

    pub(crate) fn most(&self) -> Option<Dscp> {
        let (value, &count) = self.0.iter().enumerate().max_by_key(|&(_, &count)| count)?;
        (count > 0).then(|| Dscp::from_tos((value as u8) << 2))
    }
}
