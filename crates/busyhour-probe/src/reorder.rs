//! Packets out of order (RFC 4737): how many, and how far.

/// Reordered packets and the greatest extent among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Disorder {
    pub(crate) count: u32,
    /// Packets from the reordered one back to the earliest that arrived before it and was sent after
    /// it; 0 when none is reordered.
    pub(crate) extent: u32,
}

/// Looks at packets in the order of sending: the place of each in the order of arrival, and whether it
/// counts. Those that do not count may have overtaken others.
///
/// A packet is reordered when one that was sent later arrived before it (RFC 4737 section 3.3). The
/// earliest to arrive of those sent later is the lowest place behind it, so its extent (section 4.2.1)
/// is the distance to that.
pub(crate) fn out_of_order(places: &[(u32, bool)]) -> Disorder {
    let mut disorder = Disorder::default();
    let mut lowest_behind = u32::MAX;
    for &(place, counts) in places.iter().rev() {
        if place > lowest_behind && counts {
            disorder.count += 1;
            disorder.extent = disorder.extent.max(place - lowest_behind);
        }
        lowest_behind = lowest_behind.min(place);
    }
    disorder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequence numbers in the order of arrival, as RFC 4737 writes its examples.
    fn check(arrivals: &[usize], count: u32, extent: u32) {
        let mut places = vec![(0, true); arrivals.len()];
        for (place, &sequence) in arrivals.iter().enumerate() {
            places[sequence - 1].0 = place as u32;
        }
        let found = out_of_order(&places);
        assert_eq!(found, Disorder { count, extent }, "{arrivals:?}");
    }

    #[test]
    fn the_examples_of_rfc_4737_come_out() {
        check(&[1, 2, 3, 4], 0, 0);
        // One packet reordered, and three (RFC 4737 section 7).
        check(&[1, 2, 3, 5, 6, 7, 8, 4, 9, 10], 1, 4);
        check(&[1, 2, 3, 7, 8, 9, 10, 4, 5, 6, 11], 3, 6);
        check(&[2, 1, 4, 3], 2, 1);
        check(&[4, 3, 2, 1], 3, 3);
    }

    #[test]
    fn only_packets_inside_count_but_those_behind_may_overtake_them() {
        let places = |count: usize| {
            let places = [0, 5, 2, 3, 4];
            places.iter().enumerate().map(|(at, &place)| (place, at < count)).collect::<Vec<_>>()
        };
        assert_eq!(out_of_order(&places(2)), Disorder { count: 1, extent: 3 });
        assert_eq!(out_of_order(&places(1)), Disorder::default());
    }
}
