//! What a sender sends.

mod pacing;
mod table;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use busyhour_model::{Dscp, Ecn, TrafficClass};
use busyhour_wire::{BASE_LEN, COS_TLV_LEN};
use thiserror::Error;

pub use pacing::{Frames, Pacing};
pub use table::PROFILES;

/// The smallest payload: a base packet and a Class of Service TLV.
const MIN_PAYLOAD: usize = BASE_LEN + COS_TLV_LEN;
/// The largest IP packet: what fits any Ethernet without fragments.
const MAX_IP_PACKET: u16 = 1_500;
/// The highest rate; a window of a minute then is 60 000 packets, some 10 MB.
const MAX_RATE: u32 = 1_000;
/// Below this a window holds too few packets for anything but a test.
const MIN_WINDOW: Duration = Duration::from_millis(100);
/// The longest window.
const MAX_WINDOW: Duration = Duration::from_secs(60);
/// The longest period: beyond it the reflector's idle sessions would be evicted in between.
const MAX_PERIOD: Duration = Duration::from_secs(240);
/// The span that burst loss is looked for in: Microsoft's limit is on any 200 ms.
pub(crate) const BURST_SPAN: Duration = Duration::from_millis(200);
/// What the emulated jitter buffer delays playout by, if nobody says otherwise: two packets of 20 ms,
/// what voice gateways commonly begin with.
const PLAYOUT_DELAY: Duration = Duration::from_millis(40);
/// A longer playout delay is no conversation.
const MAX_PLAYOUT_DELAY: Duration = Duration::from_secs(1);
/// What profiles of one's own are called.
const OWN: &str = "own";

/// A profile that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("profile: {0}")]
pub struct InvalidProfile(&'static str);

/// What a sender sends: pattern, size, marking, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    class: TrafficClass,
    pacing: Pacing,
    ip_packet_bytes: u16,
    dscp: Dscp,
    ecn: Ecn,
    window: Duration,
    period: Duration,
    playout_delay: Duration,
}

impl Profile {
    /// Checks a profile of one's own: `rate` packets a second (1..=1000) of `ip_packet_bytes`
    /// (100..=1500) marked `dscp`, during a `window` (0.1..=60 s) at the beginning of each `period`
    /// (at least the window, at most 240 s). Its class is the one that the marking belongs to.
    ///
    /// # Errors
    /// When a value is outside its range.
    pub fn new(
        rate: u32,
        ip_packet_bytes: u16,
        dscp: Dscp,
        window: Duration,
        period: Duration,
    ) -> Result<Self, InvalidProfile> {
        if !(1..=MAX_RATE).contains(&rate) {
            return Err(InvalidProfile("the rate is not within 1..=1000 packets a second"));
        }
        // An IPv6 header is 40 octets, UDP's 8.
        if !(MIN_PAYLOAD as u16 + 48..=MAX_IP_PACKET).contains(&ip_packet_bytes) {
            return Err(InvalidProfile("the packet size is not within 100..=1500 bytes"));
        }
        let of_class = |class: &&TrafficClass| class.dscp() == dscp;
        let class = TrafficClass::ALL.iter().find(of_class).copied();
        let own = Self {
            name: OWN,
            class: class.unwrap_or(TrafficClass::BestEffort),
            pacing: Pacing::Even { rate },
            ip_packet_bytes,
            dscp,
            ..Self::audio()
        };
        own.with_schedule(window, period)
    }

    /// The same during a `window` (0.1..=60 s) at the beginning of each `period` (at least the window,
    /// at most 240 s).
    ///
    /// # Errors
    /// When a value is outside its range.
    pub fn with_schedule(
        mut self,
        window: Duration,
        period: Duration,
    ) -> Result<Self, InvalidProfile> {
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(InvalidProfile("the window is not within 0.1..=60 s"));
        }
        if !(window..=MAX_PERIOD).contains(&period) {
            return Err(InvalidProfile("the period is not between the window and 240 s"));
        }
        (self.window, self.period) = (window, period);
        Ok(self)
    }

    /// The same with an emulated jitter buffer of this delay (at most 1 s).
    ///
    /// # Errors
    /// When it is longer.
    pub fn with_playout_delay(mut self, delay: Duration) -> Result<Self, InvalidProfile> {
        if delay > MAX_PLAYOUT_DELAY {
            return Err(InvalidProfile("the playout delay is longer than 1 s"));
        }
        self.playout_delay = delay;
        Ok(self)
    }

    /// The same, without pauses between windows.
    #[must_use]
    pub const fn continuous(mut self) -> Self {
        self.period = self.window;
        self
    }

    /// The same with another code point.
    #[must_use]
    pub const fn with_dscp(mut self, dscp: Dscp) -> Self {
        self.dscp = dscp;
        self
    }

    /// The same with these ECN bits on requests, and wanted on answers.
    #[must_use]
    pub const fn with_ecn(mut self, ecn: Ecn) -> Self {
        self.ecn = ecn;
        self
    }

    /// The name that records bear; `own` for what is in no table.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The class of traffic that it imitates.
    #[must_use]
    pub const fn class(&self) -> TrafficClass {
        self.class
    }

    /// How packets lie in time.
    #[must_use]
    pub const fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// Packets a second while it sends, averaged over its pattern.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.pacing.rate()
    }

    /// The size of each IP packet, headers included.
    #[must_use]
    pub const fn ip_packet_bytes(&self) -> u16 {
        self.ip_packet_bytes
    }

    /// The marking of requests, and the one asked for on answers.
    #[must_use]
    pub const fn dscp(&self) -> Dscp {
        self.dscp
    }

    /// The ECN bits of requests, and those asked for on answers.
    #[must_use]
    pub const fn ecn(&self) -> Ecn {
        self.ecn
    }

    /// The whole TOS or traffic-class byte of requests.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.dscp.to_tos() | self.ecn.bits()
    }

    /// The client ports that Microsoft Teams uses for this class (QoS in Teams), and the twenty behind
    /// them for best effort, so that the network treats probes like calls.
    #[must_use]
    pub const fn ports(&self) -> RangeInclusive<u16> {
        match self.class {
            TrafficClass::Audio => 50_000..=50_019,
            TrafficClass::Video => 50_020..=50_039,
            TrafficClass::Sharing => 50_040..=50_059,
            TrafficClass::BestEffort => 50_060..=50_079,
        }
    }

    /// How long packets are sent.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// How often a window begins.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// What the emulated jitter buffer delays playout by.
    #[must_use]
    pub const fn playout_delay(&self) -> Duration {
        self.playout_delay
    }

    /// Bits a second with IP headers, averaged over the period, in each direction.
    #[must_use]
    pub fn mean_bits_per_second(&self) -> u64 {
        let bits = u128::from(self.slots()) * u128::from(self.ip_packet_bytes) * 8;
        (bits * 1_000_000_000 / self.period.as_nanos()) as u64
    }

    /// The fewest packets of any 200 ms: one lost packet is this share of them, which is as finely as
    /// burst loss can be told.
    #[must_use]
    pub fn burst_packets(&self) -> u32 {
        self.pacing.fewest_within(BURST_SPAN)
    }

    /// The UDP payload, in bytes, that makes an IP packet of the profile's size.
    #[must_use]
    pub fn payload_bytes(&self, to: IpAddr) -> usize {
        let headers = if to.is_ipv4() { 20 + 8 } else { 40 + 8 };
        usize::from(self.ip_packet_bytes).saturating_sub(headers).max(MIN_PAYLOAD)
    }

    /// Packets in a window.
    #[must_use]
    pub(crate) fn slots(&self) -> u32 {
        self.pacing.slots(self.window)
    }

    /// When the packet with this number is due, from the beginning of its window.
    pub(crate) fn slot_offset(&self, slot: u32) -> Duration {
        self.pacing.slot_offset(slot)
    }

    /// The number of the last packet that is due this long after the beginning of a window.
    pub(crate) fn slot_at(&self, offset: Duration) -> u32 {
        self.pacing.slot_at(offset)
    }
}
