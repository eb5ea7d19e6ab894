//! Hashing of numbers that the store itself gave out: nobody else chooses them, so that maps by them need
//! no guard against keys that collide.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map by numbers of paths, days or circumstances.
pub(super) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;
/// A set of such.
pub(super) type NumberSet<K> = HashSet<K, BuildHasherDefault<NumberHasher>>;

/// An odd number near 2^64 over the golden ratio (D. E. Knuth, The Art of Computer Programming, volume 3,
/// section 6.4).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Multiplies; what that spreads into the high bits goes into the low ones too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(MULTIPLIER);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use busyhour_model::PathId;

    use super::*;

    #[test]
    fn neighbouring_paths_and_days_fall_far_apart() {
        let hasher = BuildHasherDefault::<NumberHasher>::default();
        let keys = (0..1_000).flat_map(|path| (20_700..20_710).map(move |day| (day, path)));
        let mut buckets: HashMap<u64, u32> = HashMap::new();
        for (day, path) in keys {
            *buckets.entry(hasher.hash_one((PathId(path), day)) % (1 << 14)).or_default() += 1;
        }
        let fullest = buckets.values().max().copied();
        assert!(fullest <= Some(8), "{fullest:?} of 10000 keys in one of 16384 places");
        assert!(buckets.len() > 7_000, "{} of 16384 places used", buckets.len());
    }
}
