//! When the packets of a window are due: periodic patterns in exact integers.

use std::time::Duration;

const SECOND_NS: u128 = 1_000_000_000;

/// How packets lie in time while a profile sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// At equal intervals, so many a second (1..=1000).
    Even {
        /// Packets a second.
        rate: u32,
    },
    /// In frames at equal intervals; the packets of a frame follow each other closely, as an encoder
    /// and its pacer make them.
    Frames(Frames),
}

/// Frames of packets; what they may be is checked when the profile table is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// Frames a second.
    per_second: u32,
    /// Packets in each frame, one after the other and then from the beginning; none is empty.
    packets: &'static [u8],
    /// From one packet of a frame to the next.
    spacing_ns: u32,
    /// The sum of `packets`.
    cycle: u32,
}

impl Frames {
    /// Frames whose packets fit between one frame and the next. Evaluated when compiling.
    ///
    /// # Panics
    /// When a frame is empty or does not fit.
    pub(crate) const fn new(per_second: u32, packets: &'static [u8], spacing: Duration) -> Self {
        let spacing_ns = spacing.as_nanos() as u32;
        let (mut cycle, mut at) = (0, 0);
        while at < packets.len() {
            assert!(packets[at] > 0, "a frame is empty");
            let length = (packets[at] as u128 - 1) * spacing_ns as u128;
            assert!(length < SECOND_NS / per_second as u128, "a frame reaches into the next");
            cycle += packets[at] as u32;
            at += 1;
        }
        Self { per_second, packets, spacing_ns, cycle }
    }

    /// Frames a second.
    #[must_use]
    pub const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Packets in each frame of a cycle.
    #[must_use]
    pub const fn packets(&self) -> &'static [u8] {
        self.packets
    }

    fn offset_ns(&self, slot: u32) -> u64 {
        let frames = self.packets.len() as u64;
        let (cycle, mut within) = (slot / self.cycle, slot % self.cycle);
        let mut frame = u64::from(cycle) * frames;
        for &packets in self.packets {
            if within < u32::from(packets) {
                break;
            }
            within -= u32::from(packets);
            frame += 1;
        }
        even_offset_ns(frame, self.per_second) + u64::from(within) * u64::from(self.spacing_ns)
    }

    fn slot_at(&self, offset_ns: u128) -> u128 {
        let frame = even_slot_at(offset_ns, self.per_second);
        let frames = self.packets.len() as u128;
        let (cycle, at) = (frame / frames, (frame % frames) as usize);
        let before: u32 = self.packets[..at].iter().map(|&packets| u32::from(packets)).sum();
        let begun = frame * SECOND_NS / u128::from(self.per_second);
        let due = (offset_ns - begun) / u128::from(self.spacing_ns.max(1));
        let last = u128::from(self.packets[at]) - 1;
        cycle * u128::from(self.cycle) + u128::from(before) + due.min(last)
    }
}

impl Pacing {
    /// Packets a second, averaged over the pattern and rounded.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        match self {
            Self::Even { rate } => *rate,
            Self::Frames(frames) => {
                let length = frames.packets.len() as u32;
                (frames.cycle * frames.per_second + length / 2) / length
            }
        }
    }

    /// When the packet with this number is due, from the beginning of its window.
    pub(crate) fn slot_offset(&self, slot: u32) -> Duration {
        Duration::from_nanos(match self {
            Self::Even { rate } => even_offset_ns(u64::from(slot), *rate),
            Self::Frames(frames) => frames.offset_ns(slot),
        })
    }

    /// The number of the last packet that is due this long after the beginning of a window.
    pub(crate) fn slot_at(&self, offset: Duration) -> u32 {
        let offset_ns = offset.as_nanos();
        let slot = match self {
            Self::Even { rate } => even_slot_at(offset_ns, *rate),
            Self::Frames(frames) => frames.slot_at(offset_ns),
        };
        u32::try_from(slot).unwrap_or(u32::MAX)
    }

    /// Packets that are due within `window`.
    pub(crate) fn slots(&self, window: Duration) -> u32 {
        let last = window.saturating_sub(Duration::from_nanos(1));
        self.slot_at(last).saturating_add(1)
    }

    /// The fewest packets of any span of this length that begins with a packet.
    pub(crate) fn fewest_within(&self, span: Duration) -> u32 {
        let cycle = match self {
            Self::Even { .. } => 1,
            Self::Frames(frames) => frames.cycle,
        };
        let within = |first| {
            let end = self.slot_offset(first) + span - Duration::from_nanos(1);
            self.slot_at(end) + 1 - first
        };
        (0..cycle).map(within).min().unwrap_or(0)
    }
}

/// The number of a regular event's beginning in nanoseconds, rounded down.
fn even_offset_ns(number: u64, rate: u32) -> u64 {
    (u128::from(number) * SECOND_NS / u128::from(rate)) as u64
}

/// The last number whose [`even_offset_ns`] is not beyond `offset_ns`.
fn even_slot_at(offset_ns: u128, rate: u32) -> u128 {
    let rate = u128::from(rate);
    (offset_ns * rate + rate - 1) / SECOND_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pacing: Pacing, offsets_us: &[u64]) {
        for (slot, &us) in offsets_us.iter().enumerate() {
            let offset = pacing.slot_offset(slot as u32);
            assert_eq!(offset.as_micros() as u64, us, "{pacing:?}, slot {slot}");
        }
        let mut before = None;
        for slot in 0..20_000 {
            let offset = pacing.slot_offset(slot);
            assert_eq!(pacing.slot_at(offset), slot, "{pacing:?}");
            if let Some(before) = before {
                assert!(before < offset, "{pacing:?}, slot {slot}");
                let earlier = offset - Duration::from_nanos(1);
                assert_eq!(pacing.slot_at(earlier), slot - 1, "{pacing:?}");
            }
            before = Some(offset);
        }
    }

    #[test]
    fn every_packet_has_a_moment_of_its_own_and_the_moment_its_packet() {
        check(Pacing::Even { rate: 50 }, &[0, 20_000, 40_000]);
        check(Pacing::Even { rate: 3 }, &[0, 333_333, 666_666, 1_000_000]);
        check(Pacing::Even { rate: 1_000 }, &[0, 1_000]);
        let video = Frames::new(30, &[5], Duration::from_micros(2_500));
        check(Pacing::Frames(video), &[0, 2_500, 5_000, 7_500, 10_000, 33_333, 35_833]);
        let uneven = Frames::new(15, &[3, 1], Duration::from_millis(1));
        check(Pacing::Frames(uneven), &[0, 1_000, 2_000, 66_666, 133_333, 134_333]);
    }

    #[test]
    fn rates_and_resolutions_follow_from_the_pattern() {
        let span = Duration::from_millis(200);
        let video = Pacing::Frames(Frames::new(30, &[5], Duration::from_micros(2_500)));
        assert_eq!((video.rate(), video.fewest_within(span)), (150, 30));
        let even = Pacing::Even { rate: 50 };
        assert_eq!((even.rate(), even.fewest_within(span)), (50, 10));
        let uneven = Pacing::Frames(Frames::new(10, &[9, 1], Duration::from_millis(1)));
        // A span that begins late in a long frame has the one-packet frame and its remaining ones.
        assert_eq!((uneven.rate(), uneven.fewest_within(span)), (50, 10));
        assert_eq!(even.slots(Duration::from_secs(15)), 750);
        assert_eq!(even.slots(Duration::from_millis(250)), 13);
    }
}
