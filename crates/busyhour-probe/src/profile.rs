//! What a sender sends.

use std::net::IpAddr;
use std::time::Duration;

use busyhour_model::{Dscp, TrafficClass};
use busyhour_wire::{BASE_LEN, COS_TLV_LEN};
use thiserror::Error;

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

/// A profile that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("profile: {0}")]
pub struct InvalidProfile(&'static str);

/// What a sender sends: rate, size, marking, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    rate: u32,
    ip_packet_bytes: u16,
    dscp: Dscp,
    window: Duration,
    period: Duration,
}

impl Profile {
    /// Like the audio of a call: 50 packets a second of 145-byte IP packets, expedited (DSCP 46), for
    /// 15 s in each minute.
    #[must_use]
    pub const fn audio() -> Self {
        Self {
            rate: 50,
            ip_packet_bytes: 145,
            dscp: TrafficClass::Audio.dscp(),
            window: Duration::from_secs(15),
            period: Duration::from_secs(60),
        }
    }

    /// The same, without pauses between windows.
    #[must_use]
    pub const fn continuous(mut self) -> Self {
        self.period = self.window;
        self
    }

    /// Checks a profile of one's own: `rate` packets a second (1..=1000) of `ip_packet_bytes`
    /// (100..=1500) marked `dscp`, during a `window` (0.1..=60 s) at the beginning of each `period`
    /// (at least the window, at most 240 s).
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
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(InvalidProfile("the window is not within 0.1..=60 s"));
        }
        if !(window..=MAX_PERIOD).contains(&period) {
            return Err(InvalidProfile("the period is not between the window and 240 s"));
        }
        Ok(Self { rate, ip_packet_bytes, dscp, window, period })
    }

    /// Packets a second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// The marking of requests, and the one asked for on answers.
    #[must_use]
    pub const fn dscp(&self) -> Dscp {
        self.dscp
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

    /// The UDP payload, in bytes, that makes an IP packet of the profile's size.
    #[must_use]
    pub fn payload_bytes(&self, to: IpAddr) -> usize {
        let headers = if to.is_ipv4() { 20 + 8 } else { 40 + 8 };
        usize::from(self.ip_packet_bytes).saturating_sub(headers).max(MIN_PAYLOAD)
    }

    /// Packets in a window.
    #[must_use]
    pub(crate) const fn slots(&self) -> u32 {
        (self.window.as_millis() as u64 * self.rate as u64 / 1_000) as u32
    }

    /// When the packet with this number is due, from the beginning of its window.
    pub(crate) fn slot_offset(&self, slot: u32) -> Duration {
        Duration::from_nanos(u64::from(slot) * 1_000_000_000 / u64::from(self.rate))
    }

    /// The number of the packet that is due this long after the beginning of a window.
    pub(crate) fn slot_at(&self, offset: Duration) -> u32 {
        let slots = offset.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u32::try_from(slots).unwrap_or(u32::MAX)
    }
}
