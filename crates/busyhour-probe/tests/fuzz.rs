//! The fuzz bodies, replayed with random bytes and with the seeds that fuzzing begins with.

use std::path::PathBuf;
use std::time::Instant;

use busyhour_probe::fuzz::{fuzz_reflector_engine, fuzz_sender_engine, fuzz_sender_session};
use proptest::prelude::*;

/// A target's name and its body.
type Target = (&'static str, fn(&[u8], Instant));

const TARGETS: [Target; 3] = [
    ("reflector_engine", fuzz_reflector_engine),
    ("sender_engine", fuzz_sender_engine),
    ("sender_session", fuzz_sender_session),
];

#[test]
fn the_seeds_of_every_target_keep_its_laws() {
    let corpora = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    for (target, body) in TARGETS {
        let seeds = std::fs::read_dir(corpora.join(target)).unwrap();
        let replayed = seeds.map(|seed| {
            body(&std::fs::read(seed.unwrap().path()).unwrap(), Instant::now());
        });
        assert!(replayed.count() > 0, "{target} has no seeds");
    }
}

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

    #[test]
    fn a_sender_of_any_kind_keeps_the_laws_whatever_happens_to_it(
        kind in any::<u8>(),
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        fuzz_sender_session(&[&[kind], &bytes[..]].concat(), Instant::now());
    }

    /// Mostly time, requests and answers, so that windows fill.
    #[test]
    fn a_sender_keeps_the_laws_in_likely_networks(
        kind in any::<u8>(),
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
        let steps = steps.concat();
        fuzz_sender_engine(&steps, Instant::now());
        fuzz_sender_session(&[&[kind], &steps[..]].concat(), Instant::now());
    }
}
