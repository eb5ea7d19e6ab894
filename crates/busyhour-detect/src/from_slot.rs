//! The cell of a quarter-hour that was stored as a slot.

use busyhour_model::{Figure, FigureBucket, Figures, Slot};

use crate::series::Cell;

impl Cell {
    /// Makes the cell of a slot from its counts and the figures of its windows. Round trips are those of
    /// windows, each its median, not of packets: they are known to the bucket that they lie in, and
    /// far better where the windows hardly differ. Sketches are not looked at.
    #[must_use]
    pub fn of(slot: &Slot) -> Self {
        let (lost, sent) = slot.loss_told();
        let rtt = Spread::of(&slot.figures, Figure::Delay);
        let jitter = Spread::of(&slot.figures, Figure::Jitter);
        Self {
            start: slot.start,
            expected: slot.expected,
            valid: slot.valid,
            bad: slot.bad,
            bad_by: slot.bad_by,
            sent,
            lost,
            reordered: slot.reordered,
            // A packet that loses its mark there and back lost it once.
            remarked: slot.dscp_up_changed.max(slot.dscp_down_changed),
            rtt_min_us: rtt.map(|rtt| rtt.lowest),
            rtt_p50_us: rtt.map(|rtt| rtt.median),
            rtt_p95_us: rtt.map(|rtt| rtt.high),
            jitter_p50_us: jitter.map(|jitter| jitter.median),
        }
    }
}

/// How the windows of a slot are spread by one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spread {
    lowest: u32,
    median: u32,
    /// The 95th percentile.
    high: u32,
}

impl Spread {
    /// `None` when no window has the figure.
    fn of(figures: &Figures, figure: Figure) -> Option<Self> {
        let occupied = Occupied::of(figures, figure);
        let (first, _) = occupied.each().next()?;
        let total: u64 = occupied.each().map(|(_, n)| u64::from(n)).sum();
        // By nearest rank, from the bottom.
        let ranked = |percent: u64| {
            let rank = (total * percent).div_ceil(100);
            let mut seen = 0;
            let reaches = |(_, n): &(FigureBucket, u32)| {
                seen += u64::from(*n);
                seen >= rank
            };
            occupied.each().find(reaches).map(|(bucket, _)| bucket)
        };
        let near = Near::to(ranked(50)?);
        let mean = near.mean(&occupied, figures.sum(figure));
        Some(Self {
            lowest: near.value(first, mean),
            median: near.value(near.middle, mean),
            high: near.value(ranked(95)?, mean),
        })
    }
}

/// Numbers of buckets in a word.
const WORD: usize = 64;
const WORDS: usize = FigureBucket::COUNT.div_ceil(WORD);

/// How many windows are in each bucket: in few of them there are any.
struct Occupied {
    counts: [u32; FigureBucket::COUNT],
    /// A bit for each bucket with windows.
    any: [u64; WORDS],
}

impl Occupied {
    fn of(figures: &Figures, figure: Figure) -> Self {
        let mut occupied = Self { counts: [0; FigureBucket::COUNT], any: [0; WORDS] };
        for &(combination, n) in figures.combinations() {
            let Some(bucket) = combination.bucket(figure) else { continue };
            let at = usize::from(bucket.number());
            occupied.counts[at] = occupied.counts[at].saturating_add(n);
            occupied.any[at / WORD] |= 1 << (at % WORD);
        }
        occupied
    }

    /// The buckets with windows, ascending.
    fn each(&self) -> impl Iterator<Item = (FigureBucket, u32)> + '_ {
        self.any.iter().enumerate().flat_map(move |(word, &any)| {
            let mut left = any;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let at = word * WORD + left.trailing_zeros() as usize;
                left &= left - 1;
                let bucket = FigureBucket::from_number(u8::try_from(at).ok()?)?;
                Some((bucket, self.counts[at]))
            })
        })
    }
}

/// The middle bucket and all within an eighth of it: windows that hardly differ are in these alone.
#[derive(Debug, Clone, Copy)]
struct Near {
    middle: FigureBucket,
    from: u32,
    until: u32,
}

impl Near {
    fn to(middle: FigureBucket) -> Self {
        let (lowest, highest) = (middle.lowest(), middle.highest());
        let (from, until) = (lowest - lowest / 8, highest.saturating_add(highest / 8));
        Self { middle, from, until }
    }

    fn holds(&self, bucket: FigureBucket) -> bool {
        bucket.lowest() <= self.until && bucket.highest() >= self.from
    }

    /// The mean of the windows in these buckets, given the sum over all: exact where there are no
    /// others.
    fn mean(&self, occupied: &Occupied, sum: u64) -> u32 {
        let (mut near, mut elsewhere) = (0u64, 0u64);
        for (bucket, n) in occupied.each() {
            if self.holds(bucket) {
                near += u64::from(n);
            } else {
                let value = u64::from(bucket.middle());
                elsewhere = elsewhere.saturating_add(value.saturating_mul(n.into()));
            }
        }
        u32::try_from(sum.saturating_sub(elsewhere) / near.max(1)).unwrap_or(u32::MAX)
    }

    /// The value that stands for a bucket: what of it lies nearest to the mean of the near ones, where
    /// it is one of those; else its middle.
    fn value(&self, bucket: FigureBucket, mean: u32) -> u32 {
        let near = self.holds(bucket);
        if near { mean.clamp(bucket.lowest(), bucket.highest()) } else { bucket.middle() }
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::{Breach, LimitsVersion, SlotStart, WindowFigures};
    use proptest::prelude::*;

    use super::*;

    /// A slot with windows that took so long, each.
    fn slot(rtts_us: &[u32]) -> Slot {
        let mut slot = Slot::new(SlotStart::from_number(1_000_000), LimitsVersion(1));
        slot.valid = u32::try_from(rtts_us.len()).unwrap();
        for &rtt_us in rtts_us {
            let window = WindowFigures::default();
            slot.figures.record_n(&window.with(Figure::Delay, rtt_us), 1);
        }
        slot
    }

    #[test]
    fn counts_are_those_of_the_slot() {
        let mut slot = slot(&[20_000, 20_500]);
        (slot.expected, slot.valid, slot.dense, slot.bad) = (15, 14, 14, 3);
        slot.bad_by[Breach::Loss as usize] = 3;
        (slot.sent, slot.lost_up, slot.lost_down, slot.lost_unknown) = (10_500, 4, 2, 1);
        (slot.reordered, slot.dscp_up_changed, slot.dscp_down_changed) = (5, 40, 2);
        let cell = Cell::of(&slot);
        assert_eq!((cell.expected, cell.valid, cell.bad), (15, 14, 3));
        assert_eq!(cell.bad_by, [3, 0, 0, 0, 0]);
        assert_eq!((cell.sent, cell.lost, cell.reordered, cell.remarked), (10_500, 7, 5, 40));
    }

    #[test]
    fn of_sparse_windows_only_outages_are_lost() {
        let mut slot = slot(&[20_000]);
        (slot.valid, slot.sent, slot.lost_up) = (10, 100, 60);
        assert_eq!(Cell::of(&slot).lost, 0);
        slot.bad_by[Breach::Failed as usize] = 4;
        assert_eq!(Cell::of(&slot).lost, 40);
    }

    #[test]
    fn windows_that_hardly_differ_are_known_exactly() {
        // On both sides of the edge at 20 ms.
        let cell = Cell::of(&slot(&[19_700, 19_900, 20_100, 20_300, 20_000]));
        let found = (cell.rtt_min_us, cell.rtt_p50_us, cell.rtt_p95_us);
        assert_eq!(found, (Some(20_000), Some(20_000), Some(20_001)));
        // One that took ten times as long is none of them.
        let cell = Cell::of(&slot(&[[18_500; 14].as_slice(), &[190_000]].concat()));
        assert_eq!((cell.rtt_min_us, cell.rtt_p50_us), (Some(18_500), Some(18_500)));
        assert_eq!(cell.rtt_p95_us, Some(190_000));
        let cell = Cell::of(&slot(&[[18_500; 14].as_slice(), &[5_000]].concat()));
        assert!(cell.rtt_p50_us.unwrap().abs_diff(18_500) <= 20, "{cell:?}");
        assert!(cell.rtt_min_us.unwrap().abs_diff(5_000) <= 5_000 / 14, "{cell:?}");
    }

    #[test]
    fn windows_without_an_answer_have_no_round_trip() {
        let mut slot = slot(&[]);
        slot.figures.record_n(&WindowFigures { failed: true, ..WindowFigures::default() }, 15);
        let cell = Cell::of(&slot);
        assert_eq!((cell.rtt_min_us, cell.rtt_p50_us, cell.jitter_p50_us), (None, None, None));
    }

    proptest! {
        #[test]
        fn each_figure_lies_in_the_bucket_of_the_window_it_is_of(
            mut rtts_us in prop::collection::vec(prop_oneof![0u32..3_000, 5_000u32..400_000], 1..40),
        ) {
            let cell = Cell::of(&slot(&rtts_us));
            rtts_us.sort_unstable();
            let ranked = |percent: usize| rtts_us[(rtts_us.len() * percent).div_ceil(100) - 1];
            for (found, exact) in [
                (cell.rtt_min_us, rtts_us[0]),
                (cell.rtt_p50_us, ranked(50)),
                (cell.rtt_p95_us, ranked(95)),
            ] {
                prop_assert_eq!(FigureBucket::of(found.unwrap()), FigureBucket::of(exact));
            }
            prop_assert!(cell.rtt_min_us <= cell.rtt_p50_us && cell.rtt_p50_us <= cell.rtt_p95_us);
        }

        #[test]
        fn a_quiet_path_is_never_told_beyond_what_its_windows_took(
            around_us in 2_000u32..200_000,
            off_permille in prop::collection::vec(0u32..40, 1..16),
        ) {
            let rtts_us: Vec<u32> =
                off_permille.iter().map(|off| around_us + around_us / 1_000 * off).collect();
            let cell = Cell::of(&slot(&rtts_us));
            let range = *rtts_us.iter().min().unwrap()..=*rtts_us.iter().max().unwrap() + 1;
            prop_assert!(range.contains(&cell.rtt_p50_us.unwrap()), "{cell:?} of {rtts_us:?}");
            prop_assert!(range.contains(&cell.rtt_min_us.unwrap()), "{cell:?} of {rtts_us:?}");
        }
    }
}
