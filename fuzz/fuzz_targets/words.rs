//! Any bytes as the small languages inside of values.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::words(bytes));
