//! What a window says besides its counts and delays: order, pattern of loss, playout, marking,
//! clocks.

use crate::path::word_enum;

/// How well a wall clock is known, as its system claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockQuality {
    /// The system says that something keeps the clock.
    pub synchronized: bool,
    /// How far off it may be, in microseconds; 0 when nobody says.
    pub error_us: u32,
}

/// Median one-way delays, between two clocks that both claim to be synchronised. They may be
/// negative by as much as the clocks err.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OneWayDelay {
    /// From the agent to the target, in microseconds.
    pub up_median_us: i32,
    /// From the target to the agent, in microseconds.
    pub down_median_us: i32,
    /// How far off either may be: the errors of both clocks together, in microseconds.
    pub error_us: u32,
}

impl OneWayDelay {
    /// False when packets would have arrived before they were sent by more than the clocks claim to
    /// err: then they err by more than they claim, and neither figure means anything.
    #[must_use]
    pub fn is_credible(&self) -> bool {
        let lowest = i64::from(self.up_median_us.min(self.down_median_us));
        lowest + i64::from(self.error_us) >= 0
    }
}

/// Packets out of order by direction (RFC 4737 section 3). The replies counted in
/// [`PacketCounts::reordered`](crate::PacketCounts::reordered) are those of the whole round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reorder {
    /// Requests that reached the target after a later one.
    pub up: u32,
    /// Replies that reached the agent after a later one.
    pub down: u32,
    /// The greatest extent of either direction, in packets (RFC 4737 section 4.2.1); 0 when none is
    /// out of order.
    pub extent_max: u32,
}

/// How the lost packets of a window lie: bursts by RFC 3611 section 4.7.2 with Gmin 16; the rest of
/// the window is gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LossPattern {
    /// Runs of consecutive lost packets.
    pub runs: u32,
    /// Bursts.
    pub bursts: u32,
    /// Packets in bursts, lost or not.
    pub burst_packets: u32,
    /// Packets lost in bursts.
    pub burst_lost: u32,
}

/// What an emulated jitter buffer would have made of the packets that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Playout {
    /// The buffer's delay, in microseconds.
    pub delay_us: u32,
    /// Requests that came too late to be played.
    pub late_up: u32,
    /// Replies that came too late to be played.
    pub late_down: u32,
    /// Requests not played for any reason, lateness included.
    pub discarded_up: u32,
    /// Replies not played for any reason, lateness included.
    pub discarded_down: u32,
}

word_enum!(
    /// The two bits of explicit congestion notification in an IP header (RFC 3168 section 5).
    #[derive(Default)]
    Ecn, "ECN code point", {
        /// Not a transport that takes part (0b00).
        #[default]
        NotEct = "not-ect",
        /// ECT(1) (0b01).
        Ect1 = "ect1",
        /// ECT(0) (0b10).
        Ect0 = "ect0",
        /// Congestion experienced (0b11).
        Ce = "ce",
    }
);

impl Ecn {
    /// The two lowest bits of a TOS or traffic-class byte.
    #[must_use]
    pub const fn from_tos(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The bits, 0..=3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// The ECN code points seen at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EcnSeen {
    /// What the agent sent, and asked for on replies.
    pub sent: Ecn,
    /// What most requests carried when the target received them; `None` when it did not say.
    pub up: Option<Ecn>,
    /// What most replies carried when the agent received them; `None` when unreadable.
    pub down: Option<Ecn>,
    /// Requests that arrived with another code point than was sent, CE included.
    pub up_changed: u32,
    /// Replies that arrived with another code point than was asked for, CE included.
    pub down_changed: u32,
    /// Requests marked as having met congestion.
    pub up_ce: u32,
    /// Replies marked as having met congestion.
    pub down_ce: u32,
}

/// The hop limits seen at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TtlSeen {
    /// What most requests had left when the target received them; `None` when it did not say.
    pub up: Option<u8>,
    /// What most replies had left when the agent received them; `None` when unreadable.
    pub down: Option<u8>,
    /// How often it changed from one request to the next: the way up changed.
    pub up_changes: u32,
    /// How often it changed from one reply to the next: the way down changed.
    pub down_changes: u32,
}
