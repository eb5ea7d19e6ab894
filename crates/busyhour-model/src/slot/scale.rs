//! The scale that the figures of windows are kept on: 24 preferred numbers a decade, and every
//! published limit.

/// The mantissas of a decade, in tenths: each is at most a seventh above the one before.
const MANTISSAS: [u64; 24] = [
    11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 30, 33, 36, 40, 45, 50, 55, 60, 65, 70, 80, 90, 100,
];
/// Published limits of round trips to Azure regions, in milliseconds, ascending. They and their halves,
/// which limit one-way delay, are edges as well.
const ROUND_TRIPS_MS: [u64; 28] = [
    70, 86, 94, 95, 97, 99, 103, 110, 111, 116, 118, 120, 124, 126, 131, 134, 135, 137, 138, 139,
    143, 151, 156, 158, 160, 164, 171, 178,
];
/// The distance of the edges below [`DECADES_FROM`].
const STEP: u64 = 100;
const DECADES_FROM: u64 = 1_000;
const HIGHEST: u64 = u32::MAX as u64;

/// The upper edges of all buckets, ascending.
static EDGES: [u32; FigureBucket::COUNT] = edges();
/// The values of each bucket by its number; none of a number that no bucket has.
pub(super) static VALUES: [Values; 256] = values();

/// The lowest, the middle and the highest value of a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    pub(super) lowest: u32,
    pub(super) middle: u32,
    pub(super) highest: u32,
}

const fn values() -> [Values; 256] {
    let edges = edges();
    let mut values = [Values { lowest: 0, middle: 0, highest: 0 }; 256];
    let mut at = 1;
    while at < FigureBucket::COUNT {
        let (lowest, highest) = (edges[at - 1] + 1, edges[at]);
        values[at] = Values { lowest, middle: lowest + (highest - lowest) / 2, highest };
        at += 1;
    }
    values
}

/// The lowest edge above `value`.
const fn next_edge(value: u64) -> u64 {
    let mut edge = next_regular(value);
    let mut at = 0;
    while at < ROUND_TRIPS_MS.len() {
        let (half, whole) = (ROUND_TRIPS_MS[at] * 500, ROUND_TRIPS_MS[at] * 1_000);
        if half > value && half < edge {
            edge = half;
        }
        if whole > value && whole < edge {
            edge = whole;
        }
        at += 1;
    }
    if edge < HIGHEST { edge } else { HIGHEST }
}

const fn next_regular(value: u64) -> u64 {
    if value < DECADES_FROM {
        return (value / STEP + 1) * STEP;
    }
    let mut tenth = DECADES_FROM / 10;
    while tenth * 100 <= value {
        tenth *= 10;
    }
    let mut at = 0;
    while MANTISSAS[at] * tenth <= value {
        at += 1;
    }
    MANTISSAS[at] * tenth
}

const fn count() -> usize {
    let (mut edge, mut count) = (0, 1);
    while edge < HIGHEST {
        edge = next_edge(edge);
        count += 1;
    }
    count
}

const fn edges() -> [u32; FigureBucket::COUNT] {
    let mut edges = [0; FigureBucket::COUNT];
    let mut at = 1;
    while at < FigureBucket::COUNT {
        edges[at] = next_edge(edges[at - 1] as u64) as u32;
        at += 1;
    }
    edges
}

/// A bucket of the scale: 0 holds exactly 0, every other the values above the edge before it up to its
/// own edge. Edges are every 100 up to 1000, then 24 preferred numbers a decade up to the highest
/// value, and the published limits of [`LIMITS`](crate::LIMITS). So a value is known to 1/14 (7 %)
/// or 50, whichever is more, and exactly where it is compared with a published limit.
///
/// Another edge changes the numbers of the buckets: whoever stores them has a new layout then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FigureBucket(u8);

impl FigureBucket {
    /// How many there are: they are numbered from 0.
    pub const COUNT: usize = count();

    /// The bucket of a value.
    #[must_use]
    pub fn of(value: u32) -> Self {
        Self(EDGES.partition_point(|&edge| edge < value) as u8)
    }

    /// The bucket with this number; `None` when there is none.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if (number as usize) < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// Its number, from 0 in the order of the values.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The highest value in it: its edge.
    #[must_use]
    pub fn highest(self) -> u32 {
        VALUES[usize::from(self.0)].highest
    }

    /// The lowest value in it.
    #[must_use]
    pub fn lowest(self) -> u32 {
        VALUES[usize::from(self.0)].lowest
    }

    /// The value that stands for it, at most 1/14 (7 %) or 50 off.
    #[must_use]
    pub fn middle(self) -> u32 {
        VALUES[usize::from(self.0)].middle
    }

    /// True when values can be compared with this one exactly.
    #[must_use]
    pub fn is_edge(value: u32) -> bool {
        Self::of(value).highest() == value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::LIMITS;

    #[test]
    fn every_limit_of_every_table_is_an_edge() {
        for table in LIMITS {
            let limits =
                [table.loss_ppm, table.burst_ppm, table.rtt_us, table.one_way_us, table.jitter_us];
            for limit in limits {
                assert!(FigureBucket::is_edge(limit), "{limit} of {}", table.requirement);
            }
        }
    }

    #[test]
    fn the_scale_begins_at_nothing_and_ends_at_the_highest_value() {
        assert_eq!((EDGES[0], EDGES[1], EDGES[10], EDGES[11]), (0, 100, 1_000, 1_100));
        assert_eq!(EDGES.last(), Some(&u32::MAX));
        assert!(EDGES.is_sorted_by(|a, b| a < b));
        const { assert!(FigureBucket::COUNT < 255, "255 says that there is none") };
        for points in [10, 20, 30, 40, 50] {
            assert!(FigureBucket::is_edge(points * 100), "a rating {points} below 100");
        }
        for part in [1_000, 10_000, 1_000_000] {
            assert!(FigureBucket::is_edge(part), "{part} in a million");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_its_middle_is_within_a_fourteenth(
            value in prop_oneof![0u32..2_000, 0u32..1_000_000, any::<u32>()],
        ) {
            let bucket = FigureBucket::of(value);
            prop_assert!((bucket.lowest()..=bucket.highest()).contains(&value));
            let off = f64::from(bucket.middle().abs_diff(value));
            prop_assert!(off <= (f64::from(value) / 14.0).max(50.0), "{off} off {value}");
            prop_assert_eq!(FigureBucket::from_number(bucket.number()), Some(bucket));
        }
    }
}
