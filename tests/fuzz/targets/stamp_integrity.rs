#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| busyhour_wire::fuzz::fuzz_integrity(data));
