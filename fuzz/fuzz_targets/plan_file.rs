//! Any bytes as a plan file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::plan_file(bytes));
