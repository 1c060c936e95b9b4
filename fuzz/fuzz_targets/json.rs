//! Any bytes as JSON of a host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::json(bytes));
