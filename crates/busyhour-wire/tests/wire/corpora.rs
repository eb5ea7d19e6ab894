//! Replays the seeds that the fuzz targets begin with, and writes them.

use std::path::PathBuf;

use busyhour_wire::fuzz::{
    fuzz_explain, fuzz_integrity, fuzz_reflector_packet, fuzz_sender_packet, fuzz_stun, fuzz_tlvs,
};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 6] = [
    ("stamp_sender", fuzz_sender_packet),
    ("stamp_reflector", fuzz_reflector_packet),
    ("stamp_tlvs", fuzz_tlvs),
    ("stamp_integrity", fuzz_integrity),
    ("stun_message", fuzz_stun),
    ("explain", fuzz_explain),
];

#[test]
fn the_seeds_of_every_target_keep_its_law() {
    let corpora = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    for (target, body) in TARGETS {
        let folder = corpora.join(target);
        let seeds: Vec<_> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|seed| seed.unwrap().path())
            .collect();
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in seeds {
            body(&std::fs::read(seed).unwrap());
        }
    }
}
