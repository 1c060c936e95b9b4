//! Any bytes as a packed image.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::archive(bytes));
