//! The profiles that agents know, as far as the collector plans with them.

use busyhour_model::TrafficClass;

/// A profile that every agent knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownProfile {
    /// Its name, which travels in records.
    pub name: &'static str,
    /// What it imitates.
    pub class: TrafficClass,
    /// What it sends during a window, in bits a second of IP packets.
    pub bits_per_second: u32,
}

impl KnownProfile {
    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KNOWN_PROFILES.iter().copied().find(|known| known.name == name)
    }

    /// Whether it shares the queue of real calls (expedited forwarding, RFC 3246).
    #[must_use]
    pub fn is_expedited(self) -> bool {
        self.class == TrafficClass::Audio
    }

    /// What it sends on average with such windows, in bits a second of IP packets.
    #[must_use]
    pub fn mean_bits_per_second(self, window_ms: u32, period_ms: u32) -> u64 {
        let sent = u64::from(self.bits_per_second) * u64::from(window_ms);
        sent.div_ceil(u64::from(period_ms.max(1)))
    }
}

const fn known(name: &'static str, class: TrafficClass, bits_per_second: u32) -> KnownProfile {
    KnownProfile { name, class, bits_per_second }
}

/// All of them; a test holds this to what agents send.
pub const KNOWN_PROFILES: &[KnownProfile] = &[
    known("audio-50", TrafficClass::Audio, 58_000),
    known("audio-50-190", TrafficClass::Audio, 76_000),
    known("video-150", TrafficClass::Video, 1_440_000),
    known("sharing-150", TrafficClass::Sharing, 1_440_000),
    known("best-effort-50", TrafficClass::BestEffort, 58_000),
    known("burst-200", TrafficClass::Audio, 232_000),
    known("low-1", TrafficClass::BestEffort, 1_160),
];

#[cfg(test)]
mod tests {
    use busyhour_probe::PROFILES;

    use super::*;

    #[test]
    fn the_collector_plans_with_what_agents_send() {
        let sent: Vec<KnownProfile> = PROFILES
            .iter()
            .map(|profile| KnownProfile {
                name: profile.name(),
                class: profile.class(),
                bits_per_second: profile.continuous().mean_bits_per_second().try_into().unwrap(),
            })
            .collect();
        assert_eq!(KNOWN_PROFILES, sent);
    }
}
