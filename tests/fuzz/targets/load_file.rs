#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| busyhour_model::load_file::fuzz_parse(data));
