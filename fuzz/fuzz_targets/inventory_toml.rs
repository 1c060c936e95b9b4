//! Any bytes as an inventory in TOML.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::inventory_toml(bytes));
