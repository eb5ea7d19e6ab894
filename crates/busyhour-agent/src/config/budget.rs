//! What all targets together may send: gentle by default.
//!
//! A link whose capacity nobody stated carries no more than what a call or two would; of one that is
//! known, probes take at most a hundredth. Expedited traffic is rationed for itself, because the queue
//! that it shares with real calls is small: all targets together send no more of it than one call.
//! Loopback is no link. Rates are means over the schedule, of IP packets, in each direction.

use std::net::IpAddr;

use busyhour_model::TrafficClass;

use super::bandwidth::{kilobits, limit_kilobits, show};
use super::{InvalidConfig, Target};

/// One call's audio with everything that is sent for it (Microsoft, "Prepare your organization's
/// network for Teams": 100 kbit/s).
const CALL: u64 = 100_000;
/// Without a known capacity: a call's audio and its best-effort twin.
const UNKNOWN_LINK: u64 = 2 * CALL;
/// Of a known link, probes take this part at most.
const SHARE: u64 = 100;
/// A profile that needs no known capacity sends in a quarter of the time at most.
const GENTLE_DUTY: u32 = 4;
/// Expedited forwarding (RFC 3246).
const EXPEDITED: u8 = 46;

/// Mean rates of all targets that leave the machine, in bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Budget {
    pub(super) total: u64,
    pub(super) expedited: u64,
}

impl Budget {
    /// What all targets together may send of expedited traffic, in bits a second.
    pub(super) const EXPEDITED: u64 = CALL;

    pub(super) fn of(targets: &[Target]) -> Self {
        let mut budget = Self::default();
        for target in targets.iter().filter(|target| !is_loopback(&target.host)) {
            let mean = target.profile.mean_bits_per_second();
            budget.total = budget.total.saturating_add(mean);
            if target.profile.dscp().value() == EXPEDITED {
                budget.expedited = budget.expedited.saturating_add(mean);
            }
        }
        budget
    }

    /// What all targets together may send, in bits a second.
    pub(super) const fn limit(capacity: Option<u64>) -> u64 {
        match capacity {
            Some(capacity) => capacity / SHARE,
            None => UNKNOWN_LINK,
        }
    }
}

/// Checks that the targets may send what they would.
pub(crate) fn check(targets: &[Target], capacity: Option<u64>) -> Result<(), InvalidConfig> {
    let real = || targets.iter().filter(|target| !is_loopback(&target.host));
    if capacity.is_none()
        && let Some(target) = real().find(|target| !is_gentle(target))
    {
        return Err(InvalidConfig::NeedsCapacity {
            target: target.name.as_str().to_owned(),
            profile: target.profile.name().to_owned(),
        });
    }
    let budget = Budget::of(targets);
    let limit = Budget::limit(capacity);
    if budget.total > limit {
        // Of equals, the first.
        let most = real().rev().max_by_key(|target| target.profile.mean_bits_per_second());
        let most = most.map_or_else(String::new, |target| target.name.as_str().to_owned());
        let of = capacity.map_or_else(
            || "may be sent while link.capacity is not set".to_owned(),
            |capacity| format!("are 1 % of link.capacity = \"{}\"", show(capacity)),
        );
        let (sum, limit) = (kilobits(budget.total), limit_kilobits(limit));
        return Err(InvalidConfig::Budget { sum, limit, of, most });
    }
    if budget.expedited > Budget::EXPEDITED {
        return Err(InvalidConfig::Expedited {
            sum: kilobits(budget.expedited),
            limit: limit_kilobits(Budget::EXPEDITED),
        });
    }
    Ok(())
}

/// True for what may run on any link: no more than a call's audio for a quarter of the time, or than
/// what that is on average.
fn is_gentle(target: &Target) -> bool {
    let profile = &target.profile;
    let sending = profile.continuous().mean_bits_per_second();
    let seldom = profile.window() * GENTLE_DUTY <= profile.period();
    let limit = if seldom { CALL } else { CALL / u64::from(GENTLE_DUTY) };
    matches!(target.class(), TrafficClass::Audio | TrafficClass::BestEffort) && sending <= limit
}

/// True for what never leaves the machine, whatever a resolver says (RFC 6761 section 6.3). Other
/// names may stand for anything.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
