//! Places on the agents' port, shared out so that one who takes many leaves room for others.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who an address belongs to, as far as places are concerned: a host has a whole /64 of IPv6.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A number of places. Who asks gets one while fewer are his than are free: alone he has half of them,
/// the next one half of the rest, and whoever has none gets one as long as there is any.
#[derive(Debug)]
pub struct Places<K> {
    all: usize,
    each: usize,
    // A short section without waiting.
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    /// Only who has some; so there are no more of them than places.
    of: HashMap<K, usize>,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// So many, of which each may have so many at most.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken { all: 0, of: HashMap::new() });
        Arc::new(Self { all, each, taken })
    }

    /// A place, until it is dropped; `None` when there is none for this one now.
    #[must_use]
    pub fn take(self: &Arc<Self>, who: K) -> Option<Place<K>> {
        let mut taken = self.lock();
        let (free, own) =
            (self.all.saturating_sub(taken.all), taken.of.get(&who).copied().unwrap_or(0));
        if own >= free || own >= self.each {
            return None;
        }
        taken.all += 1;
        taken.of.insert(who.clone(), own + 1);
        drop(taken);
        Some(Place { places: Arc::clone(self), who })
    }

    fn lock(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place; dropping it gives it back.
#[derive(Debug)]
pub struct Place<K: Eq + Hash + Clone> {
    places: Arc<Places<K>>,
    who: K,
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        match taken.of.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.of.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as there are for this one.
    fn all_of(places: &Arc<Places<u8>>, who: u8) -> Vec<Place<u8>> {
        std::iter::from_fn(|| places.take(who)).collect()
    }

    #[test]
    fn who_takes_all_he_can_leaves_half_of_what_was_free() {
        let places = Places::new(256, usize::MAX);
        let held: Vec<Vec<Place<u8>>> = (0..8).map(|who| all_of(&places, who)).collect();
        let counts: Vec<usize> = held.iter().map(Vec::len).collect();
        assert_eq!(counts, [128, 64, 32, 16, 8, 4, 2, 1]);
        assert!(places.take(9).is_some(), "the last place is for who has none");
        assert!(places.take(0).is_none(), "and not for who has many");
    }

    #[test]
    fn what_is_given_back_is_there_for_others() {
        let places = Places::new(16, usize::MAX);
        let first = all_of(&places, 1);
        assert_eq!((first.len(), all_of(&places, 2).len()), (8, 4));
        drop(first);
        assert_eq!(all_of(&places, 3).len(), 8);
        assert_eq!(places.lock().of.len(), 0, "nobody is remembered who has none");
    }

    #[test]
    fn nobody_has_more_than_each_may_have() {
        let places = Places::new(1_000, 8);
        assert_eq!(all_of(&places, 1).len(), 8);
    }

    #[test]
    fn a_host_is_one_whatever_address_of_its_network_it_takes() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:1:2:3"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
