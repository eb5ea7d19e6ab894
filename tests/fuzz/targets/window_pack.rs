#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| busyhour_store::fuzz_pack(data));
