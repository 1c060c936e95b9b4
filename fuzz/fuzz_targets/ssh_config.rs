//! Any bytes as files of ssh_config.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::ssh_config(bytes));
