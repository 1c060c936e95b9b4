//! Any bytes as an encrypted file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::encrypted(bytes));
