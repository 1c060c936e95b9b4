//! Any bytes as a pattern of hosts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::pattern(bytes));
