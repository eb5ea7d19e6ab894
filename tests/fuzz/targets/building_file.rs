#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| busyhour_model::building_file::fuzz_parse(data));
