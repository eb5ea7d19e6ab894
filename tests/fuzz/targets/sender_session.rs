#![no_main]

use std::time::Instant;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    busyhour_probe::fuzz::fuzz_sender_session(data, Instant::now());
});
