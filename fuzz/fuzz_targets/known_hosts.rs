//! Any bytes as a known_hosts file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::known_hosts(bytes));
