//! How often somebody may try to sign in: buckets of tries that fill up again, one for each address and
//! one for each name. Pure: the caller tells the time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// Buckets at once. When there are more, the fullest goes: it limits the least.
const MAX_BUCKETS: usize = 4_096;

/// What tries are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An address; of IPv6 the /64, which one customer has.
    Address(IpAddr),
    /// The same, of those who go to the identity provider: nothing is guessed by that.
    Departure(IpAddr),
    /// A name, known or not.
    Name([u8; 32]),
}

impl Key {
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        })
    }

    pub(crate) fn departure(address: IpAddr) -> Self {
        match Self::address(address) {
            Self::Address(address) => Self::Departure(address),
            other => other,
        }
    }

    pub(crate) fn name(name: &str) -> Self {
        Self::Name(Sha256::digest(name.as_bytes()).into())
    }

    /// Tries at once, and how long it takes until there is one more. One address may be an office.
    const fn allowed(self) -> (u32, Duration) {
        match self {
            Self::Address(_) => (20, Duration::from_secs(6)),
            Self::Departure(_) => (60, Duration::from_secs(1)),
            Self::Name(_) => (10, Duration::from_secs(30)),
        }
    }
}

/// Tries that are left, as the moment at which all of them would be there again.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    full_at: HashMap<Key, Instant>,
}

impl Limiter {
    /// Takes a try of each key, or of none and says how long to wait.
    pub(crate) fn take(&mut self, keys: &[Key], now: Instant) -> Result<(), Duration> {
        let waits = keys.iter().filter_map(|key| self.wait(*key, now));
        if let Some(longest) = waits.max() {
            return Err(longest);
        }
        for key in keys {
            let (_, each) = key.allowed();
            let full_at = self.full_at.get(key).copied().unwrap_or(now).max(now) + each;
            self.make_room(key, now);
            self.full_at.insert(*key, full_at);
        }
        Ok(())
    }

    /// Gives a try back: it was right.
    pub(crate) fn give_back(&mut self, keys: &[Key]) {
        for key in keys {
            let (_, each) = key.allowed();
            if let Some(full_at) = self.full_at.get_mut(key) {
                *full_at = full_at.checked_sub(each).unwrap_or(*full_at);
            }
        }
    }

    /// How long until there is a try; `None` when there is one.
    fn wait(&self, key: Key, now: Instant) -> Option<Duration> {
        let (burst, each) = key.allowed();
        let owed = self.full_at.get(&key)?.saturating_duration_since(now);
        let free_below = each * burst.saturating_sub(1);
        owed.checked_sub(free_below).filter(|wait| !wait.is_zero())
    }

    fn make_room(&mut self, key: &Key, now: Instant) {
        if self.full_at.len() < MAX_BUCKETS || self.full_at.contains_key(key) {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= MAX_BUCKETS {
            let fullest = self.full_at.iter().min_by_key(|(_, full_at)| **full_at);
            if let Some(fullest) = fullest.map(|(key, _)| *key) {
                self.full_at.remove(&fullest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Key {
        Key::address(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn tries_run_out_and_come_back_one_by_one() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        let keys = [address(1)];
        for n in 0..20 {
            assert_eq!(limiter.take(&keys, now), Ok(()), "{n}");
        }
        assert_eq!(limiter.take(&keys, now), Err(Duration::from_secs(6)));
        assert_eq!(limiter.take(&[address(2)], now), Ok(()), "another address");
        let later = now + Duration::from_secs(6);
        assert_eq!(limiter.take(&keys, later), Ok(()));
        assert!(limiter.take(&keys, later).is_err());
        limiter.give_back(&keys);
        assert_eq!(limiter.take(&keys, later), Ok(()), "it was right");
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!((0..30).filter(|_| limiter.take(&keys, much_later).is_ok()).count(), 20);
    }

    #[test]
    fn a_name_is_limited_from_wherever_it_is_tried_and_a_refusal_costs_the_others_nothing() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        let eva = Key::name("eva");
        let tried = (0..40).filter(|n| limiter.take(&[address(*n), eva], now).is_ok()).count();
        assert_eq!(tried, 10);
        let left = (0..40).filter(|_| limiter.take(&[address(39)], now).is_ok()).count();
        assert_eq!(left, 20);
        assert_eq!(limiter.take(&[address(1), Key::name("max")], now), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let key = |text: &str| Key::address(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), address(1));
    }

    #[test]
    fn buckets_are_bounded_and_the_emptiest_are_kept() {
        let (mut limiter, now) = (Limiter::default(), Instant::now());
        let eva = Key::name("eva");
        for _ in 0..10 {
            limiter.take(&[eva], now).unwrap();
        }
        for n in 0..2 * MAX_BUCKETS {
            limiter.take(&[Key::name(&n.to_string())], now).unwrap();
        }
        assert_eq!(limiter.full_at.len(), MAX_BUCKETS);
        assert!(limiter.take(&[eva], now).is_err(), "a flood of other names frees no one");
    }
}
