//! The profiles by name.
//!
//! Rates, sizes and ports are those of Microsoft Teams: its bandwidth table (prepare your network,
//! edition of 2022: audio 58 kbit/s recommended and 76 at best, video and sharing 1.5 Mbit/s) and its
//! table of classes and client ports (QoS in Teams, edition of 2023). How an encoder cuts frames is
//! not published: the patterns here have the published rates and sizes.

use std::time::Duration;

use busyhour_model::TrafficClass;

use super::pacing::{Frames, Pacing};
use super::{PLAYOUT_DELAY, Profile};

/// A window is 15 s, because the published limits are on any 15 s.
const WINDOW: Duration = Duration::from_secs(15);
/// A quarter of the time, for what costs little.
const EACH_MINUTE: Duration = Duration::from_secs(60);
/// A sixteenth of the time, for what runs only where a link's capacity is known.
const EACH_FOUR_MINUTES: Duration = Duration::from_secs(240);

/// Packets of 1 200 bytes that make up a frame of 1.44 Mbit/s at 30 frames a second. They leave at
/// two and a half times that rate, as pacers of video let them.
const VIDEO: Frames = Frames::new(30, &[5], Duration::from_micros(2_500));
/// A shared screen: 15 frames a second, one second's cycle of 150 packets of which a whole picture
/// takes 40, scrolling 20 or 10, and what moves little 6.
const SHARING: Frames =
    Frames::new(15, &[40, 6, 6, 10, 6, 6, 10, 6, 6, 20, 6, 6, 10, 6, 6], Duration::from_millis(1));

const fn even(name: &'static str, class: TrafficClass, rate: u32, ip_packet_bytes: u16) -> Profile {
    Profile {
        name,
        class,
        pacing: Pacing::Even { rate },
        ip_packet_bytes,
        dscp: class.dscp(),
        ecn: busyhour_model::Ecn::NotEct,
        window: WINDOW,
        period: EACH_MINUTE,
        playout_delay: PLAYOUT_DELAY,
    }
}

const fn frames(name: &'static str, class: TrafficClass, frames: Frames) -> Profile {
    let pacing = Pacing::Frames(frames);
    Profile { pacing, period: EACH_FOUR_MINUTES, ..even(name, class, 1, 1_200) }
}

const AUDIO: Profile = even("audio-50", TrafficClass::Audio, 50, 145);

/// All profiles: each with a name that travels in records, so its figures never change.
pub const PROFILES: &[Profile] = &[
    AUDIO,
    even("audio-50-190", TrafficClass::Audio, 50, 190),
    frames("video-150", TrafficClass::Video, VIDEO),
    frames("sharing-150", TrafficClass::Sharing, SHARING),
    // Audio's twin: the same packets without the marking, to show what the marking is worth.
    even("best-effort-50", TrafficClass::BestEffort, 50, 145),
    // 40 packets in 200 ms, of which 10 % are four: it resolves the limit on bursts.
    Profile { period: EACH_FOUR_MINUTES, ..even("burst-200", TrafficClass::Audio, 200, 145) },
    // Reachability and delay of many targets, without pauses: 1.2 kbit/s.
    Profile { period: WINDOW, ..even("low-1", TrafficClass::BestEffort, 1, 145) },
];

impl Profile {
    /// Like the audio of a call: 50 packets a second of 145-byte IP packets, expedited (DSCP 46), for
    /// 15 s in each minute.
    #[must_use]
    pub const fn audio() -> Self {
        AUDIO
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        PROFILES.iter().copied().find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, packets a second, bytes, DSCP, bits a second while sending, packets in 200 ms at least,
    /// first port.
    fn check(name: &str, expected: (u32, u16, u8, u64, u32, u16)) {
        let profile = Profile::named(name).unwrap();
        let busy = profile.with_schedule(WINDOW, WINDOW).unwrap();
        let found = (
            profile.rate(),
            profile.ip_packet_bytes(),
            profile.dscp().value(),
            busy.mean_bits_per_second(),
            profile.burst_packets(),
            *profile.ports().start(),
        );
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn profiles_are_what_their_names_say() {
        check("audio-50", (50, 145, 46, 58_000, 10, 50_000));
        check("audio-50-190", (50, 190, 46, 76_000, 10, 50_000));
        check("video-150", (150, 1_200, 34, 1_440_000, 30, 50_020));
        check("sharing-150", (150, 1_200, 18, 1_440_000, 22, 50_040));
        check("best-effort-50", (50, 145, 0, 58_000, 10, 50_060));
        check("burst-200", (200, 145, 46, 232_000, 40, 50_000));
        check("low-1", (1, 145, 0, 1_160, 1, 50_060));
        assert_eq!(PROFILES.len(), 7);
        assert_eq!(Profile::named("audio-51"), None);
    }

    #[test]
    fn duty_cycles_make_the_mean_rates() {
        let mean = |name| Profile::named(name).unwrap().mean_bits_per_second();
        assert_eq!(mean("audio-50"), 14_500);
        assert_eq!(mean("best-effort-50"), 14_500);
        assert_eq!(mean("video-150"), 90_000);
        assert_eq!(mean("sharing-150"), 90_000);
        assert_eq!(mean("burst-200"), 14_500);
        assert_eq!(mean("low-1"), 1_160);
    }
}
