//! How a collector asks its agents to come back later, and not all at once.

use std::time::Duration;

use busyhour_model::AgentId;

/// The longest that an agent stays away because it was asked to: a collector that is mistaken must
/// not silence anybody for good.
pub const LONGEST_AWAY: Duration = Duration::from_secs(3600);
/// Agents that come back in a second after the collector asked all of them to leave.
const AGENTS_PER_SECOND: u32 = 200;
/// The shortest and the longest time over which they come back.
const DRAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));
/// A moment of the agent's own on top: two agents may have the same place.
const OWN_SPREAD: Duration = Duration::from_millis(500);

/// The session ends; the agent comes back at a moment of its own between `delay` and
/// `delay + spread`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoAway {
    /// Not before.
    pub delay: Duration,
    /// How much later at most.
    pub spread: Duration,
}

impl GoAway {
    /// What a collector that is about to stop tells `agent`, one of `sessions`: each agent has its
    /// place in a time long enough for all of them, always the same place for the same number.
    #[must_use]
    pub fn draining(agent: AgentId, sessions: usize) -> Self {
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        let (shortest, longest) = DRAIN;
        let over =
            (Duration::from_secs(u64::from(sessions)) / AGENTS_PER_SECOND).clamp(shortest, longest);
        let place = u32::try_from(mixed(agent) >> 32).unwrap_or(0);
        Self { delay: over.mul_f64(f64::from(place) / f64::from(u32::MAX)), spread: OWN_SPREAD }
    }

    /// How long the agent stays away, for a random number.
    #[must_use]
    pub fn wait(self, random: u64) -> Duration {
        let spread = self.spread.min(LONGEST_AWAY);
        let part = u32::try_from(random >> 32).unwrap_or(0);
        let own = spread.mul_f64(f64::from(part) / f64::from(u32::MAX));
        self.delay.saturating_add(own).min(LONGEST_AWAY)
    }
}

/// Bits of an identity, mixed so that neighbours are far apart (the finalizer of SplitMix64, Steele,
/// Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
fn mixed(agent: AgentId) -> u64 {
    let id = agent.as_u128();
    let folded = (id ^ (id >> 64)) & u128::from(u64::MAX);
    let seed = u64::try_from(folded).unwrap_or(0);
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
