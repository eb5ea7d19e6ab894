//! The cell of a quarter-hour that was stored as a slot.

use busyhour_model::{Slot, SlotGist};

use crate::series::Cell;

impl Cell {
    /// Makes the cell of a slot from its counts and the figures of its windows. Sketches are not looked
    /// at.
    #[must_use]
    pub fn of(slot: &Slot) -> Self {
        Self::of_gist(&SlotGist::of(slot))
    }

    /// Makes the cell of a slot that is known in short. Round trips are those of windows, each its
    /// median, not of packets: they are known to the bucket that they lie in, and far better where the
    /// windows hardly differ.
    #[must_use]
    pub fn of_gist(slot: &SlotGist) -> Self {
        let (lost, sent) = slot.loss_told();
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
            rtt_min_us: slot.delay.map(|rtt| rtt.lowest),
            rtt_p50_us: slot.delay.map(|rtt| rtt.median),
            rtt_p95_us: slot.delay.map(|rtt| rtt.high),
            jitter_p50_us: slot.jitter.map(|jitter| jitter.median),
        }
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::{Breach, Figure, FigureBucket, LimitsVersion, SlotStart, WindowFigures};
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
