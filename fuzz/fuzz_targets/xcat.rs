//! Any bytes as outputs of xCAT's commands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::xcat_outputs(bytes));
