//! Any bytes as an inventory in YAML.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::inventory_yaml(bytes));
