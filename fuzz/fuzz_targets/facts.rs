//! Any bytes as what a host says of itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::host_facts(bytes));
