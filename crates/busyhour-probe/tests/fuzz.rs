//! The fuzz bodies, replayed with random bytes.

use std::time::Instant;

use busyhour_probe::fuzz::{fuzz_reflector_engine, fuzz_sender_engine};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_datagrams_keeps_the_laws(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        fuzz_reflector_engine(&bytes, Instant::now());
    }

    #[test]
    fn a_sender_keeps_the_laws_whatever_happens_to_it(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        fuzz_sender_engine(&bytes, Instant::now());
    }

    /// Mostly time, requests and answers, so that windows fill.
    #[test]
    fn a_sender_keeps_the_laws_in_likely_networks(
        steps in prop::collection::vec(
            prop_oneof![
                4 => (0..60u8).prop_map(|ms| vec![0, ms]),
                8 => Just(vec![0, 20, 2, 1]),
                6 => (any::<u8>(), 0..8u8, any::<[u8; 22]>())
                    .prop_map(|(which, style, rest)| [&[5, which, style], &rest[..]].concat()),
                1 => prop::collection::vec(any::<u8>(), 0..6),
            ],
            0..300,
        ),
    ) {
        fuzz_sender_engine(&steps.concat(), Instant::now());
    }
}
