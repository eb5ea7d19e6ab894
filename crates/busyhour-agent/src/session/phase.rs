//! Spreads the beginnings of windows, so that a thousand agents do not probe in the same second.

use std::time::Duration;

use busyhour_model::{AgentId, UtcMicros};

/// Sessions of less than ten packets a second begin on a grid of the agent's own: waking up costs
/// more than sending, and a hundred of them then share half of their wake-ups. The grid is fine enough
/// that packets hardly queue behind each other.
const SLOW_GRID_US: u64 = 20_000;

/// How far this agent's windows of this profile to this target lie behind the wall clock's multiples
/// of `period`; `slow` for profiles of less than ten packets a second.
pub(super) fn offset(
    agent: AgentId,
    target: &str,
    profile: &str,
    period: Duration,
    slow: bool,
) -> Duration {
    let period_us = period_us(period);
    let agent = agent.to_bytes();
    let own = mix(agent.iter());
    let bytes = agent.iter().chain(target.as_bytes()).chain(profile.as_bytes());
    let free = mix(bytes) % period_us;
    let offset = if slow { free - free % SLOW_GRID_US + own % SLOW_GRID_US } else { free };
    Duration::from_micros(offset % period_us)
}

/// FNV-1a with a final mix, because its low bits alone are poor.
fn mix<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// The first moment at or after `wall` that lies `offset` behind a multiple of `period`.
pub(super) fn next(wall: UtcMicros, period: Duration, offset: Duration) -> UtcMicros {
    let period_us = i64::try_from(period_us(period)).unwrap_or(i64::MAX);
    let offset_us = i64::try_from(offset.as_micros()).unwrap_or(0);
    let ahead = offset_us.saturating_sub(wall.0).rem_euclid(period_us);
    UtcMicros(wall.0.saturating_add(ahead))
}

fn period_us(period: Duration) -> u64 {
    u64::try_from(period.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn windows_of_many_agents_spread_evenly_over_the_period() {
        let mut by_second = [0; 60];
        for agent in 0..6000 {
            let agent = AgentId::from_u128(agent);
            let offset = offset(agent, "reflector.example:862", "audio-50", MINUTE, false);
            by_second[usize::try_from(offset.as_secs()).unwrap()] += 1;
        }
        assert!(by_second.iter().all(|count| (50..=160).contains(count)), "{by_second:?}");
    }

    #[test]
    fn the_grid_stays_where_it_is() {
        let agent = AgentId::from_u128(7);
        let offset = offset(agent, "a:1", "audio-50", MINUTE, false);
        for second in 0..200 {
            let wall = UtcMicros(1_800_000_000_000_000 + second * 777_777);
            let next = next(wall, MINUTE, offset);
            assert!(next >= wall && next < wall.plus(MINUTE));
            assert_eq!(super::next(next, MINUTE, offset), next);
            assert_eq!(next.0.rem_euclid(60_000_000).unsigned_abs(), offset.as_micros() as u64);
        }
    }

    #[test]
    fn slow_sessions_of_one_agent_share_a_grid_that_other_agents_do_not() {
        let place = |agent: u128, target: u32| {
            let target = format!("reflector-{target}:862");
            let agent = AgentId::from_u128(agent);
            offset(agent, &target, "low-1", MINUTE / 4, true).as_micros() % 20_000
        };
        assert!((0..100).all(|target| place(1, target) == place(1, 0)));
        let agents: std::collections::BTreeSet<u128> =
            (0..100).map(|agent| place(agent, 0)).collect();
        assert!(agents.len() > 90, "{} places of 100", agents.len());
    }
}
